"""Figures: pixels arrive where they should, and no picture is shown without a text."""

import io
import math

import numpy
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from course_utils import plots


def test_to_display_maps_the_range_of_pictures_to_bytes():
    images = torch.tensor([-1.0, 0.0, 1.0, 5.0]).view(1, 1, 2, 2)
    shown = plots.to_display(images)
    assert shown.shape == (1, 2, 2, 3)
    assert shown[0, :, :, 0].tolist() == [[0, 128], [255, 255]]


def test_sheet_places_pictures_row_by_row():
    values = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 3, 4, 6)
    pixels = plots.sheet(values, columns=3, padding=2, fill=7)
    assert pixels.shape == (2 * 4 + 2, 3 * 6 + 2 * 2, 3)
    expected = plots.to_display(values)[:, 0, 0, 0]
    for index, value in enumerate(expected):
        row, column = divmod(index, 3)
        tile = pixels[row * 6 : row * 6 + 4, column * 8 : column * 8 + 6]
        assert (tile == value).all()
    assert (pixels[4:6] == 7).all() and (pixels[6:, 16:] == 7).all()  # gap, and the place that stays empty


def test_sheet_without_padding_keeps_every_pixel():
    assert plots.sheet(torch.zeros(4, 1, 8, 8), columns=2, padding=0).shape == (16, 16, 3)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 2, 8, 8), (8, 8)])
def test_a_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match="expected pictures of shape"):
        plots.to_display(torch.zeros(shape))


def test_png_enlarges_each_pixel():
    pixels = numpy.arange(12, dtype=numpy.uint8).reshape(2, 2, 3)
    read = numpy.asarray(Image.open(io.BytesIO(plots.png(pixels, zoom=3))))
    assert read.shape == (6, 6, 3) and (read[::3, ::3] == pixels).all()


def test_curves_smooth_over_the_window():
    made = plots.curves({"a": [0.0, 2.0, 4.0, 6.0], "b": [1.0, 1.0, 1.0, 1.0]}, smooth=2)
    lines = made.axes[0].get_lines()
    assert lines[0].get_ydata().tolist() == [1.0, 3.0, 5.0]
    assert lines[0].get_xdata().tolist() == [1, 2, 3]
    assert [text.get_text() for text in made.axes[0].get_legend().get_texts()] == ["a", "b"]


def test_every_figure_function_returns_a_figure():
    images = torch.zeros(3, 3, 8, 8)
    points, labels = torch.randn(20, 2), torch.arange(20) % 2
    made = [
        plots.image_grid(images),
        plots.image_grid({"one": images, "two": images}, title="both"),
        plots.scatter(points, labels, ["a", "b"]),
        plots.bars({"x": 1.0, "y": 2.0}, reference={"chance": 0.5}),
    ]
    assert all(isinstance(figure, Figure) for figure in made)
    assert {text.get_text() for text in made[2].axes[0].texts} == {"a", "b"}
    assert "chance 0.5" in [text.get_text() for text in made[3].axes[0].get_legend().get_texts()]


def test_bars_of_groups_show_mean_and_spread_side_by_side():
    axis = plots.figure()[1][0, 0]
    plots.group_bars(axis, {"a": [1.0, 2.0, 3.0], "b": [5.0]}, "first", 0, of=2)
    plots.group_bars(axis, {"a": [0.0, 4.0], "b": []}, "second", 1, of=2)
    bars = [bar for container in axis.containers[1::2] for bar in container]  # each call adds lines, then bars
    assert [bar.get_height() for bar in bars] == pytest.approx([2.0, 5.0, 2.0, math.nan], nan_ok=True)
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([-0.2, 0.8, 0.2, 1.2])
    assert bars[0].get_width() < 0.4
    (several, single), (wide, _) = (lines.get_segments() for lines in axis.collections)
    assert several[:, 1].tolist() == pytest.approx([1, 3]) and single[:, 1].tolist() == [5, 5]
    assert wide[:, 1].tolist() == pytest.approx([2 - 8**0.5, 2 + 8**0.5])
    assert [name.get_text() for name in axis.get_xticklabels()] == ["a", "b"]
    assert axis.get_xticks().tolist() == [0, 1]
    assert axis.get_legend_handles_labels()[1] == ["first", "second"]
    assert {bar.get_facecolor() for bar in bars} == {to_rgba(color) for color in plots.COLORS[:2]}


def test_bars_of_a_single_series_may_have_a_color_each():
    axis = plots.figure()[1][0, 0]
    plots.group_bars(axis, {1: [1.0], 2: [2.0]}, color=plots.COLORS[2:4])
    assert [bar.get_x() + bar.get_width() / 2 for bar in axis.patches] == pytest.approx([0, 1])
    assert [bar.get_facecolor() for bar in axis.patches] == [to_rgba(color) for color in plots.COLORS[2:4]]
    assert [name.get_text() for name in axis.get_xticklabels()] == ["1", "2"]


def test_dots_of_groups_show_each_value_and_the_mean():
    axis = plots.figure()[1][0, 0]
    plots.group_dots(axis, {"a": [1.0, 3.0], "b": [5.0]})
    dots, line, other_dots, _ = axis.collections
    assert dots.get_offsets().tolist() == [[0, 1], [0, 3]]
    assert line.get_segments()[0].tolist() == [[-0.3, 2], [0.3, 2]]
    assert other_dots.get_offsets().tolist() == [[1, 5]]
    assert [name.get_text() for name in axis.get_xticklabels()] == ["a", "b"]


def test_a_palette_makes_a_picture_small_and_changes_it_little():
    pixels = numpy.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=numpy.uint8).repeat(16, 0).repeat(16, 1)
    small = plots.in_palette(plots.png(pixels))
    read = numpy.asarray(Image.open(io.BytesIO(small)).convert("RGB")).astype(int)
    assert len(small) <= len(plots.png(pixels)) and abs(read - pixels).max() <= 4
    assert plots.in_palette(small) == small


def test_show_puts_the_text_beside_the_picture(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    plots.show(plots.image_grid(torch.zeros(1, 1, 8, 8)), alt="a black square")
    (data, options), (words, _) = shown
    assert "<details>" in words.data and "a black square" in words.data
    assert data["text/plain"] == "a black square" and set(data) == {"image/png", "text/plain"}
    assert options["metadata"] == {"image/png": {"alt": "a black square"}}
    with pytest.raises(ValueError, match="alt is empty"):
        plots.show(b"", alt=" ")


def test_table_escapes_and_rounds(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda html: shown.append(html.data))
    plots.table([{"name": "<b>", "value": 0.123456}], caption="c & d")
    assert "&lt;b&gt;" in shown[0] and "0.1235" in shown[0] and "c &amp; d" in shown[0]
    with pytest.raises(ValueError, match="no rows"):
        plots.table([])


# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009, severity 1.
DEFICIENCIES = {
    "none": numpy.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colors_stay_apart_for_colour_blind_readers(deficiency):
    rgb = numpy.array([to_rgba(color)[:3] for color in plots.COLORS])
    linear = numpy.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ numpy.asarray(DEFICIENCIES[deficiency]).T).clip(0, 1)
    xyz = seen @ numpy.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    f = numpy.cbrt(xyz / [0.9505, 1.0, 1.089] + 1e-3)
    lab = numpy.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    apart = numpy.linalg.norm(lab[:, None] - lab, axis=2)[numpy.triu_indices(len(lab), 1)]
    assert apart.min() > 10, f"two colours of plots.COLORS look alike: {apart.min():.1f} (2.3 can just be told apart)"
