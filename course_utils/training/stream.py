"""The endless stream of batches that a training consumes, with a position that it can go back to exactly."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from accelerate import Accelerator, skip_first_batches
from torch import Tensor
from torch.utils.data import DataLoader


class BatchStream(Iterator[dict]):
    """Batches of `loader`, epoch after epoch, on the training device; each process gets its share of every batch.

    A batch keeps its structure; floating-point pictures `(batch, channels, height, width)` take the channels-last
    layout where the modules are convolutional.
    """

    def __init__(self, loader: Iterable[dict], accelerator: Accelerator, channels_last: bool):
        if accelerator.num_processes > 1:
            if not isinstance(loader, DataLoader):
                raise ValueError("with several processes the batches must come from a torch DataLoader")
            loader = accelerator.prepare_data_loader(loader, device_placement=False)
        self.loader = loader
        self.device = accelerator.device
        self.channels_last = channels_last
        self.epoch = 0
        self.batch = 0  # position in the epoch of the batch that comes next
        self.start: dict[str, Tensor | None] = {}  # the random state in which the epoch's order was drawn
        self.batches: Iterator[dict] | None = None
        self.waiting: list[dict] = []  # a batch drawn ahead by `restore`

    def __next__(self) -> dict:
        if self.batches is None:
            self._open()
        batch = self.waiting.pop() if self.waiting else next(self.batches, None)
        if batch is None:
            if self.batch == 0:
                raise ValueError("the loader gives no batch: is the data set smaller than the batch size?")
            self.epoch, self.batch = self.epoch + 1, 0
            self.batches = None
            return next(self)
        self.batch += 1
        return self._placed(batch)

    def state(self) -> dict[str, Any]:
        """The position, as plain values and tensors."""
        return {"epoch": self.epoch, "batch": self.batch, "start": self.start}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken, without making the batches that were consumed before."""
        self.epoch, self.batch = state["epoch"], state["batch"]
        if not state["start"]:
            return
        self._open(state["start"])
        first = next(self.batches, None)  # a sampler draws its order with the first batch
        if first is None:
            self.epoch, self.batch, self.batches = self.epoch + 1, 0, None
        else:
            self.waiting = [first]

    def _open(self, start: dict[str, Tensor | None] | None = None) -> None:
        own = getattr(self.loader, "generator", None)
        if start is not None:
            torch.set_rng_state(start["torch"])
            if own is not None and start["loader"] is not None:
                own.set_state(start["loader"])
        self.start = {"torch": torch.get_rng_state(), "loader": own.get_state() if own is not None else None}
        parts = [getattr(self.loader, name, None) for name in ("sampler", "batch_sampler", "dataset")]
        for holder in (self.loader, *parts):
            if hasattr(holder, "set_epoch"):
                holder.set_epoch(self.epoch)
        if self.batch == 0:
            self.batches = iter(self.loader)
        elif isinstance(self.loader, DataLoader):
            self.batches = iter(skip_first_batches(self.loader, self.batch))
        else:
            self.batches = itertools.islice(iter(self.loader), self.batch, None)

    def _placed(self, batch: dict) -> dict:
        return {name: self._place(value) for name, value in batch.items()}

    def _place(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        picture = self.channels_last and value.ndim == 4 and value.is_floating_point()
        layout = torch.channels_last if picture else torch.preserve_format
        return value.to(self.device, non_blocking=True, memory_format=layout)
