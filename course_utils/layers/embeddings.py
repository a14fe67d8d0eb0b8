"""Numbers as vectors: times, places and classes in the form in which networks take them.

A number t becomes waves of many lengths, cos(w t) and sin(w t), with frequencies w from 1 down to about 1/10000. The fast ones tell
neighbours apart, the slow ones far and near, and a shift in t is a rotation of each pair.

Papers: Vaswani et al., NeurIPS 2017, section 3.5; Ho, Jain & Abbeel, NeurIPS 2020, appendix B (times of diffusion).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOWEST = 10_000


def sinusoidal_embedding(positions: Tensor, dim: int, *, shift: int = 0, cosine_first: bool = True) -> Tensor:
    """Waves at `positions` (...), whole numbers or fractions: (..., dim) float32.

    Args:
        dim: even; the first half are cosines and the second half sines.
        shift: frequency i of n is 10000^(-i / (n - shift)). With 1 the slowest is exactly 1/10000, as in Ho et al.'s code.
        cosine_first: False puts the sines first.

    Raises:
        ValueError: if `dim` is odd.
    """
    if dim % 2:
        raise ValueError(f"half of the waves are sines, half cosines: dim must be even, got {dim}")
    steps = torch.arange(dim // 2, dtype=torch.float32, device=positions.device)
    frequencies = torch.exp(-math.log(SLOWEST) * steps / (dim // 2 - shift))
    angles = positions.float()[..., None] * frequencies  # (..., dim / 2)
    waves = (angles.cos(), angles.sin()) if cosine_first else (angles.sin(), angles.cos())
    return torch.cat(waves, dim=-1)


def grid_embedding(height: int, width: int, dim: int) -> Tensor:
    """The places of a grid, row by row: (height * width, dim) float32; half of the waves tell the column, half the row.

    Raises:
        ValueError: if `dim` is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"sines and cosines of two coordinates: dim must be a multiple of 4, got {dim}")
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [sinusoidal_embedding(places, dim // 2, cosine_first=False) for places in (columns, rows)]
    return torch.cat(waves, dim=-1).flatten(0, 1)  # (height, width, dim) -> (height * width, dim)


class TimestepEmbedding(nn.Module):
    """Times (batch,), whole numbers or fractions, as vectors (batch, width): `dim` waves, then two layers with a SiLU between."""

    def __init__(self, dim: int, width: int, shift: int = 0, cosine_first: bool = True):
        super().__init__()
        self.dim, self.shift, self.cosine_first = dim, shift, cosine_first
        self.linear_1 = nn.Linear(dim, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, timesteps: Tensor) -> Tensor:
        waves = sinusoidal_embedding(timesteps, self.dim, shift=self.shift, cosine_first=self.cosine_first)
        return self.linear_2(F.silu(self.linear_1(waves.to(self.linear_1.weight.dtype))))


class ClassEmbedding(nn.Embedding):
    """A vector (width,) for each class, and a last one that stands for "no class": labels (batch,) in [0, num_classes] to (batch, width)."""

    def __init__(self, num_classes: int, width: int):
        super().__init__(num_classes + 1, width)
        self.num_classes = num_classes

    def forward(self, labels: Tensor | None, batch_size: int) -> Tensor:
        """Vectors (batch, width); without labels that of "no class" for all."""
        if labels is None:
            return self.weight[-1].expand(batch_size, -1)
        return super().forward(labels)


class TokenEmbedding(nn.Embedding):
    """A vector (width,) for each entry of a vocabulary: ids (...) int64 in [0, vocab_size) to (..., width)."""

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of the ids.

        Raises:
            ValueError: if these are no integers, or some are outside of the vocabulary. (On a GPU, CUDA stops at those with an assertion of its own.)
        """
        if ids.is_floating_point():
            raise ValueError(f"token ids are integers, got {ids.dtype}")
        try:
            return super().forward(ids)
        except IndexError as error:
            raise ValueError(
                f"token ids must lie in [0, {self.num_embeddings}), the vocabulary of this model, "
                f"got {int(ids.min())} to {int(ids.max())}: was another tokenizer used?"
            ) from error
