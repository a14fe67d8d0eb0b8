"""The Q-Former's first stage: matching and contrast against transformers, masks and losses by their invariants."""

import pytest
import torch
import transformers

from course_utils import runtime
from course_utils.captioning_vqa import QFormer, QFormerConfig
from course_utils.captioning_vqa.blip2 import RENAMED
from course_utils.captioning_vqa.losses import hard_negatives, matching_loss, table_loss, writing_loss
from course_utils.captioning_vqa.qformer import best_query, who_sees_whom
from course_utils.clip import info_nce
from course_utils.hub import load_weights, renamed
from course_utils.layers import draw_normal, draw_uniform
from course_utils.layers.attention import attention_maps

from .conftest import close, ids, pictures, real

OURS = QFormerConfig(5, 32, 3, 4, 37, 24, 2, 99, 16, 8, True, 97, 0)


def image_tokens(batch: int, seed: int = 5) -> torch.Tensor:
    return draw_normal((batch, 7, 24), runtime.generator(seed))


@pytest.fixture
def model() -> QFormer:
    torch.manual_seed(0)
    model = QFormer(OURS).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


@torch.no_grad()
def test_matching_and_contrast_are_those_of_transformers():
    sizes = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 37}
    config = transformers.Blip2Config(
        vision_config=sizes | {"hidden_size": 24, "image_size": 16, "patch_size": 4},
        qformer_config=sizes | {"hidden_size": 32, "vocab_size": 99, "max_position_embeddings": 16, "use_qformer_text_input": True},
        image_text_hidden_size=8, num_query_tokens=5,
    )  # fmt: skip
    torch.manual_seed(0)
    peer = transformers.Blip2ForImageTextRetrieval(config).eval()
    for parameter in peer.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model = QFormer(QFormerConfig(**vars(OURS) | {"writes": False})).eval()
    named = renamed(peer.state_dict(), RENAMED)
    weights = {name.removeprefix("qformer."): named[name] for name in named if name.startswith("qformer.")}
    load_weights(model, weights | {"log_scale": torch.zeros(())}, "the peer")

    text, mask = ids(3, 6), real(6, 4, 3, total=6)
    tokens = peer.vision_model(pictures()).last_hidden_state
    theirs = peer(pictures(), text, attention_mask=mask.long(), use_image_text_matching_head=True)
    close(model.match(tokens, text, mask), theirs.logits_per_image)
    theirs = peer(pictures(), text, attention_mask=mask.long(), use_image_text_matching_head=False)
    close(model.encode_image(tokens), theirs.image_embeds)
    close(model.encode_text(text, mask), theirs.text_embeds)
    close(best_query(model.encode_image(tokens), model.encode_text(text, mask)), theirs.logits_per_image)


def test_the_three_masks_of_the_paper():
    assert who_sees_whom(2, 3, "everything").all()
    assert who_sees_whom(2, 3, "separate").int().tolist() == [[1, 1, 0, 0, 0]] * 2 + [[0, 0, 1, 1, 1]] * 3
    expected = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert who_sees_whom(2, 3, "causal").int().tolist() == expected
    with pytest.raises(ValueError, match="sight is 'blind'.*separate, causal, everything"):
        who_sees_whom(2, 3, "blind")


@torch.no_grad()
def test_apart_they_are_as_alone(model):
    tokens, text, mask = image_tokens(2), ids(2, 6), real(6, 4, total=6)
    both = model.read(tokens, text, mask, "separate")
    close(both.queries, model(tokens))
    close(both.text[mask], model.read(None, text, mask).text[mask])
    assert model.read(None, text).queries.shape == (2, 0, 32)
    assert model.read(tokens).text.shape == (2, 0, 32)


@torch.no_grad()
def test_who_learns_of_whom(model):
    """In writing the queries see no text, and a token none that follows; in matching queries see the text; padding is seen by none."""
    tokens, text, mask = image_tokens(2), ids(2, 6), real(6, 4, total=6)
    other = torch.cat([text[:, :3], ids(2, 3, seed=9)], dim=1)
    ours, theirs = (model.read(tokens, words, sight="causal") for words in (text, other))
    close(ours.queries, model(tokens))
    close(ours.text[:, :3], theirs.text[:, :3])
    assert (model(tokens, text) - model(tokens, other)).abs().max() > 1e-3
    assert (model.write(tokens, text) - model.write(tokens.flip(0), text)).abs().max() > 1e-3
    padded = torch.where(mask, text, other)
    for sight in ("separate", "causal", "everything"):
        close(model.read(tokens, padded, mask, sight).queries, model.read(tokens, text, mask, sight).queries)
        close(model.read(tokens, padded, mask, sight).text[mask], model.read(tokens, text, mask, sight).text[mask])
    close(model.match(tokens, text, mask)[1], model.match(tokens[1:], text[1:, :4])[0])


@torch.no_grad()
def test_the_three_losses_are_what_their_parts_say(model):
    tokens, text, mask, draw = (
        image_tokens(4),
        ids(4, 6),
        real(6, 3, 5, 4, total=6),
        draw_uniform((2, 4, 4), runtime.generator(1)),
    )
    found = model.losses(tokens, text, mask, draw)
    table = model.logit_scale * best_query(model.encode_image(tokens), model.encode_text(text, mask))
    close(found.contrast, table_loss(table))
    other_text, other_image = hard_negatives(table, draw[0]), hard_negatives(table.T, draw[1])
    logits = [
        model.match(tokens, text, mask),
        model.match(tokens[other_image], text, mask),
        model.match(tokens, text[other_text], mask[other_text]),
    ]
    close(found.matching, matching_loss(torch.cat(logits)))
    labels = text.masked_fill(~mask, -100)
    close(found.writing, writing_loss(model.write(tokens, text, mask), labels))
    close(model.loss(tokens, text, mask, draw), sum(found))


def test_the_best_query_counts():
    images = torch.nn.functional.normalize(torch.randn(3, 4, 5), dim=2)
    texts = torch.nn.functional.normalize(torch.randn(2, 5), dim=1)
    expected = [[max(float(query @ text) for query in image) for text in texts] for image in images]
    close(best_query(images, texts), torch.tensor(expected))


def test_contrast_in_a_table_is_info_nce():
    images, texts = (torch.nn.functional.normalize(torch.randn(4, 5), dim=1) for _ in range(2))
    close(table_loss(3 * images @ texts.T), info_nce(images, texts, torch.tensor(3.0)))


def test_cross_attention_in_every_second_layer_and_a_way_without_texts():
    layers = QFormer(QFormerConfig(**vars(OURS) | {"depth": 5})).layers
    assert [layer.cross_attention is not None for layer in layers] == [True, False, True, False, True]
    blind = QFormer(QFormerConfig(**vars(OURS) | {"vocab_size": 0, "dim": 0, "writes": False, "output_width": 6}))
    assert blind.prefix(image_tokens(2)).shape == (2, 5, 6)
    assert not any("tokens" in name or ".mlp" in name for name, _ in blind.named_parameters())
    with pytest.raises(ValueError, match="reads no texts"):
        blind(image_tokens(2), ids(2, 3))


def test_what_each_query_looks_at_can_be_seen(model):
    maps = attention_maps(model, image_tokens(2))
    assert {name for name in maps if "cross" in name} == {"layers.0.cross_attention", "layers.2.cross_attention"}
    assert maps["layers.0.cross_attention"].shape == (2, 4, 5, 7)  # batch, heads, queries, patches
    close(maps["layers.2.cross_attention"].sum(3), torch.ones(2, 4, 5))


def test_errors_name_what_is_wrong(model):
    with pytest.raises(ValueError, match="need texts"):
        QFormer(QFormerConfig(vocab_size=0))
    with pytest.raises(ValueError, match="nothing to read"):
        model.read(None)
    with pytest.raises(ValueError, match="no language model"):
        model.prefix(image_tokens(2))
    with pytest.raises(ValueError, match="17 tokens"):
        model(image_tokens(2), ids(2, 17))
    with pytest.raises(ValueError, match=r"\(2, 5\)"):
        model(image_tokens(2), ids(2, 5), torch.ones(2, 4).bool())
