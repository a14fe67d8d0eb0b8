"""Random numbers by counting: every draw is a pure function of integers, the same on each machine and device.

A *key* is a 64-bit number made of (split, seed, index). The draws of a record are `mix(key + 1 step)`,
`mix(key + 2 steps)`, ... with the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). No state is kept, so
draws neither depend on their order nor on the batch that they are made in. Integers are int64 and wrap around.
"""

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # the step of SplitMix64, written as a signed number
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def _shift(values: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros (int64's own shift copies the sign)."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def mix(values: Tensor) -> Tensor:
    """Scramble int64 values of any shape: a bijection in which every input bit changes half of the output bits."""
    values = (values ^ _shift(values, 30)) * _FIRST
    values = (values ^ _shift(values, 27)) * _SECOND
    return values ^ _shift(values, 31)


def keys(indices: Tensor, *numbers: int) -> Tensor:
    """One key for each index.

    Args:
        indices: (batch,) int64.
        numbers: what else the key depends on, such as the number of the split and the seed.

    Returns:
        (batch,) int64 keys.
    """
    key = torch.zeros(1, dtype=torch.int64, device=indices.device)
    for number in numbers:
        key = mix(key + GOLDEN + number)
    return mix(mix(key + GOLDEN) + indices * GOLDEN)


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
        steps = torch.arange(self.used + 1, self.used + number + 1, device=self.key.device)
        self.used += number
        return (_shift(mix(self.key[:, None] + steps * GOLDEN), 33) * high) >> 31
