"""CycleGAN: translate between two kinds of pictures, learned from two collections without pairs.

G turns pictures x of one domain into the other's, F turns y back. Discriminators see to it that G(x) looks like some y, and F(y) like some x; that
alone leaves open which. So what went there and back must be what it was:

    L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda ( E[ |F(G(x)) - x| ] + E[ |G(F(y)) - y| ] )

with least squares for L_GAN. The identity loss, E[ |G(y) - y| ] + E[ |F(x) - x| ], may be added: what is in the target domain already must stay.
The discriminators see a history of translations beside the newest, so that G and F cannot run in circles around them.

Papers: Zhu, Park, Isola & Efros, ICCV 2017. Generators: Johnson, Alahi & Fei-Fei, ECCV 2016. Least squares: Mao et al., ICCV 2017.
History: Shrivastava et al., CVPR 2017. Instance norm: Ulyanov, Vedaldi & Lempitsky, 2016.
"""

import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.gans.dcgan import initialize
from course_utils.gans.losses import least_squares_discriminator_loss
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_weights
from course_utils.layers import check_sides, draw_uniform
from course_utils.training import Player
from course_utils.translation.pix2pix import PatchDiscriminator, patch_norm, without_legacy_statistics

DIRECTIONS = ("x_to_y", "y_to_x")
NORMS = {"norm": ("instance", "group"), "discriminator_norm": ("instance", "none")}


@dataclass(frozen=True)
class CycleGANConfig:
    """Settings of a `CycleGAN`; the defaults are the paper's for pictures of 256 x 256.

    Attributes:
        in_channels: of the pictures of both domains.
        image_size: height and width in pixels of the pictures to train on, a multiple of 2^halvings; translations take other sizes too.
        width: channels after the first layer of each network.
        blocks: residual blocks of a generator; the paper has 6 for 128 x 128.
        patch_layers: of the discriminators that halve the picture; 3 for patches of 70 x 70.
        gan_weight: of both adversarial terms.
        forward_weight, backward_weight: of the cycles x -> G -> F -> x and y -> F -> G -> y; the paper's lambda.
        identity_weight: of the identity loss, as a multiple of the cycles' weights: of |F(x) - x| times the forward one, of |G(y) - y| times
            the backward one. 0 in equation 3, 0.5 for paintings (section 5.2).
        halvings: how often a generator halves the picture before its residual blocks; 1 leaves more of a picture of 32 x 32.
        norm: of the generators, `instance`, or `group` for one mean and variance of all channels together. Instance norm takes the mean
            of each channel off each picture: with it goes the colour of an even ground.
        discriminator_norm: of the discriminators, `instance`, or `none`, so that they can tell the colour of an even ground.
        kernel: of the first and the last convolution of a generator, odd; 7 in the paper, 3 for pictures of 32 x 32.
    """

    in_channels: int = 3
    image_size: int = 256
    width: int = 64
    blocks: int = 9
    patch_layers: int = 3
    gan_weight: float = 1.0
    forward_weight: float = 10.0
    backward_weight: float = 10.0
    identity_weight: float = 0.5
    halvings: int = 2
    norm: str = "instance"
    discriminator_norm: str = "instance"
    kernel: int = 7


class ResidualBlock(nn.Module):
    """x + F(x) on (batch, channels, h, w), F = convolution, norm, ReLU, convolution, norm; borders are mirrored."""

    def __init__(self, channels: int, norm: str = "instance"):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), patch_norm(channels, norm), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), patch_norm(channels, norm),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv_block(features)


class ResNetGenerator(nn.Module):
    """One translation: (batch, channels, height, width) to the same shape in [-1, 1] (section 7.2).

    Two halvings, residual blocks at a quarter of the size, two doublings; height and width must be multiples of 4. Another number
    of `halvings`, another norm or kernel is ours. `model` has the authors' layout.
    """

    def __init__(
        self, channels: int, width: int, blocks: int, halvings: int = 2, norm: str = "instance", kernel: int = 7
    ):
        super().__init__()
        widths = [width * 2**level for level in range(halvings + 1)]
        border = nn.ReflectionPad2d(kernel // 2)
        layers = [border, nn.Conv2d(channels, width, kernel), patch_norm(width, norm), nn.ReLU()]
        for wide in widths[1:]:
            layers += [nn.Conv2d(wide // 2, wide, 3, stride=2, padding=1), patch_norm(wide, norm), nn.ReLU()]
        layers += [ResidualBlock(widths[-1], norm) for _ in range(blocks)]
        for wide in widths[-2::-1]:
            layers += [nn.ConvTranspose2d(2 * wide, wide, 3, stride=2, padding=1, output_padding=1)]
            layers += [patch_norm(wide, norm), nn.ReLU()]
        self.model = nn.Sequential(*layers, border, nn.Conv2d(width, channels, kernel), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


class GeneratorTerms(NamedTuple):
    """The parts of the generators' loss, scalars; a part of weight 0 is not computed and is 0."""

    adversarial_y: Tensor  # E[ (D_Y(G(x)) - 1)^2 ]
    adversarial_x: Tensor  # E[ (D_X(F(y)) - 1)^2 ]
    forward_cycle: Tensor  # E[ |F(G(x)) - x| ], mean over values, as are the others
    backward_cycle: Tensor  # E[ |G(F(y)) - y| ]
    identity_y: Tensor  # E[ |G(y) - y| ]
    identity_x: Tensor  # E[ |F(x) - x| ]

    def loss(self, config: CycleGANConfig) -> Tensor:
        """The full objective with the weights of `config`, a scalar (equation 3, and the identity loss of section 5.2)."""
        cycles = config.forward_weight * self.forward_cycle + config.backward_weight * self.backward_cycle
        identity = config.forward_weight * self.identity_x + config.backward_weight * self.identity_y
        adversarial = config.gan_weight * (self.adversarial_x + self.adversarial_y)
        return adversarial + cycles + config.identity_weight * identity


class CycleGAN(nn.Module, HubModel, coders=config_coders(CycleGANConfig)):
    """Two generators, `generators["x_to_y"]` (G) and `["y_to_x"]` (F), two discriminators, `discriminators["x"]` and `["y"]`.

    Pictures x and y are float32 (batch, in_channels, height, width) in [-1, 1]; those of a batch do not belong together.
    """

    def __init__(self, config: CycleGANConfig):
        super().__init__()
        if config.image_size % 2**config.halvings:
            raise ValueError(
                f"image_size is {config.image_size}, but a generator halves it {config.halvings} times: choose a multiple of "
                f"{2**config.halvings}"
            )
        for name, known in NORMS.items():
            if getattr(config, name) not in known:
                raise ValueError(f"{name} is {getattr(config, name)!r}, but must be one of {', '.join(known)}")
        if config.kernel % 2 == 0:
            raise ValueError(f"kernel is {config.kernel}, but must be odd, so that pictures keep their size")
        self.config = config
        self.generators = nn.ModuleDict(
            {
                way: ResNetGenerator(
                    config.in_channels, config.width, config.blocks, config.halvings, config.norm, config.kernel
                )
                for way in DIRECTIONS
            }
        )
        self.discriminators = nn.ModuleDict(
            {
                domain: PatchDiscriminator(
                    config.in_channels, config.width, config.patch_layers, config.discriminator_norm
                )
                for domain in ("x", "y")
            }
        )
        self.apply(initialize)

    def translate(self, images: Tensor, direction: str = "x_to_y") -> Tensor:
        """G(images), or F(images) with `y_to_x`, of the shape of `images`.

        Raises:
            ValueError: an unknown direction, other channels, or sides that are no multiples of 2^halvings.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction is {direction!r}, but must be one of {', '.join(DIRECTIONS)}")
        check_sides(images, self.config.in_channels, 2**self.config.halvings)
        return self.generators[direction](images).to(images.dtype)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both translations: F(y), which should look like x, and G(x), which should look like y."""
        return self.translate(y, "y_to_x"), self.translate(x, "x_to_y")

    def discriminate(self, images: Tensor, domain: str) -> Tensor:
        """Patch logits (batch, 1, h, w) of D_X or D_Y, `domain` being `x` or `y`: near 1 for real, 0 for translated."""
        return self.discriminators[domain](images).to(images.dtype)

    def discriminator_loss(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> Tensor:
        """What D_X and D_Y minimise together, a scalar: the least squares loss of each, with the factor 1/2 (section 4).

        Args:
            x, y: real pictures.
            fake_x, fake_y: translations into these domains, from the history; no gradient goes further back.
        """
        loss_x, loss_y = (
            least_squares_discriminator_loss(self.discriminate(real, domain), self.discriminate(fake.detach(), domain))
            for domain, real, fake in (("x", x, fake_x), ("y", y, fake_y))
        )
        return loss_x + loss_y

    def generator_terms(self, x: Tensor, y: Tensor, fake_x: Tensor, fake_y: Tensor) -> GeneratorTerms:
        """The parts of the loss of G and F.

        Args:
            x, y: real pictures.
            fake_x, fake_y: F(y) and G(x), as `forward` gives them.
        """
        config, zero = self.config, x.new_zeros(())
        identity_x, identity_y = (
            config.identity_weight * weight for weight in (config.forward_weight, config.backward_weight)
        )
        return GeneratorTerms(
            adversarial_y=(self.discriminate(fake_y, "y") - 1).square().mean() if config.gan_weight else zero,
            adversarial_x=(self.discriminate(fake_x, "x") - 1).square().mean() if config.gan_weight else zero,
            forward_cycle=F.l1_loss(self.translate(fake_y, "y_to_x"), x) if config.forward_weight else zero,
            backward_cycle=F.l1_loss(self.translate(fake_x, "x_to_y"), y) if config.backward_weight else zero,
            identity_y=F.l1_loss(self.translate(y, "x_to_y"), y) if identity_y else zero,
            identity_x=F.l1_loss(self.translate(x, "y_to_x"), x) if identity_x else zero,
        )

    def generator_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """What G and F minimise together, a scalar; `GeneratorTerms.loss`."""
        return self.generator_terms(x, y, *self(x, y)).loss(self.config)

    @classmethod
    def from_hub(cls, source: str | Path, filename: str | None = None, back_filename: str | None = None) -> Self:
        """A CycleGAN in evaluation mode with generators in the authors' layout, keys `model.10.conv_block.1.weight` and so on.

        Width and number of blocks are read off the weights. A published file holds one generator; without its file the way back is
        untrained, and so are the discriminators. Statistics of instance norm in old files are left out.

        Args:
            source, filename: of G, as for `hub.read_weights`.
            back_filename: of F, in the same source.

        Raises:
            WeightsError: the file is damaged or of another layout; further errors as for `hub.read_weights`.
        """
        weights = read_weights(source, filename)
        first = weights.get("model.1.weight")
        blocks = {match[1] for key in weights if (match := re.fullmatch(r"model\.(\d+)\.conv_block\.1\.weight", key))}
        if first is None or first.ndim != 4 or not blocks:
            raise WeightsError(
                f"{source} holds no generator of CycleGAN: no keys model.1.weight and model.10.conv_block.1.weight"
            )
        model = cls(CycleGANConfig(in_channels=first.shape[1], width=first.shape[0], blocks=len(blocks)))
        ways = {"x_to_y": weights}
        if back_filename:
            ways["y_to_x"] = read_weights(source, back_filename)
        for way, found in ways.items():
            generator = model.generators[way]
            load_weights(generator, without_legacy_statistics(found, generator), source)
        return model.eval()


class ImageBuffer(nn.Module):
    """A history of translations for a discriminator (section 4, after Shrivastava et al., section 2.3).

    While it fills, it hands back what it is given. Once full, it keeps each new picture with probability 1/2 and hands back an old one
    in its place. As a module its pictures move with the device and belong to the state of a training.

    Args:
        size: pictures to remember; 0 for no history.
        shape: of a picture, (channels, height, width).
    """

    def __init__(self, size: int, shape: tuple[int, int, int]):
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.tensor(0))

    @torch.no_grad()
    def query(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Pictures for the discriminator, of the shape of `images` (batch, channels, height, width), each new or old."""
        count = int(self.count)
        fresh = min(len(images), self.size - count)  # pictures for which there is still an empty place
        self.images[count : count + fresh] = images[:fresh]
        self.count += fresh
        swaps = min(len(images) - fresh, self.size)  # of a batch larger than the history, the last ones stay new
        if swaps == 0:
            return images
        places = draw_uniform((self.size,), generator, images.device).argsort()[:swaps]  # different ones
        old = (draw_uniform((swaps,), generator, images.device) < 0.5)[:, None, None, None]
        new, kept = images[fresh : fresh + swaps], self.images[places]
        self.images[places] = torch.where(old, new, kept)
        return torch.cat([images[:fresh], torch.where(old, kept, new), images[fresh + swaps :]])


def cyclegan_players(
    model: CycleGAN,
    x: str = "x",
    y: str = "y",
    *,
    history: int = 50,
    learning_rate: float = 2e-4,
    betas: tuple[float, float] = (0.5, 0.999),
) -> list[Player]:
    """The alternating step for `training.fit`: both generators move, then both discriminators, on these translations and older ones.

    Without a GAN term only the generators play.

    Args:
        x, y: the fields of a batch that hold the pictures of the domains, of the image size of the config.
        history: pictures that each discriminator's `ImageBuffer` remembers.
        learning_rate, betas: of Adam.
    """
    shape = (model.config.in_channels, model.config.image_size, model.config.image_size)
    buffers = nn.ModuleDict({domain: ImageBuffer(history, shape) for domain in ("x", "y")})
    waiting: deque[tuple[Tensor, Tensor]] = deque()  # translations of the batches of this step, for the discriminators

    def generator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        fakes = model(batch[x], batch[y])
        if model.config.gan_weight:
            waiting.append(tuple(fake.detach() for fake in fakes))
        terms = model.generator_terms(batch[x], batch[y], *fakes)
        return terms.loss(model.config), terms._asdict()

    def discriminator_objective(batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
        fake_x, fake_y = waiting.popleft()
        fake_x, fake_y = buffers["x"].query(fake_x), buffers["y"].query(fake_y)
        return model.discriminator_loss(batch[x], batch[y], fake_x, fake_y), {}

    adam = {"learning_rate": learning_rate, "betas": betas}
    players = [Player("generators", model.generators, generator_objective, **adam)]
    if model.config.gan_weight:
        judges = nn.ModuleDict({"networks": model.discriminators, "histories": buffers})
        players.append(Player("discriminators", judges, discriminator_objective, **adam))
    return players
