"""Studies of notebook 01_dalle: how well prompts are followed (claim C31), what choosing among many, guidance and the way of drawing buy, codes
of two kinds, and what goes wrong with long prompts and with two objects."""

import functools
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import VQVAE_SCENES, decoded, encoded, relaxed_player, vqvae_player
from course_utils.autoencoders.vqvae import VQVAE, VQVAEConfig, used_codes
from course_utils.data import Scenes, loader
from course_utils.data.scenes import SceneRecords, render
from course_utils.text_to_image import dalle_recipes
from course_utils.text_to_image.dalle import Dalle
from course_utils.text_to_image.dalle_recipes import (
    DALLE_SCENES,
    NETWORK,
    CaptionedCodes,
    by_clip,
    dalle_player,
    drawn,
    text_ids,
)
from course_utils.text_to_image.prompts import Prompts, clip_score, match, prompts, read, verdicts
from course_utils.training import Experiment, Verdict, clearly_more, fit, grid, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = dalle_recipes.NOTEBOOK
BEST_OF = 8


def _lines(rows: list[Row], key: str, names: dict[str, str], label: str, log: bool = False) -> "Figure":
    """Shares by a setting: the mean over seeds as a line, each seed as a dot."""
    figure, axes = plots.figure(width=5.6, height=3.0)
    axis = axes[0, 0]
    for color, (name, shown) in zip(plots.COLORS, names.items(), strict=False):
        points = sorted(grouped(rows, key, name).items())
        axis.plot([x for x, _ in points], [fmean(few) for _, few in points], marker="o", color=color, label=shown)
        axis.scatter([row[key] for row in rows], [row[name] for row in rows], color=color, s=8)
    axis.set(xlabel=label, ylabel="share", ylim=(0, 1.03), xscale="log" if log else "linear")
    axis.set_xticks([x for x, _ in points], [f"{x:.2g}" for x, _ in points])
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


# --- C31: pictures from a prompt --------------------------------------------------------------------------------------


def _prompt_run(objects: int, split: str) -> dict[str, float]:
    samples, count = scale(smoke=(4, 2), cpu=(150, BEST_OF), gpu=(1000, BEST_OF))
    asked = prompts(split, samples, objects=objects, start=2000)
    images = drawn(load(DALLE_SCENES), asked.texts, runtime.generator(objects), count)
    best, first = match(by_clip(images, asked.texts)[:, 0], asked), match(images[:, 0], asked)
    others, real = match(render(asked.records).roll(1, 0), asked), _autoencoded(asked.records)
    return {
        "all_right": best["all_right"],
        "attributes": best["attributes"],
        "first_all_right": first["all_right"],
        "chance_all_right": others["all_right"],
        "chance_attributes": others["attributes"],
        "autoencoded_all_right": match(real, asked)["all_right"],
    }


def _autoencoded(scenes: SceneRecords) -> Tensor:
    """Renderings, sent through `vqvae-scenes`."""
    model = load(VQVAE_SCENES)
    return decoded(model, *encoded(model, render(scenes)))


def _prompt_verdict(rows: list[Row]) -> Verdict:
    kinds = {split: [row for row in rows if row["split"] == split] for split in ("test", "compositional")}
    right = {split: [row["all_right"] for row in few] for split, few in kinds.items()}
    chance = [row["chance_all_right"] for row in rows]
    numbers = ", ".join(f"{row['objects']}: {row['all_right']:.2f}" for row in kinds["test"])
    unseen = ", ".join(f"{row['objects']}: {row['all_right']:.2f}" for row in kinds["compositional"])
    why = (
        f"Prompts wholly right by their number of objects, the best of {BEST_OF} by CLIP: {numbers}; with a pair of shape and colour that training "
        f"never shows: {unseen}. Real pictures of other prompts: {fmean(chance):.2f}; real ones through the autoencoder: "
        f"{fmean(row['autoencoded_all_right'] for row in rows):.2f}."
    )
    if fmean(right["test"]) >= 0.5 and min(right["test"]) > 2 * max(chance):
        return Verdict("holds here", why)
    return Verdict("in part" if fmean(right["test"]) > 2 * fmean(chance) + 0.05 else "does not hold here", why)


def _prompt_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=5.6, height=3.0)
    axis = axes[0, 0]
    for color, split, label in (
        (plots.COLORS[0], "test", "held-out scenes"),
        (plots.COLORS[1], "compositional", "unseen pairs"),
    ):
        few = [row for row in rows if row["split"] == split]
        count = [row["objects"] for row in few]
        axis.plot(
            count, [row["all_right"] for row in few], marker="o", color=color, label=f"{label}, best of {BEST_OF}"
        )
        axis.plot(count, [row["first_all_right"] for row in few], marker=".", linestyle=":", color=color, label="one")
    test = [row for row in rows if row["split"] == "test"]
    for style, name, label in (
        ("--", "autoencoded_all_right", "autoencoded real"),
        ("-.", "chance_all_right", "real ones of other prompts"),
    ):
        axis.plot(
            [row["objects"] for row in test], [row[name] for row in test], color="gray", linestyle=style, label=label
        )
    axis.set(xlabel="objects in the prompt", ylabel="wholly right", ylim=(-0.03, 1.03), xticks=(1, 2, 3, 4))
    axis.legend(frameon=False, fontsize=7)
    return figure


PROMPT = Experiment(
    name="dalle-prompt",
    claim="C31",
    question="How often is all that a prompt says true of the picture, for one to four objects, seen pairs and unseen ones?",
    notebook=NOTEBOOK,
    grid=grid(split=("test", "compositional"), objects=(1, 2, 3, 4)),
    run=_prompt_run,
    verdict=_prompt_verdict,
    figure=_prompt_figure,
)


# --- the best of n ----------------------------------------------------------------------------------------------------

MOST = 32  # pictures for each prompt


@functools.lru_cache(maxsize=1)  # every n chooses among the first n of the same pictures
def _candidates(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each prompt's pictures whether all is right, the share of right attributes, and the similarity to the text: (prompts, MOST) each."""
    samples, most = scale(smoke=(4, 3), cpu=(120, MOST), gpu=(1000, MOST))
    asked = prompts("validation", samples)
    images = drawn(load(DALLE_SCENES), asked.texts, runtime.generator(seed), most)
    found = [verdicts(few, asked) for few in images.unbind(1)]
    similar = [clip_score(few, asked.texts) for few in images.unbind(1)]
    right, attributes = (torch.stack([one[name] for one in found], 1) for name in ("all_right", "attributes"))
    return right, attributes, torch.stack(similar, 1)


def _rerank_run(n: int, seed: int) -> dict[str, float]:
    right, attributes, similar = (values[:, :n] for values in _candidates(seed))
    chosen = similar.argmax(1, keepdim=True)
    return {
        "all_right": right.gather(1, chosen).mean().item(),
        "attributes": attributes.gather(1, chosen).mean().item(),
        "any_right": right.max(1).values.mean().item(),
        "clip_score": similar.gather(1, chosen).mean().item(),
    }


def _rerank_verdict(rows: list[Row]) -> Verdict:
    right, possible = (grouped(rows, "n", name) for name in ("all_right", "any_right"))
    numbers = ", ".join(f"{n}: {said(few)}" for n, few in right.items())
    why = (
        f"Prompts wholly right by the number of pictures to choose from: {numbers}. Among {max(right)} a wholly right one is there for "
        f"{said(possible[max(right)])} of them."
    )
    best = max(right, key=lambda n: fmean(right[n]))
    if not clearly_more(right[best], right[1], 0.02):
        return Verdict("does not hold here", f"Choosing by CLIP does not help clearly. {why}")
    if clearly_more(right[best], right[max(right)], 0.02):
        return Verdict("in part", f"Choosing by CLIP helps, most among {best}; among more it helps less again. {why}")
    return Verdict("holds here", f"Choosing by CLIP helps, the more there are. {why}")


RERANK = Experiment(
    name="dalle-rerank",
    question="How much better are prompts followed when CLIP chooses among n pictures?",
    notebook=NOTEBOOK,
    grid=grid(seed=range(2), n=(1, 2, 4, 8, 16, MOST)),  # in this order all n of a seed share their pictures
    run=_rerank_run,
    verdict=_rerank_verdict,
    figure=lambda rows: _lines(
        rows,
        "n",
        {
            "any_right": "one of the n is wholly right",
            "all_right": "CLIP's choice wholly right",
            "attributes": "its attributes",
        },
        "pictures to choose from, n",
        log=True,
    ),
)


# --- guidance, and the way of drawing ---------------------------------------------------------------------------------


def _scores(seed: int, **settings: float) -> dict[str, float]:
    """How far prompts are followed; `variety` is the share of prompts without a background whose two pictures differ in it."""
    samples, few = scale(smoke=(4, 2), cpu=(150, 60), gpu=(1000, 500))
    model, draw = load(DALLE_SCENES), runtime.generator(seed)
    asked, loose = prompts("validation", samples), prompts("validation", few, level="relation")
    found = match(drawn(model, asked.texts, draw, **settings)[:, 0], asked)
    first, second = (read(images).background for images in drawn(model, loose.texts, draw, 2, **settings).unbind(1))
    return {
        "all_right": found["all_right"],
        "attributes": found["attributes"],
        "variety": (first != second).double().mean().item(),
    }


def _guidance_run(guidance_scale: float, seed: int) -> dict[str, float]:
    return _scores(seed, guidance_scale=guidance_scale)


def _guidance_verdict(rows: list[Row]) -> Verdict:
    right, variety = (grouped(rows, "guidance_scale", name) for name in ("all_right", "variety"))
    best = max(right, key=lambda value: fmean(right[value]))
    numbers = ", ".join(f"{value:g}: {said(few)}" for value, few in right.items())
    varied = ", ".join(f"{value:g}: {fmean(few):.2f}" for value, few in variety.items())
    why = (
        f"Prompts wholly right by guidance scale: {numbers}. Two pictures of a prompt that names no background differ in it: {varied} "
        f"(real scenes: {5 / 6:.2f})."
    )
    if best > 1 and clearly_more(right[best], right[1.0]):
        return Verdict("holds here", f"Guidance helps, most at {best:g}. {why}")
    return Verdict("does not hold here", f"Prompts are followed as well without guidance. {why}")


GUIDANCE = Experiment(
    name="dalle-guidance",
    question="How does the guidance scale change how prompts are followed, and how varied the pictures are?",
    notebook=NOTEBOOK,
    grid=grid(guidance_scale=(1.0, 1.5, 2.0, 3.0, 5.0, 8.0), seed=range(2)),
    run=_guidance_run,
    verdict=_guidance_verdict,
    figure=lambda rows: _lines(
        rows,
        "guidance_scale",
        {"all_right": "wholly right", "attributes": "attributes", "variety": "variety"},
        "guidance scale",
    ),
)

KEPT: dict[str, dict[str, float]] = {"all": {}, "the 10 likeliest": {"top_k": 10}, "0.9 of p": {"top_p": 0.9}}


def _sampling_run(kept: str, temperature: float, seed: int) -> dict[str, float]:
    settings = {"top_p": 1.0} | KEPT[kept]
    return _scores(seed, temperature=temperature, guidance_scale=1.0, **settings)


def _sampling_verdict(rows: list[Row]) -> Verdict:
    hot, cold = (max(row["temperature"] for row in rows), min(row["temperature"] for row in rows))
    right = {
        (row["kept"], row["temperature"]): [
            other["all_right"]
            for other in rows
            if (other["kept"], other["temperature"]) == (row["kept"], row["temperature"])
        ]
        for row in rows
    }
    numbers = "; ".join(
        f"{kept}: " + ", ".join(f"{t:g}: {said(few)}" for (other, t), few in right.items() if other == kept)
        for kept in KEPT
    )
    varied = {t: fmean(row["variety"] for row in rows if row["temperature"] == t) for t in (cold, hot)}
    why = (
        f"Prompts wholly right without guidance, by what is kept and temperature: {numbers}. Variety {varied[cold]:.2f} at {cold:g}, "
        f"{varied[hot]:.2f} at {hot:g}."
    )
    saved = all(clearly_more(right[kept, hot], right["all", hot]) for kept in KEPT if kept != "all")
    if clearly_more(right["all", cold], right["all", hot]) and saved:
        return Verdict("holds here", f"Heat costs what the prompt says, and cutting off the unlikely saves it. {why}")
    return Verdict("in part" if clearly_more(right["all", cold], right["all", hot]) else "does not hold here", why)


def _sampling_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8)
    for axis, name in zip(axes[0], ("all_right", "variety"), strict=True):
        for color, kept in zip(plots.COLORS, KEPT, strict=False):
            few = [row for row in rows if row["kept"] == kept]
            points = sorted(grouped(few, "temperature", name).items())
            axis.plot([x for x, _ in points], [fmean(y) for _, y in points], marker="o", color=color, label=kept)
        axis.set(xlabel="temperature", ylabel=name.replace("_", " "), ylim=(0, 1.03))
    axes[0, 0].legend(frameon=False)
    return figure


SAMPLING = Experiment(
    name="dalle-sampling",
    question="What do temperature, top-k and top-p change?",
    notebook=NOTEBOOK,
    grid=grid(kept=tuple(KEPT), temperature=(0.25, 0.5, 1.0, 1.5), seed=range(2)),
    run=_sampling_run,
    verdict=_sampling_verdict,
    figure=_sampling_figure,
)


# --- codes of two kinds -----------------------------------------------------------------------------------------------

SMALL = replace(NETWORK, text_length=24, num_codes=128, width=96, depth=3)
CODES = VQVAEConfig(widths=(32, 64), num_codes=128, code_dim=16)


def _codes_run(codes: str, seed: int) -> dict[str, float]:
    """An autoencoder and a transformer of its codes, both trained briefly, on scenes of one object."""
    first, second, length, samples = scale(
        smoke=(3, 3, 64, 4), cpu=(900, 1500, 10_000, 200), gpu=(20_000, 20_000, 30_000, 1000)
    )
    model = VQVAE(replace(CODES, quantizer="gumbel" if codes == "Gumbel" else "ema"))
    scenes = Scenes("train", length=length, fields=("image",), objects=1)
    player = relaxed_player(model, first) if codes == "Gumbel" else vqvae_player(model, scenes[range(64)]["image"])
    fit(player, loader(scenes, 32, seed=seed), first, seed=seed, progress=False)
    model = model.to(runtime.device()).eval()
    data = CaptionedCodes(length, model, objects=1, levels=("full",))
    data.texts = data.texts[:, :, : SMALL.text_length]  # one object takes no more words
    network = Dalle(SMALL)
    fit(dalle_player(network), loader(data, 32, seed=seed), second, seed=seed, progress=False)
    asked = prompts("validation", samples, objects=1)
    grids = encoded(model, render(asked.records))[0]
    ids, mask = text_ids(asked.texts, SMALL.text_length)
    network = network.to(runtime.device()).eval()
    with torch.inference_mode():
        losses = network.losses(*(part.to(runtime.device()) for part in (ids, mask, grids)))
    pictures = drawn(network, asked.texts, runtime.generator(seed), autoencoder=model)[:, 0]
    return {
        "autoencoded_all_right": match(decoded(model, grids), asked)["all_right"],
        "used_codes": used_codes(grids, CODES.num_codes),
        "nats_a_code": losses.codes.item(),
        "all_right": match(pictures, asked)["all_right"],
        "attributes": match(pictures, asked)["attributes"],
    }


def _codes_verdict(rows: list[Row]) -> Verdict:
    right = {
        name: grouped(rows, "codes", name)
        for name in ("all_right", "autoencoded_all_right", "used_codes", "nats_a_code")
    }
    numbers = "; ".join(
        f"{kind}: {said(right['all_right'][kind])} of the prompts wholly right, {said(right['autoencoded_all_right'][kind])} of autoencoded real "
        f"pictures, {said(right['used_codes'][kind])} of the codes in use, {said(right['nats_a_code'][kind])} nats a code"
        for kind in right["all_right"]
    )
    nearest, relaxed = right["all_right"]["VQ"], right["all_right"]["Gumbel"]
    if clearly_more(nearest, relaxed) or clearly_more(relaxed, nearest):
        better = "VQ" if fmean(nearest) > fmean(relaxed) else "Gumbel"
        return Verdict("holds here", f"The kind of codes matters: {better} is better in equally many steps. {numbers}.")
    return Verdict("does not hold here", f"Neither kind of codes is clearly better in equally many steps. {numbers}.")


def _codes_figure(rows: list[Row]) -> "Figure":
    names = {
        "autoencoded_all_right": "autoencoded real ones\nwholly right",
        "all_right": "prompts\nwholly right",
        "attributes": "attributes\nof prompts",
        "used_codes": "codes in use",
    }
    figure, axes = plots.figure(width=6.4, height=3.0)
    axis, kinds = axes[0, 0], ("VQ", "Gumbel")
    for shift, (color, kind) in enumerate(zip(plots.COLORS, kinds, strict=False)):
        few = [row for row in rows if row["codes"] == kind]
        places = [number + 0.4 * shift - 0.2 for number in range(len(names))]
        axis.bar(places, [fmean(row[name] for row in few) for name in names], width=0.36, color=color, label=kind)
        for row in few:
            axis.scatter(places, [row[name] for name in names], color="black", s=6, zorder=3)
    axis.set(ylabel="share", ylim=(0, 1.03))
    axis.set_xticks(range(len(names)), names.values())
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(kinds))
    return figure


CODES_STUDY = Experiment(
    name="dalle-codes",
    question="Do codes of running means or relaxed ones, as the paper's, serve a transformer better?",
    notebook=NOTEBOOK,
    grid=grid(codes=("VQ", "Gumbel"), seed=range(2)),
    run=_codes_run,
    verdict=_codes_verdict,
    figure=_codes_figure,
)


# --- broken: long prompts, and two objects ----------------------------------------------------------------------------


def _long_run(fillers: int) -> dict[str, float]:
    samples = scale(smoke=4, cpu=200, gpu=1000)
    asked = prompts("test", samples, "relation", 1)
    # "a" stands in nearly every caption; "there" inside of one would be pieces that none has
    texts = ["a " * fillers + caption.text.removeprefix("There is ") for caption in asked.captions]
    images = drawn(load(DALLE_SCENES), texts, runtime.generator(fillers))[:, 0]
    found = match(images, asked)
    return {
        "tokens": float(text_ids(texts, 200)[1].sum(1).double().mean().item()),
        "all_right": found["all_right"],
        "color": found["color"],
        "single_object": found["single_object"],
    }


def _long_verdict(rows: list[Row]) -> Verdict:
    right = {row["tokens"]: row["all_right"] for row in rows}
    numbers = ", ".join(f"{tokens:.0f} tokens: {share:.2f}" for tokens, share in right.items())
    why = f'Prompts of one object that come true, behind "a" again and again: {numbers}. '
    why += f"Training captions have up to 49 tokens; beyond {NETWORK.text_length} the end is cut off."
    longest = max(tokens for tokens in right if tokens <= NETWORK.text_length)
    if right[longest] < right[min(right)] - 0.1:
        return Verdict("holds here", f"What says nothing more makes prompts be missed. {why}")
    return Verdict("does not hold here", f"Words that say nothing do little harm. {why}")


LONG = Experiment(
    name="dalle-long-prompts",
    question="Is a prompt still followed behind words that say nothing, and when it is longer than the model has positions?",
    notebook=NOTEBOOK,
    grid=grid(fillers=(0, 4, 8, 16, 32, 40, 48)),
    run=_long_run,
    verdict=_long_verdict,
    figure=lambda rows: _lines(
        rows,
        "tokens",
        {"all_right": "object, colour and place", "color": "colour", "single_object": "object"},
        "tokens of the prompt",
    ),
)


def two_objects(split: str, samples: int) -> Prompts:
    """Prompts of two objects that differ in shape and in colour, "Only a red circle and a blue star": the first that there are."""
    asked = prompts(split, 3 * samples, "objects", 2, start=5000)
    shape, color = _in_order(asked.records)
    kept = ((shape[:, 0] != shape[:, 1]) & (color[:, 0] != color[:, 1])).nonzero()[:samples, 0].tolist()
    return Prompts([asked.captions[number] for number in kept], asked.records[kept])


def _in_order(scenes: SceneRecords) -> tuple[Tensor, Tensor]:
    """Shape and colour of the two objects, (batch, 2) each, in the order of their places."""
    first = (~scenes.present).int().argsort(dim=1, stable=True)[:, :2]
    return scenes.shape.gather(1, first), scenes.color.gather(1, first)


def _holds(seen: SceneRecords, shape: Tensor, color: Tensor) -> Tensor:
    """Whether an object of this shape and colour, (batch,) each, is in the picture: (batch,) bool."""
    return ((seen.shape == shape[:, None]) & (seen.color == color[:, None])).any(1)


def landed(images: Tensor, asked: Prompts) -> dict[str, Tensor]:
    """Where the colours of `two_objects` landed.

    Returns:
        (batch,) bool each: `own`, both with their object; `exchanged`, each with the other's; `shapes`, both shapes are there; `colors`, both
        colours are.
    """
    seen, (shape, color) = read(images), _in_order(asked.records)
    return {
        "own": _holds(seen, shape[:, 0], color[:, 0]) & _holds(seen, shape[:, 1], color[:, 1]),
        "exchanged": _holds(seen, shape[:, 0], color[:, 1]) & _holds(seen, shape[:, 1], color[:, 0]),
        "shapes": (seen.shape[:, :, None] == shape[:, None]).any(1).all(1),
        "colors": (seen.color[:, :, None] == color[:, None]).any(1).all(1),
    }


def _binding_run(split: str, guidance_scale: float) -> dict[str, float]:
    asked = two_objects(split, scale(smoke=4, cpu=250, gpu=1000))
    images = drawn(load(DALLE_SCENES), asked.texts, runtime.generator(1), guidance_scale=guidance_scale)[:, 0]
    return {name: values.double().mean().item() for name, values in landed(images, asked).items()}


def _binding_verdict(rows: list[Row]) -> Verdict:
    numbers = "; ".join(
        f"{row['split']}, guidance {row['guidance_scale']:g}: own {row['own']:.2f}, exchanged {row['exchanged']:.2f}, both shapes "
        f"{row['shapes']:.2f}, both colours {row['colors']:.2f}"
        for row in rows
    )
    worst, best = (edge(row["own"] for row in rows) for edge in (min, max))
    swapped = max(row["exchanged"] for row in rows)
    why = (
        f"Both objects have their own colour in {worst:.2f} to {best:.2f} of the pictures; both have the other's in at most {swapped:.2f}. "
        f"{numbers}."
    )
    if swapped > 0.1:
        return Verdict("holds here", f"Colours land on the wrong object. {why}")
    return Verdict("in part" if worst < 0.8 else "does not hold here", why)


def _binding_figure(rows: list[Row]) -> "Figure":
    names = {"own": "own", "exchanged": "exchanged", "shapes": "both shapes", "colors": "both colours"}
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8)
    for axis, (split, title) in zip(
        axes[0], (("test", "held-out scenes"), ("compositional", "one unseen pair")), strict=True
    ):
        few = [row for row in rows if row["split"] == split]
        for shift, (color, row) in enumerate(zip(plots.COLORS, few, strict=False)):
            axis.bar(
                [number + 0.26 * shift - 0.26 for number in range(len(names))],
                [row[name] for name in names],
                width=0.24,
                color=color,
                label=f"guidance {row['guidance_scale']:g}",
            )
        axis.set(title=title, ylim=(0, 1.03), ylabel="share")
        axis.set_xticks(range(len(names)), names.values(), fontsize=7)
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


BINDING = Experiment(
    name="dalle-binding",
    question='"A red circle and a blue star": which colour lands on which object?',
    notebook=NOTEBOOK,
    grid=grid(split=("test", "compositional"), guidance_scale=(1.0, 2.0, 4.0)),
    run=_binding_run,
    verdict=_binding_verdict,
    figure=_binding_figure,
)

DALLE_EXPERIMENTS: tuple[Experiment, ...] = (PROMPT, RERANK, GUIDANCE, SAMPLING, CODES_STUDY, LONG, BINDING)
"""`course experiment dalle-prompt`, and so on."""
