"""What chapter 04 trains: in pictures of 32x32 a diffusion model that draws scenes to order, and one that draws faces; and how they are measured.

Those of latent diffusion stand in `latent_recipes`.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from course_utils import runtime
from course_utils.autoencoders.recipes import (
    class_scores,
    generator_quality,
    labels_of_training,
    scene_quality,
    single_objects,
)
from course_utils.data import Scenes, loader
from course_utils.data.scenes import NUM_CLASSES
from course_utils.diffusion.ddpm import DiffusionConfig, GaussianDiffusion, discretized_log_likelihood
from course_utils.diffusion.guidance import classifier_free, drop_labels
from course_utils.diffusion.latent_recipes import LATENT_RECIPES
from course_utils.diffusion.samplers import DDIM, sample_many
from course_utils.diffusion.schedules import inference_timesteps
from course_utils.diffusion.unet import UNet, UNetConfig
from course_utils.gans.recipes import KEPT, KeptFaces, copies, face_quality, faces
from course_utils.layers import draw_normal
from course_utils.training import Player, Recipe, Target

DIFFUSION = DiffusionConfig(prediction_type="v_prediction", clip_sample=True)
"""The process of both checkpoints. It answers with the velocity; `ddpm-parameterisations` compares that with the other answers."""

UNET = UNetConfig(widths=(48, 96, 96), num_blocks=1, attention_levels=(2,), unshuffle=2, num_groups=16)
"""The network of both, but for the classes: small enough for 7,000 steps of 32 pictures in three quarters of an hour on one core."""

STEPS = 25  # of the sampler, in all measures
GUIDANCE = 2.0  # with which scenes are drawn to order
DROPPED = 0.1  # share of the labels that are hidden while training, so that there is something to guide away from
GALLERY = 5000  # training scenes that drawn ones are compared with
BOUND_SHARE = 64  # one in so many held-out pictures has its bits counted: that asks the network a thousand times


def process(config: DiffusionConfig = DIFFUSION) -> GaussianDiffusion:
    """The forward process, its loss and bound, on the best device."""
    return GaussianDiffusion(config).to(runtime.device())


def diffusion_player(
    network: UNet, config: DiffusionConfig = DIFFUSION, learning_rate: float = 1e-3, ema_decay: float = 0.998
) -> Player:
    """A network that learns to denoise; batches hold `image` and, where it takes classes, `label`."""
    made, num_classes = process(config), network.config.num_classes

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        images = batch["image"]
        made.to(images.device)  # of several GPUs, the one of this process
        timesteps = torch.randint(0, made.config.num_train_timesteps, (len(images),), device=images.device)
        labels = ()
        if num_classes:
            uniform = torch.rand(len(images), device=images.device)
            labels = (drop_labels(batch["label"], uniform, DROPPED, num_classes),)
        return made.loss(network, images, torch.randn_like(images), timesteps, *labels), {}

    return Player("denoiser", network, objective, learning_rate=learning_rate, betas=(0.9, 0.99), ema_decay=ema_decay)


@torch.inference_mode()
def drawn(
    network: UNet,
    count: int,
    generator: torch.Generator,
    labels: Tensor | None = None,
    guidance_scale: float = 1.0,
    config: DiffusionConfig = DIFFUSION,
    num_inference_steps: int = STEPS,
) -> Tensor:
    """Pictures (count, channels, height, width) in [-1, 1] on the CPU, by DDIM.

    Args:
        labels: (count,) int64, for a network that takes classes; None for pictures of any class.
        guidance_scale: 1 asks the network as it is, above 1 exaggerates the class (which asks it twice).
    """
    device, made = next(network.parameters()).device, process(config)
    path = made.path(inference_timesteps(made.config.num_train_timesteps, num_inference_steps))
    size = network.config.image_size
    noise = draw_normal((count, network.config.in_channels, size, size), generator, device)
    asked = network if guidance_scale == 1 else classifier_free(network, network.config.num_classes, guidance_scale)
    return sample_many(asked, made, DDIM(), noise, path, *(() if labels is None else (labels,))).clamp(-1, 1)


def as_stored(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] rounded to the 256 levels of a file, of the same shape: what a probability can be given to."""
    return ((images + 1) * 127.5).round() / 127.5 - 1


def bits(network: UNet, images: Tensor, labels: Tensor | None = None, config: DiffusionConfig = DIFFUSION) -> float:
    """The variational bound in bits per dimension of pictures (batch, channels, height, width), a mean over them."""
    device = next(network.parameters()).device
    known = () if labels is None else (labels.to(device),)
    bound = process(config).bits_per_dimension(
        network, as_stored(images).to(device), *known, generator=runtime.generator(3)
    )
    return bound.total.mean().item()


def constant_bits(train: Tensor, images: Tensor) -> float:
    """Bits per dimension of a model that knows the mean picture of `train`, and one standard deviation for all pixels around it.

    Args:
        train, images: (batch, channels, height, width) in [-1, 1].
    """
    mean = train.mean(0)
    std = (train - mean).square().mean().sqrt()
    return -discretized_log_likelihood(as_stored(images), mean, std).mean().item() / math.log(2)


def _few(samples: int) -> slice:
    return slice(math.ceil(samples / BOUND_SHARE))


def right_class(images: Tensor, labels: Tensor) -> float:
    """Share of pictures (batch, 3, 32, 32) in which the scene judge reads one object, of the wanted class (batch,)."""
    return class_scores(images, labels)[1].double().mean().item()


@torch.inference_mode()
def _scenes_metrics(network: UNet, samples: int) -> dict[str, float]:
    batch = single_objects("test", samples, 32)
    images, labels = batch["image"], batch["label"]
    plain = drawn(network, samples, runtime.generator(1), labels)
    guided = drawn(network, samples, runtime.generator(1), labels, GUIDANCE)
    few = _few(samples)
    return {
        "class_accuracy": right_class(guided, labels),
        "unguided_class_accuracy": right_class(plain, labels),
        "bits_per_dimension": bits(network, images[few], labels[few]),
        **generator_quality(plain, images, single_objects("train", GALLERY, 32)["image"]),
        "guided_judge_frechet": scene_quality(guided, images)["judge_frechet"],
    }


def _scenes_chance(samples: int) -> dict[str, float]:
    """Pictures of an untrained network; real scenes that take no notice of the class asked for; and the mean picture."""
    batch, train = single_objects("test", samples, 32), single_objects("train", GALLERY, 32)["image"]
    images, labels = batch["image"], batch["label"]
    untrained = drawn(_untrained(DDPM_SCENES), samples, runtime.generator(1), labels, num_inference_steps=2)
    right = right_class(images.roll(1, 0), labels)
    quality = generator_quality(untrained, images, train)
    return quality | {
        "class_accuracy": right,
        "unguided_class_accuracy": right,
        "bits_per_dimension": constant_bits(train, images[_few(samples)]),
        "guided_judge_frechet": quality["judge_frechet"],
    }


def _scenes_ceiling(samples: int) -> dict[str, float]:
    """Other real scenes, with their own classes. Their distance is the floor: two halves of real data differ so much."""
    batch, others = single_objects("test", samples, 32), single_objects("validation", samples, 32)
    quality = generator_quality(others["image"], batch["image"], single_objects("train", GALLERY, 32)["image"])
    right = right_class(others["image"], others["label"])
    return quality | {
        "class_accuracy": right,
        "unguided_class_accuracy": right,
        "guided_judge_frechet": quality["judge_frechet"],
    }


def _untrained(recipe: Recipe) -> UNet:
    """It answers with zeros, so that all of the noise stays, clipped to black and white."""
    torch.manual_seed(recipe.seed)
    return recipe.model().to(runtime.device()).eval()


@torch.inference_mode()
def _faces_metrics(network: UNet, samples: int) -> dict[str, float]:
    images = faces("test", samples)["image"]
    new = drawn(network, samples, runtime.generator(1))
    return {
        **face_quality(new, images),
        **copies(new, images),
        "bits_per_dimension": bits(network, images[_few(samples)]),
    }


def _faces_chance(samples: int) -> dict[str, float]:
    """Pictures of an untrained network, and the mean picture."""
    images = faces("test", samples)["image"]
    untrained = drawn(_untrained(DDPM_FACES), samples, runtime.generator(1), num_inference_steps=2)
    constant = constant_bits(faces("train", GALLERY)["image"], images[_few(samples)])
    return face_quality(untrained, images) | {"bits_per_dimension": constant}


def _faces_ceiling(samples: int) -> dict[str, float]:
    """Other real faces in place of drawn ones. Their distance is the floor: two halves of real data differ so much."""
    images, others = faces("test", samples)["image"], faces("validation", samples)["image"]
    return face_quality(others, images) | copies(others, images)


def _scenes_sample(network: UNet, count: int, generator: torch.Generator) -> Tensor:
    return drawn(network, count, generator, labels_of_training(count), GUIDANCE)


def _ddpm(**settings) -> Recipe:
    """What both recipes share."""
    return Recipe(
        chapter="04_diffusion",
        notebook="04_diffusion/01_ddpm",
        system="DDPM",
        paper="Ho, Jain & Abbeel, NeurIPS 2020; cosine schedule as Nichol & Dhariwal, ICML 2021; velocity as Salimans & Ho, ICLR 2022",
        players=diffusion_player,
        quick_samples=128,
        **settings,
    )


DDPM_SCENES = _ddpm(
    name="ddpm-scenes",
    data="scenes of one object",
    model=lambda: UNet(replace(UNET, num_classes=NUM_CLASSES)),
    loader=lambda: loader(Scenes("train", fields=("image", "label"), objects=1), 32),
    steps={"smoke": 3, "cpu": 7_000, "gpu": 100_000},
    metrics=_scenes_metrics,
    targets={"class_accuracy": Target(at_least=0.99), "guided_judge_frechet": Target(at_most=20.0)},
    samples=2000,
    chance=_scenes_chance,
    ceiling=_scenes_ceiling,
    sample=_scenes_sample,
    minutes=60,
    about="Scenes of one object to order: the class is shape and colour. The network answers with the velocity; drawn by DDIM in 25 steps, "
    "`class_accuracy` and `guided_judge_frechet` with guidance 2; three times the floor, the aim for the distance, is not reached without. One in 64 "
    "of the samples has its bits counted.",
)

DDPM_FACES = _ddpm(
    name="ddpm-faces",
    data="faces",
    model=lambda: UNet(UNET),
    loader=lambda: loader(KeptFaces(KEPT), 32),
    steps={"smoke": 3, "cpu": 5_000, "gpu": 100_000},
    metrics=_faces_metrics,
    targets={"judge_frechet": Target(at_most=160.0), "coverage": Target(at_least=0.675)},
    samples=5000,
    chance=_faces_chance,
    ceiling=_faces_ceiling,
    sample=drawn,
    minutes=45,
    about="Faces from noise, beside `vae-faces` and `dcgan-faces`. It reaches more of the real faces than the GAN (coverage 0.71 against 0.67), and "
    "lies further from them (151 against 92): half an hour of one core leaves them soft. The network answers with the velocity; drawn by DDIM in "
    "25 steps. One in 64 of the samples has its bits counted.",
)

RECIPES: tuple[Recipe, ...] = (DDPM_SCENES, DDPM_FACES, *LATENT_RECIPES)
"""`course train ddpm-scenes`, and so on."""
