"""Chapter 01: autoencoders and variational autoencoders."""

from course_utils.autoencoders.autoencoder import Autoencoder, AutoencoderConfig
from course_utils.autoencoders.vae import VAE, VAEConfig

__all__ = ["VAE", "Autoencoder", "AutoencoderConfig", "VAEConfig"]
