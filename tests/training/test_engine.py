"""`fit`: what each of its duties must come out as, on modules small enough to follow by hand."""

import math
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from course_utils.data import loader
from course_utils.training import CheckpointError, History, Player, TrainingDiverged, fit
from course_utils.training.schedules import cosine, find_schedule, one_cycle


def line_batches(count: int = 1, size: int = 16) -> list[dict]:
    """Batches of points on y = 3x - 1."""
    generator = torch.Generator().manual_seed(7)
    xs = [torch.rand(size, 1, generator=generator) * 2 - 1 for _ in range(count)]
    return [{"x": x, "y": 3 * x - 1} for x in xs]


def line_player(seed: int = 0, name: str = "line", **settings) -> Player:
    torch.manual_seed(seed)
    module = nn.Linear(1, 1)

    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        loss = (module(batch["x"]) - batch["y"]).square().mean()
        return loss, {"twice": 2 * loss, "seven": 7.0}

    return Player(name, module, objective, **{"learning_rate": 0.1, **settings})


def weights(player: Player) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in player.module.parameters()]).clone()


def test_a_line_is_learned_and_its_history_kept(capsys: pytest.CaptureFixture) -> None:
    player = line_player()
    history = fit(player, line_batches(3), 200)
    assert torch.allclose(weights(player), torch.tensor([3.0, -1.0]), atol=0.02)
    assert set(history) == {"loss", "twice", "seven", "gradient_norm"}
    assert all(len(values) == 200 for values in history.values())
    assert history["loss"][-1] < 1e-3 < history["loss"][0]
    assert history["twice"][5] == pytest.approx(2 * history["loss"][5])
    assert history["seven"] == [7.0] * 200
    assert history.finished
    assert history.steps == 200
    assert history.seconds > 0
    assert not player.module.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in player.module.parameters())
    printed = capsys.readouterr()
    assert "200/200" in printed.out
    assert "loss" in printed.out
    assert printed.err == ""


def test_without_progress_nothing_is_printed(capsys: pytest.CaptureFixture) -> None:
    fit(line_player(), line_batches(), 2, progress=False)
    assert capsys.readouterr() == ("", "")


def test_one_step_is_that_of_plain_torch() -> None:
    player, twin = line_player(weight_decay=0.1), line_player(weight_decay=0.1)
    (batch,) = line_batches()
    matrices, vectors = [twin.module.weight], [twin.module.bias]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    for _ in range(5):
        twin.objective(batch)[0].backward()
        nn.utils.clip_grad_norm_(twin.module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    fit(player, [batch], 5, schedule="constant", clip=1.0, progress=False)
    assert torch.allclose(weights(player), weights(twin), atol=1e-7)


def test_the_same_seed_gives_the_same_weights() -> None:
    def train(seed: int) -> torch.Tensor:
        player = line_player()
        noisy = Player("noisy", player.module, lambda batch: (player.objective(batch)[0] * torch.rand(()), {}))
        fit(noisy, line_batches(), 5, seed=seed, progress=False)
        return weights(player)

    assert torch.equal(train(1), train(1))
    assert not torch.equal(train(1), train(2))


def test_accumulated_batches_equal_the_joined_batch() -> None:
    halves = line_batches(2, size=8)
    joined = {key: torch.cat([half[key] for half in halves]) for key in ("x", "y")}
    apart, together = line_player(), line_player()
    history = fit(apart, halves, 10, accumulate=2, progress=False)
    whole = fit(together, [joined], 10, progress=False)
    assert torch.allclose(weights(apart), weights(together), atol=1e-6)
    assert history["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert history["gradient_norm"] == pytest.approx(whole["gradient_norm"], rel=1e-4)
    assert history["seven"] == pytest.approx([7.0] * 10)


def test_the_average_follows_its_closed_form() -> None:
    seen = []
    player = line_player(ema_decay=0.5)
    watched = Player(**{**vars(player), "after_step": lambda batch: seen.append(weights(player))})
    average = weights(player)
    history = fit(watched, line_batches(), 12, schedule="constant", progress=False)
    for step, last in enumerate(seen):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * last
    assert torch.allclose(weights(player), average, atol=1e-6)
    assert not torch.allclose(weights(player), seen[-1], atol=1e-3)
    assert torch.equal(history.raw_weights["line"]["weight"].flatten(), seen[-1][:1])


@pytest.mark.parametrize(("clip", "moved"), [(0.25, 0.25), (None, 8.0), (100.0, 8.0)])
def test_gradients_are_clipped_to_the_norm(clip: float | None, moved: float, monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Linear(4, 1, bias=False)
    norms = []
    step = torch.optim.AdamW.step

    def watch(optimizer: torch.optim.AdamW, *arguments) -> None:
        norms.append(module.weight.grad.norm().item())
        step(optimizer, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    player = Player("steep", module, lambda batch: (4 * module.weight.sum(), {}))
    history = fit(player, [{}], 1, clip=clip, progress=False)
    assert norms == pytest.approx([moved], rel=1e-4)
    assert history["gradient_norm"] == pytest.approx([8.0])


def test_two_players_alternate_and_keep_their_hands_off_each_other() -> None:
    first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    turns = []

    def objective(mine: nn.Linear, other: nn.Linear, name: str, sign: float):
        def play(batch: dict) -> tuple[torch.Tensor, dict]:
            turns.append(name)
            assert mine.weight.requires_grad
            assert not other.weight.requires_grad
            return sign * (mine.weight * other.weight).sum(), {"product": (mine.weight * other.weight).sum()}

        return play

    nn.init.constant_(first.weight, 1.0)
    nn.init.constant_(second.weight, 1.0)
    players = [
        Player("up", first, objective(first, second, "up", -1.0), learning_rate=0.1),
        Player("down", second, objective(second, first, "down", 1.0), learning_rate=0.1, every=2),
    ]
    history = fit(players, [{}], 4, schedule="constant", progress=False)
    assert turns == ["up", "down", "up", "up", "down", "up"]
    assert len(history["up/loss"]) == 4
    assert len(history["down/loss"]) == 2
    assert first.weight.item() == pytest.approx(1.4, abs=0.02)
    assert second.weight.item() == pytest.approx(0.8, abs=0.02)
    assert history["down/loss"][0] == pytest.approx(1.1, abs=0.01), "the second plays after the first has moved"
    assert first.weight.requires_grad
    assert second.weight.requires_grad


def test_a_part_that_was_frozen_stays_frozen() -> None:
    module = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    player = Player("half", module, lambda batch: ((module(batch["x"]) - batch["y"]).square().mean(), {}))
    fit(player, line_batches(), 3, progress=False)
    assert torch.equal(module[0].weight, before)
    assert not module[0].weight.requires_grad


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_number_that_is_not_finite_names_step_and_culprit(kind: str) -> None:
    good, bad = line_player(name="good"), line_player(seed=1, name="bad")
    calls = []

    def explode(batch: dict) -> tuple[torch.Tensor, dict]:
        calls.append(weights(bad))
        loss, _ = bad.objective(batch)
        if len(calls) == 4:
            zero = 0 * bad.module.weight.sum()
            loss = loss * math.nan if kind == "loss" else loss + zero.sqrt()  # the root's slope at 0 is infinite
        return loss, {}

    players = [good, Player("bad", bad.module, explode, learning_rate=0.1)]
    with pytest.raises(TrainingDiverged, match=f"step 3: the {kind}.* of player 'bad' is (nan|inf)") as caught:
        fit(players, line_batches(), 10, progress=False)
    assert (caught.value.step, caught.value.player) == (3, "bad")
    assert len(calls) == 4, "the training must not go on"
    assert torch.equal(weights(bad), calls[-1]), "the bad step must not have been taken"
    assert good.module.weight.requires_grad
    assert good.module.weight.grad is None


def test_an_interrupt_ends_after_the_step_in_hand(capsys: pytest.CaptureFixture) -> None:
    player = line_player(ema_decay=0.9)
    steps = []

    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return player.objective(batch)

    before = signal.getsignal(signal.SIGINT)
    history = fit(Player("line", player.module, objective, ema_decay=0.9), line_batches(), 50)
    assert (history.steps, history.finished, len(history["loss"])) == (3, False, 3)
    assert "Stopped after 3 of 50 steps" in capsys.readouterr().out
    assert torch.isfinite(weights(player)).all()
    assert not player.module.training
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_outside_the_main_thread() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(line_player(), line_batches(), 2, progress=False)))
    thread.start()
    thread.join()
    assert found[0].finished


def test_after_step_gets_the_batch_without_gradients() -> None:
    player = line_player()
    seen = []
    hooked = Player(**{**vars(player), "after_step": lambda batch: seen.append((batch, torch.is_grad_enabled()))})
    batches = line_batches(2)
    fit(hooked, batches, 3, progress=False)
    assert [grad for _, grad in seen] == [False] * 3
    assert all(torch.equal(batch["x"], batches[i % 2]["x"]) for i, (batch, _) in enumerate(seen))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "at least 1"),
        ({"schedule": "linear"}, "no schedule 'linear'"),
        ({"precision": "half"}, "'float32' or 'bfloat16'"),
        ({"loader": []}, "gives no batch"),
        ({"players": []}, "no player"),
    ],
)
def test_wrong_arguments_are_named(change: dict, said: str) -> None:
    arguments = {"players": line_player(), "loader": line_batches(), "steps": 2, "progress": False, **change}
    with pytest.raises(ValueError, match=said):
        fit(**arguments)


def test_two_players_of_one_name_and_a_frozen_module_are_refused() -> None:
    with pytest.raises(ValueError, match="name of its own"):
        fit([line_player(), line_player()], line_batches(), 1)
    frozen = line_player()
    frozen.module.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        fit(frozen, line_batches(), 1)


def test_bfloat16_computes_in_half_and_keeps_float32_weights() -> None:
    player = line_player()
    kinds = []

    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        out = player.module(batch["x"])
        kinds.append(out.dtype)
        return (out.float() - batch["y"]).square().mean(), {}

    fit(Player("line", player.module, objective), line_batches(), 2, precision="bfloat16", progress=False)
    assert kinds == [torch.bfloat16] * 2
    assert player.module.weight.dtype == torch.float32


def test_convolutions_get_pictures_with_channels_last() -> None:
    module = nn.Conv2d(3, 4, 3)
    layouts = []

    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        layouts.append(batch["image"].is_contiguous(memory_format=torch.channels_last))
        return module(batch["image"]).square().mean(), {}

    fit(Player("conv", module, objective), [{"image": torch.rand(2, 3, 8, 8), "name": ["a", "b"]}], 1, progress=False)
    assert layouts == [True]


@pytest.mark.parametrize("steps", [4, 10, 57, 100])
def test_one_cycle_is_that_of_torch(steps: int) -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=steps, cycle_momentum=False)
    for step in range(steps):
        assert one_cycle(step, steps) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        if step < steps - 1:
            schedule.step()


def test_cosine_rises_straight_then_falls_to_zero() -> None:
    factors = [cosine(step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert max(factors) == factors[5] == 1.0
    assert all(later < earlier for earlier, later in zip(factors[5:], factors[6:], strict=False))
    assert factors[-1] < 1e-3
    assert find_schedule("constant")(3, 9) == 1.0


def test_a_schedule_of_ones_own_sets_the_learning_rate() -> None:
    player = line_player()
    before = weights(player)
    fit(player, line_batches(), 3, schedule=lambda step, steps: 0.0, progress=False)
    assert torch.equal(weights(player), before)


def shuffled(size: int = 64, generator: torch.Generator | None = None) -> DataLoader:
    """Batches in an order that `generator` draws, or torch's global one."""
    points = torch.linspace(-1, 1, size)[:, None]

    def collate(rows: list) -> dict:
        x = torch.stack([row[0] for row in rows])
        return {"x": x, "y": 3 * x - 1}

    return DataLoader(TensorDataset(points), batch_size=8, shuffle=True, collate_fn=collate, generator=generator)


def noisy(name: str = "line") -> Player:
    player = line_player(name=name, ema_decay=0.9)

    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        return (player.module(batch["x"] + 0.1 * torch.randn_like(batch["x"])) - batch["y"]).square().mean(), {}

    return Player(name, player.module, objective, learning_rate=0.1, ema_decay=0.9)


class Points(Dataset):
    """64 points of the line, as batches."""

    def __len__(self) -> int:
        return 64

    def __getitems__(self, indices: list[int]) -> dict:
        x = torch.tensor(indices)[:, None] / 32 - 1
        return {"x": x, "y": 3 * x - 1}


class Stream(IterableDataset):
    """Five batches of a stream, another order in each epoch."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[dict]:
        batches = line_batches(5, size=8)
        yield from batches[self.epoch :] + batches[: self.epoch]


LOADERS = {
    "torch's shuffling": shuffled,
    "a generator of its own": lambda: shuffled(generator=torch.Generator().manual_seed(5)),
    "the course's": lambda: loader(Points(), 8, seed=3),
    "a stream": lambda: DataLoader(Stream(), batch_size=None),
    "a list": lambda: line_batches(6, size=8),
}


@pytest.mark.parametrize("stop", [3, 8, 13])
@pytest.mark.parametrize("kind", LOADERS)
def test_an_interrupted_training_goes_on_exactly(kind: str, stop: int, tmp_path: Path) -> None:
    seen: dict[str, list] = {}

    def train(run: str, until: int | None = None) -> tuple[torch.Tensor, History]:
        player = noisy()
        inputs = seen.setdefault(run, [])

        def objective(batch: dict) -> tuple[torch.Tensor, dict]:
            inputs.append(batch["x"].sum().item())
            if len(inputs) == until:
                os.kill(os.getpid(), signal.SIGINT)
            return player.objective(batch)

        path = None if run == "whole" else tmp_path / "training.pt"
        watched = Player(**{**vars(player), "objective": objective})
        history = fit(watched, LOADERS[kind](), 20, checkpoint=path, progress=False)
        return weights(player), history

    whole, undisturbed = train("whole")
    _, stopped = train("pieces", until=stop)
    assert (stopped.steps, stopped.finished) == (stop, False)
    resumed, history = train("pieces")
    assert seen["pieces"] == seen["whole"], "every batch once, in the same order"
    assert len(set(seen["whole"])) > 4
    assert torch.equal(resumed, whole)
    assert dict(history) == dict(undisturbed)
    assert history.finished
    assert history.seconds > stopped.seconds
    again, same = train("pieces")
    assert torch.equal(again, whole), "a finished training is taken from its file"
    assert dict(same) == dict(undisturbed)
    assert len(seen["pieces"]) == 20


def test_no_minutes_means_one_step_a_call(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    for steps in (1, 2, 3):
        history = fit(noisy(), shuffled(), 3, checkpoint=path, minutes=0.0, progress=False)
        assert history.steps == steps
    assert history.finished


def test_a_checkpoint_of_another_training_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    fit(line_player(), line_batches(), 2, checkpoint=path, progress=False)
    content = path.read_bytes()
    with pytest.raises(CheckpointError, match="players line learning_rate is 0.1 in the file, 0.2 asked for"):
        fit(line_player(learning_rate=0.2), line_batches(), 2, checkpoint=path, progress=False)
    with pytest.raises(CheckpointError, match="steps is 2 in the file, 3 asked for"):
        fit(line_player(), line_batches(), 3, checkpoint=path, progress=False)
    assert path.read_bytes() == content
