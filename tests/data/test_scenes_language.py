"""Captions, facts and questions of scenes, against a reader of their own: plain words, plain loops."""

import re
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.data.scenes import (
    ANSWERS,
    BACKGROUNDS,
    COLORS,
    HELD_OUT,
    LEVELS,
    PLACES,
    QUESTION_KINDS,
    RELATIONS,
    SHAPES,
    SIZES,
    SPLITS,
    Fact,
    Pattern,
    SceneRecords,
    Scenes,
    best_recall,
    captions,
    holds,
    join,
    questions,
    records,
    scene,
    true_of,
)

NUMBERS = ("zero", "one", "two", "three", "four")


def inventory(scenes: SceneRecords) -> list[list[dict]]:
    """The objects of each scene in words."""
    return [
        [
            {"shape": SHAPES[shape], "color": COLORS[color], "size": SIZES[size], "place": PLACES[place]}
            for place, (shape, color, size) in enumerate(zip(*columns, strict=True))
            if shape >= 0
        ]
        for columns in zip(scenes.shape.tolist(), scenes.color.tolist(), scenes.size.tolist(), strict=True)
    ]


def read_object(words: str) -> dict:
    """ "a large red circle at the top left" -> what is said of it."""
    said = {}
    if " at the " in words:
        words, said["place"] = words.split(" at the ")
    for word in words.split():
        word = {"crosses": "cross", "objects": "object", **{shape + "s": shape for shape in SHAPES}}.get(word, word)
        for kind, known in (("size", SIZES), ("color", COLORS), ("shape", SHAPES)):
            if word in known:
                said[kind] = word
                break
        else:
            assert word in ("a", "an", "object", *NUMBERS), word
    return said


def fits(said: dict, thing: dict) -> bool:
    return all(thing[kind] == word for kind, word in said.items())


def number(said: dict, things: list[dict]) -> int:
    return sum(fits(said, thing) for thing in things)


def related(first: dict, relation: str, second: dict) -> bool:
    rows, columns = zip(*(thing["place"].split() for thing in (first, second)), strict=True)
    return {
        "left of": columns == ("left", "right"),
        "right of": columns == ("right", "left"),
        "above": rows == ("top", "bottom"),
        "below": rows == ("bottom", "top"),
    }[relation]


def parts(listed: str) -> list[str]:
    return re.split(r", | and ", listed)


def is_true(text: str, things: list[dict], tone: str) -> bool:
    """Is a caption true of a scene? Reads the text alone."""
    text = text[0].lower() + text[1:]
    background = re.search(r" ?on an? (\w+) background(?: with|,)? ?", text) or re.search(
        r"the background is (\w+)", text, re.I
    )
    if background and background[1] != tone:
        return False
    count = re.search(
        r"(?:^|background, |there (?:is|are) )(\w+) objects?[:.]| ?(\w+) objects? on a \w+ background:", text
    )
    if count and NUMBERS.index(count[1] or count[2]) != len(things):
        return False
    text = re.sub(r" on an? \w+ background\.?$", "", text).rstrip(".")
    if ":" in text:  # a full caption in one sentence
        return all(places_true(part, things) for part in parts(text.split(": ")[1]))
    if ". " in text:  # a full caption in several sentences
        return all(places_true(part.lower(), things) for part in text.split(". ")[1:-1])
    if text.startswith("only "):
        groups = [(group.split()[0], read_object(group)) for group in parts(text[5:])]
        numbers = [1 if word in ("a", "an") else NUMBERS.index(word) for word, _ in groups]
        exact = all(number(said, things) == times for times, (_, said) in zip(numbers, groups, strict=True))
        return exact and sum(numbers) == len(things)
    if "exactly " in text:
        words = text.split("exactly ")[1]
        return number(read_object(words), things) == NUMBERS.index(words.split()[0])
    text = re.sub("^there is ", "", text)
    for relation in RELATIONS:
        if f" {relation} " in text:
            first, second = map(read_object, text.replace(" is ", " ").split(f" {relation} "))
            return any(fits(first, a) and fits(second, b) and related(a, relation, b) for a in things for b in things)
    return all(places_true(part, things) for part in parts(text))


def places_true(words: str, things: list[dict]) -> bool:
    words = words.replace(" is at ", " at ")
    if moved := re.match(r"at the (\w+ \w+) (.*)", words):
        words = f"{moved[2]} at the {moved[1]}"
    return number(read_object(words), things) > 0


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(SPLITS), st.integers(0, 2**30), st.integers(0, 1000))
def test_captions_are_true_of_their_scenes_by_text_and_by_facts(split, start, seed):
    scenes = records(split, range(start, start + 30))
    tones = [BACKGROUNDS[tone] for tone in scenes.background.tolist()]
    for level, written in zip(LEVELS, zip(*captions(scenes, seed), strict=True), strict=True):
        for caption, things, tone in zip(written, inventory(scenes), tones, strict=True):
            assert is_true(caption.text, things, tone), (level, caption.text, things)
        assert true_of([caption.facts for caption in written], scenes).diagonal().all(), level


@pytest.mark.parametrize("level", LEVELS)
def test_a_caption_states_its_facts_and_no_more(level):
    """Over a gallery, the text is true exactly where the facts are."""
    scenes = records("test", range(60))
    tones = [BACKGROUNDS[tone] for tone in scenes.background.tolist()]
    gallery = inventory(scenes)
    seen = 0
    for seed in range(3):
        written = [few[0] for few in captions(scenes, seed, (level,))]
        facts = true_of([caption.facts for caption in written], scenes)
        read = [
            [is_true(caption.text, things, tone) for things, tone in zip(gallery, tones, strict=True)]
            for caption in written
        ]
        assert torch.equal(facts, torch.tensor(read))
        seen += int(facts.sum()) - len(scenes)
    assert seen > 30 or level not in ("counting", "relation", "partial")  # true elsewhere too, and found there


def test_captions_have_several_phrasings_and_belong_to_their_scene():
    scenes = records("train", range(100))
    first, second = captions(scenes, 0), captions(scenes, 1)
    assert all(len(few) == len(LEVELS) for few in first)
    assert first[7] == captions(scenes[7], 0)[0]
    assert [few[2] for few in first] == [few[0] for few in captions(scenes, 0, (LEVELS[2],))]
    for level in range(len(LEVELS)):
        changed = sum(a[level].text != b[level].text for a, b in zip(first, second, strict=True))
        assert changed > 20, LEVELS[level]
    starts = {few[0].text.split()[0] for few in first}
    assert {"On", "There", "One", "Two", "Three", "Four"} <= starts
    assert any("two red circles" in few[0].text for few in captions(pair_of_circles(), 0, ("objects",)))


def pair_of_circles() -> SceneRecords:
    return scene([("large", "red", "circle", "top left"), ("small", "red", "circle", "bottom left")])


def test_a_full_caption_holds_the_whole_record():
    scenes = records("train", range(400))
    full = [few[0].facts for few in captions(scenes, 0, ("full",))]
    seen = torch.cat([scenes.shape, scenes.color, scenes.size, scenes.background[:, None]], 1)
    same = (seen[:, None] == seen).all(2)
    assert torch.equal(true_of(full, scenes), same)


def test_grammar_of_articles_and_plurals():
    scenes = records("train", range(600))
    text = " ".join(caption.text for few in captions(scenes) for caption in few).lower()
    assert re.search(r"\ban orange", text)
    assert not re.search(r"\ba [aeiou]", text)
    assert not re.search(r"\ban [^aeiou]", text)
    assert "two crosses" in text or re.search(r"two \w+ crosses", text)
    assert not re.search(r"\b(two|three|four)( \w+)? (circle|square|triangle|star|heart|cross|object)\b", text)
    words = set(re.findall(r"\w+", text))
    assert len(words) < 60


def test_facts_one_by_one():
    few = join([scene([("large", "red", "circle", "top left"), ("small", "blue", "star", "bottom right")], "sand")])
    circle, star, red = Pattern(shape=0), Pattern(shape=3), Pattern(color=0)
    cases = {
        Fact("exists", circle): True,
        Fact("exists", Pattern(shape=0, color=5)): False,
        Fact("exists", Pattern(shape=0, place=0)): True,
        Fact("exists", Pattern(shape=0, place=1)): False,
        Fact("exists", Pattern(size=0, color=5)): True,
        Fact("number", value=2): True,
        Fact("number", value=1): False,
        Fact("number", red, 1): True,
        Fact("number", Pattern(color=2), 0): True,
        Fact("relation", circle, 0, star): True,
        Fact("relation", circle, 2, star): True,
        Fact("relation", circle, 1, star): False,
        Fact("relation", star, 3, red): True,
        Fact("relation", star, 1, star): False,
        Fact("background", value=BACKGROUNDS.index("sand")): True,
        Fact("background", value=BACKGROUNDS.index("sky")): False,
    }
    assert holds(list(cases), few)[:, 0].tolist() == list(cases.values())
    assert [Fact.from_code(fact.code()) for fact in cases] == list(cases)
    with pytest.raises(ValueError, match="exists, number, relation, background"):
        holds([Fact("colour", circle)], few)


def test_best_recall_is_counted():
    gallery = join([scene([("large", color, "circle", "top left")]) for color in ("red", "red", "blue", "green")])
    red, circle = [Fact("exists", Pattern(color=0))], [Fact("exists", Pattern(shape=0))]
    assert best_recall([red], gallery) == 0.5
    assert best_recall([red], gallery, 2) == 1.0
    assert best_recall([red, circle], gallery) == (0.5 + 0.25) / 2
    assert best_recall([red, circle], gallery, 3) == (1 + 0.75) / 2
    with pytest.raises(ValueError, match="caption 1 is true of no scene"):
        best_recall([red, [Fact("exists", Pattern(shape=1))]], gallery)
    with pytest.raises(ValueError, match="k = 0"):
        best_recall([red], gallery, 0)


def test_best_recall_is_what_a_perfect_reader_reaches():
    scenes = records("test", range(150))
    facts = [few[0].facts for few in captions(scenes, 0, ("partial",))]
    fitting = true_of(facts, scenes).float()
    noise = torch.rand(200, *fitting.shape, generator=torch.Generator().manual_seed(0))
    rank = (fitting + noise).argsort(dim=2, descending=True).argsort(dim=2).diagonal(dim1=1, dim2=2)
    for k in (1, 5):
        assert float((rank < k).float().mean()) == pytest.approx(best_recall(facts, scenes, k), abs=0.01)


def answer(text: str, things: list[dict], tone: str) -> str:
    """The answer to a question, from the text alone; asserts that there is exactly one."""
    text = text.rstrip("?")
    if text == "What color is the background":
        return tone
    if text.startswith("Is there "):
        return "yes" if is_true(f"A {text[9:]}." if text[9] not in "a" else f"{text[9:]}.", things, tone) else "no"
    if found := re.match("Are there more (.*) than (.*)", text):
        more, fewer = (number(read_object(words), things) for words in found.groups())
        return "yes" if more > fewer else "no"
    if found := re.match("How many (.*) are there", text):
        return NUMBERS[number(read_object(found[1]), things)]
    if found := re.match("What (color|shape|size) is the (.*)", text):
        (thing,) = [thing for thing in things if fits(read_object(found[2]), thing)]
        return thing[found[1]]
    found = re.match("Where is the (.*)", text)
    (thing,) = [thing for thing in things if fits(read_object(found[1]), thing)]
    return thing["place"]


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(SPLITS), st.integers(0, 2**30), st.integers(0, 1000))
def test_answers_are_right(split, start, seed):
    scenes = records(split, range(start, start + 40))
    tones = [BACKGROUNDS[tone] for tone in scenes.background.tolist()]
    for asked, things, tone in zip(questions(scenes, seed), inventory(scenes), tones, strict=True):
        assert asked
        for question in asked:
            assert answer(question.text, things, tone) == question.answer, (question, things)
            assert question.answer in ANSWERS
            assert question.kind in QUESTION_KINDS


def test_answers_are_exactly_balanced_scene_by_scene():
    for asked in questions(records("test", range(300))):
        answers = defaultdict(list)
        for question in asked:
            answers[question.kind].append(question.answer)
        assert sorted(answers["exists"]) == ["no", "yes"]
        assert sorted(answers["relation"]) in ([], ["no", "yes"])
        assert sorted(answers["count_of"]) in ([], ["one", "two", "zero"])
        assert sorted(answers["comparison"]) == ["no", "yes"]


def blind_accuracy(train: list, test: list) -> dict[str, float]:
    """Of always giving the answer that the same words, else the same kind, most often had in training."""
    by_kind, by_text = defaultdict(Counter), defaultdict(Counter)
    for question in train:
        by_kind[question.kind][question.answer] += 1
        by_text[question.text][question.answer] += 1
    right, total = Counter(), Counter()
    for question in test:
        votes = by_text.get(question.text) or by_kind[question.kind]
        right[question.kind] += votes.most_common(1)[0][0] == question.answer
        total[question.kind] += 1
    return {kind: right[kind] / total[kind] for kind in total}


def test_answers_cannot_be_guessed_without_the_picture():
    asked = [
        [question for few in questions(records(split, range(4000))) for question in few] for split in ("train", "test")
    ]
    chance = {"exists": 1 / 2, "relation": 1 / 2, "count": 1 / 4, "count_of": 1 / 3, "color": 1 / 7, "shape": 1 / 6}
    chance |= {"size": 1 / 2, "place": 1 / 4, "background": 1 / 6, "comparison": 1 / 2}
    blind = blind_accuracy(*asked)
    assert set(blind) == set(QUESTION_KINDS) == set(chance)
    for kind, accuracy in blind.items():
        assert accuracy < chance[kind] * 1.2, (kind, accuracy)
    first = [question for few in questions(records("test", range(2000)), kinds=("exists",)) for question in few[:1]]
    assert 0.45 < sum(question.answer == "yes" for question in first) / len(first) < 0.55  # no answer by position


def test_held_out_pairs_do_not_give_answers_away():
    for split in ("train", "compositional"):
        answers = Counter()
        for few in questions(records(split, range(1500)), kinds=("exists",)):
            for question in few:
                said = read_object(question.text[9:-1])
                if (said.get("shape"), said.get("color")) in HELD_OUT:
                    answers[question.answer] += 1
        assert answers["yes"] == answers["no"]
        assert (answers["yes"] > 100) == (split == "compositional")


def test_questions_belong_to_their_scene():
    scenes = records("train", range(50))
    assert questions(scenes[9]) == [questions(scenes)[9]]
    assert questions(scenes, 1) != questions(scenes, 0)
    assert [[q for q in few if q.kind == "place"] for few in questions(scenes)] == questions(scenes, kinds=("place",))


def test_levels_and_kinds_that_there_are_not():
    scenes = records("train", range(2))
    with pytest.raises(ValueError, match="full, places, objects"):
        captions(scenes, levels=("long",))
    with pytest.raises(ValueError, match="exists, relation, count"):
        questions(scenes, kinds=("why",))


def test_captions_in_batches():
    data = Scenes("test", length=60, fields=("caption", "captions", "facts"), level="any")
    batch = data[range(60)]
    written = captions(records("test", range(60)))
    assert batch["captions"] == [[caption.text for caption in few] for few in written]
    decoded = [[tuple(Fact.from_code(code) for code in codes) for codes in few] for few in batch["facts"]]
    assert decoded == [[caption.facts for caption in few] for few in written]
    levels = Counter(texts.index(text) for text, texts in zip(batch["caption"], batch["captions"], strict=True))
    assert len(levels) == len(LEVELS)
