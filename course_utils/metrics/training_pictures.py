"""What judges are trained on: pictures as generators make them, which are nearly right, mixed, or nothing at all.

All draws come from torch's global random state, which the training engine seeds and keeps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.data.faces.records import FaceRecords
from course_utils.data.scenes.drawing import background_colors, object_colors
from course_utils.data.scenes.records import SceneRecords
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.metrics.readings import FaceTargets, SceneTargets, face_targets, scene_targets

MIXED, FOURFOLD, NOISE = 1 / 8, 1 / 16, 1 / 16
"""Shares of a batch that become a mixture of two pictures, the mean of four, and noise."""

REPAINTED = 1 / 3
"""Share of the objects that get a colour without a name."""

CONTRAST = 0.5
"""Least difference to the background, in one of the three colour channels, of an object painted so."""


RECOLORED = 1 / 3
"""Share of the photos whose colour channels are mixed anew."""


class Mixture(NamedTuple):
    """Which pictures of a batch go into each new one.

    `picks (batch, 4)` are indices, `weights (batch, 4)` add up to 1; `noise (batch,)` is True where a new picture is
    noise.
    """

    picks: Tensor
    weights: Tensor
    noise: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """The weighted mean of the picked rows of `values (batch, ...)`."""
        weights = self.weights.to(values.device).view(*self.weights.shape, *[1] * (values.ndim - 1))
        return (values[self.picks.to(values.device)] * weights).sum(1)


def draw_mixture(batch: int) -> Mixture:
    """Draw which of `batch` pictures stay alone (three quarters), are mixed with others, or become noise."""
    kind = draw_uniform((batch,))
    picks = draw_integers(0, batch, (batch, 4))
    picks[:, 0] = torch.arange(batch)
    share = draw_uniform((batch,))
    weights = F.one_hot(torch.zeros(batch, dtype=torch.int64), 4).float()
    pairs = kind < MIXED
    weights[pairs, 0], weights[pairs, 1] = share[pairs], 1 - share[pairs]
    weights[(kind >= MIXED) & (kind < MIXED + FOURFOLD)] = 0.25
    return Mixture(picks, weights, kind >= 1 - NOISE)


def scene_lesson(batch: dict) -> tuple[Tensor, SceneTargets]:
    """A batch of scenes (with `record`, `label_map` and `masks`) as a lesson: pictures and what to read from them."""
    images, painted = repaint(batch)
    targets = scene_targets(SceneRecords.from_dict(batch), batch["label_map"])
    targets = targets._replace(color=targets.color * ~painted[..., None])
    return _spoiled(images, targets)


def photo_lesson(batch: dict) -> tuple[Tensor, SceneTargets]:
    """A batch of photos of scenes (with `record` and `label_map`) as a lesson; nobody is asked for a colour mixed anew."""
    images, recolored = recolor(batch["image"])
    targets = scene_targets(SceneRecords.from_dict(batch), batch["label_map"])
    color = targets.color * ~recolored[:, None, None]
    targets = targets._replace(color=color, background=targets.background * ~recolored[:, None])
    return _spoiled(images, targets)


def _spoiled(images: Tensor, targets: SceneTargets) -> tuple[Tensor, SceneTargets]:
    """Pictures of scenes, some mixed with others, some disturbed, and what to read from them."""
    images, mixed = mix(images, targets, (-1, -1, -1, -1, 1))
    return disturb(images), SceneTargets(*mixed)


def glyph_lesson(images: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Characters `(batch, 1, height, width)` with labels `(batch,)` as a lesson: pictures and label probabilities."""
    images, (targets,) = mix(images, [F.one_hot(labels, num_classes).float()], (-1,))
    return disturb(images), targets


def face_lesson(batch: dict) -> tuple[Tensor, FaceTargets]:
    """A batch of faces (with `record`) as a lesson: pictures and what to read from them."""
    targets = face_targets(FaceRecords.from_dict(batch))
    images, mixed = mix(batch["image"], targets, (-1,) * len(targets))
    return disturb(images), FaceTargets(*mixed)


def mix(images: Tensor, targets: Sequence[Tensor], classes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """Mix some pictures of a batch with others, and put noise in the place of some; do the same to their targets.

    Args:
        images: `(batch, channels, height, width)`.
        targets: probabilities, `(batch, ...)` each.
        classes: for each target the dimension that its classes lie along.

    Returns:
        pictures and targets; of noise, any class is equally probable.
    """
    mixture = draw_mixture(len(images))
    nothing = mixture.noise.to(images.device)
    images = torch.where(nothing.view(-1, 1, 1, 1), noise_like(images), mixture(images))
    mixed = []
    for target, dim in zip(targets, classes, strict=True):
        anything = torch.full_like(target, 1 / target.shape[dim])
        mixed.append(torch.where(nothing.view(-1, *[1] * (target.ndim - 1)), anything, mixture(target)))
    return images, mixed


def repaint(batch: dict) -> tuple[Tensor, Tensor]:
    """Paint some objects of a batch of scenes in any colour at all, so that shapes are learned apart from colours.

    A judge that has seen "green" and "circle", but never a green circle, must read one when a generator draws it.

    Returns:
        the pictures, and `(batch, 4)` bool: which objects have a colour without a name now.
    """
    records = SceneRecords.from_dict(batch)
    images = batch["image"]
    new = 2 * draw_uniform((len(images), 4, 3), device=images.device) - 1
    visible = (new - background_colors(records)[:, None]).abs().amax(-1) > CONTRAST
    chosen = draw_uniform((len(images), 4), device=images.device) < REPAINTED
    painted = records.present & visible & chosen
    change = (new - object_colors(records)) * painted[..., None]  # (batch, 4, 3)
    return images + torch.einsum("bphw,bpc->bchw", batch["masks"], change), painted


def recolor(images: Tensor) -> tuple[Tensor, Tensor]:
    """Give some of the pictures `(batch, 3, height, width)` other colours, so that shapes are learned apart from them.

    Each new channel is a weighted mean of the old ones, the same in all of a picture: channels change places, or fade
    into each other. The shading of a photo stays, which `repaint` would flatten.

    Returns:
        the pictures, and `(batch,)` bool: which of them have other colours now.
    """
    chosen = draw_uniform((len(images),), device=images.device) < RECOLORED
    weights = (3 * draw_normal((len(images), 3, 3), device=images.device)).softmax(-1)
    mixed = torch.einsum("bnc,bchw->bnhw", weights, images)
    return torch.where(chosen[:, None, None, None], mixed, images), chosen


def disturb(images: Tensor) -> Tensor:
    """Half of the pictures `(batch, channels, height, width)` as a generator might spoil them, the others unchanged.

    Contrast of 0.85 to 1.15 times, brightness by up to 0.08, a blur with the weights 1 2 1 of any strength, and noise
    of a standard deviation up to 0.15; clamped to [-1, 1].
    """

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * draw_uniform((len(images), 1, 1, 1), device=images.device)

    blurred = blur(images)
    changed = images + draw(0, 1) * (blurred - images)
    changed = changed * draw(0.85, 1.15) + draw(-0.08, 0.08)
    changed = changed + draw(0, 0.15) * draw_normal(images.shape, device=images.device)
    return torch.where(draw(0, 1) < 0.5, changed, images).clamp(-1, 1)


def blur(images: Tensor) -> Tensor:
    """Each picture convolved with the weights 1 2 1 (over 4) in both directions, edges repeated; same shape."""
    channels = images.shape[1]
    line = images.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)


def noise_like(images: Tensor) -> Tensor:
    """Pictures of nothing, of the shape of `images`: noise of a grain between one pixel and the whole picture."""
    batch, channels, height, width = images.shape
    result = torch.empty_like(images)
    for number, grain in enumerate((1, 2, 4, 8, height)[:batch]):
        rows = slice(number, None, 5)
        shape = (len(range(number, batch, 5)), channels, max(1, height // grain), max(1, width // grain))
        coarse = 2 * draw_uniform(shape, device=images.device) - 1
        result[rows] = F.interpolate(coarse, (height, width), mode="bilinear")
    return result
