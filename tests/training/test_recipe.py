"""Recipes: the checkpoint folder, its cards, and that nothing half-written can take its place."""

import dataclasses
import errno
import json
import math
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from course_utils import runtime, training
from course_utils.hub import HubModel, config_coders
from course_utils.training import CheckpointError, Player, Recipe, Target
from course_utils.training import recipe as recipe_module


@dataclass(frozen=True)
class ToyConfig:
    width: int = 2
    shape: tuple[int, ...] = (1, 2)


class Toy(nn.Module, HubModel, coders=config_coders(ToyConfig)):
    """A line, beside a fixed part and a running count."""

    def __init__(self, config: ToyConfig):
        super().__init__()
        self.config = config
        self.line = nn.Linear(1, config.width)
        self.fixed = nn.Linear(1, 1)
        self.fixed.requires_grad_(False)
        nn.init.constant_(self.fixed.weight, 5.0)
        self.register_buffer("count", torch.tensor(70_000.0))


def toy_player(model: Toy) -> Player:
    def objective(batch: dict) -> tuple[torch.Tensor, dict]:
        noise = 0.01 * torch.randn_like(batch["x"])
        return (model.line(batch["x"] + noise) - 3 * batch["x"]).square().mean(), {}

    return Player("toy", model, objective, learning_rate=0.3)


def toy_metrics(model: Toy, samples: int) -> dict[str, float]:
    assert not model.training
    x = torch.rand(samples, 1)
    return {"error": (model.line(x) - 3 * x).abs().mean(), "width": model.config.width}


def toy_recipe(**changes) -> Recipe:
    return Recipe(
        **{
            "name": "toy",
            "chapter": "01_autoencoders",
            "notebook": "01_autoencoders/02_vae",
            "system": "line",
            "paper": "Gauss, 1809",
            "data": "points",
            "model": lambda: Toy(ToyConfig()),
            "players": toy_player,
            "loader": lambda: [{"x": torch.linspace(-1, 1, 8)[:, None]}],
            "steps": {"smoke": 3, "cpu": 60, "gpu": 5},
            "metrics": toy_metrics,
            "targets": {"error": Target(at_most=0.5)},
            "samples": 200,
            "quick_samples": 50,
            "chance": lambda samples: {"error": 1.5},
            "ceiling": lambda samples: {"error": 0.0},
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_SCALE", "cpu")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    folder = training.train(toy_recipe(), progress=False)
    assert folder == tmp_path / "checkpoints" / "toy"
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_checkpoint_holds_weights_in_half_config_and_two_cards(trained: Path, tmp_path: Path) -> None:
    assert set(content(trained)) == {"model.safetensors", "config.json", "card.json", "README.md"}
    weights = safetensors.torch.load_file(trained / "model.safetensors")
    assert weights["line.weight"].dtype == torch.float16
    assert weights["count"].dtype == torch.float32
    assert weights["count"] == 70_000
    card = json.loads((trained / "card.json").read_text())
    assert card["command"] == "course train toy"
    assert (card["seed"], card["steps"], card["scale"]) == (0, 60, "cpu")
    assert (card["samples"], card["quick_samples"]) == (200, 50)
    assert card["parameters"] == 6
    assert card["size_mb"] == pytest.approx((trained / "model.safetensors").stat().st_size / 1e6, abs=1e-3)
    assert card["targets"] == {"error": {"at_most": 0.5}}
    assert card["chance"] == {"error": 1.5}
    assert card["ceiling"] == {"error": 0.0}
    assert card["meets"] is True
    assert 0 < card["metrics"]["error"] < 0.5
    assert {"python", "torch"} <= set(card["versions"])
    assert card["seconds"] > 0
    assert training.read_card(toy_recipe()) == card
    text = (trained / "README.md").read_text()
    assert text == training.card_text(card)
    assert f"| error | {card['metrics']['error']:.4g} | at most 0.5 | 1.5 | 0 |" in text
    assert "200 held-out samples" in text
    assert "All targets are met" in text
    assert not list((tmp_path / "cache" / "training").rglob("*.pt")), "a finished training leaves nothing behind"
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["toy"]


def test_the_card_is_measured_on_the_reloaded_weights(trained: Path) -> None:
    card = training.read_card(toy_recipe())
    assert training.evaluate(toy_recipe()) == card["metrics"]
    assert training.evaluate(toy_recipe(), quick=True) == card["quick_metrics"]
    assert card["quick_metrics"] != card["metrics"]
    model = training.load(toy_recipe())
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.line.weight.dtype == torch.float32
    assert torch.equal(model.line.weight, model.line.weight.half().float())


def test_a_missed_target_is_said() -> None:
    demanding = toy_recipe(targets={"error": Target(at_most=1e-9)})
    folder = training.train(demanding, progress=False)
    assert training.read_card(demanding)["meets"] is False
    assert "Not all targets are met" in (folder / "README.md").read_text()


def test_a_target_needs_a_metric_of_its_name() -> None:
    with pytest.raises(ValueError, match="targets for \\['accuracy'\\], but measures only \\['error', 'width'\\]"):
        training.train(toy_recipe(targets={"accuracy": Target(at_least=1)}), progress=False)


def test_targets() -> None:
    assert Target(at_least=0.99).met(0.99)
    assert not Target(at_least=0.99).met(0.98)
    assert Target(at_most=2).met(1.0)
    assert not Target(at_most=2).met(2.1)
    assert not Target(at_most=2).met(math.nan)
    assert not Target(at_least=0).met(None)
    assert str(Target(at_least=1, at_most=2)) == "at least 1 and at most 2"
    with pytest.raises(ValueError, match="at_least or at_most"):
        Target()


def test_scale_smoke_never_touches_the_shipped_checkpoint(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(trained)
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    folder = training.train(toy_recipe(), progress=False)
    assert folder == runtime.cache_folder("checkpoints", "smoke", "toy")
    card = training.read_card(toy_recipe(), folder)
    assert (card["steps"], card["samples"], card["command"]) == (3, 50, "COURSE_SCALE=smoke course train toy")
    assert content(trained) == before
    assert training.read_card(toy_recipe())["steps"] == 60, "at scale smoke the shipped checkpoint is read"
    elsewhere = training.train(toy_recipe(), folder=trained.parent / "elsewhere", progress=False)
    assert training.load(toy_recipe(), elsewhere).config == ToyConfig()


def test_at_scale_gpu_ones_own_checkpoint_is_used(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SCALE", "gpu")
    assert training.read_card(toy_recipe())["scale"] == "cpu"
    training.train(toy_recipe(), progress=False)
    assert training.read_card(toy_recipe())["scale"] == "gpu"


def test_training_again_gives_the_same_weights_and_another_seed_others(trained: Path) -> None:
    first = content(trained)["model.safetensors"]
    training.train(toy_recipe(), progress=False)
    assert content(trained)["model.safetensors"] == first
    training.train(toy_recipe(), seed=1, progress=False)
    assert training.read_card(toy_recipe())["seed"] == 1
    assert training.read_card(toy_recipe())["command"] == "course train toy --seed 1"
    assert content(trained)["model.safetensors"] != first


def test_a_training_in_pieces_gives_the_same_checkpoint(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    whole = content(trained)["model.safetensors"]
    shutil.rmtree(trained)
    pieces = 0
    while training.train(toy_recipe(), minutes=2e-4, progress=False) is None:
        pieces += 1
        assert pieces <= 60
        assert "Go on with: course train toy" in capsys.readouterr().out
        assert not trained.exists()
    assert pieces >= 1
    assert content(trained)["model.safetensors"] == whole


def test_a_begun_training_of_other_settings_is_named_and_restarted_on_request() -> None:
    assert training.train(toy_recipe(), minutes=0.0, progress=False) is None
    with pytest.raises(CheckpointError, match=r"toy.*steps is 60 in the file, 61 asked for.*Delete the file"):
        training.train(toy_recipe(steps={"cpu": 61}), progress=False)
    training.train(toy_recipe(steps={"cpu": 61}), restart=True, progress=False)
    assert training.read_card(toy_recipe())["steps"] == 61


class Tied(Toy):
    """A toy whose second line is its first."""

    def __init__(self, config: ToyConfig):
        super().__init__(config)
        self.same = self.line


def test_parameters_that_share_a_tensor_come_back_also_beside_a_frozen_part() -> None:
    recipe = toy_recipe(model=lambda: Tied(ToyConfig()), frozen={"fixed": "toy-teacher"})
    folder = training.train(recipe, progress=False)
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    assert sum(name.endswith("bias") for name in stored) == 1  # stored once, and without the frozen one
    model = training.load(recipe)
    assert model.same.weight.data_ptr() == model.line.weight.data_ptr()
    assert (model.line.weight - 3).abs().max() < 0.5


def test_frozen_parts_are_not_saved_and_named_on_the_card() -> None:
    recipe = toy_recipe(frozen={"fixed": "toy-teacher"})
    folder = training.train(recipe, progress=False)
    assert set(safetensors.torch.load_file(folder / "model.safetensors")) == {"line.weight", "line.bias", "count"}
    assert training.load(recipe).fixed.weight.item() == 5.0
    card = training.read_card(recipe)
    assert card["frozen"] == {"fixed": "toy-teacher"}
    assert card["parameters"] == 4
    assert "Frozen part `fixed`: the checkpoint `toy-teacher`" in (folder / "README.md").read_text()


def test_a_missing_checkpoint_says_how_to_make_it() -> None:
    for ask in (training.load, training.read_card, training.evaluate):
        with pytest.raises(CheckpointError, match=r"no checkpoint of toy in .*course train toy"):
            ask(toy_recipe())


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_named(keep: int, trained: Path) -> None:
    path = trained / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="toy in .* is damaged .*course train toy"):
        training.load(toy_recipe())


def test_a_damaged_card_is_named(trained: Path) -> None:
    (trained / "card.json").write_text('{"name": "toy", ')
    with pytest.raises(CheckpointError, match=r"card.json is damaged .*course train toy"):
        training.read_card(toy_recipe())


def test_a_checkpoint_of_another_model_is_refused(trained: Path) -> None:
    with pytest.raises(CheckpointError, match="another config: width is 2 there, 3 in the recipe"):
        training.load(toy_recipe(model=lambda: Toy(ToyConfig(width=3))))
    path = trained / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file({**weights, "more": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="has \\['more'\\] too much"):
        training.load(toy_recipe())
    safetensors.torch.save_file({"line.weight": weights["line.weight"]}, path)
    with pytest.raises(
        CheckpointError,
        match=r"lacks \['line.bias', 'fixed.weight', 'fixed.bias', 'count'\]|lacks \['count', 'line.bias'",
    ):
        training.load(toy_recipe())
    safetensors.torch.save_file({**weights, "line.weight": torch.zeros(7, 7)}, path)
    with pytest.raises(CheckpointError, match=r"of another model than toy.*course train toy"):
        training.load(toy_recipe())


def full(*arguments, **keywords) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("at", ["card", "README", "rename", "half"])
def test_a_full_disk_keeps_the_former_checkpoint_and_the_training(
    at: str, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = content(trained)
    with monkeypatch.context() as patch:
        if at == "rename":
            patch.setattr(recipe_module, "replace_folder", full)
        elif at == "half":
            patch.setattr(recipe_module, "save_half", full)
        else:
            write = recipe_module.write_atomically
            patch.setattr(recipe_module, "write_atomically", lambda p, c: full() if at in p.name else write(p, c))
            if at == "card":
                patch.setattr(recipe_module, "write_atomically", full)
        with pytest.raises(CheckpointError, match="No space left on device.*before is untouched.*Make room"):
            training.train(toy_recipe(steps={"cpu": 61}), progress=False)
    assert content(trained) == before
    assert sorted(path.name for path in trained.parent.iterdir()) == ["toy"]
    calls = []
    begun = dataclasses.replace(
        toy_recipe(steps={"cpu": 61}), loader=lambda: calls.append(1) or [{"x": torch.full((8, 1), math.nan)}]
    )
    training.train(begun, progress=False)  # the finished steps are still there: not one is made on the bad batches
    assert training.read_card(begun)["steps"] == 61


def test_a_crash_between_the_two_renames_loses_nothing(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(trained)
    rename = os.rename

    def crash(source: Path, target: Path) -> None:
        if Path(target) == trained:
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            training.train(toy_recipe(seed=1), progress=False)
    assert not trained.exists()
    training.load(toy_recipe())
    assert content(trained) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk_is_named_and_loses_nothing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("this machine allows no mount")
        try:
            target = Path(folder, "toy")
            training.train(toy_recipe(), folder=target, progress=False)
            before = content(target)
            Path(folder, "filler").write_bytes(b"0" * (os.statvfs(folder).f_bavail - 1) * os.statvfs(folder).f_bsize)
            with pytest.raises(CheckpointError, match="No space left on device"):
                training.train(toy_recipe(seed=1), folder=target, progress=False)
            assert content(target) == before
            assert sorted(os.listdir(folder)) == ["filler", "toy"]
        finally:
            subprocess.run(["umount", folder], check=True)
