"""Studies of notebook 04_vqa: does the Q-Former have to see the question (claim C40), what is tuned, answers of a captioner, what training hides."""

import re
from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from course_utils import plots, runtime, scale
from course_utils.captioning_vqa import blip_recipes, vqa_recipes
from course_utils.captioning_vqa.blip import BLIP, BLIPAnswerer, begun
from course_utils.captioning_vqa.blip2_recipes import after_first_stage, untrained
from course_utils.captioning_vqa.blip_recipes import BLIP_SCENES
from course_utils.captioning_vqa.losses import writing_loss
from course_utils.captioning_vqa.vqa_recipes import (
    ASKING,
    AT_ONCE,
    AskedScenes,
    answered,
    flat,
    majority,
    scores,
    speaking,
    vqa_player,
)
from course_utils.clip.recipes import CLIP_SCENES
from course_utils.data import loader
from course_utils.data.scenes import ANSWERS, QUESTION_KINDS, Question, SceneRecords, questions, records, render
from course_utils.data.scenes.captions import NUMBERS
from course_utils.language.corruption import real_labels
from course_utils.language.recipes import T5_SCENES_RECIPE, device_of
from course_utils.language.recipes import answered as answered_by_t5
from course_utils.language.texts import END, PAD, scenes_tokenizer, special
from course_utils.language.tokenizer import padded
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grid, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from course_utils.captioning_vqa.blip2 import BLIP2

Row = dict
NOTEBOOK = vqa_recipes.NOTEBOOK
FEW_KINDS = ("color", "shape", "size", "place")  # of which a short training learns something
PICTURES = 16  # a step


def _scenes(objects: int | None, split: str = "train", count: int | None = None) -> SceneRecords:
    """Scenes of a short training, or held-out ones."""
    if count is None:
        count = scale(smoke=40, cpu=6000, gpu=50_000) if split == "train" else scale(smoke=4, cpu=150, gpu=1000)
    return records(split, range(count), objects=objects)


def _steps() -> int:
    return scale(smoke=2, cpu=200, gpu=5000)


def _learned(data: AskedScenes, seed: int, steps: int, tune: str = "image encoder", **settings) -> "BLIP2":
    """A BLIP-2 after a short training; `tune` says what is trained beside the Q-Former: nothing, "image encoder", or that and "language model"."""
    runtime.seed_everything(seed)
    model = speaking(after_first_stage(untrained(ASKING)), load(T5_SCENES_RECIPE))
    model.image_encoder.requires_grad_(tune != "nothing")
    model.language_model.requires_grad_(tune == "language model")
    player = vqa_player(model, data.texts, ema_decay=0.98, **settings)
    fit(player, loader(data, min(PICTURES, len(data)), seed=seed), steps, seed=seed, progress=False)
    return model.to(runtime.device()).eval()


def _answers(
    model: "BLIP2", scenes: SceneRecords, of: Sequence[Question], about: Tensor, conditioned: bool = True
) -> list[str]:
    return answered(model, render(scenes), [one.text for one in of], about, conditioned)


def _kinds_figure(rows: list[Row], key: str, names: dict[str, str], chance: bool = True) -> "Figure":
    """Bars of accuracies by kind of question, a group for each setting."""
    figure, axes = plots.figure(width=6.4, height=3.0)
    axis = axes[0, 0]
    kinds = ("accuracy", *FEW_KINDS)
    width = 0.8 / len(names)
    for number, (color, (value, label)) in enumerate(zip(plots.COLORS, names.items(), strict=False)):
        few = [row for row in rows if row[key] == value]
        heights = [fmean(row[kind] for row in few) for kind in kinds]
        axis.bar(
            [place + (number + 0.5) * width - 0.4 for place in range(len(kinds))],
            heights,
            width * 0.95,
            color=color,
            label=label,
        )
    if chance:
        for place, kind in enumerate(kinds):
            level = rows[0][f"chance_{kind}"]
            axis.hlines(
                level,
                place - 0.42,
                place + 0.42,
                colors="black",
                linestyles=":",
                label="most frequent answer" if not place else None,
            )
    axis.set(ylim=(0, 1.03), ylabel="right answers")
    axis.set_xticks(range(len(kinds)), ("all", *FEW_KINDS))
    axis.legend(frameon=False, fontsize=7, ncol=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _with_chance(found: dict[str, float], of: Sequence[Question]) -> dict[str, float]:
    best = scores(majority(of), of)
    return found | {f"chance_{kind}": best[kind] for kind in ("accuracy", *FEW_KINDS)}


# --- C40: does the Q-Former see the question --------------------------------------------------------------------------


def _conditioned_run(conditioned: bool, seed: int) -> dict[str, float]:
    data = AskedScenes(_scenes(3), partial(questions, kinds=FEW_KINDS))
    model = _learned(data, seed, _steps(), conditioned=conditioned)
    scenes = _scenes(3, "validation")
    of, about = flat(scenes, FEW_KINDS)
    return _with_chance(scores(_answers(model, scenes, of, about, conditioned), of), of)


def _conditioned_verdict(rows: list[Row]) -> Verdict:
    right = grouped(rows, "conditioned", "accuracy")
    why = (
        f"Right answers about scenes of three objects after a short training: {said(right[True])} where Q-Former and language model read the "
        f"question, {said(right[False])} where only the language model does; the most frequent answer to each kind: {rows[0]['chance_accuracy']:.2f}."
    )
    if clearly_more(right[True], right[False], 0.02):
        return Verdict("holds here", why)
    return Verdict("does not hold here", why)


CONDITIONED = Experiment(
    name="vqa-conditioned",
    claim="C40",
    question="Does it help if the Q-Former sees the question, when the language model reads it anyway?",
    notebook=NOTEBOOK,
    grid=grid(conditioned=(True, False), seed=range(2)),
    run=_conditioned_run,
    verdict=_conditioned_verdict,
    figure=lambda rows: _kinds_figure(
        rows, "conditioned", {True: "Q-Former sees the question", False: "only the language model does"}
    ),
)


# --- what is tuned, and BLIP's own way --------------------------------------------------------------------------------

WAYS = {
    "as the recipe": "Q-Former and image encoder",
    "image encoder frozen": "Q-Former alone",
    "language model tuned": "all three parts",
    "one loss": "the same, without the direct loss",
    "BLIP": "BLIP's encoder and decoder",
}


def blip_answerer() -> BLIPAnswerer:
    """An untrained BLIP for questions whose image encoder is the residual network of `clip-scenes`, frozen."""
    model = BLIPAnswerer(blip_recipes.blip_config())
    model.image_encoder.network.load_state_dict(load(CLIP_SCENES).image_encoder.state_dict())
    model.image_encoder.network.requires_grad_(False)
    return model


def blip_player(model: BLIPAnswerer, texts: Sequence[str], learning_rate: float = 1.5e-3) -> Player:
    """A BLIP that learns to answer; batches as `AskedScenes` makes them, `texts` are its questions."""
    ids, mask = blip_recipes.text_ids(texts)
    answers, real = blip_recipes.text_ids(ANSWERS)

    def objective(batch: dict) -> tuple[Tensor, dict]:
        device = batch["image"].device
        drawn = (torch.rand(len(batch["image"]), AT_ONCE, device=device) * batch["count"][:, None]).long()
        question, answer = (batch[name].gather(1, drawn).flatten().cpu() for name in ("question", "answer"))
        length = int(mask[question].sum(1).max())
        asked, shown = ids[question][:, :length].to(device), mask[question][:, :length].to(device)
        tokens = model.image_encoder(batch["image"]).repeat_interleave(AT_ONCE, dim=0)
        context = model.text_encoder(begun(asked, model.config.encode_token_id), shown, tokens)
        written = begun(answers[answer].to(device), model.config.start_token_id)
        logits = model.text_decoder(written, real[answer].to(device), context, shown)
        return writing_loss(logits, real_labels(written, real[answer].to(device))), {}

    return Player("BLIP", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=0.98)


def ranked_by_blip(model: BLIPAnswerer, images: Tensor, texts: Sequence[str], about: Tensor) -> list[str]:
    """The likeliest of ANSWERS to each question, by the likelihood of the whole answer."""
    device, chosen = device_of(model), []
    answers, real = (part.to(device) for part in blip_recipes.text_ids(ANSWERS))
    ids, mask = (part.to(device) for part in blip_recipes.text_ids(texts))
    with torch.inference_mode():
        for part in torch.arange(len(texts)).split(50):
            table = model.rank(images[about[part]].to(device), ids[part], answers, mask[part], real)
            chosen += [ANSWERS[number] for number in table.argmax(1).tolist()]
    return chosen


def _numbers(parts: Sequence[nn.Module]) -> int:
    return sum(weight.numel() for part in parts for weight in part.parameters() if weight.requires_grad)


def _parts_run(way: str, seed: int) -> dict[str, float]:
    data = AskedScenes(_scenes(3), partial(questions, kinds=FEW_KINDS))
    scenes = _scenes(3, "validation")
    of, about = flat(scenes, FEW_KINDS)
    if way == "BLIP":
        runtime.seed_everything(seed)
        model = blip_answerer()
        trained = _numbers([model])
        fit(
            blip_player(model, data.texts),
            loader(data, min(PICTURES, len(data)), seed=seed),
            _steps(),
            seed=seed,
            progress=False,
        )
        model = model.to(runtime.device()).eval()
        found = ranked_by_blip(model, render(scenes), [one.text for one in of], about)
    else:
        tune = {"image encoder frozen": "nothing", "language model tuned": "language model"}.get(way, "image encoder")
        model = _learned(data, seed, _steps(), tune, direct=float(way != "one loss"))
        trained = _numbers([model])
        found = _answers(model, scenes, of, about)
    return _with_chance(scores(found, of), of) | {"trained_parameters": trained}


def _parts_verdict(rows: list[Row]) -> Verdict:
    right = {row["way"]: row["accuracy"] for row in rows}
    numbers = ", ".join(f"{WAYS[way]}: {right[way]:.2f}" for way in WAYS)
    best = max(right, key=lambda way: right[way])
    why = f"Right answers after a short training, by what is trained: {numbers}. Best: {WAYS[best]}."
    if (
        right["as the recipe"] >= right["image encoder frozen"] + 0.02
        and right["as the recipe"] >= right["one loss"] + 0.02
    ):
        return Verdict("holds here", why)
    return Verdict("in part" if right["as the recipe"] >= min(right.values()) + 0.02 else "does not hold here", why)


PARTS = Experiment(
    name="vqa-parts",
    question="What do a tuned image encoder, a tuned language model and the direct loss buy, and how does BLIP's own way compare?",
    notebook=NOTEBOOK,
    grid=grid(way=tuple(WAYS), seed=(0,)),
    run=_parts_run,
    verdict=_parts_verdict,
    figure=lambda rows: _kinds_figure(rows, "way", WAYS),
)


# --- without any training on questions --------------------------------------------------------------------------------


PROMPTS = {"a prompt": "On a", "an unused prompt": "The background is"}
"""Beginnings for the question of the background: as captions of its training begin, and as none does."""
TOLD = "caption, then T5"


def prompted(asked: str, background: str = PROMPTS["a prompt"]) -> str | None:
    """The beginning of a caption whose next words answer a question, or None if captions do not say such a thing."""
    if asked == "What color is the background?":
        return background
    if found := re.fullmatch(r"Where is the (.*)\?", asked):
        article = "An" if found[1][0] in "aeiou" else "A"
        return f"{article} {found[1]} is at the"
    return None


@torch.inference_mode()
def continued(model: BLIP, images: Tensor, beginnings: Sequence[str], about: Tensor, words: int = 3) -> list[str]:
    """The next words that a captioner writes after the beginning of a caption, up to a sign, "and" or "background"."""
    device, encode, found = device_of(model), scenes_tokenizer().encode, []
    for beginning, number in zip(beginnings, about.tolist(), strict=True):
        ids = torch.tensor([encode(beginning)], device=device)
        out = model.generate(images[number : number + 1].to(device), words, prompt_ids=ids)
        text = blip_recipes.decoded(out.cpu())[0].removeprefix(beginning)
        found.append(re.split(r"[.,:]| and| background", text)[0].strip())
    return found


def _told(model: BLIP, images: Tensor, of: Sequence[Question], about: Tensor) -> list[str]:
    """Answers of `t5-scenes`, which reads the caption that a captioner wrote."""
    captions = blip_recipes.described(model, images)
    encode, end = scenes_tokenizer().encode, special(END)
    rows = [
        [special("answer:"), *encode(f"{one.text} {captions[number]}"), end]
        for one, number in zip(of, about.tolist(), strict=True)
    ]
    ids, mask = padded(rows, special(PAD))
    return answered_by_t5(load(T5_SCENES_RECIPE), {"input_ids": ids, "attention_mask": mask}, 4)


def _zero_shot_run(way: str) -> dict[str, float]:
    scenes, model = _scenes(None, "validation", scale(smoke=3, cpu=60, gpu=500)), load(BLIP_SCENES)
    images = render(scenes)
    kinds = {"a prompt": ("place", "background"), "an unused prompt": ("background",)}.get(way, QUESTION_KINDS[:-1])
    of, about = flat(scenes, kinds)
    if way == TOLD:
        found = _told(model, images, of, about)
    else:
        found = continued(model, images, [prompted(one.text, PROMPTS[way]) for one in of], about)
    measured, best = scores(found, of), scores(majority(of), of)
    names = ("accuracy", *dict.fromkeys(one.kind for one in of))
    return {name: measured[name] for name in names} | {f"chance_{name}": best[name] for name in names}


def _zero_shot_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.4, height=2.8)
    axis = axes[0, 0]
    ticks = list(QUESTION_KINDS[:-1])
    for color, shift, row in zip(plots.COLORS, (-0.27, 0, 0.27), rows, strict=False):
        kinds = [kind for kind in ticks if kind in row]
        axis.bar(
            [ticks.index(kind) + shift for kind in kinds],
            [row[kind] for kind in kinds],
            0.25,
            color=color,
            label=row["way"],
        )
    chance = {kind: row[f"chance_{kind}"] for row in rows for kind in ticks if kind in row}
    places = [ticks.index(kind) for kind in chance]
    axis.hlines(
        list(chance.values()), [place - 0.4 for place in places], [place + 0.4 for place in places],
        colors="black", linestyles=":", label="most frequent answer",
    )  # fmt: skip
    axis.set(ylim=(0, 1.03), ylabel="right answers")
    axis.set_xticks(range(len(ticks)), ticks, rotation=20)
    axis.legend(frameon=False, fontsize=7, ncol=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _zero_shot_verdict(rows: list[Row]) -> Verdict:
    by = {row["way"]: row for row in rows}
    numbers = "; ".join(
        f"{way}: {row['accuracy']:.2f} (most frequent answers: {row['chance_accuracy']:.2f})" for way, row in by.items()
    )
    above = [by[way]["accuracy"] > by[way]["chance_accuracy"] + 0.1 for way in ("a prompt", TOLD)]
    why = f"Right answers of a captioner that was never taught questions, by way: {numbers}."
    return Verdict("holds here" if all(above) else "in part" if any(above) else "does not hold here", why)


ZERO_SHOT = Experiment(
    name="vqa-zero-shot",
    question="How far does a captioner get with questions for which it was never trained?",
    notebook=NOTEBOOK,
    grid=grid(way=(*PROMPTS, TOLD)),
    run=_zero_shot_run,
    verdict=_zero_shot_verdict,
    figure=_zero_shot_figure,
)


# --- counting above what was seen -------------------------------------------------------------------------------------


def _counting_run(most: int, seed: int) -> dict[str, float]:
    scenes = _scenes(None)
    data = AskedScenes(scenes[scenes.count <= most], partial(questions, kinds=("count",)))
    model = _learned(data, seed, scale(smoke=2, cpu=100, gpu=3000), at_once=1)
    found = {}
    for number in range(1, 5):
        few = _scenes(number, "validation", scale(smoke=3, cpu=60, gpu=500))
        of, about = flat(few, ("count",))
        answers = _answers(model, few, of, about)
        found[f"right_{number}"] = fmean(answer == NUMBERS[number] for answer in answers)
        found[f"said_{number}"] = [fmean(answer == word for answer in answers) for word in NUMBERS]
    return found


def _counting_verdict(rows: list[Row]) -> Verdict:
    right, said_four = (grouped(rows, "most", name) for name in ("right_4", "said_4"))
    other = max(range(4), key=lambda number: said_four[3][0][number])
    why = (
        f"Scenes of four are counted right by {said(right[4])} after a training with up to four objects, by {said(right[3])} after one with up "
        f"to three, which then says mostly {NUMBERS[other]} ({said_four[3][0][other]:.2f} of the answers)."
    )
    if clearly_more(right[4], right[3], 0.2):
        return Verdict("holds here", f"Nobody counts beyond what was shown. {why}")
    return Verdict("does not hold here", why)


def _counting_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=6.4, height=2.8)
    for axis, row in zip(axes[0], sorted(rows, key=lambda row: row["most"]), strict=False):
        table = [row[f"said_{number}"] for number in range(1, 5)]
        axis.imshow(table, vmin=0, vmax=1, cmap="Blues")
        for i, values in enumerate(table):
            for j, value in enumerate(values):
                axis.text(
                    j,
                    i,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if value > 0.6 else "black",
                )
        axis.set_xticks(range(5), NUMBERS, rotation=30)
        axis.set_yticks(range(4), NUMBERS[1:])
        axis.set(xlabel="answer", ylabel="objects", title=f"trained with up to {NUMBERS[row['most']]}")
    return figure


COUNTING = Experiment(
    name="vqa-counting",
    question="How are four objects counted if training never showed more than three?",
    notebook=NOTEBOOK,
    grid=grid(most=(3, 4), seed=(0,)),
    run=_counting_run,
    verdict=_counting_verdict,
    figure=_counting_figure,
)


# --- without balance --------------------------------------------------------------------------------------------------

FAVOURITE = {
    "circle": "red",
    "square": "green",
    "triangle": "yellow",
    "star": "blue",
    "heart": "pink",
    "cross": "black",
}
"""Colours that most questions about a shape have as their answer where balance is removed, as bananas are yellow."""
RARE = 20  # one in so many of the other questions is kept


def about_shapes(scenes: SceneRecords, skewed: bool = False) -> list[list[Question]]:
    """Questions for the colour of a shape ("What color is the star?") with several draws a scene, each once; `skewed` mostly those whose answer is
    `FAVOURITE`."""
    rows = []
    for few in zip(*(questions(scenes, seed, ("color",)) for seed in range(8)), strict=True):
        kept = dict.fromkeys(one for found in few for one in found if one.text.rstrip("?").split()[-1] in FAVOURITE)
        rows.append([one for one in kept if not skewed or _usual(one) or int(scenes.texture[len(rows)]) % RARE == 0])
    return rows


def _usual(asked: Question) -> bool:
    return FAVOURITE[asked.text.rstrip("?").split()[-1]] == asked.answer


def _prior_run(balanced: bool, seed: int) -> dict[str, float]:
    scenes = _scenes(2, count=scale(smoke=200, cpu=12_000, gpu=100_000))
    data = AskedScenes(scenes, partial(about_shapes, skewed=not balanced))
    model = _learned(data, seed, _steps(), at_once=2)
    held_out = _scenes(2, "validation", scale(smoke=20, cpu=300, gpu=2000))
    few = about_shapes(held_out)
    of = [one for found in few for one in found]
    about = torch.tensor([number for number, found in enumerate(few) for _ in found])
    answers = _answers(model, held_out, of, about)
    blind = answered(model, render(held_out).roll(1, 0), [one.text for one in of], about)
    usual = [_usual(one) for one in of]
    named = [FAVOURITE[one.text.rstrip("?").split()[-1]] for one in of]
    right = [answer == one.answer for answer, one in zip(answers, of, strict=True)]
    rare = [number for number, one in enumerate(usual) if not one]
    return {
        "accuracy": fmean(right),
        "usual_right": fmean([float(right[number]) for number, one in enumerate(usual) if one] or [0.0]),
        "rare_right": fmean(right[number] for number in rare),
        "rare_said_usual": fmean(answers[number] == named[number] for number in rare),
        "blind_said_usual": fmean(answer == name for answer, name in zip(blind, named, strict=True)),
    }


def _prior_verdict(rows: list[Row]) -> Verdict:
    lost, prior = (grouped(rows, "balanced", name) for name in ("rare_right", "rare_said_usual"))
    why = (
        f"Of shapes in another than the usual colour {said(lost[True])} are answered right after a balanced training and {said(lost[False])} after "
        f"one in which most circles asked about are red (and so on); the usual colour is said of {said(prior[True])} of them, and of "
        f"{said(prior[False])}."
    )
    if clearly_more(prior[False], prior[True], 0.1):
        return Verdict("holds here", f"What is usual is said without a look. {why}")
    return Verdict("does not hold here", why)


def _prior_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.0, height=2.8)
    axis = axes[0, 0]
    names = {
        "usual_right": "right, of the\nusual colour",
        "rare_right": "right, of\nanother colour",
        "rare_said_usual": "usual colour said\nof another",
        "blind_said_usual": "usual colour said,\nwrong picture",
    }
    for color, shift, balanced in zip(plots.COLORS, (-0.2, 0.2), (True, False), strict=False):
        few = [row for row in rows if row["balanced"] == balanced]
        axis.bar(
            [place + shift for place in range(len(names))],
            [fmean(row[name] for row in few) for name in names],
            0.36, color=color, label="balanced" if balanced else "mostly the usual colour",
        )  # fmt: skip
    axis.set(ylim=(0, 1.03), ylabel="share of questions")
    axis.set_xticks(range(len(names)), names.values(), fontsize=7)
    axis.legend(frameon=False, fontsize=7, ncol=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


PRIOR = Experiment(
    name="vqa-prior",
    question="What is answered if most questions of the training have the same answer?",
    notebook=NOTEBOOK,
    grid=grid(balanced=(True, False), seed=(0,)),
    run=_prior_run,
    verdict=_prior_verdict,
    figure=_prior_figure,
)

VQA_EXPERIMENTS: tuple[Experiment, ...] = (CONDITIONED, PARTS, ZERO_SHOT, COUNTING, PRIOR)
"""`course experiment vqa-conditioned`, and so on."""
