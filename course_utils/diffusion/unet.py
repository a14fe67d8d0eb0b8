"""The U-Net of diffusion models: it sees a noisy picture and the time, and says what the noise, or the picture, is.

The picture goes down through levels of residual blocks, each level but the last halving it, and up again; on the way up every block also
sees what the block of the same size on the way down made, so that no detail has to pass through the smallest level. Every block is told the time.
At chosen levels, and in the middle, all places attend to one another:

    prediction = up( middle( down(x_t) ), skips of down ),        every block of the three also given t, and the class where there is one

With a context (the tokens of a text, say) each of these attentions becomes a small transformer: the places attend to one another, then to
the context.

Papers: Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, appendix B. Dhariwal & Nichol, "Diffusion models beat GANs on
image synthesis", NeurIPS 2021 (adaptive group norm, heads, class). Rombach et al., "High-resolution image synthesis with latent diffusion models",
CVPR 2022, section 3.3 (cross-attention). U-Net: Ronneberger, Fischer & Brox, MICCAI 2015.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, WeightsError, config_coders, load_weights, read_diffusers
from course_utils.layers import check_sides
from course_utils.layers.attention import SpatialTransformer, modern_names
from course_utils.layers.embeddings import ClassEmbedding, TimestepEmbedding
from course_utils.layers.resnet_blocks import Downsample, ResnetBlock, SpatialAttention, Upsample


class Convention(NamedTuple):
    """Details that published networks settle differently; none matters much, but weights fit only their own."""

    eps: float  # of the group norms
    shift: int  # of the frequencies of `sinusoidal_embedding`
    cosine_first: bool
    padding: int  # of `Downsample`


CONVENTIONS = {
    "ddpm": Convention(eps=1e-6, shift=1, cosine_first=False, padding=0),  # Ho et al.
    "guided": Convention(eps=1e-5, shift=0, cosine_first=True, padding=1),  # Dhariwal & Nichol, latent diffusion
}


@dataclass(frozen=True)
class UNetConfig:
    """Settings of a `UNet`.

    Attributes:
        in_channels: of the noisy picture, and of what is joined to it.
        out_channels: of the prediction.
        image_size: height and width in pixels of the pictures that it is made for; it takes others too.
        widths: channels of each level, from full size down.
        num_blocks: residual blocks a level on the way down; on the way up there is one more.
        attention_levels: the levels, counted from 0 at full size, that attend. The middle always does.
        num_heads: of every attention, or one number a level.
        num_classes: 0, or the number of labels.
        context_width: 0, or the width of the tokens that cross-attention looks at.
        scale_shift: the time scales and shifts a group norm instead of being added.
        unshuffle: first fold squares of so many pixels into channels, at the end unfold them: a quarter of the work with 2.
        num_groups: of the group norms; it must divide every width.
        convention: `guided` or `ddpm`, see `CONVENTIONS`.
    """

    in_channels: int = 3
    out_channels: int = 3
    image_size: int = 32
    widths: tuple[int, ...] = (64, 128, 128)
    num_blocks: int = 2
    attention_levels: tuple[int, ...] = (1,)
    num_heads: int | tuple[int, ...] = 1
    num_classes: int = 0
    context_width: int = 0
    scale_shift: bool = False
    unshuffle: int = 1
    num_groups: int = 32
    convention: str = "guided"


class Level(nn.Module):
    """Residual blocks of one size, each followed by an attention where there is one."""

    def __init__(self, resnets: list[nn.Module], attentions: list[nn.Module], **resize: list[nn.Module]):
        super().__init__()
        self.resnets, self.attentions = nn.ModuleList(resnets), nn.ModuleList(attentions)
        for name, modules in resize.items():  # "downsamplers" or "upsamplers", one or none
            self.add_module(name, nn.ModuleList(modules))

    def step(self, number: int, features: Tensor, time: Tensor, context: Tensor | None) -> Tensor:
        """Residual block `number` and its attention: (batch, channels, h, w) with the time (batch, time_width)."""
        features = self.resnets[number](features, time)
        for attention in self.attentions[number : number + 1]:
            features = attention(features) if context is None else attention(features, context)
        return features


class UNet(nn.Module, HubModel, coders=config_coders(UNetConfig)):
    """A prediction (batch, out_channels, height, width) from a noisy picture (batch, in_channels, height, width) and times (batch,).

    What is predicted (noise, picture, velocity), and how times are counted, is the business of whoever trains it; times are usually
    [0, 1000). At first every sum x + F(x) has F = 0, and the prediction is 0 (Ho et al.'s code).
    """

    def __init__(self, config: UNetConfig):
        super().__init__()
        widths, last = config.widths, len(config.widths) - 1
        heads = (config.num_heads,) * len(widths) if isinstance(config.num_heads, int) else config.num_heads
        _check_config(config, heads)
        self.config = config
        eps, shift, cosine_first, padding = CONVENTIONS[config.convention]
        time_width = 4 * widths[0]

        def resnet(in_channels: int, out_channels: int) -> ResnetBlock:
            return ResnetBlock(in_channels, out_channels, config.num_groups, eps, time_width, config.scale_shift)

        def attention(level: int) -> nn.Module:
            if config.context_width:
                return SpatialTransformer(widths[level], heads[level], config.context_width, config.num_groups)
            return SpatialAttention(widths[level], config.num_groups, eps, heads[level])

        def attentions(level: int, number: int) -> list[nn.Module]:
            return [attention(level) for _ in range(number)] if level in config.attention_levels else []

        folded = config.unshuffle**2
        self.conv_in = nn.Conv2d(config.in_channels * folded, widths[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(widths[0], time_width, shift, cosine_first)
        self.class_embedding = ClassEmbedding(config.num_classes, time_width) if config.num_classes else None

        channels = widths[0]
        skips = [channels]  # of all that the way up will be joined with
        self.down_blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            resnets = [resnet(before, width) for before in (channels, *[width] * (config.num_blocks - 1))]
            halve = [Downsample(width, padding)] if level < last else []
            self.down_blocks.append(Level(resnets, attentions(level, config.num_blocks), downsamplers=halve))
            skips += [width] * (config.num_blocks + len(halve))
            channels = width
        self.mid_block = Level([resnet(channels, channels) for _ in range(2)], [attention(last)])
        self.up_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            resnets = []
            for _ in range(config.num_blocks + 1):
                resnets.append(resnet(channels + skips.pop(), width))
                channels = width
            double = [Upsample(width)] if level else []
            self.up_blocks.append(Level(resnets, attentions(level, config.num_blocks + 1), upsamplers=double))
        self.conv_norm_out = nn.GroupNorm(config.num_groups, channels, eps)
        self.conv_out = nn.Conv2d(channels, config.out_channels * folded, 3, padding=1)
        self._start_at_zero()

    def forward(
        self, images: Tensor, timesteps: Tensor, labels: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """The prediction (batch, out_channels, height, width).

        Args:
            images: noisy pictures (batch, in_channels, height, width), height and width multiples of unshuffle * 2^(levels - 1).
            timesteps: (batch,), whole numbers or fractions.
            labels: (batch,) int64 in [0, num_classes]; num_classes itself is "no class", as is None for all.
            context: tokens (batch, length, context_width), for a network that has them.

        Raises:
            ValueError: if a shape is another one, or a condition is missing or unknown to this network.
        """
        config = self.config
        check_sides(images, config.in_channels, config.unshuffle * 2 ** (len(config.widths) - 1))
        check_conditions(len(images), timesteps, labels, context, config.num_classes, config.context_width)
        time = self.time_embedding(timesteps)
        if self.class_embedding is not None:
            time = time + self.class_embedding(labels, len(images))
        time = F.silu(time)
        # (batch, c, h, w) -> (batch, c * unshuffle^2, h / unshuffle, w / unshuffle)
        features = F.pixel_unshuffle(images, config.unshuffle) if config.unshuffle > 1 else images
        features = self.conv_in(features)
        skips = [features]
        for level in self.down_blocks:
            for number in range(len(level.resnets)):
                features = level.step(number, features, time, context)
                skips.append(features)
            for halve in level.downsamplers:
                features = halve(features)
                skips.append(features)
        for number in range(2):
            features = self.mid_block.step(number, features, time, context)
        for level in self.up_blocks:
            for number in range(len(level.resnets)):
                features = level.step(number, torch.cat([features, skips.pop()], dim=1), time, context)
            for double in level.upsamplers:
                features = double(features)
        prediction = self.conv_out(F.silu(self.conv_norm_out(features)))
        prediction = F.pixel_shuffle(prediction, config.unshuffle) if config.unshuffle > 1 else prediction
        return prediction.to(images.dtype)

    def _start_at_zero(self) -> None:
        """Zeros for the last layer of every sum x + F(x), and for the last layer of all."""
        last_layers = [self.conv_out]
        for module in self.modules():
            if isinstance(module, ResnetBlock):
                last_layers.append(module.conv2)
            elif isinstance(module, SpatialTransformer):
                last_layers.append(module.proj_out)
            elif isinstance(module, SpatialAttention):
                last_layers.append(module.to_out[0])
        for layer in last_layers:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @classmethod
    def from_hub(cls, source: str | Path, subfolder: str = "") -> Self:
        """A published U-Net in the layout of diffusers' `UNet2DModel` or `UNet2DConditionModel`, in evaluation mode.

        `UNet.from_hub("google/ddpm-cifar10-32")` and `UNet.from_hub("stable-diffusion-v1-5/stable-diffusion-v1-5", "unet")`, for two.
        One with classes has no vector for "no class": it is set to 0 here, which adds nothing to the time.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_diffusers`.
        """
        settings, weights = read_diffusers(source, subfolder, ("UNet2DModel", "UNet2DConditionModel"), PLAIN)
        weights = modern_names(weights)
        classes = weights.get("class_embedding.weight")
        if classes is not None:
            weights["class_embedding.weight"] = torch.cat([classes, torch.zeros_like(classes[:1])])
        model = cls(published_config(settings))
        load_weights(model, weights, source)
        return model.eval()


def check_conditions(
    batch_size: int, timesteps: Tensor, labels: Tensor | None, context: Tensor | None, num_classes: int, context_width: int
) -> None:  # fmt: skip
    """Raise a ValueError unless times, labels and context are what a network with these settings takes with `batch_size` pictures."""
    if timesteps.shape != (batch_size,):
        raise ValueError(f"expected one time a picture, of shape ({batch_size},), got {tuple(timesteps.shape)}")
    if labels is not None and not num_classes:
        raise ValueError("this network takes no labels: its config has num_classes=0")
    if labels is not None and labels.shape != (batch_size,):
        raise ValueError(f"expected one label a picture, of shape ({batch_size},), got {tuple(labels.shape)}")
    if context is not None and not context_width:
        raise ValueError("this network takes no context: its config has context_width=0")
    if context_width and (context is None or context.ndim != 3 or context.shape[::2] != (batch_size, context_width)):
        raise ValueError(
            f"expected a context of shape ({batch_size}, length, {context_width}), "
            f"got {None if context is None else tuple(context.shape)}"
        )


def _check_config(config: UNetConfig, heads: tuple[int, ...]) -> None:
    levels = len(config.widths)
    if config.convention not in CONVENTIONS:
        raise ValueError(f"convention is {config.convention!r}, but must be one of {', '.join(CONVENTIONS)}")
    if any(width % config.num_groups for width in config.widths):
        raise ValueError(f"widths {config.widths} must be multiples of num_groups, {config.num_groups}")
    if any(level not in range(levels) for level in config.attention_levels):
        raise ValueError(f"attention_levels {config.attention_levels} must lie in [0, {levels})")
    if len(heads) != levels:
        raise ValueError(f"num_heads {config.num_heads} must be one number, or one for each of {levels} levels")


# what the published networks have in common that ours can be
PLAIN = {
    "act_fn": "silu",
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "mid_block_scale_factor": 1,
    "add_attention": True,
    "class_embed_type": None,
    "addition_embed_type": None,
    "encoder_hid_dim": None,
    "only_cross_attention": False,
    "dual_cross_attention": False,
    "use_linear_projection": False,
    "transformer_layers_per_block": 1,
    "time_cond_proj_dim": None,
    "downsample_type": "conv",
    "upsample_type": "conv",
}


def published_config(settings: dict[str, Any]) -> UNetConfig:
    """Our config for the settings of a diffusers `UNet2DModel` or `UNet2DConditionModel`.

    Raises:
        WeightsError: if ours cannot be that network.
    """
    with_context = settings["_class_name"] == "UNet2DConditionModel"
    widths = tuple(settings["block_out_channels"])
    down, up = settings["down_block_types"], settings["up_block_types"]
    plain, attending = ("DownBlock2D", "CrossAttnDownBlock2D" if with_context else "AttnDownBlock2D")
    mirrored = [name.replace("Down", "Up") for name in reversed(down)]
    if set(down) - {plain, attending} or list(up) != mirrored:
        raise WeightsError(
            f"expected levels of {plain} and {attending} and the same on the way up, got {down} and {up}"
        )
    details = Convention(
        settings.get("norm_eps", 1e-5),
        settings.get("freq_shift", 0),
        settings.get("flip_sin_to_cos", True),
        settings.get("downsample_padding", 1),
    )
    convention = next((name for name, known in CONVENTIONS.items() if known == details), None)
    if convention is None:
        raise WeightsError(f"{details} is neither of the known conventions, {CONVENTIONS}")
    # in `UNet2DConditionModel` the setting of this name is the number of heads, or one number a level
    heads = settings.get("attention_head_dim", 8)
    if not with_context:
        heads = tuple(width // (heads or width) for width in widths)
    return UNetConfig(
        in_channels=settings["in_channels"],
        out_channels=settings["out_channels"],
        image_size=settings.get("sample_size") or 32,
        widths=widths,
        num_blocks=settings.get("layers_per_block", 2),
        attention_levels=tuple(level for level, name in enumerate(down) if name == attending),
        num_heads=heads,
        num_classes=settings.get("num_class_embeds") or 0,
        context_width=settings.get("cross_attention_dim", 1280) if with_context else 0,
        scale_shift=settings.get("resnet_time_scale_shift", "default") == "scale_shift",
        num_groups=settings.get("norm_num_groups", 32),
        convention=convention,
    )
