"""What judges are trained on: pictures as generators make them, which are nearly right, mixed, or nothing at all.

All draws come from torch's global random state, which the training engine seeds and keeps.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.layers import draw_integers, draw_normal, draw_uniform

MIXED, FOURFOLD, NOISE = 1 / 8, 1 / 16, 1 / 16
"""Shares of a batch that become a mixture of two pictures, the mean of four, and noise."""


class Mixture(NamedTuple):
    """Which pictures of a batch go into each new one: `picks (batch, 4)` indices, `weights (batch, 4)` that add up to 1.

    Where a new picture is noise, `noise (batch,)` is True.
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
    for number, grain in enumerate((1, 2, 4, 8, height)):
        rows = slice(number, None, 5)
        shape = (len(range(number, batch, 5)), channels, max(1, height // grain), max(1, width // grain))
        coarse = 2 * draw_uniform(shape, device=images.device) - 1
        result[rows] = F.interpolate(coarse, (height, width), mode="bilinear") if shape[0] else coarse
    return result
