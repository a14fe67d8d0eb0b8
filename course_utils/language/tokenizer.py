"""Byte-pair encoding: how a text becomes numbers.

Any text is bytes (UTF-8), so 256 tokens can write everything, but waste places. Training makes longer tokens: of all neighbouring pairs of tokens in
the text, the most frequent becomes a new token; and again, until the vocabulary is large enough. To encode, the same merges are made in the same
order. Frequent words end as one token, rare ones as a few pieces, and no text is unknown.

Merges never cross the border of a word: the text is first cut by a regular expression, a space going with the word after it, so that "dog", "dog."
and "dog!" share a token.

Papers: Gage, "A new algorithm for data compression", 1994; Sennrich, Haddow & Birch, "Neural machine translation of rare words with subword units",
ACL 2016; on bytes: Radford et al., "Language models are unsupervised multitask learners", 2019, section 2.2.
"""

import functools
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import regex
import torch
from torch import Tensor

from course_utils.hub import WeightsError, find_file

if TYPE_CHECKING:
    import tokenizers

# GPT-2's: English endings, words, numbers, other signs (each with one space before it), spaces
WORDS = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
Pair = tuple[bytes, bytes]


@functools.cache
def byte_signs() -> dict[int, str]:
    """A visible character for each byte, in which GPT-2's files write their tokens: itself for a printable one, else one from 256 on.

    The order is that of the characters, and gives the tokens of single bytes their ids.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def merge(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """`tokens` with each occurrence of the pair, from the left, made one token."""
    merged: list[bytes] = []
    place = 0
    while place < len(tokens):
        if tuple(tokens[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(tokens[place])
            place += 1
    return merged


def merge_all(tokens: Sequence[bytes], rank: Mapping[Pair, int]) -> list[bytes]:
    """`tokens` after all merges: of all pairs that stand side by side, the one learned first is merged everywhere, until there is none.

    Args:
        rank: the place of each pair in the order in which they were learned.
    """
    tokens = list(tokens)
    while len(tokens) > 1:
        pair = min(zip(tokens, tokens[1:], strict=False), key=lambda pair: rank.get(pair, len(rank)))
        if pair not in rank:
            break
        tokens = merge(tokens, pair)
    return tokens


def learn_merges(texts: Iterable[str], num_merges: int) -> list[Pair]:
    """The merges of byte-pair encoding, in the order in which they are made (Sennrich et al. 2016, algorithm 1).

    Counts are kept for all pairs and changed only where a merge changes a word. Of equally frequent pairs that of the older tokens is merged.

    Args:
        num_merges: new tokens to make; fewer where no pair is left. (A merge that makes a token in a second way is not counted.)
    """
    counts = Counter(word.encode() for text in texts for word in WORDS.findall(text))
    words = [([bytes([byte]) for byte in word], count) for word, count in counts.items()]
    age = {bytes([byte]): place for place, byte in enumerate(byte_signs())}
    frequency: Counter[Pair] = Counter()
    homes: defaultdict[Pair, set[int]] = defaultdict(set)  # the words in which a pair occurs, or occurred
    for number, (tokens, count) in enumerate(words):
        for pair in zip(tokens, tokens[1:], strict=False):
            frequency[pair] += count
            homes[pair].add(number)

    def entry(pair: Pair) -> tuple[int, int, int, Pair]:
        return -frequency[pair], age[pair[0]], age[pair[1]], pair

    queue = [entry(pair) for pair in frequency]
    heapq.heapify(queue)
    merges: list[Pair] = []
    while queue and len(age) < 256 + num_merges:
        best = heapq.heappop(queue)
        pair = best[3]
        if best != entry(pair):  # an old count: changed pairs have a newer entry
            continue
        if not frequency[pair]:
            break
        merges.append(pair)
        age.setdefault(pair[0] + pair[1], len(age))
        changed = set()
        for number in homes.pop(pair):
            tokens, count = words[number]
            after = merge(tokens, pair)
            for sign, version in ((-count, tokens), (count, after)):
                for neighbours in zip(version, version[1:], strict=False):
                    frequency[neighbours] += sign
                    homes[neighbours].add(number)
                    changed.add(neighbours)
            words[number] = (after, count)
        for neighbours in changed:
            heapq.heappush(queue, entry(neighbours))
    return merges


class BytePairTokenizer:
    """Texts to ids and back. Ids: the 256 bytes in the order of `byte_signs`, then what the merges make, in their order, then the special tokens.

    Args:
        merges: pairs of tokens, in the order in which they were learned.
        special_tokens: texts that are one token each and are never cut, such as `<|endoftext|>`.

    Raises:
        ValueError: if a merge joins a token that there is not, or a special token is empty or comes twice.
    """

    def __init__(self, merges: Sequence[Pair], special_tokens: Sequence[str] = ()):
        self.merges = [tuple(pair) for pair in merges]
        self.special_tokens = tuple(special_tokens)
        self.tokens = [bytes([byte]) for byte in byte_signs()]
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        for left, right in self.merges:
            if left not in self.ids or right not in self.ids:
                raise ValueError(f"merge of {left!r} and {right!r}: both must be bytes or made by an earlier merge")
            if left + right not in self.ids:  # two pairs may make the same token
                self.ids[left + right] = len(self.tokens)
                self.tokens.append(left + right)
        if len(set(self.special_tokens)) < len(self.special_tokens) or "" in self.special_tokens:
            raise ValueError(f"special tokens must be different and not empty, got {self.special_tokens}")
        first = len(self.tokens)
        self.special_ids = {token: first + number for number, token in enumerate(self.special_tokens)}
        self.rank = {pair: number for number, pair in reversed(list(enumerate(self.merges)))}
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        self._special = regex.compile("(" + "|".join(map(regex.escape, longest_first)) + ")") if longest_first else None
        self._word_ids = functools.lru_cache(maxsize=2**16)(self._encode_word)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, special_tokens: Sequence[str] = ()) -> Self:
        """A tokenizer for texts like these, with at most `vocab_size` tokens.

        Raises:
            ValueError: if `vocab_size` has no room for the bytes and the special tokens.
        """
        num_merges = vocab_size - 256 - len(special_tokens)
        if num_merges < 0:
            raise ValueError(
                f"vocab_size is {vocab_size}, but 256 bytes and {len(special_tokens)} special tokens need more"
            )
        return cls(learn_merges(texts, num_merges), special_tokens)

    def __len__(self) -> int:
        """The number of tokens, special ones too."""
        return len(self.tokens) + len(self.special_tokens)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. A special token in it becomes its own id.

        Raises:
            UnicodeEncodeError: if half a surrogate pair is in it, which is no character.
        """
        ids = []
        for part in self._special.split(text) if self._special else [text]:
            if part in self.special_ids:
                ids.append(self.special_ids[part])
            else:
                for word in WORDS.findall(part):
                    ids += self._word_ids(word)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. Bytes that are no UTF-8, as a model may write them, become U+FFFD.

        Raises:
            ValueError: if an id is outside of the vocabulary.
        """
        pieces = []
        for number in map(int, ids):
            if not 0 <= number < len(self):
                raise ValueError(f"id {number} is outside of the vocabulary, [0, {len(self)})")
            special = number - len(self.tokens)
            pieces.append(self.tokens[number] if special < 0 else self.special_tokens[special].encode())
        return b"".join(pieces).decode("utf-8", errors="replace")

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return tuple(self.ids[token] for token in merge_all([bytes([byte]) for byte in word.encode()], self.rank))

    def fast(self) -> "tokenizers.Tokenizer":
        """The same tokenizer of the library `tokenizers`, which is written in Rust and takes batches."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        vocabulary = {written(token): number for token, number in self.ids.items()}
        merges = [(written(left), written(right)) for left, right in self.merges]
        fast = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
        fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        fast.decoder = decoders.ByteLevel()
        fast.add_special_tokens([AddedToken(token, normalized=False) for token in self.special_tokens])
        return fast

    def save(self, path: str | Path) -> None:
        """Write the merges as GPT-2's `merges.txt`; special tokens are not in it."""
        lines = [f"{written(left)} {written(right)}" for left, right in self.merges]
        Path(path).write_text("\n".join(["#version: 0.2", *lines, ""]), encoding="utf-8")

    @classmethod
    def from_hub(
        cls, source: str | Path, special_tokens: Sequence[str] = ("<|endoftext|>",), filename: str = "merges.txt"
    ) -> Self:
        """A tokenizer in the layout of GPT-2, `BytePairTokenizer.from_hub("openai-community/gpt2")`, or one that `save` has written.

        Raises:
            FileNotFoundError, OfflineError: as `hub.find_file`.
            WeightsError: the file holds no merges.
        """
        path = find_file(source, filename)
        byte_of = {sign: byte for byte, sign in byte_signs().items()}
        try:
            lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
            pairs = [line.split(" ") for line in lines if not line.startswith("#version")]
            merges = [tuple(bytes(byte_of[sign] for sign in token) for token in pair) for pair in pairs]
            if any(len(pair) != 2 for pair in merges):
                raise ValueError("a line holds other than two tokens")
            return cls(merges, special_tokens)
        except (ValueError, KeyError) as error:
            raise WeightsError(f"{path} is no list of merges as GPT-2 has it: {error}") from error


def written(token: bytes) -> str:
    """A token as GPT-2's files write it."""
    signs = byte_signs()
    return "".join(signs[byte] for byte in token)


def padded(
    texts: Sequence[Sequence[int]], pad_token_id: int, *, left: bool = False, length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Texts of different lengths as one batch: `input_ids` (batch, n) int64, and `attention_mask` (batch, n) bool, True at real tokens.

    Args:
        left: padding comes first, as continuing a prompt needs it.
        length: n; by default that of the longest text.

    Raises:
        ValueError: if a text is longer than `length`.
    """
    longest = max(map(len, texts), default=0)
    length = longest if length is None else length
    if longest > length:
        raise ValueError(f"a text of {longest} tokens does not fit into {length}: cut it first")
    input_ids = torch.full((len(texts), length), pad_token_id)
    attention_mask = torch.zeros(len(texts), length, dtype=torch.bool)
    for row, text in enumerate(texts):
        place = slice(length - len(text), length) if left else slice(0, len(text))
        input_ids[row, place] = torch.as_tensor(text, dtype=torch.int64)
        attention_mask[row, place] = True
    return input_ids, attention_mask
