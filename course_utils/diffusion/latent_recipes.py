"""What notebook 03_latent_diffusion needs trained: an autoencoder of scenes, and a diffusion model of its latents that draws to a layout."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.autoencoders.recipes import generator_quality, scene_quality
from course_utils.data import Scenes, loader
from course_utils.data.scenes import SHAPES, SceneRecords, render
from course_utils.diffusion.ddpm import DiffusionConfig, GaussianDiffusion
from course_utils.diffusion.latent_diffusion import (
    AutoencoderKL,
    AutoencoderKLConfig,
    autoencoder_players,
    concatenate,
)
from course_utils.diffusion.samplers import CHUNK, DDIM, sample_many
from course_utils.diffusion.schedules import inference_timesteps
from course_utils.diffusion.unet import UNet, UNetConfig
from course_utils.layers import draw_normal
from course_utils.metrics import high_frequency_energy, psnr, scene_agreement
from course_utils.metrics.recipes import SCENE_JUDGE, on_cpu
from course_utils.training import Player, Recipe, Target, load
from course_utils.translation.pix2pix import PatchDiscriminator
from course_utils.translation.recipes import other_looks

NOTEBOOK = "04_diffusion/03_latent_diffusion"
NUM_LABELS = len(SHAPES) + 1  # of a label map: the background, and each shape

AUTOENCODER = AutoencoderKLConfig(widths=(24, 48, 48), num_groups=8, kl_weight=0.01)
"""32 x 32 pixels of 3 numbers to 8 x 8 places of 4: a twelfth. The KL weighs more than the paper's 1e-6: near latents shall mean near pictures."""

LATENT_DIFFUSION = DiffusionConfig(prediction_type="v_prediction")
"""The process in the latents. They have no largest value at which a guess could be clipped."""

NETWORK = UNetConfig(
    in_channels=AUTOENCODER.latent_channels + NUM_LABELS, out_channels=AUTOENCODER.latent_channels, image_size=8,
    widths=(64, 96), num_blocks=1, attention_levels=(1,), num_heads=4, num_groups=16,
)  # fmt: skip
"""Latents and label map to velocity, on 8 x 8 places."""

ENCODED = 30_000  # scenes whose latents are computed before a diffusion model learns them
GALLERY = 5000  # training scenes that drawn ones are compared with
STEPS = 25  # of the sampler


def process(config: DiffusionConfig = LATENT_DIFFUSION) -> GaussianDiffusion:
    """The forward process in the latents, on the best device."""
    return GaussianDiffusion(config).to(runtime.device())


# --- the autoencoder --------------------------------------------------------------------------------------------------


def scenes_with_layouts(split: str, samples: int) -> dict:
    """The first scenes of a split.

    Returns:
        `image` (samples, 3, 32, 32) in [-1, 1]; `label_map` (samples, 32, 32) int64; `layout` (samples, 7, 32, 32), as `one_hot_map` makes it;
        `records`, the `SceneRecords`.
    """
    data = Scenes(split, length=samples, fields=("image", "label_map"))
    batch = data[range(samples)]
    return batch | {"layout": one_hot_map(batch["label_map"]), "records": data.records(range(samples))}


def one_hot_map(label_map: Tensor) -> Tensor:
    """A label map (batch, height, width) int64 as one channel a label, 1 where it holds: (batch, 7, height, width)."""
    return F.one_hot(label_map, NUM_LABELS).movedim(-1, 1).float()


@torch.inference_mode()
def encoded(model: AutoencoderKL, images: Tensor) -> Tensor:
    """Scaled latents (batch, latent_channels, h, w) on the CPU of pictures (batch, channels, height, width): the mean of q(z|x)."""
    device = model.scaling_factor.device
    return torch.cat([model.encode(part.to(device)).mean * model.scaling_factor for part in images.split(CHUNK)]).cpu()


@torch.inference_mode()
def decoded(model: AutoencoderKL, latents: Tensor) -> Tensor:
    """Pictures (batch, channels, height, width) in [-1, 1] on the CPU of scaled latents (batch, latent_channels, h, w)."""
    device = model.scaling_factor.device
    parts = [model.decode(part.to(device) / model.scaling_factor) for part in latents.split(CHUNK)]
    return torch.cat(parts).clamp(-1, 1).cpu()


def wholly_right(images: Tensor, records: SceneRecords) -> float:
    """Share of pictures (batch, 3, 32, 32) of which the scene judge reads the whole record."""
    return scene_agreement(on_cpu(load(SCENE_JUDGE).read(images)), records)["wholly_right"].double().mean().item()


def reconstruction_quality(rebuilt: Tensor, batch: dict) -> dict[str, float]:
    """How reconstructions (batch, 3, 32, 32) stand beside their pictures.

    Returns:
        `l1`, mean absolute error of a value in [-1, 1]; `psnr_db`; `fine_detail`, energy in high frequencies as a share of the pictures';
        `wholly_right`, share of which the judge reads the whole record; `readable` and `judge_frechet`.
    """
    images = batch["image"]
    return {
        "l1": F.l1_loss(rebuilt, images).item(),
        "psnr_db": psnr(rebuilt, images).mean().item(),
        "fine_detail": (high_frequency_energy(rebuilt).mean() / high_frequency_energy(images).mean()).item(),
        "wholly_right": wholly_right(rebuilt, batch["records"]),
        **scene_quality(rebuilt, images),
    }


def _autoencoder_players(model: AutoencoderKL) -> list[Player]:
    discriminator = PatchDiscriminator(AUTOENCODER.in_channels, width=32, layers=1, norm="instance")
    return autoencoder_players(
        model, discriminator, adversarial_weight=0.01, adversarial_start=2500, learning_rate=2e-3
    )


@torch.inference_mode()
def _autoencoder_metrics(model: AutoencoderKL, samples: int) -> dict[str, float]:
    batch = scenes_with_layouts("test", samples)
    latents = encoded(model, batch["image"])
    posterior = model.encode(batch["image"][:CHUNK].to(model.scaling_factor.device))
    return {
        **reconstruction_quality(decoded(model, latents), batch),
        "kl_nats": posterior.kl().mean().item(),
        "latent_std": latents.std().item(),
    }


def _autoencoder_chance(samples: int) -> dict[str, float]:
    """The mean picture, which needs no code."""
    batch = scenes_with_layouts("test", samples)
    mean = scenes_with_layouts("train", 1000)["image"].mean(0)
    return reconstruction_quality(mean.expand_as(batch["image"]), batch)


def _autoencoder_ceiling(samples: int) -> dict[str, float]:
    """The pictures themselves, read by the judge; their distance is the floor, that of other real scenes."""
    batch, others = scenes_with_layouts("test", samples), scenes_with_layouts("validation", samples)
    return {"fine_detail": 1.0, "wholly_right": wholly_right(batch["image"], batch["records"])} | scene_quality(
        others["image"], batch["image"]
    )


def _autoencoder_sample(model: AutoencoderKL, count: int, generator: torch.Generator) -> Tensor:
    """Reconstructions of held-out scenes: latents drawn from a standard normal mean nothing yet."""
    return decoded(model, encoded(model, scenes_with_layouts("test", count)["image"]))


AUTOENCODER_KL_SCENES = Recipe(
    name="autoencoder-kl-scenes",
    chapter="04_diffusion",
    notebook=NOTEBOOK,
    system="KL autoencoder",
    paper="Rombach, Blattmann, Lorenz, Esser & Ommer, CVPR 2022",
    data="scenes",
    model=lambda: AutoencoderKL(AUTOENCODER),
    players=_autoencoder_players,
    loader=lambda: loader(Scenes("train", fields=("image",)), 32),
    steps={"smoke": 3, "cpu": 4_000, "gpu": 50_000},
    metrics=_autoencoder_metrics,
    targets={"psnr_db": Target(at_least=28.0), "wholly_right": Target(at_least=0.95)},
    samples=2000,
    quick_samples=256,
    chance=_autoencoder_chance,
    ceiling=_autoencoder_ceiling,
    sample=_autoencoder_sample,
    minutes=40,
    about="Scenes of 3,072 numbers to latents of 256 and back, by absolute error, a small KL, and a discriminator of patches that is listened to "
    "after 2,500 steps. Reconstructions go through the mean of the latents.",
)


# --- diffusion in its latents, to a layout ----------------------------------------------------------------------------


def autoencoder() -> AutoencoderKL:
    """`autoencoder-kl-scenes`, in evaluation mode."""
    return load(AUTOENCODER_KL_SCENES)


class EncodedScenes(Dataset):
    """Training scenes as `latents` (batch, 4, 8, 8), scaled, and `layout` (batch, 7, 8, 8), the shares of each label at each place.

    All are encoded at the start, once: the network meets each scene many times.
    """

    def __init__(self, length: int):
        model, data = autoencoder(), Scenes("train", length=length, fields=("image", "label_map"))
        parts = [data[range(start, min(start + 1000, length))] for start in range(0, length, 1000)]
        self.latents = torch.cat([encoded(model, part["image"]) for part in parts])
        size = self.latents.shape[2:]
        self.layout = torch.cat([F.interpolate(one_hot_map(part["label_map"]), size, mode="area") for part in parts])

    def __len__(self) -> int:
        return len(self.latents)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {"latents": self.latents[chosen], "layout": self.layout[chosen]}


def joined(network: UNet) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The network as a process asks it, `(noisy, timesteps, condition)`: the condition goes in as further channels."""
    return lambda noisy, timesteps, condition: network(concatenate(noisy, condition), timesteps)


def layout_player(network: UNet, learning_rate: float = 1e-3, ema_decay: float = 0.998) -> Player:
    """A network that learns to denoise latents, each with its layout; batches as `EncodedScenes` makes them."""
    made = process()

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        latents = batch["latents"]
        made.to(latents.device)  # of several GPUs, the one of this process
        timesteps = torch.randint(0, made.config.num_train_timesteps, (len(latents),), device=latents.device)
        return made.loss(joined(network), latents, torch.randn_like(latents), timesteps, batch["layout"]), {}

    return Player("denoiser", network, objective, learning_rate=learning_rate, betas=(0.9, 0.99), ema_decay=ema_decay)


@torch.inference_mode()
def drawn_to_layout(
    network: UNet,
    layout: Tensor,
    generator: torch.Generator,
    num_inference_steps: int = STEPS,
    model: AutoencoderKL | None = None,
) -> Tensor:
    """Pictures (batch, 3, 32, 32) in [-1, 1] on the CPU, one for each layout (batch, 7, height, width), by DDIM.

    Args:
        model: that decodes; by default `autoencoder-kl-scenes`.
    """
    device, made, config = next(network.parameters()).device, process(), network.config
    path = made.path(inference_timesteps(made.config.num_train_timesteps, num_inference_steps))
    noise = draw_normal((len(layout), config.out_channels, config.image_size, config.image_size), generator, device)
    return decoded(model or autoencoder(), sample_many(joined(network), made, DDIM(), noise, path, layout))


def layout_scores(images: Tensor, records: SceneRecords) -> dict[str, float]:
    """How far pictures (batch, 3, 32, 32) follow the layout of records, by the scene judge; colours are free.

    Returns:
        `shape` and `size`: share of the objects that are read so at their place; `layout_right`: share of the pictures in which all is, with no
        object too many.
    """
    right = scene_agreement(on_cpu(load(SCENE_JUDGE).read(images)), records)
    there, objects = records.present, records.count.sum().item()
    places = (right["shape"] & right["size"]) | (~there & right["presence"])
    scores = {name: right[name].sum().item() / objects for name in ("shape", "size")}
    return scores | {"layout_right": places.all(1).double().mean().item()}


def color_variety(first: Tensor, second: Tensor) -> float:
    """Share of the objects that the judge sees in another colour in a second picture of the same layout; both (batch, 3, 32, 32)."""
    one, two = (on_cpu(load(SCENE_JUDGE).read(images)) for images in (first, second))
    both = one.present & two.present
    return ((one.color != two.color) & both).sum().item() / max(1, both.sum().item())


def _layout_quality(images: Tensor, second: Tensor, batch: dict) -> dict[str, float]:
    return {
        **layout_scores(images, batch["records"]),
        "color_variety": color_variety(images, second),
        **generator_quality(images, batch["image"], scenes_with_layouts("train", GALLERY)["image"]),
    }


def _through(model: AutoencoderKL, images: Tensor) -> Tensor:
    return decoded(model, encoded(model, images))


@torch.inference_mode()
def _layout_metrics(network: UNet, samples: int) -> dict[str, float]:
    batch = scenes_with_layouts("test", samples)
    first, second = (drawn_to_layout(network, batch["layout"], runtime.generator(seed)) for seed in (1, 2))
    quality = _layout_quality(first, second, batch)
    best = layout_scores(_through(autoencoder(), batch["image"]), batch["records"])["layout_right"]
    return {"layout_ratio": quality["layout_right"] / best, **quality}


def _layout_chance(samples: int) -> dict[str, float]:
    """Real scenes that take no notice of the layout, and never change; their distance is that of an untrained network's pictures."""
    batch = scenes_with_layouts("test", samples)
    torch.manual_seed(LDM_SCENES_LAYOUT.seed)
    network = LDM_SCENES_LAYOUT.model().to(runtime.device()).eval()
    untrained = drawn_to_layout(network, batch["layout"], runtime.generator(1), num_inference_steps=2)
    scores = layout_scores(batch["image"].roll(1, 0), batch["records"])
    best = layout_scores(_through(autoencoder(), batch["image"]), batch["records"])["layout_right"]
    quality = _layout_quality(untrained, untrained, batch)
    return quality | scores | {"color_variety": 0.0, "layout_ratio": scores["layout_right"] / best}


def _layout_ceiling(samples: int) -> dict[str, float]:
    """Other right pictures of the same layouts, through the autoencoder: no model of its latents can do better, but by luck."""
    batch = scenes_with_layouts("test", samples)
    first, second = (
        _through(autoencoder(), render(other_looks(batch["records"], runtime.generator(seed)))) for seed in (1, 2)
    )
    best = layout_scores(_through(autoencoder(), batch["image"]), batch["records"])["layout_right"]
    quality = _layout_quality(first, second, batch)
    return {"layout_ratio": quality["layout_right"] / best, **quality}


LDM_SCENES_LAYOUT = Recipe(
    name="ldm-scenes-layout",
    chapter="04_diffusion",
    notebook=NOTEBOOK,
    system="latent diffusion",
    paper="Rombach, Blattmann, Lorenz, Esser & Ommer, CVPR 2022; velocity as Salimans & Ho, ICLR 2022",
    data="scenes, as latents of autoencoder-kl-scenes, with their label maps",
    model=lambda: UNet(NETWORK),
    players=layout_player,
    loader=lambda: loader(EncodedScenes(scale(smoke=500, cpu=ENCODED, gpu=ENCODED)), 64),
    steps={"smoke": 3, "cpu": 6_000, "gpu": 60_000},
    metrics=_layout_metrics,
    targets={"layout_ratio": Target(at_least=0.95)},
    samples=2000,
    quick_samples=128,
    chance=_layout_chance,
    ceiling=_layout_ceiling,
    sample=lambda network, count, generator: drawn_to_layout(
        network, scenes_with_layouts("test", count)["layout"], generator
    ),
    minutes=22,
    about="Scenes to a label map, which says shapes, sizes and places; colours are free. The map is joined to the noisy latents as seven channels. "
    "Drawn by DDIM in 25 steps. `layout_ratio` is the share of pictures whose whole layout is read right, over that of real scenes sent through "
    "the autoencoder.",
)

LATENT_RECIPES: tuple[Recipe, ...] = (AUTOENCODER_KL_SCENES, LDM_SCENES_LAYOUT)
"""`course train autoencoder-kl-scenes`, and then `course train ldm-scenes-layout`, which needs the first."""
