"""Every schedule and sampler against `diffusers`, step by step on the same network, noise and timesteps, to 1e-5.

Where peers differ from ours, and from each other:
- DDIM takes the step before t to be t - T // n, which on `linspace`, or where n does not divide T, is not the timestep that it visits next.
- Euler and Heun do not round on `linspace`; DPM-Solver++ visits n of n + 1 spaced timesteps.
- They hold alphas_cumprod in float32, which at step 0 of `linear` leaves the noise wrong by one part in 10,000 and steps by 1e-4 (Heun 1e-3).
  Their tables are compared with ours, and then replaced by them, so that the steps are compared and not the rounding.
- Euler, Heun and flow matching hold y = x / signal, the others x; here all are compared as x, which is what a network sees.
- With zero terminal SNR, the solvers take 2^-24 for an alphas_cumprod of 0, DDPM and DDIM take 0.
- `clip_sample` of DDIM keeps the old noise unless told otherwise (`use_clipped_model_output`); ours, and Heun's, is what the clipped picture leaves.
"""

import functools
import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from torch import Tensor

from course_utils.diffusion import (
    DDIM,
    Ancestral,
    DiffusionConfig,
    DPMSolver,
    Euler,
    GaussianDiffusion,
    Heun,
    RectifiedFlow,
    guidance,
    inference_timesteps,
    schedules,
)
from course_utils.diffusion.ddpm import target
from course_utils.diffusion.schedules import Level
from course_utils.layers import draw_integers, draw_normal
from course_utils.runtime import generator

BETAS = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}
SHAPE = (2, 3, 4, 4)
SMALLEST = 2**-24
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of the peers


def network(process: GaussianDiffusion | RectifiedFlow, noisy: Tensor, timesteps: Tensor) -> Tensor:
    """An answer in the parameterisation of the process that stands for some picture around [-1, 1], different for every input."""
    level = process.level(
        timesteps.to(torch.float32 if isinstance(process, RectifiedFlow) else torch.int64), noisy.ndim
    )
    images = 1.2 * torch.tanh(1.3 * noisy.flip(1) - 0.5 * noisy.roll(1, 3)) + 0.2 * torch.sin(timesteps / 100).view(
        -1, 1, 1, 1
    )
    answer = target(images, (noisy - level.signal * images) / level.noise, level, process.prediction_type)
    if isinstance(process, GaussianDiffusion) and process.config.variance_type == "learned_range":
        return torch.cat([answer, torch.sin(3 * noisy)], dim=1)
    return answer


@dataclass(frozen=True)
class Case:
    """One of our samplers beside one of theirs. Settings that both know are given once."""

    name: str
    sampler: object
    peer: type
    config: dict = field(default_factory=dict)  # of ours
    peer_config: dict = field(default_factory=dict)
    spacing: str = "trailing"
    steps_offset: int = 0
    steps: int = 10
    step_arguments: dict = field(default_factory=dict)  # of the peer's step

    def process(self) -> GaussianDiffusion:
        return GaussianDiffusion(DiffusionConfig(**{"noise_schedule": "linear", **self.config}))

    def scheduler(self):
        config = self.process().config
        settings = {
            **BETAS[config.noise_schedule],
            "prediction_type": config.prediction_type,
            "timestep_spacing": self.spacing,
            "steps_offset": self.steps_offset,
            **self.peer_config,
        }
        if config.zero_terminal_snr:
            settings["rescale_betas_zero_snr"] = True
        if self.peer in (DDPMScheduler, DDIMScheduler):
            settings = {"clip_sample": config.clip_sample, **settings}
        scheduler = self.peer(**settings)
        scheduler.alphas_cumprod = torch.from_numpy(self.alphas_cumprod())
        scheduler.set_timesteps(self.steps)
        return scheduler

    def alphas_cumprod(self) -> np.ndarray:
        config = self.process().config
        exact = schedules.find_schedule(config.noise_schedule, 1000, zero_terminal_snr=config.zero_terminal_snr)
        return exact if self.peer in (DDPMScheduler, DDIMScheduler) else np.maximum(exact, SMALLEST)

    def path(self) -> list[Level]:
        process = self.process()
        if self.peer is DPMSolverMultistepScheduler and self.spacing != "trailing":
            timesteps = inference_timesteps(1000, self.steps + 1, self.spacing, self.steps_offset)[:-1]
        else:
            timesteps = inference_timesteps(1000, self.steps, self.spacing, self.steps_offset)
        path = process.path(timesteps)
        if self.peer_config.get("set_alpha_to_one") is False:
            path[-1] = process.path([0])[0]
        if path[0].signal == 0 and self.peer not in (DDPMScheduler, DDIMScheduler):
            path[0] = path[0]._replace(signal=math.sqrt(SMALLEST), noise=math.sqrt(1 - SMALLEST))
        return path


V, X0 = {"prediction_type": "v_prediction"}, {"prediction_type": "sample"}
ZERO = {**V, "zero_terminal_snr": True}
SD = {"noise_schedule": "scaled_linear"}
LEARNED = {"variance_type": "learned_range"}
SD_PEER = {"set_alpha_to_one": False}
CASES = [
    *(Case(f"ddpm {spacing}", Ancestral(), DDPMScheduler, spacing=spacing) for spacing in ("leading", "trailing", "linspace")),
    Case("ddpm, many steps", Ancestral(), DDPMScheduler, steps=200),
    Case("ddpm cosine", Ancestral(), DDPMScheduler, {"noise_schedule": "cosine"}),
    Case("ddpm clipped", Ancestral(), DDPMScheduler, {"clip_sample": True}, spacing="leading"),
    Case("ddpm large variance", Ancestral("fixed_large"), DDPMScheduler, {}, {"variance_type": "fixed_large"}, "leading"),
    Case("ddpm learned variance", Ancestral("learned_range"), DDPMScheduler, LEARNED, LEARNED, "leading"),
    Case("ddpm velocity", Ancestral(), DDPMScheduler, V),
    Case("ddpm picture", Ancestral(), DDPMScheduler, X0),
    Case("ddpm zero snr", Ancestral(), DDPMScheduler, ZERO),
    *(Case(f"ddim eta {eta}", DDIM(eta), DDIMScheduler, spacing="leading", step_arguments={"eta": eta}) for eta in (0.0, 0.5, 1.0)),
    Case("ddim trailing", DDIM(), DDIMScheduler),
    Case("ddim clipped", DDIM(0.3), DDIMScheduler, {"clip_sample": True}, step_arguments={"eta": 0.3, "use_clipped_model_output": True}),
    Case("ddim stable diffusion 1", DDIM(), DDIMScheduler, SD, SD_PEER, "leading", 1),
    Case("ddim velocity", DDIM(), DDIMScheduler, {**SD, **V}, SD_PEER, "leading", 1),
    Case("ddim picture", DDIM(), DDIMScheduler, X0),
    Case("ddim cosine", DDIM(), DDIMScheduler, {"noise_schedule": "cosine", **V}),
    Case("ddim zero snr", DDIM(), DDIMScheduler, ZERO),
    Case("ddim zero snr, eta 0.7", DDIM(0.7), DDIMScheduler, ZERO, step_arguments={"eta": 0.7}),
    *(Case(f"euler {spacing}", Euler(), EulerDiscreteScheduler, spacing=spacing) for spacing in ("leading", "trailing", "linspace")),
    Case("euler stable diffusion 1", Euler(), EulerDiscreteScheduler, SD, {}, "leading", 1),
    Case("euler velocity", Euler(), EulerDiscreteScheduler, V),
    Case("euler picture", Euler(), EulerDiscreteScheduler, X0),
    Case("euler zero snr", Euler(), EulerDiscreteScheduler, ZERO),
    *(Case(f"heun {spacing}", Heun(), HeunDiscreteScheduler, spacing=spacing) for spacing in ("leading", "trailing", "linspace")),
    Case("heun velocity", Heun(), HeunDiscreteScheduler, V),
    Case("heun picture", Heun(), HeunDiscreteScheduler, X0),
    Case("heun clipped", Heun(), HeunDiscreteScheduler, {"clip_sample": True}, {"clip_sample": True}),
    *(Case(f"dpm-solver++ {spacing}", DPMSolver(), DPMSolverMultistepScheduler, spacing=spacing) for spacing in ("leading", "trailing", "linspace")),
    Case("dpm-solver++ many steps", DPMSolver(), DPMSolverMultistepScheduler, steps=40),
    Case("dpm-solver++ stable diffusion 1", DPMSolver(), DPMSolverMultistepScheduler, SD, {}, "leading", 1),
    Case("dpm-solver++ velocity", DPMSolver(), DPMSolverMultistepScheduler, V),
    Case("dpm-solver++ picture", DPMSolver(), DPMSolverMultistepScheduler, X0),
    Case("dpm-solver++ zero snr", DPMSolver(), DPMSolverMultistepScheduler, ZERO),
]  # fmt: skip


def compare(case: Case) -> list[tuple[Tensor, Tensor]]:
    """What both samplers reach at each step, as x at the level reached. Both go on from where ours is."""
    process, scheduler, path = case.process(), case.scheduler(), case.path()
    denoise = process.denoiser(functools.partial(network, process))
    stretched = case.peer in (EulerDiscreteScheduler, HeunDiscreteScheduler)
    noisy, last, theirs, reached = draw_normal(SHAPE, generator(0)), None, None, []
    times = iter(scheduler.timesteps)
    for number, (now, after) in enumerate(pairwise(path)):
        noise = draw_normal(SHAPE, generator(number))
        last = case.sampler.step(denoise, noisy, now, after, noise, last)
        theirs = noisy / now.signal if stretched else noisy
        for _ in range(1 + (case.peer is HeunDiscreteScheduler and after.noise > 0)):
            time = next(times)
            assert time == now.timestep or case.peer is HeunDiscreteScheduler
            output = network(process, scheduler.scale_model_input(theirs, time), time.repeat(len(noisy)))
            extra = {"generator": generator(number)} if case.sampler.stochastic else {}
            theirs = scheduler.step(output, time, theirs, **case.step_arguments, **extra).prev_sample
        reached.append((last.noisy, theirs * after.signal if stretched else theirs))
        noisy = last.noisy
    assert next(times, None) is None
    return reached


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_step_is_that_of_diffusers(case):
    for ours, theirs in compare(case):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("name", BETAS)
def test_the_tables_are_those_of_diffusers(name, zero_snr):
    ours = schedules.find_schedule(name, 1000, zero_terminal_snr=zero_snr)
    peer = DDPMScheduler(**BETAS[name], rescale_betas_zero_snr=zero_snr)
    np.testing.assert_allclose(ours, peer.alphas_cumprod.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(schedules.betas_of(ours), peer.betas.numpy(), rtol=0, atol=1e-5)
    process = GaussianDiffusion(DiffusionConfig(1000, name, zero_terminal_snr=zero_snr, prediction_type="sample"))
    torch.testing.assert_close(process.alphas_cumprod, peer.alphas_cumprod, atol=1e-6, rtol=0)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 25, 27, 50, 999, 1000])
def test_the_timesteps_are_those_of_diffusers(spacing, steps):
    """But for one step on `linspace`, which the peer takes at step 0, where there is nothing to denoise."""
    peer = DDPMScheduler(timestep_spacing=spacing)
    peer.set_timesteps(steps)
    ours = inference_timesteps(1000, steps, spacing)
    assert ours == (peer.timesteps.tolist() if (spacing, steps) != ("linspace", 1) else [999])


def test_an_offset_moves_leading_timesteps():
    peer = DDIMScheduler(timestep_spacing="leading", steps_offset=1)
    peer.set_timesteps(5)
    assert inference_timesteps(1000, 5, "leading", 1) == peer.timesteps.tolist() == [801, 601, 401, 201, 1]


def test_noising_and_velocity_are_those_of_diffusers():
    process = GaussianDiffusion(DiffusionConfig(noise_schedule="scaled_linear", **V))
    peer = DDPMScheduler(**BETAS["scaled_linear"])
    images, noise = draw_normal((50, 3, 4, 4), generator(0)), draw_normal((50, 3, 4, 4), generator(1))
    timesteps = draw_integers(0, 1000, (50,), generator(2))
    torch.testing.assert_close(
        process.add_noise(images, noise, timesteps), peer.add_noise(images, noise, timesteps), atol=1e-5, rtol=1e-5
    )
    velocity = target(images, noise, process.level(timesteps, 4), "v_prediction")
    torch.testing.assert_close(velocity, peer.get_velocity(images, noise, timesteps), atol=1e-5, rtol=1e-5)


# --- rectified flow, guidance -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_each_euler_step_of_a_flow_is_that_of_diffusers(shift):
    flow, steps = RectifiedFlow(shift=shift), 10
    peer = FlowMatchEulerDiscreteScheduler(shift=shift)
    peer.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps))
    path = flow.path(steps)
    torch.testing.assert_close(torch.tensor([level.noise for level in path]), peer.sigmas)
    torch.testing.assert_close(torch.tensor([level.timestep for level in path[:-1]]), peer.timesteps)
    velocity = functools.partial(network, flow)
    noisy = draw_normal(SHAPE, generator(0))
    for (now, after), time in zip(pairwise(path), peer.timesteps, strict=True):
        theirs = peer.step(velocity(noisy, time.repeat(2)), time, noisy).prev_sample
        noisy = Euler().step(flow.denoiser(velocity), noisy, now, after).noisy
        torch.testing.assert_close(noisy, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_the_rescaling_of_guidance_is_that_of_diffusers(share):
    guided, conditional = 3 * draw_normal(SHAPE, generator(0)) + 1, draw_normal(SHAPE, generator(1))
    theirs = rescale_noise_cfg(guided, conditional, share)
    torch.testing.assert_close(guidance.rescale_guided(guided, conditional, share), theirs)
