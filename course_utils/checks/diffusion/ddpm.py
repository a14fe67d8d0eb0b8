"""Checks of notebook diffusion/ddpm."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.diffusion.tables import draw_table
from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.diffusion import schedules
from course_utils.diffusion.ddpm import Network, posterior, predict
from course_utils.diffusion.schedules import CLEAN, Level

__all__ = ["add_noise", "ancestral_step", "cosine_schedule", "loss_of_a_network", "posterior_mean"]


EXTREME = (0.9996, 0.99, 0.4, 0.02, 2e-5)  # from nearly 1 to nearly 0, as the notebook's own tables


def _extreme_table(first: float = EXTREME[0], second: float = EXTREME[1]) -> Tensor:
    """An `alphas_cumprod` (5,) from nearly 1 to nearly 0: whoever keeps a number away from 0 or 1 is found out."""
    return torch.tensor((first, second, *EXTREME[2:]))


def _rates(alphas_cumprod: Tensor, timesteps: Tensor, like: Tensor) -> Tensor:
    """alphas_cumprod at each of the timesteps (batch,), to broadcast against `like` (batch, ...)."""
    return alphas_cumprod[timesteps].view(-1, *[1] * (like.ndim - 1))


# --- exercise 1: a jump -----------------------------------------------------------------------------------------------


def _noised(images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    rate = _rates(alphas_cumprod, timesteps, images)
    return rate.sqrt() * images + (1 - rate).sqrt() * noise


def _mixed(signal: Callable[[Tensor], Tensor], noise_rate: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A jump with other rates, each a function of alphas_cumprod."""

    def add_noise(images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
        rate = _rates(alphas_cumprod, timesteps, images)
        return signal(rate) * images + noise_rate(rate) * noise

    return add_noise


def _walked(image: Tensor, noise: Tensor, timestep: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """A picture after all single steps up to `timestep`, with one and the same noise in each."""
    alphas = alphas_cumprod / F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    for alpha in alphas[: timestep + 1]:
        image = alpha.sqrt() * image + (1 - alpha).sqrt() * noise
    return image


def _jump(draw: Draw, steps: int, *shape: int) -> tuple[Tensor, ...]:
    """Pictures or points of a shape (batch, ...), noise, a time for each that differs from the others', and the table."""
    timesteps = draw.uniform(steps).argsort()[: shape[0]]
    return draw.normal(*shape), draw.normal(*shape), timesteps, draw_table(draw, steps)


def _extreme_jump(draw: Draw, *shape: int) -> tuple[Tensor, ...]:
    """What a jump needs with a table from nearly 1 to nearly 0, each of whose five times comes up."""
    return draw.normal(5, *shape), draw.normal(5, *shape), torch.tensor([3, 0, 4, 2, 1]), _extreme_table()


_JUMP_GUARD = (
    "Your result is wrong only with a table like the notebook's, from nearly 1 to nearly 0. Do you keep alphas_cumprod, or 1 - alphas_cumprod, away from 0 (clamp, + eps)? "
    "Neither is ever 0, and nothing divides by them here: take them as they are."
)
_SQUARE = (
    "Your result is wrong only where the batch is as large as the picture is wide. alphas_cumprod[timesteps] is (batch,), and without further axes it lies along the *last* axis of "
    "(batch, channels, height, width): each column gets a time, not each picture. Reshape it to (batch, 1, 1, 1)."
)

add_noise = Check(
    name="add_noise",
    signature=("images", "noise", "timesteps", "alphas_cumprod"),
    reference=_noised,
    holds="each picture at its own time, points as well as pictures, signal and noise with their roots",
    look='01_ddpm, exercise 1 "Any step in one jump"',
    hint="a = alphas_cumprod[timesteps] is one number a picture, (batch,). Give it further axes, then sqrt(a) * images + sqrt(1 - a) * noise.",
    cases=(
        Case("5 points of the plane", lambda draw: _jump(draw, 8, 5, 2)),
        Case("3 pictures of 2 channels, 4x6", lambda draw: _jump(draw, 9, 3, 2, 4, 6)),
        Case("4 pictures of 1 channel, 4x4", lambda draw: _jump(draw, 9, 4, 1, 4, 4), alone=_SQUARE),
        Case("2 points of the plane", lambda draw: _jump(draw, 6, 2, 2), alone=_SQUARE),
        Case("5 points, alphas_cumprod from 0.9996 to 0.00002", lambda draw: _extreme_jump(draw, 3), alone=_JUMP_GUARD),
    ),
    hidden_cases=(
        Case(
            "5 pictures, alphas_cumprod from 0.9996 to 0.00002",
            lambda draw: _extreme_jump(draw, 1, 2, 3),
            alone=_JUMP_GUARD,
        ),
        Case("7 points of 3 numbers", lambda draw: _jump(draw, 12, 7, 3)),
        Case("2 pictures of 3 channels, 5x3", lambda draw: _jump(draw, 20, 2, 3, 5, 3)),
    ),
    gradients="required",
    differentiable=("images",),  # of the noise as well, code that draws its own would be told of a gradient first
    mistakes=(
        Mistake(
            _mixed(lambda a: a, lambda a: 1 - a),
            "The roots are missing. Variances add up, not widths: for the sum to keep variance 1 the *squares* of the two factors must add up to 1, so they are sqrt(a) and sqrt(1 - a), with a = alphas_cumprod[t].",
        ),
        Mistake(
            _mixed(lambda a: (1 - a).sqrt(), lambda a: a.sqrt()),
            "Signal and noise are swapped: alphas_cumprod falls from nearly 1 to nearly 0, and it is the *picture* that fades, with the factor sqrt(alphas_cumprod[t]).",
        ),
        Mistake(
            _mixed(lambda a: a.sqrt(), lambda a: 1 - a),
            "The picture's root is there, the noise's is missing: 1 - alphas_cumprod[t] is the *variance* of the noise, and a normal number is multiplied by the standard deviation.",
        ),
        Mistake(
            _mixed(lambda a: a, lambda a: (1 - a).sqrt()),
            "The noise's root is there, the picture's is missing: the picture is multiplied by sqrt(alphas_cumprod[t]).",
        ),
        Mistake(
            _mixed(lambda a: a.sqrt(), lambda a: 1 - a.sqrt()),
            "With a = alphas_cumprod[t], you took 1 - sqrt(a) for the noise: the two factors do not add up to 1, their *squares* do. It is sqrt(1 - a).",
        ),
        Mistake(
            _mixed(lambda a: a.sqrt(), torch.ones_like),
            "The noise is not scaled: it is added at full strength from the first step on. Multiply it by sqrt(1 - alphas_cumprod[t]).",
        ),
        Mistake(
            _mixed(torch.ones_like, lambda a: (1 - a).sqrt()),
            "The picture never fades: it has to be multiplied by sqrt(alphas_cumprod[t]), or it would be left in full under the noise of the last step.",
        ),
        Mistake(
            _mixed(lambda a: a.sqrt(), lambda a: -(1 - a).sqrt()),
            "The noise is subtracted. As a distribution that is the same, but the network is to tell the noise that was *added*: with this sign it would learn minus the noise.",
        ),
        Mistake(
            _mixed(torch.ones_like, lambda a: ((1 - a) / a).sqrt()),
            "This is x_t / sqrt(alphas_cumprod[t]), the picture plus noise of size sigma: another convention, in which the noise grows without bound. Here both are scaled, so that the variance stays 1.",
        ),
        Mistake(
            _mixed(lambda a: a.sqrt(), lambda a: (1 - a.square()).sqrt()),
            "You squared alphas_cumprod once more: it is the *square* of the picture's factor already, so the noise's variance is 1 - alphas_cumprod[t].",
        ),
        Mistake(
            _mixed(lambda a: 1 - a.sqrt(), lambda a: a.sqrt()),
            "Signal and noise are swapped, and the picture's factor is not a root of a difference: with a = alphas_cumprod[t] it is sqrt(a) times the picture plus sqrt(1 - a) times the noise.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t - 1, a),
            "You are one step too early (t - 1): alphas_cumprod[t] belongs to x_t. At t = 0 yours even jumps to the end of the table, where index -1 points.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t[:1].expand_as(t), a),
            "All pictures get the time of the first one: alphas_cumprod[timesteps] has one entry a picture, (batch,). Keep all of them.",
        ),
        Mistake(
            lambda x, e, t, a: a[t].sqrt() * x + (1 - a[t]).sqrt() * e,
            "The factors (batch,) lie along the *last* axis of the data, because broadcasting begins at the end: give them further axes, (batch, 1) for points and (batch, 1, 1, 1) for "
            "pictures. Beware: where the batch is as large as that axis no error tells you.",
        ),
        Mistake(
            lambda x, e, t, a: a[t].view(-1, 1, 1, 1).sqrt() * x + (1 - a[t].view(-1, 1, 1, 1)).sqrt() * e,
            "You give the factors the axes of a picture always, (batch, 1, 1, 1): points (batch, 2) are spread out by that. As many axes as the data have: "
            ".view(-1, *[1] * (images.ndim - 1)).",
        ),
        Mistake(
            lambda x, e, t, a: a[t][:, None].sqrt() * x + (1 - a[t][:, None]).sqrt() * e,
            "You give the factors one further axis, (batch, 1), which is right for points only: pictures need (batch, 1, 1, 1). As many axes as the data have: "
            ".view(-1, *[1] * (images.ndim - 1)).",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, a.cumprod(0)),
            "You took the running product once more: alphas_cumprod is already the product of all alphas up to t.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, a / torch.cat([torch.ones_like(a[:1]), a[:-1]])),
            "You went one single step, with alpha_t = alphas_cumprod[t] / alphas_cumprod[t - 1]. A jump from the clean picture takes alphas_cumprod[t] itself.",
        ),
        Mistake(
            lambda x, e, t, a: (_noised(x, e, t, a), e),
            "You return the noise as well: who calls this function has it already. Return x_t alone.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, a).clamp(-1, 1),
            "You clamp the result to [-1, 1]. Noise is not a picture: its values go far beyond, and cut off it is not normal any more.",
        ),
        Mistake(
            _mixed(lambda a: a, lambda a: (1 - a.square()).sqrt()),
            "You took alphas_cumprod[t] for the picture's factor. It is the *square* of that factor, so the factors are its root and sqrt(1 - alphas_cumprod[t]).",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, F.pad(a, (1, 0), value=1.0)),
            "You are one step too early: entry 0 of alphas_cumprod is already the state after *one* step, so no 1 is put in front of it.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, torch.cat([torch.ones_like(a[:1]), a[1:]])),
            "At t = 0 you return the clean picture. Index 0 is the state after *one* step: it has a little noise already.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, (t + 1).clamp(max=len(a) - 1), a),
            "You are one step too late (t + 1): alphas_cumprod[t] belongs to x_t, and entry 0 is the state after one step.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, a.flip(0)),
            "You read alphas_cumprod from its end: it falls, entry 0 has the least noise, and time t is simply entry t.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, t, 1 - torch.arange(len(a)) / len(a)),
            "You took 1 - t / T for what is left of the picture. How fast it fades stands in alphas_cumprod: take its entry t.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(x, e, torch.zeros_like(t), a[t].mean().expand(1)),
            "All pictures get one time, a mean: alphas_cumprod[timesteps] has one entry a picture, (batch,). Keep all of them, and give them further axes.",
        ),
        Mistake(
            lambda x, e, t, a: _noised(e, -x, t, a),
            "This is the velocity, which comes later in the notebook: x_t is sqrt(a) times the picture plus sqrt(1 - a) times the noise, with a = alphas_cumprod[t].",
        ),
        Mistake(
            lambda x, e, t, a: torch.stack([_walked(*of, a) for of in zip(x, e, t, strict=True)]),
            "You walk step by step and add the *same* noise each time, so that it adds up to more than it should: independent noises add up in their variances only. Jump at once, with alphas_cumprod[t].",
        ),
    ),
)


# --- exercise 2: the cosine schedule ----------------------------------------------------------------------------------


def _cosine_schedule(num_train_timesteps: int, offset: float = 0.008) -> Tensor:
    return torch.from_numpy(schedules.cosine(num_train_timesteps, offset)).float()


def _share(steps: int, offset: float) -> Tensor:
    """f(t) of the paper at t = 0, 1, ..., steps, (steps + 1,) float64."""
    times = _times(steps)
    return torch.cos((times + offset) / (1 + offset) * math.pi / 2).square()


def _clipped(levels: Tensor, largest: float = 0.999, smallest: float = -math.inf) -> Tensor:
    """alphas_cumprod (steps,) from f at steps + 1 times."""
    return (1 - (1 - levels[1:] / levels[:-1]).clamp(smallest, largest)).cumprod(0).float()


def _times(steps: int) -> Tensor:
    """t/T at t = 0, 1, ..., steps, (steps + 1,) float64."""
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)


def _betas(levels: Tensor) -> Tensor:
    return (1 - levels[1:] / levels[:-1]).clamp(max=0.999).float()


def _of(levels: Callable[[Tensor, float], Tensor], smallest: float = -math.inf) -> Callable[..., Tensor]:
    """A schedule with another f, a function of times (steps + 1,) in [0, 1] and the offset; betas below `smallest` are clipped too."""

    def cosine_schedule(num_train_timesteps: int, offset: float = 0.008) -> Tensor:
        return _clipped(levels(_times(num_train_timesteps), offset), smallest=smallest)

    return cosine_schedule


_NO_DIVISION = (
    "The division by 1 + s is missing: the cosine then passes its zero before the last step, and rises again after it."
)
_LINEAR_LIMIT = "You clip the betas at 0.02, the largest beta of the *linear* schedule: here the limit is 0.999."
_TO_PI = "The angle ends at pi in place of pi/2: the squared cosine falls to 0 in the middle and rises to 1 again."
_SINE = "The sine in place of the cosine: it rises, while the picture has to fade."

cosine_schedule = Check(
    name="cosine_schedule",
    signature=("num_train_timesteps", "offset"),
    reference=_cosine_schedule,
    holds="the squared cosine, 1 at the clean picture that is left out, no beta above 0.999",
    look='01_ddpm, exercise 2 "The cosine schedule"',
    hint="f at T + 1 times from 0 to 1; betas = 1 - f[1:] / f[:-1], clipped; (1 - betas).cumprod(0).",
    cases=(
        Case("10 steps", lambda draw: (10, 0.008)),
        Case("4 steps with a larger offset", lambda draw: (4, 0.1)),
        Case("1000 steps", lambda draw: (1000, 0.008)),
        Case("3000 steps", lambda draw: (3000, 0.008)),
    ),
    hidden_cases=(Case("25 steps, offset 0.02", lambda draw: (25, 0.02)), Case("2 steps", lambda draw: (2, 0.05))),
    relative=1e-3,
    absolute=1e-7,
    mistakes=(
        Mistake(
            _of(lambda t, s: torch.cos((t + s) / (1 + s) * math.pi / 2)),
            "The square is missing: alphas_cumprod is the *square* of the picture's factor, and it is this factor that follows a cosine.",
        ),
        Mistake(
            lambda steps, s: (_share(steps, s) / _share(steps, s)[0])[:-1].float(),
            "You begin at t = 0, the clean picture: the first entry is 1, so the first step adds no noise, and the last one leaves some of the picture. The table holds t = 1 ... T.",
        ),
        Mistake(
            lambda steps, s: _clipped(
                torch.cat([torch.ones(1, dtype=torch.float64), _share(steps - 1, s) / _share(steps - 1, s)[0]])
            ),
            "You took T times from 0 to 1, both ends among them: the first entry is then the clean picture. There are T + 1 times, and the first is left out.",
        ),
        Mistake(
            _of(lambda t, s: torch.cos(t * math.pi / 2).square()),
            "The offset does not enter: f(t) = cos^2( (t/T + s) / (1 + s) * pi/2 ). Without it the first steps are so small that the network can hardly tell them from none.",
        ),
        Mistake(
            _of(lambda t, s: torch.cos((t + s) * math.pi / 2).square()),
            _NO_DIVISION,
        ),
        Mistake(_of(lambda t, s: torch.cos((t + s) * math.pi / 2).square(), smallest=0.0), _NO_DIVISION),
        Mistake(
            _of(lambda t, s: torch.cos(t / (1 + s) * math.pi / 2).square()),
            "The offset is added below (1 + s), but not above: the time is (t/T + s) / (1 + s).",
        ),
        Mistake(
            lambda steps, s: _share(steps, s)[1:].float(),
            "You return f(t) as it is. It is divided by f(0), so that the clean picture has 1; and no beta may exceed 0.999.",
        ),
        Mistake(
            lambda steps, s: (_share(steps, s) / _share(steps, s)[0])[1:].float(),
            "The betas are not clipped: the last entry is 0, so the last step would leave nothing of the picture, and no way back could be computed. No beta above 0.999.",
        ),
        Mistake(
            lambda steps, s: _betas(_share(steps, s)),
            "These are the betas. The table that is asked for is the running product of 1 - beta.",
        ),
        Mistake(
            lambda steps, s: 1 - _betas(_share(steps, s)),
            "These are the alphas, 1 - beta of each single step: their running product is asked for, .cumprod(0).",
        ),
        Mistake(
            _of(lambda t, s: torch.cos((t + s) / (1 + s) * math.pi).square()),
            _TO_PI,
        ),
        Mistake(_of(lambda t, s: torch.cos((t + s) / (1 + s) * math.pi).square(), smallest=0.0), _TO_PI),
        Mistake(
            lambda steps, s: 1 - _cosine_schedule(steps, s),
            "This is 1 minus the table, the variance of the noise: alphas_cumprod falls from nearly 1 to nearly 0.",
        ),
        Mistake(
            lambda steps, s: _cosine_schedule(steps, s).sqrt(),
            "This is the root of the table, the picture's factor: alphas_cumprod is its square.",
        ),
        Mistake(
            lambda steps, s: (_share(steps, s) / _share(steps, s)[0])[1:].clamp(min=0.001).float(),
            "You keep alphas_cumprod itself above 0.001. It is the *betas* that are kept below 0.999: the last entry is then a thousandth of the one before.",
        ),
        Mistake(
            lambda steps, s: torch.cat([torch.ones(1), _cosine_schedule(steps, s)]),
            "Your table has T + 1 entries, the clean picture among them: leave its 1 out, so that index t belongs to step t.",
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps, s), largest=0.02),
            _LINEAR_LIMIT,
        ),
        Mistake(lambda steps, s: _clipped(_share(steps, s), largest=0.02, smallest=1e-4), _LINEAR_LIMIT),
        Mistake(
            lambda steps, s: (1 - _betas(_share(steps, s)).cumsum(0)).float(),
            "You add up the betas. What is left after several steps is the *product* of what each of them leaves: (1 - betas).cumprod(0).",
        ),
        Mistake(
            lambda steps, s: _betas(_share(steps, s)).cumprod(0),
            "You multiply the betas. Each step *leaves* 1 - beta: (1 - betas).cumprod(0).",
        ),
        Mistake(
            lambda steps, s: torch.from_numpy(schedules.linear(steps)).float(),
            "This is the linear schedule, with betas on a straight line from 0.0001 to 0.02: here alphas_cumprod follows a squared cosine.",
        ),
        Mistake(
            _of(lambda t, s: torch.sin((t + s) / (1 + s) * math.pi / 2).square()),
            _SINE,
        ),
        Mistake(_of(lambda t, s: torch.sin((t + s) / (1 + s) * math.pi / 2).square(), smallest=0.0), _SINE),
        Mistake(
            lambda steps, s: torch.from_numpy(schedules.cosine(steps, s)),
            "The values are right, but in float64, which the networks are not made for (and some devices have not at all): end with .float().",
        ),
        Mistake(
            lambda steps, s: _cosine_schedule(steps, s).flip(0),
            "The table runs backwards: entry 0 belongs to the first step, which adds the least noise.",
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps, 0.008)),
            "The argument `offset` does not enter: you took 0.008 whatever it is.",
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps - 1, s)),
            "One entry is missing. T betas are quotients of neighbours among T + 1 values of f, f(0) to f(T): linspace(0, 1, T + 1), or arange(T + 1) / T.",
        ),
        Mistake(
            lambda steps, s: _cosine_schedule(steps, s)[:-1],
            "The last entry is missing: the table holds all of t = 1 ... T, and the last step is the one that is clipped.",
        ),
        Mistake(
            lambda steps, s: (_share(steps - 1, s) / _share(steps - 1, s)[0]).float(),
            "You took T times from 0 to 1, both ends among them: the first entry is then the clean picture, 1. The table holds t = 1 ... T, each divided by T; and no beta may exceed 0.999.",
        ),
        Mistake(
            lambda steps, s: _clipped(
                torch.cos((torch.arange(steps + 1).double() + s) / steps / (1 + s) * math.pi / 2).square()
            ),
            "The offset is divided by T with the time: (t + s) / T. It is t/T + s.",
        ),
        Mistake(
            _of(lambda t, s: torch.cos(t + s / (1 + s) * math.pi / 2).square()),
            "A bracket is missing: s alone is divided by 1 + s and multiplied by pi/2. It is (t/T + s) / (1 + s) * pi/2.",
        ),
        Mistake(
            _of(lambda t, s: torch.cos(((t + s) / (1 + s) * math.pi / 2).square())),
            "You squared the angle: it is the *cosine* that is squared, cos(...) ** 2.",
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps, s), largest=0.99), "You clip the betas at 0.99: the limit is 0.999."
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps, s), largest=0.9999),
            "You clip the betas at 0.9999: the limit is 0.999.",
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps, s), largest=0.9999, smallest=1e-4),
            "You clip the betas to [0.0001, 0.9999]: the limit is 0.999, and there is none below.",
        ),
        Mistake(
            lambda steps, s: _clipped(_share(steps, s), smallest=1e-4),
            "You keep the betas above 0.0001 as well. In a chain of many steps the first ones are smaller than that: they are only kept below 0.999.",
        ),
        Mistake(
            lambda steps, s: (_share(steps, s)[1:] / _share(steps, s)[:-1]).clamp(max=0.999).cumprod(0).float(),
            "You clip the *alphas* at 0.999, so that every step adds noise: it is the betas, 1 - alpha, that are kept below 0.999.",
        ),
        Mistake(
            lambda steps, s: _clipped(F.pad(_share(steps, s)[1:], (1, 0), value=1.0)),
            "The first beta is taken against 1, or the table is not divided by f(0): f(0) is a little below 1, and belongs to the clean picture.",
        ),
        Mistake(
            lambda steps, s: (1 - (-_share(steps, s).diff() / _share(steps, s)[0]).clamp(max=0.999)).cumprod(0).float(),
            "You took the *difference* of neighbours for beta: a step takes away a share of what is still there, beta = 1 - f[1:] / f[:-1].",
        ),
        Mistake(
            lambda steps, s: _clipped(1 / _share(steps, s)),
            "The quotient is upside down: beta = 1 - (later) / (earlier), f[1:] / f[:-1].",
        ),
        Mistake(
            lambda steps, s: (1 - _betas(_share(steps, s)).cumprod(0)).float(),
            "You multiply the betas and subtract the product from 1. Each step *leaves* 1 - beta, and these are multiplied: (1 - betas).cumprod(0).",
        ),
    ),
)


# --- exercise 3: the loss ---------------------------------------------------------------------------------------------


def diffusion_loss(
    network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """What the exercise asks for; `loss_of_a_network` is the notebook's way to check it."""
    return F.mse_loss(network(_noised(images, noise, timesteps, alphas_cumprod), timesteps), noise)


Loss = Callable[[Network, Tensor, Tensor, Tensor, Tensor], Tensor]


def _of_a_network(diffusion_loss: Loss) -> Callable[..., Tensor]:
    """The notebook's `loss_of_a_network` with this loss."""

    def loss_of_a_network(
        weight: Tensor, images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor
    ) -> Tensor:
        def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
            features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10], dim=1)
            return torch.tanh(features @ weight).view_as(noisy)

        return diffusion_loss(network, images, noise, timesteps, alphas_cumprod)

    return loss_of_a_network


def _error(distance: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss with another distance of answer and noise."""
    return _of_a_network(lambda network, x, e, t, a: distance(network(_noised(x, e, t, a), t), e))


def _wanted(what: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss with another thing to predict: a function of images, noise, x_t and the rate."""

    def diffusion_loss(network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor) -> Tensor:
        noisy = _noised(images, noise, timesteps, table)
        return F.mse_loss(network(noisy, timesteps), what(images, noise, noisy, _rates(table, timesteps, images)))

    return _of_a_network(diffusion_loss)


def _seen(what: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss with another thing shown to the network: a function of images, noise and the rate."""
    return _of_a_network(
        lambda network, x, e, t, a: F.mse_loss(network(what(x, e, _rates(a, t, x)).expand_as(x), t), e)
    )


def _weighed(weight: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss with a weight: a function of alphas_cumprod at the picture's time, and one step before."""

    def diffusion_loss(network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor) -> Tensor:
        now, before = (_rates(a, timesteps, images) for a in (table, F.pad(table[:-1], (1, 0), value=1.0)))
        error = (network(_noised(images, noise, timesteps, table), timesteps) - noise).square()
        return (weight(now, before) * error).mean()

    return _of_a_network(diffusion_loss)


def _time_forgotten(*_: Tensor) -> Tensor:
    raise TypeError("loss_of_a_network.<locals>.network() missing 1 required positional argument: 'timesteps'")


def _told(when: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss with another time told to the network: a function of timesteps and the table."""
    return _of_a_network(lambda network, x, e, t, a: F.mse_loss(network(_noised(x, e, t, a), when(t, a)), e))


def _asked(draw: Draw, steps: int, *shape: int) -> tuple[Tensor, ...]:
    """Weights of a small network, and what a jump needs."""
    features = math.prod(shape[1:])
    return 0.6 * draw.normal(features + 1, features), *_jump(draw, steps, *shape)


_NO_WEIGHT = "You weigh the errors by a factor that depends on t. The loss has none, on purpose: all times count alike."

loss_of_a_network = Check(
    name="loss_of_a_network",
    signature=("weight", "images", "noise", "timesteps", "alphas_cumprod"),
    reference=_of_a_network(diffusion_loss),
    holds="the mean squared error of the noise, seen in x_t at its own time, with gradient to the network",
    look='01_ddpm, exercise 3 "The training loss": your diffusion_loss, which loss_of_a_network calls',
    hint="In your diffusion_loss: noisy = add_noise(...); predicted = network(noisy, timesteps); the mean over everything of (predicted - noise) squared.",
    cases=(
        Case("6 points of the plane", lambda draw: _asked(draw, 20, 6, 2)),
        Case("3 pictures of 2 channels, 2x3", lambda draw: _asked(draw, 20, 3, 2, 2, 3)),
    ),
    hidden_cases=(
        Case("1 picture of 1 channel, 3x3", lambda draw: _asked(draw, 15, 1, 1, 3, 3)),
        Case("8 points of 3 numbers", lambda draw: _asked(draw, 15, 8, 3)),
    ),
    gradients="required",
    differentiable=("weight",),
    mistakes=(
        Mistake(
            _wanted(lambda x, e, noisy, a: x),
            "You compare with the clean picture. That is a model as well (and a fair one, see below), but here the network is to tell the *noise*.",
        ),
        Mistake(
            _wanted(lambda x, e, noisy, a: noisy),
            "You compare with x_t, which the network is shown: it would learn to hand on its input. Compare with the noise.",
        ),
        Mistake(
            _wanted(lambda x, e, noisy, a: (1 - a).sqrt() * e),
            "You compare with the noise as it was added, times sqrt(1 - alphas_cumprod): the network is to tell it at its full size, `noise` itself, so that all times count alike.",
        ),
        Mistake(
            _wanted(lambda x, e, noisy, a: a.sqrt() * e - (1 - a).sqrt() * x),
            "This is the velocity, which is asked for later: here the network is to tell the noise.",
        ),
        Mistake(
            _seen(lambda x, e, a: x),
            "The network is shown the *clean* picture: it could never find the noise in it. Show it x_t.",
        ),
        Mistake(
            _seen(lambda x, e, a: e),
            "The network is shown the noise alone: it would only have to hand it on. Show it x_t, in which picture and noise are mixed.",
        ),
        Mistake(
            _seen(lambda x, e, a: x + e),
            "Noise of full size is added to the picture at every time: use your add_noise, which mixes them by the time.",
        ),
        Mistake(
            _seen(lambda x, e, a: a * x + (1 - a) * e),
            "In x_t the roots are missing. Use your add_noise of exercise 1.",
        ),
        Mistake(
            _told(lambda t, a: t / len(a)),
            "You tell the network t / T. Some networks are made for that; ours are made for t itself, as it stands in `timesteps`.",
        ),
        Mistake(
            _told(lambda t, a: a[t]),
            "You tell the network alphas_cumprod[timesteps] in place of the time: pass on `timesteps` as they are.",
        ),
        Mistake(
            _told(lambda t, a: t[:1].expand_as(t)),
            "You tell the network the first picture's time for all of them: pass on all of `timesteps`.",
        ),
        Mistake(
            _told(lambda t, a: torch.zeros_like(t)),
            "You tell the network time 0 whatever the time is: without it, it cannot know how much noise to expect.",
        ),
        Mistake(
            _told(lambda t, a: t + 1),
            "You tell the network t + 1: time t of the table is what sampling will tell it too, so both must count alike.",
        ),
        Mistake(
            _of_a_network(lambda network, x, e, t, a: F.mse_loss(network(t, _noised(x, e, t, a)), e)),
            "The network's arguments are swapped: it is called as network(noisy, timesteps).",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).square().sum()),
            "You summed over everything: the loss is a mean, or it would grow with the batch and with the size of the pictures.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).square().flatten(1).sum(1).mean()),
            "You summed over the values of a picture: here all is averaged, values as well as pictures.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).square()),
            "You return the squared error of each value: the mean is still missing.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).square().flatten(1).mean(1)),
            "You return a loss for each picture: the mean over the batch is still missing.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).abs().mean()),
            "You took the absolute error. The square makes the best answer the *mean* of all noise that could be in x_t; the absolute value would make it the median.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).square().mean().sqrt()),
            "You took the root of the mean squared error: there is no root in the loss.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).mean().square()),
            "You averaged before squaring: errors of opposite sign have cancelled by then. First square, then mean.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).mean()),
            "The square is missing: errors of opposite sign cancel, and the loss can fall below zero.",
        ),
        Mistake(
            _error(lambda got, wanted: 0.5 * (got - wanted).square().mean()),
            "There is a factor 1/2 too many: the loss is the plain mean squared error.",
        ),
        Mistake(
            _error(lambda got, wanted: (got + wanted).square().mean()),
            "You added answer and noise: the network would learn minus the noise. The loss takes their difference.",
        ),
        Mistake(
            _error(lambda got, wanted: F.mse_loss(got.detach(), wanted)),
            "The value is right, but it is cut off from the graph (detach, .data or no_grad): the network could learn nothing from it.",
        ),
        Mistake(
            _error(lambda got, wanted: F.mse_loss(got, wanted).item()),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            _of_a_network(lambda network, x, e, t, a: -diffusion_loss(network, x, e, t, a)),
            "The sign is turned: the optimizer makes this small, so the error has to enter with a plus.",
        ),
        Mistake(
            _of_a_network(
                lambda network, x, e, t, a: F.mse_loss(
                    network(a[t].view(-1, 1, 1, 1).sqrt() * x + (1 - a[t].view(-1, 1, 1, 1)).sqrt() * e, t), e
                )
            ),
            "What you show the network has not the shape of the images: (batch, 1, 1, 1) fits pictures, but spreads points out. Your add_noise of exercise 1 serves both.",
        ),
        Mistake(
            _told(lambda t, a: t[:, None]),
            "You give the times a second axis. The network takes `timesteps` as they are, (batch,).",
        ),
        Mistake(_time_forgotten, "You do not tell the network the time: call it as network(noisy, timesteps)."),
        Mistake(
            _told(lambda t, a: t - 1),
            "You tell the network t - 1: time t of the table is what sampling will tell it too, so both must count alike.",
        ),
        Mistake(
            _told(lambda t, a: (1 - a[t]).sqrt()),
            "You tell the network the noise's factor in place of the time. Some networks are made for that; ours takes `timesteps` as they are.",
        ),
        Mistake(
            _seen(lambda x, e, a: a.sqrt() * e + (1 - a).sqrt() * x),
            "Picture and noise are swapped in what the network is shown: add_noise(images, noise, timesteps, alphas_cumprod).",
        ),
        Mistake(
            _of_a_network(
                lambda network, x, e, t, a: diffusion_loss(network, x, e, t, a / F.pad(a[:-1], (1, 0), value=1.0))
            ),
            "You noise the picture by a single step only: hand alphas_cumprod to add_noise as it is.",
        ),
        Mistake(
            _of_a_network(lambda network, x, e, t, a: diffusion_loss(network, x, e, t, a.cumprod(0))),
            "You took the running product once more: hand alphas_cumprod to add_noise as it is.",
        ),
        Mistake(
            _of_a_network(lambda network, x, e, t, a: F.mse_loss(network(_noised(x, e, t, a).clamp(-1, 1), t), e)),
            "You clamp x_t to [-1, 1] before the network sees it: its values go far beyond, and what is cut off cannot be told any more.",
        ),
        Mistake(
            _wanted(lambda x, e, noisy, a: noisy - x),
            "You compare with noisy - images. The picture has *faded* in x_t, so this is not the noise: compare with `noise` itself.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).flatten(1).norm(dim=1).mean()),
            "You took the length of the error, without its square: the loss is the mean of the squared errors of all values.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).norm()),
            "You took the length of the whole error, without its square and without a mean: the loss is the mean of the squared errors of all values.",
        ),
        Mistake(
            _error(lambda got, wanted: (got - wanted).square().sum(1).mean()),
            "You summed over the second axis: here all is averaged, the numbers of a point and the channels of a picture as well.",
        ),
        Mistake(
            _error(lambda got, wanted: F.smooth_l1_loss(got, wanted)),
            "This is the Huber loss, which turns into the absolute error for large ones: here all errors are squared.",
        ),
        Mistake(
            _error(lambda got, wanted: (got.flatten(1)[:, None] - wanted.flatten(1)).square().mean()),
            "Each answer is compared with *every* picture's noise: the two shapes differ by an axis of length 1, and broadcasting fits them together. Compare tensors of one shape.",
        ),
        Mistake(
            _of_a_network(
                lambda network, x, e, t, a: F.mse_loss(
                    (_noised(x, e, t, a) - (1 - _rates(a, t, x)).sqrt() * network(_noised(x, e, t, a), t))
                    / _rates(a, t, x).sqrt(),
                    x,
                )
            ),
            "You turn the answer into a picture and compare pictures. That is the error of the noise times (1 - a) / a, a factor depending on t, which is left out on purpose: compare the noise.",
        ),
        Mistake(_weighed(lambda now, before: now / (1 - now)), _NO_WEIGHT),
        Mistake(_weighed(lambda now, before: 1 - now), _NO_WEIGHT),
        Mistake(_weighed(lambda now, before: now), _NO_WEIGHT),
        Mistake(
            _weighed(lambda now, before: (1 - now / before) / (2 * now / before * (1 - now))),
            "This is the bound's own weight of each step, up to the choice of sigma_t: pictures become better without it, so it is left out on purpose. All times count alike.",
        ),
    ),
)


# --- exercise 4: the posterior mean -----------------------------------------------------------------------------------


def _before(table: Tensor, timestep: int) -> Tensor:
    return table[timestep - 1] if timestep > 0 else torch.ones_like(table[0])


def _levels(table: Tensor, timestep: int) -> tuple[Level, Level]:
    """The level of a step, and of the one before it."""

    def level(step: int) -> Level:
        return Level(step, table[step].sqrt(), (1 - table[step]).sqrt()) if step >= 0 else CLEAN

    return level(timestep), level(timestep - 1)


def _posterior_mean(images: Tensor, noisy: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
    return posterior(images, noisy, *_levels(alphas_cumprod, timestep))[0]


def _weighted(weights: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
    """A mean with other weights of picture and x_t: functions of alphas_cumprod now and before."""

    def posterior_mean(images: Tensor, noisy: Tensor, timestep: int, alphas_cumprod: Tensor) -> Tensor:
        of_images, of_noisy = weights(alphas_cumprod[timestep], _before(alphas_cumprod, timestep))
        return of_images * images + of_noisy * noisy

    return posterior_mean


def _right_weights(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    alpha = now / before
    return before.sqrt() * (1 - alpha) / (1 - now), alpha.sqrt() * (1 - before) / (1 - now)


def _step_back(draw: Draw, steps: int, timestep: int, *shape: int) -> tuple:
    return draw.normal(*shape), draw.normal(*shape), timestep, draw_table(draw, steps)


_FIRST_STEP = (
    "Your result is wrong at t = 0 only. Before the first step stands the clean picture, whose alphas_cumprod is 1; an index -1 would fetch the *last* entry of the table, pure noise. "
    "With 1 the weights become 1 for the picture and 0 for x_t."
)
_GUARD = (
    "Your result is wrong only with a table like the notebook's, from nearly 1 to nearly 0: you keep something away from 0 or from 1 (clamp, min, max, + eps). Take all as it is: "
    "1 - alphas_cumprod is never 0, and at t = 0 it has to cancel exactly against beta."
)
_PLAIN_ONE = "A plain 1 has no .sqrt(), and torch.sqrt takes no number: write torch.ones_like(now) for alphas_cumprod before t = 0, or ** 0.5 for the root."


def _with_one(root: Callable[[Any], Any], one: float) -> Callable[..., Tensor]:
    """The right mean, but with a plain number for alphas_cumprod before t = 0, under a root that may refuse it."""

    def posterior_mean(images: Tensor, noisy: Tensor, timestep: int, table: Tensor) -> Tensor:
        now, before = table[timestep], table[timestep - 1] if timestep > 0 else one
        alpha = now / before
        return root(before) * (1 - alpha) / (1 - now) * images + root(alpha) * (1 - before) / (1 - now) * noisy

    return posterior_mean


def _without_brackets(images: Tensor, noisy: Tensor, now: Tensor, before: Tensor) -> Tensor:
    """What `.../ 1 - now * images + .../ 1 - now * noisy` gives."""
    return before.sqrt() * (1 - now / before) - now * images + (now / before).sqrt() * (1 - before) - now * noisy


def _extreme_cases(make: Callable[[Draw, int, Tensor], tuple], alone: str, second: float) -> tuple[Case, ...]:
    """A case for each time of the table from nearly 1 to nearly 0.

    Its first entry comes closer to 1 for the last step back only: where it stands for the step before, right answers would lose too many digits.
    """

    def case(timestep: int) -> Case:
        table = _extreme_table(EXTREME[0] if timestep else 0.99996, second)
        name = f"4 points, alphas_cumprod from nearly 1 to nearly 0, step {timestep} of 0 to {len(EXTREME) - 1}"
        return Case(name, lambda draw: make(draw, timestep, table), alone=alone)

    return tuple(case(timestep) for timestep in range(len(EXTREME)))


posterior_mean = Check(
    name="posterior_mean",
    signature=("images", "noisy", "timestep", "alphas_cumprod"),
    reference=_posterior_mean,
    holds="both weights, and the picture itself at the last step, t = 0",
    look='01_ddpm, exercise 4 "One step back, if the picture were known"',
    hint="now = alphas_cumprod[t]; before = alphas_cumprod[t - 1], but torch.ones_like(now) at t = 0; alpha = now / before, beta = 1 - alpha. Then the formula, term by term.",
    cases=(
        Case("5 points, step 4 of 9", lambda draw: _step_back(draw, 9, 4, 5, 2)),
        Case("2 pictures, the noisiest step", lambda draw: _step_back(draw, 6, 5, 2, 3, 4, 4)),
        Case("3 points, the last step back, t = 0", lambda draw: _step_back(draw, 7, 0, 3, 2)),
        Case("4 pictures of 1 channel, step 1", lambda draw: _step_back(draw, 7, 1, 4, 1, 2, 3)),
        *_extreme_cases(
            lambda draw, timestep, table: (draw.normal(4, 2), draw.normal(4, 2), timestep, table), _GUARD, second=0.99
        ),
    ),
    hidden_cases=(
        Case("2 pictures of 1 channel, t = 0", lambda draw: _step_back(draw, 5, 0, 2, 1, 3, 3)),
        Case("6 points of 3 numbers, step 12 of 15", lambda draw: _step_back(draw, 15, 12, 6, 3)),
    ),
    mistakes=(
        Mistake(
            _weighted(lambda now, before: _right_weights(now, before)[::-1]),
            "The two weights are swapped: at t = 0 everything should come from the picture, nothing from x_t.",
        ),
        Mistake(
            lambda x, noisy, t, table: (
                _right_weights(table[t], table[t - 1])[0] * x + _right_weights(table[t], table[t - 1])[1] * noisy
            ),
            _FIRST_STEP,
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, table) if t > 0 else noisy,
            "At t = 0 you return x_t unchanged: the last step leads to the picture, which the formula gives if alphas_cumprod before it is 1.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, table) if t > 0 else torch.zeros_like(x),
            "At t = 0 your result is zero, because your beta or your alphas_cumprod before it is 0 there. Before the first step stands the clean picture: before = 1, and beta_0 = 1 - alphas_cumprod[0] / 1 is small, but not 0.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt(), (now / before).sqrt() * (1 - before) / (1 - now))),
            "The picture's weight lacks beta_t / (1 - alphas_cumprod[t]), or you put 1 - alphas_cumprod[t] where beta_t = 1 - alpha_t belongs, and it cancelled.",
        ),
        Mistake(
            _weighted(
                lambda now, before: ((1 - now / before) * before.sqrt(), (now / before).sqrt() * (1 - before))
            ),
            "The denominators are missing: both weights are divided by 1 - alphas_cumprod[t].",
        ),
        Mistake(
            _weighted(
                lambda now, before: (
                    before.sqrt() * (1 - now / before) / (1 - now).sqrt(),
                    (now / before).sqrt() * (1 - before) / (1 - now).sqrt(),
                )
            ),
            "You divide by sqrt(1 - alphas_cumprod[t]): the denominators are the variance 1 - alphas_cumprod[t], without a root.",
        ),
        Mistake(
            _weighted(
                lambda now, before: (before * (1 - now / before) / (1 - now), _right_weights(now, before)[1])
            ),
            "In the picture's weight the root of alphas_cumprod[t - 1] is missing.",
        ),
        Mistake(
            _weighted(
                lambda now, before: (now.sqrt() * (1 - now / before) / (1 - now), _right_weights(now, before)[1])
            ),
            "In the picture's weight stands alphas_cumprod[t]: it is that of the step *before*, t - 1, where the step back ends.",
        ),
        Mistake(
            _weighted(
                lambda now, before: (_right_weights(now, before)[0], now / before * (1 - before) / (1 - now))
            ),
            "In the weight of x_t the root of alpha_t is missing.",
        ),
        Mistake(
            _weighted(
                lambda now, before: (_right_weights(now, before)[0], now.sqrt() * (1 - before) / (1 - now))
            ),
            "In the weight of x_t stands the root of alphas_cumprod[t]: it is alpha_t of the single step, alphas_cumprod[t] / alphas_cumprod[t - 1].",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0], (now / before).sqrt())),
            "The weight of x_t lacks (1 - alphas_cumprod[t - 1]) / (1 - alphas_cumprod[t]), or you put t where t - 1 belongs, and it cancelled.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt(), now.sqrt() * (1 - before) / (1 - now))),
            "You took 1 - alphas_cumprod[t] for beta_t, and alphas_cumprod[t] for alpha_t. Those without a bar belong to the *single* step: alpha_t = alphas_cumprod[t] / alphas_cumprod[t - 1].",
        ),
        Mistake(
            _weighted(
                lambda now, before: (
                    before.sqrt() * (1 - before / now) / (1 - now),
                    (before / now).sqrt() * (1 - before) / (1 - now),
                )
            ),
            "alpha_t is upside down: it is alphas_cumprod[t] / alphas_cumprod[t - 1], below 1.",
        ),
        Mistake(
            _weighted(
                lambda now, before: (before.sqrt() - now.sqrt() * ((1 - before) / (1 - now)).sqrt(), ((1 - before) / (1 - now)).sqrt())
            ),
            "This is the step of DDIM, which keeps the noise that is in x_t: it comes in the next notebook. The posterior's mean keeps less of it, because fresh noise is added.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt(), torch.zeros_like(now))),
            "You jump from the picture to step t - 1 and forget x_t: the posterior knows both, and its mean lies between.",
        ),
        Mistake(
            _weighted(lambda now, before: (torch.zeros_like(now), (now / before).sqrt())),
            "This goes one step *forward* in noise, and does not ask for the picture: the mean has two terms.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, min(t + 1, len(table) - 1), table),
            "You are one step off: now is alphas_cumprod[t], before is alphas_cumprod[t - 1].",
        ),
        Mistake(
            lambda x, noisy, t, table: (
                _right_weights(table[t], _before(table, t))[0] * x - _right_weights(table[t], _before(table, t))[1] * noisy
            ),
            "The second term has the wrong sign: both weights are positive, the mean lies between picture and x_t.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, table.cumprod(0)),
            "You took the running product once more: alphas_cumprod is already the product of all alphas up to t.",
        ),
        Mistake(
            _weighted(lambda now, before: (before * (1 - now / before) / (1 - now), now / before * (1 - before) / (1 - now))),
            "Both roots are missing: of alphas_cumprod[t - 1] in the picture's weight, of alpha_t in that of x_t.",
        ),
        Mistake(
            _weighted(lambda now, before: ((before * (1 - now / before)).sqrt() / (1 - now), _right_weights(now, before)[1])),
            "In the picture's weight the root covers beta_t as well: it is sqrt(alphas_cumprod[t - 1]) times beta_t.",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0], ((now / before) * (1 - before)).sqrt() / (1 - now))),
            "In the weight of x_t the root covers 1 - alphas_cumprod[t - 1] as well: it is sqrt(alpha_t) times it.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt() * (1 - now / before) / (1 - before), (now / before).sqrt() * (1 - before) / (1 - before))),
            "The denominators are those of the step before: both weights are divided by 1 - alphas_cumprod[t], all of the noise in x_t.",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0], (now / before).sqrt() * (1 - before) / (1 - before))),
            "In the weight of x_t the denominator is that of the step before: it is 1 - alphas_cumprod[t] in both weights.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt() * (1 - now / before) / (1 - before), _right_weights(now, before)[1])),
            "In the picture's weight the denominator is that of the step before: it is 1 - alphas_cumprod[t] in both weights.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt() * (1 - now / before), _right_weights(now, before)[1])),
            "The picture's weight lacks its denominator: both weights are divided by 1 - alphas_cumprod[t].",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0], (now / before).sqrt() * (1 - before))),
            "The weight of x_t lacks its denominator: both weights are divided by 1 - alphas_cumprod[t].",
        ),
        Mistake(
            _weighted(lambda now, before: ((now / before).sqrt() * (1 - now / before) / (1 - now), _right_weights(now, before)[1])),
            "In the picture's weight stands the root of alpha_t: it is that of alphas_cumprod[t - 1], what is left of the picture at t - 1.",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0], before.sqrt() * (1 - before) / (1 - now))),
            "In the weight of x_t stands the root of alphas_cumprod[t - 1]: it is that of alpha_t, of the single step.",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt() * (1 - before) / (1 - now), _right_weights(now, before)[1])),
            "In the picture's weight stands 1 - alphas_cumprod[t - 1] for beta_t: beta_t is that of the single step, 1 - alphas_cumprod[t] / alphas_cumprod[t - 1].",
        ),
        Mistake(
            _weighted(lambda now, before: (before.sqrt() * (before - now) / (1 - now), _right_weights(now, before)[1])),
            "You took the *difference* of two entries for beta_t: it is 1 - alphas_cumprod[t] / alphas_cumprod[t - 1], the difference as a share of the one before.",
        ),
        Mistake(
            lambda x, noisy, t, table: _without_brackets(x, noisy, table[t], _before(table, t)),
            "Brackets are missing: `/ 1 - now` divides by 1 and subtracts. Write / (1 - now).",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0], 1 - _right_weights(now, before)[0])),
            "You gave x_t what is left to 1. The weights do not add up to 1, and should not: x_t and x_(t-1) are faded pictures, x_0 is not.",
        ),
        Mistake(
            _weighted(lambda now, before: (1 - _right_weights(now, before)[1], _right_weights(now, before)[1])),
            "You gave the picture what is left to 1. The weights do not add up to 1, and should not: x_t and x_(t-1) are faded pictures, x_0 is not.",
        ),
        Mistake(
            _weighted(lambda now, before: (_right_weights(now, before)[0] / sum(_right_weights(now, before)), _right_weights(now, before)[1] / sum(_right_weights(now, before)))),
            "You divide by the sum of the weights. They do not add up to 1, and should not: x_t and x_(t-1) are faded pictures, x_0 is not.",
        ),
        Mistake(
            _weighted(lambda now, before: ((1 - now / before), (now / before))),
            "You weigh picture and x_t by beta_t and alpha_t. The weights are those of the formula: how much each of the two *knows* about x_(t-1).",
        ),
        Mistake(
            _weighted(lambda now, before: (-(1 - now / before) / (1 - now).sqrt() / (now / before).sqrt(), 1 / (now / before).sqrt())),
            "You treat `images` as the noise: this is the paper's formula with the predicted noise. Here the picture is given.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, table) if t > 1 else x,
            "At t = 1 you return the picture as well. Steps count from 0 here: the formula gives the picture itself at t = 0 alone.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, F.pad(table, (1, 0), value=1.0)[:-1]) if t > 0 else x,
            "You are one step too early: with a 1 put in front of the table, now is entry t + 1 of it, and before is entry t.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, table).clamp(-1, 1),
            "You clamp the result to [-1, 1]: x_(t-1) holds noise, whose values go far beyond.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x.clamp(-1, 1), noisy, t, table),
            "You clamp the picture to [-1, 1]. Many samplers of pictures do, but it is not asked for here: points of the plane lie outside of it.",
        ),
        Mistake(
            lambda x, noisy, t, table: _posterior_mean(x, noisy, t, table).squeeze(),
            "Your result loses its axes of length 1: squeeze() takes away the channel of grey pictures. The shape is that of `images`.",
        ),
        Mistake(_with_one(lambda of: of.sqrt(), 1), _PLAIN_ONE),
        Mistake(_with_one(lambda of: of.sqrt(), 1.0), _PLAIN_ONE),
        Mistake(_with_one(torch.sqrt, 1), _PLAIN_ONE),
        Mistake(_with_one(torch.sqrt, 1.0), _PLAIN_ONE),
    ),
    not_a_number="Your result holds NaN or infinity. At t = 0 alphas_cumprod before it is 1, neither 0 nor the table's last entry; and the denominator is 1 - alphas_cumprod[t], not that of t - 1, which is 0 there.",
)  # fmt: skip


# --- exercise 5: one ancestral step -----------------------------------------------------------------------------------


def _beta(table: Tensor, timestep: int) -> Tensor:
    return 1 - table[timestep] / _before(table, timestep)


def _picture(predicted_noise: Tensor, noisy: Tensor, timestep: int, table: Tensor) -> Tensor:
    """The picture that is left of x_t without the noise that the network sees in it."""
    return predict(predicted_noise, noisy, _levels(table, timestep)[0], "epsilon").images


def _mean(predicted_noise: Tensor, noisy: Tensor, timestep: int, table: Tensor) -> Tensor:
    return _posterior_mean(_picture(predicted_noise, noisy, timestep, table), noisy, timestep, table)


def _ancestral_step(
    predicted_noise: Tensor, noisy: Tensor, fresh_noise: Tensor, timestep: int, alphas_cumprod: Tensor
) -> Tensor:
    mean = _mean(predicted_noise, noisy, timestep, alphas_cumprod)
    return mean + _beta(alphas_cumprod, timestep).sqrt() * fresh_noise if timestep > 0 else mean


def _spread(std: Callable[[Tensor, Tensor], Tensor], last: bool = False) -> Callable[..., Tensor]:
    """A step with another standard deviation, a function of alphas_cumprod now and before; `last`: at the last step too."""

    def ancestral_step(predicted: Tensor, noisy: Tensor, fresh: Tensor, timestep: int, table: Tensor) -> Tensor:
        mean = _mean(predicted, noisy, timestep, table)
        return mean + std(table[timestep], _before(table, timestep)) * fresh if timestep > 0 or last else mean

    return ancestral_step


def _from_picture(picture: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A step with another picture: a function of predicted noise, x_t and alphas_cumprod now."""

    def ancestral_step(predicted: Tensor, noisy: Tensor, fresh: Tensor, timestep: int, table: Tensor) -> Tensor:
        mean = _posterior_mean(picture(predicted, noisy, table[timestep]), noisy, timestep, table)
        return mean + _beta(table, timestep).sqrt() * fresh if timestep > 0 else mean

    return ancestral_step


def _with_mean(mean: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A step with another mean: a function of predicted noise, x_t, and alphas_cumprod now and before."""

    def ancestral_step(predicted: Tensor, noisy: Tensor, fresh: Tensor, timestep: int, table: Tensor) -> Tensor:
        reached = mean(predicted, noisy, table[timestep], _before(table, timestep))
        return reached + _beta(table, timestep).sqrt() * fresh if timestep > 0 else reached

    return ancestral_step


def _sampling(draw: Draw, steps: int, timestep: int, *shape: int) -> tuple:
    return draw.normal(*shape), draw.normal(*shape), draw.normal(*shape), timestep, draw_table(draw, steps)


_LAST_NOISE = "You add noise at the last step, t = 0, too. It leads to the clean picture, and there is no further step that could take this noise away again: it would stay in every sample."
_NO_ROOT_BELOW = "In the noise's factor beta_t / sqrt(1 - alphas_cumprod[t]) the root is missing."
_STEP_GUARD = (
    "Your result is wrong only with a table like the notebook's, from nearly 1 to nearly 0: you keep something away from 0 or from 1 (clamp, min, max, + eps), or leave noise out "
    "where it is small. Take all as it is: nothing that you divide by is ever 0, and only at t = 0 is there no noise."
)

ancestral_step = Check(
    name="ancestral_step",
    signature=("predicted_noise", "noisy", "fresh_noise", "timestep", "alphas_cumprod"),
    reference=_ancestral_step,
    holds="the picture from the noise, the posterior's mean, fresh noise of variance beta, none at the last step",
    look='01_ddpm, exercise 5 "One step back, as the network knows it"',
    hint="images = (noisy - sqrt(1 - a) * predicted_noise) / sqrt(a); mean = posterior_mean(images, noisy, ...); at t > 0 plus sqrt(beta_t) * fresh_noise.",
    cases=(
        Case("5 points, step 4 of 9", lambda draw: _sampling(draw, 9, 4, 5, 2)),
        Case("2 pictures, the noisiest step", lambda draw: _sampling(draw, 6, 5, 2, 3, 4, 4)),
        Case("3 points, the last step, t = 0", lambda draw: _sampling(draw, 7, 0, 3, 2)),
        Case("4 pictures of 1 channel, step 1", lambda draw: _sampling(draw, 7, 1, 4, 1, 2, 3)),
        *_extreme_cases(
            lambda draw, timestep, table: (draw.normal(4, 2), draw.normal(4, 2), draw.normal(4, 2), timestep, table),
            _STEP_GUARD,
            second=0.9987,  # so that a step has a beta below 0.001
        ),
    ),
    hidden_cases=(
        Case("2 pictures of 1 channel, t = 0", lambda draw: _sampling(draw, 5, 0, 2, 1, 3, 3)),
        Case("6 points of 3 numbers, step 12 of 15", lambda draw: _sampling(draw, 15, 12, 6, 3)),
    ),
    mistakes=(
        Mistake(_spread(lambda now, before: (1 - now / before).sqrt(), last=True), _LAST_NOISE),
        Mistake(
            _spread(lambda now, before: 1 - now / before),
            "You multiply the fresh noise by beta_t, its *variance*: a normal number is multiplied by the standard deviation, sqrt(beta_t).",
        ),
        Mistake(
            _spread(lambda now, before: 1 - now / before, last=True),
            "You multiply the fresh noise by beta_t, its *variance*, where sqrt(beta_t) belongs; and you add it at the last step, t = 0, too, where it would stay in every sample.",
        ),
        Mistake(
            _spread(lambda now, before: ((1 - now / before) * (1 - before) / (1 - now)).sqrt()),
            "This is the posterior's own variance, the smaller of the two choices of the paper: a good choice, which is tried further below. Here it is beta_t.",
        ),
        Mistake(
            _spread(lambda now, before: (1 - now).sqrt()),
            "The fresh noise is far too large: sqrt(1 - alphas_cumprod[t]) is *all* of the noise in x_t. A single step adds that of a single step, sqrt(beta_t).",
        ),
        Mistake(
            _spread(lambda now, before: (1 - before).sqrt()),
            "The fresh noise is far too large: sqrt(1 - alphas_cumprod[t - 1]) is *all* of the noise in x_(t-1), of which the mean holds a part already. A single step adds sqrt(beta_t).",
        ),
        Mistake(
            _spread(lambda now, before: torch.zeros_like(now)),
            "The fresh noise is missing: the mean alone is less varied than x_(t-1) should be, and the network would see points that it has never met in training.",
        ),
        Mistake(
            _spread(lambda now, before: torch.ones_like(now)),
            "The fresh noise is added at full size: multiply it by sqrt(beta_t), of the single step.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (
                _mean(e, noisy, t, table) + (_beta(table, t).sqrt() * fresh if t > 1 else 0 * fresh)
            ),
            "Noise is left out at t = 1 as well. The paper counts steps from 1 and says \"if t > 1\"; here they count from 0, so only t = 0 is the last.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (
                _mean(e, noisy, t, table) + (_beta(table, t).sqrt() * fresh if t == 0 else 0 * fresh)
            ),
            "The condition is turned: noise is added at t = 0 only. It belongs to all steps but this one.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (
                _mean(e, noisy, t, table) - (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh)
            ),
            "The fresh noise is subtracted. As a distribution that is the same, but results are compared number by number: add it.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _ancestral_step(e, noisy, e, t, table),
            "You add the *predicted* noise in place of the fresh one: then hardly anything of it is taken away.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy + (1 - now).sqrt() * e) / now.sqrt()),
            "In the picture the noise is added once more: solve x_t = sqrt(a) x_0 + sqrt(1 - a) noise for x_0, and it is subtracted.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: noisy - (1 - now).sqrt() * e),
            "The picture is not divided by sqrt(alphas_cumprod[t]): what is left without the noise is sqrt(a) x_0, the *faded* picture.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy - (1 - now) * e) / now.sqrt()),
            "In the picture the noise lacks its root: x_t holds sqrt(1 - a) times the noise.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy - (1 - now).sqrt() * e) / now),
            "The picture is divided by alphas_cumprod[t] without its root: it is sqrt(a) x_0 that is left of x_t.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: noisy - e),
            "You subtract the noise at full size: x_t = sqrt(a) x_0 + sqrt(1 - a) noise has to be solved for x_0.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: e),
            "You hand the predicted noise to posterior_mean, which asks for the *picture*: compute it from x_t and the noise first.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: ((noisy - (1 - now).sqrt() * e) / now.sqrt()).clamp(-1, 1)),
            "You clamp the picture to [-1, 1]. Many samplers of pictures do, but it is not asked for here: points of the plane lie outside of it.",
        ),
        Mistake(
            _with_mean(lambda e, noisy, now, before: (noisy - (1 - now / before) / (1 - now) * e) / (now / before).sqrt()),
            _NO_ROOT_BELOW,
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (
                (noisy - _beta(table, t) / (1 - table[t]) * e) / (1 - _beta(table, t)).sqrt() + _beta(table, t).sqrt() * fresh
                if t > 0 else _picture(e, noisy, t, table)
            ),
            _NO_ROOT_BELOW,
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _ancestral_step(e, noisy, fresh, t, table) if t > 0 else torch.zeros_like(noisy),
            "At t = 0 your result is zero: the last step leads to the picture, the mean without noise.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (
                _mean(e, noisy, t, table) + (_beta(table, t - 1).sqrt() * fresh if t > 0 else 0 * fresh)
            ),
            "You took the beta of the step *before*: beta_t is 1 - alphas_cumprod[t] / alphas_cumprod[t - 1].",
        ),
        Mistake(
            _with_mean(lambda e, noisy, now, before: noisy - (1 - now / before) / (1 - now).sqrt() * e),
            "The factor 1 / sqrt(alpha_t) before the bracket is missing: what had faded in this step is not brought back.",
        ),
        Mistake(
            _with_mean(lambda e, noisy, now, before: (noisy - (1 - now / before) / (1 - now).sqrt() * e) / now.sqrt()),
            "You divide by sqrt(alphas_cumprod[t]), what has faded in *all* steps: this one goes back by a single step, 1 / sqrt(alpha_t).",
        ),
        Mistake(
            _with_mean(lambda e, noisy, now, before: (noisy - (1 - now / before).sqrt() * e) / (now / before).sqrt()),
            "You treat x_t as one step away from a clean picture: the predicted noise is that of *all* steps, so its factor is beta_t / sqrt(1 - alphas_cumprod[t]).",
        ),
        Mistake(
            _with_mean(lambda e, noisy, now, before: (noisy - (1 - now).sqrt() * e) / now.sqrt()),
            "You jump to the picture at once: take the posterior's mean between it and x_t.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _picture(e, noisy, t, table),
            "You return the picture that the network sees: that is the last step only. On the way there, take the posterior's mean, and add fresh noise.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _levels(table, t)[1].signal * _picture(e, noisy, t, table)
            + _levels(table, t)[1].noise * e,
            "This is the step of DDIM, which puts the *predicted* noise back and needs no fresh one: it comes in the next notebook.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _levels(table, t)[1].signal * _picture(e, noisy, t, table)
            + _levels(table, t)[1].noise * fresh,
            "You noise the predicted picture anew with fresh noise only: that forgets x_t. Take the posterior's mean, which knows both, and add a single step's noise.",
        ),
        Mistake(
            _spread(lambda now, before: (1 - now / before) * (1 - before) / (1 - now)),
            "You multiply the fresh noise by the posterior's *variance*: it is multiplied by a standard deviation, and here by the root of beta_t.",
        ),
        Mistake(
            _spread(lambda now, before: (now / before).sqrt()),
            "You multiply the fresh noise by sqrt(alpha_t), what the step *keeps*: what it replaces by noise is beta_t = 1 - alpha_t, and its root is asked for.",
        ),
        Mistake(
            _spread(lambda now, before: (2 * (1 - now / before)).sqrt()),
            "The fresh noise has twice the variance: it is sqrt(beta_t), without a 2 (that one belongs to Langevin's steps).",
        ),
        Mistake(
            _spread(lambda now, before: (before - now).sqrt()),
            "You took the *difference* of two entries for beta_t: it is 1 - alphas_cumprod[t] / alphas_cumprod[t - 1], the difference as a share of the one before.",
        ),
        Mistake(
            _spread(lambda now, before: (1 - now / before).sqrt().sqrt()),
            "The root of beta_t is taken twice: the standard deviation is sqrt(beta_t).",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy - (1 - now) * e) / now),
            "In the picture both roots are missing: it is (x_t - sqrt(1 - a) noise) / sqrt(a), with a = alphas_cumprod[t].",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: noisy - (1 - now).sqrt() * e / now.sqrt()),
            "Brackets are missing in the picture: the whole difference is divided by sqrt(alphas_cumprod[t]), (x_t - ...) / sqrt(...).",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy - (1 - now.sqrt()) * e) / now.sqrt()),
            "In the picture you took 1 - sqrt(a) for the noise's factor: it is sqrt(1 - a), with a = alphas_cumprod[t].",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: now.sqrt() * noisy - (1 - now).sqrt() * e),
            "This takes the answer for a velocity, which comes later in the notebook: from the noise, the picture is (x_t - sqrt(1 - a) noise) / sqrt(a), with a = alphas_cumprod[t].",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy - (1 - now).sqrt() * e) * now.sqrt()),
            "In the picture you multiply by sqrt(alphas_cumprod[t]): what is left of x_t without the noise is the *faded* picture, so divide by it.",
        ),
        Mistake(
            _from_picture(lambda e, noisy, now: (noisy - now.sqrt() * e) / (1 - now).sqrt()),
            "In the picture the factors are swapped: x_t holds sqrt(1 - a) times the noise and sqrt(a) times the picture, with a = alphas_cumprod[t].",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean((noisy - (1 - _before(table, t)).sqrt() * e) / _before(table, t).sqrt(), noisy, t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh),
            "In the picture you took alphas_cumprod[t - 1]: what is noised is x_t, so its own entry t belongs there.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean((noisy - _beta(table, t).sqrt() * e) / (1 - _beta(table, t)).sqrt(), noisy, t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh),
            "In the picture you took alpha_t of the single step: all steps have faded it, so it is alphas_cumprod[t] in both places.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean(noisy, _picture(e, noisy, t, table), t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh),
            "You hand x_t and the picture to posterior_mean in the wrong order: posterior_mean(images, noisy, timestep, alphas_cumprod).",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean(noisy, _picture(e, noisy, t, table), t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh) if t > 0 else _picture(e, noisy, t, table),
            "You hand x_t and the picture to posterior_mean in the wrong order: posterior_mean(images, noisy, timestep, alphas_cumprod).",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean(noisy, noisy, t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh),
            "You hand x_t to posterior_mean twice: in the first place it asks for the *picture* that the network sees.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean(_picture(e, noisy, t, table), _picture(e, noisy, t, table), t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh),
            "You hand the picture to posterior_mean twice: in the second place it asks for x_t, `noisy`.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _posterior_mean(_picture(e, noisy, t, table), noisy, max(t - 1, 0), table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh),
            "You hand t - 1 to posterior_mean: it is told t, and looks up the step before by itself.",
        ),
        Mistake(
            _with_mean(lambda e, noisy, now, before: (noisy - (1 - now / before) / (1 - now).sqrt() * e) / (now / before)),
            "The factor before the bracket is 1 / sqrt(alpha_t): its root is missing.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _mean(e, noisy, t, table) + (_beta(table, t).sqrt() * fresh if t < len(table) - 1 else 0 * fresh),
            "The noise is left out at the *first* step back, T - 1, where there is most of it to come: it is left out at t = 0, the last one.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _mean(e, noisy, t, table) + _beta(table, t).sqrt() * fresh if t > 0 else noisy,
            "At t = 0 you return x_t as it is: the last step leads to the picture, the mean without noise.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (_mean(e, noisy, t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh)).clamp(-1, 1),
            "You clamp the result to [-1, 1]: x_(t-1) holds noise, whose values go far beyond.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _ancestral_step(fresh, noisy, e, t, table),
            "Predicted and fresh noise are swapped: the *predicted* one is taken out of x_t, the *fresh* one is added.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: _ancestral_step(fresh, noisy, e, t, table) if t > 0 else _mean(e, noisy, t, table),
            "Predicted and fresh noise are swapped: the *predicted* one is taken out of x_t, the *fresh* one is added.",
        ),
        Mistake(
            lambda e, noisy, fresh, t, table: (_mean(e, noisy, t, table) + (_beta(table, t).sqrt() * fresh if t > 0 else 0 * fresh)).squeeze(),
            "Your result loses its axes of length 1: squeeze() takes away the channel of grey pictures. The shape is that of `noisy`.",
        ),
    ),
    not_a_number="Your result holds NaN or infinity. At t = 0 the index t - 1 is -1, the table's *last* entry: beta is negative, its root NaN, and NaN times 0 is NaN still. Leave the noise out by an `if`.",
)  # fmt: skip
