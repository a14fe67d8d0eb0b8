"""Distances between sets of pictures, measured in the features of some network, and how sure such a number is.

A set of pictures is compared with another through features: each picture becomes one row of a tensor
`(samples, features)`, and these functions see nothing else. So they know no network. With the features of the course's
own judges the results are called "judge distance"; the name FID belongs to Inception's features alone.

A number means little alone. `halves_distance` gives its floor (two halves of real data differ too, because they are
finite), `bootstrap_interval` its uncertainty, `memorisation` tells whether a good number was reached by copying.

Everything here is computed in float64 on the CPU, whatever the device of the features, but for the search of
`nearest_images`, which runs where its features are.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.layers import draw_integers, draw_uniform
from course_utils.runtime import generator


class PrecisionRecall(NamedTuple):
    """Share of generated samples that look real, share of real samples that are reached; `precision_recall`."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """The steadier relatives of precision and recall; `density_coverage`."""

    density: float
    coverage: float


class Neighbours(NamedTuple):
    """`distances (queries, k)` ascending, and `indices (queries, k)` into the gallery; `nearest_images`."""

    distances: Tensor
    indices: Tensor


class Memorisation(NamedTuple):
    """How near generated pictures come to the training set, beside how near unseen real ones do; `memorisation`."""

    generated: float
    reference: float
    ratio: float
    copied: float


class Interval(NamedTuple):
    """An estimate and the two ends of its confidence interval; `bootstrap_interval`."""

    estimate: float
    low: float
    high: float


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    r"""Fréchet distance between the Gaussians fitted to two sets of features (Heusel et al., NeurIPS 2017, eq. 6).

    $d^2 = \lVert\mu_a-\mu_b\rVert^2 + \operatorname{tr}(\Sigma_a + \Sigma_b - 2(\Sigma_a\Sigma_b)^{1/2})$, with the
    covariances divided by `samples - 1`. Both covariances are symmetric, so the trace of the root is computed without
    a general matrix square root: it is the sum of the roots of the eigenvalues of
    $\Sigma_a^{1/2}\Sigma_b\Sigma_a^{1/2}$, which are real and not negative, even where a covariance is singular.

    Args:
        features_a: `(samples, features)`, at least two samples.
        features_b: `(samples, features)`, same number of features; the number of samples may differ.

    Returns:
        The squared distance, as the literature reports it; 0 for equal sets. It falls as samples are added (its
        estimate is biased upwards), so compare only numbers of equal sample count.

    Raises:
        ValueError: shapes that do not fit, fewer than two samples, or a feature that is not finite.
    """
    a, b = _pair(features_a, features_b, least=2)
    mean_distance = (a.mean(0) - b.mean(0)).square().sum()
    covariance_a, covariance_b = (torch.cov(features.T).reshape(a.shape[1], -1) for features in (a, b))
    values, vectors = torch.linalg.eigh(covariance_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = root_a @ covariance_b @ root_a
    trace_of_root = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    distance = mean_distance + covariance_a.trace() + covariance_b.trace() - 2 * trace_of_root
    return max(0.0, distance.item())


def kernel_distance(features_a: Tensor, features_b: Tensor, degree: int = 3, chunk: int = 1024) -> float:
    r"""Squared maximum mean discrepancy with a polynomial kernel, unbiased (KID; Bińkowski et al., ICLR 2018, eq. 4).

    $k(x, y) = (x^\top y / d + 1)^3$ with $d$ features, and
    $\mathrm{MMD}^2 = \overline{k(a_i, a_j)}_{i\ne j} + \overline{k(b_i, b_j)}_{i\ne j} - 2\,\overline{k(a_i, b_j)}$.
    Unlike `frechet_distance` its expectation does not depend on the number of samples, and it may be slightly negative
    where the sets agree. The published score averages subsets; this is the one subset of everything.

    Args:
        features_a: `(samples, features)`, at least two samples.
        features_b: `(samples, features)`, at least two samples.
        degree: of the polynomial.
        chunk: rows of the kernel matrix that are held at once.

    Raises:
        ValueError: shapes that do not fit, fewer than two samples, or a feature that is not finite.
    """
    a, b = _pair(features_a, features_b, least=2)

    def sum_of_kernel(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([(rows @ y.T / x.shape[1] + 1).pow(degree).sum() for rows in x.split(chunk)]).sum()

    def mean_within(x: Tensor) -> Tensor:
        diagonal = (x.square().sum(1) / x.shape[1] + 1).pow(degree).sum()
        return (sum_of_kernel(x, x) - diagonal) / (len(x) * (len(x) - 1))

    return (mean_within(a) + mean_within(b) - 2 * sum_of_kernel(a, b) / (len(a) * len(b))).item()


def precision_recall(real: Tensor, fake: Tensor, k: int = 3, chunk: int = 512) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al., NeurIPS 2019, eq. 1 and 2).

    Around each sample of a set lies a ball that reaches to its k-th nearest neighbour in the same set; the union of the
    balls stands for the set's support. Precision is the share of fake samples within the real support (are they good?),
    recall the share of real samples within the fake support (is everything reached?). Give both sets equally many
    samples: with more samples the balls shrink.

    Args:
        real: `(samples, features)`, more than `k` samples.
        fake: `(samples, features)`, more than `k` samples.
        k: the neighbour that sets the radius, 3 in the paper.
        chunk: rows of the distance matrix that are held at once.

    Raises:
        ValueError: shapes that do not fit, `k` or fewer samples, or a feature that is not finite.
    """
    real, fake = _pair(real, fake, least=_more_than(k))
    real_radius, fake_radius = _radii(real, k, chunk), _radii(fake, k, chunk)
    fake_is_good, real_is_reached = [], torch.zeros(len(real), dtype=torch.bool)
    for rows in fake.split(chunk):
        fake_is_good.append((_exact_distances(rows, real) <= real_radius).any(1))
    for rows, radius in zip(fake.split(chunk), fake_radius.split(chunk), strict=True):
        real_is_reached |= (_exact_distances(rows, real) <= radius[:, None]).any(0)
    return PrecisionRecall(torch.cat(fake_is_good).double().mean().item(), real_is_reached.double().mean().item())


def density_coverage(real: Tensor, fake: Tensor, k: int = 5, chunk: int = 512) -> DensityCoverage:
    """Density and coverage (Naeem et al., ICML 2020, eq. 5 and 6): precision and recall that outliers disturb less.

    Both use the balls of the real samples only. Density is the number of real balls that a fake sample lies in, divided
    by `k` (its expectation for equal distributions is 1, and it may exceed 1); coverage is the share of real balls that
    hold a fake sample.

    Args:
        real: `(samples, features)`, more than `k` samples.
        fake: `(samples, features)`.
        k: the neighbour that sets the radius, 5 in the paper.
        chunk: rows of the distance matrix that are held at once.

    Raises:
        ValueError: shapes that do not fit, `k` or fewer real samples, or a feature that is not finite.
    """
    real, fake = _pair(real, fake, least=_more_than(k), least_b=1)
    radius = _radii(real, k, chunk)
    inside, covered = 0, torch.zeros(len(real), dtype=torch.bool)
    for rows in fake.split(chunk):
        within = _exact_distances(rows, real) <= radius
        inside += within.sum().item()
        covered |= within.any(0)
    return DensityCoverage(inside / (k * len(fake)), covered.double().mean().item())


def nearest_images(queries: Tensor, gallery: Tensor, k: int = 1, chunk: int = 512) -> Neighbours:
    """The `k` nearest gallery items of each query, by exact Euclidean distance.

    Pixels or features, anything with one row an item: further dimensions are flattened. Candidates come from one matrix
    product a chunk of queries and gallery; the distances that are returned are then computed from differences, so that
    a copy has distance 0 and not the rounding error of the product. Runs on the device of `queries`.

    Args:
        queries: `(queries, ...)`.
        gallery: `(gallery, ...)`, at least `k` items of the same shape.
        k: neighbours an item.
        chunk: queries that are searched at once; the gallery is read in pieces of 16 times as many.

    Returns:
        `distances (queries, k)` float32, ascending, and `indices (queries, k)` int64.

    Raises:
        ValueError: shapes that do not fit, `k` below 1, or fewer than `k` items in the gallery.
    """
    if queries.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            f"queries and gallery hold items of different shape, {tuple(queries.shape[1:])} and "
            f"{tuple(gallery.shape[1:])}: bring both to one size first"
        )
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k is {k}, but must lie between 1 and the number of gallery items, {len(gallery)}")
    queries = queries.detach().flatten(1).float()  # (queries, values)
    gallery = gallery.detach().flatten(1).float().to(queries.device)  # (gallery, values)
    centre = gallery.mean(0)  # small numbers lose less in the product
    candidates = min(len(gallery), k + 8)
    distances, indices = [], []
    for query in queries.split(chunk):
        scores, found = [], []
        start = 0
        for piece in gallery.split(16 * chunk):
            shifted = piece - centre
            score = shifted.square().sum(1) - 2 * (query - centre) @ shifted.T  # squared distance less |query|^2
            best = score.topk(min(candidates, len(piece)), largest=False)
            scores.append(best.values)
            found.append(best.indices + start)
            start += len(piece)
        kept = torch.cat(scores, 1).topk(candidates, largest=False).indices
        index = torch.cat(found, 1).gather(1, kept)  # (chunk, candidates)
        exact = torch.stack([(query - gallery[column]).norm(dim=1) for column in index.T], 1)
        distance, order = exact.sort(dim=1, stable=True)
        distances.append(distance[:, :k])
        indices.append(index.gather(1, order)[:, :k])
    empty = queries.new_zeros(0, k)
    return Neighbours(torch.cat([empty, *distances]), torch.cat([empty.long(), *indices]))


def memorisation(generated: Tensor, training: Tensor, unseen: Tensor, copy_quantile: float = 0.01) -> Memorisation:
    """Does a generator copy? The distance of its pictures to the training set, beside that of unseen real pictures.

    A generator that has learned the distribution is as far from its training set as real pictures that were held out; a
    ratio well below 1 means copying.

    Args:
        generated: `(samples, ...)`, pixels or features.
        training: `(samples, ...)`, the pictures that the generator was trained on.
        unseen: `(samples, ...)`, real pictures that it was not trained on: the reference level.
        copy_quantile: a generated picture counts as copied if it lies nearer to the training set than this share of
            the unseen pictures does; an honest generator has about this share.

    Returns:
        `generated` and `reference`: median distance to the nearest training picture of generated and of unseen ones;
        `ratio` of the two (1 where both are 0); `copied`: share of generated pictures counted as copied.

    Raises:
        ValueError: shapes that do not fit, or an empty set.
    """
    if min(len(generated), len(training), len(unseen)) == 0:
        raise ValueError("memorisation compares three sets, and one of generated, training, unseen is empty")
    of_generated = nearest_images(generated, training).distances[:, 0].cpu().double()
    of_unseen = nearest_images(unseen, training).distances[:, 0].cpu().double()
    near, reference = of_generated.median().item(), of_unseen.median().item()
    ratio = near / reference if reference > 0 else (1.0 if near == 0 else float("inf"))
    copied = (of_generated < of_unseen.quantile(copy_quantile)).double().mean().item()
    return Memorisation(near, reference, ratio, copied)


def halves_distance(
    features: Tensor, distance: Callable[[Tensor, Tensor], float] = frechet_distance, seed: int = 0
) -> float:
    """The floor of a distance: what it gives for two halves of real features, which differ by chance only.

    A generator that is compared with `n` real samples stands beside the floor of `2 n` real features, so that each side
    has `n` samples in both numbers.

    Args:
        features: `(samples, features)` of real pictures; with an odd count the last one drawn is left out.
        distance: any function of two feature sets.
        seed: of the random division.

    Raises:
        ValueError: fewer than four samples.
    """
    if len(features) < 4:
        raise ValueError(f"two halves need at least four samples, and there are {len(features)}")
    order = draw_uniform((len(features),), generator=generator(seed)).argsort().to(features.device)
    half = len(features) // 2
    return distance(features[order[:half]], features[order[half : 2 * half]])


def bootstrap_interval(
    values: Tensor,
    statistic: Callable[[Tensor], Tensor | float] = torch.mean,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """Percentile bootstrap: how much a statistic moves when the samples are drawn again (Efron, 1979).

    Args:
        values: `(samples, ...)`: one row a sample, as `(samples,)` of 0 and 1 for an accuracy.
        statistic: `values -> number`, called on each resample.
        level: share of the resampled statistics that the interval holds.
        seed: of the resampling.
        resamples: how often the samples are drawn again, with replacement.

    Returns:
        The statistic of the samples themselves, and the lower and upper end.

    Raises:
        ValueError: no samples, or a level outside 0 to 1.
    """
    if len(values) == 0:
        raise ValueError("an interval needs at least one sample, and values is empty")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but is a share between 0 and 1, such as 0.95")
    values = _float64(values)
    draw = generator(seed)
    drawn = []
    for _ in range(resamples):
        index = draw_integers(0, len(values), (len(values),), generator=draw)
        drawn.append(float(statistic(values[index])))
    tail = (1 - level) / 2
    ends = torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64))
    return Interval(float(statistic(values)), ends[0].item(), ends[1].item())


def psnr(images: Tensor, target: Tensor) -> Tensor:
    r"""Peak signal-to-noise ratio of each picture in decibel, $10 \log_{10}(2^2 / \mathrm{MSE})$.

    Args:
        images: `(batch, channels, height, width)` in [-1, 1], so the peak is 2.
        target: the same shape.

    Returns:
        `(batch,)`; infinite where a picture equals its target.

    Raises:
        ValueError: shapes that differ.
    """
    if images.shape != target.shape:
        raise ValueError(f"images {tuple(images.shape)} and target {tuple(target.shape)} must have one shape")
    error = (images.float() - target.float()).square().flatten(1).mean(1)  # (batch,)
    return 10 * (4 / error).log10()


def ssim(images: Tensor, target: Tensor) -> Tensor:
    r"""Structural similarity of each picture to its target (Wang, Bovik, Sheikh & Simoncelli, 2004, equation 13).

    In windows of 11 pixels, weighted by a Gaussian of standard deviation 1.5, means $\mu$, variances $\sigma^2$ and
    covariance are compared: $\frac{(2\mu_a\mu_b + c_1)(2\sigma_{ab} + c_2)}{(\mu_a^2 + \mu_b^2 + c_1)(\sigma_a^2 +
    \sigma_b^2 + c_2)}$, and the mean is taken over windows and channels. 1 for equal pictures; 0 where nothing agrees.
    There is a window around each pixel; the border is mirrored, as in torchmetrics.

    Args:
        images: `(batch, channels, height, width)` in [-1, 1], at least 11 pixels high and wide.
        target: the same shape.

    Returns:
        `(batch,)`, at most 1.

    Raises:
        ValueError: shapes that differ, or pictures smaller than a window.
    """
    if images.shape != target.shape or min(images.shape[-2:]) < 11:
        raise ValueError(
            f"images {tuple(images.shape)} and target {tuple(target.shape)} must have one shape, of 11 x 11 or more"
        )
    images, target = images.float(), target.float()
    places = torch.arange(-5.0, 6.0, device=images.device)
    line = (-places.square() / (2 * 1.5**2)).exp()
    kernel = (line[:, None] * line / line.sum() ** 2).expand(images.shape[1], 1, 11, 11)
    images, target = (F.pad(pictures, (5, 5, 5, 5), mode="reflect") for pictures in (images, target))
    products = torch.cat([images, target, images * images, target * target, images * target])
    a, b, aa, bb, ab = F.conv2d(products, kernel, groups=images.shape[1]).chunk(5)
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # the pictures' range is 2
    similarity = (2 * a * b + c1) * (2 * (ab - a * b) + c2)
    similarity = similarity / ((a * a + b * b + c1) * (aa - a * a + bb - b * b + c2))
    return similarity.flatten(1).mean(1)


def sharpness(images: Tensor) -> Tensor:
    """Variance of the Laplacian of each picture: large at sharp edges, small where a picture is blurred.

    The Laplacian (right + left + above + below - 4 here) is taken in every channel, inside the border, and its variance
    over the picture averaged over channels. The number depends on what is shown: compare it with that of real pictures.

    Args:
        images: `(batch, channels, height, width)` in [-1, 1], at least 3 pixels high and wide.

    Returns:
        `(batch,)`, not negative.
    """
    images = images.float()
    here = images[..., 1:-1, 1:-1]
    beside = images[..., 1:-1, 2:] + images[..., 1:-1, :-2]
    above = images[..., 2:, 1:-1] + images[..., :-2, 1:-1]
    laplacian = beside + above - 4 * here  # (batch, channels, height - 2, width - 2)
    return laplacian.flatten(2).var(2, correction=0).mean(1)


def high_frequency_energy(images: Tensor, cutoff: float = 0.5) -> Tensor:
    """Energy of each picture above a spatial frequency, as mean square a pixel: a second measure of blur.

    By Parseval's theorem the squared Fourier coefficients, divided by the number of pixels, add up to the sum of
    squares of the picture; this is the part whose frequency exceeds `cutoff` times the Nyquist frequency (half a cycle
    a pixel) in either direction.

    Args:
        images: `(batch, channels, height, width)` in [-1, 1].
        cutoff: 0 counts all but the constant, 1 nothing.

    Returns:
        `(batch,)`, not negative.
    """
    images = images.float()
    height, width = images.shape[-2:]
    power = torch.fft.fft2(images, norm="ortho").abs().square()  # (batch, channels, height, width)
    down = torch.fft.fftfreq(height, device=images.device).abs()[:, None]
    across = torch.fft.fftfreq(width, device=images.device).abs()[None, :]
    high = torch.maximum(down.expand(height, width), across.expand(height, width)) > cutoff / 2
    return (power * high).flatten(1).sum(1) / images[0].numel()


def _float64(values: Tensor) -> Tensor:
    """A float64 copy on the CPU; moved first, because not every device has float64."""
    return values.detach().cpu().double()


def _more_than(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}, but counts neighbours: at least 1")
    return k + 1


def _pair(a: Tensor, b: Tensor, least: int, least_b: int | None = None) -> tuple[Tensor, Tensor]:
    """Both feature sets in float64 on the CPU, checked."""
    for name, features, count in (("first", a, least), ("second", b, least if least_b is None else least_b)):
        if features.ndim != 2:
            raise ValueError(
                f"the {name} set has shape {tuple(features.shape)}; expected features of shape (samples, features): "
                "pass pictures through a judge's `features`, or flatten them"
            )
        if len(features) < count:
            raise ValueError(f"the {name} set has {len(features)} samples, and at least {count} are needed")
        if not features.isfinite().all():
            raise ValueError(f"the {name} set holds values that are not finite (nan or infinite)")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"the sets have {a.shape[1]} and {b.shape[1]} features: use the same network for both")
    return _float64(a), _float64(b)


def _exact_distances(a: Tensor, b: Tensor) -> Tensor:
    """`(a, b)` distances from differences, so that equal rows are at distance exactly 0 and ties are ties."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _radii(features: Tensor, k: int, chunk: int) -> Tensor:
    """Distance of each sample to its k-th nearest other sample, `(samples,)`."""
    # The sample itself is among the neighbours, at distance 0: hence k + 1.
    return torch.cat([_exact_distances(rows, features).kthvalue(k + 1).values for rows in features.split(chunk)])
