"""The bank of hostile submissions: what each does, the score that it must get, and what must be said of it.

The honest submission earns 2 points for discriminator_loss and 1 for saturating_generator_loss; with `game`, where a class is asked for too,
4 for Game. What a hostile one does stands in its discriminator_loss, unless it changes the notebook or its file.
"""

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "01_gan.ipynb"


@dataclass(frozen=True)
class Hostile:
    """One submission.

    Args:
        name: what it does.
        score: that it must get, of 3, or 7 with `game`.
        said: a part of what is said of it: a reason or a note.
        answers: sources by the name of their cell.
        change: what is done to the notebook.
        write: writes the submission's folder, in place of just writing the notebook.
        seconds: time limit of a question.
        game: whether Game is asked for too.
    """

    name: str
    score: float
    said: str
    answers: dict[str, str] | None = None
    change: Callable[[dict[str, Any]], None] | None = None
    write: Callable[[dict[str, Any], Path], None] | None = None
    seconds: float = 60.0
    game: bool = False


def body(lines: str, before: str = "", after: str = "return real_logits.mean()") -> dict[str, str]:
    """A discriminator_loss that does something, and is wrong."""
    inner = "\n".join(f"    {line}" for line in [*lines.splitlines(), after])
    return {"discriminator-loss": f"{before}\ndef discriminator_loss(real_logits, fake_logits):\n{inner}\n"}


ROOT = Path(__file__).resolve().parents[2]
PRIVATE = [str(ROOT / name) for name in ("solutions", "tests", "course_utils/grading/grader.py")]
PRIVATE += ["/etc/passwd", "/etc/shadow", "/course/solutions", "/course/tests", "/course/course_utils/cli"]
RIGHT_AFTER = "return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()"


def cell_of(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name)


def delete_tests(notebook: dict[str, Any]) -> None:
    notebook["cells"] = [
        c for c in notebook["cells"] if not c["metadata"].get("nbgrader", {}).get("grade_id", "").endswith("-check")
    ]


def edit_tests(notebook: dict[str, Any]) -> None:
    for name in ("discriminator-loss-check", "game-check"):
        cell_of(notebook, name)["source"] = "print('all is well')"
    cell_of(notebook, "discriminator-loss")["source"] = "def discriminator_loss(a, b):\n    return 0\n"


def worth_more(notebook: dict[str, Any]) -> None:
    cell_of(notebook, "saturating-generator-loss-check")["metadata"]["nbgrader"]["points"] = 1_000
    cell_of(notebook, "discriminator-loss-check")["metadata"]["nbgrader"].update(
        points=1_000, grade=True, solution=True
    )
    cell_of(notebook, "discriminator-loss-check")["source"] = "1000"


def duplicate(notebook: dict[str, Any]) -> None:
    for name in ("discriminator-loss", "discriminator-loss-check", "game"):
        index = notebook["cells"].index(cell_of(notebook, name))
        notebook["cells"].insert(index, copy.deepcopy(notebook["cells"][index]))


def duplicate_stub(notebook: dict[str, Any]) -> None:
    """The written cell, and below it the empty one again."""
    index = notebook["cells"].index(cell_of(notebook, "discriminator-loss"))
    again = copy.deepcopy(notebook["cells"][index])
    again["source"] = (
        "def discriminator_loss(real_logits, fake_logits):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    notebook["cells"].insert(index + 1, again)


def retype(notebook: dict[str, Any]) -> None:
    for name, kind in (("discriminator-loss", "markdown"), ("game", "raw"), ("game-check", "markdown")):
        cell = cell_of(notebook, name)
        cell["cell_type"] = kind
        cell.pop("outputs", None)
        cell.pop("execution_count", None)


def turn_round(notebook: dict[str, Any]) -> None:
    notebook["cells"].reverse()


def strip_names(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def delete(name: str) -> Callable[[dict[str, Any]], None]:
    def change(notebook: dict[str, Any]) -> None:
        notebook["cells"].remove(cell_of(notebook, name))

    return change


def delete_imports(notebook: dict[str, Any]) -> None:
    notebook["cells"] = [
        cell for cell in notebook["cells"] if "import torch.nn.functional" not in "".join(cell["source"])
    ]


def ten_thousand_cells(notebook: dict[str, Any]) -> None:
    notebook["cells"] += [{"cell_type": "markdown", "metadata": {}, "source": "x"}] * 10_000


def named(name: str) -> Callable[[dict[str, Any], Path], None]:
    def write(notebook: dict[str, Any], folder: Path) -> None:
        (folder / name).write_text(json.dumps(notebook), encoding="utf-8")

    return write


def text(content: str) -> Callable[[dict[str, Any], Path], None]:
    def write(notebook: dict[str, Any], folder: Path) -> None:
        (folder / NAME).write_text(content, encoding="utf-8")

    return write


def link(target: str) -> Callable[[dict[str, Any], Path], None]:
    def write(notebook: dict[str, Any], folder: Path) -> None:
        (folder / NAME).symlink_to(target)

    return write


def pipe(notebook: dict[str, Any], folder: Path) -> None:
    os.mkfifo(folder / NAME)


def huge(notebook: dict[str, Any], folder: Path) -> None:
    with open(folder / NAME, "wb") as file:
        file.truncate(200 * 2**20)


TAKE_OVER = """
import os, socket
def every_socket():
    for number in range(3, 256):
        try:
            os.fstat(number)
            yield number
        except OSError:
            pass
FORGED = b'{"kind":"dict","of":{"token":"guess","result":null}}\\n'
"""
PATCHED_ASSERT = """
import ast, builtins, sys
class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
old = builtins.compile
tree = lambda source: NoAsserts().visit(old(source, "cell", "exec", ast.PyCF_ONLY_AST)) if isinstance(source, str) else source
builtins.compile = lambda source, *a, **k: old(tree(source), *a, **k)
builtins.AssertionError = type("Never", (Exception,), {})
sys.excepthook = lambda *_: None
"""
PATCHED_COURSE = """
from course_utils.checks import engine, perform, plain, worker
engine.Check.__call__ = lambda self, answer, hidden=False: print("holds")
engine.Check.verdict = lambda *_, **__: None
engine.CheckFailed = Warning
perform.answer_from_plain = lambda value: perform.Answer(1.0)
"""
PATCHED_TORCH = """
torch.allclose = torch.equal = torch.isclose = lambda *_, **__: True
torch.Tensor.__eq__ = lambda *_: True
torch.testing.assert_close = lambda *_, **__: None
"""
PATCHED_BUILTINS = """
import builtins
builtins.all = lambda *_: True
builtins.abs = lambda *_: 0
builtins.open = None
"""
FORGED_WORK = """
from course_utils.checks import perform
real = perform.perform
def forged(target, request):
    answer = real(target, request)
    return perform.Answer(value=42.0, gradients={"real_logits": None, "fake_logits": None})
perform.perform = forged
"""
EQUAL = """
class Equal(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return self
    def __abs__(self): return 0.0
    def __le__(self, other): return True
    __hash__ = float.__hash__
"""
REDUCE = """
import os
class Bomb:
    def __reduce__(self): return os.system, ("touch /tmp/owned",)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        for number in range(3, 64):
            try:
                os.write(number, b'{"kind":"dict","of":{"token":"x","result":null}}\\n')
            except OSError:
                pass
        open("/tmp/forged", "w").close()
        time.sleep(0.01)
while not os.path.exists("/tmp/forged"):
    time.sleep(0.01)
"""
MANY_CHILDREN = """
import os
for _ in range(10):
    if os.fork() == 0:
        held = bytearray(b"x") * 10**9
        import time; time.sleep(60)
import time; time.sleep(20)
"""
HARM = """
import os, signal, resource
for process in {1, 2, 3, os.getppid()} - {0, os.getpid()}:
    for signal_number in (signal.SIGSTOP, signal.SIGKILL):
        try: os.kill(process, signal_number)
        except OSError: pass
    try: resource.prlimit(process, resource.RLIMIT_AS, (2**20, 2**20))
    except (OSError, ValueError): pass
"""

MEMFDS = """
import os
def fill():
    held = []
    for _ in range(200):
        held.append(os.memfd_create("held"))
        os.write(held[-1], b"x" * 2**24)
    return held
"""
SEGMENTS = """
import ctypes
def fill():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    for _ in range(60):
        number = libc.shmget(0, 2**26, 0o1600)
        if number < 0:
            raise PermissionError("refused")
        place = libc.shmat(number, None, 0)
        ctypes.memset(place, 1, 2**26)
        libc.shmdt(ctypes.c_void_p(place))
"""
FILE_SYSTEM = """
import ctypes, os
def fill():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 | 0x00020000) or libc.mount(b"none", b"/home", b"tmpfs", 0, b"size=8g"):
        raise PermissionError("refused")
    for number in range(300):
        with open(f"/home/{number}", "wb") as file:
            file.write(bytes(2**24))
"""


def beside(files: dict[str, str | bytes], source: str = "") -> Callable[[dict[str, Any], Path], None]:
    """The notebook with files beside it; `source` is its discriminator_loss."""

    def write(notebook: dict[str, Any], folder: Path) -> None:
        if source:
            cell_of(notebook, "discriminator-loss")["source"] = source
        (folder / NAME).write_text(json.dumps(notebook), encoding="utf-8")
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def linked_module(notebook: dict[str, Any], folder: Path) -> None:
    """A module and a data file that are links to what the student should not see."""
    source = "import os\ndef discriminator_loss(real_logits, fake_logits):\n    raise RuntimeError('seen: ' + str(sorted(os.listdir('.'))))\n"
    beside({"own.txt": "x"}, source)(notebook, folder)
    (folder / "answer.py").symlink_to(ROOT / "course_utils" / "gans" / "losses.py")
    (folder / "solutions").symlink_to(ROOT / "solutions")
    (folder / "shadow").symlink_to("/etc/shadow")


LOOKS_AT_LIMITS = """import resource as r
kinds = (r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE, r.RLIMIT_CORE)
assert all(r.getrlimit(kind)[0] == r.getrlimit(kind)[1] for kind in kinds)
raise RuntimeError('limits: ' + str([r.getrlimit(kind)[1] for kind in kinds]))"""
SEARCHES = """import os
names, count = ('gradebook.db', 'hidden_seeds.json', '01_gan.ipynb', '01_gan.py', 'grades.csv'), 0
seen = []
for place, folders, files in os.walk('/'):
    folders[:] = [name for name in folders if name not in ('proc', 'sys', 'site-packages') and (place, name) != ('/', 'usr')]
    count += len(files)
    seen += [os.path.join(place, name) for name in files if name in names]
raise RuntimeError(f'seen: {seen} of {count}')"""
HELPER = "import torch.nn.functional as F\ndef of_d(real, fake):\n    return F.softplus(-real).mean() + F.softplus(fake).mean()\n"
USES_HELPER = """from helper import of_d
assert open("data/numbers.txt").read() == "1 2"
def discriminator_loss(real_logits, fake_logits):
    return of_d(real_logits, fake_logits)
"""
SHADOWS = dict.fromkeys(
    ("torch.py", "json.py", "math.py", "course_utils/__init__.py", "course_utils/checks/plain.py", "sitecustomize.py"),
    "raise SystemExit('shadowed')\n",
)
CHANGES_HELPER = """import os
from helper import of_d
open("helper.py", "w").write("def of_d(real, fake): return 0")
os.remove("data/numbers.txt")
def discriminator_loss(real_logits, fake_logits):
    return of_d(real_logits, fake_logits)
"""

BANK = [
    Hostile("honest", 7, "all tests hold", game=True),
    Hostile("nothing written", 1, "not written yet", {"discriminator-loss": "def discriminator_loss(real_logits, fake_logits):\n    # YOUR CODE HERE\n    raise NotImplementedError()"}),
    Hostile("wrong sign", 1, "V itself", body("", after="return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()")),
    # the reference
    Hostile("calls the check's reference", 1, "calls the course's own", body("return check.discriminator_loss.reference(real_logits, fake_logits)")),
    Hostile("is the check's reference", 1, "calls the course's own", {"discriminator-loss": "discriminator_loss = check.discriminator_loss.reference\n"}),
    Hostile("imports the reference", 1, "calls the course's own", body("from course_utils.gans.losses import minimax_discriminator_loss as f\nreturn f(real_logits, fake_logits)")),
    Hostile("has another answer from the reference", 2, "all tests hold", {"saturating-generator-loss": "saturating_generator_loss = check.saturating_generator_loss.reference\n"}),
    Hostile("subclasses the reference", 3, "calls the course's own", {"game": "class Game(check.game.reference):\n    pass\n"}, game=True),
    Hostile("reloads the reference", 1, "stops with", body("import importlib\nreturn importlib.reload(losses).minimax_discriminator_loss(real_logits, fake_logits)")),
    Hostile("reads the course's source", 1, "stops with", body("import course_utils.gans, pathlib, runpy\nplace = pathlib.Path(course_utils.gans.__path__[0], 'losses.py')\nreturn runpy.run_path(place)['minimax_discriminator_loss'](real_logits, fake_logits)")),
    Hostile("lets another program read it", 1, "stops with", body("import subprocess\nsubprocess.run(['cat', '/course/course_utils/gans/losses.py'], check=True)")),
    Hostile("calls a known mistake", 1, "stops with", body("return -check.discriminator_loss.mistakes[1].wrong(real_logits, fake_logits)")),
    Hostile("calls what the check is made of", 1, "stops with", body("from course_utils.checks.gans import gan as inner\nreturn inner._real_loss(real_logits) + inner._fake_loss(fake_logits)")),
    # patches
    Hostile("patches assert", 1, "discriminator_loss: not yet", body("", PATCHED_ASSERT)),
    Hostile("patches course_utils", 1, "discriminator_loss: not yet", body("", PATCHED_COURSE)),
    Hostile("patches torch.allclose", 1, "discriminator_loss: not yet", body("", PATCHED_TORCH)),
    Hostile("patches builtins", 1, "discriminator_loss: not yet", body("", PATCHED_BUILTINS)),
    Hostile("patches what carries requests out", 0, "discriminator_loss: not yet", body("", FORGED_WORK)),
    Hostile("returns what equals everything", 1, "another type", body("", EQUAL, "return Equal(0)")),
    Hostile("returns a pickle's bomb", 1, "another type", body("", REDUCE, "return Bomb()")),
    Hostile("returns NaN", 1, "NaN", body("", after="return (real_logits.mean() + fake_logits.mean()) * float('nan')")),
    # the notebook
    Hostile("deletes the test cells", 7, "was deleted: the official one was used", change=delete_tests, game=True),
    Hostile("edits test cells, and is wrong", 5, "was edited: the official one was used", change=edit_tests, game=True),
    Hostile("makes its test cells worth more", 3, "turned into something else", change=worth_more),
    Hostile("duplicates cells", 7, "is there 2 times", change=duplicate, game=True),
    Hostile("has the empty cell below the written one", 3, "is there 2 times", change=duplicate_stub),
    Hostile("retypes cells", 7, "is of type markdown now", change=retype, game=True),
    Hostile("reorders cells", 3, "another order", change=turn_round),
    Hostile("strips the metadata", 3, "was found in another cell", change=strip_names),
    Hostile("deletes an answer", 1, "the cell discriminator-loss is missing", change=delete("discriminator-loss")),
    Hostile("deletes the imports", 3, "all tests hold", change=delete_imports),
    Hostile("has a syntax error", 1, "SyntaxError", {"discriminator-loss": "def discriminator_loss(real_logits, fake_logits) return 0\n"}),
    Hostile("has ten thousand cells", 0, "more than 600 cells", change=ten_thousand_cells),
    # the file
    Hostile("renames the file", 3, "was taken for 01_gan.ipynb", write=named("homework final (2).ipynb")),
    Hostile("is a link to the system's files", 0, "it is a link", write=link("/etc/passwd")),
    Hostile("is a link to the solutions", 0, "it is a link", write=link(str(Path(__file__).resolve().parents[2] / "solutions/02_gans/01_gan.ipynb"))),
    Hostile("is a pipe", 0, "it is no file", write=pipe),
    Hostile("is 200 MB large", 0, "it has 200 MB", write=huge),
    Hostile("is broken JSON", 0, "no readable notebook", write=text('{"cells": [')),
    Hostile("is JSON without end", 0, "no readable notebook", write=text("[" * 200_000)),
    Hostile("is another thing altogether", 0, "no notebook of format 4", write=text('{"nbformat": 3, "worksheets": []}')),
    # the process
    Hostile("ends its process", 1, "ended by itself", body("import os; os._exit(0)")),
    Hostile("ends its process at once", 1, "ended by itself", {"discriminator-loss": "import os; os._exit(0)\ndef discriminator_loss(a, b): return 0\n"}),
    Hostile("leaves by sys.exit", 1, "SystemExit", body("import sys; sys.exit('done')")),
    Hostile("kills every process it can", 1, "discriminator_loss: not yet", body("import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(os.getpid(), signal.SIGKILL)")),
    Hostile("harms its neighbours, and is right", 3, "all tests hold", body("", HARM, RIGHT_AFTER)),
    Hostile("floods the output, and is right", 3, "all tests hold", body("import os\nfor _ in range(200): print('x' * 10**5); os.write(1, b'y' * 10**5); os.write(2, b'z' * 10**5)", after=RIGHT_AFTER)),
    Hostile("floods its channel", 1, "more than 8 MiB", body("for number in every_socket():\n    try:\n        for _ in range(9): os.write(number, b'x' * 2**20)\n    except OSError: pass", TAKE_OVER)),
    Hostile("forges answers", 1, "nobody had asked for", body("for number in every_socket():\n    try: os.write(number, FORGED)\n    except OSError: pass", TAKE_OVER)),
    Hostile("leaves a process that forges later answers", 1, "nobody had asked for", {"discriminator-loss": DAEMON + "\ndef discriminator_loss(a, b): return 0\n"}),
    Hostile("loops without end", 1, "more than 5 seconds for question discriminator-loss-check", body("while True: pass"), seconds=5.0),
    Hostile("sleeps", 1, "more than 5 seconds for question discriminator-loss-check", body("import time; time.sleep(10**6)"), seconds=5.0),
    Hostile("stops itself", 1, "discriminator_loss: not yet", body("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"), seconds=5.0),
    Hostile("calls itself without end", 1, "RecursionError", body("return discriminator_loss(real_logits, fake_logits)")),
    # what there is to use up
    Hostile("asks for 50 GB", 1, "MemoryError", body("held = bytearray(50 * 10**9)")),
    Hostile("asks for 50 GB from torch", 1, "memory", body("held = torch.ones(50 * 10**9 // 4)")),
    Hostile("shares 10 GB out among children", 1, "memory", body(MANY_CHILDREN)),
    Hostile("forks 2,000 times", 1, "discriminator_loss: not yet", body("import os, time\nfor _ in range(2000):\n    if os.fork() == 0: time.sleep(30)")),
    Hostile("forks without end", 1, "discriminator_loss: not yet", body("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"), seconds=5.0),
    Hostile("returns 1.6 GB", 1, "", body("", after="return torch.zeros(400_000_000)")),
    Hostile("returns 160 MB", 1, "more than 8 MiB", body("", after="return torch.zeros(40_000_000)")),
    Hostile("fills the disk, and is right", 3, "all tests hold", body("try:\n    for number in range(10**4):\n        open(f'/tmp/{number}', 'wb').write(bytes(10**7))\nexcept OSError: pass", after=RIGHT_AFTER)),
    Hostile("holds 3 GB in files in memory", 1, "stops with", body("fill()", MEMFDS)),
    Hostile("holds 4 GB in shared segments", 1, "PermissionError: refused", body("fill()", SEGMENTS)),
    Hostile("makes a file system of its own", 1, "PermissionError: refused", body("fill()", FILE_SYSTEM)),
    # files beside the notebook
    Hostile("has a module and data of its own", 3, "files beside the notebooks: data/numbers.txt, helper.py", write=beside({"helper.py": HELPER, "data/numbers.txt": "1 2"}, USES_HELPER)),
    Hostile("changes its module for the next question", 3, "all tests hold", write=beside({"helper.py": HELPER, "data/numbers.txt": "1 2"}, CHANGES_HELPER)),
    Hostile("has links to the answers beside it", 1, "seen: ['own.txt']", write=linked_module),
    Hostile("shadows the libraries, and is right", 3, "all tests hold", write=beside(SHADOWS)),
    Hostile("hands on to the reference in a module", 1, "calls the course's own", write=beside({"helper.py": "from course_utils.gans.losses import minimax_discriminator_loss as of_d\n", "data/numbers.txt": "1 2"}, USES_HELPER)),
    Hostile("has a module that ends the process", 1, "ended by itself", write=beside({"helper.py": "import os; os._exit(0)\n"}, USES_HELPER)),
    Hostile("has 40 MB beside it, and is right", 3, "large.bin: it has 40 MB", write=beside({"large.bin": bytes(40 * 2**20)})),
    Hostile("has a thousand files beside it, and is right", 3, "64 files beside the notebooks are taken", write=beside({f"f{i:04}": "x" for i in range(1_000)})),
    # what there is to see
    Hostile("looks at its limits", 1, "limits: [90, 6442450944, 256, 16777216, 0]", body(LOOKS_AT_LIMITS)),
    Hostile("searches for gradebooks, seeds and notebooks of others", 1, "seen: [] of ", body(SEARCHES)),
    Hostile("opens the network", 1, "stops with", body("import socket\nsocket.create_connection(('1.1.1.1', 53), timeout=5)")),
    Hostile("opens the solutions", 1, "FileNotFoundError", body(f"open({str(ROOT / 'solutions/02_gans/01_gan.py')!r})")),
    Hostile("writes to the course", 1, "stops with", body("import course_utils\nopen(course_utils.__file__, 'a')")),
    Hostile("looks for others", 1, "seen: []", body(f"import os\nraise RuntimeError('seen: ' + str([p for p in {PRIVATE!r} if os.path.exists(p)]))")),
]  # fmt: skip
