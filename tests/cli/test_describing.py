"""`course caption` and `course ask`: what is said of files, a warning for what is not of the course's world, what is refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from course_utils import training
from course_utils.captioning_vqa import blip_recipes, vqa_recipes
from course_utils.cli import describing, main, names
from course_utils.data.exposure import picture
from course_utils.data.scenes import records, render

SCENES = render(records("test", range(3)))
USUAL = 0.5


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Three scenes and noise as files; a toy writes how bright the upper left is, and noise alone is unfamiliar."""
    monkeypatch.chdir(tmp_path)
    toys = {name: SimpleNamespace(name=name) for name in ("blip-scenes", "clipcap-scenes", "blip2-vqa-scenes", "judge")}
    monkeypatch.setattr(names, "recipes", lambda: toys)
    monkeypatch.setattr(training, "load", lambda recipe: recipe.name)
    monkeypatch.setattr(training, "read_card", lambda recipe: {"metrics": {"familiar": USUAL}})

    def familiarity(model: object, images: torch.Tensor) -> torch.Tensor:
        return 1 - images.diff(dim=3).abs().mean(dim=(1, 2, 3)).clamp(max=1)

    monkeypatch.setattr(blip_recipes, "familiarity", familiarity)
    for name in ("blip-scenes", "clipcap-scenes"):
        monkeypatch.setitem(
            describing.WRITERS, name, lambda model, images: [f"{model} {row[0, 0, 0]:.2f}" for row in images]
        )
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 2, (1, 3, 32, 32), generator=generator) * 2.0 - 1
    paths = []
    for number, image in enumerate([*SCENES, *noise]):
        paths.append(f"{number}.png")
        picture(image).save(paths[-1])
    return paths


def test_each_file_gets_its_caption_and_strangers_a_warning(files: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main.main(["caption", *files, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["picture"] for row in rows] == files
    for row, image in zip(rows, SCENES, strict=False):
        model, value = row["caption"].split()
        assert model == "blip-scenes" and float(value) == pytest.approx(image[0, 0, 0].item(), abs=0.02)
    assert [row["low confidence"] for row in rows] == [False, False, False, True]
    assert main.main(["caption", *files]) == 0
    said = capsys.readouterr().out
    assert said.count("low confidence: ") == 1 and "low confidence: 3.png" in said and "0.50" in said


def test_another_model_can_be_chosen(files: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main.main(["caption", files[0], "--model", "clipcap-scenes"]) == 0
    assert "clipcap-scenes" in capsys.readouterr().out


def test_pictures_are_read_as_they_were_drawn(files: list[str]) -> None:
    seen = describing.pictures([Path(file) for file in files[:3]])
    torch.testing.assert_close(seen, SCENES, atol=0.005, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name at least one picture"),
        (["nowhere.png"], 1, "there is no file nowhere.png"),
        (["0.png", "--model", "judge"], 1, "judge writes no captions; these do: blip-scenes"),
        (["0.png", "--model", "blip-scene"], 2, "did you mean 'blip-scenes'?"),
    ],
)
def test_what_cannot_be_is_said(
    files: list[str], arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["caption", *arguments]) == code
    assert words in capsys.readouterr().err


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What a toy answers to everything; it must be asked by the model of questions."""
    said = {"red": 0.75, "blue": 0.125, "two": 0.0625, "star": 0.03, "yes": 0.02, "no": 0.01}

    def chances(model: str, image: torch.Tensor, text: str) -> dict[str, float]:
        assert model == "blip2-vqa-scenes" and image.shape == (3, 32, 32) and text == "What color is the star?"
        return said

    monkeypatch.setattr(vqa_recipes, "chances", chances)
    return said


def test_a_question_is_answered_with_alternatives(
    files: list[str], answers: dict[str, float], capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["ask", files[0], " What color is the star? ", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["answer"], row["p"]) for row in rows] == list(answers.items())[:5]
    assert not any(row["low confidence"] for row in rows)
    assert main.main(["ask", files[0], "What color is the star?"]) == 0
    said = capsys.readouterr().out
    assert "red" in said and "low confidence:" not in said


def test_strangers_and_guesses_are_answered_with_a_warning(
    files: list[str], answers: dict[str, float], capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["ask", files[3], "What color is the star?"]) == 0
    assert "low confidence: 3.png looks like none" in capsys.readouterr().out
    answers["red"] = 0.375
    assert main.main(["ask", files[0], "What color is the star?"]) == 0
    said = capsys.readouterr().out
    assert "low confidence: the likeliest answer has p = 0.38" in said and "looks like none" not in said
    assert main.main(["ask", files[0], "What color is the star?", "--json"]) == 0
    assert all(json.loads(line)["low confidence"] for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name a picture and a question"),
        (["0.png"], 2, "name a picture and a question"),
        (["0.png", "  "], 2, "name a picture and a question"),
        (["nowhere.png", "What color is the star?"], 1, "there is no file nowhere.png"),
    ],
)
def test_what_cannot_be_asked_is_said(
    files: list[str], arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["ask", *arguments]) == code
    assert words in capsys.readouterr().err
