"""Random numbers for samplers: the only place of the course that draws with a `torch.Generator`.

A generator lives on one device and draws only there; on a GPU, asking a CPU generator for GPU numbers is an error. So we draw
on the generator's own device and move the result: the same seed then gives the same picture on every device.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_normal(
    shape: Sequence[int],
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Standard normal numbers of the given shape, on `device` (default: that of the generator, or else the CPU)."""
    return torch.randn(tuple(shape), generator=generator, device=_source(generator, device), dtype=dtype).to(device)


def draw_uniform(
    shape: Sequence[int],
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Numbers uniform in [0, 1), of the given shape, on `device` (default: that of the generator, or else the CPU)."""
    return torch.rand(tuple(shape), generator=generator, device=_source(generator, device), dtype=dtype).to(device)


def draw_integers(
    low: int,
    high: int,
    shape: Sequence[int],
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Integers (int64) uniform in [low, high), of the given shape, on `device` (default: that of the generator, or else the CPU).

    Raises:
        ValueError: if the range is empty.
    """
    if low >= high:
        raise ValueError(f"no integer lies in [{low}, {high}): high must be larger than low")
    return torch.randint(low, high, tuple(shape), generator=generator, device=_source(generator, device)).to(device)


def _source(generator: torch.Generator | None, device: torch.device | str | None) -> torch.device | str | None:
    """Where to draw: on the generator's device, or without a generator where the result is wanted."""
    return device if generator is None else generator.device
