"""Judges: small networks that read a picture back, so that what a generator draws can be counted, not admired.

`SceneJudge` recovers the record of a rendered scene (which shape, colour and size stands at each of the four places, on
which background) and a label for every pixel; `GlyphJudge` reads a character, `FaceJudge` the nine attributes of a face.
The sources of truth are the worlds themselves: `scenes`, `glyphs` and `faces` of `course_utils.data`.

All say how sure they are: `confidence` is the probability of the least certain part of a reading. They are trained on
mixtures of pictures too, with the mixture of their labels as target (mixup, Zhang et al., ICLR 2018; equation 1) and on
noise with "anything" as target (outlier exposure, Hendrycks et al., ICLR 2019; equation 1), so that a picture between
two scenes gets a low confidence instead of a guess.

Their penultimate layers are the features for the distances of `course_utils.metrics.distances`. They hold group norm
and no dropout, so a picture's features depend on that picture alone, in training mode too; the reading methods refuse
training mode all the same, because with other networks it is the most common way to a wrong distance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.data.faces.records import ATTRIBUTES
from course_utils.data.glyphs import class_names
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, SHAPES, SIZES
from course_utils.hub import HubModel, config_coders
from course_utils.layers import norm
from course_utils.metrics.readings import FaceReading, FaceTargets, SceneReading, SceneTargets

READABLE = 0.9
"""A picture counts as readable if the judge's `confidence` is at least this."""

CHUNK = 256  # pictures that a reading method looks at in one go


class SceneLogits(NamedTuple):
    """What `SceneJudge.forward` gives, before any softmax. Class 0 of shape and label_map is "none".

    Shapes: `shape (batch, 4, 7)`, `color (batch, 4, 8)`, `size (batch, 4, 2)`, `background (batch, 6)`,
    `label_map (batch, 7, height, width)`.
    """

    shape: Tensor
    color: Tensor
    size: Tensor
    background: Tensor
    label_map: Tensor


@dataclass(frozen=True)
class SceneJudgeConfig:
    """Sizes of a `SceneJudge`.

    Attributes:
        in_channels: of the pictures.
        image_size: height and width that the network works at, a multiple of 16; other pictures are resized to it.
        widths: channels at full size, and after each halving.
        feature_dim: features of each of the four places.
        decoder_width: channels of the label-map decoder.
    """

    in_channels: int = 3
    image_size: int = 32
    widths: tuple[int, ...] = (32, 64, 96, 128)
    feature_dim: int = 64
    decoder_width: int = 16


class SceneJudge(nn.Module, HubModel, coders=config_coders(SceneJudgeConfig)):
    """Reads a scene: place by place through a convolutional network that ends in a 2x2 grid, and pixel by pixel.

    A place's features come from its quarter of the picture and what lies around it; one shared 1x1 convolution reads
    shape or none, colour and size from them. The background is read from the mean over the places. The decoder adds
    up what the network saw at each resolution, from coarse to fine (a feature pyramid, Lin et al., CVPR 2017).
    """

    def __init__(self, config: SceneJudgeConfig = SceneJudgeConfig()):
        super().__init__()
        if config.image_size % 2 ** len(config.widths):
            raise ValueError(
                f"image_size is {config.image_size}, but {len(config.widths)} widths and a 2x2 grid need a multiple of "
                f"{2 ** len(config.widths)}"
            )
        self.config = config
        first = nn.Conv2d(config.in_channels, config.widths[0], 3, padding=1)
        halvings = [nn.Conv2d(wide, wider, 3, stride=2, padding=1) for wide, wider in pairwise(config.widths)]
        self.stages = nn.ModuleList(
            nn.Sequential(convolution, norm(convolution.out_channels), nn.SiLU()) for convolution in (first, *halvings)
        )
        self.places = nn.Conv2d(config.widths[-1], config.feature_dim, 1)
        self.heads = (len(SHAPES) + 1, len(COLORS), len(SIZES))
        self.objects = nn.Conv2d(config.feature_dim, sum(self.heads), 1)
        self.background = nn.Linear(config.feature_dim, len(BACKGROUNDS))
        self.laterals = nn.ModuleList(nn.Conv2d(width, config.decoder_width, 1) for width in config.widths)
        self.refine = nn.Conv2d(config.decoder_width, config.decoder_width, 3, padding=1)
        self.pixels = nn.Conv2d(config.decoder_width, len(SHAPES) + 1, 1)

    def forward(self, images: Tensor) -> SceneLogits:
        """Logits of everything: `(batch, 3, height, width)` in [-1, 1] to `SceneLogits`.

        Raises:
            ValueError: another number of channels or dimensions.
        """
        size = images.shape[-2:]
        maps = self._stages(images)
        places = self._places(maps[-1])
        objects = self.objects(places).flatten(2).transpose(1, 2)  # (batch, 4, 17)
        shape, color, object_size = objects.split(self.heads, dim=-1)
        fine = self.laterals[-1](maps[-1])
        for lateral, features in zip(list(self.laterals)[-2::-1], maps[-2::-1], strict=True):
            fine = lateral(features) + F.interpolate(fine, scale_factor=2.0, mode="nearest")
        label_map = self.pixels(F.silu(self.refine(F.silu(fine))))  # (batch, 7, image_size, image_size)
        if label_map.shape[-2:] != size:
            label_map = F.interpolate(label_map, size, mode="bilinear")
        return SceneLogits(shape, color, object_size, self.background(places.mean((2, 3))), label_map)

    def loss(self, images: Tensor, targets: SceneTargets, pixel_weight: float = 1.0) -> Tensor:
        """Cross-entropy to the targets: summed over the attributes of a scene, mean over the batch, in nats.

        Args:
            images: `(batch, 3, height, width)` in [-1, 1].
            targets: as `scene_targets` makes them, or mixtures of such.
            pixel_weight: weight of the label map's cross-entropy, which is a mean over pixels.
        """
        logits = self(images)
        attributes = [(logits.shape, targets.shape), (logits.color, targets.color), (logits.size, targets.size)]
        loss = sum(_cross_entropy(given, wanted, -1).sum(1).mean() for given, wanted in attributes)
        loss = loss + _cross_entropy(logits.background, targets.background, -1).mean()
        return loss + pixel_weight * _cross_entropy(logits.label_map, targets.label_map, 1).mean()

    @torch.inference_mode()
    def read(self, images: Tensor) -> SceneReading:
        """The most probable record of each picture `(batch, 3, height, width)` in [-1, 1], and the `confidence` in it.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        return SceneReading(*in_chunks(self, self._read, images))

    def confidence(self, images: Tensor) -> Tensor:
        """How sure the judge is of all that it reads, `(batch,)` in [0, 1].

        The smallest of the probabilities of background, of shape or none at each place, and of colour and size where it
        sees an object; 0 where it sees no object at all, since every scene has one. Readable: at least `READABLE`.
        """
        return self.read(images).confidence

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """The penultimate layer, `(batch, 4 * feature_dim)` float32: the four places one after the other.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        # (batch, feature_dim, 2, 2) -> (batch, 4, feature_dim) -> (batch, 4 * feature_dim)
        (features,) = in_chunks(
            self, lambda part: (self._places(self._stages(part)[-1]).flatten(2).transpose(1, 2).flatten(1),), images
        )
        return features.float()

    @torch.inference_mode()
    def segment(self, images: Tensor) -> Tensor:
        """The label of each pixel, `(batch, height, width)` int64: 0 background, 1 + index into SHAPES.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        (labels,) = in_chunks(self, lambda part: (self(part).label_map.argmax(1),), images)
        return labels

    def _stages(self, images: Tensor) -> list[Tensor]:
        """Feature maps from full size down."""
        maps = [_fit(images, self.config.in_channels, self.config.image_size)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]

    def _places(self, last: Tensor) -> Tensor:
        """`(batch, feature_dim, 2, 2)`: features of the four places."""
        return F.silu(self.places(F.adaptive_avg_pool2d(last, 2)))

    def _read(self, images: Tensor) -> tuple[Tensor, ...]:
        logits = self(images)
        shape, color, size, background = (values.float().softmax(-1).max(-1) for values in logits[:4])
        there = shape.indices > 0
        confidence = torch.where(there, torch.minimum(color.values, size.values), 1.0).minimum(shape.values).amin(1)
        confidence = torch.minimum(confidence, background.values) * there.any(1)
        color_index, size_index = color.indices.where(there, -1), size.indices.where(there, -1)
        return shape.indices - 1, color_index, size_index, background.indices, confidence


@dataclass(frozen=True)
class GlyphJudgeConfig:
    """Sizes of a `GlyphJudge`.

    Attributes:
        in_channels: of the pictures.
        image_size: height and width that the network works at; other pictures are resized to it.
        widths: channels after each halving.
        feature_dim: of the penultimate layer.
        num_classes: labels; those of merged lookalikes stay unused.
    """

    in_channels: int = 1
    image_size: int = 32
    widths: tuple[int, ...] = (32, 64, 96)
    feature_dim: int = 128
    num_classes: int = 62


class GlyphJudge(nn.Module, HubModel, coders=config_coders(GlyphJudgeConfig)):
    """Reads a character: a convolutional network with one label a picture.

    The labels are those of `glyphs.class_names()` with the lookalikes merged (`glyphs.merged_label`).
    """

    def __init__(self, config: GlyphJudgeConfig = GlyphJudgeConfig()):
        super().__init__()
        self.config = config
        self.body, size = _halvings(config.in_channels, config.image_size, config.widths)
        self.penultimate = nn.Linear(size, config.feature_dim)
        self.head = nn.Linear(config.feature_dim, config.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(batch, num_classes)` of pictures `(batch, 1, height, width)` in [-1, 1].

        Raises:
            ValueError: another number of channels or dimensions.
        """
        return self.head(self._features(images))

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats, mean over the batch.

        Args:
            images: `(batch, 1, height, width)` in [-1, 1].
            targets: merged labels `(batch,)` int64, or probabilities `(batch, num_classes)`.
        """
        return F.cross_entropy(self(images), targets)

    @torch.inference_mode()
    def read(self, images: Tensor) -> Tensor:
        """The most probable merged label of each picture, `(batch,)` int64.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        (labels,) = in_chunks(self, lambda part: (self(part).argmax(1),), images)
        return labels

    @torch.inference_mode()
    def confidence(self, images: Tensor) -> Tensor:
        """The probability of the label that is read, `(batch,)`; readable: at least `READABLE`.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        (confidence,) = in_chunks(self, lambda part: (self(part).float().softmax(1).amax(1),), images)
        return confidence

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """The penultimate layer, `(batch, feature_dim)` float32.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        (features,) = in_chunks(self, lambda part: (self._features(part),), images)
        return features.float()

    def text(self, labels: Tensor) -> str:
        """The characters of labels `(batch,)`, in order; of merged lookalikes the first one."""
        names = class_names()
        return "".join(names[label] for label in labels.tolist())

    def _features(self, images: Tensor) -> Tensor:
        return F.silu(self.penultimate(self.body(_fit(images, self.config.in_channels, self.config.image_size))))


class FaceLogits(NamedTuple):
    """What `FaceJudge.forward` gives, before any softmax: (batch, words) for each of `faces.ATTRIBUTES`."""

    smile: Tensor
    glasses: Tensor
    hat: Tensor
    hair_color: Tensor
    hair_length: Tensor
    skin: Tensor
    beard: Tensor
    pose: Tensor
    background: Tensor


@dataclass(frozen=True)
class FaceJudgeConfig:
    """Sizes of a `FaceJudge`.

    Attributes:
        in_channels: of the pictures.
        image_size: height and width that the network works at; other pictures are resized to it.
        widths: channels after each halving.
        feature_dim: of the penultimate layer.
    """

    in_channels: int = 3
    image_size: int = 32
    widths: tuple[int, ...] = (32, 64, 96)
    feature_dim: int = 128


class FaceJudge(nn.Module, HubModel, coders=config_coders(FaceJudgeConfig)):
    """Reads a face: a convolutional network with one softmax an attribute, all from the same features."""

    def __init__(self, config: FaceJudgeConfig = FaceJudgeConfig()):
        super().__init__()
        self.config = config
        self.body, size = _halvings(config.in_channels, config.image_size, config.widths)
        self.penultimate = nn.Linear(size, config.feature_dim)
        self.heads = tuple(len(words) for words in ATTRIBUTES.values())
        self.head = nn.Linear(config.feature_dim, sum(self.heads))

    def forward(self, images: Tensor) -> FaceLogits:
        """Logits of all attributes: `(batch, 3, height, width)` in [-1, 1] to `FaceLogits`.

        Raises:
            ValueError: another number of channels or dimensions.
        """
        return FaceLogits(*self.head(self._features(images)).split(self.heads, -1))

    def loss(self, images: Tensor, targets: FaceTargets) -> Tensor:
        """Cross-entropy to the targets: summed over the attributes, mean over the batch, in nats.

        Args:
            images: `(batch, 3, height, width)` in [-1, 1].
            targets: as `face_targets` makes them, or mixtures of such.
        """
        pairs = zip(self(images), targets, strict=True)
        return sum(_cross_entropy(given, wanted, -1).mean() for given, wanted in pairs)

    @torch.inference_mode()
    def read(self, images: Tensor) -> FaceReading:
        """The most probable word of each attribute, and the `confidence` in all of them together.

        Args:
            images: `(batch, 3, height, width)` in [-1, 1].

        Raises:
            RuntimeError: the judge is in training mode.
        """
        return FaceReading(*in_chunks(self, self._read, images))

    def confidence(self, images: Tensor) -> Tensor:
        """How sure the judge is of all that it reads, `(batch,)` in [0, 1]: the least of the attributes' probabilities.

        Readable: at least `READABLE`.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        return self.read(images).confidence

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """The penultimate layer, `(batch, feature_dim)` float32.

        Raises:
            RuntimeError: the judge is in training mode.
        """
        (features,) = in_chunks(self, lambda part: (self._features(part),), images)
        return features.float()

    def _features(self, images: Tensor) -> Tensor:
        return F.silu(self.penultimate(self.body(_fit(images, self.config.in_channels, self.config.image_size))))

    def _read(self, images: Tensor) -> tuple[Tensor, ...]:
        best = [logits.float().softmax(-1).max(-1) for logits in self(images)]
        confidence = torch.stack([attribute.values for attribute in best]).amin(0)
        return *(attribute.indices for attribute in best), confidence


def in_chunks(
    network: nn.Module, read: Callable[[Tensor], Sequence[Tensor]], images: Tensor, size: int = CHUNK
) -> list[Tensor]:
    """`read(images)` for a network in evaluation mode, `size` pictures at a time, on the network's device.

    Works for any feature network: `(features,) = in_chunks(inception, lambda part: (inception(part),), images)`.

    Args:
        network: its mode is checked and its device used.
        read: a part of the pictures to tensors with one row a picture.
        images: `(batch, channels, height, width)`, on any device.
        size: pictures at a time.

    Returns:
        The tensors of `read`, for all pictures, on the device of the network.

    Raises:
        RuntimeError: the network is in training mode, where batch statistics and dropout would change what it sees.
    """
    if network.training:
        raise RuntimeError(
            f"{type(network).__name__} is in training mode, in which a network may see a picture differently in each "
            "batch: call .eval() on it before you measure with it"
        )
    place = next((tensor.device for tensor in network.parameters()), images.device)
    parts = [read(part.to(place)) for part in images.split(size)]
    return [torch.cat(values) for values in zip(*parts, strict=True)]


def _halvings(in_channels: int, image_size: int, widths: Sequence[int]) -> tuple[nn.Sequential, int]:
    """A network that halves pictures once a width, `(batch, in_channels, image_size, image_size)` to `(batch, size)`.

    Returns:
        the network and its `size`.

    Raises:
        ValueError: pictures that cannot be halved so often.
    """
    smallest = image_size // 2 ** len(widths)
    if smallest * 2 ** len(widths) != image_size:
        raise ValueError(f"image_size is {image_size}, but {len(widths)} widths need a multiple of {2 ** len(widths)}")
    layers: list[nn.Module] = []
    for wide, wider in pairwise((in_channels, *widths)):
        layers += [nn.Conv2d(wide, wider, 4, stride=2, padding=1), norm(wider), nn.SiLU()]
    # (batch, widths[-1], smallest, smallest) -> (batch, widths[-1] * smallest^2)
    return nn.Sequential(*layers, nn.Flatten()), widths[-1] * smallest**2


def _fit(images: Tensor, channels: int, size: int) -> Tensor:
    """The pictures at the network's size."""
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(
            f"expected pictures of shape (batch, {channels}, height, width) in [-1, 1], got {tuple(images.shape)}"
        )
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def _cross_entropy(logits: Tensor, targets: Tensor, dim: int) -> Tensor:
    """Cross-entropy to probabilities along a dimension, which goes away."""
    return -(targets * logits.log_softmax(dim)).sum(dim)
