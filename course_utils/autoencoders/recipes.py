"""What chapter 01 trains: an autoencoder, a VAE with a code of two numbers, one for scenes, and a conditional one."""

import torch
from torch import Tensor

from course_utils import runtime
from course_utils.autoencoders.autoencoder import Autoencoder, AutoencoderConfig, pca
from course_utils.autoencoders.vae import (
    VAE,
    VAEConfig,
    active_units,
    bernoulli_log_likelihood,
    gaussian_log_likelihood,
)
from course_utils.data import Digits, Glyphs, Scenes, loader
from course_utils.layers import draw_normal
from course_utils.metrics import READABLE, frechet_distance, memorisation, psnr
from course_utils.metrics.recipes import GLYPH_JUDGE, SCENE_JUDGE
from course_utils.training import Player, Recipe, Target, load

PROBE_PICTURES = 4000  # training pictures that a linear probe, or PCA, learns from
DRAWS = 64  # codes a picture for the importance-weighted bound


def glyphs(split: str, samples: int) -> dict[str, Tensor]:
    """The first characters of a split: `image` (samples, 1, 32, 32), `label` and `merged` (samples,)."""
    return Glyphs(split, length=samples, fields=("image", "label", "merged")).__getitems__(range(samples))


def scenes(split: str, samples: int) -> dict[str, Tensor]:
    """The first scenes of a split: `image` (samples, 3, 32, 32) and their records."""
    return Scenes(split, length=samples).__getitems__(range(samples))


def held_out_digits(samples: int) -> tuple[Tensor, Tensor]:
    """Handwritten digits that no training sees: pictures (samples, 1, 32, 32) and labels; at most 358 there are."""
    parts = [Digits(split) for split in ("test", "validation")]
    images = torch.cat([part.images for part in parts])
    return images[:samples], torch.cat([part.labels for part in parts])[:samples]


def vae_player(model: VAE, learning_rate: float = 2e-3) -> Player:
    """A VAE that is trained by its bound, with the two terms in the history."""

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images = batch["image"]
        noise = torch.randn(len(images), model.config.latent_dim, device=images.device)
        terms = model.elbo(images, noise, batch["label"] if model.config.num_classes else None)
        return terms.loss(model.config.beta), {"log_likelihood": terms.log_likelihood.mean(), "kl": terms.kl.mean()}

    return Player("vae", model, objective, learning_rate=learning_rate)


@torch.inference_mode()
def bounds(model: VAE, images: Tensor, labels: Tensor | None = None) -> dict[str, float]:
    """ELBO with its two terms, and the importance-weighted bound with 64 codes, in nats a picture; and the active units.

    Args:
        images: held-out (batch, channels, height, width). The importance-weighted bound takes the first 128.
        labels: (batch,), for a conditional VAE.
    """
    device = model.posterior.weight.device
    images, labels = images.to(device), None if labels is None else labels.to(device)
    draw = runtime.generator(0)
    terms = model.elbo(images, draw_normal((len(images), model.config.latent_dim), draw, device), labels)
    few, few_labels = images[:128], None if labels is None else labels[:128]
    chunks = [slice(start, start + 32) for start in range(0, len(few), 32)]  # 32 * 64 decoded pictures at a time
    tight = torch.cat(
        [
            model.importance_weighted_bound(
                few[chunk],
                draw_normal((DRAWS, len(few[chunk]), model.config.latent_dim), draw, device),
                None if few_labels is None else few_labels[chunk],
            )
            for chunk in chunks
        ]
    )
    return {
        "elbo_nats": terms.bound.mean().item(),
        "log_likelihood_nats": terms.log_likelihood.mean().item(),
        "kl_nats": terms.kl.mean().item(),
        "iw_bound_nats": tight.mean().item(),
        "tightening_nats": (tight - terms.bound[:128]).mean().item(),
        "active_units": active_units(model.encode(images, labels)[0]).item(),
    }


def linear_probe(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Held-out accuracy of a linear classifier (logistic regression) on features (batch, d), standardised."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=100, tol=1e-3))
    classifier.fit(train.cpu().numpy(), train_labels.numpy())
    return float(classifier.score(test.cpu().numpy(), test_labels.numpy()))


@torch.inference_mode()
def _autoencoder_metrics(model: Autoencoder, samples: int) -> dict[str, float]:
    train, test = glyphs("train", PROBE_PICTURES), glyphs("test", samples)
    device = next(model.parameters()).device
    images, size = test["image"], model.config.latent_dim
    codes = {name: model.encode(batch["image"].to(device)) for name, batch in (("train", train), ("test", test))}
    rebuilt = model.decode(codes["test"]).cpu()

    mean, components = pca(train["image"].flatten(1), size)
    principal = {"train": (train["image"].flatten(1) - mean) @ components.T}
    principal["test"] = (images.flatten(1) - mean) @ components.T
    linear = (mean + principal["test"] @ components).view_as(images)  # (batch, 1024) -> (batch, 1, 32, 32)
    return {
        "squared_error": (rebuilt - images).square().flatten(1).sum(1).mean().item(),
        "pca_squared_error": (linear - images).square().flatten(1).sum(1).mean().item(),
        "psnr_db": psnr(rebuilt, images).mean().item(),
        "pca_psnr_db": psnr(linear, images).mean().item(),
        "probe_accuracy": linear_probe(codes["train"], train["merged"], codes["test"], test["merged"]),
        "pca_probe_accuracy": linear_probe(principal["train"], train["merged"], principal["test"], test["merged"]),
    }


def _autoencoder_chance(samples: int) -> dict[str, float]:
    """What the mean picture, and the most frequent label, reach."""
    mean, test = glyphs("train", PROBE_PICTURES)["image"].mean(0), glyphs("test", samples)
    images, labels = test["image"], test["merged"]
    return {
        "squared_error": (mean - images).square().flatten(1).sum(1).mean().item(),
        "psnr_db": psnr(mean.expand_as(images), images).mean().item(),
        "probe_accuracy": (labels == labels.mode().values).double().mean().item(),
    }


def _autoencoder_ceiling(samples: int) -> dict[str, float]:
    """What a linear probe on all 1,024 pixels reaches, in place of the code."""
    train, test = glyphs("train", PROBE_PICTURES), glyphs("test", samples)
    pixels = train["image"].flatten(1), test["image"].flatten(1)
    return {"probe_accuracy": linear_probe(pixels[0], train["merged"], pixels[1], test["merged"])}


def constant_ink(train: Tensor, images: Tensor) -> float:
    """log-likelihood, in nats a picture, of a model that gives every pixel its mean share of ink in `train`.

    Args:
        train, images: (batch, 1, height, width) in [-1, 1].
    """
    shares = ((train + 1) / 2).mean(0).clamp(1e-3, 1 - 1e-3)
    return bernoulli_log_likelihood(shares.logit().expand_as(images), images).mean().item()


def perfect_ink(images: Tensor) -> float:
    """The log-likelihood of a decoder that knows every pixel's share of ink: what no Bernoulli VAE can exceed."""
    shares = ((images + 1) / 2).clamp(1e-6, 1 - 1e-6)
    return bernoulli_log_likelihood(shares.logit(), images).mean().item()


@torch.inference_mode()
def _vae_glyphs_metrics(model: VAE, samples: int) -> dict[str, float]:
    images = glyphs("test", samples)["image"]
    drawn = model.sample(samples, runtime.generator(1))
    return bounds(model, images) | _glyph_quality(drawn, images)


def _glyph_quality(drawn: Tensor, images: Tensor) -> dict[str, float]:
    """How drawn characters (batch, 1, 32, 32) stand beside held-out ones, by the glyph judge."""
    judge = load(GLYPH_JUDGE)
    device = next(judge.parameters()).device
    drawn, images = drawn.to(device), images.to(device)
    return {
        "readable": (judge.confidence(drawn) >= READABLE).double().mean().item(),
        "judge_frechet": frechet_distance(judge.features(drawn), judge.features(images)),
    }


def _vae_glyphs_chance(samples: int) -> dict[str, float]:
    """A model that gives each pixel its mean share of ink, and the pictures of an untrained decoder."""
    images = glyphs("test", samples)["image"]
    drawn = _untrained(VAE_GLYPHS).sample(samples, runtime.generator(1))
    constant = constant_ink(glyphs("train", PROBE_PICTURES)["image"], images)
    return {"elbo_nats": constant, "iw_bound_nats": constant} | _glyph_quality(drawn, images)


def _vae_glyphs_ceiling(samples: int) -> dict[str, float]:
    """A decoder that knows each picture (of which grey edges still cost), and other real characters."""
    images = glyphs("test", samples)["image"]
    perfect = perfect_ink(images)
    nats = dict.fromkeys(("elbo_nats", "log_likelihood_nats", "iw_bound_nats"), perfect)
    return nats | _glyph_quality(glyphs("validation", samples)["image"], images)


def _untrained(recipe: Recipe) -> VAE:
    torch.manual_seed(recipe.seed)
    return recipe.model().eval()


def constant_color(train: Tensor, images: Tensor) -> float:
    """log density, in nats a picture, of N(mean picture, std^2 I) with mean and std fitted to `train`.

    Args:
        train, images: (batch, channels, height, width) in [-1, 1].
    """
    mean = train.mean(0)
    log_std = (train - mean).square().mean().sqrt().log()
    return gaussian_log_likelihood(mean.expand_as(images), images, log_std).mean().item()


def scene_quality(drawn: Tensor, images: Tensor) -> dict[str, float]:
    """How drawn scenes (batch, 3, 32, 32) stand beside held-out ones, by the scene judge."""
    judge = load(SCENE_JUDGE)
    device = next(judge.parameters()).device
    drawn, images = drawn.to(device), images.to(device)
    return {
        "readable": (judge.confidence(drawn) >= READABLE).double().mean().item(),
        "judge_frechet": frechet_distance(judge.features(drawn), judge.features(images)),
    }


@torch.inference_mode()
def _vae_scenes_metrics(model: VAE, samples: int) -> dict[str, float]:
    images = scenes("test", samples)["image"]
    device = model.posterior.weight.device
    rebuilt = model.decode(model.encode(images.to(device))[0]).cpu()
    drawn = model.sample(samples, runtime.generator(1)).cpu()
    copies = memorisation(drawn, scenes("train", 5000)["image"], images)
    return {
        **bounds(model, images),
        "psnr_db": psnr(rebuilt, images).mean().item(),
        **scene_quality(drawn, images),
        "distance_to_training_ratio": copies.ratio,
    }


def _vae_scenes_chance(samples: int) -> dict[str, float]:
    """The mean picture with one variance, and the pictures of an untrained decoder."""
    images, train = scenes("test", samples)["image"], scenes("train", 5000)["image"]
    drawn = _untrained(VAE_SCENES).sample(samples, runtime.generator(1))
    constant = constant_color(train, images)
    mean_psnr = psnr(train.mean(0).expand_as(images), images).mean().item()
    return {"elbo_nats": constant, "iw_bound_nats": constant, "psnr_db": mean_psnr} | scene_quality(drawn, images)


def _vae_scenes_ceiling(samples: int) -> dict[str, float]:
    """Other real scenes in place of drawn ones."""
    images, others = scenes("test", samples)["image"], scenes("validation", samples)["image"]
    copies = memorisation(others, scenes("train", 5000)["image"], images)
    return scene_quality(others, images) | {"distance_to_training_ratio": copies.ratio}


class DigitReader:
    """Reads handwritten digits: a support vector machine with a Gaussian kernel, fitted to the training split.

    It sees 8 x 8 pixels, the resolution of the originals, and reads nearly all held-out digits correctly.
    """

    def __init__(self):
        from sklearn.svm import SVC

        train = Digits("train")
        self.machine = SVC(C=10.0, gamma="scale").fit(self._pixels(train.images), train.labels.numpy())

    def read(self, images: Tensor) -> Tensor:
        """The digit (batch,) int64 in each picture (batch, 1, 32, 32)."""
        return torch.from_numpy(self.machine.predict(self._pixels(images)))

    @staticmethod
    def _pixels(images: Tensor):
        # (batch, 1, 32, 32) -> (batch, 1, 8, 8) -> (batch, 64)
        return torch.nn.functional.adaptive_avg_pool2d(images.cpu(), 8).flatten(1).numpy()


@torch.inference_mode()
def _cvae_metrics(model: VAE, samples: int) -> dict[str, float]:
    wanted = torch.arange(samples) % 10
    drawn = model.sample(samples, runtime.generator(1), wanted)
    right = (DigitReader().read(drawn) == wanted).double().mean().item()
    return bounds(model, *held_out_digits(samples)) | {"label_accuracy": right}


def _cvae_chance(samples: int) -> dict[str, float]:
    """The mean picture, and real digits that take no notice of the wanted label."""
    images, _ = held_out_digits(samples)
    constant = constant_ink(Digits("train").images, images)
    wanted = torch.arange(len(images)) % 10
    right = (DigitReader().read(images) == wanted).double().mean().item()
    return {"elbo_nats": constant, "iw_bound_nats": constant, "label_accuracy": right}


def _cvae_ceiling(samples: int) -> dict[str, float]:
    """A decoder that knows each picture, and how many real held-out digits the reader reads correctly."""
    images, labels = held_out_digits(samples)
    right = (DigitReader().read(images) == labels).double().mean().item()
    nats = dict.fromkeys(("elbo_nats", "log_likelihood_nats", "iw_bound_nats"), perfect_ink(images))
    return nats | {"label_accuracy": right}


def _sample(model: VAE, count: int, generator: torch.Generator) -> Tensor:
    labels = torch.arange(count) % model.config.num_classes if model.config.num_classes else None
    return model.sample(count, generator, labels)


def _sample_autoencoder(model: Autoencoder, count: int, generator: torch.Generator) -> Tensor:
    """Decoded codes from a normal distribution fitted to the codes of training pictures: there is no prior."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        codes = model.encode(glyphs("train", PROBE_PICTURES)["image"].to(device))
        noise = draw_normal((count, model.config.latent_dim), generator, device)
        return model.decode(codes.mean(0) + noise @ torch.linalg.cholesky(codes.T.cov().cpu()).T.to(device))


AUTOENCODER_GLYPHS = Recipe(
    name="autoencoder-glyphs",
    chapter="01_autoencoders",
    notebook="01_autoencoders/01_autoencoder",
    system="autoencoder",
    paper="Hinton & Salakhutdinov, Science 2006",
    data="glyphs",
    model=lambda: Autoencoder(AutoencoderConfig("fully_connected", 1, 32, (256, 128), latent_dim=16)),
    players=lambda model: Player(
        "autoencoder", model, lambda batch: (model.loss(batch["image"]), {}), learning_rate=2e-3
    ),
    loader=lambda: loader(Glyphs("train", fields=("image", "label")), 128),
    steps={"smoke": 3, "cpu": 12_000, "gpu": 50_000},
    clip=None,
    metrics=_autoencoder_metrics,
    targets={
        "squared_error": Target(at_most=26.0),
        "psnr_db": Target(at_least=22.5),
        "probe_accuracy": Target(at_least=0.84),
    },
    samples=2000,
    quick_samples=256,
    chance=_autoencoder_chance,
    ceiling=_autoencoder_ceiling,
    sample=_sample_autoencoder,
    minutes=4,
    about="Sixteen numbers a character; principal components with as many numbers stand beside it.",
)

VAE_GLYPHS = Recipe(
    name="vae-glyphs",
    chapter="01_autoencoders",
    notebook="01_autoencoders/02_vae",
    system="VAE",
    paper="Kingma & Welling, ICLR 2014",
    data="glyphs",
    model=lambda: VAE(VAEConfig("fully_connected", 1, 32, (256, 192), latent_dim=2, likelihood="bernoulli")),
    players=vae_player,
    loader=lambda: loader(Glyphs("train", fields=("image", "label")), 128),
    steps={"smoke": 3, "cpu": 20_000, "gpu": 100_000},
    clip=None,
    metrics=_vae_glyphs_metrics,
    targets={"elbo_nats": Target(at_least=-140.0), "active_units": Target(at_least=2)},
    samples=2000,
    quick_samples=256,
    chance=_vae_glyphs_chance,
    ceiling=_vae_glyphs_ceiling,
    sample=_sample,
    minutes=6,
    about="Letters and digits on a plane: a code of two numbers, Bernoulli likelihood.",
)

VAE_SCENES = Recipe(
    name="vae-scenes",
    chapter="01_autoencoders",
    notebook="01_autoencoders/02_vae",
    system="VAE",
    paper="Kingma & Welling, ICLR 2014; learned variance as Rybkin et al., ICML 2021",
    data="scenes",
    model=lambda: VAE(VAEConfig("convolutional", 3, 32, (24, 48, 64), latent_dim=64, likelihood="gaussian")),
    players=vae_player,
    loader=lambda: loader(Scenes("train", fields=("image",)), 64),
    steps={"smoke": 3, "cpu": 3_000, "gpu": 60_000},
    clip=None,
    metrics=_vae_scenes_metrics,
    targets={"elbo_nats": Target(at_least=1500.0), "psnr_db": Target(at_least=24.0)},
    samples=2000,
    quick_samples=256,
    chance=_vae_scenes_chance,
    ceiling=_vae_scenes_ceiling,
    sample=_sample,
    minutes=9,
    about="Scenes of one to four objects: a code of 64 numbers, Gaussian likelihood with one learned variance.",
)

CVAE_DIGITS = Recipe(
    name="cvae-digits",
    chapter="01_autoencoders",
    notebook="01_autoencoders/02_vae",
    system="conditional VAE",
    paper="Sohn, Lee & Yan, NeurIPS 2015",
    data="digits",
    model=lambda: VAE(
        VAEConfig("fully_connected", 1, 32, (256, 128), latent_dim=8, likelihood="bernoulli", num_classes=10)
    ),
    players=lambda model: vae_player(model, learning_rate=3e-3),
    loader=lambda: loader(Digits("train"), 128),
    steps={"smoke": 3, "cpu": 5_000, "gpu": 5_000},
    clip=None,
    metrics=_cvae_metrics,
    targets={"elbo_nats": Target(at_least=-318.0), "label_accuracy": Target(at_least=0.95)},
    samples=358,
    quick_samples=100,
    chance=_cvae_chance,
    ceiling=_cvae_ceiling,
    sample=_sample,
    minutes=1,
    about="Real handwritten digits, drawn to order: the label enters encoder and decoder.",
)

RECIPES: tuple[Recipe, ...] = (AUTOENCODER_GLYPHS, VAE_GLYPHS, VAE_SCENES, CVAE_DIGITS)
"""`course train autoencoder-glyphs`, and so on."""
