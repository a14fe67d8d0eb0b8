"""Streams of random integers by counting, on top of `course_utils.data.hashing`.

A *key* is a 64-bit number made of (split, seed, index). The draws of a record are the hashes of `key + 0 steps`,
`key + 1 step`, ... No state is kept, so draws neither depend on their order nor on the batch that they are made in.
"""

import torch
from torch import Tensor

from course_utils.data.hashing import hashed

STEP = 0x9E3779B97F4A7C15 - 2**64  # 2**64 divided by the golden ratio, as a signed number: spreads counters evenly


def keys(indices: Tensor, *numbers: int) -> Tensor:
    """(batch,) int64 keys of (batch,) int64 indices and of what else the keys depend on, such as split and seed."""
    return hashed(*numbers, 0, (indices - 1) * STEP)


class Draws:
    """Uniform integers for a batch of keys. Each call takes the next numbers of every key's own stream.

    Args:
        key: (batch,) int64, from `keys`.
    """

    def __init__(self, key: Tensor) -> None:
        self.key = key
        self.used = 0

    def integers(self, high: int, number: int = 1) -> Tensor:
        """(batch, number) int64, uniform in 0 ... high - 1, for high up to 2**31."""
        steps = torch.arange(self.used, self.used + number, device=self.key.device)
        self.used += number
        bits = (hashed(self.key[:, None] + steps * STEP) >> 33) & 0x7FFFFFFF
        return (bits * high) >> 31
