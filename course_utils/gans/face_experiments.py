"""Studies of notebook 02_dcgan on faces and digits: the rules of the architecture, the latent space, labels (C02, C08 to C11)."""

from statistics import fmean
from typing import TYPE_CHECKING

import torch

from course_utils import plots, runtime, scale
from course_utils.autoencoders.recipes import DigitReader
from course_utils.data import Digits, loader
from course_utils.gans import recipes
from course_utils.gans.dcgan import DCGAN, DCGANConfig, spherical_interpolation
from course_utils.gans.gan import gan_players
from course_utils.layers import draw_normal
from course_utils.metrics import frechet_distance, high_frequency_energy, nearest_images
from course_utils.metrics.recipes import FACE_JUDGE, readable_share
from course_utils.training import Experiment, Player, Verdict, clearly_more, fit, grouped, load, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "02_gans/02_dcgan"


# --- C08: the rules of the architecture ------------------------------------------------------------------------------

RULES_BROKEN = {
    "none": {},
    "pooling, not strides": {"strides": False},
    "ReLU, not leaky": {"leaky": False},
    "hidden layers": {"hidden_width": 256},
    "no batch norm": {"batch_norm": False},
}
TODAY = "R1 in place of D's batch norm"  # what replaced the rule about the discriminator; not one of the rules
STEPS = 800  # at scale cpu
MOMENTS = 8  # at which the distance is measured


def _rules_run(broken: str, seed: int) -> dict[str, float | list[float]]:
    runtime.seed_everything(seed)
    settings = {"discriminator_norm": False} if broken == TODAY else RULES_BROKEN[broken]
    model = DCGAN(DCGANConfig(image_size=32, latent_dim=32, width=16, **settings))
    steps, samples = scale(smoke=MOMENTS, cpu=STEPS, gpu=20_000), scale(smoke=40, cpu=1000, gpu=5000)
    judge = load(FACE_JUDGE)
    device = runtime.device()
    real = judge.features(recipes.faces("test", samples)["image"].to(device))
    distances: list[float] = []
    moved = 0

    def look(_: dict) -> None:
        nonlocal moved
        moved += 1
        if moved * MOMENTS // steps > len(distances):
            drawn = model.eval().sample(samples, runtime.generator(seed))
            model.train()
            distances.append(frechet_distance(judge.features(drawn), real))

    penalty = {"penalty": "r1", "penalty_weight": 0.1, "betas": (0.0, 0.99)} if broken == TODAY else {}
    discriminator, generator = gan_players(model, learning_rate=1e-3, **penalty)
    generator = Player(**{**vars(generator), "after_step": look})
    data = loader(recipes.KeptFaces(scale(smoke=200, cpu=20_000, gpu=50_000)), 64, seed=seed)
    history = fit([discriminator, generator], data, steps, schedule="constant", clip=None, seed=seed, progress=False)
    certain = history["discriminator/loss"][-steps // 4 :]
    return {
        "judge_frechet": distances[-1],
        "worst_setback": max(later - min(distances[: i + 1]) for i, later in enumerate(distances)),
        "discriminator_loss": fmean(certain),
        "distance_over_time": distances,
    }


def _rules_verdict(rows: list[Row]) -> Verdict:
    distance = grouped(rows, "broken", "judge_frechet")
    today = distance.pop(TODAY)
    numbers = "; ".join(f"{broken} {said(values, 0)}" for broken, values in distance.items())
    kept = distance.pop("none")
    worse = [broken for broken, values in distance.items() if clearly_more(values, kept)]
    better = [broken for broken, values in distance.items() if clearly_more(kept, values)]
    why = (
        f"The judge's Fréchet distance after {STEPS} steps by the rule that is broken: {numbers}. "
        f"Clearly worse without: {', '.join(worse) or 'none'}; clearly better without: {', '.join(better) or 'none'}. "
        f"All rules kept but the discriminator's batch norm, which R1 replaces: {said(today, 0)}."
    )
    if len(worse) == len(RULES_BROKEN) - 1:
        return Verdict("holds here", why)
    return Verdict("in part" if worse else "not at our scale", why)


def _rules_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.4, height=3.2)
    for number, (broken, several) in enumerate(grouped(rows, "broken", "distance_over_time").items()):
        curves = torch.tensor(several)
        moments = [(moment + 1) * STEPS / MOMENTS for moment in range(MOMENTS)]
        style = {"color": plots.COLORS[number], "label": broken}
        axes[0, 0].plot(moments, curves.mean(0).tolist(), **style)
        low, high = curves.min(0).values.tolist(), curves.max(0).values.tolist()
        axes[0, 0].fill_between(moments, low, high, color=plots.COLORS[number], alpha=0.15, linewidth=0)
    axes[0, 0].set(xlabel="step", ylabel="judge's Fréchet distance", yscale="log", title="One rule broken at a time")
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure


RULES = Experiment(
    name="dcgan-rules",
    claim="C08",
    question="What does each of DCGAN's rules contribute?",
    notebook=NOTEBOOK,
    grid=tuple({"broken": broken, "seed": seed} for broken in (*RULES_BROKEN, TODAY) for seed in range(3)),
    run=_rules_run,
    verdict=_rules_verdict,
    figure=_rules_figure,
)


# --- C09: interpolation, and copies ----------------------------------------------------------------------------------

FRAMES = 17
PATHS = ("sphere", "line", "cross-fade", "training faces")


def _interpolation_run(path: str, seed: int) -> dict[str, float]:
    """Walks between two faces: how even the steps are, and whether what is passed on the way are faces.

    `cross-fade` mixes the pixels of the ends; `training faces` goes through the training face nearest to each frame of the cross-fade,
    as a generator would that knows nothing but copies.
    """
    model, judge, draw = load(recipes.DCGAN_FACES), load(FACE_JUDGE), runtime.generator(seed)
    device = next(model.parameters()).device
    walks = scale(smoke=6, cpu=200, gpu=1000)
    start, end = (draw_normal((walks, model.config.latent_dim), draw) for _ in range(2))
    fractions = torch.linspace(0, 1, FRAMES)
    if path in ("sphere", "line"):
        straight = torch.lerp(start, end, fractions.view(-1, 1, 1))
        latents = spherical_interpolation(start, end, fractions) if path == "sphere" else straight
        images = recipes.decoded(model, latents.flatten(0, 1))  # (frames, walks, d) -> (frames * walks, d)
    else:
        ends = (recipes.decoded(model, latents)[None] for latents in (start, end))
        images = torch.lerp(*ends, fractions.view(-1, 1, 1, 1, 1).to(device)).flatten(0, 1)
        if path == "training faces":
            gallery = recipes.faces("train", recipes.GALLERY)["image"].to(device)
            images = gallery[nearest_images(images, gallery).indices[:, 0]]
    frames = images.unflatten(0, (FRAMES, walks))
    steps = (frames[1:] - frames[:-1]).flatten(2).norm(dim=2)  # (frames - 1, walks)
    whole = (frames[-1] - frames[0]).flatten(1).norm(dim=1)
    drawn = recipes.decoded(model, draw_normal((scale(smoke=40, cpu=2000, gpu=5000), start.shape[1]), draw)).cpu()
    held_out = recipes.faces("test", len(drawn))["image"]
    return {
        "largest_step": (steps.amax(0) / whole).median().item(),
        "readable_on_the_way": readable_share(judge, frames[FRAMES // 4 : -(FRAMES // 4)].flatten(0, 1)),
        "readable_at_the_ends": readable_share(judge, frames[[0, -1]].flatten(0, 1)),
        **recipes.copies(drawn, held_out),
    }


def _interpolation_verdict(rows: list[Row]) -> Verdict:
    step, way = grouped(rows, "path", "largest_step"), grouped(rows, "path", "readable_on_the_way")
    ends = grouped(rows, "path", "readable_at_the_ends")
    ratio = [row["distance_to_training_ratio"] for row in rows]
    copied = [row["copied"] for row in rows]
    why = (
        f"The largest of {FRAMES - 1} steps of a walk on the sphere is {said(step['sphere'])} of the way from end to end "
        f"(an even cross-fade {fmean(step['cross-fade']):.3f}, from one training face to the next {said(step['training faces'])}). "
        f"Readable on the way: sphere {said(way['sphere'])}, straight line {said(way['line'])}, cross-fade {said(way['cross-fade'])}; "
        f"at the ends {said(ends['sphere'])}. Samples are {said(ratio)} times as far from their nearest training face as held-out faces are, "
        f"and {fmean(copied):.3f} of them count as copies (0.01 by chance)."
    )
    smooth = fmean(step["sphere"]) < 0.5 * fmean(step["training faces"])
    faces = fmean(way["sphere"]) >= 0.8 * fmean(ends["sphere"])
    own = fmean(ratio) > 0.9 and fmean(copied) < 0.03
    if smooth and faces and own:
        return Verdict("holds here", why)
    return Verdict("in part" if own or smooth else "does not hold here", why)


def _interpolation_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.4, height=2.8)
    for axis, (name, label) in zip(
        axes[0],
        (("largest_step", "largest step / whole way"), ("readable_on_the_way", "readable on the way")),
        strict=True,
    ):
        plots.group_bars(axis, grouped(rows, "path", name))
        axis.set_ylabel(label)
        axis.tick_params(axis="x", labelrotation=20)
    return figure


INTERPOLATION = Experiment(
    name="dcgan-interpolation",
    claim="C09",
    question="Does a walk in the latent space pass through faces, in small steps, and are samples no copies?",
    notebook=NOTEBOOK,
    grid=tuple({"path": path, "seed": seed} for path in PATHS for seed in range(3)),
    run=_interpolation_run,
    verdict=_interpolation_verdict,
    figure=_interpolation_figure,
)


# --- C10: arithmetic -------------------------------------------------------------------------------------------------

SUMS = ((1, False), (1, True), (3, False), (10, False), (10, True))


def _arithmetic_run(exemplars: int, rescaled: bool, seed: int) -> dict[str, float]:
    trials, pool = scale(smoke=(20, 400), cpu=(2000, 6000), gpu=(5000, 20_000))
    model = load(recipes.DCGAN_FACES)
    return recipes.arithmetic(model, exemplars, seed, trials, pool, rescaled)


def _arithmetic_verdict(rows: list[Row]) -> Verdict:
    def values(exemplars: int, rescaled: bool, name: str = "right") -> list[float]:
        return [row[name] for row in rows if (row["exemplars"], row["rescaled"]) == (exemplars, rescaled)]

    single, three, scaled = values(1, False), values(3, False), values(1, True)
    chance = [row["chance"] for row in rows]
    lengths = [fmean(values(exemplars, False, "length")) for exemplars in (1, 3)]
    why = (
        f"Results that show both wanted attributes: {said(single)} with single exemplars, {said(three)} with means of three "
        f"(chance {fmean(chance):.2f}). A single sum is {lengths[0]:.2f} times as long as the noise of training, a sum of means of three "
        f"{lengths[1]:.2f} times; brought to the right length, single exemplars reach {said(scaled)}, means of ten {said(values(10, True))}."
    )
    if clearly_more(three, single) and fmean(three) >= 0.8:
        return Verdict("holds here", why)
    return Verdict("in part" if fmean(three) - fmean(single) > 0.05 else "does not hold here", why)


def _arithmetic_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.4, height=3.0)
    axis = axes[0, 0]
    named = [{**row, "sum": f"{row['exemplars']}{', rescaled' if row['rescaled'] else ''}"} for row in rows]
    for number, (name, label) in enumerate((("right", "both wanted attributes"), ("readable", "readable"))):
        plots.group_bars(axis, grouped(named, "sum", name), label, number, of=2)
    axis.axhline(
        fmean([row["chance"] for row in rows]), color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance"
    )
    axis.set(xlabel="exemplars in each mean", ylabel="share of results", ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8)
    return figure


ARITHMETIC = Experiment(
    name="dcgan-arithmetic",
    claim="C10",
    question="How often does arithmetic on the noise give the wanted attributes, with single exemplars and with means?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"exemplars": exemplars, "rescaled": rescaled, "seed": seed}
        for exemplars, rescaled in SUMS
        for seed in range(3)
    ),
    run=_arithmetic_run,
    verdict=_arithmetic_verdict,
    figure=_arithmetic_figure,
)


# --- C11: where the label has to go ----------------------------------------------------------------------------------

LABEL_INTO = ("neither", "generator", "discriminator", "both", "both, projection")


def _label_run(label_into: str, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    entry, _, projection = label_into.partition(", ")
    config = DCGANConfig(
        in_channels=1,
        image_size=32,
        latent_dim=32,
        width=12,
        num_classes=10,
        label_into=entry,
        conditioning=projection or "concatenation",
    )
    model = DCGAN(config)
    players = gan_players(model, learning_rate=1e-3)
    steps = scale(smoke=3, cpu=800, gpu=10_000)
    fit(players, loader(Digits("train"), 64, seed=seed), steps, clip=None, seed=seed, schedule="cosine", progress=False)
    wanted = torch.arange(scale(smoke=40, cpu=1000, gpu=1000)) % 10
    digits = DigitReader().read(model.sample(len(wanted), runtime.generator(seed), wanted))
    shares = digits.bincount(minlength=10) / len(digits)
    return {
        "label_accuracy": (digits == wanted).double().mean().item(),
        "classes_drawn": (shares > 0.02).sum().item(),
    }


def _gan_label_verdict(rows: list[Row]) -> Verdict:
    accuracy = grouped(rows, "label_into", "label_accuracy")
    numbers = "; ".join(f"{entry} {said(values)}" for entry, values in accuracy.items())
    why = f"Share of samples read as the wanted digit (chance 0.1), with the label into: {numbers}."
    one = max(fmean(accuracy["generator"]), fmean(accuracy["discriminator"]))
    if fmean(accuracy["both"]) > one + 0.3:
        return Verdict("holds here", f"{why} Only with the label in both networks is it obeyed.")
    return Verdict("in part" if fmean(accuracy["both"]) > one + 0.05 else "does not hold here", why)


def _gan_label_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(width=6.0, height=2.8)
    plots.group_dots(axes[0, 0], grouped(rows, "label_into", "label_accuracy"))
    axes[0, 0].axhline(0.1, color=plots.COLORS[6], linestyle="--", linewidth=1, label="chance")
    axes[0, 0].set(xlabel="label into", ylabel="samples read as wanted", ylim=(0, 1.02))
    axes[0, 0].legend(frameon=False)
    return figure


LABEL = Experiment(
    name="cgan-label",
    claim="C11",
    question="Does the label of a conditional GAN have to enter both the generator and the discriminator?",
    notebook=NOTEBOOK,
    grid=tuple({"label_into": entry, "seed": seed} for entry in LABEL_INTO for seed in range(3)),
    run=_label_run,
    verdict=_gan_label_verdict,
    figure=_gan_label_figure,
)


# --- C02: beside a VAE -----------------------------------------------------------------------------------------------

KINDS = ("VAE", "DCGAN", "other real faces")


def _against_run(kind: str, seed: int) -> dict[str, float]:
    samples = scale(smoke=40, cpu=1500, gpu=1500)
    images = recipes.faces("test", (seed + 1) * samples)["image"][-samples:]
    if kind == "other real faces":
        drawn = recipes.faces("validation", (seed + 1) * samples)["image"][-samples:]
    else:
        model = load(recipes.VAE_FACES if kind == "VAE" else recipes.DCGAN_FACES)
        drawn = model.sample(samples, runtime.generator(seed)).cpu()
    detail = high_frequency_energy(drawn).mean() / high_frequency_energy(images).mean()
    return recipes.face_quality(drawn, images) | {"fine_detail": detail.item()}


def _against_verdict(rows: list[Row]) -> Verdict:
    values = {name: grouped(rows, "kind", name) for name in ("sharpness", "judge_frechet", "readable", "recall")}
    numbers = "; ".join(
        f"{kind}: sharpness {said(values['sharpness'][kind])} of that of real faces, distance {said(values['judge_frechet'][kind], 0)}, "
        f"readable {said(values['readable'][kind])}, recall {said(values['recall'][kind])}"
        for kind in KINDS
    )
    blurred = fmean(values["sharpness"]["VAE"]) < fmean(values["sharpness"]["DCGAN"]) - 0.05
    worse = fmean(values["judge_frechet"]["VAE"]) > fmean(values["judge_frechet"]["DCGAN"])
    if blurred and worse:
        return Verdict("holds here", f"The VAE's samples are blurrier and farther off. {numbers}.")
    return Verdict("in part" if blurred or worse else "does not hold here", f"{numbers}.")


def _against_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 3, width=9.0, height=2.8)
    titles = (
        ("sharpness", "sharpness (1 = real)"),
        ("judge_frechet", "judge's Fréchet distance"),
        ("recall", "recall"),
    )
    for axis, (name, label) in zip(axes[0], titles, strict=True):
        plots.group_bars(axis, grouped(rows, "kind", name))
        axis.set_ylabel(label)
        axis.tick_params(axis="x", labelrotation=12)
    return figure


AGAINST_VAE = Experiment(
    name="vae-against-gan",
    claim="C02",
    question="Are a VAE's faces blurrier and farther from real ones than a DCGAN's?",
    notebook=NOTEBOOK,
    grid=tuple({"kind": kind, "seed": seed} for kind in KINDS for seed in range(3)),
    run=_against_run,
    verdict=_against_verdict,
    figure=_against_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (RULES, INTERPOLATION, ARITHMETIC, LABEL, AGAINST_VAE)
