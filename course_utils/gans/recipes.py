"""What chapter 02 trains on faces: a VAE for comparison, a DCGAN, and a conditional DCGAN; and how they are measured."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime
from course_utils.autoencoders.recipes import vae_player
from course_utils.autoencoders.vae import VAE, VAEConfig
from course_utils.data import Faces, loader
from course_utils.data.faces import ATTRIBUTES
from course_utils.gans.dcgan import DCGAN, DCGANConfig
from course_utils.gans.gan import gan_players
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.metrics import (
    READABLE,
    FaceReading,
    density_coverage,
    frechet_distance,
    memorisation,
    precision_recall,
    sharpness,
)
from course_utils.metrics.recipes import FACE_JUDGE, on_cpu, readable_share
from course_utils.training import Player, Recipe, Target, load

GALLERY = 5000  # training faces that drawn ones are compared with
KEPT = 50_000  # training faces that are rendered once
POOL = 4000  # drawn faces that exemplars for arithmetic are chosen from
TRIALS = 1000  # sums that arithmetic is measured on
EXEMPLARS = 3
NUM_LABELS = len(ATTRIBUTES["hat"]) * len(ATTRIBUTES["glasses"])
LABEL_NAMES = tuple(
    f"{hat if hat != 'none' else 'no hat'}, {glasses if glasses != 'none' else 'no glasses'}"
    for hat in ATTRIBUTES["hat"]
    for glasses in ATTRIBUTES["glasses"]
)
"""What the conditional GAN draws to order, by label: hat and glasses."""


def face_label(faces: dict[str, Tensor] | FaceReading) -> Tensor:
    """The class (batch,) int64 of faces whose `hat` and `glasses` are known: hat * 3 + glasses."""
    hat, glasses = (faces["hat"], faces["glasses"]) if isinstance(faces, dict) else (faces.hat, faces.glasses)
    return hat * len(ATTRIBUTES["glasses"]) + glasses


def faces(split: str, samples: int) -> dict[str, Tensor]:
    """The first faces of a split: `image` (samples, 3, 32, 32) and their records."""
    return Faces(split, length=samples).__getitems__(range(samples))


class KeptFaces(Dataset):
    """Training faces that are rendered once and kept as bytes, as a photo is: a GAN sees each many times.

    Batches hold `image` (batch, 3, 32, 32) in [-1, 1] and `label` (batch,), as `face_label` gives it.
    """

    def __init__(self, length: int):
        batch = faces("train", length)
        self.pixels = ((batch["image"] + 1) * 127.5).round().to(torch.uint8)
        self.labels = face_label(batch)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"image": self.pixels[indices].float() / 127.5 - 1, "label": self.labels[indices]}


def face_quality(drawn: Tensor, images: Tensor) -> dict[str, float]:
    """How drawn faces stand beside held-out ones, both (batch, 3, 32, 32), by the face judge.

    Returns:
        readable: share of drawn faces in which the judge is sure of every attribute;
        judge_frechet: distance of the two sets of features; coverage and recall: how much of the real faces is reached;
        sharpness: as a share of that of real faces.
    """
    judge = load(FACE_JUDGE)
    device = next(judge.parameters()).device
    drawn, images = drawn.to(device), images.to(device)
    features, real = judge.features(drawn), judge.features(images)
    return {
        "readable": readable_share(judge, drawn),
        "judge_frechet": frechet_distance(features, real),
        "coverage": density_coverage(real, features).coverage,
        "recall": precision_recall(real, features).recall,
        "sharpness": (sharpness(drawn).mean() / sharpness(images).mean()).item(),
    }


def copies(drawn: Tensor, images: Tensor) -> dict[str, float]:
    """How far drawn faces are from the training set, by pixels, as a share of how far held-out ones are; and the share of copies."""
    found = memorisation(drawn.cpu(), faces("train", GALLERY)["image"], images)
    return {"distance_to_training_ratio": found.ratio, "copied": found.copied}


@torch.inference_mode()
def arithmetic(
    model: DCGAN,
    exemplars: int,
    seed: int,
    trials: int = TRIALS,
    pool: int = POOL,
    rescale: bool = False,
) -> dict[str, float]:
    """Vector arithmetic as in the paper, measured: having - lacking + onto, each a mean of noises whose faces the judge has read, and surely.

    A trial takes two attributes, A with the values a and a', and B with b and b': exemplars of (a, b) minus exemplars of (a', b) plus
    exemplars of (a', b') shall give a face with (a, b'), as "smiling woman - neutral woman + neutral man" gives a smiling man.

    Args:
        exemplars: noises a mean is taken of, 1 or more.
        rescale: bring the result to the length of the noise that was drawn in training, sqrt(latent_dim).

    Returns:
        right: share of trials in which the judge reads a and b'; moved, kept: in which it reads a, and b'; readable: share of readable results;
        unmoved: right if nothing is added to the exemplars of (a', b'); chance: right for a new face that knows nothing of the trial;
        length: of the results, as a share of that of the noise of training. All are NaN where the pool has no exemplars.
    """
    judge, draw = load(FACE_JUDGE), runtime.generator(seed)
    latents = draw_normal((pool, model.config.latent_dim), draw)
    names = tuple(ATTRIBUTES)
    images = decoded(model, latents)
    logits = [torch.cat(parts).cpu() for parts in zip(*(judge(part) for part in images.split(500)), strict=True)]
    surest = [attribute.softmax(1).max(1) for attribute in logits]
    # (pool, attributes): what is read, -1 where the judge is not sure, for nobody would pick such a face as an example
    table = torch.stack([torch.where(best.values >= READABLE, best.indices, -1) for best in surest], dim=1)
    counts = torch.tensor([len(words) for words in ATTRIBUTES.values()])

    first = draw_integers(0, len(names), (trials,), draw)
    second = (first + draw_integers(1, len(names), (trials,), draw)) % len(names)
    values = [draw_uniform((trials,), draw) for _ in range(4)]
    a, b = ((value * counts[which]).long() for value, which in zip(values[:2], (first, second), strict=True))
    lacking_a, other_b = (  # another value of the same attribute
        (own + 1 + (value * (counts[which] - 1)).long()) % counts[which]
        for own, value, which in zip((a, b), values[2:], (first, second), strict=True)
    )

    def chosen(value_a: Tensor, value_b: Tensor) -> Tensor:
        """Noises (trials, exemplars, latent_dim) of faces with these values."""
        fits = (table[:, first].T == value_a[:, None]) & (table[:, second].T == value_b[:, None])  # (trials, pool)
        order = torch.where(fits, draw_uniform(fits.shape, draw), -1.0)
        best = order.topk(exemplars, dim=1)
        found.logical_and_(best.values[:, -1] >= 0)
        return latents[best.indices]

    found = torch.ones(trials, dtype=torch.bool)  # trials with enough exemplars
    having, lacking, onto = chosen(a, b), chosen(lacking_a, b), chosen(lacking_a, other_b)
    result = having.mean(1) - lacking.mean(1) + onto.mean(1)
    if rescale:
        result = result / result.norm(dim=1, keepdim=True) * model.config.latent_dim**0.5

    def scores(noise: Tensor) -> tuple[Tensor, Tensor, float]:
        images = decoded(model, noise[found])
        reading = on_cpu(judge.read(images))
        values = torch.stack([getattr(reading, name) for name in names], dim=1)
        moved = values.gather(1, first[found, None])[:, 0] == a[found]
        kept = values.gather(1, second[found, None])[:, 0] == other_b[found]
        return moved, kept, readable_share(judge, images)

    moved, kept, readable = scores(result)
    unmoved = scores(onto.mean(1))
    by_chance = scores(draw_normal(result.shape, draw))
    return {
        "right": (moved & kept).double().mean().item(),
        "moved": moved.double().mean().item(),
        "kept": kept.double().mean().item(),
        "readable": readable,
        "unmoved": (unmoved[0] & unmoved[1]).double().mean().item(),
        "chance": (by_chance[0] & by_chance[1]).double().mean().item(),
        "length": (result[found].norm(dim=1).mean() / model.config.latent_dim**0.5).item(),
    }


@torch.inference_mode()
def decoded(model: DCGAN, latents: Tensor) -> Tensor:
    """Pictures (batch, 3, 32, 32) of noises (batch, latent_dim), on the model's device."""
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device)) for part in latents.split(500)])


@torch.inference_mode()
def _vae_metrics(model: VAE, samples: int) -> dict[str, float]:
    images = faces("test", samples)["image"]
    drawn = model.sample(samples, runtime.generator(1)).cpu()
    return face_quality(drawn, images) | copies(drawn, images)


def _dcgan_metrics(model: DCGAN, samples: int) -> dict[str, float]:
    images = faces("test", samples)["image"]
    drawn = model.sample(samples, runtime.generator(1)).cpu()
    sums = arithmetic(model, EXEMPLARS, seed=2, trials=min(TRIALS, samples))
    return face_quality(drawn, images) | copies(drawn, images) | {"arithmetic": sums["right"]}


def _dcgan_chance(samples: int) -> dict[str, float]:
    """Pictures of an untrained generator; and real faces in place of sums, which take no notice of the wanted attributes."""
    known = faces("validation", samples)
    table = torch.stack([known[name] for name in ATTRIBUTES], dim=1)  # (samples, attributes)
    agree = (table == table.roll(1, 0)).double()  # with attributes that another face has
    pairs = agree.sum(1).square() - agree.sum(1)  # ordered pairs of different attributes that both agree
    attributes = table.shape[1]
    right = (pairs / (attributes * (attributes - 1))).mean().item()
    return _untrained_quality(DCGAN_FACES, samples) | {"arithmetic": right}


def _untrained_quality(recipe: Recipe, samples: int) -> dict[str, float]:
    torch.manual_seed(recipe.seed)
    labels = {"labels": torch.arange(samples) % NUM_LABELS} if recipe is CGAN_FACES else {}
    drawn = recipe.model().eval().sample(samples, runtime.generator(1), **labels)
    return face_quality(drawn, faces("test", samples)["image"])


def _face_ceiling(samples: int) -> dict[str, float]:
    """Other real faces in place of drawn ones."""
    images, others = faces("test", samples)["image"], faces("validation", samples)["image"]
    return face_quality(others, images) | copies(others, images)


def _cgan_metrics(model: DCGAN, samples: int) -> dict[str, float]:
    images, labels = faces("test", samples)["image"], torch.arange(samples) % NUM_LABELS
    drawn = model.sample(samples, runtime.generator(1), labels)
    return face_quality(drawn, images) | {"label_accuracy": label_accuracy(drawn, labels)}


def label_accuracy(images: Tensor, labels: Tensor) -> float:
    """Share of faces (batch, 3, 32, 32) in which the judge reads hat and glasses of the wanted class (batch,)."""
    return (face_label(on_cpu(load(FACE_JUDGE).read(images))) == labels).double().mean().item()


def _cgan_chance(samples: int) -> dict[str, float]:
    """Pictures of an untrained generator, and real faces that take no notice of the label."""
    labels = torch.arange(samples) % NUM_LABELS
    right = label_accuracy(faces("test", samples)["image"], labels)
    return _untrained_quality(CGAN_FACES, samples) | {"label_accuracy": right}


def _cgan_ceiling(samples: int) -> dict[str, float]:
    """Other real faces, and their own labels."""
    others = faces("validation", samples)
    quality = face_quality(others["image"], faces("test", samples)["image"])
    return quality | {"label_accuracy": label_accuracy(others["image"], face_label(others))}


def face_players(model: DCGAN) -> list[Player]:
    """R1 in place of the discriminator's batch norm, and no momentum: on faces far better than the paper's settings (`dcgan-rules`)."""
    return gan_players(model, learning_rate=1e-3, betas=(0.0, 0.99), penalty="r1", penalty_weight=0.1, ema_decay=0.998)


def _sample_to_order(model: DCGAN, count: int, generator: torch.Generator) -> Tensor:
    return model.sample(count, generator, torch.arange(count) % NUM_LABELS)


VAE_FACES = Recipe(
    name="vae-faces",
    chapter="02_gans",
    notebook="02_gans/02_dcgan",
    system="VAE",
    paper="Kingma & Welling, ICLR 2014; learned variance as Rybkin et al., ICML 2021",
    data="faces",
    model=lambda: VAE(VAEConfig("convolutional", 3, 32, (24, 48, 64), latent_dim=64, likelihood="gaussian")),
    players=vae_player,
    loader=lambda: loader(KeptFaces(KEPT), 64),
    steps={"smoke": 3, "cpu": 4_000, "gpu": 60_000},
    clip=None,
    metrics=_vae_metrics,
    targets={"judge_frechet": Target(at_most=700.0)},
    samples=5000,
    quick_samples=500,
    chance=lambda samples: _untrained_quality(VAE_FACES, samples),
    ceiling=_face_ceiling,
    sample=lambda model, count, generator: model.sample(count, generator),
    minutes=8,
    about="For comparison with the DCGAN: a code of 64 numbers, Gaussian likelihood with one learned variance.",
)

DCGAN_FACES = Recipe(
    name="dcgan-faces",
    chapter="02_gans",
    notebook="02_gans/02_dcgan",
    system="DCGAN",
    paper="Radford, Metz & Chintala, ICLR 2016; R1 as Mescheder, Geiger & Nowozin, ICML 2018",
    data="faces",
    model=lambda: DCGAN(DCGANConfig(image_size=32, latent_dim=32, width=32, discriminator_norm=False)),
    players=face_players,
    loader=lambda: loader(KeptFaces(KEPT), 64),
    steps={"smoke": 3, "cpu": 8_000, "gpu": 100_000},
    schedule="cosine",
    clip=None,
    metrics=_dcgan_metrics,
    targets={
        "judge_frechet": Target(at_most=150.0),
        "coverage": Target(at_least=0.5),
    },
    samples=5000,
    quick_samples=500,
    chance=_dcgan_chance,
    ceiling=_face_ceiling,
    sample=lambda model, count, generator: model.sample(count, generator),
    minutes=20,
    about="Faces from 32 numbers of noise. `arithmetic`: share of sums of means of three that show both wanted attributes. It falls far short of "
    "0.95 readable faces and 0.8 of right sums, which were hoped for: details of the face are seldom beyond doubt.",
)

CGAN_FACES = Recipe(
    name="cgan-faces",
    chapter="02_gans",
    notebook="02_gans/02_dcgan",
    system="conditional GAN",
    paper="Mirza & Osindero, 2014; networks of Radford, Metz & Chintala, ICLR 2016",
    data="faces",
    model=lambda: DCGAN(
        DCGANConfig(image_size=32, latent_dim=32, width=32, num_classes=NUM_LABELS, discriminator_norm=False)
    ),
    players=face_players,
    loader=lambda: loader(KeptFaces(KEPT), 64),
    steps={"smoke": 3, "cpu": 4_000, "gpu": 100_000},
    schedule="cosine",
    clip=None,
    metrics=_cgan_metrics,
    targets={"label_accuracy": Target(at_least=0.7)},
    samples=5000,
    quick_samples=500,
    chance=_cgan_chance,
    ceiling=_cgan_ceiling,
    sample=_sample_to_order,
    minutes=12,
    about="Faces to order: the label is one of twelve pairs of hat and glasses, and enters both networks. Half as many steps as `dcgan-faces`.",
)

RECIPES: tuple[Recipe, ...] = (VAE_FACES, DCGAN_FACES, CGAN_FACES)
"""`course train dcgan-faces`, and so on."""
