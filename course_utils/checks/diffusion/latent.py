"""Checks of notebook diffusion/latent_diffusion."""

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.checks.diffusion.tables import draw_table
from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.diffusion.latent_diffusion import concatenate

__all__ = ["cross_attention", "join", "latent_scale", "loss_of_two_networks"]


# --- exercise 1: the scale --------------------------------------------------------------------------------------------


def _latent_scale(latents: Tensor) -> Tensor:
    return 1 / latents.std()


def _latents(draw: Draw, *shape: int) -> tuple[Tensor]:
    """Latents (batch, channels, h, w) whose channels have other means and widths, and so have its pictures."""
    batch, channels = shape[:2]
    widths = draw.uniform(1, channels, 1, 1, low=1.0, high=6.0) * draw.uniform(batch, 1, 1, 1, low=0.7, high=1.5)
    return (3 * draw.normal(1, channels, 1, 1) + draw.normal(batch, 1, 1, 1) + widths * draw.normal(*shape),)


latent_scale = Check(
    name="latent_scale",
    signature=("latents",),
    reference=_latent_scale,
    holds="one number, by which the latents get standard deviation 1",
    look='03_latent_diffusion, exercise 1 "The scale of the latents"',
    hint="One number for all: 1 over the standard deviation of every number there is, whatever picture, channel or place it belongs to.",
    cases=(
        Case("16 pictures, 4 channels, 8x8", lambda draw: _latents(draw, 16, 4, 8, 8)),
        Case("9 pictures, 3 channels, 12x16", lambda draw: _latents(draw, 9, 3, 12, 16)),
    ),
    hidden_cases=(
        Case("40 pictures, 2 channels, 8x8", lambda draw: _latents(draw, 40, 2, 8, 8)),
        Case("1 picture, 8 channels, 32x32", lambda draw: _latents(draw, 1, 8, 32, 32)),
    ),
    relative=1e-3,  # so that dividing by n or by n - 1 makes no difference
    mistakes=(
        Mistake(
            lambda z: z.std(),
            "This is the standard deviation itself: multiplied by it, wide latents would become wider still. The scale is what they are *multiplied* by, so it is one over that.",
        ),
        Mistake(
            lambda z: 1 / z.var(),
            "You divided by the variance: it is the standard deviation that a factor is measured against, the variance's root.",
        ),
        Mistake(
            lambda z: 1 / z.std().sqrt(),
            "One root too many: std() is the root of the variance already.",
        ),
        Mistake(
            lambda z: z.var(),
            "This is the variance: what is asked for is a factor that brings the standard deviation to 1.",
        ),
        Mistake(
            lambda z: 1 / z.std(dim=(0, 2, 3)),
            "A scale for each channel, (channels,): that is a model too, but here one number is asked for. The channels' differences in width are something that the diffusion model may learn.",
        ),
        Mistake(
            lambda z: 1 / z.std(dim=(0, 2, 3), keepdim=True),
            "A scale for each channel, (1, channels, 1, 1): here one number is asked for. The channels' differences in width are something that the diffusion model may learn.",
        ),
        Mistake(
            lambda z: 1 / z.flatten(1).std(dim=1),
            "A scale for each picture, (batch,): while drawing there is no picture yet to take it from. One number for all.",
        ),
        Mistake(
            lambda z: 1 / z.std(dim=(0, 2, 3)).mean(),
            "You averaged the channels' standard deviations. That leaves out that their *means* differ, which makes the whole wider: take all numbers together, latents.std().",
        ),
        Mistake(
            lambda z: 1 / z.var(dim=(0, 2, 3)).mean().sqrt(),
            "You averaged the channels' variances. That leaves out that their *means* differ, which makes the whole wider: take all numbers together, latents.std().",
        ),
        Mistake(
            lambda z: (1 / z.std(dim=(0, 2, 3))).mean(),
            "You averaged the channels' scales: take all numbers together, and then one over their standard deviation.",
        ),
        Mistake(
            lambda z: 1 / z.flatten(1).std(dim=1).mean(),
            "You averaged the pictures' standard deviations. That leaves out how the pictures differ from one another: take all numbers together, latents.std().",
        ),
        Mistake(
            lambda z: 1 / z.std(dim=0).mean(),
            "You took the standard deviation over the batch, at each place, and averaged that: take all numbers together, latents.std().",
        ),
        Mistake(
            lambda z: 1 / z.std(dim=(2, 3)).mean(),
            "You took the standard deviation over the places, of each channel of each picture, and averaged that: take all numbers together, latents.std().",
        ),
        Mistake(
            lambda z: 1 / z.std(dim=1).mean(),
            "You took the standard deviation over the channels, at each place, and averaged that: take all numbers together, latents.std().",
        ),
        Mistake(
            lambda z: 1 / z.square().mean().sqrt(),
            "This is one over the root mean square, which counts the mean as width: a standard deviation is measured from the mean, latents.std().",
        ),
        Mistake(
            lambda z: 1 / z.abs().mean(),
            "You divided by the mean absolute value: the noise has *standard deviation* 1, and the latents are to match that.",
        ),
        Mistake(
            lambda z: 1 / z.abs().max(),
            "You divided by the largest value, which brings the latents into [-1, 1], as if they were pictures. Then most of them are far too small beside noise of standard deviation 1.",
        ),
        Mistake(
            lambda z: 2 / (z.max() - z.min()),
            "You divided by the range, which brings the latents to a width of 2: what has to match that of the noise is the standard deviation.",
        ),
        Mistake(
            lambda z: 1 / z[0].std(),
            "You looked at the first picture only: the scale is for all of them.",
        ),
        Mistake(
            lambda z: 1 / z[:, 0].std(),
            "You looked at the first channel only: the scale is for all of them.",
        ),
        Mistake(
            lambda z: 1 / z.std().item(),
            "The number is right, but it is a plain Python one: return it as a tensor without axes, as std() gives it.",
        ),
        Mistake(
            lambda z: z / z.std(),
            "These are the scaled latents: the *factor* is asked for, a scalar, since it is needed again on the way back.",
        ),
        Mistake(
            lambda z: (z - z.mean()) / z.std(),
            "These are standardised latents: the *factor* is asked for, a scalar, since it is needed again on the way back.",
        ),
        Mistake(
            lambda z: torch.tensor(0.18215),
            "0.18215 is Stable Diffusion's number, measured on the latents of its own autoencoder. Measure these.",
        ),
        Mistake(
            lambda z: torch.tensor(1.0),
            "A scale of 1 leaves the latents as they are.",
        ),
        Mistake(
            lambda z: -z.std().log(),
            "This is the logarithm of the scale.",
        ),
    ),
)


# --- exercise 2: cross-attention --------------------------------------------------------------------------------------


def _heads(tokens: Tensor, num_heads: int) -> Tensor:
    """(batch, n, width) -> (batch, heads, n, width / heads)"""
    return tokens.unflatten(2, (num_heads, -1)).transpose(1, 2)


def _whole(heads: Tensor) -> Tensor:
    """(batch, heads, n, d) -> (batch, n, heads * d)"""
    return heads.transpose(1, 2).flatten(2)


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def _attend(weights: Callable[[Tensor, int], Tensor]) -> Attend:
    """Attention whose weights are made of the inner products (..., n, m) and the width of a head."""
    return lambda q, k, v: weights(q @ k.mT, q.shape[-1]) @ v


_softmax = _attend(lambda scores, width: (scores / math.sqrt(width)).softmax(-1))


def _crossing(
    attend: Attend = _softmax,
    split: Callable[[Tensor, int], Tensor] = _heads,
    join: Callable[[Tensor], Tensor] = _whole,
) -> Callable[..., Tensor]:
    """Cross-attention, with one of its parts exchanged."""

    def cross_attention(
        tokens: Tensor, context: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, num_heads: int
    ) -> Tensor:
        return join(
            attend(split(tokens @ to_q, num_heads), split(context @ to_k, num_heads), split(context @ to_v, num_heads))
        )

    return cross_attention


_cross_attention = _crossing()


def _scaled(factor: Callable[[Tensor, int], float]) -> Callable[..., Tensor]:
    """Cross-attention with another factor before the softmax, a function of (queries, num_heads)."""

    def cross_attention(x: Tensor, c: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, heads: int) -> Tensor:
        attend = _attend(lambda scores, width: (scores * factor(x @ to_q, heads)).softmax(-1))
        return _crossing(attend)(x, c, to_q, to_k, to_v, heads)

    return cross_attention


def _torn(tokens: Tensor, num_heads: int) -> Tensor:
    return tokens.view(tokens.shape[0], num_heads, tokens.shape[1], -1)


def _torn_back(seen: Tensor) -> Tensor:
    return seen.reshape(seen.shape[0], seen.shape[2], -1)


def _many_heads(tokens: Tensor, num_heads: int) -> Tensor:
    """As many heads as each should have numbers, and the other way round."""
    return tokens.unflatten(2, (-1, num_heads)).transpose(1, 2)


def _every_other(tokens: Tensor, num_heads: int) -> Tensor:
    """Each head with every num_heads-th number."""
    return tokens.unflatten(2, (-1, num_heads)).movedim(3, 1)


def _values_not_cut(x: Tensor, c: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, num_heads: int) -> Tensor:
    q, k = _heads(x @ to_q, num_heads), _heads(c @ to_k, num_heads)
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).mean(1) @ (c @ to_v)


_ONE_HEAD = "You took one head: cut queries, keys and values into num_heads pieces of width / num_heads each, which look about on their own."
_MANY_HEADS = "You cut into width / num_heads heads of num_heads numbers each: it is num_heads heads of width / num_heads numbers, unflatten(2, (num_heads, -1))."


def _two(
    draw: Draw, batch: int, places: int, words: int, width: int, context_width: int, heads: int
) -> tuple[Tensor | int, ...]:
    """Tokens, context, three weights and the number of heads; scores are large enough for the softmax to choose."""
    return (
        draw.normal(batch, places, width),
        draw.normal(batch, words, context_width),
        1.5 * draw.normal(width, width) / math.sqrt(width),
        1.5 * draw.normal(context_width, width) / math.sqrt(context_width),
        draw.normal(context_width, width) / math.sqrt(context_width),
        heads,
    )


cross_attention = Check(
    name="cross_attention",
    signature=("tokens", "context", "to_q", "to_k", "to_v", "num_heads"),
    reference=_cross_attention,
    holds="queries of the picture, keys and values of the context, each head with its own scale and softmax",
    look='03_latent_diffusion, exercise 2 "A picture looks at a text"',
    hint="Three products with the weights, each cut into heads, (batch, heads, n, d); softmax(q k' / sqrt(d)) over the tokens of the context, times v; the heads side by side again.",
    cases=(
        Case("2 pictures of 5 places, 3 words, 2 heads", lambda draw: _two(draw, 2, 5, 3, 8, 6, 2)),
        Case("1 picture of 4 places, 4 words of the same width, 1 head", lambda draw: _two(draw, 1, 4, 4, 6, 6, 1)),
        Case("3 pictures of 4 places, 4 words of the same width, 4 heads", lambda draw: _two(draw, 3, 4, 4, 16, 16, 4)),
    ),
    hidden_cases=(
        Case("4 pictures of 9 places, 1 word, 3 heads", lambda draw: _two(draw, 4, 9, 1, 12, 5, 3)),
        Case("2 pictures of 1 place, 7 words, 2 heads", lambda draw: _two(draw, 2, 1, 7, 4, 10, 2)),
    ),
    gradients="required",
    differentiable=("tokens", "context", "to_q", "to_k", "to_v"),
    mistakes=(
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, x, q, k, v, h),
            "Keys and values come from the picture: that is self-attention, and the context says nothing. They come from `context`.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(c, x, q, k, v, h),
            "The two are swapped: here the words look at the picture. Queries come from `tokens`, one answer a place; keys and values from `context`.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _whole(_softmax(_heads(x @ q, h), _heads(x @ k, h), _heads(c @ v, h))),
            "The keys come from the picture. A word is found by its *own* key: keys as well as values come from `context`.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _whole(_softmax(_heads(x @ q, h), _heads(c @ k, h), _heads(x @ v, h))),
            "The values come from the picture: the words decide where to look, but say nothing. Values come from `context`.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, c, q, k, k, h),
            "The keys are used as values. What a word is found by and what it says are different things: the values have a weight of their own, `to_v`.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, c, q, v, k, h),
            "`to_k` and `to_v` are swapped.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, c, k, q, v, h),
            "`to_q` and `to_k` are swapped.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, c, q.T, k.T, v.T, h),
            "You transposed the weights, as F.linear does: here they are (width in, width out), so it is tokens @ to_q.",
        ),
        Mistake(
            _scaled(lambda queries, heads: 1 / math.sqrt(queries.shape[2])),
            "You divide by the root of the whole width. Each head's inner product has only width / num_heads terms: it is *their* number whose root the scores are divided by.",
        ),
        Mistake(
            _scaled(lambda queries, heads: 1.0),
            "The scores are not divided by sqrt(d): the wider a head, the larger its scores, until the softmax is all on one word and hardly learns.",
        ),
        Mistake(
            _scaled(lambda queries, heads: math.sqrt(queries.shape[2] // heads)),
            "You multiply the scores by sqrt(d): they are divided by it.",
        ),
        Mistake(
            _scaled(lambda queries, heads: heads / queries.shape[2]),
            "You divide by d in place of its root, or by the root twice (scaled_dot_product_attention divides by itself): a sum of d products of independent numbers is about sqrt(d) large.",
        ),
        Mistake(
            _scaled(lambda queries, heads: 1 / math.sqrt(heads)),
            "You divide by the root of the number of heads: it is the width of a head, d = width / num_heads.",
        ),
        Mistake(
            _scaled(lambda queries, heads: 1 / math.sqrt(queries.shape[1])),
            "You divide by the root of the number of places: it is the width of a head, the *last* axis of (batch, heads, n, d).",
        ),
        Mistake(
            _crossing(lambda q, k, v: (q @ k / math.sqrt(q.shape[-1])).softmax(-1) @ v),
            "The keys are not transposed: each query is to meet each key, (n, d) @ (d, m), so it is q @ k.mT.",
        ),
        Mistake(
            _crossing(_attend(lambda scores, width: (scores / math.sqrt(width)).softmax(-2))),
            "The softmax runs over the places of the picture, so the places compete for a word. Each *place* divides its attention among the words: the last axis of (batch, heads, n, m).",
        ),
        Mistake(
            _crossing(_attend(lambda scores, width: (scores / math.sqrt(width)).softmax(1))),
            "The softmax runs over the heads: it belongs to the words, the last axis of (batch, heads, n, m).",
        ),
        Mistake(
            _crossing(_attend(lambda scores, width: (scores / math.sqrt(width)).softmax(0))),
            "The softmax runs over the pictures of the batch: it belongs to the words, the last axis of (batch, heads, n, m).",
        ),
        Mistake(
            _crossing(
                _attend(lambda scores, width: (scores / math.sqrt(width)).flatten(2).softmax(-1).view_as(scores))
            ),
            "The softmax runs over places and words together. Each *place* divides its attention among the words: the last axis of (batch, heads, n, m) alone.",
        ),
        Mistake(
            _crossing(_attend(lambda scores, width: scores / math.sqrt(width))),
            "The softmax is missing: the weights of a place are to be positive and to add up to 1.",
        ),
        Mistake(
            _crossing(_attend(lambda scores, width: scores.softmax(-1) / math.sqrt(width))),
            "You divide by sqrt(d) after the softmax: that shrinks the answer. It is the scores that are divided, before it.",
        ),
        Mistake(
            _crossing(_attend(lambda scores, width: (scores / math.sqrt(width)).sigmoid())),
            "A sigmoid in place of the softmax: the weights of a place do not add up to 1.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, c, q, k, v, 1),
            _ONE_HEAD,
        ),
        Mistake(
            lambda x, c, q, k, v, h: (x @ q @ (c @ k).mT / math.sqrt(q.shape[1] / h)).softmax(-1) @ (c @ v),
            _ONE_HEAD,
        ),
        Mistake(
            _values_not_cut,
            "The values are not cut: you average the heads' weights, so that all heads look at the same. Each head has its own values, and its own weights for them.",
        ),
        Mistake(_crossing(split=_many_heads), _MANY_HEADS),
        Mistake(
            lambda x, c, q, k, v, h: _crossing(
                _attend(lambda scores, width: (scores / math.sqrt(q.shape[1] / h)).softmax(-1)), _many_heads
            )(x, c, q, k, v, h),
            _MANY_HEADS,
        ),
        Mistake(
            _crossing(split=_torn),
            "view(batch, heads, n, d) tears the tokens apart: in memory each token's heads lie side by side, (batch, n, heads, d). Cut the last axis first, then exchange two axes.",
        ),
        Mistake(
            _crossing(split=_torn, join=_torn_back),
            "view(batch, heads, n, d), and back the same way, tears the tokens apart: in memory each token's heads lie side by side, (batch, n, heads, d). Cut the last axis first, then exchange two axes, and the other way round at the end.",
        ),
        Mistake(
            _crossing(join=_torn_back),
            "The heads are put together wrongly: from (batch, heads, n, d) go to (batch, n, heads, d) first, transpose(1, 2), and then flatten the last two axes.",
        ),
        Mistake(
            _crossing(join=lambda seen: seen.flatten(2)),
            "The heads are still in front: from (batch, heads, n, d) go to (batch, n, heads, d) first, transpose(1, 2), and then flatten the last two axes.",
        ),
        Mistake(
            _crossing(join=lambda seen: seen.permute(0, 2, 3, 1).flatten(2)),
            "The heads' numbers alternate in your answer: from (batch, heads, n, d) go to (batch, n, heads, d), so that each head's numbers stay together.",
        ),
        Mistake(
            _crossing(split=_every_other),
            "Each head takes every num_heads-th number, and is put together otherwise. The first width / num_heads numbers are the first head's, the next ones the second's: unflatten(2, (num_heads, -1)).",
        ),
        Mistake(
            _crossing(split=_every_other, join=lambda seen: seen.movedim(1, 3).flatten(2)),
            "Each head takes every num_heads-th number. The first width / num_heads numbers are the first head's, the next ones the second's: unflatten(2, (num_heads, -1)).",
        ),
        Mistake(
            _crossing(split=lambda tokens, heads: tokens.unflatten(2, (heads, -1)), join=lambda seen: seen.flatten(2)),
            "The axis of the heads stands behind that of the tokens, (batch, n, heads, d), so that the *heads* of a token look at one another. Exchange the two, transpose(1, 2), before the product.",
        ),
        Mistake(
            _crossing(join=lambda seen: seen.mean(1)),
            "You averaged over the heads: they stand side by side, (batch, n, heads * d), so that each says something of its own.",
        ),
        Mistake(
            _crossing(join=lambda seen: seen.sum(1)),
            "You summed over the heads: they stand side by side, (batch, n, heads * d), so that each says something of its own.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: x + _cross_attention(x, c, q, k, v, h),
            "You added the tokens to the answer. The block that calls this function does so: return the attention alone.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _cross_attention(x, torch.cat([x, c], dim=1), q, k, v, h),
            "The places look at themselves as well as at the context: here keys and values come from the `context` alone.",
        ),
        Mistake(
            lambda x, c, q, k, v, h: _crossing(
                lambda a, b, d: (a @ b.mT / math.sqrt(a.shape[-1])).tril().softmax(-1) @ d
            )(x, c, q, k, v, h),
            "You masked what comes later: that is for texts which are written from left to right. Every place may look at every word.",
        ),
    ),
)


# --- exercise 3: the loss ---------------------------------------------------------------------------------------------


Encode = Callable[[Tensor], Tensor]
Network = Callable[[Tensor, Tensor], Tensor]
Loss = Callable[[Encode, Network, Tensor, Tensor, Tensor, Tensor, float], Tensor]


def _rates(alphas_cumprod: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of latents and of noise, (batch, 1, 1, 1) each."""
    rate = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    return rate.sqrt(), (1 - rate).sqrt()


def latent_loss(
    encode: Encode, network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, alphas_cumprod: Tensor, scaling_factor: float
) -> Tensor:  # fmt: skip
    """What the exercise asks for; `loss_of_two_networks` is the notebook's way to check it."""
    latents = encode(images).detach() * scaling_factor
    signal, rate = _rates(alphas_cumprod, timesteps)
    return F.mse_loss(network(signal * latents + rate * noise, timesteps), signal * noise - rate * latents)


def _of_two_networks(latent_loss: Loss) -> Callable[..., Tensor]:
    """The notebook's `loss_of_two_networks` with this loss."""

    def loss_of_two_networks(
        encoder_weight: Tensor, weight: Tensor, images: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, scale: float
    ) -> Tensor:  # fmt: skip
        def encode(images: Tensor) -> Tensor:
            return torch.tanh(F.conv2d(images, encoder_weight, stride=2))

        def network(noisy: Tensor, timesteps: Tensor) -> Tensor:
            features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10], dim=1)
            return torch.tanh(features @ weight).view_as(noisy)

        return latent_loss(encode, network, images, noise, timesteps, table, scale)

    return loss_of_two_networks


def _loss(
    latents: Callable[[Encode, Tensor, float], Tensor] = lambda encode, images, scale: encode(images).detach() * scale,
    shown: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda z, e, signal, rate: signal * z + rate * e,
    wanted: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda z, e, signal, rate: signal * e - rate * z,
    distance: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
    told: Callable[[Tensor, Tensor], Tensor] = lambda timesteps, table: timesteps,
    rates: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _rates,
) -> Callable[..., Tensor]:
    """The loss, with one of its parts exchanged."""

    def latent_loss(
        encode: Encode, network: Network, images: Tensor, noise: Tensor, timesteps: Tensor, table: Tensor, scale: float
    ) -> Tensor:
        parts = latents(encode, images, scale), noise, *rates(table, timesteps)
        return distance(network(shown(*parts), told(timesteps, table)), wanted(*parts))

    return _of_two_networks(latent_loss)


def _along(*shape: int) -> Callable[..., Tensor]:
    """The loss with the rates in another shape."""
    return _loss(rates=lambda table, timesteps: tuple(rate.view(shape) for rate in _rates(table, timesteps)))


def _late_scale(encode, network, images, noise, timesteps, table, scale):
    latents, (signal, rate) = encode(images).detach(), _rates(table, timesteps)
    noisy = scale * (signal * latents + rate * noise)
    return F.mse_loss(network(noisy, timesteps), signal * noise - rate * scale * latents)


def _scale_after_the_noise_only(encode, network, images, noise, timesteps, table, scale):
    latents, (signal, rate) = encode(images).detach(), _rates(table, timesteps)
    return F.mse_loss(network(scale * (signal * latents + rate * noise), timesteps), signal * noise - rate * latents)


def _scale_for_the_velocity_only(encode, network, images, noise, timesteps, table, scale):
    latents, (signal, rate) = encode(images).detach(), _rates(table, timesteps)
    return F.mse_loss(network(signal * latents + rate * noise, timesteps), signal * noise - rate * scale * latents)


def _scaled_noise(encode, network, images, noise, timesteps, table, scale):
    return latent_loss(encode, network, images, noise * scale, timesteps, table, scale)


def _scale_for_the_network_only(encode, network, images, noise, timesteps, table, scale):
    latents, (signal, rate) = encode(images).detach(), _rates(table, timesteps)
    noisy = signal * scale * latents + rate * noise
    return F.mse_loss(network(noisy, timesteps), signal * noise - rate * latents)


def _noise_in_the_picture(encode, network, images, noise, timesteps, table, scale):
    signal, rate = _rates(table, timesteps)
    noisy = encode(signal * images + rate * noise).detach() * scale
    return F.mse_loss(network(noisy, timesteps), signal * noise - rate * encode(images).detach() * scale)


def _arguments_swapped(encode, network, images, noise, timesteps, table, scale):
    latents, (signal, rate) = encode(images).detach() * scale, _rates(table, timesteps)
    return F.mse_loss(
        network(timesteps, signal * latents + rate * noise), signal * noise - rate * latents
    )  # fmt: skip


def _nothing_to_learn(encode, network, images, noise, timesteps, table, scale):
    latents, (signal, rate) = encode(images) * scale, _rates(table, timesteps)
    return F.mse_loss(
        network(signal * latents + rate * noise, timesteps), signal * noise - rate * latents
    ).detach()  # fmt: skip


def _encoder_learns(encode: Encode, images: Tensor, scale: float) -> Tensor:
    return encode(images) * scale


def _measured(encode: Encode, images: Tensor, scale: float) -> Tensor:
    latents = encode(images).detach()
    return latents / latents.std()


def _asked(draw: Draw, steps: int, batch: int, channels: int, height: int, width: int, latents: int) -> tuple:
    """Weights of an encoder and a network, pictures, noise for their latents, a time for each, a table, and a scale far from 1."""
    table = draw_table(draw, steps)
    values = latents * (height // 2) * (width // 2)
    # the last row is the time's: large enough for every wrong time to show
    weight = torch.cat([0.6 * draw.normal(values, values) / math.sqrt(values), draw.normal(1, values)])
    return (
        0.5 * draw.normal(latents, channels, 2, 2),
        weight,
        draw.normal(batch, channels, height, width),
        draw.normal(batch, latents, height // 2, width // 2),
        draw.uniform(steps).argsort()[:batch],
        table,
        1.5 + draw.uniform(1).item(),
    )


_ENCODER_LEARNS = "The value is right, but the gradient reaches the encoder{}. It is trained, and stands still: were it to move, it would make latents that are easy to guess (all alike), not latents that tell pictures apart."
_ONE_OFF = "The table is read one time off: alphas_cumprod[timesteps] is the time that the network is told."
_NOISE_FACTOR = (
    "The noise's factor is sqrt(1 - a), the root of the whole: then the squares of both factors add up to 1."
)
_NO_POSTERIOR = "`encode` gives the latents themselves here, a tensor: its `.mean` is a function. (It is the autoencoder's own `encode` that gives a distribution.)"

loss_of_two_networks = Check(
    name="loss_of_two_networks",
    signature=("encoder_weight", "weight", "images", "noise", "timesteps", "alphas_cumprod", "scaling_factor"),
    reference=_of_two_networks(latent_loss),
    holds="pictures encoded without a gradient, scaled, noised at their own times; the mean squared error of the velocity",
    look='03_latent_diffusion, exercise 3 "A training step": your latent_loss, which loss_of_two_networks calls',
    hint="Under torch.no_grad(): latents = encode(images) * scaling_factor. Then as in 01_ddpm, with the latents as pictures: noisy = sqrt(a) z + sqrt(1 - a) noise, wanted: sqrt(a) noise - sqrt(1 - a) z.",
    cases=(
        # here noise fits the pictures, too, and there the rates fit every axis: so that these mistakes show in values
        Case("4 pictures of 2 channels, 2x2", lambda draw: _asked(draw, 20, 4, 2, 2, 2, 2)),
        Case("3 pictures of 1 channel, 6x6", lambda draw: _asked(draw, 20, 3, 1, 6, 6, 3)),
    ),
    hidden_cases=(
        Case("1 picture of 3 channels, 6x4", lambda draw: _asked(draw, 15, 1, 3, 6, 4, 1)),
        Case("6 pictures of 1 channel, 4x4", lambda draw: _asked(draw, 15, 6, 1, 4, 4, 2)),
    ),
    gradients="required",
    differentiable=("encoder_weight", "weight"),
    mistakes=(
        Mistake(
            _loss(_encoder_learns),
            _ENCODER_LEARNS.format(""),
        ),
        Mistake(
            _loss(_encoder_learns, shown=lambda z, e, signal, rate: signal * z.detach() + rate * e),
            _ENCODER_LEARNS.format(" through the velocity"),
        ),
        Mistake(
            _loss(_encoder_learns, wanted=lambda z, e, signal, rate: signal * e - rate * z.detach()),
            _ENCODER_LEARNS.format(" through the noisy latents"),
        ),
        Mistake(_loss(lambda encode, images, scale: encode(images).mean.detach() * scale), _NO_POSTERIOR),
        Mistake(_loss(lambda encode, images, scale: encode(images).mean * scale), _NO_POSTERIOR),
        Mistake(
            _of_two_networks(_nothing_to_learn),
            "The loss is cut off from the graph, so that the network cannot learn either. Only the *encoding* happens without a gradient.",
        ),
        Mistake(
            _loss(lambda encode, images, scale: encode(images).detach()),
            "The latents are not scaled: beside noise of standard deviation 1 they have another width, so the noise schedule would be another one.",
        ),
        Mistake(
            _loss(lambda encode, images, scale: encode(images).detach() / scale),
            "You divide by the scale: latents are *multiplied* by it on the way in, and divided on the way out.",
        ),
        Mistake(
            _loss(lambda encode, images, scale: encode(images).detach() * scale * scale),
            "The latents are scaled twice: once is enough.",
        ),
        Mistake(
            _loss(_measured),
            "You measure a scale of your own on each batch: multiply by `scaling_factor`, which was measured once and is needed again on the way back.",
        ),
        Mistake(
            _loss(lambda encode, images, scale: encode(images * scale).detach()),
            "You scale the pictures, before the encoder: it was trained on pictures in [-1, 1]. It is the *latents* that are scaled.",
        ),
        Mistake(
            _loss(lambda encode, images, scale: (encode(images).detach() * scale).clamp(-1, 1)),
            "You clamp the latents to [-1, 1]. They are no pictures: about a third of them lies outside.",
        ),
        Mistake(
            _loss(lambda encode, images, scale: torch.tanh(encode(images).detach() * scale)),
            "You send the latents through a tanh: the decoder would not know them any more. They are taken as they are, times the scale.",
        ),
        Mistake(
            _of_two_networks(_late_scale),
            "You scale after the noise is added, and so the noise too: then it has not the size any more that the table says. Scale the latents first.",
        ),
        Mistake(
            _of_two_networks(_scale_after_the_noise_only),
            "You scale after the noise is added, and so the noise too, and the velocity holds unscaled latents. Scale the latents once, at the start.",
        ),
        Mistake(
            _of_two_networks(_scaled_noise),
            "You scale the noise as well: it has standard deviation 1, and the latents are brought to that by the scale.",
        ),
        Mistake(
            _of_two_networks(_scale_for_the_velocity_only),
            "The velocity holds scaled latents, what is shown to the network unscaled ones: both are made of the same z. Scale once, at the start.",
        ),
        Mistake(
            _of_two_networks(_scale_for_the_network_only),
            "What is shown to the network holds scaled latents, the velocity unscaled ones: both are made of the same z. Scale once, at the start.",
        ),
        Mistake(
            _of_two_networks(_noise_in_the_picture),
            "You noise the pictures and encode them then. The encoder knows no noisy pictures, and the noise has the latents' shape: encode first, then add the noise.",
        ),
        Mistake(
            _along(-1),
            "alphas_cumprod[timesteps] is (batch,), and so it lies along the *last* axis of the latents: give it further axes, .view(-1, 1, 1, 1).",
        ),
        Mistake(
            _along(-1, 1),
            "One axis more is too few for alphas_cumprod[timesteps]: as (batch, 1) it lies along the *height* of the latents. Their batch is the first of four axes, .view(-1, 1, 1, 1).",
        ),
        Mistake(
            _along(-1, 1, 1),
            "alphas_cumprod[timesteps] lies along the *channels* of the latents, as (batch, 1, 1) and (1, batch, 1, 1) do. Their batch is the first of four axes, .view(-1, 1, 1, 1).",
        ),
        Mistake(
            _loss(rates=lambda table, timesteps: _rates(table, timesteps[:1])),
            "All latents are noised by the first one's time: each has its own, alphas_cumprod[timesteps].view(-1, 1, 1, 1).",
        ),
        Mistake(_loss(rates=lambda table, timesteps: _rates(table, timesteps - 1)), _ONE_OFF),
        Mistake(_loss(rates=lambda table, timesteps: _rates(table, timesteps + 1)), _ONE_OFF),
        Mistake(
            _loss(rates=lambda table, timesteps: _rates(table.cumprod(0), timesteps)),
            "You took the running product once more: alphas_cumprod holds it already.",
        ),
        Mistake(
            _loss(rates=lambda table, timesteps: _rates(table.sqrt(), timesteps)),
            "One root too many: alphas_cumprod[timesteps] is a itself, and the factors are sqrt(a) and sqrt(1 - a).",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: e),
            "You ask for the noise. That is a model as well, but here the network is to answer with the velocity, sqrt(a) noise - sqrt(1 - a) z.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: z),
            "You ask for the clean latents: here the network is to answer with the velocity, sqrt(a) noise - sqrt(1 - a) z.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: rate * z - signal * e),
            "The velocity has the other sign: sqrt(a) noise - sqrt(1 - a) z. (The sampler would walk away from the pictures.)",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: rate * e - signal * z),
            "In the velocity the two rates are swapped: where hardly any noise has been added it is nearly the noise, so the *noise* has the factor sqrt(a).",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: signal * e + rate * z),
            "The velocity is a difference, sqrt(a) noise *minus* sqrt(1 - a) z.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: signal * z - rate * e),
            "In the velocity latents and noise are exchanged: sqrt(a) *noise* - sqrt(1 - a) *z*.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: signal * e - rate * (signal * z + rate * e)),
            "You made the velocity of the noisy latents: the z in sqrt(a) noise - sqrt(1 - a) z are the clean ones.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: e - z),
            "noise - z is the velocity of another path, the straight one of a rectified flow: here it is sqrt(a) noise - sqrt(1 - a) z.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: signal * z + rate * e),
            "You compare with the noisy latents, which the network is shown: it would learn to hand on its input.",
        ),
        Mistake(
            _loss(
                shown=lambda z, e, signal, rate: signal.square() * z + rate.square() * e,
                wanted=lambda z, e, signal, rate: signal.square() * e - rate.square() * z,
            ),
            "The roots are missing, in the noisy latents and in the velocity: alphas_cumprod is the *square* of the latents' factor.",
        ),
        Mistake(
            _loss(shown=lambda z, e, signal, rate: signal.square() * z + rate.square() * e),
            "In the noisy latents the roots are missing: alphas_cumprod is the *square* of their factor.",
        ),
        Mistake(
            _loss(wanted=lambda z, e, signal, rate: signal.square() * e - rate.square() * z),
            "In the velocity the roots are missing: alphas_cumprod is the *square* of the factor.",
        ),
        Mistake(
            _loss(shown=lambda z, e, signal, rate: rate * z + signal * e),
            "In the noisy latents signal and noise are swapped: alphas_cumprod falls, and it is the *latents* that fade, with the factor sqrt(a).",
        ),
        Mistake(_loss(shown=lambda z, e, signal, rate: signal * z + rate.square() * e), _NOISE_FACTOR),
        Mistake(_loss(shown=lambda z, e, signal, rate: signal * z + (1 - signal) * e), _NOISE_FACTOR),
        Mistake(
            _loss(shown=lambda z, e, signal, rate: signal * z - rate * e),
            "In the noisy latents the noise is subtracted: add it, sqrt(a) z + sqrt(1 - a) noise.",
        ),
        Mistake(
            _loss(shown=lambda z, e, signal, rate: z),
            "The network is shown the clean latents: show it the noisy ones.",
        ),
        Mistake(
            _loss(shown=lambda z, e, signal, rate: z + e),
            "Noise of full size is added to the latents at every time: they are mixed by the time, sqrt(a) z + sqrt(1 - a) noise.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: timesteps / len(table)),
            "You tell the network t / T: ours are made for t itself, as it stands in `timesteps`.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: table[timesteps]),
            "You tell the network alphas_cumprod[timesteps] in place of the time: pass on `timesteps` as they are.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: 1 - table[timesteps]),
            "You tell the network how much noise there is, 1 - alphas_cumprod[timesteps]: pass on `timesteps` as they are.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: torch.zeros_like(timesteps)),
            "You tell the network time 0, or next to it (t / 1000), whatever the time is: pass on `timesteps` as they are.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: timesteps[:1].expand_as(timesteps)),
            "You tell the network the first picture's time for all of them: pass on all of `timesteps`.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: timesteps + 1),
            "You tell the network t + 1: pass on `timesteps` as they are, for sampling counts so, too.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: timesteps - 1),
            "You tell the network t - 1: pass on `timesteps` as they are, for sampling counts so, too.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: len(table) - timesteps),
            "You tell the network the time that is left, T - t: pass on `timesteps` as they are.",
        ),
        Mistake(
            _loss(told=lambda timesteps, table: timesteps[:, None]),
            "You give the times a second axis: the network takes `timesteps` as they are, (batch,).",
        ),
        Mistake(
            _of_two_networks(_arguments_swapped),
            "The network's arguments are swapped: it is called as network(noisy, timesteps).",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: (got - wanted).square().sum()),
            "You summed over everything: the loss is a mean, or it would grow with the batch and with the size of the latents.",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: (got - wanted).square().flatten(1).sum(1).mean()),
            "You summed over the values of each picture's latents and averaged over the batch: the loss is a mean over both.",
        ),
        Mistake(
            _loss(distance=F.l1_loss),
            "You took the absolute error: the best answer to that is a median. The sampler needs the *mean* of what may be right, so it is the squared error.",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: F.mse_loss(got, wanted).sqrt()),
            "You took the root of the mean squared error: the loss is the mean squared error itself.",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: (got - wanted).square()),
            "You return the squared error of each value: the loss is a scalar, their mean.",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: (got - wanted).square().flatten(1).mean(1)),
            "You return a loss for each picture: the mean over the batch is still missing.",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: 0.5 * F.mse_loss(got, wanted)),
            "There is a factor 1/2 too many: the loss is the plain mean squared error.",
        ),
        Mistake(
            _loss(distance=lambda got, wanted: (got - wanted).mean()),
            "The square is missing: errors of opposite sign cancel.",
        ),
    ),
)


# --- exercise 4: a condition as channels ------------------------------------------------------------------------------


def _resized(how: Callable[[Tensor, tuple[int, int]], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Joining, with another way to bring the condition to a size (h, w)."""
    return lambda latents, condition: torch.cat([latents, how(condition, latents.shape[2:])], dim=1)


def _area(condition: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(condition, size, mode="area")


def _summed(condition: Tensor, size: tuple[int, int]) -> Tensor:
    pixels = condition.shape[2] * condition.shape[3] / (size[0] * size[1])
    return _area(condition, size) * pixels


def _folded(condition: Tensor, size: tuple[int, int]) -> Tensor:
    if condition.shape[2] <= size[0]:
        return _area(condition, size)
    return F.pixel_unshuffle(condition, condition.shape[2] // size[0])


def _blocks(each: bool, smaller: bool) -> Callable[[Tensor, tuple[int, int]], Tensor]:
    """Means over blocks of a whole number of pixels: as many high as wide, or `each` its own; `smaller` conditions repeat pixels, or not."""

    def blocks(condition: Tensor, size: tuple[int, int]) -> Tensor:
        high, wide = condition.shape[2] // size[0], condition.shape[3] // size[1]
        if smaller and wide == 0:
            return F.interpolate(condition, size)
        return F.avg_pool2d(condition, (high if each else wide, wide))

    return blocks


def _unflattened(condition: Tensor, size: tuple[int, int]) -> Tensor:
    if condition.shape[3] < size[1]:
        return F.interpolate(condition, size)
    return condition.unflatten(2, (size[0], -1)).unflatten(4, (size[1], -1)).mean((3, 5))


_BLOCKS = "Blocks of a whole number of pixels do not always fit: height and width may shrink differently (8x18 to 4x6), not by whole numbers (10 to 4), and a condition may be smaller than the latents. Means over areas of any size: F.adaptive_avg_pool2d, or F.interpolate with mode='area'."


def _map(draw: Draw, batch: int, channels: int, height: int, width: int) -> Tensor:
    """A condition that is 1 in one of its channels at each pixel, as a label map is; with one channel any numbers."""
    if channels == 1:
        return draw.normal(batch, 1, height, width)
    return F.one_hot(draw.integers(channels, batch, height, width), channels).movedim(-1, 1).float()


join = Check(
    name="join",
    signature=("latents", "condition"),
    reference=concatenate,
    holds="the latents first, unchanged; then the condition at their size, by means over areas, larger or smaller",
    look='03_latent_diffusion, exercise 4 "A condition as further channels"',
    hint='F.interpolate(condition, latents.shape[2:], mode="area") takes means over areas; torch.cat along the channels, the latents first.',
    cases=(
        Case("2 latents of 4x4, 7 labels at 16x16", lambda draw: (draw.normal(2, 4, 4, 4), _map(draw, 2, 7, 16, 16))),
        Case("3 latents of 4x6, 3 labels at 8x18", lambda draw: (draw.normal(3, 4, 4, 6), _map(draw, 3, 3, 8, 18))),
        Case("2 latents of 4x4, 5 labels at 10x10", lambda draw: (draw.normal(2, 4, 4, 4), _map(draw, 2, 5, 10, 10))),
        Case("2 latents of 8x8, a condition of 4x4", lambda draw: (draw.normal(2, 2, 8, 8), _map(draw, 2, 1, 4, 4))),
        Case("2 latents of 4x4, 4 channels of 4x4", lambda draw: (draw.normal(2, 4, 4, 4), _map(draw, 2, 4, 4, 4))),
    ),
    hidden_cases=(
        Case("1 latent of 5x3, 2 labels at 20x9", lambda draw: (draw.normal(1, 3, 5, 3), _map(draw, 1, 2, 20, 9))),
        Case("4 latents of 6x6, a condition of 3x3", lambda draw: (draw.normal(4, 4, 6, 6), _map(draw, 4, 1, 3, 3))),
    ),
    gradients="required",
    differentiable=("latents",),
    mistakes=(
        Mistake(
            lambda z, c: torch.cat([z, c], dim=1),
            "The condition keeps its own size, and what has another size cannot be joined: bring it to that of the latents first.",
        ),
        Mistake(
            lambda z, c: torch.cat([_area(c, z.shape[2:]), z], dim=1),
            "The condition stands first. The order is an agreement, and a network that was trained with one knows no other: the latents first.",
        ),
        Mistake(
            lambda z, c: torch.cat([F.interpolate(z, c.shape[2:], mode="area"), c], dim=1),
            "You bring the latents to the condition's size: the network works at the size of the *latents*, that is the whole point. It is the condition that is resized.",
        ),
        Mistake(
            _resized(lambda c, size: _area(c, (size[1], size[0]))),
            "The size does not fit where the latents are not square. It is height and width, in this order: latents.shape[2:]. (One number, or one scale_factor, would be for both.)",
        ),
        *(Mistake(_resized(_blocks(*how)), _BLOCKS) for how in itertools.product((False, True), repeat=2)),
        Mistake(_resized(_unflattened), _BLOCKS),
        Mistake(
            lambda z, c: torch.stack([z, _area(c, z.shape[2:])], dim=1),
            "torch.stack makes a new axis, and wants tensors of one shape: join along the channels that are there, torch.cat(..., dim=1).",
        ),
        Mistake(
            lambda z, c: torch.cat([z, _area(c, z.shape[2:])], dim=0),
            "You joined along the batch: a condition is not a further picture but more channels of the same one, dim=1.",
        ),
        Mistake(
            lambda z, c: torch.cat([z, _area(c, z.shape[2:])], dim=2),
            "You joined along the height: the condition goes into further channels, dim=1, so that at each place the network sees both.",
        ),
        Mistake(
            lambda z, c: torch.cat([z, _area(c, z.shape[2:])], dim=-1),
            "You joined along the width: the condition goes into further channels, dim=1, so that at each place the network sees both.",
        ),
        Mistake(
            lambda z, c: z + _area(c, z.shape[2:]).mean(1, keepdim=True),
            "You added the condition to the latents: then the network cannot tell which is which. It gets channels of its own.",
        ),
        Mistake(
            lambda z, c: z + _area(c, z.shape[2:]),
            "You added the condition to the latents: then the network cannot tell which is which (and the channels need not even fit). It gets channels of its own.",
        ),
        Mistake(
            _resized(lambda c, size: F.interpolate(c, size, mode="nearest")),
            "You took the nearest pixel: one of each area is looked at, and the rest is thrown away, thin lines and edges with it. Means over areas say how much of each place is covered.",
        ),
        Mistake(
            _resized(lambda c, size: F.interpolate(c, size, mode="nearest-exact")),
            "You took the pixel in the middle: one of each area is looked at, and the rest is thrown away, thin lines and edges with it. Means over areas say how much of each place is covered.",
        ),
        Mistake(
            _resized(lambda c, size: F.interpolate(c, size, mode="bilinear")),
            "Bilinear interpolation looks at the four pixels around one point, however large the area is (a quarter of the pixels here, or less): take means over areas.",
        ),
        Mistake(
            _resized(lambda c, size: F.interpolate(c, size, mode="area" if c.shape[3] >= size[1] else "bilinear")),
            "You enlarge a smaller condition bilinearly, which mixes neighbouring pixels: mode='area' enlarges as well, and each place takes the pixel that covers it.",
        ),
        Mistake(
            _resized(lambda c, size: F.interpolate(c, size, mode="bilinear", antialias=True)),
            "With antialias, bilinear interpolation also looks at pixels of the neighbouring areas: here the mean over each place's own area is asked for.",
        ),
        Mistake(
            _resized(lambda c, size: F.interpolate(c, size, mode="bicubic")),
            "Bicubic interpolation looks at few pixels around one point, and overshoots: take means over areas.",
        ),
        Mistake(
            _resized(F.adaptive_max_pool2d),
            "You took the largest value of each area: a label with one pixel in it would count as much as one that fills it. Take means.",
        ),
        Mistake(
            _resized(_summed),
            "You summed over the areas: take means, or the numbers grow with the size of the condition.",
        ),
        Mistake(
            _resized(lambda c, size: c[:, :, : size[0], : size[1]]),
            "You cut out a corner of the condition: all of it is to be brought to the size of the latents.",
        ),
        Mistake(
            _resized(lambda c, size: c.reshape(len(c), -1, *size)),
            "reshape does not make a picture smaller: it breaks its rows into pieces, and what belongs to one place ends up at others.",
        ),
        Mistake(
            _resized(_folded),
            "You folded the pixels of each area into channels. That loses nothing, but it makes many more channels than asked for: take their mean.",
        ),
        Mistake(
            _resized(lambda c, size: (_area(c, size) > 0.5).to(c.dtype)),
            "You rounded the shares to 0 or 1: with them the network would know better where the edges run.",
        ),
        Mistake(
            _resized(lambda c, size: 2 * _area(c, size) - 1),
            "You moved the condition to [-1, 1]: it goes in as it is.",
        ),
        Mistake(
            _resized(lambda c, size: _area(c, size).argmax(1, keepdim=True).to(c.dtype)),
            "You made one channel with the number of the label: then label 3 lies between 2 and 4, as if a triangle were half way from a square to a star. Each label keeps its channel.",
        ),
        Mistake(
            _resized(lambda c, size: _area(c, size).mean(1, keepdim=True)),
            "You averaged over the channels of the condition: each keeps its own.",
        ),
        Mistake(
            _resized(lambda c, size: _area(c[:1], size).expand(len(c), -1, -1, -1)),
            "All latents get the first picture's condition: each has its own.",
        ),
        Mistake(
            lambda z, c: _area(c, z.shape[2:]),
            "This is the resized condition alone: join it to the latents.",
        ),
        Mistake(
            lambda z, c: (z, _area(c, z.shape[2:])),
            "You return the two apart: the network takes one tensor. Join them along the channels.",
        ),
        Mistake(
            lambda z, c: [z, _area(c, z.shape[2:])],
            "You return the two apart, as a list: the network takes one tensor. Join them along the channels.",
        ),
        Mistake(
            lambda z, c: torch.cat([z.detach(), _area(c, z.shape[2:])], dim=1),
            "The latents are detached: the values are right, but nothing could be learned through them (guidance, for one, needs the gradient).",
        ),
    ),
)
