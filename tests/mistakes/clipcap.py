"""Wrong and right answers to the exercises of notebook 07_captioning_vqa/01_clipcap."""

SETUP = """
import math

import torch
import torch.nn.functional as F
from torch import Tensor


"""


def _function(signature: str, body: str) -> str:
    return f"def {signature}:\n" + "\n".join(f"    {line}" for line in body.split("\n")) + "\n"


MAPPED = """width = constants.shape[1]
picture = (features @ spread).unflatten(1, (-1, width))
tokens = torch.cat([picture, constants.expand(len(picture), -1, -1)], dim=1)
seen = tokens
q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (tokens @ to_q, seen @ to_k, seen @ to_v))
weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
found = (weights @ v).transpose(1, 2).flatten(2)
tokens = tokens + found @ to_out
return tokens[:, -len(constants):]"""
BEFORE = """words = table[input_ids]
seen = torch.ones(prefix.shape[:2], dtype=torch.bool)
return torch.cat([prefix, words], dim=1), torch.cat([seen, attention_mask], dim=1)"""
LOST = """k = logits.shape[1] - input_ids.shape[1]
losses = F.cross_entropy(logits[:, k - 1 : -1].transpose(1, 2), input_ids, reduction="none")
return (losses * attention_mask).sum() / attention_mask.sum()"""
STEP = """sums = (scores[:, :, None] + log_p).flatten(1)
best, place = sums.topk(num_beams, dim=1)
return best, place // log_p.shape[2], place % log_p.shape[2]"""


def _changed(signature: str, body: str, *changes: str) -> str:
    """The right answer with pieces exchanged, each of which must be there."""
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in body, old
        body = body.replace(old, new)
    return _function(signature, body)


MAP = "mapped_prefix(features, spread, constants, to_q, to_k, to_v, to_out, num_heads)"
PREFIXED = "prefixed(prefix, input_ids, attention_mask, table)"
LOSS = "caption_loss(logits, input_ids, attention_mask)"
BEAM = "beam_step(scores, log_p, num_beams)"


def _map(*changes: str) -> str:
    return _changed(MAP, MAPPED, *changes)


def _before(*changes: str) -> str:
    return _changed(PREFIXED, BEFORE, *changes)


def _loss(*changes: str) -> str:
    return _changed(LOSS, LOST, *changes)


def _beam(*changes: str) -> str:
    return _changed(BEAM, STEP, *changes)


WRONG: dict[str, list[tuple[str, str]]] = {
    "mapped_prefix": [
        (_function(MAP, "raise NotImplementedError()"), "This is not written yet"),
        (_map("tokens[:, -len(constants):]", "tokens[:, :-len(constants)]"), "what became of the picture's tokens"),
        (_map("tokens[:, -len(constants):]", "tokens[:, :len(constants)]"), "You return the first tokens"),
        (_map("tokens[:, -len(constants):]", "tokens"), "All tokens come back"),
        (_map("[picture, constants.expand(len(picture), -1, -1)]", "[constants.expand(len(picture), -1, -1), picture]"), "The constants stand in front"),
        (_map("softmax(dim=-1)", "masked_fill(torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1), -torch.inf).softmax(dim=-1)"), "A token sees only what stands before it"),
        (_map("tokens = tokens + found", "tokens = found"), "The tokens themselves are lost"),
        (_map("seen = tokens", "seen = tokens[:, -len(constants):]"), "the picture never gets in"),
        (_map("seen = tokens", "seen = picture"), "from the picture's tokens alone"),
        (_map(" / math.sqrt(q.shape[-1])", ""), "not divided by sqrt(d)"),
        (_map("math.sqrt(q.shape[-1])", "math.sqrt(width)"), "the root of the whole width"),
        (_map("softmax(dim=-1)", "softmax(dim=-2)"), "runs over those who ask"),
        (_map("x.unflatten(2, (num_heads, -1)).transpose(1, 2)", "x.reshape(len(x), num_heads, x.shape[1], -1)"), "tears the tokens apart"),
        (_map("(num_heads, -1)", "(1, -1)"), "You took one head"),
        (_map("unflatten(1, (-1, width))", "unflatten(1, (width, -1)).transpose(1, 2)"), "cut the wrong way"),
        (_map("seen @ to_v", "seen @ to_k"), "The keys are used as values"),
        (_map("found @ to_out", "found"), "`to_out` is missing"),
        (_map("tokens @ to_q, seen @ to_k, seen @ to_v", "F.linear(tokens, to_q), F.linear(seen, to_k), F.linear(seen, to_v)", "found @ to_out", "F.linear(found, to_out)"), "You transposed the weights"),
        (_function(MAP, "return (features @ spread).unflatten(1, (-1, constants.shape[1]))"), "the spread vector alone"),
        (_function(MAP, "return constants.expand(len(features), -1, -1)"), "the constants as they were"),
    ],
    "prefixed": [
        (_function(PREFIXED, "raise NotImplementedError()"), "This is not written yet"),
        (_before("[prefix, words]", "[words, prefix]", "[seen, attention_mask]", "[attention_mask, seen]"), "so no word could look at it"),
        (_before("[prefix, words]", "[words, prefix]"), "the mask is that of a prefix in front"),
        (_before("torch.cat([seen, attention_mask], dim=1)", "attention_mask"), "The mask has the caption's length"),
        (_before("torch.ones", "torch.zeros"), "as if it were padding"),
        (_before("[seen, attention_mask]", "[attention_mask, seen]"), "has grown on the right"),
        (_before("[seen, attention_mask]", "[seen, torch.ones_like(attention_mask)]"), "The mask is True everywhere"),
        (_before("torch.cat([seen, attention_mask], dim=1)", "~torch.cat([seen, attention_mask], dim=1)"), "The mask is the wrong way round"),
        (_before("[prefix, words]", "[prefix[:1].expand_as(prefix), words]"), "the first picture's prefix"),
        (_before("[prefix, words]", "[F.normalize(prefix, dim=2), words]"), "unit ones"),
        (_before("[prefix, words]", "[prefix.flip(1), words]"), "The prefix is turned around"),
        (_before("[prefix, words]", "[prefix, words.flip(1)]"), "The caption is turned around"),
        (_before("[prefix, words]", "[prefix, words * attention_mask.unsqueeze(2)]"), "the embeddings of padding to zero"),
        (_before("return torch.cat([prefix, words], dim=1), torch.cat([seen, attention_mask], dim=1)", "return torch.cat([prefix, words], dim=1)"), "Only the vectors come back"),
        (_before("return torch.cat([prefix, words], dim=1), torch.cat([seen, attention_mask], dim=1)", "return torch.cat([seen, attention_mask], dim=1), torch.cat([prefix, words], dim=1)"), "The mask comes first"),
        (_before("words = table", "words = table.detach()"), "no gradient flows"),
    ],
    "caption_loss": [
        (_function(LOSS, "raise NotImplementedError()"), "This is not written yet"),
        (_loss("k - 1 : -1", "k:"), "The logits are not shifted"),
        (_loss("k - 1 : -1", ": input_ids.shape[1]"), "from the beginning, where the prefix stands"),
        (_loss("k - 1 : -1", "k - 2 : -2"), "shifted once too often"),
        (_loss("logits[:, k - 1 : -1]", "logits[:, k:-1]", ", input_ids, r", ", input_ids[:, 1:], r", "attention_mask)", "attention_mask[:, 1:])", "/ attention_mask.sum()", "/ attention_mask[:, 1:].sum()"), "The first word is left out"),
        (_loss("(losses * attention_mask).sum() / attention_mask.sum()", "losses.mean()"), "Padding counts as well"),
        (_loss(".sum() / attention_mask.sum()", ".mean()"), "You divide by all places"),
        (_loss(" / attention_mask.sum()", ""), "This is the sum over all words"),
        (_loss("/ attention_mask.sum()", "/ len(losses)"), "the number of captions"),
        (_loss(".sum() / attention_mask.sum()", ".sum(1).div(attention_mask.sum(1)).mean()"), "a mean for each caption"),
        (_loss("/ attention_mask.sum()", "/ (attention_mask.sum() + len(losses) * k)"), "The places of the prefix count"),
        (_loss("return ", "return -"), "The sign is missing"),
        (_loss("logits[:, k - 1 : -1].transpose", "logits[:, k - 1 : -1].softmax(2).transpose"), "The softmax is taken twice"),
        (_loss('F.cross_entropy(logits[:, k - 1 : -1].transpose(1, 2), input_ids, reduction="none")', "-logits[:, k - 1 : -1].softmax(2).gather(2, input_ids[..., None])[..., 0]"), "The logarithm is missing"),
        (_loss('F.cross_entropy(logits[:, k - 1 : -1].transpose(1, 2), input_ids, reduction="none")', "-logits[:, k - 1 : -1].gather(2, input_ids[..., None])[..., 0]"), "the logits of the right words"),
        (_loss("losses =", "attention_mask = attention_mask & (input_ids != 0)\nlosses ="), "You took id 0 for padding"),
    ],
    "beam_step": [
        (_function(BEAM, "raise NotImplementedError()"), "This is not written yet"),
        (_beam("(scores[:, :, None] + log_p)", "log_p"), "Only the last step counts"),
        (_beam("return best", "return log_p.flatten(1).gather(1, place)"), "the new tokens alone"),
        (_function(BEAM, "best, token = (scores.unsqueeze(2) + log_p).max(dim=2)\nreturn best, torch.arange(num_beams).expand_as(token), token"), "greedy search several times"),
        (_function(BEAM, "first = scores.argmax(1)\nrow = torch.arange(len(scores))\nbest, token = (scores[row, first][:, None] + log_p[row, first]).topk(num_beams, dim=1)\nreturn best, first[:, None].expand_as(token), token"), "Only the best text is continued"),
        (_function(BEAM, "best, token = (scores[:, :1] + log_p[:, 0]).topk(num_beams, dim=1)\nreturn best, torch.zeros_like(token), token"), "Only the first text is continued"),
        (_beam("place // log_p.shape[2], place % log_p.shape[2]", "place % log_p.shape[2], place // log_p.shape[2]"), "Beam and token are exchanged"),
        (_beam("place // log_p.shape[2], place % log_p.shape[2]", "place // num_beams, place % num_beams"), "You divide by the number of beams"),
        (_beam("place // log_p.shape[2], place % log_p.shape[2]", "place % num_beams, place // num_beams"), "as if all beams of one token"),
        (_beam("place % log_p.shape[2]", "place"), "The token is the place in the long row"),
        (_beam("[:, :, None] +", "[:, :, None] *"), "You multiply logarithms"),
        (_beam("scores[:, :, None] + log_p", "scores[:, :, None].exp() * log_p.exp()"), "You return probabilities"),
        (_beam("+ log_p)", "+ log_p.exp())"), "log_p is a logarithm already"),
        (_beam("dim=1)", "dim=1, largest=False)"), "The worst run on"),
        (_beam("[:, :, None] +", "[:, :, None] -"), "You subtract"),
        (_beam("+ log_p)", "+ log_p).div(2)"), "the mean of old and new"),
        (_beam("return best, ", "return "), "The scores are missing"),
        (_beam("topk(num_beams", "topk(1"), "One text is left"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "mapped_prefix": [
        _map(),
        _map("[picture, constants.expand(len(picture), -1, -1)]", "[constants.expand(len(picture), -1, -1), picture]", "tokens[:, -len(constants):]", "tokens[:, :len(constants)]"),
        _function(MAP, "k, width = constants.shape\nx = torch.hstack(((features @ spread).view(len(features), -1, width), constants[None].repeat(len(features), 1, 1)))\ncut = lambda t: t.view(*t.shape[:2], num_heads, -1).permute(0, 2, 1, 3)\nseen = F.scaled_dot_product_attention(cut(x @ to_q), cut(x @ to_k), cut(x @ to_v))\nreturn (x + seen.permute(0, 2, 1, 3).reshape(x.shape) @ to_out)[:, -k:]"),
        _map("q, k, v = (", "asked = tokens[:, -len(constants):]\nq, k, v = (", "(tokens @ to_q, ", "(asked @ to_q, ", "tokens = tokens + found @ to_out\nreturn tokens[:, -len(constants):]", "return asked + found @ to_out"),
    ],
    "prefixed": [
        _before(),
        _function(PREFIXED, "return torch.hstack([prefix, F.embedding(input_ids, table)]), F.pad(attention_mask, (prefix.shape[1], 0), value=True)"),
        _function(PREFIXED, "batch, k, width = prefix.shape\nout = torch.cat((prefix, table.index_select(0, input_ids.flatten()).view(batch, -1, width)), 1)\nreturn out, torch.cat((attention_mask.new_ones(batch, k), attention_mask), 1)"),
    ],
    "caption_loss": [
        _loss(),
        _function(LOSS, "n = input_ids.shape[1]\nlabels = input_ids.masked_fill(~attention_mask, -100)\nreturn F.cross_entropy(logits[:, -n - 1 : -1].flatten(0, 1), labels.flatten(), ignore_index=-100)"),
        _function(LOSS, "k = logits.shape[1] - input_ids.shape[1]\nlog_p = logits.log_softmax(-1)[:, k - 1 : -1].gather(2, input_ids[:, :, None])[:, :, 0]\nreturn -log_p[attention_mask].mean()"),
    ],
    "beam_step": [
        _beam(),
        _function(BEAM, "size = log_p.size(-1)\nbest, place = torch.topk((scores.unsqueeze(-1) + log_p).view(len(scores), -1), num_beams)\nreturn best, place.div(size, rounding_mode='floor'), place.remainder(size)"),
        _function(BEAM, "sums = scores[..., None] + log_p\nbest, place = sums.flatten(1).sort(dim=1, descending=True)\norigin, token = torch.unravel_index(place[:, :num_beams], sums.shape[1:])\nreturn best[:, :num_beams], origin, token"),
    ],
}  # fmt: skip
