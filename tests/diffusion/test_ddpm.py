"""The process of DDPM: closed forms of its distributions, losses that the exact answer minimises, a bound that holds."""

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, distributions, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from course_utils.diffusion import DiffusionConfig, GaussianDiffusion, schedules, score
from course_utils.diffusion.ddpm import (
    PREDICTION_TYPES,
    Prediction,
    discretized_log_likelihood,
    normal_divergence,
    posterior,
    predict,
    reverse_variance,
    step_variance,
    target,
)
from course_utils.diffusion.schedules import CLEAN, Level
from course_utils.gans.gan import GaussianMixture
from course_utils.layers import draw_integers, draw_normal
from course_utils.runtime import generator

quick = settings(deadline=None, max_examples=40)
MIXTURE = GaussianMixture(((-1.0, -0.5), (-1.0, -0.5), (1.0, 0.8), (1.0, -1.2)), 0.25)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return draw_normal(shape, generator(seed), dtype=dtype)


def process(**config) -> GaussianDiffusion:
    return GaussianDiffusion(DiffusionConfig(**{"num_train_timesteps": 50, **config}))


def level(noise: float, straight: bool = False) -> Level:
    return Level(0, 1 - noise if straight else math.sqrt(1 - noise**2), noise)


@st.composite
def levels(draw) -> tuple[Level, Level]:
    """Two levels of a variance-preserving process, the first with more noise."""
    lower = draw(st.floats(0.02, 0.95))
    return level(draw(st.floats(lower + 0.02, 0.999))), level(lower)


# --- the forward process ----------------------------------------------------------------------------------------------


@quick
@given(levels())
def test_a_jump_is_as_many_steps(pair):
    """Variance of x_now, from x_before and straight from x_0."""
    now, before = pair
    kept = now.signal / before.signal
    assert kept**2 * before.noise**2 + step_variance(now, before) == pytest.approx(now.noise**2)
    assert step_variance(now, before) == pytest.approx(1 - kept**2), "beta, where variance is preserved"
    assert step_variance(now, CLEAN) == pytest.approx(now.noise**2)


def test_noising_has_the_mean_and_variance_of_its_level():
    made = process(noise_schedule="linear")
    images = torch.tensor([0.5, -1.0]).repeat(20_000, 1)
    for step in (0, 20, 49):
        noisy = made.add_noise(images, normal(20_000, 2), torch.full((20_000,), step))
        rate = made.alphas_cumprod[step]
        torch.testing.assert_close(noisy.mean(dim=0), rate.sqrt() * images[0], atol=0.03, rtol=0)
        torch.testing.assert_close(noisy.var(dim=0), (1 - rate).expand(2), atol=0.03, rtol=0.03)


def test_levels_of_a_batch_are_those_of_the_path():
    made = process()
    at, below = made.level(torch.arange(50), 4), made.level(torch.arange(50), 4, back=1)
    path = made.path(range(49, -1, -1))
    for step, (now, before) in enumerate(itertools.pairwise(path[::-1])):  # from clean to noise
        assert (
            at.signal[step].item() == pytest.approx(before.signal, rel=1e-6) == below.signal[min(49, step + 1)].item()
            or step == 49
        )
        assert below.noise[step].item() == pytest.approx(now.noise, rel=1e-6)
        assert at.noise[step].item() == pytest.approx(before.noise, rel=1e-6)
    assert path[-1] == CLEAN and path[0].timestep == 49 and at.signal.shape == (50, 1, 1, 1)


def test_float32_tables_keep_the_digits_of_small_noise():
    made = GaussianDiffusion(DiffusionConfig(1000, "cosine"))
    exact = schedules.find_schedule("cosine", 1000)
    noise = made.level(torch.arange(1000), 1).noise.double().numpy()
    assert abs(noise**2 / (1 - exact) - 1).max() < 3e-7
    assert made.alphas_cumprod.dtype == torch.float32


# --- parameterisations ------------------------------------------------------------------------------------------------


@quick
@given(st.sampled_from([*PREDICTION_TYPES, "flow_prediction"]), st.floats(0.05, 0.95))
def test_picture_and_noise_come_back_from_every_answer(prediction_type, noise_rate):
    images, noise = normal(4, 3, 2, 2, dtype=torch.float64), normal(4, 3, 2, 2, seed=1, dtype=torch.float64)
    at = level(noise_rate, straight=prediction_type == "flow_prediction")
    noisy = at.signal * images + at.noise * noise
    found = predict(target(images, noise, at, prediction_type), noisy, at, prediction_type)
    torch.testing.assert_close(found.images, images)
    torch.testing.assert_close(found.noise, noise)
    assert found.variance is None


@quick
@given(st.sampled_from(PREDICTION_TYPES), st.floats(0.05, 0.95))
def test_picture_and_noise_always_explain_what_is_seen(prediction_type, noise_rate):
    """Also when the answer is wrong, or is clipped."""
    at, output, noisy = level(noise_rate), 2 * normal(4, 6, 2, 2), normal(4, 3, 2, 2, seed=1)
    for clip in (False, True):
        found = predict(output, noisy, at, prediction_type, clip)
        torch.testing.assert_close(at.signal * found.images + at.noise * found.noise, noisy, atol=1e-5, rtol=1e-5)
        assert not clip or found.images.abs().max() <= 1
        assert found.variance.equal(output[:, 3:])


def test_velocity_at_pure_noise_is_the_picture():
    at, images, noise = Level(999, 0.0, 1.0), normal(2, 3), normal(2, 3, seed=1)
    assert target(images, noise, at, "v_prediction").equal(-images)
    found = predict(-images, noise, at, "v_prediction")
    assert found.images.equal(images) and found.noise.equal(noise)


# --- the posterior ----------------------------------------------------------------------------------------------------


@quick
@given(levels())
def test_the_posterior_is_that_of_bayes(pair):
    """q(x_before | x_now, x_0) from the product of q(x_before | x_0) and q(x_now | x_before)."""
    now, before = pair
    kept, beta = now.signal / before.signal, step_variance(now, before)
    images, noisy = normal(5, dtype=torch.float64), normal(5, seed=1, dtype=torch.float64)
    mean, variance = posterior(images, noisy, now, before)
    precision = 1 / before.noise**2 + kept**2 / beta
    assert variance == pytest.approx(1 / precision)
    torch.testing.assert_close(mean, (before.signal * images / before.noise**2 + kept * noisy / beta) / precision)


@quick
@given(levels())
def test_posterior_after_noising_is_noising(pair):
    """Mean and variance of x_before given x_0 alone."""
    now, before = pair
    pull, variance = posterior(torch.tensor(0.0), torch.tensor(1.0), now, before)
    kept, _ = posterior(torch.tensor(1.0), torch.tensor(now.signal), now, before)
    assert pull.item() ** 2 * now.noise**2 + variance == pytest.approx(before.noise**2, rel=1e-5)
    assert kept.item() == pytest.approx(before.signal, rel=1e-5)


def test_the_posterior_of_ho_et_al_in_their_own_letters():
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alphas = 1 - betas
    bars = alphas.cumprod(0)
    made = GaussianDiffusion(DiffusionConfig(1000, "linear"))
    images, noisy = normal(7, 3), normal(7, 3, seed=1)
    t = torch.tensor([1, 2, 10, 100, 500, 998, 999])
    mean, variance = posterior(images, noisy, made.level(t, 2), made.level(t, 2, back=1))
    wanted = (
        bars[t - 1].sqrt() * betas[t] / (1 - bars[t]) * images.T + alphas[t].sqrt() * (1 - bars[t - 1]) / (1 - bars[t]) * noisy.T
    ).T  # fmt: skip
    torch.testing.assert_close(mean, wanted.float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        variance[:, 0], ((1 - bars[t - 1]) / (1 - bars[t]) * betas[t]).float(), rtol=2e-5, atol=0
    )


def test_the_last_step_has_no_variance_and_gives_the_picture():
    images, noisy = normal(5), normal(5, seed=1)
    mean, variance = posterior(images, noisy, level(0.3), CLEAN)
    torch.testing.assert_close(mean, images)
    assert variance == 0


@quick
@given(levels())
def test_the_large_variance_is_right_for_standard_normal_data(pair):
    """There E[x_0 | x] = signal * x, and x_before given x_now is normal around kept * x_now with variance 1 - kept^2."""
    now, before = pair
    noisy = normal(6, dtype=torch.float64)
    mean, smallest = posterior(now.signal * noisy, noisy, now, before)
    kept = now.signal / before.signal
    torch.testing.assert_close(mean, kept * noisy)
    large = reverse_variance(Prediction(noisy, noisy), smallest, step_variance(now, before), "fixed_large")
    assert large == pytest.approx(1 - kept**2)


@quick
@given(levels(), st.floats(0.0, 1.0))
def test_the_true_variance_lies_between_small_and_large_and_can_be_learned(pair, std):
    """Data N(0, std^2): var(x_before | x_now) = posterior variance + (coefficient of x_0)^2 var(x_0 | x_now)."""
    now, before = pair
    spread = (now.signal * std) ** 2 + now.noise**2
    one, smallest = posterior(
        torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64), now, before
    )
    true = smallest + one.item() ** 2 * std**2 * now.noise**2 / spread
    largest = step_variance(now, before)
    assert smallest * (1 - 1e-9) <= true <= largest * (1 + 1e-9)
    share = math.log(true / smallest) / math.log(largest / smallest)
    answer = Prediction(torch.zeros(1), torch.zeros(1), torch.tensor([2 * share - 1], dtype=torch.float64))
    assert reverse_variance(answer, smallest, largest, "learned_range").item() == pytest.approx(true)


# --- the loss ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_the_simple_loss_is_the_mean_squared_error_of_the_answer(prediction_type):
    made, images, noise = process(prediction_type=prediction_type), normal(6, 3, 4, 4), normal(6, 3, 4, 4, seed=1)
    timesteps = torch.arange(6) * 8
    bars = made.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    seen = []

    def network(noisy: Tensor, told: Tensor, label: Tensor) -> Tensor:
        seen.append((noisy, told, label))
        return torch.full_like(noisy, 0.3)

    label = torch.arange(6)
    loss = made.loss(network, images, noise, timesteps, label)
    wanted = {"epsilon": noise, "sample": images, "v_prediction": bars.sqrt() * noise - (1 - bars).sqrt() * images}[
        prediction_type
    ]
    torch.testing.assert_close(loss, (0.3 - wanted).square().mean())
    torch.testing.assert_close(seen[0][0], bars.sqrt() * images + (1 - bars).sqrt() * noise)
    assert seen[0][1].equal(timesteps) and seen[0][2].equal(label)


@pytest.mark.parametrize("weighting", ["simple", "min_snr"])
@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_the_exact_answer_has_the_least_loss(prediction_type, weighting):
    """A change of the answer in any fixed direction, by any factor at each point, makes it larger: the mean's slope is zero."""
    made = process(prediction_type=prediction_type, loss_weighting=weighting)
    exact = score.mixture_network(MIXTURE, made)
    images, noise = MIXTURE.sample(40_000, generator(0)), normal(40_000, 2, seed=1)
    timesteps = draw_integers(0, 50, (40_000,), generator(2))
    losses = {}
    for scale, shift in itertools.product((0.9, 1.0, 1.1), (-0.1, 0.0, 0.1)):

        def answer(noisy: Tensor, told: Tensor, scale=scale, shift=shift) -> Tensor:
            return scale * exact(noisy, told) + shift

        losses[scale, shift] = made.loss(answer, images, noise, timesteps).item()
    assert min(losses, key=losses.get) == (1.0, 0.0)


@quick
@given(st.floats(0.5, 20), st.integers(0, 2**31))
def test_min_snr_weighs_the_same_mistake_equally_in_every_parameterisation(gamma, seed):
    """A picture that is wrong by `mistake` costs min(SNR, gamma) * mistake^2, whatever the network answers with."""
    images, noise, mistake = (normal(8, 5, seed=seed + i) for i in range(3))
    timesteps = torch.arange(8) * 6
    losses = []
    for prediction_type in PREDICTION_TYPES:
        made = process(prediction_type=prediction_type, loss_weighting="min_snr", min_snr_gamma=gamma)
        at = made.level(timesteps, 2)

        def network(noisy: Tensor, _: Tensor, at=at, prediction_type=prediction_type) -> Tensor:
            wrong = images + mistake
            return target(wrong, (noisy - at.signal * wrong) / at.noise, at, prediction_type)

        losses.append(made.loss(network, images, noise, timesteps))
    snr = (at.signal / at.noise).square()
    for loss in losses:
        torch.testing.assert_close(loss, (snr.clamp(max=gamma) * mistake.square()).mean(), rtol=1e-3, atol=1e-5)


def test_the_hybrid_loss_moves_the_variance_by_the_bound_and_the_mean_by_the_error():
    made = process(variance_type="learned_range")
    images, noise, timesteps = normal(8, 3, 4, 4).clamp(-1, 1), normal(8, 3, 4, 4, seed=1), torch.arange(8) * 6
    answer, variance = (normal(8, 3, 4, 4, seed=seed).requires_grad_() for seed in (2, 3))

    def network(noisy: Tensor, told: Tensor) -> Tensor:
        return torch.cat([answer, variance], dim=1)

    loss = made.loss(network, images, noise, timesteps)
    simple = (answer - noise).square().mean()
    bits = made.step_bits(network, images, noise, timesteps)
    torch.testing.assert_close(loss, simple + 0.001 * 50 * bits.mean())
    by_answer, by_variance = torch.autograd.grad(loss, [answer, variance])
    torch.testing.assert_close(by_answer, torch.autograd.grad(simple, answer)[0])
    torch.testing.assert_close(by_variance, 0.05 * torch.autograd.grad(bits.mean(), variance)[0])
    assert by_variance.flatten(1).abs().sum(dim=1).min() > 0, "at step 0 too"


# --- the bound --------------------------------------------------------------------------------------------------------


@quick
@given(st.floats(-2, 2), st.floats(0.1, 3), st.floats(-2, 2), st.floats(0.1, 3))
def test_the_divergence_is_that_of_torch(mean, std, other_mean, other_std):
    peer = distributions.kl_divergence(
        *(distributions.Normal(torch.tensor(m).double(), s) for m, s in ((mean, std), (other_mean, other_std)))
    )
    values = (torch.tensor(value).double() for value in (mean, std**2, other_mean, other_std**2))
    torch.testing.assert_close(normal_divergence(*values), peer)


@quick
@given(st.floats(-1.5, 1.5), st.floats(0.002, 2))
def test_the_bins_of_all_grey_levels_share_all_probability(mean, std):
    grey = torch.linspace(-1, 1, 256, dtype=torch.float64)
    logs = discretized_log_likelihood(grey, torch.tensor(mean).double(), torch.tensor(std).double())
    assert logs.exp().sum().item() == pytest.approx(1, abs=1e-6)


def gaussian_network(made: GaussianDiffusion, std: float, learned: bool) -> nn.Module:
    """The exact answer for pixels N(0, std^2), and the exact variance of a step back."""

    def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
        now, before = made.level(timesteps, noisy.ndim), made.level(timesteps, noisy.ndim, back=1)
        spread = (now.signal * std) ** 2 + now.noise**2
        noise = now.noise / spread * noisy
        if not learned:
            return noise
        one, posterior_variance = posterior(torch.ones_like(noise), torch.zeros_like(noise), now, before)
        true = posterior_variance + one.square() * std**2 * now.noise**2 / spread
        smallest, largest = (
            value.clamp(min=made._smallest_variance) for value in (posterior_variance, step_variance(now, before))
        )
        share = (true / smallest).log() / (largest / smallest).log()
        return torch.cat([noise, 2 * share - 1], dim=1)

    return network


@pytest.mark.parametrize("steps", [20, 300])
def test_the_bound_is_tight_with_the_true_variance_and_above_with_the_small_one(steps):
    """Pixels N(0, 0.3^2) in 256 levels, whose bits are known: about 6.1 a pixel. The bound has an error of 0.02 from its noise."""
    images = ((0.3 * normal(128, 3, 4, 4, seed=7)).clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    true = -discretized_log_likelihood(images, torch.zeros(()), torch.tensor(0.3)).mean() / math.log(2)
    gaps = {}
    for variance_type in ("learned_range", "fixed_small"):
        made = GaussianDiffusion(DiffusionConfig(steps, "cosine", variance_type=variance_type))
        network = gaussian_network(made, 0.3, variance_type == "learned_range")
        bound = made.bits_per_dimension(network, images, generator=generator(0))
        assert bound.steps.shape == (steps, 128) and bound.prior.shape == (128,)
        assert 0 <= bound.prior.max() < 1e-3 and bound.steps.mean(dim=1).min() > 0
        assert made.bits_per_dimension(network, images, generator=generator(0)).total.equal(bound.total)
        gaps[variance_type] = (bound.total.mean() - true).item()
    assert abs(gaps["learned_range"]) < 0.05 and gaps["fixed_small"] > 0.5


def test_a_better_network_has_fewer_bits():
    made = process()
    images = (0.3 * normal(64, 3, 4, 4)).clamp(-1, 1)
    exact = gaussian_network(made, 0.3, False)
    totals = [
        made.bits_per_dimension(lambda x, t, f=factor: f * exact(x, t), images, generator=generator(0)).total.mean()
        for factor in (1.0, 0.9, 1.1)
    ]
    assert totals[0] < min(totals[1:])


# --- bad settings, devices, compilation -------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "words"), [
    (lambda: process(prediction_type="score"), "prediction_type is 'score', but must be one of epsilon"),
    (lambda: process(variance_type="medium"), "variance_type is 'medium'"),
    (lambda: process(loss_weighting="p2"), "loss_weighting is 'p2'"),
    (lambda: process(zero_terminal_snr=True), "choose prediction_type"),
    (lambda: process(noise_schedule="cubic"), "no noise schedule 'cubic'"),
    (lambda: process().path([0, 10]), "falling timesteps, got"),
    (lambda: process().path([]), "falling timesteps, got"),
    (lambda: process().path([50, 10]), r"lie in \[0, 50\)"),
    (lambda: process().path([10, -1]), r"lie in \[0, 50\)"),
    (lambda: target(*normal(2, 3), CLEAN, "score"), "'score', but must be one of"),
    (lambda: predict(*normal(2, 3, 2), CLEAN, "score"), "'score', but must be one of"),
    (lambda: reverse_variance(Prediction(*normal(2, 3)), 0.1, 0.2, "learned_range"), "twice the channels"),
    (lambda: reverse_variance(Prediction(*normal(2, 3)), 0.1, 0.2, "medium"), "variance_type is 'medium'"),
])  # fmt: skip
def test_bad_settings_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


class Tiny(nn.Module):
    def __init__(self, learned: bool = False):
        super().__init__()
        self.layer = nn.Conv2d(3, 6 if learned else 3, 1)

    def forward(self, noisy: Tensor, timesteps: Tensor) -> Tensor:
        return self.layer(noisy) + timesteps.view(-1, 1, 1, 1) / 50


def inputs() -> tuple[Tensor, ...]:
    return normal(4, 3, 8, 8).clamp(-1, 1), normal(4, 3, 8, 8, seed=1), torch.tensor([0, 3, 20, 49])


VARIANTS = [
    {},
    {"prediction_type": "v_prediction", "zero_terminal_snr": True, "loss_weighting": "min_snr"},
    {"variance_type": "learned_range", "clip_sample": True},
]


@pytest.mark.parametrize("config", VARIANTS)
def test_the_losses_compile_without_a_graph_break(config):
    made, network = process(**config), Tiny("variance_type" in config)
    torch.compiler.reset()
    for method in (made.loss, made.step_bits):
        compiled = torch.compile(
            lambda *tensors, method=method: method(network, *tensors), fullgraph=True, backend="eager"
        )
        assert compiled(*inputs()).equal(method(network, *inputs()))


@pytest.mark.parametrize("config", VARIANTS)
def test_it_is_ready_for_a_gpu(config):
    with FakeTensorMode():
        with torch.device("cuda"):
            made, network = process(**config), Tiny("variance_type" in config)
            tensors = [torch.empty(tensor.shape, dtype=tensor.dtype) for tensor in inputs()]
        for method in (made.loss, made.step_bits):
            result = method(network, *tensors)
            assert str(result.device) == "cuda:0" and result.dtype == torch.float32
        noisy = made.denoiser(network)(tensors[0], made.path([10])[0]).images
        assert str(noisy.device) == "cuda:0" and noisy.dtype == torch.float32


@pytest.mark.parametrize("config", VARIANTS)
def test_bfloat16_autocast_is_close_and_its_loss_in_float32(config):
    made, network = process(**config), Tiny("variance_type" in config)
    exact = made.loss(network, *inputs())
    with torch.autocast("cpu", torch.bfloat16):
        rough = made.loss(network, *inputs())
    assert rough.dtype == torch.float32 and abs(rough - exact) < 0.05 * exact


def test_it_adds_nothing_to_a_checkpoint():
    made = process()
    assert not made.state_dict() and not list(made.parameters())
    assert copy.deepcopy(made).path([3]) == made.path([3])
