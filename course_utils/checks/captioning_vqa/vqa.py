"""Checks of notebook captioning_vqa/vqa."""

from collections.abc import Callable

import torch
from torch import Tensor

from course_utils.checks.engine import Case, Check, Draw, Mistake

__all__ = ["blind_answers", "question_attention", "rank_answers", "vqa_accuracy"]

LOOK = "04_vqa, exercise"


# --- exercise 1: VQA accuracy -----------------------------------------------------------------------------------------


def _agree(said: Tensor, given: Tensor) -> Tensor:
    return (given == said[:, None]).float()


def _vqa_accuracy(said: Tensor, given: Tensor) -> Tensor:
    same = _agree(said, given)
    return ((same.sum(dim=1, keepdim=True) - same) / 3).clamp(max=1).mean(dim=1)


def _of_same(score: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """An accuracy that is a function of who said the same, (questions, people) of 0 and 1."""
    return lambda said, given: score(_agree(said, given))


def _others(same: Tensor) -> Tensor:
    return same.sum(dim=1, keepdim=True) - same


def _votes(draw: Draw, questions: int, people: int, answers: int) -> tuple:
    """Answers, and what people gave: of the first question none, of the second one, then 2, 3, 4 and all gave the answer, then by chance."""
    said = 1 + draw.integers(answers - 1, questions)
    given = draw.integers(answers, questions, people)
    for row, number in enumerate((0, 1, 2, 3, 4, people)[:questions]):
        given[row] = torch.where(given[row] == said[row], 0, given[row])
        given[row, draw.uniform(people).argsort()[:number]] = said[row]
    return said, given


vqa_accuracy = Check(
    name="vqa_accuracy",
    signature=("said", "given"),
    reference=_vqa_accuracy,
    holds="the mean over the people of min(1, others who said the same / 3)",
    look=f'{LOOK} 1 "Ten people, ten answers"',
    hint="For each question and each person left out: how many of the *others* gave this answer? A third of that, at most 1; then the mean over the people.",
    cases=(
        Case("9 questions, 10 people, 4 answers", lambda draw: _votes(draw, 9, 10, 4)),
        Case("12 questions, 6 people, 3 answers", lambda draw: _votes(draw, 12, 6, 3)),
    ),
    hidden_cases=(
        Case("40 questions, 10 people, 5 answers", lambda draw: _votes(draw, 40, 10, 5)),
        Case("7 questions, 20 people, 8 answers", lambda draw: _votes(draw, 7, 20, 8)),
    ),
    mistakes=(
        Mistake(
            _of_same(lambda same: (same.sum(1) / 3).clamp(max=1)),
            "You compare with all people at once. Each is left out in turn, as if the answer were his own, and the mean is taken over those left out: three who agree give 0.9, not 1.",
        ),
        Mistake(
            _of_same(lambda same: same.sum(1) / same.shape[1]),
            "This is the share of people who said the same: three others are enough for a full point, min(1, others / 3).",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) / 3).mean(1)),
            "More than three who agree count more than 1: take the smaller of 1 and a third, for each person left out.",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) >= 3).float().mean(1)),
            "Fewer than three who agree give nothing. They give a third each: others / 3, at most 1.",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) / 3).clamp(max=1).sum(1)),
            "You summed over the people: it is their mean.",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) / 3).clamp(max=1).mean()),
            "This is one number for all questions: each has an accuracy of its own, mean(dim=1).",
        ),
        Mistake(
            _of_same(lambda same: (same.sum(1) >= 3).float()),
            "All or nothing at three: each person left out gets min(1, others / 3), and the mean is taken over all.",
        ),
        Mistake(
            _of_same(lambda same: same.amax(1)),
            "One person who said the same is enough here: it takes three others for a full point.",
        ),
        Mistake(
            lambda said, given: (said == given.mode(dim=1).values).float(),
            "You compare with the most frequent answer. Every answer that three people gave counts, also if more gave another.",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) / 2).clamp(max=1).mean(1)),
            "A half for each who agrees: it is a third, min(1, others / 3).",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) / 4).clamp(max=1).mean(1)),
            "A quarter for each who agrees: it is a third, min(1, others / 3).",
        ),
        Mistake(
            _of_same(lambda same: (_others(same) / 3).clamp(max=1).sum(1) / 10),
            "You divide by 10. It is a mean over the people, however many they are: given.shape[1].",
        ),
        Mistake(
            _of_same(lambda same: ((same.sum(1, keepdim=True) - 1).expand_as(same) / 3).clamp(0, 1).mean(1)),
            "You take one off for everybody (or leave out only those who said the same). *Each* of the people is left out once, and that changes the number only if that person said the same.",
        ),
        Mistake(
            _of_same(lambda same: (_others(1 - same) / 3).clamp(max=1).mean(1)),
            "You count those who said something else.",
        ),
    ),
)


# --- exercise 2: answers without a look -------------------------------------------------------------------------------


def _counts(questions: Tensor, answers: Tensor, num_questions: int, num_answers: int) -> Tensor:
    return torch.bincount(questions * num_answers + answers, minlength=num_questions * num_answers).view(
        -1, num_answers
    )


def _blind_answers(questions: Tensor, answers: Tensor, num_questions: int, num_answers: int) -> Tensor:
    counts = _counts(questions, answers, num_questions, num_answers)
    never = counts.sum(dim=1) == 0
    return torch.where(never, counts.sum(dim=0).argmax(), counts.argmax(dim=1))


def _by_counts(choose: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Answers that are a function of the counts (num_questions, num_answers)."""
    return lambda q, a, nq, na: choose(_counts(q, a, nq, na))


def _share_of_answer(counts: Tensor) -> Tensor:
    shares = counts / counts.sum(0).clamp(min=1)
    return torch.where(counts.sum(1) == 0, counts.sum(0).argmax(), shares.argmax(1))


def _first_answer(q: Tensor, a: Tensor, nq: int, na: int, last: bool = False) -> Tensor:
    found = torch.full((nq,), int(_counts(q, a, nq, na).sum(0).argmax()))
    rows = zip(q.tolist(), a.tolist(), strict=True)
    for question, answer in rows if last else reversed(list(rows)):
        found[question] = answer
    return found


def _asked(draw: Draw, count: int, num_questions: int, num_answers: int) -> tuple:
    """Training questions in any order, without ties; the last two questions are never asked. Most questions favour answer 1, but the last answer is
    given most often, because question 0 is asked so often."""
    questions, answers = [], []
    for question in range(num_questions - 2):
        numbers = 2 * draw.uniform(num_answers).argsort().argsort() + 1  # 1, 3, 5 ... in any order
        if question % 3:
            best = int(numbers.argmax())
            numbers[[1, best]] = numbers[[best, 1]]
        for answer, number in enumerate(numbers.tolist()):
            questions += [question] * number
            answers += [answer] * number
    questions += [0] * count
    answers += [num_answers - 1] * count
    order = draw.uniform(len(questions)).argsort()
    return torch.tensor(questions)[order], torch.tensor(answers)[order], num_questions, num_answers


_NEVER = "A question that was never asked in training gets the answer that is most frequent over all questions."

blind_answers = Check(
    name="blind_answers",
    signature=("questions", "answers", "num_questions", "num_answers"),
    reference=_blind_answers,
    holds="each question its most frequent answer, and a new question the most frequent of all",
    look=f'{LOOK} 2 "Without a look at the picture"',
    hint="Count in a table (num_questions, num_answers), as torch.bincount(questions * num_answers + answers, minlength=...).view(num_questions, num_answers); then argmax of each row, and for empty rows argmax of the sum over rows.",
    cases=(
        Case("8 questions, 4 answers", lambda draw: _asked(draw, 60, 8, 4)),
        Case("12 questions, 5 answers", lambda draw: _asked(draw, 90, 12, 5)),
    ),
    hidden_cases=(
        Case("30 questions, 6 answers", lambda draw: _asked(draw, 200, 30, 6)),
        Case("10 questions, 9 answers", lambda draw: _asked(draw, 150, 10, 9)),
    ),
    mistakes=(
        Mistake(
            _by_counts(lambda counts: counts.argmax(1)),
            f"{_NEVER} An empty row's argmax is 0, whatever answer that is.",
        ),
        Mistake(
            _by_counts(lambda counts: counts.sum(0).argmax().expand(len(counts))),
            "Every question gets the answer that is most frequent over all: here each has its own, from its row of the table.",
        ),
        Mistake(
            _by_counts(lambda counts: torch.where(counts.sum(1) == 0, -1, counts.argmax(1))),
            f"-1 is no answer. {_NEVER}",
        ),
        Mistake(
            _by_counts(
                lambda counts: torch.where(counts.sum(1) == 0, counts.argmax(1).mode().values, counts.argmax(1))
            ),
            "A new question gets the answer that most *questions* favour. It gets the one that was given most often: the argmax of the table's sum over its rows.",
        ),
        Mistake(
            _by_counts(lambda counts: torch.where(counts.sum(1) == 0, counts.max(0).values.argmin(), counts.argmax(1))),
            "A new question gets the rarest answer: argmax of the sum over rows, not argmin.",
        ),
        Mistake(
            _by_counts(lambda counts: torch.where(counts.sum(1) == 0, counts.sum(0).argmax(), counts.argmin(1))),
            "You chose the rarest answer to each question: argmax.",
        ),
        Mistake(
            _by_counts(lambda counts: torch.where(counts.sum(1) == 0, counts.sum(0).argmax(), counts.max(1).values)),
            "These are the largest *counts*; the answer is the place where they stand: argmax(dim=1).",
        ),
        Mistake(
            _by_counts(_share_of_answer),
            "You divide each column by its sum: that asks which question an answer belongs to. Wanted is the most frequent answer to a question.",
        ),
        Mistake(
            _first_answer, "You kept the first answer that was given to each question: the most frequent one is wanted."
        ),
        Mistake(
            lambda q, a, nq, na: _first_answer(q, a, nq, na, last=True),
            "You kept the last answer that was given to each question (assigning overwrites): count them.",
        ),
        Mistake(
            lambda q, a, nq, na: _blind_answers(q, a, nq, na)[q],
            "This is an answer for each training pair: one is wanted for each of the num_questions questions.",
        ),
        Mistake(
            lambda q, a, nq, na: _blind_answers(q, a, nq, na)[: int(q.max()) + 1],
            "The questions that training never asked are missing at the end: minlength=num_questions * num_answers.",
        ),
        Mistake(
            lambda q, a, nq, na: _counts(q, a, nq, na),
            "This is the table of counts: the answers are its argmax.",
        ),
        Mistake(
            lambda q, a, nq, na: _blind_answers(q, a, nq, na).float(),
            "Answers are numbers of a list, int64: yours are floating-point numbers.",
        ),
    ),
)


# --- exercise 3: queries that read the question -----------------------------------------------------------------------


def _attend(
    queries: Tensor, question: Tensor, mask: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor, scale: float | None = None,
    see: str = "everything", softmax: int = -1, seen: Callable[[Tensor], Tensor] = lambda mask: mask, everyone: bool = False, fill: float = -torch.inf,
) -> Tensor:  # fmt: skip
    """Attention of queries over queries and question; `see` leaves one of them out, `seen` changes the mask, `everyone` returns all rows."""
    number = queries.shape[1]
    tokens = torch.cat([queries, question], dim=1)
    kept = torch.cat([torch.ones(len(queries), number, dtype=torch.bool), seen(mask)], dim=1)
    if see == "question":
        kept = kept.clone()
        kept[:, :number] = False
    if see == "queries":
        kept = kept.clone()
        kept[:, number:] = False
    rows = (tokens if everyone else queries) @ to_q
    scores = rows @ (tokens @ to_k).mT * (queries.shape[2] ** -0.5 if scale is None else scale)
    return scores.masked_fill(~kept[:, None], fill).softmax(softmax) @ (tokens @ to_v)


def _question_attention(
    queries: Tensor, question: Tensor, question_mask: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor
) -> Tensor:
    return _attend(queries, question, question_mask, to_q, to_k, to_v)


def _but(**settings) -> Callable[..., Tensor]:
    return lambda queries, question, mask, q, k, v: _attend(queries, question, mask, q, k, v, **settings)


def _zeroed(queries: Tensor, question: Tensor, mask: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Weights set to zero after the softmax."""
    tokens = torch.cat([queries, question], dim=1)
    kept = torch.cat([torch.ones(queries.shape[:2], dtype=torch.bool), mask], dim=1)
    weights = (queries @ q @ (tokens @ k).mT * queries.shape[2] ** -0.5).softmax(-1)
    return weights * kept[:, None] @ (tokens @ v)


def _empty(queries: Tensor, question: Tensor, mask: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Padding is a zero vector, not hidden."""
    return _attend(queries, question * mask[..., None], torch.ones_like(mask), q, k, v)


def _read(draw: Draw, batch: int, number: int, length: int, width: int) -> tuple:
    """Queries, questions of different lengths (the second is full, of the first one word is padding), and three matrices."""
    words = 1 + draw.integers(length - 1, batch, 1)
    words[0], words[1] = length - 1, length
    return (
        draw.normal(batch, number, width),
        draw.normal(batch, length, width),
        torch.arange(length) < words,
        *(draw.normal(width, width) / width**0.5 for _ in range(3)),
    )


question_attention = Check(
    name="question_attention",
    signature=("queries", "question", "question_mask", "to_q", "to_k", "to_v"),
    reference=_question_attention,
    holds="queries look at queries and at the question's words, not at padding, and queries come out",
    look=f'{LOOK} 3 "Queries that read the question"',
    hint="Keys and values come from torch.cat([queries, question], dim=1), what looks are the queries alone. The mask of keys is True for all queries and question_mask behind them; it is the same for every row: mask[:, None].",
    cases=(
        Case("3 pictures, 4 queries, questions of 5 words", lambda draw: _read(draw, 3, 4, 5, 6)),
        Case("2 pictures, 6 queries, questions of 4 words", lambda draw: _read(draw, 2, 6, 4, 9)),
    ),
    hidden_cases=(
        Case("5 pictures, 3 queries, questions of 7 words", lambda draw: _read(draw, 5, 3, 7, 8)),
        Case("4 pictures, 5 queries, questions of 6 words", lambda draw: _read(draw, 4, 5, 6, 12)),
    ),
    gradients="required",
    differentiable=("queries", "question", "to_q", "to_k", "to_v"),
    mistakes=(
        Mistake(
            _but(see="queries"),
            "The queries do not see the question: what they fetch would be the same whatever is asked. Keys and values come from both.",
        ),
        Mistake(_but(see="question"), "The queries see the question alone: they look at one another, too."),
        Mistake(
            _but(seen=torch.ones_like),
            "Padding is seen: what the queries fetch would depend on the longest question of the batch. Mask the keys with `question_mask`.",
        ),
        Mistake(
            _but(seen=torch.logical_not),
            "The mask is the wrong way round: True says that there is a word, so where it is False the score becomes minus infinity.",
        ),
        Mistake(
            _zeroed,
            "Weights of padding are set to zero after the softmax, so the others no longer add up to 1: set the scores to minus infinity before it.",
        ),
        Mistake(
            _empty,
            "Padding became a zero vector and is still looked at: its score 0 takes weight from the words. It must get a score of minus infinity.",
        ),
        Mistake(
            _but(fill=0.0),
            "Scores of padding are set to 0, which softmax takes for a score like others: minus infinity.",
        ),
        Mistake(_but(scale=1.0), "The scores are not divided by the square root of the width."),
        Mistake(
            lambda queries, *rest: _attend(queries, *rest, scale=1 / queries.shape[2]),
            "The scores are divided by the width: by its square root.",
        ),
        Mistake(
            lambda queries, question, *rest: _attend(
                queries, question, *rest, scale=(queries.shape[1] + question.shape[1]) ** -0.5
            ),
            "The scores are divided by the square root of the number of tokens: the width it is, queries.shape[2].",
        ),
        Mistake(
            _but(softmax=1),
            "The softmax runs over those who look. Each query's weights over what it sees add up to 1: softmax(dim=-1).",
        ),
        Mistake(
            _but(everyone=True),
            "Queries and question come out: only the queries go on to the language model, the question is given to it in words.",
        ),
        Mistake(
            lambda queries, question, mask, q, k, v: _attend(queries, question, mask, q, k, v, everyone=True)[
                :, queries.shape[1] :
            ],
            "The question's words come out instead of the queries.",
        ),
        Mistake(
            lambda queries, question, mask, q, k, v: _attend(queries, question, mask, k, q, v),
            "Keys and queries are exchanged: to_q makes what looks, to_k what is seen.",
        ),
        Mistake(
            lambda queries, question, mask, q, k, v: _attend(queries, question, mask, q, k, torch.eye(len(v))),
            "The tokens themselves are added up: their values, tokens @ to_v, it should be.",
        ),
        Mistake(
            lambda queries, question, mask, q, k, v: _attend(queries, question, mask, q.mT, k.mT, v.mT),
            "The matrices stand transposed: tokens @ to_q, not tokens @ to_q.T.",
        ),
        Mistake(
            lambda queries, *rest: queries + _attend(queries, *rest),
            "The queries are added to the result: the residual connection is the layer's business, not that of the attention.",
        ),
        Mistake(
            _but(seen=lambda mask: mask[:1].expand_as(mask)),
            "The first question's mask is used for all: each has its own length.",
        ),
    ),
)


# --- exercise 4: which of the candidates ------------------------------------------------------------------------------


def _said(logits: Tensor, candidates: Tensor) -> Tensor:
    """log p of each token, (batch, candidates, m)."""
    return logits.log_softmax(-1).gather(3, candidates.expand(len(logits), -1, -1)[..., None])[..., 0]


def _rank_answers(logits: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
    return (_said(logits, candidates) * mask).sum(dim=2).argsort(dim=1, descending=True)


def _ranked(score: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An order by a function of log p of each token and the mask."""
    return lambda logits, candidates, mask: score(_said(logits, candidates), mask).argsort(dim=1, descending=True)


def _raw(logits: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
    picked = logits.gather(3, candidates.expand(len(logits), -1, -1)[..., None])[..., 0]
    return (picked * mask).sum(2).argsort(1, descending=True)


def _mixed(logits: Tensor, candidates: Tensor, mask: Tensor) -> Tensor:
    """The softmax runs over the candidates."""
    picked = logits.log_softmax(1).gather(3, candidates.expand(len(logits), -1, -1)[..., None])[..., 0]
    return (picked * mask).sum(2).argsort(1, descending=True)


def _spoken(draw: Draw, batch: int, number: int, length: int, vocabulary: int) -> tuple:
    """Logits of candidates of different lengths, as a decoder gives them that has read the tokens before; long ones are not always worst."""
    candidates = draw.integers(vocabulary, number, length)
    words = 1 + torch.arange(number) % length
    mask = torch.arange(length) < words[:, None]
    logits = draw.normal(batch, number, length, vocabulary) + 3 * draw.normal(batch, number, length, 1)
    lift = (
        2.5 * draw.uniform(batch, number, length, 1) * draw.integers(2, batch, number, 1, 1) * words.view(1, -1, 1, 1)
    )
    logits = logits.scatter_add(3, candidates.expand(batch, -1, -1)[..., None], lift.contiguous())
    return logits, candidates, mask


_LENGTH = "You take the mean over a candidate's tokens. log p(answer) is the *sum* of what each token costs; with the mean, long candidates whose ends are easy to guess win."

rank_answers = Check(
    name="rank_answers",
    signature=("logits", "candidates", "mask"),
    reference=_rank_answers,
    holds="log p of each candidate, the sum over its real tokens, and the candidates in that order",
    look=f'{LOOK} 4 "Which of these?"',
    hint="log_softmax over the vocabulary, gather the candidates' own tokens, zero where there is padding, sum over tokens; then argsort(dim=1, descending=True).",
    cases=(
        Case("5 questions, 6 candidates of up to 3 tokens", lambda draw: _spoken(draw, 5, 6, 3, 11)),
        Case("8 questions, 9 candidates of up to 4 tokens", lambda draw: _spoken(draw, 8, 9, 4, 7)),
    ),
    hidden_cases=(
        Case("12 questions, 8 candidates of up to 3 tokens", lambda draw: _spoken(draw, 12, 8, 3, 20)),
        Case("6 questions, 12 candidates of up to 5 tokens", lambda draw: _spoken(draw, 6, 12, 5, 9)),
    ),
    mistakes=(
        Mistake(_ranked(lambda said, mask: (said * mask).sum(2) / mask.sum(1)), _LENGTH),
        Mistake(
            _ranked(lambda said, mask: said.sum(2)),
            "Padding counts as if it were said: multiply with the mask before the sum.",
        ),
        Mistake(
            _ranked(lambda said, mask: said[:, :, 0]),
            'Only the first token counts: "top left" and "top right" would be the same.',
        ),
        Mistake(
            _raw,
            "These are sums of logits: without log_softmax over the vocabulary they are no probabilities, and places cannot be compared.",
        ),
        Mistake(
            _mixed,
            "The softmax runs over the candidates: at each place of each candidate it runs over the vocabulary, dim=-1.",
        ),
        Mistake(
            _ranked(lambda said, mask: -(said * mask).sum(2)),
            "The unlikeliest candidate comes first: descending=True (or you sorted by the loss and took the largest).",
        ),
        Mistake(
            _ranked(lambda said, mask: (said.exp() * mask).sum(2)),
            "You added the tokens' probabilities: they are multiplied, so their logarithms are added.",
        ),
        Mistake(
            _ranked(lambda said, mask: (said * mask).amin(2)),
            "Only the unlikeliest token of each candidate counts: all of them do, as a sum.",
        ),
        Mistake(
            lambda logits, candidates, mask: (_said(logits, candidates) * mask).sum(2),
            "These are the log-likelihoods: wanted is the order, the candidates' numbers with the likeliest first.",
        ),
        Mistake(
            lambda logits, candidates, mask: _rank_answers(logits, candidates, mask)[:, 0],
            "This is the best candidate alone: wanted are all of them in order.",
        ),
        Mistake(
            lambda logits, candidates, mask: _rank_answers(logits, candidates, mask).argsort(1),
            "This is the rank of each candidate. Wanted is the other way round: first the number of the best one, then that of the second.",
        ),
        Mistake(
            lambda logits, candidates, mask: (_said(logits, candidates) * mask).sum(2).argsort(0, descending=True),
            "You sorted the questions, not the candidates: dim=1.",
        ),
        Mistake(
            lambda logits, candidates, mask: (
                (_said(logits, candidates) * mask).sum(2).mean(0).argsort(descending=True).expand(len(logits), -1)
            ),
            "One order for all questions: each has its own.",
        ),
        Mistake(
            _ranked(lambda said, mask: (said * ~mask).sum(2)),
            "The mask is the wrong way round: True is where a candidate has a token.",
        ),
        Mistake(
            _ranked(lambda said, mask: (said * mask).sum(2) / mask.shape[1] + mask.sum(1)),
            "Longer candidates get a bonus: the sum of the tokens' log p, and nothing else.",
        ),
    ),
)
