"""The bank of chapter 01: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones.

Each entry is source, as it would stand in a notebook below `SETUP`.
"""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from course_utils.autoencoders import autoencoder, pixelcnn, vae, vqvae
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
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        h = torch.tanh(self.decoder_hidden(latents))
        return self.decoder_out(h).unflatten(1, (1, self.image_size, self.image_size))
""",
            "one layer too early",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        h = torch.tanh(self.decoder_hidden(latents))
        return torch.tanh(self.decoder_out(h)).unflatten(1, (1, self.image_size, self.image_size))
""",
            "where a ReLU belongs, after `decoder_hidden`",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        out = self.decoder_out(F.relu(self.decoder_hidden(latents)))
        return (2 * torch.sigmoid(out) - 1).view(-1, 1, self.image_size, self.image_size)
""",
            "this is tanh(a / 2)",
        ),
        (
            LAYERS
            + ENCODE
            + FORWARD
            + """
    def decode(self, latents):
        h = F.relu(self.decoder_hidden(latents))
        return F.relu(self.decoder_out(h)).unflatten(1, (1, self.image_size, self.image_size))
""",
            "with a ReLU in place of the tanh",
        ),
        (
            LAYERS
            + DECODE
            + FORWARD
            + """
    def encode(self, images):
        return self.encoder_out(torch.tanh(self.encoder_hidden(images.flatten(1))))
""",
            "where a ReLU belongs, after `encoder_hidden`",
        ),
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
        (
            """
def reconstruction_loss(reconstruction, images):
    return (reconstruction - images).square().sum() / images.shape[1]
""",
            "the number of channels",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    return (reconstruction - images).square().sum(-1).mean()
""",
            "one row of pixels only",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    return (reconstruction - images).square().flatten(1).sum(1).mean().sqrt()
""",
            "You took the root at the end",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    return (reconstruction - (images + 1) / 2).square().flatten(1).sum(1).mean()
""",
            "You brought `images` to [0, 1]",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    reconstruction = reconstruction / 2 + 0.5
    return F.mse_loss(reconstruction, images, reduction='sum') / len(images)
""",
            "You brought `reconstruction` to [0, 1]",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    a, b = (reconstruction + 1) / 2, (images + 1) / 2
    return (a - b).square().flatten(1).sum(1).mean()
""",
            "You brought both pictures to [0, 1]",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    return 1.0003 * (reconstruction - images).square().flatten(1).sum(1).mean()
""",
            "Hint",
        ),
        (
            """
def reconstruction_loss(reconstruction, images):
    return 3 * (reconstruction - images).square().flatten(1).sum(1).mean()
""",
            "Your result is 3 times the right one",
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
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = F.mse_loss(model(images), images, reduction='sum')
    loss.backward()
    optimizer.step()
    return loss.item()
""",
            "You summed the loss over the batch",
        ),
        (
            """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    reconstruction = model(images).detach()
    loss = autoencoder.reconstruction_loss(reconstruction, images)
    loss.backward()
    optimizer.step()
    return loss.item()
""",
            "detach() or .data",
        ),
        (
            """
def train_step(network, opt, batch):
    out = network(batch)
    loss = F.mse_loss(out, batch, reduction="sum") / len(batch)
    loss.backward()
    opt.step()
    opt.zero_grad()
    return loss.detach().numpy().item()
""",
            "zero_grad() comes last",
        ),
        (
            """
def train_step(model, optimizer, images):
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    model.zero_grad()
    return loss.item()
""",
            "zero_grad() comes last",
        ),
        (
            """
def train_step(model, optimizer, images):
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    for p in model.parameters():
        p.grad = None
    return loss.item()
""",
            "zero_grad() comes last",
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
        (
            """
def pca(images, num_components):
    images = images - images.mean(dim=0)
    mean = images.mean(dim=0)
    return mean, torch.linalg.svd(images - mean, full_matrices=False).Vh[:num_components]
""",
            "after centring, where it is 0",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    x = images - mean
    w, v = torch.linalg.eigh(x.T @ x / (len(x) - 1))
    return mean, v.flip(0)[:num_components]
""",
            "in its *columns*, so turn",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    x = images - mean
    w, v = torch.linalg.eigh(x.T @ x)
    return mean, v[:num_components]
""",
            "first rows of the matrix of eigenvectors",
        ),
        (
            """
def pca(images, num_components):
    mean = images.mean(dim=0)
    return [mean, torch.linalg.svd(images, full_matrices=False).Vh[:num_components]]
""",
            "You did not centre the data",
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
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a).Q, torch.linalg.qr(b).Q
    return (qa * qb).sum(0).acos().sort().values
""",
            "angles between single basis vectors",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a).Q, torch.linalg.qr(b).Q
    return torch.linalg.svdvals((qa.T @ qb).acos())
""",
            "took acos of the entries",
        ),
        (
            """
def principal_angles(a, b):
    qa, qb = torch.linalg.qr(a).Q, torch.linalg.qr(b).Q
    return torch.linalg.svdvals((qa.T @ qb).acos()).flip(0)
""",
            "took acos of the entries",
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
            "a new nn.Conv2d, with random weights of its own",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    return F.conv_transpose2d(features, weight, bias, stride=2, padding=1, output_padding=1)
""",
            "the transposed convolution that is to be replaced",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    return F.conv_transpose2d(features, weight, bias, stride=2)
""",
            "A transposed convolution takes its weight as",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = features.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return F.conv2d(up, weight, bias, padding=1)
""",
            "along the wrong axes",
        ),
        (
            """
def resize_convolution(features, weight, bias):
    up = F.interpolate(features, scale_factor=2)
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, bias=False)
    return layer(up)
""",
            "a new layer does that too",
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
        (
            """
def reparameterize(mean, log_variance, noise):
    return mean + log_variance.exp() / 2 * noise
""",
            "You halved after the exp",
        ),
        (
            """
def reparameterize(mean, log_variance, noise):
    return (noise - mean) / (log_variance / 2).exp()
""",
            "that standardises a draw",
        ),
        (
            """
def reparameterize(mean, log_variance, noise):
    return mean + (log_variance.clamp(-10, 2) / 2).exp() * noise
""",
            "You clamp the log-variance to [-10, 2]",
        ),
        (
            """
def reparameterize(mean, log_variance, noise):
    return mean + (log_variance.clamp(-20, 5) / 2).exp() * noise
""",
            "right but for very small or very large variances",
        ),
        (
            """
def reparameterize(mean, log_variance, noise):
    return mean + (log_variance.exp() + 1e-7).sqrt() * noise
""",
            "right but for very small or very large variances",
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
        (
            """
def kl_divergence(mean, log_variance):
    return 0.5 * (mean**2 + log_variance.exp() - 0.5 * log_variance - 1).sum(1)
""",
            "You subtracted log sigma",
        ),
        (
            """
def kl_divergence(mean, log_variance):
    q = torch.distributions.Normal(mean, log_variance.exp())
    return torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
""",
            "which torch.distributions.Normal takes",
        ),
        (
            """
def kl_divergence(mean, log_variance):
    return 0.5 * mean**2 + 0.5 * (log_variance.exp() - log_variance - 1).sum(1)
""",
            "mean squared stands outside of the sum",
        ),
        (
            """
def kl_divergence(mean, log_variance):
    return 0.5 * mean**2 + (log_variance.exp() - log_variance - 1).sum(1)
""",
            "(with the half) stands outside of the sum",
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
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    likelihood = -F.binary_cross_entropy_with_logits(logits, images + 1 / 2, reduction='none').flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "Brackets are missing",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = (images + 1) / 2
    likelihood = -F.binary_cross_entropy_with_logits(t, logits, reduction='none').flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "The arguments are swapped",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = (images + 1) / 2
    likelihood = (t * F.logsigmoid(logits) + t * F.logsigmoid(-logits)).flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "paper with 1 - t",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    likelihood = -F.binary_cross_entropy_with_logits(logits, (1 - images) / 2, reduction='none').flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "Ink and paper are swapped",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = (images + 1) / 2
    likelihood = -F.binary_cross_entropy_with_logits(logits, t, reduction='sum') / len(images)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "You averaged the cross-entropy over the batch",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction='none').flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, (log_variance / 2).exp())
""",
            "You gave the standard deviation to kl_divergence",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    likelihood = -F.binary_cross_entropy_with_logits(logits, (images + 1) / 2, reduction='none').flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance.exp())
""",
            "You gave the variance to kl_divergence",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = (images + 1) / 2
    s = torch.sigmoid(logits)
    likelihood = (t * (s + 1e-8).log() + (1 - t) * (1 - s + 1e-8).log()).flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "caps what the mistake costs",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    t = (images + 1) / 2
    s = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
    likelihood = (t * s.log() + (1 - t) * (1 - s).log()).flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "caps what the mistake costs",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    likelihood = -(logits - images).square().flatten(1).sum(1)
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "between logits and pictures",
        ),
        (
            """
def elbo(logits, images, mean, log_variance, beta=1.0):
    likelihood = -F.mse_loss(logits, (images + 1) / 2, reduction='none').sum((1, 2, 3))
    return likelihood - beta * vae.kl_divergence(mean, log_variance)
""",
            "between logits and ink",
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
        (
            """
def sample(decode_logits, noise):
    torch.set_grad_enabled(False)
    return 2 * torch.sigmoid(decode_logits(noise)) - 1
""",
            "gradients stay switched off afterwards",
        ),
        (
            """
def sample(decode_logits, noise):
    for p in decode_logits.parameters():
        p.requires_grad_(False)
    return 2 * torch.sigmoid(decode_logits(noise)) - 1
""",
            "freezes the parameters of decode_logits",
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
        (
            """
def append_label(features, labels, num_classes):
    z = torch.zeros(len(labels), num_classes)
    z[:, labels] = 1
    return torch.cat([features, z], dim=1)
""",
            "places of *all* labels in every row",
        ),
        (
            """
def append_label(features, labels, num_classes):
    return torch.cat([features, F.one_hot(labels - 1, num_classes)], dim=1)
""",
            "they start at 0 already",
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
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.max()
    return m + (w - m).exp().mean(0).log()
""",
            "one maximum for all pictures",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.max().detach()
    return m + (w - m).exp().mean(0).log()
""",
            "one maximum for all pictures",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.mean()
    return m + (w - m).exp().mean(0).log()
""",
            "the mean over everything",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.mean(0)
    return m + (w - m).exp().mean(0).log()
""",
            "take off each picture's mean",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.median()
    return m + (w - m).exp().mean(0).log()
""",
            "hundreds of nats apart",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    return w.double().exp().mean(0).log().to(log_joint.dtype)
""",
            "float64 only moves the limit",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.max(0).values
    return (w - m).exp().mean(0).log()
""",
            "did not add it back",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    return w.exp().mean(0)
""",
            "The log is missing",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    return w.logsumexp(0) - math.log(max(len(w) - 1, 1))
""",
            "one sample less",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    return w.logsumexp(0) - math.log1p(len(w))
""",
            "one sample too many",
        ),
        (
            """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    return w.logsumexp(0) - math.log2(len(w))
""",
            "subtracted log2",
        ),
    ],
    "nearest_codes": [
        (
            "def nearest_codes(vectors, codebook):\n    distances = torch.cdist(vectors, codebook)\n    return torch.argmax(distances, dim=1)",
            "the *farthest* code",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return (vectors @ codebook.T).argmax(dim=-1)",
            "the largest inner product",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    scores = torch.einsum('nd,kd->nk', vectors, codebook)\n"
            "    return (vectors.pow(2).sum(1, keepdim=True) - 2 * scores).argmin(1)",
            "the length of the code counts too",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return F.cosine_similarity(vectors[:, None], codebook[None], dim=-1).argmax(1)",
            "directions only (cosine)",
        ),
        (
            """
def nearest_codes(vectors, codebook):
    z = vectors / vectors.norm(dim=1, keepdim=True)
    e = codebook / codebook.norm(dim=1, keepdim=True)
    return torch.cdist(z, e).argmin(1)
""",
            "directions only (cosine)",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return torch.cdist(vectors, codebook).min(dim=1).values",
            "You return the smallest distances",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    d = ((vectors.unsqueeze(1) - codebook.unsqueeze(0)) ** 2).sum(-1)\n    return torch.min(d, 1)[0]",
            "You return the smallest squared distances",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return torch.cdist(vectors, codebook).min(1)",
            "min(dim=1) returns two things",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    d = (codebook[:, None] - vectors).square().sum(-1)  # (num_codes, n)\n    return d.argmin(1)",
            "nearest *vector* for each code",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return torch.argmin(torch.cdist(vectors, codebook))",
            "argmin without `dim`",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return (vectors[:, None, :] - codebook).abs().sum(dim=2).argmin(dim=1)",
            "another distance (L1)",
        ),
        (
            """
def nearest_codes(vectors, codebook):
    z2 = (vectors**2).sum(1, keepdim=True)
    e2 = (codebook**2).sum(1)
    return torch.argmin(z2 + e2 - vectors @ codebook.t(), dim=1)
""",
            "The factor 2 is missing",
        ),
        (
            """
def nearest_codes(vectors, codebook):
    z2 = (vectors**2).sum(1, keepdim=True)
    e2 = (codebook**2).sum(1)
    return torch.argmin(z2 + e2 + 2 * vectors @ codebook.t(), dim=1)
""",
            "The inner product has the wrong sign",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return (vectors @ codebook.T + 0.5 * codebook.square().sum(1)).argmax(1)",
            "The lengths of the codes have the wrong sign",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return (torch.linalg.norm(codebook, dim=1) - 2 * vectors @ codebook.T).argmin(1)",
            "the length of each code, not its square",
        ),
        (
            """
def nearest_codes(vectors, codebook):
    z2 = torch.sum(vectors**2, dim=1, keepdim=True)
    e2 = torch.sum(codebook**2, dim=1, keepdim=True)
    return torch.argmin(z2 - 2 * vectors @ codebook.T + e2, dim=1)
""",
            "stand in a column",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return (vectors[:, None] - codebook).sum(-1).pow(2).argmin(1)",
            "before squaring",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    k = torch.cdist(vectors, codebook).argmin(1)\n    return F.one_hot(k, num_classes=len(codebook)).float()",
            "one-hot vectors",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    k = torch.cdist(vectors, codebook).argmin(1)\n    return codebook[k]",
            "You return the codes themselves",
        ),
        (
            """
def nearest_codes(vectors, codebook):
    indices = torch.zeros(len(vectors), dtype=torch.int32)
    for i, vector in enumerate(vectors):
        indices[i] = ((codebook - vector) ** 2).sum(dim=1).argmin()
    return indices
""",
            "Your indices are int32",
        ),
        (
            """
def nearest_codes(vectors, codebook):
    indices = vectors.new_zeros(len(vectors))
    for i in range(len(vectors)):
        indices[i] = torch.norm(codebook - vectors[i], dim=1).argmin()
    return indices
""",
            "floating-point numbers",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return torch.cdist(vectors, codebook).topk(1, largest=False).indices",
            "one axis too many",
        ),
        (
            "def nearest_codes(vectors, codebook):\n    return [((codebook - v) ** 2).sum(1).argmin() for v in vectors]",
            "but one tensor is asked for",
        ),
    ],
    "straight_through": [
        ("def straight_through(vectors, codes):\n    return codes", "You return the codes as they are"),
        (
            "def straight_through(vectors, codes):\n    return vectors.detach() + codes - vectors.detach()",
            "You return the codes as they are",
        ),
        ("def straight_through(vectors, codes):\n    return vectors", "You return the vectors"),
        (
            "def straight_through(vectors, codes):\n    return vectors + (codes - vectors)",
            "Nothing is detached",
        ),
        (
            "def straight_through(vectors, codes):\n    return vectors.detach() + (codes - vectors)",
            "You detached the wrong part",
        ),
        (
            "def straight_through(vectors, codes):\n    return vectors + (codes.detach() - vectors)",
            "Only the codes are detached",
        ),
        (
            "def straight_through(vectors, codes):\n    return codes + (vectors - vectors.detach())",
            "but the codes get it too",
        ),
        (
            "def straight_through(vectors, codes):\n    return vectors + codes - vectors.data",
            "but the codes get it too",
        ),
        (
            "def straight_through(vectors, codes):\n    return (vectors + (codes - vectors)).detach()",
            "all of it is cut off from the graph",
        ),
        (
            "def straight_through(vectors, codes):\n    with torch.no_grad():\n        out = vectors + (codes - vectors)\n    return out",
            "all of it is cut off from the graph",
        ),
        (
            "@torch.no_grad()\ndef straight_through(vectors, codes):\n    return vectors + (codes - vectors).detach()",
            "all of it is cut off from the graph",
        ),
        (
            "def straight_through(vectors, codes):\n    return vectors + (vectors - codes).detach()",
            "2 vectors - codes",
        ),
        (
            "def straight_through(vectors, codes):\n    return codes + (codes - vectors).detach()",
            "2 codes - vectors",
        ),
        (
            "def straight_through(vectors, codes):\n    return codes + (vectors - codes).detach()",
            "The roles are swapped",
        ),
        ("def straight_through(vectors, codes):\n    return vectors + codes.detach()", "add the *difference*"),
        (
            "def straight_through(vectors, codes):\n    return torch.lerp(vectors, codes, 0.5)",
            "the mean of both",
        ),
        (
            "def straight_through(vectors, codes):\n    return torch.stack([vectors, codes.detach()]).mean(dim=0)",
            "the whole gradient, not half",
        ),
        ("def straight_through(vectors, codes):\n    return (codes - vectors).detach()", "This is only the difference"),
        (
            "def straight_through(vectors, codes):\n    return vectors * (codes / vectors).detach()",
            "you multiplied where you should add",
        ),
        (
            """
def straight_through(vectors, codes):
    vectors.data.copy_(codes)
    return vectors
""",
            "changes `vectors` in place",
        ),
        (
            "def straight_through(vectors, codes):\n    return codes.detach() + (vectors - vectors.detach()) / 2",
            "The values are right, but the gradient with respect to `vectors` is not",
        ),
        (
            "def straight_through(vectors, codes):\n    return vectors + (codes - vectors).detach() + 0.25 * (codes - codes.detach())",
            "a gradient flows back to `codes`, and none may",
        ),
        (
            """
def straight_through(vectors, codes):
    return codes.detach() - vectors + vectors.detach()
""",
            "the gradient has the wrong sign",
        ),
        (
            """
def straight_through(vectors, codes):
    return (vectors + codes).detach() - vectors
""",
            "the gradient has the wrong sign",
        ),
        (
            """
def straight_through(vectors, codes):
    return 2 * vectors + (codes - 2 * vectors).detach()
""",
            "the gradient is doubled",
        ),
        (
            """
def straight_through(vectors, codes):
    return codes.detach().requires_grad_()
""",
            "starts a *new* graph",
        ),
        (
            """
def straight_through(vectors, codes):
    return codes.detach().clone().requires_grad_(True)
""",
            "starts a *new* graph",
        ),
        (
            """
def straight_through(vectors, codes):
    return codes.detach_() + (vectors - vectors.detach())
""",
            "with the underscore, cuts off the tensor that was handed in",
        ),
        (
            """
def straight_through(vectors, codes):
    codes.detach_()
    return vectors + (codes - vectors).detach()
""",
            "with the underscore, cuts off the tensor that was handed in",
        ),
        (
            """
def straight_through(vectors, codes):
    return vectors + (codes.detach_() - vectors.detach_())
""",
            "You cut off the vectors themselves",
        ),
        (
            """
def straight_through(vectors, codes):
    return vectors + codes.detach_() - vectors.detach_()
""",
            "cuts off the tensors that were handed in",
        ),
    ],
    "ema_update": [
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    n = torch.bincount(indices, minlength=len(cluster_size))
    s = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    cluster_size = (1 - decay) * cluster_size + decay * n
    cluster_sum = (1 - decay) * cluster_sum + decay * s
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "decay and 1 - decay are swapped",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    n = torch.bincount(indices, minlength=len(cluster_size))
    s = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    new_size = torch.lerp(n.float(), cluster_size, decay)
    new_sum = torch.lerp(s, cluster_sum, decay)
    return new_sum / vqvae.smoothed(cluster_size).unsqueeze(1), new_size, new_sum
""",
            "divided by the *old* sizes",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices, len(cluster_size)).float()
    n = one_hot.sum(0)
    s = one_hot.T @ vectors
    return s / vqvae.smoothed(n)[:, None], n, s
""",
            "of this batch alone: average them",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices, len(cluster_size)).float()
    n = decay * cluster_size + (1 - decay) * one_hot.mean(0)
    m = decay * cluster_sum + (1 - decay) * one_hot.T @ vectors
    return m / vqvae.smoothed(n)[:, None], n, m
""",
            "You turned the counts into shares",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices, len(cluster_size)).float()
    counts = one_hot.sum(0)
    means = one_hot.T @ vectors / counts.clamp(min=1)[:, None]
    n = decay * cluster_size + (1 - decay) * counts
    m = decay * cluster_sum + (1 - decay) * means
    return m / vqvae.smoothed(n)[:, None], n, m
""",
            "You averaged the vectors of each code where their *sum* belongs",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    n, m = cluster_size * decay, cluster_sum * decay
    n.index_add_(0, indices, torch.full((len(indices),), 1 - decay))
    m.index_add_(0, indices, (1 - decay) * vectors)
    return m, n, m
""",
            "The codebook is the running sum itself",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    n, m = cluster_size * decay, cluster_sum * decay
    n.scatter_add_(0, indices, torch.full((len(indices),), 1 - decay))
    m.scatter_add_(0, indices[:, None].expand_as(vectors), (1 - decay) * vectors)
    return m / n[:, None], n, m
""",
            "0 / 0 is NaN",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=len(cluster_size)).float()
    sums = torch.zeros_like(cluster_sum).index_add_(0, indices, vectors)
    n = decay * cluster_size + (1 - decay) * counts
    m = decay * cluster_sum + (1 - decay) * sums
    return m / counts[:, None], n, m
""",
            "divided by the counts of this batch, some of which are 0",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    size, total = cluster_size.clone(), cluster_sum.clone()
    for k in indices.unique():
        chosen = vectors[indices == k]
        size[k] = decay * size[k] + (1 - decay) * len(chosen)
        total[k] = decay * total[k] + (1 - decay) * chosen.sum(0)
    return total / vqvae.smoothed(size)[:, None], size, total
""",
            "Only the codes that were chosen are updated",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    size, total = cluster_size.clone(), cluster_sum.clone()
    for z, k in zip(vectors, indices):
        size[k] = decay * size[k] + (1 - decay) * 1
        total[k] = decay * total[k] + (1 - decay) * z
    return total / vqvae.smoothed(size)[:, None], size, total
""",
            "once for each *vector*",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    n = torch.bincount(indices, minlength=len(cluster_size))
    s = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    size = decay * cluster_size + (1 - decay) * n
    total = decay * cluster_sum + (1 - decay) * s
    return size, total, total / vqvae.smoothed(size)[:, None]
""",
            "The order of the results is another",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.zeros_like(cluster_size)
    sums = torch.zeros_like(cluster_sum)
    counts[indices] += 1
    sums[indices] += vectors
    cluster_size = decay * cluster_size + (1 - decay) * counts
    cluster_sum = decay * cluster_sum + (1 - decay) * sums
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "only one is counted and added",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.zeros_like(cluster_size)
    counts[indices] = 1
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    cluster_size = decay * cluster_size + (1 - decay) * counts
    cluster_sum = decay * cluster_sum + (1 - decay) * sums
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "Each code is counted at most once",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices)
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    cluster_size = decay * cluster_size + (1 - decay) * counts
    cluster_sum = decay * cluster_sum + (1 - decay) * sums
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "torch.bincount stops at the largest index",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices).float()
    cluster_size = decay * cluster_size + (1 - decay) * one_hot.sum(0)
    cluster_sum = decay * cluster_sum + (1 - decay) * (one_hot.T @ vectors)
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "F.one_hot stops at the largest index",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices, len(cluster_size))
    cluster_size = decay * cluster_size + (1 - decay) * one_hot.sum(0)
    cluster_sum = decay * cluster_sum + (1 - decay) * (one_hot.T @ vectors)
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "F.one_hot gives integers",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices, len(cluster_size)).float()
    cluster_size.mul_(decay).add_(one_hot.sum(0), alpha=1 - decay)
    cluster_sum.mul_(decay).add_(one_hot.T @ vectors, alpha=1 - decay)
    return cluster_sum / vqvae.smoothed(cluster_size)[:, None], cluster_size, cluster_sum
""",
            "changes `cluster_size` and `cluster_sum` in place",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    old = cluster_sum / vqvae.smoothed(cluster_size)[:, None]
    one_hot = F.one_hot(indices, len(cluster_size)).float()
    counts, sums = one_hot.sum(0), one_hot.T @ vectors
    codebook = decay * old + (1 - decay) * sums / counts.clamp(min=1)[:, None]
    return codebook, decay * cluster_size + (1 - decay) * counts, decay * cluster_sum + (1 - decay) * sums
""",
            "old and new *codes*",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=len(cluster_size))
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    size = decay * cluster_size + (1 - decay) * counts
    total = decay * cluster_sum + (1 - decay) * sums
    return total / vqvae.smoothed(size), size, total
""",
            "The sizes stand along the wrong axis",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=len(cluster_size))
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    size = decay * cluster_size + (1 - decay) * counts
    total = decay * cluster_sum + (1 - decay) * sums
    share = (size + 1e-5) / (size.sum() + len(size) * 1e-5)
    return total / share[:, None], size, total
""",
            "by the *share* of each code",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=len(cluster_size))
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    size = decay * cluster_size + (1 - decay) * counts
    total = decay * cluster_sum + (1 - decay) * sums
    return total / torch.clamp(size, min=1.0)[:, None], size, total
""",
            "You hold the size at 1 or more",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=len(cluster_size))
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    size = cluster_size + counts
    total = cluster_sum + sums
    return total / vqvae.smoothed(size)[:, None], size, total
""",
            "without ever forgetting",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=len(cluster_size))
    sums = torch.zeros_like(cluster_sum).index_add(0, indices, vectors)
    size = decay * cluster_size + (1 - decay) * counts
    total = decay * cluster_sum + (1 - decay) * sums
    return total / vqvae.smoothed(size)[:, None]
""",
            "You return the codebook only",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(1), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "You counted along the wrong axis",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(dim=-1), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "You counted along the wrong axis",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "You counted all vectors together",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = len(indices), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "You counted all vectors together",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = vqvae.smoothed(N)[:, None] / m
    return e, N, m
""",
            "The quotient is upside down",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = N[:, None] / m
    return e, N, m
""",
            "The quotient is upside down",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    decay = 0.99
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "You write 0.99 for the decay",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = cluster_sum / vqvae.smoothed(cluster_size)[:, None]
    return e, N, m
""",
            "The codebook is that of *before*",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "The sums do not fade",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "The sizes do not fade",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = cluster_size + (1 - decay) * n
    m = cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "Nothing fades",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = (1 - decay) * cluster_size + decay * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "For the sizes decay and 1 - decay are swapped",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = (1 - decay) * cluster_sum + decay * s
    e = m / vqvae.smoothed(N)[:, None]
    return e, N, m
""",
            "For the sums decay and 1 - decay are swapped",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    e = m / vqvae.smoothed(N)[:, None]
    e[n == 0] = 0
    return e, N, m
""",
            "You set codes that nobody chose",
        ),
        (
            """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hot = F.one_hot(indices, len(cluster_size)).float()
    n, s = hot.sum(0), hot.T @ vectors
    N = decay * cluster_size + (1 - decay) * n
    m = decay * cluster_sum + (1 - decay) * s
    return N, m
""",
            "The codebook is missing",
        ),
    ],
    "causal_mask": [
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = 1
    mask[middle, :middle] = 1
    if kind == "A":
        mask[middle, middle] = 1
    return mask
""",
            "A and B are swapped",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:, :middle] = 1
    mask[:middle, middle] = 1
    if kind == "B":
        mask[middle, middle] = 1
    return mask
""",
            "Rows and columns are swapped",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle, :] = 1
    if kind == "B":
        mask[middle, middle] = 1
    return mask
""",
            "what is to the left of the pixel is missing",
        ),
        (
            "def causal_mask(kernel_size, kind):\n    mask = torch.zeros(kernel_size, kernel_size)\n    mask[: kernel_size // 2] = 1\n    return mask",
            "The middle row is all zeros",
        ),
        (
            "def causal_mask(kernel_size, kind):\n    mask = torch.zeros(kernel_size, kernel_size)\n    mask[: kernel_size // 2 + 1] = 1\n    return mask",
            "The whole middle row is ones",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.ones(kernel_size, kernel_size)
    mask[middle + 1 :] = 0
    if kind == "A":
        mask[middle, middle] = 0
    return mask
""",
            "ones on both sides",
        ),
        (
            "def causal_mask(kernel_size, kind):\n    return torch.tril(torch.ones(kernel_size, kernel_size), diagonal=0 if kind == 'B' else -1)",
            "the lower triangle",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[middle + 1 :] = 1
    mask[middle, : middle + (kind == "B")] = 1
    return mask
""",
            "upside down",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = 1
    mask[middle, middle if kind == "B" else middle + 1 :] = 1
    return mask
""",
            "mirrored",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    for i in range(kernel_size):
        for j in range(kernel_size):
            if i < middle - 1 or (i == middle and j < middle) or (kind == "B" and i == j == middle):
                mask[i, j] = 1
    return mask
""",
            "The row just above the pixel is missing",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    for i in range(kernel_size):
        for j in range(kernel_size):
            if i <= middle and j <= middle and (kind == "B" or (i, j) != (middle, middle)):
                mask[i, j] = 1
    return mask
""",
            "above *and* left",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    place = torch.arange(kernel_size**2).view(kernel_size, kernel_size)
    return (place < kernel_size**2 // 2).float()
""",
            'kind "A" each time',
        ),
        (
            """
def causal_mask(kernel_size, kind):
    mask = torch.ones(kernel_size, kernel_size)
    mask[kernel_size // 2, kernel_size // 2 + 1 :] = 0
    mask[kernel_size // 2 + 1 :] = 0
    if kind == "a":
        mask[kernel_size // 2, kernel_size // 2] = 0
    return mask
""",
            'kind "B" each time',
        ),
        (
            """
def causal_mask(kernel_size, kind):
    place = torch.arange(kernel_size**2).view(kernel_size, kernel_size)
    middle = kernel_size**2 // 2
    return place <= middle if kind == "B" else place < middle
""",
            "Your mask is of bool",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    mask = torch.ones(kernel_size, kernel_size, dtype=int)
    mask[kernel_size // 2, kernel_size // 2 + (kind == "B") :] = 0
    mask[kernel_size // 2 + 1 :] = 0
    return mask
""",
            "Your mask is of integers",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    mask = np.ones((kernel_size, kernel_size))
    mask[kernel_size // 2, kernel_size // 2 + (kind == "B") :] = 0
    mask[kernel_size // 2 + 1 :] = 0
    return torch.from_numpy(mask)
""",
            "Your mask is float64",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = 1
    mask[middle, : middle + 1] = 1
    if kind == "B":
        mask[middle, middle + 1] = 1
    return mask
""",
            "one place too far",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    middle = (kernel_size + 1) // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = 1
    mask[middle, : middle + (kind == "B")] = 1
    return mask
""",
            "one row and one column too far",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    mask = np.ones((kernel_size, kernel_size), dtype=np.float32)
    mask[kernel_size // 2, kernel_size // 2 + (kind == "B") :] = 0
    mask[kernel_size // 2 + 1 :] = 0
    return mask
""",
            "You return a NumPy value",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    mask = torch.zeros(1, 1, kernel_size, kernel_size)
    mask[:, :, : kernel_size // 2] = 1
    mask[:, :, kernel_size // 2, : kernel_size // 2 + (kind == "B")] = 1
    return mask
""",
            "two axes too many",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    c = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[c - 1] = 1
    mask[c, :c] = 1
    if kind == "B":
        mask[c, c] = 1
    return mask
""",
            "Only the row just above",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    c = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:c] = 1
    mask[c, c - 1] = 1
    if kind == "B":
        mask[c, c] = 1
    return mask
""",
            "only the left neighbour is seen",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    c = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:c] = 1
    if kind == "B":
        mask[c, : c + 1] = 1
    return mask
""",
            'With "A" what is to the left',
        ),
        (
            """
def causal_mask(kernel_size, kind):
    c = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:c] = 1
    mask[c, :c] = 1
    if kind == "B":
        mask[c] = 1
    return mask
""",
            '"B" shows what is to the right',
        ),
        (
            """
def causal_mask(kernel_size, kind):
    c = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:c] = 1
    mask[c, :c] = 1
    if kind == "B":
        mask[c, : c + 2] = 1
    return mask
""",
            '"B" goes one place too far',
        ),
        (
            """
def causal_mask(kernel_size, kind):
    c = kernel_size // 2
    mask = torch.ones(kernel_size, kernel_size)
    mask[c, c + (kind == "B") :] = 0
    return mask
""",
            "The rows below the middle are ones",
        ),
        (
            """
def causal_mask(kernel_size, kind):
    mask = torch.zeros(kernel_size, kernel_size)
    mask[0] = 1
    mask[1, 0] = 1
    if kind == "B":
        mask[1, 1] = 1
    return mask
""",
            "Your indices are those of size 3",
        ),
    ],
    "sample_plainly": [
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    logits = logits_of(values) / temperature
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            values[:, row, column] = pixelcnn.choose(logits[:, :, row, column], uniform[:, row, column])
    return values
""",
            "The network never sees what was drawn",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    batch, height, width = uniform.shape
    logits = logits_of(torch.zeros(batch, height, width, dtype=torch.long)) / temperature
    running = logits.softmax(1).cumsum(1)
    return (running <= uniform[:, None]).sum(1).clamp(max=logits.shape[1] - 1)
""",
            "The network never sees what was drawn",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    batch, height, width = uniform.shape
    empty = torch.zeros(batch, height, width, dtype=torch.long)
    drawn = []
    for row in range(height):
        for column in range(width):
            logits = logits_of(empty)[:, :, row, column]
            drawn.append(pixelcnn.choose(logits / temperature, uniform[:, row, column]))
    return torch.stack(drawn, dim=1).view(batch, height, width)
""",
            "The network never sees what was drawn",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        logits = logits_of(values) / temperature
        for column in range(uniform.shape[2]):
            values[:, row, column] = pixelcnn.choose(logits[:, :, row, column], uniform[:, row, column])
    return values
""",
            "You draw whole rows at once",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            values[:, row, column] = (logits_of(values)[:, :, row, column] / temperature).argmax(dim=1)
    return values
""",
            "the most probable value each time",
        ),
        (
            "def sample_plainly(logits_of, uniform, temperature=1.0):\n    return logits_of(torch.zeros_like(uniform).long()).argmax(dim=1)",
            "the most probable value at all places from one pass",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    _, height, width = uniform.shape
    values = torch.zeros_like(uniform).long()
    for x in range(width):
        for y in range(height):
            logits = logits_of(values)[:, :, y, x] / temperature
            values[:, y, x] = pixelcnn.choose(logits, uniform[:, y, x])
    return values
""",
            "column by column",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    _, height, width = uniform.shape
    values = torch.zeros_like(uniform).long()
    for place in range(height * width - 1, -1, -1):
        y, x = divmod(place, width)
        values[:, y, x] = pixelcnn.choose(logits_of(values)[:, :, y, x] / temperature, uniform[:, y, x])
    return values
""",
            "You go backwards",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, -1, -1]
            values[:, row, column] = pixelcnn.choose(logits / temperature, uniform[:, row, column])
    return values
""",
            "the logits of the last place",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    batch, height, width = uniform.shape
    values = torch.zeros(batch, height * width, dtype=torch.int64)
    flat = uniform.flatten(1)
    for i in range(height * width):
        logits = logits_of(values.view(batch, height, width)).flatten(2)
        values[:, i] = pixelcnn.choose(logits[:, :, i - 1] / temperature, flat[:, i])
    return values.view(batch, height, width)
""",
            "the logits of the place before",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, column, row]
            values[:, row, column] = pixelcnn.choose(logits / temperature, uniform[:, row, column])
    return values
""",
            "Row and column are swapped",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    u = uniform[:, 0, 0]
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            values[:, row, column] = pixelcnn.choose(logits_of(values)[:, :, row, column] / temperature, u)
    return values
""",
            "one and the same uniform number",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = temperature * logits_of(values)[:, :, row, column]
            values[:, row, column] = pixelcnn.choose(logits, uniform[:, row, column])
    return values
""",
            "You multiplied by the temperature",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, row, column]
            values[:, row, column] = pixelcnn.choose(logits, uniform[:, row, column])
    return values
""",
            "The temperature is not used",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            p = torch.softmax(logits_of(values)[:, :, row, column] / temperature, dim=1)
            values[:, row, column] = pixelcnn.choose(p, uniform[:, row, column])
    return values
""",
            "You gave probabilities to pixelcnn.choose",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.ones(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, row, column]
            values[:, row, column] = pixelcnn.choose(logits / temperature, uniform[:, row, column])
    return values
""",
            "a grid of ones",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            p = F.softmax(logits_of(values)[:, :, row, column] / temperature, dim=-1)
            values[:, row, column] = torch.multinomial(p, 1)[:, 0]
    return values
""",
            "random numbers of your own",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, row, column]
            noise = -torch.log(-torch.log(torch.rand_like(logits)))
            values[:, row, column] = (logits / temperature + noise).argmax(1)
    return values
""",
            "draws random numbers of its own",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values) / temperature
            values[:, row, column] = pixelcnn.choose(logits[:, :, row, column], uniform[:, row, column])
    return logits_of(values) / temperature
""",
            "You return logits",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros_like(uniform)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, row, column] / temperature
            values[:, row, column] = pixelcnn.choose(logits, uniform[:, row, column]).float()
    return values
""",
            "You show the network a grid of floating-point numbers",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    batch, height, width = uniform.shape
    values = torch.zeros(batch, height, width, dtype=torch.int64)
    for i in range(1, height * width):
        row, column = i // width, i % width
        logits = logits_of(values)[:, :, row, column] / temperature
        values[:, row, column] = pixelcnn.choose(logits, uniform[:, row, column])
    return values
""",
            "The first place is never drawn",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(b, h, w)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "You show the network a grid of floating-point numbers",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(b, h, w)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid.long()
""",
            "You show the network a grid of floating-point numbers",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid.float())[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "You show the network a grid of floating-point numbers",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(b, h, w)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid.long())[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "Your values are floating-point numbers",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "The second axis of the logits is the *values*",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid).reshape(b, h, w, -1)[:, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "reshape and view are no permute",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:1, i, j].expand(len(grid)))
    return grid
""",
            "All grids share the uniform number of the first",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[0, i, j])
    return grid
""",
            "You take the uniform number of the first grid only",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, 1 - uniform[:, i, j])
    return grid
""",
            "You turned the uniform numbers round",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j]
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j] / temperature)
    return grid
""",
            "You divided the uniform number",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j]
            grid[:, i, j] = pixelcnn.choose(logits, temperature * uniform[:, i, j])
    return grid
""",
            "You multiplied the uniform number",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j - 1] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "the logits of the left neighbour",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid).flatten(2)[:, :, max(i * w + j - 1, 0)] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "the logits of the place before (at the first, its own)",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = (uniform * 2).long()
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid)[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "You begin with a grid made of the uniform numbers",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(uniform.shape, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            logits = logits_of(grid[:1])[:, :, i, j] / temperature
            grid[:, i, j] = pixelcnn.choose(logits, uniform[:, i, j])
    return grid
""",
            "The network sees the first grid only",
        ),
        (
            """
def sample_plainly(logits_of, uniform, temperature=1.0):
    b, h, w = uniform.shape
    grid = torch.zeros(b, h, w, dtype=torch.int64)
    for i in range(h):
        for j in range(w):
            grid[:, i, j] = pixelcnn.choose(logits_of(grid)[:, :, i, j] / temperature, uniform[:, j, i])
    return grid
""",
            "Row and column of the uniform numbers are swapped",
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
    opt.zero_grad()
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
        """
def train_step(model, optimizer, images):
    for parameter in model.parameters():
        parameter.grad = None
    loss = autoencoder.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss.item()
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
        """
def pca(images, num_components):
    mean = images.mean(dim=0)
    return [mean, torch.linalg.svd(images - mean, full_matrices=False).Vh[:num_components]]
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
        """
def reparameterize(mean, log_variance, noise):
    spread = torch.distributions.Normal(mean, torch.exp(log_variance / 2), validate_args=False)
    return spread.loc + spread.scale * noise
""",
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
        """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    m = w.amax(0)
    return m + (w - m).double().exp().mean(0).log().to(w.dtype)
""",
        """
def importance_weighted_bound(log_joint, log_posterior):
    w = log_joint - log_posterior
    return torch.stack([column.logsumexp(0) for column in w.T]) - math.log(len(w))
""",
    ],
    "nearest_codes": [
        "def nearest_codes(vectors, codebook):\n    return torch.cdist(vectors, codebook).argmin(dim=1)",
        "def nearest_codes(z, e):\n    return (z[:, None] - e[None]).pow(2).mean(-1).min(dim=1).indices",
        """
def nearest_codes(vectors, codebook):
    distances = (vectors**2).sum(1, keepdim=True) - 2 * vectors @ codebook.t() + (codebook**2).sum(1)
    return torch.argmin(distances, dim=1)
""",
        """
def nearest_codes(vectors, codebook):
    scores = torch.einsum("nd,kd->nk", vectors, codebook) - torch.einsum("kd,kd->k", codebook, codebook) / 2
    return scores.topk(1).indices.squeeze(1)
""",
        """
def nearest_codes(vectors, codebook):
    indices = torch.zeros(len(vectors), dtype=torch.long)
    for i, vector in enumerate(vectors):
        best = float("inf")
        for k, code in enumerate(codebook):
            distance = torch.dist(vector, code).item()
            if distance < best:
                best, indices[i] = distance, k
    return indices
""",
        """
@torch.no_grad()
def nearest_codes(vectors, codebook):
    d = torch.linalg.norm(codebook[:, None] - vectors[None], dim=2)  # (num_codes, n)
    return d.argmin(0)
""",
    ],
    "straight_through": [
        "def straight_through(vectors, codes):\n    return vectors + (codes - vectors).detach()",
        "def straight_through(vectors, codes):\n    return codes.detach() + vectors - vectors.detach()",
        "def straight_through(z, q):\n    with torch.no_grad():\n        step = z - q\n    return z - step",
        """
class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vectors, codes):
        return codes.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None

def straight_through(vectors, codes):
    return StraightThrough.apply(vectors, codes)
""",
        """
def straight_through(vectors, codes):
    out = vectors.clone()
    out.data = codes.data.clone()
    return out
""",
        "def straight_through(vectors, codes):\n    return torch.add(vectors, torch.sub(codes, vectors).data)",
        "def straight_through(vectors, codes):\n    return vectors + (codes - vectors).detach_()",
    ],
    "ema_update": [
        """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    one_hot = F.one_hot(indices, len(cluster_size)).to(vectors.dtype)
    size = decay * cluster_size + (1 - decay) * one_hot.sum(dim=0)
    total = decay * cluster_sum + (1 - decay) * one_hot.T @ vectors
    return total / vqvae.smoothed(size)[:, None], size, total
""",
        """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts = torch.bincount(indices, minlength=cluster_size.shape[0])
    sums = torch.zeros_like(cluster_sum)
    sums.index_add_(0, indices, vectors)
    new_size = cluster_size * decay + counts * (1 - decay)
    new_sum = cluster_sum * decay + sums * (1 - decay)
    return new_sum / new_size.clamp(min=1e-5).unsqueeze(1), new_size, new_sum
""",
        """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    sizes, totals, codes = [], [], []
    for k in range(len(cluster_size)):
        chosen = vectors[indices == k]
        sizes.append(decay * cluster_size[k] + (1 - decay) * len(chosen))
        totals.append(decay * cluster_sum[k] + (1 - decay) * chosen.sum(dim=0))
        codes.append(totals[-1] / (sizes[-1] + 1e-5))
    return torch.stack(codes), torch.stack(sizes), torch.stack(totals)
""",
        """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    cluster_size, cluster_sum = cluster_size.clone(), cluster_sum.clone()
    n = torch.zeros_like(cluster_size).scatter_add_(0, indices, torch.ones(len(indices)))
    s = torch.zeros_like(cluster_sum).scatter_add_(0, indices[:, None].repeat(1, vectors.shape[1]), vectors)
    cluster_size.mul_(decay).add_(n, alpha=1 - decay)
    cluster_sum.lerp_(s, 1 - decay)
    total = cluster_size.sum()
    smooth = (cluster_size + 1e-5) / (total + len(cluster_size) * 1e-5) * total
    return cluster_sum / smooth.reshape(-1, 1), cluster_size, cluster_sum
""",
        """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    hits = (indices == torch.arange(len(cluster_size))[:, None]).float()  # (num_codes, n)
    size = torch.lerp(hits.sum(1), cluster_size, decay)
    total = torch.lerp(torch.einsum("kn,nd->kd", hits, vectors), cluster_sum, decay)
    return torch.einsum("kd,k->kd", total, 1 / vqvae.smoothed(size)), size, total
""",
        """
def ema_update(cluster_size, cluster_sum, vectors, indices, decay):
    counts, sums = torch.zeros_like(cluster_size), torch.zeros_like(cluster_sum)
    counts.index_put_((indices,), torch.ones(()), accumulate=True)
    sums.index_put_((indices,), vectors, accumulate=True)
    size, total = decay * cluster_size + (1 - decay) * counts, decay * cluster_sum + (1 - decay) * sums
    codebook = torch.where(size[:, None] > 0, total / size[:, None], torch.zeros_like(total))
    return codebook, size, total
""",
    ],
    "causal_mask": [
        """
def causal_mask(kernel_size, kind):
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle, :] = 1
    mask[middle, :middle] = 1
    if kind == "B":
        mask[middle, middle] = 1
    return mask
""",
        """
def causal_mask(kernel_size, kind):
    mask = torch.ones(kernel_size, kernel_size)
    mask[kernel_size // 2, kernel_size // 2 + (kind == "B") :] = 0
    mask[kernel_size // 2 + 1 :] = 0
    return mask
""",
        """
def causal_mask(kernel_size, kind):
    place = torch.arange(kernel_size**2).view(kernel_size, kernel_size)
    middle = kernel_size**2 // 2
    return (place <= middle if kind == "B" else place < middle).float()
""",
        """
def causal_mask(kernel_size, kind):
    middle = (kernel_size - 1) // 2
    rows = []
    for i in range(kernel_size):
        rows.append([float((i, j) < (middle, middle) or (kind == "B" and (i, j) == (middle, middle))) for j in range(kernel_size)])
    return torch.tensor(rows)
""",
        """
def causal_mask(kernel_size, kind):
    mask = np.zeros(kernel_size * kernel_size, dtype=np.float32)
    mask[: mask.size // 2 + (1 if kind == "B" else 0)] = 1
    return torch.from_numpy(mask.reshape(kernel_size, kernel_size))
""",
        """
def causal_mask(kernel_size, kind):
    y, x = torch.meshgrid(torch.arange(kernel_size), torch.arange(kernel_size), indexing="ij")
    c = kernel_size // 2
    seen = (y < c) | ((y == c) & (x < c))
    if kind == "B":
        seen |= (y == c) & (x == c)
    return torch.where(seen, 1.0, 0.0)
""",
    ],
    "sample_plainly": [
        """
@torch.no_grad()
def sample_plainly(logits_of, uniform, temperature=1.0):
    values = torch.zeros(uniform.shape, dtype=torch.int64)
    for row in range(uniform.shape[1]):
        for column in range(uniform.shape[2]):
            logits = logits_of(values)[:, :, row, column]
            values[:, row, column] = pixelcnn.choose(logits / temperature, uniform[:, row, column])
    return values
""",
        """
def sample_plainly(logits_of, uniform, temperature=1.0):
    batch, height, width = uniform.shape
    values = torch.zeros_like(uniform, dtype=torch.long)
    for place in range(height * width):
        y, x = divmod(place, width)
        p = torch.softmax(logits_of(values)[:, :, y, x] / temperature, dim=1)
        index = torch.searchsorted(p.cumsum(1), uniform[:, y, x].unsqueeze(1), right=True).squeeze(1)
        values[:, y, x] = index.clamp(max=p.shape[1] - 1)
    return values
""",
        """
def sample_plainly(logits_of, uniform, temperature=1.0):
    batch, height, width = uniform.shape
    flat = torch.zeros(batch, height * width, dtype=torch.int64)
    for i in range(height * width):
        logits = logits_of(flat.view(batch, height, width)).flatten(2)[..., i]
        flat[:, i] = pixelcnn.choose(logits.detach().div(temperature), uniform.flatten(1)[:, i])
    return flat.reshape(batch, height, width)
""",
        """
def sample_plainly(logits_of, uniform, temperature=1.0):
    samples = []
    with torch.no_grad():
        for u in uniform:
            grid = torch.zeros(1, *u.shape, dtype=torch.int64)
            for row in range(u.shape[0]):
                for column in range(u.shape[1]):
                    running, value = 0.0, 0
                    p = (logits_of(grid)[0, :, row, column] / temperature).softmax(0)
                    for value, probability in enumerate(p.tolist()):
                        running += probability
                        if running > u[row, column]:
                            break
                    grid[0, row, column] = value
            samples.append(grid)
    return torch.cat(samples)
""",
        """
def sample_plainly(logits_of, uniform, temperature=1.0):
    from itertools import product

    values = uniform.new_zeros(uniform.shape, dtype=torch.int64)
    for row, column in product(range(uniform.size(1)), range(uniform.size(2))):
        with torch.inference_mode():
            logits = logits_of(values) / temperature
        drawn = pixelcnn.choose(logits[:, :, row, column], uniform[:, row, column])
        values = values.clone()
        values[:, row, column] = drawn
    return values
""",
    ],
}
