import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from course_utils.metrics import distances
from course_utils.runtime import generator


def normal(samples: int, features: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, features, generator=generator(seed), dtype=torch.float64)


class Identity(nn.Module):
    """The features are the pictures."""

    num_features = 6

    def forward(self, features: Tensor) -> Tensor:
        return features


# Fréchet distance


def with_exact_moments(samples: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The samples moved and stretched so that mean and covariance are exactly these."""
    centred = samples - samples.mean(0)
    whitened = centred @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(centred.T))).T
    return whitened @ torch.linalg.cholesky(covariance).T + mean


def test_frechet_of_gaussians_with_diagonal_covariances_is_the_closed_form():
    mean_a, mean_b = torch.tensor([0.0, 1.0, -2.0]).double(), torch.tensor([1.0, 1.0, 0.5]).double()
    deviation_a, deviation_b = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([0.3, 2.0, 3.0]).double()
    a = with_exact_moments(normal(50, 3), mean_a, deviation_a.square().diag())
    b = with_exact_moments(normal(70, 3, 1), mean_b, deviation_b.square().diag())
    expected = (mean_a - mean_b).square().sum() + (deviation_a - deviation_b).square().sum()
    assert distances.frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("samples", [40, 5], ids=["regular", "singular"])
def test_frechet_equals_torchmetrics(samples: int):
    from torchmetrics.image.fid import FrechetInceptionDistance

    a, b = normal(samples, 6) * 2 + 0.5, normal(samples + 3, 6, 1) @ normal(6, 6, 2)
    peer = FrechetInceptionDistance(feature=Identity()).set_dtype(torch.float64)
    peer.update(a, real=True)
    peer.update(b, real=False)
    tolerance = 1e-6 if samples == 40 else 1e-4  # the peer's general eigenvalues are inexact where they should be 0
    assert distances.frechet_distance(a, b) == pytest.approx(peer.compute().item(), rel=tolerance)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5), st.floats(0.1, 10), st.floats(-5, 5))
def test_frechet_is_symmetric_not_negative_and_follows_shift_scale_and_rotation(seed, features, scale, shift):
    a, b = normal(20, features, seed), normal(15, features, seed + 1)
    distance = distances.frechet_distance(a, b)
    assert distance >= 0
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert distances.frechet_distance(b, a) == pytest.approx(distance, rel=1e-6, abs=1e-9)
    rotation = torch.linalg.qr(normal(features, features, seed + 2)).Q
    moved = distances.frechet_distance(scale * a @ rotation + shift, scale * b @ rotation + shift)
    assert moved == pytest.approx(scale**2 * distance, rel=1e-6, abs=1e-9)
    assert distances.frechet_distance(a, a + shift) == pytest.approx(features * shift**2, rel=1e-6, abs=1e-9)


def test_frechet_stays_exact_where_float32_would_not():
    a = torch.randn(200, 8, generator=generator(0)) * 1e-3 + 100
    a64 = a.double()
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert distances.frechet_distance(a64, a64 + 1e-3) == pytest.approx(8e-6, rel=1e-4)


# Kernel distance


def test_kernel_distance_equals_torchmetrics_with_one_subset_of_everything():
    from torchmetrics.image.kid import KernelInceptionDistance

    a, b = normal(40, 6) * 2, normal(40, 6, 1) + 1
    peer = KernelInceptionDistance(feature=Identity(), subsets=1, subset_size=40).set_dtype(torch.float64)
    peer.update(a, real=True)
    peer.update(b, real=False)
    expected = peer.compute()[0].item()
    assert distances.kernel_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert distances.kernel_distance(a, b, chunk=7) == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_is_the_sum_over_pairs_for_unequal_counts():
    a, b = normal(4, 3), normal(6, 3, 1)

    def kernel(x: Tensor, y: Tensor) -> float:
        return ((x @ y).item() / 3 + 1) ** 3

    within_a = sum(kernel(a[i], a[j]) for i in range(4) for j in range(4) if i != j) / 12
    within_b = sum(kernel(b[i], b[j]) for i in range(6) for j in range(6) if i != j) / 30
    between = sum(kernel(x, y) for x in a for y in b) / 24
    assert distances.kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * between, rel=1e-9)


def test_kernel_distance_has_no_bias_and_the_frechet_distance_has():
    kernel = [distances.kernel_distance(normal(10, 4, 2 * i), normal(10, 4, 2 * i + 1)) for i in range(300)]
    frechet = [distances.frechet_distance(normal(10, 4, 2 * i), normal(10, 4, 2 * i + 1)) for i in range(300)]
    kernel, frechet = torch.tensor(kernel), torch.tensor(frechet)
    assert abs(kernel.mean()) < 3 * kernel.std() / 300**0.5
    assert kernel.min() < 0
    assert frechet.mean() > 10 * frechet.std() / 300**0.5


# Precision, recall, density, coverage


def by_hand(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    def inside(point: Tensor, others: Tensor) -> bool:
        for other in others:
            radius = sorted((other - another).norm().item() for another in others)[k]
            if (point - other).norm().item() <= radius:
                return True
        return False

    precision = sum(inside(point, real) for point in fake) / len(fake)
    return precision, sum(inside(point, fake) for point in real) / len(real)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0, 3))
def test_precision_recall_is_the_definition_and_turns_round(seed, k, shift):
    real, fake = normal(12, 2, seed), normal(9, 2, seed + 1) + shift
    result = distances.precision_recall(real, fake, k)
    assert result == pytest.approx(by_hand(real, fake, k))
    assert distances.precision_recall(real, fake, k, chunk=5) == result
    assert distances.precision_recall(fake, real, k) == (result.recall, result.precision)


def test_precision_and_recall_tell_dropped_modes_from_bad_samples():
    modes = torch.tensor([[0.0, 0.0], [20.0, 0.0]], dtype=torch.float64)
    real = normal(200, 2) + modes.repeat(100, 1)
    one_mode = normal(200, 2, 1)
    far = normal(200, 2, 2) + modes.repeat(100, 1) * torch.tensor([1.0, 0.0]) + torch.tensor([0.0, 50.0])
    assert distances.precision_recall(real, one_mode).precision > 0.9
    assert 0.4 < distances.precision_recall(real, one_mode).recall < 0.6
    assert distances.precision_recall(real, far) == (0, 0)
    assert distances.precision_recall(real, real) == (1, 1)
    assert distances.density_coverage(real, real).coverage == 1
    assert 0.4 < distances.density_coverage(real, one_mode).coverage < 0.6
    assert distances.density_coverage(real, far) == (0, 0)


def test_precision_of_copies_is_one_though_rounding_would_move_them():
    real = torch.randn(50, 300, generator=generator(0)) * 1e-3 + 1000
    assert distances.precision_recall(real.repeat(2, 1), real.repeat(2, 1), k=1) == (1, 1)


def test_density_of_equal_distributions_is_one():
    density = [distances.density_coverage(normal(100, 3, i), normal(100, 3, i + 500)).density for i in range(20)]
    assert sum(density) / 20 == pytest.approx(1, abs=0.05)


# Neighbours


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(1, 9))
def test_nearest_images_is_the_full_search(seed, queries, gallery, k, chunk):
    draw = generator(seed)
    query = torch.randn(queries, 2, 3, 3, generator=draw)
    images = torch.randn(gallery, 2, 3, 3, generator=draw)
    k = min(k, gallery)
    found = distances.nearest_images(query, images, k, chunk)
    expected = torch.cdist(query.flatten(1).double(), images.flatten(1).double()).sort(dim=1)
    assert found.distances.shape == found.indices.shape == (queries, k)
    torch.testing.assert_close(found.distances.double(), expected.values[:, :k], rtol=1e-5, atol=1e-5)
    assert torch.equal(found.indices, expected.indices[:, :k])


def test_a_copy_is_found_at_distance_exactly_zero_beside_a_near_copy():
    gallery = torch.rand(3000, 3 * 32 * 32, generator=generator(0)) * 0.01 + 0.9
    gallery[7] = gallery[2500] + 1e-6
    found = distances.nearest_images(gallery[[2500, 7]], gallery, chunk=64)
    assert found.indices.flatten().tolist() == [2500, 7]
    assert found.distances.flatten().tolist() == [0, 0]


def test_memorisation_tells_a_copier_from_an_honest_generator():
    training, unseen, honest = normal(400, 4), normal(400, 4, 1), normal(400, 4, 2)
    copier = torch.cat([training[:200] + 1e-4 * normal(200, 4, 3), honest[:200]])
    assert distances.memorisation(honest, training, unseen).ratio == pytest.approx(1, abs=0.15)
    assert distances.memorisation(honest, training, unseen).copied < 0.05
    assert distances.memorisation(copier, training, unseen).copied == pytest.approx(0.5, abs=0.05)
    assert distances.memorisation(training, training, unseen) == (0, pytest.approx(0.45, abs=0.2), 0, 1)
    assert distances.memorisation(training, training, training).ratio == 1


# Floor and interval


def test_halves_give_the_distance_of_two_disjoint_halves():
    features = normal(101, 3)
    seen = []
    assert distances.halves_distance(features, lambda a, b: seen.append((a, b)) or 7.0) == 7.0
    rows = torch.cat(seen[0]).tolist()
    assert len(seen[0][0]) == len(seen[0][1]) == 50
    assert len({tuple(row) for row in rows}) == 100
    assert all(row in features.tolist() for row in rows)
    assert distances.halves_distance(features, seed=1) == distances.halves_distance(features, seed=1)
    assert distances.halves_distance(features, seed=1) != distances.halves_distance(features, seed=2)


def test_bootstrap_interval_of_an_accuracy_is_the_binomial_one():
    values = torch.tensor([1.0] * 80 + [0.0] * 20)
    estimate, low, high = distances.bootstrap_interval(values, seed=3)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 100)
    assert estimate == pytest.approx(0.8)
    assert low == pytest.approx(0.8 - half, abs=0.02)
    assert high == pytest.approx(0.8 + half, abs=0.02)
    assert distances.bootstrap_interval(values, seed=3) == (estimate, low, high)
    narrow = distances.bootstrap_interval(values, level=0.5, seed=3)
    assert low < narrow.low < estimate < narrow.high < high


def test_bootstrap_interval_covers_as_often_as_it_says():
    intervals = [
        distances.bootstrap_interval(normal(40, 1, i)[:, 0], level=0.8, seed=i, resamples=200) for i in range(200)
    ]
    covered = sum(interval.low <= 0 <= interval.high for interval in intervals) / 200
    assert 0.68 < covered < 0.88


# Single pictures


def test_ssim_equals_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure

    target = torch.rand(6, 3, 32, 24, generator=generator(0)) * 2 - 1
    images = (target + 0.4 * torch.randn(target.shape, generator=generator(1))).clamp(-1, 1)
    expected = structural_similarity_index_measure(images, target, data_range=2.0, reduction="none")
    torch.testing.assert_close(distances.ssim(images, target), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(distances.ssim(target, target), torch.ones(6))


def test_psnr_and_its_definition():
    target = torch.zeros(3, 1, 4, 4)
    images = torch.stack([target[0], target[0] + 0.2, target[0] + 2])
    assert distances.psnr(images, target).tolist() == pytest.approx([math.inf, 20, 0], abs=1e-4)


def test_sharpness_and_high_frequencies_fall_with_blur_and_ignore_brightness():
    edges = torch.zeros(1, 2, 16, 16)
    edges[..., 5:11, 5:11] = 1
    blurred = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(edges, (1, 1, 1, 1)), 3, stride=1)
    for measure in (distances.sharpness, distances.high_frequency_energy):
        sharp, soft, brighter = measure(edges).item(), measure(blurred).item(), measure(edges + 0.3).item()
        assert soft < 0.5 * sharp
        assert brighter == pytest.approx(sharp, rel=1e-4)
        assert measure(torch.full((2, 2, 16, 16), 0.4)).tolist() == pytest.approx([0, 0], abs=1e-9)


def test_sharpness_of_one_bright_pixel_is_the_variance_of_the_kernel():
    image = torch.zeros(1, 1, 7, 7)
    image[..., 3, 3] = 1
    assert distances.sharpness(image).item() == pytest.approx(20 / 25, rel=1e-6)  # 4^2 + 4 * 1^2 over 5x5, mean 0


def test_all_frequencies_together_are_the_energy_about_the_mean():
    images = torch.randn(3, 2, 8, 6, generator=generator(0))
    energy = (images - images.mean((2, 3), keepdim=True)).square().mean((1, 2, 3))
    torch.testing.assert_close(distances.high_frequency_energy(images, cutoff=0), energy)
    assert distances.high_frequency_energy(images, cutoff=1).tolist() == [0, 0, 0]


# What is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distances.frechet_distance(normal(5, 3), normal(5, 4)), "3 and 4 features"),
        (lambda: distances.frechet_distance(normal(1, 3), normal(5, 3)), "first set has 1 samples"),
        (lambda: distances.frechet_distance(normal(5, 3), torch.zeros(5, 1, 2, 2)), "second set has shape"),
        (lambda: distances.kernel_distance(normal(5, 3), normal(5, 3) * math.nan), "not finite"),
        (lambda: distances.precision_recall(normal(3, 3), normal(5, 3)), "at least 4 are needed"),
        (lambda: distances.precision_recall(normal(5, 3), normal(5, 3), k=0), "k is 0"),
        (lambda: distances.nearest_images(normal(5, 3), normal(5, 4)), "different shape"),
        (lambda: distances.nearest_images(normal(5, 3), normal(5, 3), k=6), "k is 6"),
        (lambda: distances.memorisation(normal(0, 3), normal(5, 3), normal(5, 3)), "empty"),
        (lambda: distances.halves_distance(normal(3, 3)), "at least four"),
        (lambda: distances.bootstrap_interval(torch.zeros(0)), "at least one sample"),
        (lambda: distances.bootstrap_interval(torch.zeros(3), level=95), "level is 95"),
        (lambda: distances.psnr(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5)), "one shape"),
        (lambda: distances.ssim(torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 12, 13)), "one shape"),
        (lambda: distances.ssim(torch.zeros(1, 1, 9, 12), torch.zeros(1, 1, 9, 12)), "11 x 11 or more"),
    ],
)
def test_wrong_input_is_refused_with_the_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()
