"""For training loops written by hand: batches without end, under a progress bar."""

import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm


def progress(loader: Iterable[dict], steps: int) -> Iterator[dict]:
    """`steps` batches of a loader, which is gone through again and again, with a bar on standard output."""
    with tqdm(total=steps, file=sys.stdout, ascii=" =", desc="training", unit="step", mininterval=0.5) as bar:
        while True:
            for batch in loader:
                if bar.n == steps:
                    return
                yield batch
                bar.update()
