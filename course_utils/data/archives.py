"""Archives from the web: a download that goes on where it stopped, and the unpacking."""

import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

TIMEOUT = 20  # seconds without a byte from the server
PIECE = 2**18  # bytes that are read at once


def download(url: str, file: Path) -> None:
    """Bring what lies at `url` to `file`, unless it is there.

    What an interrupted download has brought stays beside it, as `file` with `.part` behind its name: the next call goes
    on from there, where the server can do that.

    Raises:
        OSError: if the server cannot be reached or does not have it, the connection breaks off, or the disk is full.
    """
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    start = part.stat().st_size if part.exists() else 0
    try:
        reply = urlopen(Request(url, headers={"Range": f"bytes={start}-"} if start else {}), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:  # "range not satisfiable": there is nothing behind what we have, so that is none of it
            raise
        part.unlink()
        return download(url, file)
    with reply:
        start = start if reply.status == 206 else 0  # 206: "partial content", as asked for; else all of it comes
        length = reply.headers["Content-Length"]
        whole = start + int(length) if length else None
        bar = {"total": whole, "initial": start, "desc": file.name, "file": sys.stdout, "ascii": " =", "mininterval": 1}
        with open(part, "ab" if start else "wb") as target, tqdm.wrapattr(reply, "read", **bar) as counted:
            shutil.copyfileobj(counted, target, PIECE)
    if whole is not None and part.stat().st_size != whole:
        raise ConnectionError(f"the connection broke off after {part.stat().st_size:,} of {whole:,} bytes")
    part.replace(file)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive into `folder`; nothing is written outside of it.

    Raises:
        OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error: if the archive is damaged, or the disk full.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        return
    with tarfile.open(archive) as opened:
        # the first versions of Python 3.11 have no filters
        opened.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        opened.extractall(folder)
