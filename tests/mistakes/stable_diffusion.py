"""The bank of notebook stable_diffusion: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def prediction_of_a_network(weight, noisy, timesteps, context, empty_context, guidance_scale):
    def network(noisy, timesteps, context):
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10, context.flatten(1)], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return guided_prediction(network, noisy, timesteps, context, empty_context, guidance_scale)
"""


def _function(signature: str, body: str) -> str:
    """The source of a function from its signature and its lines."""
    return f"\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.strip().split("\n"))


def _dropout(body: str) -> str:
    return _function("caption_dropout(input_ids, empty_ids, uniform, probability)", body)


ROWS = "gone = (uniform < probability)[:, None]\n"


def _guided(body: str) -> str:
    return _function("guided_prediction(network, noisy, timesteps, context, empty_context, guidance_scale)", body)


BOTH = """
empty = empty_context.expand_as(context)
both = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([context, empty]))
with_text, without = both.chunk(2)
"""
GUIDED = "return without + guidance_scale * (with_text - without)"


def _negative(body: str) -> str:
    return _function("with_negative(unconditional, positive, negative, guidance_scale, negative_scale)", body)


ADDED = "towards, away = positive - unconditional, negative - unconditional\n"


def _start(body: str) -> str:
    return _function("image_to_image_start(latents, noise, timesteps, alphas_cumprod, strength)", body)


LEFT = "count = int(strength * len(timesteps))\nleft = timesteps[len(timesteps) - count:]\n"
RATE = LEFT + "a = alphas_cumprod[left[0]]\n"
NOISED = "return a.sqrt() * latents + (1 - a).sqrt() * noise, left"


def _inpaint(body: str) -> str:
    return _function("inpainting_step(noisy, known, mask, noise, timestep, alphas_cumprod)", body)


GRID = "grid = F.adaptive_max_pool2d(mask, noisy.shape[2:])\n"
LEVEL = (
    GRID
    + """
a = alphas_cumprod[timestep] if timestep >= 0 else torch.ones_like(alphas_cumprod[0])
put = a.sqrt() * known + (1 - a).sqrt() * noise
"""
)
PUT = "return grid * noisy + (1 - grid) * put"


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "caption_dropout": [
        (_dropout("raise NotImplementedError()"), "This is not written yet"),
        (_dropout("return torch.where((uniform > probability)[:, None], empty_ids, input_ids)"), "You drop the others"),
        (_dropout("return torch.where((uniform < probability)[:, None], input_ids, empty_ids)"), "You drop the others"),
        (_dropout("return torch.where((uniform <= probability)[:, None], empty_ids, input_ids)"), "where a number *equals* the probability"),
        (_dropout("return torch.where((uniform > 1 - probability)[:, None], empty_ids, input_ids)"), "above 1 - probability"),
        (_dropout("return torch.where(uniform < probability, empty_ids, input_ids)"), "lies along the *tokens*"),
        (_dropout("return torch.where((uniform < probability).any(), empty_ids, input_ids)"), "you drop all of them"),
        (_dropout("return empty_ids.expand_as(input_ids).clone() if (uniform < probability).any() else input_ids"), "you drop all of them"),
        (_dropout("return empty_ids.expand_as(input_ids).clone() if uniform[0] < probability else input_ids"), "The first caption's number decides"),
        (_dropout("return torch.where((uniform < 0.5)[:, None], empty_ids, input_ids)"), "The probability has no effect"),
        (_dropout("return torch.where(uniform.round().bool()[:, None], input_ids, empty_ids)"), "The probability has no effect"),
        (
            _dropout("""
ids = input_ids.clone()
ids[uniform.argsort()[: int(probability * len(uniform))]] = empty_ids
return ids
"""),
            "You drop a fixed number",
        ),
        (_dropout("return input_ids * (uniform >= probability)[:, None]"), "You put zeros in the place"),
        (_dropout(ROWS + "return input_ids.masked_fill(gone, 0)"), "You put zeros in the place"),
        (_dropout(ROWS + "return input_ids.masked_fill(gone, int(empty_ids[0]))"), "the first token of the empty prompt"),
        (_dropout(ROWS + "return input_ids.masked_fill(gone, int(empty_ids[-1]))"), "the last token of the empty prompt"),
        (_dropout("ids = input_ids.clone()\nids[uniform < probability, 0] = empty_ids[0]\nreturn ids"), "Only the first token is replaced"),
        (_dropout("ids = input_ids.clone()\nids[uniform < probability, 1:] = empty_ids[1:]\nreturn ids"), "The caption's first token stays"),
        (_dropout(ROWS + "return torch.where(gone, input_ids.roll(1, 0), input_ids)"), "the caption of another picture"),
        (_dropout(ROWS + "return torch.where(gone, empty_ids.flip(0), input_ids)"), "stands there backwards"),
        (_dropout("return empty_ids.repeat(len(input_ids), 1)"), "You drop every caption"),
        (_dropout("ids = input_ids.clone()\nids[uniform < probability] = empty_ids\nreturn input_ids"), "No caption is dropped"),
        (_dropout("return input_ids[uniform >= probability]"), "You take the captions out of the batch"),
        (_dropout("return uniform < probability"), "This says which captions are dropped"),
        (_dropout(ROWS + "return torch.where(gone, empty_ids, input_ids), gone[:, 0]"), "You return the mask as well"),
        (
            _dropout("keep = (uniform >= probability)[:, None].float()\nreturn keep * input_ids + (1 - keep) * empty_ids"),
            "no whole numbers any more",
        ),
        (
            _dropout("gone = torch.rand(len(input_ids), 1) < probability\nreturn torch.where(gone, empty_ids, input_ids)"),
            "draws random numbers of its own",
        ),
        (_dropout("input_ids[uniform < probability] = empty_ids\nreturn input_ids"), "changes `input_ids` in place"),
        (_dropout("return torch.where((uniform < 0.1)[:, None], empty_ids, input_ids)"), "you drop a tenth"),
        (_dropout("return empty_ids if uniform < probability else input_ids"), "`if` wants one yes or no"),
        (_dropout(ROWS + "return torch.where(gone, empty_ids[:, None], input_ids)"), "stands upright"),
        (_dropout(ROWS + "return input_ids.masked_fill(gone, empty_ids)"), "masked_fill puts one number"),
        (_dropout("ids = input_ids.clone()\nids[uniform < probability, :-1] = empty_ids[:-1]\nreturn ids"), "The caption's last token stays"),
        (_dropout("ids = input_ids.clone()\nids[uniform < probability, 1:-1] = empty_ids[1:-1]\nreturn ids"), "first and last token stay"),
        (_dropout(ROWS + "return input_ids + gone.long() * empty_ids"), "You add the empty prompt's ids"),
    ],
    "prediction_of_a_network": [
        (_guided("raise NotImplementedError()"), "This is not written yet"),
        (_guided(BOTH + "return with_text + guidance_scale * (without - with_text)"), "leads *away* from the text"),
        (_guided(BOTH.replace("[context, empty]", "[empty, context]") + GUIDED), "leads *away* from the text"),
        (_guided(BOTH + "return with_text + guidance_scale * (with_text - without)"), "You start at the answer *with* the text"),
        (_guided(BOTH + "return (1 + guidance_scale) * with_text - guidance_scale * without"), "You start at the answer *with* the text"),
        (_guided(BOTH + "return without + (guidance_scale - 1) * (with_text - without)"), "Your scale is 1 too small"),
        (_guided(BOTH + "return guidance_scale * (with_text - without)"), "You return the difference alone"),
        (_guided(BOTH + "return without + guidance_scale * with_text"), "You add the whole answer"),
        (_guided(BOTH + "return without + guidance_scale * with_text - without"), "never use the other, or it cancels"),
        (_guided("return guidance_scale * network(noisy, timesteps, context)"), "never use the other, or it cancels"),
        (_guided("return network(noisy, timesteps, context)"), "this is the answer with the text"),
        (_guided(BOTH + "return without"), "this is the answer without the text"),
        (_guided(BOTH + "return (with_text + guidance_scale * without) / (1 + guidance_scale)"), "You take a weighted mean of the two"),
        (_guided(BOTH + "return (without + guidance_scale * with_text) / (1 + guidance_scale)"), "weighted by 1 and guidance_scale"),
        (_guided(BOTH + "return without - guidance_scale * (with_text - without)"), "The sign is wrong"),
        (_guided(BOTH + "return torch.lerp(without, with_text, min(guidance_scale, 1.0))"), "You keep the scale below 1"),
        (_guided(BOTH + "return (without + guidance_scale * (with_text - without)).clamp(-1, 1)"), "You clamp the answer"),
        (
            _guided(BOTH + """
guided = without + guidance_scale * (with_text - without)
return guided * (with_text.std((1, 2, 3), keepdim=True) / guided.std((1, 2, 3), keepdim=True))
"""),
            "back to its old standard deviation",
        ),
        (_guided(BOTH + "return with_text, without"), "You return both answers"),
        (_guided(BOTH + "return both"), "twice as many answers"),
        (_guided("return network(noisy, timesteps, empty_context + guidance_scale * (context - empty_context))"), "You exaggerate the *context*"),
        (
            _guided("""
with_text = network(noisy, timesteps, context)
without = network(noisy, timesteps, torch.zeros_like(context))
""" + GUIDED),
            "You take zeros for",
        ),
        (
            _guided("""
with_text = network(noisy, timesteps, context)
without = network(noisy, timesteps, context.mean(0, keepdim=True).expand_as(context))
""" + GUIDED),
            "You take the mean of the contexts",
        ),
        (_guided(BOTH.replace("[context, empty]", "[context, context.roll(1, 0)]") + GUIDED), "*another* picture's text"),
        (_guided(BOTH.replace("[timesteps, timesteps]", "[timesteps, 0 * timesteps]") + GUIDED), "you ask about another time"),
        (_guided(BOTH.replace("[noisy, noisy]", "[noisy, torch.zeros_like(noisy)]") + GUIDED), "you show the network no latents"),
        (
            _guided("with_text = network(noisy, timesteps, context)\nwithout = network(noisy, timesteps, empty_context)\n" + GUIDED),
            "different numbers of latents, times and contexts",
        ),
        (_guided(BOTH.replace("empty_context.expand_as(context)", "empty_context") + GUIDED), "different numbers of latents, times and contexts"),
        (_guided(BOTH.replace("torch.cat([timesteps, timesteps])", "timesteps") + GUIDED), "different numbers of latents, times and contexts"),
        (_guided("both = network(noisy, timesteps, torch.cat([context, empty_context.expand_as(context)], dim=1))\nwith_text, without = both.chunk(2)\n" + GUIDED), "joined the two contexts along the tokens"),
        (
            _guided("""
empty = empty_context.expand_as(context)
both = network(noisy.repeat_interleave(2, 0), timesteps.repeat_interleave(2), torch.cat([context, empty]))
with_text, without = both.chunk(2)
""" + GUIDED),
            "repeat_interleave(2) puts each",
        ),
        (_guided(BOTH.replace("both.chunk(2)", "both[::2], both[1::2]") + GUIDED), "You take every other answer"),
        (
            _guided("""
with_text = network(noisy, context, timesteps)
without = network(noisy, empty_context.expand_as(context), timesteps)
""" + GUIDED),
            "Times and context are swapped",
        ),
        (_guided(BOTH + "return with_text"), "your guided_prediction, which prediction_of_a_network calls"),
        (_guided(BOTH.replace("[context, empty]", "[context, context]") + GUIDED), "did both questions get the same context?"),
        (_guided(BOTH.replace("torch.cat([noisy, noisy])", "noisy") + GUIDED), "different numbers of latents, times and contexts"),
        (_guided("if guidance_scale <= 1:\n    return network(noisy, timesteps, context)\n" + BOTH + GUIDED), "wrong only with guidance_scale 0"),
        (_guided(BOTH + "if not guidance_scale:\n    return with_text\n" + GUIDED), "wrong only with guidance_scale 0"),
        (_guided(BOTH.replace("torch.cat([timesteps, timesteps])", "timesteps.repeat_interleave(2)") + GUIDED), "puts each of the times beside its double"),
        (_guided(BOTH.replace("torch.cat([timesteps, timesteps])", "timesteps[:1].expand(2 * len(noisy))") + GUIDED), "the first picture's time for all"),
        (_guided(BOTH + "return both[1] + guidance_scale * (both[0] - both[1])"), "the first two answers"),
        (_guided(BOTH.replace("chunk(2)", "chunk(2, dim=1)") + GUIDED), "You cut along the channels"),
        (_guided(BOTH + "return without + 7.5 * (with_text - without)"), "you always take 7.5"),
        (_guided(BOTH + "return guidance_scale * with_text + without - with_text"), "are brackets missing?"),
        (_guided(BOTH + "return noisy + guidance_scale * (with_text - without)"), "You start at the latents"),
    ],
    "with_negative": [
        (_negative("raise NotImplementedError()"), "This is not written yet"),
        (_negative(ADDED + "return unconditional + guidance_scale * towards + negative_scale * away"), "The negative prompt is *added*"),
        (_negative(ADDED + "return unconditional + guidance_scale * towards - negative_scale * negative"), "You subtract the whole answer"),
        (_negative("return unconditional + guidance_scale * positive - negative_scale * negative"), "You scale whole answers"),
        (_negative("return unconditional + guidance_scale * (positive - negative)"), "guidance_scale stands at both"),
        (_negative("return negative + guidance_scale * (positive - negative)"), "in the place of the empty one"),
        (_negative(ADDED + "return unconditional + guidance_scale * towards"), "The negative prompt has no effect"),
        (_negative(ADDED + "return unconditional - negative_scale * away"), "The prompt has no effect"),
        (_negative(ADDED + "return unconditional + guidance_scale * (towards - away)"), "guidance_scale stands at both"),
        (_negative(ADDED + "return unconditional + negative_scale * towards - guidance_scale * away"), "The two scales are swapped"),
        (_negative(ADDED + "return unconditional + guidance_scale * away - negative_scale * towards"), "The two prompts are swapped"),
        (_negative(ADDED + "return guidance_scale * towards - negative_scale * away"), "You return the change alone"),
        (_negative(ADDED + "return positive + guidance_scale * towards - negative_scale * away"), "You start at the answer for the prompt"),
        (_negative(ADDED + "return negative + guidance_scale * towards - negative_scale * away"), "You start at the answer for the negative prompt"),
        (_negative(ADDED + "return unconditional + (guidance_scale - negative_scale) * towards"), "You make the step towards the prompt shorter"),
        (_negative(ADDED + "return unconditional + guidance_scale * towards - negative_scale * (negative - positive)"), "seen from the prompt"),
        (_negative("return unconditional + guidance_scale * (positive - negative_scale * negative - unconditional)"), "stands inside the brackets of the other"),
        (_negative(ADDED + "return unconditional + guidance_scale * (towards - negative_scale * away)"), "so that both scales multiply"),
        (_negative("total = 1 + guidance_scale - negative_scale\nreturn (unconditional + guidance_scale * positive - negative_scale * negative) / total"), "You take a weighted mean"),
        (_negative(ADDED + "return positive + (guidance_scale - 1) * towards - unconditional + unconditional - negative_scale * away - towards"), "guidance_scale is 1 too small"),
        (_negative(ADDED + "return (unconditional + guidance_scale * towards - negative_scale * away).clamp(-1, 1)"), "You clamp the answer"),
        (_negative(ADDED + "unconditional += guidance_scale * towards - negative_scale * away\nreturn unconditional"), "changes `unconditional` in place"),
        (_negative(ADDED + "return unconditional + guidance_scale * towards - negative_scale * negative - unconditional"), "Brackets are missing"),
        (_negative(ADDED + "return unconditional + guidance_scale * positive - negative_scale * away"), "You add the whole answer for the prompt"),
        (_negative(ADDED + "return unconditional + guidance_scale * (positive - negative) - negative_scale * away"), "seen from the negative one"),
        (_negative(ADDED + "return unconditional + guidance_scale * -towards - negative_scale * -away"), "Both differences are turned"),
        (_negative(ADDED + "return unconditional + guidance_scale * towards - away"), "negative_scale has no effect"),
        (_negative(ADDED + "return positive - negative_scale * away"), "guidance_scale has no effect"),
        (_negative("return (1 - guidance_scale - negative_scale) * unconditional + guidance_scale * positive - negative_scale * negative"), "factor has a wrong sign"),
        (_negative(ADDED + "guided = unconditional + guidance_scale * towards\nreturn guided - negative_scale * (negative - guided)"), "guided already"),
        (_negative("guided = torch.lerp(unconditional, positive, guidance_scale)\nreturn torch.lerp(guided, negative, -negative_scale)"), "guided already"),
    ],
    "image_to_image_start": [
        (_start("raise NotImplementedError()"), "This is not written yet"),
        (_start(RATE.replace("int(strength", "int((1 - strength)").replace("* len(timesteps))\n", "* len(timesteps)) or 1\n", 1) + NOISED), "Strength is turned"),
        (_start(RATE.replace("int(strength", "math.ceil(strength") + NOISED), "the number of steps *taken* is rounded down"),
        (_start("left = timesteps[int((1 - strength) * len(timesteps)):]\na = alphas_cumprod[left[0]]\n" + NOISED), "the number of steps *skipped* takes one more"),
        (_start(RATE.replace("int(strength", "round(strength") + NOISED), "to the nearest whole number"),
        (_start(RATE.replace("* len(timesteps))\n", "* len(timesteps)) + 1\n", 1).replace("[len(timesteps) - count:]", "[-count:]") + NOISED), "You take one step too many: int"),
        (_start(RATE.replace("- count:]", "- count + 1:]") + NOISED), "You take one step too few"),
        (_start(RATE.replace("[len(timesteps) - count:]", "[:count]") + NOISED), "You take the *first* steps"),
        (_start(RATE.replace("left[0]", "timesteps[0]") + NOISED), "for the first of *all* times"),
        (_start(RATE.replace("left[0]", "left.max()").replace("left.max()", "timesteps.max()") + NOISED), "for the first of *all* times"),
        (_start(RATE.replace("left[0]", "left[-1]") + NOISED), "for the last time, with hardly any noise"),
        (_start(RATE.replace("left[0]", "timesteps[max(0, len(timesteps) - count - 1)]") + NOISED), "for the time *before* the first"),
        (_start(RATE.replace("left[0]", "left[1:2][0] if len(left) > 1 else left[0]").replace("left[1:2][0] if len(left) > 1 else left[0]", "left[min(1, len(left) - 1)]") + NOISED), "for the time *after* the first"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * noise, left[1:]"), "is not among those that are left"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * noise, timesteps"), "You return all times"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * noise, left.flip(0)"), "The times rise"),
        (_start(RATE.replace("left[0]", "len(timesteps) - count") + NOISED), "at the *place* of the step"),
        (_start(RATE.replace("left[0]", "int(strength * len(alphas_cumprod)) - 1") + NOISED), "You noise for time strength * T"),
        (_start(RATE + "return (1 - a).sqrt() * latents + a.sqrt() * noise, left"), "The factors of latents and noise are swapped"),
        (_start(RATE + "return a * latents + (1 - a) * noise, left"), "The roots are missing"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a) * noise, left"), "The noise lacks its root"),
        (_start(RATE + "return latents + (1 - a).sqrt() * noise, left"), "The latents are not faded"),
        (_start(RATE + "return a.sqrt() * latents, left"), "faded but not noisy"),
        (_start(RATE + "return a.sqrt() * latents + noise, left"), "The noise has its full size"),
        (_start(RATE + "return a.sqrt() * latents - (1 - a).sqrt() * noise, left"), "The noise is subtracted"),
        (_start(LEFT + "return latents, left"), "The latents come in clean"),
        (_start(LEFT + "return noise, left"), "You start from pure noise"),
        (_start(LEFT + "return torch.lerp(latents, noise, strength), left"), "You mix by the strength"),
        (_start(LEFT + "return (1 - strength) ** 0.5 * latents + strength ** 0.5 * noise, left"), "by the roots of the strength"),
        (_start(RATE + "return left, a.sqrt() * latents + (1 - a).sqrt() * noise"), "The two are swapped"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * noise"), "You return the latents alone"),
        (_start(RATE + "return left"), "You return the times alone"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * noise, left.tolist()"), "The times are a list"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * noise, count"), "how many steps are left"),
        (_start("alphas_cumprod = alphas_cumprod.cumprod(0)\n" + RATE + NOISED), "the running product once more"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a).sqrt() * torch.randn_like(latents), left"), "draws random numbers of its own"),
        (_start(RATE + "latents *= a.sqrt()\nlatents += (1 - a).sqrt() * noise\nreturn latents, left"), "changes `latents` in place"),
        (_start(RATE + "if strength == 1:\n    return noise, left\n" + NOISED), "With strength 1 you return pure noise"),
        (_start(RATE + "if strength == 1:\n    return noise, left[1:]\n" + NOISED), "wrong only with strength 1"),
        (_start("left = timesteps[: int(strength * len(timesteps))]\na = alphas_cumprod[left[-1]]\n" + NOISED), "noise for the last of them"),
        (_start("left = timesteps[int(strength * len(timesteps)):]\na = alphas_cumprod[left[0]]\n" + NOISED), "Your `left` skips"),
        (_start("left = timesteps[timesteps < strength * len(alphas_cumprod)]\na = alphas_cumprod[left[0]]\n" + NOISED), "the times below strength * T"),
        (_start("left = timesteps[-int(strength * len(alphas_cumprod)):]\na = alphas_cumprod[left[0]]\n" + NOISED), "You take all steps"),
        (_start(RATE.replace("int(strength * len(timesteps))", "strength * len(timesteps)") + NOISED), "must be a whole number"),
        (_start(RATE.replace("left[0]", "left[0] - 1") + NOISED), "one entry too early"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a.sqrt()) * noise, left"), "not 1 - sqrt(a)"),
        (_start(RATE + "return a.sqrt() * latents + (1 - a.sqrt()).sqrt() * noise, left"), "One root too many"),
        (_start(LEFT + "return latents + noise, left"), "You add latents and noise as they are"),
        (_start(LEFT + "return latents + strength * noise, left"), "You scale the noise by the strength"),
        (_start(RATE + NOISED + "[0]"), "Of the times you return only the first"),
        (_start(RATE + NOISED + ".float()"), "no whole numbers any more"),
    ],
    "inpainting_step": [
        (_inpaint("raise NotImplementedError()"), "This is not written yet"),
        (_inpaint(LEVEL + "return grid * put + (1 - grid) * noisy"), "The mask is turned"),
        (_inpaint(LEVEL.replace(GRID, "grid = mask\n") + PUT), "bring it to the grid's size"),
        (_inpaint(LEVEL.replace(GRID, "grid = F.interpolate(mask, noisy.shape[2:])\n") + PUT), "You look at one pixel"),
        (_inpaint(LEVEL.replace(GRID, "grid = F.interpolate(mask, noisy.shape[2:], mode='nearest-exact')\n") + PUT), "You look at one pixel"),
        (_inpaint(LEVEL.replace(GRID, "factor = mask.shape[2] // noisy.shape[2]\ngrid = mask[..., ::factor, ::factor]\n") + PUT), "You look at one pixel"),
        (_inpaint(LEVEL.replace(GRID, "grid = F.interpolate(mask, noisy.shape[2:], mode='bilinear')\n") + PUT), "Bilinear interpolation looks at"),
        (_inpaint(LEVEL.replace(GRID, "grid = F.interpolate(mask, noisy.shape[2:], mode='area')\n") + PUT), "You take the mean of the mask"),
        (_inpaint(LEVEL.replace(GRID, "grid = (F.adaptive_avg_pool2d(mask, noisy.shape[2:]) > 0.5).float()\n") + PUT), "if most of its pixels"),
        (_inpaint(LEVEL.replace(GRID, "keep = F.adaptive_max_pool2d(1 - mask, noisy.shape[2:])\ngrid = 1 - keep\n") + PUT), "only if *all* of its pixels"),
        (_inpaint(LEVEL.replace(GRID, "h, w = noisy.shape[2:]\ngrid = mask[:, :, :h, :w]\n") + PUT), "You cut out a corner"),
        (_inpaint(GRID + "return grid * noisy + (1 - grid) * known"), "The known part comes in clean"),
        (_inpaint(LEVEL.replace("a.sqrt() * known + (1 - a).sqrt()", "a * known + (1 - a)") + PUT), "The roots are missing"),
        (_inpaint(LEVEL.replace("(1 - a).sqrt()", "(1 - a)") + PUT), "The noise lacks its root"),
        (_inpaint(LEVEL.replace(" + (1 - a).sqrt() * noise", "") + PUT), "faded but not noisy"),
        (_inpaint(LEVEL.replace("a.sqrt() * known", "known") + PUT), "The known part is not faded"),
        (_inpaint(LEVEL.replace("a.sqrt() * known + (1 - a).sqrt() * noise", "(1 - a).sqrt() * known + a.sqrt() * noise") + PUT), "The factors of known part and noise are swapped"),
        (_inpaint(LEVEL.replace("known + (1", "known - (1") + PUT), "The noise is subtracted"),
        (_inpaint(LEVEL.replace(" if timestep >= 0 else torch.ones_like(alphas_cumprod[0])", "") + PUT), "the index -1 fetches the *last* entry"),
        (_inpaint(LEVEL.replace("if timestep >= 0", "if timestep") + PUT), "`if timestep` asks whether it is not 0"),
        (_inpaint(LEVEL.replace("[timestep] if timestep >= 0", "[timestep - 1] if timestep > 0") + PUT), "You are one level too early"),
        (_inpaint(LEVEL.replace("if timestep >= 0", "if timestep > 0") + PUT), "wrong only at timestep 0"),
        (_inpaint(LEVEL.replace("torch.ones_like(alphas_cumprod[0])", "alphas_cumprod[0]") + PUT), "wrong only at the clean picture"),
        (_inpaint(LEVEL + "return noisy + (1 - grid) * put"), "What the step has drawn is not cut out"),
        (_inpaint(LEVEL + "return grid * noisy + put"), "The known part is not cut out"),
        (_inpaint(LEVEL + "return (1 - grid) * put"), "What is to be painted is 0"),
        (_inpaint(LEVEL + "return put"), "You return the whole picture, noised"),
        (_inpaint(LEVEL + "return noisy"), "You return what came in"),
        (_inpaint(LEVEL + "return grid[0] * noisy + (1 - grid[0]) * put"), "the mask of the first picture for all"),
        (
            _inpaint(LEVEL + "mixed = grid * noisy + (1 - grid) * known\nreturn a.sqrt() * mixed + (1 - a).sqrt() * noise"),
            "You noise the drawn part as well",
        ),
        (_inpaint(LEVEL.replace("* noise", "* noisy") + PUT), "You noise the known part with `noisy`"),
        (_inpaint(LEVEL + "return grid * known + (1 - grid) * put"), "what was to go is given away"),
        (_inpaint(LEVEL.replace("* noise", "* torch.randn_like(noise)") + PUT), "draws random numbers of its own"),
        (_inpaint(LEVEL + "noisy[grid.expand_as(noisy) == 0] = put[grid.expand_as(noisy) == 0]\nreturn noisy"), "changes `noisy` in place"),
        (_inpaint(LEVEL.replace(GRID, "grid = F.max_pool2d(mask, 4)\n") + PUT), "The factor 4 is"),
        (_inpaint(LEVEL.replace(GRID, "grid = mask[:, :, ::4, ::4]\n") + PUT), "The factor 4 is"),
        (_inpaint(LEVEL.replace(GRID, "grid = F.adaptive_max_pool2d(mask, noisy.shape[2])\n") + PUT), "You bring the mask to a square"),
        (_inpaint(LEVEL.replace(GRID, "grid = mask.amax((2, 3), keepdim=True)\n") + PUT), "of which no pixel is to be painted"),
        (_inpaint(LEVEL + "grid = grid.amax(0, keepdim=True)\n" + PUT), "*any* picture's mask"),
        (_inpaint(LEVEL + "return grid * noisy + (1 - grid) * a.sqrt() * known + (1 - a).sqrt() * noise"), "brackets are missing"),
        (_inpaint(LEVEL.replace("(1 - a).sqrt()", "(1 - a.sqrt())") + PUT), "not 1 - sqrt(a)"),
        (_inpaint(LEVEL.replace("alphas_cumprod[timestep] if timestep >= 0 else torch.ones_like(alphas_cumprod[0])", "torch.cat([torch.ones(1), alphas_cumprod])[timestep]") + PUT), "the table is shifted"),
        (_inpaint(LEVEL + "put[grid > 0] = noisy[grid > 0]\nreturn put"), "does not index"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "caption_dropout": [
        _dropout("return torch.where((uniform < probability)[:, None], empty_ids, input_ids)"),
        _dropout("ids = input_ids.clone()\nids[uniform < probability] = empty_ids\nreturn ids"),
        _dropout("keep = (uniform >= probability).long().unsqueeze(1)\nreturn keep * input_ids + (1 - keep) * empty_ids"),
        _dropout("rows = [empty_ids if number < probability else row for row, number in zip(input_ids, uniform)]\nreturn torch.stack(rows)"),
    ],
    "prediction_of_a_network": [
        _guided(BOTH + GUIDED),
        _guided(BOTH + "return torch.lerp(without, with_text, guidance_scale)"),
        _guided("""
without = network(noisy, timesteps, empty_context.repeat(len(noisy), 1, 1))
with_text = network(noisy, timesteps, context)
return (1 - guidance_scale) * without + guidance_scale * with_text
"""),
        _guided("""
contexts = torch.cat([empty_context.expand(context.shape[0], -1, -1), context], dim=0)
without, with_text = network(noisy.repeat(2, 1, 1, 1), timesteps.repeat(2), contexts).chunk(2)
return with_text + (guidance_scale - 1) * (with_text - without)
"""),
        _guided("""
with_text = network(noisy, timesteps=timesteps, context=context)
without = network(noisy, timesteps=timesteps, context=empty_context.expand_as(context))
""" + GUIDED),
    ],
    "with_negative": [
        _negative(ADDED + "return unconditional + guidance_scale * towards - negative_scale * away"),
        _negative("""
rest = 1 - guidance_scale + negative_scale
return rest * unconditional + guidance_scale * positive - negative_scale * negative
"""),
        _negative("""
scales = torch.tensor([guidance_scale, -negative_scale]).view(2, 1, 1, 1, 1)
return unconditional + (scales * (torch.stack([positive, negative]) - unconditional)).sum(0)
"""),
    ],
    "image_to_image_start": [
        _start(RATE + NOISED),
        _start("""
skipped = len(timesteps) - int(len(timesteps) * strength)
left = timesteps[skipped:]
noisy = alphas_cumprod.sqrt()[left[0]] * latents + (1 - alphas_cumprod).sqrt()[left[0]] * noise
return noisy, left
"""),
        _start("""
left = timesteps[-math.floor(strength * len(timesteps)):]
angle = torch.acos(alphas_cumprod[int(left[0])] ** 0.5)
return (angle.cos() * latents + angle.sin() * noise, left)
"""),
    ],
    "inpainting_step": [
        _inpaint(LEVEL + PUT),
        _inpaint("""
factor = mask.shape[-1] // noisy.shape[-1]
painted = F.max_pool2d(mask, factor).bool()
if timestep < 0:
    return torch.where(painted, noisy, known)
a = alphas_cumprod[timestep]
return torch.where(painted, noisy, a ** 0.5 * known + (1 - a) ** 0.5 * noise)
"""),
        _inpaint("""
h, w = noisy.shape[-2:]
grid = mask.unflatten(3, (w, -1)).unflatten(2, (h, -1)).amax((3, 5))
rate = 1.0 if timestep == -1 else float(alphas_cumprod[timestep])
return grid * noisy + (1 - grid) * (math.sqrt(rate) * known + math.sqrt(1 - rate) * noise)
"""),
    ],
}  # fmt: skip
