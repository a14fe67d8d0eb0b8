"""Stable Diffusion: latent diffusion that is told by a text what to draw.

Three networks share the work. A text encoder turns the prompt into a context, one vector for each of its tokens. A diffusion network starts from
latents that are pure noise and takes it away step by step; at every step, at every place of the latent grid, cross-attention asks the context what
belongs there. An autoencoder, trained first and frozen, turns the last latents into a picture.

While it trains, some captions are replaced by the empty one. So the same network also knows what pictures look like in general, and a step can go
further towards the prompt than it would by itself, away from the empty prompt (classifier-free guidance), or from a negative one in its place:

    prediction  =  network(x_t, negative)  +  s ( network(x_t, prompt) - network(x_t, negative) )

Papers: Rombach, Blattmann, Lorenz, Esser & Ommer, "High-resolution image synthesis with latent diffusion models", CVPR 2022 (sections 3.3 and 4.3,
appendix C.2). Ho & Salimans, "Classifier-free diffusion guidance", 2022. Meng et al., "SDEdit", ICLR 2022 (image to image).
The text encoder of the published models is CLIP's: Radford et al., ICML 2021. Negative prompts are the community's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.clip.clip import CLIP, RENAMED, CLIPConfig, TextEncoder, published_config
from course_utils.clip.tokenizer import CLIPTokenizer
from course_utils.diffusion.ddpm import Denoiser, DiffusionConfig, GaussianDiffusion, Network
from course_utils.diffusion.guidance import classifier_free, keep_known
from course_utils.diffusion.latent_diffusion import AutoencoderKL, LatentDiffusion
from course_utils.diffusion.samplers import DDIM, Sampler, sample
from course_utils.diffusion.schedules import Level, inference_timesteps
from course_utils.diffusion.score import RectifiedFlow
from course_utils.diffusion.unet import UNet
from course_utils.hub import check_settings, load_weights, read_config, read_transformers, renamed
from course_utils.layers import draw_normal

Tokenizer = Callable[[Sequence[str]], Tensor]  # prompts -> ids (batch, n) int64
SAMPLER = DDIM()


class CLIPPromptEncoder(TextEncoder):
    """CLIP's text transformer as a picture reads it: ids (batch, n) to (batch, n, text_width), the last hidden state, normalised.

    A vector for each token, not one for the text: what is round and what is red is said at different places.
    """

    def __init__(self, config: CLIPConfig):
        super().__init__(config)
        self.projection = nn.Identity()  # no vector of the whole text is asked for

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.features(input_ids)

    @classmethod
    def from_clip(cls, model: CLIP) -> Self:
        """A copy of the text encoder of a trained CLIP, in evaluation mode."""
        encoder = cls(model.config)
        weights = model.text_encoder.state_dict()
        encoder.load_state_dict({name: weight for name, weight in weights.items() if "projection" not in name})
        return encoder.eval()

    @classmethod
    def from_hub(cls, source: str | Path, subfolder: str = "") -> Self:
        """A published one in the layout of transformers' `CLIPTextModel`, in evaluation mode.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`.
        """
        settings, weights = read_transformers(source, "clip_text_model", {}, subfolder)
        activation = {"hidden_act": settings.get("hidden_act", "quick_gelu")}
        model = cls(published_config({"text_config": settings, "vision_config": activation}))
        # old files say "text_model.", as whole CLIPs do, new ones do not
        whole = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in weights.items()}
        kept = {name: tensor for name, tensor in whole.items() if not name.endswith("position_ids")}
        load_weights(model, renamed(kept, [*RENAMED, (r"^text_encoder\.", "")]), source)
        return model.eval()


class StableDiffusion(LatentDiffusion):
    """Text encoder, diffusion network and autoencoder as one model. Pictures are float32 (batch, channels, height, width) in [-1, 1].

    Args:
        tokenizer: prompts -> ids (batch, n) int64, all of one length.
        text_encoder: ids -> context (batch, n, width). Frozen or trained along: that is for whoever trains.
        network: a `UNet` or `DiT` with context_width; its in_channels are those of the latents and of what is joined to them.
        autoencoder: whose `scaling_factor` is set; it is frozen.
        process: how latents are noised, and what the network answers.
        path: the levels that a sampler visits in so many steps; None for those of the process, the last step first.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        text_encoder: nn.Module,
        network: nn.Module,
        autoencoder: AutoencoderKL,
        process: GaussianDiffusion | RectifiedFlow,
        path: Callable[[int], list[Level]] | None = None,
    ):
        super().__init__(autoencoder, network)
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder
        self.process = process
        self.path = path or partial(trailing_path, process)

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """The context (batch, n, width) of prompts."""
        return self.text_encoder(self.tokenizer(prompts).to(self.autoencoder.scaling_factor.device))

    def forward(self, latents: Tensor, timesteps: Tensor, context: Tensor, condition: Tensor | None = None) -> Tensor:
        """The network's answer (batch, latent_channels, h, w) about noisy latents.

        Args:
            latents: (batch, latent_channels, h, w).
            timesteps: (batch,).
            context: (batch, n, width), of `encode_prompts`.
            condition: (batch, channels, height, width), joined to the latents: a small picture, or `inpainting_condition`.
        """
        return super().forward(latents, timesteps, None, context, condition)

    def loss(
        self, latents: Tensor, input_ids: Tensor, noise: Tensor, timesteps: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """The loss of the process, a scalar, with the text encoder's gradient (Rombach et al., equation 3).

        Args:
            latents: (batch, latent_channels, h, w), of `encode`.
            input_ids: (batch, n) int64, some of them those of the empty prompt (see `caption_dropout`).
            noise: standard normal, of the shape of the latents.
            timesteps: (batch,), as the process has them.
        """
        return self.process.loss(self, latents, noise, timesteps, self.text_encoder(input_ids), condition)

    def denoiser(
        self, context: Tensor, negative_context: Tensor, guidance_scale: float, condition: Tensor | None = None
    ) -> Denoiser:
        """The network as samplers want it, guided towards `context` and away from `negative_context`, both (batch, n, width)."""

        def network(noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
            # twice the batch, where the network is asked with and without
            joined = condition if condition is None else condition.repeat(len(noisy) // len(condition), 1, 1, 1)
            return self(noisy, timesteps, context, joined)

        def guided(noisy: Tensor, timesteps: Tensor) -> Tensor:
            if guidance_scale == 1:  # half the work
                return network(noisy, timesteps, context)
            return guided_prediction(network, noisy, timesteps, context, negative_context, guidance_scale)

        return self.process.denoiser(guided)

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[str],
        negative_prompts: str | Sequence[str] = "",
        *,
        guidance_scale: float = 7.5,
        num_inference_steps: int = 50,
        sampler: Sampler = SAMPLER,
        generator: torch.Generator | None = None,
        latents: Tensor | None = None,
        condition: Tensor | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> Tensor:
        """Pictures (batch, channels, height, width) of prompts.

        Args:
            negative_prompts: what the pictures shall not show; one text for all, or one a prompt.
            guidance_scale: 1 is the network as it is, more exaggerates what the prompt asks for.
            generator: of the noise from which sampling starts, and of the sampler's.
            latents: that noise, (batch, latent_channels, h, w), instead of drawn.
            condition: what the network is given beside the text, (batch, channels, any height, any width): a small picture for a network that
                makes it larger, or `inpainting_condition` for one that was trained for that.
            height, width: in pixels; by default those that the network was made for.

        Raises:
            ValueError: another number of negative prompts than of prompts.
        """
        if latents is None:
            shape = self._latent_shape(len(prompts), height, width)
            latents = draw_normal(shape, generator, self.autoencoder.scaling_factor.device)
        denoise = self._denoiser(prompts, negative_prompts, guidance_scale, condition)
        return self.decode(sample(denoise, sampler, latents, self.path(num_inference_steps), generator))

    @torch.inference_mode()
    def image_to_image(
        self,
        images: Tensor,
        prompts: Sequence[str],
        negative_prompts: str | Sequence[str] = "",
        *,
        strength: float = 0.8,
        guidance_scale: float = 7.5,
        num_inference_steps: int = 50,
        sampler: Sampler = SAMPLER,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Pictures of prompts that keep something of given ones: noised, then sampled from there (Meng et al., algorithm 1).

        Args:
            images: (batch, channels, height, width) in [-1, 1].
            strength: how much is made anew, see `image_to_image_start`. Of the steps only that share is taken.
            noise: of the shape of the latents, instead of drawn. What else is given is as in `generate`.
        """
        known = self.encode(images)
        noise = draw_normal(known.shape, generator, known.device) if noise is None else noise
        latents, path = image_to_image_start(known, noise, self.path(num_inference_steps), strength)
        denoise = self._denoiser(prompts, negative_prompts, guidance_scale)
        return self.decode(sample(denoise, sampler, latents, path, generator))

    @torch.inference_mode()
    def inpaint(
        self,
        images: Tensor,
        mask: Tensor,
        prompts: Sequence[str],
        negative_prompts: str | Sequence[str] = "",
        *,
        guidance_scale: float = 7.5,
        num_inference_steps: int = 50,
        sampler: Sampler = SAMPLER,
        generator: torch.Generator | None = None,
        latents: Tensor | None = None,
    ) -> Tensor:
        """Pictures in which what a mask covers is made anew, from a prompt.

        By any network: at every step the known latents, as noisy as that step, replace those that it reached (`guidance.keep_known`). A network
        that was trained for it, with 1 + latent_channels more channels, is shown mask and picture instead.

        Args:
            images: (batch, channels, height, width) in [-1, 1].
            mask: (batch, 1, height, width), 1 where the picture is to be made anew, else 0. What else is given is as in `generate`.
        """
        channels = self.autoencoder.config.latent_channels
        condition, constrain = None, None
        known = self.encode(images)
        if self.network.config.in_channels == 2 * channels + 1:
            condition = self.inpainting_condition(images, mask)
        else:
            # a place of the latent grid is known only where all of its pixels are
            constrain = keep_known(known, 1 - F.adaptive_max_pool2d(mask, known.shape[2:]), generator)
        latents = draw_normal(known.shape, generator, known.device) if latents is None else latents
        denoise = self._denoiser(prompts, negative_prompts, guidance_scale, condition)
        return self.decode(sample(denoise, sampler, latents, self.path(num_inference_steps), generator, constrain))

    def _denoiser(
        self,
        prompts: Sequence[str],
        negative_prompts: str | Sequence[str],
        guidance_scale: float,
        condition: Tensor | None = None,
    ) -> Denoiser:
        """`denoiser` from texts."""
        if isinstance(negative_prompts, str):
            negative_prompts = [negative_prompts] * len(prompts)
        if isinstance(prompts, str) or len(negative_prompts) != len(prompts):
            raise ValueError(
                f"expected a list of prompts, and one negative prompt for all or for each; got {prompts!r} and {negative_prompts!r}"
            )
        context, negative_context = self.encode_prompts([*prompts, *negative_prompts]).chunk(2)
        return self.denoiser(context, negative_context, guidance_scale, condition)

    def _latent_shape(self, batch: int, height: int | None, width: int | None) -> tuple[int, int, int, int]:
        config, size = self.autoencoder.config, self.network.config.image_size
        factor = 2 ** (len(config.widths) - 1)
        return (
            batch,
            config.latent_channels,
            height // factor if height else size,
            width // factor if width else size,
        )

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A folder or repository in the layout of Stable Diffusion 1.5, in evaluation mode.

        `StableDiffusion.from_hub("stable-diffusion-v1-5/stable-diffusion-v1-5")`, for one: `tokenizer/`, `text_encoder/`, `unet/`, `vae/` and
        `scheduler/`, whose noise schedule and steps are taken for any of our samplers.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_diffusers`; WeightsError also for a noise schedule that is not theirs.
        """
        process, path = read_scheduler(source)
        tokenizer = CLIPTokenizer.from_hub(source, subfolder="tokenizer")
        return cls(
            partial(tokenizer, pad=tokenizer.end),  # Stable Diffusion looks at the padding, too: it is the end token
            CLIPPromptEncoder.from_hub(source, "text_encoder"),
            UNet.from_hub(source, "unet"),
            AutoencoderKL.from_hub(source, "vae"),
            process,
            path,
        ).eval()


def caption_dropout(input_ids: Tensor, empty_ids: Tensor, uniform: Tensor, probability: float) -> Tensor:
    """Ids of captions (batch, n), some replaced by those of the empty prompt, so that one network learns with and without a text.

    Args:
        input_ids: (batch, n) int64.
        empty_ids: (n,) int64, of the prompt "".
        uniform: (batch,), uniform in [0, 1).
        probability: of being replaced; 0.1 in the published models.
    """
    return torch.where((uniform < probability)[:, None], empty_ids, input_ids)


def guided_prediction(
    network: Network,
    noisy: Tensor,
    timesteps: Tensor,
    context: Tensor,
    negative_context: Tensor,
    guidance_scale: float,
) -> Tensor:
    """The answer (batch, channels, h, w) of a network, guided towards one context and away from the other (Ho & Salimans, equation 6).

    The network is asked once, about twice the batch.

    Args:
        network: `(noisy, timesteps, context) -> answer`.
        noisy: (batch, channels, h, w).
        timesteps: (batch,).
        context, negative_context: (batch, n, width) each; the second is that of the empty prompt, or of a negative one.
        guidance_scale: 0 only looks at the second, 1 only at the first, more exaggerates the first.
    """
    return classifier_free(network, negative_context, guidance_scale)(noisy, timesteps, context)


def image_to_image_start(
    latents: Tensor, noise: Tensor, path: Sequence[Level], strength: float
) -> tuple[Tensor, list[Level]]:
    """Where sampling starts if something of a picture shall stay, and the levels that are left to visit (Meng et al., section 3).

    Args:
        latents: of the picture, (batch, channels, h, w).
        noise: standard normal, of that shape.
        path: the levels of a whole sampling, one more than it has steps.
        strength: the share of the steps that is taken, in [0, 1], rounded down. 0 leaves the picture as it is, 1 hardly anything of it.

    Raises:
        ValueError: if strength is no share.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is a share of the steps, in [0, 1], got {strength}")
    steps = len(path) - 1
    rest = list(path[steps - int(strength * steps) :])
    return rest[0].signal * latents + rest[0].noise * noise, rest


def trailing_path(process: GaussianDiffusion | RectifiedFlow, num_inference_steps: int) -> list[Level]:
    """The levels that a sampler visits in so many equal steps, from the last one on."""
    if isinstance(process, RectifiedFlow):
        return process.path(num_inference_steps)
    return process.path(inference_timesteps(process.config.num_train_timesteps, num_inference_steps))


def leading_path(
    process: GaussianDiffusion, steps_offset: int, ends_clean: bool, num_inference_steps: int
) -> list[Level]:
    """The levels of the first Stable Diffusion models: equal steps from `steps_offset` up.

    Args:
        ends_clean: whether the last step goes to a clean picture, or to step 0, which has a little noise.
    """
    steps = inference_timesteps(process.config.num_train_timesteps, num_inference_steps, "leading", steps_offset)
    path = process.path(steps)
    return path if ends_clean else [*path[:-1], *process.path([0])[:1]]


def read_scheduler(source: str | Path) -> tuple[GaussianDiffusion, Callable[[int], list[Level]]]:
    """Process and path from `scheduler/scheduler_config.json` of a folder or repository, whichever sampler it names.

    Raises:
        FileNotFoundError, OfflineError: as `hub.read_config`.
        WeightsError: if the schedule is another one than that of Stable Diffusion 1.
    """
    settings = read_config(source, "scheduler/scheduler_config.json")
    only = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000,
            "trained_betas": None, "clip_sample": False, "thresholding": False, "rescale_betas_zero_snr": False,
            "timestep_spacing": "leading"}  # fmt: skip
    check_settings(f"scheduler of {source}", settings, only)
    process = GaussianDiffusion(
        DiffusionConfig(noise_schedule="scaled_linear", prediction_type=settings.get("prediction_type", "epsilon"))
    )
    ends_clean = settings.get("set_alpha_to_one", True)
    return process, partial(leading_path, process, settings.get("steps_offset", 0), ends_clean)
