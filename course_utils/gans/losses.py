"""What the two players of an adversarial training minimise, each loss in the form of its paper.

A discriminator gives each sample a logit; what it means differs: the log-odds of being real (minimax, non-saturating), a number to be 1 or 0
(least squares), a margin (hinge), a height whose difference is a distance (Wasserstein). The generator never sees data, only these logits of its
own samples and their gradients. With D(x) = sigmoid(logit), all of them play a variant of

    min over G, max over D of   E_x[ log D(x) ] + E_z[ log(1 - D(G(z))) ]

Every loss is a mean over all logits it is given, so one that looks at patches, (batch, 1, height, width), fits as well as (batch,).

Papers: Goodfellow et al., NeurIPS 2014 (minimax, non-saturating). Salimans et al., NeurIPS 2016 (one-sided label smoothing).
Mao et al., ICCV 2017 (least squares). Lim & Ye, "Geometric GAN", 2017, and Miyato et al., ICLR 2018 (hinge).
Arjovsky, Chintala & Bottou, ICML 2017 (Wasserstein); Gulrajani et al., NeurIPS 2017 (gradient penalty).
Mescheder, Geiger & Nowozin, ICML 2018 (R1).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def minimax_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """-E[ log D(x) ] - E[ log(1 - D(G(z))) ]: a scalar in nats (Goodfellow et al., equation 1, with its sign turned).

    Args:
        real_logits, fake_logits: log-odds of being real, any shapes.
        real_target: what real samples count as; below 1, for instance 0.9, for one-sided label smoothing (Salimans et al., section 3.4). Fake
            samples keep the target 0: smoothing them too would make the best D(x) grow where only the generator has mass.
    """
    real = real_target * F.logsigmoid(real_logits) + (1 - real_target) * F.logsigmoid(-real_logits)
    return -real.mean() - F.logsigmoid(-fake_logits).mean()


def minimax_generator_loss(fake_logits: Tensor) -> Tensor:
    """E[ log(1 - D(G(z))) ]: a scalar in nats, below zero (Goodfellow et al., equation 1).

    Its gradient vanishes where the discriminator is sure, hence "saturating".
    """
    return F.logsigmoid(-fake_logits).mean()


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[ log D(G(z)) ]: a scalar in nats (Goodfellow et al., section 3).

    Has the fixed point of the minimax game, and a strong gradient just where the discriminator is sure.
    """
    return -F.logsigmoid(fake_logits).mean()


def least_squares_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """1/2 E[ (D(x) - 1)^2 ] + 1/2 E[ D(G(z))^2 ], D without a sigmoid: a scalar (Mao et al., equation 9)."""
    return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()


def least_squares_generator_loss(fake_logits: Tensor) -> Tensor:
    """1/2 E[ (D(G(z)) - 1)^2 ]: a scalar (Mao et al., equation 9)."""
    return 0.5 * (fake_logits - 1).square().mean()


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[ max(0, 1 - D(x)) ] + E[ max(0, 1 + D(G(z))) ]: a scalar (Lim & Ye; Miyato et al., equation 16)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[ D(G(z)) ]: a scalar (Miyato et al., equation 17)."""
    return -fake_logits.mean()


def wasserstein_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[ D(G(z)) ] - E[ D(x) ]: a scalar (Gulrajani et al., equation 3, first part).

    Its negative is a lower bound on the earth mover's distance as long as D has slope at most 1, which needs `gradient_penalty`.
    """
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[ D(G(z)) ]: a scalar (Arjovsky et al., algorithm 1)."""
    return -fake_logits.mean()


class AdversarialLoss(NamedTuple):
    """What each player minimises."""

    discriminator: Callable[[Tensor, Tensor], Tensor]  # (real_logits, fake_logits) -> scalar
    generator: Callable[[Tensor], Tensor]  # fake_logits -> scalar


LOSSES = {
    "minimax": AdversarialLoss(minimax_discriminator_loss, minimax_generator_loss),
    "non_saturating": AdversarialLoss(minimax_discriminator_loss, non_saturating_generator_loss),
    "least_squares": AdversarialLoss(least_squares_discriminator_loss, least_squares_generator_loss),
    "hinge": AdversarialLoss(hinge_discriminator_loss, hinge_generator_loss),
    "wasserstein": AdversarialLoss(wasserstein_critic_loss, wasserstein_generator_loss),
}


def interpolate(real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """weight * real + (1 - weight) * fake, of the shape of `real`: where the gradient penalty looks (Gulrajani et al., algorithm 1).

    Args:
        real, fake: of equal shape (batch, ...).
        weights: (batch,), uniform in [0, 1).
    """
    weights = weights.view(-1, *[1] * (real.ndim - 1))  # (batch,) -> (batch, 1, ...)
    return weights * real + (1 - weights) * fake


def input_gradient(logits: Tensor, inputs: Tensor) -> Tensor:
    """The gradient of each logit with respect to its own input, of the shape of `inputs`; can itself be differentiated.

    All logits are summed first, which is right only where a logit depends on no other sample of the batch: no batch norm in a
    discriminator with a gradient penalty (Gulrajani et al., section 4). `torch.compile` cannot look into this function.

    Args:
        logits: (batch, ...), computed from `inputs`.
        inputs: (batch, ...) that require a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient


def gradient_penalty(gradient: Tensor, weight: float = 10.0) -> Tensor:
    """weight * E[ (||gradient|| - 1)^2 ]: a scalar (Gulrajani et al., equation 3, second part).

    Args:
        gradient: of the critic at points between real and fake samples, (batch, ...).
    """
    norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1)  # (batch, ...) -> (batch, values) -> (batch,)
    return weight * (norms - 1).square().mean()


def r1_penalty(gradient: Tensor, weight: float = 10.0) -> Tensor:
    """weight / 2 * E[ ||gradient||^2 ]: a scalar (Mescheder et al., equation 9, where the weight is gamma).

    Args:
        gradient: of the discriminator at real samples, (batch, ...).
    """
    return weight / 2 * gradient.square().flatten(1).sum(dim=1).mean()  # (batch, ...) -> (batch, values) -> (batch,)
