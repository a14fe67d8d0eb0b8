"""A denoiser for points: what the U-Net is for pictures, for data of a few numbers each, such as points of the plane.

With it a diffusion model is trained in seconds, and everything can be drawn: the data, the noise, the way from one to the other. Of a mixture of
Gaussians even the right answer is known (`score.mixture_denoiser`).

    h_0 = W x_t,      h_{k+1} = h_k + F_k( h_k + U_k e(t) ),      output = V h_K,           e(t): the time as waves, then two layers

The residual blocks with the time in each of them are those of Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020,
appendix B, with matrices in place of convolutions.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.unet import check_conditions
from course_utils.hub import HubModel, config_coders
from course_utils.layers.embeddings import TimestepEmbedding


@dataclass(frozen=True)
class PointDenoiserConfig:
    """Settings of a `PointDenoiser`.

    Attributes:
        dimensions: numbers of a point.
        width: of the hidden layers, even.
        num_blocks: residual blocks.
    """

    dimensions: int = 2
    width: int = 64
    num_blocks: int = 3


class PointBlock(nn.Module):
    """Features (batch, width) plus two layers of them, told the time (batch, width)."""

    def __init__(self, width: int):
        super().__init__()
        self.time = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.linear_1 = nn.Linear(width, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, features: Tensor, time: Tensor) -> Tensor:
        hidden = F.silu(self.linear_1(self.norm(features + self.time(time))))
        return features + self.linear_2(hidden)


class PointDenoiser(nn.Module, HubModel, coders=config_coders(PointDenoiserConfig)):
    """A prediction (batch, dimensions) from noisy points of that shape and times (batch,).

    What is predicted (noise, point, velocity), and how times are counted, is the business of whoever trains it; times are usually [0, 1000).
    At first the prediction is 0.
    """

    def __init__(self, config: PointDenoiserConfig):
        super().__init__()
        self.config = config
        self.time_embedding = TimestepEmbedding(config.width, config.width)
        self.linear_in = nn.Linear(config.dimensions, config.width)
        self.blocks = nn.ModuleList(PointBlock(config.width) for _ in range(config.num_blocks))
        self.norm_out = nn.LayerNorm(config.width)
        self.linear_out = nn.Linear(config.width, config.dimensions)
        nn.init.zeros_(self.linear_out.weight)
        nn.init.zeros_(self.linear_out.bias)

    def forward(self, points: Tensor, timesteps: Tensor) -> Tensor:
        """The prediction (batch, dimensions).

        Args:
            points: noisy, (batch, dimensions).
            timesteps: (batch,), whole numbers or fractions.

        Raises:
            ValueError: if a shape is another one.
        """
        if points.ndim != 2 or points.shape[1] != self.config.dimensions:
            raise ValueError(f"expected points (batch, {self.config.dimensions}), got {tuple(points.shape)}")
        check_conditions(len(points), timesteps, None, None, 0, 0)
        time = F.silu(self.time_embedding(timesteps))
        features = self.linear_in(points)
        for block in self.blocks:
            features = block(features, time)
        return self.linear_out(F.silu(self.norm_out(features))).to(points.dtype)
