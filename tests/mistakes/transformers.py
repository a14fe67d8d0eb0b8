"""The bank of notebook transformers: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
from collections import Counter, defaultdict
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def causal_attention(queries, keys, values):
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1])
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ values
"""


def _function(signature: str, body: str) -> str:
    """The source of a function from its signature and its lines."""
    return f"\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))


SCORES = "n, d = queries.shape[-2:]\nscores = queries @ keys.transpose(-2, -1) / math.sqrt(d)\n"
HIDDEN = SCORES + "hidden = torch.ones(n, n, dtype=torch.bool).triu(1)\n"


def _causal(body: str) -> str:
    return _function("causal_attention(queries, keys, values)", body)


CUT = """
batch, n, width = tokens.shape
d = width // num_heads
q = (tokens @ to_q).view(batch, n, num_heads, d).transpose(1, 2)
k = (tokens @ to_k).view(batch, n, num_heads, d).transpose(1, 2)
v = (tokens @ to_v).view(batch, n, num_heads, d).transpose(1, 2)
"""
SEEN = CUT + "seen = causal_attention(q, k, v)\n"


def _several(body: str) -> str:
    return _function("multi_head_attention(tokens, to_q, to_k, to_v, to_out, num_heads)", body)


CHOSEN = "chosen = (noise[0] < rate) & ~special\n"
KINDS = (
    CHOSEN
    + """
masked = chosen & (noise[1] < 0.8)
random = chosen & (noise[1] >= 0.8) & (noise[1] < 0.9)
"""
)
CORRUPTED = (
    KINDS
    + """
corrupted = input_ids.clone()
corrupted[masked] = mask_token_id
corrupted[random] = (noise[2] * vocab_size).long()[random]
"""
)
LABELS = "labels = torch.where(chosen, input_ids, -100)\n"


def _masking(body: str) -> str:
    return _function("corrupt(input_ids, noise, special, mask_token_id, vocab_size, rate=0.15)", body)


PLACED = """
past, new = cached_keys.shape[1], tokens.shape[1]
x = tokens + positions[past : past + new]
"""
GROWN = (
    PLACED
    + """
q, k, v = x @ to_q, x @ to_k, x @ to_v
keys = torch.cat([cached_keys, k], dim=1)
values = torch.cat([cached_values, v], dim=1)
"""
)
LOOKED = (
    GROWN
    + """
scores = q @ keys.mT / math.sqrt(q.shape[-1])
hidden = torch.ones(new, past + new, dtype=torch.bool).triu(past + 1)
seen = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values
"""
)


def _cached(body: str) -> str:
    return _function("attend_with_cache(tokens, positions, to_q, to_k, to_v, cached_keys, cached_values)", body)


COUNTED = """
frequency = Counter()
for word, count in zip(words, counts):
    for pair in zip(word, word[1:]):
        frequency[pair] += count
"""
BEST = COUNTED + "best = min(frequency, key=lambda pair: (-frequency[pair], pair))\n"
MERGED = """
merged = []
for word in words:
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == best:
            out.append(new_id)
            i += 2
        else:
            out.append(word[i])
            i += 1
    merged.append(out)
return best, merged
"""


def _merge(body: str) -> str:
    return _function("merge_step(words, counts, new_id)", body)


HOT = "logits = logits / temperature\n"
TOP_K = (
    HOT
    + """
if 0 < top_k < logits.shape[-1]:
    smallest = logits.topk(top_k, dim=-1).values[:, -1:]
    logits = logits.masked_fill(logits < smallest, float("-inf"))
"""
)
SORTED = (
    TOP_K
    + """
ordered, order = logits.sort(dim=-1, descending=True)
share = ordered.softmax(dim=-1)
total = share.cumsum(dim=-1)
"""
)
NUCLEUS = (
    SORTED
    + """
outside = total - share >= top_p
outside = torch.zeros_like(outside).scatter(-1, order, outside)
"""
)


def _next(body: str) -> str:
    return _function("next_probabilities(logits, temperature, top_k, top_p)", body)


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "causal_attention": [
        (_causal("raise NotImplementedError()"), "This is not written yet"),
        (_causal(SCORES + "return scores.softmax(-1) @ values"), "The mask is missing"),
        (_causal("return F.scaled_dot_product_attention(queries, keys, values)"), "The mask is missing"),
        (
            _causal(
                SCORES
                + """
mask = torch.tril(torch.ones(n, n))
return scores.masked_fill(mask == 1, float("-inf")).softmax(-1) @ values
"""
            ),
            "keep what comes later",
        ),
        (
            _causal(
                SCORES
                + """
mask = torch.ones(n, n, dtype=torch.bool).tril(-1)
return scores.masked_fill(mask, float("-inf")).softmax(-1) @ values
"""
            ),
            "each token sees itself and what comes *later*",
        ),
        (
            _causal(
                SCORES
                + """
mask = torch.triu(torch.ones(n, n)).bool()
return scores.masked_fill(mask, float("-inf")).softmax(-1) @ values
"""
            ),
            "The diagonal is masked",
        ),
        (
            _causal(
                SCORES
                + """
mask = torch.tril(torch.ones(n, n), diagonal=1)
return scores.masked_fill(mask == 0, float("-inf")).softmax(-1) @ values
"""
            ),
            "one place too late",
        ),
        (_causal(SCORES + "return torch.tril(scores.softmax(-1)) @ values"), "You mask *after* the softmax"),
        (
            _causal(HIDDEN + "weights = scores.softmax(-1)\nweights = weights * ~hidden\nreturn weights @ values"),
            "You mask *after* the softmax",
        ),
        (
            _causal(HIDDEN + 'return scores.softmax(-1).masked_fill(hidden, float("-inf")) @ values'),
            "minus infinity into the *weights*",
        ),
        (_causal(SCORES + "return torch.tril(scores).softmax(-1) @ values"), "Hidden scores are 0"),
        (_causal(HIDDEN + "return scores.masked_fill(hidden, 1e-9).softmax(-1) @ values"), "Hidden scores are 0"),
        (_causal(HIDDEN + "return scores.masked_fill(hidden, -1).softmax(-1) @ values"), "Hidden scores are -1"),
        (
            _causal(SCORES + "mask = torch.ones(n, n).tril()\nreturn (scores + mask).softmax(-1) @ values"),
            "You add the mask as numbers",
        ),
        (
            _causal(
                SCORES
                + """
mask = torch.zeros(n, n).masked_fill(torch.ones(n, n).tril() == 1, float("-inf"))
return (scores + mask).softmax(-1) @ values
"""
            ),
            "The mask that you add is minus infinity",
        ),
        (
            _causal("""
n = queries.shape[-2]
scores = queries @ keys.mT
hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values
"""),
            "The scores are not divided by sqrt(d)",
        ),
        (
            _causal("""
n, d = queries.shape[-2:]
scores = queries @ keys.mT / d
hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values
"""),
            "You divide by d in place of its root",
        ),
        (
            _causal("""
n, d = queries.shape[-2:]
scores = queries @ keys.mT * d**0.5
hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values
"""),
            "You multiply the scores by sqrt(d)",
        ),
        (
            _causal("""
n = queries.size(-2)
scores = queries @ keys.mT / n**0.5
hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values
"""),
            "the number of *tokens*",
        ),
        (
            _causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).softmax(-2) @ values'),
            "The softmax runs over the queries",
        ),
        (_causal(HIDDEN + "return scores.masked_fill(hidden, 0) @ values"), "The softmax is missing"),
        (
            _causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).sigmoid() @ values'),
            "A sigmoid in place of the softmax",
        ),
        (
            _causal("""
n = queries.shape[-2]
weights = torch.ones(n, n).tril()
return weights / weights.sum(-1, keepdim=True) @ values
"""),
            "no gradient flows from your result back to `queries` and `keys`",
        ),
        (
            _causal("return F.scaled_dot_product_attention(keys, queries, values, is_causal=True)"),
            "Queries and keys are exchanged",
        ),
        (
            _causal("return F.scaled_dot_product_attention(queries, keys, keys, is_causal=True)"),
            "no gradient flows from your result back to `values`",
        ),
        (_causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).softmax(-1)'), "You return the weights"),
        (
            _causal(HIDDEN + 'return (scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values).detach()'),
            "no gradient flows",
        ),
        (
            _causal(
                HIDDEN
                + 'scores = torch.where(hidden, float("-inf"), scores.detach())\nreturn scores.softmax(-1) @ values'
            ),
            "no gradient flows from your result back to `queries` and `keys`",
        ),
        (
            _causal(
                "queries /= math.sqrt(queries.shape[-1])\n"
                + 'n = queries.shape[-2]\nhidden = torch.ones(n, n, dtype=torch.bool).triu(1)\nreturn (queries @ keys.mT).masked_fill(hidden, float("-inf")).softmax(-1) @ values'
            ),
            "changes `queries` in place",
        ),
        (_causal("scores = queries @ keys\nreturn scores.softmax(-1) @ values"), "Your code stops with RuntimeError"),
        (_causal(HIDDEN + "return scores.masked_fill(hidden, -10).softmax(-1) @ values"), "Hidden scores are -10"),
        (
            _causal(SCORES + "return (scores + torch.ones(n, n).triu(1) * -math.inf).softmax(-1) @ values"),
            "0 times infinity is NaN",
        ),
        (
            _causal(SCORES + "return scores.masked_fill(torch.ones(n, n).triu() == 1, -1e9).softmax(-1) @ values"),
            "The diagonal is masked",
        ),
        (
            _causal("""
n = queries.shape[-2]
mask = torch.ones(n, n, dtype=torch.bool).triu(1)
return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
"""),
            "True means that a token *may* look",
        ),
        (_causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).softmax(2) @ values'), "runs over axis 2"),
        (_causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).softmax(1) @ values'), "runs over axis 1"),
        (
            _causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).softmax(-1).mT @ values'),
            "The weights are transposed",
        ),
        (
            _causal(
                HIDDEN.replace("(-2, -1)", "(1, 2)")
                + 'return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values'
            ),
            "where there are three: with heads",
        ),
        (_causal(HIDDEN.replace("transpose(-2, -1)", "T") + "return scores @ values"), "*all* axes round"),
    ],
    "multi_head_attention": [
        (_several("raise NotImplementedError()"), "This is not written yet"),
        (
            _several("return causal_attention(tokens @ to_q, tokens @ to_k, tokens @ to_v) @ to_out"),
            "You took one head",
        ),
        (
            _several("""
batch, n, width = tokens.shape
q, k, v = ((tokens @ w).view(batch, num_heads, n, width // num_heads) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).transpose(1, 2).flatten(2) @ to_out
"""),
            "tears the tokens apart: in memory",
        ),
        (_several(SEEN + "return seen.reshape(batch, n, width) @ to_out"), "parts of other tokens"),
        (
            _several("""
batch, n, width = tokens.shape
q, k, v = ((tokens @ w).view(batch, num_heads, n, width // num_heads) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).reshape(batch, n, width) @ to_out
"""),
            "They undo each other",
        ),
        (
            _several("""
batch, n, width = tokens.shape
q, k, v = ((tokens @ w).view(batch, n, width // num_heads, num_heads).permute(0, 3, 1, 2) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).permute(0, 2, 3, 1).flatten(2) @ to_out
"""),
            "every num_heads-th number",
        ),
        (
            _several("""
batch, n, width = tokens.shape
q, k, v = ((tokens @ w).view(batch, n, num_heads, width // num_heads) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).flatten(2) @ to_out
"""),
            "heads and positions are swapped",
        ),
        (_several(SEEN + "return seen.permute(0, 2, 3, 1).flatten(2) @ to_out"), "The heads are interleaved"),
        (
            _several(SEEN + "return seen.transpose(1, 2).flatten(2)"),
            "no gradient flows from your result back to `to_out`",
        ),
        (_several(SEEN + "return F.linear(seen.transpose(1, 2).flatten(2), to_out)"), "You transposed `to_out`"),
        (
            _several("""
q, k, v = (F.linear(tokens, w).unflatten(2, (num_heads, -1)).transpose(1, 2) for w in (to_q, to_k, to_v))
return F.linear(causal_attention(q, k, v).transpose(1, 2).flatten(2), to_out)
"""),
            "You transposed the weights",
        ),
        (
            _several("""
q, k, v = (F.linear(tokens, w).unflatten(2, (num_heads, -1)).transpose(1, 2) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).transpose(1, 2).flatten(2) @ to_out
"""),
            "You transposed to_q, to_k and to_v",
        ),
        (
            _several(CUT + "return causal_attention(q, v, k).transpose(1, 2).flatten(2) @ to_out"),
            "`to_k` and `to_v` are swapped",
        ),
        (
            _several(CUT + "return causal_attention(k, q, v).transpose(1, 2).flatten(2) @ to_out"),
            "`to_q` and `to_k` are swapped",
        ),
        (
            _several(CUT + "return causal_attention(q, k, k).transpose(1, 2).flatten(2) @ to_out"),
            "no gradient flows from your result back to `to_v`",
        ),
        (
            _several(
                CUT
                + """
weights = (q @ k.mT / math.sqrt(d)).softmax(-1)
return (weights @ v).transpose(1, 2).flatten(2) @ to_out
"""
            ),
            "The heads look ahead",
        ),
        (
            _several(
                CUT
                + """
scores = q @ k.mT / math.sqrt(width)
scores = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))
return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ to_out
"""
            ),
            "the root of the whole width",
        ),
        (
            _several(
                CUT
                + """
scores = (q @ k.mT).masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))
return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ to_out
"""
            ),
            "The scores are not divided by sqrt(d)",
        ),
        (
            _several(SEEN + "return tokens + seen.transpose(1, 2).flatten(2) @ to_out"),
            "You added the tokens to the answer",
        ),
        (_several(SEEN + "return seen.transpose(1, 2).view(batch, n, width) @ to_out"), "use reshape() or flatten()"),
        (_several(SEEN + "return seen.mean(dim=1).repeat(1, 1, num_heads) @ to_out"), "You averaged over the heads"),
        (_several(SEEN + "return seen.transpose(1, 2).flatten(2).detach() @ to_out"), "no gradient flows"),
        (_several(SEEN + "return seen.transpose(1, 2) @ to_out"), "Your code stops with RuntimeError"),
        (
            _several("""
layer = nn.MultiheadAttention(tokens.shape[2], num_heads, batch_first=True)
return layer(tokens, tokens, tokens)[0]
"""),
            "no gradient flows",
        ),
        (
            _several("""
q, k, v = (torch.stack((tokens @ w).split(num_heads, -1), dim=1) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).transpose(1, 2).flatten(2) @ to_out
"""),
            "split wants the *size*",
        ),
        (
            _several("""
q, k, v = ((tokens @ w).unflatten(2, (-1, num_heads)).transpose(1, 2) for w in (to_q, to_k, to_v))
return causal_attention(q, k, v).transpose(1, 2).flatten(2) @ to_out
"""),
            "It is num_heads heads",
        ),
        (
            _several(SEEN + "return seen.transpose(2, 3).reshape(batch, n, width) @ to_out"),
            "the wrong axes are exchanged",
        ),
        (
            _several(SEEN.replace("(tokens @ to_v)", "tokens") + "return seen.transpose(1, 2).flatten(2) @ to_out"),
            "`to_v` is not used",
        ),
    ],
    "corrupt": [
        (_masking("raise NotImplementedError()"), "This is not written yet"),
        (
            _masking(CORRUPTED.replace(" & ~special", "") + LABELS + "return corrupted, labels"),
            "Special tokens are masked too",
        ),
        (
            _masking(CORRUPTED.replace("~special", "special") + LABELS + "return corrupted, labels"),
            "`special` is turned",
        ),
        (
            _masking(CORRUPTED + "labels = torch.where(noise[0] < rate, input_ids, -100)\nreturn corrupted, labels"),
            "Special tokens stay, but their labels",
        ),
        (
            _masking(CORRUPTED.replace("noise[0] < rate", "noise[0] > rate") + LABELS + "return corrupted, labels"),
            "You choose the others",
        ),
        (
            _masking(CORRUPTED.replace("noise[0] < rate", "noise[0] < 0.15") + LABELS + "return corrupted, labels"),
            "use the argument `rate`",
        ),
        (
            _masking(
                CHOSEN
                + "corrupted = input_ids.masked_fill(chosen, mask_token_id)\n"
                + LABELS
                + "return corrupted, labels"
            ),
            "Every chosen token becomes a mask",
        ),
        (
            _masking(
                KINDS
                + "corrupted = input_ids.masked_fill(masked, mask_token_id)\n"
                + LABELS
                + "return corrupted, labels"
            ),
            "No token becomes a random one",
        ),
        (
            _masking(CORRUPTED.replace(" & (noise[1] < 0.9)", "") + LABELS + "return corrupted, labels"),
            "No chosen token stays",
        ),
        (
            _masking(
                CORRUPTED.replace("(noise[1] >= 0.8) & (noise[1] < 0.9)", "(noise[1] > 0.9)")
                + LABELS
                + "return corrupted, labels"
            ),
            "Random and unchanged tokens are exchanged",
        ),
        (
            _masking(
                CORRUPTED.replace("(noise[1] >= 0.8) & (noise[1] < 0.9)", "(noise[1] < 0.1)")
                + LABELS
                + "return corrupted, labels"
            ),
            "taken from the masked ones",
        ),
        (
            _masking(
                CHOSEN
                + """
random = chosen & (noise[1] < 0.1)
masked = chosen & (noise[1] >= 0.2)
corrupted = torch.where(masked, mask_token_id, torch.where(random, (noise[2] * vocab_size).long(), input_ids))
"""
                + LABELS
                + "return corrupted, labels"
            ),
            "but the order is another",
        ),
        (
            _masking(
                CHOSEN
                + """
masked = chosen & (noise[0] < 0.8 * rate)
random = chosen & (noise[0] >= 0.8 * rate) & (noise[0] < 0.9 * rate)
corrupted = torch.where(masked, mask_token_id, torch.where(random, (noise[2] * vocab_size).long(), input_ids))
"""
                + LABELS
                + "return corrupted, labels"
            ),
            "One noise decides twice",
        ),
        (
            _masking(
                CORRUPTED.replace("noise[2] * vocab_size", "noise[1] * vocab_size")
                + LABELS
                + "return corrupted, labels"
            ),
            "The random tokens come from noise[1]",
        ),
        (
            _masking(
                CORRUPTED.replace("noise[2] * vocab_size", "noise[2] * (vocab_size - 1)")
                + LABELS
                + "return corrupted, labels"
            ),
            "The last token of the vocabulary never comes",
        ),
        (
            _masking(
                CORRUPTED.replace("noise[2] * vocab_size).long()", "noise[2] * vocab_size).round().long()")
                + LABELS
                + "return corrupted, labels"
            ),
            "You round the random ids",
        ),
        (_masking(CORRUPTED + "return corrupted, input_ids"), "The loss would run over all tokens"),
        (_masking(CORRUPTED + "return corrupted, input_ids.clone()"), "The loss would run over all tokens"),
        (
            _masking(CORRUPTED + "labels = torch.where(masked, input_ids, -100)\nreturn corrupted, labels"),
            "Only masked tokens are asked for",
        ),
        (
            _masking(
                CORRUPTED
                + "labels = torch.where(corrupted == mask_token_id, input_ids, -100)\nreturn corrupted, labels"
            ),
            "Only masked tokens are asked for",
        ),
        (
            _masking(CORRUPTED + "labels = torch.where(masked | random, input_ids, -100)\nreturn corrupted, labels"),
            "Tokens that were chosen and stay are not asked for",
        ),
        (
            _masking(CORRUPTED + "labels = torch.where(chosen, corrupted, -100)\nreturn corrupted, labels"),
            "The labels hold the corrupted text",
        ),
        (
            _masking(CORRUPTED + "labels = input_ids.masked_fill(chosen, -100)\nreturn corrupted, labels"),
            "The labels are turned",
        ),
        (
            _masking(CORRUPTED + "labels = torch.where(chosen, input_ids, 0)\nreturn corrupted, labels"),
            "Where nothing was chosen the labels are 0",
        ),
        (_masking(CORRUPTED + LABELS + "return labels, corrupted"), "The two are swapped"),
        (_masking(CORRUPTED + "return corrupted"), "You return the corrupted text alone"),
        (
            _masking(
                KINDS
                + """
labels = torch.where(chosen, input_ids, -100)
input_ids[masked] = mask_token_id
input_ids[random] = (noise[2] * vocab_size).long()[random]
return input_ids, labels
"""
            ),
            "changes `input_ids` in place",
        ),
        (
            _masking(
                KINDS
                + """
random_ids = torch.randint(vocab_size, input_ids.shape)
corrupted = torch.where(masked, mask_token_id, torch.where(random, random_ids, input_ids))
"""
                + LABELS
                + "return corrupted, labels"
            ),
            "draws random numbers of its own",
        ),
        (
            _masking(
                KINDS
                + """
corrupted = torch.where(masked, mask_token_id, torch.where(random, noise[2] * vocab_size, input_ids))
"""
                + LABELS
                + "return corrupted, labels"
            ),
            "Your result has the wrong dtype",
        ),
        (
            _masking("chosen = noise[0] < rate and not special\n" + LABELS + "return input_ids, labels"),
            "use torch.where",
        ),
        (
            _masking(CORRUPTED.replace(" & (noise[1] >= 0.8)", "") + LABELS + "return corrupted, labels"),
            "The random tokens overwrite the masks",
        ),
        (
            _masking(
                CORRUPTED.replace(" & ~special", "")
                + "labels = torch.where(chosen & ~special, input_ids, -100)\nreturn corrupted, labels"
            ),
            "they are changed in the text all the same",
        ),
        (
            _masking(CORRUPTED.replace("noise[0] < rate", "noise[0] > 1 - rate") + LABELS + "return corrupted, labels"),
            "above 1 - rate",
        ),
        (
            _masking("noise = noise[[1, 0, 2]]\n" + CORRUPTED + LABELS + "return corrupted, labels"),
            "noise[0] and noise[1] are exchanged",
        ),
        (
            _masking("noise = noise[[0, 2, 1]]\n" + CORRUPTED + LABELS + "return corrupted, labels"),
            "noise[1] and noise[2] are exchanged",
        ),
        (
            _masking(
                CORRUPTED.replace("(noise[2] * vocab_size).long()", "(noise[2].long() * vocab_size)")
                + LABELS
                + "return corrupted, labels"
            ),
            "All random tokens are token 0",
        ),
        (
            _masking("chosen = noise[0] < rate & ~special\n" + LABELS + "return input_ids, labels"),
            "put brackets round each comparison",
        ),
        (
            _masking(
                CORRUPTED.replace("noise[1] < 0.8", "noise[0] < 0.8").replace("noise[1] >=", "noise[0] >=")
                + LABELS
                + "return corrupted, labels"
            ),
            "noise[0] of a chosen token is below 0.8 anyway",
        ),
        (_masking(CORRUPTED.replace("= mask_token_id", "= 3") + LABELS + "return corrupted, labels"), "It runs"),
    ],
    "attend_with_cache": [
        (_cached("raise NotImplementedError()"), "This is not written yet"),
        (
            _cached(LOOKED.replace("positions[past : past + new]", "positions[:new]") + "return seen, keys, values"),
            "The positions begin at 0 again",
        ),
        (
            _cached(LOOKED.replace("positions[past : past + new]", "positions[past]") + "return seen, keys, values"),
            "The position is not advanced",
        ),
        (
            _cached(
                LOOKED.replace("positions[past : past + new]", "positions[past + 1 : past + 1 + new]")
                + "return seen, keys, values"
            ),
            "The positions are one too large",
        ),
        (
            _cached(LOOKED.replace(" + positions[past : past + new]", "") + "return seen, keys, values"),
            "The positions are missing",
        ),
        (
            _cached(
                LOOKED.replace("[cached_keys, k]", "[k, cached_keys]").replace(
                    "[cached_values, v]", "[v, cached_values]"
                )
                + "return seen, keys, values"
            ),
            "*before* the cached ones",
        ),
        (
            _cached(LOOKED.replace("triu(past + 1)", "triu(1)") + "return seen, keys, values"),
            "The mask forgets the cache",
        ),
        (
            _cached(
                GROWN
                + "seen = F.scaled_dot_product_attention(q, keys, values, is_causal=True)\nreturn seen, keys, values"
            ),
            "The mask forgets the cache",
        ),
        (
            _cached(GROWN + "seen = F.scaled_dot_product_attention(q, keys, values)\nreturn seen, keys, values"),
            "The mask is missing: of several new tokens",
        ),
        (
            _cached(LOOKED.replace("triu(past + 1)", "triu(past)") + "return seen, keys, values"),
            "The new tokens do not see themselves",
        ),
        (
            _cached(LOOKED.replace("triu(past + 1)", "triu(past + 2)") + "return seen, keys, values"),
            "Each new token sees the next one",
        ),
        (
            _cached(
                GROWN + "seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)\nreturn seen, keys, values"
            ),
            "The new tokens look only at one another",
        ),
        (_cached(LOOKED + "return seen, k, v"), "the next step needs all of them"),
        (_cached(LOOKED + "return seen, cached_keys, cached_values"), "The cache has not grown"),
        (_cached(LOOKED + "return seen, values, keys"), "returned in the wrong order"),
        (_cached(LOOKED + "return seen, keys, keys"), "You return the keys twice"),
        (_cached(LOOKED + "return seen"), "You return what was seen alone"),
        (
            _cached(LOOKED.replace(" / math.sqrt(q.shape[-1])", "") + "return seen, keys, values"),
            "The scores are not divided by sqrt(d)",
        ),
        (
            _cached(LOOKED.replace("math.sqrt(q.shape[-1])", "math.sqrt(keys.shape[1])") + "return seen, keys, values"),
            "the number of tokens",
        ),
        (_cached(LOOKED + "return seen[:, -1:], keys, values"), "what the last token has seen"),
        (_cached(LOOKED.replace("dim=1", "dim=2") + "return seen, keys, values"), "Your code stops with RuntimeError"),
        (_cached(LOOKED + "return seen, keys.detach(), values.detach()"), "gradient"),
        (
            _cached(LOOKED.replace("[past : past + new]", "[-new:]") + "return seen, keys, values"),
            "the last places of the *table*",
        ),
        (
            _cached(
                LOOKED.replace("x @ to_k", "tokens @ to_k").replace("x @ to_v", "tokens @ to_v")
                + "return seen, keys, values"
            ),
            "added to the queries only",
        ),
        (_cached(LOOKED.replace("x @ to_v", "tokens @ to_v") + "return seen, keys, values"), "missing in the values"),
        (_cached(LOOKED.replace("x @ to_q", "tokens @ to_q") + "return seen, keys, values"), "missing in the queries"),
        (
            _cached(
                LOOKED.replace("x @ to_q, x @ to_k, x @ to_v", "(tokens @ w + x - tokens for w in (to_q, to_k, to_v))")
                + "return seen, keys, values"
            ),
            "they belong to the *tokens*",
        ),
        (
            _cached(
                LOOKED.replace("[cached_keys, k], dim=1)", "[cached_keys, x], dim=1) @ to_k").replace(
                    "[cached_values, v], dim=1)", "[cached_values, x], dim=1) @ to_v"
                )
                + "return seen, keys, values"
            ),
            "a second time: they are keys and values already",
        ),
        (
            _cached(LOOKED.replace("x @ to_q, x @ to_k", "x @ to_k, x @ to_q") + "return seen, keys, values"),
            "`to_q` and `to_k` are swapped",
        ),
        (
            _cached(
                LOOKED.replace("x @ to_q, x @ to_k, x @ to_v", "(F.linear(x, w) for w in (to_q, to_k, to_v))")
                + "return seen, keys, values"
            ),
            "You transposed the weights",
        ),
        (
            _cached(LOOKED.replace("past : past + new", "past - 1 : past - 1 + new") + "return seen, keys, values"),
            "The positions are one too small",
        ),
        (
            _cached(LOOKED.replace("triu(past + 1)", "triu(new + 1)") + "return seen, keys, values"),
            "shifted by the number of *new* tokens",
        ),
        (
            _cached(
                GROWN
                + "seen = F.scaled_dot_product_attention(q, keys, values, is_causal=past == 0)\nreturn seen, keys, values"
            ),
            "The mask is missing where there is a cache",
        ),
        (
            _cached(LOOKED.replace(", dtype=torch.bool", "") + "return seen, keys, values"),
            "The mask holds numbers",
        ),
        (
            _cached(LOOKED.replace("triu(past + 1)", "tril(past)") + "return seen, keys, values"),
            "Is a row hidden wholly",
        ),
    ],
    "merge_step": [
        (_merge("raise NotImplementedError()"), "This is not written yet"),
        (_merge(BEST.replace("+= count", "+= 1") + MERGED), "`counts` have no effect"),
        (
            _merge(
                """
text = [token for word, count in zip(words, counts) for _ in range(count) for token in word]
frequency = Counter(zip(text, text[1:]))
best = min(frequency, key=lambda pair: (-frequency[pair], pair))
"""
                + MERGED
            ),
            "across the borders of words",
        ),
        (
            _merge(BEST.replace("in zip(word, word[1:]):", "in set(zip(word, word[1:])):") + MERGED),
            "you count it once a word",
        ),
        (
            _merge(BEST.replace("frequency[pair] +=", "frequency[tuple(sorted(pair))] +=") + MERGED),
            "You count (a, b) and (b, a) as one pair",
        ),
        (
            _merge(
                """
frequency = Counter()
for word, count in zip(words, counts):
    for i in range(len(word)):
        for j in range(i + 1, len(word)):
            frequency[word[i], word[j]] += count
best = min(frequency, key=lambda pair: (-frequency[pair], pair))
"""
                + MERGED
            ),
            "a pair is two *neighbours*",
        ),
        (
            _merge(COUNTED + "best = min(frequency, key=lambda pair: (frequency[pair], pair))\n" + MERGED),
            "You take the *rarest* pair",
        ),
        (
            _merge(COUNTED + "best = max(frequency, key=lambda pair: (frequency[pair], pair))\n" + MERGED),
            "the one with the largest ids",
        ),
        (_merge(COUNTED + "best = max(frequency, key=frequency.get)\n" + MERGED), "the one that was counted first"),
        (_merge(COUNTED + "best = frequency.most_common(1)[0][0]\n" + MERGED), "the one that was counted first"),
        (_merge(COUNTED + "best = min(frequency)\n" + MERGED), "however rare"),
        (_merge(BEST + MERGED.replace("i += 2", "i += 1")), "After a merge you go on one place"),
        (
            _merge(
                BEST
                + """
merged = []
for word in words:
    out, i = [], len(word) - 1
    while i >= 0:
        if i > 0 and (word[i - 1], word[i]) == best:
            out.insert(0, new_id)
            i -= 2
        else:
            out.insert(0, word[i])
            i -= 1
    merged.append(out)
return best, merged
"""
            ),
            "You merge from the right",
        ),
        (
            _merge(
                BEST
                + """
merged = []
for word in words:
    word = list(word)
    for i in range(len(word) - 1):
        if (word[i], word[i + 1]) == best:
            word[i : i + 2] = [new_id]
            break
    merged.append(word)
return best, merged
"""
            ),
            "Only the first place in each word",
        ),
        (
            _merge(BEST + MERGED.replace("(word[i], word[i + 1]) == best", "{word[i], word[i + 1]} == set(best)")),
            "You merge (b, a) as well as (a, b)",
        ),
        (
            _merge(BEST + MERGED.replace("while i < len(word):", "while i < len(word) - 1:")),
            "The last token of a word gets lost",
        ),
        (_merge(BEST + MERGED.replace("out.append(new_id)", "out += [new_id, new_id]")), "two tokens become *one*"),
        (
            _merge(BEST + "return best, [[new_id if token in best else token for token in word] for word in words]"),
            "each token that is *in* the pair",
        ),
        (_merge(BEST + "return best, words"), "The words are as they were"),
        (_merge(BEST + MERGED.replace("return best, merged", "return merged, best")), "The two are swapped"),
        (_merge(BEST + MERGED.replace("return best, merged", "return merged")), "You return the words alone"),
        (_merge(BEST + MERGED.replace("i + 1 < len(word) and ", "")), "Your code stops with IndexError"),
        (
            _merge(
                """
frequency = Counter()
for word, count in zip(words, counts):
    for i in range(len(word)):
        frequency[word[i - 1], word[i]] += count
best = min(frequency, key=lambda pair: (-frequency[pair], pair))
"""
                + MERGED
            ),
            "with its first one",
        ),
        (_merge(BEST.replace("zip(word, word[1:])", "zip(word[:-2], word[1:])") + MERGED), "range(len(word) - 1)"),
        (_merge(BEST.replace("+= count", "= count") + MERGED), "*add* to what was counted before"),
        (
            _merge(
                """
frequency = Counter()
for word, count in zip(words, counts):
    last = None
    for i in range(len(word) - 1):
        pair = word[i], word[i + 1]
        if pair != last or pair[0] != pair[1]:
            frequency[pair] += count
            last = pair
        else:
            last = None
best = min(frequency, key=lambda pair: (-frequency[pair], pair))
"""
                + MERGED
            ),
            "as neighbours there are two",
        ),
        (
            _merge(BEST + MERGED.replace("merged.append(out)", "merged += [out] if new_id in out else []")),
            "only the words that have changed",
        ),
        (
            _merge(BEST + MERGED.replace("merged.append(out)", "merged += [out] if len(word) > 1 else []")),
            "Words of one token are missing",
        ),
        (
            _merge(
                COUNTED
                + """
best = None
for pair in frequency:
    if best is None or frequency[pair] >= frequency[best]:
        best = pair
"""
                + MERGED
            ),
            "the one that was counted last",
        ),
        (
            _merge(COUNTED + "best = min(frequency, key=lambda pair: (-frequency[pair], pair[0]))\n" + MERGED),
            "the smallest second id",
        ),
        (
            _merge(COUNTED + "best = min(frequency, key=lambda pair: (-frequency[pair], pair[1], pair[0]))\n" + MERGED),
            "you compare the *second* ids first",
        ),
        (
            _merge(COUNTED + "best = min(frequency, key=lambda pair: (-frequency[pair], sum(pair)))\n" + MERGED),
            "the *sums* of the ids",
        ),
        (
            _merge(
                COUNTED + "best = min(frequency, key=lambda pair: (-frequency[pair], pair[0], -pair[1]))\n" + MERGED
            ),
            "the smallest second id",
        ),
        (
            _merge(
                BEST
                + """
merged = []
for word in words:
    text = " ".join(map(str, word)).replace(f"{best[0]} {best[1]}", str(new_id))
    merged.append([int(token) for token in text.split()])
return best, merged
"""
            ),
            "has another length",
        ),
        (
            _merge(
                COUNTED
                + "frequency = {pair: n for pair, n in frequency.items() if n > 1}\n"
                + "best = min(frequency, key=lambda pair: (-frequency[pair], pair))\n"
                + MERGED
            ),
            "Your code stops with ValueError",
        ),
        (_merge(BEST + MERGED.replace("i + 1 < len(word) and ", "")), "has to stop one place earlier"),
    ],
    "next_probabilities": [
        (_next("raise NotImplementedError()"), "This is not written yet"),
        (
            _next(
                NUCLEUS.replace("logits / temperature", "logits * temperature")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "You multiply by the temperature",
        ),
        (
            _next(
                NUCLEUS.replace("logits = logits / temperature", "")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "The temperature has no effect",
        ),
        (
            _next(NUCLEUS.replace(TOP_K, HOT) + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'),
            "top_k has no effect",
        ),
        (_next(TOP_K + "return logits.softmax(-1)"), "top_p has no effect"),
        (
            _next(
                NUCLEUS.replace("logits < smallest", "logits <= smallest")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "One token too few is kept",
        ),
        (
            _next(
                NUCLEUS.replace(
                    "logits.topk(top_k, dim=-1).values[:, -1:]",
                    "logits.sort(dim=-1, descending=True).values[:, top_k : top_k + 1]",
                )
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "One token too many is kept",
        ),
        (
            _next(
                HOT
                + """
if top_k > 0:
    values, best = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
    logits = torch.full_like(logits, float("-inf")).scatter(-1, best, values)
ordered, order = logits.sort(dim=-1, descending=True)
share = ordered.softmax(dim=-1)
outside = share.cumsum(-1) - share >= top_p
outside = torch.zeros_like(outside).scatter(-1, order, outside)
return logits.masked_fill(outside, float("-inf")).softmax(-1)
"""
            ),
            "Of equally likely tokens you keep one",
        ),
        (
            _next(
                NUCLEUS.replace("values[:, -1:]", "values[0, -1]")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "The threshold of the first text",
        ),
        (
            _next(
                NUCLEUS.replace('logits < smallest, float("-inf")', "logits < smallest, 0.0")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "What top-k drops has logit 0",
        ),
        (
            _next(
                SORTED
                + """
outside = total > top_p
outside[:, 0] = False
outside = torch.zeros_like(outside).scatter(-1, order, outside)
return logits.masked_fill(outside & (top_p < 1), float("-inf")).softmax(-1)
"""
            ),
            "Top-p drops the token that crosses the threshold: the fewest",
        ),
        (
            _next(
                SORTED
                + """
outside = (total > top_p) & (top_p < 1)
outside = torch.zeros_like(outside).scatter(-1, order, outside)
return logits.masked_fill(outside, float("-inf")).softmax(-1)
"""
            ),
            "even where it is the first",
        ),
        (
            _next(
                NUCLEUS.replace("descending=True", "descending=False")
                + 'return logits.masked_fill(outside & (top_p < 1), float("-inf")).softmax(-1)'
            ),
            "You sort from the least likely on",
        ),
        (
            _next(
                TOP_K
                + """
if top_p < 1:
    logits = logits.masked_fill(logits.softmax(-1) < top_p, float("-inf"))
return logits.softmax(-1)
"""
            ),
            "likelier than p each",
        ),
        (
            _next(
                SORTED
                + "outside = (total - share >= top_p) & (top_p < 1)\n"
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "The mask is in the order of the sorted tokens",
        ),
        (
            _next(
                NUCLEUS
                + """
probabilities = logits.softmax(-1)
keep = ~outside & torch.isfinite(logits)
return HOT_ONES * keep
""".replace("HOT_ONES", "(before).softmax(-1)")
            ).replace("logits = logits / temperature\n", "logits = logits / temperature\n    before = logits\n", 1),
            "does not add up to 1",
        ),
        (
            _next(
                HOT
                + """
ordered, order = logits.sort(dim=-1, descending=True)
share = ordered.softmax(dim=-1)
outside = share.cumsum(-1) - share >= top_p
outside = torch.zeros_like(outside).scatter(-1, order, outside)
logits = logits.masked_fill(outside, float("-inf"))
if 0 < top_k < logits.shape[-1]:
    logits = logits.masked_fill(logits < logits.topk(top_k, dim=-1).values[:, -1:], float("-inf"))
return logits.softmax(-1)
"""
            ),
            "p counts the share of *all* tokens",
        ),
        (
            _next(NUCLEUS + 'return logits.masked_fill(outside, float("-inf")).log_softmax(-1)'),
            "These are log probabilities",
        ),
        (_next(NUCLEUS + 'return logits.masked_fill(outside, float("-inf"))'), "These are logits"),
        (
            _next(NUCLEUS + 'return logits.masked_fill(outside, float("-inf")).softmax(0)'),
            "The softmax runs over the texts of the batch",
        ),
        (
            _next(
                NUCLEUS
                + 'logits = logits.masked_fill(outside, float("-inf"))\nreturn F.one_hot(torch.multinomial(logits.softmax(-1), 1)[:, 0], logits.shape[1]).float()'
            ),
            "draws random numbers of its own",
        ),
        (
            _next(
                SORTED
                + """
outside = total > top_p
outside[:, 0] = False
outside = torch.zeros_like(outside).scatter(-1, order, outside)
return logits.masked_fill(outside, float("-inf")).softmax(-1)
"""
            ),
            "Top-p drops the token that crosses the threshold: the fewest",
        ),
        (
            _next(
                HOT
                + """
probabilities = logits.softmax(-1)
if 0 < top_k < logits.shape[-1]:
    smallest = probabilities.topk(top_k, dim=-1).values[:, -1:]
    probabilities = probabilities * (probabilities >= smallest)
    probabilities = probabilities / probabilities.sum(-1, keepdim=True)
ordered, order = probabilities.sort(dim=-1, descending=True)
outside = ordered.cumsum(-1) > top_p
outside[:, 0] = False
probabilities[torch.zeros_like(outside).scatter(-1, order, outside)] = 0
return probabilities / probabilities.sum(-1, keepdim=True)
"""
            ),
            "Top-p drops the token that crosses the threshold: the fewest",
        ),
        (
            _next(SORTED + 'return logits.masked_fill(total - share >= top_p, float("-inf")).softmax(-1)'),
            "The mask is in the order of the sorted tokens",
        ),
        (
            _next(SORTED + 'return ordered.masked_fill(total - share >= top_p, float("-inf")).softmax(-1)'),
            "in sorted order: column i belongs to token i",
        ),
        (
            _next(
                SORTED
                + """
outside = (total - share >= top_p).gather(-1, order)
return logits.masked_fill(outside, float("-inf")).softmax(-1)
"""
            ),
            "brings the mask into the sorted order once more",
        ),
        (
            _next(
                TOP_K
                + """
share = logits.softmax(-1)
outside = (share.cumsum(-1) - share >= top_p) & (top_p < 1)
return logits.masked_fill(outside, float("-inf")).softmax(-1)
"""
            ),
            "sort them first",
        ),
        (_next(NUCLEUS + "return logits.masked_fill(outside, 0.0).softmax(-1)"), "What top-p drops has logit 0"),
        (
            _next(NUCLEUS + "return (logits.softmax(-1) * ~outside)"),
            "What top-p leaves does not add up to 1",
        ),
        (
            _next(NUCLEUS + 'outside &= top_k == 0\nreturn logits.masked_fill(outside, float("-inf")).softmax(-1)'),
            "top_p has no effect where top_k is given",
        ),
        (
            _next(HOT + NUCLEUS + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'),
            "divided by the temperature twice",
        ),
        (
            _next(
                NUCLEUS.replace("values[:, -1:]", "values.min()")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "One threshold is used for all texts, the smallest",
        ),
        (
            _next(
                HOT
                + """
p = logits.softmax(-1)
if 0 < top_k < logits.shape[-1]:
    p = p * (p >= p.topk(top_k, -1).values[:, -1:])
s, order = p.sort(-1, descending=True)
inside = s.cumsum(-1) - s < top_p
p = p * torch.zeros_like(inside).scatter(-1, order, inside)
return p / p.sum(-1, keepdim=True)
"""
            ),
            "make the k likeliest add up to 1",
        ),
        (
            _next(
                "p = logits.softmax(-1) / temperature\nlogits = (p / p.sum(-1, keepdim=True)).log()\n"
                + NUCLEUS.replace(HOT, "")
                + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'
            ),
            "are what they were",
        ),
        (_next(NUCLEUS.replace("0 < top_k < logits.shape[-1]", "top_k > 0") + "return logits"), "out of range"),
    ],
}

RIGHT: dict[str, list[str]] = {
    "causal_attention": [
        _causal(HIDDEN + 'return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ values'),
        _causal("return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)"),
        _causal(HIDDEN + "return scores.masked_fill(hidden, -1e9).softmax(dim=-1).matmul(values)"),
        _causal(
            SCORES
            + """
mask = torch.full((n, n), float("-inf")).triu(1)
return torch.softmax(scores + mask, dim=-1) @ values
"""
        ),
        _causal("""
n, d = queries.shape[-2:]
scores = torch.einsum("...id,...jd->...ij", queries / d**0.5, keys)
scores = torch.where(torch.ones(n, n).tril() == 0, float("-inf"), scores)
weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
return torch.einsum("...ij,...jd->...id", weights, values)
"""),
        _causal(
            SCORES
            + """
weights = scores.softmax(-1).tril()
return weights / weights.sum(-1, keepdim=True) @ values
"""
        ),
        _causal(
            SCORES
            + """
place = torch.arange(n)
scores = scores.masked_fill(place[None, :] > place[:, None], float("-inf"))
return F.softmax(scores, -1) @ values
"""
        ),
    ],
    "multi_head_attention": [
        _several(SEEN + "return seen.transpose(1, 2).flatten(2) @ to_out"),
        _several(SEEN + "return seen.transpose(1, 2).contiguous().view(batch, n, width) @ to_out"),
        _several("""
heads = []
for q, k, v in zip(*((tokens @ w).chunk(num_heads, dim=-1) for w in (to_q, to_k, to_v))):
    heads.append(causal_attention(q, k, v))
return torch.cat(heads, dim=-1) @ to_out
"""),
        _several("""
q, k, v = (tokens @ torch.cat([to_q, to_k, to_v], dim=1)).chunk(3, dim=2)
q, k, v = (part.unflatten(2, (num_heads, -1)).permute(0, 2, 1, 3) for part in (q, k, v))
return torch.matmul(causal_attention(q, k, v).movedim(1, 2).flatten(2), to_out)
"""),
        _several(
            CUT
            + """
seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
return torch.einsum("bhnd,hdw->bnw", seen, to_out.view(num_heads, d, width))
"""
        ),
    ],
    "corrupt": [
        _masking(CORRUPTED + LABELS + "return corrupted, labels"),
        _masking(
            KINDS
            + """
corrupted = torch.where(masked, mask_token_id, torch.where(random, (noise[2] * vocab_size).long(), input_ids))
return corrupted, input_ids.masked_fill(~chosen, -100)
"""
        ),
        _masking("""
choose, what, which = noise
labels = input_ids.clone()
labels[(choose >= rate) | special] = -100
asked = labels != -100
corrupted = input_ids.clone()
corrupted[asked & (what < 0.8)] = mask_token_id
swap = asked & (what >= 0.8) & (what < 0.9)
corrupted[swap] = torch.floor(which[swap] * vocab_size).to(torch.int64)
return [corrupted, labels]
"""),
        _masking("""
chosen = torch.logical_and(noise[0] < rate, torch.logical_not(special)).long()
kind = (noise[1] >= 0.8).long() + (noise[1] >= 0.9).long()
options = torch.stack([torch.full_like(input_ids, mask_token_id), (noise[2] * vocab_size).long(), input_ids])
changed = options.gather(0, kind[None])[0]
return chosen * changed + (1 - chosen) * input_ids, chosen * input_ids - 100 * (1 - chosen)
"""),
    ],
    "attend_with_cache": [
        _cached(LOOKED + "return seen, keys, values"),
        _cached(
            GROWN
            + """
allowed = torch.ones(new, past + new, dtype=torch.bool).tril(past)
return F.scaled_dot_product_attention(q, keys, values, allowed), keys, values
"""
        ),
        _cached("""
past = cached_keys.size(1)
places = past + torch.arange(tokens.size(1))
x = tokens + positions[places]
keys, values = torch.cat((cached_keys, x @ to_k), 1), torch.cat((cached_values, x @ to_v), 1)
scores = torch.einsum("bnd,bmd->bnm", x @ to_q, keys) / keys.size(2) ** 0.5
later = torch.arange(keys.size(1))[None] > places[:, None]
return torch.einsum("bnm,bmd->bnd", scores.masked_fill(later, -torch.inf).softmax(2), values), keys, values
"""),
        _cached(
            PLACED
            + """
keys, values, rows = cached_keys, cached_values, []
for i in range(new):
    one = x[:, i : i + 1]
    keys, values = torch.cat([keys, one @ to_k], 1), torch.cat([values, one @ to_v], 1)
    rows.append((one @ to_q @ keys.mT / math.sqrt(x.shape[2])).softmax(-1) @ values)
return torch.cat(rows, 1), keys, values
"""
        ),
    ],
    "merge_step": [
        _merge(BEST + MERGED),
        _merge(
            """
frequency = defaultdict(int)
for number, word in enumerate(words):
    for i in range(len(word) - 1):
        frequency[(word[i], word[i + 1])] += counts[number]
most = max(frequency.values())
best = min(pair for pair, count in frequency.items() if count == most)
"""
            + MERGED
        ),
        _merge(
            COUNTED
            + """
best = sorted(frequency.items(), key=lambda item: (-item[1], item[0]))[0][0]
merged = []
for word in words:
    out = []
    for token in word:
        if out and out[-1] is not None and (out[-1], token) == best:
            out[-1] = new_id
        else:
            out.append(token)
    merged.append(tuple(out))
return best, tuple(merged)
"""
        ),
        _merge(
            BEST
            + """
merged = []
for word in words:
    text = "," + ",".join(f"{token}," for token in word)
    text = text.replace(f",{best[0]},,{best[1]},", f",{new_id},")
    merged.append([int(token) for token in text.split(",") if token])
return list(best), merged
"""
        ),
    ],
    "next_probabilities": [
        _next(NUCLEUS + 'return logits.masked_fill(outside, float("-inf")).softmax(-1)'),
        _next(
            TOP_K
            + """
probabilities = logits.softmax(dim=-1)
if top_p < 1:
    ordered, order = probabilities.sort(dim=-1, descending=True)
    total = ordered.cumsum(dim=-1)
    remove = total > top_p
    remove[:, 1:] = remove[:, :-1].clone()
    remove[:, 0] = False
    ordered = ordered.masked_fill(remove, 0.0)
    probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
return probabilities / probabilities.sum(dim=-1, keepdim=True)
"""
        ),
        _next(
            TOP_K
            + """
rows = []
for row in logits:
    share = row.softmax(0)
    kept, held = torch.zeros_like(share), 0.0
    for token in share.argsort(descending=True).tolist():
        if held >= top_p and top_p < 1:
            break
        kept[token] = share[token]
        held += share[token].item()
    rows.append(kept / kept.sum())
return torch.stack(rows)
"""
        ),
        _next(
            SORTED
            + """
ordered = ordered.masked_fill(total - share >= top_p, float("-inf")) if top_p < 1 else ordered
return ordered.softmax(-1).gather(-1, order.argsort(-1))
"""
        ),
    ],
}
