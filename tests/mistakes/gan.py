"""The bank of notebook gan: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from course_utils.gans.losses import minimax_discriminator_loss as discriminator_loss, non_saturating_generator_loss
"""

GAME = """
class Game(nn.Module):
    def __init__(self, latent_dim, features, hidden=128, learning_rate=1e-3):
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, features)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1), nn.Flatten(0)
        )
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), learning_rate, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), learning_rate, betas=(0.5, 0.999))

    def play(self, batches):
        return torch.tensor([self.step(batch) for batch in batches])

    def generate(self, latents):
        return self.generator(latents)

    def judge(self, samples):
        return self.discriminator(samples)

    def step(self, batch):
        real, latents = batch
"""


def _step(body: str) -> str:
    """The class of the exercise with `body` as the rest of its `step`."""
    return GAME + "".join(f"        {line}\n" for line in body.strip().splitlines())


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "discriminator_loss": [
        (
            """
def discriminator_loss(real_logits, fake_logits):
    real = F.binary_cross_entropy_with_logits(real_logits, torch.zeros_like(real_logits))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))
    return real + fake
""",
            "Real and generated are swapped",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()
""",
            "This is V itself",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return (real + fake) / 2
""",
            "factor 1/2 too many",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    logits = torch.cat([real_logits, fake_logits])
    targets = torch.cat([torch.ones_like(real_logits), torch.zeros_like(fake_logits)])
    return F.binary_cross_entropy_with_logits(logits, targets)
""",
            "averaged over real and generated samples together",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits), reduction="sum")
    return real + F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits), reduction="sum")
""",
            "You summed over the batch",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    bce = nn.BCEWithLogitsLoss()
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
""",
            "The sigmoid is taken twice",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    bce = nn.BCELoss()
    return bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits))
""",
            "The sigmoid is missing",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -torch.log(torch.sigmoid(real_logits)).mean() - torch.log(1 - torch.sigmoid(fake_logits)).mean()
""",
            "Right on paper, but infinite",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    eps = 1e-8
    return -(torch.sigmoid(real_logits) + eps).log().mean() - (1 - torch.sigmoid(fake_logits) + eps).log().mean()
""",
            "right but where the discriminator is sure",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(fake_logits).mean()
""",
            "near 1 on generated samples too",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() - (1 - F.logsigmoid(fake_logits)).mean()
""",
            "slipped out of the logarithm",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    fake_logits = fake_logits.detach()
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
""",
            "You detach the *logits*",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    with torch.no_grad():
        fake = -F.logsigmoid(-fake_logits).mean()
    return fake - F.logsigmoid(real_logits).mean()
""",
            "You detach the *logits* of the generated samples",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits.detach()).mean() + F.softplus(fake_logits).mean()
""",
            "You detach the logits of the *real* samples",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()).item()
""",
            "You return a Python number",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
""",
            "This is the hinge loss",
        ),
        ("def discriminator_loss(real_logits, fake_logits):\n    raise NotImplementedError()", "not written yet"),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() + F.logsigmoid(fake_logits).mean()
""",
            "the sign *outside* the logarithm",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(1 - fake_logits).mean()
""",
            "1 minus the *logit*",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -torch.log(torch.sigmoid(real_logits).mean()) - torch.log(1 - torch.sigmoid(fake_logits).mean())
""",
            "The mean comes before the logarithm",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits.mean()) - F.logsigmoid(-fake_logits.mean())
""",
            "you average the logits",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -torch.sigmoid(real_logits).mean() - (1 - torch.sigmoid(fake_logits)).mean()
""",
            "The logarithms are missing",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return fake_logits.mean() - real_logits.mean()
""",
            "This is the Wasserstein loss",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return 0.5 * ((real_logits - 1) ** 2).mean() + 0.5 * (fake_logits**2).mean()
""",
            "This is the least-squares loss",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, 0.9)) + F.softplus(fake_logits).mean()
""",
            "You smooth the labels",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() / fake_logits.numel() + F.softplus(fake_logits).sum() / real_logits.numel()
""",
            "divided by the *other* batch's count",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return (F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()) / real_logits.numel()
""",
            "by the number of *real* samples",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return (F.softplus(-real_logits).sum() + F.softplus(fake_logits).sum()) / fake_logits.numel()
""",
            "by the number of *generated* samples",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() + F.softplus(fake_logits).mean()
""",
            "The first term is a sum",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).sum()
""",
            "The second term is a sum",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -(F.logsigmoid(real_logits) + F.logsigmoid(-fake_logits)).mean()
""",
            "pair by pair",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).sum() / len(real_logits) + F.softplus(fake_logits).sum() / len(fake_logits)
""",
            "over the first axis only",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).mean(0) + F.softplus(fake_logits).mean(0)
""",
            "over the first axis only",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).mean(0).sum() + F.softplus(fake_logits).mean(0).sum()
""",
            "over the first axis only",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return (1 + (-real_logits).exp()).log().mean() + (1 + fake_logits.exp()).log().mean()
""",
            "exp of a logit above 88 overflows",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits.clamp(-15, 15)).mean() - F.logsigmoid(-fake_logits.clamp(-15, 15)).mean()
""",
            "right but where the discriminator is sure",
        ),
        (
            """
def discriminator_loss(real_logits, fake_logits):
    return -F.logsigmoid(real_logits.sigmoid()).mean() - F.logsigmoid(1 - fake_logits.sigmoid()).mean()
""",
            "The sigmoid is taken twice",
        ),
    ],
    "saturating_generator_loss": [
        (
            "def saturating_generator_loss(fake_logits):\n    return -F.logsigmoid(-fake_logits).mean()",
            "The sign is turned",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
""",
            "The sign is turned",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))
""",
            "This is the non-saturating loss",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return F.logsigmoid(fake_logits).mean()",
            "You took log D(G(z))",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return (1 - F.logsigmoid(fake_logits)).mean()",
            "slipped out of the logarithm",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return torch.log(1 - fake_logits).mean()",
            "The sigmoid is missing",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return torch.log(1 - fake_logits.sigmoid()).mean()",
            "Right on paper, but infinite",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return torch.log((1 - fake_logits.sigmoid()).clamp(min=1e-7)).mean()",
            "right but where the discriminator is sure",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return F.logsigmoid(-fake_logits).sum()",
            "You summed over the batch",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return -F.softplus(fake_logits)",
            "the mean is still missing",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    return 1 - fake_logits.sigmoid().mean()",
            "The logarithm is missing",
        ),
        (
            "def saturating_generator_loss(fake_logits):\n    with torch.no_grad():\n        return F.logsigmoid(-fake_logits).mean()",
            "cut off from the graph",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return F.logsigmoid(1 - fake_logits).mean()
""",
            "1 minus the *logit*",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return F.logsigmoid(-fake_logits.mean())
""",
            "you average the logits",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return torch.log(1 - fake_logits.sigmoid().mean())
""",
            "The mean comes before the logarithm",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return -fake_logits.sigmoid().mean()
""",
            "this is the mean of -D",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return -fake_logits.mean()
""",
            "the mean of the bare logits",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return 0.5 * ((fake_logits - 1) ** 2).mean()
""",
            "This is the least-squares loss",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return -F.softplus(fake_logits).sum() / len(fake_logits)
""",
            "over the first axis only",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return -F.softplus(fake_logits).mean(0)
""",
            "over the first axis only",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return -torch.log(1 + torch.exp(fake_logits)).mean()
""",
            "exp of a logit above 88 overflows",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return F.logsigmoid(1 - torch.sigmoid(fake_logits)).mean()
""",
            "The sigmoid is taken twice",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return 0.5 * F.logsigmoid(-fake_logits).mean()
""",
            "factor 1/2 too many",
        ),
        (
            """
def saturating_generator_loss(fake_logits):
    return torch.log(torch.sigmoid(-fake_logits.double())).mean().to(fake_logits.dtype)
""",
            "a logarithm meets a 0",
        ),
    ],
    "non_saturating_generator_loss": [
        (
            "def non_saturating_generator_loss(fake_logits):\n    return F.logsigmoid(-fake_logits).mean()",
            "This is the loss of exercise 2",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
""",
            "You took -log(1 - D)",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return F.logsigmoid(fake_logits).mean()",
            "The sign is turned",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return -fake_logits.mean()",
            "the mean of the bare logits",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return -torch.sigmoid(fake_logits).mean()",
            "The logarithm is missing",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return -torch.log(torch.sigmoid(fake_logits)).mean()",
            "Right on paper, but infinite",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return -torch.log(torch.sigmoid(fake_logits) + 1e-8).mean()",
            "right but where the discriminator is sure",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return -torch.log(fake_logits).mean()",
            "The sigmoid is missing",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    d = torch.sigmoid(fake_logits)\n    return -F.logsigmoid(d).mean()",
            "The sigmoid is taken twice",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return F.softplus(-fake_logits).sum()",
            "You summed over the batch",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return F.softplus(-fake_logits)",
            "the mean is still missing",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return F.softplus(-fake_logits.data).mean()",
            "cut off from the graph",
        ),
        (
            "def non_saturating_generator_loss(fake_logits):\n    return -torch.log(torch.sigmoid(fake_logits).mean())",
            "The mean comes before the logarithm",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return -F.logsigmoid(1 - fake_logits).mean()
""",
            "1 minus the *logit*",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return -F.logsigmoid(fake_logits.mean())
""",
            "you average the logits",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return (1 - torch.sigmoid(fake_logits)).mean()
""",
            "this is the mean of 1 - D",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return (1 - F.logsigmoid(fake_logits)).mean()
""",
            "a 1 too many",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return 0.5 * ((fake_logits - 1) ** 2).mean()
""",
            "This is the least-squares loss",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return F.binary_cross_entropy_with_logits(fake_logits, torch.full_like(fake_logits, 0.9))
""",
            "You smooth the labels",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return F.softplus(-fake_logits).sum() / len(fake_logits)
""",
            "over the first axis only",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return F.softplus(-fake_logits).mean(0)
""",
            "over the first axis only",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return torch.log(1 + torch.exp(-fake_logits)).mean()
""",
            "exp of a number above 88 overflows",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return -0.5 * F.logsigmoid(fake_logits).mean()
""",
            "factor 1/2 too many",
        ),
        (
            """
def non_saturating_generator_loss(fake_logits):
    return -torch.log(torch.sigmoid(fake_logits.double())).mean().to(fake_logits.dtype)
""",
            "a logarithm meets a 0",
        ),
    ],
    "optimal_discriminator": [
        ("def optimal_discriminator(log_p, log_q):\n    return torch.sigmoid(log_q - log_p)", "p and q are swapped"),
        (
            "def optimal_discriminator(log_p, log_q):\n    p, q = log_p.exp(), log_q.exp()\n    return p / (p + q)",
            "NaN far from it",
        ),
        (
            "def optimal_discriminator(log_p, log_q):\n    p, q = log_p.exp(), log_q.exp()\n    return p / (p + q + 1e-12)",
            "densities are numbers of a handy size",
        ),
        ("def optimal_discriminator(log_p, log_q):\n    return log_p - log_q", "This is the best *logit*"),
        (
            "def optimal_discriminator(log_p, log_q):\n    return log_p - torch.logaddexp(log_p, log_q)",
            "This is log D",
        ),
        (
            "def optimal_discriminator(log_p, log_q):\n    return log_p / (log_p + log_q)",
            "as if they were the densities",
        ),
        (
            "def optimal_discriminator(log_p, log_q):\n    return torch.sigmoid(log_p + log_q)",
            "You added the logarithms",
        ),
        ("def optimal_discriminator(log_p, log_q):\n    return torch.sigmoid(log_p)", "q does not enter"),
        ("def optimal_discriminator(log_p, log_q):\n    return (log_p - log_q).exp()", "This is the ratio p / q"),
        (
            "def optimal_discriminator(log_p, log_q):\n    return torch.where(log_p > log_q, 1.0, 0.0)",
            "You made a hard decision",
        ),
        (
            "def optimal_discriminator(log_p, log_q):\n    return torch.stack([log_p, log_q], -1).softmax(-1)",
            "only the first is asked for",
        ),
        (
            "def optimal_discriminator(log_p, log_q):\n    return 2 * torch.exp(log_p - torch.logaddexp(log_p, log_q))",
            "by the average of p and q",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return 1 - torch.sigmoid(log_q - log_p)
""",
            "a tiny D is rounded to 0",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return (1 + torch.tanh((log_p - log_q) / 2)) / 2
""",
            "a tiny D is rounded to 0",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.sigmoid(log_p - log_q).clamp(1e-6, 1 - 1e-6)
""",
            "one density is far above the other",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.sigmoid((log_p - log_q).clamp(-10, 10))
""",
            "one density is far above the other",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.sigmoid(log_p.float() - log_q.float())
""",
            "float32 whatever comes in",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return (log_p.double().exp() / (log_p.double().exp() + log_q.double().exp())).to(log_p.dtype)
""",
            "float64 only moves the limit",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.softmax(log_p - log_q, dim=0)
""",
            "You normalise over the *points*",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.stack([log_p, log_q]).softmax(-1)[0]
""",
            "You normalise over the *points*",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.cat([log_p, log_q], -1).softmax(-1)[..., : log_p.shape[-1]]
""",
            "You normalise over the *points*",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.sigmoid(log_p / log_q)
""",
            "You divided the logarithms",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return log_p / log_q
""",
            "You divided the logarithms",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return log_p.exp() / (log_p + log_q).exp()
""",
            "is the *product* p q",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.exp(log_p - (log_p + log_q))
""",
            "is the *product* p q",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.exp(log_p - torch.log(log_p.exp() + log_q.exp()))
""",
            "you go through p and q themselves",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return (log_p - log_q).exp() / (1 + (log_p - log_q).exp())
""",
            "the ratio p / q overflows",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return torch.nan_to_num(log_p.exp() / (log_p.exp() + log_q.exp()), nan=0.5)
""",
            "densities are numbers of a handy size",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    return log_p / torch.logaddexp(log_p, log_q)
""",
            "You divided log p by log(p + q)",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    top = torch.max(log_p.max(), log_q.max())
    p, q = (log_p - top).exp(), (log_q - top).exp()
    return p / (p + q)
""",
            "one largest value for *all* points",
        ),
        (
            """
def optimal_discriminator(log_p, log_q):
    p, q = (log_p - log_p.max()).exp(), (log_q - log_p.max()).exp()
    return p / (p + q)
""",
            "one largest value for *all* points",
        ),
    ],
    "game": [
        (
            _step("""
self.discriminator_optimizer.zero_grad()
self.generator_optimizer.zero_grad()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(self.generator(latents)))
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(self.generator(latents)))
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "leaves a gradient in the *generator*",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "has run through the generator and freed its graph",
        ),
        (
            _step("""
fake = self.generator(latents).detach()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The generator never moves",
        ),
        (
            _step("""
with torch.no_grad():
    fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The generator never moves",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
self.discriminator_optimizer.step()
loss_d.backward()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The discriminator never moves",
        ),
        (
            _step("""
fake = self.generator(latents)
fake_logits = self.discriminator(fake).detach()
loss_d = discriminator_loss(self.discriminator(real), fake_logits)
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "You detach the discriminator's *logits*",
        ),
        (
            _step("""
fake = self.generator(latents)
with torch.no_grad():
    fake_logits = self.discriminator(fake)
loss_d = discriminator_loss(self.discriminator(real), fake_logits)
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "You detach the discriminator's *logits* of the generated samples",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real).detach(), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "You detach the discriminator's *logits* of the real samples",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "No gradients are zeroed",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_d.backward()
self.discriminator_optimizer.step()
self.generator_optimizer.zero_grad()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The discriminator's gradients are not zeroed",
        ),
        (
            _step("""
fake = self.generator(latents)
self.discriminator_optimizer.zero_grad()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The generator's gradients are not zeroed",
        ),
        (
            _step("""
fake = self.generator(latents)
self.discriminator_optimizer.zero_grad()
self.generator_optimizer.zero_grad()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_g = non_saturating_generator_loss(self.discriminator(fake))
(loss_d + loss_g).backward()
self.discriminator_optimizer.step()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "or you add the two losses",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "has moved between a loss and its backward()",
        ),
        (
            _step("""
loss_g = non_saturating_generator_loss(self.discriminator(self.generator(latents)))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
fake = self.generator(latents).detach()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The generator moves first",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(fake.detach()), self.discriminator(real))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "swapped in the discriminator's loss",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = -discriminator_loss(self.discriminator(real), self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "minus that of the discriminator",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
"""),
            "`step` returns nothing",
        ),
        (
            _step("""
for optimizer in (self.discriminator_optimizer, self.generator_optimizer):
    optimizer.param_groups[0]["fused"] = True
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "Both losses are computed before anybody moves",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.generator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.discriminator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "Or the optimizers are swapped",
        ),
        (
            _step("""
for optimizer in (self.discriminator_optimizer, self.generator_optimizer):
    optimizer.param_groups[0]["fused"] = True
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.generator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.discriminator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The optimizers' steps are swapped",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_d.backward()
self.discriminator_optimizer.step()
self.discriminator_optimizer.zero_grad()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
loss_g.backward()
self.generator_optimizer.step()
self.generator_optimizer.zero_grad()
return loss_d.item(), loss_g.item()
"""),
            "zeroed after its step and not before",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.generator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.discriminator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "or the two zero_grad() are swapped",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_d.backward()
self.discriminator_optimizer.zero_grad()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
loss_g.backward()
self.generator_optimizer.zero_grad()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "Neither network moves",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_g = non_saturating_generator_loss(self.discriminator(fake))
return loss_d.item(), loss_g.item()
"""),
            "Neither network moves",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_d.backward()
self.discriminator_optimizer.zero_grad()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The discriminator never moves",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
loss_g.backward()
self.generator_optimizer.zero_grad()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The generator never moves",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
for _ in range(2):
    loss_g = non_saturating_generator_loss(self.discriminator(self.generator(latents)))
    self.generator_optimizer.zero_grad()
    loss_g.backward()
    self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "The generator makes two steps",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
self.discriminator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "a second step after the generator's turn",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = 0.5 * discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "loss is halved",
        ),
        (
            _step("""
fake = self.generator(latents)
with torch.no_grad():
    stale = non_saturating_generator_loss(self.discriminator(fake)).item()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), stale
"""),
            "is stale",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "was computed again after its step",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
loss_g = non_saturating_generator_loss(self.discriminator(fake))
return loss_d.item(), loss_g.item()
"""),
            "computed again after both had moved",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
for weight in self.discriminator.parameters():
    weight.requires_grad = False
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "never woken",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
with torch.no_grad():
    logits = self.discriminator(fake)
loss_g = non_saturating_generator_loss(logits)
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "computed under no_grad",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d, loss_g
"""),
            "You return tensors",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.detach(), loss_g.detach()
"""),
            "You return tensors",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(torch.sigmoid(self.discriminator(real)), torch.sigmoid(self.discriminator(fake.detach())))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(torch.sigmoid(self.discriminator(fake)))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "You take a sigmoid before the losses",
        ),
        (
            _step("""
latents, real = batch
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "Real samples and noise are swapped",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(real))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "about *real* samples",
        ),
        (
            _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
if loss_d.item() > 0.6:
    self.discriminator_optimizer.zero_grad()
    loss_d.backward()
    self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
            "does it skip its turn",
        ),
    ],
    "mode_coverage": [
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances < std
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "within *one* standard deviation",
        ),
        (
            """
def mode_coverage(points, means, std):
    squares, nearest = (points[:, None] - means).square().sum(-1).min(dim=1)
    good = squares < 3 * std
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "the *squared* distance",
        ),
        (
            """
def mode_coverage(points, means, std):
    squares, nearest = (points[:, None] - means).square().sum(-1).min(dim=1)
    good = squares < 3 * std**2
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "the 3 has to be squared as well",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = (points[:, None] - means).abs().sum(-1).min(dim=1)
    good = distances < 3 * std
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "You added up the differences in x and y",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances < 3 * std
    return len(nearest.unique()), good.float().mean().item()
""",
            "only good points count",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances < 3 * std
    nearest[~good] = -1
    return len(set(nearest.tolist())), good.float().mean().item()
""",
            "one mode too many",
        ),
        (
            """
def mode_coverage(points, means, std):
    within = torch.cdist(points, means) < 3 * std
    return within.any(dim=0).sum().item(), within.any(dim=1).float().mean().item()
""",
            "it counts for its *nearest* mode only",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances = torch.cdist(points, means)
    within = distances < 3 * std
    nearest = distances.argmin(dim=1)
    return len(nearest[within.any(dim=1)].unique()), within.float().mean().item()
""",
            "average over all pairs",
        ),
        (
            """
def mode_coverage(points, means, std):
    closest = torch.cdist(means, points).min(dim=1).values
    good = closest < 3 * std
    return int(good.sum()), good.float().mean().item()
""",
            "You went the wrong way",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances < 3 * std
    return len(nearest[good].unique()), good.sum().item() * 1.0
""",
            "the *number* of good points",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances < 3 * std
    return len(nearest[good].unique()), good.float().mean()
""",
            "The share is still a tensor",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances < 3 * std
    return len(nearest[good].unique()) / len(means), good.float().mean().item()
""",
            "You return the *share* of covered modes",
        ),
        (
            """
def mode_coverage(points, means, std):
    nearest = torch.cdist(points, means).argmin(dim=1)
    good = ((points - means[nearest]).abs() <= 3 * std).all(dim=1)
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "that is a square around the mode",
        ),
        (
            """
def mode_coverage(points, means, std):
    nearest = torch.cdist(points, means).argmin(dim=1)
    good = ((points - means[nearest]).abs() <= 3 * std).any(dim=1)
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "a cross around the mode",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "You compare the distance with 3:",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=0)
    good = distances <= 3 * std
    return len(nearest[good].unique()), good.float().mean().item()
""",
            "min(dim=0) of (points, modes)",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(torch.bincount(nearest[good])), good.float().mean().item()
""",
            "The length of bincount",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return sum(int((nearest[good] == mode).any()) for mode in range(8)), good.float().mean().item()
""",
            "the first eight modes only",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return int((torch.bincount(nearest[good], minlength=8)[:8] > 0).sum()), good.float().mean().item()
""",
            "the first eight modes only",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    covered = [good[nearest == mode].float().mean() > 0.5 for mode in range(len(means)) if (nearest == mode).any()]
    return int(sum(covered)), good.float().mean().item()
""",
            "most of a mode's samples",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return sum(int(good[nearest == mode].all()) for mode in range(len(means))), good.float().mean().item()
""",
            "*all* of a mode's samples",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return int((torch.bincount(nearest[good]) > 1).sum()), good.float().mean().item()
""",
            "more than one good sample",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(torch.where(good, nearest, -1).unique()) - 1, good.float().mean().item()
""",
            "You take off 1",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len((nearest * good).unique()), good.float().mean().item()
""",
            "counted for mode 0",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique_consecutive()), good.float().mean().item()
""",
            "unique_consecutive only drops",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return (torch.bincount(nearest[good], minlength=len(means)) > 0).float().sum().item(), good.float().mean().item()
""",
            "a count is an int",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return nearest[good].unique().tolist(), good.float().mean().item()
""",
            "*which* modes are covered",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return torch.tensor(len(nearest[good].unique())), good.float().mean()
""",
            "Both results are still tensors",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return (torch.bincount(nearest[good], minlength=len(means)) > 0).sum(), good.float().mean().item()
""",
            "The number of modes is still a tensor",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    modes = len(nearest[good].unique())
    return modes, modes / len(means)
""",
            "the share of covered *modes*",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique()), good.sum().item() / len(means)
""",
            "by the number of *modes*",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique()), len(nearest[good].unique()) / len(points)
""",
            "the number of covered modes by the number of points",
        ),
        (
            """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique()), good.sum().item()
""",
            "the *number* of good points",
        ),
    ],
}

RIGHT: dict[str, list[str]] = {
    "discriminator_loss": [
        """
def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()
""",
        """
def discriminator_loss(real_logits, fake_logits):
    real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake
""",
        """
def discriminator_loss(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
""",
        """
def discriminator_loss(real_logits, fake_logits):
    zero = torch.zeros(())
    real = torch.logaddexp(zero, -real_logits).sum() / real_logits.numel()
    return real + torch.logaddexp(zero, fake_logits).sum() / fake_logits.numel()
""",
    ],
    "saturating_generator_loss": [
        "def saturating_generator_loss(fake_logits):\n    return F.logsigmoid(-fake_logits).mean()",
        "def saturating_generator_loss(fake_logits):\n    return -F.softplus(fake_logits).mean()",
        """
def saturating_generator_loss(fake_logits):
    return -F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
""",
        "def saturating_generator_loss(fake_logits):\n    return torch.mean(F.logsigmoid(fake_logits) - fake_logits)",
    ],
    "non_saturating_generator_loss": [
        "def non_saturating_generator_loss(fake_logits):\n    return -F.logsigmoid(fake_logits).mean()",
        "def non_saturating_generator_loss(fake_logits):\n    return F.softplus(-fake_logits).mean()",
        """
def non_saturating_generator_loss(fake_logits):
    return nn.BCEWithLogitsLoss()(fake_logits, torch.ones_like(fake_logits))
""",
    ],
    "optimal_discriminator": [
        "def optimal_discriminator(log_p, log_q):\n    return torch.sigmoid(log_p - log_q)",
        "def optimal_discriminator(log_p, log_q):\n    return torch.exp(log_p - torch.logaddexp(log_p, log_q))",
        "def optimal_discriminator(log_p, log_q):\n    return torch.stack([log_p, log_q]).softmax(dim=0)[0]",
        "def optimal_discriminator(log_p, log_q):\n    return 1 / (1 + torch.exp(log_q - log_p))",
    ],
    "game": [
        _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
self.discriminator_optimizer.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
loss_g = non_saturating_generator_loss(self.discriminator(fake))
self.generator_optimizer.zero_grad()
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
        # the samples are made twice
        _step("""
self.discriminator_optimizer.zero_grad()
with torch.no_grad():
    fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake))
loss_d.backward()
self.discriminator_optimizer.step()
self.generator_optimizer.zero_grad()
loss_g = non_saturating_generator_loss(self.discriminator(self.generator(latents)))
loss_g.backward()
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
        # without a detach, but the generator's gradient is zeroed before its own turn
        _step("""
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(self.generator(latents)))
self.zero_grad()
loss_d.backward()
self.discriminator_optimizer.step()
self.zero_grad()
loss_g = non_saturating_generator_loss(self.discriminator(self.generator(latents)))
loss_g.backward()
self.generator_optimizer.step()
return float(loss_d), float(loss_g)
"""),
        # gradients of one player only
        _step("""
fake = self.generator(latents)
loss_d = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
weights = list(self.discriminator.parameters())
for weight, gradient in zip(weights, torch.autograd.grad(loss_d, weights)):
    weight.grad = gradient
self.discriminator_optimizer.step()
loss_g = F.softplus(-self.discriminator(fake)).mean()
weights = list(self.generator.parameters())
for weight, gradient in zip(weights, torch.autograd.grad(loss_g, weights)):
    weight.grad = gradient
self.generator_optimizer.step()
return loss_d.item(), loss_g.item()
"""),
    ],
    "mode_coverage": [
        """
def mode_coverage(points, means, std):
    distances, nearest = torch.cdist(points, means).min(dim=1)
    good = distances <= 3 * std
    return len(nearest[good].unique()), good.float().mean().item()
""",
        """
def mode_coverage(points, means, std):
    squares = ((points[:, None, :] - means[None, :, :]) ** 2).sum(dim=-1)
    nearest = squares.argmin(dim=1)
    good = squares.gather(1, nearest[:, None])[:, 0] < 9 * std**2
    return len(set(nearest[good].tolist())), float(good.double().mean())
""",
        """
def mode_coverage(points, means, std):
    offsets = points[:, None] - means
    distances = torch.hypot(offsets[..., 0], offsets[..., 1])
    good = distances.amin(dim=1) < 3 * std
    counts = torch.bincount(distances.argmin(dim=1)[good], minlength=len(means))
    return int((counts > 0).sum()), good.sum().item() / len(points)
""",
    ],
}
