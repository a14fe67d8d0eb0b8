"""The denoiser of points: what it refuses, what it is told, and that it learns what the best denoiser says."""

import pytest
import torch

from course_utils.diffusion import DiffusionConfig, GaussianDiffusion, PointDenoiser, PointDenoiserConfig, score
from course_utils.gans.gan import ring
from course_utils.layers import draw_integers, draw_normal
from course_utils.runtime import generator, seed_everything


def test_at_first_it_says_nothing():
    model = PointDenoiser(PointDenoiserConfig(dimensions=5))
    assert model(draw_normal((7, 5), generator(0)), torch.arange(7)).equal(torch.zeros(7, 5))


def test_each_point_is_answered_alone_and_by_its_own_time():
    seed_everything(0)
    model = PointDenoiser(PointDenoiserConfig(width=16))
    torch.nn.init.normal_(model.linear_out.weight)
    points, times = draw_normal((6, 2), generator(0)), torch.tensor([0, 1, 10, 100, 500, 999])
    together = model(points, times)
    for place in range(6):
        torch.testing.assert_close(model(points[place : place + 1], times[place : place + 1])[0], together[place])
    at_other_times = model(points, times.flip(0))
    assert ((together - at_other_times).abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize(
    ("points", "times", "words"),
    [
        ((4, 3), (4,), r"expected points \(batch, 2\), got \(4, 3\)"),
        ((2,), (2,), r"expected points \(batch, 2\), got \(2,\)"),
        ((4, 2), (), r"one time a picture, of shape \(4,\), got \(\)"),
        ((4, 2), (1,), r"one time a picture, of shape \(4,\), got \(1,\)"),
    ],
)
def test_other_shapes_are_refused(points, times, words):
    model = PointDenoiser(PointDenoiserConfig(width=16))
    with pytest.raises(ValueError, match=words):
        model(torch.zeros(points), torch.zeros(times))


def test_trained_it_answers_nearly_as_the_best_denoiser_does():
    """After some seconds its loss exceeds the least possible one by less than a tenth of what there was to gain."""
    seed_everything(0)
    mixture, process = ring(std=0.2), GaussianDiffusion(DiffusionConfig(50))
    model = PointDenoiser(PointDenoiserConfig(width=48, num_blocks=2))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(600):
        loss = process.loss(model, mixture.sample(256), torch.randn(256, 2), torch.randint(0, 50, (256,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, noise = mixture.sample(20_000, generator(1)), draw_normal((20_000, 2), generator(2))
    asked = images, noise, draw_integers(0, 50, (20_000,), generator(3))
    with torch.no_grad():
        found = process.loss(model, *asked).item()
        least = process.loss(score.mixture_network(mixture, process), *asked).item()
    assert least < found < least + 0.1 * (1 - least)
