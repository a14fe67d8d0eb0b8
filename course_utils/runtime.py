"""Where and how large: device, scale, seeds, and the folders of the repository.

The same notebook runs in seconds in a test, in minutes on a laptop and at the paper's size on a GPU:
`COURSE_SCALE` chooses, and `scale(smoke=..., cpu=..., gpu=...)` picks the value that fits.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # torch costs seconds to import, and `course --help` does not need it
    import torch

T = TypeVar("T")

SCALES = ("smoke", "cpu", "gpu")


def scale_name() -> str:
    """The chosen scale: `smoke` (seconds), `cpu` (minutes, the default) or `gpu` (the paper's size).

    Raises:
        ValueError: if the environment variable COURSE_SCALE holds anything else.
    """
    name = os.environ.get("COURSE_SCALE", "cpu")
    if name not in SCALES:
        raise ValueError(
            f"COURSE_SCALE is {name!r}, but must be one of {', '.join(SCALES)}. Unset it to run at scale cpu."
        )
    return name


def scale(*, smoke: T, cpu: T, gpu: T) -> T:
    """The one of three values that belongs to the chosen scale, as in `steps = scale(smoke=20, cpu=600, gpu=20_000)`."""
    return {"smoke": smoke, "cpu": cpu, "gpu": gpu}[scale_name()]


def device() -> "torch.device":
    """The best device of this machine: CUDA, then MPS, then the CPU. `COURSE_DEVICE` overrides it."""
    import torch

    chosen = os.environ.get("COURSE_DEVICE")
    if chosen:
        return torch.device(chosen)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators (all devices)."""
    import random

    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def generator(seed: int, on: "torch.device | str" = "cpu") -> "torch.Generator":
    """A `torch.Generator` on the device `on`, seeded: what every sampler of the course takes."""
    import torch

    return torch.Generator(device=on).manual_seed(seed)


def repository() -> Path:
    """The root folder of the course: the folder that holds `course_utils`, `solutions`, `data`."""
    return Path(__file__).resolve().parent.parent


def data_folder(*parts: str) -> Path:
    """A path below `data/`: `data_folder("checkpoints", "vae-glyphs")`. `COURSE_DATA` moves the folder."""
    root = os.environ.get("COURSE_DATA")
    return Path(root, *parts) if root else repository().joinpath("data", *parts)


def cache_folder(*parts: str) -> Path:
    """A path below `data/cache/`, which git ignores and which may be deleted at any time."""
    return data_folder("cache", *parts)
