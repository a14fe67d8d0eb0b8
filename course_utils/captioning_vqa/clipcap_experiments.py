"""Studies of notebook 01_clipcap: what must learn between two finished models (claim C37), what the vector between them holds, what the way of
drawing changes, and which mistakes a likelihood notices."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from course_utils import plots, runtime, scale
from course_utils.captioning_vqa import clipcap_recipes
from course_utils.captioning_vqa.clipcap import ClipCap, Mapper
from course_utils.captioning_vqa.clipcap_recipes import (
    CLIPCAP_SCENES,
    MAPPER,
    CaptionedVectors,
    between,
    caption_ids,
    clipcap_player,
    described,
    full_captions,
    vectors,
)
from course_utils.captioning_vqa.metrics import truth_scores, word_scores
from course_utils.clip.recipes import CLIP_SCENES, SIZE
from course_utils.data import loader
from course_utils.data.scenes import COLORS, PLACES, SHAPES, SIZES, SceneRecords, captions, records, render
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grid, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = clipcap_recipes.NOTEBOOK


# --- C37: what must learn ---------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)  # every cell learns from the same
def _single_objects(length: int) -> CaptionedVectors:
    return CaptionedVectors(length, objects=1)


def _bridge_run(mapper: str, language_model: str, seed: int) -> dict[str, float]:
    """Scenes of one object, whose full captions are short, so that all four can be trained."""
    length, steps, samples = scale(smoke=(64, 3, 8), cpu=(6_000, 450, 400), gpu=(50_000, 10_000, 1000))
    torch.manual_seed(seed)
    model = between(Mapper(replace(MAPPER, kind=mapper)), frozen=language_model == "frozen")
    learns = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    rate = 2e-3 if language_model == "frozen" else 1e-3
    fit(
        clipcap_player(model, rate, ema_decay=0.98),
        loader(_single_objects(length), 64, seed=seed),
        steps,
        seed=seed,
        progress=False,
    )
    scenes = records("validation", range(samples), objects=1)
    texts = full_captions(scenes)
    found = truth_scores(described(model, vectors(render(scenes, SIZE))), scenes)
    others = truth_scores([*texts[1:], texts[0]], scenes)
    return {"trained_parameters": float(learns), **found, "chance_whole": others["whole"]}


def _bridge_groups(rows: list[Row], name: str) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        found.setdefault((row["mapper"], row["language_model"]), []).append(row[name])
    return found


def _bridge_verdict(rows: list[Row]) -> Verdict:
    right, learns = _bridge_groups(rows, "whole"), _bridge_groups(rows, "trained_parameters")
    numbers = "; ".join(
        f"{mapper} with a {writer} language model ({learns[mapper, writer][0]:,.0f} trained parameters) {said(few)}"
        for (mapper, writer), few in right.items()
    )
    chance = fmean(row["chance_whole"] for row in rows)
    frozen, tuned = (
        max((few for (_, writer), few in right.items() if writer == kind), key=fmean) for kind in ("frozen", "tuned")
    )
    why = f"Captions of one object wholly true, after equally many steps: {numbers}. The caption of another scene: {chance:.2f}."
    if fmean(frozen) >= 0.8 or not clearly_more(tuned, frozen, 0.05):
        kept = fmean(frozen) > chance + 0.2
        return Verdict(
            "holds here" if kept else "not at our scale", f"The mapper alone does as well. {why}" if kept else why
        )
    return Verdict(
        "in part" if fmean(frozen) > chance + 0.2 else "not at our scale",
        f"A language model that learns along gets further in the same time. {why}",
    )


def _bridge_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8)
    for axis, name, label in zip(
        axes[0], ("whole", "trained_parameters"), ("captions wholly true", "trained parameters"), strict=True
    ):
        found = {f"{mapper},\n{writer}": few for (mapper, writer), few in _bridge_groups(rows, name).items()}
        plots.group_bars(axis, found)
        axis.tick_params(axis="x", labelsize=7)
        axis.set_ylabel(label)
    axes[0, 0].set_ylim(0, 1.03)
    axes[0, 0].axhline(
        fmean(row["chance_whole"] for row in rows), color="gray", linestyle="--", label="another scene's"
    )
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


BRIDGE = Experiment(
    name="clipcap-bridge",
    claim="C37",
    question="Is a small mapper between frozen CLIP and a frozen language model enough, and which one?",
    notebook=NOTEBOOK,
    grid=grid(mapper=("mlp", "transformer"), language_model=("frozen", "tuned"), seed=range(2)),
    run=_bridge_run,
    verdict=_bridge_verdict,
    figure=_bridge_figure,
)


# --- what the vector holds --------------------------------------------------------------------------------------------

SOURCES = {
    "the vector": "CLIP's vector, 128",
    "before its projection": "before its projection, 384",
    "the map": "the map, 16 x 384",
}
ATTRIBUTES = {"present": 2, "shape": len(SHAPES), "color": len(COLORS), "size": len(SIZES)}
"""What stands at each of the four places, and how many values it has."""


@torch.inference_mode()
def _seen(scenes: SceneRecords, source: str) -> Tensor:
    """What the image encoder of `clip-scenes` makes of scenes, (scenes, numbers) on the CPU."""
    encoder = load(CLIP_SCENES).image_encoder

    def read(images: Tensor) -> Tensor:
        features = encoder.features(images.to(runtime.device()))
        if source == "the map":
            return features.flatten(1)
        return (encoder.attention_pool if source == "the vector" else encoder.attention_pool.seen)(features)

    parts = torch.arange(len(scenes)).split(clipcap_recipes.CHUNK)
    return torch.cat([read(render(scenes[part], SIZE)).cpu() for part in parts])


class _Readable(Dataset):
    """Scenes to be read, made once. Batches hold `seen` (batch, numbers) and each of ATTRIBUTES, (batch, places) int64, -1 where nothing is."""

    def __init__(self, scenes: SceneRecords, source: str):
        self.rows = {"seen": _seen(scenes, source)} | {name: getattr(scenes, name).long() for name in ATTRIBUTES}

    def __len__(self) -> int:
        return len(self.rows["seen"])

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {name: values[torch.as_tensor(indices)] for name, values in self.rows.items()}


class _Reader(nn.Module):
    """An MLP from what was seen to logits (batch, places, values) of each of ATTRIBUTES."""

    def __init__(self, seen: Tensor):
        super().__init__()
        self.register_buffer("mean", seen.mean(dim=0))
        self.register_buffer("std", seen.std(dim=0) + 1e-6)
        outputs = len(PLACES) * sum(ATTRIBUTES.values())
        self.mlp = nn.Sequential(
            nn.Linear(seen.shape[1], 512), nn.GELU(), nn.LayerNorm(512), nn.Linear(512, 512), nn.GELU(), nn.Linear(512, outputs),
        )  # fmt: skip

    def forward(self, seen: Tensor) -> dict[str, Tensor]:
        logits = self.mlp((seen - self.mean) / self.std).unflatten(1, (len(PLACES), -1))
        return dict(zip(ATTRIBUTES, logits.split(list(ATTRIBUTES.values()), dim=2), strict=True))


def _vector_run(source: str) -> dict[str, float]:
    """An MLP reads all attributes at all four places; `whole`: every one is right (there is no size or colour to read where nothing is)."""
    length, steps, samples = scale(smoke=(256, 3, 16), cpu=(16_000, 1_500, 1_000), gpu=(50_000, 10_000, 1_000))
    torch.manual_seed(0)
    data, held_out = _Readable(records("train", range(length)), source), records("validation", range(samples))
    reader = _Reader(data.rows["seen"])

    def objective(batch: dict[str, Tensor]) -> tuple[Tensor, dict]:
        logits = reader(batch["seen"])
        losses = [F.cross_entropy(logits[name].mT, batch[name], ignore_index=-1) for name in ATTRIBUTES]
        return torch.stack(losses).sum(), {}

    fit(Player("reader", reader, objective, 2e-3, weight_decay=0.05), loader(data, 256), steps, progress=False)
    new = _Readable(held_out, source).rows
    with torch.inference_mode():
        read = reader(new["seen"].to(runtime.device()))
    there = held_out.present
    right = {name: logits.argmax(dim=2).cpu() == new[name] for name, logits in read.items()}
    whole = torch.stack([right[name] | ((name != "present") & ~there) for name in ATTRIBUTES]).all(dim=0).all(dim=1)
    count = there.sum(dim=1)
    return {
        **{name: right[name][there].double().mean().item() for name in ("shape", "color", "size")},
        "whole": whole.double().mean().item(),
        **{f"whole_of_{number}": whole[count == number].double().mean().item() for number in range(1, len(PLACES) + 1)},
    }


def _vector_verdict(rows: list[Row]) -> Verdict:
    whole = {row["source"]: row["whole"] for row in rows}

    def by_count(row: Row) -> str:
        return ", ".join(f"{row[name]:.2f}" for name in row if name.startswith("whole_of_"))

    numbers = "; ".join(
        f"{SOURCES[row['source']]}: {row['whole']:.2f} (with 1 to {len(PLACES)} objects {by_count(row)})"
        for row in rows
    )
    why = f"Held-out scenes of which an MLP reads every shape, colour, size and place rightly: {numbers}."
    if whole["the map"] > whole["the vector"] + 0.2:
        return Verdict("does not hold here", f"The vector has lost what the map still has. {why}")
    return Verdict("holds here", why)


def _vector_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=3.0)
    axis = axes[0, 0]
    counts = range(1, len(PLACES) + 1)
    for color, row in zip(plots.COLORS, rows, strict=False):
        axis.plot(
            counts,
            [row[f"whole_of_{number}"] for number in counts],
            color=color,
            marker="o",
            label=SOURCES[row["source"]],
        )
    axis.set(xlabel="objects in the scene", ylabel="all attributes read rightly", ylim=(0, 1.03))
    axis.set_xticks(list(counts))
    axis.legend(frameon=False, fontsize=8)
    return figure


VECTOR = Experiment(
    name="clipcap-vector",
    question="Does one vector of CLIP hold which object has which shape, colour, size and place?",
    notebook=NOTEBOOK,
    grid=grid(source=tuple(SOURCES)),
    run=_vector_run,
    verdict=_vector_verdict,
    figure=_vector_figure,
)


# --- the way of drawing -----------------------------------------------------------------------------------------------

WAYS: dict[str, dict[str, float]] = {
    "greedy": {},
    "3 beams": {"num_beams": 3},
    "nucleus 0.9": {"temperature": 1.0, "top_p": 0.9},
    "all tokens": {"temperature": 1.0},
}
DRAWN = 4  # captions of each picture where they are drawn


def _drawing_run(way: str, seed: int) -> dict[str, float]:
    """`different`: the share of a picture's captions that are no repetition of another; `cider`: likeness to three captions of the scene."""
    samples = scale(smoke=4, cpu=250, gpu=1000)
    model, draw = load(CLIPCAP_SCENES), runtime.generator(seed)
    scenes = records("validation", range(samples))
    seen = vectors(render(scenes, SIZE))
    texts = [described(model, seen, draw, **WAYS[way]) for _ in range(DRAWN)]
    scores = [truth_scores(few, scenes) for few in texts]
    references = [[caption.text for caption in few] for few in captions(scenes, levels=("full", "places", "objects"))]
    return {
        **{name: fmean(score[name] for score in scores) for name in ("true", "complete", "whole")},
        "different": fmean(len(set(few)) / DRAWN for few in zip(*texts, strict=True)),
        "cider": word_scores(texts[0], references)["cider"],
    }


def _drawing_verdict(rows: list[Row]) -> Verdict:
    whole, different, cider = (grouped(rows, "way", name) for name in ("whole", "different", "cider"))
    numbers = "; ".join(
        f"{way} {said(whole[way])}, different {fmean(different[way]):.2f}, CIDEr {fmean(cider[way]):.2f}"
        for way in whole
    )
    why = f"Captions wholly true, the share of {DRAWN} that are different, and CIDEr: {numbers}."
    if clearly_more(whole["greedy"], whole["all tokens"], 0.02):
        return Verdict("holds here", f"Variety costs truth. {why}")
    return Verdict("does not hold here", f"Variety costs no truth. {why}")


def _drawing_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.0, height=3.0)
    axis, names = axes[0, 0], {"whole": "wholly true", "true": "true", "different": "different"}
    for number, (name, label) in enumerate(names.items()):
        plots.group_bars(axis, grouped(rows, "way", name), label, number, len(names))
    axis.set(ylim=(0, 1.03), ylabel="share")
    axis.legend(frameon=False, fontsize=7)
    return figure


DRAWING = Experiment(
    name="clipcap-drawing",
    question="Greedy, with beams or drawn from a nucleus: how true are the captions, and how different those of one picture?",
    notebook=NOTEBOOK,
    grid=grid(way=tuple(WAYS), seed=range(2)),
    run=_drawing_run,
    verdict=_drawing_verdict,
    figure=_drawing_figure,
)


# --- broken: two objects swap attributes ------------------------------------------------------------------------------

SWAPS: dict[str, tuple[str, ...]] = {"colours": ("color",), "shapes": ("shape",), "places": ("shape", "color", "size")}


def two_objects(split: str, samples: int) -> SceneRecords:
    """Scenes of two objects that differ in shape and in colour."""
    scenes = records(split, range(4 * samples), objects=2)
    places = _places(scenes)
    shape, color = (values.gather(1, places) for values in (scenes.shape, scenes.color))
    kept = ((shape[:, 0] != shape[:, 1]) & (color[:, 0] != color[:, 1])).nonzero()[:samples, 0]
    return scenes[kept]


def _places(scenes: SceneRecords) -> Tensor:
    """Where the two objects are, (batch, 2)."""
    return (~scenes.present).int().argsort(dim=1, stable=True)[:, :2]


def swapped(scenes: SceneRecords, swap: str) -> SceneRecords:
    """The same scenes of two objects, which have exchanged what `SWAPS` says. Their captions have the same words, in the same phrasing."""
    places = _places(scenes)
    changed = {
        name: (values := getattr(scenes, name)).scatter(1, places, values.gather(1, places.flip(1)))
        for name in SWAPS[swap]
    }
    return replace(scenes, **changed)


@torch.inference_mode()
def caption_log_p(model: ClipCap, features: Tensor, texts: list[str]) -> Tensor:
    """log p of each text given its picture, in nats: (texts,) on the CPU."""
    device, (ids, mask) = next(model.parameters()).device, caption_ids(texts)
    parts = zip(*(part.split(clipcap_recipes.CHUNK) for part in (features, ids, mask)), strict=True)
    found = []
    for seen, words, real in parts:
        logits = model(*(part.to(device) for part in (seen, words, real))).cpu()
        losses = F.cross_entropy(logits.mT, words, reduction="none")
        found.append(-(losses * real).sum(1))
    return torch.cat(found)


def _swap_run(swap: str, split: str) -> dict[str, float]:
    samples = scale(smoke=6, cpu=300, gpu=1000)
    model, scenes = load(CLIPCAP_SCENES), two_objects(split, samples)
    other = swapped(scenes, swap)
    seen, own, wrong = vectors(render(scenes, SIZE)), full_captions(scenes), full_captions(other)
    gain = caption_log_p(model, seen, own) - caption_log_p(model, seen, wrong)
    said_here = described(model, seen)
    references = [[text] for text in own]
    return {
        "own_likelier": (gain > 0).double().mean().item(),
        "written_true": truth_scores(said_here, scenes)["whole"],
        "written_swapped": truth_scores(said_here, other)["whole"],
        "cider_own": word_scores(own, references)["cider"],
        "cider_swapped": word_scores(wrong, references)["cider"],
        "swapped_true": truth_scores(wrong, scenes)["whole"],
    }


def _swap_verdict(rows: list[Row]) -> Verdict:
    numbers = "; ".join(
        f"{row['swap']} ({row['split']}): own likelier {row['own_likelier']:.2f}, written captions wholly true {row['written_true']:.2f}, true but "
        f"for the exchange {row['written_swapped']:.2f}"
        for row in rows
    )
    kept = fmean(row["cider_swapped"] / row["cider_own"] for row in rows)
    why = f"{numbers}. A wrong caption of the same words keeps {kept:.2f} of the CIDEr that the true one would get."
    if max(row["written_swapped"] for row in rows) > 0.1:
        return Verdict("holds here", f"Objects exchange what they have. {why}")
    return Verdict("in part" if min(row["own_likelier"] for row in rows) < 0.9 else "does not hold here", why)


def _swap_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8)
    names = {
        "own_likelier": "true one likelier",
        "written_true": "written, wholly true",
        "written_swapped": "written, exchanged",
    }
    for axis, (split, title) in zip(
        axes[0], (("test", "held-out scenes"), ("compositional", "unseen pairs")), strict=True
    ):
        few = [row for row in rows if row["split"] == split]
        for number, (name, label) in enumerate(names.items()):
            plots.group_bars(axis, grouped(few, "swap", name), label, number, len(names))
        axis.set(title=title, ylim=(0, 1.03), ylabel="share")
        axis.axhline(0.5, color="gray", linestyle="--")
    axes[0, 1].legend(frameon=False, fontsize=7)
    return figure


SWAPPED = Experiment(
    name="clipcap-swapped",
    question="Two objects exchange colours, shapes or places in a caption: does the model notice, and does it write such captions?",
    notebook=NOTEBOOK,
    grid=grid(split=("test", "compositional"), swap=tuple(SWAPS)),
    run=_swap_run,
    verdict=_swap_verdict,
    figure=_swap_figure,
)

CLIPCAP_EXPERIMENTS: tuple[Experiment, ...] = (BRIDGE, VECTOR, DRAWING, SWAPPED)
"""`course experiment clipcap-bridge`, and so on."""
