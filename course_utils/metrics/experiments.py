"""What the judges confuse: how often each truth was read as what, on held-out pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from course_utils import plots
from course_utils.data.faces.records import ATTRIBUTES
from course_utils.data.glyphs import class_names
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, SHAPES, SIZES
from course_utils.metrics.recipes import RECIPES, confusion
from course_utils.training import Experiment, load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF_SCENES = {
    "shape": ("none", *SHAPES),
    "pixels": ("none", *SHAPES),
    "color": COLORS,
    "size": SIZES,
    "background": BACKGROUNDS,
}
NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "scene-judge": _OF_SCENES,
    "glyph-judge": {"character": class_names()},
    "face-judge": ATTRIBUTES,
    "photo-judge": _OF_SCENES,
}
"""The rows and columns of each judge's confusion matrices, as `recipes.confusion` makes them."""


def run_confusions(judge: str, split: str, samples: int, style: str = "flat") -> dict[str, list]:
    """The confusion matrices of a trained judge as lists of (row, column, count), counts above 0 only."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == judge)
    matrices = confusion(load(recipe), samples, split, style)
    return {
        name: [[*pair, matrix[tuple(pair)].item()] for pair in matrix.nonzero().tolist()]
        for name, matrix in matrices.items()
    }


def dense(entries: Sequence[Sequence[int]], classes: int) -> Tensor:
    """The matrix `(classes, classes)` int64 of such a list."""
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for row, column, count in entries:
        matrix[row, column] = count
    return matrix


def draw_confusions(rows: list[dict[str, Any]]) -> "Figure":
    """One line of matrices for each run; colour is the share of the truth, errors stand as numbers."""
    present = [[name for name in NAMES[row["judge"]] if name in row] for row in rows]
    figure, axes = plots.figure(len(rows), max(map(len, present)), width=11, height=2.6 * len(rows))
    for line, row, names in zip(axes, rows, present, strict=True):
        for axis in line[len(names) :]:
            axis.set_visible(False)
        for axis, name in zip(line, names, strict=False):
            labels = NAMES[row["judge"]][name]
            matrix = dense(row[name], len(labels))
            axis.imshow((matrix / matrix.sum(1, keepdim=True).clamp(min=1)).numpy(), cmap="Blues", vmin=0, vmax=1)
            axis.grid(False)
            axis.set_title(f"{row['judge']}, {row['split']}:\n{name}", fontsize=8)
            few = len(labels) <= 10
            axis.set_xticks(range(len(labels)) if few else [], labels if few else [], rotation=90, fontsize=6)
            axis.set_yticks(range(len(labels)) if few else [], labels if few else [], fontsize=6)
            for truth, found in (matrix - matrix.diag().diag()).nonzero().tolist():
                wrong = str(matrix[truth, found].item())
                text = wrong if few else f"{labels[truth]}→{labels[found]} {wrong}"
                axis.text(found, truth, text, ha="center" if few else "left", va="center", fontsize=5, color="darkred")
    return figure


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment(
        name="judge-confusions",
        question="What do the judges take for what?",
        notebook="01_autoencoders/02_vae",
        grid=(
            {"judge": "scene-judge", "split": "test", "samples": 5000},
            {"judge": "scene-judge", "split": "compositional", "samples": 5000},
            {"judge": "glyph-judge", "split": "test", "samples": 5000},
            {"judge": "face-judge", "split": "test", "samples": 5000},
            {"judge": "photo-judge", "split": "test", "samples": 5000, "style": "photo"},
        ),
        run=run_confusions,
        figure=draw_confusions,
    ),
)
"""`course experiment judge-confusions`."""
