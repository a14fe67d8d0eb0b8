"""The chapter's experiments: each runs, its verdict follows its numbers, and the smallest game does what the theory says."""

import math

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.gans import experiments, face_experiments, plane_experiments, recipes
from course_utils.gans.gan import GAN, GANConfig, ring

ALL = pytest.mark.parametrize(
    "experiment", experiments.EXPERIMENTS, ids=[experiment.name for experiment in experiments.EXPERIMENTS]
)
MOMENTS = {"quality_over_time": [0.1] * 20, "generator_loss": [1.0, 2.0] * 10, "distance_over_time": [1.0] * 100}


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured, and seeds differ a little."""
    made = []
    for cell in experiment.grid:
        measured = numbers(cell)
        made.append(
            {**cell}
            | {
                name: value * (1 + 0.001 * cell["seed"]) if isinstance(value, float) else value
                for name, value in measured.items()
            }
        )
    return made


def losses_rows(correlation: float, rest: float) -> list[dict]:
    def measured(cell):
        return MOMENTS | {"correlation": correlation, "rest_distance": 0.01 if "+" in cell["game"] else rest}

    return rows(experiments.LOSSES_AND_QUALITY, measured)


def sensitivity_rows(game: float, classifier: float) -> list[dict]:
    return rows(experiments.SENSITIVITY, lambda cell: {"reached": classifier if cell["task"] == "classifier" else game})


def collapse_rows(none: int, remedied: int) -> list[dict]:
    def measured(cell):
        modes = none if cell["remedy"] == "none" else remedied
        return {"modes_covered": modes, "good_share": 0.8, "points": [0.5] * 1000}

    return rows(experiments.MODE_COLLAPSE, measured)


def rules_rows(**broken: float) -> list[dict]:
    def measured(cell):
        distance = broken.get(cell["broken"].split()[0].strip(","), 100.0)
        return {"judge_frechet": distance, "distance_over_time": [200.0] * face_experiments.MOMENTS}

    return rows(experiments.RULES, measured)


def walk_rows(sphere_step: float, on_the_way: float, ratio: float = 1.1) -> list[dict]:
    def measured(cell):
        return {
            "largest_step": sphere_step if cell["path"] == "sphere" else 0.9,
            "readable_on_the_way": on_the_way,
            "readable_at_the_ends": 0.9,
            "distance_to_training_ratio": ratio,
            "copied": 0.01,
        }

    return rows(experiments.INTERPOLATION, measured)


def sum_rows(single: float, three: float) -> list[dict]:
    def measured(cell):
        right = single if cell["exemplars"] == 1 else three
        return {"right": right, "chance": 0.1, "readable": 0.9, "length": 1.7}

    return rows(experiments.ARITHMETIC, measured)


def label_rows(one: float, both: float) -> list[dict]:
    return rows(
        experiments.LABEL, lambda cell: {"label_accuracy": both if cell["label_into"].startswith("both") else one}
    )


def against_rows(vae_sharpness: float, vae_distance: float) -> list[dict]:
    def measured(cell):
        vae = cell["kind"] == "VAE"
        return {
            "sharpness": vae_sharpness if vae else 1.0,
            "judge_frechet": vae_distance if vae else 100.0,
            "readable": 0.5,
            "recall": 0.5,
        }

    return rows(experiments.AGAINST_VAE, measured)


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (experiments.LOSSES_AND_QUALITY, losses_rows(0.1, 1.0), "holds here"),
        (experiments.LOSSES_AND_QUALITY, losses_rows(-0.95, 1.0), "in part"),
        (experiments.LOSSES_AND_QUALITY, losses_rows(-0.95, 0.01), "does not hold here"),
        (experiments.SENSITIVITY, sensitivity_rows(0.3, 0.9), "holds here"),
        (experiments.SENSITIVITY, sensitivity_rows(0.9, 0.9), "does not hold here"),
        (experiments.MODE_COLLAPSE, collapse_rows(2, 8), "holds here"),
        (experiments.MODE_COLLAPSE, collapse_rows(2, 2), "in part"),
        (experiments.MODE_COLLAPSE, collapse_rows(8, 8), "does not hold here"),
        (experiments.RULES, rules_rows(pooling=200.0, ReLU=200.0, hidden=200.0, no=200.0), "holds here"),
        (experiments.RULES, rules_rows(no=200.0), "in part"),
        (experiments.RULES, rules_rows(no=50.0), "not at our scale"),
        (experiments.INTERPOLATION, walk_rows(0.1, 0.9), "holds here"),
        (experiments.INTERPOLATION, walk_rows(0.1, 0.2), "in part"),
        (experiments.INTERPOLATION, walk_rows(0.9, 0.2, ratio=0.1), "does not hold here"),
        (experiments.ARITHMETIC, sum_rows(0.5, 0.9), "holds here"),
        (experiments.ARITHMETIC, sum_rows(0.3, 0.5), "in part"),
        (experiments.ARITHMETIC, sum_rows(0.5, 0.5), "does not hold here"),
        (experiments.LABEL, label_rows(0.1, 0.9), "holds here"),
        (experiments.LABEL, label_rows(0.5, 0.6), "in part"),
        (experiments.LABEL, label_rows(0.9, 0.9), "does not hold here"),
        (experiments.AGAINST_VAE, against_rows(0.5, 300.0), "holds here"),
        (experiments.AGAINST_VAE, against_rows(0.5, 50.0), "in part"),
        (experiments.AGAINST_VAE, against_rows(1.0, 50.0), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    middle = len(made) // 2
    for drawn in (made, made[:middle], made[middle:]):  # a figure bears a grid that is not full
        assert isinstance(experiment.figure(drawn), Figure)


@ALL
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    monkeypatch.setattr(recipes, "GALLERY", 100)
    measured = experiment.run(**experiment.grid[-1])
    made = [{**cell, **measured} for cell in experiment.grid]
    assert experiment.verdict(made).why
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_every_setting_has_its_seeds_and_claims_are_the_lectures(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    seeds = 5 if experiment is experiments.MODE_COLLAPSE else 3
    assert all(settings.count(setting) == seeds for setting in settings)
    assert experiment.claim in ("C02", "C05", "C06", "C07", "C08", "C09", "C10", "C11")


def test_the_smallest_game_circles_without_a_penalty_and_rests_with_one():
    circling = plane_experiments.smallest_game("wasserstein")
    # alternating steps h on theta * psi keep theta^2 + psi^2 - h theta psi exactly: an ellipse around the point of rest
    assert min(circling) > 0.9
    assert max(circling) < 1.1
    for loss in ("minimax", "non_saturating", "wasserstein"):
        assert plane_experiments.smallest_game(loss, penalty_weight=1.0)[-1] < 1e-3


def test_a_discriminator_that_knows_the_densities_has_gained_all_and_a_blind_one_nothing():
    mixture = ring(std=0.1)

    class Known(GAN):
        def discriminate(self, samples):
            return mixture.log_density(samples) + math.log(36)

    class Blind(GAN):
        def discriminate(self, samples):
            return torch.zeros(len(samples))

    assert plane_experiments.gained(Known(GANConfig()), mixture, 0) == pytest.approx(1)
    assert plane_experiments.gained(Blind(GANConfig()), mixture, 0) == pytest.approx(0, abs=1e-6)


def test_quality_is_one_for_data_and_small_for_one_mode_or_for_noise():
    mixture = ring()
    data = mixture.sample(2000, torch.Generator().manual_seed(0))
    assert plane_experiments.quality(data, mixture) == pytest.approx(0.989, abs=0.01)
    assert plane_experiments.quality(data[:1].expand(2000, 2), mixture) == pytest.approx(1 / 8)
    assert plane_experiments.quality(torch.zeros(2000, 2), mixture) == 0
