"""Checks of notebook translation/pix2pix."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.perform import Build, Network

__all__ = ["discriminator_loss", "drop", "generator_loss", "receptive_field", "unet"]


# --- exercise 1 -------------------------------------------------------------------------------------------------------------


class _UNet(nn.Module):
    """The layers that the exercise gives, and the way through them."""

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int):
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level, (taken, given) in enumerate(pairwise((in_channels, *widths))):
            norm = nn.BatchNorm2d(given) if 0 < level < depth - 1 else nn.Identity()
            self.encoder.append(nn.Sequential(nn.Conv2d(taken, given, 4, 2, 1), norm, nn.LeakyReLU(0.2)))
        for level, (given, taken) in reversed(list(enumerate(pairwise((out_channels, *widths))))):
            taken = taken if level == depth - 1 else 2 * taken
            end = [nn.BatchNorm2d(given), nn.ReLU()] if level else [nn.Tanh()]
            self.decoder.append(nn.Sequential(nn.ConvTranspose2d(taken, given, 4, 2, 1), *end))

    def forward(self, images: Tensor) -> Any:
        features, skips = self.encoded(images)
        return self.decoded(features, skips)

    def encoded(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the innermost layer gives, and what those before it gave, from the outside in."""
        seen = []
        for layer in self.encoder:
            images = layer(images)
            seen.append(images)
        return seen[-1], seen[:-1]

    def decoded(
        self,
        features: Tensor,
        skips: Sequence[Tensor],
        join: Callable[[Tensor, Tensor], Tensor] = lambda skip, features: torch.cat([skip, features], dim=1),
    ) -> Tensor:
        features = self.decoder[0](features)
        for layer, skip in zip(list(self.decoder)[1:], reversed(skips), strict=True):
            features = layer(join(skip, features))
        return features


def _forward(forward: Callable[[Any, Tensor], Any]) -> type[nn.Module]:
    """The network with another way through it."""
    return type("UNet", (_UNet,), {"forward": forward})


def _joined_by(join: Callable[[Tensor, Tensor], Tensor]) -> type[nn.Module]:
    """The network with another way to join a skip to the decoder's features."""

    def forward(self: Any, images: Tensor) -> Tensor:
        features, skips = self.encoded(images)
        return self.decoded(features, skips, join)

    return _forward(forward)


def _bottleneck_joined(self: Any, images: Tensor) -> Tensor:
    features, skips = self.encoded(images)
    return self.decoded(torch.cat([features, features], dim=1), skips)


def _not_reversed(self: Any, images: Tensor) -> Tensor:
    features, skips = self.encoded(images)
    return self.decoded(features, skips[::-1])


def _one_too_far_in(self: Any, images: Tensor) -> Tensor:
    """The list still holds the bottleneck, so each layer gets the skip of the one before it."""
    features, skips = self.encoded(images)
    return self.decoded(features, [*skips[1:], features][: len(skips)])


def _only_the_innermost(self: Any, images: Tensor) -> Tensor:
    features, _ = self.encoded(images)
    return features


def _pair_returned(self: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    features, skips = self.encoded(images)
    return self.decoded(features, skips), features


def _kept_on_self(self: Any, images: Tensor) -> Tensor:
    """The list grows from call to call, and is read from its start."""
    self.kept = getattr(self, "kept", [])
    features, skips = self.encoded(images)
    self.kept += [*skips, features]
    return self.decoded(features, self.kept[: len(skips)])


def _first_call_kept(self: Any, images: Tensor) -> Tensor:
    if not hasattr(self, "kept"):
        self.kept = self.encoded(images)
    return self.decoded(*self.kept)


def _square_only(self: Any, images: Tensor) -> Tensor:
    side = images.shape[-1]
    return _UNet.forward(self, images).reshape(len(images), -1, side, side)


def _in_mode(training: bool) -> Callable[[Any, Tensor], Tensor]:
    def forward(self: Any, images: Tensor) -> Tensor:
        self.train(training)
        return _UNet.forward(self, images)

    return forward


def _encoder_anew(self: Any, images: Tensor) -> Tensor:
    """As many runs of the encoder as there are layers in it, each one layer shorter."""
    features, skips = self.encoded(images)
    for level in reversed(range(len(skips))):
        again = images
        for layer in self.encoder[: level + 1]:
            again = layer(again)
        skips[level] = again
    return self.decoded(features, skips)


def _three_layers(self: Any, images: Tensor) -> Tensor:
    outer = self.encoder[0](images)
    middle = self.encoder[1](outer)
    features = self.decoder[0](self.encoder[2](middle))
    features = self.decoder[1](torch.cat([middle, features], dim=1))
    return self.decoder[2](torch.cat([outer, features], dim=1))


def _always_a_skip(self: Any, images: Tensor) -> Tensor:
    features, skips = self.encoded(images)
    features = torch.cat([skips[-1], self.decoder[0](features)], dim=1)
    for layer, skip in zip(self.decoder[1:-1], skips[-2::-1], strict=True):
        features = torch.cat([skip, layer(features)], dim=1)
    return self.decoder[-1](features)


def _last_layer_left_out(self: Any, images: Tensor) -> Tensor:
    features, skips = self.encoded(images)
    features = self.decoder[0](features)
    for layer, skip in zip(self.decoder[1:-1], reversed(skips), strict=False):
        features = layer(torch.cat([skip, features], dim=1))
    return features


def _encoder_activated_again(self: Any, images: Tensor) -> Tensor:
    seen = []
    for layer in self.encoder:
        images = F.relu(layer(images))
        seen.append(images)
    return self.decoded(seen[-1], seen[:-1])


def _overwriting(self: Any, images: Tensor) -> Tensor:
    images.mul_(2).sub_(1)
    return _UNet.forward(self, images)


class _NormEverywhere(_UNet):
    """A batch norm in the encoder's outermost and innermost layers too."""

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int):
        super().__init__(in_channels, out_channels, width, depth)
        for layer in self.encoder:
            layer[1] = nn.BatchNorm2d(layer[0].out_channels)


_ADDED = "You put an activation where none is asked for: all of them are in the layers already."
_KEPT = "You keep the skips on `self` and do not clear them: the second batch gets those of the first. Make the list anew in each call."


def _encoder_without_gradient(self: Any, images: Tensor) -> Tensor:
    with torch.no_grad():
        features, skips = self.encoded(images)
    return self.decoded(features, skips)


def _bottleneck_detached(self: Any, images: Tensor) -> Tensor:
    features, skips = self.encoded(images)
    return self.decoded(features.detach(), skips)


def _built(
    draw: Draw, channels: tuple[int, int], width: int, depth: int, shape: tuple[int, int, int], later: int
) -> Build:
    """Pictures of `shape` (batch, height, width), and `later` others of the same size in evaluation mode."""
    arguments = (*channels, width, depth)
    parameters = {}
    for name, parameter in _UNet(*arguments).named_parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        numbers = draw.normal(*parameter.shape)
        parameters[name] = 1.5 * fan_in**-0.5 * numbers if parameter.dim() > 1 else 0.3 * numbers
        if parameter.dim() == 1 and name.endswith("1.weight"):  # of a norm
            parameters[name] = 1 + parameters[name]
    batch, *size = shape
    first, second = (draw.uniform(number, channels[0], *size, low=-1) for number in (batch, later))
    return Build(arguments, parameters, {"forward": first}, in_evaluation={"forward": second})


unet = Check(
    name="UNet",
    signature=("in_channels", "out_channels", "width", "depth"),
    reference=_UNet,
    holds="answers and the gradients of all parameters, with one, two and three halvings",
    look='01_pix2pix, exercise 1 "A U-Net"',
    hint="Go through the encoder and keep what each layer gives. Drop the last one: it enters decoder[0] alone. Each further layer of the decoder takes "
    "torch.cat([kept.pop(), features], dim=1).",
    cases=(
        Case("3 pictures of 16x16, then 1, three halvings", lambda draw: _built(draw, (3, 2), 4, 3, (3, 16, 16), 1)),
        Case(
            "2 pictures of 8x16, then 2, two halvings",
            lambda draw: _built(draw, (3, 2), 4, 2, (2, 8, 16), 2),
            alone="Right for square pictures, but not where height and width differ: take both from the tensors, or neither.",
        ),
        Case(
            "2 pictures of 8x8, then 3, one halving, so no skip at all",
            lambda draw: _built(draw, (1, 3), 5, 1, (2, 8, 8), 3),
        ),
    ),
    hidden_cases=(
        Case("4 pictures of 16x16, then 1, four halvings", lambda draw: _built(draw, (3, 3), 2, 4, (4, 16, 16), 1)),
    ),
    gradients="required",
    relative=1e-3,
    absolute=1e-4,
    mistakes=(
        Mistake(
            _joined_by(lambda skip, features: features),
            "A layer of the decoder gets half of the channels that it has weights for. Join to the features what the encoder gave at the same size, side by side: "
            "torch.cat([skip, features], dim=1). Adding the two, or joining along another dimension, does not give the channels.",
        ),
        Mistake(
            _forward(_bottleneck_joined),
            "decoder[0] gets twice the channels that it has weights for: the innermost layer has no skip. What it gives is the decoder's input already.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([features, skip], dim=1)),
            "You join in the other order: the exercise asks for the encoder's features first, then the decoder's, so that the weights of all of us fit.",
        ),
        Mistake(
            _forward(_not_reversed),
            "The skips come in the encoder's own order, so sizes do not fit: the decoder goes back, and needs the last one first. A list's pop() gives them so.",
        ),
        Mistake(
            _forward(_one_too_far_in),
            "Each skip comes one layer too late: the bottleneck itself is still in your list. Take it off before the decoder starts.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([features, features], dim=1)),
            "You join the decoder's features to themselves: then nothing goes past the bottleneck, as in a plain encoder-decoder.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([skip, skip], dim=1)),
            "You join the skip to itself: what came up through the bottleneck is lost.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([skip.flip(3), features], dim=1)),
            "You flip the skip: mirror layer means the layer of the encoder that works at the same size, not a mirrored picture.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([skip.detach(), features], dim=1)),
            "The skips are detached: their values are right, but the encoder learns nothing through them.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([skip, features.detach()], dim=1)),
            "You detach the decoder's features before you join them: then only the outermost layers learn.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.cat([torch.zeros_like(skip), features], dim=1)),
            "You join zeros where the skip belongs: the channels fit, but nothing goes past the bottleneck.",
        ),
        Mistake(
            _forward(lambda self, images: torch.tanh(_UNet.forward(self, images))),
            "You put a tanh on the result: the last layer ends with one already.",
        ),
        Mistake(
            _forward(lambda self, images: (_UNet.forward(self, images) + 1) / 2),
            "You rescale the answer to [0, 1]: pictures stay in [-1, 1] everywhere in this course.",
        ),
        Mistake(
            _forward(lambda self, images: images + _UNet.forward(self, images)),
            "You add the input to the answer: the answer is another picture, not a correction of the input.",
        ),
        Mistake(
            _forward(_only_the_innermost),
            "You return the encoder's last features: the decoder has still to make a picture of them.",
        ),
        Mistake(
            _forward(_pair_returned),
            "You return the answer and something else: here the answer only.",
        ),
        Mistake(
            _forward(_encoder_without_gradient),
            "The encoder runs under torch.no_grad(): the values are right, but it could never learn.",
        ),
        Mistake(
            _forward(_bottleneck_detached),
            "You detach what enters decoder[0]: the innermost layer of the encoder would never learn.",
        ),
        Mistake(
            _forward(torch.no_grad()(_UNet.forward)),
            "`forward` cuts the answer off from the graph (torch.no_grad(), detach() or NumPy): that is for looking at results, not inside of a network that is to learn.",
        ),
        Mistake(_forward(_kept_on_self), _KEPT),
        Mistake(_forward(_first_call_kept), _KEPT),
        Mistake(
            _forward(lambda self, images: _UNet.forward(self, images).squeeze(0)),
            "One picture gives an answer without the batch axis: leave out squeeze(), a batch of one stays a batch.",
        ),
        Mistake(
            _forward(_square_only),
            "You take one side for both: height and width may differ. There is nothing to reshape, the layers keep them.",
        ),
        Mistake(
            _forward(_in_mode(True)),
            "You switch to training mode inside of forward: then dropout and batch statistics never stop, not even after `eval()`. Whoever calls the network chooses the mode.",
        ),
        Mistake(
            _forward(_in_mode(False)),
            "You switch to evaluation mode inside of forward: in training, batch norm takes the statistics of the batch. Whoever calls the network chooses the mode.",
        ),
        Mistake(
            _forward(_encoder_anew),
            "You run the encoder anew for each skip: that is slower, and moves the running statistics of its batch norms once more each time. Run it once and keep what each layer gives.",
        ),
        Mistake(
            _forward(lambda self, images: torch.cat([_UNet.forward(self, picture[None]) for picture in images])),
            "You send the pictures through one at a time: batch norm then sees a batch of one. Give the layers the whole batch.",
        ),
        Mistake(
            _forward(lambda self, images: _UNet.forward(self, images[:1])),
            "You answer the first picture only: the layers take the whole batch.",
        ),
        Mistake(
            _forward(_three_layers),
            "You wrote the three layers of the diagram, but `depth` may be any number: loop over self.encoder and self.decoder.",
        ),
        Mistake(
            _forward(_always_a_skip),
            "With one halving there is no skip at all: decoder[0] is then also the last layer.",
        ),
        Mistake(
            _forward(_last_layer_left_out),
            "The last layer of the decoder is missing: the answer is half as large as the picture.",
        ),
        Mistake(_forward(_encoder_activated_again), _ADDED),
        Mistake(_joined_by(lambda skip, features: F.relu(torch.cat([skip, features], dim=1))), _ADDED),
        Mistake(_forward(lambda self, images: torch.sigmoid(_UNet.forward(self, images))), _ADDED),
        Mistake(
            _forward(lambda self, images: _UNet.forward(self, images).clamp(0, 1)),
            "You cut the answer off at 0: pictures stay in [-1, 1] everywhere in this course, and the last layer's tanh sees to that.",
        ),
        Mistake(
            _joined_by(lambda skip, features: torch.stack([skip, features], dim=2).flatten(1, 2)),
            "You alternate the channels of skip and features: first come all of the skip, then all of the features.",
        ),
        Mistake(
            _forward(_overwriting),
            "You overwrite `images`: whoever called the network would find other pictures than before. They need no rescaling.",
        ),
        Mistake(
            _NormEverywhere,
            "You changed `__init__`: leave it as the exercise has it, with its batch norms where they are.",
        ),
    ),
)


# --- exercise 2 -------------------------------------------------------------------------------------------------------------

_Layers = Sequence[tuple[int, int]]


def _field(
    step: Callable[[int, int, int], int] = lambda size, kernel, stride: (size - 1) * stride + kernel,
    start: int = 1,
    order: Callable[[_Layers], _Layers] = lambda layers: layers[::-1],
) -> Callable[[_Layers], int]:
    """The walk through the layers with one of its parts replaced."""

    def receptive_field(layers: _Layers) -> int:
        size = start
        for kernel, stride in order(layers):
            size = step(size, kernel, stride)
        return size

    return receptive_field


def _jump_first(layers: _Layers) -> int:
    """Forwards, with the stride counted before the layer it belongs to."""
    size, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size


def _first_layer_behind(layers: _Layers) -> int:
    """Each kernel with the stride of the layer before it."""
    return _field(order=lambda layers: tuple((layers[i][0], layers[i - 1][1]) for i in range(len(layers)))[::-1])(
        layers
    )


def _reversed_to_none(layers: Any) -> int:
    size = 1
    for kernel, stride in list(layers).reverse():
        size = (size - 1) * stride + kernel
    return size


def _output_size(layers: _Layers) -> int:
    size = 256
    for kernel, stride in layers:
        size = (size + 2 - kernel) // stride + 1
    return size


_NO_GAPS = (
    "Right while kernels are at least as large as strides. A kernel of 1 with a stride of 2 leaves pixels out between its steps, but at the end the last step sees one pixel, "
    "not two: (size - 1) * stride + kernel, without max() or if."
)
_ONE_KERNEL = "You take the same kernel for all layers: each has its own."
_OUTPUT_SIZE = (
    "You compute the size of an output. The question is the other way round: how many pixels one output value sees."
)

_PATCH_70 = ((4, 2), (4, 2), (4, 2), (4, 1), (4, 1))

receptive_field = Check(
    name="receptive_field",
    signature=("layers",),
    reference=_field(),
    holds="70 for the paper's discriminator, and for other chains of convolutions",
    look='01_pix2pix, exercise 2 "What one logit sees"',
    hint="Start with 1, the output itself, and go from the last layer to the first: size = (size - 1) * stride + kernel.",
    cases=(
        Case("the paper's discriminator", lambda draw: (_PATCH_70,)),
        Case("one convolution", lambda draw: (((5, 3),),)),
        Case("kernels 3 and 7, strides 2 and 3", lambda draw: (((3, 2), (7, 3)),)),
        Case("kernels 3, 1 and 5, strides 1, 2 and 1", lambda draw: (((3, 1), (1, 2), (5, 1)),)),
    ),
    hidden_cases=(
        Case("the 16 x 16 patch", lambda draw: (((4, 2), (4, 1), (4, 1)),)),
        Case("kernels 1 and 2, strides 2 and 3", lambda draw: (((1, 2), (2, 3), (2, 3)),)),
        Case("strides 2, 1, 4", lambda draw: (((3, 2), (6, 1), (4, 4)),)),
    ),
    mistakes=(
        Mistake(
            _field(order=lambda layers: layers),
            "You go through the layers from the first to the last: this formula goes backwards, from one output to the pixels behind it.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: size * stride + kernel),
            "The -1 is missing: `size` values have only size - 1 steps between them.",
        ),
        Mistake(
            _field(start=0),
            "You start with 0: one output value is there to begin with.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: (size - 1) * kernel + stride),
            "Kernel and stride are swapped: neighbouring outputs lie a *stride* apart, and the last of them sees a whole *kernel*.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: size + kernel - 1),
            "You leave the strides out: behind a layer of stride 2, two steps of the input are one step of the output.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: size * stride),
            "You multiply the strides only: that is how much smaller the output is, not how much one of its values sees.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: size * kernel),
            "You multiply the kernels: they overlap, so a second 4 x 4 kernel of stride 1 adds 3 pixels, not a factor of 4.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: size + kernel, start=0),
            "You add up the kernels: they overlap, and a stride spreads the later ones apart.",
        ),
        Mistake(
            _field(order=lambda layers: layers[:-1][::-1]),
            "The last layer is left out: start with a size of 1 *behind* it.",
        ),
        Mistake(
            _field(order=lambda layers: layers[1:][::-1]),
            "The first layer is left out: its kernel is what touches the pixels.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: (size - 1) * stride + kernel - 1),
            "A kernel covers `kernel` values, not kernel - 1: (size - 1) * stride + kernel.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: (size - kernel) // stride + 1, start=256),
            _OUTPUT_SIZE,
        ),
        Mistake(_output_size, _OUTPUT_SIZE),
        Mistake(
            _field(lambda size, kernel, stride: size * stride + kernel - 1),
            "You take the 1 off behind the product: (size - 1) * stride, brackets first.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: size - 1 * stride + kernel),
            "Brackets: (size - 1) * stride. Without them only the stride is subtracted.",
        ),
        Mistake(
            _field(order=lambda layers: layers[-1:]),
            "Only the last layer is counted: does your `return` stand inside of the loop?",
        ),
        Mistake(
            lambda layers: _field(start=layers[-1][0])(layers),
            "The last layer is counted twice: start with 1, the output itself, or leave that layer out of the loop.",
        ),
        Mistake(_field(lambda size, kernel, stride: (size - 1) * stride + 4), _ONE_KERNEL),
        Mistake(
            lambda layers: _field(lambda size, kernel, stride: (size - 1) * stride + layers[0][0])(layers),
            _ONE_KERNEL,
        ),
        Mistake(
            _field(order=lambda layers: sorted(layers, key=lambda layer: layer[1])),
            "You sort the layers: their order counts, from the last one back to the picture.",
        ),
        Mistake(
            _field(order=lambda layers: sorted(set(layers), reverse=True)),
            "Equal layers count each, and in their order: a set knows neither.",
        ),
        Mistake(
            _field(lambda size, kernel, stride: (size - 1) * stride + kernel - 2),
            "You take the padding off: padding moves the square to the side, it does not make it smaller.",
        ),
        Mistake(
            _first_layer_behind,
            "You pair each kernel with the stride of its neighbour: kernel and stride of one layer belong together.",
        ),
        Mistake(
            _reversed_to_none,
            "list.reverse() turns the list round in place and returns None: reversed(layers) gives the layers backwards.",
        ),
        Mistake(_field(lambda size, kernel, stride: (size - 1) * stride + max(kernel, stride)), _NO_GAPS),
        Mistake(
            _field(order=lambda layers: [layer for layer in layers[::-1] if layer[0] > 1]),
            "You leave out layers with a kernel of 1: their stride counts all the same.",
        ),
        Mistake(
            _jump_first,
            "A layer's own stride comes too early: its kernel steps over its input, so only the strides of the layers *before* it spread it apart.",
        ),
        Mistake(
            lambda layers: _field()(layers) ** 2,
            "You return the number of pixels: asked is one side of the square.",
        ),
        Mistake(
            lambda layers: math.prod(stride for _, stride in layers) * layers[-1][0],
            "You take the last kernel times all strides: that leaves out the kernels of the other layers.",
        ),
    ),
)


# --- exercises 3 and 4 ------------------------------------------------------------------------------------------------------

_Discriminator = Callable[[Tensor], Tensor]


def _judge(
    draw: Draw,
    of_input: int,
    of_answer: int,
    batch: int,
    height: int,
    width: int,
    norm: bool = False,
    sure: float = 0.0,
) -> tuple[Any, ...]:
    """A discriminator of pairs that gives two rows of patches, inputs, true answers and made ones.

    Args:
        norm: whether the discriminator has a batch norm.
        sure: is added to the logit of one patch.
    """
    values, patches = (of_input + of_answer) * height * width, 2 * (width // 2)
    weights = (1.5 * values**-0.5 * draw.normal(7, values), draw.normal(patches, 7))
    biases = 0.3 * draw.normal(7), 0.3 * draw.normal(patches)
    biases[1][1] += sure
    network = Network(weights, biases, (1, 2, width // 2), norm=norm)
    pictures = [draw.uniform(batch, channels, height, width, low=-1) for channels in (of_input, of_answer, of_answer)]
    return network, *pictures


def _alike_in_statistics(network: Network, inputs: Tensor, targets: Tensor, answers: Tensor) -> tuple[Any, ...]:
    """The made answers are the true ones in another order: so a batch norm does the same to both kinds of pair in one batch or in two."""
    return network, inputs, targets, targets.roll(1, 0)


def _pair(inputs: Tensor, answers: Tensor) -> Tensor:
    return torch.cat([inputs, answers], dim=1)


def _alone(inputs: Tensor, answers: Tensor) -> Tensor:
    return answers


def _other_order(inputs: Tensor, answers: Tensor) -> Tensor:
    return torch.cat([answers, inputs], dim=1)


def _bce(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


_TO_TRUE, _TO_MADE = _bce(1.0), _bce(0.0)


def _squared(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: (logits - target).square().mean()


def _of_probabilities(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(torch.sigmoid(logits))


def _of_raw_logits(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy(logits, torch.full_like(logits, target))


def _summed(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits) * logits.numel()


def _summed_over_batch(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits) * len(logits)


def _of_first_patch(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits[:, :, 0, 0])


def _of_first_picture(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits[:1])


def _per_patch(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.softplus(-logits if target else logits)


def _swapped_arguments(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy_with_logits(torch.full_like(logits, target), logits)


def _along_width(inputs: Tensor, answers: Tensor) -> Tensor:
    return torch.cat([inputs, answers], dim=-1)


def _summed_over_patches(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits) * logits[0].numel()


def _of_mean_logit(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits.flatten(1).mean(1))


def _of_mean_probability(target: float, by_picture: bool) -> Callable[[Tensor], Tensor]:
    def cross_entropy(logits: Tensor) -> Tensor:
        flat = torch.sigmoid(logits).flatten(1)
        mean = flat.mean(1) if by_picture else flat.mean()
        return -torch.log(mean if target else 1 - mean).mean()

    return cross_entropy


def _of_rounded(target: float, epsilon: float) -> Callable[[Tensor], Tensor]:
    """The logarithm of a sigmoid that rounds to 0 or 1 where the discriminator is sure."""

    def cross_entropy(logits: Tensor) -> Tensor:
        probability = torch.sigmoid(logits) if target else 1 - torch.sigmoid(logits)
        return -torch.log(probability + epsilon).mean()

    return cross_entropy


def _clamped(target: float) -> Callable[[Tensor], Tensor]:
    """What nn.BCELoss gives: its logarithms end at -100."""
    return lambda logits: F.binary_cross_entropy(torch.sigmoid(logits), torch.full_like(logits, target))


def _found_out(
    of_real: Callable[[Tensor], Tensor] = _TO_TRUE,
    of_fake: Callable[[Tensor], Tensor] = _TO_MADE,
    factors: tuple[float, float] = (0.5, 0.5),
    pair: Callable[[Tensor, Tensor], Tensor] = _pair,
    answers_through: Callable[[Tensor], Tensor] = Tensor.detach,
    made_pair: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Callable[..., Tensor]:
    """The discriminator's loss with one of its parts replaced."""

    def discriminator_loss(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
        real = discriminator(pair(inputs, targets))
        fake = discriminator((made_pair or pair)(inputs, answers_through(answers)))
        return factors[0] * of_real(real) + factors[1] * of_fake(fake)

    return discriminator_loss


def _two_arguments(discriminator: Any, inputs: Tensor, targets: Tensor, answers: Tensor, *_: float) -> Tensor:
    return _bce(1.0)(discriminator(inputs, targets)) + _bce(0.0)(discriminator(inputs, answers.detach()))


def _batch_joined(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    real = discriminator(torch.cat([inputs, targets], dim=0))
    return 0.5 * _bce(1.0)(real) + 0.5 * _bce(0.0)(discriminator(torch.cat([inputs, answers.detach()], dim=0)))


def _targets_as_condition(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    """The answer is shown beside the true one."""
    return _found_out()(discriminator, targets, targets, answers)


def _wrong_pair_as_fake(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    """The inputs of the next picture stand beside the made answers."""
    real = discriminator(_pair(inputs, targets))
    return 0.5 * _bce(1.0)(real) + 0.5 * _bce(0.0)(discriminator(_pair(inputs.roll(1, 0), answers.detach())))


def _relativistic(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    return F.softplus(discriminator(_pair(inputs, answers.detach())) - discriminator(_pair(inputs, targets))).mean()


def _target_beside_answer(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    """The made pair holds the true answer in the place of the input."""
    real = discriminator(_pair(inputs, targets))
    return 0.5 * _TO_TRUE(real) + 0.5 * _TO_MADE(discriminator(_pair(targets, answers.detach())))


def _targets_as_answers(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    return _found_out()(discriminator, inputs, targets, targets)


def _evaluating(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`loss`, with the discriminator in evaluation mode."""

    def evaluating(discriminator: Any, *rest: Any) -> Tensor:
        discriminator.eval()
        return loss(discriminator, *rest)

    return evaluating


def _made_pairs_in_evaluation(discriminator: Any, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
    real = discriminator(_pair(inputs, targets))
    fake = discriminator.eval()(_pair(inputs, answers.detach()))
    return 0.5 * _TO_TRUE(real) + 0.5 * _TO_MADE(fake)


def _with_backward(loss: Callable[..., Tensor], retain_graph: bool) -> Callable[..., Tensor]:
    """`loss`, which calls backward() itself."""

    def returned(*arguments: Any) -> Tensor:
        value = loss(*arguments)
        value.backward(retain_graph=retain_graph)
        return value

    return returned


def _frozen(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`loss`, with the discriminator's parameters left frozen."""

    def freezing(discriminator: Any, *rest: Any) -> Tensor:
        discriminator.requires_grad_(False)
        return loss(discriminator, *rest)

    return freezing


_SIGN = "The sign is turned: the logarithms of the equation are negative, so the loss, which is to become small, is minus their mean."
_SURE = (
    "Right, but not where the discriminator is sure: there a sigmoid rounds to 0 or 1, and its logarithm is infinite, or cut off by an epsilon or a clamp, and the slope with it. "
    "F.binary_cross_entropy_with_logits (or F.logsigmoid) works from the logit, at any size."
)
_INFINITE = (
    "Your loss is infinite or NaN where the discriminator is sure: there a sigmoid rounds to 0 or 1, and a logarithm meets a 0. "
    "F.binary_cross_entropy_with_logits (or F.logsigmoid) works from the logit, at any size."
)
_MODE = (
    "Right, but not for a discriminator with batch norm, as the notebook's has one: it takes its statistics from the batch that it is given. So give it whole batches of pairs, "
    "and leave its mode as it comes."
)
_EVALUATING = "You put the discriminator into evaluation mode: its batch norm then judges with other statistics than those it was trained with. Leave its mode as it comes."
_BACKWARD = "You call backward() or zero_grad() inside of the loss: return the loss, and leave the rest to the training. Or gradients would be there twice, or not at all."
_ALONG_WIDTH = "You join along the width: the channels are dim=1."
_PER_PATCH = "You return a loss for each patch: a scalar is asked for, so take the mean."
_FIRST_PATCH = "You look at one patch only: the mean runs over all of them."
_FIRST_PICTURE = "You look at the first picture only: the mean runs over the batch."
_MEAN_PROBABILITY = (
    "You averaged D before the logarithm: each patch is judged on its own, so first the logarithm, then the mean."
)
_SUMMED_BATCH = "You summed over the batch: take the mean over pictures too, or the loss would grow with the batch."
_TRUE_BESIDE_MADE = "Your made pair holds the true answer in place of the *input*: when it translates, the network has no true answer to compare with."
_ARGUMENTS = "The arguments of the cross-entropy are swapped: first the logits, then what they should be."
_ONE_PICTURE = (
    "The discriminator is made for pairs, and gets one picture: it has to see whether the answer fits *its input*. Join them along the channels, "
    "torch.cat([inputs, answers], dim=1)."
)
_TWO_ARGUMENTS = "You call the discriminator with two pictures: it takes one, which holds both, side by side along the channels: torch.cat([inputs, answers], dim=1)."
_ORDER = "The answer stands before its input in your pairs: the exercise asks for the input first, so that everybody's discriminator sees the same."
_ALONG_BATCH = "You join along the batch: input and answer are to become one picture with more channels, so dim=1."
_SIGMOID = "You put a sigmoid on the logits, and binary_cross_entropy_with_logits puts another: give it the raw logits."
_RAW = "F.binary_cross_entropy wants probabilities, and the discriminator gives logits, any real number: take F.binary_cross_entropy_with_logits."
_NUMBER = "You return a Python number: a loss has to stay a tensor until backward() has been called."
_CUT = "The value is right, but it is cut off from the graph (no_grad or detach on the result): nothing can be learned from it."

discriminator_loss = Check(
    name="discriminator_loss",
    signature=("discriminator", "inputs", "targets", "answers"),
    reference=_found_out(),
    holds="true pairs to 1, made pairs to 0, half of the sum, and no gradient to the generator",
    look='01_pix2pix, exercise 3 "Is this a real pair?"',
    hint="Two calls: discriminator(torch.cat([inputs, targets], dim=1)), and the same with answers.detach(). Cross-entropy of the first to ones, of the second to "
    "zeros, half of the sum.",
    cases=(
        Case(
            "4 pairs, 3 and 3 channels, 4x4, a discriminator sure of one patch",
            lambda draw: _judge(draw, 3, 3, 4, 4, 4, sure=20.0),
            alone=_SURE,
        ),
        Case(
            "3 pairs, 2 and 3 channels, 4x6, a discriminator with batch norm",
            lambda draw: _alike_in_statistics(*_judge(draw, 2, 3, 3, 4, 6, norm=True)),
            alone=_MODE,
        ),
    ),
    hidden_cases=(Case("1 pair, 1 and 3 channels, 3x3", lambda draw: _judge(draw, 1, 3, 1, 3, 3)),),
    gradients="required",
    differentiable=("answers", "discriminator"),
    not_a_number=_INFINITE,
    mistakes=(
        Mistake(
            _found_out(answers_through=lambda answers: answers),
            "The gradient reaches the generator: detach() the *answers* (not the targets), or this step would teach the generator to be found out.",
        ),
        Mistake(
            _found_out(factors=(1.0, 1.0)),
            "The factor 1/2 is missing: it belongs to the loss of this exercise, as to that of the paper (section 3.3), where it slows D down.",
        ),
        Mistake(
            _found_out(factors=(0.5, 1.0)),
            "The factor 1/2 stands at the true pairs only: it belongs to both terms.",
        ),
        Mistake(
            _found_out(factors=(1.0, 0.5)),
            "The factor 1/2 stands at the made pairs only: it belongs to both terms.",
        ),
        Mistake(
            _found_out(_bce(0.0), _bce(1.0)),
            "The targets are swapped: a true pair is to get 1, a made one 0.",
        ),
        Mistake(
            _found_out(of_fake=_bce(1.0)),
            "Both terms draw to 1: the discriminator would find everything real. Made pairs are to get 0.",
        ),
        Mistake(
            _found_out(factors=(0.5, -0.5)),
            "The term of the made pairs is subtracted: it is a loss of its own, which has to become small too.",
        ),
        Mistake(
            _found_out(factors=(0.5, 0.0)),
            "The made pairs are missing: the discriminator would learn to find everything real.",
        ),
        Mistake(
            _found_out(factors=(0.0, 0.5)),
            "The true pairs are missing: the discriminator would learn to find everything fake.",
        ),
        Mistake(
            _found_out(factors=(-0.5, -0.5)),
            _SIGN,
        ),
        Mistake(_found_out(_of_rounded(1.0, 0.0), _of_rounded(0.0, 0.0), factors=(-0.5, -0.5)), _SIGN),
        Mistake(_found_out(pair=_alone), _ONE_PICTURE),
        Mistake(_two_arguments, _TWO_ARGUMENTS),
        Mistake(_found_out(pair=_other_order), _ORDER),
        Mistake(_batch_joined, _ALONG_BATCH),
        Mistake(
            _targets_as_condition,
            "You show the true answer where the *input* belongs: when it translates, the network has no true answer to compare with.",
        ),
        Mistake(
            _wrong_pair_as_fake,
            "Your made pairs hold the input of another picture: each answer belongs beside its own input.",
        ),
        Mistake(_found_out(_of_probabilities(1.0), _of_probabilities(0.0)), _SIGMOID),
        Mistake(_found_out(_of_raw_logits(1.0), _of_raw_logits(0.0)), _RAW),
        Mistake(
            _found_out(_squared(1.0), _squared(0.0)),
            "You took squared distances, as CycleGAN will: pix2pix takes the logarithms, which is the cross-entropy.",
        ),
        Mistake(
            _found_out(lambda logits: F.relu(1 - logits).mean(), lambda logits: F.relu(1 + logits).mean()),
            "You took the hinge loss: pix2pix takes the logarithms, which is the cross-entropy.",
        ),
        Mistake(
            _found_out(lambda logits: -logits.mean(), lambda logits: logits.mean()),
            "You took the logits themselves, as Wasserstein GANs do: the equation has log D and log(1 - D), with D the sigmoid of the logit.",
        ),
        Mistake(
            _found_out(_summed(1.0), _summed(0.0)),
            "You summed over patches and pictures: both terms are means, or the loss would grow with the batch and the picture.",
        ),
        Mistake(
            _found_out(_summed_over_patches(1.0), _summed_over_patches(0.0)),
            "You summed over the patches of a picture: take the mean over them too, as over the batch.",
        ),
        Mistake(
            _found_out(_of_mean_logit(1.0), _of_mean_logit(0.0)),
            "You averaged the logits before the logarithm: each patch is judged on its own, so first the cross-entropy, then the mean.",
        ),
        Mistake(
            _found_out(_bce(0.9), _bce(0.1)),
            "You smooth the targets to 0.9 and 0.1: the equation of this exercise has 1 and 0.",
        ),
        Mistake(
            _found_out(of_fake=lambda logits: _TO_MADE(logits.detach())),
            "You detach what the discriminator *says* of the made pairs (or compute it under no_grad, with frozen weights, with a copy, or take its item()): then it learns nothing "
            "from them, and comes to find everything real. Detach what goes *in*, answers.detach().",
        ),
        Mistake(
            _found_out(of_real=lambda logits: _TO_TRUE(logits.detach())),
            "You detach what the discriminator *says* of the true pairs (or compute it under no_grad, with frozen weights, with a copy, or take its item()): then it learns nothing "
            "from them, and comes to find everything made. Only the answers are cut off, before they go in.",
        ),
        Mistake(
            _frozen(_found_out()),
            "You switch off the gradients of the discriminator's parameters: this is the step in which it learns. Only the answers are cut off.",
        ),
        Mistake(_evaluating(_found_out()), _EVALUATING),
        Mistake(
            _made_pairs_in_evaluation,
            "The made pairs are judged in evaluation mode, the true ones in training mode: D can then tell them apart by its batch norm alone. Leave its mode as it comes.",
        ),
        Mistake(_found_out(_of_rounded(1.0, 0.0), _of_rounded(0.0, 0.0)), _SURE),
        Mistake(_found_out(_of_rounded(1.0, 1e-8), _of_rounded(0.0, 1e-8)), _SURE),
        Mistake(_found_out(_clamped(1.0), _clamped(0.0)), _SURE),
        Mistake(_with_backward(_found_out(), retain_graph=True), _BACKWARD),
        Mistake(_with_backward(_found_out(), retain_graph=False), _BACKWARD),
        Mistake(
            _found_out(made_pair=_other_order),
            "In your made pair the answer comes first, in the true pair the input: D could tell them apart by that alone. The input comes first in both.",
        ),
        Mistake(_found_out(_swapped_arguments(1.0), _swapped_arguments(0.0)), _ARGUMENTS),
        Mistake(
            _found_out(_of_mean_probability(1.0, by_picture=False), _of_mean_probability(0.0, by_picture=False)),
            _MEAN_PROBABILITY,
        ),
        Mistake(
            _found_out(_of_mean_probability(1.0, by_picture=True), _of_mean_probability(0.0, by_picture=True)),
            _MEAN_PROBABILITY,
        ),
        Mistake(_found_out(_summed_over_batch(1.0), _summed_over_batch(0.0)), _SUMMED_BATCH),
        Mistake(
            _found_out(factors=(0.25, 0.25)),
            "The factor 1/2 is there twice: a mean over both kinds of pair together is the half already.",
        ),
        Mistake(_found_out(_of_first_patch(1.0), _of_first_patch(0.0)), _FIRST_PATCH),
        Mistake(_found_out(_of_first_picture(1.0), _of_first_picture(0.0)), _FIRST_PICTURE),
        Mistake(
            _found_out(_bce(0.9)),
            "You smooth the target of the true pairs to 0.9: the equation of this exercise has 1.",
        ),
        Mistake(
            _relativistic,
            "You compare the logits of true and made pairs with one another, as relativistic GANs do: here each pair is judged on its own.",
        ),
        Mistake(_target_beside_answer, _TRUE_BESIDE_MADE),
        Mistake(
            _targets_as_answers,
            "Your made pair holds `targets`: it is the generator's `answers` that D is to find out.",
        ),
        Mistake(_found_out(pair=_along_width), _ALONG_WIDTH),
        Mistake(_found_out(_per_patch(1.0), _per_patch(0.0)), _PER_PATCH),
        Mistake(torch.no_grad()(_found_out()), _CUT),
        Mistake(lambda *arguments: _found_out()(*arguments).item(), _NUMBER),
    ),
)


def _pleasing(
    adversarial: Callable[[Tensor], Tensor] = _TO_TRUE,
    distance: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
    weights: Callable[[float], tuple[float, float]] = lambda l1_weight: (1.0, l1_weight),
    pair: Callable[[Tensor, Tensor], Tensor] = _pair,
    answers_through: Callable[[Tensor], Tensor] = lambda answers: answers,
) -> Callable[..., Tensor]:
    """The generator's loss with one of its parts replaced."""

    def generator_loss(
        discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
    ) -> Tensor:
        judged = adversarial(discriminator(pair(inputs, answers_through(answers))))
        of_judged, of_distance = weights(l1_weight)
        return of_judged * judged + of_distance * distance(answers, targets)

    return generator_loss


def _l1_to_the_input(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    adversarial = _bce(1.0)(discriminator(_pair(inputs, answers)))
    return adversarial + l1_weight * F.l1_loss(answers, inputs)


def _against_the_discriminator(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    theirs = _found_out(answers_through=lambda answers: answers)(discriminator, inputs, targets, answers)
    return l1_weight * F.l1_loss(answers, targets) - theirs


def _judged_beside_true_pairs(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    both = discriminator(torch.cat([_pair(inputs, targets), _pair(inputs, answers)]))
    return _TO_TRUE(both[len(inputs) :]) + l1_weight * F.l1_loss(answers, targets)


def _answer_beside_target(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    return _TO_TRUE(discriminator(_pair(targets, answers))) + l1_weight * F.l1_loss(answers, targets)


def _other_default(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 10.0
) -> Tensor:
    return _pleasing()(discriminator, inputs, targets, answers, l1_weight)


def _two_terms(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> tuple[Tensor, Tensor]:
    adversarial = _TO_TRUE(discriminator(_pair(inputs, answers)))
    return adversarial, l1_weight * F.l1_loss(answers, targets)


def _true_pair_judged(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    return _bce(1.0)(discriminator(_pair(inputs, targets))) + l1_weight * F.l1_loss(answers, targets)


def _both_pairs(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    real = _bce(1.0)(discriminator(_pair(inputs, targets)))
    return real + _pleasing()(discriminator, inputs, targets, answers, l1_weight)


def _judged_along_batch(
    discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor, l1_weight: float = 100.0
) -> Tensor:
    adversarial = _bce(1.0)(discriminator(torch.cat([inputs, answers], dim=0)))
    return adversarial + l1_weight * F.l1_loss(answers, targets)


def _per_picture(of: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Sum of `of` over a picture's values, mean over the batch."""
    return lambda answers, targets: of(answers - targets).flatten(1).sum(1).mean()


_TURNED = "The sign of the GAN term is turned: log D is to grow, so the loss has -log D."
_NO_ABS = "You forgot the absolute value: differences of opposite sign cancel."

generator_loss = Check(
    name="generator_loss",
    signature=("discriminator", "inputs", "targets", "answers", "l1_weight"),
    reference=_pleasing(),
    holds="the made pair judged as true, plus the weighted L1, with gradient through the discriminator",
    look='01_pix2pix, exercise 4 "The generator\'s loss"',
    hint="Cross-entropy of discriminator(torch.cat([inputs, answers], dim=1)) to ones, plus l1_weight * F.l1_loss(answers, targets).",
    cases=(
        Case("4 pairs, 3 and 3 channels, weight left out", lambda draw: _judge(draw, 3, 3, 4, 4, 4)),
        Case(
            "5 pairs, 2 and 3 channels, weight 0.5, a discriminator with batch norm",
            lambda draw: (*_judge(draw, 2, 3, 5, 4, 6, norm=True), 0.5),
        ),
        Case(
            "2 pairs, weight 0: the GAN alone, with a discriminator sure of one patch",
            lambda draw: (*_judge(draw, 3, 3, 2, 4, 4, sure=-120.0), 0.0),
            alone=_SURE,
        ),
    ),
    hidden_cases=(Case("1 pair, 1 and 3 channels, weight 3", lambda draw: (*_judge(draw, 1, 3, 1, 3, 3), 3.0)),),
    gradients="required",
    differentiable=("answers",),
    not_a_number=_INFINITE,
    mistakes=(
        Mistake(
            _pleasing(answers_through=Tensor.detach),
            "The answers, or what the discriminator says of them, are cut off from the graph (detach, no_grad): that belongs to the discriminator's loss. Here "
            "the generator learns *through* the discriminator, which stays as it is all the same: this step moves only the generator's weights.",
        ),
        Mistake(
            _pleasing(_bce(0.0)),
            "You draw the judgement to 0: that is what the *discriminator* wants. The generator wants its pairs to be taken for true ones, 1.",
        ),
        Mistake(
            _pleasing(lambda logits: F.logsigmoid(-logits).mean()),
            "You minimise log(1 - D), which hardly has a slope where D is sure. Minimise -log D instead: same aim, strong gradient.",
        ),
        Mistake(
            _pleasing(lambda logits: F.logsigmoid(logits).mean()),
            _TURNED,
        ),
        Mistake(_pleasing(lambda logits: -_of_rounded(1.0, 0.0)(logits)), _TURNED),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1.0, 1.0)),
            "`l1_weight` is not used: it multiplies the L1 term.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1.0, 100.0)),
            "You have put the paper's 100 in by hand: take `l1_weight`.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (l1_weight, 1.0)),
            "`l1_weight` stands at the GAN term: it belongs to the L1 term.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (l1_weight, l1_weight)),
            "`l1_weight` multiplies both terms: it belongs to the L1 term alone.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1 - l1_weight, l1_weight)),
            "You blend the two terms with weights that add up to 1: here the GAN term has weight 1, and the L1 term `l1_weight`.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1.0, -l1_weight)),
            "The L1 term is subtracted: distance to the truth is to become small, so add it.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (0.5, l1_weight)),
            "There is a factor 1/2 at the GAN term: it belongs to the discriminator's loss only, to slow it down.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1.0, 0.0)),
            "The L1 term is missing: l1_weight times the mean absolute difference of answers and targets.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (0.0, l1_weight)),
            "The GAN term is missing: with L1 alone the generator gives the blurred middle of all answers that might be right.",
        ),
        Mistake(
            _pleasing(distance=F.mse_loss),
            "You squared the differences: the paper takes their absolute value, L1, which blurs less.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: (answers - targets).mean()),
            _NO_ABS,
        ),
        Mistake(_pleasing(distance=lambda answers, targets: (targets - answers).mean()), _NO_ABS),
        Mistake(
            _pleasing(distance=_per_picture(Tensor.abs)),
            "You summed the differences over each picture: here L1 is a mean over all values. With a sum, a weight of 100 would be one of hundreds of thousands.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: (answers - targets).abs().sum()),
            "You summed the differences over everything: here L1 is a mean over all values.",
        ),
        Mistake(
            _pleasing(distance=F.smooth_l1_loss),
            "You took the smooth L1 loss, which is squared near zero: the paper takes plain L1.",
        ),
        Mistake(
            _l1_to_the_input,
            "You compare the answer with the *input*: L1 draws it to the target.",
        ),
        Mistake(_pleasing(pair=_alone), _ONE_PICTURE),
        Mistake(
            lambda discriminator, inputs, targets, answers, l1_weight=100.0: _two_arguments(
                discriminator, inputs, targets, answers
            ),
            _TWO_ARGUMENTS,
        ),
        Mistake(_pleasing(pair=_other_order), _ORDER),
        Mistake(_judged_along_batch, _ALONG_BATCH),
        Mistake(
            _true_pair_judged,
            "The discriminator looks at the true pair: the generator has no hand in it, so nothing can be learned from that. Show it the answers.",
        ),
        Mistake(
            _both_pairs,
            "The term of the true pairs is the discriminator's own: the generator answers only for what it made.",
        ),
        Mistake(_pleasing(_of_probabilities(1.0)), _SIGMOID),
        Mistake(_pleasing(_of_raw_logits(1.0)), _RAW),
        Mistake(
            _pleasing(_squared(1.0)),
            "You took a squared distance to 1, as CycleGAN will: pix2pix takes -log D, which is the cross-entropy.",
        ),
        Mistake(
            _pleasing(lambda logits: -logits.mean()),
            "You took minus the logits, as Wasserstein GANs do: the equation has -log D, with D the sigmoid of the logit.",
        ),
        Mistake(
            _pleasing(_summed(1.0)),
            "You summed the GAN term over patches and pictures: it is a mean, or its weight against L1 would change with the batch.",
        ),
        Mistake(
            _pleasing(_of_mean_logit(1.0)),
            "You averaged the logits before the logarithm: each patch is judged on its own, so first the cross-entropy, then the mean.",
        ),
        Mistake(
            _frozen(_pleasing()),
            "You switch off the gradients of the discriminator's parameters, and leave them off: whoever called the loss could not train it any further. "
            "Only the generator's optimizer steps here, and that is enough.",
        ),
        Mistake(_evaluating(_pleasing()), _EVALUATING),
        Mistake(_pleasing(_of_rounded(1.0, 0.0)), _SURE),
        Mistake(_pleasing(_of_rounded(1.0, 1e-8)), _SURE),
        Mistake(_pleasing(_clamped(1.0)), _SURE),
        Mistake(_with_backward(_pleasing(), retain_graph=True), _BACKWARD),
        Mistake(_with_backward(_pleasing(), retain_graph=False), _BACKWARD),
        Mistake(
            _pleasing(distance=lambda answers, targets: F.l1_loss(answers.detach(), targets)),
            "The L1 term is cut off from the graph (detach, no_grad, item or NumPy): the answers are to learn from it too.",
        ),
        Mistake(_other_default, "You changed the default of `l1_weight`: the exercise has 100."),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1.0, l1_weight or 100.0)),
            "A weight of 0 is a weight, and means the GAN alone: `l1_weight or 100` makes 100 of it.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: (answers - targets).abs().sum(1).mean()),
            "You summed the differences over the channels: here L1 is a mean over all values.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: (answers - targets).mean().abs()),
            "You took the absolute value of the mean: differences of opposite sign have cancelled by then. abs() of each, then the mean.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: torch.linalg.vector_norm(answers - targets)),
            "You took the Euclidean norm, the root of a sum of squares: L1 is the mean of absolute differences.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (1 / (1 + l1_weight), l1_weight / (1 + l1_weight))),
            "You divide by the sum of the weights: here the GAN term has weight 1, and the L1 term `l1_weight`.",
        ),
        Mistake(
            _pleasing(weights=lambda l1_weight: (0.5, 0.5 * l1_weight)),
            "There is a factor 1/2 at the whole loss: it belongs to the discriminator's only.",
        ),
        Mistake(
            _against_the_discriminator,
            "You took minus the discriminator's loss: that holds log(1 - D), which hardly has a slope where D is sure, and the true pairs, in which the generator has no hand. "
            "Take -log D of the made pairs.",
        ),
        Mistake(
            _pleasing(_summed_over_patches(1.0)),
            "You summed over the patches of a picture: take the mean over them too, as over the batch.",
        ),
        Mistake(_pleasing(_summed_over_batch(1.0)), _SUMMED_BATCH),
        Mistake(
            _pleasing(distance=lambda answers, targets: F.l1_loss(answers, targets) / len(answers)),
            "Your L1 is divided by the batch once too often: F.l1_loss is the mean over the batch already.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: F.l1_loss(answers[:1], targets[:1])),
            "Your L1 looks at the first picture only: it is the mean over the batch.",
        ),
        Mistake(
            _pleasing(distance=lambda answers, targets: F.l1_loss((answers + 1) / 2, (targets + 1) / 2)),
            "Your L1 is half of the right one: pictures stay in [-1, 1], so do not rescale them to [0, 1].",
        ),
        Mistake(_two_terms, "You return the two terms: add them."),
        Mistake(_answer_beside_target, _TRUE_BESIDE_MADE),
        Mistake(
            _judged_beside_true_pairs,
            "You send the true pairs through along with the made ones: the discriminator's batch norm then mixes the statistics of both. The generator's loss needs the made pairs alone.",
        ),
        Mistake(_pleasing(_of_mean_probability(1.0, by_picture=False)), _MEAN_PROBABILITY),
        Mistake(_pleasing(_of_mean_probability(1.0, by_picture=True)), _MEAN_PROBABILITY),
        Mistake(_pleasing(pair=_along_width), _ALONG_WIDTH),
        Mistake(_pleasing(_swapped_arguments(1.0)), _ARGUMENTS),
        Mistake(torch.no_grad()(_pleasing()), _CUT),
        Mistake(lambda *arguments: _pleasing()(*arguments).item(), _NUMBER),
    ),
)


# --- exercise 5 -------------------------------------------------------------------------------------------------------------


def _drop(features: Tensor, uniform: Tensor, rate: float) -> Tensor:
    return features * (uniform >= rate) / (1 - rate)


def _dropped_in_place(features: Tensor, uniform: Tensor, rate: float) -> Tensor:
    features[uniform < rate] = 0
    return features / (1 - rate)


def _dropped_in_data(features: Tensor, uniform: Tensor, rate: float) -> Tensor:
    features.data[uniform < rate] = 0
    return features / (1 - rate)


def _rescaled_to_the_mean(features: Tensor, uniform: Tensor, rate: float) -> Tensor:
    left = features * (uniform >= rate)
    return left * features.mean() / left.mean()


def _masked(draw: Draw, shape: tuple[int, ...], rate: float) -> tuple[Tensor, Tensor, float]:
    """Features and uniform numbers of `shape`, one of which is the rate itself."""
    uniform = draw.uniform(*shape)
    uniform[0, 0, 0, 0] = rate
    return draw.normal(*shape), uniform, rate


_UNSCALED = "You do not scale up what is left: then the next layer gets less on average than it was made for. Divide by 1 - rate."
_KEPT_BELOW = "You keep what should be dropped: a value is dropped where its number lies *below* the rate."
_OVERWRITTEN = "You overwrite the features in place: whoever called you would find other features than before. features * mask makes new ones."
_HALF = "Right for a rate of 0.5 only: take `rate`, for the mask and for the scale."
_SHARE = "You divide by the share that happens to be left: divide by 1 - rate, the share that is left on average."
_BY_RATE = "You divide by the share that is dropped: divide by the share that is *kept*, 1 - rate."
_SMALL = "You drop *small features*: chance decides what is dropped, so compare `uniform` with the rate."

drop = Check(
    name="drop",
    signature=("features", "uniform", "rate"),
    reference=_drop,
    holds="zeros where the number is below the rate, the rest scaled up, with gradient",
    look='01_pix2pix, exercise 5 "Dropout as the only noise"',
    hint="kept = uniform >= rate is a mask of True and False; multiply by it, and divide by 1 - rate.",
    cases=(
        Case("2 pictures, 3 channels, rate 0.5", lambda draw: _masked(draw, (2, 3, 4, 4), 0.5)),
        Case("4 pictures, rate 0.2", lambda draw: (draw.normal(4, 2, 3, 5), draw.uniform(4, 2, 3, 5), 0.2)),
        Case("rate 0: nothing is dropped", lambda draw: _masked(draw, (3, 2, 2, 2), 0.0)),
    ),
    hidden_cases=(Case("1 picture, rate 0.7", lambda draw: (draw.normal(1, 4, 4, 3), draw.uniform(1, 4, 4, 3), 0.7)),),
    gradients="required",
    differentiable=("features",),
    mistakes=(
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate),
            _UNSCALED,
        ),
        Mistake(lambda features, uniform, rate: features * (uniform > rate), _UNSCALED),
        Mistake(
            lambda features, uniform, rate: features * (uniform > rate) / (1 - rate),
            "A number equal to the rate is kept: `>=`. Numbers from [0, 1) may be 0, and a rate of 0 drops nothing.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform < rate) / (1 - rate),
            _KEPT_BELOW,
        ),
        Mistake(lambda features, uniform, rate: features * (uniform < rate) / rate, _KEPT_BELOW),
        Mistake(
            lambda features, uniform, rate: features * (uniform < 1 - rate) / (1 - rate),
            "You drop as many values as asked for, but others: those whose number lies *below* `rate`, so that the same numbers give everybody the same.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate) * (1 - rate),
            "You scale down in place of up: of the values a share 1 - rate is left, so divide by it.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate) / max(rate, 1e-9),
            _BY_RATE,
        ),
        Mistake(lambda features, uniform, rate: features * (uniform >= rate) / rate, _BY_RATE),
        Mistake(lambda features, uniform, rate: features * (uniform >= rate) * 2, _HALF),
        Mistake(lambda features, uniform, rate: features * uniform.round() / (1 - rate), _HALF),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate) / 1 - rate,
            "Brackets: / (1 - rate). Without them you divide by 1 and subtract the rate.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate) / (uniform >= rate).float().mean(), _SHARE
        ),
        Mistake(
            lambda features, uniform, rate: (
                features * (uniform >= rate) / (uniform >= rate).float().mean((1, 2, 3), keepdim=True)
            ),
            _SHARE,
        ),
        Mistake(
            _rescaled_to_the_mean,
            "You scale so that the mean of these features stays: the factor is 1 / (1 - rate), and the mean stays on average.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= 1 - rate) / (1 - rate),
            "You compare with 1 - rate: a value is dropped where its number lies below `rate`.",
        ),
        Mistake(
            lambda features, uniform, rate: features * uniform * (uniform >= rate) / (1 - rate),
            "You multiply by the numbers, where a mask of 0 and 1 is asked for: uniform >= rate.",
        ),
        Mistake(
            lambda features, uniform, rate: torch.where(uniform < rate, features, features / (1 - rate)),
            "What is dropped stays as it was: put zero there.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform[:, :1] >= rate) / (1 - rate),
            "All channels share one mask: each value has a number of its own.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate) * (1 + rate),
            "You multiply by 1 + rate: what makes up for a share of 1 - rate is to divide by it.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform >= 0.5) / 0.5,
            "You have put 0.5 in by hand: take `rate`.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform[:, :, :1, :1] >= rate) / (1 - rate),
            "You drop whole channels: each value has a number of its own.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform[:1] >= rate) / (1 - rate),
            "All pictures of the batch share one mask: each has its own numbers.",
        ),
        Mistake(
            lambda features, uniform, rate: F.dropout(features, rate),
            "You let F.dropout draw its own numbers: the noise comes in as `uniform`, so that an answer can be made again.",
        ),
        Mistake(
            lambda features, uniform, rate: features * uniform,
            "You multiply by the numbers themselves: dropout makes a yes or no of each, uniform >= rate.",
        ),
        Mistake(
            lambda features, uniform, rate: features + uniform,
            "You add the noise: dropout multiplies, by zero or by 1 / (1 - rate).",
        ),
        Mistake(
            lambda features, uniform, rate: torch.where(uniform >= rate, features / (1 - rate), features.mean()),
            "You put the mean where a value is dropped: put zero.",
        ),
        Mistake(
            lambda features, uniform, rate: (uniform >= rate).float() / (1 - rate) + 0 * features,
            "You return the mask: multiply the features by it.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (features.abs() >= rate) / (1 - rate),
            _SMALL,
        ),
        Mistake(lambda features, uniform, rate: features * (features >= rate) / (1 - rate), _SMALL),
        Mistake(
            _dropped_in_place,
            _OVERWRITTEN,
        ),
        Mistake(_dropped_in_data, _OVERWRITTEN),
        Mistake(
            lambda features, uniform, rate: features,
            "You return the features as they came: that is dropout when it is switched off. Here it stays on.",
        ),
        Mistake(
            torch.no_grad()(_drop),
            "The values are right, but no gradient gets through (no_grad or detach): with it the layers below could not be trained.",
        ),
    ),
)
