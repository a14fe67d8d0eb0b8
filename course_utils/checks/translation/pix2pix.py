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


def _encoder_without_gradient(self: Any, images: Tensor) -> Tensor:
    with torch.no_grad():
        features, skips = self.encoded(images)
    return self.decoded(features, skips)


def _bottleneck_detached(self: Any, images: Tensor) -> Tensor:
    features, skips = self.encoded(images)
    return self.decoded(features.detach(), skips)


def _built(draw: Draw, in_channels: int, out_channels: int, width: int, depth: int, batch: int, side: int) -> Build:
    arguments = (in_channels, out_channels, width, depth)
    parameters = {}
    for name, parameter in _UNet(*arguments).named_parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        numbers = draw.normal(*parameter.shape)
        parameters[name] = 1.5 * fan_in**-0.5 * numbers if parameter.dim() > 1 else 0.3 * numbers
        if parameter.dim() == 1 and name.endswith("1.weight"):  # of a norm
            parameters[name] = 1 + parameters[name]
    return Build(arguments, parameters, {"forward": draw.uniform(batch, in_channels, side, side, low=-1)})


unet = Check(
    name="UNet",
    signature=("in_channels", "out_channels", "width", "depth"),
    reference=_UNet,
    holds="answers and the gradients of all parameters, with one, two and three halvings",
    look='01_pix2pix, exercise 1 "A U-Net"',
    hint="Go through the encoder and keep what each layer gives. Drop the last one: it enters decoder[0] alone. Each further layer of the decoder takes "
    "torch.cat([kept.pop(), features], dim=1).",
    cases=(
        Case("3 pictures of 16x16, three halvings", lambda draw: _built(draw, 3, 2, 4, 3, 3, 16)),
        Case("2 pictures of 8x8, two halvings", lambda draw: _built(draw, 2, 3, 4, 2, 2, 8)),
        Case("2 pictures of 8x8, one halving, so no skip at all", lambda draw: _built(draw, 1, 3, 5, 1, 2, 8)),
    ),
    hidden_cases=(Case("4 pictures of 16x16, four halvings", lambda draw: _built(draw, 3, 3, 2, 4, 4, 16)),),
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
            "`forward` runs without gradients: torch.no_grad() is for looking at results, not inside of a network that is to learn.",
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
        Case("three convolutions of stride 1", lambda draw: (((3, 1), (5, 1), (2, 1)),)),
    ),
    hidden_cases=(
        Case("the 16 x 16 patch", lambda draw: (((4, 2), (4, 1), (4, 1)),)),
        Case("kernels of 1", lambda draw: (((1, 1), (1, 1)),)),
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
            "You compute the size of an output. The question is the other way round: how many pixels one output value sees.",
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


def _judge(draw: Draw, of_input: int, of_answer: int, batch: int, height: int, width: int) -> tuple[Any, ...]:
    """A discriminator of pairs that gives two rows of patches, inputs, true answers and made ones."""
    values, patches = (of_input + of_answer) * height * width, 2 * (width // 2)
    weights = (1.5 * values**-0.5 * draw.normal(7, values), draw.normal(patches, 7))
    network = Network(weights, (0.3 * draw.normal(7), 0.3 * draw.normal(patches)), (1, 2, width // 2))
    pictures = [draw.uniform(batch, channels, height, width, low=-1) for channels in (of_input, of_answer, of_answer)]
    return network, *pictures


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


def _summed_over_patches(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits) * logits[0].numel()


def _of_mean_logit(target: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: _bce(target)(logits.flatten(1).mean(1))


def _found_out(
    of_real: Callable[[Tensor], Tensor] = _TO_TRUE,
    of_fake: Callable[[Tensor], Tensor] = _TO_MADE,
    factors: tuple[float, float] = (0.5, 0.5),
    pair: Callable[[Tensor, Tensor], Tensor] = _pair,
    targets_through: Callable[[Tensor], Tensor] = lambda targets: targets,
    answers_through: Callable[[Tensor], Tensor] = Tensor.detach,
) -> Callable[..., Tensor]:
    """The discriminator's loss with one of its parts replaced."""

    def discriminator_loss(discriminator: _Discriminator, inputs: Tensor, targets: Tensor, answers: Tensor) -> Tensor:
        real = discriminator(pair(inputs, targets_through(targets)))
        fake = discriminator(pair(inputs, answers_through(answers)))
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


def _frozen(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`loss`, with the discriminator's parameters left frozen."""

    def freezing(discriminator: Any, *rest: Any) -> Tensor:
        discriminator.requires_grad_(False)
        return loss(discriminator, *rest)

    return freezing


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
        Case("4 pairs, 3 and 3 channels, 4x4", lambda draw: _judge(draw, 3, 3, 4, 4, 4)),
        Case("3 pairs, 2 and 3 channels, 4x6", lambda draw: _judge(draw, 2, 3, 3, 4, 6)),
    ),
    hidden_cases=(Case("1 pair, 1 and 3 channels, 3x3", lambda draw: _judge(draw, 1, 3, 1, 3, 3)),),
    gradients="required",
    differentiable=("targets", "answers"),
    mistakes=(
        Mistake(
            _found_out(answers_through=lambda answers: answers),
            "The gradient reaches the generator: detach() the answers, or this step would teach the generator to be found out.",
        ),
        Mistake(
            _found_out(factors=(1.0, 1.0)),
            "The factor 1/2 is missing: with it D learns more slowly than G, as section 3.3 of the paper wants.",
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
            "The sign is turned: the logarithms of the equation are negative, so the loss, which is to become small, is minus their mean.",
        ),
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
            _found_out(targets_through=Tensor.detach),
            "You detach `targets` too. That harms nothing, since they are data; leave them as they are, for this check follows the gradient through them.",
        ),
        Mistake(
            _frozen(_found_out()),
            "You switch off the gradients of the discriminator's parameters: this is the step in which it learns. Only the answers are cut off.",
        ),
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


generator_loss = Check(
    name="generator_loss",
    signature=("discriminator", "inputs", "targets", "answers", "l1_weight"),
    reference=_pleasing(),
    holds="the made pair judged as true, plus the weighted L1, with gradient through the discriminator",
    look='01_pix2pix, exercise 4 "The generator\'s loss"',
    hint="Cross-entropy of discriminator(torch.cat([inputs, answers], dim=1)) to ones, plus l1_weight * F.l1_loss(answers, targets).",
    cases=(
        Case("4 pairs, 3 and 3 channels, weight left out", lambda draw: _judge(draw, 3, 3, 4, 4, 4)),
        Case("3 pairs, 2 and 3 channels, weight 0.5", lambda draw: (*_judge(draw, 2, 3, 3, 4, 6), 0.5)),
        Case("2 pairs, weight 0: the GAN alone", lambda draw: (*_judge(draw, 3, 3, 2, 4, 4), 0.0)),
    ),
    hidden_cases=(Case("1 pair, 1 and 3 channels, weight 3", lambda draw: (*_judge(draw, 1, 3, 1, 3, 3), 3.0)),),
    gradients="required",
    differentiable=("answers",),
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
            "The sign of the GAN term is turned: log D is to grow, so the loss has -log D.",
        ),
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
            "You forgot the absolute value: differences of opposite sign cancel.",
        ),
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


drop = Check(
    name="drop",
    signature=("features", "uniform", "rate"),
    reference=_drop,
    holds="zeros where the number is below the rate, the rest scaled up, with gradient",
    look='01_pix2pix, exercise 5 "Dropout as the only noise"',
    hint="kept = uniform >= rate is a mask of True and False; multiply by it, and divide by 1 - rate.",
    cases=(
        Case("2 pictures, 3 channels, rate 0.5", lambda draw: (draw.normal(2, 3, 4, 4), draw.uniform(2, 3, 4, 4), 0.5)),
        Case("4 pictures, rate 0.2", lambda draw: (draw.normal(4, 2, 3, 5), draw.uniform(4, 2, 3, 5), 0.2)),
        Case("rate 0: nothing is dropped", lambda draw: (draw.normal(3, 2, 2, 2), draw.uniform(3, 2, 2, 2), 0.0)),
    ),
    hidden_cases=(Case("1 picture, rate 0.7", lambda draw: (draw.normal(1, 4, 4, 3), draw.uniform(1, 4, 4, 3), 0.7)),),
    gradients="required",
    differentiable=("features",),
    mistakes=(
        Mistake(
            lambda features, uniform, rate: features * (uniform >= rate),
            "You do not scale up what is left: then the next layer gets less on average than it was made for. Divide by 1 - rate.",
        ),
        Mistake(
            lambda features, uniform, rate: features * (uniform < rate) / (1 - rate),
            "You keep what should be dropped: a value is dropped where its number lies *below* the rate.",
        ),
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
            "You divide by the share that is dropped: divide by the share that is *kept*, 1 - rate.",
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
            "You drop *small features*: chance decides what is dropped, so compare `uniform` with the rate.",
        ),
        Mistake(
            _dropped_in_place,
            "You overwrite the features in place: whoever called you would find other features than before. features * mask makes new ones.",
        ),
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
