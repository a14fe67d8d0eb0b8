"""The bank of notebook dalle: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""


def _function(head: str, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef {head}:\n{lines}"


def _sequence(body: str) -> str:
    """A `joint_sequence` with this body."""
    return _function("joint_sequence(text, attention_mask, codes, text_vocabulary)", body)


def _loss(body: str) -> str:
    """A `joint_loss` with this body."""
    return _function("joint_loss(text_logits, code_logits, text, attention_mask, codes)", body)


def _next(body: str) -> str:
    """A `next_code` with this body."""
    return _function("next_code(conditional, null, uniform, guidance_scale, temperature, top_k)", body)


def _rerank(body: str) -> str:
    """A `rerank` with this body."""
    return _function("rerank(image_embeddings, text_embeddings)", body)


JOINED = """
batch, length = text.shape
ids = torch.arange(text_vocabulary, text_vocabulary + length)
words = torch.where(attention_mask, text, ids)
grid = codes.reshape(batch, -1) + text_vocabulary + length
return torch.cat([words, grid], dim=1)
"""

LOST = """
words = F.cross_entropy(text_logits[attention_mask], text[attention_mask])
grid = F.cross_entropy(code_logits.flatten(0, 1), codes.flatten())
return words / 8 + grid * 7 / 8
"""

DRAWN = """
logits = null + guidance_scale * (conditional - null)
least = logits.topk(top_k, dim=1).values[:, -1:]
logits = torch.where(logits >= least, logits, torch.tensor(-math.inf))
p = (logits / temperature).softmax(dim=1)
return (p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)
"""

RANKED = """
pictures = F.normalize(image_embeddings, dim=-1)
texts = F.normalize(text_embeddings, dim=-1)
cosines = torch.einsum("bnd,bd->bn", pictures, texts)
return cosines.argsort(dim=1, descending=True)
"""


def _other(made, template: str, old: str, new: str) -> str:
    """The right answer with one piece exchanged."""
    assert old in template, old
    return made(template.replace(old, new))


def _joined(old: str, new: str) -> str:
    return _other(_sequence, JOINED, old, new)


def _lost(old: str, new: str) -> str:
    return _other(_loss, LOST, old, new)


def _drawn(old: str, new: str) -> str:
    return _other(_next, DRAWN, old, new)


def _ranked(old: str, new: str) -> str:
    return _other(_rerank, RANKED, old, new)


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "joint_sequence": [
        (_sequence("raise NotImplementedError()"), "This is not written yet"),
        (_joined("text, ids)", "text, text_vocabulary)"), "All padding is one token"),
        (_sequence("words = text.masked_fill(~attention_mask, text_vocabulary)\nreturn torch.cat([words, text_vocabulary + text.shape[1] + codes.flatten(1)], 1)"), "All padding is one token"),
        (_joined("torch.where(attention_mask, text, ids)", "text * attention_mask"), "Padding became id 0"),
        (_joined("text, ids)", "text, -1)"), "Padding became -1"),
        (_joined("torch.where(attention_mask, text, ids)", "text"), "left as it is"),
        (_joined("torch.arange(text_vocabulary, text_vocabulary + length)", "torch.arange(length)"), "Padding i has the id i"),
        (_joined("text, ids)", "text, text_vocabulary + (~attention_mask).long().cumsum(1) - 1)"), "counted the paddings of each text from 0"),
        (_joined("text, ids)", "text, ids + 1)"), "Paddings begin one too high"),
        (_joined("text, ids)", "text, ids - 1)"), "Paddings begin one too low"),
        (_joined("text, ids)", "text, ids.flip(0))"), "numbered from the end"),
        (_joined("text, ids)", "text, text + text_vocabulary)"), "You moved what stood there"),
        (_joined("attention_mask, text, ids", "attention_mask, ids, text"), "The mask is the wrong way round"),
        (_joined("torch.where(attention_mask, text, ids)", "ids.repeat(batch, 1)"), "All of the text became padding"),
        (_joined(" + text_vocabulary + length\n", "\n"), "The codes keep their numbers"),
        (_joined(" + text_vocabulary + length\n", " + text_vocabulary\n"), "The codes begin at text_vocabulary"),
        (_joined(" + text_vocabulary + length\n", " + length\n"), "the length of the text alone"),
        (_joined(" + text_vocabulary + length\n", " + text_vocabulary + length + 1\n"), "The codes begin one too high"),
        (_joined(" + text_vocabulary + length\n", " + text_vocabulary + length - 1\n"), "The codes begin one too low"),
        (_joined("codes.reshape(batch, -1)", "codes.mT.reshape(batch, -1)"), "column by column"),
        (_joined("codes.reshape(batch, -1)", "codes.reshape(batch, -1).flip(1)"), "read from its end"),
        (_joined("[words, grid]", "[grid, words]"), "The picture comes first"),
        (_joined("torch.cat([words, grid], dim=1)", "words"), "the text alone"),
        (_joined("torch.cat([words, grid], dim=1)", "grid"), "the codes alone"),
        (_joined("dim=1)", "dim=1).float()"), "Ids are integers"),
        (_joined("torch.where(attention_mask, text, ids)", "torch.where(attention_mask, text, text_vocabulary)").replace("text_vocabulary + length\n", "text_vocabulary + 1\n"), "All padding is one token"),
        (_joined("text, ids)", "text, text_vocabulary + length)").replace("+ length\n    return", "+ length + 1\n    return"), "All padding is one token"),
        (_joined("text, ids)", "text, text_vocabulary + torch.arange(batch)[:, None])"), "the text's place in the batch"),
        (_joined("torch.where(attention_mask, text, ids)", "text + ids * ~attention_mask"), "is added to the padding's id"),
        (_joined("attention_mask, text", "text != 0, text"), "You took id 0 for padding"),
        (_joined("words = torch.where(attention_mask, text, ids)", "n = attention_mask[0].sum()\nwords = text.clone()\nwords[:, n:] = ids[n:]"), "one length for all texts"),
        (_joined("attention_mask, text", "torch.arange(length) < attention_mask.sum(1).max(), text"), "one length for all texts"),
        (_joined("words = torch.where(attention_mask, text, ids)", "rows = [t[m] for t, m in zip(text, attention_mask)]\nwords = torch.stack([torch.cat([ids[: length - len(row)], row]) for row in rows])"), "stands before the words"),
        (_joined("torch.cat([words, grid], dim=1)", "torch.stack([torch.cat([w[m], g, w[~m]]) for w, m, g in zip(words, attention_mask, grid)])"), "stands behind the codes"),
        (_sequence("text_vocabulary = text.max() + 1\n" + JOINED.strip()), "the largest id in the batch"),
        (_joined(" + text_vocabulary + length\n", " + text_vocabulary + len(text)\n"), "the size of the batch"),
        (_joined(" + text_vocabulary + length\n", " + text_vocabulary + 52\n"), "moved by 52"),
        (_joined(" + text_vocabulary + length\n", " + text_vocabulary + attention_mask.sum(1, keepdim=True)\n"), "each text's number of words"),
        (_joined(" + text_vocabulary + length\n", " + words.max() + 1\n"), "behind the largest id of this batch"),
    ],
    "joint_loss": [
        (_loss("raise NotImplementedError()"), "This is not written yet"),
        (_lost("words / 8 + grid * 7 / 8", "(words + grid) / 2"), "Both parts count alike"),
        (_lost("words / 8 + grid * 7 / 8", "words + grid"), "added without weights"),
        (_lost("words / 8 + grid * 7 / 8", "7 / 8 * words + 1 / 8 * grid"), "The weights are exchanged"),
        (_lost("words / 8 + grid * 7 / 8", "words + 7 * grid"), "The weights are 1 and 7"),
        (_lost("words / 8 + grid * 7 / 8", "words / 7 + grid"), "1 to 7"),
        (_lost("words / 8 + grid * 7 / 8", "words / 8 + grid"), "The codes have weight 1"),
        (_lost("words / 8 + grid * 7 / 8", "words + 7 / 8 * grid"), "The text has weight 1"),
        (_lost("words / 8 + grid * 7 / 8", "grid"), "Only the codes count"),
        (_lost("words / 8 + grid * 7 / 8", "words"), "Only the words count"),
        (_lost("words / 8", "-words / 8").replace("+ grid", "- grid"), "The sign is wrong"),
        (_lost("text_logits[attention_mask], text[attention_mask]", "text_logits.flatten(0, 1), text.flatten()"), "Padding is counted"),
        (_lost("F.cross_entropy(text_logits[attention_mask], text[attention_mask])", "(F.cross_entropy(text_logits.mT, text, reduction='none') * attention_mask).mean()"), "still count in the mean"),
        (_lost("F.cross_entropy(text_logits[attention_mask], text[attention_mask])", "torch.stack([F.cross_entropy(l[m], t[m]) for l, t, m in zip(text_logits, text, attention_mask)]).mean()"), "the mean of each text first"),
        (_lost("text_logits[attention_mask], text[attention_mask])", "text_logits[attention_mask], text[attention_mask], reduction='sum')"), "The words are summed"),
        (_lost("text_logits[attention_mask], text[attention_mask]", "text_logits[:, :-1][attention_mask[:, 1:]], text[:, 1:][attention_mask[:, 1:]]"), "moved the text by one place"),
        (_lost("codes.flatten())", "codes.flatten(), reduction='sum')"), "All codes are summed"),
        (_lost("codes.flatten())", "codes.flatten(), reduction='sum') / len(codes)"), "The codes of a picture are summed"),
        (_lost("codes.flatten()", "codes.transpose(1, 2).flatten()"), "column by column"),
        (_lost("code_logits.flatten(0, 1), codes.flatten()", "code_logits[:, :-1].flatten(0, 1), codes.flatten(1)[:, 1:].flatten()"), "moved the codes by one place"),
        (_loss("words = -text_logits.softmax(-1).gather(2, text[..., None])[..., 0][attention_mask].mean()\ngrid = -code_logits.softmax(-1).gather(2, codes.flatten(1)[..., None]).mean()\nreturn words / 8 + 7 * grid / 8"), "The logarithm is missing"),
        (_loss("text_logits, code_logits = text_logits.softmax(-1), code_logits.softmax(-1)\n" + LOST.strip()), "takes logits"),
        (_lost("grid * 7 / 8", "grid * 7 / 8").replace("return ", "return 1 / math.log(2) * (").replace("* 7 / 8", "* 7 / 8)"), "This is in bits"),
        (_loss("each = torch.cat([F.cross_entropy(text_logits[attention_mask], text[attention_mask], reduction='none'), F.cross_entropy(code_logits.mT, codes.flatten(1), reduction='none').flatten()])\nreturn each.mean()"), "the mean over all tokens of both kinds"),
        (_loss("words = F.cross_entropy(text_logits[attention_mask], text[attention_mask], reduction='sum')\ngrid = F.cross_entropy(code_logits.mT, codes.flatten(1), reduction='sum')\nreturn (words + 7 * grid) / 8 / (attention_mask.sum() + codes.numel())"), "You divided by the number of all tokens"),
        (_lost("words / 8 + grid * 7 / 8", "words / 7 + grid * 6 / 7"), "are 1 to 6"),
        (_loss("each = F.cross_entropy(text_logits.mT, text, reduction='none') * attention_mask\nwords = (each.sum(1) / attention_mask.sum(1).clamp(min=1)).mean()\ngrid = F.cross_entropy(code_logits.mT, codes.flatten(1))\nreturn words / 8 + 7 / 8 * grid"), "the mean of each text first"),
        (_loss("loss = 0\nfor tl, cl, t, m, c in zip(text_logits, code_logits, text, attention_mask, codes):\n    loss = loss + F.cross_entropy(tl[m], t[m]) / 8 + 7 / 8 * F.cross_entropy(cl, c.flatten())\nreturn loss"), "added these up"),
        (_loss("loss = 0\nfor tl, cl, t, m, c in zip(text_logits, code_logits, text, attention_mask, codes):\n    loss = loss + F.cross_entropy(tl[m], t[m]) / 8 + 7 / 8 * F.cross_entropy(cl, c.flatten())\nreturn loss / len(text)"), "the mean of each text first"),
        (_lost("text_logits[attention_mask], text[attention_mask])", "text_logits[attention_mask], text[attention_mask], reduction='sum') / len(text)"), "divided by the number of texts"),
        (_lost("text_logits[attention_mask], text[attention_mask])", "text_logits.flatten(0, 1), (text * attention_mask).flatten(), ignore_index=0)"), "the real word 0 is left out"),
        (_loss("some = attention_mask.any(1)\ncode_logits, codes = code_logits[some], codes[some]\n" + LOST.strip()), "whose caption is empty are left out"),
        (_loss(LOST.replace("])", "], reduction='sum')").replace("codes.flatten())", "codes.flatten(), reduction='sum')")), "Words and codes are summed"),
        (_lost("codes.flatten())", "codes.flatten(), reduction='sum') / code_logits.shape[1]"), "the codes of *one* picture"),
        (_lost("code_logits.flatten(0, 1), codes.flatten()", "code_logits.reshape(len(codes), -1, code_logits.shape[1]), codes.flatten(1)"), "tears the logits of a code apart"),
        (_lost("code_logits.flatten(0, 1)", "code_logits.transpose(0, 1).flatten(0, 1)"), "place by place"),
        (_lost("code_logits.flatten(0, 1), codes.flatten()", "code_logits, codes"), "(n, classes) with (n,): code_logits"),
        (_lost("codes.flatten()", "codes.flatten(1)"), "flattened alike"),
        (_lost(", text[attention_mask]", ", text"), "flattened alike"),
        (_lost("codes.flatten()", "codes.flatten() + text_logits.shape[2] + text.shape[1]"), "Codes count from 0 here"),
        (_loss(LOST.replace("cross_entropy", "nll_loss")), "The softmax is missing"),
    ],
    "next_code": [
        (_next("raise NotImplementedError()"), "This is not written yet"),
        (_drawn("null + guidance_scale", "conditional + guidance_scale"), "Too strong by one"),
        (_drawn("null + guidance_scale * (conditional - null)", "conditional + guidance_scale * (null - conditional)"), "`conditional` and `null` are exchanged"),
        (_drawn("null + guidance_scale * (conditional - null)", "guidance_scale * conditional + (1 - guidance_scale) * conditional"), "There is no guidance"),
        (_drawn("null + guidance_scale * (conditional - null)", "guidance_scale * conditional - null"), "s times conditional minus null"),
        (_drawn("null + guidance_scale * (conditional - null)", "guidance_scale * conditional"), "a lower temperature, not guidance"),
        (_drawn("null + guidance_scale * (conditional - null)", "null"), "The text is not used"),
        (_drawn("null + guidance_scale", "guidance_scale"), "`null` is missing at the front"),
        (_drawn("least = logits.topk", "least_ = logits\nlogits = logits.masked_fill(conditional < conditional.topk(top_k, 1).values[:, -1:], -math.inf)\nleast = logits.topk"), "You chose the k best before guidance"),
        (_drawn("logits / temperature", "logits * temperature"), "multiplied by the temperature"),
        (_drawn("(logits / temperature)", "logits"), "The temperature is not used"),
        (_drawn("logits = torch.where(logits >= least, logits, torch.tensor(-math.inf))", ""), "`top_k` is not used"),
        (_drawn("logits >= least", "logits > least"), "One too few is kept"),
        (_drawn("topk(top_k, dim=1)", "topk(min(top_k + 1, logits.shape[1]), dim=1)"), "One too many is kept"),
        (_drawn("topk(top_k, dim=1)", "topk(top_k, dim=1, largest=False)").replace(">= least", "<= least"), "the k *least* likely codes"),
        (_drawn("torch.tensor(-math.inf)", "torch.tensor(0.0)"), "What is cut off has logit 0"),
        (_next("z = null + guidance_scale * (conditional - null)\np = (z / temperature).softmax(1)\np[z < z.topk(top_k, 1).values[:, -1:]] = 0\nreturn (p.cumsum(1) <= uniform[:, None]).sum(1).clamp(max=z.shape[1] - 1)"), "do not add up to 1"),
        (_next("z = null + guidance_scale * (conditional - null)\nreturn z.argmax(1)"), "This is always the likeliest code"),
        (_next("z = null + guidance_scale * (conditional - null)\nvalues, indices = z.topk(top_k, 1)\np = (values / temperature).softmax(1)\nreturn (p.cumsum(1) > uniform[:, None]).int().argmax(1)"), "translated back"),
        (_next("z = null + guidance_scale * (conditional - null)\nvalues, indices = z.topk(top_k, 1)\np = (values / temperature).softmax(1)\nwhich = (p.cumsum(1) > uniform[:, None]).int().argmax(1)\nreturn indices[torch.arange(len(z)), which]"), "from the likeliest on"),
        (_drawn("argmax(dim=1)\n", "argmax(dim=1) + 1\n"), "One too high"),
        (_drawn("argmax(dim=1)\n", "argmax(dim=1).sub(1).clamp(min=0)\n"), "One too low"),
        (_drawn("uniform[:, None]", "uniform[0]"), "All rows are drawn by the first uniform number"),
        (_drawn("uniform[:, None]", "1 - uniform[:, None]"), "You went through the codes from the last on"),
        (_next("p = null.softmax(1) + guidance_scale * (conditional.softmax(1) - null.softmax(1))\nz = p.clamp(min=1e-9).log()\nz = z.masked_fill(z < z.topk(top_k, 1).values[:, -1:], -math.inf)\np = (z / temperature).softmax(1)\nreturn (p.cumsum(1) > uniform[:, None]).int().argmax(1)"), "You guided probabilities"),
        (_drawn("null + guidance_scale * (conditional - null)", "null + guidance_scale * (conditional - null) if guidance_scale else conditional"), "With a small s"),
        (_drawn("null + guidance_scale", "null + max(guidance_scale, 1)"), "With a small s"),
        (_drawn("(conditional - null)", "conditional"), "The difference is missing"),
        (_drawn("(conditional - null)", "(null - conditional)"), "the wrong sign"),
        (_drawn("guidance_scale *", "(guidance_scale - 1) *"), "Too weak by one"),
        (_drawn("logits = null", "conditional, null = (z.masked_fill(z < z.topk(top_k, 1).values[:, -1:], -math.inf) for z in (conditional, null))\nlogits = null"), "You cut off both before guidance"),
        (_drawn("-math.inf", "-20.0"), "only minus infinity"),
        (_drawn("-math.inf", "-100.0"), "only minus infinity"),
        (_drawn("torch.tensor(-math.inf)", "logits.min()"), "only minus infinity"),
        (_drawn("values[:, -1:]", "values.min()"), "One threshold for the whole batch"),
        (_drawn("values[:, -1:]", "values[0, -1]"), "the threshold of the first one"),
        (_drawn("logits.topk(top_k, dim=1).values[:, -1:]", "logits.sort(dim=1).values[:, top_k - 1, None]"), "the k-th *smallest*"),
        (_drawn("logits >= least", "logits < least"), "the k largest are cut off"),
        (_next("z = null + guidance_scale * (conditional - null)\np = (z / temperature).softmax(1)\np[z < z.topk(top_k, 1).values[:, -1:]] = 0\nreturn (p.cumsum(1) <= uniform[:, None]).sum(1)"), "do not add up to 1"),
        (_next("z = null + guidance_scale * (conditional - null)\np = (z / temperature).softmax(1)\np = p.masked_fill(p < p.topk(top_k, 1).values[:, -1:], 0).softmax(1)\nreturn (p.cumsum(1) <= uniform[:, None]).sum(1)"), "a second softmax"),
        (_drawn("(logits / temperature).softmax(dim=1)", "(logits.softmax(dim=1) / temperature).softmax(dim=1)"), "The probabilities are divided by the temperature"),
        (_drawn("(logits / temperature).softmax(dim=1)", "logits.softmax(dim=1) / temperature").replace("> uniform[:, None]).int().argmax(dim=1)", "<= uniform[:, None]).sum(1)"), "The probabilities are divided by the temperature"),
        (_drawn("softmax(dim=1)", "softmax(dim=0)").replace("> uniform[:, None]).int().argmax(dim=1)", "<= uniform[:, None]).sum(1)"), "The softmax runs over the batch"),
        (_drawn("cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)", "cumsum(dim=0) <= uniform[:, None]).sum(1)"), "You add up along the batch"),
        (_drawn("p.cumsum(dim=1)", "p"), "You compared single probabilities"),
        (_drawn("p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)", "p <= uniform[:, None]).sum(1)"), "You compared single probabilities"),
        (_drawn("int().argmax(dim=1)", "sum(dim=1)"), "You counted the sums that exceed u"),
        (_drawn("> uniform[:, None]", ">= uniform[:, None]"), "does not *exceed* u"),
        (_drawn("(p.cumsum(dim=1) > uniform[:, None]).int().argmax(dim=1)", "torch.searchsorted(p.cumsum(1), uniform[:, None])[:, 0]"), "does not *exceed* u"),
        (_drawn("uniform[:, None]", "uniform"), "needs a second axis"),
        (_drawn("values[:, -1:]", "values[:, -1]"), "needs a second axis"),
        (_drawn("values[:, -1:]", "values[:, :1]"), "no more than one code is left"),
    ],
    "rerank": [
        (_rerank("raise NotImplementedError()"), "This is not written yet"),
        (_ranked(", descending=True", ""), "The worst picture comes first"),
        (_ranked("F.normalize(image_embeddings, dim=-1)", "image_embeddings"), "inner products, which favour long vectors"),
        (_rerank("return (image_embeddings @ text_embeddings[:, :, None])[..., 0].argsort(dim=1, descending=True)"), "inner products, which favour long vectors"),
        (_rerank("return torch.cdist(image_embeddings, text_embeddings[:, None])[..., 0].argsort(dim=1)"), "You compared distances"),
        (_ranked("F.normalize(image_embeddings, dim=-1)", "F.normalize(image_embeddings, dim=1)"), "along the pictures, dim=1"),
        (_ranked("F.normalize(image_embeddings, dim=-1)", "F.normalize(image_embeddings, dim=0)"), "along the batch, dim=0"),
        (_ranked("descending=True)", "descending=True).argsort(dim=1)"), "the rank of each picture"),
        (_ranked("argsort(dim=1, descending=True)", "argmax(dim=1)"), "the best picture alone"),
        (_ranked("cosines.argsort(dim=1, descending=True)", "cosines"), "These are the similarities: the order"),
        (_ranked("cosines.argsort(dim=1, descending=True)", "cosines.sort(dim=1, descending=True).values"), "the similarities in order"),
        (_ranked("cosines.argsort", "cosines.abs().argsort"), "The sign got lost"),
        (_ranked('"bnd,bd->bn", pictures, texts', '"bnd,d->bn", pictures, texts[0]'), "compared with the first text"),
        (_ranked('"bnd,bd->bn", pictures, texts', '"bnd,d->bn", pictures, text_embeddings.mean(0)'), "the mean of the texts"),
        (_ranked("argsort(dim=1,", "argsort(dim=0,"), "You sorted along the batch"),
        (_ranked("pictures, texts)", "pictures, texts.roll(-1, 0))"), "the text of the next row"),
        (_rerank("middle = image_embeddings.mean(1, keepdim=True)\nreturn F.cosine_similarity(image_embeddings, middle, dim=-1).argsort(1, descending=True)"), "compared with their own mean"),
        (_ranked("descending=True)", "descending=True) + 1"), "Numbers begin at 0"),
        (_ranked("F.normalize(image_embeddings, dim=-1)", "image_embeddings / image_embeddings.square().sum(-1, keepdim=True)"), "the square of the length"),
        (_ranked("F.normalize(image_embeddings, dim=-1)", "image_embeddings / image_embeddings.abs().sum(-1, keepdim=True)"), "the sum of absolute values"),
        (_ranked('torch.einsum("bnd,bd->bn", pictures, texts)', "pictures @ texts.T"), "the texts of the whole batch"),
        (_ranked('torch.einsum("bnd,bd->bn", pictures, texts)', "(pictures @ texts.T).mean(-1)"), "the mean of the texts"),
        (_rerank("return F.cosine_similarity(image_embeddings, text_embeddings[:, None]).argsort(dim=1, descending=True)"), "runs over axis 1"),
        (_ranked("argsort(dim=1, descending=True)", "argmax(dim=1, keepdim=True)"), "the best picture alone"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "joint_sequence": [
        _sequence(JOINED),
        _sequence("text = text.clone()\nfor i in range(text.shape[1]):\n    text[~attention_mask[:, i], i] = text_vocabulary + i\nreturn torch.cat((text, codes.flatten(1) + text_vocabulary + text.shape[1]), 1)"),
        _sequence("m = attention_mask.long()\nplaces = torch.arange(text.shape[1]) + text_vocabulary\nwords = m * text + (1 - m) * places\nreturn torch.hstack([words, codes.view(len(codes), -1) + places[-1] + 1])"),
        _sequence("out = torch.empty(len(text), text.shape[1] + codes[0].numel(), dtype=torch.int64)\nn = text.shape[1]\nout[:, :n] = torch.where(attention_mask, text, torch.arange(n)[None] + text_vocabulary)\nout[:, n:] = codes.reshape(len(codes), -1) + text_vocabulary + n\nreturn out"),
    ],
    "joint_loss": [
        _loss(LOST),
        _loss("labels = text.masked_fill(~attention_mask, -100)\nwords = F.cross_entropy(text_logits.permute(0, 2, 1), labels)\ngrid = F.cross_entropy(code_logits.permute(0, 2, 1), codes.flatten(1))\nreturn torch.lerp(words, grid, 7 / 8)"),
        _loss("logp = text_logits.log_softmax(-1).gather(2, text.unsqueeze(2)).squeeze(2)\nwords = -(logp * attention_mask).sum() / attention_mask.sum()\ngrid = -code_logits.log_softmax(-1).gather(2, codes.flatten(1).unsqueeze(2)).mean()\nreturn 0.125 * words + 0.875 * grid"),
    ],
    "next_code": [
        _next(DRAWN),
        _next("z = guidance_scale * conditional - (guidance_scale - 1) * null\nvalues, kept = torch.topk(z, top_k, dim=-1)\nz = torch.full_like(z, -torch.inf).scatter(1, kept, values)\np = F.softmax(z / temperature, dim=-1)\nreturn torch.searchsorted(p.cumsum(1), uniform[:, None], right=True)[:, 0].clamp(max=z.shape[1] - 1)"),
        _next("z = torch.lerp(null, conditional, guidance_scale) / temperature\nz[z < z.sort(dim=1, descending=True).values[:, top_k - 1, None]] = float('-inf')\nreturn (z.softmax(1).cumsum(1) <= uniform.unsqueeze(1)).sum(1).clamp(max=z.shape[1] - 1)"),
    ],
    "rerank": [
        _rerank(RANKED),
        _rerank("return F.cosine_similarity(image_embeddings, text_embeddings[:, None], dim=2).sort(dim=1, descending=True).indices"),
        _rerank("pictures = image_embeddings / image_embeddings.norm(dim=2, keepdim=True)\nscores = (pictures @ text_embeddings.unsqueeze(2)).squeeze(2)\nreturn (-scores).argsort(1)"),
        _rerank("scores = (image_embeddings * text_embeddings[:, None]).sum(-1) / image_embeddings.norm(dim=-1)\nreturn scores.topk(scores.shape[1], dim=1).indices"),
    ],
}  # fmt: skip
