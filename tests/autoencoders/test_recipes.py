"""The recipes of the chapter: every function of them on an untrained model, and what the measures mean."""

import pytest
import torch

from course_utils import layers, runtime
from course_utils.autoencoders import VAE, VAEConfig, recipes
from course_utils.autoencoders.vae import bernoulli_log_likelihood

ALL = pytest.mark.parametrize("recipe", recipes.RECIPES, ids=[recipe.name for recipe in recipes.RECIPES])
FEW = 24


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(recipes, "PROBE_PICTURES", 300)
    monkeypatch.setattr(recipes, "DRAWS", 4)
    monkeypatch.setattr(recipes, "GALLERY", 100)
    monkeypatch.setattr(recipes, "ENCODED", 64)


def untrained(recipe):
    torch.manual_seed(0)
    return recipe.model().eval()


@ALL
def test_what_is_asked_for_is_measured(recipe):
    measured = recipe.metrics(untrained(recipe), FEW)
    assert set(recipe.targets) <= set(measured)
    assert not all(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    for other in (recipe.chance(FEW), recipe.ceiling(FEW)):
        assert set(other) <= set(measured)
        assert all(isinstance(value, float) for value in other.values())


@ALL
def test_samples_are_pictures_and_repeat_with_the_seed(recipe):
    model = untrained(recipe)
    first, again = (recipe.sample(model, 3, runtime.generator(4)) for _ in range(2))
    batch = next(iter(recipe.loader()))
    assert first.shape == (3, *(batch["image"].shape[1:] if "image" in batch else (3, 64, 64)))
    assert first.equal(again)
    assert first.abs().max() <= 1


@ALL
def test_the_objective_gives_every_weight_a_gradient(recipe):
    model = recipe.model().train()
    loss, logs = recipe.players(model).objective(next(iter(recipe.loader())))
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    if isinstance(model, VAE):
        torch.testing.assert_close(loss, logs["kl"] - logs["log_likelihood"])


@ALL
def test_a_checkpoint_will_be_small(recipe):
    assert 2 * sum(parameter.numel() for parameter in recipe.model().parameters()) < 1.5e6


def test_the_constant_model_and_the_perfect_one_bound_every_decoder():
    images = recipes.glyphs("test", 100)["image"]
    perfect, constant = recipes.perfect_ink(images), recipes.constant_ink(images, images)
    assert constant < perfect <= 0
    shifted = ((images + 1) / 2).clamp(0.05, 0.95).logit()
    assert bernoulli_log_likelihood(shifted, images).mean() < perfect
    one_pixel_off = images.mean(0).clamp(-0.98, 0.98) * 0.9
    other = bernoulli_log_likelihood(((one_pixel_off + 1) / 2).logit().expand_as(images), images).mean()
    assert other < constant


def test_the_constant_color_is_the_density_of_a_fitted_normal_distribution():
    train = layers.draw_normal((2000, 3, 4, 4), runtime.generator(0)) * 0.3 + 0.1
    expected = torch.distributions.Normal(train.mean(0), 0.3).log_prob(train).sum(dim=(1, 2, 3)).mean()
    assert recipes.constant_color(train, train) == pytest.approx(expected.item(), rel=0.01)


def test_a_linear_probe_reads_what_is_linear_and_not_what_is_noise():
    features = layers.draw_normal((600, 5), runtime.generator(0))
    labels = (features[:, 2] > 0).long()
    noise = layers.draw_normal((600, 5), runtime.generator(1))
    assert recipes.linear_probe(features[:300], labels[:300], features[300:], labels[300:]) > 0.95
    assert recipes.linear_probe(noise[:300], labels[:300], noise[300:], labels[300:]) < 0.65


def test_the_reader_of_digits_reads_digits():
    images, labels = recipes.held_out_digits(358)
    assert len(labels) == 358
    assert (recipes.DigitReader().read(images) == labels).double().mean() > 0.97


def test_bounds_are_those_of_the_model():
    torch.manual_seed(0)
    model = VAE(VAEConfig(image_size=8, widths=(16,), latent_dim=3)).eval()
    images = torch.rand(40, 1, 8, 8) * 2 - 1
    measured = recipes.bounds(model, images)
    assert measured["elbo_nats"] == pytest.approx(measured["log_likelihood_nats"] - measured["kl_nats"], rel=1e-5)
    assert measured["iw_bound_nats"] == pytest.approx(measured["elbo_nats"] + measured["tightening_nats"], rel=1e-5)
    assert measured == recipes.bounds(model, images)
