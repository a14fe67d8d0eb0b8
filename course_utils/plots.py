"""Figures of the course: image sheets, curves and bars, each shown with a text for those who cannot see it.

Pictures come in as tensors (batch, channels, height, width) in [-1, 1], as everywhere in `course_utils`.
Functions return a matplotlib `Figure`, or draw groups of values on an axis; `show(figure, alt=...)` puts a figure into a notebook.
"""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# The palette of Okabe and Ito (2008): its eight colours stay apart for colour-blind readers.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")

STYLE = {
    "figure.facecolor": "white",  # also readable on a dark notebook theme
    "savefig.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 9,
    "lines.linewidth": 1.6,
}


def to_display(images: Tensor) -> numpy.ndarray:
    """Pictures (batch, channels, height, width) in [-1, 1] as bytes (batch, height, width, 3)."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"expected pictures of shape (batch, 1 or 3, height, width), got {tuple(images.shape)}; "
            "add the missing axis with images[None] or images[:, None]"
        )
    bytes_ = ((images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return bytes_.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()


def sheet(images: Tensor, columns: int = 8, padding: int = 1, fill: int = 255) -> numpy.ndarray:
    """One picture (height, width, 3) of bytes that holds all of `images`, row by row, `padding` pixels apart."""
    tiles = to_display(images)
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = numpy.full((rows * columns, height + padding, width + padding, 3), fill, numpy.uint8)
    canvas[:count, :height, :width] = tiles
    # (rows, columns, height, width, 3) -> (rows, height, columns, width, 3) -> one picture
    canvas = canvas.reshape(rows, columns, height + padding, width + padding, 3).swapaxes(1, 2)
    return canvas.reshape(rows * (height + padding), columns * (width + padding), 3)[
        : -padding or None, : -padding or None
    ]


def png(pixels: numpy.ndarray, zoom: int = 1) -> bytes:
    """Pixels (height, width, 3) of bytes as a PNG file, each pixel `zoom` times as large."""
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def in_palette(picture: bytes) -> bytes:
    """A PNG file with at most 192 colours, about a third as large; notebooks keep their figures so. Unchanged if that is no smaller."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(192, kmeans=2).save(buffer, "PNG", optimize=True)
    return min(picture, buffer.getvalue(), key=len)


def figure(rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 3.2, **subplots):
    """A `Figure` in the style of the course and its array of axes (rows, columns), as `plt.subplots` gives them."""
    with rc_context(STYLE):
        made = Figure(figsize=(width, height), layout="constrained")
        axes = made.subplots(rows, columns, squeeze=False, **subplots)
    return made, axes


def image_grid(
    images: Tensor | Mapping[str, Tensor], columns: int = 8, title: str = "", zoom: float = 1.0, padding: int = 1
) -> Figure:
    """A sheet of pictures, or several sheets one under the other, each with its name on the left.

    Args:
        images: pictures (batch, channels, height, width) in [-1, 1], or named rows of such pictures.
        columns: pictures in a row.
        title: stands above the sheet.
        zoom: 1 draws a 32-pixel picture 0.55 inches wide.
        padding: white pixels between two pictures.
    """
    named = images if isinstance(images, Mapping) else {"": images}
    sheets = {name: sheet(group, columns, padding) for name, group in named.items()}
    inches = 0.55 * zoom / 32  # of one pixel
    pixel_height, pixel_width = (max(s.shape[i] for s in sheets.values()) for i in (0, 1))
    scale_to_32 = 32 / max(group.shape[-1] for group in named.values())
    left = 1.1 if any(named) else 0.0
    made, axes = figure(
        len(sheets),
        1,
        width=pixel_width * inches * scale_to_32 + left + 0.1,
        height=sum(s.shape[0] for s in sheets.values()) * inches * scale_to_32 + 0.08 * len(sheets) + 0.3 * bool(title),
        height_ratios=[s.shape[0] for s in sheets.values()],
    )
    for axis, (name, pixels) in zip(axes[:, 0], sheets.items(), strict=True):
        axis.imshow(pixels, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        for spine in axis.spines.values():
            spine.set_visible(False)
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    if title:
        made.suptitle(title, fontsize=10)
    return made


def curves(
    lines: Mapping[str, Sequence[float]], xlabel: str = "step", ylabel: str = "loss", log: bool = False, smooth: int = 1
) -> Figure:
    """Named curves over their index, as for the history of a training; `smooth` averages over that many steps."""
    made, axes = figure(width=5.6, height=2.8)
    axis = axes[0, 0]
    for color, (name, values) in zip(COLORS, lines.items(), strict=False):
        values = numpy.asarray(values, dtype=float)
        window = max(1, min(smooth, len(values) // 2))  # a short curve stays a curve
        averaged = numpy.convolve(values, numpy.ones(window) / window, mode="valid")
        axis.plot(numpy.arange(window - 1, len(values)), averaged, label=name, color=color)
    axis.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if len(lines) > 1:
        axis.legend(frameon=False)
    return made


def scatter(points: Tensor, labels: Tensor, names: Sequence[str], title: str = "") -> Figure:
    """Points (count, 2) coloured by `labels` (count,); the name of each class stands at its median.

    With more classes than colours the names, not the colours, tell the classes apart.
    """
    made, axes = figure(width=5.2, height=4.6)
    axis = axes[0, 0]
    points, labels = points.detach().cpu().numpy(), labels.cpu().numpy()
    for label in numpy.unique(labels):
        own = points[labels == label]
        color = COLORS[int(label) % len(COLORS)]
        axis.scatter(*own.T, s=7, alpha=0.5, color=color, linewidths=0)
        axis.text(
            *numpy.median(own, axis=0), names[int(label)], weight="bold", ha="center", va="center",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": color, "alpha": 0.85},
        )  # fmt: skip
    axis.set(title=title, xlabel="latent 1", ylabel="latent 2")
    return made


def bars(values: Mapping[str, float], ylabel: str = "", reference: Mapping[str, float] | None = None) -> Figure:
    """Named bars with their value on top; `reference` draws named horizontal lines (a chance level, a ceiling)."""
    made, axes = figure(width=max(3.5, 0.9 * len(values) + 1.5), height=2.8)
    axis = axes[0, 0]
    drawn = axis.bar(range(len(values)), list(values.values()), color=COLORS[0])
    axis.bar_label(drawn, fmt="%.3g", padding=2)
    axis.set_xticks(range(len(values)), list(values))
    axis.set_ylabel(ylabel)
    for color, (name, level) in zip(COLORS[1:], (reference or {}).items(), strict=False):
        axis.axhline(level, color=color, linestyle="--", label=f"{name} {level:.3g}")
    if reference:
        axis.legend(frameon=False)
    axis.margins(y=0.15)
    return made


def group_bars(
    axis: Axes,
    groups: Mapping[Any, Sequence[float]],
    label: str | None = None,
    series: int = 0,
    of: int = 1,
    color: str | Sequence[str] | None = None,
) -> None:
    """A bar for each group: its height the mean of the values, its line their standard deviation.

    Args:
        groups: name -> values, as `training.grouped` gives them over seeds. The names stand below the bars; without values
            there is no bar.
        label: for the legend.
        series, of: which of how many calls on the same axis; their bars stand beside each other.
        color: of the bars, one or one each; by default the course's colour of that series.
    """
    width = 0.8 / of
    axis.bar(
        [position + (series - (of - 1) / 2) * width for position in range(len(groups))],
        [fmean(values) if values else math.nan for values in groups.values()],
        yerr=[stdev(values) if len(values) > 1 else 0.0 for values in groups.values()],
        width=0.95 * width if of > 1 else width,
        color=color or COLORS[series],
        label=label,
        capsize=2,
    )
    axis.set_xticks(range(len(groups)), [str(name) for name in groups])


def group_dots(axis: Axes, groups: Mapping[Any, Sequence[float]]) -> None:
    """A dot for each value, and a line at the mean, for each group; the names stand below."""
    for position, values in enumerate(groups.values()):
        axis.scatter([position] * len(values), values, color=COLORS[0], s=16, zorder=3)
        axis.hlines(fmean(values), position - 0.3, position + 0.3, color=COLORS[1])
    axis.set_xticks(range(len(groups)), [str(name) for name in groups])
    axis.set_xlim(-0.6, len(groups) - 0.4)


def figure_png(picture: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return in_palette(buffer.getvalue())


def show(picture: Figure | bytes, alt: str) -> None:
    """Show a figure, or the bytes of a PNG file, in a notebook, with `alt` as its text for readers who cannot see it.

    The text goes into the picture's metadata, where converters look for it, and stands folded under the picture,
    because JupyterLab reads no such metadata.

    Raises:
        ValueError: if `alt` is empty.
    """
    from html import escape

    from IPython.display import HTML, display

    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the picture shows, for readers who cannot see it")
    encoded = base64.b64encode(figure_png(picture) if isinstance(picture, Figure) else picture).decode()
    display({"image/png": encoded, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})
    display(HTML(f"<details><summary><small>The picture in words</small></summary>{escape(alt)}</details>"))


def table(rows: Iterable[Mapping[str, object]], caption: str = "") -> None:
    """Show rows of equal keys as an HTML table in a notebook; floats are rounded to four digits."""
    from html import escape

    from IPython.display import HTML, display

    rows = list(rows)
    if not rows:
        raise ValueError("no rows: a table needs at least one")

    def text(value: object) -> str:
        return escape(f"{value:.4g}" if isinstance(value, float) else str(value))

    head = "".join(f'<th scope="col">{escape(str(key))}</th>' for key in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{text(value)}</td>" for value in row.values()) + "</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    display(HTML(f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"))
