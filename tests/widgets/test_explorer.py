"""The explorer redraws when a control moves, and shows an error where the reader looks."""

import io

import ipywidgets
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from course_utils import plots
from course_utils.widgets import explorer


def parts(widget: ipywidgets.Widget):
    controls, right = widget.children
    picture, message = right.children
    return controls.children, picture, message


def brightness(picture: ipywidgets.Image) -> int:
    return Image.open(io.BytesIO(picture.value)).getpixel((0, 0))[0]


def test_moving_a_slider_changes_the_picture():
    widget = explorer(lambda level: torch.full((1, 1, 4, 4), level), alt="a grey square", level=(-1.0, 1.0, -1.0))
    (slider,), picture, message = parts(widget)
    assert brightness(picture) == 0
    slider.value = 1.0
    assert brightness(picture) == 255
    assert "a grey square" in message.value


def test_a_figure_is_shown_as_it_is():
    def draw(height: float) -> Figure:
        figure, _ = plots.figure(width=2, height=height)
        return figure

    (slider,), picture, _ = parts(explorer(draw, alt="empty axes", height=(1.0, 3.0, 1.0)))
    low = Image.open(io.BytesIO(picture.value)).height
    slider.value = 3.0
    assert Image.open(io.BytesIO(picture.value)).height > 2 * low


def test_each_setting_gets_its_kind_of_control():
    widget = explorer(
        lambda count, share, name, inverted, text: torch.zeros(1, 1, 4, 4),
        alt="x",
        count=(0, 9, 3),
        share=(0.0, 1.0, 0.5),
        name=["a", "b"],
        inverted=False,
        text="two words",
    )
    controls, _, _ = parts(widget)
    kinds = [
        ipywidgets.IntSlider,
        ipywidgets.FloatSlider,
        ipywidgets.SelectionSlider,
        ipywidgets.Checkbox,
        ipywidgets.Text,
    ]
    assert [type(control) for control in controls] == kinds
    assert [control.value for control in controls] == [3, 0.5, "a", False, "two words"]


def test_an_error_is_shown_and_the_last_picture_stays():
    def draw(level: float) -> torch.Tensor:
        if level > 0.5:
            raise ValueError("too bright")
        return torch.full((1, 1, 4, 4), level)

    (slider,), picture, message = parts(explorer(draw, alt="a grey square", level=(-1.0, 1.0, 0.0)))
    before = picture.value
    slider.value = 1.0
    assert picture.value == before and "too bright" in message.value
    slider.value = -1.0
    assert picture.value != before and "a grey square" in message.value


@pytest.mark.parametrize("bad", [lambda level: torch.zeros(4, 4), lambda level: None])
def test_a_drawing_function_that_returns_no_pictures_is_named(bad):
    _, _, message = parts(explorer(bad, alt="x", level=(0.0, 1.0, 0.0)))
    assert "Error" in message.value
