"""A small training with everything that has a state, as a program: `crashing_run.py FOLDER:HOW:AT ...`.

HOW is `never`, `step` (kill -9 in the middle of step AT) or `write` (kill -9 at the AT-th fsync, when half of the bytes
are on the disk). Each runs in a process of its own, forked before torch has computed anything; prints how each ended.
"""

import os
import random
import signal
import sys
from pathlib import Path

import numpy
import torch
from torch import nn

from course_utils.data import loader
from course_utils.training import Player, fit


class Points(torch.utils.data.Dataset):
    """y = x squared at 48 places, as batches."""

    def __len__(self) -> int:
        return 48

    def __getitems__(self, indices: list[int]) -> dict:
        x = torch.tensor(indices)[:, None] / 24 - 1
        return {"x": x, "y": x.square()}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, how: str, at: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, 1))
    critic = nn.Linear(1, 1)
    calls, writes = [], []

    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        calls.append(1)
        if how == "step" and len(calls) == at:
            die()
        noise = torch.randn_like(batch["x"]) + random.gauss(0, 1) + numpy.random.normal()
        loss = (model(batch["x"] + 0.01 * noise) - batch["y"]).square().mean()
        return loss + 0.01 * critic(model(batch["x"])).mean(), {}

    def judge(batch: dict) -> tuple[torch.Tensor, dict]:
        return (critic(batch["y"]) - 1).square().mean(), {}

    fsync = os.fsync

    def deadly_fsync(descriptor: int) -> None:
        writes.append(1)
        if how == "write" and len(writes) == at:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)  # half of the bytes have reached the disk
            die()
        fsync(descriptor)

    os.fsync = deadly_fsync
    players = [
        Player("model", model, objective, ema_decay=0.9, weight_decay=0.1),
        Player("critic", critic, judge, every=2),
    ]
    history = fit(
        players, loader(Points(), 8), 20, checkpoint=folder / "training.pt", checkpoint_every=4, progress=False
    )
    result = {"model": model.state_dict(), "critic": critic.state_dict(), "raw": history.raw_weights, **history.plain()}
    torch.save({**result, "seconds": 0, "next": torch.rand(1)}, folder / "result.pt")


if __name__ == "__main__":
    for case in sys.argv[1:]:
        place, how, at = case.split(":")
        child = os.fork()
        if child == 0:
            main(Path(place), how, int(at))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
