"""Studies of notebook 03_latent_diffusion: pixels against latents at equal cost (claim C26), and what each condition tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import scene_quality, single_objects
from course_utils.data import Scenes, loader
from course_utils.data.scenes import NUM_CLASSES, PLACES, SIZES, SceneRecords
from course_utils.diffusion.ddpm import DiffusionConfig, GaussianDiffusion, Network
from course_utils.diffusion.dit import DiT, DiTConfig
from course_utils.diffusion.latent_diffusion import AutoencoderKL, LatentDiffusion, concatenate
from course_utils.diffusion.latent_recipes import (
    AUTOENCODER_KL_SCENES,
    LATENT_DIFFUSION,
    NETWORK,
    NOTEBOOK,
    NUM_LABELS,
    STEPS,
    autoencoder,
    decoded,
    encoded,
    layout_scores,
    one_hot_map,
    process,
    scenes_with_layouts,
)
from course_utils.diffusion.samplers import DDIM, sample_many
from course_utils.diffusion.schedules import inference_timesteps
from course_utils.diffusion.unet import UNet, UNetConfig
from course_utils.layers import draw_normal
from course_utils.metrics.recipes import SCENE_JUDGE, on_cpu
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
BATCH = 32


class Conditioned(Dataset):
    """Tensors that belong together, given out as a batch of `data` (batch, channels, h, w) and, where there is one, `condition` (batch, ...)."""

    def __init__(self, data: Tensor, condition: Tensor | None = None):
        self.fields = {"data": data} | ({} if condition is None else {"condition": condition})

    def __len__(self) -> int:
        return len(self.fields["data"])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        return {name: values[chosen] for name, values in self.fields.items()}


def train(network: nn.Module, asked: Network, made: GaussianDiffusion, data: Conditioned, steps: int, seed: int) -> None:  # fmt: skip
    """Teach a network to denoise; `asked` is how it is called, `(noisy, timesteps, *condition)`."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        values, condition = batch["data"], [batch["condition"]] if "condition" in batch else []
        timesteps = torch.randint(0, made.config.num_train_timesteps, (len(values),), device=values.device)
        return made.loss(asked, values, torch.randn_like(values), timesteps, *condition), {}

    player = Player("denoiser", network, objective, learning_rate=2e-3, betas=(0.9, 0.99), ema_decay=0.99)
    fit(player, loader(data, BATCH, seed=seed), steps, schedule="cosine", seed=seed, progress=False)


@torch.inference_mode()
def draw(
    asked: Network, made: GaussianDiffusion, shape: Sequence[int], seed: int, device: torch.device, condition: Tensor | None = None
) -> Tensor:  # fmt: skip
    """Samples (count, channels, h, w) of this shape on the CPU, by DDIM in 25 steps."""
    noise = draw_normal(shape, runtime.generator(1000 + seed), device)
    path = made.path(inference_timesteps(made.config.num_train_timesteps, scale(smoke=2, cpu=STEPS, gpu=STEPS)))
    return sample_many(asked, made, DDIM(), noise, path, *(() if condition is None else (condition,)))


def operations(work: Callable[[], object]) -> float:
    """Floating-point operations of matrix products and convolutions in `work()`: the same on every machine."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


# --- C26: pixels and latents at equal cost -----------------------------------------------------------------------------

BUDGET = 8e12  # operations of a training, at scale cpu
SCENES = 12_000  # that it sees, again and again
CLIPPED = replace(LATENT_DIFFUSION, clip_sample=True)  # pixels have a largest value

PIXELS = {
    "pixels": UNetConfig(
        in_channels=3 + NUM_LABELS, widths=(32, 64, 64), num_blocks=1, attention_levels=(2,), num_heads=4, num_groups=16
    ),
    "folded by 2": UNetConfig(
        in_channels=3 + NUM_LABELS, widths=(48, 96, 96), num_blocks=1, attention_levels=(2,), num_heads=4, unshuffle=2, num_groups=16,
    ),
    "folded by 4": replace(NETWORK, in_channels=3 + NUM_LABELS, out_channels=3, image_size=32, unshuffle=4),
}  # fmt: skip
SPACES = (*PIXELS, "latents")


class Space(NamedTuple):
    """Where diffusion happens: its network and process, and the way there and back."""

    network: UNet
    config: DiffusionConfig
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def space(name: str) -> Space:
    """One of SPACES, with a new network."""
    if name != "latents":
        return Space(UNet(PIXELS[name]), CLIPPED, lambda images: images, lambda images: images.clamp(-1, 1))
    model = autoencoder()
    return Space(UNet(NETWORK), LATENT_DIFFUSION, lambda images: encoded(model, images), lambda z: decoded(model, z))


def step_operations(name: str) -> float:
    """Operations of one training step in a space: forward and backward of the network, and for latents the encoding of the batch."""
    with torch.device("meta"):
        config = NETWORK if name == "latents" else PIXELS[name]
        network, side = UNet(config), config.image_size
        pictures, times = torch.zeros(BATCH, config.in_channels, side, side), torch.zeros(BATCH)
        spent = operations(lambda: network(pictures, times).sum().backward())
        if name == "latents":
            model, images = AutoencoderKL(AUTOENCODER_KL_SCENES.model().config), torch.zeros(BATCH, 3, 32, 32)
            spent += operations(lambda: model.encode(images))
    return spent


def picture_operations(name: str) -> float:
    """Operations of one drawn picture: the network `STEPS` times, and for latents the decoder once."""
    with torch.device("meta"), torch.no_grad():
        config = NETWORK if name == "latents" else PIXELS[name]
        network, side = UNet(config), config.image_size
        spent = STEPS * operations(lambda: network(torch.zeros(1, config.in_channels, side, side), torch.zeros(1)))
        if name == "latents":
            model = AutoencoderKL(AUTOENCODER_KL_SCENES.model().config)
            spent += operations(lambda: model.decode(torch.zeros(1, NETWORK.out_channels, side, side)))
    return spent


def autoencoder_operations() -> float:
    """Operations of the whole training of `autoencoder-kl-scenes`, its discriminator left out."""
    recipe = AUTOENCODER_KL_SCENES
    with torch.device("meta"):
        model = AutoencoderKL(recipe.model().config)
        images, noise = torch.zeros(1, 3, 32, 32), torch.zeros(1, NETWORK.out_channels, 8, 8)
        own = operations(lambda: model.loss(images, noise).backward())
        for_the_discriminator = operations(lambda: model(images, noise))
    return (own + for_the_discriminator) * recipe.steps["cpu"] * recipe.loader().batch_size


def _cost_run(where: str, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    made, device = space(where), runtime.device()
    train_scenes = scenes_with_layouts("train", scale(smoke=64, cpu=SCENES, gpu=SCENES))
    values = made.encode(train_scenes["image"])
    layout = F.interpolate(train_scenes["layout"], values.shape[2:], mode="area")
    steps = round(scale(smoke=2, cpu=BUDGET, gpu=50 * BUDGET) / step_operations(where)) or 2

    def asked(noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        return made.network(concatenate(noisy, condition), timesteps)

    diffusion = process(made.config)
    train(made.network, asked, diffusion, Conditioned(values, layout), steps, seed)
    count = scale(smoke=16, cpu=300, gpu=2000)
    batch, others = scenes_with_layouts("test", count), scenes_with_layouts("validation", count)
    drawn = made.decode(draw(asked, diffusion, (count, *values.shape[1:]), seed, device, batch["layout"]))
    return {
        "steps": steps,
        "parameters": sum(parameter.numel() for parameter in made.network.parameters()),
        "gigaflops_a_picture": picture_operations(where) / 1e9,
        "layout_right": layout_scores(drawn, batch["records"])["layout_right"],
        "real_layout_right": layout_scores(batch["image"], batch["records"])["layout_right"],
        **scene_quality(drawn, batch["image"]),
        "floor": scene_quality(others["image"], batch["image"])["judge_frechet"],
    }


def _cost_verdict(rows: list[Row]) -> Verdict:
    right, distance, cost = (
        grouped(rows, "where", name) for name in ("layout_right", "judge_frechet", "gigaflops_a_picture")
    )
    numbers = "; ".join(
        f"{where} {said(right[where])}, {said(distance[where], 1)} and {cost[where][0]:.2f}" for where in right
    )
    why = (
        f"After trainings of {BUDGET / 1e12:.0f} tera-operations each: share of pictures that follow their layout (real ones "
        f"{fmean(row['real_layout_right'] for row in rows):.2f}), judge's Fréchet distance (floor {fmean(row['floor'] for row in rows):.1f}), "
        f"giga-operations a picture: {numbers}. The autoencoder's own training, once for all models in its latents, took "
        f"{autoencoder_operations() / BUDGET:.0f} times as much as one of these."
    )

    def beaten(where: str) -> bool:
        return clearly_more(right["latents"], right[where]) and clearly_more(distance[where], distance["latents"])

    if all(beaten(where) for where in PIXELS):
        return Verdict("holds here", why)
    return Verdict("in part" if beaten("pixels") else "does not hold here", why)


def _cost_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 3, width=10.0, height=2.8)
    for axis, name, title in zip(
        axes[0],
        ("layout_right", "judge_frechet", "gigaflops_a_picture"),
        ("follow their layout", "distance", "giga-operations a picture"),
        strict=True,
    ):
        groups = {where.replace(" by", "\nby"): values for where, values in grouped(rows, "where", name).items()}
        plots.group_dots(axis, groups)
        axis.set_title(title)
        axis.set_ylim(0)
    for axis, name in ((axes[0, 0], "real_layout_right"), (axes[0, 1], "floor")):
        axis.axhline(fmean(row[name] for row in rows), color=plots.COLORS[6], linestyle="--", linewidth=1)
    return figure


COST = Experiment(
    name="ldm-cost",
    claim="C26",
    question="With as many operations spent on training, does diffusion in latents draw better than in pixels, and how much cheaper is a picture?",
    notebook=NOTEBOOK,
    grid=tuple({"where": where, "seed": seed} for where in SPACES for seed in range(3)),
    run=_cost_run,
    verdict=_cost_verdict,
    figure=_cost_figure,
)


# --- conditions ---------------------------------------------------------------------------------------------------------

SMALL = replace(NETWORK, widths=(48, 96), attention_levels=(0, 1))
LATENTS = NETWORK.out_channels
BOX_WIDTH = NUM_LABELS + len(SIZES) + len(PLACES)


def boxes(records: SceneRecords) -> Tensor:
    """A layout as four tokens (batch, 4, 13), one a place: shape or none, size, and which place it is, all one-hot."""
    shape = F.one_hot(records.shape + 1, NUM_LABELS)
    size = F.one_hot(records.size.clamp(min=0), len(SIZES)) * records.present[..., None]
    place = torch.eye(len(PLACES), dtype=torch.int64).expand(len(records), -1, -1)
    return torch.cat([shape, size, place], dim=2).float()


def half_hidden(images: Tensor) -> Tensor:
    """A mask (batch, 1, height, width), 1 on the left half of every second picture and on the right half of the others."""
    mask = images.new_zeros(len(images), 1, *images.shape[2:])
    half = images.shape[3] // 2
    mask[::2, :, :, :half] = 1
    mask[1::2, :, :, half:] = 1
    return mask


@torch.inference_mode()
def _painted_over(batch: dict) -> Tensor:
    model = autoencoder()
    images = batch["image"].to(model.scaling_factor.device)
    return LatentDiffusion(model, nn.Identity()).inpainting_condition(images, half_hidden(images)).cpu()


@dataclass(frozen=True)
class Condition:
    """A way of telling a network what to draw.

    Attributes:
        of: a batch of scenes with `image`, `label`, `label_map`, `records` -> (batch, ...); None tells nothing.
        network: that takes it.
        enters: `as channels`, or the argument of the network.
    """

    of: Callable[[dict], Tensor] | None
    network: Callable[[], nn.Module]
    enters: str = "as channels"


def _with_channels(channels: int) -> Callable[[], UNet]:
    return lambda: UNet(replace(SMALL, in_channels=LATENTS + channels))


CONDITIONS = {
    "nothing": Condition(None, _with_channels(0)),
    "class": Condition(
        lambda batch: batch["label"],
        lambda: UNet(replace(SMALL, in_channels=LATENTS, num_classes=NUM_CLASSES)),
        "labels",
    ),
    "class, DiT": Condition(
        lambda batch: batch["label"],
        lambda: DiT(DiTConfig(LATENTS, LATENTS, 8, patch_size=1, width=96, depth=4, num_heads=4, num_classes=NUM_CLASSES)),
        "labels",
    ),
    "layout: label map": Condition(
        lambda batch: F.interpolate(one_hot_map(batch["label_map"]), (8, 8), mode="area"), _with_channels(NUM_LABELS)
    ),
    "layout: boxes": Condition(
        lambda batch: boxes(batch["records"]),
        lambda: UNet(replace(SMALL, in_channels=LATENTS, context_width=BOX_WIDTH)),
        "context",
    ),
    "small picture": Condition(lambda batch: F.interpolate(batch["image"], (8, 8), mode="area"), _with_channels(3)),
    "half of it": Condition(_painted_over, _with_channels(1 + LATENTS)),
}  # fmt: skip


def asking(network: nn.Module, condition: Condition) -> Network:
    """The network as a process asks it, `(noisy, timesteps, *condition)`."""
    if condition.of is None:
        return network
    if condition.enters == "as channels":
        return lambda noisy, timesteps, told: network(concatenate(noisy, told), timesteps)
    return lambda noisy, timesteps, told: network(noisy, timesteps, **{condition.enters: told})


def one_object(split: str, count: int) -> dict:
    """Scenes of one object: `image`, `label`, `label_map`, and their `records`."""
    data = Scenes(split, length=count, fields=("image", "label", "label_map"), objects=1)
    return data[range(count)] | {"records": data.records(range(count))}


def kept(images: Tensor, records: SceneRecords) -> dict[str, float]:
    """What pictures (batch, 3, 32, 32) share with the scenes of one object of the records, by the scene judge: a share for each attribute.

    Shape, colour and size count wherever the object stands; a picture without just one object has none of them.
    """
    reading = on_cpu(load(SCENE_JUDGE).read(images))
    one = reading.present.sum(1) == 1
    shares = {
        name: one & (getattr(reading, name).amax(1) == getattr(records, name).amax(1))
        for name in ("shape", "color", "size")
    }
    shares |= {
        "place": (reading.present == records.present).all(1),
        "background": reading.background == records.background,
    }
    return {name: right.double().mean().item() for name, right in shares.items()}


def _conditions_run(told: str, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    condition, model, device = CONDITIONS[told], autoencoder(), runtime.device()
    scenes = one_object("train", scale(smoke=64, cpu=8_000, gpu=40_000))
    given = condition.of and condition.of(scenes)
    network = condition.network()
    asked, made = asking(network, condition), process()
    data = Conditioned(encoded(model, scenes["image"]), given)
    train(network, asked, made, data, scale(smoke=2, cpu=500, gpu=10_000), seed)
    count = scale(smoke=16, cpu=300, gpu=2000)
    batch = one_object("test", count)
    given = condition.of and condition.of(batch)
    drawn = decoded(model, draw(asked, made, (count, LATENTS, 8, 8), seed, device, given))
    others = single_objects("validation", count, 32)["image"]
    return {
        **kept(drawn, batch["records"]),
        **scene_quality(drawn, batch["image"]),
        "floor": scene_quality(others, batch["image"])["judge_frechet"],
    }


ATTRIBUTES = ("shape", "color", "size", "place", "background")


def _conditions_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.4, height=3.6)
    means = {told: [] for told in grouped(rows, "told", "shape")}
    for name in ATTRIBUTES:
        for told, values in grouped(rows, "told", name).items():
            means[told].append(fmean(values))
    axis = axes[0, 0]
    axis.imshow(list(means.values()), cmap="Blues", vmin=0, vmax=1.2, aspect="auto")
    axis.grid(False)
    axis.set_xticks(range(len(ATTRIBUTES)), ["colour" if name == "color" else name for name in ATTRIBUTES])
    axis.set_yticks(range(len(means)), list(means))
    axis.set_xlabel("share of drawn pictures that have it from the scene behind the condition")
    for row, shares in enumerate(means.values()):
        for column, share in enumerate(shares):
            axis.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8)
    return figure


CONDITIONING = Experiment(
    name="ldm-conditions",
    question="Told a class, a layout, a small picture or half of one, which attributes has a drawn scene from the one behind the condition?",
    notebook=NOTEBOOK,
    grid=tuple({"told": told, "seed": seed} for told in CONDITIONS for seed in range(3)),
    run=_conditions_run,
    figure=_conditions_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (COST, CONDITIONING)
