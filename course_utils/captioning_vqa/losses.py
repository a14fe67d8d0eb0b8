"""What BLIP and the first stage of BLIP-2 learn from: contrast, matching and writing (ITC, ITM, LM), as plain functions.

Contrast (ITC) is that of CLIP with two additions. The keys, which a picture's or a text's vector is compared with, come from a slow copy of the
network (an average of its past, `follow`), so that those of many batches agree and can wait in a queue (`enqueue`). And among other people's texts
some fit too, so the slow copy says how well each fits, and the target is

    y = alpha * softmax(slow similarities) + (1 - alpha) * [own text]

Matching (ITM) asks of a picture and a text that were read together whether they belong together. It learns little from pairs that nobody would
confuse, so the wrong ones are drawn by how similar the contrast finds them (`hard_negatives`).

Papers: Li, Li, Xiong & Hoi, "BLIP: bootstrapping language-image pre-training", ICML 2022, section 3.2. Li, Selvaraju et al., "Align before fuse",
NeurIPS 2021, sections 3.2 and 3.3 (momentum, soft targets, hard negatives). He et al., CVPR 2020 (queue and slow copy).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders.vqvae import gumbel_noise
from course_utils.clip.losses import check_pairs
from course_utils.language.corruption import IGNORED

FLOOR = 1e-4  # added to the probability of each negative, as by the authors: none is never drawn


class Keys(NamedTuple):
    """Unit vectors of the slow copy, without gradients: those of this batch, (batch, dim), row by row, and older ones, (queue, dim)."""

    images: Tensor
    texts: Tensor
    older_images: Tensor
    older_texts: Tensor


def keys_of(image_features: Tensor, text_features: Tensor) -> Keys:
    """The batch's own vectors as keys, and no older ones: contrast without a slow copy."""
    none = image_features[:0].detach()
    return Keys(image_features.detach(), text_features.detach(), none, none)


def soft_targets(similarities: Tensor, alpha: float) -> Tensor:
    """Which key each query shall find, (batch, keys), rows of sum 1 (Li et al. 2021, equation 6).

    Args:
        similarities: (batch, keys) of the slow copy, with the scale; the key of query i is key i.
        alpha: how much its opinion counts; 0 for the own key alone.
    """
    own = torch.eye(*similarities.shape, device=similarities.device)
    return alpha * similarities.float().softmax(dim=1) + (1 - alpha) * own


def contrastive_loss(
    image_features: Tensor, text_features: Tensor, logit_scale: Tensor, keys: Keys, alpha: float = 0.0
) -> Tensor:
    """ITC: each picture is to find its text among all keys, and each text its picture: a scalar in nats, a mean over both.

    Args:
        image_features, text_features: unit vectors (batch, dim); row i of both belongs together.
        logit_scale: scalar, 1 / temperature.
        alpha: as for `soft_targets`.

    Raises:
        ValueError: if the two have different shapes.
    """
    check_pairs(image_features, text_features)
    images, texts = torch.cat([keys.images, keys.older_images]), torch.cat([keys.texts, keys.older_texts])
    with torch.no_grad():
        find_text = soft_targets(logit_scale * keys.images @ texts.T, alpha)
        find_image = soft_targets(logit_scale * keys.texts @ images.T, alpha)
    found_text = F.cross_entropy((logit_scale * image_features @ texts.T).float(), find_text)
    found_image = F.cross_entropy((logit_scale * text_features @ images.T).float(), find_image)
    return (found_text + found_image) / 2


def table_loss(similarities: Tensor) -> Tensor:
    """Contrast within a batch, from similarities with the scale (batch, batch): each row is to find its own column, each column its row."""
    own = torch.arange(len(similarities), device=similarities.device)
    table = similarities.float()
    return (F.cross_entropy(table, own) + F.cross_entropy(table.T, own)) / 2


def hard_negatives(similarities: Tensor, uniforms: Tensor, alike: Tensor | None = None) -> Tensor:
    """For each query of a batch the number of another one's partner, the likelier the more similar: (batch,) int64.

    Args:
        similarities: (batch, batch) with the scale, of each query to each partner; its own is on the diagonal, and never drawn.
        uniforms: (batch, batch) in [0, 1), the draw: the largest of log p + Gumbel noise is a draw from p.
        alike: (batch, batch) bool, which other partners fit the query as well and are no wrong ones; each query has one left.

    Raises:
        ValueError: if there is no other one.
    """
    if len(similarities) < 2:
        raise ValueError(f"a wrong partner comes from another pair, but this is a batch of {len(similarities)}")
    weights = similarities.detach().float().softmax(dim=1) + FLOOR
    own = torch.eye(len(weights), dtype=torch.bool, device=weights.device)
    if alike is not None:
        own = own | alike
    return (weights.masked_fill(own, 0).log() + gumbel_noise(uniforms)).argmax(dim=1)


def matching_loss(logits: Tensor) -> Tensor:
    """ITM: -log p(right answer) in nats, a mean over all pairs: a scalar.

    Args:
        logits: (3 * batch, 2) of "no" and "yes": true pairs first, then twice as many wrong ones.
    """
    number = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits.float(), (number < len(logits) // 3).long())


def writing_loss(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """LM: -log p(token | tokens before it, picture) in nats, a mean over the tokens to predict: a scalar.

    Args:
        logits: (batch, n, vocab_size), those at t of token t + 1.
        labels: (batch, n) int64, the text itself, -100 where nothing is to be predicted.
        label_smoothing: this share of the target is spread over the whole vocabulary.
    """
    # (batch, n - 1, vocab_size) -> (batch * (n - 1), vocab_size)
    return F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED, label_smoothing=label_smoothing
    )  # fmt: skip


def enqueue(queue: Tensor, features: Tensor, size: int) -> Tensor:
    """The queue (at most size, dim) with new features (batch, dim) in front; the oldest fall out."""
    return torch.cat([features.detach(), queue])[:size]


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, decay: float = 0.995) -> None:
    """One step of the slow copy: each of its parameters becomes decay * slow + (1 - decay) * fast."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1 - decay)
