"""Autoencoder: a network that learns to copy its input through a narrow code.

The encoder f turns a picture x into k numbers z = f(x), the decoder g turns them back into a picture. Trained to copy, with k
much smaller than the number of pixels, the pair has to find what pictures have in common:

    min over f, g of   1/N  sum_n  || x_n - g(f(x_n)) ||^2

With linear f and g the best code spans the first k principal components; bent networks do better with equally many numbers.
Nothing asks the codes to fill a region evenly, so decoding a random one need not give a picture (the VAE mends that).

Papers: Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 2006.
Baldi & Hornik, "Neural networks and principal component analysis: learning from examples without local minima",
Neural Networks 1989 (the linear case).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders
from course_utils.layers import check_images, image_decoder, image_encoder


@dataclass(frozen=True)
class AutoencoderConfig:
    """Settings of an `Autoencoder`.

    Attributes:
        architecture: `fully_connected` or `convolutional`.
        in_channels: 1 for grey pictures, 3 for colour.
        image_size: height and width in pixels.
        widths: of the hidden layers of the encoder; the decoder goes through them backwards. A convolutional network halves
            the picture once a width. `()` with `fully_connected` has no hidden layer.
        latent_dim: numbers in the code.
        upsampling: `resize` or `transposed`, how a convolutional decoder doubles the picture.
    """

    architecture: str = "fully_connected"
    in_channels: int = 1
    image_size: int = 32
    widths: tuple[int, ...] = (512, 256)
    latent_dim: int = 16
    upsampling: str = "resize"


class Autoencoder(nn.Module, HubModel, coders=config_coders(AutoencoderConfig)):
    """Encoder and decoder. Pictures are float32 (batch, in_channels, image_size, image_size) in [-1, 1]."""

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        features, num_features = image_encoder(
            config.architecture, config.in_channels, config.image_size, config.widths
        )
        self.encoder = nn.Sequential(features, nn.Linear(num_features, config.latent_dim))
        self.decoder = image_decoder(
            config.architecture,
            config.latent_dim,
            config.in_channels,
            config.image_size,
            config.widths,
            config.upsampling,
        )

    def encode(self, images: Tensor) -> Tensor:
        """Codes (batch, latent_dim), any real numbers, of pictures (batch, channels, height, width).

        Raises:
            ValueError: if the pictures have other channels or another size than the config says.
        """
        check_images(images, self.config.in_channels, self.config.image_size)
        return self.encoder(images)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width) in [-1, 1] from codes (batch, latent_dim)."""
        return torch.tanh(self.decoder(latents))

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions g(f(x)), of the shape of `images`."""
        return self.decode(self.encode(images))

    def loss(self, images: Tensor) -> Tensor:
        """The mean squared distance || x - g(f(x)) ||^2 of a batch, a scalar; see `reconstruction_loss`."""
        return reconstruction_loss(self(images), images)


class FullyConnected(nn.Module):
    """The smallest autoencoder: one hidden layer each way, as the first notebook writes it.

    Args:
        in_features: values of one square grey picture, height * width.
        hidden_features: width of the hidden layer of each half.
        latent_features: numbers in the code.
    """

    def __init__(self, in_features: int, hidden_features: int, latent_features: int):
        super().__init__()
        self.image_size = int(in_features**0.5)
        self.encoder_hidden = nn.Linear(in_features, hidden_features)
        self.encoder_out = nn.Linear(hidden_features, latent_features)
        self.decoder_hidden = nn.Linear(latent_features, hidden_features)
        self.decoder_out = nn.Linear(hidden_features, in_features)

    def encode(self, images: Tensor) -> Tensor:
        """Codes (batch, latent_features) of pictures (batch, 1, height, width)."""
        return self.encoder_out(F.relu(self.encoder_hidden(images.flatten(1))))  # (batch, height * width) goes in

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (batch, 1, height, width) in [-1, 1] from codes (batch, latent_features)."""
        pixels = torch.tanh(self.decoder_out(F.relu(self.decoder_hidden(latents))))
        return pixels.unflatten(1, (1, self.image_size, self.image_size))  # (batch, h * w) -> (batch, 1, h, w)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions, of the shape of `images`."""
        return self.decode(self.encode(images))


def reconstruction_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    """Squared error summed over the values of a picture and averaged over the batch: a scalar.

    Args:
        reconstruction, images: of equal shape (batch, ...).
    """
    # (batch, ...) -> (batch, values) -> (batch,) -> scalar
    return (reconstruction.to(images.dtype) - images).square().flatten(1).sum(dim=1).mean()


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    """One gradient step that brings `model(images)` closer to `images` (batch, channels, height, width).

    Returns:
        the reconstruction loss before the step.
    """
    optimizer.zero_grad()
    loss = reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()


def pca(images: Tensor, num_components: int) -> tuple[Tensor, Tensor]:
    """Principal component analysis of pictures as vectors (batch, features).

    Returns:
        mean (features,), and components (num_components, features): orthonormal rows, by falling variance, signs arbitrary.

    Raises:
        ValueError: if there are fewer pictures or features than components.
    """
    if not 0 < num_components <= min(images.shape):
        raise ValueError(f"{tuple(images.shape)} pictures by features have no {num_components} components: take fewer")
    mean = images.mean(dim=0)
    _, _, components = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, components[:num_components]


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """The k angles, in radians from small to large, between the spaces spanned by the columns of a and b, both (features, k).

    All zero: the same space; pi/2: a direction of one that is orthogonal to all of the other (Björck & Golub, Mathematics of Computation
    1973). The arc cosine of the singular values alone loses half of the digits near zero, so small angles are taken from the sines.
    """
    a, b = torch.linalg.qr(a).Q, torch.linalg.qr(b).Q
    cosines = torch.linalg.svdvals(a.T @ b).clamp(max=1)
    sines = torch.linalg.svdvals(b - a @ (a.T @ b)).flip(0).clamp(max=1)
    return torch.where(cosines > 0.5**0.5, torch.asin(sines), torch.acos(cosines))
