"""Guidance: steering a diffusion model while it samples, without training it for that.

A condition y multiplies the density by p(y|x), so it adds a gradient to the score, scaled by w to ask for more of y than there would be:

    score(x|y)  =  score(x) + w * gradient of log p(y|x)                      classifier guidance: the gradient of a classifier of noisy pictures
                =  score(x) + w * (score(x|y) - score(x))                     classifier-free: one network trained with and without y

The score being -noise / noise_rate, both are sums of predicted noise. Above w = 1 samples are more typical of y and less varied: no longer
p(x|y). And for a picture known in part, its known pixels are noised and put in at every step.

Papers: Dhariwal & Nichol, "Diffusion models beat GANs on image synthesis", NeurIPS 2021. Ho & Salimans, "Classifier-free diffusion guidance", 2022.
Lin et al., WACV 2024 (rescale). Song et al., ICLR 2021 (inpainting, appendix I.2). Lugmayr et al., "RePaint", CVPR 2022.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from course_utils.diffusion.ddpm import Denoiser, Network, Prediction
from course_utils.diffusion.schedules import Level
from course_utils.layers import draw_normal


def drop_labels(labels: Tensor, uniform: Tensor, probability: float, null_label: int) -> Tensor:
    """Labels (batch,), some replaced by `null_label`, which says nothing: so that one network learns with and without (Ho & Salimans, algorithm 1).

    Args:
        labels: (batch,) int64.
        uniform: (batch,), uniform in [0, 1).
        probability: of being replaced, usually 0.1 to 0.2.
        null_label: a label that no picture has, usually the number of classes.
    """
    return torch.where(uniform < probability, null_label, labels)


def classifier_free(
    network: Network, null: int | Tensor, guidance_scale: float, guidance_rescale: float = 0.0
) -> Network:
    """A network `(noisy, timesteps, condition)` that answers guided (Ho & Salimans, equation 6, where the weight is the scale - 1).

    Right for any `prediction_type`, each being linear in the noise; asks the network once, about twice the batch. Not for a network with a
    learned variance, which would be extrapolated too.

    Args:
        null: the condition that says nothing: a label, or a tensor that broadcasts against conditions.
        guidance_scale: 0 ignores the condition, 1 is the network as it is, more exaggerates.
        guidance_rescale: share of the answer that is brought back to the conditional answer's standard deviation, see `rescale_guided`.
    """

    def guided(noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        nothing = torch.as_tensor(null, dtype=condition.dtype, device=condition.device).expand_as(condition)
        # (2 * batch, ...): with the condition and without
        both = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([condition, nothing]))
        conditional, unconditional = both.chunk(2)
        answer = unconditional + guidance_scale * (conditional - unconditional)
        return rescale_guided(answer, conditional, guidance_rescale) if guidance_rescale else answer

    return guided


def rescale_guided(guided: Tensor, conditional: Tensor, guidance_rescale: float) -> Tensor:
    """The guided answer with (a share of) its standard deviation brought back, against too strong contrast (Lin et al., equations 15 and 16).

    Args:
        guided, conditional: (batch, ...).
        guidance_rescale: 0 for none, 1 for all; the paper takes 0.7.
    """
    dimensions = tuple(range(1, guided.ndim))
    ratio = conditional.std(dim=dimensions, keepdim=True) / guided.std(dim=dimensions, keepdim=True)
    return guided * (guidance_rescale * ratio + 1 - guidance_rescale)


def classifier_guided(
    denoise: Denoiser, classifier: Callable[[Tensor, Tensor], Tensor], labels: Tensor, guidance_scale: float = 1.0
) -> Denoiser:
    """A denoiser steered by the gradient of log p(label | noisy) (Dhariwal & Nichol, algorithm 2).

    Not where no signal is left (zero terminal SNR): there the picture cannot be told from the noise.

    Args:
        classifier: `(noisy, timesteps) -> logits (batch, classes)`, trained on noisy pictures.
        labels: (batch,) int64.
        guidance_scale: of the gradient; 1 gives p(x | label).
    """

    def guided(noisy: Tensor, level: Level) -> Prediction:
        predicted = denoise(noisy, level)
        with torch.enable_grad():
            leaf = noisy.detach().requires_grad_()
            timesteps = torch.full((len(noisy),), level.timestep, device=noisy.device)
            chosen = classifier(leaf, timesteps).log_softmax(dim=1).gather(1, labels[:, None])  # (batch, 1)
            (gradient,) = torch.autograd.grad(chosen.sum(), leaf)
        noise = predicted.noise - guidance_scale * level.noise * gradient
        return predicted._replace(images=(noisy - level.noise * noise) / level.signal, noise=noise)

    return guided


def keep_known(
    images: Tensor, mask: Tensor, generator: torch.Generator | None = None
) -> Callable[[Tensor, Level], Tensor]:
    """A `constrain` for `samplers.sample`: what is known of a picture replaces what each step reached, as noisy as that (Song et al., appendix I.2).

    The known part is always right and ends exactly so, but a step does not know what it will be told next: the rest fits less well
    than under the true conditional density. `resampled` mends that.

    Args:
        images: (batch, ...), of which only the known part counts.
        mask: 1 where known, 0 elsewhere, of a shape that broadcasts against `images`.
        generator: of the noise.
    """

    def constrain(noisy: Tensor, level: Level) -> Tensor:
        noise = draw_normal(noisy.shape, generator, noisy.device, noisy.dtype)
        return mask * (level.signal * images + level.noise * noise) + (1 - mask) * noisy

    return constrain


def resampled(path: Sequence[Level], times: int) -> list[Level]:
    """A path on which every step but the last is taken `times` times, with a way back up in between (RePaint, algorithm 1).

    So the part that was drawn meets the known part anew and can be made to fit. It comes nearer to the true conditional density, not quite
    there, since each time the known part is seen through other noise. Asks the network about `times` as often.
    """
    walk = [path[0]]
    for now, after in pairwise(path[:-1]):
        walk += [after, *[now, after] * (times - 1)]
    return [*walk, path[-1]]
