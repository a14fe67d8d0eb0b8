"""The bank of notebook clip: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def zero_shot_by_letters(image_features, class_names, template, letters, logit_scale):
    def encode_text(texts):
        if isinstance(texts, str):
            raise TypeError("encode_text takes a list of texts: hand over all prompts at once")
        rows = [letters[[ord(letter) % len(letters) for letter in text]] for text in texts]
        return torch.stack([row.cumsum(0).sin().sum(0) for row in rows])

    return zero_shot(image_features, class_names, template, encode_text, logit_scale)
"""


def _function(signature: str, body: str) -> str:
    """The source of a function from its signature and its lines."""
    return f"\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.strip().split("\n"))


def _loss(body: str) -> str:
    return _function("contrastive_loss(image_features, text_features, log_scale)", body)


UNIT = """
images = F.normalize(image_features, dim=1)
texts = F.normalize(text_features, dim=1)
"""
LOGITS = UNIT + "logits = log_scale.exp() * images @ texts.T\n"
OWN = LOGITS + "own = torch.arange(len(logits))\n"
BOTH = "return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2"


def _pool(body: str) -> str:
    return _function("attention_pool(features, positions, to_q, to_k, to_v, to_out, num_heads)", body)


TOKENS = """
tokens = features.flatten(2).transpose(1, 2)
tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)
"""
PLACED = TOKENS + "tokens = tokens + positions\n"
QUERY = PLACED + "q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v\n"
SPLIT = "q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (q, k, v))\n"
ATTEND = "weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(dim=-1)\n"
JOIN = "return (weights @ v).transpose(1, 2).flatten(1) @ to_out"


def _classify(body: str) -> str:
    return _function("zero_shot(image_features, class_names, template, encode_text, logit_scale)", body)


PROMPTS = """
prompts = [template.format(name) for name in class_names]
texts = F.normalize(encode_text(prompts), dim=1)
images = F.normalize(image_features, dim=1)
"""
SCORES = PROMPTS + "logits = logit_scale * images @ texts.T\n"


def _ensemble(body: str) -> str:
    return _function("class_embeddings(prompt_features)", body)


def _probe(body: str) -> str:
    return _function("linear_probe(features, labels, test_features, test_labels, num_classes, l2)", body)


START = """
weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
bias = torch.zeros(num_classes, requires_grad=True)
optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")
"""


def _fit(loss: str, start: str = START, before: str = "") -> str:
    """The lines that fit weight and bias by this loss."""
    return f"""{before}{start}
def closure():
    optimizer.zero_grad()
    loss = {loss}
    loss.backward()
    return loss

optimizer.step(closure)
"""


LOSS = "F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * weight.square().sum()"
JUDGE = """
logits = (test_features @ weight.T + bias).detach()
return logits.softmax(dim=1), (logits.argmax(dim=1) == test_labels).float().mean()
"""


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "contrastive_loss": [
        (_loss("raise NotImplementedError()"), "This is not written yet"),
        (
            _loss("""
logits = log_scale.exp() * image_features @ text_features.T
own = torch.arange(len(logits))
""" + BOTH),
            "The features are not normalised",
        ),
        (
            _loss("""
logits = log_scale.exp() * F.normalize(image_features, dim=1) @ text_features.T
own = torch.arange(len(logits))
""" + BOTH),
            "The texts' features are not normalised",
        ),
        (
            _loss("""
logits = log_scale.exp() * image_features @ F.normalize(text_features, dim=-1).T
own = torch.arange(len(logits))
""" + BOTH),
            "The pictures' features are not normalised",
        ),
        (
            _loss("""
images, texts = F.normalize(image_features, dim=0), F.normalize(text_features, dim=0)
logits = log_scale.exp() * images @ texts.T
own = torch.arange(len(logits))
""" + BOTH),
            "You normalise along the batch",
        ),
        (
            _loss("""
images = image_features / image_features.norm()
texts = text_features / text_features.norm()
logits = torch.exp(log_scale) * images @ texts.T
own = torch.arange(len(logits))
""" + BOTH),
            "norm() without an axis",
        ),
        (
            _loss("""
images = image_features / image_features.norm(dim=1)
texts = text_features / text_features.norm(dim=1)
logits = torch.exp(log_scale) * images @ texts.T
own = torch.arange(len(logits))
""" + BOTH),
            "without keepdim=True",
        ),
        (_loss(UNIT + "logits = log_scale * images @ texts.T\nown = torch.arange(len(logits))\n" + BOTH), "left in its logarithm"),
        (_loss(UNIT + "logits = images @ texts.T / log_scale.exp()\nown = torch.arange(len(logits))\n" + BOTH), "You divide by the scale"),
        (_loss(UNIT + "logits = images @ texts.T / log_scale\nown = torch.arange(len(logits))\n" + BOTH), "You divide by log_scale"),
        (_loss(UNIT + "logits = images @ texts.T\nown = torch.arange(len(logits))\n" + BOTH), "The scale is missing"),
        (_loss(OWN + "return F.cross_entropy(logits, own)"), "yours only asks each picture for its text"),
        (_loss(OWN + "return (F.cross_entropy(logits, own) + F.cross_entropy(logits, own)) / 2"), "yours only asks each picture for its text"),
        (_loss(LOGITS + "return -logits.log_softmax(dim=0).diagonal().mean()"), "yours only asks each text for its picture"),
        (
            _loss(LOGITS + """
rows, columns = logits.log_softmax(dim=0), logits.T.log_softmax(dim=1)
return -(rows.diagonal() + columns.diagonal()).mean() / 2
"""),
            "yours only asks each text for its picture",
        ),
        (_loss(OWN + "return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)"), "You add both directions"),
        (
            _loss(OWN + "return (F.cross_entropy(logits, own, reduction='sum') + F.cross_entropy(logits.T, own, reduction='sum')) / 2"),
            "You sum over the batch: the loss is a mean",
        ),
        (
            _loss(OWN + "return F.cross_entropy(logits, own, reduction='sum') + F.cross_entropy(logits.T, own, reduction='sum')"),
            "over the batch and over both directions",
        ),
        (
            _loss(LOGITS + """
eye = torch.eye(len(logits))
return -(eye * logits.log_softmax(1) + eye * logits.log_softmax(0)).mean() / 2
"""),
            "You divide by the batch twice",
        ),
        (
            _loss(LOGITS + "return (logits.softmax(1).diagonal().log().mean() + logits.softmax(0).diagonal().log().mean()) / 2"),
            "The sign is wrong",
        ),
        (
            _loss(LOGITS + "return -(logits.softmax(1).diagonal().mean() + logits.softmax(0).diagonal().mean()) / 2"),
            "The logarithm is missing",
        ),
        (
            _loss(OWN + "return (F.cross_entropy(logits.softmax(1), own) + F.cross_entropy(logits.T.softmax(1), own)) / 2"),
            "A softmax too many",
        ),
        (
            _loss(LOGITS + """
own = torch.arange(1, len(logits) + 1) % len(logits)
""" + BOTH),
            "The targets are shifted by one",
        ),
        (_loss(LOGITS + "own = torch.arange(1, len(logits) + 1)\n" + BOTH), "Your code stops with IndexError"),
        (_loss(LOGITS + "own = torch.zeros(len(logits), dtype=torch.long)\n" + BOTH), "All targets are 0"),
        (_loss(LOGITS + "own = logits.argmax(dim=1)\n" + BOTH), "You take the most similar for the right one"),
        (
            _loss(LOGITS + "return F.binary_cross_entropy_with_logits(logits, torch.eye(len(logits)))"),
            "This judges each pair alone",
        ),
        (_loss(LOGITS + "return F.mse_loss(logits, torch.eye(len(logits)))"), "You want the table to be an identity matrix"),
        (
            _loss(LOGITS + """
mask = torch.eye(len(logits), dtype=torch.bool)
others = logits.masked_fill(mask, float("-inf"))
return ((others.logsumexp(1) + others.logsumexp(0)) / 2 - logits.diagonal()).mean()
"""),
            "missing in the sum of the denominator",
        ),
        (
            _loss(UNIT + """
logits = math.exp(log_scale) * images @ texts.T
own = torch.arange(len(logits))
""" + BOTH),
            "The values may be right, but no gradient flows from your result back to `log_scale`",
        ),
        (
            _loss("""
images, texts = F.normalize(image_features, dim=1), F.normalize(text_features, dim=1).detach()
logits = log_scale.exp() * images @ texts.T
own = torch.arange(len(logits))
""" + BOTH),
            "no gradient flows from your result back to `text_features`",
        ),
        (_loss(OWN + BOTH.replace("return", "loss =") + "\nreturn loss.item()"), "You return a plain Python number where a tensor belongs"),
        (
            _loss("""
image_features /= image_features.norm(dim=1, keepdim=True)
text_features /= text_features.norm(dim=1, keepdim=True)
logits = log_scale.exp() * image_features @ text_features.T
own = torch.arange(len(logits))
""" + BOTH),
            "A tensor that autograd still needs is overwritten",
        ),
        (_loss(OWN + BOTH.replace("return", "loss =")), "returns nothing (None)"),
        (_loss(OWN + BOTH.replace("return", "loss =") + "\nreturn loss.double()"), "wrong dtype"),
        (
            _loss(OWN + "return F.cross_entropy(logits, own, reduction='none') / 2 + F.cross_entropy(logits.T, own, reduction='none') / 2"),
            "wrong shape",
        ),
        (_loss(OWN + BOTH.replace("/ 2", "/ (2 * len(logits))")), "You divide by the batch twice"),
        (_loss(OWN + BOTH.replace("/ 2", "/ len(logits)")), "You divide the sum of both directions by the batch"),
        (
            _loss(LOGITS + "return -(logits.softmax(1).diag().log() + logits.softmax(0).diag().log()).mean() / 2"),
            "log_softmax work from the logits, at any size",
        ),
        (
            _loss(LOGITS + "e = logits.exp()\nreturn -(torch.log(e.diag() / e.sum(1)) + torch.log(e.diag() / e.sum(0))).mean() / 2"),
            "At a large scale exp(logit) overflows",
        ),
        (_loss(LOGITS + "return -logits.softmax(1).diag().log().mean()"), "yours only asks each picture for its text"),
        (
            _loss(UNIT + "logits = images @ texts.T / 0.07\nown = torch.arange(len(logits))\n" + BOTH),
            "The values are wrong, and no gradient flows from your result back to `log_scale`",
        ),
        (
            _loss("""
images, texts = F.normalize(image_features, dim=0), F.normalize(text_features, dim=1)
logits = log_scale.exp() * images @ texts.T
own = torch.arange(len(logits))
""" + BOTH),
            "You normalise the pictures along the batch",
        ),
        (_loss(UNIT + "logits = log_scale.exp() * images.T @ texts\nown = torch.arange(len(logits))\n" + BOTH), "a row for each *number*"),
        (_loss(UNIT + "logits = 10 ** log_scale * images @ texts.T\nown = torch.arange(len(logits))\n" + BOTH), "10 to the power"),
        (_loss(OWN + "logits = logits.softmax(dim=1)\n" + BOTH), "before both cross-entropies"),
        (_loss(LOGITS + "return -logits.diagonal().mean()"), "Only the right pairs are in your loss"),
        (_loss(UNIT + "return (1 - (images * texts).sum(dim=1)).mean()"), "You only pull each pair together"),
        (
            _loss(LOGITS + "return -(logits.softmax(1).diag().mean().log() + logits.softmax(0).diag().mean().log()) / 2"),
            "You take the logarithm of a mean",
        ),
        (
            _loss(LOGITS + "z = 2 * torch.eye(len(logits)) - 1\nreturn -F.logsigmoid(z * logits).sum() / len(logits)"),
            "This is SigLIP's loss",
        ),
        (
            _loss(UNIT + "logits = -log_scale.exp() * torch.cdist(images, texts)\nown = torch.arange(len(logits))\n" + BOTH),
            "You compare distances",
        ),
    ],
    "attention_pool": [
        (_pool("raise NotImplementedError()"), "This is not written yet"),
        (
            _pool(PLACED + "q, k, v = tokens[:, 1:2] @ to_q, tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND + JOIN),
            "The query is the first *place*",
        ),
        (
            _pool("""
tokens = features.flatten(2).transpose(1, 2)
tokens = torch.cat([tokens, tokens.mean(dim=1, keepdim=True)], dim=1) + positions
q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "You put the mean behind the places, and let the first place ask",
        ),
        (
            _pool("""
tokens = features.flatten(2).transpose(1, 2)
tokens = torch.cat([tokens, tokens.mean(dim=1, keepdim=True)], dim=1) + positions
q, k, v = tokens[:, -1:] @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "You put the mean behind the places, so every token",
        ),
        (
            _pool(PLACED + "q, k, v = tokens[:, :1] @ to_q, tokens[:, 1:] @ to_k, tokens[:, 1:] @ to_v\n" + SPLIT + ATTEND + JOIN),
            "The mean is left out of keys and values",
        ),
        (
            _pool("""
tokens = features.flatten(2).transpose(1, 2) + positions[1:]
mean = tokens.mean(dim=1, keepdim=True)
q, k, v = mean @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "The mean is taken after the positions are added",
        ),
        (
            _pool("""
tokens = features.flatten(2).transpose(1, 2) + positions[1:]
tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)
q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "the mean token has a position of its own",
        ),
        (
            _pool(TOKENS + "q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND + JOIN),
            "The positions are missing",
        ),
        (
            _pool("""
tokens = features.flatten(2).transpose(1, 2)
mean = tokens.mean(dim=1, keepdim=True)
tokens = torch.cat([mean, tokens + positions[1:]], dim=1)
q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "The mean gets no position",
        ),
        (
            _pool("""
tokens = features.flatten(2).transpose(1, 2)
tokens = torch.cat([tokens.max(dim=1, keepdim=True).values, tokens], dim=1) + positions
q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "The first token is the largest of each channel",
        ),
        (
            _pool("""
tokens = features.reshape(features.shape[0], -1, features.shape[1])
tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + positions
q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v
""" + SPLIT + ATTEND + JOIN),
            "tears the pixels apart",
        ),
        (_pool(QUERY + SPLIT + "weights = (q @ k.transpose(2, 3)).softmax(dim=-1)\n" + JOIN), "The scores are not divided by sqrt(d)"),
        (
            _pool(QUERY + SPLIT + "weights = (q @ k.transpose(2, 3) / math.sqrt(to_q.shape[1])).softmax(dim=-1)\n" + JOIN),
            "You divide by the root of all channels",
        ),
        (
            _pool(QUERY + SPLIT + "weights = (q @ k.transpose(2, 3) / q.shape[-1]).softmax(dim=-1)\n" + JOIN),
            "You divide by d in place of its root",
        ),
        (
            _pool(QUERY + SPLIT + "weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(dim=2)\n" + JOIN),
            "The softmax runs over the queries",
        ),
        (
            _pool(QUERY + SPLIT + "weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(dim=1)\n" + JOIN),
            "The softmax runs over the heads",
        ),
        (
            _pool(QUERY + "return (F.scaled_dot_product_attention(q, k, v)).squeeze(1) @ to_out"),
            "You took one head",
        ),
        (
            _pool(QUERY + """
batch = len(q)
q, k, v = (x.view(batch, num_heads, x.shape[1], -1) for x in (q, k, v))
""" + ATTEND + "return (weights @ v).transpose(1, 2).reshape(batch, -1) @ to_out"),
            "tears the tokens apart",
        ),
        (
            _pool(PLACED + "q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_k\n" + SPLIT + ATTEND + JOIN),
            "The keys are used as values",
        ),
        (
            _pool(PLACED + "q, k, v = F.linear(tokens[:, :1], to_q), F.linear(tokens, to_k), F.linear(tokens, to_v)\n" + SPLIT + ATTEND + JOIN),
            "You transposed the weights",
        ),
        (_pool(QUERY + SPLIT + ATTEND + "return (weights @ v).transpose(1, 2).flatten(1)"), "`to_out` is missing"),
        (
            _pool(PLACED + "q, k, v = tokens @ to_q, tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND
                  + "return (weights @ v).transpose(1, 2).flatten(2).mean(dim=1) @ to_out"),
            "All tokens ask",
        ),
        (
            _pool(PLACED + "q, k, v = tokens @ to_q, tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND
                  + "return (weights @ v).transpose(1, 2).flatten(2) @ to_out"),
            "You return an answer for every token",
        ),
        (
            _pool(QUERY + SPLIT + ATTEND + "return (weights @ v).transpose(1, 2).flatten(2) @ to_out"),
            "An axis of length 1 is left",
        ),
        (_pool("return features.mean(dim=(2, 3)) @ to_out"), "This is average pooling"),
        (_pool("return F.adaptive_avg_pool2d(features, 1).flatten(1) @ to_v @ to_out"), "You average the values"),
        (
            _pool(QUERY + SPLIT + ATTEND + "return (tokens[:, 0] + (weights @ v).transpose(1, 2).flatten(1)) @ to_out"),
            "You added the mean to what it has seen",
        ),
        (
            _pool(QUERY + SPLIT + "with torch.no_grad():\n    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)\n" + JOIN),
            "no gradient flows from your result back to `to_q` and `to_k`",
        ),
        (
            _pool("""
features -= features.mean(dim=(2, 3), keepdim=True)
""" + QUERY.strip() + "\n" + SPLIT + ATTEND + JOIN),
            "changes `features` in place",
        ),
        (_pool(QUERY + SPLIT + ATTEND + "return F.dropout((weights @ v).transpose(1, 2).flatten(1), 0.1) @ to_out"), "draws random numbers of its own"),
        (
            _pool(QUERY + SPLIT + "q = q / math.sqrt(q.shape[-1])\nreturn F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(1) @ to_out"),
            "or by the root twice",
        ),
        (_pool(PLACED + "q, k, v = tokens[:, :1], tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND + JOIN), "`to_q` is not used"),
        (_pool(PLACED + "q, k, v = tokens[:, :1] @ to_q, tokens, tokens @ to_v\n" + SPLIT + ATTEND + JOIN), "`to_k` is not used"),
        (_pool(PLACED + "q, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens\n" + SPLIT + ATTEND + JOIN), "`to_v` is not used"),
        (_pool(PLACED + "q, k, v = tokens[:, :1] @ to_q, tokens @ to_q, tokens @ to_v\n" + SPLIT + ATTEND + JOIN), "The keys are made by `to_q`"),
        (
            _pool(TOKENS + "tokens[:, :1] = tokens[:, :1] + positions[:1]\nq, k, v = tokens[:, :1] @ to_q, tokens @ to_k, tokens @ to_v\n"
                  + SPLIT + ATTEND + JOIN),
            "Only the mean gets its position",
        ),
        (
            _pool(TOKENS + "z = tokens + positions\nq, k, v = z[:, :1] @ to_q, z @ to_k, tokens @ to_v\n" + SPLIT + ATTEND + JOIN),
            "The values are made without the positions",
        ),
        (
            _pool(TOKENS + "z = tokens + positions\nq, k, v = z[:, :1] @ to_q, tokens @ to_k, z @ to_v\n" + SPLIT + ATTEND + JOIN),
            "The keys are made without the positions",
        ),
        (
            _pool(TOKENS + "z = tokens + positions\nq, k, v = tokens[:, :1] @ to_q, z @ to_k, z @ to_v\n" + SPLIT + ATTEND + JOIN),
            "The query is made without the position",
        ),
        (
            _pool(PLACED + "q, k, v = tokens.mean(dim=1, keepdim=True) @ to_q, tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND + JOIN),
            "You average once more to ask",
        ),
        (
            _pool(QUERY + "q, k, v = (x.unflatten(2, (-1, num_heads)).permute(0, 3, 1, 2) for x in (q, k, v))\n" + ATTEND + JOIN),
            "but join the heads side by side",
        ),
        (
            _pool(QUERY + SPLIT + ATTEND + "return (weights @ v).permute(0, 2, 3, 1).flatten(1) @ to_out"),
            "The heads are mixed when they are joined",
        ),
        (
            _pool(QUERY + SPLIT + "weights = (q @ k.mT / math.sqrt(num_heads)).softmax(dim=-1)\n" + JOIN),
            "the root of the number of heads",
        ),
        (
            _pool(QUERY + SPLIT + "return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(1) @ to_out"),
            "A causal mask",
        ),
        (
            _pool(QUERY + SPLIT + ATTEND + "return F.normalize((weights @ v).transpose(1, 2).flatten(1) @ to_out, dim=1)"),
            "You normalise the result",
        ),
    ],
    "zero_shot_by_letters": [
        (_classify("raise NotImplementedError()"), "This is not written yet"),
        (
            _classify("""
texts = F.normalize(encode_text(list(class_names)), dim=1)
probabilities = (logit_scale * F.normalize(image_features, dim=1) @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "The bare names are encoded",
        ),
        (
            _classify("""
texts = F.normalize(encode_text([template for name in class_names]), dim=1)
probabilities = (logit_scale * F.normalize(image_features, dim=1) @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "All classes have the same text",
        ),
        (
            _classify("""
texts = F.normalize(encode_text([f"{template} {name}" for name in class_names]), dim=1)
probabilities = (logit_scale * F.normalize(image_features, dim=1) @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "The name stands behind the template, after a space",
        ),
        (
            _classify("""
texts = torch.cat([encode_text(template.format(name)) for name in class_names])
probabilities = (logit_scale * F.normalize(image_features, dim=1) @ F.normalize(texts, dim=1).T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "hand over all prompts at once",
        ),
        (
            _classify("""
texts = encode_text([template.format(name) for name in class_names])
probabilities = (logit_scale * F.normalize(image_features, dim=1) @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "The prompts' features are not normalised",
        ),
        (
            _classify("""
texts = F.normalize(encode_text([template.format(name) for name in class_names]), dim=1)
probabilities = (logit_scale * image_features @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "The pictures' features are not normalised",
        ),
        (
            _classify("""
texts = encode_text([template.format(name) for name in class_names])
probabilities = (logit_scale * image_features @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "The features are not normalised",
        ),
        (
            _classify("""
texts = F.normalize(encode_text([template.format(name) for name in class_names]), dim=0)
probabilities = (logit_scale * F.normalize(image_features, dim=1) @ texts.T).softmax(dim=1)
return probabilities, probabilities.argmax(dim=1)
"""),
            "The prompts are normalised along the classes",
        ),
        (_classify(PROMPTS + "p = (images @ texts.T).softmax(dim=1)\nreturn p, p.argmax(dim=1)"), "The scale is missing"),
        (_classify(PROMPTS + "p = (images @ texts.T / logit_scale).softmax(dim=1)\nreturn p, p.argmax(dim=1)"), "You divide by the scale"),
        (_classify(PROMPTS + "p = (math.exp(logit_scale) * images @ texts.T).softmax(dim=1)\nreturn p, p.argmax(dim=1)"), "exp once too often"),
        (_classify(SCORES + "return logits.softmax(dim=0), logits.argmax(dim=1)"), "The softmax runs over the pictures, which so compete"),
        (_classify(SCORES + "return logits.softmax(dim=0), logits.softmax(dim=0).argmax(dim=1)"), "the classes are read off that"),
        (_classify(SCORES + "return logits.softmax(dim=1), logits.argmax(dim=0)"), "it names the best picture of each class"),
        (_classify(SCORES + "return logits.softmax(dim=0), logits.argmax(dim=0)"), "Softmax and argmax run over the pictures"),
        (_classify(SCORES + "return logits.softmax(dim=1), logits.argmin(dim=1)"), "the class that fits *least*"),
        (_classify(SCORES + "p = logits.softmax(dim=1)\nreturn p, p.max(dim=1).values"), "how probable the best class is"),
        (_classify(SCORES + "return logits.softmax(dim=1), logits.argmax()"), "argmax without an axis"),
        (_classify(SCORES + "return logits.softmax(dim=1), logits.topk(1).indices"), "An axis of length 1 is left"),
        (
            _classify(SCORES + "return logits.softmax(dim=1), [class_names[int(i)] for i in logits.argmax(dim=1)]"),
            "You return the *names* of the classes",
        ),
        (_classify(SCORES + "return logits, logits.argmax(dim=1)"), "The first result holds logits"),
        (_classify(SCORES + "return torch.sigmoid(logits), logits.argmax(dim=1)"), "A sigmoid judges each class alone"),
        (_classify(PROMPTS + "p = logit_scale * (images @ texts.T).softmax(dim=1)\nreturn p, p.argmax(dim=1)"), "The scale comes after the softmax"),
        (_classify(SCORES + "return logits.argmax(dim=1), logits.softmax(dim=1)"), "The two results are swapped"),
        (_classify(SCORES + "return logits.softmax(dim=1)"), "You return the probabilities alone"),
        (_classify(SCORES + "return logits.argmax(dim=1)"), "You return the classes alone"),
        (_classify(SCORES + "return logits.softmax(dim=1), logits.argmax(dim=1).int()"), "wrong dtype"),
        (
            _classify(PROMPTS.replace("images = F.normalize(image_features, dim=1)", "image_features /= image_features.norm(dim=1, keepdim=True)") + """
p = (logit_scale * image_features @ texts.T).softmax(dim=1)
return p, p.argmax(dim=1)
"""),
            "changes `image_features` in place",
        ),
        (_classify(SCORES + "e = logits.exp()\np = e / e.sum(dim=1, keepdim=True)\nreturn p, p.argmax(dim=1)"), "exp(logit) overflows"),
        (_classify(SCORES + "p = logits.softmax(dim=1)\nreturn p, p.argmax(dim=0)"), "it names the best picture of each class"),
        (_classify(SCORES + "p = logits.softmax(dim=1)\nreturn p, p.argmax()"), "argmax without an axis"),
        (_classify(SCORES + "p = logits.softmax(dim=1)\nreturn p, p.max(dim=1)"), "max(dim=1) gives two things"),
        (_classify(SCORES + "p = logits.softmax(dim=1)\nreturn p, p.argmax(dim=1).tolist()"), "The classes are a list"),
        (_classify(SCORES + "p = logits.softmax(dim=1).softmax(dim=1)\nreturn p, p.argmax(dim=1)"), "A softmax too many"),
        (
            _classify(PROMPTS.replace("template.format(name)", "f'there is a {name}'") + "p = (logit_scale * images @ texts.T).softmax(1)\nreturn p, p.argmax(1)"),
            "You typed a template of your own",
        ),
        (
            _classify(SCORES.replace("[template.format(name) for name in class_names]", "[template.format(class_names)]")
                      + "return logits.softmax(dim=1), logits.argmax(dim=1)"),
            "All names are in one prompt",
        ),
        (
            _classify(SCORES.replace("images = F.normalize(image_features, dim=1)", "images = F.normalize(image_features, dim=0)")
                      + "return logits.softmax(dim=1), logits.argmax(dim=1)"),
            "The pictures are normalised along the batch",
        ),
        (
            _classify(SCORES.replace("images = F.normalize(image_features, dim=1)", "images = image_features / image_features.norm()")
                      + "return logits.softmax(dim=1), logits.argmax(dim=1)"),
            "one length of all pictures",
        ),
        (
            _classify(SCORES.replace("texts = F.normalize(encode_text(prompts), dim=1)", "texts = encode_text(prompts)\ntexts = texts / texts.norm()")
                      + "return logits.softmax(dim=1), logits.argmax(dim=1)"),
            "one length of all prompts",
        ),
    ],
    "class_embeddings": [
        (_ensemble("raise NotImplementedError()"), "This is not written yet"),
        (_ensemble("return F.normalize(prompt_features.mean(dim=1), dim=-1)"), "The prompts are not normalised each by itself"),
        (_ensemble("return F.normalize(prompt_features, dim=-1).mean(dim=1)"), "The mean is not normalised again"),
        (_ensemble("return prompt_features.mean(dim=1)"), "Nothing is normalised"),
        (_ensemble("return F.normalize(F.normalize(prompt_features).mean(dim=1))"), "F.normalize has dim=1 unless told otherwise"),
        (_ensemble("return F.normalize(prompt_features).mean(dim=1)"), "And the mean is to be normalised again"),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=0).mean(dim=1), dim=-1)"), "normalised along the classes, dim=0: the numbers"),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=1), dim=0)"), "The mean is normalised along the classes"),
        (_ensemble("x = prompt_features / prompt_features.norm()\nreturn F.normalize(x.mean(dim=1), dim=-1)"), "not normalised each by itself"),
        (
            _ensemble("x = F.normalize(prompt_features, dim=-1).mean(dim=1)\nreturn x / x.norm()"),
            "divided by one length of them all",
        ),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=0), dim=-1)"), "You average over the classes: then each"),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=-1)[:, 0], dim=-1)"), "Only the first template is used"),
        (
            _ensemble("""
for template in range(prompt_features.shape[1]):
    mean = F.normalize(prompt_features[:, template], dim=1)
return F.normalize(mean, dim=1)
"""),
            "Only the last template is used",
        ),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).max(dim=1).values, dim=-1)"), "You take the largest of each number"),
        (_ensemble("return F.normalize(prompt_features, dim=-1).sum(dim=1)"), "You add the prompts up and leave it at that"),
        (
            _ensemble("""
x = prompt_features / (prompt_features**2).sum(dim=-1, keepdim=True)
return F.normalize(x.mean(dim=1), dim=-1)
"""),
            "divided by its *squared* length, so that long ones",
        ),
        (
            _ensemble("""
classes, templates, dim = prompt_features.shape
x = F.normalize(prompt_features, dim=-1).view(templates, classes, dim)
return F.normalize(x.mean(dim=0), dim=-1)
"""),
            "mixes the classes",
        ),
        (_ensemble("return F.normalize(prompt_features, dim=-1)"), "The mean over the templates is missing"),
        (
            _ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=1, keepdim=True), dim=-1)"),
            "An axis of length 1 is left",
        ),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=1), dim=-1).detach()"), "no gradient flows from your result back"),
        (
            _ensemble("with torch.no_grad():\n    x = F.normalize(prompt_features, dim=-1)\n    return F.normalize(x.mean(dim=1), dim=-1)"),
            "no gradient flows from your result back",
        ),
        (
            _ensemble("""
prompt_features /= prompt_features.norm(dim=-1, keepdim=True)
return F.normalize(prompt_features.mean(dim=1), dim=-1)
"""),
            "A tensor that autograd still needs is overwritten",
        ),
        (_ensemble("x = F.normalize(prompt_features.double(), dim=-1)\nreturn F.normalize(x.mean(dim=1), dim=-1)"), "wrong dtype"),
        (
            _ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=1, keepdim=True), dim=1)"),
            "it is along that axis that you normalise",
        ),
        (_ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=2), dim=-1)"), "over the numbers of each vector"),
    ],
    "linear_probe": [
        (_probe("raise NotImplementedError()"), "This is not written yet"),
        (
            _probe(_fit(LOSS.replace("features @", "test_features @").replace("labels)", "test_labels)")) + JUDGE),
            "You fitted the *test* pictures",
        ),
        (
            _probe(_fit(LOSS, before="features = torch.cat([features, test_features])\nlabels = torch.cat([labels, test_labels])\n") + JUDGE),
            "The test pictures and their labels are among what you fitted",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (features @ weight.T + bias).detach()
return logits.softmax(dim=1), (logits.argmax(dim=1) == labels).float().mean()
"""),
            "You judge the training pictures",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (test_features @ weight.T + bias).detach()
guessed = (features @ weight.T + bias).argmax(dim=1)
return logits.softmax(dim=1), (guessed == labels).float().mean()
"""),
            "the accuracy is that of the training pictures",
        ),
        (
            _probe(_fit(
                "F.cross_entropy(features @ weight.T, labels) + l2 / 2 * weight.square().sum()",
                start="""
weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
optimizer = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")
""") + """
logits = (test_features @ weight.T).detach()
return logits.softmax(dim=1), (logits.argmax(dim=1) == test_labels).float().mean()
"""),
            "There is no bias",
        ),
        (
            _probe(_fit("F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * (weight.square().sum() + bias.square().sum())") + JUDGE),
            "The bias is shrunk as well",
        ),
        (
            _probe("""
layer = nn.Linear(features.shape[1], num_classes)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, weight_decay=l2)
for _ in range(3000):
    optimizer.zero_grad()
    F.cross_entropy(layer(features), labels).backward()
    optimizer.step()
logits = layer(test_features).detach()
return logits.softmax(dim=1), (logits.argmax(dim=1) == test_labels).float().mean()
"""),
            "The bias is shrunk as well",
        ),
        (
            _probe(_fit(LOSS, before="features, test_features = F.normalize(features, dim=1), F.normalize(test_features, dim=1)\n") + JUDGE),
            "You normalise the features",
        ),
        (
            _probe(_fit(LOSS, before="""
mean, std = features.mean(dim=0), features.std(dim=0)
features, test_features = (features - mean) / std, (test_features - mean) / std
""") + JUDGE),
            "You standardise the features. That changes",
        ),
        (_probe(_fit("F.cross_entropy(features @ weight.T + bias, labels)") + JUDGE), "The penalty is missing"),
        (
            _probe(_fit("F.cross_entropy(features @ weight.T + bias, labels) + l2 * weight.square().sum()") + JUDGE),
            "The penalty is twice too large",
        ),
        (
            _probe(_fit("F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * weight.square().mean()") + JUDGE),
            "You average the squares of the weight: it is their sum",
        ),
        (
            _probe(_fit("F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * (weight.square().sum() + 1e-12).sqrt()") + JUDGE),
            "The penalty is the length of the weight",
        ),
        (
            _probe(_fit("F.cross_entropy(features @ weight.T + bias, labels, reduction='sum') + l2 / 2 * weight.square().sum()") + JUDGE),
            "The cross-entropy is a sum over the pictures",
        ),
        (
            _probe(_fit("F.mse_loss(features @ weight.T + bias, F.one_hot(labels, num_classes).float()) + l2 / 2 * weight.square().sum()") + JUDGE),
            "You fit a line to one-hot labels",
        ),
        (_probe(START + JUDGE), "Nothing has been learned"),
        (
            _probe(START + """
def closure():
    optimizer.zero_grad()
    return F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * weight.square().sum()

optimizer.step(closure)
""" + JUDGE),
            "Nothing has been learned",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (test_features @ weight.T + bias).detach()
return logits, (logits.argmax(dim=1) == test_labels).float().mean()
"""),
            "The first result holds logits",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (test_features @ weight.T + bias).detach()
return logits.softmax(dim=1), (logits.argmax(dim=1) == test_labels).sum()
"""),
            "The second result is a number of pictures",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (test_features @ weight.T + bias).detach()
return logits.softmax(dim=1), 100 * (logits.argmax(dim=1) == test_labels).float().mean()
"""),
            "The accuracy is in percent",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (test_features @ weight.T + bias).detach()
return logits.softmax(dim=1), (logits.argmax(dim=1) == test_labels).float().mean().item()
"""),
            "You return a plain Python number where a tensor belongs",
        ),
        (
            _probe(_fit(LOSS) + """
logits = (test_features @ weight.T + bias).detach()
return (logits.argmax(dim=1) == test_labels).float().mean()
"""),
            "You return the accuracy alone",
        ),
        (
            _probe(_fit(LOSS, before="features -= features.mean(dim=0)\n") + JUDGE),
            "changes `features` in place",
        ),
        (_probe(_fit(LOSS, START.replace("num_classes", "int(labels.max()) + 1")) + JUDGE), "You count the classes by their labels"),
        (
            _probe(_fit(LOSS, START.replace("num_classes", "int(max(labels.max(), test_labels.max())) + 1")) + JUDGE),
            "You count the classes by their labels",
        ),
        (_probe(_fit(LOSS, START.replace("num_classes", "len(labels.unique())")) + JUDGE), "You count the classes that occur"),
        (_probe(_fit(LOSS.replace("weight.square().sum()", "weight.sum() ** 2")) + JUDGE), "The penalty is missing, or always 0"),
        (
            _probe(_fit("F.cross_entropy((features @ weight.T + bias).softmax(1), labels) + l2 / 2 * weight.square().sum()") + JUDGE),
            "A softmax too many",
        ),
        (
            _probe(_fit("F.nll_loss((features @ weight.T + bias).softmax(1), labels) + l2 / 2 * weight.square().sum()") + JUDGE),
            "F.nll_loss takes *log* probabilities",
        ),
        (_probe(_fit("F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * bias.square().sum()") + JUDGE), "in place of the weight"),
        (_probe(_fit(LOSS, before="test_features = F.normalize(test_features, dim=1)\n") + JUDGE), "You judge normalised features and fit others"),
        (_probe(_fit(LOSS) + JUDGE.replace(" + bias", "")), "The bias is left out where you judge"),
        (
            _probe(_fit(LOSS) + """
p = (test_features @ weight.T + bias).detach().softmax(dim=0)
return p, (p.argmax(dim=1) == test_labels).float().mean()
"""),
            "the classes are read off that",
        ),
        (_probe(_fit(LOSS).replace("    return loss\n", "") + JUDGE), "Your closure returns nothing"),
        (_probe(_fit(LOSS).replace("step(closure)", "step(closure())") + JUDGE), "without the second pair of brackets"),
        (
            _probe("""
weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
bias = torch.zeros(num_classes, requires_grad=True)
optimizer = torch.optim.Adam([weight, bias], lr=1e-2)
for _ in range(200):
    optimizer.zero_grad()
    (F.cross_entropy(features @ weight.T + bias, labels) + l2 / 2 * weight.square().sum()).backward()
    optimizer.step()
""" + JUDGE),
            "Does the loss stand still at the end?",
        ),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "contrastive_loss": [
        _loss(OWN + BOTH),
        _loss(LOGITS + "return -(logits.log_softmax(dim=1).diagonal() + logits.log_softmax(dim=0).diagonal()).mean() / 2"),
        _loss("""
images = image_features / image_features.norm(dim=-1, keepdim=True)
texts = text_features / torch.linalg.norm(text_features, dim=-1, keepdim=True)
logits = torch.einsum("id,jd->ij", images, texts) * torch.exp(log_scale).clamp(max=100)
table = logits.logsumexp(dim=1) + logits.logsumexp(dim=0) - 2 * torch.diag(logits)
return 0.5 * table.mean()
"""),
        _loss("""
cosines = F.cosine_similarity(image_features[:, None], text_features[None], dim=-1)
logits = log_scale.exp() * cosines
eye = torch.eye(len(logits))
return (F.cross_entropy(logits, eye) + F.cross_entropy(logits.mT, eye)).div(2)
"""),
        _loss(LOGITS + """
total = 0.0
for i in range(len(logits)):
    total = total - logits[i].log_softmax(0)[i] - logits[:, i].log_softmax(0)[i]
return total / (2 * len(logits))
"""),
    ],
    "attention_pool": [
        _pool(QUERY + SPLIT + ATTEND + JOIN),
        _pool(QUERY + SPLIT + "return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(1) @ to_out"),
        _pool(PLACED + "q, k, v = tokens @ to_q, tokens @ to_k, tokens @ to_v\n" + SPLIT + ATTEND
              + "return (weights @ v).transpose(1, 2).flatten(2)[:, 0] @ to_out"),
        _pool("""
batch, channels, height, width = features.shape
tokens = features.reshape(batch, channels, height * width).permute(2, 0, 1)
tokens = torch.cat([tokens.mean(dim=0, keepdim=True), tokens]) + positions[:, None]
seen, _ = F.multi_head_attention_forward(
    query=tokens[:1], key=tokens, value=tokens, embed_dim_to_check=channels, num_heads=num_heads,
    q_proj_weight=to_q.T, k_proj_weight=to_k.T, v_proj_weight=to_v.T, in_proj_weight=None,
    in_proj_bias=torch.zeros(3 * channels), bias_k=None, bias_v=None, add_zero_attn=False, dropout_p=0.0,
    out_proj_weight=to_out.T, out_proj_bias=None, use_separate_proj_weight=True, need_weights=False)
return seen.squeeze(0)
"""),
        _pool(PLACED + """
width = to_q.shape[1] // num_heads
heads = []
for number in range(num_heads):
    part = slice(number * width, (number + 1) * width)
    q = torch.einsum("bc,cd->bd", tokens[:, 0], to_q[:, part])
    scores = torch.einsum("bd,bnd->bn", q, tokens @ to_k[:, part]) / width**0.5
    heads.append(torch.einsum("bn,bnd->bd", torch.softmax(scores, dim=1), tokens @ to_v[:, part]))
return torch.cat(heads, dim=1) @ to_out
"""),
    ],
    "zero_shot_by_letters": [
        _classify(SCORES + "return logits.softmax(dim=1), logits.argmax(dim=1)"),
        _classify("""
texts = torch.cat([encode_text([template.replace("{}", name)]) for name in class_names])
cosines = F.cosine_similarity(image_features[:, None], texts[None], dim=2)
probabilities = torch.softmax(cosines * logit_scale, dim=-1)
return [probabilities, probabilities.max(dim=-1).indices]
"""),
        _classify(SCORES + """
shifted = (logits - logits.amax(dim=1, keepdim=True)).exp()
probabilities = shifted / shifted.sum(dim=1, keepdim=True)
return probabilities, probabilities.topk(1, dim=1).indices.squeeze(1)
"""),
    ],
    "class_embeddings": [
        _ensemble("return F.normalize(F.normalize(prompt_features, dim=-1).mean(dim=1), dim=-1)"),
        _ensemble("return F.normalize(F.normalize(prompt_features, dim=2).sum(dim=1), dim=1)"),
        _ensemble("""
classes = []
for prompts in prompt_features:
    prompts = prompts / prompts.norm(dim=-1, keepdim=True)
    mean = prompts.mean(dim=0)
    classes.append(mean / mean.norm())
return torch.stack(classes)
"""),
        _ensemble("""
weights = prompt_features.square().sum(dim=-1).rsqrt() / prompt_features.shape[1]
mean = torch.einsum("ct,ctd->cd", weights, prompt_features)
return mean / mean.square().sum(dim=-1, keepdim=True).sqrt()
"""),
    ],
    "linear_probe": [
        _probe(_fit(LOSS) + JUDGE),
        _probe("""
layer = nn.Linear(features.shape[1], num_classes)
optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

def closure():
    optimizer.zero_grad()
    loss = F.cross_entropy(layer(features), labels) + 0.5 * l2 * layer.weight.pow(2).sum()
    loss.backward()
    return loss

optimizer.step(closure)
with torch.no_grad():
    logits = layer(test_features)
return F.softmax(logits, dim=1), torch.eq(logits.argmax(dim=1), test_labels).float().mean()
"""),
        _probe("""
weight = torch.zeros(num_classes, features.shape[1], requires_grad=True)
bias = torch.zeros(num_classes, requires_grad=True)
optimizer = torch.optim.SGD([{"params": [weight], "weight_decay": l2}, {"params": [bias]}], lr=0.2, momentum=0.9)
for _ in range(2000):
    optimizer.zero_grad()
    F.cross_entropy(F.linear(features, weight, bias), labels).backward()
    optimizer.step()
""" + JUDGE),
        _probe("""
from sklearn.linear_model import LogisticRegression
probe = LogisticRegression(C=1 / (l2 * len(labels)), max_iter=1000, tol=1e-6).fit(features.numpy(), labels.numpy())
logits = torch.full((len(test_features), num_classes), -math.inf)
logits[:, probe.classes_] = test_features @ torch.from_numpy(probe.coef_).float().T + torch.from_numpy(probe.intercept_).float()
return logits.softmax(dim=1), torch.tensor(probe.score(test_features.numpy(), test_labels.numpy()), dtype=torch.float32)
"""),
    ],
}  # fmt: skip
