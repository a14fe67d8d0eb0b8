"""The experiments of notebook 02_sampling_and_guidance: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.autoencoders.recipes import single_objects
from course_utils.diffusion import DDIM, Heun, UNet, UNetConfig, experiments, recipes, sampling_experiments
from course_utils.diffusion.samplers import DPMSolver
from course_utils.training import load
from course_utils.training.experiment import VERDICTS

ALL = pytest.mark.parametrize(
    "experiment",
    sampling_experiments.EXPERIMENTS,
    ids=[experiment.name for experiment in sampling_experiments.EXPERIMENTS],
)


def small_network(num_classes: int) -> UNet:
    torch.manual_seed(0)
    network = UNet(UNetConfig(widths=(8, 8), num_blocks=1, attention_levels=(), num_groups=4, num_classes=num_classes))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.fixture
def untrained(monkeypatch):
    """In place of the trained networks, small ones that know nothing."""

    def loaded(recipe):
        return small_network(recipe.model().config.num_classes) if recipe in recipes.RECIPES else load(recipe)

    monkeypatch.setattr(sampling_experiments, "load", loaded)
    monkeypatch.setattr(sampling_experiments, "read_card", lambda recipe: {"seconds": 60.0, "parameters": 1000})


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured, and seeds differ a little."""
    return [
        {**cell}
        | {
            name: value * (1 + 0.001 * cell["seed"]) if isinstance(value, float) else value
            for name, value in numbers(cell).items()
        }
        for cell in experiment.grid
    ]


def step_rows(ddim: float = 11.0, solver: float = 11.0, whole: float = 10.0) -> list[dict]:
    def measured(cell):
        distance = {"DDIM": ddim, "DPM-Solver++": solver, "Heun": solver}.get(cell["sampler"], 20.0)
        return {
            "judge_frechet": whole if cell["passes"] == sampling_experiments.FULL else distance,
            "class_accuracy": 0.9,
            "floor": 5.0,
            "passes_used": cell["passes"],
        }

    return rows(experiments.STEPS, measured)


def guidance_rows(right: float, recall: float) -> list[dict]:
    """Numbers at the scales above 1, where at scale 1 both are 0.8."""

    def measured(cell):
        plain = cell["guidance_scale"] == 1
        return {
            "class_accuracy": 0.8 if plain else right,
            "recall": 0.8 if plain else recall,
            "variety": 30.0,
            "judge_frechet": 10.0,
            "extreme": 0.1,
            "floor": 5.0,
            "real_recall": 0.9,
            "real_variety": 40.0,
            "real_extreme": 0.1,
        }

    return rows(experiments.GUIDANCE, measured)


def model_rows(diffusion: float, vae_recall: float, diffusion_recall: float = 0.8, speed: float = 2.0) -> list[dict]:
    def measured(cell):
        kind = cell["model"].split(",")[0]
        return {
            "judge_frechet": {"VAE": 400.0, "DCGAN": 90.0, "DDPM": diffusion}.get(kind, 3.0),
            "precision": 0.5,
            "recall": {"VAE": vae_recall, "DCGAN": 0.3, "DDPM": diffusion_recall}.get(kind, 0.9),
            "coverage": 0.5,
            "pictures_per_second": {"VAE": 900.0, "DCGAN": 800.0, "DDPM": speed}.get(kind),
        }

    return rows(experiments.MODELS_COMPARED, measured)


def inpainting_rows(right_half: float, middle: float, known_error: float = 0.0) -> list[dict]:
    def measured(cell):
        share = right_half if cell["mask"] == "right half" else middle
        return {
            "valid": {"replacement": share - 0.2, "resampling": share}.get(cell["method"], 0.5),
            "object_kept": 0.9,
            "known_error": known_error,
        }

    return rows(experiments.INPAINTING, measured)


FULL_ROWS = {
    "diffusion-steps": step_rows(),
    "diffusion-guidance": guidance_rows(0.95, 0.5),
    "vae-gan-diffusion": model_rows(30.0, 0.4),
    "inpainting": inpainting_rows(0.95, 0.95),
}


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (experiments.STEPS, step_rows(10.9), "holds here"),
        (experiments.STEPS, step_rows(12.0, 10.0), "in part"),
        (experiments.STEPS, step_rows(12.0, 12.0), "does not hold here"),
        (experiments.GUIDANCE, guidance_rows(0.95, 0.5), "holds here"),
        (experiments.GUIDANCE, guidance_rows(0.95, 0.8), "in part"),
        (experiments.GUIDANCE, guidance_rows(0.8, 0.5), "in part"),
        (experiments.GUIDANCE, guidance_rows(0.8, 0.8), "does not hold here"),
        (experiments.MODELS_COMPARED, model_rows(30.0, 0.4), "holds here"),
        (experiments.MODELS_COMPARED, model_rows(30.0, 0.1), "in part"),
        (experiments.MODELS_COMPARED, model_rows(100.0, 0.4), "in part"),
        (experiments.INPAINTING, inpainting_rows(0.95, 0.95), "holds here"),
        (experiments.INPAINTING, inpainting_rows(0.5, 0.95), "in part"),
        (experiments.INPAINTING, inpainting_rows(0.5, 0.5), "not at our scale"),
        (experiments.INPAINTING, inpainting_rows(0.95, 0.95, 0.1), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, untrained, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    measured = experiment.run(**experiment.grid[-1 if experiment.name == "diffusion-steps" else 3])
    made = [{**cell, **measured} for cell in experiment.grid]
    assert experiment.verdict(made).verdict in VERDICTS
    assert isinstance(experiment.figure(made), Figure)


def test_each_of_the_models_is_measured_alike(untrained, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    measured = [experiments.MODELS_COMPARED.run(model, 0) for model in sampling_experiments.MODELS]
    costs = {"training_minutes", "parameters"}
    assert len({frozenset(set(row) - costs) for row in measured}) == 1
    assert [costs <= set(row) for row in measured] == [True, True, True, True, False]
    assert all(row["pictures_per_second"] > 0 for row in measured[:-1])


@ALL
def test_a_figure_can_be_drawn_while_the_grid_is_not_full(experiment):
    full = FULL_ROWS[experiment.name]
    assert isinstance(experiment.figure(full[: len(full) // 2]), Figure)


@pytest.mark.parametrize("passes", [1, 4, 10, 25])
def test_no_sampler_asks_more_often_than_it_may(passes):
    made = recipes.process()
    for sampler in sampling_experiments.SAMPLERS.values():
        path = sampling_experiments.path_of(made, sampler, passes)
        used = sampling_experiments.passes_of(sampler, path)
        assert passes - 1 <= used <= passes, "and not much less often, where it may ask in pairs only"
    assert len(sampling_experiments.path_of(made, DDIM(), passes)) == passes + 1


def test_heun_gets_about_half_of_the_steps():
    made = recipes.process()
    steps = [len(sampling_experiments.path_of(made, sampler, 25)) - 1 for sampler in (Heun(), DPMSolver())]
    assert steps == [13, 25]


def test_samplers_start_from_the_same_noise_and_repeat_with_the_seed(untrained):
    network, labels = small_network(5), torch.arange(3)
    first, again, other = (sampling_experiments.drawn(network, DDIM(), 3, seed, labels) for seed in (0, 0, 1))
    assert first.equal(again) and not first.equal(other)
    assert first.shape == (3, 3, 32, 32) and first.abs().max() <= 1
    guided = sampling_experiments.drawn(network, DDIM(), 3, 0, labels, guidance_scale=3.0)
    assert not guided.equal(first)


def test_variety_counts_what_a_class_leaves_open():
    images = single_objects("test", 200, 32)["image"]
    assert 20 < sampling_experiments.variety(images) <= sampling_experiments.KINDS
    assert sampling_experiments.variety(images[:1].expand(50, -1, -1, -1)) == pytest.approx(1)
    assert sampling_experiments.variety(torch.zeros(5, 3, 32, 32)) == pytest.approx(1), "nothing to read"


@pytest.mark.parametrize("name", sampling_experiments.MASKS)
def test_known_pixels_are_kept_exactly_and_others_are_drawn(name):
    images, known = single_objects("test", 4, 32)["image"], sampling_experiments.known_part(name)
    assert 0.4 < known.mean() < 0.8
    for times in (1, 2):
        filled = sampling_experiments.inpainted(small_network(5), images, known, 0, times, passes=3)
        assert (known * filled).equal(known * images)
        assert ((1 - known) * (filled - images)).abs().max() > 0.1


def test_real_scenes_are_valid_and_a_collage_is_less_often():
    images, known = single_objects("test", 64, 32)["image"], sampling_experiments.known_part("right half")
    collage = known * images + (1 - known) * images.roll(1, 0)
    assert sampling_experiments.valid(images).double().mean() > 0.95
    assert sampling_experiments.valid(collage).double().mean() < 0.8
