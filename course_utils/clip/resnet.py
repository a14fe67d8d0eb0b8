"""The residual network by which CLIP's first models read a picture: RN50 and its larger kin.

Three things differ from He et al.'s network. The picture comes in through three small convolutions, not one large one. Nothing is skipped: where a
layer halves the map, it convolves at full size and takes the mean of each 2 x 2 square, so that a small shift of the picture changes little. And the
map becomes a vector by attention: with the tokens x_1 ... x_n of its places and their mean x_0, all with position embeddings added,

    u = W softmax( q(x_0) k(x)' / sqrt(d) ) v(x),

so the network itself says which places matter, where an average would take them all alike.

Papers: He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, figure 5. He et al., "Bag of tricks for image
classification", CVPR 2019 (ResNet-D). Zhang, "Making convolutional networks shift-invariant again", ICML 2019. Radford et al., ICML 2021, section
2.4.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.layers import Standardize, check_images

if TYPE_CHECKING:
    from course_utils.clip.clip import CLIPConfig

EXPANSION = 4  # a bottleneck is so many times narrower inside than outside


def convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size at stride 1, and batch norm, which makes a bias useless."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Bottleneck(nn.Module):
    """Maps (batch, in_channels, h, w) to (batch, 4 width, h / stride, w / stride): x + F(x), where F looks around in few channels.

    It begins as the identity, or as what the shortcut does, since the last batch norm's weight is zero.
    """

    def __init__(self, in_channels: int, width: int, stride: int):
        super().__init__()
        out_channels = EXPANSION * width
        self.conv1 = convolution(in_channels, width, 1)
        self.conv2 = convolution(width, width, 3)
        self.conv3 = convolution(width, out_channels, 1)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Sequential(self.pool, convolution(in_channels, out_channels, 1))
        nn.init.zeros_(self.conv3[1].weight)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.conv1(features))
        hidden = self.pool(F.relu(self.conv2(hidden)))
        return F.relu(self.shortcut(features) + self.conv3(hidden))


class AttentionPool(nn.Module):
    """One vector (batch, dim) of a map (batch, channels, side, side): what its mean has seen when it looked at all places.

    Args:
        heads: they divide the channels.
    """

    def __init__(self, side: int, channels: int, heads: int, dim: int):
        super().__init__()
        if channels % heads:
            raise ValueError(f"{heads} heads cannot share {channels} channels: it must be a multiple of their number")
        self.heads = heads
        self.positions = nn.Parameter(channels**-0.5 * torch.randn(side**2 + 1, channels))
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.projection = nn.Linear(channels, dim)
        for layer in (self.to_q, self.to_k, self.to_v, self.projection):
            nn.init.normal_(layer.weight, std=channels**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        return self.projection(self.seen(features))

    def seen(self, features: Tensor) -> Tensor:
        """What the mean has seen, (batch, channels), before the projection."""
        tokens = features.flatten(2).transpose(1, 2)  # (batch, channels, side, side) -> (batch, side * side, channels)
        tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + self.positions
        query, keys, values = (
            # (batch, n, heads * d) -> (batch, heads, n, d)
            layer(source).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, source in ((self.to_q, tokens[:, :1]), (self.to_k, tokens), (self.to_v, tokens))
        )
        seen = F.scaled_dot_product_attention(query, keys, values)
        return seen.transpose(1, 2).flatten(1)  # (batch, heads, 1, d) -> (batch, channels)


class ResNetEncoder(nn.Module):
    """Pictures in [-1, 1] to vectors (batch, dim), of any length. Each number of `image_blocks` is one stage: so many bottlenecks.

    The stem makes the picture four times smaller, each stage but the first halves it again and has twice the channels.

    Raises:
        ValueError: if the picture cannot be halved so often, or the heads do not divide the last stage's channels.
    """

    def __init__(self, config: "CLIPConfig"):
        super().__init__()
        blocks, width = config.image_blocks, config.image_width
        smaller = 2 ** (len(blocks) + 1)
        if config.image_size % smaller:
            raise ValueError(
                f"{len(blocks)} stages make the picture {smaller} times smaller: an image_size of {config.image_size} is no multiple of that"
            )
        self.config = config
        self.standardize = Standardize(config.image_mean, config.image_std)
        self.conv1 = convolution(config.in_channels, width // 2, 3, stride=2)
        self.conv2 = convolution(width // 2, width // 2, 3)
        self.conv3 = convolution(width // 2, width, 3)
        self.stages = nn.ModuleList()
        channels = width
        for number, depth in enumerate(blocks):
            stage = nn.Sequential()
            for block in range(depth):
                stage.append(Bottleneck(channels, width * 2**number, stride=2 if number and not block else 1))
                channels = EXPANSION * width * 2**number
            self.stages.append(stage)
        self.attention_pool = AttentionPool(config.image_size // smaller, channels, config.image_heads, config.dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.attention_pool(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """The last stage's output, (batch, channels, side, side).

        Raises:
            ValueError: if the pictures have another shape than the config says.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        features = self.standardize(images)
        for layer in (self.conv1, self.conv2, self.conv3):
            features = F.relu(layer(features))
        features = F.avg_pool2d(features, 2)
        for stage in self.stages:
            features = stage(features)
        return features
