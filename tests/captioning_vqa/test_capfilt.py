"""CapFilt on captions damaged in known ways."""

import pytest
import torch

from course_utils.captioning_vqa import BLIP, BLIPConfig
from course_utils.captioning_vqa.capfilt import (
    COLOR,
    DAMAGES,
    OTHER,
    PICTURE,
    VAGUE,
    WELL,
    bootstrap,
    match_probabilities,
    precision_recall,
    recolored,
    web_texts,
)
from course_utils.data import scenes
from course_utils.data.draws import Draws, keys
from course_utils.data.scenes.grammar import accepts

from .conftest import close, ids, pictures


@pytest.fixture(scope="module")
def found() -> scenes.SceneRecords:
    return scenes.records("train", torch.arange(1000))


def test_damages_are_as_often_as_they_should_be_and_do_what_they_say(found):
    texts = web_texts(found, share=0.6)
    by_damage = {damage: [text for text in texts if text.damage == damage] for damage in DAMAGES}
    assert len(by_damage[WELL]) == pytest.approx(400, abs=60)
    for damage in DAMAGES[1:]:
        assert len(by_damage[damage]) == pytest.approx(150, abs=45)
    assert all(text.true for text in by_damage[WELL])
    assert not any(text.true for damage in (COLOR, VAGUE, OTHER) for text in by_damage[damage])
    assert sum(text.true for text in by_damage[PICTURE]) < 0.05 * len(by_damage[PICTURE])
    assert all(accepts(text.text) == (text.damage not in (VAGUE, OTHER)) for text in texts)
    own = scenes.captions(found, 0, ("full", "places", "objects"))
    for text, row in zip(texts, own, strict=True):
        assert (text.text in [caption.text for caption in row]) == (text.damage == WELL) or text.true


def test_texts_are_a_function_of_the_seed(found):
    few = found[:50]
    assert web_texts(few) == web_texts(few)
    assert web_texts(few) != web_texts(few, seed=1)
    assert {text.damage for text in web_texts(few, share=0.0)} == {WELL}
    assert WELL not in {text.damage for text in web_texts(few, share=1.0)}
    with pytest.raises(ValueError, match=r"share is 1\.5"):
        web_texts(few, share=1.5)


def test_one_object_is_painted_over(found):
    other = recolored(found, Draws(keys(found.texture, 5)))
    changed = other.color != found.color
    assert changed.sum(1).tolist() == [1] * len(found)
    assert found.present[changed].all()
    assert (other.color[found.present] >= 0).all()
    assert other.shape.equal(found.shape)


def test_the_filter_keeps_what_matches():
    kept = bootstrap(["a", "b", "c"], ["A", "B", "C"], torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0.2, 0.8, 0.7]))
    assert kept == [(0, "a"), (1, "B"), (2, "C")]
    assert bootstrap(["a"], ["A"], torch.tensor([0.9]), torch.tensor([0.8]), threshold=0.85) == [(0, "a")]
    with pytest.raises(ValueError, match=r"\(1, 1, 1, 2\)"):
        bootstrap(["a"], ["A"], torch.zeros(1), torch.zeros(2))


def test_precision_and_recall_by_hand():
    kept, good = torch.tensor([1, 1, 1, 0, 0]).bool(), torch.tensor([1, 0, 1, 1, 0]).bool()
    assert precision_recall(kept, good) == pytest.approx((2 / 3, 2 / 3))
    assert precision_recall(torch.zeros(5).bool(), good) == (1.0, 0.0)
    assert precision_recall(good, torch.zeros(5).bool()) == (0.0, 1.0)


def test_the_filter_is_the_matching_head():
    torch.manual_seed(0)
    model = BLIP(BLIPConfig(3, 16, 4, 16, 1, 2, 24, 99, 16, 16, 1, 2, 24, 8, 97, 96, 95, 0)).eval()
    found = match_probabilities(model, pictures(), ids(3, 6))
    logits = model.match(model.image_encoder(pictures()), ids(3, 6)).detach()
    close(found, torch.sigmoid(logits[:, 1] - logits[:, 0]))
