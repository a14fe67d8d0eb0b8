"""The quantiser of a VQ-VAE.

One training step on 65,536 vectors of 64 numbers and 512 codes: forward, backward, and the update of the running means, against
vector-quantize-pytorch with the same settings. Medians of seven steps in turns. `peak_mb` is how far the process' memory rose during a step
(-1 where the system does not tell); all differences at once, vectors x codes x numbers, would be 8,590 MB.
"""

import json
import statistics
import time
from pathlib import Path

from vector_quantize_pytorch import VectorQuantize

from course_utils.autoencoders.vqvae import VectorQuantizer
from course_utils.layers import draw_normal
from course_utils.runtime import generator

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the highest since it was cleared) in MB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1000


def peak(work) -> float:
    """By how many MB the process grew during `work`, at most."""
    if not CLEAR.exists():
        work()
        return -1.0
    before = memory("VmRSS")
    CLEAR.write_text("5")  # the highest mark begins anew
    work()
    return memory("VmHWM") - before


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    features = draw_normal((64, 64, 32, 32), generator(0)).requires_grad_()
    ours = VectorQuantizer(512, 64, commitment=0.25, decay=0.99)
    theirs = VectorQuantize(
        dim=64, codebook_size=512, decay=0.99, commitment_weight=0.25, rotation_trick=False, accept_image_fmap=True
    )

    def our_step() -> None:
        vectors, indices, loss = ours(features)
        (vectors.square().mean() + loss).backward()
        ours.update(features, indices)

    def their_step() -> None:
        vectors, _, loss = theirs(features)
        (vectors.square().mean() + loss.sum()).backward()

    steps = {"vector-quantize-pytorch": their_step, "course_utils VectorQuantizer": our_step}
    times = {name: [] for name in steps}
    for turn in range(8):
        for name, step in steps.items():
            spent = seconds(step)
            if turn:  # the first warms up
                times[name].append(spent)
    slowest = statistics.median(times["vector-quantize-pytorch"])
    for name, step in steps.items():
        median = statistics.median(times[name])
        print(json.dumps({"what": name, "ms": 1000 * median, "times_as_fast": slowest / median, "peak_mb": peak(step)}))


if __name__ == "__main__":
    main()
