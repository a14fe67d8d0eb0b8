"""Checks of notebook gans/dcgan."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.perform import Answer, Build, Call
from course_utils.gans import dcgan as reference

__all__ = [
    "discriminator_block",
    "generator_block",
    "initialized",
    "latent_arithmetic",
    "spherical_interpolation",
    "with_label_maps",
]

# --- exercises 1 and 2: the blocks -----------------------------------------------------------------------------------


class _BlockCheck(Check):
    """A check of layers that the answer makes itself; what draws at random is told where no known mistake fits."""

    def mistake(self, answers: Sequence[Answer], hidden: bool = False) -> str | None:
        drew = any(answer.drew and answer.failure is None for answer in answers)
        return super().mistake(answers, hidden) or (_DROPOUT if drew else None)


def _built(draw: Draw, kernel: tuple[int, int, int, int], channels: tuple[int, int], maps: tuple[int, ...]) -> Build:
    """A request for a block with weights of its own, called on maps (batch, in_channels, height, width)."""
    out_channels = channels[1]
    parameters = {
        "0.weight": 0.3 * draw.normal(*kernel),
        "1.weight": 2 + 0.5 * draw.normal(out_channels),  # large, so that a cap on the activation shows
        "1.bias": 0.5 * draw.normal(out_channels),
    }
    seen, single = draw.normal(*maps), draw.normal(1, *maps[1:])
    return Build(channels, parameters, {"forward": seen}, in_evaluation={"forward": single})


def _doubled(draw: Draw, channels: tuple[int, int], batch: int, height: int, width: int) -> Build:
    return _built(draw, (*channels, 4, 4), channels, (batch, channels[0], height, width))


def _halved(draw: Draw, channels: tuple[int, int], batch: int, height: int, width: int) -> Build:
    return _built(draw, (*reversed(channels), 4, 4), channels, (batch, channels[0], height, width))


_Layers = Callable[[int, int], nn.Module]


def _up(a: int, b: int, kernel: int = 4, stride: int = 2, padding: int = 1, bias: bool = False) -> nn.Module:
    return nn.ConvTranspose2d(a, b, kernel, stride, padding, bias=bias)


def _down(a: int, b: int, kernel: int = 4, stride: int = 2, padding: int = 1, bias: bool = False) -> nn.Module:
    return nn.Conv2d(a, b, kernel, stride, padding, bias=bias)


def _block(convolution: _Layers, activation: nn.Module, norm: _Layers = lambda a, b: nn.BatchNorm2d(b)) -> _Layers:
    """A block of convolution, norm and activation."""
    return lambda a, b: nn.Sequential(convolution(a, b), norm(a, b), activation)


def _generator_block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _discriminator_block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )


_BIAS = (
    "The convolution has a bias: batch norm takes the mean off right after it, so the bias could never do anything. "
    "Say `bias=False`, by name (the sixth argument by position is another one); batch norm has a shift of its own."
)
_UNNORMED = (
    "Between convolution and activation belongs an `nn.BatchNorm2d(out_channels)` with a factor and a shift for each "
    "channel. Yours is missing, or has none of these (`affine=False`, or an instance norm as it is by default)."
)
_BIAS_UNNORMED = (
    "The convolution has a bias, and there is no batch norm with a factor and a shift for each channel behind it "
    "(`affine=False` takes them away): `bias=False` belongs to the convolution, `nn.BatchNorm2d(out_channels)` follows."
)
_UNSHIFTED = (
    "The batch norm has no shift (`bias`): it is the convolution that goes without a bias, because batch norm has one."
)
_INSTANCE = (
    "You normalise each picture on its own (an instance norm): batch norm takes mean and variance over the whole batch, "
    "`nn.BatchNorm2d(out_channels)`."
)
_GROUP = (
    "You normalise each picture on its own, over all its channels (a group norm): batch norm takes mean and variance of "
    "each channel over the whole batch, `nn.BatchNorm2d(out_channels)`."
)
_EPSILON = (
    "Your batch norm adds 0.8 to the variance: the second argument of `nn.BatchNorm2d` is `eps`, not `momentum`. The "
    "exercise asks for neither."
)
_EVALUATION = (
    "Your batch norm is in evaluation mode, so it takes stored statistics for those of the batch: leave out `.eval()`."
)
_UNTRACKED = (
    "Your batch norm keeps no running mean and variance (`track_running_stats=False`): in evaluation mode it would scale a "
    "picture by whatever stands beside it in the batch, a single one by itself. Leave that argument out."
)
_NEVER_MOVED = (
    "Your batch norm never learns its running mean and variance (`momentum=0`): in evaluation mode it would still take the 0 "
    "and the 1 that it started with. In PyTorch, momentum is the weight of the *newest* batch; leave it at its 0.1."
)
_MOMENTUM = (
    "Right in training, but not in evaluation mode, where batch norm takes its running mean and variance: has yours another "
    "`momentum`? The exercise asks for none. (In PyTorch it is the weight of the *newest* batch, 0.1; what Keras calls 0.9.)"
)
_FROZEN = (
    "Some weights of your block learn nothing, for `requires_grad` is off: all weights of both networks are trained."
)
_NORM_OF_INPUT = (
    "The batch norm has as many channels as the block's *input*: it stands behind the convolution, where there are "
    "`out_channels`."
)
_NORM_FIRST = (
    "The batch norm stands before the convolution: here it comes after it, so that what the activation gets is scaled."
)
_SWAPPED = "The channels are swapped: the layer takes `in_channels` and gives `out_channels`, in that order."
_NORM_LAST = "The activation comes before the batch norm. In DCGAN the norm comes first: the activation then gets values around zero, and {} about half of them."
_UNACTIVATED = "The activation is missing: without one, two blocks in a row are nearly one linear map."
_LIST = "You return a plain list of layers: wrap them in `nn.Sequential(...)`, which is a module that can be called."
_DROPOUT = "There is a dropout in your block, or something else that draws at random: it is not asked for, and gives other values at each call."


def _any_slope(value: Any, wrong: Any) -> Any:
    """`wrong` in the place of a value that differs from it by a factor, one for all negative entries."""
    got, leaky = value["forward"].data, wrong["forward"].data
    if got.dtype != leaky.dtype:
        return value
    factors = (got / leaky)[leaky < 0]
    linear = factors.numel() > 0 and torch.allclose(factors, factors.mean().expand_as(factors), 1e-3, 1e-3)
    return wrong if linear and torch.allclose(got[leaky >= 0], leaky[leaky >= 0], 1e-4, 1e-5) else value


def _same_in_training(value: Any, wrong: Any) -> Any:
    """`wrong` in the place of a value that differs from it in evaluation mode only."""
    got, known = value["forward"].data, wrong["forward"].data
    return wrong if got.dtype == known.dtype and torch.allclose(got, known, 1e-4, 1e-5) else value


class _Smaller(nn.Module):
    """The minimum where a leaky ReLU is the maximum."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.minimum(maps, 0.2 * maps)


def _unshifted(channels: int) -> nn.Module:
    norm = nn.BatchNorm2d(channels)
    norm.bias = None
    return norm


def _norm_mistakes(convolution: _Layers, biased: _Layers, activation: nn.Module) -> tuple[Mistake, ...]:
    """Mistakes with the norm of a block, and with what is learned."""
    return (
        Mistake(_block(biased, activation, lambda a, b: nn.BatchNorm2d(b, affine=False)), _BIAS_UNNORMED),
        Mistake(_block(convolution, activation, lambda a, b: _unshifted(b)), _UNSHIFTED),
        Mistake(_block(convolution, activation, lambda a, b: nn.InstanceNorm2d(b, affine=True)), _INSTANCE),
        Mistake(_block(convolution, activation, lambda a, b: nn.GroupNorm(1, b)), _GROUP),
        Mistake(_block(convolution, activation, lambda a, b: nn.BatchNorm2d(b, 0.8)), _EPSILON),
        Mistake(_block(convolution, activation, lambda a, b: nn.BatchNorm2d(b).eval()), _EVALUATION),
        Mistake(_block(lambda a, b: convolution(a, b).requires_grad_(False), activation), _FROZEN),
        Mistake(_block(convolution, activation, lambda a, b: nn.BatchNorm2d(b, track_running_stats=False)), _UNTRACKED),
        Mistake(_block(convolution, activation, lambda a, b: nn.BatchNorm2d(b, momentum=0.0)), _NEVER_MOVED),
        Mistake(
            _block(convolution, activation, lambda a, b: nn.BatchNorm2d(b, momentum=0.9)), _MOMENTUM, _same_in_training
        ),
    )


generator_block = _BlockCheck(
    name="generator_block",
    signature=("in_channels", "out_channels"),
    reference=_generator_block,
    holds="maps of twice the height and width, and the gradients of all weights",
    look='02_dcgan, exercise 1 "The generator\'s block"',
    hint="nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False), then nn.BatchNorm2d, then nn.ReLU.",
    cases=(
        Case("6 channels to 3, 4 maps of 4x4", lambda draw: _doubled(draw, (6, 3), 4, 4, 4)),
        Case("5 channels to 5, 2 maps of 3x5", lambda draw: _doubled(draw, (5, 5), 2, 3, 5)),
    ),
    hidden_cases=(Case("2 channels to 8, 3 maps of 8x8", lambda draw: _doubled(draw, (2, 8), 3, 8, 8)),),
    gradients="required",
    mistakes=(
        Mistake(_block(lambda a, b: _up(a, b, bias=True), nn.ReLU()), _BIAS),
        Mistake(_block(_up, nn.ReLU(), lambda a, b: nn.InstanceNorm2d(b)), _UNNORMED),
        Mistake(_block(_up, nn.ReLU(), lambda a, b: nn.BatchNorm2d(a)), _NORM_OF_INPUT),
        Mistake(lambda a, b: nn.Sequential(nn.BatchNorm2d(a), _up(a, b), nn.ReLU()), _NORM_FIRST),
        Mistake(_block(lambda a, b: _up(b, a), nn.ReLU(), lambda a, b: nn.BatchNorm2d(a)), _SWAPPED),
        Mistake(
            _block(lambda a, b: _up(b, a), nn.ReLU()), _SWAPPED.replace("the layer takes", "the convolution takes")
        ),
        Mistake(
            _block(_down, nn.ReLU()),
            "That is an ordinary convolution, which halves the map: the generator has to double it. `nn.ConvTranspose2d` does.",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, kernel=3), nn.ReLU()),
            "The kernel is 3 wide: with stride 2 it has to be 4. (A width that the stride does not divide also covers some pixels more often than others, which shows as a checkerboard.)",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, kernel=2, padding=0), nn.ReLU()),
            "The kernel is 2 wide: the size would be right, but each pixel would come from one place alone, and blocks of 2 by 2 would show. It is 4 wide, with padding 1.",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, kernel=5, padding=2), nn.ReLU()),
            "The kernel is 5 wide: here it is 4 (with stride 2 and padding 1 the map becomes exactly twice as large).",
        ),
        Mistake(
            lambda a, b: nn.Sequential(
                nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()
            ),
            "You repeat pixels and convolve with stride 1. That works, and later papers do it, but the exercise asks for a learned step: a transposed convolution with stride 2.",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, padding=0), nn.ReLU()),
            "The padding is missing, so the map becomes 2 pixels too large: (height - 1) * 2 - 2 * padding + 4 is twice the height with padding 1.",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, stride=1), nn.ReLU()),
            "The stride is 1, so the map hardly grows: stride 2 doubles it.",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, stride=4, padding=0), nn.ReLU()),
            "The stride is 4, so the map grows fourfold: stride 2 doubles it.",
        ),
        Mistake(
            _block(lambda a, b: nn.ConvTranspose2d(a, b, 4, 2, 1, output_padding=1, bias=False), nn.ReLU()),
            "`output_padding` makes the map one pixel too large: it is not needed with a kernel of 4.",
        ),
        Mistake(
            _block(_up, nn.LeakyReLU(0.2)),
            "You use a leaky ReLU: that is the discriminator's. The generator's blocks have the plain ReLU.",
        ),
        Mistake(
            _block(_up, nn.Tanh()),
            "You end the block with a tanh: that comes once, after the last layer of the generator, where the pixels are made. Within, it is ReLU.",
        ),
        Mistake(_block(_up, nn.Sigmoid()), "You end the block with a sigmoid: the generator's blocks have ReLU."),
        Mistake(lambda a, b: nn.Sequential(_up(a, b), nn.ReLU(), nn.BatchNorm2d(b)), _NORM_LAST.format("cuts off")),
        Mistake(lambda a, b: nn.Sequential(_up(a, b), nn.BatchNorm2d(b)), _UNACTIVATED),
        Mistake(
            lambda a, b: nn.Sequential(nn.ReLU(), _up(a, b), nn.BatchNorm2d(b)),
            "The ReLU comes first in your block: it belongs at the end, behind convolution and batch norm. At the start it would cut off half of the noise before the first layer.",
        ),
        Mistake(lambda a, b: nn.Sequential(_up(a, b), nn.BatchNorm2d(b), nn.ReLU(), nn.Dropout(0.5)), _DROPOUT),
        Mistake(lambda a, b: [_up(a, b), nn.BatchNorm2d(b), nn.ReLU()], _LIST),
        Mistake(
            _block(lambda a, b: _up(a, b, padding=2), nn.ReLU()),
            "The padding is 2, so the map becomes 2 pixels too small: (height - 1) * 2 - 2 * padding + 4 is twice the height with padding 1.",
        ),
        Mistake(
            _block(lambda a, b: _up(a, b, kernel=6, padding=2), nn.ReLU()),
            "The kernel is 6 wide: the size is right, but here it is 4, with padding 1.",
        ),
        Mistake(
            _block(_up, nn.LeakyReLU(0.01)),
            "You use a leaky ReLU, with a slope of your own: the generator's blocks have the plain ReLU.",
            align=_any_slope,
        ),
        Mistake(
            _block(_up, nn.ReLU6()), "Your ReLU stops at 6: the generator's blocks have the plain one, `nn.ReLU()`."
        ),
        Mistake(_block(_up, nn.GELU()), "You end the block with a GELU: the generator's blocks have the plain ReLU."),
        *_norm_mistakes(_up, lambda a, b: _up(a, b, bias=True), nn.ReLU()),
    ),
)

discriminator_block = _BlockCheck(
    name="discriminator_block",
    signature=("in_channels", "out_channels"),
    reference=_discriminator_block,
    holds="maps of half the height and width, and the gradients of all weights",
    look='02_dcgan, exercise 2 "The discriminator\'s block"',
    hint="nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False), then nn.BatchNorm2d, then nn.LeakyReLU(0.2).",
    cases=(
        Case("3 channels to 6, 4 maps of 8x8", lambda draw: _halved(draw, (3, 6), 4, 8, 8)),
        Case("5 channels to 5, 2 maps of 6x10", lambda draw: _halved(draw, (5, 5), 2, 6, 10)),
    ),
    hidden_cases=(Case("8 channels to 2, 3 maps of 16x16", lambda draw: _halved(draw, (8, 2), 3, 16, 16)),),
    gradients="required",
    mistakes=(
        Mistake(_block(lambda a, b: _down(a, b, bias=True), nn.LeakyReLU(0.2)), _BIAS),
        Mistake(_block(_down, nn.LeakyReLU(0.2), lambda a, b: nn.InstanceNorm2d(b)), _UNNORMED),
        Mistake(_block(_down, nn.LeakyReLU(0.2), lambda a, b: nn.BatchNorm2d(a)), _NORM_OF_INPUT),
        Mistake(lambda a, b: nn.Sequential(nn.BatchNorm2d(a), _down(a, b), nn.LeakyReLU(0.2)), _NORM_FIRST),
        Mistake(_block(lambda a, b: _down(b, a), nn.LeakyReLU(0.2), lambda a, b: nn.BatchNorm2d(a)), _SWAPPED),
        Mistake(
            _block(lambda a, b: _down(b, a), nn.LeakyReLU(0.2)),
            _SWAPPED.replace("the layer takes", "the convolution takes"),
        ),
        Mistake(
            _block(_up, nn.LeakyReLU(0.2)),
            "That is a transposed convolution, which doubles the map: the discriminator halves it. `nn.Conv2d` with stride 2 does.",
        ),
        Mistake(
            _block(lambda a, b: _down(a, b, kernel=3), nn.LeakyReLU(0.2)),
            "The kernel is 3 wide: here it is 4, with stride 2, the mirror image of the generator's. (And no pooling, if that is how you halve the map: let the convolution do it.)",
        ),
        Mistake(
            _block(lambda a, b: _down(a, b, kernel=5, padding=2), nn.LeakyReLU(0.2)),
            "The kernel is 5 wide: here it is 4, the mirror image of the generator's.",
        ),
        Mistake(
            _block(lambda a, b: _down(a, b, stride=1), nn.LeakyReLU(0.2)),
            "The stride is 1, so the map is hardly smaller: stride 2 halves it.",
        ),
        Mistake(
            lambda a, b: nn.Sequential(
                _down(a, b, stride=1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2), nn.MaxPool2d(2, ceil_mode=True)
            ),
            "You halve the map by pooling behind a convolution of stride 1: one of DCGAN's rules is to let the convolution do it, with stride 2, so that the network learns how.",
        ),
        Mistake(
            _block(lambda a, b: _down(a, b, padding=0), nn.LeakyReLU(0.2)),
            "The padding is missing, so the map becomes a pixel too small: (height + 2 * padding - 4) / 2 + 1 is half the height with padding 1.",
        ),
        Mistake(
            _block(_down, nn.ReLU()),
            "You use a plain ReLU: its zeros let no gradient through, and all that the generator ever learns comes through this network. The discriminator's is `nn.LeakyReLU(0.2)`.",
        ),
        Mistake(
            _block(_down, nn.LeakyReLU()),
            "Your leaky ReLU has PyTorch's own slope of 0.01: the paper's is 0.2, `nn.LeakyReLU(0.2)`.",
        ),
        Mistake(
            _block(_down, nn.LeakyReLU(2.0)),
            "The slope of your leaky ReLU is 2: what is below zero would be doubled. It is 0.2.",
        ),
        Mistake(
            _block(_down, nn.LeakyReLU(-0.2)),
            "The slope of your leaky ReLU is -0.2, which turns the sign of what is below zero: it is 0.2.",
        ),
        Mistake(
            _block(_down, nn.Sigmoid()),
            "You end the block with a sigmoid: within the discriminator it is a leaky ReLU. (A sigmoid at the very end is part of the loss.)",
        ),
        Mistake(
            _block(_down, nn.Tanh()),
            "You end the block with a tanh: the discriminator's blocks have a leaky ReLU with slope 0.2.",
        ),
        Mistake(
            _block(_down, nn.ELU()),
            "You end the block with an ELU: the discriminator's blocks have a leaky ReLU with slope 0.2.",
        ),
        Mistake(
            lambda a, b: nn.Sequential(_down(a, b), nn.LeakyReLU(0.2), nn.BatchNorm2d(b)), _NORM_LAST.format("shrinks")
        ),
        Mistake(lambda a, b: nn.Sequential(_down(a, b), nn.BatchNorm2d(b)), _UNACTIVATED),
        Mistake(
            lambda a, b: nn.Sequential(_down(a, b), nn.BatchNorm2d(b), nn.LeakyReLU(0.2), nn.Dropout(0.5)), _DROPOUT
        ),
        Mistake(lambda a, b: [_down(a, b), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)], _LIST),
        Mistake(
            _block(lambda a, b: _down(a, b, padding=2), nn.LeakyReLU(0.2)),
            "The padding is 2, so the map becomes a pixel too large: (height + 2 * padding - 4) / 2 + 1 is half the height with padding 1.",
        ),
        Mistake(
            _block(lambda a, b: _down(a, b, kernel=2, padding=0), nn.LeakyReLU(0.2)),
            "The kernel is 2 wide: the size is right, but neighbouring patches would not overlap. It is 4 wide, with padding 1.",
        ),
        Mistake(
            _block(_down, nn.LeakyReLU(0.5)),
            "Your leaky ReLU has another slope below zero: it is 0.2, `nn.LeakyReLU(0.2)`.",
            align=_any_slope,
        ),
        Mistake(
            _block(_down, _Smaller()),
            "You take the smaller of a and 0.2 a: a leaky ReLU is the larger, so that what is above zero stays as it is.",
        ),
        *_norm_mistakes(_down, lambda a, b: _down(a, b, bias=True), nn.LeakyReLU(0.2)),
    ),
)

# --- exercise 3: initialisation --------------------------------------------------------------------------------------

_LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "convolution": lambda channels: nn.Conv2d(channels, channels + 8, 4),
    "convolution without bias": lambda channels: nn.Conv2d(channels, channels + 8, 4, bias=False),
    "transposed convolution": lambda channels: nn.ConvTranspose2d(channels, channels + 8, 4),
    "batch norm": lambda channels: nn.BatchNorm2d(channels**2),
}


def _initialized(initialize: Callable[[nn.Module], None]) -> Callable[[str, int], dict[str, float | bool]]:
    """What the notebook's `initialized` gives with this `initialize`."""

    def initialized(kind: str, channels: int) -> dict[str, float | bool]:
        network = nn.Sequential(_LAYERS[kind](channels), _LAYERS[kind](channels), nn.LeakyReLU(0.2), nn.Linear(3, 2))
        for parameter in network.parameters():
            nn.init.constant_(parameter, 0.5)
        first, second, _, linear = network
        shape, has_bias = first.weight.shape, first.bias is not None
        network.apply(initialize)
        weight = first.weight.detach()
        return {
            "mean": weight.mean().item(),
            "spread": weight.std().item(),
            "within": ((weight - weight.mean()).abs() <= weight.std()).double().mean().item(),
            "bias": 0.0 if first.bias is None else first.bias.abs().max().item(),
            "bias kept": (first.bias is not None) == has_bias,
            "shape kept": first.weight.shape == shape,
            "float32": all(parameter.dtype == torch.float32 for parameter in first.parameters()),
            "learns": all(parameter.requires_grad for parameter in first.parameters()),
            "layers differ": not torch.equal(weight, second.weight.detach()),
            "linear kept": all(bool((parameter == 0.5).all()) for parameter in linear.parameters()),
        }

    return initialized


def _initialize(module: nn.Module) -> None:
    """The reference's, which also draws linear layers, of which the exercise says nothing, without these."""
    if isinstance(module, _CONVOLUTIONS | nn.BatchNorm2d):
        reference.initialize(module)


_CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d


def _with(
    convolution: Callable[[Tensor], object] = lambda weight: nn.init.normal_(weight, 0.0, 0.02),
    norm: Callable[[Tensor], object] = lambda weight: nn.init.normal_(weight, 1.0, 0.02),
    bias: Callable[[Tensor], object] = nn.init.zeros_,
    shift: Callable[[Tensor], object] | None = None,
    kinds: object = _CONVOLUTIONS,
) -> Callable[[str, int], dict[str, float | bool]]:
    """`initialized` with a wrong way for the weights of one kind of layer, for biases (`shift`: of batch norms), or for the convolutions it knows."""

    def initialize(module: nn.Module) -> None:
        if isinstance(module, kinds):
            convolution(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            norm(module.weight)
        else:
            return
        if module.bias is not None:
            (shift or bias if isinstance(module, nn.BatchNorm2d) else bias)(module.bias)

    return _initialized(initialize)


def _drawn_bias(value: Any, wrong: Any) -> Any:
    """The largest of biases that were drawn depends on the draw: `wrong`'s in the place of another one."""
    drawn = all(0.01 < of["bias"] < 0.3 for of in (value, wrong))
    return value | {"bias": wrong["bias"]} if drawn else value


def _then(change: Callable[[nn.Module], object]) -> Callable[[str, int], dict[str, float | bool]]:
    """`initialized` with a right start, and then a change of each convolution and batch norm."""

    def initialize(module: nn.Module) -> None:
        _initialize(module)
        if isinstance(module, _CONVOLUTIONS | nn.BatchNorm2d):
            change(module)

    return _initialized(initialize)


def _without_bias(module: nn.Module) -> None:
    module.bias = None


def _transposed(module: nn.Module) -> None:
    if isinstance(module, _CONVOLUTIONS):
        module.weight.data = module.weight.data.transpose(0, 1).contiguous()


def _kernels_transposed(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        _transposed(module)


def _in_float64(module: nn.Module) -> None:
    module.weight.data = module.weight.data.double()


def _weight_frozen(module: nn.Module) -> None:
    module.weight.requires_grad_(False)


def _seeded(module: nn.Module) -> None:
    torch.manual_seed(0)
    _initialize(module)


def _all_around_zero(module: nn.Module) -> None:
    if hasattr(module, "weight"):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _linear_too(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)
    else:
        _initialize(module)


def _convolutions_replaced(module: nn.Module) -> None:
    if isinstance(module, _CONVOLUTIONS):
        module.weight = 0.02 * torch.randn(module.weight.shape)


def _added(weight: Tensor) -> None:
    weight.data.add_(0.02 * torch.randn(weight.shape))


def _scaled(weight: Tensor) -> None:
    weight.data.mul_(0.02)


def _truncated(mean: float) -> Callable[[Tensor], object]:
    return lambda weight: nn.init.trunc_normal_(weight, mean, 0.02, mean - 0.04, mean + 0.04)


def _bias_everywhere(module: nn.Module) -> None:
    if isinstance(module, _CONVOLUTIONS):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _all_that_has_weights(module: nn.Module) -> None:
    nn.init.normal_(module.weight, 0.0, 0.02)


def _in_place(module: nn.Module) -> None:
    if isinstance(module, _CONVOLUTIONS | nn.BatchNorm2d):
        module.weight.normal_(0.0, 0.02)


def _replaced(module: nn.Module) -> None:
    if isinstance(module, _CONVOLUTIONS | nn.BatchNorm2d):
        module.weight = 0.02 * torch.randn(module.weight.shape)


def _swapped_norm(module: nn.Module) -> None:
    _initialize(module)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.zeros_(module.weight)
        nn.init.normal_(module.bias, 1.0, 0.02)


def _norm_left(module: nn.Module) -> None:
    if not isinstance(module, nn.BatchNorm2d):
        _initialize(module)


def _norm_bias_left(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        _initialize(module)


initialized = Check(
    name="initialized",
    signature=("kind", "channels"),
    reference=_initialized(_initialize),
    holds="mean, spread and shape of the distribution of all weights, biases of 0, and all else as it was",
    look='02_dcgan, exercise 3 "How to begin", your `initialize`',
    hint="nn.init.normal_(tensor, mean, std) and nn.init.zeros_(tensor); isinstance tells what a module is; bias may be None.",
    cases=tuple(
        Case(
            f"{kind}, {channels} channels",
            lambda draw, kind=kind, channels=channels: Call({"kind": kind, "channels": channels}),
        )
        for kind, channels in (
            ("convolution", 64),
            ("transposed convolution", 48),
            ("batch norm", 64),
            ("convolution without bias", 56),
        )
    ),
    hidden_cases=(
        Case(
            "transposed convolution, 80 channels", lambda draw: Call({"kind": "transposed convolution", "channels": 80})
        ),
        Case("batch norm, 80 channels", lambda draw: Call({"kind": "batch norm", "channels": 80})),
    ),
    # a spread is known to 1.1 %, a share within it to 0.7 % from the 4,096 numbers of the smallest layer
    relative=0.05,
    absolute=5e-4,
    mistakes=(
        Mistake(
            _with(convolution=lambda w: nn.init.normal_(w, 0.0, 0.02**2)),
            "The weights of the convolutions spread over 0.0004: that is 0.02 squared, the variance, and `nn.init.normal_` takes the standard deviation.",
        ),
        Mistake(
            _with(lambda w: nn.init.normal_(w, 0.0, 0.02**2), lambda w: nn.init.normal_(w, 1.0, 0.02**2)),
            "All weights spread over 0.0004: that is 0.02 squared, the variance, and `nn.init.normal_` takes the standard deviation.",
        ),
        Mistake(
            _with(lambda w: nn.init.normal_(w, 0.0, 0.02**0.5), lambda w: nn.init.normal_(w, 1.0, 0.02**0.5)),
            "The weights spread over 0.14, the root of 0.02: the standard deviation itself is 0.02.",
        ),
        Mistake(
            _with(lambda w: nn.init.normal_(w, 0.0, 0.2), lambda w: nn.init.normal_(w, 1.0, 0.2)),
            "The weights spread over 0.2, ten times too much: the standard deviation is 0.02.",
        ),
        Mistake(
            _with(norm=lambda w: nn.init.normal_(w, 0.0, 0.02)),
            "The factors of the batch norm lie around 0: they multiply all that goes through, so that hardly anything would be left of it. They lie around 1.",
        ),
        Mistake(
            _with(norm=lambda w: None),
            "The factors of the batch norm stay as they were: draw them from N(1, 0.02²).",
        ),
        Mistake(
            _with(norm=nn.init.ones_),
            "The factors of the batch norm are all exactly 1: that is PyTorch's own start. Here they are drawn from N(1, 0.02²).",
        ),
        Mistake(
            _with(norm=lambda w: nn.init.normal_(w, 1.0, 1.0)),
            "The factors of the batch norm spread over 1: some would be near 0 or negative. Their standard deviation is 0.02.",
        ),
        Mistake(
            _with(norm=lambda w: nn.init.normal_(w, 0.02, 1.0)),
            "Mean and standard deviation of the batch norm's factors are swapped: `nn.init.normal_(weight, 1.0, 0.02)`.",
        ),
        Mistake(
            _initialized(_swapped_norm),
            "Weight and bias of the batch norm are swapped: the weight is the factor, around 1, the bias the shift, 0.",
        ),
        Mistake(
            _initialized(_norm_left),
            "Batch norms stay as they were: draw their factors (`weight`) from N(1, 0.02²), and set their shifts (`bias`) to 0.",
        ),
        Mistake(
            _initialized(_norm_bias_left),
            "The shifts (`bias`) of the batch norm stay as they were: set them to 0.",
        ),
        Mistake(
            _with(kinds=nn.Conv2d),
            "Transposed convolutions stay as they were: `nn.ConvTranspose2d` is no `nn.Conv2d`, and the whole generator is made of them.",
        ),
        Mistake(
            _with(kinds=nn.ConvTranspose2d),
            "Ordinary convolutions stay as they were: the discriminator is made of them.",
        ),
        Mistake(_with(bias=lambda b: None), "The biases stay as they were: set them to 0 where there are any."),
        Mistake(
            _with(bias=lambda b: None, shift=nn.init.zeros_),
            "The biases of the convolutions stay as they were: set them to 0 where there are any. (PyTorch's own DCGAN leaves them, and has none in its convolutions.)",
        ),
        Mistake(
            _with(bias=lambda b: nn.init.normal_(b, 0.0, 0.02)),
            "The biases are drawn at random: they start at 0.",
            align=_drawn_bias,
        ),
        Mistake(
            _with(bias=lambda b: nn.init.normal_(b, 0.0, 0.02), shift=nn.init.zeros_),
            "The biases of the convolutions are drawn at random: they start at 0.",
            align=_drawn_bias,
        ),
        Mistake(
            _with(shift=lambda b: nn.init.normal_(b, 0.0, 0.02)),
            "The shifts (`bias`) of the batch norm are drawn at random: they start at 0.",
            align=_drawn_bias,
        ),
        Mistake(
            _with(shift=nn.init.ones_),
            "The shifts (`bias`) of the batch norm start at 1: they start at 0. It is the factors that lie around 1.",
        ),
        Mistake(_with(bias=nn.init.ones_), "The biases start at 1: they start at 0."),
        Mistake(
            _with(convolution=lambda w: nn.init.uniform_(w, -0.02, 0.02)),
            "You draw the weights evenly from -0.02 to 0.02, which spreads them over 0.0115 only: they are normal, `nn.init.normal_(weight, 0.0, 0.02)`.",
        ),
        Mistake(
            _with(convolution=lambda w: nn.init.uniform_(w, -(3**0.5) * 0.02, 3**0.5 * 0.02)),
            "Mean and spread are right, but the weights are drawn evenly: of normal ones 68 % lie within one standard deviation, of yours 58 %.",
        ),
        Mistake(
            _with(convolution=lambda w: nn.init.uniform_(w, 0.0, 0.02)),
            "You draw the weights from 0 to 0.02 (`torch.rand` does): none is negative, and all maps of a layer would be much alike. They are normal around 0.",
        ),
        Mistake(
            _with(convolution=lambda w: nn.init.normal_(w, 0.02)),
            "0.02 is the *mean* in your call, and the standard deviation is left at 1: `nn.init.normal_(weight, 0.0, 0.02)`.",
        ),
        Mistake(
            _with(convolution=nn.init.normal_),
            "The weights spread over 1, the default of `nn.init.normal_`: give it the standard deviation 0.02.",
        ),
        Mistake(
            _with(convolution=lambda w: nn.init.normal_(w, 1.0, 0.02)),
            "The weights of the convolutions lie around 1: they lie around 0. Only the factors of the batch norm lie around 1.",
        ),
        Mistake(
            _with(convolution=lambda w: nn.init.constant_(w, 0.02)),
            "All weights of the convolutions are 0.02: with equal weights all maps of a layer stay alike for ever. Draw them at random.",
        ),
        Mistake(
            _with(convolution=nn.init.zeros_),
            "The weights of the convolutions are 0: nothing comes through, and no gradient comes back. Draw them from N(0, 0.02²).",
        ),
        Mistake(
            _with(convolution=nn.init.xavier_normal_),
            "That is Xavier's rule, whose spread depends on the size of the layer: the paper has 0.02 everywhere.",
        ),
        Mistake(
            _with(convolution=nn.init.kaiming_normal_),
            "That is Kaiming's rule, whose spread depends on the size of the layer: the paper has 0.02 everywhere.",
        ),
        Mistake(
            _initialized(lambda module: None),
            "Nothing has changed: your function has to change the weights in place, `nn.init.normal_(module.weight, ...)`. A new tensor under an old name changes no layer.",
        ),
        Mistake(
            _initialized(_bias_everywhere),
            "Not every layer has a bias: it is None where `bias=False` was said. Ask `if module.bias is not None` first.",
        ),
        Mistake(
            _initialized(_all_that_has_weights),
            "Not every module has weights: `network.apply` also brings activations and the `nn.Sequential` around all. Ask with `isinstance` which one you have.",
        ),
        Mistake(
            _initialized(_in_place),
            "A parameter may not be changed in place where gradients are recorded: use `nn.init.normal_`, or work under `torch.no_grad()`.",
        ),
        Mistake(
            _with(norm=lambda w: nn.init.normal_(w, 1.0, 0.02**2)),
            "The factors of the batch norm spread over 0.0004: that is 0.02 squared, the variance, and `nn.init.normal_` takes the standard deviation.",
        ),
        Mistake(
            _with(nn.init.normal_, lambda w: nn.init.normal_(w, 1.0)),
            "You leave the standard deviation out, and `nn.init.normal_` takes 1: it is 0.02, for convolutions and batch norm alike.",
        ),
        Mistake(
            _with(_added, _added),
            "You add to the weights that were there: draw new ones in their place, `nn.init.normal_(module.weight, ...)`.",
        ),
        Mistake(
            _with(_added),
            "You add to the weights of the convolutions that were there: draw new ones in their place, `nn.init.normal_(module.weight, ...)`.",
        ),
        Mistake(
            _with(_scaled, _scaled),
            "You multiply the weights that were there by 0.02: draw new ones in their place, `nn.init.normal_(module.weight, ...)`.",
        ),
        Mistake(
            _with(_scaled),
            "You multiply the weights of the convolutions that were there by 0.02: draw new ones in their place, `nn.init.normal_(module.weight, ...)`.",
        ),
        Mistake(
            _with(lambda w: nn.init.uniform_(w, -0.02, 0.02), lambda w: nn.init.uniform_(w, 0.98, 1.02)),
            "You draw all weights evenly from 0.02 below to 0.02 above the mean, which spreads them over 0.0115 only: they are normal, `nn.init.normal_(weight, mean, 0.02)`.",
        ),
        Mistake(
            _with(norm=lambda w: nn.init.uniform_(w, 0.98, 1.02)),
            "You draw the factors of the batch norm evenly from 0.98 to 1.02, which spreads them over 0.0115 only: they are normal, `nn.init.normal_(weight, 1.0, 0.02)`.",
        ),
        Mistake(
            _with(norm=lambda w: nn.init.uniform_(w, 1 - 3**0.5 * 0.02, 1 + 3**0.5 * 0.02)),
            "The factors of the batch norm are drawn evenly: of normal ones 68 % lie within one standard deviation, of yours 58 %.",
        ),
        Mistake(
            _with(_truncated(0.0), _truncated(1.0)),
            "You cut the normal distribution off at two standard deviations, which narrows it to 0.0176: here it has its tails.",
        ),
        Mistake(
            _with(lambda w: nn.init.normal_(w, 0.0, 0.02).data.abs_()),
            "None of your weights is negative: they lie around 0.",
        ),
        Mistake(
            _then(_in_float64),
            "The weights have become float64 (NumPy draws such numbers), and no longer fit float32 pictures: `nn.init.normal_` keeps the dtype.",
        ),
        Mistake(
            _then(_transposed),
            "The weights have another shape than before: `nn.Conv2d` holds them as (out, in, 4, 4), `nn.ConvTranspose2d` as (in, out, 4, 4). Draw them in the shape that is there.",
        ),
        Mistake(
            _then(_kernels_transposed),
            "The weights of ordinary convolutions have another shape than before: `nn.Conv2d` holds them as (out, in, 4, 4), and only `nn.ConvTranspose2d` as (in, out, 4, 4). Draw them in the shape that is there.",
        ),
        Mistake(
            _then(_weight_frozen),
            "The weights no longer require a gradient, so they would never learn. If you switched it off to change them, work under `torch.no_grad()` instead; a new `nn.Parameter` is not needed.",
        ),
        Mistake(
            _then(_without_bias),
            "You take the bias away (None): set its numbers to 0, and let the layer learn others.",
        ),
        Mistake(
            _initialized(_seeded),
            "Two equal layers begin with the same weights, because you set the seed in each call: seeds are for the start of a program.",
        ),
        Mistake(
            _initialized(_all_around_zero),
            "You draw all that has weights around 0: the factors of a batch norm lie around 1, for they multiply what goes through, and linear layers are left alone.",
        ),
        Mistake(
            _initialized(_linear_too),
            "You also change linear layers: leave alone what is neither convolution nor batch norm.",
        ),
        Mistake(
            _initialized(_convolutions_replaced),
            "You put a plain tensor in the place of a convolution's parameter: change the numbers of the one that is there, `nn.init.normal_(module.weight, ...)`.",
        ),
        Mistake(
            _initialized(_replaced),
            "You put a plain tensor in the place of a parameter: change the numbers of the one that is there, `nn.init.normal_(module.weight, ...)`.",
        ),
    ),
)

# --- exercise 4: on the sphere ---------------------------------------------------------------------------------------


def _noises(draw: Draw, batch: int, latent_dim: int, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    start, end = (2 * draw.normal(batch, latent_dim) for _ in range(2))
    end = 0.7 * end + 0.2 * start  # of other length, and at no right angle
    return start, end, torch.linspace(0, 1, steps) ** 1.3  # no even steps, so that turning them round shows


def _opposed(draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    start = draw.normal(2, 5)
    return start, draw.normal(2, 5) - start, torch.tensor([0.1, 0.5, 0.75, 1.0])


def _close(draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs 3 degrees apart."""
    start, other = draw.normal(2, 3, 6)
    other = other - (other * start).sum(-1, keepdim=True) / start.square().sum(-1, keepdim=True) * start
    degrees = torch.tensor(3 * torch.pi / 180)
    return (
        start,
        2 * (degrees.cos() * start + degrees.sin() * start.norm(dim=-1, keepdim=True) * _unit(other)),
        torch.tensor([0.0, 0.3, 0.5, 1.0]),
    )


def _same_length(value: Any, wrong: Any) -> Any:
    """`value` with each noise at the length that it has in `wrong`: ways are compared, lengths are not."""
    if value.data.dtype != wrong.data.dtype:
        return value
    lengths = [of.data.norm(dim=-1, keepdim=True) for of in (value, wrong)]
    return replace(value, data=value.data * lengths[1] / lengths[0])


def _angle(start: Tensor, end: Tensor) -> Tensor:
    return torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None]  # (batch, 1)


def _arc(start: Tensor, end: Tensor, t: Tensor, angle: Tensor) -> Tensor:
    """On the arc for an angle, which may be the wrong one; t is (steps, 1, 1)."""
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


def _steps(fractions: Tensor) -> Tensor:
    return fractions[:, None, None]  # (steps, 1, 1)


def _slerp(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    return _arc(start, end, _steps(fractions), _angle(start, end))


def _unit(noise: Tensor) -> Tensor:
    return noise / noise.norm(dim=-1, keepdim=True)


def _line(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    return (1 - _steps(fractions)) * start + _steps(fractions) * end


def _pulled_out(start: Tensor, end: Tensor, fractions: Tensor) -> Tensor:
    """The straight line, each point moved out to the length that lies between those of the ends."""
    t = _steps(fractions)
    length = (1 - t) * start.norm(dim=-1, keepdim=True) + t * end.norm(dim=-1, keepdim=True)
    return length * _unit(_line(start, end, fractions))


spherical_interpolation = Check(
    name="spherical_interpolation",
    signature=("start", "end", "fractions"),
    reference=reference.spherical_interpolation,
    holds="the arc of each pair, from its start to its end",
    look='02_dcgan, exercise 4 "On the sphere"',
    hint="The cosine of each pair: F.cosine_similarity(start, end, dim=-1), (batch,). Give the angle a last axis, and fractions two: fractions[:, None, None].",
    cases=(
        Case(
            "a quarter circle in the plane",
            lambda draw: (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.0, 0.5, 1.0])),
        ),
        Case("3 pairs of 8 numbers, 5 steps", lambda draw: _noises(draw, 3, 8, 5)),
        Case("4 pairs of 4 numbers, 4 steps", lambda draw: _noises(draw, 4, 4, 4)),
        Case("2 pairs at an obtuse angle, 4 steps", _opposed),
        Case(
            "3 pairs at 3 degrees, 4 steps",
            _close,
            alone="It fails where start and end are nearly parallel, here 3 degrees apart. If you cut the cosine off, do it at 1 itself (or within rounding), and take the straight line for no such angle.",
        ),
    ),
    hidden_cases=(
        Case("1 pair of 100 numbers, 7 steps", lambda draw: _noises(draw, 1, 100, 7)),
        Case("6 pairs of 3 numbers, 2 steps", lambda draw: _noises(draw, 6, 3, 2)),
    ),
    mistakes=(
        Mistake(
            _line,
            "That is the straight line, which leads through the inside of the sphere: weights are sines of the angle, not the fractions themselves.",
        ),
        Mistake(
            lambda a, b, t: _unit(_line(a, b, t)),
            "You shorten the points of the straight line to length 1: noise of 100 numbers has a length of about 10. Use the sines of the formula.",
        ),
        Mistake(lambda a, b, t: _slerp(b, a, t), "Start and end are swapped: fraction 0 gives the start, 1 the end."),
        Mistake(
            lambda a, b, t: _slerp(_unit(a), _unit(b), t),
            "Your noises have length 1: only the angle is computed from the normalised ones, the sum is that of the noises themselves.",
        ),
        Mistake(
            lambda a, b, t: _slerp(a, b, t) * _angle(a, b).sin(),
            "The division by the sine of the whole angle is missing: at fraction 0 the start must come out unchanged.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), F.cosine_similarity(a, b, dim=-1)[:, None]),
            "You took the cosine for the angle: the angle is its arc cosine, `torch.acos`.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos((a * b).sum(dim=-1, keepdim=True))),
            "The dot product is a cosine only for vectors of length 1: divide it by both lengths, or use F.cosine_similarity.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos((a * b).sum(dim=-1, keepdim=True).clamp(-1, 1))),
            "You clamp a dot product to [-1, 1] and take it for a cosine: divide it by the lengths of both noises first.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos(F.cosine_similarity(a.flatten(), b.flatten(), dim=0))),
            "You compute one angle for the whole batch: each pair has its own, so take the cosine along the last dimension.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos(F.cosine_similarity(a, b, dim=0))),
            "The angle is taken along the batch: `dim=0` compares the same number of different noises. A noise lies along the last dimension.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos(F.cosine_similarity(a, b, dim=-1).mean())),
            "You average the cosines of the batch: each pair has its own angle.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), _angle(a, b) * 180 / torch.pi),
            "Your angle is in degrees: `sin` takes radians, as `acos` gives them.",
        ),
        Mistake(
            lambda a, b, t: (
                (_steps(1 - t).sin() * _angle(a, b) * a + _steps(t).sin() * _angle(a, b) * b) / _angle(a, b).sin()
            ),
            "You take the sine of the fraction and multiply by the angle: it is the sine of their product, sin(t w).",
        ),
        Mistake(
            lambda a, b, t: (a + b) * (_steps(t) * _angle(a, b)).sin() / _angle(a, b).sin(),
            "Start and end have the same weight sin(t w): the start's is sin((1 - t) w), which falls while the other grows.",
        ),
        Mistake(
            lambda a, b, t: (
                (1 - (_steps(t) * _angle(a, b)).sin() / _angle(a, b).sin()) * a
                + (_steps(t) * _angle(a, b)).sin() / _angle(a, b).sin() * b
            ),
            "You took one minus the end's weight for the start's: on an arc the two weights do not add up to 1. The start's is sin((1 - t) w) / sin(w).",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.tensor(torch.pi / 2)),
            "You take every angle for a right one: nearly so for noise in many dimensions, but each pair has its own.",
        ),
        Mistake(
            lambda a, b, t: (
                ((_steps(1 - t) * _angle(a, b)).cos() * a + (_steps(t) * _angle(a, b)).cos() * b) / _angle(a, b).sin()
            ),
            "The weights are cosines in your formula: they are sines.",
        ),
        Mistake(
            lambda a, b, t: _slerp(a, b, t).transpose(0, 1),
            "The batch comes first in your result: the steps do, (steps, batch, latent_dim), so that each step is a batch of noises.",
        ),
        Mistake(
            lambda a, b, t: _slerp(a, b, t).flatten(0, 1),
            "Steps and batch have run together: the result is (steps, batch, latent_dim).",
        ),
        Mistake(
            lambda a, b, t: _slerp(a, b, torch.linspace(0, 1, len(t))),
            "You go in even steps of your own: the fractions are given.",
        ),
        Mistake(
            _pulled_out,
            "You pull the straight line out to the sphere: the way is right, but it is not gone evenly, faster in the middle than at its ends. Use the sines of the formula.",
            align=_same_length,
        ),
        Mistake(
            lambda a, b, t: _slerp(_unit(a), _unit(b), t) * a.norm(dim=-1, keepdim=True),
            "You take the lengths off the noises and put others on: only the angle is computed from normalised noises, the sum is that of the noises themselves.",
            align=_same_length,
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), _angle(a, b).mean()),
            "You average the angles of the batch: each pair has its own.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), _angle(a, b)[0]),
            "You use the angle of the first pair for all: each pair has its own.",
        ),
        Mistake(
            lambda a, b, t: _arc(
                a, b, _steps(t), torch.acos((a * b).sum(dim=-1, keepdim=True) / (a.norm() * b.norm()))
            ),
            "You divide by the lengths of the whole batch: each noise has its own, `norm(dim=-1)`.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), _angle(a, b).squeeze(-1)),
            "The angle lacks its last axis: (batch,) meets the numbers of the noise instead of the batch. `angle[:, None]` is (batch, 1).",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, t, _angle(a, b)),
            "The fractions lack their axes: (steps,) meets the numbers of the noise. `fractions[:, None, None]` is (steps, 1, 1).",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, t[:, None], _angle(a, b)),
            "The fractions lack an axis: (steps, 1) meets the batch. `fractions[:, None, None]` is (steps, 1, 1).",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos(F.cosine_similarity(a, b, dim=-1).abs())[:, None]),
            "You take the absolute value of the cosine: an obtuse angle becomes an acute one, and the arc misses its end.",
        ),
        Mistake(
            lambda a, b, t: _arc(a, b, _steps(t), torch.acos(F.cosine_similarity(a, b, dim=-1).clamp(0, 1))[:, None]),
            "You clamp the cosine to [0, 1]: it is negative at an obtuse angle. If you clamp it, then to [-1, 1].",
        ),
        Mistake(
            lambda a, b, t: (
                ((1 - _steps(t) * _angle(a, b)).sin() * a + (_steps(t) * _angle(a, b)).sin() * b) / _angle(a, b).sin()
            ),
            "A bracket is missing: the start's weight is sin((1 - t) w), not sin(1 - t w).",
        ),
        Mistake(
            lambda a, b, t: (
                ((1 - _steps(t)) * _angle(a, b)).sin() * a + (_steps(t) * _angle(a, b)).sin() * b / _angle(a, b).sin()
            ),
            "Only the end's weight is divided by the sine of the whole angle: both are.",
        ),
    ),
)

# --- exercise 5: arithmetic ------------------------------------------------------------------------------------------


def _exemplars(draw: Draw, counts: tuple[int, int, int], latent_dim: int) -> tuple[Tensor, ...]:
    return tuple(draw.normal(count, latent_dim) for count in counts)


def _rescaled(value: Any, wrong: Any) -> Any:
    """`wrong` in the place of a value that is a positive multiple of it."""
    if value.data.dtype != wrong.data.dtype:
        return value
    return wrong if torch.allclose(_unit(value.data), _unit(wrong.data), 1e-4, 1e-5) else value


latent_arithmetic = Check(
    name="latent_arithmetic",
    signature=("having", "lacking", "onto"),
    reference=reference.latent_arithmetic,
    holds="one noise: mean of those that have it, less those that lack it, plus those that shall get it",
    look='02_dcgan, exercise 5 "Arithmetic with noise"',
    hint="The mean over exemplars is .mean(dim=0): (exemplars, latent_dim) to (latent_dim,).",
    cases=(
        Case("3, 3 and 5 exemplars of 6 numbers", lambda draw: _exemplars(draw, (3, 3, 5), 6)),
        Case("1 exemplar each, 3 numbers", lambda draw: _exemplars(draw, (1, 1, 1), 3)),
        Case("3, 2 and 4 exemplars of 4 numbers", lambda draw: _exemplars(draw, (3, 2, 4), 4)),
    ),
    hidden_cases=(Case("8 exemplars each, 8 numbers", lambda draw: _exemplars(draw, (8, 8, 8), 8)),),
    mistakes=(
        Mistake(
            lambda h, l, o: l.mean(0) - h.mean(0) + o.mean(0),
            "The difference is turned round: what the having ones have is to be added, so it is having - lacking.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) - l.mean(0) - o.mean(0),
            "You subtract `onto`: it is what the difference is added to.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) - l.mean(0),
            "`onto` is missing: the difference alone is the attribute without a face to wear it.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) + o.mean(0),
            "`lacking` is missing: then you add a whole face that smiles, not the smile.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) + l.mean(0) + o.mean(0),
            "You add all three: `lacking` is subtracted, so that what it shares with `having` goes away.",
        ),
        Mistake(
            lambda h, l, o: h.sum(0) - l.sum(0) + o.sum(0),
            "You add the exemplars up: take their mean, or three of them make a noise far out, where no sample was ever drawn.",
        ),
        Mistake(
            lambda h, l, o: h[0] - l[0] + o[0],
            "You use only the first exemplar of each: the mean of several is the point of the exercise.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) - l.mean(0) + o[0],
            "You use only the first exemplar of `onto`: its mean is taken as well.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) - l.mean(0) + o,
            "`onto` is not averaged, so a whole batch comes out: one noise is asked for, (latent_dim,).",
        ),
        Mistake(
            lambda h, l, o: h.mean(0, keepdim=True) - l.mean(0, keepdim=True) + o.mean(0, keepdim=True),
            "You keep the axis of the exemplars: the result is one noise, (latent_dim,).",
        ),
        Mistake(
            lambda h, l, o: h.mean() - l.mean() + o.mean(),
            "You average over everything, down to one number: average over the exemplars only, `dim=0`.",
        ),
        Mistake(
            lambda h, l, o: h.mean(1) - l.mean(1) + o.mean(1),
            "You average over the numbers of each noise (dim=1): average over the exemplars, `dim=0`.",
        ),
        Mistake(
            lambda h, l, o: (h.mean(0) - l.mean(0) + o.mean(0)) / 3,
            "You divide the sum by three: each mean is divided already.",
        ),
        Mistake(
            lambda h, l, o: (h.mean(0) - l.mean(0) + o.mean(0)) / (h.mean(0) - l.mean(0) + o.mean(0)).norm(),
            "You bring the result to length 1: the paper leaves it as it is, and noise of 100 numbers has a length of about 10.",
        ),
        Mistake(
            lambda h, l, o: h.median(0).values - l.median(0).values + o.median(0).values,
            "You take the median of each number: the exercise asks for the mean.",
        ),
        Mistake(
            lambda h, l, o: (h - l + o).mean(0),
            "It fails where the three have not equally many exemplars: take the mean of each on its own, before you add and subtract.",
        ),
        Mistake(
            lambda h, l, o: (h - l).mean(0) + o.mean(0),
            "It fails where `having` and `lacking` have not equally many exemplars: take the mean of each on its own, before you subtract.",
        ),
        Mistake(
            lambda h, l, o: h - l + o,
            "The exemplars are not averaged: take the mean of each of the three first, `dim=0`.",
        ),
        Mistake(
            lambda h, l, o: o.mean(0) - (h.mean(0) + l.mean(0)),
            "The brackets are wrong: `having` is added, and only `lacking` subtracted.",
        ),
        Mistake(
            lambda h, l, o: h.mean(0) - o.mean(0) + l.mean(0),
            "`onto` and `lacking` are swapped: `lacking` is subtracted, `onto` is added.",
        ),
        Mistake(
            lambda h, l, o: (h.sum(0) - l.sum(0) + o.sum(0)) / len(h),
            "You divide all sums by the number of exemplars of `having`: each by its own, as `.mean(dim=0)` does.",
        ),
        Mistake(
            lambda h, l, o: (h.sum(0) - l.sum(0) + o.sum(0)) / 3,
            "You divide the sums by 3: there may be more or fewer exemplars. Take `.mean(dim=0)` of each.",
        ),
        Mistake(
            lambda h, l, o: sum(sign * noises[:3].mean(0) for sign, noises in ((1, h), (-1, l), (1, o))),
            "You use the first three exemplars only: take the mean of all that there are.",
        ),
        Mistake(
            lambda h, l, o: sum(
                sign * noises[: min(len(h), len(l), len(o))].mean(0) for sign, noises in ((1, h), (-1, l), (1, o))
            ),
            "You drop exemplars until all three have equally many: take the mean of all of each, before you add and subtract.",
        ),
        Mistake(
            lambda h, l, o: _unit(h.mean(0) - l.mean(0)) + o.mean(0),
            "You bring the difference to length 1: it is added as it is.",
        ),
        Mistake(
            lambda h, l, o: _unit(h.mean(0)) - _unit(l.mean(0)) + _unit(o.mean(0)),
            "You bring each mean to length 1: they are added as they are.",
        ),
        Mistake(
            lambda h, l, o: _unit(h.mean(0) - l.mean(0) + o.mean(0)) * h.shape[1] ** 0.5,
            "You rescale the result: the paper leaves it as it is (what rescaling is worth is measured further down).",
            align=_rescaled,
        ),
        Mistake(
            lambda h, l, o: sum(
                sign * noises.sum(0) / len(noises) ** 0.5 for sign, noises in ((1, h), (-1, l), (1, o))
            ),
            "You divide the sums by the root of the number of exemplars: a mean divides by the number itself.",
        ),
        Mistake(
            lambda h, l, o: torch.cat([h, -l, o]).mean(0),
            "You average over all exemplars of the three together: each of the three has a mean of its own.",
        ),
    ),
)

# --- exercise 6: the label -------------------------------------------------------------------------------------------


def _one_hot(labels: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(labels, num_classes).float()


def _maps(images: Tensor, codes: Tensor) -> Tensor:
    """Codes (batch, channels) as constant maps of the size of the pictures."""
    return codes[:, :, None, None].expand(-1, -1, *images.shape[2:])


def _with_label_maps(images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)  # (batch, num_classes)
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=1)


def _joined(images: Tensor, codes: Tensor) -> Tensor:
    return torch.cat([images, _maps(images, codes)], 1)


def _corner(images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The label at the first pixel only."""
    maps = images.new_zeros(len(images), num_classes, *images.shape[2:])
    maps[:, :, 0, 0] = _one_hot(labels, num_classes)
    return torch.cat([images, maps], 1)


def _spread(images: Tensor, labels: Tensor, num_classes: int, height: int, width: int) -> Tensor:
    """The label's maps at this size."""
    return _one_hot(labels, num_classes).to(images.dtype)[:, :, None, None].expand(-1, -1, height, width)


def _by_class(images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Labels taken for numbers of pictures."""
    maps = images.new_zeros(len(images), num_classes, *images.shape[2:])
    maps[labels] = 1
    return torch.cat([images, maps], 1)


def _painted_in(images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    images[:, 0] = labels[:, None, None] / num_classes
    return _with_label_maps(images, labels, num_classes)


def _pictures(draw: Draw, shape: tuple[int, ...], num_classes: int) -> tuple[Tensor, Tensor, int]:
    return draw.uniform(*shape, low=-1), draw.integers(num_classes - 1, shape[0]), num_classes  # none of the last class


class _MapsCheck(Check):
    """Failures of `torch.cat` are alike only if the sizes are: they tell which sizes the maps have."""

    def _alike_in_value(self, a: Answer, b: Answer) -> bool:
        if a.failure is not None and b.failure is not None:
            return (a.failure.type_name, a.failure.message) == (b.failure.type_name, b.failure.message)
        return super()._alike_in_value(a, b)

    def mistake(self, answers: Sequence[Answer], hidden: bool = False) -> str | None:
        known = super().mistake(answers, hidden)
        messages = [answer.failure.message for answer in answers if answer.failure is not None]
        sizes = {found[1] for found in (re.match(_CAT, message) for message in messages) if found}
        if known is None and len(sizes) == 1:
            return f"Your maps have {sizes.pop()} pixels a side whatever the picture has: height and width are `images.shape[2]` and `images.shape[3]`."
        return known


_CAT = r"Sizes of tensors must match except in dimension 1\. Expected size \d+ but got size (\d+) for tensor number 1"

with_label_maps = _MapsCheck(
    name="with_label_maps",
    signature=("images", "labels", "num_classes"),
    reference=_with_label_maps,
    holds="the pictures, then a map for each class, and a gradient to the pictures",
    look='02_dcgan, exercise 6 "The label into both networks"',
    hint="F.one_hot(labels, num_classes) is (batch, num_classes); [:, :, None, None].expand(-1, -1, height, width) makes maps of it; torch.cat(..., dim=1).",
    cases=(
        Case("4 colour pictures of 5x5, 6 classes", lambda draw: _pictures(draw, (4, 3, 5, 5), 6)),
        Case(
            "3 colour pictures of 2x4, 3 classes",
            lambda draw: (draw.uniform(3, 3, 2, 4, low=-1), torch.tensor([1, 0, 1]), 3),
        ),
        Case(
            "2 colour pictures of 4x4, label 1 and 11 of 12",
            lambda draw: (draw.uniform(2, 3, 4, 4, low=-1), torch.tensor([1, 11]), 12),
        ),
        Case(
            "3 pictures of 4x3 with 5 channels, values beyond [-1, 1], 4 classes",
            lambda draw: (3 * draw.normal(3, 5, 4, 3), torch.tensor([2, 0, 2]), 4),
        ),
        Case(
            "2 grey pictures of 3x3 in float64, 3 classes",
            lambda draw: (draw.normal(2, 1, 3, 3, dtype=torch.float64), torch.tensor([0, 1]), 3),
        ),
    ),
    hidden_cases=(
        Case(
            "1 colour picture of 8x8, label 0 of 5",
            lambda draw: (draw.uniform(1, 3, 8, 8, low=-1), torch.tensor([0]), 5),
        ),
        Case("7 grey pictures of 3x6, 10 classes", lambda draw: _pictures(draw, (7, 1, 3, 6), 10)),
    ),
    gradients="required",
    differentiable=("images",),
    mistakes=(
        Mistake(
            lambda x, y, n: _joined(x, y[:, None].float()),
            "You added the label as one map of its number: then class 8 is twice class 4. Give each class a map of its own (one-hot).",
        ),
        Mistake(
            lambda x, y, n: _joined(x, y[:, None] / n),
            "You added the label as one map of a scaled number: classes have no order. Give each class a map of its own (one-hot).",
        ),
        Mistake(
            lambda x, y, n: torch.cat([_maps(x, _one_hot(y, n)), x], 1),
            "The maps come first: the picture's channels do, then the maps.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, F.one_hot(y).float()),
            "There are only as many maps as the largest label of *this batch* needs: tell F.one_hot the number of classes, or the network's input changes from batch to batch.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n + 1)),
            "There is one map too many: labels run from 0 to num_classes - 1.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot((y - 1) % n, n)),
            "The map of ones is one too early: label 0 has the first map.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot((y + 1) % n, n)),
            "The map of ones is one too late: label 0 has the first map.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n).flip(1)),
            "The maps stand in reversed order: label 0 has the first map.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, 1 - _one_hot(y, n)),
            "Zeros and ones are swapped: all maps are 0 but for that of the label.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, 2 * _one_hot(y, n) - 1),
            "Your maps are -1 where they should be 0: only pictures are scaled to [-1, 1].",
        ),
        Mistake(
            lambda x, y, n: _joined(x, torch.ones(len(x), n)),
            "All maps are 1, so the label is not told: only that of the label is 1.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, torch.zeros(len(x), n)),
            "All maps are 0, so the label is not told: that of the label is 1.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n) * y[:, None]),
            "The label's map holds the label's number: it holds ones.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n)[:1].expand(len(x), -1)),
            "All pictures get the maps of the first one: each has its own label.",
        ),
        Mistake(lambda x, y, n: _joined(x, _one_hot(y, n).flip(0)), "The labels reach the pictures in reversed order."),
        Mistake(
            _corner, "The label stands at one pixel only: a convolution sees small patches, so put it at every pixel."
        ),
        Mistake(
            lambda x, y, n: _maps(x, _one_hot(y, n)),
            "The pictures are missing: put the maps behind their channels.",
        ),
        Mistake(
            lambda x, y, n: _maps(x, _one_hot(y, n).to(x.dtype)),
            "The pictures are missing: put the maps behind their channels.",
        ),
        Mistake(
            lambda x, y, n: x + y[:, None, None, None],
            "You added the label to the pixels: put maps behind the channels, torch.cat(..., dim=1).",
        ),
        Mistake(
            lambda x, y, n: x + 0 * y[:, None, None, None],
            "The label is missing: you return the pictures as they came.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot(y, n)], 1),
            "The one-hot labels have no height and width yet: give them two axes, `[:, :, None, None]`, and spread them over the picture with `expand`.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot(y, n)[:, :, None, None]], 1),
            "The maps are one pixel large: spread them over the picture with `expand(-1, -1, height, width)`.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _maps(x, _one_hot(y, n))], 0),
            "You put the maps below the batch (dim=0), as if they were further pictures: channels are dim=1.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n)).flatten(1),
            "You return flat rows: the discriminator takes pictures, (batch, channels + num_classes, height, width).",
        ),
        Mistake(
            lambda x, y, n: _joined(x.detach(), _one_hot(y, n)),
            "You detach the pictures: the generator learns through them, and no gradient would reach it any more.",
        ),
        Mistake(
            _painted_in,
            "You write into the pictures themselves: whoever called the function finds them changed. Make new maps, and join them with torch.cat.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, y[:, None].float().expand(-1, n)),
            "You repeat the label's number num_classes times: the map of the label is 1, all others 0.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n).amax(0, keepdim=True).expand(len(x), -1)),
            "Each picture gets the labels of the whole batch: `maps[:, labels]` means all pictures and all these maps. Take one map a picture: `maps[torch.arange(len(images)), labels]`.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n) / n),
            "Your maps are divided by the number of classes: the label's is 1.",
        ),
        Mistake(
            lambda x, y, n: _joined(x.flip(0), _one_hot(y, n)),
            "The pictures have changed their order: only maps are added.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _spread(x, y, n, x.shape[3], x.shape[3])], 1),
            "It fails where height and width differ: height is `images.shape[2]`, width `images.shape[3]`, in this order.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _spread(x, y, n, x.shape[2], x.shape[2])], 1),
            "It fails where height and width differ: your maps have the height for both. The width is `images.shape[3]`.",
        ),
        Mistake(
            _by_class,
            "`maps[labels] = 1` fills whole pictures, those whose *number in the batch* is a label. Take one map a picture: `maps[torch.arange(len(images)), labels] = 1`.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _maps(x, _one_hot(y, n))], -1),
            "You join along the width (dim=-1): channels are dim=1.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _maps(x, _one_hot(y, n))], 2),
            "You join along the height (dim=2): channels are dim=1.",
        ),
        Mistake(
            lambda x, y, n: _with_label_maps(x, y, 12),
            "There are always 12 maps in your answer: their number is `num_classes`.",
        ),
        Mistake(
            lambda x, y, n: _joined(x[:, :3], _one_hot(y, n)),
            "You keep three channels only: pictures may have more, and all of them stay.",
        ),
        Mistake(
            lambda x, y, n: _joined(x.clamp(-1, 1), _one_hot(y, n)),
            "You clamp the pictures: only maps are added.",
        ),
        Mistake(
            lambda x, y, n: _joined((x + 1) / 2, _one_hot(y, n)),
            "You scale the pictures to [0, 1]: only maps are added.",
        ),
        Mistake(
            lambda x, y, n: _joined(x.float(), _one_hot(y, n)),
            "You make float32 of everything: the result has the dtype of the pictures.",
        ),
        Mistake(
            lambda x, y, n: _joined(x, _one_hot(y, n).double()),
            "Your maps are float64, and make float64 of the pictures: give them the pictures' dtype, `.to(images.dtype)`.",
        ),
        Mistake(
            lambda x, y, n: torch.cat(
                [x, _one_hot(y, n).to(x.dtype).repeat(1, x[0, 0].numel()).view(len(x), n, *x.shape[2:])], 1
            ),
            "Your ones and zeros run from map to map: `repeat(1, height * width)` puts all classes side by side at each pixel, and `view` takes them for maps. Use `[:, :, None, None]` and `expand`.",
        ),
    ),
)
