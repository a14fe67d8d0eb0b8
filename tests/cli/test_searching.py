"""`course search`: by a text and by a picture, in the recipe's own gallery, a folder and a data set; what is refused."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from course_utils import training
from course_utils.cli import main, names
from course_utils.clip import CLIP, CLIPConfig, recipes
from course_utils.data import Scenes
from course_utils.data.exposure import picture

SCENES = Scenes("test", size=16, fields="image")[:8]["image"]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A recipe `toy` whose CLIP reads the number of a text's letters, a gallery of eight scenes, and the same eight as files."""
    monkeypatch.chdir(tmp_path)
    toys = {name: SimpleNamespace(name=name) for name in ("toy", "judge")}
    monkeypatch.setattr(names, "recipes", lambda: toys)
    torch.manual_seed(0)
    model = CLIP(CLIPConfig(3, 16, 0, 8, 0, 4, 0, 11, 8, 16, 1, 2, 24, 10, 12, image_blocks=(1, 1))).eval()
    monkeypatch.setattr(training, "load", lambda recipe: model)

    def ids(texts: list[str]) -> torch.Tensor:
        return torch.tensor([[len(text) % 10, 10] for text in texts])

    gallery = SCENES, [f"scene {number}" for number in range(8)]
    monkeypatch.setitem(recipes.SEARCHABLE, "toy", recipes.Searchable(ids, lambda: gallery))
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(SCENES):
        picture(image).save(tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


def lines(capsys: pytest.CaptureFixture) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_text_finds_pictures(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert (
        main.main(
            ["search", "a red ring left of a star", "--recipe", "toy", "-k", "4", "--out", "new/found.png", "--json"]
        )
        == 0
    )
    rows = lines(capsys)
    assert [row["place"] for row in rows] == [1, 2, 3, 4]
    assert all(row["picture"].startswith("scene ") for row in rows)
    similarities = [row["similarity"] for row in rows]
    assert similarities == sorted(similarities, reverse=True)
    sheet = Image.open(io.BytesIO(Path("new/found.png").read_bytes()))
    assert sheet.size == (3 * (3 * 17 - 1), 3 * (2 * 17 - 1)), "three in a row, three times as large"
    assert main.main(["search", "a red ring left of a star", "--recipe", "toy", "-k", "4"]) == 0
    assert "results.png" in capsys.readouterr().out
    assert Path("results.png").read_bytes() == Path("new/found.png").read_bytes()


@pytest.mark.parametrize("where", ["--folder", "--dataset"])
def test_a_picture_finds_itself(folder: Path, where: str, capsys: pytest.CaptureFixture) -> None:
    query = str(folder / "5.png")
    assert main.main(["search", "--image", query, "--recipe", "toy", "-k", "2", where, str(folder), "--json"]) == 0
    rows = lines(capsys)
    assert rows[0]["picture"] == (query if where == "--folder" else f"{folder}[5]")
    assert rows[0]["similarity"] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--recipe", "toy"], 2, "either a text to look for, or a picture"),
        (["text", "--image", "x.png", "--recipe", "toy"], 2, "either a text to look for, or a picture"),
        (["text", "--recipe", "toy", "--folder", "a", "--dataset", "b"], 2, "not both"),
        (["text", "--recipe", "toy", "-k", "0"], 2, "-k is 0"),
        (["text", "--recipe", "toy", "-k", "9"], 1, "size of the gallery, 8"),
        (["text", "--recipe", "toi"], 2, "did you mean 'toy'?"),
        (["text", "--recipe", "judge"], 1, "judge is no CLIP"),
        (["text", "--recipe", "toy", "--folder", "nowhere"], 1, "there is no folder nowhere"),
        (["--image", "nowhere.png", "--recipe", "toy"], 1, "there is no file nowhere.png"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(
    folder: Path, arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture
) -> None:
    assert main.main(["search", *arguments]) == code
    assert words in capsys.readouterr().err
    assert not Path("results.png").exists()
