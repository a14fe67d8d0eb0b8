"""Studies of notebook 01_gan: the game on points of the plane, where every mode is known (claims C05, C06 and C07)."""

import math
from statistics import fmean
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import plots, runtime, scale
from course_utils.data import loader
from course_utils.gans.gan import GAN, GANConfig, GaussianMixture, gan_players, mode_coverage, ring
from course_utils.gans.losses import LOSSES, r1_penalty
from course_utils.layers import draw_uniform
from course_utils.training import Experiment, History, Player, Verdict, fit, grouped, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict
NOTEBOOK = "02_gans/01_gan"
POINTS = 2500  # that a mixture's modes are counted with
BATCH = 256
LOOKS = 20  # times that quality is measured in a training


class PointSet(Dataset):
    """Points of a mixture, drawn once: batches `{"image": (batch, 2)}`."""

    def __init__(self, mixture: GaussianMixture, seed: int, length: int = 50_000):
        self.points = mixture.sample(length, runtime.generator(seed))

    def __len__(self) -> int:
        return len(self.points)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {"image": self.points[indices]}


def quality(points: Tensor, mixture: GaussianMixture) -> float:
    """Share of the modes that are covered times the share of good points: 1 is perfect but for a Gaussian's own tails, 0.989."""
    coverage = mode_coverage(points, mixture)
    return coverage.modes_covered / len(mixture.means) * coverage.good_share


def train_on_plane(
    model: GAN, mixture: GaussianMixture, seed: int, steps: int, **players
) -> tuple[History, list[float]]:
    """Train a `GAN` on points of `mixture`; also gives the `quality` at `LOOKS` moments, evenly spaced.

    Args:
        players: settings of `gan_players`.
    """
    judge, generator = gan_players(model, **players)
    seen: list[float] = []
    moved = 0

    def look(_: dict) -> None:
        nonlocal moved
        moved += 1
        if moved * LOOKS // (steps // generator.every) > len(seen):
            seen.append(quality(model.sample(POINTS, runtime.generator(seed)), mixture))

    generator = Player(**{**vars(generator), "after_step": look})
    data = loader(PointSet(mixture, seed), BATCH, seed=seed)
    history = fit([judge, generator], data, steps, schedule="constant", clip=None, seed=seed, progress=False)
    return history, seen


# --- C05: oscillation, and losses that say nothing -------------------------------------------------------------------

GAMES = ("minimax", "non_saturating", "least_squares", "wasserstein")
PENALIZED = ("non_saturating + R1", "wasserstein + penalty")


def smallest_game(loss: str, penalty_weight: float = 0.0, steps: int = 2000, step_size: float = 0.05) -> list[float]:
    """Alternating gradient steps in the smallest GAN there is; how far both players are from their rest at each step.

    Mescheder et al. (ICML 2018, section 2): the data is the number 0, the generator makes the number theta, the discriminator's logit is psi * x.
    The only point at rest is theta = psi = 0; the game begins at (1, 0).
    """
    theta, psi = torch.tensor(1.0, requires_grad=True), torch.tensor(0.0, requires_grad=True)
    players, distances = LOSSES[loss], []
    for _ in range(steps):
        zero = torch.zeros(1, requires_grad=True)
        objective = players.discriminator(psi * zero, psi * theta.detach().view(1))
        if penalty_weight:
            objective = objective + r1_penalty(psi.view(1, 1), penalty_weight)  # the logit's gradient is psi itself
        (slope,) = torch.autograd.grad(objective, psi)
        psi = (psi - step_size * slope).detach().requires_grad_()
        (slope,) = torch.autograd.grad(players.generator((psi.detach() * theta).view(1)), theta)
        theta = (theta - step_size * slope).detach().requires_grad_()
        distances.append(math.hypot(theta.item(), psi.item()))
    return distances


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Spearman's coefficient in [-1, 1]; NaN where one of the two never changes."""
    from scipy.stats import spearmanr

    if len(set(a)) < 2 or len(set(b)) < 2:
        return math.nan
    return float(spearmanr(a, b).statistic)


def _means(values: list[float], parts: int) -> list[float]:
    """Means over `parts` stretches of equal length."""
    length = len(values) // parts
    return [fmean(values[part * length : (part + 1) * length]) for part in range(parts)]


def _quality_run(game: str, seed: int) -> dict[str, float | list[float]]:
    loss = game.split(" + ")[0]
    critic = loss == "wasserstein"
    penalty = {"penalty": "gradient" if critic else "r1", "penalty_weight": 1.0} if "+" in game else {}
    runtime.seed_everything(seed)
    model = GAN(GANConfig(loss=loss))
    steps = scale(smoke=2 * LOOKS, cpu=3000, gpu=20_000)
    mixture = ring(std=0.1)
    history, seen = train_on_plane(model, mixture, seed, steps, learning_rate=1e-3, **penalty)
    generator, discriminator = (_means(history[f"{player}/loss"], LOOKS) for player in ("generator", "discriminator"))
    distances = smallest_game(loss, 1.0 if penalty else 0.0, scale(smoke=50, cpu=2000, gpu=2000))
    return {
        "correlation": rank_correlation(generator, seen),
        "discriminator_correlation": rank_correlation(discriminator, seen),
        "final_quality": seen[-1],
        "worst_after_best": min(seen[seen.index(max(seen)) :]) - max(seen),
        "rest_distance": distances[-1],
        "quality_over_time": seen,
        "generator_loss": generator,
        "distance_over_time": distances[:: max(1, len(distances) // 100)],
    }


def _quality_verdict(rows: list[Row]) -> Verdict:
    plain = [row for row in rows if row["game"] in GAMES]
    rest = {game: fmean(values) for game, values in grouped(rows, "game", "rest_distance").items()}
    wandering = [game for game in GAMES if rest[game] > 0.5]
    held = [game for game in PENALIZED if rest[game] < 0.1]
    known = [row["correlation"] for row in plain if row["correlation"] is not None]
    follows = [value for value in known if value < -0.7]  # the loss falls where quality rises
    why = (
        f"In the smallest game, which begins 1 from its rest, {len(wandering)} of {len(GAMES)} losses without a penalty still are more "
        f"than 0.5 away after 2,000 steps, and {len(held)} of {len(PENALIZED)} with one are within 0.1. On the ring the rank correlation "
        f"of the generator's loss with quality is {said(known)} over {len(known)} trainings without a penalty (a loss that follows would "
        f"have -1), below -0.7 in {len(follows)}."
    )
    circles, silent = len(wandering) >= 3, len(follows) <= len(known) // 4
    if circles and silent:
        return Verdict("holds here", why)
    return Verdict("in part" if circles or silent else "does not hold here", why)


def _quality_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 3, width=10.5, height=3.0)
    for number, (game, row) in enumerate({row["game"]: row for row in rows}.items()):
        style = {"color": plots.COLORS[number], "label": game}
        axes[0, 0].plot(
            [20 * point for point in range(len(row["distance_over_time"]))], row["distance_over_time"], **style
        )
        axes[0, 1].plot(row["quality_over_time"], **style)
        loss = torch.tensor(row["generator_loss"])
        axes[0, 2].plot(((loss - loss.mean()) / loss.std().clamp(min=1e-8)).tolist(), **style)
    axes[0, 0].set(title="Smallest game", xlabel="step", ylabel="distance from rest", ylim=(0, None))
    axes[0, 1].set(title="Ring: quality", xlabel="moment in training", ylim=(0, 1))
    axes[0, 2].set(title="Ring: generator's loss", xlabel="moment in training", ylabel="standardised")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


LOSSES_AND_QUALITY = Experiment(
    name="gan-losses-and-quality",
    claim="C05",
    question="Do the players come to rest, and does the generator's loss say how good its samples are?",
    notebook=NOTEBOOK,
    grid=tuple({"game": game, "seed": seed} for game in (*GAMES, *PENALIZED) for seed in range(3)),
    run=_quality_run,
    verdict=_quality_verdict,
    figure=_quality_figure,
)


# --- C06: hyperparameters --------------------------------------------------------------------------------------------

RATES = (2e-4, 1e-3, 5e-3)
BETAS = (0.0, 0.5, 0.9)
TASKS = ("game", "classifier")
GOOD = 0.8  # of what is best possible: then a training counts as a success


def classifier_player(model: GAN, learning_rate: float, beta: float) -> Player:
    """The discriminator alone, against points that never change: uniform ones in a square. No game."""

    def objective(batch: dict) -> tuple[Tensor, dict]:
        real = batch["image"]
        other = 6 * torch.rand_like(real) - 3
        return LOSSES["minimax"].discriminator(model.discriminate(real), model.discriminate(other)), {}

    return Player("classifier", model.discriminator, objective, learning_rate=learning_rate, betas=(beta, 0.999))


@torch.inference_mode()
def gained(model: GAN, mixture: GaussianMixture, seed: int) -> float:
    """How much of what can be known a discriminator has learned: 1 for the optimal one, 0 for one that always says 1/2."""
    draw = runtime.generator(1000 + seed)
    real = mixture.sample(20_000, draw)
    other = 6 * draw_uniform((20_000, 2), draw) - 3
    device = next(model.parameters()).device
    given = [model.discriminate(points.to(device)).cpu() for points in (real, other)]
    best = [mixture.log_density(points) + math.log(36.0) for points in (real, other)]  # log p - log q, q = 1 / 36

    def loss(real_logits: Tensor, other_logits: Tensor) -> float:
        return (F.softplus(-real_logits).mean() + F.softplus(other_logits).mean()).item()

    blind = 2 * math.log(2)
    return (blind - loss(*given)) / (blind - loss(*best))


def _sensitivity_run(task: str, learning_rate: float, beta1: float, seed: int) -> dict[str, float]:
    runtime.seed_everything(seed)
    model, mixture = GAN(GANConfig()), ring(std=0.1)
    steps = scale(smoke=2 * LOOKS, cpu=2000, gpu=20_000)
    if task == "game":
        _, seen = train_on_plane(model, mixture, seed, steps, learning_rate=learning_rate, betas=(beta1, 0.999))
        return {"reached": fmean(seen[-5:])}
    data = loader(PointSet(mixture, seed), BATCH, seed=seed)
    player = classifier_player(model, learning_rate, beta1)
    fit(player, data, steps, schedule="constant", clip=None, seed=seed, progress=False)
    return {"reached": gained(model, mixture, seed)}


def _sensitivity_verdict(rows: list[Row]) -> Verdict:
    shares, lows, highs = {}, {}, {}
    for task in TASKS:
        few = [row for row in rows if row["task"] == task]
        shares[task] = fmean(row["reached"] >= GOOD for row in few)
        settings = {(row["learning_rate"], row["beta1"]): [] for row in few}
        for row in few:
            settings[row["learning_rate"], row["beta1"]].append(row["reached"])
        means = [fmean(values) for values in settings.values()]
        lows[task], highs[task] = min(means), max(means)
    why = (
        f"Over {len(RATES) * len(BETAS)} settings of learning rate and beta1, a fifth to five times the middle one, the game reaches "
        f"{lows['game']:.2f} to {highs['game']:.2f} of the best possible and succeeds (at least {GOOD}) in {shares['game']:.2f} of its "
        f"trainings; the same network as a plain classifier reaches {lows['classifier']:.2f} to {highs['classifier']:.2f} and succeeds "
        f"in {shares['classifier']:.2f}."
    )
    if shares["game"] < shares["classifier"] - 0.3:
        return Verdict("holds here", why)
    return Verdict("in part" if shares["game"] < shares["classifier"] - 0.1 else "does not hold here", why)


def _sensitivity_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, 2, width=7.4, height=3.0)
    for axis, task, title in zip(axes[0], TASKS, ("the game: quality", "classifier alone: share learned"), strict=True):
        table = torch.zeros(len(BETAS), len(RATES))
        for (i, beta), (j, rate) in ((a, b) for a in enumerate(BETAS) for b in enumerate(RATES)):
            cell = [r["reached"] for r in rows if (r["task"], r["learning_rate"], r["beta1"]) == (task, rate, beta)]
            table[i, j] = fmean(cell) if cell else math.nan
            axis.text(
                j, i, f"{table[i, j]:.2f}", ha="center", va="center", color="white" if table[i, j] < 0.6 else "black"
            )
        axis.imshow(table.numpy(), vmin=0, vmax=1, cmap="viridis")
        axis.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
        axis.set_yticks(range(len(BETAS)), [f"{beta:g}" for beta in BETAS])
        axis.set(title=title, xlabel="learning rate", ylabel="beta1")
        axis.grid(False)
    return figure


SENSITIVITY = Experiment(
    name="gan-sensitivity",
    claim="C06",
    question="How much more than a plain classifier does the game depend on learning rate and momentum?",
    notebook=NOTEBOOK,
    grid=tuple(
        {"task": task, "learning_rate": rate, "beta1": beta, "seed": seed}
        for task in TASKS
        for rate in RATES
        for beta in BETAS
        for seed in range(3)
    ),
    run=_sensitivity_run,
    verdict=_sensitivity_verdict,
    figure=_sensitivity_figure,
)


# --- C07: mode collapse, and remedies --------------------------------------------------------------------------------

REMEDIES = ("none", "five discriminator steps", "R1 penalty", "Wasserstein with penalty")
STREWN = 8 * math.pi * (3 * 0.1) ** 2 / 6**2  # share of good ones among points strewn evenly over the square of side 6


def collapsing(remedy: str = "none") -> tuple[GANConfig, dict]:
    """A GAN that loses modes of the ring, and the settings of `gan_players`: a hasty generator against a small discriminator."""
    loss = "wasserstein" if remedy == "Wasserstein with penalty" else "non_saturating"
    config = GANConfig(discriminator_widths=(32, 32), loss=loss)
    players: dict = {"learning_rate": 2e-3, "betas": (0.9, 0.999)}
    if remedy in ("five discriminator steps", "Wasserstein with penalty"):
        players["discriminator_steps"] = 5
    if remedy == "R1 penalty":
        players |= {"penalty": "r1", "penalty_weight": 1.0}
    if remedy == "Wasserstein with penalty":
        players |= {"penalty": "gradient", "penalty_weight": 1.0}
    return config, players


def _collapse_run(remedy: str, seed: int) -> dict[str, float | list[float]]:
    runtime.seed_everything(seed)
    config, players = collapsing(remedy)
    model, mixture = GAN(config), ring(std=0.1)
    generator_steps = scale(smoke=2 * LOOKS, cpu=2000, gpu=10_000)
    steps = generator_steps * players.get("discriminator_steps", 1)  # equally many steps of the generator
    _, seen = train_on_plane(model, mixture, seed, steps, **players)
    points = model.sample(POINTS, runtime.generator(seed))
    coverage = mode_coverage(points, mixture)
    return {
        "modes_covered": coverage.modes_covered,
        "good_share": coverage.good_share,
        "quality_over_time": seen,
        "points": points[:500].flatten().tolist(),  # (500, 2) -> (1000,)
    }


def _collapse_verdict(rows: list[Row]) -> Verdict:
    modes, good = grouped(rows, "remedy", "modes_covered"), grouped(rows, "remedy", "good_share")
    numbers = "; ".join(f"{remedy} {said(modes[remedy], 1)} ({said(good[remedy])})" for remedy in REMEDIES)
    why = f"Modes of 8 that are covered, and share of good samples (points strewn over the picture have {STREWN:.2f}), over five seeds: {numbers}."
    lost = fmean(modes["none"]) <= 6
    helped = [  # strewn points cover modes too, by accident: of them only a small share is good
        remedy
        for remedy in REMEDIES[1:]
        if fmean(modes[remedy]) >= fmean(modes["none"]) + 1 and fmean(good[remedy]) > 5 * STREWN
    ]
    if lost and helped:
        return Verdict("holds here", f"{why} It helps to add: {', '.join(helped)}.")
    return Verdict("in part" if lost else "does not hold here", why)


def _collapse_figure(rows: list[Row]) -> "Figure":
    figure, axes = plots.figure(1, len(REMEDIES), width=2.7 * len(REMEDIES), height=2.9)
    for axis, remedy in zip(axes[0], REMEDIES, strict=True):
        few = [row for row in rows if row["remedy"] == remedy]
        if not few:
            continue
        middle = sorted(few, key=lambda row: row["modes_covered"])[len(few) // 2]
        points = torch.tensor(middle["points"]).view(-1, 2)
        means = torch.tensor(ring().means)
        axis.scatter(*means.T.tolist(), s=120, facecolors="none", edgecolors=plots.COLORS[6])
        axis.scatter(*points.T.tolist(), s=3, color=plots.COLORS[0])
        axis.set(title=f"{remedy}\n{middle['modes_covered']} of 8 modes", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    return figure


MODE_COLLAPSE = Experiment(
    name="gan-mode-collapse",
    claim="C07",
    question="Does a generator keep to a few modes, and which of three remedies brings the others back?",
    notebook=NOTEBOOK,
    grid=tuple({"remedy": remedy, "seed": seed} for remedy in REMEDIES for seed in range(5)),
    run=_collapse_run,
    verdict=_collapse_verdict,
    figure=_collapse_figure,
)

EXPERIMENTS: tuple[Experiment, ...] = (LOSSES_AND_QUALITY, SENSITIVITY, MODE_COLLAPSE)
