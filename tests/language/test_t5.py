"""T5 against transformers: first version, version 1.1, and 1.1 as its authors publish it, with an output layer of its own."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from course_utils.language import T5, T5Config
from course_utils.language.t5 import distance_buckets, shifted
from course_utils.layers.attention import attention_maps

from .conftest import close, compare_gradients, ids

SIZES = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 3,
         "decoder_start_token_id": 0}  # fmt: skip
V11 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


def build(**changes):
    config = transformers.T5Config(**SIZES | changes, dropout_rate=0.0, attn_implementation="eager")
    return transformers.T5ForConditionalGeneration(config)


def mask() -> torch.Tensor:
    return torch.arange(12) < torch.tensor([12, 7, 4])[:, None]


@pytest.mark.parametrize(
    "changes", [{}, V11, {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 9}]
)
def test_logits_loss_and_gradients_are_those_of_transformers(tiny, tmp_path, changes):
    peer, model = tiny(lambda: build(**changes), T5)
    text, labels = ids(3, 12), ids(3, 9, seed=2)
    labels[1, 5:] = -100
    theirs = peer(text, attention_mask=mask().long(), labels=labels)
    close(model(text, shifted(labels, 0), mask()), theirs.logits)
    close(model.encode(text, mask())[mask()], theirs.encoder_last_hidden_state[mask()])
    loss = model.loss(text, labels, mask())
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    compare_gradients(peer, model, tmp_path / "gradients")


def test_an_output_layer_of_its_own(tiny, tmp_path):
    """As in `google/t5-v1_1-small`."""
    _, model = tiny(lambda: build(**V11), T5)
    assert model.config.tied
    weights = load_file(tmp_path / "model.safetensors")
    torch.manual_seed(1)
    weights["lm_head.weight"] = torch.randn(99, 32)
    save_file(weights, tmp_path / "model.safetensors")
    untied = T5.from_hub(tmp_path)
    text, labels = ids(2, 12), ids(2, 9, seed=2)
    features = untied.decoder(untied.tokens(labels), untied.encode(text))
    close(untied(text, labels), features @ weights["lm_head.weight"].T)
    peer = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path)
    if not peer.lm_head.weight.equal(peer.shared.weight):
        close(untied(text, labels), peer(text, decoder_input_ids=labels).logits)


def test_both_ways_to_say_that_the_output_is_not_scaled(tiny, tmp_path):
    _, model = tiny(lambda: build(**V11), T5)
    file = tmp_path / "config.json"
    settings = json.loads(file.read_text())
    assert settings.pop("scale_decoder_outputs") is False
    file.write_text(json.dumps(settings | {"tie_word_embeddings": False}))
    assert T5.from_hub(tmp_path).config == model.config
    file.write_text(json.dumps(settings))
    assert T5.from_hub(tmp_path).config.scaled_output


def test_attention_maps_are_those_of_transformers(tiny):
    peer, model = tiny(build, T5)
    text, labels = ids(3, 12), ids(3, 9, seed=2)
    theirs = peer(text, attention_mask=mask().long(), decoder_input_ids=labels, output_attentions=True)
    maps = attention_maps(model, text, labels, mask())
    for name, peers in (
        ("encoder.layers.1.attention", theirs.encoder_attentions[1]),
        ("decoder.layers.2.attention", theirs.decoder_attentions[2]),
        ("decoder.layers.2.cross_attention", theirs.cross_attentions[2]),
    ):
        close(maps[name], peers.detach())
    assert len(maps) == 2 + 2 * 3


def test_writing_in_pieces_gives_the_same(tiny):
    _, model = tiny(build, T5)
    text, labels = ids(3, 12), ids(3, 9, seed=2)
    _, cache = model.begin(text, mask(), 8)
    with torch.no_grad():
        plain = model(text, labels, mask())
        for start, end in ((0, 1), (1, 5), (5, 6), (6, 9)):
            close(model.next_logits(labels[:, start:end], cache), plain[:, end - 1])


@pytest.mark.parametrize("both", [True, False])
def test_distances_are_those_of_transformers(both):
    from transformers.models.t5.modeling_t5 import T5Attention

    offsets = torch.arange(-300, 301)
    for buckets, furthest in ((32, 128), (8, 20)):
        theirs = T5Attention._relative_position_bucket(offsets, both, buckets, furthest)
        assert distance_buckets(offsets, buckets, furthest, both).equal(theirs)


def test_files_of_the_first_years(tiny, tmp_path):
    _, model = tiny(build, T5)
    weights = load_file(tmp_path / "model.safetensors")
    for side in ("encoder", "decoder"):
        weights[f"{side}.embed_tokens.weight"] = weights["shared.weight"].clone()
    weights["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = torch.randn(32, 3)
    weights["lm_head.weight"] = weights["shared.weight"].clone()
    save_file(weights, tmp_path / "model.safetensors")
    close(T5.from_hub(tmp_path)(ids(2, 9), ids(2, 5)), model(ids(2, 9), ids(2, 5)))


V11_SMALL = {"depth": 8, "decoder_depth": 8, "num_heads": 6, "hidden": 1024, "gated": True, "tied": False}


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 60_506_624),
        ({"width": 768, "depth": 12, "decoder_depth": 12, "num_heads": 12, "hidden": 3072}, 222_903_552),
        (V11_SMALL, 76_961_152),
    ],
)
def test_the_published_sizes(changes, count):
    with torch.device("meta"):
        model = T5(T5Config(**changes))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_errors_name_what_is_wrong():
    model = T5(T5Config(99, 32, 1, 1, 4, 8, 37))
    with pytest.raises(ValueError, match="attention_mask must be"):
        model(ids(2, 5), ids(2, 3), torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\[0, 99\)"):
        model(ids(2, 5), torch.full((2, 3), 99))
