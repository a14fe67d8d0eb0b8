"""Noise schedules: closed forms, limits, and what holds for all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.diffusion import schedules
from course_utils.diffusion.schedules import CLEAN, Level, find_schedule, inference_timesteps

NAMES = list(schedules.SCHEDULES)
steps = st.integers(2, 1500)
names = st.sampled_from(NAMES)
quick = settings(deadline=None, max_examples=40)


@quick
@given(names, steps, st.floats(0.1, 10), st.booleans())
def test_every_schedule_falls_from_nearly_one(name, number, factor, zero_snr):
    alphas_cumprod = find_schedule(name, number, factor, zero_snr)
    assert alphas_cumprod.shape == (number,) and alphas_cumprod.dtype == np.float64
    assert (np.diff(alphas_cumprod) < 0).all() and 0 < alphas_cumprod[0] < 1
    assert bool(alphas_cumprod[-1] == 0) is zero_snr and (alphas_cumprod >= 0).all()
    betas = schedules.betas_of(alphas_cumprod)
    assert ((betas > 0) & (betas <= 1)).all()
    np.testing.assert_allclose(np.cumprod(1 - betas), alphas_cumprod, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_of_fewer_steps_is_the_same_one_seen_more_coarsely(name):
    fine, coarse = find_schedule(name, 1000), find_schedule(name, 250)
    np.testing.assert_allclose(fine[3::4], coarse, atol=0.02)


def test_linear_betas_are_those_of_the_paper():
    betas = schedules.betas_of(schedules.linear(1000))
    np.testing.assert_allclose(betas, np.linspace(1e-4, 0.02, 1000), atol=1e-12)
    assert schedules.linear(1000)[-1] == pytest.approx(4.036e-5, rel=1e-3), "almost nothing is left, yet something"
    roots = np.sqrt(schedules.betas_of(schedules.scaled_linear(1000)))
    np.testing.assert_allclose(roots, np.linspace(0.00085**0.5, 0.012**0.5, 1000), atol=1e-10)


@quick
@given(st.integers(10, 1000), st.floats(0, 0.05))
def test_cosine_is_its_formula_but_for_the_clipped_end(number, offset):
    wave = np.cos((np.arange(number + 1) / number + offset) / (1 + offset) * math.pi / 2) ** 2
    np.testing.assert_allclose(schedules.cosine(number, offset)[:-1], (wave / wave[0])[1:-1], atol=1e-12)
    assert schedules.betas_of(schedules.cosine(number, offset))[-1] == pytest.approx(schedules.MAX_BETA)


def test_sigmoid_is_symmetric_and_nearly_a_line_when_hot():
    curve = schedules.sigmoid(1000)
    np.testing.assert_allclose(curve[:999] + curve[:999][::-1], 1, atol=1e-9)
    np.testing.assert_allclose(schedules.sigmoid(1000, temperature=50)[:-1], 1 - np.arange(1, 1000) / 1000, atol=1e-3)
    assert curve[99] > 0.95 > schedules.sigmoid(1000, temperature=50)[99]


@quick
@given(names, st.floats(0.05, 20), st.floats(0.05, 20))
def test_a_shift_multiplies_every_sigma(name, first, second):
    plain = find_schedule(name, 100)
    shifted = schedules.shift(plain, first)
    np.testing.assert_allclose(schedules.sigmas_of(shifted), first * schedules.sigmas_of(plain), rtol=1e-6)
    np.testing.assert_allclose(schedules.shift(shifted, second), schedules.shift(plain, first * second), rtol=1e-6)
    np.testing.assert_allclose(schedules.shift(plain, 1.0), plain)


@quick
@given(st.floats(0.001, 0.999), st.floats(0.1, 10))
def test_the_shift_of_a_flow_is_the_same_shift(time, factor):
    """Esser et al.'s formula in time, and ours in the ratio of noise and signal, which any two processes share."""
    shifted = factor * time / (1 + (factor - 1) * time)
    assert shifted / (1 - shifted) == pytest.approx(factor * time / (1 - time))
    alphas_cumprod = np.array([(1 - time) ** 2 / (time**2 + (1 - time) ** 2)])
    assert schedules.sigmas_of(schedules.shift(alphas_cumprod, factor))[0] == pytest.approx(shifted / (1 - shifted))


@pytest.mark.parametrize("name", NAMES)
def test_zero_terminal_snr_keeps_the_first_step_and_stretches_the_roots(name):
    plain, zero = find_schedule(name, 100), find_schedule(name, 100, zero_terminal_snr=True)
    assert zero[0] == pytest.approx(plain[0]) and zero[-1] == 0 and schedules.sigmas_of(zero)[-1] == math.inf
    ratios = np.diff(np.sqrt(zero)) / np.diff(np.sqrt(plain))
    np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_allclose(schedules.rescale_zero_terminal_snr(zero), zero, atol=1e-12)


@quick
@given(st.floats(0.001, 0.999))
def test_the_three_ways_to_name_a_level_agree(alphas_cumprod):
    level = Level(3, math.sqrt(alphas_cumprod), math.sqrt(1 - alphas_cumprod))
    assert level.sigma == pytest.approx(schedules.sigmas_of(np.array([alphas_cumprod]))[0])
    assert level.log_ratio == pytest.approx(0.5 * math.log(alphas_cumprod / (1 - alphas_cumprod)), abs=1e-9)


def test_the_ends_have_infinite_ratios():
    assert CLEAN.sigma == 0 and CLEAN.log_ratio == math.inf
    noise = Level(999, 0.0, 1.0)
    assert noise.sigma == math.inf and noise.log_ratio == -math.inf


@quick
@given(st.integers(2, 1200), st.data(), st.sampled_from(["leading", "trailing", "linspace"]))
def test_timesteps_fall_inside_the_range(number, data, spacing):
    wanted = data.draw(st.integers(1, number))
    timesteps = inference_timesteps(number, wanted, spacing)
    assert len(timesteps) == wanted and timesteps == sorted(set(timesteps), reverse=True)
    assert 0 <= timesteps[-1] <= timesteps[0] < number
    if spacing != "leading":
        assert timesteps[0] == number - 1, "sampling starts from noise, so the first step must be the noisiest"
    if spacing != "trailing" and wanted > 1:
        assert timesteps[-1] == 0
    assert inference_timesteps(number, number, spacing) == list(range(number))[::-1]


def test_the_spacings_of_the_paper():
    """Lin et al., table 2, for 5 of 1000 steps (theirs counted from 1)."""
    assert inference_timesteps(1000, 5, "leading") == [800, 600, 400, 200, 0]
    assert inference_timesteps(1000, 5, "trailing") == [999, 799, 599, 399, 199]
    assert inference_timesteps(1000, 5, "linspace") == [999, 749, 500, 250, 0]


@pytest.mark.parametrize(("call", "words"), [
    (lambda: find_schedule("cubic", 10), "no noise schedule 'cubic': choose one of linear"),
    (lambda: find_schedule("linear", 1), "at least two steps"),
    (lambda: find_schedule("linear", 10, 0.0), "must be positive, got 0.0"),
    (lambda: inference_timesteps(10, 11), r"lie in \[1, 10\], got 11"),
    (lambda: inference_timesteps(10, 0), r"got 0"),
    (lambda: inference_timesteps(10, 5, "quadratic"), "'quadratic', but must be leading"),
    (lambda: inference_timesteps(10, 5, "trailing", 1), "belongs to the spacing 'leading'"),
    (lambda: inference_timesteps(10, 5, "leading", 2), "smaller than the stride 2"),
])  # fmt: skip
def test_bad_settings_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
