"""The chapter's experiments: each runs, its verdict follows its numbers, and steering works where it must."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from course_utils.autoencoders import experiments, recipes
from course_utils.metrics import SceneReading

OWN = [one for one in experiments.EXPERIMENTS if one not in experiments.discrete_experiments.EXPERIMENTS]
ALL = pytest.mark.parametrize("experiment", OWN, ids=[experiment.name for experiment in OWN])
CLASSES = 9  # values of a fact, -1 to 7
STEERED = {
    "inferred": 0.99, "inferred_chance": 0.2, "success": 0.9, "kept": 0.9, "both": 0.8,
    "random_success": 0.05, "random_kept": 0.5, "strength": 1.0,
}  # fmt: skip
BLUR = {
    f"{kind}_{measure}": value
    for kind, share, distance in (("rebuilt", 0.6, 10.0), ("drawn", 0.4, 300.0), ("others", 1.0, 20.0))
    for measure, value in (("sharpness", share), ("fine_detail", share), ("frechet", distance), ("readable", share))
} | {"rebuilt_psnr_db": 30.0}


def rows(experiment, numbers) -> list[dict]:
    """A row for every cell of the grid; `numbers(cell)` is what it measured, and seeds differ a little."""
    made = []
    for cell in experiment.grid:
        measured = numbers(cell)
        made.append({**cell, **{name: value * (1 + 0.001 * cell["seed"]) for name, value in measured.items()}})
    return made


def label_rows(encoder: float, decoder: float, both: float = 0.97, gain: float = 0.0) -> list[dict]:
    share = {"neither": 0.1, "encoder": encoder, "decoder": decoder, "both": both}
    return rows(
        experiments.CVAE_LABEL,
        lambda cell: {
            "label_accuracy": share[cell["label_into"]],
            "elbo_nats": -320.0 + gain * (cell["label_into"] == "both"),
            "kl_nats": 12.0,
        },
    )


def beta_rows(collapses: bool = True, falls: bool = True) -> list[dict]:
    def measured(cell):
        price = cell["beta"] if falls else 1.0
        return {
            "squared_error": 50 + 10 * price**0.5,
            "kl_nats": 20 / price,
            "elbo_nats": -100 - abs(price - 1),
            "active_units": 0 if collapses and price > 100 else 8,
        }

    return rows(experiments.VAE_BETA_SWEEP, measured)


def collapse_rows(factor: float = 1.0, only: float | None = None) -> list[dict]:
    def measured(cell):
        kl = 8 / cell["std"]
        wrong = factor if only in (None, cell["std"]) else 1.0
        return {"active_units": 4, "predicted_units": 4, "kl_nats": kl * wrong, "predicted_kl_nats": kl}

    return rows(experiments.VAE_POSTERIOR_COLLAPSE, measured)


def steering_rows(**changed) -> list[dict]:
    """`changed` by attribute: the success there."""
    return rows(experiments.LATENT_STEERING, lambda cell: STEERED | {"success": changed.get(cell["attribute"], 0.9)})


def blur_rows(**changed) -> list[dict]:
    return rows(experiments.VAE_BLUR, lambda cell: BLUR | changed)


EVERY = ("shape", "color", "size", "background", "presence")


@pytest.mark.parametrize(
    ("experiment", "made", "verdict"),
    [
        (experiments.LATENT_STEERING, steering_rows(), "holds here"),
        (experiments.LATENT_STEERING, steering_rows(shape=0.1), "in part"),
        (experiments.LATENT_STEERING, steering_rows(**dict.fromkeys(EVERY, 0.1)), "not at our scale"),
        (experiments.VAE_BLUR, blur_rows(), "in part"),
        (experiments.VAE_BLUR, blur_rows(drawn_sharpness=1.0), "does not hold here"),
        (experiments.VAE_BLUR, blur_rows(drawn_frechet=21.0), "does not hold here"),
        (experiments.CVAE_LABEL, label_rows(encoder=0.1, decoder=0.5), "holds here"),
        (experiments.CVAE_LABEL, label_rows(encoder=0.1, decoder=0.97), "in part"),
        (experiments.CVAE_LABEL, label_rows(encoder=0.97, decoder=0.97, gain=8.0), "holds here"),
        (experiments.CVAE_LABEL, label_rows(encoder=0.1, decoder=0.1, both=0.1), "not at our scale"),
        (experiments.VAE_BETA_SWEEP, beta_rows(), "holds here"),
        (experiments.VAE_BETA_SWEEP, beta_rows(collapses=False), "in part"),
        (experiments.VAE_BETA_SWEEP, beta_rows(falls=False), "does not hold here"),
        (experiments.VAE_POSTERIOR_COLLAPSE, collapse_rows(), "holds here"),
        (experiments.VAE_POSTERIOR_COLLAPSE, collapse_rows(2.0, only=2.0), "in part"),
        (experiments.VAE_POSTERIOR_COLLAPSE, collapse_rows(2.0), "does not hold here"),
    ],
)
def test_the_verdict_follows_the_numbers(experiment, made, verdict):
    assert experiment.verdict(made).verdict == verdict
    middle = len(made) // 2
    for drawn in (made, made[:middle], made[middle:]):  # a figure bears a grid that is not full
        assert isinstance(experiment.figure(drawn), Figure)


@pytest.mark.parametrize(
    "experiment",
    [experiments.CVAE_LABEL, experiments.VAE_BETA_SWEEP, experiments.VAE_POSTERIOR_COLLAPSE],
    ids=lambda experiment: experiment.name,
)
def test_a_cell_runs_and_measures_what_verdict_and_figure_need(experiment, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    measured = experiment.run(**experiment.grid[-1])
    made = [{**cell, **measured} for cell in experiment.grid]
    assert experiment.verdict(made).why
    assert isinstance(experiment.figure(made), Figure)


@ALL
def test_every_setting_has_three_seeds_and_claims_are_the_lectures(experiment):
    settings = [tuple(value for name, value in cell.items() if name != "seed") for cell in experiment.grid]
    assert all(settings.count(setting) == 3 for setting in settings)
    assert experiment.claim in (None, "C01", "C02", "C11")


class KnowingVAE:
    """A model whose code is the scene's record, one number for each value of each fact; its pictures are its codes."""

    posterior = SimpleNamespace(weight=torch.zeros(1))

    def encode(self, images):
        return images, None

    def decode(self, latents, labels=None):
        return latents


class KnowingJudge:
    """Reads the largest number of each fact."""

    def read(self, codes):
        read = codes.unflatten(1, (13, CLASSES)).argmax(-1) - 1
        return SceneReading(read[:, :4], read[:, 4:8], read[:, 8:12], read[:, 12], torch.ones(len(codes)))


@pytest.mark.parametrize("attribute", ["shape", "color", "size", "background"])
def test_steering_a_code_that_is_the_record_succeeds_and_a_random_step_does_not(attribute, monkeypatch):
    scenes = recipes.scenes

    def coded(split, samples):
        batch = scenes(split, samples)
        known = torch.cat([batch["shape"], batch["color"], batch["size"], batch["background"][:, None]], dim=1)
        return {**batch, "image": F.one_hot(known + 1, CLASSES).flatten(1).float()}

    monkeypatch.setattr(recipes, "scenes", coded)
    measured = experiments.steer(KnowingVAE(), KnowingJudge(), attribute, seed=0, samples=400, questions=4)
    assert measured["inferred"] == 1
    assert measured["inferred_chance"] < 0.5
    assert measured["success"] == 1
    assert measured["kept"] > 0.9
    assert measured["random_success"] < 0.3


def test_questions_name_the_columns_that_they_may_change():
    known = torch.arange(26).view(2, 13) - 1
    for attribute, place, column in [("shape", 0, 0), ("color", 2, 6), ("size", 3, 11), ("background", 1, 12)]:
        answer, free = experiments.question(attribute, known, place)
        assert answer.tolist() == known[:, column].tolist()
        assert free == [column]
    answer, free = experiments.question("presence", known, 0)
    assert answer.tolist() == [0, 1]
    assert free == [0, 4, 8]
