"""The bank of notebook latent: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss_of_two_networks(encoder_weight, weight, images, noise, timesteps, alphas_cumprod, scaling_factor):
    def encode(images):
        return torch.tanh(F.conv2d(images, encoder_weight, stride=2))

    def network(noisy, timesteps):
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return latent_loss(encode, network, images, noise, timesteps, alphas_cumprod, scaling_factor)
"""


def _function(head: str, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef {head}:\n{lines}"


def _scale(body: str) -> str:
    """A `latent_scale` with this body."""
    return _function("latent_scale(latents)", body)


def _attention(body: str) -> str:
    """A `cross_attention` with this body."""
    return _function("cross_attention(tokens, context, to_q, to_k, to_v, num_heads)", body)


def _loss(body: str) -> str:
    """A `latent_loss` with this body."""
    return _function(
        "latent_loss(encode, network, images, noise, timesteps, alphas_cumprod, scaling_factor)", body
    )  # fmt: skip


def _join(body: str) -> str:
    """A `join` with this body."""
    return _function("join(latents, condition)", body)


QKV = """
batch, n, width = tokens.shape
d = width // num_heads
q = (tokens @ to_q).view(batch, n, num_heads, d).transpose(1, 2)
k = (context @ to_k).view(batch, -1, num_heads, d).transpose(1, 2)
v = (context @ to_v).view(batch, -1, num_heads, d).transpose(1, 2)
"""

ENCODED = """
with torch.no_grad():
    latents = encode(images) * scaling_factor
a = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
"""

ASKED = """
noisy = a.sqrt() * latents + (1 - a).sqrt() * noise
velocity = a.sqrt() * noise - (1 - a).sqrt() * latents
return F.mse_loss(network(noisy, timesteps), velocity)
"""

SEEN = "return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)"


def _attended(old: str, new: str) -> str:
    """A `cross_attention` with one piece exchanged."""
    assert old in QKV + SEEN
    return _attention((QKV + SEEN).replace(old, new))


def _asked(old: str, new: str) -> str:
    """A `latent_loss` with one piece exchanged."""
    assert old in ENCODED + ASKED
    return _loss((ENCODED + ASKED).replace(old, new))


def _cut(how: str) -> str:
    """A `cross_attention` whose heads are cut in this way."""
    return _attention(f"""
def cut(x):
    return {how}
q, k, v = cut(tokens @ to_q), cut(context @ to_k), cut(context @ to_v)
{SEEN}
""")


def _sized(how: str) -> str:
    """A `join` that resizes in this way."""
    return _join(f"h, w = latents.shape[2:]\nreturn torch.cat([latents, {how}], dim=1)")


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "latent_scale": [
        (_scale("raise NotImplementedError()"), "This is not written yet"),
        (_scale("return latents.std()"), "This is the standard deviation itself"),
        (_scale("return (latents - latents.mean()).square().mean().sqrt()"), "This is the standard deviation itself"),
        (_scale("return 1 / latents.var()"), "You divided by the variance"),
        (_scale("return latents.var() ** -1"), "You divided by the variance"),
        (_scale("return 1 / torch.sqrt(latents.std())"), "One root too many"),
        (_scale("return 1 / latents.std(dim=(0, 2, 3))"), "A scale for each channel, (channels,)"),
        (
            _scale("return 1 / latents.transpose(0, 1).flatten(1).std(dim=1).view(1, -1, 1, 1)"),
            "A scale for each channel, (1, channels, 1, 1)",
        ),
        (_scale("return 1 / latents.std(dim=(1, 2, 3))"), "A scale for each picture"),
        (
            _scale("stds = torch.stack([latents[:, c].std() for c in range(latents.shape[1])])\nreturn 1 / stds.mean()"),
            "You averaged the channels' standard deviations",
        ),
        (_scale("return 1 / torch.stack([z.std() for z in latents]).mean()"), "You averaged the pictures' standard"),
        (_scale("return 1 / latents.std(dim=0).mean()"), "You took the standard deviation over the batch"),
        (_scale("return 1 / (latents ** 2).mean().sqrt()"), "one over the root mean square"),
        (_scale("return 1 / latents.abs().mean()"), "You divided by the mean absolute value"),
        (_scale("return 1 / latents.abs().max()"), "You divided by the largest value"),
        (_scale("return 2 / (latents.max() - latents.min())"), "You divided by the range"),
        (_scale("return 1 / latents[0].std()"), "You looked at the first picture only"),
        (_scale("return latents / latents.std()"), "These are the scaled latents"),
        (_scale("return (latents - latents.mean()) / latents.std()"), "These are standardised latents"),
        (_scale("return torch.tensor(0.18215)"), "Stable Diffusion's number"),
        (_scale("return 1 / latents.var((0, 2, 3)).mean().sqrt()"), "You averaged the channels' variances"),
        (_scale("return 1 / latents.std((2, 3)).mean()"), "over the places, of each channel of each picture"),
        (_scale("return 1 / latents.std(dim=1).mean()"), "over the channels, at each place"),
        (_scale("return 1 / latents[:, 0].std()"), "the first channel only"),
        (_scale("return 1 / latents.std().item()"), "it is a plain Python one"),
        (_scale("return float(1 / latents.std())"), "it is a plain Python one"),
    ],
    "cross_attention": [
        (_attention("raise NotImplementedError()"), "This is not written yet"),
        (
            _attention(QKV.replace("context", "tokens") + "return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)"),
            "that is self-attention",
        ),
        (
            _attention("""
def cut(x):
    return x.unflatten(2, (num_heads, -1)).transpose(1, 2)
q, k, v = cut(context @ to_q), cut(tokens @ to_k), cut(tokens @ to_v)
return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
"""),
            "The two are swapped",
        ),
        (
            _attention(QKV.replace("(context @ to_v)", "(tokens @ to_v)") + "return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)"),
            "The values come from the picture",
        ),
        (
            _attention(QKV + "return F.scaled_dot_product_attention(q, k, k).transpose(1, 2).flatten(2)"),
            "The keys are used as values",
        ),
        (
            _attention(QKV + "w = (q @ k.transpose(-1, -2) / math.sqrt(width)).softmax(dim=-1)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "You divide by the root of the whole width",
        ),
        (
            _attention(QKV + "w = (q @ k.transpose(-1, -2)).softmax(dim=-1)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "The scores are not divided by sqrt(d)",
        ),
        (
            _attention(QKV + "w = (q @ k.transpose(-1, -2) / d).softmax(dim=-1)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "You divide by d in place of its root",
        ),
        (
            _attention(QKV + "w = (q @ k.transpose(-1, -2) * d ** 0.5).softmax(dim=-1)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "You multiply the scores by sqrt(d)",
        ),
        (
            _attention(QKV + "w = (q @ k.transpose(-1, -2) / d ** 0.5).softmax(dim=2)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "The softmax runs over the places of the picture",
        ),
        (
            _attention(QKV + "w = F.softmax(q @ k.transpose(-1, -2) / d ** 0.5, dim=1)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "The softmax runs over the heads",
        ),
        (
            _attention(QKV + "w = q @ k.transpose(-1, -2) / d ** 0.5\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "The softmax is missing",
        ),
        (
            _attention(QKV + "w = (q @ k.transpose(-1, -2)).softmax(-1) / d ** 0.5\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
            "You divide by sqrt(d) after the softmax",
        ),
        (
            _attention("q, k, v = tokens @ to_q, context @ to_k, context @ to_v\nreturn F.scaled_dot_product_attention(q, k, v)"),
            "You took one head",
        ),
        (
            _attention("""
batch, n, width = tokens.shape
m, d = context.shape[1], width // num_heads
q = (tokens @ to_q).view(batch, num_heads, n, d)
k = (context @ to_k).view(batch, num_heads, m, d)
v = (context @ to_v).view(batch, num_heads, m, d)
w = (q @ k.mT / math.sqrt(d)).softmax(-1)
return (w @ v).transpose(1, 2).flatten(2)
"""),
            "tears the tokens apart",
        ),
        (
            _attention(QKV + "w = (q @ k.mT / math.sqrt(d)).softmax(-1)\nreturn (w @ v).reshape(batch, n, width)"),
            "The heads are put together wrongly",
        ),
        (
            _attention(QKV + "return tokens + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)"),
            "You added the tokens to the answer",
        ),
        (
            _attention(QKV + "return F.scaled_dot_product_attention(q, k, v).mean(dim=1)"),
            "You averaged over the heads",
        ),
        (
            _attention(QKV.replace("@ to_q", "@ to_q.T").replace("@ to_k", "@ to_k.T").replace("@ to_v", "@ to_v.T") + "return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)"),
            "You transposed the weights",
        ),
        (
            _attention(QKV + "with torch.no_grad():\n    w = (q @ k.mT / math.sqrt(d)).softmax(-1)\nreturn (w @ v).transpose(1, 2).flatten(2)"),
            "no gradient flows from your result back to",
        ),
        (_attended("attention(q, k, v)", "attention(q / d**0.5, k, v)"), "scaled_dot_product_attention divides by itself"),
        (_attended(SEEN, "w = (q @ k.mT / q.shape[2] ** 0.5).softmax(-1)\nreturn (w @ v).transpose(1, 2).flatten(2)"), "root of the number of places"),
        (_attended(SEEN, "w = (q @ k / d ** 0.5).softmax(-1)\nreturn (w @ v).transpose(1, 2).flatten(2)"), "The keys are not transposed"),
        (_attended(SEEN, "w = (q @ k.mT / d ** 0.5).softmax(0)\nreturn (w @ v).transpose(1, 2).flatten(2)"), "over the pictures of the batch"),
        (_attended(SEEN, "s = q @ k.mT / d ** 0.5\nw = s.flatten(2).softmax(-1).view_as(s)\nreturn (w @ v).transpose(1, 2).flatten(2)"), "over places and words together"),
        (_attention("d = tokens.shape[2] // num_heads\nw = (tokens @ to_q @ (context @ to_k).mT / math.sqrt(d)).softmax(-1)\nreturn w @ (context @ to_v)"), "You took one head"),
        (_attended(SEEN, "w = (q @ k.mT / d ** 0.5).softmax(-1)\nreturn w.mean(1) @ (context @ to_v)"), "The values are not cut"),
        (_cut("x.unflatten(2, (-1, num_heads)).transpose(1, 2)"), "width / num_heads heads of num_heads numbers"),
        (_cut("torch.stack(x.split(num_heads, 2), 1)"), "width / num_heads heads of num_heads numbers"),
        (_cut("torch.stack(x.chunk(x.shape[2] // num_heads, 2), 1)"), "width / num_heads heads of num_heads numbers"),
        (
            _cut("x.unflatten(2, (-1, num_heads)).transpose(1, 2)").replace("attention(q, k, v)", "attention(q, k, v, scale=(tokens.shape[2] // num_heads) ** -0.5)"),
            "width / num_heads heads of num_heads numbers",
        ),
        (_cut("x.unflatten(2, (-1, num_heads)).movedim(3, 1)"), "and is put together otherwise"),
        (_cut("x.unflatten(2, (-1, num_heads)).movedim(3, 1)").replace("transpose(1, 2).flatten(2)", "movedim(1, 3).flatten(2)"), "Each head takes every num_heads-th number. The"),
        (_cut("x.reshape(x.shape[0], num_heads, x.shape[1], -1)").replace("transpose(1, 2).flatten(2)", "reshape(tokens.shape)"), "and back the same way"),
        (_attended(".transpose(1, 2).flatten(2)", ".flatten(2)"), "The heads are still in front"),
        (_attended(".transpose(1, 2).flatten(2)", ".permute(0, 2, 3, 1).flatten(2)"), "numbers alternate in your answer"),
    ],
    "loss_of_two_networks": [
        (
            _loss("""
latents = encode(images) * scaling_factor
a = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
noisy = a.sqrt() * latents + (1 - a).sqrt() * noise
return F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)
"""),
            "the gradient reaches the encoder",
        ),
        (
            _loss("""
with torch.no_grad():
    latents = encode(images) * scaling_factor
    a = alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    noisy = a.sqrt() * latents + (1 - a).sqrt() * noise
    return F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)
"""),
            "cut off from the graph",
        ),
        (
            _loss(ENCODED.replace(" * scaling_factor", "") + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "The latents are not scaled",
        ),
        (
            _loss(ENCODED.replace("* scaling_factor", "/ scaling_factor") + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "You divide by the scale",
        ),
        (
            _loss(ENCODED.replace(" * scaling_factor", "") + "noisy = (a.sqrt() * latents + (1 - a).sqrt() * noise) * scaling_factor\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents * scaling_factor)"),
            "You scale after the noise is added",
        ),
        (
            _loss(ENCODED.replace(" * scaling_factor", "") + "noisy = a.sqrt() * latents * scaling_factor + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "the velocity unscaled ones",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), noise)"),
            "You ask for the noise",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), latents)"),
            "You ask for the clean latents",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nv = (1 - a).sqrt() * latents - a.sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), v)"),
            "The velocity has the other sign",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nv = (1 - a).sqrt() * noise - a.sqrt() * latents\nreturn F.mse_loss(network(noisy, timesteps), v)"),
            "In the velocity the two rates are swapped",
        ),
        (
            _loss(ENCODED + "noisy = a * latents + (1 - a) * noise\nreturn F.mse_loss(network(noisy, timesteps), a * noise - (1 - a) * latents)"),
            "The roots are missing, in the noisy latents and in the velocity",
        ),
        (
            _loss(ENCODED + "noisy = (1 - a).sqrt() * latents + a.sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "In the noisy latents signal and noise are swapped",
        ),
        (
            _loss(ENCODED + "return F.mse_loss(network(latents, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "The network is shown the clean latents",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents, reduction='sum')"),
            "You summed over everything",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.l1_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "You took the absolute error",
        ),
        (
            _loss(ENCODED.replace(".view(-1, 1, 1, 1)", "") + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "lies along the *last* axis",
        ),
        (
            _loss("with torch.no_grad():\n    latents = (encode(images) * scaling_factor).clamp(-1, 1)\na = alphas_cumprod[timesteps].view(-1, 1, 1, 1)\nnoisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "You clamp the latents",
        ),
        (
            _loss("with torch.no_grad():\n    latents = encode(images * scaling_factor)\na = alphas_cumprod[timesteps].view(-1, 1, 1, 1)\nnoisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "You scale the pictures, before",
        ),
        (
            _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps / len(alphas_cumprod)), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
            "You tell the network t / T",
        ),
        (_asked(".view(-1, 1, 1, 1)", ".view(-1, 1)"), "lies along the *height*"),
        (_asked(".view(-1, 1, 1, 1)", "[:, None]"), "lies along the *height*"),
        (_asked(".view(-1, 1, 1, 1)", ".view(-1, 1, 1)"), "lies along the *channels*"),
        (_asked(".view(-1, 1, 1, 1)", ".view(1, -1, 1, 1)"), "lies along the *channels*"),
        (_asked("[timesteps].view(-1, 1, 1, 1)", "[timesteps[0]]"), "noised by the first one's time"),
        (_asked("[timesteps]", "[timesteps - 1]"), "one time off"),
        (_asked("[timesteps]", "[timesteps + 1]"), "one time off"),
        (_asked("alphas_cumprod[", "alphas_cumprod.cumprod(0)["), "running product once more"),
        (_asked(".view(-1, 1, 1, 1)", ".view(-1, 1, 1, 1).sqrt()"), "One root too many"),
        (_asked("noisy = a.sqrt() * latents + (1 - a).sqrt()", "noisy = a.sqrt() * latents + (1 - a)"), "the root of the whole"),
        (_asked("noisy = a.sqrt() * latents + (1 - a).sqrt()", "noisy = a.sqrt() * latents + (1 - a.sqrt())"), "the root of the whole"),
        (_asked("latents + (1", "latents - (1"), "the noise is subtracted"),
        (_asked("velocity = a.sqrt() * noise - (1 - a).sqrt() * latents", "velocity = a.sqrt() * latents - (1 - a).sqrt() * noise"), "latents and noise are exchanged"),
        (_asked("noise - (1 - a).sqrt() * latents", "noise - (1 - a).sqrt() * noisy"), "the velocity of the noisy latents"),
        (_asked("* scaling_factor", "* scaling_factor * scaling_factor"), "scaled twice"),
        (_asked("latents = encode(images) * scaling_factor", "latents = encode(images)\n    latents = latents / latents.std()"), "a scale of your own"),
        (_asked("a = alphas", "noise = noise * scaling_factor\na = alphas"), "You scale the noise as well"),
        (
            _loss((ENCODED.replace(" * scaling_factor", "") + ASKED).replace("(noisy,", "(noisy * scaling_factor,")),
            "the velocity holds unscaled latents",
        ),
        (
            _loss((ENCODED.replace(" * scaling_factor", "") + ASKED).replace("noise - (1 - a).sqrt() * latents", "noise - (1 - a).sqrt() * latents * scaling_factor")),
            "The velocity holds scaled latents",
        ),
        (_asked("encode(images)", "encode(images).mean"), "its `.mean` is a function"),
        (_loss("latents = encode(images).mean.detach() * scaling_factor\na = alphas_cumprod[timesteps].view(-1, 1, 1, 1)" + ASKED), "its `.mean` is a function"),
        (
            _loss("latents = encode(images) * scaling_factor\na = alphas_cumprod[timesteps].view(-1, 1, 1, 1)" + ASKED.replace("sqrt() * latents +", "sqrt() * latents.detach() +")),
            "reaches the encoder through the velocity",
        ),
        (
            _loss("latents = encode(images) * scaling_factor\na = alphas_cumprod[timesteps].view(-1, 1, 1, 1)" + ASKED.replace("timesteps), velocity", "timesteps), velocity.detach()")),
            "reaches the encoder through the noisy latents",
        ),
        (_asked("noisy, timesteps", "noisy, alphas_cumprod[timesteps]"), "alphas_cumprod[timesteps] in place of the time"),
        (_asked("noisy, timesteps", "noisy, 1 - alphas_cumprod[timesteps]"), "how much noise there is"),
        (_asked("noisy, timesteps", "noisy, torch.zeros_like(timesteps)"), "You tell the network time 0"),
        (_asked("noisy, timesteps", "noisy, torch.ones_like(timesteps)"), "the values are not"),  # no mistake that was not made
        (_asked("noisy, timesteps", "noisy, timesteps[0].expand(len(images))"), "the first picture's time for all"),
        (_asked("noisy, timesteps", "noisy, timesteps + 1"), "You tell the network t + 1"),
        (_asked("noisy, timesteps", "noisy, timesteps - 1"), "You tell the network t - 1"),
        (_asked("noisy, timesteps", "noisy, len(alphas_cumprod) - timesteps"), "the time that is left"),
        (_asked("noisy, timesteps", "noisy, timesteps[:, None]"), "You give the times a second axis"),
        (_asked("return F", "return 0.5 * F"), "a factor 1/2 too many"),
        (_asked("return F.mse_loss(network(noisy, timesteps), velocity)", "return (network(noisy, timesteps) - velocity).square().mean((1, 2, 3))"), "a loss for each picture"),
        (_asked("return F.mse_loss(network(noisy, timesteps), velocity)", "return (network(noisy, timesteps) - velocity).mean()"), "The square is missing"),
    ],
    "join": [
        (_join("raise NotImplementedError()"), "This is not written yet"),
        (_join("return torch.cat([latents, condition], dim=1)"), "The condition keeps its own size"),
        (
            _join("small = F.interpolate(condition, size=latents.shape[-2:], mode='area')\nreturn torch.cat([small, latents], dim=1)"),
            "The condition stands first",
        ),
        (
            _join("large = F.interpolate(latents, size=condition.shape[-2:], mode='area')\nreturn torch.cat([large, condition], dim=1)"),
            "You bring the latents to the condition's size",
        ),
        (
            _join("small = F.interpolate(condition, size=latents.shape[-2:], mode='area')\nreturn torch.cat([latents, small])"),
            "You joined along the batch",
        ),
        (
            _join("small = F.adaptive_avg_pool2d(condition, latents.shape[-2:])\nreturn torch.cat([latents, small], dim=-1)"),
            "You joined along the width",
        ),
        (
            _join("small = F.interpolate(condition, size=latents.shape[-2:])\nreturn torch.cat([latents, small], dim=1)"),
            "You took the nearest pixel",
        ),
        (
            _join("small = F.interpolate(condition, size=latents.shape[-2:], mode='bilinear', align_corners=False)\nreturn torch.cat([latents, small], dim=1)"),
            "Bilinear interpolation looks at the four pixels",
        ),
        (
            _join("small = F.interpolate(condition, size=latents.shape[-2:], mode='bilinear', antialias=True)\nreturn torch.cat([latents, small], dim=1)"),
            "With antialias",
        ),
        (
            _join("small = F.adaptive_max_pool2d(condition, latents.shape[-2:])\nreturn torch.cat([latents, small], dim=1)"),
            "You took the largest value",
        ),
        (
            _join("small = F.adaptive_avg_pool2d(condition, latents.shape[-2:])\nreturn latents + small"),
            "You added the condition",
        ),
        (
            _join("h, w = latents.shape[-2:]\nsmall = condition[..., :h, :w]\nreturn torch.cat([latents, small], dim=1)"),
            "You cut out a corner",
        ),
        (
            _join("small = condition.reshape(condition.shape[0], -1, *latents.shape[2:])\nreturn torch.cat([latents, small], dim=1)"),
            "reshape does not make a picture smaller",
        ),
        (
            _join("small = F.adaptive_avg_pool2d(condition, latents.shape[-2:]).argmax(dim=1, keepdim=True).float()\nreturn torch.cat([latents, small], dim=1)"),
            "one channel with the number of the label",
        ),
        (
            _join("small = F.adaptive_avg_pool2d(condition, latents.shape[-2:])\nreturn torch.cat([latents, (small > 0.5).float()], dim=1)"),
            "You rounded the shares",
        ),
        (
            _join("small = F.adaptive_avg_pool2d(condition, latents.shape[-2:])\nreturn latents, small"),
            "You return the two apart",
        ),
        (
            _join("return F.adaptive_avg_pool2d(condition, latents.shape[-2:])"),
            "This is the resized condition alone",
        ),
        (_sized("F.interpolate(condition, (h, w), mode='nearest-exact')"), "You took the pixel in the middle"),
        (_sized("F.interpolate(condition, (w, h), mode='area')"), "The size does not fit"),
        (_sized("F.interpolate(condition, latents.shape[-1], mode='area')"), "The size does not fit"),
        (_sized("F.interpolate(condition, scale_factor=w / condition.shape[-1], mode='area')"), "The size does not fit"),
        (_sized("F.avg_pool2d(condition, condition.shape[-1] // w)"), "Blocks of a whole number of pixels"),
        (
            _sized("F.avg_pool2d(condition, condition.shape[-1] // w) if condition.shape[-1] > w else F.interpolate(condition, (h, w))"),
            "Blocks of a whole number of pixels",
        ),
        (
            _sized("F.avg_pool2d(condition, (condition.shape[-2] // h, condition.shape[-1] // w)) if condition.shape[-1] > w else condition.repeat_interleave(h // condition.shape[-2], 2).repeat_interleave(w // condition.shape[-1], 3)"),
            "Blocks of a whole number of pixels",
        ),
        (
            _join("""
h, w = latents.shape[-2:]
if condition.shape[-1] >= w:
    condition = condition.unflatten(3, (w, -1)).unflatten(2, (h, -1)).mean((3, 5))
else:
    condition = condition.repeat_interleave(h // condition.shape[-2], 2).repeat_interleave(w // condition.shape[-1], 3)
return torch.cat([latents, condition], dim=1)
"""),
            "Blocks of a whole number of pixels",
        ),
        (
            _sized("F.interpolate(condition, (h, w), mode='area' if condition.shape[-1] >= w else 'bilinear')"),
            "You enlarge a smaller condition bilinearly",
        ),
        (_sized("F.interpolate(condition, (h, w), mode='area').clamp(0, 1)"), "the values are not"),  # in one case only, and not for its size
        (_join("return torch.stack([latents, F.adaptive_avg_pool2d(condition, latents.shape[2:])], dim=1)"), "torch.stack makes a new axis"),
        (_join("return [latents, F.adaptive_avg_pool2d(condition, latents.shape[2:])]"), "as a list"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "latent_scale": [
        _scale("return 1 / latents.std()"),
        _scale("return latents.flatten().std(unbiased=False).reciprocal()"),
        _scale("centred = latents - latents.mean()\nreturn torch.rsqrt(centred.square().mean())"),
        _scale("variance = (latents ** 2).mean() - latents.mean() ** 2\nreturn variance ** -0.5"),
    ],
    "cross_attention": [
        _attention(QKV + "return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)"),
        _attention(QKV + "w = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(d), dim=-1)\nreturn (w @ v).transpose(1, 2).reshape(batch, n, width)"),
        _attention("""
answers = []
for q, k, v in zip((tokens @ to_q).chunk(num_heads, -1), (context @ to_k).chunk(num_heads, -1), (context @ to_v).chunk(num_heads, -1)):
    scores = torch.einsum("bnd,bmd->bnm", q, k) * q.shape[-1] ** -0.5
    answers.append(torch.einsum("bnm,bmd->bnd", scores.softmax(-1), v))
return torch.cat(answers, dim=-1)
"""),
        _attention("""
q, k, v = tokens @ to_q, context @ to_k, context @ to_v
q, k, v = (x.unflatten(-1, (num_heads, -1)) for x in (q, k, v))
scores = torch.einsum("bnhd,bmhd->bhnm", q, k) / q.shape[-1] ** 0.5
scores = scores - scores.amax(-1, keepdim=True)
weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
return torch.einsum("bhnm,bmhd->bnhd", weights, v).flatten(2)
"""),
    ],
    "loss_of_two_networks": [
        "from course_utils.checks.diffusion.latent import latent_loss",  # what the notebook gives to whoever is stuck
        _loss(ENCODED + "noisy = a.sqrt() * latents + (1 - a).sqrt() * noise\nreturn F.mse_loss(network(noisy, timesteps), a.sqrt() * noise - (1 - a).sqrt() * latents)"),
        _loss("""
latents = scaling_factor * encode(images).detach()
signal, rate = alphas_cumprod.sqrt()[timesteps], (1 - alphas_cumprod).sqrt()[timesteps]
signal, rate = signal[:, None, None, None], rate[:, None, None, None]
error = network(signal * latents + rate * noise, timesteps) - (signal * noise - rate * latents)
return error.pow(2).mean()
"""),
        _loss("""
a = alphas_cumprod[timesteps].reshape(len(images), 1, 1, 1)
with torch.no_grad():
    latents = encode(images).mul(scaling_factor)
    noisy = a ** 0.5 * latents + (1 - a) ** 0.5 * noise
    velocity = (noise - (1 - a) ** 0.5 * noisy) / a ** 0.5
return torch.mean((velocity - network(noisy, timesteps)) ** 2)
"""),
        _loss("""
latents = encode(images.detach())
latents = latents.detach() * scaling_factor
angle = torch.acos(alphas_cumprod[timesteps].sqrt())[:, None, None, None]
noisy = angle.cos() * latents + angle.sin() * noise
return F.mse_loss(network(noisy, timesteps), angle.cos() * noise - angle.sin() * latents)
"""),
    ],
    "join": [
        _join('return torch.cat([latents, F.interpolate(condition, latents.shape[2:], mode="area")], dim=1)'),
        _join("return torch.cat((latents, F.adaptive_avg_pool2d(condition, latents.shape[-2:])), 1)"),
        _sized("F.interpolate(condition, scale_factor=(h / condition.shape[2], w / condition.shape[3]), mode='area')"),
        _join("""
joined = latents.new_empty(len(latents), latents.shape[1] + condition.shape[1], *latents.shape[2:])
joined[:, : latents.shape[1]] = latents
joined[:, latents.shape[1] :] = F.adaptive_avg_pool2d(condition, latents.shape[2:])
return joined
"""),
    ],
}  # fmt: skip
