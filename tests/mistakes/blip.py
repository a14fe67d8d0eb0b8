"""The bank of notebook blip: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import torch
import torch.nn.functional as F
from torch import Tensor
"""


def _function(head: str, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef {head}:\n{lines}"


def _masks(body: str) -> str:
    """A `three_masks` with this body."""
    return _function("three_masks(attention_mask, patches)", body)


def _negatives(body: str) -> str:
    """A `hard_negatives` with this body."""
    return _function("hard_negatives(similarities, uniform)", body)


def _contrast(body: str) -> str:
    """A `soft_contrast` with this body."""
    return _function("soft_contrast(features, slow_features, keys, scale, alpha)", body)


def _filter(body: str) -> str:
    """A `bootstrapped` with this body."""
    return _function("bootstrapped(web_logits, own_logits, threshold)", body)


MASKED = """
batch, n = attention_mask.shape
words = attention_mask[:, None].repeat(1, n, 1)
earlier = words & torch.tril(torch.ones(n, n, dtype=torch.bool))
none, all = torch.zeros(batch, n, patches).bool(), torch.ones(batch, n, patches).bool()
encoder = torch.cat([none, words], dim=2)
grounded = torch.cat([all, words], dim=2)
decoder = torch.cat([all, earlier], dim=2)
return torch.stack([encoder, grounded, decoder])
"""

DRAWN = """
own = torch.eye(len(similarities), dtype=torch.bool)
p = similarities.masked_fill(own, -math.inf).softmax(dim=1)
return (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)
"""

CONTRASTED = """
logits = scale * features @ keys.T
with torch.no_grad():
    opinion = (scale * slow_features @ keys.T).softmax(dim=1)
    targets = alpha * opinion + (1 - alpha) * torch.eye(len(features), len(keys))
return F.cross_entropy(logits, targets)
"""

FILTERED = """
rows = []
for number, logits in enumerate([web_logits, own_logits]):
    kept = (logits.softmax(dim=1)[:, 1] > threshold).nonzero()[:, 0]
    rows.append(torch.stack([kept, torch.full_like(kept, number)], dim=1))
return torch.cat(rows)
"""


def _other(made, template: str, old: str, new: str) -> str:
    """The right answer with one piece exchanged."""
    assert old in template, old
    return made(template.replace(old, new))


def _masked(old: str, new: str) -> str:
    return _other(_masks, MASKED, old, new)


def _drawn(old: str, new: str) -> str:
    return _other(_negatives, DRAWN, old, new)


def _contrasted(old: str, new: str) -> str:
    return _other(_contrast, CONTRASTED, old, new)


def _filtered(old: str, new: str) -> str:
    return _other(_filter, FILTERED, old, new)


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "three_masks": [
        (_masks("raise NotImplementedError()"), "This is not written yet"),
        (_masked("[all, earlier]", "[all, words]"), "sees words that come later"),
        (_masked("grounded = torch.cat([all, words]", "grounded = torch.cat([all, earlier]"), "grounded *encoder* looks back only"),
        (_masked(", words]", ", earlier]"), "All three roles look back only"),
        (_masked("[none, words]", "[none, earlier]"), "The text encoder looks back only"),
        (_masked("attention_mask[:, None].repeat(1, n, 1)", "torch.ones(batch, n, n).bool()"), "Padding is seen"),
        (_masked("earlier = words &", "earlier = torch.ones_like(words) &"), "The decoder sees padding"),
        (_masked("attention_mask[:, None].repeat(1, n, 1)", "attention_mask[:, :, None].repeat(1, 1, n)"), "The mask lies on the wrong axis"),
        (_masked("dtype=torch.bool)", "dtype=torch.bool), diagonal=-1"), "a word does not see itself"),
        (_masked("dtype=torch.bool)", "dtype=torch.bool), diagonal=1"), "sees the next one"),
        (_masked("torch.tril", "torch.triu"), "The triangle is the wrong way round"),
        (_masked("[none, words]", "[all, words]"), "The text encoder looks at the picture"),
        (_masked("[all, words]", "[none, words]"), "The grounded encoder does not look"),
        (_masked("[all, earlier]", "[none, earlier]"), "captions of nothing"),
        (_masked("torch.cat([all", "torch.cat([none"), "Nobody looks at the picture"),
        (_masks(MASKED.strip().replace("[none, words]", "[words, none]").replace("[all, words]", "[words, all]").replace("[all, earlier]", "[earlier, all]")), "The patches stand behind the words"),
        (_masks(MASKED.strip().replace("[none, words]", "[none, earlier]").replace("[all, earlier]", "[all, words]")), "The order of the roles"),
        (_masked("return torch.stack([encoder, grounded, decoder])", "return ~torch.stack([encoder, grounded, decoder])"), "True and False are exchanged"),
        (_masked("return torch.stack([encoder, grounded, decoder])", "return torch.stack([encoder, grounded, decoder]).float()"), "a mask of truth values"),
    ],
    "hard_negatives": [
        (_negatives("raise NotImplementedError()"), "This is not written yet"),
        (_drawn(".masked_fill(own, -math.inf)", ""), "The own text can be drawn"),
        (_drawn("-math.inf", "0.0"), "A similarity of 0 is no probability of 0"),
        (_drawn(".masked_fill(own, -math.inf).softmax(dim=1)", ".softmax(dim=1).masked_fill(own, 0)"), "no longer add up to 1"),
        (_drawn("similarities.masked_fill", "torch.zeros_like(similarities).masked_fill"), "All others are equally likely"),
        (_drawn("return (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)", "return p.argmax(dim=1)"), "You always take the most similar"),
        (_negatives("return similarities.argmax(dim=1)"), "mostly the own one"),
        (_drawn("similarities.masked_fill", "(-similarities).masked_fill"), "The *least* similar"),
        (_drawn("softmax(dim=1)", "softmax(dim=0)"), "The softmax runs down the columns"),
        (_drawn("similarities.masked_fill", "similarities.T.masked_fill"), "You draw for the columns"),
        (_drawn("> uniform[:, None]", "> 1 - uniform[:, None]"), "You compare with 1 - uniform"),
        (_drawn("> uniform[:, None]", "< uniform[:, None]"), "*below* the draw"),
        (_drawn("> uniform[:, None]", "> uniform[0]"), "All rows use the first draw"),
        (_drawn("similarities.masked_fill(own, -math.inf).softmax", "similarities[~own].view(len(own), -1).softmax"), "one too low"),
        (_drawn("return (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)", "return (p.log() + uniform[:, None]).argmax(dim=1)"), "You always take the most similar"),
        (_drawn("return (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)", "drawn = (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)\nreturn p[torch.arange(len(p)), drawn]"), "its *number* is asked for"),
    ],
    "soft_contrast": [
        (_contrast("raise NotImplementedError()"), "This is not written yet"),
        (_contrasted("alpha * opinion + (1 - alpha) * ", ""), "These are hard targets"),
        (_contrasted("alpha * opinion + (1 - alpha) * torch.eye(len(features), len(keys))", "opinion"), "opinion alone is the target"),
        (_contrasted("alpha * opinion + (1 - alpha) *", "(1 - alpha) * opinion + alpha *"), "The weights are exchanged"),
        (_contrasted("(1 - alpha) * torch", "torch"), "add up to more than 1"),
        (_contrasted(".softmax(dim=1)", ""), "no distribution yet"),
        (_contrasted(".softmax(dim=1)", ".softmax(dim=0)"), "runs down the columns"),
        (_contrasted("(scale * slow_features", "(slow_features"), "The scale is missing"),
        (_contrasted("scale * slow_features", "scale * features"), "made of `features`"),
        (_contrasted("logits = scale * features", "logits = scale * slow_features"), "made of `slow_features`"),
        (_contrast(CONTRASTED.strip().replace("* slow_features", "* other").replace("* features", "* slow_features").replace("* other", "* features")), "are exchanged: the slow copy"),
        (_contrasted("with torch.no_grad():", "if True:"), "gradients flow through the targets"),
        (_contrast("keys = keys[: len(features)]\n" + CONTRASTED.strip()), "Only the batch's own keys"),
        (_contrasted("F.cross_entropy(logits, targets)", "-(targets * logits.log_softmax(dim=1)).mean()"), "mean over the keys as well"),
        (_contrasted("F.cross_entropy(logits, targets)", "F.cross_entropy(logits, targets, reduction='sum')"), "You sum over the batch"),
        (_contrasted("F.cross_entropy(logits, targets)", "-F.cross_entropy(logits, targets)"), "The sign is wrong"),
        (_contrasted("F.cross_entropy(logits, targets)", "-(targets * logits.softmax(dim=1)).sum(dim=1).mean()"), "The logarithm is missing"),
        (_contrasted("F.cross_entropy(logits, targets)", "F.kl_div(logits.log_softmax(dim=1), targets, reduction='batchmean')"), "Kullback-Leibler"),
        (_contrasted("F.cross_entropy(logits, targets)", "F.cross_entropy(logits, targets.argmax(dim=1))"), "only the largest is left"),
    ],
    "bootstrapped": [
        (_filter("raise NotImplementedError()"), "This is not written yet"),
        (_filtered("[:, 1] > threshold", "[:, 0] > threshold"), 'the second column is "yes"'),
        (_filtered("> threshold", "< threshold"), "You keep what the filter throws out"),
        (_filtered(".softmax(dim=1)", ""), "A logit is no probability"),
        (_filtered(".softmax(dim=1)", ".softmax(dim=0)"), "The softmax runs over the pictures"),
        (_filtered("logits.softmax(dim=1)[:, 1]", "logits[:, 1].sigmoid()"), "forgets the first"),
        (_filtered("logits.softmax(dim=1)[:, 1] > threshold", "logits.argmax(dim=1) == 1"), "The threshold is not used"),
        (_filtered("[:, 1] > threshold)", "[:, 1] > (threshold if number == 0 else -1))"), "The captioner's own texts are all kept"),
        (_filtered("[:, 1] > threshold)", "[:, 1] > (threshold if number == 1 else -1))"), "The texts of the web are all kept"),
        (_filtered("return torch.cat(rows)", "return rows[0]"), "The captioner's texts are missing"),
        (_filtered("return torch.cat(rows)", "return rows[1]"), "The texts of the web are missing"),
        (_filtered("return torch.cat(rows)", "web, own = rows\nown = own[~torch.isin(own[:, 0], web[:, 0])]\nreturn torch.cat([web, own])"), "only where the web's is thrown out"),
        (_filter("both = (web_logits.softmax(1)[:, 1] > threshold) & (own_logits.softmax(1)[:, 1] > threshold)\nkept = both.nonzero()\nreturn torch.cat([torch.cat([kept, 0 * kept], 1), torch.cat([kept, 0 * kept + 1], 1)])"), "only if both of its texts pass"),
        (_filter("both = (web_logits.softmax(1)[:, 1] > threshold) | (own_logits.softmax(1)[:, 1] > threshold)\nkept = both.nonzero()\nreturn torch.cat([torch.cat([kept, 0 * kept], 1), torch.cat([kept, 0 * kept + 1], 1)])"), "if one of them passes"),
        (_filtered("[kept, torch.full_like(kept, number)]", "[torch.full_like(kept, number), kept]"), "The columns are exchanged"),
        (_filtered("return torch.cat(rows)", "rows = torch.cat(rows)\nreturn rows[rows[:, 0].argsort(stable=True)]"), "The order is picture by picture"),
        (_filtered("full_like(kept, number)", "full_like(kept, 1 - number)").replace("[web_logits, own_logits]", "[web_logits, own_logits]").replace("torch.cat(rows)", "torch.cat(rows[::-1])"), "0 and 1 are exchanged"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "three_masks": [
        _masks(MASKED),
        _masks(
            "n = attention_mask.shape[1]\nwords = attention_mask.unsqueeze(1).expand(-1, n, n)\nsteps = torch.arange(n)\nearlier = words & (steps[None] <= steps[:, None])\n"
            "return torch.stack([F.pad(w, (patches, 0), value=v) for w, v in ((words, False), (words, True), (earlier, True))])"
        ),
        _masks(
            "batch, n = attention_mask.shape\nout = torch.ones(3, batch, n, patches + n, dtype=torch.bool)\nout[0, :, :, :patches] = False\n"
            "out[..., patches:] &= attention_mask[None, :, None]\nout[2, :, :, patches:] = out[2, :, :, patches:].tril()\nreturn out"
        ),
    ],
    "hard_negatives": [
        _negatives(DRAWN),
        _negatives(
            "weights = similarities.exp()\nweights = weights - weights.diagonal().diag()\np = weights / weights.sum(dim=1, keepdim=True)\n"
            "return torch.searchsorted(p.cumsum(dim=1), uniform[:, None], right=True)[:, 0]"
        ),
        _negatives(
            "table = similarities.clone()\ntable.fill_diagonal_(-math.inf)\nc = F.softmax(table, -1).cumsum(-1)\nreturn (c <= uniform[:, None]).sum(dim=1)"
        ),
    ],
    "soft_contrast": [
        _contrast(CONTRASTED),
        _contrast(
            "opinion = F.softmax(scale * slow_features @ keys.mT, dim=-1)\ntargets = alpha * opinion\ntargets = (targets + (1 - alpha) * torch.eye(*opinion.shape)).detach()\n"
            "log_p = F.log_softmax(scale * features @ keys.mT, dim=-1)\nreturn -(targets * log_p).sum(dim=-1).mean()"
        ),
        _contrast(
            "logits = scale * torch.einsum('bd,kd->bk', features, keys)\nlog_p = logits - logits.logsumexp(1, keepdim=True)\n"
            "slow = (scale.detach() * slow_features.detach() @ keys.detach().T).softmax(1)\n"
            "return -(1 - alpha) * log_p.diagonal().mean() - alpha * (slow * log_p).sum() / len(features)"
        ),
    ],
    "bootstrapped": [
        _filter(FILTERED),
        _filter(
            "p = torch.stack([web_logits, own_logits]).softmax(-1)[..., 1]\nsource, picture = (p > threshold).nonzero(as_tuple=True)\nreturn torch.stack([picture, source], 1)"
        ),
        _filter(
            "kept = []\nfor source, logits in ((0, web_logits), (1, own_logits)):\n    p = (logits[:, 1] - logits[:, 0]).sigmoid()\n"
            "    kept += [(i, source) for i in range(len(p)) if p[i] > threshold]\nreturn torch.tensor(kept)"
        ),
    ],
}
