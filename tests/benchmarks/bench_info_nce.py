"""The contrastive loss in memory: plain and in chunks.

Each row is a process of its own that computes the loss of so many pairs of vectors of 128 numbers and its gradients once. `megabytes` is by how
much the largest memory of the process grew; the vectors and their gradients, which are in it, are `vectors_megabytes`. The plain loss holds whole
tables of pairs; in chunks only so many rows at a time, computed again on the way back.
"""

import json
import resource
import subprocess
import sys
import time

import torch

from course_utils import runtime
from course_utils.clip.losses import info_nce

DIM = 128


def memory() -> float:
    """The largest memory of this process up to now, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def measure(pairs: int, chunk_size: int) -> None:
    draw = runtime.generator(0)
    images, texts = (torch.randn(pairs, DIM, generator=draw).requires_grad_() for _ in range(2))
    info_nce(images[:8], texts[:8], torch.tensor(10.0), chunk_size and 4).backward()  # what is loaded once
    before, start = memory(), time.perf_counter()
    info_nce(images, texts, torch.tensor(10.0), chunk_size).backward()
    row = {"pairs": pairs, "rows_at_a_time": chunk_size or pairs, "megabytes": memory() - before}
    print(json.dumps(row | {"vectors_megabytes": 4 * pairs * DIM * 4 / 1e6, "seconds": time.perf_counter() - start}))


def main() -> None:
    """Print the rows."""
    for pairs, chunk_size in ((8_192, 0), (8_192, 512), (32_768, 512)):
        command = [sys.executable, __file__, str(pairs), str(chunk_size)]
        print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:])) if sys.argv[1:] else main()
