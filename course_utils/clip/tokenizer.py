"""CLIP's own byte-pair tokenizer: the merges are made as in `language.tokenizer`, but a word is something else.

A text is first cleaned and written in small letters: capitals carry little about a picture. Spaces are not kept, they stand where words end:
the last byte of each word is marked, `</w>`, and "cat" as a word is another token than the "cat" of "category". Digits stand alone. Each text begins
and ends with a token of its own; the picture's vector is compared with what stands at the end.

Paper: Radford et al., ICML 2021, section 2.4; the file `bpe_simple_vocab_16e6.txt.gz` of the authors.
"""

import functools
import gzip
import html
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import ftfy
import regex
from torch import Tensor

from course_utils.hub import WeightsError, find_file
from course_utils.language.tokenizer import Pair, byte_signs, merge_all, padded, written

END_OF_WORD = b"</w>"
SPECIAL_TOKENS = ("<|startoftext|>", "<|endoftext|>")
NUM_MERGES = 49408 - 2 * 256 - 2  # that the published vocabulary has room for; the authors' file holds more
LENGTH = 77  # tokens of a text, the first and the last of them special
PAD = 0  # stands behind the end, where the text encoder does not look
WORD = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def cleaned(text: str) -> str:
    """A text as CLIP reads it: mended where its encoding was broken, without HTML entities, with single spaces, in small letters."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


class CLIPTokenizer:
    """Texts to ids and back. Ids: the bytes in the order of `byte_signs`, the bytes that end a word, what the merges make, start, end.

    Args:
        merges: pairs of tokens, in the order in which they were learned.
        special_tokens: start and end, as texts that are one token each.

    Raises:
        ValueError: if a merge joins a token that there is not.
    """

    def __init__(self, merges: Sequence[Pair], special_tokens: tuple[str, str] = SPECIAL_TOKENS):
        self.merges = [tuple(pair) for pair in merges]
        self.special_tokens = tuple(special_tokens)
        single = [bytes([byte]) for byte in byte_signs()]
        self.tokens = [*single, *(byte + END_OF_WORD for byte in single)]
        known = set(self.tokens)
        for left, right in self.merges:
            if left not in known or right not in known:
                raise ValueError(f"merge of {left!r} and {right!r}: both must be bytes or made by an earlier merge")
            self.tokens.append(left + right)
            known.add(left + right)
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        self.start, self.end = len(self.tokens), len(self.tokens) + 1
        self.rank = {pair: number for number, pair in enumerate(self.merges)}
        special = "|".join(map(regex.escape, self.special_tokens))
        self._words = regex.compile(f"{special}|{WORD}", regex.IGNORECASE)
        self._word_ids = functools.lru_cache(maxsize=2**16)(self._encode_word)

    def __len__(self) -> int:
        """The number of tokens, start and end too."""
        return len(self.tokens) + 2

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without start and end.

        Raises:
            UnicodeEncodeError: if half a surrogate pair is in it, which is no character.
        """
        return [number for word in self._words.findall(cleaned(text)) for number in self._word_ids(word)]

    def __call__(self, texts: Iterable[str], length: int = LENGTH, pad: int = PAD) -> Tensor:
        """Ids (batch, length) int64: start, text, end, then `pad`. A text that is too long loses its last tokens, not its end."""
        ids = [[self.start, *self.encode(text)[: length - 2], self.end] for text in texts]
        return padded(ids, pad, length=length)[0]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, a space after each word. Bytes that are no UTF-8, as a model may write them, become U+FFFD.

        Raises:
            ValueError: if an id is outside of the vocabulary.
        """
        pieces = []
        for number in map(int, ids):
            if not 0 <= number < len(self):
                raise ValueError(f"id {number} is outside of the vocabulary, [0, {len(self)})")
            special = number - self.start
            pieces.append(self.tokens[number] if special < 0 else self.special_tokens[special].encode())
        return b"".join(pieces).decode("utf-8", errors="replace").replace(END_OF_WORD.decode(), " ")

    def _encode_word(self, word: str) -> tuple[int, ...]:
        if word in self.special_tokens:
            return (self.start + self.special_tokens.index(word),)
        single = [bytes([byte]) for byte in word.encode()]
        single[-1] += END_OF_WORD
        return tuple(self.ids[token] for token in merge_all(single, self.rank))

    @classmethod
    def from_hub(
        cls, source: str | Path, special_tokens: tuple[str, str] = SPECIAL_TOKENS, subfolder: str = ""
    ) -> Self:
        """The published tokenizer: `CLIPTokenizer.from_hub("openai/clip-vit-base-patch32")`, or the file `bpe_simple_vocab_16e6.txt.gz`.

        A folder or repository holds `merges.txt` and `vocab.json`, as transformers keeps them, perhaps in a `subfolder`. The ids follow from the
        merges; the second file is read to see that they do.

        Raises:
            FileNotFoundError, OfflineError: as `hub.find_file`.
            WeightsError: the files are no such tokenizer.
        """
        alone = str(source).endswith(".gz")
        inside = f"{subfolder}/" if subfolder else ""
        path = find_file(source, f"{inside}merges.txt")
        byte_of = {sign: byte for byte, sign in byte_signs().items()}  # the signs of </w> stand for themselves
        try:
            content = gzip.decompress(path.read_bytes()) if alone else path.read_bytes()
            lines = content.decode("utf-8").split("\n")[1 : NUM_MERGES + 1]  # the first names the version
            pairs = [line.split() for line in lines if line]
            if any(len(pair) != 2 for pair in pairs):
                raise ValueError("a line holds other than two tokens")
            merges = [tuple(bytes(byte_of[sign] for sign in token) for token in pair) for pair in pairs]
            tokenizer = cls(merges, special_tokens)
            vocabulary = (
                None if alone else json.loads(find_file(source, f"{inside}vocab.json").read_text(encoding="utf-8"))
            )
        except (ValueError, KeyError, OSError, EOFError, zlib.error) as error:
            if isinstance(error, FileNotFoundError | ConnectionError):
                raise
            raise WeightsError(f"{path} is no list of merges as CLIP has it: {error}") from error
        if vocabulary is not None and vocabulary != tokenizer.vocabulary():
            raise WeightsError(
                f"the ids in vocab.json beside {path} do not follow from its merges: this is another tokenizer than CLIP's"
            )
        return tokenizer

    def vocabulary(self) -> dict[str, int]:
        """The id of each token as the published `vocab.json` writes it."""
        ids = {
            written(token): number for token, number in self.ids.items()
        }  # the signs of </w> are written as themselves
        return ids | dict(zip(self.special_tokens, (self.start, self.end), strict=True))
