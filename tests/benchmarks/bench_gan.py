"""What `fit` costs with two players: a training step of DCGAN and of CycleGAN, over the loop that one would write by hand.

`ours` and `peer` are milliseconds a step, the making of the optimizers included; `ratio` is the median of ours / peer over turns.
The loop by hand has the same networks, objectives, batches and fused optimizers; its rows are with torch's own layout and with
channels-last, which `fit` always takes for convolutions. Goal: a ratio of at most 1.03 to the latter.
"""

import json
from collections.abc import Callable, Sequence

import torch
import turns

from course_utils import runtime
from course_utils.gans import DCGAN, DCGANConfig
from course_utils.gans.gan import gan_players
from course_utils.training import Player, fit
from course_utils.translation import CycleGAN, CycleGANConfig
from course_utils.translation.cyclegan import cyclegan_players


def loop_by_hand(players: Sequence[Player], batches: list[dict], steps: int, layout: torch.memory_format) -> None:
    """Each player moves in turn, its own parameters alone; losses are written down at every step."""
    device = runtime.device()
    optimizers = []
    for player in players:
        player.module.to(device, memory_format=layout).train()
        settings = {"lr": player.learning_rate, "betas": player.betas, "weight_decay": 0.0, "fused": True}
        optimizers.append(torch.optim.AdamW(player.module.parameters(), **settings))
    losses = []
    for step in range(steps):
        batch = {name: value.to(device, memory_format=layout) for name, value in batches[step % len(batches)].items()}
        for player, optimizer in zip(players, optimizers, strict=True):
            for other in players:
                other.module.requires_grad_(other is player)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss, _ = player.objective(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())


def dcgan() -> list[Player]:
    """DCGAN at 32x32, as `dcgan-faces` has it."""
    torch.manual_seed(0)
    return gan_players(DCGAN(DCGANConfig(image_size=32, latent_dim=64, width=32)))


def cyclegan() -> list[Player]:
    """A small CycleGAN at 32x32."""
    torch.manual_seed(0)
    return cyclegan_players(CycleGAN(CycleGANConfig(image_size=32, width=16, blocks=3, patch_layers=2)))


def pictures(names: Sequence[str], size: int) -> list[dict]:
    """Four batches of random pictures (size, 3, 32, 32) in [-1, 1] under each name."""
    draw = runtime.generator(0)
    return [{name: torch.rand(size, 3, 32, 32, generator=draw) * 2 - 1 for name in names} for _ in range(4)]


def compare(
    name: str, players: Callable[[], list[Player]], batches: list[dict], steps: int, layout: torch.memory_format
) -> dict:
    """One row: `fit` and the loop by hand, on these players."""
    return turns.compare(
        name,
        make=players,
        ours=lambda both: fit(both, batches, steps, schedule="constant", clip=None, progress=False),
        peer=lambda both: loop_by_hand(both, batches, steps, layout),
        steps=steps,
        turns=5,
    )


def main() -> None:
    """Print the rows."""
    for name, players, batches in (
        ("DCGAN, batch of 64", dcgan, pictures(("image",), 64)),
        ("CycleGAN, batch of 8", cyclegan, pictures(("x", "y"), 8)),
    ):
        for suffix, layout in (("", torch.preserve_format), (", by hand in channels-last", torch.channels_last)):
            print(json.dumps(compare(name + suffix, players, batches, 15, layout)), flush=True)


if __name__ == "__main__":
    main()
