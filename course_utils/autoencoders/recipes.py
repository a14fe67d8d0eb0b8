"""What chapter 01 trains: an autoencoder, VAEs for glyphs, scenes and digits, VQ-VAEs, and priors over their codes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime
from course_utils.autoencoders.autoencoder import Autoencoder, AutoencoderConfig, pca
from course_utils.autoencoders.pixelcnn import PixelCNN, PixelCNNConfig, bits_per_dimension
from course_utils.autoencoders.vae import (
    VAE,
    VAEConfig,
    active_units,
    bernoulli_log_likelihood,
    gaussian_log_likelihood,
)
from course_utils.autoencoders.vqvae import (
    VQVAE,
    VQVAEConfig,
    gumbel_noise,
    gumbel_temperature,
    perplexity,
    used_codes,
)
from course_utils.autoencoders.vqvae2 import (
    VQVAE2,
    Grids,
    HierarchicalPrior,
    HierarchicalPriorConfig,
    VQVAE2Config,
    accepted,
)
from course_utils.data import Digits, Glyphs, Scenes, loader
from course_utils.data.scenes import ALLOWED, COLORS, NUM_CLASSES, SHAPES
from course_utils.layers import draw_integers, draw_normal
from course_utils.metrics import density_coverage, frechet_distance, memorisation, psnr
from course_utils.metrics.recipes import GLYPH_JUDGE, SCENE_JUDGE, readable_share
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


def vqvae_player(model: VQVAE | VQVAE2, first_images: Tensor | None = None, learning_rate: float = 3e-3) -> Player:
    """A VQ-VAE whose codebooks move after each step; with `first_images` (batch, channels, height, width) they begin with their codes."""
    if first_images is not None:
        model.start(first_images.to(next(model.parameters()).device))
    passed = []

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        terms = model.terms(batch["image"])
        passed.append((terms.features, terms.indices))
        grids = terms.indices if isinstance(terms.indices, tuple) else (terms.indices,)
        used = [perplexity(grid, model.config.num_codes) for grid in grids]
        logs = {"squared_error": terms.squared_error, "commitment": terms.quantizer_loss, "perplexity": used[-1]}
        return terms.loss, logs

    def after_step(_: dict) -> None:
        for features, indices in passed:  # several, if gradients are accumulated
            model.update(features, indices)
        passed.clear()

    return Player("vqvae", model, objective, learning_rate=learning_rate, after_step=after_step)


def relaxed_player(model: VQVAE, steps: int, learning_rate: float = 3e-3) -> Player:
    """A VQ-VAE with relaxed codes, whose temperature falls over `steps` steps (`gumbel_temperature`)."""

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images = batch["image"]
        side = model.config.image_size // 2 ** len(model.config.widths)
        uniform = torch.rand(len(images), model.config.num_codes, side, side, device=images.device)
        temperature = gumbel_temperature(int(model.quantizer.updates), steps)
        terms = model.terms(images, gumbel_noise(uniform), temperature)
        used = perplexity(terms.indices, model.config.num_codes)
        return terms.loss, {"squared_error": terms.squared_error, "perplexity": used, "temperature": temperature}

    def after_step(_: dict) -> None:
        model.quantizer.updates += 1

    return Player("relaxed", model, objective, learning_rate=learning_rate, after_step=after_step)


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
        "readable": readable_share(judge, drawn),
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
        "readable": readable_share(judge, drawn),
        "judge_frechet": frechet_distance(judge.features(drawn), judge.features(images)),
    }


@torch.inference_mode()
def _vae_scenes_metrics(model: VAE, samples: int) -> dict[str, float]:
    images = scenes("test", samples)["image"]
    device = model.posterior.weight.device
    rebuilt = model.decode(model.encode(images.to(device))[0]).cpu()
    drawn = model.sample(samples, runtime.generator(1)).cpu()
    copies = memorisation(drawn, scenes("train", GALLERY)["image"], images)
    return {
        **bounds(model, images),
        "psnr_db": psnr(rebuilt, images).mean().item(),
        **scene_quality(drawn, images),
        "distance_to_training_ratio": copies.ratio,
    }


def _vae_scenes_chance(samples: int) -> dict[str, float]:
    """The mean picture with one variance, and the pictures of an untrained decoder."""
    images, train = scenes("test", samples)["image"], scenes("train", GALLERY)["image"]
    drawn = _untrained(VAE_SCENES).sample(samples, runtime.generator(1))
    constant = constant_color(train, images)
    mean_psnr = psnr(train.mean(0).expand_as(images), images).mean().item()
    return {"elbo_nats": constant, "iw_bound_nats": constant, "psnr_db": mean_psnr} | scene_quality(drawn, images)


def _vae_scenes_ceiling(samples: int) -> dict[str, float]:
    """Other real scenes in place of drawn ones."""
    images, others = scenes("test", samples)["image"], scenes("validation", samples)["image"]
    copies = memorisation(others, scenes("train", GALLERY)["image"], images)
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


# --- discrete latents ------------------------------------------------------------------------------------------------

CHUNK = 250  # pictures that a network sees at once where it is measured
ENCODED = 30_000  # scenes of one object whose tokens are computed before the prior over them is trained
GALLERY = 5000  # training pictures that drawn ones are compared with; fewer of the larger ones


def single_objects(split: str, samples: int, size: int = 64) -> dict[str, Tensor]:
    """The first scenes of one object: `image` (samples, 3, size, size), `label` (samples,) and their records."""
    data = Scenes(split, size, length=samples, fields=("image", "label", "record"), objects=1)
    return data.__getitems__(range(samples))


@torch.inference_mode()
def encoded(model: VQVAE | VQVAE2, images: Tensor) -> tuple[Tensor, ...]:
    """The token grids of pictures (batch, channels, height, width), on the CPU: one for a VQ-VAE, top and bottom for a VQ-VAE-2."""
    device = next(model.parameters()).device
    parts = [model.indices(part.to(device)) for part in images.split(CHUNK)]
    parts = [part if isinstance(part, tuple) else (part,) for part in parts]
    return tuple(torch.cat(grids).cpu() for grids in zip(*parts, strict=True))


@torch.inference_mode()
def decoded(model: VQVAE | VQVAE2, *grids: Tensor) -> Tensor:
    """Pictures (batch, channels, height, width) in [-1, 1] on the CPU from token grids, as `encoded` gives them."""
    device = next(model.parameters()).device
    chunks = zip(*(grid.to(device).split(CHUNK) for grid in grids), strict=True)
    if isinstance(model, VQVAE2):
        return torch.cat([model.decode_indices(Grids(*parts)) for parts in chunks]).cpu()
    return torch.cat([model.decode_indices(*parts) for parts in chunks]).cpu()


def independent(grids: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """New grids (count, h, w) whose every place takes the code that a random one of `grids` (n, h, w) has there.

    So codes are as frequent as they should be at each place, and know nothing of one another: what one draws without a prior.
    """
    return grids.gather(0, draw_integers(0, len(grids), (count, *grids.shape[1:]), generator))


def _sample_codes(model: VQVAE | VQVAE2, images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return decoded(model, *(independent(grid, count, generator) for grid in encoded(model, images)))


def _reconstruction_quality(model: VQVAE | VQVAE2, images: Tensor) -> dict[str, float]:
    """What `vqvae-scenes` and `vqvae2-scenes` are measured by: fidelity of reconstructions, and use of the codebooks."""
    grids = encoded(model, images)
    rebuilt = decoded(model, *grids)
    names = ("",) if len(grids) == 1 else ("top_", "bottom_")
    use = {}
    for name, grid in zip(names, grids, strict=True):
        use[f"{name}used_codes"] = used_codes(grid, model.config.num_codes)
        use[f"{name}perplexity"] = perplexity(grid, model.config.num_codes).item()
    return {"psnr_db": psnr(rebuilt, images).mean().item(), **use, **scene_quality(rebuilt, images)}


def _mean_picture(train: Tensor, images: Tensor) -> dict[str, float]:
    """The best picture without a code, the mean of the training pictures."""
    mean = train.mean(0).expand_as(images)
    return {"psnr_db": psnr(mean, images).mean().item(), **scene_quality(mean, images)}


def _vqvae_player_on_scenes(model: VQVAE) -> Player:
    return vqvae_player(model, scenes("train", 64)["image"])


def _vqvae2_player_on_scenes(model: VQVAE2) -> Player:
    return vqvae_player(model, single_objects("train", 64, model.config.image_size)["image"])


def prior_player(
    prior: PixelCNN | HierarchicalPrior, autoencoder: VQVAE | VQVAE2, learning_rate: float = 2e-3
) -> Player:
    """A prior without labels that learns the codes which a trained autoencoder gives to the pictures of each batch."""

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        with torch.no_grad():
            grids = autoencoder.indices(batch["image"])
        return prior.loss(*(grids if isinstance(grids, tuple) else (grids,))), {}

    return Player("prior", prior, objective, learning_rate=learning_rate, ema_decay=0.998)


class EncodedScenes(Dataset):
    """Scenes of one object as the tokens of `vqvae2-scenes`: `top` (batch, 8, 8), `bottom` (batch, 16, 16) and `label` (batch,), int64.

    All are encoded at the start, once: the prior meets each scene many times.
    """

    def __init__(self, length: int):
        autoencoder, data = (
            load(VQVAE2_SCENES),
            Scenes("train", 64, length=length, fields=("image", "label"), objects=1),
        )
        parts = [data[range(start, min(start + 1000, length))] for start in range(0, length, 1000)]
        grids = [encoded(autoencoder, part["image"]) for part in parts]
        self.top, self.bottom = (torch.cat(grid).short() for grid in zip(*grids, strict=True))
        self.label = torch.cat([part["label"] for part in parts])

    def __len__(self) -> int:
        return len(self.label)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {"top": self.top[chosen].long(), "bottom": self.bottom[chosen].long(), "label": self.label[chosen]}


def _hierarchical_player(prior: HierarchicalPrior) -> Player:
    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        nats = prior.log_likelihoods(batch["top"], batch["bottom"], batch["label"])
        logs = {"top_nats": -nats.top.mean(), "bottom_nats": -nats.bottom.mean()}
        return prior.loss_of(nats), logs

    return Player("prior", prior, objective, learning_rate=3e-3, ema_decay=0.998)


def generator_quality(drawn: Tensor, images: Tensor, train: Tensor) -> dict[str, float]:
    """How drawn scenes stand beside held-out ones, and beside the training pictures that they might be copies of."""
    judge = load(SCENE_JUDGE)
    features, real = judge.features(drawn).cpu(), judge.features(images).cpu()
    return {
        "readable": readable_share(judge, drawn),
        "judge_frechet": frechet_distance(features, real),
        "coverage": density_coverage(real, features).coverage,
        "distance_to_training_ratio": memorisation(drawn, train, images).ratio,
    }


@torch.inference_mode()
def _pixelcnn_metrics(prior: PixelCNN, samples: int) -> dict[str, float]:
    autoencoder, device = load(VQVAE_SCENES), next(prior.parameters()).device
    images = scenes("test", samples)["image"]
    (codes,) = encoded(autoencoder, images)
    nats = torch.cat([prior.log_likelihood(part.to(device)) for part in codes.split(CHUNK)]).mean()
    drawn = decoded(autoencoder, prior.sample(samples, runtime.generator(1)))
    return {
        "bits_per_code": bits_per_dimension(nats, codes[0].numel()).item(),
        **generator_quality(drawn, images, scenes("train", GALLERY)["image"]),
    }


def _pixelcnn_chance(samples: int) -> dict[str, float]:
    """Codes drawn for each place on its own, by their frequency there: what the decoder does without a prior."""
    autoencoder = load(VQVAE_SCENES)
    train = scenes("train", GALLERY)["image"]
    (codes,) = encoded(autoencoder, train)
    (held_out,) = encoded(autoencoder, scenes("test", samples)["image"])
    drawn = decoded(autoencoder, independent(codes, samples, runtime.generator(1)))
    return {
        "bits_per_code": independent_bits(codes, held_out, autoencoder.config.num_codes),
        **generator_quality(drawn, scenes("test", samples)["image"], train),
    }


def independent_bits(train: Tensor, held_out: Tensor, num_codes: int) -> float:
    """Bits a code of held-out grids (batch, h, w) under the frequencies of codes at each place in `train`, one count added to each."""
    counts = torch.nn.functional.one_hot(train, num_codes).sum(0) + 1.0  # (h, w, num_codes)
    shares = (counts / counts.sum(-1, keepdim=True)).log2()
    return -shares.expand(len(held_out), *shares.shape).gather(3, held_out[..., None]).mean().item()


def _pixelcnn_ceiling(samples: int) -> dict[str, float]:
    """Other real scenes, sent through the autoencoder: a perfect prior could do no better."""
    autoencoder = load(VQVAE_SCENES)
    others = decoded(autoencoder, *encoded(autoencoder, scenes("validation", samples)["image"]))
    return generator_quality(others, scenes("test", samples)["image"], scenes("train", GALLERY)["image"])


def labels_of_training(count: int) -> Tensor:
    """Classes (count,) that occur in training, one after the other: each shape in each colour but the held-out pairs."""
    pairs = torch.tensor([SHAPES.index(shape) * len(COLORS) + COLORS.index(color) for shape, color in ALLOWED])
    return pairs[torch.arange(count) % len(pairs)]


def class_scores(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How surely the scene judge sees one object of the wanted class, and whether it reads exactly that.

    Args:
        images: (batch, 3, height, width) in [-1, 1], of scenes of one object.
        labels: (batch,) int64, as `SceneRecords.label`.

    Returns:
        the probability of the wanted shape and colour at the place that looks most like it, (batch,), and a bool (batch,): the
        judge reads one object, of that shape and colour.
    """
    judge = load(SCENE_JUDGE)
    device = next(judge.parameters()).device
    shape, color = labels // len(COLORS), labels % len(COLORS)
    scores, right = [], []
    with torch.inference_mode():
        for part, want_shape, want_color in zip(
            *(values.split(CHUNK) for values in (images, shape, color)), strict=True
        ):
            logits = judge(part.to(device))
            which = want_shape.to(device)[:, None, None].expand(-1, 4, 1)
            as_shape = logits.shape.softmax(2).gather(2, which + 1)[..., 0]  # (batch, 4): class 0 is "none"
            which = want_color.to(device)[:, None, None].expand(-1, 4, 1)
            as_color = logits.color.softmax(2).gather(2, which)[..., 0]
            scores.append((as_shape * as_color).amax(1).cpu())
            reading = judge.read(part)
            one = reading.present.sum(1) == 1
            seen = reading.shape.amax(1) * len(COLORS) + reading.color.amax(1)
            right.append((one & (seen == (want_shape * len(COLORS) + want_color).to(device))).cpu())
    return torch.cat(scores), torch.cat(right)


def color_accuracy(images: Tensor, labels: Tensor) -> float:
    """Share of pictures (batch, 3, height, width) of one object in which the scene judge reads the colour of the wanted class (batch,)."""
    return (load(SCENE_JUDGE).read(images).color.amax(1).cpu() == labels % len(COLORS)).double().mean().item()


@torch.inference_mode()
def _vqvae2_prior_metrics(prior: HierarchicalPrior, samples: int) -> dict[str, float]:
    autoencoder, device = load(VQVAE2_SCENES), next(prior.parameters()).device
    batch = single_objects("test", samples)
    images, labels = batch["image"], batch["label"]
    top, bottom = encoded(autoencoder, images)
    chunks = zip(*(values.to(device).split(CHUNK) for values in (top, bottom, labels)), strict=True)
    nats = [prior.log_likelihoods(*part) for part in chunks]
    drawn = decoded(autoencoder, *prior.sample(samples, runtime.generator(1), labels))
    scores, right = class_scores(drawn, labels)
    best = accepted(scores, 0.5)
    judge = load(SCENE_JUDGE)
    kept = frechet_distance(judge.features(drawn[best]), judge.features(images[: len(best)]))
    return {
        "top_bits_per_code": bits_per_dimension(torch.cat([part.top for part in nats]).mean(), top[0].numel()).item(),
        "bottom_bits_per_code": bits_per_dimension(
            torch.cat([part.bottom for part in nats]).mean(), bottom[0].numel()
        ).item(),
        "class_accuracy": right.double().mean().item(),
        "color_accuracy": color_accuracy(drawn, labels),
        "class_accuracy_best_half": right[best].double().mean().item(),
        "judge_frechet_best_half": kept,
        **generator_quality(drawn, images, single_objects("train", GALLERY // 2)["image"]),
    }


def _vqvae2_prior_chance(samples: int) -> dict[str, float]:
    """Codes drawn for each place on its own; and real scenes that take no notice of the class that was asked for."""
    autoencoder = load(VQVAE2_SCENES)
    batch, train = single_objects("test", samples), single_objects("train", GALLERY // 2)
    grids = encoded(autoencoder, train["image"])
    draw = runtime.generator(1)
    drawn = decoded(autoencoder, *(independent(grid, samples, draw) for grid in grids))
    right = class_scores(batch["image"].roll(1, 0), batch["label"])[1].double().mean().item()
    accuracies = dict.fromkeys(("class_accuracy", "class_accuracy_best_half"), right)
    accuracies["color_accuracy"] = color_accuracy(batch["image"].roll(1, 0), batch["label"])
    return accuracies | generator_quality(drawn, batch["image"], train["image"])


def _vqvae2_prior_ceiling(samples: int) -> dict[str, float]:
    """Other real scenes, sent through the autoencoder."""
    autoencoder = load(VQVAE2_SCENES)
    batch, others = single_objects("test", samples), single_objects("validation", samples)
    rebuilt = decoded(autoencoder, *encoded(autoencoder, others["image"]))
    right = class_scores(rebuilt, others["label"])[1].double().mean().item()
    accuracies = dict.fromkeys(("class_accuracy", "class_accuracy_best_half"), right)
    accuracies["color_accuracy"] = color_accuracy(rebuilt, others["label"])
    return accuracies | generator_quality(rebuilt, batch["image"], single_objects("train", GALLERY // 2)["image"])


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

VQVAE_SCENES = Recipe(
    name="vqvae-scenes",
    chapter="01_autoencoders",
    notebook="01_autoencoders/03_vqvae",
    system="VQ-VAE",
    paper="van den Oord, Vinyals & Kavukcuoglu, NIPS 2017",
    data="scenes",
    model=lambda: VQVAE(VQVAEConfig(widths=(32, 64), num_blocks=1, num_codes=512, code_dim=16)),
    players=_vqvae_player_on_scenes,
    loader=lambda: loader(Scenes("train", fields=("image",)), 64),
    steps={"smoke": 3, "cpu": 6_000, "gpu": 60_000},
    metrics=lambda model, samples: _reconstruction_quality(model, scenes("test", samples)["image"]),
    targets={"psnr_db": Target(at_least=32.0), "used_codes": Target(at_least=0.95)},
    samples=2000,
    quick_samples=256,
    chance=lambda samples: _mean_picture(scenes("train", GALLERY)["image"], scenes("test", samples)["image"]),
    ceiling=lambda samples: scene_quality(scenes("validation", samples)["image"], scenes("test", samples)["image"]),
    sample=lambda model, count, generator: _sample_codes(model, scenes("train", 1000)["image"], count, generator),
    minutes=15,
    about="Scenes of one to four objects as 8x8 tokens from a codebook of 512, which is made of running means.",
)

PIXELCNN_SCENES = Recipe(
    name="pixelcnn-scenes",
    chapter="01_autoencoders",
    notebook="01_autoencoders/03_vqvae",
    system="PixelCNN",
    paper="van den Oord et al., NIPS 2016; attention as Chen et al., ICML 2018",
    data="scenes",
    model=lambda: PixelCNN(PixelCNNConfig(num_values=512, hidden=56, num_layers=8, kernel_size=3, attention_every=2)),
    players=lambda model: prior_player(model, load(VQVAE_SCENES)),
    loader=lambda: loader(Scenes("train", fields=("image",)), 64),
    steps={"smoke": 3, "cpu": 3_500, "gpu": 60_000},
    metrics=_pixelcnn_metrics,
    targets={"readable": Target(at_least=0.8), "judge_frechet": Target(at_most=188.0)},
    samples=2000,
    quick_samples=256,
    chance=_pixelcnn_chance,
    ceiling=_pixelcnn_ceiling,
    sample=lambda model, count, generator: decoded(load(VQVAE_SCENES), model.sample(count, generator)),
    minutes=20,
    about="The prior over the tokens of `vqvae-scenes`, which decodes what it draws. Its target distance is half of `vae-scenes`'.",
)

VQVAE2_SCENES = Recipe(
    name="vqvae2-scenes",
    chapter="01_autoencoders",
    notebook="01_autoencoders/03_vqvae",
    system="VQ-VAE-2",
    paper="Razavi, van den Oord & Vinyals, NeurIPS 2019",
    data="scenes of one object, 64x64",
    model=lambda: VQVAE2(VQVAE2Config(image_size=64, widths=(24, 48), num_codes=256, code_dim=16)),
    players=_vqvae2_player_on_scenes,
    loader=lambda: loader(Scenes("train", 64, fields=("image", "label"), objects=1), 32),
    steps={"smoke": 3, "cpu": 1_800, "gpu": 60_000},
    metrics=lambda model, samples: _reconstruction_quality(model, single_objects("test", samples)["image"]),
    targets={
        "psnr_db": Target(at_least=32.0),
        "top_used_codes": Target(at_least=0.95),
        "bottom_used_codes": Target(at_least=0.95),
    },
    samples=1000,
    quick_samples=128,
    chance=lambda samples: _mean_picture(
        single_objects("train", GALLERY // 2)["image"], single_objects("test", samples)["image"]
    ),
    ceiling=lambda samples: scene_quality(
        single_objects("validation", samples)["image"], single_objects("test", samples)["image"]
    ),
    sample=lambda model, count, generator: _sample_codes(
        model, single_objects("train", 500)["image"], count, generator
    ),
    minutes=12,
    about="Scenes of one object as two grids of tokens, 8x8 over 16x16, with a codebook of 256 each.",
)

VQVAE2_PRIOR_SCENES = Recipe(
    name="vqvae2-prior-scenes",
    chapter="01_autoencoders",
    notebook="01_autoencoders/03_vqvae",
    system="VQ-VAE-2 prior",
    paper="Razavi, van den Oord & Vinyals, NeurIPS 2019",
    data="scenes of one object, 64x64",
    model=lambda: HierarchicalPrior(
        HierarchicalPriorConfig(
            num_codes=256,
            top_size=8,
            num_classes=NUM_CLASSES,
            top_hidden=40,
            top_layers=6,
            bottom_hidden=40,
            bottom_layers=5,
        )
    ),
    players=_hierarchical_player,
    loader=lambda: loader(EncodedScenes(ENCODED), 32),
    steps={"smoke": 3, "cpu": 2_400, "gpu": 60_000},
    metrics=_vqvae2_prior_metrics,
    targets={"class_accuracy": Target(at_least=0.25), "judge_frechet": Target(at_most=100.0)},
    samples=1000,
    quick_samples=128,
    chance=_vqvae2_prior_chance,
    ceiling=_vqvae2_prior_ceiling,
    sample=lambda model, count, generator: decoded(
        load(VQVAE2_SCENES), *model.sample(count, generator, labels_of_training(count))
    ),
    minutes=20,
    about="Draws the tokens of `vqvae2-scenes`, top grid first, for a class: the shape and colour of the object. Trained briefly: "
    "colours are learned first, clean outlines last.",
)

RECIPES: tuple[Recipe, ...] = (
    AUTOENCODER_GLYPHS,
    VAE_GLYPHS,
    VAE_SCENES,
    CVAE_DIGITS,
    VQVAE_SCENES,
    PIXELCNN_SCENES,
    VQVAE2_SCENES,
    VQVAE2_PRIOR_SCENES,
)
"""`course train autoencoder-glyphs`, and so on."""
