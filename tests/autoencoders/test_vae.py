"""The VAE against closed forms: torch.distributions, and probabilistic PCA, whose likelihood is known exactly."""

import math

import pytest
import torch
from torch import distributions

from course_utils.autoencoders import VAE, VAEConfig, vae
from course_utils.runtime import generator

LATENTS, SIDE = 3, 4
FEATURES = SIDE * SIDE


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed))


@pytest.fixture(scope="module")
def linear_gaussian():
    """A linear VAE at the maximum of its likelihood on data (images), and the exact log p(x) of each picture.

    Probabilistic PCA (Tipping & Bishop, 1999): x = W z + mean + std * noise with W = U (L - std^2)^(1/2), where L are the
    largest eigenvalues of the covariance and std^2 is the mean of the others. Its posterior is normal, and with orthogonal
    columns of W also diagonal (Lucas et al., NeurIPS 2019), so that this encoder can be exact.
    """
    spread = 0.6 ** torch.arange(FEATURES, dtype=torch.float64) + 0.05
    rotation = torch.linalg.qr(normal(FEATURES, FEATURES)).Q
    data = (normal(400, FEATURES, seed=1) * spread) @ rotation + 0.1
    mean = data.mean(dim=0)
    covariance = (data - mean).T @ (data - mean) / len(data)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
    variance = eigenvalues[:-LATENTS].mean()
    explained = eigenvalues[-LATENTS:]
    weight = eigenvectors[:, -LATENTS:] * (explained - variance).sqrt()

    model = VAE(
        VAEConfig(in_channels=1, image_size=SIDE, widths=(), latent_dim=LATENTS, likelihood="gaussian")
    ).double()
    with torch.no_grad():
        model.decoder[0].weight.copy_(weight)
        model.decoder[0].bias.copy_(mean)
        model.log_std.copy_(0.5 * torch.log(variance - vae.SMALLEST_STD**2))
        to_mean = weight.T / explained[:, None]  # (W'W + std^2)^-1 W'
        model.posterior.weight.copy_(torch.cat([to_mean, torch.zeros_like(to_mean)]))
        model.posterior.bias.copy_(torch.cat([-to_mean @ mean, torch.log(variance / explained)]))
    exact = distributions.MultivariateNormal(
        mean, weight @ weight.T + variance * torch.eye(FEATURES, dtype=torch.float64)
    ).log_prob(data)
    return model, data.unflatten(1, (1, SIDE, SIDE)), exact


def expected_elbo(model: VAE, images: torch.Tensor) -> torch.Tensor:
    """The ELBO with its expectation over the noise taken exactly: the log-likelihood is quadratic in it, and these points
    have mean zero and covariance one."""
    points = math.sqrt(LATENTS) * torch.cat([torch.eye(LATENTS), -torch.eye(LATENTS)]).double()
    return torch.stack([model.elbo(images, point.expand(len(images), -1)).bound for point in points]).mean(dim=0)


def test_the_elbo_of_the_linear_vae_equals_the_likelihood_of_probabilistic_pca(linear_gaussian):
    model, images, exact = linear_gaussian
    torch.testing.assert_close(expected_elbo(model, images), exact, rtol=1e-9, atol=1e-9)


def test_probabilistic_pca_is_a_stationary_point_of_the_elbo(linear_gaussian):
    model, images, _ = linear_gaussian
    gradients = torch.autograd.grad(expected_elbo(model, images).mean(), list(model.parameters()))
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-8


def test_with_the_exact_posterior_one_importance_sample_is_enough(linear_gaussian):
    model, images, exact = linear_gaussian
    bound = model.importance_weighted_bound(images, normal(1, len(images), LATENTS))
    torch.testing.assert_close(bound, exact, rtol=1e-9, atol=1e-9)


def test_the_importance_weighted_bound_grows_with_its_samples_and_stays_below_the_likelihood(linear_gaussian):
    model, images, exact = linear_gaussian
    rough = VAE(model.config).double()
    rough.load_state_dict(model.state_dict())
    with torch.no_grad():
        rough.posterior.bias[:LATENTS] += 0.3
        rough.posterior.bias[LATENTS:] += 0.5
        images, exact = images[:100], exact[:100]
        means = {}
        for samples in (1, 8, 80):  # 800 draws of the code a picture, taken together in groups
            repeated = images.repeat(800 // samples, 1, 1, 1)
            means[samples] = rough.importance_weighted_bound(repeated, normal(samples, len(repeated), LATENTS)).mean()
        torch.testing.assert_close(means[1], expected_elbo(rough, images).mean(), rtol=0, atol=0.1)
    gap = exact.mean() - means[1]
    assert means[1] + 0.3 * gap < means[8] < means[80] < exact.mean()
    assert exact.mean() - means[80] < 0.2 * gap


def test_the_kl_equals_that_of_torch_distributions():
    mean, log_variance = normal(7, 5), normal(7, 5, seed=1)
    posterior = distributions.Normal(mean, torch.exp(0.5 * log_variance))
    expected = distributions.kl_divergence(posterior, distributions.Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(vae.kl_divergence(mean, log_variance), expected)
    assert vae.kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3)).equal(torch.zeros(2))


def test_the_bernoulli_likelihood_equals_that_of_torch_distributions():
    logits, ink = normal(4, 1, 5, 5), (normal(4, 1, 5, 5, seed=1) > 0).double()
    expected = distributions.Bernoulli(logits=logits).log_prob(ink).sum(dim=(1, 2, 3))
    torch.testing.assert_close(vae.bernoulli_log_likelihood(logits, 2 * ink - 1), expected)


def test_a_grey_value_counts_as_the_mean_over_its_black_and_white_pictures():
    logits, grey = normal(1, 1, 6, 6), torch.rand(1, 1, 6, 6, generator=generator(2), dtype=torch.float64)
    drawn = torch.bernoulli(grey.expand(20_000, -1, -1, -1), generator=generator(3))
    expected = vae.bernoulli_log_likelihood(logits.expand_as(drawn), 2 * drawn - 1).mean()
    torch.testing.assert_close(vae.bernoulli_log_likelihood(logits, 2 * grey - 1)[0], expected, rtol=0, atol=0.1)


def test_the_gaussian_likelihood_is_a_density_in_nats():
    means, images = normal(4, 3, 5, 5), normal(4, 3, 5, 5, seed=1)
    log_std = torch.tensor(-0.7, dtype=torch.float64)
    std = math.sqrt(math.exp(-1.4) + vae.SMALLEST_STD**2)
    expected = distributions.Normal(means, std).log_prob(images).sum(dim=(1, 2, 3))
    torch.testing.assert_close(vae.gaussian_log_likelihood(means, images, log_std), expected)
    grid = torch.linspace(-30, 30, 60_001, dtype=torch.float64)[:, None, None, None]
    density = vae.gaussian_log_likelihood(torch.full_like(grid, 0.2), grid, log_std).exp()
    assert abs(torch.trapezoid(density, grid.flatten()) - 1) < 1e-6


def test_the_learned_variance_has_a_floor_that_gradients_get_past():
    log_std = torch.tensor(-50.0, requires_grad=True)
    perfect = vae.gaussian_log_likelihood(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), log_std)
    expected = -4 * (math.log(vae.SMALLEST_STD) + 0.5 * math.log(2 * math.pi))
    torch.testing.assert_close(perfect[0].item(), expected, rtol=1e-5, atol=0)
    raised = torch.tensor(math.log(vae.SMALLEST_STD), requires_grad=True)
    vae.gaussian_log_likelihood(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), raised).sum().backward()
    assert raised.grad > 0


def test_reparameterisation_has_the_right_moments_and_gradients():
    mean = torch.tensor([[1.0, -2.0]], requires_grad=True)
    log_variance = torch.tensor([[0.0, math.log(4.0)]], requires_grad=True)
    noise = torch.randn(100_000, 1, 2, generator=generator(0))
    drawn = vae.reparameterize(mean, log_variance, noise)
    torch.testing.assert_close(drawn.mean(dim=(0, 1)), torch.tensor([1.0, -2.0]), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.std(dim=(0, 1)), torch.tensor([1.0, 2.0]), rtol=0, atol=0.03)
    vae.reparameterize(mean, log_variance, torch.tensor([[0.5, -1.0]])).sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones(1, 2))
    torch.testing.assert_close(log_variance.grad, torch.tensor([[0.25, -1.0]]))


def test_the_loss_weighs_the_kl_by_beta_and_the_bound_does_not():
    torch.manual_seed(0)
    plain = VAE(VAEConfig(image_size=8, widths=(16,)))
    weighted = VAE(VAEConfig(image_size=8, widths=(16,), beta=5.0))
    weighted.load_state_dict(plain.state_dict())
    images, noise = torch.rand(6, 1, 8, 8) * 2 - 1, torch.randn(6, 2)
    terms = plain.elbo(images, noise)
    torch.testing.assert_close(plain.loss(images, noise), -terms.bound.mean())
    torch.testing.assert_close(weighted.elbo(images, noise).bound, terms.bound)
    difference = weighted.loss(images, noise) - plain.loss(images, noise)
    torch.testing.assert_close(difference, 4 * terms.kl.mean(), rtol=1e-3, atol=0)


def test_active_units_counts_latents_that_vary():
    mean = torch.stack([torch.linspace(-1, 1, 50), torch.full((50,), 3.0), 0.01 * torch.linspace(-1, 1, 50)], dim=1)
    assert vae.active_units(mean) == 1 and vae.active_units(mean, threshold=1e-6) == 2


def test_append_label_is_one_hot():
    joined = vae.append_label(torch.full((2, 2), 0.5), torch.tensor([2, 0]), 3)
    assert joined.tolist() == [[0.5, 0.5, 0, 0, 1], [0.5, 0.5, 1, 0, 0]]


@pytest.mark.parametrize("architecture", ["fully_connected", "convolutional"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("label_into", ["both", "encoder", "decoder", "neither"])
def test_the_label_reaches_the_networks_that_it_should(architecture, likelihood, label_into):
    torch.manual_seed(0)
    model = VAE(
        VAEConfig(architecture, 1, 8, (8, 8), latent_dim=3, likelihood=likelihood, num_classes=4, label_into=label_into)
    )
    images = torch.rand(4, 1, 8, 8) * 2 - 1
    labels, others, codes = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 2, 3, 0]), torch.randn(4, 3)
    encoder_sees = not model.encode(images, labels)[0].equal(model.encode(images, others)[0])
    decoder_sees = not model.decode(codes, labels).equal(model.decode(codes, others))
    assert encoder_sees == (label_into in ("both", "encoder")) and decoder_sees == (label_into in ("both", "decoder"))
    drawn = model.sample(4, generator(0), labels)
    assert drawn.shape == images.shape and drawn.abs().max() <= 1 and not drawn.requires_grad
    bound = model.importance_weighted_bound(images, torch.randn(5, 4, 3), labels)
    model.loss(images, codes, labels).backward()
    assert bound.shape == (4,) and all(parameter.grad is not None for parameter in model.parameters())


def test_the_importance_weighted_bound_keeps_pictures_and_labels_together():
    torch.manual_seed(0)
    model = VAE(VAEConfig(image_size=8, widths=(8,), num_classes=3)).double()
    images, labels, noise = normal(4, 1, 8, 8).tanh(), torch.tensor([0, 1, 2, 0]), normal(6, 4, 2)
    together = model.importance_weighted_bound(images, noise, labels)
    alone = [
        model.importance_weighted_bound(images[i : i + 1], noise[:, i : i + 1], labels[i : i + 1]) for i in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda plain, conditional: plain.encode(torch.zeros(2, 3, 8, 8)), r"\(batch, 1, 8, 8\)"),
        (lambda plain, conditional: plain.encode(torch.zeros(2, 1, 8, 8), torch.zeros(2).long()), "num_classes=0"),
        (lambda plain, conditional: plain.sample(2, labels=torch.zeros(2).long()), "num_classes=0"),
        (lambda plain, conditional: conditional.encode(torch.zeros(2, 1, 8, 8)), "num_classes=4"),
        (
            lambda plain, conditional: conditional.decode(torch.zeros(2, 2), torch.zeros(3).long()),
            r"\(2,\); got \(3,\)",
        ),
        (lambda plain, conditional: conditional.sample(2), "needs one label"),
        (lambda plain, conditional: conditional.sample(2, labels=torch.tensor([0, 4])), r"\[0, 4\), got 0 to 4"),
        (lambda plain, conditional: conditional.sample(1, labels=torch.tensor([-1])), "got -1 to -1"),
        (lambda plain, conditional: VAE(VAEConfig(likelihood="poisson")), "poisson"),
        (lambda plain, conditional: VAE(VAEConfig(num_classes=2, label_into="all")), "'all'"),
    ],
)
def test_bad_input_is_named(call, words):
    plain = VAE(VAEConfig(image_size=8, widths=(8,)))
    conditional = VAE(VAEConfig(image_size=8, widths=(8,), num_classes=4))
    with pytest.raises(ValueError, match=words):
        call(plain, conditional)
