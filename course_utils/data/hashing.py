"""Integer hashing: the randomness of the data worlds, the same on every machine, device and process.

A record is a function of (seed, split, index). Integer arithmetic modulo 2^64 gives the same bits everywhere, which
a random generator does not promise between devices or versions.
"""

import torch
from torch import Tensor


def hashed(*keys: int | str | Tensor) -> Tensor:
    """A well-mixed 64-bit integer for each combination of the keys.

    Args:
        keys: integers, strings or int64 tensors of shapes that broadcast; their order matters.

    Returns:
        int64 tensor of the broadcast shape, uniform over all 2^64 values (so half of them are negative).
    """
    devices = [key.device for key in keys if isinstance(key, Tensor)]
    state = torch.zeros((), dtype=torch.int64, device=devices[0] if devices else None)
    for key in keys:
        if isinstance(key, str):
            key = _string_key(key)
        state = _mixed(state + key + _GOLDEN)
    return state


def hashed_integers(high: int, *keys: int | str | Tensor) -> Tensor:
    """Integers in [0, high), one for each combination of the keys (see `hashed`).

    Raises:
        ValueError: if `high` is not in 1 .. 2^31.
    """
    if not 1 <= high <= 2**31:
        raise ValueError(f"high is {high}, but must be between 1 and 2^31")
    return (_shifted(hashed(*keys), 1)) % high


# Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: the constants of SplitMix64,
# written as signed 64-bit integers because torch computes with those.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FACTORS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """A logical shift to the right: torch's own repeats the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(values: Tensor) -> Tensor:
    values = (values ^ _shifted(values, 30)) * _FACTORS[0]
    values = (values ^ _shifted(values, 27)) * _FACTORS[1]
    return values ^ _shifted(values, 31)


def _string_key(text: str) -> int:
    """FNV-1a with 63 bits: a fixed integer for a string (Python's own `hash` changes from run to run)."""
    key = 0xCBF29CE484222325
    for byte in text.encode():
        key = (key ^ byte) * 0x100000001B3 % 2**64
    return key >> 1
