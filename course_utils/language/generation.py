"""Writing with a language model: token by token, from its probabilities of the next one.

Greedy search takes the likeliest token each time; sampling draws one, after unlikely ones were cut off; beam search goes on with several texts at
once, and ends with the likeliest found. All three work for any model with

    begin(input_ids, attention_mask, max_new_tokens) -> (first tokens, cache)        next_logits(tokens, cache) -> (batch, vocab_size)

where the first tokens are the prompt itself (`GPT2`), or a start token for a text that answers it (`T5`), and the cache holds what was read.

A *processor* is any function of the tokens so far (batch, length) and the logits of the next (batch, vocab_size) that gives other logits.

Papers: Fan, Lewis & Dauphin, "Hierarchical neural story generation", ACL 2018 (top-k). Holtzman et al., "The curious case of neural text
degeneration", ICLR 2020 (top-p). Wu et al., "Google's neural machine translation system", 2016, section 7 (length in beam search).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.autoencoders.vqvae import gumbel_noise
from course_utils.layers import draw_uniform
from course_utils.layers.caching import Cache

Processor = Callable[[Tensor, Tensor], Tensor]
NEVER = -1e9  # a score below all others


class LanguageModel(Protocol):
    """What generation asks of a model."""

    def begin(self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int) -> tuple[Tensor, Cache]: ...

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor: ...


class Prefixed:
    """A language model that reads vectors (batch, p, width) which are no words before its prompt, as what a picture was made into."""

    def __init__(self, model: LanguageModel, prefix: Tensor):
        self.model, self.prefix = model, prefix

    def begin(self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int) -> tuple[Tensor, Cache]:
        """As the model's own, with the prefix. The prompt may be empty where the model goes on from it."""
        return self.model.begin(input_ids, attention_mask, max_new_tokens, self.prefix)

    def next_logits(self, input_ids: Tensor, cache: Cache) -> Tensor:
        """As the model's own."""
        return self.model.next_logits(input_ids, cache)


@torch.inference_mode()
def generate(
    model: LanguageModel,
    input_ids: Tensor,
    max_new_tokens: int,
    generator: torch.Generator | None = None,
    *,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    attention_mask: Tensor | None = None,
    end_token_id: int | None = None,
    pad_token_id: int = 0,
    process: Processor | None = None,
) -> Tensor:
    """Texts (batch, length) int64: for `GPT2` prompt and continuation, for `T5` start token and answer.

    They end after `max_new_tokens`, or when all have reached the end token; a shorter text is filled up with padding.

    Args:
        input_ids: prompts (batch, n). `GPT2` wants the padding of shorter ones on the left, or the continuation would come after it.
        generator: of the draws.
        temperature: 0 takes the likeliest token; else logits are divided by it, and a token is drawn.
        top_k, top_p: draw from the k likeliest, or from the fewest that hold a share p; 0 and 1 for all (`keep_top_k`, `keep_top_p`).
        attention_mask: (batch, n) bool, True at real tokens.
        end_token_id: which ends a text; None for no end.
        process: changes the logits before all this.

    Raises:
        ValueError: a setting is out of its range, a prompt ends with padding, or as the model's own `begin`.
    """
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or max_new_tokens < 1:
        raise ValueError(
            f"expected temperature >= 0, top_k >= 0, 0 < top_p <= 1 and max_new_tokens >= 1, "
            f"got {temperature}, {top_k}, {top_p} and {max_new_tokens}"
        )
    texts, cache = begin(model, input_ids, attention_mask, max_new_tokens)
    new = texts
    ended = torch.zeros(len(texts), dtype=torch.bool, device=texts.device)
    for _ in range(max_new_tokens):
        logits = model.next_logits(new, cache).float()
        if process is not None:
            logits = process(texts, logits)
        if temperature > 0:
            logits = keep_top_p(keep_top_k(logits / temperature, top_k), top_p)
            logits = logits + gumbel_noise(draw_uniform(logits.shape, generator, logits.device))
        new = logits.argmax(dim=1, keepdim=True).masked_fill(ended[:, None], pad_token_id)
        texts = torch.cat([texts, new], dim=1)
        if end_token_id is not None:
            ended = ended | (new[:, 0] == end_token_id)
            if ended.all():
                break
    return texts


class Beams(NamedTuple):
    """The best texts that beam search has found for each prompt, best first."""

    texts: Tensor  # (batch, num_beams, length) int64, filled up with padding
    scores: Tensor  # (batch, num_beams): log p(new tokens) / number of new tokens ** length_penalty
    lengths: Tensor  # (batch, num_beams) int64, without padding


@torch.inference_mode()
def beam_search(
    model: LanguageModel,
    input_ids: Tensor,
    max_new_tokens: int,
    num_beams: int,
    *,
    length_penalty: float = 1.0,
    early_stopping: bool = False,
    attention_mask: Tensor | None = None,
    end_token_id: int | None = None,
    pad_token_id: int = 0,
    process: Processor | None = None,
) -> Beams:
    """The likeliest texts, as far as `num_beams` of them, followed at once, can find them.

    In each step every running text is continued with every token, and the likeliest continuations run on. One that ends leaves the race: it is
    kept if its score is among the best. Since log p falls with every token, scores are divided by length ** `length_penalty`: the larger that is, the
    more often longer texts win. As in transformers, the search for a prompt ends when `num_beams` texts have ended and the best running text scores
    no better than the worst of these.

    Args:
        input_ids, attention_mask, end_token_id, pad_token_id: as for `generate`.
        early_stopping: end as soon as `num_beams` texts have ended.
        process: changes the logs of the probabilities.

    Raises:
        ValueError: as `generate`, or if there are fewer than one beam.
    """
    if num_beams < 1 or max_new_tokens < 1:
        raise ValueError(f"expected num_beams >= 1 and max_new_tokens >= 1, got {num_beams} and {max_new_tokens}")
    first, cache = begin(model, input_ids, attention_mask, max_new_tokens)
    batch, device = len(first), first.device
    row = torch.arange(batch, device=device)[:, None]

    # running texts (batch, beams, length) and their log p. At the start all beams would be equal: there is one, and the first step makes many of it
    running, log_p = first[:, None], torch.zeros(batch, 1, device=device)
    ended = Ended(batch, num_beams, device)
    new = first
    for number in range(1, max_new_tokens + 1):
        beams = running.shape[1]
        logits = model.next_logits(new, cache).float()
        next_log_p = logits.log_softmax(dim=1)
        if process is not None:
            next_log_p = process(running.flatten(0, 1), next_log_p)
        vocab_size = next_log_p.shape[1]
        # (batch * beams, vocab_size) -> (batch, beams * vocab_size)
        candidates = (log_p[:, :, None] + next_log_p.unflatten(0, (batch, beams))).flatten(1)
        # twice as many as beams, for at most half of these can end
        log_p, chosen = candidates.topk(min(2 * num_beams, candidates.shape[1]), dim=1)
        origin, token = chosen // vocab_size, chosen % vocab_size
        texts = torch.cat([running[row, origin], token[:, :, None]], dim=2)

        last = number == max_new_tokens
        ends = torch.zeros_like(token, dtype=torch.bool) if end_token_id is None else token == end_token_id
        among_best = torch.arange(token.shape[1], device=device) < num_beams
        ended.add(
            texts, log_p / number**length_penalty, (ends | last) & among_best & (log_p > NEVER / 2), early_stopping
        )
        if last:
            break
        log_p, best = log_p.masked_fill(ends, NEVER).topk(min(num_beams, token.shape[1]), dim=1)
        running = texts[row, best]
        ended.close(log_p[:, 0] / number**length_penalty, early_stopping)
        if ended.closed.all():
            break
        cache.select((row * beams + origin[row, best]).flatten())
        new = running[:, :, -1].flatten()[:, None]
    return ended.padded(pad_token_id)


def write(
    model: LanguageModel,
    input_ids: Tensor,
    max_new_tokens: int,
    generator: torch.Generator | None = None,
    num_beams: int = 1,
    **settings: Any,
) -> Tensor:
    """Texts (batch, length): with several beams the best that `beam_search` finds, else those of `generate`, which the settings are for."""
    if num_beams > 1:
        found = beam_search(model, input_ids, max_new_tokens, num_beams, **settings)
        return found.texts[:, 0, : int(found.lengths[:, 0].max())]
    return generate(model, input_ids, max_new_tokens, generator, **settings)


class Ended:
    """The best texts that have ended, for each prompt, and whether its search is closed."""

    def __init__(self, batch: int, num_beams: int, device: torch.device):
        self.texts = torch.zeros(batch, num_beams, 0, dtype=torch.int64, device=device)
        self.lengths = torch.zeros(batch, num_beams, dtype=torch.int64, device=device)
        self.scores = torch.full((batch, num_beams), NEVER, device=device)
        self.closed = torch.zeros(batch, dtype=torch.bool, device=device)

    def full(self) -> Tensor:
        """(batch,) bool: as many texts as beams have ended."""
        return (self.scores > NEVER / 2).all(dim=1)

    def add(self, texts: Tensor, scores: Tensor, ends: Tensor, early_stopping: bool) -> None:
        """Of texts (batch, k, length) with scores (batch, k), let those that end (batch, k) compete with the ended ones."""
        open_ = ~self.closed & ~(self.full() & early_stopping)
        scores = scores.masked_fill(~(ends & open_[:, None]), NEVER)
        num_beams, length = self.scores.shape[1], texts.shape[2]
        older = F.pad(self.texts, (0, length - self.texts.shape[2]))
        lengths = torch.cat([self.lengths, torch.full_like(scores, length, dtype=torch.int64)], dim=1)
        self.scores, best = torch.cat([self.scores, scores], dim=1).topk(num_beams, dim=1)
        self.lengths = lengths.gather(1, best)
        self.texts = torch.cat([older, texts], dim=1).gather(1, best[:, :, None].expand(-1, -1, length))

    def close(self, best_running: Tensor, early_stopping: bool) -> None:
        """Close the searches that cannot be won any more, going by the best running score (batch,)."""
        beaten = best_running <= self.scores.min(dim=1).values
        self.closed = self.closed | (self.full() & (beaten | early_stopping))

    def padded(self, pad_token_id: int) -> Beams:
        longest = int(self.lengths.max())
        places = torch.arange(longest, device=self.texts.device)
        texts = self.texts[:, :, :longest].masked_fill(places >= self.lengths[:, :, None], pad_token_id)
        return Beams(texts, self.scores, self.lengths)


def begin(
    model: LanguageModel, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int
) -> tuple[Tensor, Cache]:
    """`model.begin`, after a look at where the padding is.

    Raises:
        ValueError: if a prompt that is to be continued ends with padding.
    """
    first, cache = model.begin(input_ids, attention_mask, max_new_tokens)
    if first is input_ids and attention_mask is not None and not attention_mask[:, -1].all():
        raise ValueError("a prompt ends with padding, and its continuation would come after that: pad on the left")
    return first, cache


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Logits (..., vocab_size) with minus infinity outside of the k largest; k = 0 keeps all (Fan et al. 2018, section 5.4)."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    smallest = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest, float("-inf"))


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Logits (..., vocab_size) with minus infinity outside of the nucleus: the likeliest, just as many as hold p together, at least one.

    (Holtzman et al. 2020, section 3.1.)
    """
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # what the likelier ones hold
    outside = before >= p
    outside[..., 0] = False
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), float("-inf"))
