"""The experiments of notebook 01_ddpm: each runs, its verdict follows its numbers, and what they measure is what they say."""

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.diffusion import DiffusionConfig, GaussianDiffusion, ddpm_experiments, experiments
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.diffusion.score import mixture_network
from course_utils.gans.gan import ring
from course_utils.layers import draw_normal
from course_utils.runtime import generator

ALL = pytest.mark.parametrize(
    "experiment", ddpm_experiments.EXPERIMENTS, ids=[experiment.name for experiment in ddpm_experiments.EXPERIMENTS]
)


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


def forward_rows(**found: float) -> list[dict]:
    def measured(cell):
        at_the_end = found.get(cell["schedule"], 0.002)
        return {
            "found_at_the_end": at_the_end,
            "bits_left": 0.01,
            "found_over_time": [1.0] * (ddpm_experiments.MOMENTS - 1) + [at_the_end],
        }

    return rows(experiments.FORWARD, measured)


def answer_rows(**right: float) -> list[dict]:
    def measured(cell):
        return {
            "plane_quality": 0.9,
            "label_accuracy": right.get(cell["answer"], 0.95),
            "pixel_frechet": 1.0,
            "floor": 0.5,
            "excess_over_time": [0.1] * ddpm_experiments.MOMENTS,
        }

    return rows(experiments.PARAMETERISATIONS, measured)


def schedule_rows(linear: float, linear_skipped: float, bits: float = 3.0) -> list[dict]:
    def measured(cell):
        first = cell["schedule"] == "linear"
        return {
            "pixel_frechet": linear if first else 1.0,
            "skipped_frechet": linear_skipped if first else 2.0,
            "label_accuracy": 0.9,
            "bits_per_dimension": bits if first else 3.0,
            "floor": 0.5,
        }

    return rows(experiments.SCHEDULES, measured)


FULL = {
    "ddpm-forward": forward_rows(),
    "ddpm-parameterisations": answer_rows(),
    "ddpm-schedules": schedule_rows(2.0, 2.0),
}


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (experiments.FORWARD, forward_rows(scaled_linear=0.5), "holds here"),
        (experiments.FORWARD, forward_rows(linear=0.5), "in part"),
        (experiments.FORWARD, forward_rows(linear=0.5, cosine=0.5), "does not hold here"),
        (experiments.PARAMETERISATIONS, answer_rows(v_prediction=0.1), "holds here"),
        (experiments.PARAMETERISATIONS, answer_rows(epsilon=0.1), "in part"),
        (experiments.PARAMETERISATIONS, answer_rows(epsilon=0.1, sample=0.1), "does not hold here"),
        (experiments.SCHEDULES, schedule_rows(2.0, 2.0), "holds here"),
        (experiments.SCHEDULES, schedule_rows(1.0, 1.0), "in part"),
        (experiments.SCHEDULES, schedule_rows(1.0, 2.0, bits=4.0), "in part"),
        (experiments.SCHEDULES, schedule_rows(1.0, 2.0), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    measured = experiment.run(**experiment.grid[-1])
    made = [{**cell, **measured} for cell in experiment.grid]
    assert experiment.verdict(made).why
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_a_figure_can_be_drawn_while_the_grid_is_not_full(experiment):
    full = FULL[experiment.name]
    assert isinstance(experiment.figure(full[: len(full) // 2]), Figure)


@ALL
def test_every_setting_has_its_seeds_and_claims_are_the_lectures(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    assert all(settings.count(setting) == 3 for setting in settings)
    assert experiment.claim in ("C21", "C22", "C23")


def test_a_picture_is_found_again_in_little_noise_and_by_chance_in_noise_alone():
    pictures = draw_normal((400, 3, 4, 4), generator(0))
    noise = draw_normal(pictures.shape, generator(1))
    assert ddpm_experiments.found_again(0.9 * pictures + 0.436 * noise, pictures, Level(0, 0.9, 0.436)) == 1
    faint = 0.01 * pictures + noise
    assert ddpm_experiments.found_again(faint, pictures, Level(0, 0.01, 1.0)) < 0.03
    assert ddpm_experiments.found_again(pictures, pictures, CLEAN) == 1


def test_a_bright_picture_is_not_taken_for_every_other():
    """The likelihood takes off the brightness: the inner product alone would always choose the brightest candidate."""
    pictures = torch.stack([torch.full((1, 4, 4), value) for value in (0.1, 0.5, 2.0)])
    assert ddpm_experiments.found_again(pictures, pictures, CLEAN) == 1


def test_the_best_network_has_no_excess_error():
    config, mixture = DiffusionConfig(40), ring(std=0.1)
    best = mixture_network(mixture, GaussianDiffusion(config))

    class Best(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, noisy, timesteps):
            return best(noisy, timesteps)

    errors = ddpm_experiments.excess_errors(Best(), config, mixture)
    assert len(errors) == ddpm_experiments.MOMENTS
    assert max(errors) < 1e-3
