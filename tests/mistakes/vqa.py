"""The bank of notebook vqa: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""


def _function(head: str, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"\ndef {head}:\n{lines}"


def _accuracy(body: str) -> str:
    """A `vqa_accuracy` with this body."""
    return _function("vqa_accuracy(said, given)", body)


def _blind(body: str) -> str:
    """A `blind_answers` with this body."""
    return _function("blind_answers(questions, answers, num_questions, num_answers)", body)


def _attention(body: str) -> str:
    """A `question_attention` with this body."""
    return _function("question_attention(queries, question, question_mask, to_q, to_k, to_v)", body)


def _rank(body: str) -> str:
    """A `rank_answers` with this body."""
    return _function("rank_answers(logits, candidates, mask)", body)


AGREED = """
same = (given == said[:, None]).float()
others = same.sum(dim=1, keepdim=True) - same
return torch.minimum(others / 3, torch.ones_like(others)).mean(dim=1)
"""

COUNTED = """
table = torch.zeros(num_questions, num_answers)
table.index_put_((questions, answers), torch.ones(len(answers)), accumulate=True)
best = table.argmax(dim=1)
best[table.sum(dim=1) == 0] = table.sum(dim=0).argmax()
return best
"""

LOOKED = """
tokens = torch.cat([queries, question], dim=1)
q, k, v = queries @ to_q, tokens @ to_k, tokens @ to_v
kept = F.pad(question_mask, (queries.shape[1], 0), value=True)
scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
scores = scores.masked_fill(~kept[:, None, :], -math.inf)
return scores.softmax(dim=-1) @ v
"""

RANKED = """
log_p = logits.log_softmax(dim=-1)
index = candidates.expand(len(logits), *candidates.shape)[..., None]
said = log_p.gather(3, index).squeeze(3)
scores = (said * mask).sum(dim=2)
return scores.argsort(dim=1, descending=True)
"""


def _other(made, template: str, old: str, new: str) -> str:
    """The right answer with one piece exchanged."""
    assert old in template, old
    return made(template.replace(old, new))


def _agreed(old: str, new: str) -> str:
    return _other(_accuracy, AGREED, old, new)


def _counted(old: str, new: str) -> str:
    return _other(_blind, COUNTED, old, new)


def _looked(old: str, new: str) -> str:
    return _other(_attention, LOOKED, old, new)


def _ranked(old: str, new: str) -> str:
    return _other(_rank, RANKED, old, new)


# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "vqa_accuracy": [
        (_accuracy("raise NotImplementedError()"), "This is not written yet"),
        (_accuracy("return ((given == said[:, None]).sum(1) / 3).clamp(max=1)"), "You compare with all people at once"),
        (_accuracy("return (given == said[:, None]).float().mean(dim=1)"), "the share of people who said the same"),
        (_agreed("torch.minimum(others / 3, torch.ones_like(others))", "(others / 3)"), "More than three who agree count more than 1"),
        (_agreed("torch.minimum(others / 3, torch.ones_like(others))", "(others >= 3).float()"), "Fewer than three who agree give nothing"),
        (_agreed("mean(dim=1)", "sum(dim=1)"), "You summed over the people"),
        (_agreed(".mean(dim=1)", ".mean()"), "one number for all questions"),
        (_accuracy("return ((given == said[:, None]).sum(1) >= 3).float()"), "All or nothing at three"),
        (_accuracy("return (given == said[:, None]).any(dim=1).float()"), "One person who said the same is enough"),
        (_accuracy("return (given.mode(dim=1).values == said).float()"), "the most frequent answer"),
        (_agreed("/ 3", "/ 2"), "A half for each"),
        (_agreed("/ 3", "/ 4"), "A quarter for each"),
        (_agreed("mean(dim=1)", "sum(dim=1) / 10"), "You divide by 10"),
        (_accuracy("same = (given == said[:, None]).float()\nothers = (same.sum(1) - 1).clamp(min=0)\nreturn (others / 3).clamp(max=1)"), "You take one off for everybody"),
        (_agreed("given == said", "given != said"), "those who said something else"),
    ],
    "blind_answers": [
        (_blind("raise NotImplementedError()"), "This is not written yet"),
        (_counted("best[table.sum(dim=1) == 0] = table.sum(dim=0).argmax()\n", ""), "An empty row's argmax is 0"),
        (_blind("return torch.bincount(answers).argmax().repeat(num_questions)"), "the answer that is most frequent over all: here each"),
        (_counted("= table.sum(dim=0).argmax()", "= -1"), "-1 is no answer"),
        (_counted("= table.sum(dim=0).argmax()", "= best.mode().values"), "most *questions* favour"),
        (_counted("best = table.argmax", "best = table.argmin"), "You chose the rarest answer"),
        (_blind("return torch.stack([answers[questions == q].mode().values if (questions == q).any() else torch.tensor(-1) for q in range(num_questions)])"), "-1 is no answer"),
        (_blind("found = torch.full((num_questions,), int(torch.bincount(answers).argmax()))\nfor q, a in zip(questions.tolist(), answers.tolist()):\n    found[q] = a\nreturn found"), "You kept the last answer"),
        (_counted("return best", "return best[questions]"), "an answer for each training pair"),
        (_counted("return best", "return table.long()"), "This is the table of counts"),
        (_counted("return best", "return best.float()"), "Answers are numbers of a list"),
        (_counted("return best", "return best[: questions.max() + 1]"), "missing at the end"),
        (_counted("best = table.argmax(dim=1)", "best = table.max(dim=1).values.long()"), "These are the largest *counts*"),
        (_counted("best = table.argmax(dim=1)", "best = (table / table.sum(dim=0)).argmax(dim=1)"), "You divide each column"),
    ],
    "question_attention": [
        (_attention("raise NotImplementedError()"), "This is not written yet"),
        (_attention("q, k, v = queries @ to_q, queries @ to_k, queries @ to_v\nreturn F.scaled_dot_product_attention(q, k, v)"), "The queries do not see the question"),
        (_attention("q, k, v = queries @ to_q, question @ to_k, question @ to_v\nreturn F.scaled_dot_product_attention(q, k, v, attn_mask=question_mask[:, None].expand(-1, q.shape[1], -1))"), "The queries see the question alone"),
        (_looked("scores = scores.masked_fill(~kept[:, None, :], -math.inf)\n", ""), "Padding is seen"),
        (_looked("F.pad(question_mask,", "F.pad(~question_mask,"), "The mask is the wrong way round"),
        (_looked("scores = scores.masked_fill(~kept[:, None, :], -math.inf)\nreturn scores.softmax(dim=-1) @ v", "return (scores.softmax(dim=-1) * kept[:, None, :]) @ v"), "set to zero after the softmax"),
        (_looked("tokens = torch.cat([queries, question], dim=1)", "tokens = torch.cat([queries, question * question_mask[..., None]], dim=1)").replace("scores = scores.masked_fill(~kept[:, None, :], -math.inf)\n", "\n"), "Padding became a zero vector"),
        (_looked("-math.inf", "0.0"), "Scores of padding are set to 0"),
        (_looked(" / math.sqrt(q.shape[-1])", ""), "not divided by the square root"),
        (_looked("math.sqrt(q.shape[-1])", "q.shape[-1]"), "divided by the width: by its square root"),
        (_looked("math.sqrt(q.shape[-1])", "math.sqrt(tokens.shape[1])"), "the square root of the number of tokens"),
        (_looked("softmax(dim=-1)", "softmax(dim=1)"), "The softmax runs over those who look"),
        (_looked("queries @ to_q", "tokens @ to_q"), "Queries and question come out"),
        (_looked("queries @ to_q", "tokens @ to_q").replace("@ v\n", "@ v[:, :]\n").replace("return scores.softmax(dim=-1) @ v[:, :]", "return (scores.softmax(dim=-1) @ v)[:, queries.shape[1]:]"), "The question's words come out"),
        (_looked("queries @ to_q, tokens @ to_k", "queries @ to_k, tokens @ to_q"), "Keys and queries are exchanged"),
        (_looked("tokens @ to_v", "tokens"), "The tokens themselves are added up"),
        (_looked("queries @ to_q, tokens @ to_k, tokens @ to_v", "F.linear(queries, to_q), F.linear(tokens, to_k), F.linear(tokens, to_v)"), "The matrices stand transposed"),
        (_looked("return scores", "return queries + scores"), "The queries are added to the result"),
        (_looked("kept[:, None, :]", "kept[:1, None, :]"), "The first question's mask"),
    ],
    "rank_answers": [
        (_rank("raise NotImplementedError()"), "This is not written yet"),
        (_ranked("(said * mask).sum(dim=2)", "(said * mask).sum(dim=2) / mask.sum(dim=1)"), "You take the mean over a candidate's tokens"),
        (_ranked("(said * mask).sum(dim=2)", "said.sum(dim=2)"), "Padding counts as if it were said"),
        (_ranked("(said * mask).sum(dim=2)", "said[:, :, 0]"), "Only the first token counts"),
        (_ranked("logits.log_softmax(dim=-1)", "logits"), "These are sums of logits"),
        (_ranked("log_softmax(dim=-1)", "log_softmax(dim=1)"), "The softmax runs over the candidates"),
        (_ranked(", descending=True", ""), "The unlikeliest candidate comes first"),
        (_ranked("(said * mask)", "(said.exp() * mask)"), "You added the tokens' probabilities"),
        (_ranked("scores.argsort(dim=1, descending=True)", "scores"), "These are the log-likelihoods"),
        (_ranked("argsort(dim=1, descending=True)", "argmax(dim=1)"), "the best candidate alone"),
        (_ranked("descending=True)", "descending=True).argsort(dim=1)"), "the rank of each candidate"),
        (_ranked("argsort(dim=1,", "argsort(dim=0,"), "You sorted the questions"),
        (_ranked("(said * mask)", "(said * ~mask)"), "The mask is the wrong way round"),
    ],
}  # fmt: skip

RIGHT: dict[str, list[str]] = {
    "vqa_accuracy": [
        _accuracy(AGREED),
        _accuracy("n = (given == said[:, None]).sum(dim=1)\npeople = given.shape[1]\nagreeing = ((n - 1) / 3).clamp(0, 1) * n\nreturn (agreeing + (n / 3).clamp(max=1) * (people - n)) / people"),
        _accuracy("same = (given == said[:, None]).float()\nothers = same.sum(1, keepdim=True) - same\nreturn (others.mean(1) / 3).clamp(max=1)"),  # the same where at least four people answer
        _accuracy("same = given.eq(said.unsqueeze(1))\nrest = [same[:, torch.arange(same.shape[1]) != i].sum(1) / 3 for i in range(same.shape[1])]\nreturn torch.stack(rest, 1).clamp_max(1).mean(1)"),
    ],
    "blind_answers": [
        _blind(COUNTED),
        _blind("counts = torch.bincount(questions * num_answers + answers, minlength=num_questions * num_answers).reshape(num_questions, num_answers)\nreturn torch.where(counts.any(1), counts.argmax(1), torch.bincount(answers).argmax())"),
        _blind("asked, said = F.one_hot(questions, num_questions), F.one_hot(answers, num_answers)\ncounts = asked.T @ said\nempty = counts.sum(1, keepdim=True) == 0\nreturn (counts + empty * counts.sum(0)).argmax(1)"),
    ],
    "question_attention": [
        _attention(LOOKED),
        _attention("tokens = torch.cat((queries, question), 1)\nkept = torch.cat([torch.ones(queries.shape[:2], dtype=torch.bool), question_mask], 1)\nreturn F.scaled_dot_product_attention(queries @ to_q, tokens @ to_k, tokens @ to_v, attn_mask=kept[:, None].expand(-1, queries.shape[1], -1))"),
        _attention("tokens = torch.cat((queries, question), 1)\nhidden = torch.cat([torch.zeros(queries.shape[:2]), (~question_mask).float() * -1e9], 1)\nweights = torch.einsum('bqd,bkd->bqk', queries @ to_q, tokens @ to_k) * to_q.shape[1] ** -0.5 + hidden[:, None]\nreturn torch.einsum('bqk,bkd->bqd', weights.softmax(-1), tokens @ to_v)"),
    ],
    "rank_answers": [
        _rank(RANKED),
        _rank("batch = len(logits)\nlost = F.cross_entropy(logits.permute(0, 3, 1, 2), candidates.masked_fill(~mask, -100).expand(batch, -1, -1), reduction='none', ignore_index=-100)\nreturn lost.sum(2).argsort(1)"),
        _rank("p = torch.softmax(logits, -1).gather(3, candidates[None, :, :, None].repeat(len(logits), 1, 1, 1))[..., 0]\nreturn torch.argsort(p.masked_fill(~mask, 1).log().sum(-1), dim=-1, descending=True)"),
    ],
}  # fmt: skip
