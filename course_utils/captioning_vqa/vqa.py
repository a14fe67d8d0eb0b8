"""Answers to questions, measured: VQA accuracy, and guesses that look at no picture.

Ten people answered each question, and they differ. An answer counts fully if three gave it; and since they would have to be measured likewise, it is
compared with all sets of nine:

    accuracy(a) = mean over the ten of  min(1, number of the other nine that said a / 3)

Before, spelling is made alike: small letters, no punctuation and articles, numbers as digits, apostrophes put back ("dont").

A model may be right without looking: most bananas are yellow. So beside each accuracy stands that of the answer given most often (of all, or to
questions of this kind, or to this very question).

Papers: Antol et al., "VQA: visual question answering", ICCV 2015, section 3. Goyal et al., "Making the V in VQA matter", CVPR 2017 (balance).
"""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

ENOUGH = 3  # people
SIGNS = ';/[]"{}()=+\\_-><@`,?!'
ARTICLES = ("a", "an", "the")
DIGITS = {"none": "0"} | {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}
# words whose apostrophes the official code puts back; it leaves alone what would be another word without ("we're", "he'll")
ONE_APOSTROPHE = (
    "ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's isn't it'd it'll ma'am mightn't "
    "might've mustn't must've needn't not've o'clock oughtn't shan't should've shouldn't somebody'll somebody's someone'd someone'll someone's "
    "something'd something'll that's there'd there're there's they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's "
    "what've when's where'd where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've"
)
TWO_APOSTROPHES = (
    "couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've something'd've there'd've they'd've we'd've "
    "who'd've wouldn't've y'all'll you'd've"
)
SPELLING = {
    **{word.replace("'", ""): word for word in ONE_APOSTROPHE.split()},
    **{word.replace("'", "", 1): word for word in TWO_APOSTROPHES.split()},
    **{"".join(word.rsplit("'", 1)): word for word in TWO_APOSTROPHES.split()},
    **dict.fromkeys(("ow's'at", "'ows'at", "'ow'sat"), "'ow's'at"),
    **dict.fromkeys(("yall'd've", "y'alld've", "y'all'dve"), "y'all'd've"),
    "somebody'd": "somebodyd",  # so it stands there
}


def normalized(answer: str) -> str:
    """An answer in the spelling in which answers are compared: `normalized("The two dogs.") == "2 dogs"`."""
    text = " ".join(answer.split())
    loose = re.search(r"\d,\d", text) is not None
    clean = text
    for sign in SIGNS:
        beside_space = f"{sign} " in text or f" {sign}" in text
        clean = clean.replace(sign, "" if beside_space or loose else " ")
    clean = re.sub(r"\.(?!\d)", "", clean)
    words = [DIGITS.get(word, word) for word in clean.lower().split()]
    return " ".join(SPELLING.get(word, word) for word in words if word not in ARTICLES)


def accuracy(answer: str, given: Sequence[str]) -> float:
    """VQA accuracy of an answer, in [0, 1], against those that people gave (ten, in the data set).

    (The official code leaves the spelling alone where all people agree to the letter.)

    Raises:
        ValueError: if fewer than two people answered.
    """
    if len(given) < 2:
        raise ValueError(
            f"each answer is compared with those of all other people: at least two are needed, got {len(given)}"
        )
    said = normalized(answer)
    same = [normalized(other) == said for other in given]
    return sum(min(1.0, (sum(same) - one) / ENOUGH) for one in same) / len(same)


def accuracies(
    answers: Sequence[str], given: Sequence[Sequence[str]], kinds: Sequence[str] | None = None
) -> dict[str, float]:
    """The mean accuracy over all questions, as `all`, and over those of each kind.

    Args:
        answers: one for each question.
        given: for each question what people answered.
        kinds: of the questions; None for no kinds.

    Raises:
        ValueError: as `accuracy`, or if the lists are not equally long, or empty.
    """
    kinds = ["all"] * len(answers) if kinds is None else kinds
    if not answers or not len(answers) == len(given) == len(kinds):
        raise ValueError(
            f"expected as many answers as questions, got {len(answers)} answers, {len(given)} lists and {len(kinds)} kinds"
        )
    found: dict[str, list[float]] = {"all": []}
    for answer, people, kind in zip(answers, given, kinds, strict=True):
        score = accuracy(answer, people)
        found["all"].append(score)
        if kind != "all":
            found.setdefault(kind, []).append(score)
    return {kind: sum(scores) / len(scores) for kind, scores in found.items()}


def most_frequent(answers: Sequence[str], about: Sequence[Hashable] | None = None) -> dict[Hashable, str]:
    """The answer given most often: to all questions, under the key None, and to those about each thing, such as a kind, or the question itself.

    Of answers that are equally frequent it is the first in the alphabet.

    Raises:
        ValueError: if there are no answers, or not as many things.
    """
    about = [None] * len(answers) if about is None else about
    if not answers or len(answers) != len(about):
        raise ValueError(f"expected answers and what each is about, got {len(answers)} and {len(about)}")
    counts: dict[Hashable, Counter[str]] = {None: Counter()}
    for answer, thing in zip(answers, about, strict=True):
        counts.setdefault(thing, Counter())
        for key in {thing, None}:
            counts[key][answer] += 1
    return {thing: min(counter, key=lambda answer: (-counter[answer], answer)) for thing, counter in counts.items()}


def guess(table: Mapping[Hashable, str], about: Sequence[Hashable]) -> list[str]:
    """Answers without a look at the picture, by a table of `most_frequent`; for what is not in it the most frequent of all."""
    return [table.get(thing, table[None]) for thing in about]
