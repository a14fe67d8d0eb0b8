"""The welcome page: each chapter's checkpoint does what it was made for, in one cell."""

import re

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
    handed_out = {pair.chapter for pair in notebooks.pairs() if pair.chapter}
    assert chapters == sorted(str(int(chapter[:2])) for chapter in handed_out), "each chapter has its place on the page"
    assert len(page["shown"]) == len(page["boxes"]) == len(chapters)
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
    shown = names["there_and_back"](names["days"][:8])
    assert shown["to night"].mean() < shown["day"].mean() - 0.2, "nights are darker"
    assert (shown["and back"] - shown["day"]).abs().mean() < (shown["to night"] - shown["day"]).abs().mean() / 2
    red, blue = (names["draw_order"](color, "circle", 0).mean(dim=(0, 2, 3)) for color in ("red", "blue"))
    assert red[0] - red[2] > blue[0] - blue[2] + 0.1, "a red circle has more red, and less blue, than a blue one"
    assert names["look_for"]("a green star").shape == (8, 3, 32, 32)
    red, blue = (names["draw_prompt"](f"a large {color} circle", 0).mean(dim=(2, 3)) for color in ("red", "blue"))
    for model in (slice(0, 4), slice(4, 8)):
        more = (red[model].mean(0) - blue[model].mean(0))[[0, 2]]
        assert more[0] > 0 > more[1], "a red circle has more red, and less blue, than a blue one"
