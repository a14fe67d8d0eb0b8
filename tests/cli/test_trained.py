"""`list`, `sample`, `evaluate`, `train`: with recipes that cost nothing."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from course_utils import training
from course_utils.cli import main, names
from course_utils.text_to_image.recipes import PROMPTABLE
from course_utils.training import Target


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A recipe `toy` with a card, in a data folder of its own."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    toy = SimpleNamespace(
        name="toy", chapter="01_autoencoders", notebook="01_autoencoders/02_vae", system="VAE", data="scenes",
        samples=100, quick_samples=10, targets={"accuracy": Target(at_least=0.9), "nats": Target(at_most=5.0)},
        sample=lambda model, num, generator: torch.rand(num, 1, 4, 4, generator=generator) * 2 - 1,
    )  # fmt: skip
    monkeypatch.setattr(names, "recipes", lambda: {"toy": toy})
    folder = tmp_path / "checkpoints" / "toy"
    folder.mkdir(parents=True)
    card = {
        "seconds": 90,
        "quick_metrics": {"accuracy": 0.94},
        "metrics": {"accuracy": 0.95, "nats": 4.0},
        "chance": {"accuracy": 0.1},
        "ceiling": {"accuracy": 1.0},
    }
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "model.safetensors").write_bytes(b"0" * 1_000_000)
    return toy


def lines(capsys: pytest.CaptureFixture) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list_gives_every_field_of_every_recipe(recipe: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    assert main.main(["list", "--json"]) == 0
    (row,) = lines(capsys)
    assert list(row) == [
        "name",
        "chapter",
        "system",
        "data",
        "minutes",
        "size_mb",
        "metrics",
        "targets",
        "chance",
        "ceiling",
        "meets",
    ]
    assert row["minutes"] == 1.5
    assert row["size_mb"] == 1.0
    assert row["metrics"] == {"accuracy": 0.95, "nats": 4.0}
    assert row["targets"] == {"accuracy": 0.9, "nats": 5.0}
    assert row["chance"] == {"accuracy": 0.1}
    assert row["ceiling"] == {"accuracy": 1.0}
    assert row["meets"] is True


@pytest.mark.parametrize(
    "metrics", [{"accuracy": 0.89, "nats": 4.0}, {"accuracy": 0.95, "nats": 5.1}, {"accuracy": 0.95}]
)
def test_list_says_which_targets_are_missed(
    recipe: SimpleNamespace, metrics: dict, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "checkpoints" / "toy" / "card.json").write_text(json.dumps({"metrics": metrics}))
    assert main.main(["list", "--json"]) == 0
    assert lines(capsys)[0]["meets"] is False


def test_list_shows_untrained_recipes_and_names_a_damaged_card(
    recipe: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    card = tmp_path / "checkpoints" / "toy" / "card.json"
    card.write_text('{"metrics": ')
    assert main.main(["list"]) == 1
    assert "card.json is damaged" in capsys.readouterr().err
    card.unlink()
    assert main.main(["list", "--json"]) == 0
    (row,) = lines(capsys)
    assert row["meets"] is None
    assert row["metrics"] == {}
    assert row["minutes"] is None


def test_the_table_shows_metrics_beside_target_chance_and_ceiling(
    recipe: SimpleNamespace, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["list"]) == 0
    text = capsys.readouterr().out
    for words in (("toy", "VAE", "accuracy", "0.95", "at least 0.9", "0.1", "1", "yes"), ("nats", "4", "at most 5")):
        line = next(line for line in text.splitlines() if words[0] in line)
        assert [word for word in words if word not in line] == []
    recipe.targets = {f"metric_{number}": Target(at_least=0.5) for number in range(8)}
    assert main.main(["list"]) == 0
    text = capsys.readouterr().out
    assert "metric_2" in text
    assert "metric_3" not in text
    assert "and 5 more" in text


def test_sample_writes_the_same_sheet_for_the_same_seed(
    recipe: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(training, "load", lambda recipe: None)
    assert main.main(["sample", "toy", "--num", "10"]) == 0
    assert str(tmp_path / "toy.png") in capsys.readouterr().out
    first = (tmp_path / "toy.png").read_bytes()
    assert Image.open(io.BytesIO(first)).size == (3 * (8 * 5 - 1), 3 * (2 * 5 - 1))
    main.main(["sample", "toy", "--num", "10", "--output", "new/again.png"])
    main.main(["sample", "toy", "--num", "10", "--seed", "1", "--output", "new/other.png"])
    assert (tmp_path / "new" / "again.png").read_bytes() == first
    assert (tmp_path / "new" / "other.png").read_bytes() != first
    assert main.main(["sample", "toy", "--num", "0"]) == 2


def test_sample_with_a_prompt_draws_to_it(
    recipe: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked = []

    def draw(model: None, texts: list[str], generator: torch.Generator, negative: str) -> torch.Tensor:
        asked.append((texts, negative, generator.initial_seed()))
        return torch.zeros(len(texts), 1, 4, 4)

    monkeypatch.setattr(training, "load", lambda recipe: None)
    monkeypatch.setitem(PROMPTABLE, "toy", draw)
    command = [
        "sample",
        "toy",
        "--prompt",
        "a red circle",
        "--negative",
        "a star",
        "--seed",
        "3",
        "-n",
        "2",
        "--out",
        "sheet.png",
    ]
    assert main.main(command) == 0 and (tmp_path / "sheet.png").is_file()
    assert asked == [(["a red circle"] * 2, "a star", 3)]
    assert main.main(["sample", "toy", "--negative", "a star"]) == 2
    assert "give --prompt too" in capsys.readouterr().err
    monkeypatch.delitem(PROMPTABLE, "toy")
    assert main.main(["sample", "toy", "--prompt", "a red circle"]) == 1
    assert "toy reads no prompt; these do: dalle-scenes, t2i-glyphs, t2i-scenes" in capsys.readouterr().err


def test_sample_of_a_judge_says_that_it_draws_nothing(recipe: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    recipe.sample = None
    assert main.main(["sample", "toy"]) == 1
    assert "toy draws no pictures" in capsys.readouterr().err


@pytest.mark.parametrize(("accuracy", "code"), [(0.92, 0), (0.5, 1)])
def test_evaluate_stands_beside_card_target_chance_and_ceiling(
    recipe: SimpleNamespace, accuracy: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    asked = []

    def measure(recipe: SimpleNamespace, quick: bool) -> dict[str, float]:
        asked.append(quick)
        return {"accuracy": accuracy, "nats": 4.5, "extra": 1.0}

    monkeypatch.setattr(training, "evaluate", measure)
    assert main.main(["evaluate", "toy", "--quick", "--json"]) == code
    first, second, third = lines(capsys)
    assert first == {
        "metric": "accuracy",
        "measured": accuracy,
        "card": 0.94,
        "target": 0.9,
        "chance": 0.1,
        "ceiling": 1.0,
        "meets": code == 0,
    }
    assert second["meets"] is True
    assert second["target"] == 5.0
    assert third["target"] is None
    assert asked == [True]


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
def test_an_unknown_recipe_gets_the_nearest_match(
    recipe: SimpleNamespace, command: str, capsys: pytest.CaptureFixture
) -> None:
    assert main.main([command, "tyo"]) == 2
    assert capsys.readouterr().err == "course: no recipe is called 'tyo'; did you mean 'toy'?\n"
