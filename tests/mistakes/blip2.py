"""The bank of notebook blip2: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

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


def _mask(body: str) -> str:
    """A `who_sees_whom` with this body."""
    return _function("who_sees_whom(num_queries, length, task)", body)


def _contrast(body: str) -> str:
    """A `query_contrast` with this body."""
    return _function("query_contrast(query_vectors, text_vectors, log_scale)", body)


def _prefix(body: str) -> str:
    """A `prefix_and_labels` with this body."""
    return _function("prefix_and_labels(queries, weight, bias, words, input_ids, attention_mask)", body)


MASKS = """
q, n = num_queries, length
mask = torch.ones(q + n, q + n, dtype=torch.bool)
if task == "contrast":
    mask[:q, q:] = False
    mask[q:, :q] = False
if task == "writing":
    mask[:q, q:] = False
    mask[q:, q:] = torch.ones(n, n, dtype=torch.bool).tril()
return mask
"""

CONTRAST = """
queries = F.normalize(query_vectors, dim=2)
texts = F.normalize(text_vectors, dim=1)
table = (queries @ texts.T).max(dim=1).values
logits = table * log_scale.exp()
own = torch.arange(len(logits))
return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
"""

PREFIX = """
count = queries.shape[1]
spoken = queries @ weight.T + bias
inputs = torch.cat([spoken, words], dim=1)
seen = torch.ones(len(queries), count, dtype=torch.bool)
mask = torch.cat([seen, attention_mask], dim=1)
labels = input_ids.masked_fill(~attention_mask, -100)
nothing = torch.full((len(queries), count), -100)
return inputs, mask, torch.cat([nothing, labels], dim=1)
"""


def _other(made, template: str, old: str, new: str) -> str:
    """The right answer with one piece exchanged."""
    assert old in template, old
    return made(template.replace(old, new))


def _masked(old: str, new: str) -> str:
    return _other(_mask, MASKS, old, new)


def _contrasted(old: str, new: str) -> str:
    return _other(_contrast, CONTRAST, old, new)


def _prefixed(old: str, new: str) -> str:
    return _other(_prefix, PREFIX, old, new)


WRITING = """if task == "writing":
    mask[:q, q:] = False
"""
MATCHING = """return mask
"""

# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "who_sees_whom": [
        (_mask("raise NotImplementedError()"), "This is not written yet"),
        (_masked(WRITING, 'if task == "writing":\n'), "In writing the queries see the text"),
        (_masked('task == "writing"', 'task == "captioning"'), "Writing sees everything"),
        (_masked("    mask[q:, q:] = torch.ones(n, n, dtype=torch.bool).tril()\n", ""), "sees the words *after* it"),
        (_masked(".tril()", ".triu()"), "the words look the wrong way"),
        (_masked(".tril()", ".tril(-1)"), "no word sees itself"),
        (_masked(WRITING, WRITING + "    mask[q:, :q] = False\n"), "the text does not see the queries, so the picture"),
        (_masked(WRITING, 'if task == "writing":\n    mask[q:, :q] = False\n'), "it is the text that sees the queries"),
        (_masked(WRITING, WRITING + "    mask[:q, :q] = mask[:q, :q].tril()\n"), "only backwards: they have no order"),
        (_masked('task == "contrast"', 'task in ("contrast", "writing")').replace('task == "writing"', 'task == "none"'), "Writing has the mask of contrast"),
        (_masked('task == "contrast"', 'task == "separate"'), "In contrast queries and text see each other"),
        (_masked("    mask[:q, q:] = False\n    mask[q:, :q] = False\n", "    mask[:q, q:] = False\n"), "In contrast the text sees the queries"),
        (_masked("    mask[:q, q:] = False\n    mask[q:, :q] = False\n", "    mask[q:, :q] = False\n"), "In contrast the queries see the text"),
        (_masked("    mask[q:, :q] = False\n", "    mask[q:, :q] = False\n    mask[q:, q:] = mask[q:, q:].tril()\n"), "In contrast the text is read backwards only"),
        (_masked("    mask[:q, q:] = False\n    mask[q:, :q] = False\n", "    mask[:q, :q] = False\n    mask[q:, q:] = False\n"), "only the *other* kind"),
        (_masked('task == "contrast"', 'task != "writing"'), "do not see each other: the vote"),
        (_masked(MATCHING, 'if task == "matching":\n    mask[q:, :q] = False\nreturn mask\n'), "In matching the text does not see the queries"),
        (_masked(MATCHING, 'if task == "matching":\n    mask[:q, q:] = False\nreturn mask\n'), "In matching the queries do not see the text"),
        (_masked('task == "writing"', 'task != "contrast"'), "Matching has the mask of writing"),
        (_masked('if task == "contrast"', 'task = {"contrast": "writing", "writing": "contrast"}.get(task, task)\nif task == "contrast"'), "contrast and of writing are exchanged"),
        (_masked("return mask", "return ~mask"), "All masks are turned"),
        (_masked("return mask", "return mask.T"), "Rows and columns are exchanged"),
        (_masked("return mask", "return mask.roll((n, n), (0, 1))"), "The text stands before the queries"),
        (_masked("return mask", "return mask.float()"), "A mask of the course is bool"),
        (_masked("return mask", "return mask[q:]"), "the rows of the text alone"),
    ],
    "query_contrast": [
        (_contrast("raise NotImplementedError()"), "This is not written yet"),
        (_contrasted(".max(dim=1).values", ".mean(dim=1)"), "You took the mean over the queries"),
        (_contrasted("queries = F.normalize(query_vectors, dim=2)", "queries = F.normalize(query_vectors.mean(1), dim=1)[:, None]"), "the mean of the queries' vectors first"),
        (_contrasted(".max(dim=1).values", ".sum(dim=1)"), "You added over the queries"),
        (_contrasted(".max(dim=1)", ".min(dim=1)"), "the *smallest* product"),
        (_contrasted(".max(dim=1).values", "[:, 0]"), "Only the first query"),
        (_contrasted(".max(dim=1).values", "[:, -1]"), "Only the last query"),
        (_contrasted("table = (queries @ texts.T).max(dim=1).values", "best = (queries * texts[:, None]).sum(-1).argmax(1)\ntable = queries[torch.arange(len(queries)), best] @ texts.T"), "by its *own* text"),
        (_contrasted(".max(dim=1).values", ".max(dim=1).values.abs()"), "The sign got lost"),
        (_contrasted(".max(dim=1).values", ".logsumexp(dim=1)"), "a soft maximum"),
        (_contrasted("F.normalize(query_vectors, dim=2)", "query_vectors").replace("F.normalize(text_vectors, dim=1)", "text_vectors"), "inner products, in which a long vector"),
        (_contrasted("F.normalize(text_vectors, dim=1)", "text_vectors"), "The texts' vectors are not brought to length 1"),
        (_contrasted("F.normalize(query_vectors, dim=2)", "query_vectors"), "The queries' vectors are not brought to length 1"),
        (_contrasted("F.normalize(query_vectors, dim=2)", "F.normalize(query_vectors)"), "runs over the *queries*"),
        (_contrasted("(F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2", "F.cross_entropy(logits, own)"), "Only the pictures choose"),
        (_contrasted("(F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2", "F.cross_entropy(logits.T, own)"), "Only the texts choose"),
        (_contrasted(" / 2", ""), "Both directions are added"),
        (_contrasted(", own)", ", own, reduction='sum')"), "The pairs are summed"),
        (_contrasted("return (", "return -("), "The sign is wrong"),
        (_contrasted("logits = table * log_scale.exp()", "logits = (table * log_scale.exp()).softmax(1)"), "takes logits"),
        (_contrasted("table * log_scale.exp()", "table * log_scale"), "is the logarithm of the scale"),
        (_contrasted("table * log_scale.exp()", "table / log_scale.exp()"), "You divided by the scale"),
        (_contrasted("log_scale.exp()", "math.exp(log_scale)"), "cut off from the gradient"),
        (_contrasted("table * log_scale.exp()", "table + 0 * log_scale"), "`log_scale` is not used"),
        (_contrasted("return (F", "return -logits.diagonal().mean()\nreturn (F"), "nothing pushes others apart"),
    ],
    "prefix_and_labels": [
        (_prefix("raise NotImplementedError()"), "This is not written yet"),
        (_prefixed("queries @ weight.T + bias", "queries @ weight.T"), "The bias is missing"),
        (_prefixed("[spoken, words]", "[words, spoken]"), "In the inputs the words come before the queries"),
        (_prefixed("[spoken, words]", "[words, spoken]").replace("[seen, attention_mask]", "[attention_mask, seen]").replace("[nothing, labels]", "[labels, nothing]"), "The queries stand behind the caption"),
        (_prefixed("weight.T + bias", "weight.T + bias\nspoken = spoken.detach()"), "cut off from the gradient"),
        (_prefixed("weight.T + bias", "weight.T + bias\nspoken = spoken.mean(1, keepdim=True).repeat(1, count, 1)"), "All queries became their mean"),
        (_prefixed("queries @ weight.T + bias", "F.relu(queries @ weight.T + bias)"), "There is no ReLU here"),
        (_prefixed("seen = torch.ones", "seen = torch.zeros"), "The mask hides the queries"),
        (_prefixed("[seen, attention_mask]", "[seen, torch.ones_like(attention_mask)]"), "says that padding is real"),
        (_prefixed("[seen, attention_mask]", "[attention_mask, seen]"), "In the mask the queries stand behind"),
        (_prefixed("return inputs, mask", "return inputs, ~mask"), "The mask is turned"),
        (_prefixed("return inputs, mask", "return inputs, mask.float()"), "A mask of the course is bool"),
        (_prefixed("input_ids.masked_fill(~attention_mask, -100)", "input_ids.clone()"), "Padding is asked for"),
        (_prefixed("torch.full((len(queries), count), -100)", "torch.zeros(len(queries), count, dtype=torch.int64)"), "At the queries the labels are 0"),
        (_prefixed("-100", "0"), "Where nothing is asked for the labels are 0"),
        (_prefixed("torch.cat([nothing, labels], dim=1)", "labels"), "as long as the caption alone"),
        (_prefixed("torch.cat([nothing, labels], dim=1)", "torch.cat([nothing[:, 1:], labels, nothing[:, :1]], dim=1)"), "moved by one place"),
        (_prefixed("[nothing, labels]", "[labels, nothing]"), "In the labels the queries stand behind"),
        (_prefixed("nothing = ", "labels[:, 0] = -100\nnothing = "), "The caption's first word is not asked for"),
        (_prefixed("input_ids.masked_fill(~attention_mask, -100)", "input_ids.masked_fill(input_ids == 0, -100)"), "never learns to stop"),
        (_prefixed("count), -100)", "count), -1)"), "the labels are -1"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "who_sees_whom": [
        _mask(MASKS),
        _mask("place = torch.arange(num_queries + length)\nlooks, seen = place[:, None] < num_queries, place[None] < num_queries\nif task == 'matching':\n    return torch.full((len(place), len(place)), True)\nif task == 'contrast':\n    return ~(looks ^ seen)\nreturn seen | (~looks & (place[None] <= place[:, None]))"),
        _mask("size = num_queries + length\nif task == 'matching':\n    return torch.ones(size, size) > 0\nif task == 'contrast':\n    return torch.block_diag(torch.ones(num_queries, num_queries), torch.ones(length, length)).bool()\nmask = torch.ones(size, size).tril().bool()\nmask[:num_queries, :num_queries] = True\nreturn mask"),
    ],
    "query_contrast": [
        _contrast(CONTRAST),
        _contrast("table = F.cosine_similarity(query_vectors[:, :, None], text_vectors[None, None], dim=-1).amax(1) * log_scale.exp()\nreturn -(table.log_softmax(0).diagonal() + table.log_softmax(1).diagonal()).mean() / 2"),
        _contrast("q = query_vectors / query_vectors.norm(dim=-1, keepdim=True)\nt = text_vectors / text_vectors.norm(dim=-1, keepdim=True)\nlogits = torch.einsum('iqd,td->tiq', q, t).amax(-1) * torch.exp(log_scale)\nown = torch.arange(len(t))\nreturn 0.5 * F.cross_entropy(logits, own) + 0.5 * F.cross_entropy(logits.mT, own)"),
    ],
    "prefix_and_labels": [
        _prefix(PREFIX),
        _prefix("n = queries.size(1)\nlabels = F.pad(torch.where(attention_mask, input_ids, -100), (n, 0), value=-100)\nreturn torch.cat((F.linear(queries, weight, bias), words), 1), F.pad(attention_mask, (n, 0), value=True), labels"),
        _prefix("n, m = queries.shape[1], words.shape[1]\nlabels = torch.full((len(words), n + m), -100)\nlabels[:, n:][attention_mask] = input_ids[attention_mask]\nmask = torch.arange(n + m)[None] < n + attention_mask.sum(1, keepdim=True)\nspoken = torch.einsum('bqw,lw->bql', queries, weight) + bias\nreturn [torch.hstack([spoken, words]), mask, labels]"),
    ],
}  # fmt: skip
