"""The welcome page: each chapter's checkpoint does what it was made for, in one cell."""

import re
from pathlib import Path

import pytest
import torch

from course_utils import plots, runtime, widgets
from course_utils.cli import notebooks


@pytest.fixture(scope="module")
def page() -> dict:
    """What the page shows and defines when all its cells are run."""
    text = runtime.repository() / "solutions" / "00_welcome.py"
    shown: list[str] = []
    boxes: list[dict] = []
    names: dict = {}
    explorer = widgets.explorer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "show", lambda picture, alt: shown.append(alt))
        patch.setattr(
            widgets,
            "explorer",
            lambda draw, **options: boxes.append({"draw": draw, **options}) or explorer(draw, **options),
        )
        for cell in notebooks.read_text(text).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, str(text), "exec"), names)
    return {"shown": shown, "boxes": boxes, "names": names}


def test_every_chapter_shows_a_picture_and_has_something_to_play_with(page: dict) -> None:
    text = (runtime.repository() / "solutions" / "00_welcome.py").read_text(encoding="utf-8")
    chapters = re.findall(r"^# ## Chapter (\d)", text, re.MULTILINE)
    assert chapters == ["1", "2", "3", "4", "5"] and len(page["shown"]) == len(chapters)
    assert len(page["boxes"]) == 4, "prompt boxes and sliders"
    for box in page["boxes"]:
        settings = {name: value for name, value in box.items() if name not in ("draw", "alt", "zoom", "columns")}
        start = {
            name: value if isinstance(value, str) else value[0] if isinstance(value, list) else value[2]
            for name, value in settings.items()
        }
        pictures = box["draw"](**start)
        assert pictures.ndim == 4 and pictures.abs().max() <= 1 and pictures.std() > 0.05


def test_what_was_drawn_is_what_was_asked_for(page: dict) -> None:
    names = page["names"]
    assert not torch.equal(names["draw_faces"](0), names["draw_faces"](1))
    assert names["nights"].mean() < names["days"].mean() - 0.2, "nights are darker"
    red, blue = (names["draw_order"](color, "circle", 0).mean(dim=(0, 2, 3)) for color in ("red", "blue"))
    assert red[0] - red[2] > blue[0] - blue[2] + 0.1, "a red circle has more red, and less blue, than a blue one"
    assert names["look_for"]("a green star").shape == (8, 3, 32, 32)


def test_the_page_names_no_place_of_one_machine() -> None:
    text = (runtime.repository() / "solutions" / "00_welcome.py").read_text(encoding="utf-8")
    assert str(Path.home()) + "/" not in text and str(runtime.repository()) not in text
