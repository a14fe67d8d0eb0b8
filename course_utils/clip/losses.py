"""Contrastive losses: a picture and its own text shall be closer than either is to any other of the batch.

With unit vectors u of pictures and v of texts and a scale s, which is learned, InfoNCE asks each picture for its text among all texts of the batch,
and each text for its picture:

    -1/2 E[ log softmax_j( s u_i . v_j )_i ]  -  1/2 E[ log softmax_j( s v_i . u_j )_i ]

A larger batch is a harder question. So all processes give each other their vectors, with gradients; and where the table of all pairs does not fit
into memory, it is made a few rows at a time. SigLIP asks yes or no about each pair alone, and needs no sum over the batch:

    -E_i[ sum_j log sigmoid( z_ij (s u_i . v_j + b) ) ],        z_ij = 1 for a pair that belongs together, else -1

Papers: van den Oord, Li & Vinyals, 2018 (InfoNCE). Radford et al., "Learning transferable visual models from natural language supervision", ICML
2021, section 2.3. Zhai, Mustafa, Kolesnikov & Beyer, "Sigmoid loss for language image pre-training", ICCV 2023, section 3.2.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def info_nce(image_features: Tensor, text_features: Tensor, logit_scale: Tensor, chunk_size: int = 0) -> Tensor:
    """The symmetric loss in nats, a mean over this process's pairs, each against the texts and pictures of all processes: a scalar.

    Under DDP, which averages the gradients of the processes, parameters get the gradient of one process with all the pairs.

    Args:
        image_features, text_features: unit vectors (batch, dim); row i of both belongs together. All processes have equally many.
        logit_scale: scalar, 1 / temperature.
        chunk_size: rows of the table of pairs to have in memory at once, computed again in the backward pass; 0 for all.

    Raises:
        ValueError: if the two have different shapes.
    """
    check_pairs(image_features, text_features)
    first = len(image_features) * (dist.get_rank() if in_a_group() else 0)
    images, texts = gathered(image_features), gathered(text_features)
    found_texts = _search(image_features, texts, logit_scale, first, chunk_size)
    found_images = _search(text_features, images, logit_scale, first, chunk_size)
    return (found_texts + found_images) / (2 * len(image_features))


def siglip_loss(image_features: Tensor, text_features: Tensor, logit_scale: Tensor, logit_bias: Tensor) -> Tensor:
    """The sigmoid loss in nats: summed over all texts, a mean over this process's pictures: a scalar (Zhai et al., algorithm 1).

    Args:
        image_features, text_features, logit_scale: as for `info_nce`.
        logit_bias: scalar; the authors begin with -10, since nearly all pairs do not belong together.
    """
    check_pairs(image_features, text_features)
    first = len(image_features) * (dist.get_rank() if in_a_group() else 0)
    logits = (logit_scale * image_features @ gathered(text_features).T + logit_bias).float()
    signs = torch.full_like(logits, -1.0)
    signs[:, first : first + len(image_features)].fill_diagonal_(1.0)
    return -F.logsigmoid(signs * logits).sum() / len(image_features)


def gathered(features: Tensor) -> Tensor:
    """The features (batch, dim) of all processes, (processes * batch, dim), in the order of ranks; gradients find their way back."""
    return Gather.apply(features) if in_a_group() else features


class Gather(torch.autograd.Function):
    """All processes give each other their rows; in the backward pass each gets back the sum of what all have to say about its own."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, features: Tensor) -> Tensor:
        parts = [torch.empty_like(features) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, features.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def in_a_group() -> bool:
    """Whether there are other processes to exchange features with."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def check_pairs(image_features: Tensor, text_features: Tensor) -> None:
    """Refuse features that are not pairs.

    Raises:
        ValueError: if so.
    """
    if image_features.ndim != 2 or image_features.shape != text_features.shape:
        raise ValueError(
            f"expected pairs, two times (batch, dim), got {tuple(image_features.shape)} and {tuple(text_features.shape)}"
        )


def _search(queries: Tensor, keys: Tensor, scale: Tensor, first: int, chunk_size: int) -> Tensor:
    """-log softmax(scale * query . keys) at the query's own key, summed: query i belongs to key first + i."""
    own = torch.arange(first, first + len(queries), device=queries.device)
    if not chunk_size:
        return _search_rows(queries, keys, scale, own)
    chunks = zip(queries.split(chunk_size), own.split(chunk_size), strict=True)
    return sum(checkpoint(_search_rows, rows, keys, scale, places, use_reentrant=False) for rows, places in chunks)


def _search_rows(queries: Tensor, keys: Tensor, scale: Tensor, own: Tensor) -> Tensor:
    return F.cross_entropy((scale * queries @ keys.T).float(), own, reduction="sum")
