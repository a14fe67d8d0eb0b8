"""DALL-E: the joint sequence, who sees whom, its loss, the cache, guidance, completion; and what its recipe reads and measures."""

import pytest
import torch
import torch.nn.functional as F

from course_utils import layers, runtime
from course_utils.autoencoders.recipes import VQVAE_SCENES, encoded
from course_utils.data.scenes import LEVELS, captions, records, render
from course_utils.language.generation import keep_top_k
from course_utils.text_to_image import Dalle, DalleConfig, dalle, dalle_recipes
from course_utils.text_to_image.prompts import prompts
from course_utils.training import fit, load

SMALL = DalleConfig(text_vocabulary=20, text_length=5, num_codes=9, grid_size=3, width=16, depth=2, num_heads=2)


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def shaken(config: DalleConfig = SMALL) -> Dalle:
    """With weights that make a difference."""
    torch.manual_seed(0)
    model = Dalle(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A text of full length, a shorter one and none, with codes."""
    draw = runtime.generator(0)
    mask = torch.arange(5) < torch.tensor([[5], [2], [0]])
    return layers.draw_integers(0, 20, (3, 5), draw), mask, layers.draw_integers(0, 9, (3, 3, 3), draw)


# --- the sequence -----------------------------------------------------------------------------------------------------


def test_the_joint_sequence_by_hand():
    text, mask = torch.tensor([[7, 3, 3]]), torch.tensor([[True, True, False]])
    ids = dalle.joint_sequence(text, mask, torch.tensor([[0, 4]]), text_vocabulary=10)
    assert ids.tolist() == [[7, 3, 12, 13, 17]]
    model = Dalle(DalleConfig(10, 3, 5, 2, 8, 1, 1))
    assert model.joint_ids(text, mask, torch.tensor([[0, 4]])).tolist() == [[18, 7, 3, 12, 13, 17]]
    assert model.tokens.num_embeddings == 19, "the start token is the last"


def test_what_stands_behind_the_words_does_not_matter():
    model, (text, mask, codes) = shaken(), batch()
    other = torch.where(mask, text, 19 - text)
    assert model.loss(other, mask, codes).equal(model.loss(text, mask, codes))


def test_a_place_knows_what_came_before_it_and_nothing_else():
    model, (text, mask, codes) = shaken(), batch()
    logits = model(text, mask, codes)
    assert logits.text.shape == (3, 5, 20) and logits.codes.shape == (3, 9, 9)
    codes[:, 1, 1] = (codes[:, 1, 1] + 1) % 9  # place 4 in reading order
    changed = model(text, mask, codes)
    same = (changed.codes == logits.codes).all(dim=2)
    assert same.tolist() == [[True] * 5 + [False] * 4] * 3
    assert changed.text.equal(logits.text)
    text[0, 2] = (text[0, 2] + 1) % 20
    seen = model(text, mask, codes)
    assert (seen.text == changed.text).all(dim=2)[0].tolist() == [True, True, True, False, False]
    assert not (seen.codes == changed.codes).all(dim=2)[0].any(), "every code knows every word"
    assert seen.codes[1:].equal(changed.codes[1:])


def test_words_have_a_position_and_codes_a_row_and_a_column():
    model, (text, mask, codes) = shaken(), batch()
    before = model(text, mask, codes).codes
    with torch.no_grad():
        model.rows.weight[1] += 1  # of places 3, 4, 5, which predict places 4, 5, 6
    after = model(text, mask, codes).codes
    assert (before == after).all(dim=2)[0].tolist() == [True] * 4 + [False] * 5
    with torch.no_grad():
        model.columns.weight[0] += 1
    assert not (model(text, mask, codes).codes == after).all(dim=2)[0, 1:].any()
    # padding is a token of its own at each position: other embeddings of it change texts that have it, and no others
    before = model(text, mask, codes).codes
    with torch.no_grad():
        model.tokens.weight[20 + 3] += 1
    after = model(text, mask, codes).codes
    assert after[0].equal(before[0])
    assert not after[1:].equal(before[1:])


def test_all_weights_begin_small_and_words_do_not_drown_positions():
    model = Dalle(DalleConfig(100, 5, 50, 3, 64, 2, 2))
    for table in (model.tokens, model.text_positions, model.rows, model.columns):
        assert table.weight.std().item() == pytest.approx(0.02, rel=0.2)


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_the_loss_is_an_eighth_of_words_and_seven_of_codes():
    model, (text, mask, codes) = shaken(), batch()
    logits = model(text, mask, codes)
    words = F.cross_entropy(logits.text[mask], text[mask])
    drawn = F.cross_entropy(logits.codes.flatten(0, 1), codes.flatten())
    losses = model.losses(text, mask, codes)
    close(losses.text, words)
    close(losses.codes, drawn)
    close(model.loss(text, mask, codes), words / 8 + 7 * drawn / 8)


def test_a_batch_without_words_has_a_loss_of_codes_alone():
    model, (text, _, codes) = shaken(), batch()
    losses = model.losses(text, torch.zeros_like(text, dtype=torch.bool), codes)
    assert losses.text == 0 and losses.codes > 0
    losses.joint.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_captions_are_dropped_whole():
    mask = torch.ones(4, 3, dtype=torch.bool)
    kept = dalle.drop_captions(mask, torch.tensor([0.0, 0.09, 0.1, 0.99]), 0.1)
    assert kept.tolist() == [[False] * 3, [False] * 3, [True] * 3, [True] * 3]


# --- drawing ----------------------------------------------------------------------------------------------------------


def test_cached_equals_uncached():
    model, (text, mask, codes) = shaken(), batch()
    expected = model(text, mask, codes).codes
    ids = model.joint_ids(text, mask, codes.flatten(1))
    new, cache = model.begin(ids[:, :6], None, 9)
    for place in range(9):
        close(model.code_logits(new, cache), expected[:, place])
        new = ids[:, 6 + place : 7 + place]
    cache = model.begin(ids[:, :6], None, 9)[1]
    model.code_logits(ids[:, :6], cache)
    close(model.code_logits(ids[:, 6:10], cache), expected[:, 4])  # several at once behind a cache
    joint = model.next_logits(ids[:, :9], model.begin(ids[:, :9], None, 6)[1])
    assert joint.shape == (3, 20 + 5 + 9) and (joint[:, :25] == float("-inf")).all()


@pytest.mark.parametrize("guidance_scale", [1.0, 2.5])
def test_the_likeliest_codes_are_those_of_the_whole_network_at_each_step(guidance_scale):
    model, (text, mask, codes) = shaken(), batch()
    drawn = model.generate(text, mask, temperature=0.0, guidance_scale=guidance_scale)
    codes = torch.zeros_like(codes)
    nothing = torch.zeros_like(mask)
    for place in range(9):
        conditional, null = (model(text, shown, codes).codes[:, place] for shown in (mask, nothing))
        codes.flatten(1)[:, place] = (null + guidance_scale * (conditional - null)).argmax(dim=1)
    assert drawn.equal(codes)
    if guidance_scale > 1:
        assert not drawn[:2].equal(model.generate(text, mask, temperature=0.0)[:2]), "guidance changes nothing"
        assert drawn[2].equal(model.generate(text, mask, temperature=0.0)[2]), "nothing is to be exaggerated"


def test_draws_have_the_probabilities_of_the_model():
    config = DalleConfig(4, 2, 3, 2, 8, 1, 1)
    model, many = shaken(config), 4000
    text, mask = torch.zeros(many, 2, dtype=torch.int64), torch.ones(many, 2, dtype=torch.bool)
    drawn = model.generate(text, mask, runtime.generator(0)).flatten(1)
    shares = torch.bincount(drawn[:, 0], minlength=3) / many
    logits = model(text[:1], mask[:1], torch.zeros(1, 2, 2, dtype=torch.int64)).codes[0, 0]
    assert (shares - logits.softmax(dim=0)).abs().max() < 0.03
    few = model.generate(text, mask, runtime.generator(0), top_k=2).flatten(1)[:, 0].unique()
    assert few.tolist() == keep_top_k(logits, 2).isfinite().nonzero().flatten().tolist()


def test_known_rows_are_kept_and_seen():
    model, (text, mask, codes) = shaken(), batch()
    drawn = model.generate(text, mask, runtime.generator(0), known=codes[:, :2])
    assert drawn[:, :2].equal(codes[:, :2])
    likeliest = model.generate(text, mask, temperature=0.0, known=codes[:, :2])
    assert likeliest[:, 2, 0].equal(model(text, mask, codes).codes[:, 6].argmax(dim=1))


def test_reranking_puts_the_nearest_first():
    pictures = torch.tensor([[[1.0, 0.0], [0.0, 5.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 5.0], [1.0, 1.0]]])
    texts = torch.tensor([[0.0, 2.0], [3.0, 0.1]])
    assert dalle.rerank(pictures, texts).tolist() == [[1, 2, 0], [0, 2, 1]]


def test_errors_name_what_is_wrong():
    model, (text, mask, codes) = shaken(), batch()
    with pytest.raises(ValueError, match=r"text \(batch, 5\)"):
        model(text[:, :4], mask[:, :4], codes)
    with pytest.raises(ValueError, match="attention_mask"):
        model(text, mask[:, :4], codes)
    with pytest.raises(ValueError, match=r"text must lie in \[0, 20\), got 0 to 25"):
        model.generate(torch.where(mask, 25, text), mask)
    with pytest.raises(ValueError, match=r"known must lie in \[0, 9\)"):
        model.generate(text, mask, known=codes[:, :1] + 9)
    with pytest.raises(ValueError, match="first rows of a grid"):
        model.generate(text, mask, known=codes)
    with pytest.raises(ValueError, match="temperature"):
        model.generate(text, mask, temperature=-1.0)


# --- the recipe -------------------------------------------------------------------------------------------------------

FEW = 6


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return dalle_recipes.DALLE_SCENES.model().to(runtime.device()).eval()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(dalle_recipes, "BEST_OF", 2)
    monkeypatch.setattr(dalle_recipes, "ENCODED", 100)


def test_every_caption_fits():
    said = [caption.text for few in captions(records("train", range(500))) for caption in few]
    ids, mask = dalle_recipes.text_ids(said)
    assert ids.shape == mask.shape == (3000, 52)
    longest = int(mask.sum(1).max())
    assert longest <= 49, "places for words that are never used"
    assert dalle_recipes.text_ids(["red " * 60])[1].all(), "what is too long is cut"
    assert not dalle_recipes.text_ids([""])[1].any()


def test_codes_and_captions_of_a_batch_belong_together():
    data = dalle_recipes.CaptionedCodes(40)
    few = data.__getitems__([3, 37])
    assert few["codes"].shape == (2, 8, 8) and few["text"].shape == (2, len(LEVELS), 52)
    said = captions(records("train", [3, 37]))
    ids, mask = dalle_recipes.text_ids([caption.text for row in said for caption in row])
    assert few["attention_mask"].flatten(0, 1).equal(mask)
    assert few["text"].flatten(0, 1)[mask].equal(ids[mask])
    assert few["codes"].equal(encoded(load(VQVAE_SCENES), render(records("train", [3, 37])))[0])


def test_what_is_asked_for_is_measured(untrained):
    recipe = dalle_recipes.DALLE_SCENES
    measured = recipe.metrics(untrained, FEW)
    assert set(recipe.targets) <= set(measured)
    assert not any(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    chance, ceiling = recipe.chance(24), recipe.ceiling(24)
    assert set(chance) == set(ceiling) == set(measured)
    assert chance["all_right"] < 0.2 and ceiling["all_right"] > 0.9


def test_samples_are_pictures_and_repeat_with_the_seed(untrained):
    first, again = (dalle_recipes.DALLE_SCENES.sample(untrained, 3, runtime.generator(4)) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert first.equal(again)
    assert first.abs().max() <= 1


def test_of_several_pictures_clip_takes_the_one_that_shows_the_text():
    asked = prompts("test", 5)
    right = render(asked.records)
    images = torch.stack([right.roll(1, 0), right.roll(2, 0), right], dim=1)  # (5, 3, ...)
    assert dalle_recipes.by_clip(images, asked.texts)[:, 0].equal(right)


def test_a_step_moves_every_weight(untrained):
    recipe = dalle_recipes.DALLE_SCENES
    torch.manual_seed(0)
    model = recipe.model()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    fit(recipe.players(model), recipe.loader(), 2, progress=False)
    assert all(not weight.equal(before[name]) for name, weight in model.named_parameters())
