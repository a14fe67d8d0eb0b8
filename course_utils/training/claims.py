"""The claims of the lecture, and `docs/claims.md`: what became of each when the course tested it.

The document is a pure function of the experiments, their stored rows and the list below: no number in it is typed in.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from course_utils import plots, runtime
from course_utils.training.checkpoints import CheckpointError, write_atomically
from course_utils.training.experiment import Experiment, results, stale, stored_rows, summary

CHAPTERS: Mapping[str, str] = {
    "01": "01_autoencoders",
    "02": "02_gans",
    "03": "03_translation",
    "04": "04_diffusion",
    "05": "05_clip",
    "06": "06_text_to_image",
    "07": "07_captioning_vqa",
    "08": "08_beyond",
}


@dataclass(frozen=True)
class Claim:
    """One statement of the lecture in our words; `later`: its system comes in a later round of the course."""

    id: str
    chapters: tuple[str, ...]
    says: str
    later: bool = False


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C01", ("01",), "With a VAE one can find the code of a given picture, and move through the codes on purpose."
    ),
    Claim("C02", ("01", "02"), "What a VAE draws is blurrier than what a GAN draws, and altogether worse."),
    Claim("C03", ("01",), "A model with discrete latents reaches as good a likelihood as one with continuous latents."),
    Claim("C04", ("01",), "Drawing hierarchical codes from an autoregressive prior makes samples better."),
    Claim(
        "C05", ("02",), "A GAN's parameters circle or run away, and its generator's loss tells little about quality."
    ),
    Claim("C06", ("02",), "Small changes of the hyperparameters decide whether a GAN trains at all."),
    Claim("C07", ("02",), "A generator may give up most of the data and draw only a small part of it: mode collapse."),
    Claim(
        "C08",
        ("02",),
        "Strides for pooling, leaky ReLU, one linear layer and batch norm, as in DCGAN, are most stable.",
    ),
    Claim(
        "C09", ("02",), "Between two latents the pictures change smoothly, and samples are no copies of training data."
    ),
    Claim("C10", ("02",), "Latent arithmetic fails on single samples, and works on the means of three."),
    Claim(
        "C11", ("01", "02"), "A label must enter both networks: generator and critic, or encoder and decoder of a VAE."
    ),
    Claim("C12", ("02",), "Reconstructing a critic's features is better than reconstructing pixels (VAE/GAN).", True),
    Claim("C13", ("02",), "Raising the resolution in steps makes training steadier and its result better.", True),
    Claim(
        "C14",
        ("02",),
        "Units of a generator stand for objects: one can draw or erase these where it fits; some make flaws.",
        True,
    ),
    Claim("C15", ("02",), "A class-conditional GAN is much worse at some classes than at others.", True),
    Claim("C16", ("03",), "Without skip connections an image-to-image generator loses much of its quality."),
    Claim("C17", ("03",), "GAN and L1 together beat each alone, and the learned map is one-to-one: it gives one mode."),
    Claim("C18", ("03",), "Cycle consistency replaces pairs, though translation with pairs remains better."),
    Claim("C19", ("03",), "CycleGAN cannot alter shapes, errs outside its domains, and may find one direction harder."),
    Claim("C20", ("03",), "With a latent code a translation has many outcomes.", True),
    Claim("C21", ("04",), "Data become pure standard normal noise by many small steps, without any learning."),
    Claim("C22", ("04",), "A diffusion model may predict the clean picture or the noise."),
    Claim("C23", ("04",), "It matters how the noise grows: linear and cosine schedules differ."),
    Claim("C24", ("04",), "Samples made in 25 passes are as good as those of the full chain."),
    Claim("C25", ("04",), "Diffusion, GANs and VAEs each have their place in quality, coverage and speed."),
    Claim("C26", ("04",), "Diffusion in a latent space costs far less, at the same quality."),
    Claim("C27", ("05",), "One architecture fits text and pictures alike."),
    Claim("C28", ("05",), "The larger a language model, the more it learns from examples in its prompt."),
    Claim("C29", ("05",), "Matching texts and pictures within a batch yields a joint space that classifies untrained."),
    Claim("C30", ("05",), "Approximate nearest-neighbour search is far faster, and overlooks some neighbours."),
    Claim("C31", ("06",), "Discrete picture tokens and one transformer over text and picture can draw from a prompt."),
    Claim("C32", ("06",), "What a negative prompt names disappears from the picture."),
    Claim("C33", ("06",), "Prompts with many things in one picture are hard to follow."),
    Claim("C34", ("06",), "A larger frozen text encoder helps more than a larger image model.", True),
    Claim("C35", ("06",), "A prior over CLIP's image embeddings makes many different pictures for one prompt.", True),
    Claim(
        "C36", ("06",), "Better captions make prompts be followed better; a diffusion decoder sharpens detail.", True
    ),
    Claim("C37", ("07",), "Between a frozen CLIP and a frozen language model a small mapping network is enough."),
    Claim("C38", ("07",), "Captions that a model wrote and filtered train better than raw captions of the web."),
    Claim("C39", ("07",), "A Q-Former captions well with a frozen language model and few trained weights."),
    Claim("C40", ("07",), "For answering questions it helps if the Q-Former sees the question."),
    Claim("C41", ("08",), "Captioned renderings teach a model more about attributes, places and actions.", True),
    Claim("C42", ("08",), "Triplets found among captions suffice to train composed retrieval.", True),
    Claim("C43", ("08",), "From text one can make and find motion: actions, their order, parts moving at once.", True),
    Claim(
        "C44",
        ("08",),
        "Sign language translation is unsolved: without language a quarter to two fifths of signs fail.",
        True,
    ),
)


def claims_text(experiments: Iterable[Experiment]) -> str:
    """The document in Markdown: a table of all claims, then what was measured for each tested one.

    Args:
        experiments: all of the course; those without a claim are left out.

    Raises:
        ValueError: if an experiment names a claim that there is not.
        CheckpointError: if stored rows are damaged.
    """
    known = {claim.id: claim for claim in CLAIMS}
    tests: dict[str, list[Experiment]] = {name: [] for name in known}
    for experiment in experiments:
        if experiment.claim is not None:
            if experiment.claim not in known:
                raise ValueError(
                    f"experiment {experiment.name!r} tests {experiment.claim!r}, but claims are C01 to C44"
                )
            tests[experiment.claim].append(experiment)
    lines = [
        "# The claims of the lecture, tested",
        "",
        "This page is made from the stored results in `data/experiments/`, and never written by hand. Each claim",
        "stands in our own words. A verdict counts for this course's data and sizes: *holds here*, *in part*, *not at",
        "our scale*, or *does not hold here*. Numbers are means over seeds, ± their standard deviation.",
        "",
        "| claim | says | chapter | verdict |",
        "| --- | --- | --- | --- |",
    ]
    sections: list[str] = []
    for claim in CLAIMS:
        verdicts = []
        for experiment in tests[claim.id]:
            verdict, section = _section(experiment)
            verdicts.append(verdict)
            sections += [*([f"## {claim.id}: {claim.says}", ""] if len(verdicts) == 1 else []), *section]
        chapters = ", ".join(CHAPTERS[chapter] for chapter in claim.chapters)
        waiting = "not yet (a later round)" if claim.later else "not yet"
        lines.append(f"| {claim.id} | {claim.says} | {chapters} | {'; '.join(verdicts) or waiting} |")
    return "\n".join([*lines, "", *sections]).rstrip() + "\n"


def claims_page() -> Path:
    """Where the document stands: `docs/claims.md`, or beside the data where COURSE_DATA has moved them."""
    if runtime.data_folder() == runtime.repository() / "data":
        return runtime.repository() / "docs" / "claims.md"
    return runtime.data_folder("docs", "claims.md")


def write_claims(experiments: Iterable[Experiment], path: Path | None = None) -> Path:
    """Write the document, by default to `claims_page()`, and the figures beside it; returns its path.

    Raises:
        ValueError: as in `claims_text`.
        CheckpointError: as in `claims_text`, or if it cannot be written.
    """
    path = path or claims_page()
    experiments = list(experiments)
    write_atomically(path, claims_text(experiments))
    for experiment in experiments:
        rows = _rows(experiment)
        picture = experiment.figure(rows) if experiment.claim and experiment.figure and rows else None
        if picture is not None:
            buffer = io.BytesIO()
            picture.savefig(buffer, format="png", dpi=80, bbox_inches="tight")
            write_atomically(path.parent / "figures" / f"{experiment.name}.png", plots.in_palette(buffer.getvalue()))
    return path


def _section(experiment: Experiment) -> tuple[str, list[str]]:
    """The verdict in a word, and the paragraphs about one experiment."""
    lines = [f"### {experiment.name}", "", experiment.question, ""]
    links = []
    if experiment.notebook:
        links.append(f"Notebook: [{experiment.notebook}](../solutions/{experiment.notebook}.ipynb).")
    rows = _rows(experiment)
    if rows and experiment.figure:
        links += ["", f"![{experiment.question}](figures/{experiment.name}.png)"]
    if not rows:
        return "not yet", [*lines, *links, "", f"Not yet: run `course experiment {experiment.name}`.", ""]
    lines += [*_table(experiment), *links, ""]
    waiting = stale(experiment)
    if waiting or experiment.verdict is None:
        why = f"{len(waiting)} of {len(experiment.grid)} runs are missing or out of date" if waiting else "it has none"
        return "not yet", [*lines, f"**No verdict**: {why}; `course experiment {experiment.name}`.", ""]
    verdict = experiment.verdict(rows)
    minutes = sum(row["seconds"] for row in stored_rows(experiment)) / 60
    made = f"Made by `course experiment {experiment.name}`: {len(rows)} runs, {minutes:.0f} minutes."
    return verdict.verdict, [*lines, f"**Verdict: {verdict.verdict}.** {verdict.why}", "", made, ""]


def _rows(experiment: Experiment) -> list[dict]:
    try:
        return results(experiment)
    except CheckpointError:
        if stored_rows(experiment):  # raises where the file is damaged
            raise
        return []


def _table(experiment: Experiment) -> list[str]:
    settings = summary(experiment)
    keys = list(dict.fromkeys(key for line in settings for key in line["setting"]))
    metrics = list(dict.fromkeys(name for line in settings for name in line["metrics"]))
    head = [*keys, *metrics, "seeds"]
    table = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for line in settings:
        values = [str(line["setting"].get(key, "–")) for key in keys]
        numbers = [_spread(*line["metrics"].get(name, (None, None))) for name in metrics]
        table.append(f"| {' | '.join([*values, *numbers, str(line['seeds'])])} |")
    return [*table, ""]


def _spread(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "–"
    return f"{mean:.4g}" if deviation is None else f"{mean:.4g} ± {deviation:.2g}"
