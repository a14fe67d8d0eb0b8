"""Studies of chapter 01: the lecture's claims about VAEs (C01, C02, C11), and what happens when a code is too dear."""

import math
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from course_utils import plots, runtime, scale
from course_utils.autoencoders import discrete_experiments, recipes
from course_utils.autoencoders.vae import VAE, VAEConfig, active_units, kl_divergence
from course_utils.data import Digits, Glyphs, loader
from course_utils.data.scenes import BACKGROUNDS, COLORS, PLACES, SHAPES, SIZES
from course_utils.layers import draw_integers, draw_normal
from course_utils.metrics import SceneJudge, SceneReading, frechet_distance, high_frequency_energy, psnr, sharpness
from course_utils.metrics.judges import READABLE
from course_utils.metrics.recipes import SCENE_JUDGE
from course_utils.training import Experiment, Verdict, clearly_more, fit, grouped, load, said, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
CHAPTER_NOTEBOOK = "01_autoencoders/02_vae"


# --- C01: infer the code of an image, and steer the latent space -----------------------------------------------------

CHOICES = {"shape": len(SHAPES), "color": len(COLORS), "size": len(SIZES), "background": len(BACKGROUNDS)}
ATTRIBUTES = (*CHOICES, "presence")
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0)


def facts(reading: SceneReading) -> Tensor:
    """Everything that was read, (batch, 13) int64: shape, colour, size of the four places, then the background."""
    columns = (reading.shape, reading.color, reading.size, reading.background[:, None])
    return torch.cat([column.cpu() for column in columns], dim=1)


def question(attribute: str, known: Tensor, place: int) -> tuple[Tensor, list[int]]:
    """The answer (batch,) to "which `attribute` has the object at `place`?", and the columns of `facts` that it may change."""
    if attribute == "background":
        return known[:, 12], [12]
    if attribute == "presence":
        return (known[:, place] >= 0).long(), [place, 4 + place, 8 + place]
    column = ("shape", "color", "size").index(attribute) * 4 + place
    return known[:, column], [column]


@torch.inference_mode()
def steer(
    model: VAE, judge: SceneJudge, attribute: str, seed: int, samples: int = 2000, questions: int = 12
) -> dict[str, float]:
    """Change one attribute by adding a direction to the code, and let the judge read what became of the scene.

    A direction is the mean code of training scenes with the wanted value minus that of scenes with the present value. How far to go
    is chosen on the validation split. A step of equal length in a random direction is the chance level.

    Returns:
        inferred: share of facts (presence, shape, colour, size, background) of a held-out scene that survive encoding and decoding;
        success: share of steered scenes that show the wanted value; kept: share in which all else stayed;
        both: share with both; random_success, random_kept: the same with random directions; strength: chosen step.
    """
    device = model.posterior.weight.device
    draw = runtime.generator(seed)
    counts = {"train": 4 * samples, "validation": samples, "test": samples}
    codes, known = {}, {}
    for split, count in counts.items():
        batch = recipes.scenes(split, count)
        codes[split] = model.encode(batch["image"].to(device))[0]
        known[split] = torch.cat([batch["shape"], batch["color"], batch["size"], batch["background"][:, None]], dim=1)

    results = {strength: [] for strength in STRENGTHS}  # on validation, to choose from
    asked = []
    for _ in range(questions):
        place = int(draw_integers(0, len(PLACES), (1,), draw))
        values = 2 if attribute == "presence" else CHOICES[attribute]
        present = int(draw_integers(0, values, (1,), draw))
        wanted = (present + int(draw_integers(1, values, (1,), draw))) % values
        answer, free = question(attribute, known["train"], place)
        means = [codes["train"][(answer == value).to(device)].mean(dim=0) for value in (wanted, present)]
        asked.append((place, present, wanted, free, means[0] - means[1]))

    def outcome(split: str, strength: float, random: bool = False) -> Tensor:
        """Success, kept and both, each averaged over all steered scenes of a split: (3,)."""
        rows = []
        for place, present, wanted, free, direction in asked:
            chosen = (question(attribute, known[split], place)[0] == present).nonzero()[:100, 0]
            start = codes[split][chosen.to(device)]
            step = direction
            if random:
                noise = draw_normal(start.shape, draw, device)
                step = noise / noise.norm(dim=1, keepdim=True) * direction.norm()
            before, after = (facts(judge.read(model.decode(code))) for code in (start, start + strength * step))
            success = question(attribute, after, place)[0] == wanted
            rest = [column for column in range(13) if column not in free]
            kept = (before[:, rest] == after[:, rest]).all(dim=1)
            rows.append(torch.stack([success, kept, success & kept], dim=1).double())
        return torch.cat(rows).mean(dim=0)

    for strength in STRENGTHS:
        results[strength] = outcome("validation", strength)[2].item()
    strength = max(STRENGTHS, key=results.get)
    success, kept, both = outcome("test", strength).tolist()
    random_success, random_kept, _ = outcome("test", strength, random=True).tolist()
    read = facts(judge.read(model.decode(codes["test"])))
    return {
        "inferred": (read == known["test"]).double().mean().item(),
        "inferred_chance": (read.roll(1, 0) == known["test"]).double().mean().item(),
        "success": success,
        "kept": kept,
        "both": both,
        "random_success": random_success,
        "random_kept": random_kept,
        "strength": strength,
    }


def _steering_run(attribute: str, seed: int) -> dict[str, float]:
    model, judge = load(recipes.VAE_SCENES), load(SCENE_JUDGE)
    samples, questions = scale(smoke=(60, 2), cpu=(2000, 12), gpu=(2000, 48))
    return steer(model, judge, attribute, seed, samples, questions)


def _steering_verdict(rows: list[Row]) -> Verdict:
    inferred = [row["inferred"] for row in rows]
    chance = [row["inferred_chance"] for row in rows]
    gains = {
        attribute: fmean(success) - fmean(grouped(rows, "attribute", "random_success")[attribute])
        for attribute, success in grouped(rows, "attribute", "success").items()
    }
    steered = [attribute for attribute, gain in gains.items() if gain > 0.4]
    numbers = ", ".join(
        f"{attribute} {said(values)}" for attribute, values in grouped(rows, "attribute", "success").items()
    )
    why = (
        f"After encoding and decoding, {fmean(inferred):.2f} of a held-out scene's facts are read as they were (chance "
        f"{fmean(chance):.2f}). A direction added to the code gives the wanted value in this share of scenes: {numbers}; a random "
        f"direction of equal length in {fmean([row['random_success'] for row in rows]):.2f}. All else stays as it was in "
        f"{fmean([row['kept'] for row in rows]):.2f} of the scenes."
    )
    if fmean(inferred) > 0.9 and len(steered) == len(gains):
        return Verdict("holds here", why)
    if fmean(inferred) > fmean(chance) + 0.2 and steered:
        return Verdict("in part", why)
    return Verdict("not at our scale", why)


def _steering_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.4, height=3.0)
    axis = axes[0, 0]
    series = (("success", "wanted value shown"), ("kept", "all else kept"), ("random_success", "random direction"))
    for number, (key, label) in enumerate(series):
        plots.group_bars(axis, grouped(rows, "attribute", key), label, number, of=3)
    axis.set(ylim=(0, 1.05), ylabel="share of steered scenes", title="Steering the code of held-out scenes")
    axis.legend(frameon=False, fontsize=8)
    return figure


LATENT_STEERING = Experiment(
    name="vae-latent-steering",
    claim="C01",
    question="Can one infer the code of a new picture, and change one attribute of it by a step in the latent space?",
    notebook=CHAPTER_NOTEBOOK,
    grid=tuple({"attribute": attribute, "seed": seed} for attribute in ATTRIBUTES for seed in range(3)),
    run=_steering_run,
    verdict=_steering_verdict,
    figure=_steering_figure,
)


# --- C02: blur -------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def blur(model: VAE, judge: SceneJudge, seed: int, samples: int = 1000) -> dict[str, float]:
    """Sharpness of reconstructions and of samples as a share of that of real scenes, and their distance to real ones.

    Seeds take other held-out scenes and other noise. `others` are real scenes, which say what a perfect generator reaches.
    """
    device = model.posterior.weight.device
    real = recipes.scenes("test", (seed + 1) * samples)["image"][-samples:].to(device)
    others = recipes.scenes("validation", (seed + 1) * samples)["image"][-samples:].to(device)
    rebuilt = model.decode(model.encode(real)[0])
    drawn = model.sample(samples, runtime.generator(seed))
    features = judge.features(real)
    measured = {"rebuilt_psnr_db": psnr(rebuilt, real).mean().item()}
    for name, images in (("rebuilt", rebuilt), ("drawn", drawn), ("others", others)):
        measured |= {
            f"{name}_sharpness": (sharpness(images).mean() / sharpness(real).mean()).item(),
            f"{name}_fine_detail": (high_frequency_energy(images).mean() / high_frequency_energy(real).mean()).item(),
            f"{name}_frechet": frechet_distance(judge.features(images), features),
            f"{name}_readable": (judge.confidence(images) >= READABLE).double().mean().item(),
        }
    return measured


def _blur_run(seed: int) -> dict[str, float]:
    return blur(load(recipes.VAE_SCENES), load(SCENE_JUDGE), seed, scale(smoke=40, cpu=1000, gpu=1600))


def _blur_verdict(rows: list[Row]) -> Verdict:
    values = {name: [row[name] for row in rows] for name in rows[0] if name != "seed"}
    why = (
        f"Of the sharpness of real scenes, reconstructions keep {said(values['rebuilt_sharpness'])} and samples "
        f"{said(values['drawn_sharpness'])} (other real scenes {said(values['others_sharpness'])}); the judge's Fréchet distance is "
        f"{said(values['rebuilt_frechet'], 0)} for reconstructions, {said(values['drawn_frechet'], 0)} for samples, "
        f"{said(values['others_frechet'], 0)} for other real scenes."
    )
    margin = 2 * (spread(values["drawn_sharpness"]) + spread(values["others_sharpness"]))
    blurred = fmean(values["drawn_sharpness"]) < min(0.9, fmean(values["others_sharpness"]) - margin)
    worse = fmean(values["drawn_frechet"]) > 2 * fmean(values["others_frechet"])
    if blurred and worse:
        return Verdict("in part", f"The VAE's half: its pictures are blurred and off. {why} Against a GAN: chapter 02.")
    return Verdict("does not hold here", f"{why} So they are not clearly blurred and worse than real pictures.")


def _blur_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.0, height=2.8)
    kinds = {"rebuilt": "rebuilt", "drawn": "drawn", "others": "other real"}
    for axis, (measure, label) in zip(
        axes[0], (("sharpness", "sharpness (1 = real)"), ("frechet", "judge's Fréchet distance")), strict=True
    ):
        plots.group_bars(axis, {name: [row[f"{kind}_{measure}"] for row in rows] for kind, name in kinds.items()})
        axis.set_ylabel(label)
    figure.suptitle("Scenes of the VAE beside real ones", fontsize=10)
    return figure


VAE_BLUR = Experiment(
    name="vae-blur",
    claim="C02",
    question="How blurred are a VAE's pictures, and how far from real ones?",
    notebook=CHAPTER_NOTEBOOK,
    grid=tuple({"seed": seed} for seed in range(3)),
    run=_blur_run,
    verdict=_blur_verdict,
    figure=_blur_figure,
)


# --- C11: where the label has to go ----------------------------------------------------------------------------------

ENTRIES = ("neither", "encoder", "decoder", "both")


def _label_run(label_into: str, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    config = VAEConfig("fully_connected", 1, 32, (256,), 8, "bernoulli", num_classes=10, label_into=label_into)
    model = VAE(config)
    steps = scale(smoke=3, cpu=3000, gpu=5000)
    player = recipes.vae_player(model, learning_rate=4e-3)
    fit(player, loader(Digits("train"), 128, seed=seed), steps, clip=None, seed=seed, progress=False)
    samples = scale(smoke=40, cpu=1000, gpu=1000)
    wanted = torch.arange(samples) % 10
    right = recipes.DigitReader().read(model.sample(samples, runtime.generator(seed), wanted)) == wanted
    images, labels = recipes.held_out_digits(358)
    train = Digits("train")
    with torch.inference_mode():
        device = model.posterior.weight.device
        codes = [
            model.encode(x.to(device), y.to(device))[0] for x, y in ((train.images, train.labels), (images, labels))
        ]
    measured = recipes.bounds(model, images, labels)
    return {
        "label_accuracy": right.double().mean().item(),
        "elbo_nats": measured["elbo_nats"],
        "kl_nats": measured["kl_nats"],
        "iw_bound_nats": measured["iw_bound_nats"],
        "label_in_code": recipes.linear_probe(codes[0], train.labels, codes[1], labels),
    }


def _label_verdict(rows: list[Row]) -> Verdict:
    accuracy, nats = grouped(rows, "label_into", "label_accuracy"), grouped(rows, "label_into", "elbo_nats")

    def needed(other: str) -> bool:
        """Whether leaving the label out of one network does harm: to obedience, or to the bound, beyond the spread."""
        obeys = clearly_more(accuracy["both"], accuracy[other], 0.05)
        return obeys or clearly_more(nats["both"], nats[other], 1.0)

    numbers = "; ".join(f"{entry} {said(accuracy[entry])}, ELBO {said(nats[entry], 1)} nats" for entry in ENTRIES)
    why = f"Share of samples read as the wanted digit (chance 0.1), with the label into: {numbers}."
    in_decoder, in_encoder = needed("encoder"), needed("decoder")
    if in_decoder and in_encoder:
        return Verdict("holds here", f"{why} Both networks need it.")
    if in_decoder:
        return Verdict(
            "in part",
            f"{why} The decoder needs it. The encoder does without: it sees the picture, which tells it the digit. "
            "(The GAN's half of the claim: chapter 02.)",
        )
    if in_encoder:
        return Verdict("in part", f"{why} Only the encoder needs it.")
    return Verdict("not at our scale", f"{why} No difference is beyond the spread over seeds.")


def _label_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.0, height=2.8)
    for axis, (name, label) in zip(
        axes[0], (("label_accuracy", "samples read as wanted"), ("elbo_nats", "held-out ELBO, nats")), strict=True
    ):
        plots.group_dots(axis, grouped(rows, "label_into", name))
        axis.set(xlabel="label into", ylabel=label)
    axes[0, 0].axhline(0.1, color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance")
    axes[0, 0].set_ylim(0, 1.02)
    axes[0, 0].legend(frameon=False)
    return figure


CVAE_LABEL = Experiment(
    name="cvae-label",
    claim="C11",
    question="Does the label of a conditional VAE have to enter both the encoder and the decoder?",
    notebook=CHAPTER_NOTEBOOK,
    grid=tuple({"label_into": entry, "seed": seed} for entry in ENTRIES for seed in range(3)),
    run=_label_run,
    verdict=_label_verdict,
    figure=_label_figure,
)


# --- The price of the code -------------------------------------------------------------------------------------------

BETAS = (0.5, 1.0, 5.0, 25.0, 200.0)


def _train_on_glyphs(model: VAE, seed: int, steps: int, learning_rate: float) -> VAE:
    data = loader(Glyphs("train", model.config.image_size, fields=("image", "label")), 128, seed=seed)
    fit(recipes.vae_player(model, learning_rate), data, steps, clip=None, seed=seed, progress=False)
    return model


def _beta_run(beta: float, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    model = VAE(VAEConfig("fully_connected", 1, 32, (256, 128), latent_dim=8, likelihood="bernoulli", beta=beta))
    _train_on_glyphs(model, seed, scale(smoke=3, cpu=900, gpu=20_000), 2e-3)
    images = recipes.glyphs("test", scale(smoke=64, cpu=1000, gpu=2000))["image"].to(model.posterior.weight.device)
    with torch.inference_mode():
        rebuilt = model.decode(model.encode(images)[0])
    measured = recipes.bounds(model, images)
    return {
        "squared_error": (rebuilt - images).square().flatten(1).sum(1).mean().item(),
        **{name: measured[name] for name in ("elbo_nats", "log_likelihood_nats", "kl_nats", "active_units")},
    }


def _beta_verdict(rows: list[Row]) -> Verdict:
    error, kl, active, nats = (
        grouped(rows, "beta", name) for name in ("squared_error", "kl_nats", "active_units", "elbo_nats")
    )
    low, high = min(error), max(error)
    best = max(nats, key=lambda beta: fmean(nats[beta]))
    why = (
        f"From beta {low:g} to {high:g} the KL goes from {said(kl[low], 1)} to {said(kl[high], 1)} nats, the squared error of a "
        f"picture from {said(error[low], 0)} to {said(error[high], 0)}, active units from {said(active[low], 1)} to {said(active[high], 1)} of 8. "
        f"The held-out ELBO is best at beta {best:g}."
    )
    falls = all(fmean(kl[a]) > fmean(kl[b]) for a, b in zip(sorted(kl), sorted(kl)[1:], strict=False))
    rises = all(fmean(error[a]) < fmean(error[b]) for a, b in zip(sorted(error), sorted(error)[1:], strict=False))
    if falls and rises and fmean(active[high]) < 1:
        return Verdict("holds here", f"Beta sets the price of the code, up to collapse. {why}")
    return Verdict("in part" if falls else "does not hold here", why)


def _beta_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 3, width=8.4, height=2.8)
    titles = (
        ("squared_error", "squared error of a picture"),
        ("kl_nats", "KL, nats"),
        ("active_units", "active units of 8"),
    )
    for axis, (name, label) in zip(axes[0], titles, strict=True):
        groups = grouped(rows, "beta", name)
        betas = sorted(groups)
        axis.errorbar(
            betas, [fmean(groups[b]) for b in betas], [spread(groups[b]) for b in betas], marker="o", capsize=3
        )
        axis.set(xscale="log", xlabel="beta", ylabel=label, ylim=(0, None))
    figure.suptitle("The dearer the code, the less it says", fontsize=10)
    return figure


VAE_BETA_SWEEP = Experiment(
    name="vae-beta-sweep",
    question="What does the weight of the KL trade for what?",
    notebook=CHAPTER_NOTEBOOK,
    grid=tuple({"beta": beta, "seed": seed} for beta in BETAS for seed in range(3)),
    run=_beta_run,
    verdict=_beta_verdict,
    figure=_beta_figure,
)


# --- Posterior collapse, predicted -----------------------------------------------------------------------------------

STDS = (0.5, 1.0, 2.0, 4.0)
COLLAPSE_LATENTS = 32
IN_USE = 0.05  # variance of the posterior mean above which a latent counts as active
COLLAPSE_SIZE = 16  # pixels a side: small pictures, so that the optimum is reached


def _collapse_run(std: float, seed: int) -> dict[str, float]:
    """A linear VAE whose likelihood has a fixed standard deviation, beside the theory.

    Lucas et al. (NeurIPS 2019, section 4): at the optimum a latent is used exactly if the variance of the data along its
    principal component exceeds that of the likelihood; its posterior mean then has the variance 1 - std^2 / eigenvalue.
    """
    runtime.seed_everything(seed)
    model = VAE(VAEConfig("fully_connected", 1, COLLAPSE_SIZE, (), COLLAPSE_LATENTS, "gaussian"))
    with torch.no_grad():
        model.log_std.fill_(math.log(std))
    model.log_std.requires_grad_(False)
    _train_on_glyphs(model, seed, scale(smoke=3, cpu=5000, gpu=20_000), 1e-2)
    samples = scale(smoke=200, cpu=4000, gpu=20_000)
    pixels = Glyphs("train", COLLAPSE_SIZE, length=samples, fields=("image",)).__getitems__(range(samples))["image"]
    eigenvalues = torch.linalg.eigvalsh(pixels.flatten(1).double().T.cov()).flip(0)[:COLLAPSE_LATENTS]
    with torch.inference_mode():
        mean, log_variance = model.encode(pixels.to(model.posterior.weight.device))
    return {
        "active_units": active_units(mean, IN_USE).item(),
        "predicted_units": (1 - std**2 / eigenvalues > IN_USE).sum().item(),
        "kl_nats": kl_divergence(mean, log_variance).mean().item(),
        "predicted_kl_nats": 0.5 * (eigenvalues / std**2).clamp(min=1).log().sum().item(),
    }


def _collapse_verdict(rows: list[Row]) -> Verdict:
    pairs, close = [], []
    for std, active in grouped(rows, "std", "active_units").items():
        kl, theory = (grouped(rows, "std", name)[std] for name in ("kl_nats", "predicted_kl_nats"))
        units = fmean(grouped(rows, "std", "predicted_units")[std])
        pairs.append(
            f"{std:g}: {said(active, 1)} units and {said(kl)} nats (theory {units:.0f} and {fmean(theory):.2f})"
        )
        close.append(abs(fmean(kl) - fmean(theory)) <= max(0.3, 0.1 * fmean(theory)))
    why = f"Active units of {COLLAPSE_LATENTS} and KL by the standard deviation of the likelihood: {'; '.join(pairs)}."
    if all(close):
        return Verdict("holds here", f"A latent is used as far as it explains more than the assumed noise. {why}")
    return Verdict("in part" if any(close) else "does not hold here", why)


def _collapse_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.0, height=2.8)
    for axis, (name, label) in zip(
        axes[0], (("units", f"active units of {COLLAPSE_LATENTS}"), ("kl_nats", "KL, nats")), strict=True
    ):
        measured, theory = ("active_units", "predicted_units") if name == "units" else (name, f"predicted_{name}")
        groups, predicted = grouped(rows, "std", measured), grouped(rows, "std", theory)
        stds = sorted(groups)
        axis.plot(stds, [fmean(predicted[s]) for s in stds], color=plots.COLORS[1], linestyle="--", label="theory")
        axis.errorbar(
            stds, [fmean(groups[s]) for s in stds], [spread(groups[s]) for s in stds], marker="o", linestyle="",
            capsize=3, color=plots.COLORS[0], label="trained",
        )  # fmt: skip
        axis.set(xscale="log", xlabel="standard deviation of the likelihood", ylabel=label)
        axis.legend(frameon=False)
    return figure


VAE_POSTERIOR_COLLAPSE = Experiment(
    name="vae-posterior-collapse",
    question="Which latents collapse when the likelihood assumes more noise, and does the theory of the linear VAE foretell it?",
    notebook=CHAPTER_NOTEBOOK,
    grid=tuple({"std": std, "seed": seed} for std in STDS for seed in range(3)),
    run=_collapse_run,
    verdict=_collapse_verdict,
    figure=_collapse_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (
    LATENT_STEERING,
    VAE_BLUR,
    CVAE_LABEL,
    VAE_BETA_SWEEP,
    VAE_POSTERIOR_COLLAPSE,
    *discrete_experiments.EXPERIMENTS,
)
"""`course experiment vae-latent-steering`, and so on."""
