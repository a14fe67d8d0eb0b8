"""The experiments of notebook 05_clip/01_transformers: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.data.scenes.grammar import accepts
from course_utils.language import experiments, texts
from course_utils.language.texts import Captions, special

ALL = pytest.mark.parametrize("experiment", experiments.EXPERIMENTS, ids=[one.name for one in experiments.EXPERIMENTS])


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured, and seeds differ a little."""
    return [
        cell
        | {
            name: value * (1 + 0.001 * cell.get("seed", 0)) if isinstance(value, float) else value
            for name, value in numbers(cell).items()
        }
        for cell in experiment.grid
    ]


def architecture_rows(text: float = 50.0, picture: float = 0.95) -> list[dict]:
    """The transformer's numbers; the specialists have 50 and 0.95."""

    def measured(cell):
        ours = cell["architecture"] == "transformer"
        if cell["data"] == "documents":
            return {
                "parameters": 9,
                "perplexity": text if ours else 50.0,
                "unigram_perplexity": 300.0,
                "trigram_perplexity": 60.0,
            }
        return {"parameters": 9, "accuracy": picture if ours else 0.95, "chance": 0.1}

    return rows(experiments.ONE_ARCHITECTURE, measured)


def few_shot_rows(**gain: float) -> list[dict]:
    def measured(cell):
        more = gain[cell["size"]]
        return {
            "parameters": 9,
            "zero_shot": 0.25,
            "eight_shot": 0.25 + more,
            "gain": more,
            "over_examples": [0.25] * 8 + [0.25 + more],
        }

    return rows(experiments.FEW_SHOT, measured)


def objective_rows(**right: float) -> list[dict]:
    def measured(cell):
        found = {"parameters": 9, "filled": right.get(cell["model"], 0.5), "tokens_taught": 9.0}
        return found | ({"perplexity": 3.0} if cell["model"] in experiments.LEFT_TO_RIGHT else {})

    return rows(experiments.OBJECTIVES, measured)


def finetune_rows(*better: int) -> list[dict]:
    """Pre-training helps with these numbers of labels."""

    def measured(cell):
        helps = cell["start"] == "pre-trained" and cell["labels"] in better
        return {"accuracy": 0.9 if helps else 0.6, "majority": 0.55}

    return rows(experiments.FINETUNE, measured)


def compute_rows(t5: float = 2.0, other: float = 1.0) -> list[dict]:
    """6 N D as a multiple of the published compute."""

    def measured(cell):
        factor = t5 if cell["model"].startswith("T5") else other
        return {"parameters_millions": 9.0, "published_days": 10.0, "six_nd": 10 * factor, "three_nd": 5 * factor}

    return rows(experiments.COMPUTE, measured)


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (experiments.ONE_ARCHITECTURE, architecture_rows(), "holds here"),
        (experiments.ONE_ARCHITECTURE, architecture_rows(picture=0.8), "in part"),
        (experiments.ONE_ARCHITECTURE, architecture_rows(text=80.0), "in part"),
        (experiments.ONE_ARCHITECTURE, architecture_rows(text=80.0, picture=0.8), "not at our scale"),
        (experiments.FEW_SHOT, few_shot_rows(tiny=0.1, small=0.3, middle=0.6), "holds here"),
        (experiments.FEW_SHOT, few_shot_rows(tiny=0.01, small=0.02, middle=0.03), "not at our scale"),
        (experiments.FEW_SHOT, few_shot_rows(tiny=0.2, small=0.6, middle=0.4), "in part"),
        (experiments.FEW_SHOT, few_shot_rows(tiny=0.6, small=0.6, middle=0.6), "does not hold here"),
        (experiments.OBJECTIVES, objective_rows(BERT=0.8, T5=0.8), "holds here"),
        (experiments.OBJECTIVES, objective_rows(BERT=0.8), "in part"),
        (experiments.OBJECTIVES, objective_rows(), "does not hold here"),
        (experiments.FINETUNE, finetune_rows(*experiments.LABELS), "holds here"),
        (experiments.FINETUNE, finetune_rows(30), "in part"),
        (experiments.FINETUNE, finetune_rows(), "does not hold here"),
        (experiments.COMPUTE, compute_rows(), "holds here"),
        (experiments.COMPUTE, compute_rows(t5=1.0), "in part"),
        (experiments.COMPUTE, compute_rows(other=0.5), "does not hold here"),
    ],
)  # fmt: skip
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")

    def kind(cell):
        """Cells of one kind measure the same things."""
        return cell.get("data", cell.get("model"))

    kinds = {kind(cell): cell for cell in experiment.grid}
    measured = {name: experiment.run(**cell) for name, cell in kinds.items()}
    made = [{**cell, **measured[kind(cell)]} for cell in experiment.grid]
    assert experiment.verdict(made).why
    assert isinstance(experiment.figure(made), Figure)


FULL = {
    "transformers-one-architecture": architecture_rows(),
    "transformers-few-shot": few_shot_rows(tiny=0.1, small=0.3, middle=0.6),
    "transformers-objectives": objective_rows(),
    "transformers-finetune": finetune_rows(30),
    "transformers-compute": compute_rows(),
}


@ALL
def test_a_figure_can_be_drawn_while_the_grid_is_not_full(experiment):
    assert isinstance(experiment.figure(FULL[experiment.name][:2]), Figure)


@ALL
def test_every_setting_has_its_seeds_and_claims_are_the_lectures(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    assert all(settings.count(setting) == (3 if "seed" in experiment.grid[0] else 1) for setting in settings)
    assert experiment.claim in ("C27", "C28", None)


def test_the_networks_that_are_compared_are_of_like_size():
    for data in ("digits", "scenes"):
        ours, other = (
            experiments.count(experiments.picture_model(data, which)) for which in ("transformer", "specialist")
        )
        assert other == pytest.approx(ours, rel=0.15)
    ours, other = (experiments.count(experiments.text_model(which)) for which in ("transformer", "specialist"))
    assert other == pytest.approx(ours, rel=0.15)
    sizes = [experiments.count(experiments.objective_model(name)) for name in experiments.MODELS]
    assert max(sizes) < 1.3 * min(sizes)


@pytest.mark.parametrize("name", experiments.MODELS)
def test_a_gap_is_filled_without_a_look_at_it(name):
    torch.manual_seed(0)
    model = experiments.objective_model(name).eval()
    batch = Captions("test").__getitems__(range(40))
    ids, mask = batch["input_ids"], batch["attention_mask"]
    places = experiments.gaps(ids, mask, torch.rand(40))
    row = torch.arange(40)
    assert mask[row, places].all()
    assert ids[row, places].ne(special(texts.END)).all()
    other = ids.clone()
    other[row, places] = special(texts.MASK)
    first = experiments.filled(name, model, batch, places)
    assert first.equal(experiments.filled(name, model, {"input_ids": other, "attention_mask": mask}, places))
    if name in experiments.LEFT_TO_RIGHT:
        assert not model(ids)[row, places - 1].isnan().any()


def test_captions_to_judge_are_right_and_wrong_and_repeat():
    found, labels = experiments.judged_captions(200, 0)
    assert [int(accepts(text)) for text in found] == labels.tolist()
    assert 0.4 < labels.float().mean() < 0.75
    assert experiments.judged_captions(200, 0)[0] == found
    assert experiments.judged_captions(200, 1)[0] != found


def test_judging_reads_the_last_real_token():
    torch.manual_seed(0)
    model = experiments.JudgingGPT(experiments.objective_model("GPT")).eval()
    torch.nn.init.normal_(model.head.weight)
    batch = texts.encoded(["A red star.", "There is a small blue heart on a sky background."])
    alone = texts.encoded(["A red star."])
    torch.testing.assert_close(model(**batch)[0], model(**alone)[0])


@pytest.fixture(scope="module")
def published():
    """All rows of the table: they need no training."""
    return [cell | experiments.COMPUTE.run(**cell) for cell in experiments.COMPUTE.grid]


def test_published_models_have_the_published_numbers_of_parameters(published):
    millions = {row["model"]: row["parameters_millions"] for row in published}
    for name, known in {
        "T5-Small": 60, "T5-Base": 220, "T5-Large": 770, "T5-3B": 3000, "T5-11B": 11_000, "BERT-Base": 109, "GPT-3 Small": 125, "GPT-3 Medium": 356,
        "GPT-3 Large": 760, "GPT-3 XL": 1320, "GPT-3 2.7B": 2650, "GPT-3 6.7B": 6660, "GPT-3 13B": 12_850, "GPT-3 175B": 174_600,
    }.items():  # fmt: skip
        assert millions[name] == pytest.approx(known, rel=0.05), name


def test_six_nd_is_the_published_compute_and_half_of_it_that_of_t5(published):
    for row in published:
        ours = row["three_nd" if row["model"].startswith("T5") else "six_nd"]
        assert ours == pytest.approx(row["published_days"], rel=0.07), row["model"]
    assert experiments.COMPUTE.verdict(published).verdict == "holds here"
