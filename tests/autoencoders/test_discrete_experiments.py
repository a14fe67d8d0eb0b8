"""The studies of discrete latents: each runs, and its verdict follows its numbers."""

import math

import pytest
import torch
from matplotlib.figure import Figure

from course_utils.autoencoders import VQVAEConfig, discrete_experiments, recipes
from course_utils.autoencoders.vae import gaussian_log_likelihood
from course_utils.layers import draw_integers, draw_normal
from course_utils.runtime import generator
from course_utils.training import run_cell

EXPERIMENTS = discrete_experiments.EXPERIMENTS
ALL = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=[experiment.name for experiment in EXPERIMENTS])


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured, and seeds differ a little."""
    return [
        {**cell, **{name: value + 0.001 * cell["seed"] if isinstance(value, float) else value for name, value in numbers(cell).items()}}
        for cell in experiment.grid
    ]  # fmt: skip


def likelihood_rows(gap: float) -> list[dict]:
    return rows(
        discrete_experiments.DISCRETE_LIKELIHOOD,
        lambda cell: {
            "bits_per_dim": 5.0 + gap * (cell["latents"] == "discrete"),
            "code_nats": 150.0,
            "uniform_prior_bits_per_dim": 5.2 if cell["latents"] == "discrete" else None,
            "psnr_db": 30.0,
        },
    )


def hierarchy_rows(one: float, two: float, alone: float = 900.0) -> list[dict]:
    def numbers(cell):
        drawn = one if cell["grids"] == "one" else two
        kinds = {"": drawn, "no_prior_": alone, "rebuilt_": 20.0}
        names = {"judge_frechet": 1.0, "readable": 0.001, "coverage": 0.001}
        return {f"{kind}{name}": value * factor for kind, value in kinds.items() for name, factor in names.items()}

    return rows(discrete_experiments.HIERARCHICAL_PRIOR, numbers)


def collapse_rows(healthy: float = 1.0, broken: float = 0.1) -> list[dict]:
    def numbers(cell):
        used = healthy if cell["setting"] == "as it should be" else broken
        return {"used_codes": used, "perplexity": 256 * used, "psnr_db": 30.0, "perplexity_in_training": [3.0, 2.0]}

    return rows(discrete_experiments.CODEBOOK_COLLAPSE, numbers)


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (discrete_experiments.DISCRETE_LIKELIHOOD, likelihood_rows(-0.2), "holds here"),
        (discrete_experiments.DISCRETE_LIKELIHOOD, likelihood_rows(0.1), "holds here"),
        (discrete_experiments.DISCRETE_LIKELIHOOD, likelihood_rows(0.1605), "in part"),
        (discrete_experiments.DISCRETE_LIKELIHOOD, likelihood_rows(0.5), "does not hold here"),
        (discrete_experiments.HIERARCHICAL_PRIOR, hierarchy_rows(300.0, 200.0), "holds here"),
        (discrete_experiments.HIERARCHICAL_PRIOR, hierarchy_rows(200.0, 300.0), "in part"),
        (discrete_experiments.HIERARCHICAL_PRIOR, hierarchy_rows(300.0, 200.0, alone=250.0), "not at our scale"),
        (discrete_experiments.CODEBOOK_COLLAPSE, collapse_rows(), "holds here"),
        (discrete_experiments.CODEBOOK_COLLAPSE, collapse_rows(healthy=0.5), "in part"),
        (discrete_experiments.CODEBOOK_COLLAPSE, collapse_rows(broken=0.95), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    middle = len(made) // 2
    for drawn in (made, made[:middle], made[middle:]):  # a figure bears a grid that is not full
        assert isinstance(experiment.figure(drawn), Figure)


@pytest.mark.parametrize(
    ("experiment", "cells"),
    [
        (discrete_experiments.DISCRETE_LIKELIHOOD, (0, -1)),
        (discrete_experiments.HIERARCHICAL_PRIOR, (0, -1)),
        (discrete_experiments.CODEBOOK_COLLAPSE, (0, 12, -1)),
    ],
    ids=[experiment.name for experiment in EXPERIMENTS],
)
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, cells, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    key = next(name for name in experiment.grid[0] if name != "seed")
    measured = {experiment.grid[index][key]: run_cell(experiment, index) for index in cells}
    made = [{**measured.get(cell[key], next(iter(measured.values()))), **cell} for cell in experiment.grid]
    assert experiment.verdict(made).why
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_every_setting_has_three_seeds_and_claims_are_the_lectures(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    assert all(settings.count(setting) == 3 for setting in settings)
    assert experiment.claim in (None, "C03", "C04")


def test_stored_bits_are_those_of_a_picture_in_256_levels():
    """A density that is uniform over [-1, 1 + one level) gives each of 256 levels 1/256: eight bits a value."""
    density = torch.full((2,), -3 * 32 * 32 * math.log(256 * discrete_experiments.LEVELS))
    assert discrete_experiments.stored_bits(density) == pytest.approx(8, abs=1e-4)


def test_the_variance_of_the_discrete_model_is_the_most_likely_one():
    images, means = draw_normal((20, 3, 8, 8), generator(0)), draw_normal((20, 3, 8, 8), generator(1))
    best = 0.5 * (means - images).square().mean().log()
    nats = [gaussian_log_likelihood(means, images, best + shift).mean() for shift in (-0.05, 0.0, 0.05)]
    assert nats[1] > nats[0] and nats[1] > nats[2]


def test_both_models_of_the_comparison_have_one_encoder_but_for_its_last_layer():
    config = VQVAEConfig(widths=(8, 16), num_codes=16, code_dim=4)
    grid, discrete = discrete_experiments.GridVAE(config), discrete_experiments.VQVAE(config)
    for ours, theirs in ((grid.encoder[:-1], discrete.encoder[:-1]), (grid.decoder, discrete.decoder)):
        assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    _, kl, means = grid(torch.zeros(2, 3, 32, 32), torch.zeros(2, 4, 8, 8))
    assert kl.shape == (2,) and means.shape == (2, 3, 32, 32)


def test_codes_drawn_alone_keep_the_frequencies_of_each_place_and_nothing_else():
    grids = draw_integers(0, 3, (4000, 1, 1), generator(0)).expand(-1, 2, 2).clone()  # all places agree
    grids[:, 0, 0] = 7
    drawn = recipes.independent(grids, 4000, generator(1))
    assert (drawn[:, 0, 0] == 7).all()
    shares = torch.bincount(drawn[:, 1, 1]) / 4000
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), rtol=0, atol=0.04)
    assert (drawn[:, 0, 1] == drawn[:, 1, 1]).double().mean().item() == pytest.approx(1 / 3, abs=0.04)


def test_bits_of_codes_drawn_alone_are_the_entropy():
    grids = draw_integers(0, 4, (20_000, 2, 2), generator(0))
    assert recipes.independent_bits(grids[:10_000], grids[10_000:], 8) == pytest.approx(2, abs=0.01)


def test_a_class_is_read_where_the_object_stands_and_a_second_object_makes_it_wrong():
    batch = recipes.single_objects("test", 60, 32)
    scores, right = recipes.class_scores(batch["image"], batch["label"])
    assert right.double().mean() > 0.95 and scores.mean() > 0.95
    scores, right = recipes.class_scores(batch["image"], (batch["label"] + 9) % 48)
    assert right.double().mean() < 0.1 and scores.mean() < 0.1
    crowded = recipes.scenes("test", 60)
    several = (crowded["shape"] >= 0).sum(1) > 1
    first = (crowded["shape"].amax(1) * 8 + crowded["color"].amax(1)).clamp(0, 47)
    assert not recipes.class_scores(crowded["image"], first)[1][several].any()
