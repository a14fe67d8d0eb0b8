"""BLIP-2 on questions about scenes: what it learns from, that it learns, how it answers and how that is measured."""

import pytest
import torch

from course_utils import runtime
from course_utils.captioning_vqa import BLIP2, blip2_recipes, vqa_recipes
from course_utils.captioning_vqa.blip2_recipes import BLIP2_STAGE1
from course_utils.captioning_vqa.vqa_recipes import (
    ASKING,
    BLIP2_VQA_SCENES,
    LENGTH,
    LONGEST,
    AskedScenes,
    SceneAnswerer,
    answer_ids,
    answer_words,
    answered,
    asked,
    blind,
    chances,
    flat,
    majority,
    scores,
    speaking,
    vqa_player,
)
from course_utils.data import loader
from course_utils.data.scenes import ANSWERS, QUESTION_KINDS, questions, records, render
from course_utils.language.recipes import GPT_SCENES, T5_SCENES_RECIPE
from course_utils.language.texts import END, decoded, scenes_tokenizer, special
from course_utils.training import fit, load

each_speaker = pytest.mark.parametrize("recipe", [GPT_SCENES, T5_SCENES_RECIPE], ids=["gpt", "t5"])


@pytest.fixture(scope="module")
def data() -> AskedScenes:
    return AskedScenes(records("train", range(40)))


@pytest.fixture
def untrained() -> SceneAnswerer:
    torch.manual_seed(0)
    return BLIP2_VQA_SCENES.model().to(runtime.device()).eval()


def test_a_batch_holds_the_pictures_with_their_questions_and_answers(data):
    scenes = records("train", [3, 37])
    batch = data.__getitems__([3, 37])
    assert (batch["image"] - render(scenes, 32)).abs().max() < 1 / 127
    for row, few in enumerate(questions(scenes)):
        assert batch["count"][row] == len(few)
        found = list(zip(batch["question"][row].tolist(), batch["answer"][row].tolist(), strict=True))[: len(few)]
        assert [(data.texts[text], ANSWERS[answer]) for text, answer in found] == [
            (one.text, one.answer) for one in few
        ]
    assert len(set(data.texts)) == len(data.texts)


def test_other_questions_can_be_asked_and_a_scene_without_any_is_left_out():
    scenes = records("train", range(30))

    def ask(scenes):
        few = questions(scenes, kinds=("relation",))
        return [[one for one in found if one.answer == "yes"] for found in few]

    few = AskedScenes(scenes, ask)
    asked_of = torch.tensor([bool(found) for found in ask(scenes)])
    assert 0 < len(few) == int(asked_of.sum()) < 30
    assert (few.__getitems__(range(len(few)))["image"] - render(scenes[asked_of], 32)).abs().max() < 1 / 127
    assert few.count.eq(1).all() and few.answers.eq(ANSWERS.index("yes")).all()


@each_speaker
def test_questions_are_written_as_the_language_model_reads_them(recipe):
    speaker, texts = load(recipe), ["What color is the star?", "Are there more red objects than pink objects?"]
    ids, mask = asked(texts, speaker, 20)
    decode = scenes_tokenizer().decode
    said = [decode(row[real].tolist()) for row, real in zip(ids, mask, strict=True)]
    end = "<|endoftext|>"
    assert ids.shape == (2, 20)
    if recipe is GPT_SCENES:
        assert said == [end + text for text in texts]
        assert mask[:, -1].all() and not mask[:, 0].any()
    else:
        assert said == [f"answer:{text}{end}" for text in texts]
        assert mask[:, 0].all() and not mask[:, -1].any()


def test_every_question_and_answer_fits():
    speaker = load(T5_SCENES_RECIPE)
    texts = sorted({one.text for one in flat(records("compositional", range(1500)))[0]})
    assert asked(texts, speaker)[0].shape[1] <= LENGTH <= ASKING.max_positions
    answers, real = answer_ids()
    assert answers.shape == (len(ANSWERS), LONGEST)
    assert tuple(decoded(answers)) == ANSWERS
    assert answers.gather(1, real.sum(1, keepdim=True) - 1).eq(special(END)).all()


def test_an_answer_in_words_of_the_language_model():
    speaker = load(T5_SCENES_RECIPE)
    words, encode = answer_words(speaker), scenes_tokenizer().encode
    assert words.shape == (len(ANSWERS), ASKING.output_width)
    for answer in ("red", "top left"):
        torch.testing.assert_close(words[ANSWERS.index(answer)], speaker.tokens.weight[encode(answer)].mean(0))


@each_speaker
@pytest.mark.parametrize("conditioned", [True, False])
def test_training_moves_what_sees_and_never_what_speaks(recipe, conditioned, data):
    torch.manual_seed(0)
    speaker = load(recipe)
    words = {name: weight.clone() for name, weight in speaker.named_parameters()}
    model = speaking(blip2_recipes.untrained(ASKING), speaker)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    player = vqa_player(model, data.texts, conditioned=conditioned, at_once=2)
    history = fit(player, loader(data, 4), 2, progress=False)
    moved = {name for name, weight in model.named_parameters() if not weight.equal(before[name])}
    assert {"qformer.queries", "qformer.projection.weight", "image_encoder.encoder.conv1.0.weight"} <= moved
    assert ("qformer.tokens.weight" in moved) == conditioned
    assert all(weight.equal(words[name]) for name, weight in speaker.named_parameters())
    assert set(history) >= {"spoken", "direct"}


def test_it_begins_where_the_first_stage_has_ended(monkeypatch, data):
    learned = load(BLIP2_STAGE1)
    monkeypatch.setattr(vqa_recipes, "_training_data", lambda: data)
    model = BLIP2_VQA_SCENES.players(BLIP2_VQA_SCENES.model()).module
    assert {"queries", "tokens.weight", "layers.3.query_mlp.up.weight"} <= set(model.qformer.state_dict())
    for name, weight in model.qformer.state_dict().items():
        assert weight.equal(learned.state_dict()[name].to(weight.device))


def test_few_questions_are_learned_by_heart():
    """Four scenes of one object: colours and shapes, through the frozen language model."""
    torch.manual_seed(0)
    scenes = records("train", range(4), objects=1)
    few = AskedScenes(scenes, lambda scenes: questions(scenes, kinds=("color", "shape")))
    model = speaking(blip2_recipes.untrained(ASKING), load(T5_SCENES_RECIPE))
    history = fit(vqa_player(model, few.texts, 2e-3, ema_decay=None, at_once=4), loader(few, 4), 60, progress=False)
    of, about = flat(scenes, ("color", "shape"))
    said = answered(model.eval(), render(scenes), [one.text for one in of], about)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert scores(said, of)["accuracy"] >= 0.75


def test_an_answer_does_not_depend_on_the_other_questions(untrained):
    scenes = records("test", range(3))
    of, about = flat(scenes)
    texts, images = [one.text for one in of], render(scenes)
    together = answered(untrained, images, texts, about)
    assert together[4] == answered(untrained, images, texts[4:5], about[4:5])[0]
    assert answered(untrained, images[about], texts) == together


def test_chances_are_those_of_the_answers_and_the_likeliest_comes_first(untrained):
    image, text = render(records("test", range(1)))[0], "Where is the red star?"
    found = chances(untrained, image, text)
    assert set(found) == set(ANSWERS)
    assert sum(found.values()) <= 1 + 1e-5
    assert list(found.values()) == sorted(found.values(), reverse=True)
    ids, mask = (part.to(runtime.device()) for part in asked([text], untrained.language_model))
    answers, real = (part.to(runtime.device()) for part in answer_ids())
    for answer in ("yes", "top left"):
        row = slice(ANSWERS.index(answer), ANSWERS.index(answer) + 1)
        loss = untrained.loss(image[None].to(runtime.device()), ids, answers[row], mask, real[row], ids, mask)
        assert found[answer] == pytest.approx((-loss * real[row].sum()).exp().item(), rel=1e-3)


def test_scores_are_by_kind():
    of, _ = flat(records("test", range(40)))
    assert set(scores([one.answer for one in of], of).values()) == {1.0}
    wrong = ["none of these" if one.kind == "color" else one.answer for one in of]
    found = scores(wrong, of)
    assert found["worst_kind"] == found["color"] == 0
    share = sum(one.kind == "color" for one in of) / len(of)
    assert found["accuracy"] == pytest.approx(1 - share)
    assert set(found) == {"accuracy", "worst_kind", *QUESTION_KINDS}


def test_guesses_without_a_look(monkeypatch):
    monkeypatch.setattr(vqa_recipes, "COUNTED", 300)
    vqa_recipes.counted.cache_clear()
    of, _ = flat(records("test", range(100)))
    by_kind = {one.kind: set() for one in of}
    for one, answer in zip(of, majority(of), strict=True):
        by_kind[one.kind].add(answer)
    assert all(len(answers) == 1 for answers in by_kind.values())
    seen = flat(records("train", range(300)))[0]
    own = [one for one in seen if one.kind == "place"]
    assert scores(blind(own), own)["accuracy"] > scores(majority(own), own)["accuracy"]
    new = [one._replace(text="Is there a unicorn?") for one in of]
    assert blind(new) == majority(new)
    vqa_recipes.counted.cache_clear()


def test_what_is_measured(untrained, monkeypatch):
    monkeypatch.setattr(vqa_recipes, "COUNTED", 300)
    vqa_recipes.counted.cache_clear()
    metrics, chance = BLIP2_VQA_SCENES.metrics(untrained, 4), BLIP2_VQA_SCENES.chance(4)
    vqa_recipes.counted.cache_clear()
    assert set(BLIP2_VQA_SCENES.targets) <= set(metrics)
    assert set(chance) <= set(metrics)
    assert metrics["blind_gain"] == pytest.approx(max(metrics["wrong_picture"], metrics["blind"]) - chance["accuracy"])


def test_a_checkpoint_holds_all_but_the_language_model(untrained, tmp_path):
    assert set(BLIP2_VQA_SCENES.frozen) == {"language_model"}
    untrained.save_pretrained(tmp_path)
    again = SceneAnswerer.from_pretrained(tmp_path)
    assert isinstance(again, BLIP2) and again.config == ASKING
    trained = sum(
        weight.numel() for name, weight in untrained.named_parameters() if not name.startswith("language_model.")
    )
    assert trained < 1_200_000, "a byte a weight"
    for name, weight in untrained.state_dict().items():
        assert weight.equal(again.state_dict()[name])
