"""The autoencoder and its linear theory."""

import math

import pytest
import torch
from torch import nn

from course_utils.autoencoders import Autoencoder, AutoencoderConfig
from course_utils.autoencoders.autoencoder import (
    FullyConnected,
    pca,
    principal_angles,
    reconstruction_loss,
    train_step,
)


def correlated(count: int = 200, features: int = 16, seed: int = 0) -> torch.Tensor:
    """Data (count, features) in float64 with a clearly falling spectrum and a mean."""
    generator = torch.Generator().manual_seed(seed)
    scales = 0.7 ** torch.arange(features, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(features, features, dtype=torch.float64, generator=generator)).Q
    return torch.randn(count, features, dtype=torch.float64, generator=generator) * scales @ rotation + 0.3


def test_the_loss_sums_over_a_picture_and_averages_over_the_batch():
    images = torch.zeros(2, 3, 4, 4)
    reconstruction = images.clone()
    reconstruction[0] += 0.5
    assert reconstruction_loss(reconstruction, images) == 0.25 * 3 * 4 * 4 / 2


@pytest.mark.parametrize("architecture", ["fully_connected", "convolutional"])
def test_shapes_range_and_gradient(architecture):
    model = Autoencoder(AutoencoderConfig(architecture, in_channels=3, image_size=16, widths=(8, 8), latent_dim=5))
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    assert model.encode(images).shape == (4, 5)
    assert model(images).shape == images.shape and model.decode(100 * torch.randn(4, 5)).abs().max() <= 1
    model.loss(images).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_other_pictures_than_configured_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, 1, 32, 32\)"):
        Autoencoder(AutoencoderConfig()).encode(torch.zeros(2, 3, 32, 32))


def test_the_smallest_autoencoder_has_the_layers_of_the_exercise():
    model = FullyConnected(64, 32, 5)
    assert {name for name, _ in model.named_children()} == {
        "encoder_hidden",
        "encoder_out",
        "decoder_hidden",
        "decoder_out",
    }
    assert model.encode(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 8, 8)


def test_a_train_step_equals_the_textbook_step():
    torch.manual_seed(0)
    model, twin = FullyConnected(64, 16, 4), FullyConnected(64, 16, 4)
    twin.load_state_dict(model.state_dict())
    images = torch.rand(8, 1, 8, 8) * 2 - 1
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):  # a second one, in which stale gradients would show
        expected = reconstruction_loss(twin(images), images)
        gradients = torch.autograd.grad(expected, list(twin.parameters()))
        assert train_step(model, optimizer, images) == expected.item()
        with torch.no_grad():
            for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
                parameter -= 0.01 * gradient
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_pca_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA

    data = correlated()
    mean, components = pca(data, 5)
    peer = PCA(5).fit(data.numpy())
    torch.testing.assert_close(mean, torch.from_numpy(peer.mean_))
    torch.testing.assert_close(
        (components @ torch.from_numpy(peer.components_).T).abs(), torch.eye(5, dtype=torch.float64)
    )


def test_pca_refuses_more_components_than_there_are():
    with pytest.raises(ValueError, match="no 17 components"):
        pca(correlated(), 17)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.5, math.pi / 4, 1.2, math.pi / 2])
def test_principal_angles_of_a_turned_plane(angle):
    a = torch.eye(5, dtype=torch.float64)[:, :2]
    b = a.clone()
    b[:, 1] = 0
    b[1, 1], b[3, 1] = math.cos(angle), math.sin(angle)
    mixture = torch.tensor([[2.0, 1.0], [-1.0, 3.0]], dtype=torch.float64)  # another basis of the same plane
    expected = torch.tensor([0.0, angle], dtype=torch.float64)
    torch.testing.assert_close(principal_angles(a, b @ mixture), expected, atol=1e-12, rtol=1e-6)


def test_principal_angles_are_those_of_scipy():
    from scipy.linalg import subspace_angles

    torch.manual_seed(0)
    a, b = torch.randn(12, 4, dtype=torch.float64), torch.randn(12, 4, dtype=torch.float64)
    expected = torch.from_numpy(subspace_angles(a.numpy(), b.numpy()).copy()).flip(0)
    torch.testing.assert_close(principal_angles(a, b), expected)


def test_a_linear_autoencoder_finds_the_space_of_the_principal_components():
    torch.manual_seed(1)
    images = correlated(features=16)
    images = images - images.mean(dim=0)
    model = nn.Sequential(nn.Linear(16, 3, bias=False), nn.Linear(3, 16, bias=False)).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=150, line_search_fn="strong_wolfe", tolerance_change=1e-14
    )

    def closure():
        optimizer.zero_grad()
        loss = reconstruction_loss(model(images), images)
        loss.backward()
        return loss

    _, components = pca(images, 3)
    assert principal_angles(model[1].weight.detach(), components.T).max() > 0.1
    optimizer.step(closure)
    assert principal_angles(model[1].weight.detach(), components.T).max() < 1e-3
    best = reconstruction_loss(images @ components.T @ components, images)
    torch.testing.assert_close(closure().detach(), best, rtol=1e-5, atol=0)
