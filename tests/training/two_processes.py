"""One training that can be shared out, run as a program: `two_processes.py FILE` alone or under torchrun."""

import sys
from pathlib import Path

import torch
import torch.distributed
from torch import nn

from course_utils.data import loader
from course_utils.training import Player, fit


class Pictures(torch.utils.data.Dataset):
    """40 random pictures (1, 8, 8), as batches; noise comes with them, so that it does not depend on the process."""

    def __len__(self) -> int:
        return 40

    def __getitems__(self, indices: list[int]) -> dict:
        every = torch.rand(40, 2, 1, 8, 8, generator=torch.Generator().manual_seed(3))[indices]
        return {"image": every[:, 0], "noise": every[:, 1], "index": torch.tensor(indices)}


def main(file: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 1, 3, padding=1))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    sizes, seen = [], []

    def draw(batch: dict) -> tuple[torch.Tensor, dict]:
        sizes.append(len(batch["index"]))
        seen.extend(batch["index"].tolist())
        images = model(batch["noise"])
        loss = (images - batch["image"]).square().mean() - 0.1 * critic(images).mean()
        return loss, {"error": (images - batch["image"]).abs().mean().detach()}

    def judge(batch: dict) -> tuple[torch.Tensor, dict]:
        fake = critic(model(batch["noise"]).detach())
        return nn.functional.softplus(-critic(batch["image"])).mean() + nn.functional.softplus(fake).mean(), {}

    players = [Player("model", model, draw, ema_decay=0.9), Player("critic", critic, judge)]
    history = fit(players, loader(Pictures(), 8), 12, accumulate=2, checkpoint=file.with_suffix(".training"))
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    weights = {**model.state_dict(prefix="model."), **critic.state_dict(prefix="critic.")}
    torch.save({"weights": weights, "sizes": sizes, "seen": seen, "history": dict(history)}, f"{file}.{rank}")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
