"""Studies of discrete latents: the lecture's claims C03 and C04, and how a codebook collapses."""

import math
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from course_utils import plots, runtime, scale
from course_utils.autoencoders import recipes
from course_utils.autoencoders.pixelcnn import PixelCNN, PixelCNNConfig, bits_per_dimension
from course_utils.autoencoders.vae import gaussian_log_likelihood, kl_divergence, reparameterize
from course_utils.autoencoders.vqvae import VQVAE, VQVAEConfig, perplexity, used_codes
from course_utils.autoencoders.vqvae2 import VQVAE2, HierarchicalPrior, HierarchicalPriorConfig, VQVAE2Config
from course_utils.data import Scenes, loader
from course_utils.layers import draw_normal
from course_utils.metrics import density_coverage, psnr
from course_utils.metrics.recipes import SCENE_JUDGE
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grouped, load, said, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "01_autoencoders/03_vqvae"
WIDTHS = (16, 32)  # of all networks here: small, so that three seeds of each take minutes
LEVELS = 2 / 255  # between two of the 256 levels of a stored picture, whose values lie in [-1, 1]


def _batches(seed: int) -> torch.utils.data.DataLoader:
    return loader(Scenes("train", fields=("image",)), 64, seed=seed)


def _train_vqvae(config: VQVAEConfig, seed: int, steps: int) -> VQVAE:
    runtime.seed_everything(seed)
    model = VQVAE(config)
    player = recipes.vqvae_player(model, recipes.scenes("train", 64)["image"])
    fit(player, _batches(seed), steps, seed=seed, progress=False)
    return model


def _train_prior(prior: PixelCNN | HierarchicalPrior, autoencoder: VQVAE | VQVAE2, seed: int, steps: int) -> None:
    fit(recipes.prior_player(prior, autoencoder, 3e-3), _batches(seed + 100), steps, seed=seed, progress=False)


# --- C03: likelihood of discrete and continuous latents ----------------------------------------------------------------


class GridVAE(nn.Module):
    """A VAE with the encoder and decoder of a VQ-VAE: a normal vector at each place of the grid where that has a code."""

    def __init__(self, config: VQVAEConfig):
        super().__init__()
        twin = VQVAE(config)
        self.encoder, self.decoder = twin.encoder, twin.decoder
        last = self.encoder[-1]
        self.encoder[-1] = nn.Conv2d(last.in_channels, 2 * config.code_dim, 1)  # means and log-variances
        self.log_std = nn.Parameter(torch.tensor(math.log(0.2)))

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log p(x|z) and KL of each picture, (batch,) in nats, and the means of p(x|z); `noise` (batch, code_dim, h, w) is normal."""
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        means = self.decoder(reparameterize(mean, log_variance, noise))
        return gaussian_log_likelihood(means, images, self.log_std), kl_divergence(*_flat(mean, log_variance)), means


def _flat(*grids: Tensor) -> tuple[Tensor, ...]:
    return tuple(grid.flatten(1) for grid in grids)


def stored_bits(nats: Tensor) -> float:
    """Bits a value for pictures stored in 256 levels, from log densities (batch,) of pictures of 3 x 32 x 32 values."""
    return bits_per_dimension(nats.mean(), 3 * 32 * 32).item() - math.log2(LEVELS)


def _likelihood_run(latents: str, seed: int) -> dict[str, float]:
    config = VQVAEConfig(widths=WIDTHS, num_codes=256, code_dim=8)
    steps, prior_steps = scale(smoke=(2, 2), cpu=(800, 500), gpu=(30_000, 20_000))
    samples = scale(smoke=64, cpu=2000, gpu=2000)
    train, images = recipes.scenes("train", samples)["image"], recipes.scenes("test", samples)["image"]
    if latents == "continuous":
        return _continuous(config, seed, steps, images)
    model = _train_vqvae(config, seed, steps)
    (codes,) = recipes.encoded(model, train)
    error = (recipes.decoded(model, codes) - train).square().mean()
    (codes,) = recipes.encoded(model, images)
    rebuilt = recipes.decoded(model, codes)
    # the variance that makes the training pictures most likely is the mean squared error
    nats = gaussian_log_likelihood(rebuilt, images, 0.5 * error.log())
    prior = PixelCNN(PixelCNNConfig(num_values=config.num_codes, hidden=32, num_layers=6, kernel_size=3))
    _train_prior(prior, model, seed, prior_steps)
    device = next(prior.parameters()).device
    with torch.inference_mode():
        price = -torch.cat([prior.log_likelihood(part.to(device)).cpu() for part in codes.split(recipes.CHUNK)])
    return {
        "bits_per_dim": stored_bits(nats - price),
        "code_nats": price.mean().item(),
        "uniform_prior_bits_per_dim": stored_bits(nats - codes[0].numel() * math.log(config.num_codes)),
        "psnr_db": psnr(rebuilt, images).mean().item(),
    }


def _continuous(config: VQVAEConfig, seed: int, steps: int, images: Tensor) -> dict[str, float]:
    runtime.seed_everything(seed)
    model = GridVAE(config)
    side = config.image_size // 2 ** len(config.widths)

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        noise = torch.randn(len(batch["image"]), config.code_dim, side, side, device=batch["image"].device)
        log_likelihood, kl, _ = model(batch["image"], noise)
        return (kl - log_likelihood).mean(), {"kl": kl.mean()}

    fit(
        Player("vae", model, objective, learning_rate=3e-3), _batches(seed), steps, clip=None, seed=seed, progress=False
    )
    draw, device = runtime.generator(seed), model.log_std.device
    with torch.inference_mode():
        found = [
            model(part.to(device), draw_normal((len(part), config.code_dim, side, side), draw, device))
            for part in images.split(recipes.CHUNK)
        ]
    log_likelihood, kl, means = (torch.cat(values).cpu() for values in zip(*found, strict=True))
    return {
        "bits_per_dim": stored_bits(log_likelihood - kl),
        "code_nats": kl.mean().item(),
        "uniform_prior_bits_per_dim": math.nan,  # its prior is not learned
        "psnr_db": psnr(means.clamp(-1, 1), images).mean().item(),
    }


PAPERS_GAP = 0.16
"""Bits a value between VQ-VAE and VAE on CIFAR-10 (4.67 and 4.51), which the paper calls "as well" (section 4.1)."""


def _likelihood_verdict(rows: list[Row]) -> Verdict:
    bits, nats = grouped(rows, "latents", "bits_per_dim"), grouped(rows, "latents", "code_nats")
    uniform = [row["uniform_prior_bits_per_dim"] for row in rows if row["latents"] == "discrete"]
    gap = fmean(bits["discrete"]) - fmean(bits["continuous"])
    why = (
        f"With one encoder and decoder, held-out scenes cost {said(bits['discrete'])} bits a value with discrete latents and a learned "
        f"prior ({said(uniform)} with a uniform one), {said(bits['continuous'])} with continuous latents; the code takes "
        f"{said(nats['discrete'], 0)} and {said(nats['continuous'], 0)} nats of that. The gap is {gap:+.2f} bits; the paper's, on "
        f"CIFAR-10, is +{PAPERS_GAP}."
    )
    clear = 2 * max(spread(bits["discrete"]), spread(bits["continuous"]))
    if gap <= PAPERS_GAP:
        return Verdict("holds here", why)
    return Verdict("in part" if gap - clear <= PAPERS_GAP else "does not hold here", why)


def _legend_below(figure: "Figure") -> None:
    """What the left axis names, under the whole figure."""
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False, fontsize=8
    )


def _likelihood_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.6, height=2.8)
    bits, uniform = (grouped(rows, "latents", name) for name in ("bits_per_dim", "uniform_prior_bits_per_dim"))
    if "discrete" in uniform:
        bits["discrete,\nuniform prior"] = uniform["discrete"]
    plots.group_dots(axes[0, 0], bits)
    axes[0, 0].set_ylabel("bits a value (less is better)")
    plots.group_dots(axes[0, 1], grouped(rows, "latents", "psnr_db"))
    axes[0, 1].set_ylabel("PSNR of reconstructions, dB")
    return figure


DISCRETE_LIKELIHOOD = Experiment(
    name="vqvae-likelihood",
    claim="C03",
    question="With equal encoders and decoders, do discrete latents reach the likelihood of continuous ones?",
    notebook=NOTEBOOK,
    grid=tuple({"latents": latents, "seed": seed} for latents in ("continuous", "discrete") for seed in range(3)),
    run=_likelihood_run,
    verdict=_likelihood_verdict,
    figure=_likelihood_figure,
)


# --- C04: an autoregressive prior over hierarchical codes ---------------------------------------------------------------


def _hierarchy_run(grids: str, seed: int) -> dict[str, float]:
    """Train an autoencoder and its prior; draw codes with the prior, and for each place on its own."""
    steps, prior_steps = scale(smoke=(2, 2), cpu=(500, 600), gpu=(30_000, 30_000))
    samples = scale(smoke=40, cpu=500, gpu=2000)
    runtime.seed_everything(seed)
    first = recipes.scenes("train", 64)["image"]
    if grids == "one":
        model = VQVAE(VQVAEConfig(widths=WIDTHS, num_codes=256, code_dim=8))
        prior = PixelCNN(PixelCNNConfig(num_values=256, hidden=48, num_layers=6, kernel_size=3, attention_every=2))
    else:
        model = VQVAE2(VQVAE2Config(image_size=32, widths=WIDTHS, num_codes=256, code_dim=8))
        prior = HierarchicalPrior(
            HierarchicalPriorConfig(
                num_codes=256, top_size=4, top_hidden=32, top_layers=4, bottom_hidden=48, bottom_layers=4
            )
        )
    fit(recipes.vqvae_player(model, first), _batches(seed), steps, seed=seed, progress=False)
    _train_prior(prior, model, seed, prior_steps)
    images = recipes.scenes("test", samples)["image"]
    draw = runtime.generator(seed)
    drawn = prior.sample(samples, draw)
    codes = recipes.encoded(model, recipes.scenes("train", samples)["image"])
    own = recipes.encoded(model, recipes.scenes("validation", samples)["image"])
    kinds = {
        "": drawn if isinstance(drawn, tuple) else (drawn,),
        "no_prior_": [recipes.independent(grid, samples, draw) for grid in codes],
        "rebuilt_": own,  # what a perfect prior would reach
    }
    measured = {"prior_parameters": sum(parameter.numel() for parameter in prior.parameters())}
    judge = load(SCENE_JUDGE)
    real = judge.features(images).cpu()
    for kind, chosen in kinds.items():
        pictures = recipes.decoded(model, *chosen)
        quality = recipes.scene_quality(pictures, images)
        covered = density_coverage(real, judge.features(pictures).cpu()).coverage
        measured |= {f"{kind}{name}": value for name, value in {**quality, "coverage": covered}.items()}
    return measured


def _hierarchy_verdict(rows: list[Row]) -> Verdict:
    names = ("judge_frechet", "no_prior_judge_frechet", "rebuilt_judge_frechet")
    drawn, alone, rebuilt = (grouped(rows, "grids", name) for name in names)
    readable = grouped(rows, "grids", "readable")
    why = (
        f"The judge's Fréchet distance of 500 samples is {said(drawn['one'], 0)} for a prior over one grid of codes and "
        f"{said(drawn['two'], 0)} for one over two; with each code drawn on its own, {said(alone['one'], 0)} and {said(alone['two'], 0)}; of "
        f"reconstructions, {said(rebuilt['one'], 0)} and {said(rebuilt['two'], 0)}. Readable are {said(readable['one'])} and "
        f"{said(readable['two'])} of the samples."
    )
    prior_helps = all(fmean(drawn[kind]) < 0.7 * fmean(alone[kind]) for kind in drawn)
    if prior_helps and clearly_more(drawn["one"], drawn["two"]):
        return Verdict("holds here", why)
    if prior_helps:
        return Verdict(
            "in part", f"The autoregressive prior makes the samples; the second grid adds nothing clear at 32x32. {why}"
        )
    return Verdict("not at our scale", why)


def _hierarchy_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.6, height=2.8)
    names = {"one": "one grid\n(VQ-VAE)", "two": "two grids\n(VQ-VAE-2)"}
    named = [{**row, "grids": names[row["grids"]]} for row in rows]
    for axis, (name, label) in zip(
        axes[0], (("judge_frechet", "judge's Fréchet distance"), ("readable", "share readable")), strict=True
    ):
        for number, (kind, said_as) in enumerate(
            (("no_prior_", "each code alone"), ("", "autoregressive prior"), ("rebuilt_", "reconstructions"))
        ):
            plots.group_bars(axis, grouped(named, "grids", f"{kind}{name}"), said_as, number, of=3)
        axis.set_ylabel(label)
    _legend_below(figure)
    return figure


HIERARCHICAL_PRIOR = Experiment(
    name="vqvae2-hierarchy",
    claim="C04",
    question="Does an autoregressive prior over two grids of codes draw better scenes than one over a single grid, or none?",
    notebook=NOTEBOOK,
    grid=tuple({"grids": grids, "seed": seed} for grids in ("one", "two") for seed in range(3)),
    run=_hierarchy_run,
    verdict=_hierarchy_verdict,
    figure=_hierarchy_figure,
)


# --- Codebook collapse -------------------------------------------------------------------------------------------------

COLLAPSE = ("as it should be", "no restart", "no start from data", "far start", "no running means", "relaxed codes")


def collapse_model(setting: str, seed: int) -> VQVAE:
    """An untrained VQ-VAE with one thing done badly, or nothing (`as it should be`); its codebook is started.

    `no restart`: unused codes are left where they are. `no start from data`: nor does the codebook begin with encoded data. `far start`:
    it begins ten times too far out. `no running means`: codes learn by gradients, from around zero. `relaxed codes`: DALL-E's way.
    """
    runtime.seed_everything(seed)
    restart = 0.1 if setting == "as it should be" else 0.0
    quantizer = {"no running means": "gradient", "relaxed codes": "gumbel"}.get(setting, "ema")
    model = VQVAE(VQVAEConfig(widths=WIDTHS, num_codes=256, code_dim=8, quantizer=quantizer, restart_below=restart))
    if setting in ("as it should be", "no restart"):
        model.start(recipes.scenes("train", 64)["image"])
    if setting == "far start":
        model.quantizer.codebook.mul_(10)
        model.quantizer.cluster_sum.copy_(model.quantizer.codebook)
    return model


def _collapse_run(setting: str, seed: int) -> dict[str, float | list[float]]:
    model = collapse_model(setting, seed)
    steps = scale(smoke=3, cpu=400, gpu=10_000)
    relaxed = setting == "relaxed codes"
    player = recipes.relaxed_player(model, steps) if relaxed else recipes.vqvae_player(model)
    history = fit(player, _batches(seed), steps, seed=seed, progress=False)
    images = recipes.scenes("test", scale(smoke=64, cpu=1000, gpu=2000))["image"]
    (codes,) = recipes.encoded(model, images)
    return {
        "perplexity": perplexity(codes, model.config.num_codes).item(),
        "used_codes": used_codes(codes, model.config.num_codes),
        "psnr_db": psnr(recipes.decoded(model, codes), images).mean().item(),
        "perplexity_in_training": history["perplexity"][:: max(1, history.steps // 40)],
    }


def _collapse_verdict(rows: list[Row]) -> Verdict:
    used, fidelity = grouped(rows, "setting", "used_codes"), grouped(rows, "setting", "psnr_db")
    numbers = "; ".join(
        f"{setting}: {said(used[setting])} of the codes, {said(fidelity[setting], 1)} dB" for setting in COLLAPSE
    )
    why = f"Codes in use and fidelity on held-out scenes after equal training, {numbers}."
    healthy = fmean(used[COLLAPSE[0]])
    collapsed = [setting for setting in COLLAPSE[1:5] if fmean(used[setting]) < 0.5 * healthy]
    if healthy > 0.9 and collapsed:
        return Verdict("holds here", f"Without care the codebook collapses ({', '.join(collapsed)}). {why}")
    return Verdict("in part" if collapsed else "does not hold here", why)


def _collapse_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=8.4, height=3.6)
    for color, (setting, curves) in zip(
        plots.COLORS, grouped(rows, "setting", "perplexity_in_training").items(), strict=False
    ):
        mean = [fmean(values) for values in zip(*curves, strict=True)]
        axes[0, 0].plot([10 * number for number in range(len(mean))], mean, color=color, label=setting)
    axes[0, 0].set(xlabel="step", ylabel="perplexity of the codes in a batch", yscale="log")
    _legend_below(figure)
    fidelity = grouped(rows, "setting", "psnr_db")
    plots.group_dots(axes[0, 1], {setting.replace(" ", "\n"): values for setting, values in fidelity.items()})
    axes[0, 1].tick_params(axis="x", labelsize=8)
    axes[0, 1].set_ylabel("PSNR of reconstructions, dB")
    return figure


CODEBOOK_COLLAPSE = Experiment(
    name="vqvae-codebook-collapse",
    question="What keeps a codebook from collapsing to a few codes, and what does the collapse cost?",
    notebook=NOTEBOOK,
    grid=tuple({"setting": setting, "seed": seed} for setting in COLLAPSE for seed in range(3)),
    run=_collapse_run,
    verdict=_collapse_verdict,
    figure=_collapse_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (DISCRETE_LIKELIHOOD, HIERARCHICAL_PRIOR, CODEBOOK_COLLAPSE)
"""`course experiment vqvae-likelihood`, and so on."""
