"""The two stages of BLIP-2 on scenes: what they learn from, that they learn, and how they are measured."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from course_utils import runtime
from course_utils.captioning_vqa import QFormer, blip2_recipes
from course_utils.captioning_vqa.blip2_recipes import (
    BLIP2_SCENES,
    BLIP2_STAGE1,
    LENGTH,
    NETWORK,
    ClipMap,
    SeenScenes,
    Speaker,
    described,
    first_stage_player,
    full_captions,
    image_tokens,
    looked_at,
    match_scores,
    prompts,
    scenes_gpt,
    scenes_t5,
    second_stage_player,
    similarities,
)
from course_utils.clip.recipes import CLIP_SCENES
from course_utils.data import loader
from course_utils.data.scenes import captions, records, render
from course_utils.language.recipes import GPT_SCENES, T5_SCENES_RECIPE
from course_utils.language.texts import END, MASK, encoded, scenes_tokenizer, special
from course_utils.training import fit, load

FEW = 6
SPEAKERS = pytest.mark.parametrize(
    "speak", [scenes_gpt, scenes_t5, lambda: Speaker(load(GPT_SCENES), ())], ids=["gpt", "t5", "no prompt"]
)


@pytest.fixture(autouse=True)
def no_clipcap(monkeypatch):
    """In place of the language model of `clipcap-scenes` one that has learned nothing of pictures."""
    monkeypatch.setattr(blip2_recipes, "clipcap_gpt", lambda: Speaker(load(GPT_SCENES), ()))


@pytest.fixture
def knows_nothing() -> QFormer:
    torch.manual_seed(0)
    return BLIP2_STAGE1.model().to(runtime.device()).eval()


@pytest.fixture(scope="module")
def seen() -> SeenScenes:
    return SeenScenes(40)


def test_the_network_reads_the_language_of_gpt_scenes():
    assert NETWORK.start_token_id == special(MASK)
    assert NETWORK.vocab_size >= len(scenes_tokenizer())
    said = [caption.text for few in captions(records("train", range(500))) for caption in few]
    longest = int(encoded(said)["attention_mask"].sum(1).max())
    assert longest <= LENGTH <= NETWORK.max_positions
    language = load(GPT_SCENES).config
    assert NETWORK.output_width == language.width == load(T5_SCENES_RECIPE).config.width
    assert NETWORK.num_queries + LENGTH <= language.max_positions


def test_pictures_and_captions_of_a_batch_belong_together(seen):
    scenes = records("train", [3, 37])
    batch = seen.__getitems__([3, 37])
    expected = image_tokens(render(scenes, 32))
    assert batch["image_tokens"].shape == (2, 16, NETWORK.context_width)
    assert (batch["image_tokens"] - expected).abs().max() < 0.01, "more than half precision loses"
    ids, mask = encoded(full_captions(scenes)).values()
    assert batch["input_ids"].equal(ids) and batch["attention_mask"].equal(mask)
    assert batch["attention_mask"].any(0).all(), "columns of nothing but padding"


def test_half_of_a_batch_are_near_neighbours_of_the_other_half():
    data = SeenScenes(60, rivals=3)
    batch = data.__getitems__(range(10))
    seen = [(data.image_tokens.float() - tokens).abs().amax((1, 2)).argmin().item() for tokens in batch["image_tokens"]]
    assert seen[:5] == list(range(5))
    assert all(other in data.rivals[own] for own, other in enumerate(seen[5:]))
    assert len(set(seen)) > 5 and not any(own in data.rivals[own] for own in range(60))
    assert batch["input_ids"].equal(encoded(full_captions(records("train", seen)))["input_ids"])


def test_tokens_say_where_they_are_and_come_from_the_frozen_encoder():
    encoder, picture = ClipMap(), torch.zeros(1, 3, 32, 32)
    features = encoder.encoder.features(picture.to(runtime.device()))
    assert features.equal(load(CLIP_SCENES).image_encoder.features(picture.to(runtime.device())))
    tokens = encoder(picture.to(runtime.device()))
    inner = tokens[0].unflatten(0, (4, 4))[1:3, 1:3].flatten(0, 1).cpu()
    assert torch.cdist(inner, inner).add(torch.eye(4) * 9).min() > 1, "equal places cannot be told apart"
    assert tokens.shape == (1, 16, NETWORK.context_width)


def test_the_first_stage_moves_all_but_the_layer_to_the_language_model(seen):
    torch.manual_seed(0)
    model = blip2_recipes.untrained()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    history = fit(first_stage_player(model), loader(seen, 8), 2, progress=False)
    still = {name for name, weight in model.named_parameters() if weight.equal(before[name])}
    assert still == {"projection.weight", "projection.bias"}
    assert set(history) >= {"contrast", "matching", "writing"}


@SPEAKERS
def test_the_second_stage_moves_queries_and_never_the_language_model(speak, seen):
    torch.manual_seed(0)
    model, speaker = blip2_recipes.untrained(), speak()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    words = {name: weight.clone() for name, weight in speaker.model.named_parameters()}
    fit(second_stage_player(model, speaker), loader(seen, 8), 2, progress=False)
    moved = {name for name, weight in model.named_parameters() if not weight.equal(before[name])}
    assert {
        "queries",
        "projection.weight",
        "layers.0.cross_attention.to_k.weight",
        "layers.3.query_mlp.up.weight",
    } <= moved
    assert not any(name.startswith(("tokens", "match_head", "head")) or ".mlp." in name for name in moved)
    assert all(weight.equal(words[name]) for name, weight in speaker.model.named_parameters())


def test_the_language_model_is_asked_for_the_caption_and_nothing_else(seen):
    """The loss of a batch is the mean of -log p of all words and the last end token, with the first end token given."""
    torch.manual_seed(0)
    model, speaker = blip2_recipes.untrained().to(runtime.device()), scenes_gpt()
    batch = {name: value.to(runtime.device()) for name, value in seen.__getitems__(range(5)).items()}
    loss, _ = second_stage_player(model, speaker).objective(batch)
    ids, mask = batch["input_ids"], batch["attention_mask"]
    total, count = 0.0, 0
    for tokens, text, real in zip(batch["image_tokens"], ids, mask, strict=True):
        text = text[real]
        logits = speaker.model(text[None, :-1], None, model.prefix(tokens[None]))[0, NETWORK.num_queries :]
        total += nn.functional.cross_entropy(logits, text[1:], reduction="sum").item()
        count += len(text) - 1
    assert loss.item() == pytest.approx(total / count, rel=1e-4)


def test_the_prompt_is_what_the_language_model_knows():
    assert prompts(scenes_gpt(), 3).tolist() == [[special(END)]] * 3
    assert prompts(scenes_t5(), 1).tolist() == [[special("complete:"), special(END)]]
    assert prompts(Speaker(load(GPT_SCENES), ()), 2).shape == (2, 0)


@SPEAKERS
def test_a_caption_is_written_for_each_picture(knows_nothing, speak):
    tokens = image_tokens(render(records("test", range(FEW)), 32))
    said = described(knows_nothing, tokens, speak())
    assert len(said) == FEW and all(isinstance(text, str) for text in said)
    assert said[2:4] == described(knows_nothing, tokens[2:4], speak()), "a caption depends on the other pictures"


def test_similarities_and_votes_are_of_text_and_picture(knows_nothing):
    scenes = records("test", range(FEW))
    tokens, texts = image_tokens(render(scenes, 32)), full_captions(scenes)
    table, votes = similarities(knows_nothing, tokens, texts), match_scores(knows_nothing, tokens, texts)
    device = runtime.device()
    one = encoded(texts[1:2])
    ids, mask = one["input_ids"].to(device), one["attention_mask"].to(device)
    with torch.no_grad():
        best = (
            (knows_nothing.encode_image(tokens[2:3].to(device))[0] @ knows_nothing.encode_text(ids, mask)[0])
            .max()
            .item()
        )
        vote = knows_nothing.match(tokens[1:2].to(device), ids, mask)[0].cpu()
    assert table.shape == (FEW, FEW) and table[1, 2].item() == pytest.approx(best, abs=1e-5)
    torch.testing.assert_close(votes[1], vote, rtol=1e-4, atol=1e-5)


def test_shares_of_the_places_add_up_and_follow_the_picture(knows_nothing):
    tokens = image_tokens(render(records("test", range(2)), 32))
    shares = looked_at(knows_nothing, tokens)
    assert shares.shape == (2, NETWORK.num_queries, 16)
    torch.testing.assert_close(shares.sum(2), torch.ones(2, NETWORK.num_queries))
    assert not shares[0].allclose(shares[1])
    with torch.no_grad():  # a key that all queries want, at place 5 alone
        for part in (layer.cross_attention for layer in knows_nothing.layers if layer.cross_attention is not None):
            part.to_q.weight.zero_(), part.to_q.bias.fill_(1)
            part.to_k.weight.copy_(tokens[0, 5].expand_as(part.to_k.weight) / 20)
            part.to_k.bias.zero_()
    only = torch.zeros_like(tokens[:1])
    only[0, 5] = tokens[0, 5]
    assert (looked_at(knows_nothing, only)[0].argmax(1) == 5).all()
    assert not any(layer._forward_pre_hooks for layer in knows_nothing.modules())


@pytest.mark.parametrize("recipe", [BLIP2_STAGE1, BLIP2_SCENES], ids=lambda recipe: recipe.name)
def test_what_is_asked_for_is_measured(knows_nothing, recipe):
    measured = recipe.metrics(knows_nothing, 12)
    assert set(recipe.targets) <= set(measured)
    assert not any(target.met(measured[name]) for name, target in recipe.targets.items()), "untrained, it meets them"
    chance, ceiling = recipe.chance(24), recipe.ceiling(24)
    assert set(chance) == set(measured) and set(ceiling) <= set(measured)
    assert all(target.met(ceiling[name]) for name, target in recipe.targets.items() if name in ceiling)
    assert not any(target.met(chance[name]) for name, target in recipe.targets.items())


def test_layers_keep_the_size_of_what_they_read():
    torch.manual_seed(0)
    model = blip2_recipes.untrained()
    tokens = torch.randn(4, 16, NETWORK.context_width)
    for layer in (model.layers[0].cross_attention.to_v, model.layers[0].query_mlp.up, model.layers[1].attention.to_q):
        read = torch.randn(64, layer.in_features)
        assert 0.7 < (layer(read).std() / read.std()).item() < 1.4
    assert model.queries.std().item() == pytest.approx(model.tokens.weight.std().item(), rel=0.2)
    assert model(tokens).isfinite().all()
    bare = blip2_recipes.untrained(replace(NETWORK, vocab_size=0, dim=0, writes=False))
    assert bare.tokens is None


def test_the_second_stage_begins_where_the_first_has_ended(monkeypatch):
    torch.manual_seed(1)
    learned = QFormer(NETWORK)
    monkeypatch.setattr(blip2_recipes, "load", lambda recipe: learned if recipe is BLIP2_STAGE1 else load(recipe))
    torch.manual_seed(2)
    player = BLIP2_SCENES.players(BLIP2_SCENES.model())
    assert all(weight.equal(learned.state_dict()[name]) for name, weight in player.module.state_dict().items())
