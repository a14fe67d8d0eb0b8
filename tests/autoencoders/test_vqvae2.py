"""VQ-VAE-2: what flows where between the two grids, and the prior over both."""

import itertools

import pytest
import torch

from course_utils.autoencoders import VQVAE2, HierarchicalPrior, HierarchicalPriorConfig, VQVAE2Config, recipes, vqvae2
from course_utils.autoencoders.vqvae2 import Grids
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.runtime import generator
from course_utils.training import fit


@pytest.fixture(scope="module")
def model() -> VQVAE2:
    torch.manual_seed(0)
    return VQVAE2(VQVAE2Config(image_size=32, widths=(8, 8), num_codes=16, code_dim=4)).eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return draw_uniform((6, 3, 32, 32), generator(1)) * 2 - 1


def small_prior(**settings) -> HierarchicalPrior:
    torch.manual_seed(0)
    config = {
        "num_codes": 3,
        "top_size": 2,
        "num_classes": 2,
        "top_hidden": 8,
        "top_layers": 2,
        "bottom_hidden": 8,
        "bottom_layers": 2,
    }
    return HierarchicalPrior(HierarchicalPriorConfig(**config | settings)).eval()  # fmt: skip


def test_the_grids_have_a_quarter_and_an_eighth_of_the_side(model, pictures):
    terms = model.terms(pictures)
    assert terms.indices.top.shape == (6, 4, 4)
    assert terms.indices.bottom.shape == (6, 8, 8)
    assert terms.features.top.shape == (6, 4, 4, 4)
    assert terms.features.bottom.shape == (6, 4, 8, 8)
    assert terms.reconstruction.shape == pictures.shape


def test_decoding_the_tokens_gives_the_reconstruction(model, pictures):
    with torch.no_grad():
        terms = model.terms(pictures)
        decoded = model.decode_indices(model.indices(pictures))
    torch.testing.assert_close(decoded, terms.reconstruction.clamp(-1, 1), rtol=0, atol=1e-5)


def test_the_bottom_is_told_what_the_top_says(model, pictures):
    """Another top code changes the bottom's features, though the picture is the same: the bottom says only what is missing."""
    with torch.no_grad():
        before = model.terms(pictures)
        kept = model.quantizer_top.codebook.clone()
        model.quantizer_top.codebook.add_(3.0)
        after = model.terms(pictures)
        model.quantizer_top.codebook.copy_(kept)
    assert after.features.top.equal(before.features.top)
    assert not after.features.bottom.allclose(before.features.bottom, atol=1e-3)


def test_the_gradient_reaches_every_weight(pictures):
    torch.manual_seed(0)
    model = VQVAE2(VQVAE2Config(image_size=32, widths=(8, 8), num_codes=16, code_dim=4))
    for _ in range(
        2
    ):  # the last convolutions of residual blocks start at zero, and let nothing through in the first step
        model.zero_grad()
        model.loss(pictures).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
    assert [name for name, parameter in model.named_parameters() if not parameter.grad.any()] == []


def test_training_moves_both_codebooks(pictures):
    torch.manual_seed(0)
    model = VQVAE2(VQVAE2Config(image_size=32, widths=(8, 8), num_codes=16, code_dim=4))
    player = recipes.vqvae_player(model, pictures)
    before = [quantizer.codebook.clone() for quantizer in (model.quantizer_top, model.quantizer_bottom)]
    history = fit(player, [{"image": pictures}], 3, progress=False)
    assert {"squared_error", "commitment", "perplexity"} <= set(history)
    for quantizer, codebook in zip((model.quantizer_top, model.quantizer_bottom), before, strict=True):
        assert not quantizer.codebook.equal(codebook)


def test_started_codebooks_are_made_of_the_features_they_will_meet(pictures):
    torch.manual_seed(0)
    model = VQVAE2(VQVAE2Config(image_size=32, widths=(8, 8), num_codes=16, code_dim=4))
    model.start(pictures)
    with torch.no_grad():
        features = model.terms(pictures).features
    for quantizer, grid in ((model.quantizer_top, features.top), (model.quantizer_bottom, features.bottom)):
        vectors = grid.movedim(1, 3).flatten(0, 2)
        assert torch.cdist(quantizer.codebook, vectors).amin(dim=1).max() < 1e-2


def test_a_size_that_cannot_be_halved_so_often_is_refused():
    with pytest.raises(ValueError, match="halved 3 times"):
        VQVAE2(VQVAE2Config(image_size=36, widths=(8, 8)))


# --- the prior -------------------------------------------------------------------------------------------------------


def test_probabilities_of_all_pairs_of_grids_add_up_to_one():
    """One place on top, four below, two codes: 32 pictures in all, whose probabilities must add up."""
    prior = small_prior(num_codes=2, top_size=1)
    every = torch.tensor(list(itertools.product((0, 1), repeat=5)))
    for label in (0, 1):
        labels = torch.full((32,), label)
        with torch.no_grad():
            nats = prior.log_likelihoods(every[:, :1].view(-1, 1, 1), every[:, 1:].view(-1, 2, 2), labels)
        assert (nats.top + nats.bottom).double().exp().sum() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_probabilities():
    prior = small_prior(num_codes=2, top_size=1)
    every = torch.tensor(list(itertools.product((0, 1), repeat=5)))
    labels = torch.ones(20_000, dtype=torch.int64)
    with torch.no_grad():
        nats = prior.log_likelihoods(every[:, :1].view(-1, 1, 1), every[:, 1:].view(-1, 2, 2), labels[:32])
    probabilities = (nats.top + nats.bottom).double().exp()
    drawn = prior.sample(20_000, generator(0), labels)
    numbers = torch.cat([drawn.top.flatten(1), drawn.bottom.flatten(1)], dim=1) @ torch.tensor([16, 8, 4, 2, 1])
    shares = torch.bincount(numbers, minlength=32).double() / len(numbers)
    assert ((shares - probabilities) / (probabilities * (1 - probabilities) / 20_000).sqrt()).abs().max() < 4.5


def test_the_bottom_sees_the_top_and_the_top_never_the_bottom():
    prior = small_prior()
    labels = torch.tensor([0, 1])
    top, bottom = (draw_integers(0, 3, (2, side, side), generator(side)) for side in (2, 4))
    with torch.no_grad():
        for parameter in prior.condition.parameters():
            parameter.copy_(draw_normal(parameter.shape, generator(1)))
        before = prior(top, bottom, labels)
        other_bottom, other_top = prior(top, (bottom + 1) % 3, labels), prior((top + 1) % 3, bottom, labels)
    assert other_bottom.top.equal(before.top)
    assert not other_top.bottom.allclose(before.bottom)


def test_the_loss_adds_up_nats_a_value_of_both_grids():
    prior = small_prior()
    top, bottom = (draw_integers(0, 3, (2, side, side), generator(side)) for side in (2, 4))
    labels = torch.tensor([0, 1])
    nats = prior.log_likelihoods(top, bottom, labels)
    torch.testing.assert_close(prior.loss(top, bottom, labels), -(nats.top / 4 + nats.bottom / 16).mean())


def test_both_grids_are_drawn_with_the_label():
    prior = small_prior(num_codes=8)
    drawn = {label: prior.sample(4, generator(2), torch.full((4,), label)) for label in (0, 1)}
    assert isinstance(drawn[0], Grids)
    assert drawn[0].top.shape == (4, 2, 2) and drawn[0].bottom.shape == (4, 4, 4)
    assert not drawn[0].bottom.equal(drawn[1].bottom)
    with pytest.raises(ValueError, match="labels"):
        prior.sample(4, generator(2))


def test_rejection_keeps_the_best():
    scores = torch.tensor([0.1, 0.9, 0.5, 0.9, 0.2])
    assert vqvae2.accepted(scores, 0.4).tolist() == [1, 3]
    assert vqvae2.accepted(scores, 1.0).tolist() == [1, 3, 2, 4, 0]
    assert vqvae2.accepted(scores, 0.01).tolist() == [1]
    for wrong in ((scores, 0.0), (scores, 1.1), (scores[:0], 0.5), (scores[None], 0.5)):
        with pytest.raises(ValueError, match="share"):
            vqvae2.accepted(*wrong)
