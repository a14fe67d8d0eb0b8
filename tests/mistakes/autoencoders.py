"""The bank of chapter 01: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones.

Each entry is source, as it would stand in a notebook below `SETUP`.
"""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from course_utils.autoencoders import autoencoder, vae
"""

LAYERS = """
class Autoencoder(nn.Module):
    def __init__(self, in_features, hidden_features, latent_features):
        super().__init__()
        self.image_size = int(in_features**0.5)
        self.encoder_hidden = nn.Linear(in_features, hidden_features)
        self.encoder_out = nn.Linear(hidden_features, latent_features)
        self.decoder_hidden = nn.Linear(latent_features, hidden_features)
        self.decoder_out = nn.Linear(hidden_features, in_features)
"""
ENCODE = """
    def encode(self, images):
        return self.encoder_out(F.relu(self.encoder_hidden(images.flatten(1))))
"""
DECODE = """
    def decode(self, latents):
        pixels = torch.tanh(self.decoder_out(F.relu(self.decoder_hidden(latents))))
        return pixels.view(-1, 1, self.image_size, self.image_size)
"""
FORWARD = """
    def forward(self, images):
        return self.decode(self.encode(images))
"""

# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "autoencoder": [
        (
            LAYERS
            + DECODE
            + FORWARD
            + """
    def encode(self, images):
        x = images.reshape(images.shape[0], -1)
        x = torch.relu(self.encoder_hidden(x))
        return torch.relu(self.encoder_out(x))
""",
            "ReLU on the latents",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        x = self.decoder_out(F.relu(self.decoder_hidden(latents)))
        return x.reshape(len(latents), 1, self.image_size, self.image_size)
""",
            "The tanh at the end of `decode` is missing",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        x = F.sigmoid(self.decoder_out(F.relu(self.decoder_hidden(latents))))
        return x.reshape(len(latents), 1, self.image_size, self.image_size)
""",
            "end `decode` with a sigmoid",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        return F.tanh(self.decoder_out(F.relu(self.decoder_hidden(latents))))
""",
            "flat rows of pixels",
        ),
        (
            LAYERS
            + ENCODE
            + DECODE
            + """
    def forward(self, images):
        latents = self.encode(images)
        return latents
""",
            "`forward` stops at the code",
        ),
        (
            LAYERS
            + ENCODE
            + DECODE
            + """
    def forward(self, images):
        latents = self.encode(images)
        return self.decode(latents), latents
""",
            "`forward` returns reconstruction and code",
        ),
        (
            LAYERS
            + DECODE
            + FORWARD
            + """
    def encode(self, images):
        return self.encoder_out(self.encoder_hidden(torch.flatten(images, start_dim=1)))
""",
            "The ReLU in `encode` is missing",
        ),
        (
            LAYERS
            + DECODE
            + FORWARD
            + """
    def encode(self, images):
        x = images.view(images.shape[-1] * images.shape[-2], -1).t()
        return self.encoder_out(F.relu(self.encoder_hidden(x)))
""",
            "mixes values of different pictures",
        ),
        (
            LAYERS
            + ENCODE
            + DECODE
            + """
    def forward(self, images):
        with torch.no_grad():
            latents = self.encode(images)
        return self.decode(latents)
""",
            "no gradient ever reaches the encoder",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        hidden = nn.ReLU()(self.decoder_hidden(latents))
        side = self.image_size
        return nn.Tanh()(self.decoder_out(hidden)).view(-1, 1, side, side).permute(0, 1, 3, 2)
""",
            "Rows and columns of the decoded pictures are swapped",
        ),
        (
            LAYERS
            + DECODE
            + FORWARD
            + """
    def encode(self, images):
        flat = images.flatten(1)
        hidden = nn.Linear(flat.shape[1], self.encoder_hidden.weight.shape[0])
        return self.encoder_out(F.relu(hidden(flat)))
""",
            "new layer inside of `encode`",
        ),
        (LAYERS + ENCODE + FORWARD, "AttributeError: 'Autoencoder' object has no attribute 'decode'"),
    ],
    "reconstruction_loss": [
        (
            "def reconstruction_loss(reconstruction, images):\n    return ((reconstruction - images) ** 2).mean()",
            "You averaged over everything",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return F.mse_loss(reconstruction, images, reduction='sum')",
            "You summed over the batch too",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    d = torch.abs(reconstruction - images)\n    return d.sum(dim=(1, 2, 3)).mean()",
            "absolute error",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    d = (reconstruction - images).flatten(1)\n    return torch.linalg.norm(d, dim=1).mean()",
            "You took the root",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return 0.5 * ((reconstruction - images) ** 2).sum() / len(images)",
            "factor 1/2 too many",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return ((reconstruction - images) ** 2).sum(dim=(1, 2, 3))",
            "the mean over the batch is still missing",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return ((reconstruction - images) ** 2).sum(dim=1).mean()",
            "summed over the channels only",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return ((reconstruction - images).sum(dim=(1, 2, 3)) ** 2).mean()",
            "You summed before squaring",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return ((reconstruction.data - images) ** 2).flatten(1).sum(1).mean()",
            "cut off from the graph",
        ),
        (
            "def reconstruction_loss(reconstruction, images):\n    return float(((reconstruction - images) ** 2).flatten(1).sum(1).mean())",
            "You return a Python number",
        ),
    ],
    "train_step": [
        (
            """
def train_step(model, optimizer, images):
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
            "Old gradients are never forgotten",
        ),
        (
            """
def train_step(model, optimizer, images):
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return float(loss)
""",
            "zero_grad() comes after backward()",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    reconstruction = model(images)
    loss = autoencoder.reconstruction_loss(reconstruction, images)
    optimizer.step()
    loss.backward()
    return loss.item()
""",
            "at that moment there are no gradients",
        ),
        (
            """
def train_step(model, optimizer, images):
    loss = autoencoder.reconstruction_loss(model(images), images)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    return loss.item()
""",
            "each step then uses the gradient of the batch before",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = ((model(images) - images) ** 2).flatten(1).sum(1).mean()
    loss.backward()
    optimizer.step()
    return loss
""",
            "You return the loss as a tensor",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = nn.MSELoss()(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
            "mean over all values",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images).item()
    loss.backward()
    optimizer.step()
    return loss
""",
            "plain number before backward()",
        ),
        (
            """
def train_step(model, optimizer, images):
    model.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images)
    optimizer.step()
    return loss.item()
""",
            "backward() is missing",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    return loss.item()
""",
            "step() is missing",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
""",
            "You return nothing",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    autoencoder.reconstruction_loss(model(images), images).backward()
    optimizer.step()
    return autoencoder.reconstruction_loss(model(images), images).item()
""",
            "You return the loss after the step",
        ),
        (
            """
@torch.no_grad()
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
            "no graph for backward()",
        ),
    ],
    "pca": [
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    U, S, Vh = torch.linalg.svd(images, full_matrices=False)
    return mean, Vh[:num_components]
""",
            "You did not centre the data",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    U, S, V = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, V[:, :num_components].T
""",
            "You took columns of V^T",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    U, S, Vh = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, U[:, :num_components].T
""",
            "You took U",
        ),
        (
            """
def pca(images, num_components):
    mean = torch.mean(images)
    return mean, torch.linalg.svd(images - mean)[2][:num_components]
""",
            "You centred by one number",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    covariance = (images - mean).T @ (images - mean) / (len(images) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    return mean, vectors[:, :num_components].T
""",
            "components of least variance",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    covariance = torch.cov(images.T)
    values, vectors = torch.linalg.eigh(covariance)
    return mean, vectors[:, -num_components:].T
""",
            "in the wrong order",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    U, S, Vh = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, torch.diag(S[:num_components]) @ Vh[:num_components]
""",
            "multiplied the components by the singular values",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    U, S, Vh = torch.linalg.svd(images - mean, full_matrices=False)
    return mean, Vh[:num_components] / S[:num_components].unsqueeze(1)
""",
            "divided the components by the singular values",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    z = (images - mean) / images.std(dim=0)
    return mean, torch.linalg.svd(z, full_matrices=False).Vh[:num_components]
""",
            "divided each feature by its standard deviation",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    return mean, torch.linalg.svd(images - mean, full_matrices=False).Vh[:num_components].T
""",
            "Rows and columns are swapped",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0, keepdim=True)
    return mean, torch.linalg.svd(images - mean, full_matrices=False).Vh[:num_components]
""",
            "one axis too many",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    return mean.numpy(), torch.linalg.svd(images - mean, full_matrices=False).Vh[:num_components].numpy()
""",
            "stay in torch",
        ),
    ],
    "principal_angles": [
        (
            """
def principal_angles(a, b):
    qa, _ = torch.linalg.qr(a)
    qb, _ = torch.linalg.qr(b)
    return torch.linalg.svdvals(qa.T @ qb).clamp(max=1.0)
""",
            "You return the cosines",
        ),
        (
            """
def principal_angles(a, b):
    qa, _ = torch.linalg.qr(a)
    qb, _ = torch.linalg.qr(b)
    return torch.acos(torch.linalg.svdvals(qa.T @ qb).clamp(max=1.0)) * 180 / math.pi
""",
            "in degrees",
        ),
        (
            """
def principal_angles(a, b):
    return torch.acos(torch.clamp(torch.linalg.svdvals(a.T @ b), max=1.0))
""",
            "The bases are not orthonormal",
        ),
        (
            """
def principal_angles(a, b):
    a = a / a.norm(dim=0)
    b = b / b.norm(dim=0)
    return torch.acos(torch.clamp(torch.linalg.svdvals(a.T @ b), max=1.0))
""",
            "Columns of length one are not enough",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    angles = torch.acos(torch.linalg.svd(qa.T @ qb).S.clamp(-1, 1))
    return torch.sort(angles, descending=True).values
""",
            "in the wrong order",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    return torch.acos(torch.linalg.svdvals(qa.T @ qb))
""",
            "where acos is",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    return torch.acos((qa * qb).sum(dim=0).clamp(-1, 1))
""",
            "You compared the basis vectors pairwise",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    m = qa.T @ qb
    eigenvalues = torch.linalg.eigvalsh(m.T @ m).flip(0)
    return torch.acos(eigenvalues.clamp(0, 1))
""",
            "You took squared cosines",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    return torch.acos(torch.linalg.svdvals(qa.T @ qb).clamp(max=1))[-1]
""",
            "the largest angle only",
        ),
    ],
    "resize_convolution": [
        (
            """
def resize_convolution(features, weight, bias):
    return F.conv_transpose2d(features, weight.permute(1, 0, 2, 3), bias, stride=2, padding=1, output_padding=1)
""",
            "This is a transposed convolution",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = nn.Upsample(scale_factor=2, mode="bilinear")(features)
    return F.conv2d(up, weight, bias, padding=1)
""",
            "You enlarged bilinearly",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = F.interpolate(features, scale_factor=2)
    return F.conv2d(up, weight, bias)
""",
            "The padding is missing",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    return F.interpolate(F.conv2d(features, weight, bias, padding="same"), scale_factor=2)
""",
            "You convolve before enlarging",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = torch.tile(features, (1, 1, 2, 2))
    return F.conv2d(up, weight, bias, padding=1)
""",
            "copies of the whole picture side by side",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = F.interpolate(features, scale_factor=2)
    return F.conv2d(up, weight, padding=1)
""",
            "The bias is missing",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    b, c, h, w = features.shape
    up = torch.zeros(b, c, 2 * h, 2 * w)
    up[:, :, ::2, ::2] = features
    return F.conv2d(up, weight, bias, padding=1)
""",
            "with zeros between the values",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = F.interpolate(features, scale_factor=2)
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    return layer(up)
""",
            "no gradient flows from your result back to `weight` and `bias`",
        ),
    ],
    "reparameterize": [
        (
            "def reparameterize(mean, log_variance, noise):\n    return mean + torch.exp(log_variance) * noise",
            "multiplied the noise by the *variance*",
        ),
        (
            "def reparameterize(mu, logvar, eps):\n    return mu + logvar * eps",
            "multiplied the noise by the *log*-variance",
        ),
        (
            """
def reparameterize(mean, log_variance, noise):
    std = torch.exp(0.5 * log_variance)
    eps = torch.randn_like(std)
    return mean + eps * std
""",
            "You draw noise of your own",
        ),
        (
            "def reparameterize(mean, log_variance, noise):\n    return mean + torch.sqrt(log_variance) * noise",
            "root of the *log*-variance",
        ),
        (
            "def reparameterize(mean, log_variance, noise):\n    return mean - torch.exp(log_variance / 2) * noise",
            "A minus in place of a plus",
        ),
        (
            "def reparameterize(mean, log_variance, noise):\n    return noise + mean * torch.exp(log_variance / 2)",
            "swapped roles",
        ),
        (
            "def reparameterize(mean, log_variance, noise):\n    std = torch.exp(log_variance * 0.5).detach()\n    return mean + std * noise",
            "the standard deviation is cut off",
        ),
        (
            "def reparameterize(mean, log_variance, noise):\n    with torch.no_grad():\n        return mean + log_variance.mul(0.5).exp() * noise",
            "letting it pass is the whole point",
        ),
        (
            "def reparameterize(mean, log_variance, noise):\n    mean += torch.exp(log_variance / 2) * noise\n    return mean",
            "changes `mean` in place",
        ),
        (
            "def reparameterize(mean, noise, log_variance):\n    return mean + torch.exp(log_variance / 2) * noise",
            "The arguments stand in another order",
        ),
        (
            """
def reparameterize(mean, log_variance, noise):
    out = mean.detach().numpy() + np.exp(log_variance.detach().numpy() / 2) * noise.numpy()
    return torch.from_numpy(out)
""",
            "no gradient passes",
        ),
    ],
    "kl_divergence": [
        (
            "def kl_divergence(mean, log_variance):\n    return 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)",
            "The sign is turned",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return -0.5 * torch.mean(1 + log_variance - mean**2 - log_variance.exp(), dim=1)",
            "You averaged over the latent dimensions",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())",
            "You summed over the batch as well",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return torch.mean(-0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp(), dim=1), dim=0)",
            "You averaged over the batch as well",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return torch.sum(mean**2 + log_variance.exp() - log_variance - 1, dim=-1)",
            "The factor 1/2",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return 0.5 * torch.sum(mean**2 + log_variance.exp() - log_variance, dim=-1)",
            "The -1 is missing",
        ),
        (
            """
def kl_divergence(mean, log_variance):
    std = torch.exp(log_variance)
    return 0.5 * (mean**2 + std**2 - log_variance - 1).sum(dim=1)
""",
            "You squared the variance",
        ),
        (
            """
def kl_divergence(mean, log_variance):
    std = torch.exp(log_variance)
    return (0.5 * (mean**2 + std**2 - 1) - torch.log(std)).sum(dim=1)
""",
            "log of the standard deviation",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return 0.5 * (mean**2 + log_variance - torch.log(log_variance) - 1).sum(1)",
            "You read log_variance as the variance",
        ),
        (
            """
def kl_divergence(mean, log_variance):
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    p = torch.distributions.Normal(0.0, 1.0)
    return torch.distributions.kl_divergence(p, q).sum(dim=1)
""",
            "the other way round",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(0)",
            "You summed over the batch (dim=0)",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1)",
            "one number for each latent",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    mean, log_variance = mean.detach(), log_variance.detach()\n"
            "    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1)",
            "cut off from the graph",
        ),
        (
            "def kl_divergence(mean, log_variance):\n    return 3 * vae.kl_divergence(mean, log_variance)",
            "Your result is 3 times the right one",
        ),
    ],
    "elbo": [
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    bce = F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").sum(dim=(1, 2, 3))
    return bce + beta * vae.kl_divergence(mean, log_variance)
""",
            "This is minus the ELBO",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "as they are, in [-1, 1]",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2)
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "averaged the cross-entropy over pixels and batch",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").mean((1, 2, 3))
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "averaged the log-likelihood over the pixels",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").flatten(1).sum(1)
    return log_likelihood + beta * vae.kl_divergence(mean, log_variance)
""",
            "You added the KL divergence",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").flatten(1).sum(1)
    return beta * log_likelihood - vae.kl_divergence(mean, log_variance)
""",
            "beta stands on the wrong term",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction="none").flatten(1).sum(1)
    return log_likelihood - vae.kl_divergence(mean, log_variance)
""",
            "beta is not used",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    p = torch.sigmoid(logits)
    t = 0.5 * (images + 1)
    log_likelihood = (t * torch.log(p) + (1 - t) * torch.log(1 - p)).sum(dim=[1, 2, 3])
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "its logarithm is infinite",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = 0.5 * (images + 1)
    log_likelihood = -F.binary_cross_entropy(torch.sigmoid(logits), t, reduction="none").sum(dim=[1, 2, 3])
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "cut off at -100",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = 0.5 * (images + 1)
    log_likelihood = -F.binary_cross_entropy_with_logits(torch.sigmoid(logits), t, reduction="none").sum(dim=[1, 2, 3])
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "The sigmoid is applied twice",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = 0.5 * (images + 1)
    log_likelihood = -F.binary_cross_entropy(logits, t, reduction="none").sum(dim=[1, 2, 3])
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "wants probabilities, and you have logits",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = 0.5 * (images + 1)
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, t, reduction="none").sum(dim=[1, 2, 3])
    return (log_likelihood - beta * vae.kl_divergence(mean, log_variance)).mean()
""",
            "You averaged over the batch",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = -((torch.sigmoid(logits) - (images + 1) / 2) ** 2).flatten(1).sum(1)
    return log_likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "You took the squared error",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    log_likelihood = vae.bernoulli_log_likelihood(logits, images)
    kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).mean(1)
    return log_likelihood - beta * kl
""",
            "In the KL you averaged over the latent dimensions",
        ),
    ],
    "sample": [
        (
            "def sample(decode_logits, noise):\n    with torch.no_grad():\n        return decode_logits(noise)",
            "You return the logits",
        ),
        (
            "def sample(decode_logits, noise):\n    with torch.no_grad():\n        return torch.sigmoid(decode_logits(noise))",
            "You return probabilities in [0, 1]",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    return decode_logits(noise) * 2 - 1",
            "The sigmoid is missing",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    return torch.tanh(decode_logits(noise))",
            "tanh(a) is nearly it",
        ),
        (
            "def sample(decode_logits, noise):\n    return 2 * torch.sigmoid(decode_logits(noise)) - 1",
            "they carry the graph",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    z = torch.randn(noise.shape)\n    return 2 * decode_logits(z).sigmoid() - 1",
            "You draw codes of your own",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    p = decode_logits(noise).sigmoid()\n    return 2 * torch.bernoulli(p) - 1",
            "You toss the coins",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    return (decode_logits(noise).sigmoid() + 1) / 2",
            "You rescaled the wrong way",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    return decode_logits(noise).clamp(-1, 1)",
            "You clamped the logits",
        ),
        (
            "@torch.no_grad()\ndef sample(decode_logits, noise):\n    p = decode_logits(noise).sigmoid()\n    return torch.where(p > 0.5, 1.0, -1.0)",
            "You rounded to black and white",
        ),
    ],
    "append_label": [
        (
            "def append_label(features, labels, num_classes):\n    return torch.cat([features, labels.unsqueeze(1)], dim=1)",
            "You appended the label as one number",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return torch.cat([F.one_hot(labels, num_classes), features], dim=1)",
            "The label comes first",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return torch.cat([features, F.one_hot(labels)], dim=1)",
            "as long as the largest label of *this batch*",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return features + F.one_hot(labels, num_classes).float()",
            "You added the label",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return torch.cat([features, F.one_hot(labels, num_classes).float()])",
            "(dim=0)",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return torch.cat([features, labels], dim=1)",
            "The labels have one axis only",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return torch.eye(num_classes)[labels]",
            "The features are missing",
        ),
        (
            "def append_label(features, labels, num_classes):\n    scaled = labels.float().reshape(-1, 1) / num_classes\n    return torch.hstack([features, scaled])",
            "as one scaled number",
        ),
        (
            "def append_label(features, labels, num_classes):\n    return torch.cat([features.detach(), F.one_hot(labels, num_classes).float()], -1)",
            "features are cut off",
        ),
    ],
    "importance_weighted_bound": [
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    return (log_joint - log_posterior).mean(dim=0)",
            "You averaged the *logs*",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    return torch.logsumexp(log_joint - log_posterior, dim=0)",
            "log of the *sum*",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    w = torch.exp(log_joint - log_posterior)\n    return torch.log(w.mean(dim=0))",
            "exp of hundreds of nats",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    return torch.logsumexp(log_joint - log_posterior, 1) - np.log(log_joint.shape[1])",
            "You went over the batch",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    return torch.logsumexp(log_joint + log_posterior, 0) - np.log(len(log_joint))",
            "You added the two logs",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    return torch.logsumexp(log_joint - log_posterior, 0) / len(log_joint)",
            "You divided the log by the number of samples",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n"
            "    return (torch.logsumexp(log_joint - log_posterior, 0) - math.log(len(log_joint))).mean()",
            "You averaged over the batch",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    return torch.logsumexp(log_joint - log_posterior, 0) - math.log(log_joint.shape[-1])",
            "log of the batch size",
        ),
        (
            "def importance_weighted_bound(log_joint, log_posterior):\n    log_w = log_posterior - log_joint\n"
            "    return torch.logsumexp(log_w, 0) - math.log(len(log_w))",
            "upside down",
        ),
    ],
}

# name of the check -> differently written right answers
RIGHT: dict[str, list[str]] = {
    "autoencoder": [
        LAYERS + ENCODE + DECODE + FORWARD,
        LAYERS
        + FORWARD
        + """
    def encode(self, images):
        batch = images.size(0)
        hidden = torch.matmul(images.reshape(batch, -1), self.encoder_hidden.weight.T) + self.encoder_hidden.bias
        return self.encoder_out(hidden.clamp(min=0))

    def decode(self, latents):
        hidden = torch.maximum(self.decoder_hidden(latents), torch.zeros(()))
        rows = [row.reshape(1, self.image_size, self.image_size) for row in self.decoder_out(hidden)]
        return torch.stack(rows).tanh()
""",
        """
class Autoencoder(nn.Module):
    def __init__(self, in_features, hidden, latent):
        super().__init__()
        side = int(in_features**0.5)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, latent))
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, in_features), nn.Tanh(), nn.Unflatten(1, (1, side, side))
        )

    def encode(self, images):
        return self.encoder(images)

    def decode(self, latents):
        return self.decoder(latents)

    def forward(self, images):
        return self.decoder(self.encoder(images))
""",
        LAYERS
        + DECODE
        + FORWARD
        + """
    def encode(self, images):
        x = torch.einsum("bi,oi->bo", images.flatten(1), self.encoder_hidden.weight) + self.encoder_hidden.bias
        return F.linear(torch.where(x > 0, x, 0.0), self.encoder_out.weight, self.encoder_out.bias)
""",
    ],
    "reconstruction_loss": [
        "def reconstruction_loss(a, b):\n    return ((a - b) ** 2).sum() / a.shape[0]",
        "def reconstruction_loss(reconstruction, images):\n    return F.mse_loss(reconstruction, images, reduction='none').sum(dim=(1, 2, 3)).mean()",
        "def reconstruction_loss(reconstruction, images):\n    return F.mse_loss(reconstruction, images) * images[0].numel()",
        "def reconstruction_loss(reconstruction, images):\n    d = (images - reconstruction).flatten(1)\n    return torch.einsum('bi,bi->b', d, d).mean()",
        "def reconstruction_loss(reconstruction, images):\n    total = 0.0\n    for r, x in zip(reconstruction, images):\n"
        "        total = total + torch.dist(r, x, p=2) ** 2 if not torch.equal(r, x) else total + (r - x).sum() * 0\n    return total / len(images)",
    ],
    "train_step": [
        """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        """
def train_step(model, optimizer, images):
    model.train()
    loss = (model(images) - images).square().flatten(1).sum(1).mean()
    model.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    return float(loss.detach())
""",
        """
def train_step(network, opt, batch):
    out = network(batch)
    loss = F.mse_loss(out, batch, reduction="sum") / len(batch)
    loss.backward()
    opt.step()
    opt.zero_grad()
    return loss.detach().numpy().item()
""",
        """
def train_step(model, optimizer, images):
    loss = autoencoder.reconstruction_loss(model(images), images)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients):
        parameter.grad = gradient
    optimizer.step()
    return loss.tolist()
""",
    ],
    "pca": [
        "def pca(images, num_components):\n    mean = images.mean(0)\n    return mean, torch.linalg.svd(images - mean).Vh[:num_components]",
        """
def pca(images, num_components):
    mean = images.mean(dim=0)
    centred = images - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    return mean, vectors.flip(1)[:, :num_components].T
""",
        """
def pca(images, num_components):
    mean = torch.sum(images, 0) / len(images)
    U, S, V = torch.svd(images - mean.unsqueeze(0))
    return mean, -V.t()[:num_components, :].contiguous()
""",
        """
def pca(images, num_components):
    mean = images.mean(dim=0)
    u, s, vh = torch.linalg.svd((images - mean).T, full_matrices=False)
    return mean, u[:, :num_components].T
""",
    ],
    "principal_angles": [
        """
def principal_angles(a, b):
    cosines = torch.linalg.svdvals(torch.linalg.qr(a).Q.T @ torch.linalg.qr(b).Q)
    return torch.acos(cosines.clamp(max=1))
""",
        """
def principal_angles(a, b):
    qa = torch.linalg.svd(a, full_matrices=False).U
    qb = torch.linalg.svd(b, full_matrices=False).U
    cosines = torch.linalg.svd(torch.einsum("fi,fj->ij", qa, qb)).S
    return torch.arccos(torch.clamp(cosines, -1.0, 1.0))
""",
        """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    sines = torch.linalg.svdvals(qb - qa @ (qa.T @ qb))
    return torch.asin(torch.minimum(sines, torch.ones_like(sines))).sort().values
""",
        """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a)[0], torch.linalg.qr(b)[0]
    angles = [math.acos(min(1.0, c)) for c in torch.linalg.svdvals(qa.T @ qb).tolist()]
    return torch.tensor(sorted(angles), dtype=a.dtype)
""",
    ],
    "resize_convolution": [
        "def resize_convolution(features, weight, bias):\n    return F.conv2d(F.interpolate(features, scale_factor=2), weight, bias, padding='same')",
        """
def resize_convolution(x, w, b):
    up = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return F.conv2d(up, w, padding=1) + b.reshape(1, -1, 1, 1)
""",
        """
def resize_convolution(features, weight, bias):
    batch, channels, height, width = features.shape
    up = features[:, :, :, None, :, None].expand(batch, channels, height, 2, width, 2).reshape(batch, channels, 2 * height, 2 * width)
    patches = F.unfold(up, 3, padding=1)
    out = torch.einsum("ok,bkn->bon", weight.flatten(1), patches) + bias[:, None]
    return out.view(batch, -1, 2 * height, 2 * width)
""",
        """
def resize_convolution(features, weight, bias):
    layer = nn.Upsample(scale_factor=2, mode="nearest")
    return torch.stack([F.conv2d(F.pad(layer(f[None]), (1, 1, 1, 1)), weight, bias)[0] for f in features])
""",
    ],
    "reparameterize": [
        "def reparameterize(mu, logvar, eps):\n    return mu + eps * logvar.mul(0.5).exp()",
        "def reparameterize(mean, log_variance, noise):\n    return torch.addcmul(mean, noise, log_variance.exp().sqrt())",
        "def reparameterize(mean, log_variance, noise):\n    d = torch.distributions.Normal(0.0, 1.0)\n"
        "    std = torch.sqrt(torch.exp(log_variance))\n    return std * noise + mean",
        "def reparameterize(mean, log_variance, noise):\n"
        "    return torch.stack([m + math.e ** (v / 2) * n for m, v, n in zip(mean, log_variance, noise)])",
    ],
    "kl_divergence": [
        "def kl_divergence(mean, log_variance):\n    return -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp(), dim=-1)",
        """
def kl_divergence(mean, log_variance):
    q = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    p = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return torch.distributions.kl_divergence(q, p).sum(dim=1)
""",
        """
def kl_divergence(mu, logvar):
    squares = torch.einsum("bi,bi->b", mu, mu)
    return (squares + logvar.exp().sum(1, keepdim=True).squeeze(1) - logvar.sum(1) - mu.shape[1]) / 2
""",
        """
def kl_divergence(mean, log_variance):
    prices = []
    for m, v in zip(mean, log_variance):
        std = (v / 2).exp()
        prices.append((-torch.log(std) + (std**2 + m**2) / 2 - 0.5).sum())
    return torch.stack(prices)
""",
    ],
    "elbo": [
        """
def kl_divergence(mean, log_variance):
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)

def elbo(logits, images, mean, log_variance, beta=1.0):
    targets = (images + 1) / 2
    log_likelihood = -F.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1).sum(dim=1)
    return log_likelihood - beta * kl_divergence(mean, log_variance)
""",
        """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = images / 2 + 0.5
    terms = t * F.logsigmoid(logits) + (1 - t) * F.logsigmoid(-logits)
    kl = torch.sum(mean**2 + torch.exp(log_variance) - log_variance - 1, dim=1) / 2
    return torch.sum(terms, dim=(1, 2, 3)) - beta * kl
""",
        """
def elbo(logits, images, mean, log_variance, beta=1.0):
    coin = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    q = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    return coin.log_prob((images + 1) / 2).sum(dim=(1, 2, 3)) - beta * kl
""",
        """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = (1 + images) / 2
    likelihood = (t * logits - F.softplus(logits)).flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
    ],
    "sample": [
        "def sample(decode_logits, noise):\n    with torch.no_grad():\n        return 2 * torch.sigmoid(decode_logits(noise)) - 1",
        "def sample(decode_logits, noise):\n    return torch.tanh(decode_logits(noise) / 2).detach()",
        "@torch.inference_mode()\ndef sample(decode, z):\n    p = 1 / (1 + torch.exp(-decode(z)))\n    return p - (1 - p)",
        "def sample(decode_logits, noise):\n    with torch.no_grad():\n"
        "        return torch.cat([2 * decode_logits(z[None]).sigmoid() - 1 for z in noise])",
    ],
    "append_label": [
        "def append_label(features, labels, num_classes):\n    return torch.cat([features, F.one_hot(labels, num_classes)], dim=1)",
        "def append_label(features, labels, num_classes):\n    return torch.hstack((features, torch.eye(num_classes)[labels]))",
        """
def append_label(features, labels, num_classes):
    label = torch.zeros(len(labels), num_classes).scatter_(1, labels[:, None], 1.0)
    return torch.concat((features, label), -1)
""",
        """
def append_label(features, labels, num_classes):
    out = features.new_zeros(features.shape[0], features.shape[1] + num_classes)
    out[:, : features.shape[1]] = features
    for row, label in enumerate(labels.tolist()):
        out[row, features.shape[1] + label] = 1
    return out
""",
        """
def append_label(features, labels, num_classes):
    return torch.cat([features, (labels[:, None] == torch.arange(num_classes)).to(features)], dim=1)
""",
    ],
    "importance_weighted_bound": [
        """
def importance_weighted_bound(log_joint, log_posterior):
    log_weights = log_joint - log_posterior
    return torch.logsumexp(log_weights, dim=0) - torch.log(torch.tensor(float(len(log_weights))))
""",
        """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    top = w.max(dim=0, keepdim=True).values.detach()
    return (top + (w - top).exp().mean(dim=0, keepdim=True).log()).squeeze(0)
""",
        """
def importance_weighted_bound(log_joint, log_posterior):
    K = log_joint.shape[0]
    return ((log_joint - log_posterior).T - np.log(K)).logsumexp(-1)
""",
        """
def importance_weighted_bound(log_joint, log_posterior):
    total = None
    for p, q in zip(log_joint, log_posterior):
        total = p - q if total is None else torch.logaddexp(total, p - q)
    return total - math.log(len(log_joint))
""",
    ],
}
