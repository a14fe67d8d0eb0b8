"""Studies of notebook 02_stable_diffusion: what guidance and steps buy, what a negative prompt takes away (claim C32), how many things a prompt may
name (claim C33), what captions never said, and what the text encoder has to do with it."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import scene_quality
from course_utils.clip.recipes import CLIP_SCENES
from course_utils.data import Scenes, loader
from course_utils.data.scenes import BACKGROUNDS, COLORS, SHAPES, Pattern, SceneRecords, render
from course_utils.data.scenes.captions import one
from course_utils.diffusion.ddpm import GaussianDiffusion
from course_utils.diffusion.dit import DiT, DiTConfig
from course_utils.diffusion.latent_recipes import autoencoder
from course_utils.diffusion.score import RectifiedFlow
from course_utils.metrics import psnr
from course_utils.text_to_image import recipes
from course_utils.text_to_image.dalle_experiments import DALLE_EXPERIMENTS
from course_utils.text_to_image.network import PromptEncoder, PromptNetworkConfig
from course_utils.text_to_image.prompts import Prompts, clip_score, match, prompts, read, told_truly, verdicts
from course_utils.text_to_image.recipes import T2I_SCENES, drawn
from course_utils.text_to_image.stable_diffusion import CLIPPromptEncoder, StableDiffusion, caption_dropout
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grid, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = recipes.NOTEBOOK


# --- guidance and steps -----------------------------------------------------------------------------------------------


def _drawn_scores(seed: int, **settings: float) -> dict[str, float]:
    samples = scale(smoke=8, cpu=250, gpu=1000)
    asked = prompts("validation", samples)
    images = drawn(load(T2I_SCENES), asked.texts, runtime.generator(seed), **settings)
    scores = match(images, asked)
    kept = {name: scores[name] for name in ("attributes", "position", "all_right")}
    distance = scene_quality(images, render(asked.records))["judge_frechet"]
    return kept | {"clip_score": clip_score(images, asked.texts).mean().item(), "judge_frechet": distance}


def _guidance_run(guidance_scale: float, seed: int) -> dict[str, float]:
    return _drawn_scores(seed, guidance_scale=guidance_scale)


def _best(rows: list[Row], key: str, metric: str) -> tuple[float, list[float]]:
    """The setting with the highest mean, and its values."""
    values = grouped(rows, key, metric)
    best = max(values, key=lambda setting: fmean(values[setting]))
    return best, values[best]


def _guidance_verdict(rows: list[Row]) -> Verdict:
    right, distance = (grouped(rows, "guidance_scale", name) for name in ("all_right", "judge_frechet"))
    best, values = _best(rows, "guidance_scale", "all_right")
    numbers = ", ".join(f"{value:g}: {said(few)}" for value, few in right.items())
    far = ", ".join(f"{value:g}: {fmean(few):.0f}" for value, few in distance.items())
    why = f"Prompts wholly right by guidance scale: {numbers}. Distance to real scenes: {far}."
    if best > 1 and clearly_more(values, right[1.0]):
        return Verdict("holds here", f"Guidance makes prompts be followed, most at {best:g}. {why}")
    return Verdict("does not hold here", f"Prompts are followed as well without guidance. {why}")


def _two_curves(rows: list[Row], key: str, label: str, log: bool = False) -> "Figure":
    """What is right, and beside it how far the pictures are from real ones, by a setting."""
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8)
    for axis, names, what in (
        (axes[0, 0], ("all_right", "attributes"), "share right"),
        (axes[0, 1], ("judge_frechet",), "distance to real scenes"),
    ):
        for color, name in zip(plots.COLORS, names, strict=False):
            points = sorted(grouped(rows, key, name).items())
            axis.plot(
                [x for x, _ in points],
                [fmean(few) for _, few in points],
                marker="o",
                color=color,
                label=name.replace("_", " "),
            )
            axis.scatter([row[key] for row in rows], [row[name] for row in rows], color=color, s=8)
        axis.set(xlabel=label, ylabel=what, xscale="log" if log else "linear")
        axis.set_xticks([x for x, _ in points], [f"{x:g}" for x, _ in points])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
    axes[0, 0].legend(frameon=False)
    return figure


GUIDANCE_STUDY = Experiment(
    name="t2i-guidance",
    question="How does the guidance scale change how prompts are followed, and how real the pictures look?",
    notebook=NOTEBOOK,
    grid=grid(guidance_scale=(1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0), seed=range(2)),
    run=_guidance_run,
    verdict=_guidance_verdict,
    figure=lambda rows: _two_curves(rows, "guidance_scale", "guidance scale"),
)


def _steps_run(num_inference_steps: int, seed: int) -> dict[str, float]:
    return _drawn_scores(seed, num_inference_steps=num_inference_steps)


def _steps_verdict(rows: list[Row]) -> Verdict:
    right = grouped(rows, "num_inference_steps", "all_right")
    most = right[max(right)]
    enough = min(steps for steps, few in right.items() if not clearly_more(most, few))
    numbers = ", ".join(f"{steps}: {said(few)}" for steps, few in right.items())
    return Verdict(
        "holds here" if enough <= 25 else "does not hold here",
        f"From {enough} steps on, prompts are followed as well as with {max(right)}. Wholly right by steps: {numbers}.",
    )


STEPS_STUDY = Experiment(
    name="t2i-steps",
    question="How many steps does it take until prompts are followed as well as they ever are?",
    notebook=NOTEBOOK,
    grid=grid(num_inference_steps=(2, 5, 10, 25, 50), seed=range(2)),
    run=_steps_run,
    verdict=_steps_verdict,
    figure=lambda rows: _two_curves(rows, "num_inference_steps", "steps of the sampler", log=True),
)


# --- C32: what a negative prompt names --------------------------------------------------------------------------------

NAMED = {
    "colour": [f"there is {one(Pattern(color=color))}" for color in range(len(COLORS))],
    "object": [f"there is {one(Pattern(shape=shape))}" for shape in range(len(SHAPES))],
    "background": [f"the background is {background}" for background in BACKGROUNDS],
}
NEGATIVES = ("nothing", "what is named")


def shows(seen: SceneRecords, kind: str, which: int) -> Tensor:
    """Whether scenes show what text number `which` of a kind in `NAMED` names, (batch,) bool."""
    if kind == "background":
        return seen.background == which
    return ((seen.color if kind == "colour" else seen.shape) == which).any(1)


def _open_prompts(kind: str, which: int, samples: int) -> list[str]:
    """Prompts that say nothing about what text number `which` of a kind names: they ask for one shape, of a kind "object" for another one."""
    shapes = [shape for number, shape in enumerate(SHAPES) if kind != "object" or number != which]
    return [f"there is a {shapes[number % len(shapes)]}" for number in range(samples)]


def _negative_run(kind: str, negative: str, seed: int) -> dict[str, float]:
    network, samples, shown, kept = load(T2I_SCENES), scale(smoke=2, cpu=30, gpu=200), [], []
    for which, name in enumerate(NAMED[kind]):
        texts = _open_prompts(kind, which, samples)
        refused = name if negative == "what is named" else ""
        seen = read(drawn(network, texts, runtime.generator(100 * seed + which), negative=refused))
        asked = torch.tensor([SHAPES.index(text.split()[-1]) for text in texts])
        shown.append(shows(seen, kind, which))
        kept.append((seen.shape == asked[:, None]).any(1))
    return {"shown": torch.cat(shown).double().mean().item(), "asked_is_there": torch.cat(kept).double().mean().item()}


def _negative_verdict(rows: list[Row]) -> Verdict:
    parts, gone = [], []
    for kind in NAMED:
        few = grouped([row for row in rows if row["kind"] == kind], "negative", "shown")
        there = grouped([row for row in rows if row["kind"] == kind], "negative", "asked_is_there")
        before, after = (few[name] for name in NEGATIVES)
        gone.append(clearly_more(before, after) and fmean(after) <= fmean(before) / 2)
        parts.append(
            f"{kind}: {fmean(before):.2f} without and {fmean(after):.2f} with it (what was asked for is there in {fmean(there['what is named']):.2f})"
        )
    why = f"Share of pictures that show what is named, {'; '.join(parts)}."
    return Verdict("holds here" if all(gone) else "in part" if any(gone) else "does not hold here", why)


def _negative_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.6, height=2.8)
    shares = {
        f"{kind}\n{'negative' if negative == 'what is named' else 'none'}": grouped(
            [row for row in rows if row["kind"] == kind], "negative", "shown"
        )[negative]
        for kind in NAMED
        for negative in NEGATIVES
    }
    plots.group_bars(axes[0, 0], shares)
    axes[0, 0].set(ylabel="shows what is named", ylim=(0, 1))
    return figure


NEGATIVE_PROMPT = Experiment(
    name="t2i-negative-prompt",
    claim="C32",
    question="How often does a picture show a colour, an object or a background that the negative prompt names?",
    notebook=NOTEBOOK,
    grid=grid(kind=tuple(NAMED), negative=NEGATIVES, seed=range(3)),
    run=_negative_run,
    verdict=_negative_verdict,
    figure=_negative_figure,
)


# --- C33: many things in one picture ----------------------------------------------------------------------------------


def _many_run(objects: int, level: str, seed: int) -> dict[str, float]:
    samples = scale(smoke=6, cpu=200, gpu=1000)
    asked = prompts("validation", samples, level, objects, start=seed * samples)
    right = verdicts(drawn(load(T2I_SCENES), asked.texts, runtime.generator(seed)), asked)
    return {"all_right": right["all_right"].mean().item(), "counting": right["counting"].mean().item()}


def _many_verdict(rows: list[Row]) -> Verdict:
    parts, worse = [], []
    for level in dict.fromkeys(row["level"] for row in rows):
        own = [row for row in rows if row["level"] == level]
        right, counted = (grouped(own, "objects", name) for name in ("all_right", "counting"))
        worse.append(any(clearly_more(right[1], few) for number, few in right.items() if number > 1))
        shares = ", ".join(
            f"{number}: {said(few)} (as many as asked for in {fmean(counted[number]):.2f})"
            for number, few in right.items()
        )
        parts.append(f"captions of level {level}: {shares}")
    why = f"Prompts wholly right by the number of objects, {'; '.join(parts)}."
    return Verdict("holds here" if all(worse) else "in part" if any(worse) else "does not hold here", why)


def _many_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=4.8, height=2.8)
    axis = axes[0, 0]
    for color, level in zip(plots.COLORS, dict.fromkeys(row["level"] for row in rows), strict=False):
        points = sorted(grouped([row for row in rows if row["level"] == level], "objects", "all_right").items())
        axis.plot(
            [x for x, _ in points], [fmean(few) for _, few in points], marker="o", color=color, label=f"level {level}"
        )
    axis.set(xlabel="objects in the prompt", ylabel="wholly right", ylim=(0, 1.03), xticks=[1, 2, 3, 4])
    axis.legend(frameon=False)
    return figure


MANY_THINGS = Experiment(
    name="t2i-many-things",
    claim="C33",
    question="Is a prompt followed less, the more things it names?",
    notebook=NOTEBOOK,
    grid=grid(objects=(1, 2, 3, 4), level=("full", "objects"), seed=range(3)),
    run=_many_run,
    verdict=_many_verdict,
    figure=_many_figure,
)


# --- what no caption ever said ----------------------------------------------------------------------------------------

SAYINGS = ("there is {}", "", "there is no {}", "no {}")  # of a thing; the second says nothing


def _unsaid_run(saying: str, seed: int) -> dict[str, float]:
    """Negation: how often a thing is drawn that the prompt says is there, says nothing of, or says is not there."""
    network, samples = load(T2I_SCENES), scale(smoke=2, cpu=40, gpu=200)
    shown = []
    for which in range(len(COLORS)):
        thing = one(Pattern(color=which))  # "a red object"
        text = saying.format(thing.split(maxsplit=1)[1] if "no" in saying else thing)
        images = drawn(network, [text] * samples, runtime.generator(100 * seed + which))
        shown.append(shows(read(images), "colour", which))
    return {"shown": torch.cat(shown).double().mean().item()}


def _unsaid_verdict(rows: list[Row]) -> Verdict:
    shown = grouped(rows, "saying", "shown")
    drawn_all_the_same = [saying for saying in SAYINGS[2:] if clearly_more(shown[saying], shown[SAYINGS[1]])]
    numbers = ", ".join(f'"{saying.format("...")}" {said(few)}' for saying, few in shown.items())
    why = f"Share of pictures with an object of the colour, by what the prompt says: {numbers}."
    if drawn_all_the_same:
        return Verdict(
            "holds here", f"What a prompt says is not there is drawn more often than if it were not named. {why}"
        )
    return Verdict("does not hold here", why)


UNSAID = Experiment(
    name="t2i-negation",
    question="Is a thing drawn that the prompt says is not there, if no training caption ever denied anything?",
    notebook=NOTEBOOK,
    grid=grid(saying=SAYINGS, seed=range(2)),
    run=_unsaid_run,
    verdict=_unsaid_verdict,
    figure=lambda rows: plots.bars(
        {saying.format("...") or "(nothing)": fmean(few) for saying, few in grouped(rows, "saying", "shown").items()},
        "share of pictures that show it",
    ),
)

# --- small trainings: two objects, captions of level "places" ---------------------------------------------------------

SMALL = PromptNetworkConfig(
    vocab_size=recipes.NETWORK.vocab_size, max_positions=24, text_width=96, text_depth=2, width=96, depth=4
)
"""Half as many numbers as `t2i-scenes`; the longest caption of two objects has 17 tokens."""
MIN_SNR = replace(recipes.PROCESS, loss_weighting="min_snr")
ENCODERS = ("0 layers", "1 layer", "2 layers", "frozen CLIP")
CHANGES = ("as it is", "rectified flow", "min-SNR weights", "twice the steps")


@functools.cache
def _two_objects() -> recipes.PromptedLatents:
    return recipes.PromptedLatents(scale(smoke=64, cpu=8000, gpu=30_000), objects=2, levels=("places",))


def _small_ids(texts: Sequence[str]) -> Tensor:
    return recipes.prompt_ids(texts)[:, : SMALL.max_positions]


def _trained(
    text_encoder: nn.Module,
    seed: int,
    steps: int,
    made: GaussianDiffusion | RectifiedFlow,
    along: bool = True,
    after: Callable[[StableDiffusion, int], None] | None = None,
) -> StableDiffusion:
    """A small network, trained from the start with a text encoder of its own or a frozen one.

    Args:
        after: called with the model, and the number of the step, after each step; then no average of the weights is kept.
    """
    width = text_encoder.config.text_width
    network = DiT(
        DiTConfig(
            4, 4, SMALL.image_size, SMALL.patch_size, SMALL.width, SMALL.depth, SMALL.num_heads, context_width=width
        )
    )
    model = StableDiffusion(_small_ids, text_encoder, network, autoencoder(), made).to(runtime.device())
    text_encoder.requires_grad_(along)
    empty, done = _small_ids([""])[0].to(runtime.device()), itertools.count(1)

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        latents, ids = batch["latents"], batch["input_ids"][:, 0, : SMALL.max_positions]
        ids = caption_dropout(ids, empty, torch.rand(len(ids), device=ids.device), recipes.DROPPED)
        if isinstance(made, RectifiedFlow):
            timesteps = made.num_train_timesteps * torch.randn(len(latents), device=latents.device).sigmoid()
        else:
            timesteps = torch.randint(0, made.config.num_train_timesteps, (len(latents),), device=latents.device)
        return model.loss(latents, ids, torch.randn_like(latents), timesteps), {}

    player = Player(
        "denoiser", nn.ModuleList([text_encoder, network]) if along else network, objective, 2e-3, (0.9, 0.95),
        ema_decay=None if after else 0.995, after_step=(lambda _: after(model, next(done))) if after else None,
    )  # fmt: skip
    fit(player, loader(_two_objects(), 64, seed=seed), steps, seed=seed, progress=False)
    return model.eval()


def _small_scores(model: StableDiffusion, seed: int = 1) -> dict[str, float]:
    """What is right of pictures of held-out captions: their shapes and colours, each at its place, and all that is said."""
    asked = prompts("test", scale(smoke=4, cpu=250, gpu=1000), "places", 2)
    images = model.generate(asked.texts, guidance_scale=3.0, num_inference_steps=25, generator=runtime.generator(seed))
    reading, there = read(images), asked.records.present
    right = {
        name: (getattr(reading, name) == getattr(asked.records, name))[there].double().mean().item()
        for name in ("shape", "color")
    }
    places = (reading.present == there).double().mean().item()
    return {**right, "place": places, "all_right": told_truly(images, asked.captions, reading).double().mean().item()}


def _encoder_run(encoder: str, seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    along = encoder != "frozen CLIP"
    if along:
        made = PromptEncoder(replace(SMALL, text_depth=int(encoder[0])))
    else:
        made = CLIPPromptEncoder.from_clip(load(CLIP_SCENES))
    model = _trained(made, seed, scale(smoke=2, cpu=1000, gpu=10_000), recipes.process(), along)
    return _small_scores(model) | {"encoder_parameters": sum(parameter.numel() for parameter in made.parameters())}


def _right_by(rows: list[Row], key: str) -> str:
    return ", ".join(f"{name}: {said(few)}" for name, few in grouped(rows, key, "all_right").items())


def _encoder_verdict(rows: list[Row]) -> Verdict:
    right = grouped(rows, "encoder", "all_right")
    frozen = right.pop("frozen CLIP")
    best = max(right, key=lambda name: fmean(right[name]))
    why = f"Captions of two objects drawn wholly right after 1,000 steps, by the text encoder: {_right_by(rows, 'encoder')}."
    if clearly_more(right[best], frozen):
        return Verdict("holds here", f"One that is trained along, with {best}, beats the frozen one. {why}")
    return Verdict("does not hold here", f"A frozen text encoder does as well as those that are trained along. {why}")


def _right_bars(rows: list[Row], key: str, width: float = 5.2) -> "Figure":
    """Bars of shapes, colours and all, by a setting."""
    figure, axes = plots.figure(width=width, height=2.8)
    names = ("shape", "color", "all_right")
    for number, name in enumerate(names):
        plots.group_bars(
            axes[0, 0], grouped(rows, key, name), name.replace("_", " "), number, len(names), plots.COLORS[number]
        )
    axes[0, 0].set(ylabel="share right", ylim=(0, 1.03))
    axes[0, 0].legend(
        frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(names)
    )  # above, where no bar is
    return figure


TEXT_ENCODER = Experiment(
    name="t2i-text-encoder",
    question="Does a text encoder that is trained along follow prompts better than CLIP's frozen one, and how deep must it be?",
    notebook=NOTEBOOK,
    grid=grid(encoder=ENCODERS, seed=range(2)),
    run=_encoder_run,
    verdict=_encoder_verdict,
    figure=lambda rows: _right_bars(rows, "encoder"),
)


def _change_run(change: str, seed: int) -> dict[str, float]:
    torch.manual_seed(seed)
    made = (
        RectifiedFlow()
        if change == "rectified flow"
        else recipes.process(MIN_SNR if change == "min-SNR weights" else recipes.PROCESS)
    )
    steps = scale(smoke=2, cpu=1000, gpu=10_000) * (2 if change == "twice the steps" else 1)
    return _small_scores(_trained(PromptEncoder(SMALL), seed, steps, made))


def _change_verdict(rows: list[Row]) -> Verdict:
    right = grouped(rows, "change", "all_right")
    base = right[CHANGES[0]]
    better, worse = (
        [name for name in CHANGES[1:] if clearly_more(*((right[name], base) if up else (base, right[name])))]
        for up in (True, False)
    )
    why = f"Captions of two objects drawn wholly right: {_right_by(rows, 'change')}."
    parts = [
        f"{word} {' and '.join(names)}"
        for word, names in (("Clearly better:", better), ("clearly worse:", worse))
        if names
    ]
    return Verdict(
        "holds here" if better else "does not hold here", f"{'; '.join(parts) or 'Nothing changes much'}. {why}"
    )


IMPROVEMENTS = Experiment(
    name="t2i-improvements",
    question="What do rectified flow, min-SNR weights and longer training each buy?",
    notebook=NOTEBOOK,
    grid=grid(change=CHANGES, seed=range(2)),
    run=_change_run,
    verdict=_change_verdict,
    figure=lambda rows: _right_bars(rows, "change", 6.0),
)


# --- whose colour is it: what a network must know of where words stand ------------------------------------------------

STARTS = {
    "words and positions equally large": {},
    "words 50 times larger": {"token_std": 1.0},
    "no positions": {"position_std": 0.0},
}
"""What is changed of the encoder's embeddings, which otherwise begin with a standard deviation of 0.02."""


def _start_run(start: str, seed: int) -> dict[str, float | list[float]]:
    torch.manual_seed(seed)
    steps, every = scale(smoke=(2, 1), cpu=(1500, 250), gpu=(10_000, 1000))
    curves: dict[str, list[float]] = {"steps": []}

    def after(model: StableDiffusion, step: int) -> None:
        if start == "no positions":
            nn.init.zeros_(encoder.positions.weight)  # nor do they come to be
        if step % every:
            return
        model.eval()
        curves["steps"].append(float(step))
        for name, value in _small_scores(model).items():
            curves.setdefault(name, []).append(value)
        model.train()

    encoder = PromptEncoder(replace(SMALL, **STARTS[start]))
    _trained(encoder, seed, steps, recipes.process(), after=after)
    return curves | {f"last_{name}": values[-1] for name, values in curves.items()}


def _start_verdict(rows: list[Row]) -> Verdict:
    right, place, color = (grouped(rows, "start", f"last_{name}") for name in ("all_right", "place", "color"))
    numbers = "; ".join(
        f"{start}: {said(right[start])} (places {said(place[start])}, colours {said(color[start])})" for start in STARTS
    )
    why = f"Captions drawn wholly right after {rows[0]['last_steps']:,.0f} steps, {numbers}."
    equal, larger, without = (fmean(right[start]) for start in STARTS)
    costly = [what for what, few in (("larger words", larger), ("no positions", without)) if few < equal - 0.2]
    costs = f"{' and '.join(costly)} cost much".capitalize() if costly else "Neither costs much"
    return Verdict(("does not hold here", "in part", "holds here")[len(costly)], f"{costs}. {why}")


def _start_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, len(STARTS), width=9.0, height=2.8)
    for axis, start in zip(axes[0], STARTS, strict=True):
        for row in (row for row in rows if row["start"] == start):
            for color, name in zip(plots.COLORS, ("place", "shape", "color", "all_right"), strict=False):
                axis.plot(
                    row["steps"], row[name], color=color, label=name.replace("_", " ") if row["seed"] == 0 else None
                )
        axis.set_title(start, fontsize=8)
        axis.set(xlabel="step", ylabel="share right", ylim=(0, 1.03))
    axes[0, 0].legend(frameon=False)
    return figure


BAD_START = Experiment(
    name="t2i-bad-start",
    question="Does a network learn whose colour is whose if its words begin much larger than their positions, or have none?",
    notebook=NOTEBOOK,
    grid=grid(start=tuple(STARTS), seed=range(1)),
    run=_start_run,
    verdict=_start_verdict,
    figure=_start_figure,
)

# --- a small picture, made large --------------------------------------------------------------------------------------

GIVEN = ("small picture", "small picture and text")
SMALL_SIZE = 4  # pixels: colours and places can be told, shapes hardly


class _ToEnlarge(recipes.PromptedLatents):
    """Scenes of two objects as in the other short trainings, with `small` (batch, 3, 4, 4) of each."""

    def __init__(self, length: int):
        super().__init__(length, objects=2, levels=("places",))
        scenes = Scenes("train", length=length, fields=("image",), objects=2)
        self.small = torch.cat(
            [_shrunk(scenes[range(i, min(i + 1000, length))]["image"]) for i in range(0, length, 1000)]
        )

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return super().__getitems__(indices) | {"small": self.small[torch.as_tensor(indices)]}


def _shrunk(images: Tensor) -> Tensor:
    return F.interpolate(images, SMALL_SIZE, mode="area")


def _upscaling_run(given: str, seed: int) -> dict[str, float]:
    """A short training; the small picture is joined to the latents, the text comes by cross-attention or is always empty."""
    torch.manual_seed(seed)
    steps, length, samples = scale(smoke=(2, 64, 4), cpu=(1000, 8000, 250), gpu=(10_000, 30_000, 1000))
    device = runtime.device()
    encoder = PromptEncoder(replace(SMALL, text_depth=0))
    settings = (SMALL.image_size, SMALL.patch_size, SMALL.width, SMALL.depth, SMALL.num_heads)
    network = DiT(DiTConfig(4 + 3, 4, *settings, context_width=SMALL.text_width))
    model = StableDiffusion(_small_ids, encoder, network, autoencoder(), recipes.process()).to(device)
    empty, dropped = _small_ids([""])[0].to(device), 1.0 if given == GIVEN[0] else recipes.DROPPED

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        latents, ids = batch["latents"], batch["input_ids"][:, 0, : SMALL.max_positions]
        ids = caption_dropout(ids, empty, torch.rand(len(ids), device=ids.device), dropped)
        timesteps = torch.randint(0, model.process.config.num_train_timesteps, (len(latents),), device=latents.device)
        return model.loss(latents, ids, torch.randn_like(latents), timesteps, batch["small"]), {}

    player = Player("denoiser", nn.ModuleList([encoder, network]), objective, 2e-3, (0.9, 0.95), ema_decay=0.995)
    fit(player, loader(_ToEnlarge(length), 64, seed=seed), steps, seed=seed, progress=False)

    asked = prompts("test", samples, "places", 2)
    real = render(asked.records)
    small = _shrunk(real)
    texts = [""] * samples if given == GIVEN[0] else asked.texts
    images = model.eval().generate(
        texts, guidance_scale=1.0, num_inference_steps=25, generator=runtime.generator(seed), condition=small.to(device)
    ).cpu()  # fmt: skip
    stretched = F.interpolate(small, real.shape[-1], mode="bicubic").clamp(-1, 1)
    return {
        f"{kind}{name}": value
        for kind, pictures in (("", images), ("stretched_", stretched))
        for name, value in {**_seen_right(pictures, asked), "psnr": psnr(pictures, real).mean().item()}.items()
    }


def _seen_right(images: Tensor, asked: Prompts) -> dict[str, float]:
    """Shares of objects whose shape and whose colour is right at its place."""
    reading, there = read(images), asked.records.present
    return {
        name: (getattr(reading, name) == getattr(asked.records, name))[there].double().mean().item()
        for name in ("shape", "color")
    }


def _upscaling_verdict(rows: list[Row]) -> Verdict:
    shape, color, noise = (grouped(rows, "given", name) for name in ("shape", "color", "psnr"))
    first, both = GIVEN
    stretched = {name: fmean(row[f"stretched_{name}"] for row in rows) for name in ("shape", "color", "psnr")}
    numbers = "; ".join(
        f"from the {given} {said(shape[given])} of the shapes, {said(color[given])} of the colours, PSNR {fmean(noise[given]):.1f} dB"
        for given in GIVEN
    )
    why = (
        f"Right are, {numbers}; of the small picture stretched {stretched['shape']:.2f} and {stretched['color']:.2f}, "
        f"{stretched['psnr']:.1f} dB. Drawn are {SMALL_SIZE * 8} x {SMALL_SIZE * 8} pixels out of {SMALL_SIZE} x {SMALL_SIZE}."
    )
    if clearly_more(shape[both], shape[first]):
        return Verdict("holds here", f"The text tells what the small picture cannot. {why}")
    return Verdict("does not hold here", f"The text adds nothing to the small picture. {why}")


def _upscaling_figure(rows: list[Row]) -> "Figure":
    names, kinds = ("shape", "color"), ("stretched", *GIVEN)
    figure, axes = plots.figure(width=5.6, height=2.8)
    for number, name in enumerate(names):
        shares = {"stretched": [row[f"stretched_{name}"] for row in rows]} | grouped(rows, "given", name)
        shares = {kind.replace(" and", "\nand"): shares[kind] for kind in kinds}
        plots.group_bars(axes[0, 0], shares, name, number, len(names), plots.COLORS[number])
    axes[0, 0].set(ylabel="share right", ylim=(0, 1.03))
    axes[0, 0].legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(names))
    return figure


UPSCALING = Experiment(
    name="t2i-upscaling",
    question="A picture of 4 x 4 pixels is made 32 x 32: does the text help?",
    notebook=NOTEBOOK,
    grid=grid(given=GIVEN, seed=range(2)),
    run=_upscaling_run,
    verdict=_upscaling_verdict,
    figure=_upscaling_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (
    *DALLE_EXPERIMENTS,
    GUIDANCE_STUDY, STEPS_STUDY, NEGATIVE_PROMPT, MANY_THINGS, UNSAID, TEXT_ENCODER, IMPROVEMENTS, BAD_START, UPSCALING,
)  # fmt: skip
