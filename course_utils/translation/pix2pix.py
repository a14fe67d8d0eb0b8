"""pix2pix: translate a picture into another kind of picture, learned from pairs.

A U-Net G turns the input x into y' = G(x, z). Absolute error alone would give the blurred middle of all answers that might be right; so a
discriminator D, which sees input and answer side by side, judges whether they look like a real pair:

    min over G, max over D of   E[ log D(x, y) ] + E[ log(1 - D(x, G(x, z))) ]  +  lambda E[ |y - G(x, z)| ]

D need only judge texture, for the L1 term holds the coarse picture: it gives one logit for each overlapping patch of 70 x 70 pixels. The only noise z
is dropout in the decoder, and the answer hardly varies with it.

Paper: Isola, Zhu, Zhou & Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017.
U-Net: Ronneberger, Fischer & Brox, MICCAI 2015. Markovian (patch) discriminator: Li & Wand, ECCV 2016.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.gans.dcgan import initialize
from course_utils.gans.losses import minimax_discriminator_loss, non_saturating_generator_loss
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_weights
from course_utils.layers import check_sides, draw_uniform
from course_utils.training import Player

NORMS = ("batch", "instance")
DROPOUT = 0.5


@dataclass(frozen=True)
class Pix2PixConfig:
    """Settings of a `Pix2Pix`; the defaults are the paper's.

    Attributes:
        in_channels, out_channels: of inputs and answers.
        image_size: height and width in pixels, a multiple of 2^depth.
        depth: how often the U-Net halves the picture.
        width: channels after the first layer; they double with each halving, up to eight times as many. For both networks.
        norm: `batch` or `instance`.
        skips: join each layer of the encoder to its mirror in the decoder; without, the U-Net is an encoder-decoder.
        dropout: layers of the decoder with dropout, counted from the innermost, 0.
        patch_layers: of the discriminator that halve the picture. Its patches: 0 gives 1 x 1, 1 16 x 16, 3 70 x 70, 5 286 x 286.
        conditional: the discriminator sees the input beside the answer.
        gan_weight, l1_weight: of the terms of the generator's loss; the paper's lambda is `l1_weight`.
    """

    in_channels: int = 3
    out_channels: int = 3
    image_size: int = 256
    depth: int = 8
    width: int = 64
    norm: str = "batch"
    skips: bool = True
    dropout: tuple[int, ...] = (0, 1, 2)
    patch_layers: int = 3
    conditional: bool = True
    gan_weight: float = 1.0
    l1_weight: float = 100.0


class UNet(nn.Module):
    """The generator: inputs (batch, in_channels, image_size, image_size) to answers (batch, out_channels, ...) in [-1, 1] (section 6.1.1).

    The encoder halves the picture `depth` times, the decoder doubles it back. A skip hands the decoder what the encoder saw at each size, so
    that edges need not go through the bottleneck. The innermost layer has no norm: a single value has no spread.
    """

    def __init__(self, config: Pix2PixConfig):
        super().__init__()
        self.config = config
        bias = config.norm == "instance"  # batch norm has a bias of its own
        widths = [config.width * min(2**level, 8) for level in range(config.depth)]
        last = config.depth - 1
        self.encoder = nn.ModuleList()
        for level, (channels, out) in enumerate(pairwise((config.in_channels, *widths))):
            layers = [nn.LeakyReLU(0.2)] if level else []
            layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=bias)]
            layers += [patch_norm(out, config.norm)] if 0 < level < last else []
            self.encoder.append(nn.Sequential(*layers))
        self.decoder = nn.ModuleList()
        for level, (out, channels) in reversed(list(enumerate(pairwise((config.out_channels, *widths))))):
            channels *= 2 if config.skips and level < last else 1
            layers = [nn.ReLU(), nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=bias or level == 0)]
            layers += [patch_norm(out, config.norm)] if level else [nn.Tanh()]
            self.decoder.append(nn.Sequential(*layers))

    def forward(self, images: Tensor, noise: tuple[Tensor, ...] = ()) -> Tensor:
        """Answers. With `noise`, uniform in [0, 1), one for each layer of `config.dropout`, these layers drop half of their values."""
        features, seen = images, []
        for layer in self.encoder:
            features = layer(features)
            seen.append(features)
        seen.pop()  # the bottleneck itself
        for number, layer in enumerate(self.decoder):
            if number and self.config.skips:
                features = torch.cat([seen.pop(), features], dim=1)
            features = layer(features)
            if noise and number in self.config.dropout:
                kept = noise[self.config.dropout.index(number)] >= DROPOUT
                features = features * kept / (1 - DROPOUT)
        return features


class PatchDiscriminator(nn.Module):
    """One logit for each overlapping patch: (batch, in_channels, h, w) to (batch, 1, about h / 2^layers, w / 2^layers).

    `layers` convolutions halve the picture, two more do not (section 6.1.2); with none all kernels are 1 x 1, and each pixel is judged alone.
    `model` has the authors' layout. With instance norm a logit depends on the whole picture, though only through means and variances.
    """

    def __init__(self, in_channels: int, width: int = 64, layers: int = 3, norm: str = "batch"):
        super().__init__()
        bias = norm != "batch"  # which has one of its own
        kernel, padding = (4, 1) if layers else (1, 0)
        widths = [width * min(2**level, 8) for level in range(max(layers, 1) + 1)]
        strides = [2] * layers + [1] * (len(widths) - layers)
        parts = [nn.Conv2d(in_channels, widths[0], kernel, strides[0], padding), nn.LeakyReLU(0.2)]
        for (channels, out), stride in zip(pairwise(widths), strides[1:], strict=True):
            parts += [nn.Conv2d(channels, out, kernel, stride, padding, bias=bias), patch_norm(out, norm)]
            parts += [nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, kernel, 1, padding))

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


class GeneratorTerms(NamedTuple):
    """The parts of the generator's loss, scalars; a part of weight 0 is not computed and is 0."""

    adversarial: Tensor  # -E[ log D(x, G(x, z)) ]
    l1: Tensor  # E[ |y - G(x, z)| ], mean over values

    def loss(self, config: Pix2PixConfig) -> Tensor:
        """The full objective with the weights of `config`, a scalar (equation 4)."""
        return config.gan_weight * self.adversarial + config.l1_weight * self.l1


class Pix2Pix(nn.Module, HubModel, coders=config_coders(Pix2PixConfig)):
    """U-Net and patch discriminator. Pictures are float32 (batch, channels, image_size, image_size) in [-1, 1].

    The paper normalises a batch by its own statistics also when it translates, with one picture a batch. Ours does so in training mode only; in
    evaluation mode the running statistics make each answer independent of its neighbours.
    """

    def __init__(self, config: Pix2PixConfig):
        super().__init__()
        if config.norm not in NORMS:
            raise ValueError(f"norm is {config.norm!r}, but must be one of {', '.join(NORMS)}")
        if config.image_size % 2**config.depth:
            raise ValueError(
                f"image_size is {config.image_size}, but depth {config.depth} needs a multiple of {2**config.depth}"
            )
        if any(not 0 <= number < config.depth - 1 for number in config.dropout):
            raise ValueError(f"dropout names layers {config.dropout}, but must lie in [0, {config.depth - 1})")
        self.config = config
        self.generator = UNet(config)
        pair = config.out_channels + config.in_channels * config.conditional
        self.discriminator = PatchDiscriminator(pair, config.width, config.patch_layers, config.norm)
        self.apply(initialize)

    def forward(self, inputs: Tensor, noise: tuple[Tensor, ...] = ()) -> Tensor:
        """Answers G(x, z), (batch, out_channels, height, width) in [-1, 1].

        Args:
            inputs: (batch, in_channels, height, width), height and width multiples of 2^depth.
            noise: as `draw_noise` gives it; () for no dropout.

        Raises:
            ValueError: if the inputs have another shape, or the noise another number of parts.
        """
        check_sides(inputs, self.config.in_channels, 2**self.config.depth)
        if len(noise) not in (0, len(self.config.dropout)):
            raise ValueError(f"expected noise for {len(self.config.dropout)} layers or none, got {len(noise)} tensors")
        return self.generator(inputs, noise).to(inputs.dtype)

    def discriminate(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """Patch logits (batch, 1, h, w) of answers beside their inputs, both (batch, channels, height, width) of equal size."""
        pair = torch.cat([inputs, answers], dim=1) if self.config.conditional else answers
        return self.discriminator(pair).to(answers.dtype)

    def discriminator_loss(self, inputs: Tensor, targets: Tensor, noise: tuple[Tensor, ...] = ()) -> Tensor:
        """What D minimises, a scalar: half of the minimax loss, which slows D down against G (section 3.3). No gradient reaches G.

        Args:
            inputs, targets: pairs (batch, channels, height, width).
            noise: as `draw_noise` gives it.
        """
        fake = self(inputs, noise).detach()
        return 0.5 * minimax_discriminator_loss(self.discriminate(inputs, targets), self.discriminate(inputs, fake))

    def generator_terms(self, inputs: Tensor, targets: Tensor, noise: tuple[Tensor, ...] = ()) -> GeneratorTerms:
        """The two parts of G's loss (equations 1 and 3). Arguments as for `discriminator_loss`."""
        fake = self(inputs, noise)
        adversarial = l1 = fake.new_zeros(())
        if self.config.gan_weight:
            adversarial = non_saturating_generator_loss(self.discriminate(inputs, fake))
        if self.config.l1_weight:
            l1 = F.l1_loss(fake, targets)
        return GeneratorTerms(adversarial, l1)

    def generator_loss(self, inputs: Tensor, targets: Tensor, noise: tuple[Tensor, ...] = ()) -> Tensor:
        """What G minimises, a scalar; `GeneratorTerms.loss`. Arguments as for `discriminator_loss`."""
        return self.generator_terms(inputs, targets, noise).loss(self.config)

    def draw_noise(
        self, num_images: int, generator: torch.Generator | None = None, device: torch.device | str | None = None
    ) -> tuple[Tensor, ...]:
        """Uniform numbers (num_images, channels, h, w) for each layer with dropout, at the image size of the config."""
        config = self.config
        shapes = []
        for number in config.dropout:
            level = config.depth - 1 - number  # this layer's output has the size of the encoder's input of that level
            side = config.image_size // 2**level
            shapes.append((num_images, config.width * min(2 ** (level - 1), 8), side, side))
        return tuple(draw_uniform(shape, generator, device) for shape in shapes)

    @torch.inference_mode()
    def sample(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Answers (batch, out_channels, image_size, image_size) to inputs of that size, with dropout drawn anew.

        Raises:
            RuntimeError: in training mode, where batch norm would make each answer depend on the others, and remember them.
        """
        if self.generator.training:
            raise RuntimeError("this Pix2Pix is in training mode: call .eval() on it before you draw samples")
        return self(inputs, self.draw_noise(len(inputs), generator, inputs.device))

    @classmethod
    def from_hub(
        cls, source: str | Path, filename: str | None = None, discriminator_filename: str | None = None
    ) -> Self:
        """A Pix2Pix in evaluation mode with a U-Net in the authors' layout, keys `model.model.1.model.3...weight` and so on.

        All sizes are read off the weights. The authors publish generators only; without its file the discriminator is untrained.

        Args:
            source, filename: the generator's, as for `hub.read_weights`.
            discriminator_filename: another file of the same source.

        Raises:
            WeightsError: the file is damaged or of another layout; further errors as for `hub.read_weights`.
        """
        weights = read_weights(source, filename)
        depth = max((len(re.findall(r"\.model\.", key)) for key in weights), default=0)  # model.model.1.model.1 -> 2
        first, last = weights.get("model.model.0.weight"), weights.get("model.model.3.weight")
        if first is None or last is None or depth < 2:
            raise WeightsError(f"{source} is no U-Net of pix2pix: no keys model.model.0.weight, model.model.3.weight")
        config = Pix2PixConfig(
            in_channels=first.shape[1],
            out_channels=last.shape[1],
            image_size=max(256, 2**depth),
            depth=depth,
            width=first.shape[0],
            norm="instance" if "model.model.0.bias" in weights else "batch",
            dropout=tuple(range(1, max(1, depth - 4))),  # this code's dropout begins one layer later than the paper's
        )
        model = cls(config)
        own_names = {own_name(key, depth): tensor for key, tensor in weights.items()}
        load_weights(model.generator, without_legacy_statistics(own_names, model.generator), source)
        if discriminator_filename:
            weights = read_weights(source, discriminator_filename)
            load_weights(model.discriminator, without_legacy_statistics(weights, model.discriminator), source)
        return model.eval()


def pix2pix_players(
    model: Pix2Pix,
    inputs: str = "input",
    targets: str = "image",
    *,
    learning_rate: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
) -> list[Player]:
    """The alternating step for `training.fit`: a step of D, then one of G (section 3.3), with Adam. Without a GAN term only G plays.

    Args:
        inputs, targets: the fields of a batch that hold the pairs.
    """

    def discriminator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        noise = model.draw_noise(len(batch[inputs]), device=batch[inputs].device)
        return model.discriminator_loss(batch[inputs], batch[targets], noise), {}

    def generator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        noise = model.draw_noise(len(batch[inputs]), device=batch[inputs].device)
        terms = model.generator_terms(batch[inputs], batch[targets], noise)
        return terms.loss(model.config), terms._asdict()

    adam = {"learning_rate": learning_rate, "betas": betas}
    players = [Player("generator", model.generator, generator_objective, **adam)]
    if model.config.gan_weight:
        players.insert(0, Player("discriminator", model.discriminator, discriminator_objective, **adam))
    return players


def receptive_field(network: nn.Module) -> int:
    """Height and width in pixels of what one output of a chain of convolutions sees.

    Backwards from one output value: a convolution of kernel k and stride s sees (r - 1) s + k values where the layers after it see r.
    """
    size = 1
    for layer in reversed([layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]):
        size = (size - 1) * layer.stride[0] + layer.kernel_size[0]
    return size


def patch_norm(channels: int, norm: str) -> nn.Module:
    """Batch norm or instance norm without learned factors, as both papers of this chapter use them, group norm with one group, or none."""
    if norm == "none":
        return nn.Identity()
    if norm == "group":
        return nn.GroupNorm(1, channels)
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)


def own_name(key: str, depth: int) -> str:
    """Our name of a weight of the authors' U-Net of that depth.

    There, a block holds its way down, the next smaller block, and its way up: `model.model.1.model.3.model.5.weight` is the way up of the
    third block. Here both ways are lists, the encoder from the outside in, the decoder from the inside out.
    """
    path = key.removeprefix("model.model.").split(".model.")  # model.model.1.model.3.model.5.weight -> 1, 3, 5.weight
    level, (position, _, name) = len(path) - 1, path[-1].partition(".")
    down, up = f"encoder.{level}", f"decoder.{depth - 1 - level}"
    if level == 0:
        places = {"0": f"{down}.0", "3": f"{up}.1"}
    elif level == depth - 1:
        places = {"1": f"{down}.1", "3": f"{up}.1", "4": f"{up}.2"}
    else:
        places = {"1": f"{down}.1", "2": f"{down}.2", "5": f"{up}.1", "6": f"{up}.2"}
    return f"{places[position]}.{name}" if position in places else key  # loading then refuses a foreign key by its name


def without_legacy_statistics(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights without running statistics that `network` has no place for.

    Before version 0.4, instance norm of PyTorch stored statistics that it never used; files of that time still hold them.
    """
    known = network.state_dict().keys()
    legacy = ("running_mean", "running_var", "num_batches_tracked")
    return {key: tensor for key, tensor in weights.items() if key in known or not key.endswith(legacy)}
