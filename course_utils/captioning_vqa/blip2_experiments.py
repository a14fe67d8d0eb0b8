"""Studies of notebook 03_blip2: what must be trained for captions (claim C39), what the first stage and the language model bring, and how many
queries it takes."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from course_utils import plots, runtime, scale
from course_utils.captioning_vqa import blip2_recipes
from course_utils.captioning_vqa.blip2_recipes import (
    NETWORK,
    SIZE,
    ClipMap,
    SeenScenes,
    Speaker,
    after_first_stage,
    clipcap_gpt,
    described,
    first_stage_player,
    full_captions,
    image_tokens,
    scenes_gpt,
    scenes_t5,
    second_stage_player,
    similarities,
    untrained,
)
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.captioning_vqa.qformer import QFormer
from course_utils.data import loader
from course_utils.data.scenes import SceneRecords, records, render
from course_utils.language.texts import encoded
from course_utils.metrics import ranks, recall_at_k
from course_utils.training import Experiment, Verdict, clearly_more, fit, grid, grouped, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = blip2_recipes.NOTEBOOK


def _held_out(scenes: SceneRecords) -> dict[str, Tensor]:
    """A batch of held-out scenes, as `SeenScenes` makes them."""
    return {"image_tokens": image_tokens(render(scenes, SIZE)), **encoded(full_captions(scenes))}


def _on_device(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to(runtime.device()) for name, value in batch.items()}


def _captions_of(model: QFormer, speaker: Speaker, scenes: SceneRecords, tokens: Tensor) -> dict[str, float]:
    """Truth of the captions, `chance_whole` of another scene's, and `nats` a token of the right ones."""
    model.eval()
    texts = full_captions(scenes)
    batch = {"image_tokens": tokens, **encoded(texts)}
    with torch.inference_mode():
        loss, _ = second_stage_player(model, speaker).objective(_on_device(batch))
    return {
        **truth_scores(described(model, tokens, speaker), scenes),
        "chance_whole": truth_scores([*texts[1:], texts[0]], scenes)["whole"],
        "nats": loss.item(),
    }


def _by(rows: list[Row], keys: Sequence[str], name: str) -> dict[tuple, list[float]]:
    """The values of a measure by several settings."""
    found: dict[tuple, list[float]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row[name])
    return found


def _bars(rows: list[Row], keys: Sequence[str], names: dict[str, str], chance: str | None = None) -> "Figure":
    """One panel a measure, one bar a setting, each seed a dot."""
    figure, axes = plots.figure(1, len(names), width=3.7 * len(names), height=2.9)
    for axis, (name, label) in zip(axes[0], names.items(), strict=True):
        plots.group_bars(axis, {",\n".join(setting): few for setting, few in _by(rows, keys, name).items()})
        axis.tick_params(axis="x", labelsize=7)
        axis.set_ylabel(label)
    if chance is not None:
        mean = fmean(row[chance] for row in rows)
        axes[0, 0].axhline(mean, color="gray", linestyle="--", label="another scene's")
        axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


# --- C39: what must be trained ----------------------------------------------------------------------------------------

FROZEN, SPOKEN, EVERYTHING = "Q-Former alone", "and the language model", "and the image encoder"


class PicturedScenes(SeenScenes):
    """`SeenScenes` of one object with the pictures themselves: `image` (batch, 3, 32, 32)."""

    def __init__(self, length: int):
        super().__init__(length, objects=1)
        self.images = render(records("train", range(length), objects=1), SIZE)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {**super().__getitems__(indices), "image": self.images[torch.as_tensor(indices)]}


def _trained_run(trained: str, seed: int) -> dict[str, float]:
    """All from the end of the first stage, on scenes of one object, whose captions are short, so that all can be trained."""
    length, steps, samples = scale(smoke=(64, 3, 8), cpu=(5_000, 300, 300), gpu=(50_000, 10_000, 1000))
    torch.manual_seed(seed)
    model, speaker, encoder = after_first_stage(untrained()), clipcap_gpt(), ClipMap()
    speaker = speaker._replace(model=copy.deepcopy(speaker.model))
    player = second_stage_player(model, speaker, ema_decay=0.98)  # which freezes the language model
    speaker.model.requires_grad_(trained != FROZEN)
    encoder.requires_grad_(trained == EVERYTHING)
    whole = nn.ModuleDict({"qformer": model, "language_model": speaker.model, "encoder": encoder})

    def objective(batch: dict) -> tuple[Tensor, dict]:
        if trained == EVERYTHING:
            batch = batch | {"image_tokens": encoder(batch["image"])}
        return player.objective(batch)

    data = PicturedScenes(length) if trained == EVERYTHING else SeenScenes(length, objects=1)
    fit(
        replace(player, module=whole, objective=objective),
        loader(data, 64, seed=seed),
        steps,
        seed=seed,
        progress=False,
    )
    scenes = records("validation", range(samples), objects=1)
    tokens = image_tokens(render(scenes, SIZE), encoder.eval())
    found = _captions_of(model, speaker._replace(model=speaker.model.eval()), scenes, tokens)
    asking = QFormer(
        replace(NETWORK, vocab_size=0, dim=0, writes=False)
    )  # without what the first stage reads texts with
    learns = {"qformer": True, "language_model": trained != FROZEN, "encoder": trained == EVERYTHING}
    sizes = {name: _size(asking if name == "qformer" else part) for name, part in whole.items()}
    return {
        "trained_parameters": float(sum(size for name, size in sizes.items() if learns[name])),
        "parameters": float(sum(sizes.values())),
        **found,
    }


def _size(part: nn.Module) -> int:
    return sum(weight.numel() for weight in part.parameters())


def _trained_verdict(rows: list[Row]) -> Verdict:
    right, learns = (grouped(rows, "trained", name) for name in ("whole", "trained_parameters"))
    numbers = "; ".join(
        f"{name} ({learns[name][0]:,.0f} trained parameters) {said(few)}" for name, few in right.items()
    )
    chance = fmean(row["chance_whole"] for row in rows)
    why = f"Captions of one object wholly true, after equally many steps: {numbers}. The caption of another scene: {chance:.2f}."
    best = max((right[SPOKEN], right[EVERYTHING]), key=fmean)
    if fmean(right[FROZEN]) <= chance + 0.2:
        return Verdict("not at our scale", why)
    if clearly_more(best, right[FROZEN], 0.05):
        return Verdict("in part", f"It captions, but what else is trained gets further in the same steps. {why}")
    return Verdict("holds here", f"The Q-Former alone does as well. {why}")


TRAINED = Experiment(
    name="blip2-trained",
    claim="C39",
    question="Is it enough to train the Q-Former between a frozen image encoder and a frozen language model?",
    notebook=NOTEBOOK,
    grid=grid(trained=(FROZEN, SPOKEN, EVERYTHING), seed=range(1)),
    run=_trained_run,
    verdict=_trained_verdict,
    figure=lambda rows: _bars(
        rows,
        ("trained",),
        {"whole": "captions wholly true", "trained_parameters": "trained parameters"},
        "chance_whole",
    ),
)


# --- the first stage, and the language model --------------------------------------------------------------------------

SPEAKERS = {"GPT that heeds prefixes": clipcap_gpt, "GPT of captions": scenes_gpt, "T5": scenes_t5}
WITH, WITHOUT = "after stage 1", "from nothing"


def _stages_run(language_model: str, start: str, seed: int) -> dict[str, float]:
    length, steps, samples = scale(smoke=(64, 3, 8), cpu=(5_000, 300, 300), gpu=(50_000, 10_000, 1000))
    torch.manual_seed(seed)
    model, speaker = untrained(), SPEAKERS[language_model]()
    if start == WITH:
        model = after_first_stage(model)
    data = SeenScenes(length, objects=1)
    fit(
        second_stage_player(model, speaker, ema_decay=0.98),
        loader(data, 64, seed=seed),
        steps,
        seed=seed,
        progress=False,
    )
    scenes = records("validation", range(samples), objects=1)
    return _captions_of(model, speaker, scenes, image_tokens(render(scenes, SIZE)))


def _stages_verdict(rows: list[Row]) -> Verdict:
    right, nats = (_by(rows, ("language_model", "start"), name) for name in ("whole", "nats"))
    numbers = "; ".join(
        f"{name} {said(right[name, WITH])} ({fmean(nats[name, WITH]):.2f} nats) after stage 1, "
        f"{said(right[name, WITHOUT])} ({fmean(nats[name, WITHOUT]):.2f}) from nothing"
        for name in SPEAKERS
    )
    chance = fmean(row["chance_whole"] for row in rows)
    why = (
        f"Captions of one object wholly true after equally many steps of stage 2, and -log p of the right ones a token: {numbers}. "
        f"The caption of another scene: {chance:.2f}."
    )
    helped = [name for name in SPEAKERS if clearly_more(right[name, WITH], right[name, WITHOUT], 0.05)]
    if len(helped) == len(SPEAKERS):
        return Verdict("holds here", f"The first stage helps with each language model. {why}")
    if helped:
        return Verdict("in part", f"The first stage helps with: {', '.join(helped)}. {why}")
    return Verdict("does not hold here", f"The first stage does not help clearly. {why}")


STAGES = Experiment(
    name="blip2-stages",
    question="Does the first stage help the second, and through which frozen language model does a Q-Former learn to speak?",
    notebook=NOTEBOOK,
    grid=grid(language_model=tuple(SPEAKERS), start=(WITH, WITHOUT), seed=range(1)),
    run=_stages_run,
    verdict=_stages_verdict,
    figure=lambda rows: _bars(
        rows, ("language_model", "start"), {"whole": "captions wholly true", "nats": "nats a token"}, "chance_whole"
    ),
)


# --- how many queries -------------------------------------------------------------------------------------------------


def _queries_run(num_queries: int, seed: int) -> dict[str, float]:
    """The first stage from nothing, briefly, on scenes of two objects; `recall_at_1` is of the contrast."""
    length, steps, samples = scale(smoke=(64, 3, 8), cpu=(5_000, 250, 200), gpu=(50_000, 10_000, 1000))
    torch.manual_seed(seed)
    model = untrained(replace(NETWORK, num_queries=num_queries))
    data = SeenScenes(length, objects=2)
    fit(first_stage_player(model, ema_decay=0.98), loader(data, 32, seed=seed), steps, seed=seed, progress=False)
    scenes = records("validation", range(samples), objects=2)
    batch = _held_out(scenes)
    model.eval()
    uniforms = torch.rand(2, samples, samples, device=runtime.device())
    with torch.inference_mode():
        losses = model.losses(*_on_device(batch).values(), uniforms)
    table = similarities(model, batch["image_tokens"], full_captions(scenes))
    return {"nats": losses.writing.item(), "recall_at_1": recall_at_k(ranks(table), 1), "chance_recall": 1 / samples}


def _queries_verdict(rows: list[Row]) -> Verdict:
    nats, found = (grouped(rows, "num_queries", name) for name in ("nats", "recall_at_1"))
    fewest, most = min(nats), max(nats)
    why = (
        f"-log p of a token of the caption by the number of queries: {', '.join(f'{n}: {said(few)}' for n, few in nats.items())}; held-out captions "
        f"that find their scene: {', '.join(f'{n}: {said(few)}' for n, few in found.items())}."
    )
    if clearly_more(nats[fewest], nats[most], 0.02):
        return Verdict("holds here", f"More queries say more. {why}")
    return Verdict("does not hold here", f"More queries do not help clearly, after so little training. {why}")


def _queries_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.2, height=2.8)
    labels = {"nats": "nats a token", "recall_at_1": "recall at 1"}
    for axis, (name, label) in zip(axes[0], labels.items(), strict=True):
        points = sorted(grouped(rows, "num_queries", name).items())
        axis.plot([x for x, _ in points], [fmean(few) for _, few in points], marker="o", color=plots.COLORS[0])
        axis.set(xlabel="queries", ylabel=label, xticks=[x for x, _ in points])
    return figure


QUERIES = Experiment(
    name="blip2-queries",
    question="How many queries does it take to say what is in a picture of two objects?",
    notebook=NOTEBOOK,
    grid=grid(num_queries=(1, 2, 4, 8), seed=range(1)),
    run=_queries_run,
    verdict=_queries_verdict,
    figure=_queries_figure,
)

BLIP2_EXPERIMENTS: tuple[Experiment, ...] = (TRAINED, STAGES, QUERIES)
"""`course experiment blip2-trained`, and so on."""
