"""The bank of notebook sampling_and_guidance: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

import textwrap

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def guidance_of_a_network(weight, noisy, timesteps, labels, null_label, guidance_scale):
    def network(noisy, timesteps, labels):
        known = F.one_hot(labels, null_label + 1)
        features = torch.cat([noisy.flatten(1), timesteps[:, None] / 10, known], dim=1)
        return torch.tanh(features @ weight).view_as(noisy)

    return guided_answer(network, noisy, timesteps, labels, null_label, guidance_scale)
"""


def _function(signature: str, body: str) -> str:
    """The source of a function from its signature and its lines."""
    return f"\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.strip().split("\n"))


RATES = """
now = alphas_cumprod[timestep]
after = alphas_cumprod[next_timestep] if next_timestep >= 0 else torch.ones_like(now)
"""
PICTURE = RATES + "images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()\n"
END = "return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise"
VARIANCE = PICTURE + "variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)\n"


def _ddim(body: str) -> str:
    return _function(
        "ddim_step(predicted_noise, noisy, fresh_noise, timestep, next_timestep, alphas_cumprod, eta=0.0)", body
    )


BOTH = """
with_label = network(noisy, timesteps, labels)
without = network(noisy, timesteps, torch.full_like(labels, null_label))
"""
GUIDED = "return without + guidance_scale * (with_label - without)"


def _guided(body: str) -> str:
    return _function("guided_answer(network, noisy, timesteps, labels, null_label, guidance_scale)", body)


LEVEL = """
a = alphas_cumprod[timestep] if timestep >= 0 else torch.ones_like(alphas_cumprod[0])
known = a.sqrt() * images + (1 - a).sqrt() * noise
"""
PUT = "return mask * known + (1 - mask) * noisy"


def _keep(body: str) -> str:
    return _function("keep_known(images, mask, noisy, noise, timestep, alphas_cumprod)", body)


ROOTS = "signal, rate = alphas_cumprod[timestep].sqrt(), (1 - alphas_cumprod[timestep]).sqrt()\n"


def _velocity(body: str) -> str:
    return _function("from_velocity(velocity, noisy, timestep, alphas_cumprod)", body)


def _score(body: str) -> str:
    return _function("score_from_noise(predicted_noise, timestep, alphas_cumprod)", body)


LEAF = """
leaf = noisy.detach().requires_grad_()
log_p = classifier(leaf).log_softmax(dim=1)
"""
GRADIENT = """
leaf = noisy.detach().requires_grad_()
chosen = classifier(leaf).log_softmax(dim=1).gather(1, labels[:, None]).sum()
(gradient,) = torch.autograd.grad(chosen, leaf)
"""
RATE = "rate = (1 - alphas_cumprod[timestep]).sqrt()\n"
STEERED = "return predicted_noise - guidance_scale * rate * gradient"


def _classifier(body: str) -> str:
    return _not_recording("with torch.enable_grad():\n" + textwrap.indent(body, "    "))


def _not_recording(body: str) -> str:
    return _function(
        "classifier_guidance(predicted_noise, noisy, labels, classifier, timestep, alphas_cumprod, guidance_scale)",
        body,
    )


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "ddim_step": [
        (_ddim("raise NotImplementedError()"), "This is not written yet"),
        (
            _ddim("""
now, after = alphas_cumprod[timestep], alphas_cumprod[next_timestep]
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
variance = variance.clamp(min=0)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "the index -1 fetches the *last* entry",
        ),
        (
            _ddim("""
now = alphas_cumprod[timestep]
after = alphas_cumprod[timestep - 1] if timestep > 0 else torch.ones_like(now)
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "You always go to timestep - 1",
        ),
        (
            _ddim(PICTURE + "return after.sqrt() * images + (1 - after).sqrt() * predicted_noise"),
            "eta has no effect: it says how much",
        ),
        (
            _ddim(PICTURE + """
variance = (1 - after) / (1 - now) * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "eta has no effect: this is eta = 1",
        ),
        (
            _ddim(RATES + """
alpha = now / after
images = (noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()
mean = after.sqrt() * (1 - alpha) / (1 - now) * images + alpha.sqrt() * (1 - after) / (1 - now) * noisy
return mean + ((1 - alpha) * (1 - after) / (1 - now)).sqrt() * fresh_noise
"""),
            "eta has no effect: this is eta = 1",
        ),
        (
            _ddim(PICTURE + """
variance = eta * (1 - after) / (1 - now) * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "in the variance it is squared",
        ),
        (
            _ddim(VARIANCE + "return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance * fresh_noise"),
            "multiply the fresh noise by its *variance*",
        ),
        (
            _ddim(PICTURE + """
std = eta * (1 - after) / (1 - now) * (1 - now / after)
return after.sqrt() * images + (1 - after - std**2).sqrt() * predicted_noise + std * fresh_noise
"""),
            "The roots of the formula are missing",
        ),
        (
            _ddim(VARIANCE + "return after.sqrt() * images + (1 - after).sqrt() * predicted_noise + variance.sqrt() * fresh_noise"),
            "The fresh noise comes on top",
        ),
        (
            _ddim(VARIANCE + """
std = variance.sqrt()
return after.sqrt() * images + ((1 - after).sqrt() - std) * predicted_noise + std * fresh_noise
"""),
            "You subtract the standard deviations",
        ),
        (
            _ddim(VARIANCE + "return after.sqrt() * images + (1 - after - variance) * predicted_noise + variance.sqrt() * fresh_noise"),
            "The predicted noise is multiplied by its variance",
        ),
        (
            _ddim(PICTURE + """
variance = eta**2 * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "the factor (1 - a_s) / (1 - a_t) is missing",
        ),
        (
            _ddim(PICTURE + """
variance = eta**2 * (1 - now) / (1 - after) * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "is upside down",
        ),
        (
            _ddim(PICTURE + """
variance = eta**2 * (1 - after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "You make a share eta^2 of all noise",
        ),
        (
            _ddim(PICTURE + "return after.sqrt() * images + (1 - after).sqrt() * fresh_noise"),
            "forget the predicted noise",
        ),
        (
            _ddim(VARIANCE + "return after.sqrt() * images + variance.sqrt() * predicted_noise + (1 - after - variance).clamp(min=0).sqrt() * fresh_noise"),
            "predicted and fresh noise are swapped",
        ),
        (
            _ddim(VARIANCE + "return after.sqrt() * images + (1 - now).sqrt() * predicted_noise + variance.sqrt() * fresh_noise"),
            "nothing is taken away",
        ),
        (
            _ddim(VARIANCE + "return images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise"),
            "The picture is not scaled",
        ),
        (
            _ddim(VARIANCE + "return after * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise"),
            "The picture's factor lacks its root",
        ),
        (
            _ddim(RATES + """
images = noisy - (1 - now).sqrt() * predicted_noise
variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "the *faded* picture",
        ),
        (
            _ddim(RATES + """
images = (noisy + (1 - now).sqrt() * predicted_noise) / now.sqrt()
variance = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "the noise is added once more",
        ),
        (
            _ddim(VARIANCE + """
images = images.clamp(-1, 1)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "You clamp the picture",
        ),
        (_ddim(PICTURE + "return images"), "that is right only where the step ends"),
        (
            _ddim(VARIANCE + """
noise = torch.randn_like(noisy)
return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * noise
"""),
            "draws random numbers of its own",
        ),
        (
            _ddim(VARIANCE + """
noisy -= (1 - now).sqrt() * predicted_noise
noisy *= (after / now).sqrt()
return noisy + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise
"""),
            "changes `noisy` in place",
        ),
        (_ddim(VARIANCE.replace(">= 0", "> 0") + END), "wrong only at timestep 0. That is the least noisy level"),
        (_ddim(VARIANCE.replace("if next_timestep >= 0", "if next_timestep") + END), "`if timestep` asks whether it is not 0"),
        (_ddim(VARIANCE.replace(" if next_timestep >= 0 else torch.ones_like(now)", "") + END), "the index -1 fetches the *last* entry"),
        (_ddim(VARIANCE.replace("else torch.ones_like(now)", "else alphas_cumprod[0]") + END), "There a_s is 1"),
        (_ddim(VARIANCE + "if next_timestep < 0:\n    return noisy\n" + END), "There a_s is 1"),
        (_ddim(VARIANCE + "if next_timestep < 0:\n    return images.clamp(-1, 1)\n" + END), "There a_s is 1"),
        (_ddim(VARIANCE.replace("torch.ones_like(now)", "1.0") + END), "A plain number has no .sqrt()"),
        (_ddim(VARIANCE.replace("[timestep]", "[timestep if timestep > 0 else 1]") + END), "where the step begins at timestep 0"),
        (_ddim(VARIANCE.replace("[timestep]", "[timestep - 1]") + END), "taken for one of level timestep - 1"),
        (_ddim(VARIANCE.replace("[next_timestep]", "[next_timestep + 1]") + END), "You end one level too early"),
        (_ddim(VARIANCE.replace("[next_timestep]", "[timestep - 1]") + END), "This step may be of any length"),
        (_ddim(VARIANCE.replace("(1 - after) / (1 - now) * ", "") + END.replace("variance)", "variance).clamp(min=0)")), "the ancestral chain's larger variance"),
        (_ddim(VARIANCE.replace(" * (1 - now / after)", "") + END), "the factor 1 - a_t / a_s is missing"),
        (_ddim(VARIANCE.replace(" * (1 - now / after)", "") + END.replace("variance)", "variance).clamp(min=0)")), "the factor 1 - a_t / a_s is missing"),
        (_ddim(VARIANCE.replace("now / after", "after / now") + END), "a_t / a_s is upside down"),
        (_ddim(VARIANCE.replace("eta**2", "(eta > 0)") + END), "eta is no switch"),
        (_ddim(VARIANCE + END.replace("variance.sqrt() * fresh", "(variance / eta**2 if eta else (1 - after) / (1 - now) * (1 - now / after)).sqrt() * fresh")), "its full size whatever eta is"),
        (_ddim(VARIANCE + END.replace("variance.sqrt() * fresh", "eta * fresh")), "by eta alone"),
        (
            _ddim(VARIANCE + """
mean = after.sqrt() * (1 - now / after) / (1 - now) * images + (now / after).sqrt() * (1 - after) / (1 - now) * noisy
return mean + variance.sqrt() * fresh_noise
"""),
            "as in the mean of the ancestral step",
        ),
        (_ddim(VARIANCE + END.replace("(1 - after - variance).sqrt()", "(1 - eta) * (1 - after).sqrt()")), "keeps a share 1 - eta"),
        (_ddim(PICTURE + "return after.sqrt() * images + (1 - after).sqrt() * ((1 - eta) * predicted_noise + eta * fresh_noise)"), "You blend predicted and fresh noise"),
        (_ddim(VARIANCE + END.replace("predicted_noise", "fresh_noise")), "Fresh noise stands in both places"),
        (_ddim(VARIANCE + END.replace("- variance)", "- variance.sqrt())")), "subtract the standard deviation of the fresh noise"),
        (_ddim(VARIANCE + END.replace("- variance)", "- variance.sqrt()).clamp(min=0)")), "subtract the standard deviation of the fresh noise"),
        (_ddim(VARIANCE + END.replace("1 - after - variance", "1 - now - variance")), "Under the root stands a_t"),
        (
            _ddim(VARIANCE.replace("(noisy - (1 - now).sqrt() * predicted_noise) / now.sqrt()", "(noisy - (1 - after).sqrt() * predicted_noise) / after.sqrt()") + END),
            "You compute the picture with a_s",
        ),
    ],
    "guidance_of_a_network": [
        (_guided("raise NotImplementedError()"), "This is not written yet"),
        (_guided(BOTH + "return with_label + guidance_scale * (without - with_label)"), "leads *away* from the label"),
        (
            _guided("""
nothing = torch.full_like(labels, null_label)
both = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([labels, nothing]))
without, with_label = both.chunk(2)
return without + guidance_scale * (with_label - without)
"""),
            "leads *away* from the label",
        ),
        (_guided(BOTH + "return with_label + guidance_scale * (with_label - without)"), "You start at the answer *with* the label"),
        (_guided(BOTH + "return (1 + guidance_scale) * with_label - guidance_scale * without"), "You start at the answer *with* the label"),
        (_guided(BOTH + "return without + (guidance_scale - 1) * (with_label - without)"), "Your scale is 1 too small"),
        (_guided(BOTH + "return guidance_scale * (with_label - without)"), "the difference alone"),
        (_guided(BOTH + "return without + guidance_scale * with_label"), "the *difference* of the two that is scaled"),
        (_guided(BOTH + "return guidance_scale * with_label"), "never use the other"),
        (_guided("return guidance_scale * network(noisy, timesteps, labels)"), "never use the other"),
        (_guided(BOTH + "return with_label"), "right for scale 1 only"),
        (_guided(BOTH + "return (with_label + guidance_scale * without) / (1 + guidance_scale)"), "a weighted mean of the two"),
        (_guided(BOTH + "return with_label, without"), "You return both answers"),
        (
            _guided("""
with_label = network(noisy, timesteps, labels)
without = network(noisy, timesteps, torch.zeros_like(labels))
return without + guidance_scale * (with_label - without)
"""),
            "You take label 0 for",
        ),
        (
            _guided("""
with_label = network(noisy, timesteps, labels)
without = network(noisy, timesteps, torch.full_like(labels, null_label - 1))
return torch.lerp(without, with_label, guidance_scale)
"""),
            "You take the last class for",
        ),
        (
            _guided("""
with_label = network(noisy, timesteps, labels)
without = network(noisy, 0 * timesteps, torch.full_like(labels, null_label))
return without + guidance_scale * (with_label - without)
"""),
            "you ask about another time",
        ),
        (
            _guided("""
nothing = torch.full_like(labels, null_label)
both = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([labels, nothing]))
with_label, without = both[::2], both[1::2]
return without + guidance_scale * (with_label - without)
"""),
            "You take every other answer",
        ),
        (
            _guided("""
nothing = torch.full_like(labels, null_label)
both = network(torch.cat([noisy, noisy]), timesteps, torch.cat([labels, nothing]))
with_label, without = both.chunk(2)
return without + guidance_scale * (with_label - without)
"""),
            "one label, or one time, for more than one picture",
        ),
        (_guided(BOTH + "return (without + guidance_scale * (with_label - without)).clamp(-1, 1)"), "You clamp the answer"),
        (_guided(BOTH + "return with_label"), "your guided_answer, which guidance_of_a_network calls"),
        (_guided(BOTH + "return without + guidance_scale * with_label - without"), "or it cancels (brackets around the difference!)"),
        (_guided(BOTH + "return (without + guidance_scale * with_label) / (1 + guidance_scale)"), "a mean of the two, weighted by 1"),
        (_guided(BOTH + "return without - guidance_scale * (with_label - without)"), "The sign is wrong"),
        (_guided(BOTH + "return without + guidance_scale**2 * (with_label - without)"), "The scale is squared"),
        (_guided(BOTH.replace("null_label)", "int(labels.max()) + 1)") + GUIDED), "You take the largest label of the batch plus 1"),
        (_guided(BOTH.replace("null_label)", "null_label + 1)") + GUIDED), "a label that the network does not have"),
        (_guided(BOTH.replace("torch.full_like(labels, null_label)", "null_label") + GUIDED), "a null label that is no label for each picture"),
        (_guided(BOTH.replace("torch.full_like(labels, null_label)", "None") + GUIDED), "a null label that is no label for each picture"),
        (_guided(BOTH.replace("torch.full_like(labels, null_label)", "torch.tensor(null_label)") + GUIDED), "a null label that is no label for each picture"),
        (_guided(BOTH.replace("full_like(labels, null_label)", "full(labels.shape, float(null_label))") + GUIDED), "a null label that is no label for each picture"),
        (_guided(BOTH.replace("torch.full_like(labels, null_label)", "torch.tensor([null_label])") + GUIDED), "one label, or one time, for more than one picture"),
        (
            _guided("""
with_label = network(noisy, labels, timesteps)
without = network(noisy, torch.full_like(labels, null_label), timesteps)
""" + GUIDED),
            "Times and labels are swapped",
        ),
        (
            _guided("""
nothing = torch.full_like(labels, null_label)
both = network(noisy.repeat_interleave(2, 0), timesteps.repeat_interleave(2), torch.cat([labels, nothing]))
with_label, without = both.chunk(2)
""" + GUIDED),
            "repeat_interleave(2) puts each picture beside its double",
        ),
    ],
    "keep_known": [
        (_keep("raise NotImplementedError()"), "This is not written yet"),
        (_keep(LEVEL + "return (1 - mask) * known + mask * noisy"), "The mask is turned"),
        (_keep(LEVEL + "return torch.where(mask.bool(), noisy, known)"), "The mask is turned"),
        (_keep("return mask * images + (1 - mask) * noisy"), "The known part comes in clean"),
        (_keep(LEVEL + "return mask * (a * images + (1 - a) * noise) + (1 - mask) * noisy"), "The roots are missing"),
        (_keep(LEVEL + "return mask * (a.sqrt() * images + (1 - a) * noise) + (1 - mask) * noisy"), "The noise lacks its root"),
        (_keep(LEVEL + "return mask * a.sqrt() * images + (1 - mask) * noisy"), "faded but not noisy"),
        (_keep(LEVEL + "return mask * (images + (1 - a).sqrt() * noise) + (1 - mask) * noisy"), "The known part is not faded"),
        (
            _keep("""
a = alphas_cumprod[timestep]
return mask * (a.sqrt() * images + (1 - a).sqrt() * noise) + (1 - mask) * noisy
"""),
            "the index -1 fetches the *last* entry",
        ),
        (
            _keep("""
a = alphas_cumprod[timestep - 1] if timestep > 0 else torch.tensor(1.0)
return mask * (a.sqrt() * images + (1 - a).sqrt() * noise) + (1 - mask) * noisy
"""),
            "You are one level too early",
        ),
        (_keep(LEVEL + "return mask * known + noisy"), "The rest is not cut out"),
        (_keep(LEVEL + "return known + (1 - mask) * noisy"), "The known part is not cut out"),
        (_keep(LEVEL + "return mask * known"), "The hidden part is 0"),
        (_keep(LEVEL + "return known"), "You return the whole picture, noised"),
        (
            _keep("""
a = alphas_cumprod[timestep] if timestep >= 0 else torch.tensor(1.0)
mixed = mask * images + (1 - mask) * noisy
return a.sqrt() * mixed + (1 - a).sqrt() * noise
"""),
            "You noise the drawn part as well",
        ),
        (_keep(LEVEL + "return mask * a.sqrt() * images + (1 - a).sqrt() * noise + (1 - mask) * noisy"), "The noise gets out of the mask"),
        (
            _keep("""
a = alphas_cumprod[timestep] if timestep >= 0 else torch.tensor(1.0)
known = a.sqrt() * images + (1 - a).sqrt() * torch.randn_like(images)
return mask * known + (1 - mask) * noisy
"""),
            "draws random numbers of its own",
        ),
        (
            _keep(LEVEL + """
inside = mask.bool().expand_as(noisy)
noisy[inside] = known[inside]
return noisy
"""),
            "changes `noisy` in place",
        ),
        (_keep(LEVEL.replace(">= 0", "> 0") + PUT), "wrong only at timestep 0. That is the least noisy level"),
        (_keep(LEVEL + "if timestep <= 0:\n    return mask * images + (1 - mask) * noisy\n" + PUT), "wrong only at timestep 0"),
        (_keep(LEVEL + "return torch.where(mask.bool(), known, noisy) if timestep != 0 else noisy"), "wrong only at timestep 0"),
        (_keep(LEVEL.replace("if timestep >= 0", "if timestep") + PUT), "`if timestep` asks whether it is not 0"),
        (_keep(LEVEL + "if timestep < 0:\n    return images\n" + PUT), "the hidden part stays what the step has drawn"),
        (_keep(LEVEL + "if timestep < 0:\n    return mask * images\n" + PUT), "the hidden part stays what the step has drawn"),
        (_keep(LEVEL + "if timestep < 0:\n    return noisy\n" + PUT), "the known part is the picture itself"),
        (_keep(LEVEL.replace("torch.ones_like(alphas_cumprod[0])", "1.0") + PUT), "A plain number has no .sqrt()"),
        (_keep(LEVEL.replace("[timestep]", "[min(timestep + 1, len(alphas_cumprod) - 1)]") + PUT), "too noisy, but for the clean picture"),
        (_keep(LEVEL.replace("a.sqrt()", "a", 1) + PUT), "The picture lacks its root"),
        (_keep(LEVEL.replace("* images +", "* images -") + PUT), "The noise is subtracted"),
        (_keep(LEVEL + "known = known.clamp(-1, 1)\n" + PUT), "You clamp the known part"),
        (_keep(LEVEL.replace("* noise", "* noisy") + PUT), "You noise the known part with x_t"),
        (_keep(LEVEL + "return mask * known + (1 - mask) * images"), "what was to be filled in is given away"),
        (_keep(LEVEL + "return mask * known + (1 - mask) * noise"), "The hidden part is noise"),
        (_keep(LEVEL + "return mask[0] * known + (1 - mask[0]) * noisy"), "the mask of the first picture for all"),
        (_keep(LEVEL + "return mask[:, :1] * known + (1 - mask[:, :1]) * noisy"), "the mask's first channel for all"),
    ],
    "from_velocity": [
        (_velocity("raise NotImplementedError()"), "This is not written yet"),
        (_velocity(ROOTS + "return rate * noisy + signal * velocity, signal * noisy - rate * velocity"), "The two are swapped"),
        (_velocity(ROOTS + "return signal * noisy + rate * velocity, rate * noisy + signal * velocity"), "In the picture the velocity has the wrong sign"),
        (_velocity(ROOTS + "return signal * noisy - rate * velocity, rate * noisy - signal * velocity"), "In the noise the velocity has the wrong sign"),
        (_velocity(ROOTS + "return signal * noisy + rate * velocity, rate * noisy - signal * velocity"), "Your velocity points the other way"),
        (
            _velocity("a = alphas_cumprod[timestep]\nreturn a * noisy - (1 - a) * velocity, (1 - a) * noisy + a * velocity"),
            "The roots are missing",
        ),
        (_velocity(ROOTS + "return (noisy - rate * velocity) / signal, velocity"), "You take the velocity for the noise"),
        (_velocity(ROOTS + "return velocity, (noisy - signal * velocity) / rate"), "You take the velocity for the picture"),
        (_velocity(ROOTS + "return signal * noisy - rate * velocity, velocity"), "for the noise you return the velocity itself"),
        (
            _velocity(ROOTS + "images = signal * noisy - rate * velocity\nreturn images, noisy - signal * images"),
            "divide by that",
        ),
        (_velocity(ROOTS + "return signal * noisy - rate * velocity"), "You return the picture alone"),
        (
            _velocity(ROOTS + "images = (signal * noisy - rate * velocity).clamp(-1, 1)\nreturn images, rate * noisy + signal * velocity"),
            "You clamp the picture",
        ),
        (_velocity(ROOTS + "return (signal * noisy - rate * velocity) / signal, rate * noisy + signal * velocity"), "divide the picture by sqrt(a) once more"),
        (_velocity(ROOTS + "return signal * velocity - rate * noisy, rate * velocity + signal * noisy"), "x_t and the velocity are swapped"),
        (_velocity(ROOTS + "rate = 1 - signal\nreturn signal * noisy - rate * velocity, rate * noisy + signal * velocity"), "You took 1 - sqrt(a)"),
        (_velocity(ROOTS.replace("timestep", "timestep - 1") + "return signal * noisy - rate * velocity, rate * noisy + signal * velocity"), "You read the table at timestep - 1"),
    ],
    "score_from_noise": [
        (_score("raise NotImplementedError()"), "This is not written yet"),
        (_score("return predicted_noise / (1 - alphas_cumprod[timestep]).sqrt()"), "The sign is wrong: points are more likely"),
        (_score("return -predicted_noise / (1 - alphas_cumprod[timestep])"), "You divide by the variance"),
        (_score("return -predicted_noise * (1 - alphas_cumprod[timestep]).sqrt()"), "You multiply by sqrt(1 - a)"),
        (_score("return -predicted_noise / alphas_cumprod[timestep].sqrt()"), "You divide by sqrt(a)"),
        (
            _score("""
a = alphas_cumprod[timestep]
sigma = ((1 - a) / a) ** 0.5
return -predicted_noise / sigma
"""),
            "You divide by sigma",
        ),
        (_score("return -predicted_noise"), "it has the score's direction, not its length"),
        (_score("return -predicted_noise / (1 - alphas_cumprod[timestep].sqrt())"), "You took 1 - sqrt(a)"),
        (_score("return -F.normalize(predicted_noise.flatten(1), dim=1).view_as(predicted_noise)"), "You bring the noise to length 1"),
        (_score("score = -predicted_noise / (1 - alphas_cumprod[timestep]).sqrt()\nreturn score / score.norm()"), "You bring all of the noise to length 1"),
        (_score("return -predicted_noise * (1 - alphas_cumprod[timestep])"), "You multiply by 1 - a"),
        (_score("return -predicted_noise / alphas_cumprod[timestep]"), "You divide by a, which tells of the picture"),
        (_score("return -predicted_noise / (1 - alphas_cumprod[timestep]) ** 2"), "You divide by the variance squared"),
        (_score("return -predicted_noise / (1 - alphas_cumprod[timestep - 1]).sqrt()"), "You read the table at timestep - 1"),
        (_score("return -predicted_noise / (1 - alphas_cumprod[max(timestep, 1)]).sqrt()"), "wrong only at timestep 0"),
    ],
    "classifier_guidance": [
        (_classifier("raise NotImplementedError()"), "This is not written yet"),
        (
            _classifier(LEAF + RATE + """
chosen = log_p[torch.arange(len(labels)), labels].sum()
return predicted_noise + guidance_scale * rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "what is added to the score is subtracted from the noise",
        ),
        (
            _classifier(LEAF + """
chosen = log_p[torch.arange(len(labels)), labels].sum()
return predicted_noise - guidance_scale * torch.autograd.grad(chosen, leaf)[0]
"""),
            "The factor sqrt(1 - a) is missing",
        ),
        (
            _classifier(LEAF + RATE + """
chosen = log_p.gather(1, labels[:, None]).sum()
return predicted_noise - guidance_scale * rate**2 * torch.autograd.grad(chosen, leaf)[0]
"""),
            "lacks its root",
        ),
        (
            _classifier(LEAF + RATE + """
chosen = log_p.gather(1, labels[:, None]).sum()
return predicted_noise - guidance_scale / rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "You divide by sqrt(1 - a)",
        ),
        (
            _classifier(LEAF + RATE + """
chosen = log_p.gather(1, labels[:, None]).sum()
return predicted_noise - rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "guidance_scale has no effect",
        ),
        (
            _classifier(RATE + """
leaf = noisy.detach().requires_grad_()
chosen = classifier(leaf)[torch.arange(len(labels)), labels].sum()
return predicted_noise - guidance_scale * rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "You differentiate the logits",
        ),
        (
            _classifier(RATE + """
leaf = noisy.detach().requires_grad_()
chosen = classifier(leaf).softmax(1)[torch.arange(len(labels)), labels].sum()
return predicted_noise - guidance_scale * rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "You differentiate the probability",
        ),
        (
            _classifier(LEAF + RATE + """
chosen = log_p[torch.arange(len(labels)), labels].mean()
return predicted_noise - guidance_scale * rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "You take a mean over the batch",
        ),
        (
            _classifier(RATE + """
leaf = noisy.detach().requires_grad_()
loss = F.cross_entropy(classifier(leaf), labels)
return predicted_noise - guidance_scale * rate * torch.autograd.grad(loss, leaf)[0]
"""),
            "*minus* the log probability, and a mean",
        ),
        (
            _classifier(LEAF + RATE + """
return predicted_noise - guidance_scale * rate * torch.autograd.grad(log_p[:, labels].sum(), leaf)[0]
"""),
            "takes the columns of *all* labels",
        ),
        (
            _classifier(LEAF + RATE + """
return predicted_noise - guidance_scale * rate * torch.autograd.grad(log_p.max(dim=1).values.sum(), leaf)[0]
"""),
            "not the label that was asked for",
        ),
        (
            _classifier(LEAF + RATE + """
chosen = log_p.gather(1, labels[:, None]).sum()
return -guidance_scale * rate * torch.autograd.grad(chosen, leaf)[0]
"""),
            "You return the change alone",
        ),
        (
            _classifier(LEAF + """
chosen = log_p.gather(1, labels[:, None]).sum()
return noisy + guidance_scale * torch.autograd.grad(chosen, leaf)[0]
"""),
            "You move x_t itself",
        ),
        (
            _classifier(LEAF + RATE + """
log_p.gather(1, labels[:, None]).sum().backward()
return predicted_noise - guidance_scale * rate * leaf.grad
"""),
            "the gradients of classifier",
        ),
        (
            _classifier(RATE + """
images = ((noisy - rate * predicted_noise) / alphas_cumprod[timestep].sqrt()).detach().requires_grad_()
chosen = classifier(images).log_softmax(1).gather(1, labels[:, None]).sum()
return predicted_noise - guidance_scale * rate * torch.autograd.grad(chosen, images)[0]
"""),
            "the picture that the network sees",
        ),
        (_not_recording(GRADIENT + RATE + STEERED), "put `with torch.enable_grad():` around"),
        (_not_recording(GRADIENT + RATE + STEERED.replace("-", "+")), "Nothing was recorded on the way"),
        (_classifier(GRADIENT.replace(".detach()", "") + RATE + STEERED), "`noisy` requires gradients afterwards"),
        (_classifier(GRADIENT + RATE.replace("[timestep]", "[max(timestep, 1)]") + STEERED), "wrong only at timestep 0"),
        (_classifier(GRADIENT.replace(".sum()", "") + RATE + STEERED), "A gradient is that of one number"),
        (_classifier(GRADIENT.replace("classifier(leaf)", "classifier(noisy)") + RATE + STEERED), "You differentiate by a tensor from which the result was not computed"),
        (_classifier(GRADIENT.replace("detach().requires_grad_()", "clone()") + RATE + STEERED), "that no gradient is kept for"),
        (_classifier(GRADIENT.replace("labels[:, None]", "labels") + RATE + STEERED), "gather takes an index with as many dimensions"),
        (_classifier(GRADIENT.replace("(gradient,)", "gradient") + RATE + STEERED), "torch.autograd.grad returns one"),
        (_classifier(GRADIENT + RATE + STEERED.replace("guidance_scale", "(guidance_scale - 1)")), "You count the scale as guidance without a classifier"),
        (_classifier(GRADIENT + RATE + STEERED.replace("guidance_scale", "guidance_scale**2")), "The scale is squared"),
        (_classifier(GRADIENT + RATE + "rate = rate / alphas_cumprod[timestep].sqrt()\n" + STEERED), "You took sigma"),
        (_classifier(GRADIENT + RATE + "return -predicted_noise / rate + guidance_scale * gradient"), "You return a score"),
        (_classifier(GRADIENT + RATE + STEERED.replace("return predicted", "return (1 - guidance_scale) * predicted")), "You take guidance_scale times the noise away"),
        (_classifier(GRADIENT.replace("classifier(leaf)", "(guidance_scale * classifier(leaf))") + RATE + "return predicted_noise - rate * gradient"), "stands inside the softmax"),
        (_classifier(GRADIENT.replace(".gather(1, labels[:, None])", "[:, labels[0]]") + RATE + STEERED), "the first picture's label for all"),
        (_classifier(GRADIENT.replace(".gather(1, labels[:, None])", "[labels]") + RATE + STEERED), "takes *rows*, pictures of the batch"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "ddim_step": [
        _ddim(VARIANCE + "return after.sqrt() * images + (1 - after - variance).sqrt() * predicted_noise + variance.sqrt() * fresh_noise"),
        _ddim("""
padded = F.pad(alphas_cumprod, (1, 0), value=1.0)
now, after = padded[timestep + 1], padded[next_timestep + 1]
std = eta * torch.sqrt((1 - after) / (1 - now)) * torch.sqrt(1 - now / after)
picture = (noisy - torch.sqrt(1 - now) * predicted_noise) * torch.sqrt(after / now)
return picture + torch.sqrt(1 - after - std**2) * predicted_noise + std * fresh_noise
"""),
        _ddim("""
now = alphas_cumprod[timestep].item()
images = (noisy - math.sqrt(1 - now) * predicted_noise) / math.sqrt(now)
if next_timestep < 0:
    return images
after = alphas_cumprod[next_timestep].item()
fresh = eta**2 * (1 - after) / (1 - now) * (1 - now / after)
return math.sqrt(after) * images + math.sqrt(1 - after - fresh) * predicted_noise + math.sqrt(fresh) * fresh_noise
"""),
        _ddim(RATES + """
y, sigma, target = noisy / now.sqrt(), ((1 - now) / now).sqrt(), ((1 - after) / after).sqrt()
up = eta * (target**2 * (sigma**2 - target**2) / sigma**2).sqrt()
down = (target**2 - up**2).sqrt()
return after.sqrt() * (y + (down - sigma) * predicted_noise + up * fresh_noise)
"""),
        _ddim(VARIANCE + END.replace("variance).sqrt()", "variance).clamp(min=1e-8).sqrt()").replace("variance.sqrt()", "variance.clamp(min=1e-8).sqrt()")),
    ],
    "guidance_of_a_network": [
        _guided(BOTH + "return without + guidance_scale * (with_label - without)"),
        _guided("""
nothing = torch.full_like(labels, null_label)
both = network(torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([labels, nothing]))
with_label, without = both.chunk(2)
return torch.lerp(without, with_label, guidance_scale)
"""),
        _guided(BOTH + "return guidance_scale * with_label + (1 - guidance_scale) * without"),
        _guided(BOTH + "return with_label + (guidance_scale - 1) * (with_label - without)"),
    ],
    "keep_known": [
        _keep(LEVEL + "return mask * known + (1 - mask) * noisy"),
        _keep(LEVEL + "return torch.where(mask.bool(), known, noisy)"),
        _keep(LEVEL + "return torch.lerp(noisy, known, mask.expand_as(noisy))"),
        _keep("""
signal, rate = 1.0, 0.0
if timestep >= 0:
    signal, rate = alphas_cumprod[timestep].sqrt(), (1 - alphas_cumprod[timestep]).sqrt()
out, inside = noisy.clone(), mask.bool().expand_as(noisy)
out[inside] = (signal * images + rate * noise)[inside]
return out
"""),
    ],
    "from_velocity": [
        _velocity(ROOTS + "return signal * noisy - rate * velocity, rate * noisy + signal * velocity"),
        _velocity(ROOTS + "images = signal * noisy - rate * velocity\nreturn images, (noisy - signal * images) / rate"),
        _velocity("""
angle = torch.arccos(alphas_cumprod[timestep].sqrt())
return torch.cos(angle) * noisy - torch.sin(angle) * velocity, torch.sin(angle) * noisy + torch.cos(angle) * velocity
"""),
        _velocity(ROOTS + "noise = rate * noisy + signal * velocity\nreturn [(noisy - rate * noise) / signal, noise]"),
    ],
    "score_from_noise": [
        _score("return -predicted_noise / (1 - alphas_cumprod[timestep]).sqrt()"),
        _score("return predicted_noise * -torch.rsqrt(1 - alphas_cumprod[timestep])"),
        _score("return torch.neg(predicted_noise).div(math.sqrt(1 - alphas_cumprod[timestep].item()))"),
    ],
    "classifier_guidance": [
        _classifier(LEAF + RATE + """
chosen = log_p.gather(1, labels[:, None]).sum()
return predicted_noise - guidance_scale * rate * torch.autograd.grad(chosen, leaf)[0]
"""),
        _not_recording(RATE + """
with torch.enable_grad():
    leaf = noisy.clone().detach().requires_grad_(True)
    loss = F.cross_entropy(classifier(leaf), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
return predicted_noise + guidance_scale * rate * gradient
"""),
        _classifier("""
a = alphas_cumprod[timestep]
leaf = noisy.detach().requires_grad_()
logits = classifier(leaf)
chosen = logits[torch.arange(len(labels)), labels] - logits.logsumexp(dim=1)
gradient = torch.autograd.grad(chosen, leaf, torch.ones_like(chosen))[0]
score = -predicted_noise / (1 - a).sqrt() + guidance_scale * gradient
return -(1 - a).sqrt() * score
"""),
        _classifier(GRADIENT + RATE + STEERED),
    ],
}  # fmt: skip
