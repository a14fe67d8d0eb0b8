"""GPT-2 against transformers: logits, loss, gradients; caches and masks against plain passes."""

import pytest
import torch
import transformers

from course_utils.hub import WeightsError
from course_utils.language import GPT2, GPT2Config
from course_utils.layers.attention import attention_maps

from .conftest import close, compare_gradients, ids

SIZES = {"vocab_size": 99, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}


def build(**changes):
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**SIZES | changes, bos_token_id=97, eos_token_id=98, attn_implementation="eager")
    )


def padding(*lengths: int, total: int = 12, left: bool = False) -> torch.Tensor:
    mask = torch.arange(total) < torch.tensor(lengths)[:, None]
    return mask.flip(1) if left else mask


def test_logits_loss_and_gradients_are_those_of_transformers(tiny, tmp_path):
    peer, model = tiny(build, GPT2)
    text = ids(3, 12)
    close(model(text), peer(text).logits)
    theirs, ours = peer(text, labels=text).loss, model.loss(text)
    close(ours, theirs)
    theirs.backward()
    ours.backward()
    compare_gradients(peer, model, tmp_path / "gradients")


def test_a_padded_text_counts_as_if_it_were_alone(tiny):
    peer, model = tiny(build, GPT2)
    text = ids(3, 12)
    mask = padding(12, 7, 4)
    labels = text.masked_fill(~mask, -100)
    close(model(text, mask)[mask], peer(text, attention_mask=mask.long()).logits[mask])
    close(model.loss(text, mask), peer(text, attention_mask=mask.long(), labels=labels).loss)
    close(model.loss(text, mask.long()), model.loss(text, mask, labels))
    for left in (False, True):
        mask = padding(12, 7, 4, left=left)
        for row, length in enumerate((12, 7, 4)):
            alone = model(text[row, mask[row]][None])[0]
            assert len(alone) == length
            close(model(text, mask)[row, mask[row]], alone)


@pytest.mark.parametrize("left", [False, True])
def test_reading_in_pieces_gives_the_same(tiny, left):
    _, model = tiny(build, GPT2)
    text, mask = ids(2, 12), padding(12, 9, left=True) if left else None
    _, cache = model.begin(text[:, :5], None if mask is None else mask[:, :5], 7)
    pieces = [(0, 5), (5, 6), (6, 9), (9, 12)]
    with torch.no_grad():
        read = [
            model.encode(text[:, start:end], None if mask is None else mask[:, :end], cache) for start, end in pieces
        ]
        close(torch.cat(read, dim=1), model.encode(text, mask))
    assert cache.length == 12


def test_attention_maps_are_those_of_transformers(tiny):
    peer, model = tiny(build, GPT2)
    text = ids(2, 12)
    theirs = peer(text, output_attentions=True).attentions
    maps = attention_maps(model, text)
    assert list(maps) == ["layers.0.attention", "layers.1.attention"]
    for ours, peers in zip(maps.values(), theirs, strict=True):
        close(ours, peers.detach())
    assert not attention_maps(model, text, padding(12, 7, left=True))["layers.0.attention"][1, :, 6:, :5].any()
    assert not model.layers[0].attention._forward_pre_hooks


def test_nothing_later_changes_what_is_said_earlier(tiny):
    _, model = tiny(build, GPT2)
    text = ids(2, 12)
    other = torch.cat([text[:, :6], ids(2, 6, seed=5)], dim=1)
    close(model(text)[:, :6], model(other)[:, :6])


def test_files_of_other_times(tiny, tmp_path):
    """The published file has no prefix, and holds causal masks."""
    from safetensors.torch import load_file, save_file

    _, model = tiny(build, GPT2)
    weights = load_file(tmp_path / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    old |= {f"h.{layer}.attn.bias": torch.ones(1, 1, 16, 16).tril() for layer in range(2)}
    save_file(old, tmp_path / "model.safetensors")
    close(GPT2.from_hub(tmp_path)(ids(2, 9)), model(ids(2, 9)))
    save_file(old | {"lm_head.weight": old["wte.weight"] + 1}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="one table"):
        GPT2.from_hub(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"activation_function": "relu"}, "activation_function.*relu"), ({"n_inner": 37}, "n_inner is 37")],
)
def test_another_network_is_refused(changes, words, tmp_path):
    build(**changes).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=words):
        GPT2.from_hub(tmp_path)


def test_another_model_is_refused(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="holds a bert, but expected was a gpt2"):
        GPT2.from_hub(tmp_path)


@pytest.mark.parametrize(
    ("width", "depth", "heads", "count"),
    [(768, 12, 12, 124_439_808), (1024, 24, 16, 354_823_168), (1600, 48, 25, 1_557_611_200)],
)
def test_the_published_sizes(width, depth, heads, count):
    with torch.device("meta"):
        model = GPT2(GPT2Config(width=width, depth=depth, num_heads=heads))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_errors_name_what_is_wrong():
    model = GPT2(GPT2Config(99, 16, 32, 1, 4))
    with pytest.raises(ValueError, match="17 tokens is longer than the 16 positions"):
        model(ids(1, 17))
    with pytest.raises(ValueError, match="longer than the 16 positions"):
        model.begin(ids(1, 10), None, 7)
    with pytest.raises(ValueError, match=r"\[0, 99\).*got 5 to 99"):
        model(torch.tensor([[5, 99]]))
    with pytest.raises(ValueError, match="integers, got torch.float32"):
        model(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"\(1, 3\).*got torch.bool \(1, 4\)"):
        model(ids(1, 3), torch.ones(1, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="got torch.float32"):
        model(ids(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match="3 heads cannot share a width of 32"):
        GPT2(GPT2Config(99, 16, 32, 1, 3))
    with pytest.raises(ValueError, match="a cache for 4 tokens cannot take 5"):
        model.next_logits(ids(1, 5), model.begin(ids(1, 2), None, 2)[1])
