"""The bank of notebook ddpm: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from course_utils.checks.diffusion import add_noise as _add_noise, posterior_mean as _posterior_mean
from course_utils.checks.diffusion.ddpm import diffusion_loss as _reference  # what the notebook gives to whoever is stuck

add_noise, posterior_mean = _add_noise.reference, _posterior_mean.reference


def loss_of_a_network(weight, images, noise, timesteps, alphas_cumprod):
    def network(noisy, timesteps):
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return diffusion_loss(network, images, noise, timesteps, alphas_cumprod)
"""


def _loss(body: str) -> str:
    """A `diffusion_loss` with this body."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef diffusion_loss(network, images, noise, timesteps, alphas_cumprod):\n{lines}"


def _mean(body: str) -> str:
    """A `posterior_mean` with this body."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef posterior_mean(images, noisy, timestep, alphas_cumprod):\n{lines}"


NAMES = """
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else torch.tensor(1.0)
alpha = now / before
beta = 1 - alpha
"""


def _step(body: str) -> str:
    """An `ancestral_step` with this body."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef ancestral_step(predicted_noise, noisy, fresh_noise, timestep, alphas_cumprod):\n{lines}"


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "add_noise": [
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    raise NotImplementedError()
""",
            "This is not written yet",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a * images + (1 - a) * noise
""",
            "The roots are missing",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    shape = (len(images),) + (1,) * (images.ndim - 1)
    a = alphas_cumprod[timesteps].reshape(shape)
    return torch.lerp(noise, images, a)
""",
            "The roots are missing",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return (1 - a).sqrt() * images + a.sqrt() * noise
""",
            "Signal and noise are swapped",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a) * noise
""",
            "is the *variance* of the noise",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    root = alphas_cumprod.sqrt()[timesteps].view(-1, *[1] * (images.ndim - 1))
    return root * images + (1 - root) * noise
""",
            "their *squares* do",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + noise
""",
            "The noise is not scaled",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return images + (1 - a) ** 0.5 * noise
""",
            "The picture never fades",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    signal, rate = alphas_cumprod.sqrt()[timesteps], (1 - alphas_cumprod).sqrt()[timesteps]
    return signal * images + rate * noise
""",
            "lie along the *last* axis",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            "the axes of a picture always",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps][:, None]
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            "right for points only",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps - 1].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            "one step too early",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps[0]]
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            "the time of the first one",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    alpha_bar = torch.cumprod(alphas_cumprod, dim=0)[timesteps].view(-1, *[1] * (images.ndim - 1))
    return alpha_bar.sqrt() * images + (1 - alpha_bar).sqrt() * noise
""",
            "the running product once more",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * torch.randn_like(images)
""",
            "draws random numbers of its own",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise, noise
""",
            "You return the noise as well",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return (a.sqrt() * images + (1 - a).sqrt() * noise).clamp(-1, 1)
""",
            "You clamp the result",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    images *= a.sqrt()
    images += (1 - a).sqrt() * noise
    return images
""",
            "changes `images` in place",
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod.clamp(min=0.01)[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'away from 0 (clamp, + eps)',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    padded = torch.cat([torch.ones(1), alphas_cumprod])
    a = padded[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'entry 0 of alphas_cumprod is already the state after *one* step',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[(timesteps + 1).clamp(max=len(alphas_cumprod) - 1)].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'one step too late',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = torch.where(timesteps == 0, 1.0, alphas_cumprod[timesteps]).view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'At t = 0 you return the clean picture',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod.flip(0)[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'from its end',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = (1 - timesteps / len(alphas_cumprod)).view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'You took 1 - t / T',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].mean()
    return a.sqrt() * images + (1 - a).sqrt() * noise
""",
            'All pictures get one time, a mean',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a * images + (1 - a ** 2).sqrt() * noise
""",
            'It is the *square* of that factor',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return a.sqrt() * noise - (1 - a).sqrt() * images
""",
            'This is the velocity',
        ),
        (
            """
def add_noise(images, noise, timesteps, alphas_cumprod):
    alphas = alphas_cumprod / torch.cat([torch.ones(1), alphas_cumprod[:-1]])
    out = images.clone()
    for i, t in enumerate(timesteps.tolist()):
        for s in range(t + 1):
            out[i] = alphas[s].sqrt() * out[i] + (1 - alphas[s]).sqrt() * noise[i]
    return out
""",
            'the *same* noise each time',
        ),
    ],
    "cosine_schedule": [
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2)
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0)
""",
            "The square is missing",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.arange(num_train_timesteps, dtype=torch.float64) / num_train_timesteps
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (f / f[0]).float()
""",
            "You begin at t = 0",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1)
    f = torch.cos(t * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0)
""",
            "The offset does not enter",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return f[1:].float()
""",
            "divided by f(0)",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.arange(1, num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
    f = lambda t: torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (f(t) / f(torch.zeros(1, dtype=torch.float64))).float()
""",
            "The betas are not clipped",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return torch.clip(1 - f[1:] / f[:-1], 0, 0.999).float()
""",
            "These are the betas",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = torch.clip(1 - f[1:] / f[:-1], 0, 0.999)
    return (1 - betas).float()
""",
            "These are the alphas",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi) ** 2
    betas = torch.clip(1 - f[1:] / f[:-1], 0, 0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            "ends at pi in place of pi/2",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (f / f[0])[1:].clamp(min=0.001).float()
""",
            "It is the *betas* that are kept",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = torch.clip(1 - f[1:] / f[:-1], 0, 0.999)
    return torch.cat([torch.ones(1), torch.cumprod(1 - betas, dim=0).float()])
""",
            "T + 1 entries",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = torch.clip(1 - f[1:] / f[:-1], 0.0001, 0.02)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            "the largest beta of the *linear* schedule",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    betas = torch.linspace(1e-4, 0.02, num_train_timesteps) * 1000 / num_train_timesteps
    return torch.cumprod(1 - betas.clamp(max=0.999), dim=0)
""",
            "This is the linear schedule",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = torch.clip(1 - f[1:] / f[:-1], 0, 0.999)
    return torch.cumprod(1 - betas, dim=0)
""",
            "end with .float()",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = np.linspace(0, 1, num_train_timesteps + 1)
    f = np.cos((t + offset) / (1 + offset) * np.pi / 2) ** 2
    betas = np.clip(1 - f[1:] / f[:-1], 0, 0.999)
    return np.cumprod(1 - betas)
""",
            "You return a NumPy value",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    t = torch.linspace(0, 1, num_train_timesteps, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    alphas_cumprod = f / f[0]
    previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
    betas = (1 - alphas_cumprod / previous).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            "You took T times from 0 to 1",
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'The division by 1 + s is missing',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(0, 0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'The division by 1 + s is missing',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'ends at pi in place of pi/2',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.sin((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'The sine in place of the cosine',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + 0.008) / (1 + 0.008) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            '`offset` does not enter',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'One entry is missing',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()[:-1]
""",
            'The last entry is missing',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (f / f[0]).float()
""",
            'You took T times from 0 to 1',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.arange(T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / T / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'The offset is divided by T',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos(t + offset / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'A bracket is missing',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos(((t + offset) / (1 + offset) * math.pi / 2) ** 2)
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'You squared the angle',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.99)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'You clip the betas at 0.99:',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.9999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'You clip the betas at 0.9999:',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(1e-4, 0.9999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'to [0.0001, 0.9999]',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(1e-4, 0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'You keep the betas above 0.0001 as well',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    return (f[1:] / f[:-1]).clamp(max=0.999).cumprod(0).float()
""",
            'You clip the *alphas* at 0.999',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    f[0] = 1
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'The first beta is taken against 1',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    f = f / f[0]
    betas = (f[:-1] - f[1:]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'You took the *difference* of neighbours',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[:-1] / f[1:]).clamp(max=0.999)
    return torch.cumprod(1 - betas, dim=0).float()
""",
            'The quotient is upside down',
        ),
        (
            """
def cosine_schedule(num_train_timesteps, offset=0.008):
    T = num_train_timesteps
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return (1 - betas.cumprod(0)).float()
""",
            'You multiply the betas and subtract',
        ),
    ],
    "loss_of_a_network": [
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), images)
"""),
            "You compare with the clean picture",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return ((network(noisy, timesteps) - noisy) ** 2).mean()
"""),
            "You compare with x_t",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
added = noisy - alphas_cumprod[timesteps].sqrt().view(-1, *[1] * (images.ndim - 1)) * images
return F.mse_loss(network(noisy, timesteps), added)
"""),
            "the noise as it was added",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(timesteps, noisy), noise)
"""),
            "The network's arguments are swapped",
        ),
        (
            _loss("return F.mse_loss(network(images, timesteps), noise)"),
            "is shown the *clean* picture",
        ),
        (
            _loss("return F.mse_loss(network(images + noise, timesteps), noise)"),
            "Noise of full size is added",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps / len(alphas_cumprod)), noise)
"""),
            "You tell the network t / T",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, alphas_cumprod[timesteps]), noise)
"""),
            "You tell the network alphas_cumprod[timesteps]",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noise, reduction="sum")
"""),
            "You summed over everything",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
error = (network(noisy, timesteps) - noise).square()
return error.sum(dim=tuple(range(1, error.ndim))).mean()
"""),
            "You summed over the values of a picture",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return (network(noisy, timesteps) - noise) ** 2
"""),
            "the mean is still missing",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.l1_loss(network(noisy, timesteps), noise)
"""),
            "You took the absolute error",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noise).sqrt()
"""),
            "You took the root",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
with torch.no_grad():
    predicted = network(noisy, timesteps)
return F.mse_loss(predicted, noise)
"""),
            "it is cut off from the graph",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noise).item()
"""),
            "You return a Python number",
        ),
        (
            _loss("""
noisy = add_noise(images, torch.randn_like(images), timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noise)
"""),
            "draws random numbers of its own",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return (network(noisy, timesteps) - noise).mean() ** 2
"""),
            "You averaged before squaring",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps[0].expand(len(images))), noise)
"""),
            "the first picture's time for all",
        ),
        (
            _loss("""
a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
noisy = a * images + (1 - a) * noise
return F.mse_loss(network(noisy, timesteps), noise)
"""),
            "In x_t the roots are missing",
        ),
        (
            _loss("""
a = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
noisy = a.sqrt() * images + (1 - a).sqrt() * noise
return F.mse_loss(network(noisy, timesteps), noise)
"""),
            'has not the shape of the images',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps[:, None]), noise)
"""),
            'You give the times a second axis',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy), noise)
"""),
            'You do not tell the network the time',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps - 1), noise)
"""),
            'You tell the network t - 1',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, (1 - alphas_cumprod[timesteps]).sqrt()), noise)
"""),
            "the noise's factor in place of the time",
        ),
        (
            _loss("""
noisy = add_noise(noise, images, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noise)
"""),
            'Picture and noise are swapped',
        ),
        (
            _loss("""
alphas = alphas_cumprod / torch.cat([torch.ones(1), alphas_cumprod[:-1]])
noisy = add_noise(images, noise, timesteps, alphas)
return F.mse_loss(network(noisy, timesteps), noise)
"""),
            'by a single step only',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod.cumprod(0))
return F.mse_loss(network(noisy, timesteps), noise)
"""),
            'the running product once more',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy.clamp(-1, 1), timesteps), noise)
"""),
            'You clamp x_t',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noisy - images)
"""),
            'You compare with noisy - images',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
return (predicted - noise).flatten(1).norm(dim=1).mean()
"""),
            'without its square: the loss',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
return (predicted - noise).norm()
"""),
            'the length of the whole error',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
return ((predicted - noise) ** 2).sum(dim=1).mean()
"""),
            'You summed over the second axis',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
return F.smooth_l1_loss(predicted, noise)
"""),
            'This is the Huber loss',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
return F.mse_loss(predicted.flatten(1).unsqueeze(1), noise.flatten(1))
"""),
            "compared with *every* picture's noise",
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
clean = (noisy - (1 - a).sqrt() * predicted) / a.sqrt()
return F.mse_loss(clean, images)
"""),
            'You turn the answer into a picture',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
return (a / (1 - a) * (predicted - noise) ** 2).mean()
"""),
            'The loss has none, on purpose',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
return ((1 - a) * (predicted - noise) ** 2).mean()
"""),
            'The loss has none, on purpose',
        ),
        (
            _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
return (a * (predicted - noise) ** 2).mean()
"""),
            'The loss has none, on purpose',
        ),
        (
            _loss("""
alphas = alphas_cumprod / torch.cat([torch.ones(1), alphas_cumprod[:-1]])
weights = (1 - alphas) / (2 * alphas * (1 - alphas_cumprod))
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
predicted = network(noisy, timesteps)
return (weights[timesteps].view(-1, *[1] * (images.ndim - 1)) * (predicted - noise) ** 2).mean()
"""),
            "the bound's own weight",
        ),
    ],
    "posterior_mean": [
        (
            _mean("raise NotImplementedError()"),
            "This is not written yet",
        ),
        (
            _mean(NAMES + "return before.sqrt() * beta / (1 - now) * noisy + alpha.sqrt() * (1 - before) / (1 - now) * images"),
            "The two weights are swapped",
        ),
        (
            _mean("""
now, before = alphas_cumprod[timestep], alphas_cumprod[timestep - 1]
alpha, beta = now / before, 1 - now / before
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            "an index -1 would fetch the *last* entry",
        ),
        (
            _mean("if timestep == 0:\n    return noisy\n" + NAMES.strip() + """
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            "At t = 0 you return x_t unchanged",
        ),
        (
            _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else torch.tensor(0.0)
alpha = alphas_cumprod[timestep] / before if timestep > 0 else now
beta = 1 - alpha
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy * (timestep > 0)
"""),
            "At t = 0 your result is zero",
        ),
        (
            _mean(NAMES + "return before.sqrt() * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy"),
            "The picture's weight lacks",
        ),
        (
            _mean(NAMES + "return before.sqrt() * beta * images + alpha.sqrt() * (1 - before) * noisy"),
            "The denominators are missing",
        ),
        (
            _mean(NAMES + "return (before.sqrt() * beta * images + alpha.sqrt() * (1 - before) * noisy) / (1 - now).sqrt()"),
            "You divide by sqrt(1 - alphas_cumprod[t])",
        ),
        (
            _mean(NAMES + "return before * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy"),
            "In the picture's weight the root",
        ),
        (
            _mean(NAMES + "return now.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy"),
            "In the picture's weight stands alphas_cumprod[t]",
        ),
        (
            _mean(NAMES + "return before.sqrt() * beta / (1 - now) * images + alpha * (1 - before) / (1 - now) * noisy"),
            "the root of alpha_t is missing",
        ),
        (
            _mean(NAMES + "return before.sqrt() * beta / (1 - now) * images + now.sqrt() * (1 - before) / (1 - now) * noisy"),
            "stands the root of alphas_cumprod[t]",
        ),
        (
            _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else torch.tensor(1.0)
beta = 1 - now
return before.sqrt() * beta / (1 - now) * images + now.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            "You took 1 - alphas_cumprod[t] for beta_t",
        ),
        (
            _mean(NAMES + """
predicted = (noisy - now.sqrt() * images) / (1 - now).sqrt()
return before.sqrt() * images + (1 - before).sqrt() * predicted
"""),
            "This is the step of DDIM",
        ),
        (
            _mean(NAMES + "return before.sqrt() * beta / (1 - now) * images - alpha.sqrt() * (1 - before) / (1 - now) * noisy"),
            "The second term has the wrong sign",
        ),
        (
            _mean(NAMES + "return before.sqrt() * images"),
            "You jump from the picture to step t - 1",
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now).clamp(min=0.01) * images + alpha.sqrt() * (1 - before) / (1 - now).clamp(min=0.01) * noisy
"""),
            'you keep something away from 0',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now).clamp(min=1e-4) * images + alpha.sqrt() * (1 - before) / (1 - now).clamp(min=1e-4) * noisy
"""),
            'you keep something away from 0',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now + 1e-5) * images + alpha.sqrt() * (1 - before) / (1 - now + 1e-5) * noisy
"""),
            'you keep something away from 0',
        ),
        (
            _mean(NAMES + """
now = now.clamp(max=0.999)
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'you keep something away from 0',
        ),
        (
            _mean(NAMES + """
alpha = alpha.clamp(min=0.1)
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'you keep something away from 0',
        ),
        (
            _mean(NAMES + """
now = now.clamp(min=0.01)
alpha = now / before
beta = 1 - alpha
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'you keep something away from 0',
        ),
        (
            _mean(NAMES + """
if timestep == 0:
    alpha, beta = torch.ones_like(now), torch.zeros_like(now)
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'At t = 0 your result is zero',
        ),
        (
            _mean(NAMES + """
if timestep <= 1:
    return images
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'At t = 1 you return the picture as well',
        ),
        (
            _mean(NAMES + """
beta = 1 - now
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'and it cancelled',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - now) / (1 - now) * noisy
"""),
            'you put t where t - 1 belongs',
        ),
        (
            _mean(NAMES + """
return before * beta / (1 - now) * images + alpha * (1 - before) / (1 - now) * noisy
"""),
            'Both roots are missing',
        ),
        (
            _mean(NAMES + """
return torch.sqrt(before * beta) / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            "In the picture's weight the root covers",
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now) * images + torch.sqrt(alpha * (1 - before)) / (1 - now) * noisy
"""),
            'In the weight of x_t the root covers',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - before) * images + alpha.sqrt() * (1 - before) / (1 - before) * noisy
"""),
            'The denominators are those of the step before',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - before) * noisy
"""),
            'In the weight of x_t the denominator',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            "The picture's weight lacks its denominator",
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) * noisy
"""),
            'The weight of x_t lacks its denominator',
        ),
        (
            _mean(NAMES + """
return alpha.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'stands the root of alpha_t',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / (1 - now) * images + before.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'stands the root of alphas_cumprod[t - 1]',
        ),
        (
            _mean(NAMES + """
beta = 1 - before
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'stands 1 - alphas_cumprod[t - 1] for beta_t',
        ),
        (
            _mean(NAMES + """
beta = before - now
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'You took the *difference* of two entries',
        ),
        (
            _mean(NAMES + """
return before.sqrt() * beta / 1 - now * images + alpha.sqrt() * (1 - before) / 1 - now * noisy
"""),
            'Brackets are missing',
        ),
        (
            _mean(NAMES + """
weight = before.sqrt() * beta / (1 - now)
return weight * images + (1 - weight) * noisy
"""),
            'You gave x_t what is left to 1',
        ),
        (
            _mean(NAMES + """
weight = alpha.sqrt() * (1 - before) / (1 - now)
return (1 - weight) * images + weight * noisy
"""),
            'You gave the picture what is left to 1',
        ),
        (
            _mean(NAMES + """
first, second = before.sqrt() * beta, alpha.sqrt() * (1 - before)
return (first * images + second * noisy) / (first + second)
"""),
            'You divide by the sum of the weights',
        ),
        (
            _mean(NAMES + """
return beta * images + alpha * noisy
"""),
            'You weigh picture and x_t by beta_t and alpha_t',
        ),
        (
            _mean(NAMES + """
return (noisy - beta / (1 - now).sqrt() * images) / alpha.sqrt()
"""),
            'You treat `images` as the noise',
        ),
        (
            _mean(NAMES + """
return (before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy).clamp(-1, 1)
"""),
            'You clamp the result',
        ),
        (
            _mean(NAMES + """
images = images.clamp(-1, 1)
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'You clamp the picture',
        ),
        (
            _mean(NAMES + """
return (before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy).squeeze()
"""),
            'squeeze() takes away the channel',
        ),
        (
            _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else 1
alpha = now / before
return before.sqrt() * (1 - alpha) / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'A plain 1 has no .sqrt()',
        ),
        (
            _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else 1.0
alpha = now / before
return before.sqrt() * (1 - alpha) / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'A plain 1 has no .sqrt()',
        ),
        (
            _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else 1.0
alpha = now / before
return torch.sqrt(before) * (1 - alpha) / (1 - now) * images + torch.sqrt(alpha) * (1 - before) / (1 - now) * noisy
"""),
            'A plain 1 has no .sqrt()',
        ),
        (
            _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else 1
alpha = now / before
return torch.sqrt(before) * (1 - alpha) / (1 - now) * images + torch.sqrt(alpha) * (1 - before) / (1 - now) * noisy
"""),
            'A plain 1 has no .sqrt()',
        ),
        (
            _mean("""
padded = torch.cat([torch.ones(1), alphas_cumprod])
if timestep == 0:
    return images
now, before = padded[timestep], padded[timestep - 1]
alpha, beta = now / before, 1 - now / before
return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
"""),
            'You are one step too early',
        ),
    ],
    "ancestral_step": [
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
return posterior_mean(images, noisy, timestep, alphas_cumprod) + beta.sqrt() * fresh_noise
"""),
            "You add noise at the last step",
        ),
        (
            _step(NAMES + """
mean = (noisy - beta / (1 - now).sqrt() * predicted_noise) / alpha.sqrt()
return mean + beta.sqrt() * fresh_noise
"""),
            "You add noise at the last step",
        ),
        (
            _step(NAMES + """
mean = (noisy - beta / (1 - now).sqrt() * predicted_noise) / alpha.sqrt()
return mean + beta * fresh_noise if timestep > 0 else mean
"""),
            "its *variance*: a normal number",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + ((1 - before) / (1 - now) * beta).sqrt() * fresh_noise
"""),
            "the posterior's own variance",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + (1 - now).sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "is *all* of the noise in x_t",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
return posterior_mean(images, noisy, timestep, alphas_cumprod)
"""),
            "The fresh noise is missing",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 1 else mean
"""),
            "left out at t = 1 as well",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean if timestep else mean + beta.sqrt() * fresh_noise
"""),
            "The condition is turned",
        ),
        (
            _step(NAMES + """
images = (noisy + (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "the noise is added once more",
        ),
        (
            _step(NAMES + """
images = noisy - (1 - now).sqrt() * predicted_noise
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "The picture is not divided",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now) * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "In the picture the noise lacks its root",
        ),
        (
            _step(NAMES + """
mean = posterior_mean(predicted_noise, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "asks for the *picture*",
        ),
        (
            _step(NAMES + """
images = ((noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()).clamp(-1, 1)
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "You clamp the picture",
        ),
        (
            _step(NAMES + """
mean = (noisy - beta / (1 - now) * predicted_noise) / alpha.sqrt()
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "the root is missing",
        ),
        (
            _step(NAMES + """
mean = noisy - beta / (1 - now).sqrt() * predicted_noise
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "before the bracket is missing",
        ),
        (
            _step(NAMES + """
mean = (noisy - beta / (1 - now).sqrt() * predicted_noise) / now.sqrt()
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            "what has faded in *all* steps",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
return before.sqrt() * images + (1 - before).sqrt() * predicted_noise
"""),
            "This is the step of DDIM",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
return before.sqrt() * images + (1 - before).sqrt() * fresh_noise
"""),
            "that forgets x_t",
        ),
        (
            _step(NAMES + "return (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()"),
            "that is the last step only",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * torch.randn_like(noisy) if timestep > 0 else mean
"""),
            "draws random numbers of its own",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt().clamp(min=0.3)
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'you keep something away from 0',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.clamp(min=1e-4).sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'you keep something away from 0',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.clamp(max=0.5).sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'you keep something away from 0',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 and beta > 1e-3 else mean
"""),
            'leave noise out where it is small',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
beta = 1 - now / alphas_cumprod[timestep - 1]
return mean + (timestep > 0) * beta.sqrt() * fresh_noise
"""),
            'NaN times 0 is NaN still',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + (beta * (1 - before) / (1 - now)) * fresh_noise if timestep > 0 else mean
"""),
            "the posterior's *variance*",
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + alpha.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'what the step *keeps*',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + (2 * beta).sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'twice the variance',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + (before - now).sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'You took the *difference* of two entries',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt().sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'The root of beta_t is taken twice',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now) * predicted_noise) / now
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'both roots are missing',
        ),
        (
            _step(NAMES + """
images = noisy - (1 - now).sqrt() * predicted_noise / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'Brackets are missing in the picture',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now.sqrt()) * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'you took 1 - sqrt(a)',
        ),
        (
            _step(NAMES + """
images = now.sqrt() * noisy - (1 - now).sqrt() * predicted_noise
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'takes the answer for a velocity',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) * now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'In the picture you multiply by',
        ),
        (
            _step(NAMES + """
images = (noisy - now.sqrt() * predicted_noise) / (1 - now).sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'In the picture the factors are swapped',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - before).sqrt() * predicted_noise) / before.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'In the picture you took alphas_cumprod[t - 1]',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - alpha).sqrt() * predicted_noise) / alpha.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'In the picture you took alpha_t',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(noisy, images, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'in the wrong order',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(noisy, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'You hand x_t to posterior_mean twice',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, images, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'You hand the picture to posterior_mean twice',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, max(timestep - 1, 0), alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'You hand t - 1 to posterior_mean',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
return images + beta.sqrt() * fresh_noise if timestep > 0 else images
"""),
            "take the posterior's mean between it and x_t",
        ),
        (
            _step(NAMES + """
mean = (noisy - beta / (1 - now).sqrt() * predicted_noise) / alpha
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'its root is missing',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep < len(alphas_cumprod) - 1 else mean
"""),
            'left out at the *first* step back',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else noisy
"""),
            'At t = 0 you return x_t',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return (mean + beta.sqrt() * fresh_noise if timestep > 0 else mean).clamp(-1, 1)
"""),
            'You clamp the result',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * fresh_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return mean + beta.sqrt() * predicted_noise if timestep > 0 else mean
"""),
            'Predicted and fresh noise are swapped',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
return (mean + beta.sqrt() * fresh_noise if timestep > 0 else mean).squeeze()
"""),
            'squeeze() takes away the channel',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
if timestep == 0:
    return torch.zeros_like(noisy)
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'At t = 0 your result is zero',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
if timestep > 1:
    beta = 1 - alphas_cumprod[timestep - 1] / alphas_cumprod[timestep - 2]
else:
    beta = 1 - alphas_cumprod[0]
return mean + beta.sqrt() * fresh_noise if timestep > 0 else mean
"""),
            'the beta of the step *before*',
        ),
        (
            _step(NAMES + """
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
if timestep == 0:
    return images
mean = (noisy - beta / (1 - now) * predicted_noise) / alpha.sqrt()
return mean + beta.sqrt() * fresh_noise
"""),
            'the root is missing',
        ),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "add_noise": [
        """
def add_noise(images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor) -> Tensor:
    rate = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
    return rate.sqrt() * images + (1 - rate).sqrt() * noise
""",
        """
def add_noise(images, noise, timesteps, alphas_cumprod):
    signal = torch.einsum("b,b...->b...", alphas_cumprod.sqrt()[timesteps], images)
    return signal + torch.einsum("b,b...->b...", (1 - alphas_cumprod).sqrt()[timesteps], noise)
""",
        """
def add_noise(images, noise, timesteps, alphas_cumprod):
    a = alphas_cumprod.gather(0, timesteps)
    while a.ndim < images.ndim:
        a = a.unsqueeze(-1)
    return torch.sqrt(a) * images + torch.sqrt(1.0 - a) * noise
""",
        """
def add_noise(images, noise, timesteps, alphas_cumprod):
    angle = torch.arccos(alphas_cumprod.sqrt())[timesteps]
    mixed = angle.cos()[:, None] * images.flatten(1) + angle.sin()[:, None] * noise.flatten(1)
    return mixed.reshape(images.shape)
""",
        """
def add_noise(images, noise, timesteps, alphas_cumprod):
    return torch.stack([math.sqrt(alphas_cumprod[t]) * x + math.sqrt(1 - alphas_cumprod[t]) * e for x, e, t in zip(images, noise, timesteps)])
""",
    ],
    "cosine_schedule": [
        """
def cosine_schedule(num_train_timesteps: int, offset: float = 0.008) -> Tensor:
    times = torch.linspace(0, 1, num_train_timesteps + 1, dtype=torch.float64)
    share = torch.cos((times + offset) / (1 + offset) * math.pi / 2).square()
    betas = (1 - share[1:] / share[:-1]).clamp(max=0.999)
    return (1 - betas).cumprod(0).float()
""",
        """
def cosine_schedule(num_train_timesteps, offset=0.008):
    times = torch.arange(num_train_timesteps + 1) / num_train_timesteps
    share = torch.cos((times + offset) / (1 + offset) * math.pi / 2) ** 2
    alphas_cumprod = share / share[0]
    betas = 1 - alphas_cumprod[1:] / alphas_cumprod[:-1]
    return torch.cumprod(1 - torch.clip(betas, 0.0, 0.999), dim=0)
""",
        """
def cosine_schedule(num_train_timesteps, offset=0.008):
    def share(t):
        return math.cos((t / num_train_timesteps + offset) / (1 + offset) * math.pi / 2) ** 2

    left, table = 1.0, []
    for t in range(1, num_train_timesteps + 1):
        left *= 1 - min(0.999, 1 - share(t) / share(t - 1))
        table.append(left)
    return torch.tensor(table)
""",
        """
def cosine_schedule(num_train_timesteps, offset=0.008):
    angles = (np.arange(num_train_timesteps + 1) / num_train_timesteps + offset) / (1 + offset) * np.pi / 2
    levels = np.cos(angles) ** 2 / np.cos(angles[0]) ** 2
    kept = np.maximum(levels[1:] / levels[:-1], 1e-3)
    return torch.tensor(np.cumprod(kept), dtype=torch.float32)
""",
    ],
    "loss_of_a_network": [
        _loss("""
noisy = add_noise(images, noise, timesteps, alphas_cumprod)
return F.mse_loss(network(noisy, timesteps), noise)
"""),
        _loss("""
predicted = network(add_noise(images, noise, timesteps, alphas_cumprod), timesteps)
return (noise - predicted).square().mean()
"""),
        _loss("""
a = alphas_cumprod[timesteps].view(-1, *[1] * (images.ndim - 1))
noisy = a.sqrt() * images + (1 - a).sqrt() * noise
error = (network(noisy, timesteps) - noise) ** 2
return error.flatten(1).mean(dim=1).mean()
"""),
        _loss("""
difference = network(add_noise(images, noise, timesteps, alphas_cumprod), timesteps) - noise
return torch.linalg.vector_norm(difference) ** 2 / noise.numel()
"""),
        _loss("return _reference(network, images, noise, timesteps, alphas_cumprod)"),
    ],
    "posterior_mean": [
        _mean(NAMES + "return before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy"),
        _mean("""
if timestep == 0:
    return images
now, before = alphas_cumprod[timestep], alphas_cumprod[timestep - 1]
beta = (before - now) / before
return (torch.sqrt(before) * beta * images + torch.sqrt(now / before) * (1 - before) * noisy) / (1 - now)
"""),
        _mean("""
padded = F.pad(alphas_cumprod, (1, 0), value=1.0)
before, now = padded[timestep], padded[timestep + 1]
variance, kept = 1 - now / before, (now / before) ** 0.5
weight = kept * (1 - before) / (1 - now)
return weight * noisy + (before.sqrt() - weight * now.sqrt()) * images
"""),
        _mean("""
now = alphas_cumprod[timestep].item()
before = alphas_cumprod[timestep - 1].item() if timestep else 1.0
alpha = now / before
return math.sqrt(before) * (1 - alpha) / (1 - now) * images + math.sqrt(alpha) * (1 - before) / (1 - now) * noisy
"""),
        _mean(NAMES + """
noise = (noisy - now.sqrt() * images) / (1 - now).sqrt()
return (noisy - beta / (1 - now).sqrt() * noise) / alpha.sqrt()
"""),
        _mean(NAMES + """
variance = beta * (1 - before) / (1 - now)
noise = (noisy - now.sqrt() * images) / (1 - now).sqrt()
return before.sqrt() * images + (1 - before - variance).clamp(min=0).sqrt() * noise
"""),
        _mean("""
now = alphas_cumprod[timestep]
before = alphas_cumprod[timestep - 1] if timestep > 0 else 1
alpha = now / before
return before**0.5 * (1 - alpha) / (1 - now) * images + alpha**0.5 * (1 - before) / (1 - now) * noisy
"""),
        _mean("""
if timestep == 0:
    return images
now, before = alphas_cumprod[timestep], alphas_cumprod[timestep - 1]
alpha = now / before
one, two = 1 / (1 - before), alpha / (1 - alpha)
return (one * before.sqrt() * images + two * noisy / alpha.sqrt()) / (one + two)
"""),
    ],
    "ancestral_step": [
        _step("""
now = alphas_cumprod[timestep]
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod)
if timestep == 0:
    return mean
return mean + (1 - now / alphas_cumprod[timestep - 1]).sqrt() * fresh_noise
"""),
        _step(NAMES + """
mean = (noisy - beta / (1 - now).sqrt() * predicted_noise) / alpha.sqrt()
return mean + beta.sqrt() * fresh_noise * (timestep > 0)
"""),
        _step(NAMES + """
images = noisy / now.sqrt() - (1 / now - 1).sqrt() * predicted_noise
mean = before.sqrt() * beta / (1 - now) * images + alpha.sqrt() * (1 - before) / (1 - now) * noisy
return mean + beta.sqrt() * (fresh_noise if timestep > 0 else torch.zeros_like(noisy))
"""),
        _step("""
now = alphas_cumprod[timestep].double()
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
if timestep == 0:
    return images.to(noisy.dtype)
before = alphas_cumprod[timestep - 1].double()
mean = posterior_mean(images, noisy, timestep, alphas_cumprod.double())
return (mean + ((before - now) / before).sqrt() * fresh_noise).to(noisy.dtype)
"""),
    ],
}  # fmt: skip
