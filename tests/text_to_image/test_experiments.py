"""The studies of Stable Diffusion: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils import runtime
from course_utils.data.scenes import BACKGROUNDS, COLORS, SHAPES, records
from course_utils.data.scenes.grammar import accepts
from course_utils.text_to_image import experiments, recipes
from course_utils.text_to_image.network import PromptEncoder
from course_utils.text_to_image.stable_diffusion import CLIPPromptEncoder
from course_utils.training.experiment import VERDICTS

OWN = [one for one in experiments.EXPERIMENTS if one.notebook == experiments.NOTEBOOK]
ALL = pytest.mark.parametrize("experiment", OWN, ids=[one.name for one in OWN])


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured."""
    return [{**cell} | numbers(cell) for cell in experiment.grid]


def guidance_rows(best: float) -> list[dict]:
    return rows(
        experiments.GUIDANCE_STUDY,
        lambda cell: {
            "all_right": 0.9 if cell["guidance_scale"] == best else 0.6,
            "attributes": 0.9,
            "judge_frechet": 12.0,
        },
    )


def steps_rows(enough: int) -> list[dict]:
    return rows(
        experiments.STEPS_STUDY,
        lambda cell: {
            "all_right": 0.9 if cell["num_inference_steps"] >= enough else 0.1,
            "attributes": 0.9,
            "judge_frechet": 12.0,
        },
    )


def negative_rows(color: float, background: float) -> list[dict]:
    named = {"colour": color, "object": 0.1, "background": background}
    return rows(
        experiments.NEGATIVE_PROMPT,
        lambda cell: {
            "shown": named[cell["kind"]] if cell["negative"] == experiments.NEGATIVES[1] else 0.4,
            "asked_is_there": 0.95,
        },
    )


def many_rows(full: float, objects: float) -> list[dict]:
    four = {"full": full, "objects": objects}
    return rows(
        experiments.MANY_THINGS,
        lambda cell: {"all_right": four[cell["level"]] if cell["objects"] == 4 else 0.99, "counting": 1.0},
    )


def unsaid_rows(denied: float) -> list[dict]:
    return rows(experiments.UNSAID, lambda cell: {"shown": denied if cell["saying"] == "no {}" else 0.3})


def right_rows(experiment, key: str, **values: float) -> list[dict]:
    return rows(
        experiment, lambda cell: {"shape": 0.9, "color": 0.8, "all_right": values.get(str(cell[key]).split()[0], 0.7)}
    )


def start_rows(larger: float, without: float) -> list[dict]:
    last = dict(zip(experiments.STARTS, (0.9, larger, without), strict=True))
    return rows(
        experiments.BAD_START,
        lambda cell: (
            {
                name: value
                for what in ("place", "shape", "color", "all_right")
                for name, value in ((what, [0.1, last[cell["start"]]]), (f"last_{what}", last[cell["start"]]))
            }
            | {"steps": [250.0, 500.0], "last_steps": 500.0}
        ),
    )


def upscaling_rows(text: float) -> list[dict]:
    both = experiments.GIVEN[1]
    return rows(
        experiments.UPSCALING,
        lambda cell: {
            "shape": text if cell["given"] == both else 0.3, "color": 0.9, "psnr": 20.0,
            "stretched_shape": 0.1, "stretched_color": 0.2, "stretched_psnr": 17.0,
        },
    )  # fmt: skip


VERDICTS_OF = [
    (experiments.GUIDANCE_STUDY, guidance_rows(3.0), "holds here", "most at 3"),
    (experiments.GUIDANCE_STUDY, guidance_rows(1.0), "does not hold here", "without guidance"),
    (experiments.STEPS_STUDY, steps_rows(10), "holds here", "From 10 steps"),
    (experiments.STEPS_STUDY, steps_rows(50), "does not hold here", "From 50 steps"),
    (experiments.NEGATIVE_PROMPT, negative_rows(0.1, 0.05), "holds here", "colour: 0.40 without and 0.10 with it"),
    (experiments.NEGATIVE_PROMPT, negative_rows(0.1, 0.4), "in part", "background: 0.40 without and 0.40"),
    (experiments.MANY_THINGS, many_rows(0.8, 0.7), "holds here", "4: 0.80"),
    (experiments.MANY_THINGS, many_rows(0.8, 0.99), "in part", "4: 0.99"),
    (experiments.MANY_THINGS, many_rows(0.99, 0.99), "does not hold here", "4: 0.99"),
    (experiments.UNSAID, unsaid_rows(0.8), "holds here", "0.80"),
    (experiments.UNSAID, unsaid_rows(0.3), "does not hold here", "0.30"),
    (
        experiments.TEXT_ENCODER,
        right_rows(experiments.TEXT_ENCODER, "encoder", frozen=0.2, **{"1": 0.8}),
        "holds here",
        "with 1 layer, beats",
    ),
    (
        experiments.TEXT_ENCODER,
        right_rows(experiments.TEXT_ENCODER, "encoder"),
        "does not hold here",
        "frozen CLIP: 0.70",
    ),
    (
        experiments.IMPROVEMENTS,
        right_rows(experiments.IMPROVEMENTS, "change", twice=0.9),
        "holds here",
        "better: twice the steps",
    ),
    (
        experiments.IMPROVEMENTS,
        right_rows(experiments.IMPROVEMENTS, "change", rectified=0.2),
        "does not hold here",
        "worse: rectified flow",
    ),
    (
        experiments.IMPROVEMENTS,
        right_rows(experiments.IMPROVEMENTS, "change"),
        "does not hold here",
        "Nothing changes much",
    ),
    (experiments.BAD_START, start_rows(0.4, 0.3), "holds here", "Larger words and no positions cost much"),
    (experiments.BAD_START, start_rows(0.9, 0.4), "in part", "No positions cost much"),
    (experiments.BAD_START, start_rows(0.9, 0.8), "does not hold here", "Neither costs much"),
    (experiments.UPSCALING, upscaling_rows(0.8), "holds here", "the small picture and text 0.80"),
    (experiments.UPSCALING, upscaling_rows(0.3), "does not hold here", "adds nothing"),
]


@pytest.mark.parametrize(("experiment", "made", "verdict", "words"), VERDICTS_OF)
def test_the_verdict_follows_the_numbers(experiment, made, verdict, words):
    found = experiment.verdict(made)
    assert found.verdict == verdict in VERDICTS
    assert words in found.why
    assert isinstance(experiment.figure(made), Figure)


@pytest.fixture
def untrained(monkeypatch):
    """In place of the trained network one that knows nothing; a start, and fewer colours, shapes and grounds to try."""
    torch.manual_seed(0)
    network = recipes.T2I_SCENES.model().to(runtime.device()).eval()
    real = experiments.load
    monkeypatch.setattr(experiments, "load", lambda recipe: network if recipe is recipes.T2I_SCENES else real(recipe))
    monkeypatch.setattr(experiments, "COLORS", COLORS[:2])
    monkeypatch.setattr(experiments, "NAMED", {kind: texts[:2] for kind, texts in experiments.NAMED.items()})
    monkeypatch.setattr(recipes, "STEPS", 2)
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    experiments._two_objects.cache_clear()
    yield
    experiments._two_objects.cache_clear()


@ALL
def test_it_runs(experiment, untrained):
    key = next(iter(experiment.grid[0]))
    cells = {str(cell[key]): dict(cell) for cell in reversed(experiment.grid)}
    made = [cell | dict(experiment.run(**cell)) for cell in cells.values()]
    shown = {name for row in made for name in row}
    wanted = {name for found, numbers, _, _ in VERDICTS_OF if found is experiment for name in numbers[0]}
    assert wanted <= shown, "the verdict reads what the run measures"


def test_a_negative_prompt_says_what_it_is_counted_by():
    scenes = records("test", range(200))
    for kind, texts in experiments.NAMED.items():
        before = "There is one object. A small red circle is at the top left. " if kind == "background" else ""
        assert all(accepts(f"{before}{text[0].upper()}{text[1:]}.") for text in texts), (
            "the captions have no other words"
        )
        for which, text in enumerate(texts):
            shown = experiments.shows(scenes, kind, which)
            assert shown.any() and not shown.all()
            assert {"colour": COLORS, "object": SHAPES, "background": BACKGROUNDS}[kind][which] in text
    assert not any("circle" in text for text in experiments._open_prompts("object", SHAPES.index("circle"), 12))
    assert len(set(experiments._open_prompts("colour", 0, 12))) == len(SHAPES)


def test_a_frozen_encoder_stays_as_it_is_and_one_of_its_own_is_trained(untrained):
    torch.manual_seed(0)
    frozen = CLIPPromptEncoder.from_clip(experiments.load(experiments.CLIP_SCENES))
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    experiments._trained(frozen, 0, 3, recipes.process(), along=False)
    assert all(value.equal(before[name]) for name, value in frozen.state_dict().items())
    own = PromptEncoder(experiments.SMALL)
    start = own.tokens.weight.clone()
    experiments._trained(own, 0, 3, recipes.process())
    assert not own.tokens.weight.equal(start)


def test_without_positions_a_caption_stays_a_bag_of_words(untrained, monkeypatch):
    made, real = [], experiments.PromptEncoder
    monkeypatch.setattr(experiments, "PromptEncoder", lambda config: made.append(real(config)) or made[-1])
    for start in ("no positions", "words 50 times larger"):
        experiments._start_run(start, 0)
    without, larger = made
    assert not without.positions.weight.any() and larger.positions.weight.any()
    assert 45 < larger.tokens.weight.std() / without.tokens.weight.std() < 55
