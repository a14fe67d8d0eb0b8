"""Chapter 01: autoencoders, variational autoencoders, discrete latents and their priors."""

from course_utils.autoencoders.autoencoder import Autoencoder, AutoencoderConfig
from course_utils.autoencoders.pixelcnn import PixelCNN, PixelCNNConfig
from course_utils.autoencoders.vae import VAE, VAEConfig
from course_utils.autoencoders.vqvae import VQVAE, VQVAEConfig
from course_utils.autoencoders.vqvae2 import VQVAE2, HierarchicalPrior, HierarchicalPriorConfig, VQVAE2Config

__all__ = [
    "VAE",
    "VQVAE",
    "VQVAE2",
    "Autoencoder",
    "AutoencoderConfig",
    "HierarchicalPrior",
    "HierarchicalPriorConfig",
    "PixelCNN",
    "PixelCNNConfig",
    "VAEConfig",
    "VQVAE2Config",
    "VQVAEConfig",
]
