"""Caches against plain passes, masks by hand, blocks of transformers."""

import pytest
import torch

from course_utils.layers.attention import Attention, attention_maps, causal_mask, check_mask
from course_utils.layers.caching import Cache, KeyValues
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import MLP, PreNormLayer, quick_gelu


def test_a_causal_mask():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(2, past=1).tolist() == [[True, True, False], [True, True, True]]
    padded = causal_mask(3, attention_mask=torch.tensor([[False, True, True]]))
    assert padded.shape == (1, 1, 3, 3)
    assert padded[0, 0].tolist() == [[True, False, False], [False, True, False], [False, True, True]]
    assert padded.any(dim=3).all(), "a row of nothing would be NaN"


def test_causal_attention_is_attention_with_a_causal_mask():
    torch.manual_seed(0)
    attention, tokens = Attention(8, 2, head_dim=3, bias=False, out_bias=False, scale=0.7), torch.randn(2, 5, 8)
    masked = attention(tokens, mask=causal_mask(5))
    torch.testing.assert_close(attention(tokens, causal=True), masked)
    added = torch.zeros(5, 5).masked_fill(~causal_mask(5), float("-inf"))
    torch.testing.assert_close(attention(tokens, mask=added), masked)
    _, values = attention.keys_values(tokens)
    by_hand = (attention.weights(tokens, causal=True) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention.to_out[0](by_hand), masked)
    assert attention.to_out[0].weight.shape == (8, 6) and attention.to_out[0].bias is None


@pytest.mark.parametrize("pieces", [[1] * 6, [4, 2], [6]])
def test_attention_with_a_cache_is_attention(pieces):
    torch.manual_seed(0)
    layer, tokens, cache = PreNormLayer(8, 2, 12, "gelu", 1e-5), torch.randn(2, 6, 8), KeyValues(6)
    read = [layer(part, causal_mask(part.shape[1], cache.length), cache=cache) for part in tokens.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(read, dim=1), layer(tokens, causal=True))


def test_ready_keys_and_values_are_those_of_the_context():
    torch.manual_seed(0)
    attention, tokens, context = Attention(8, 2, 6), torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    mask = check_mask(torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]), 2, 5)[:, None, None]
    torch.testing.assert_close(
        attention(tokens, attention.keys_values(context), mask), attention(tokens, context, mask)
    )
    assert not attention.weights(tokens, context, mask)[0, :, :, 3:].any()


def test_a_cache_goes_on_with_chosen_rows():
    keys = torch.arange(3.0)[:, None, None, None].expand(3, 2, 2, 4)
    cache = Cache(1, 5, torch.tensor([[True], [False], [True]]), ((keys, -keys),))
    assert cache.length == 0
    cache.select(torch.arange(3))  # nothing has been read
    cache.layers[0].extend(keys, keys + 10)
    cache.select(torch.tensor([2, 2, 0, 1]))
    new = torch.full((4, 2, 1, 4), 7.0)
    all_keys, all_values = cache.layers[0].extend(new, new)
    assert all_keys[:, 0, :, 0].tolist() == [[2, 2, 7], [2, 2, 7], [0, 0, 7], [1, 1, 7]]
    assert all_values[:, 1, 0, 3].tolist() == [12, 12, 10, 11]
    assert cache.length == 3
    assert cache.context[0][1][:, 0, 0, 0].tolist() == [-2, -2, 0, -1]
    assert cache.attention_mask[:, 0].tolist() == [True, True, True, False]


def test_maps_leave_the_model_as_it_was():
    torch.manual_seed(0)
    layer, tokens = PreNormLayer(8, 2, 12, "relu", 1e-5), torch.randn(2, 4, 8)
    (weights,) = attention_maps(layer, tokens, causal=True).values()
    assert weights.shape == (2, 2, 4, 4)
    torch.testing.assert_close(weights.sum(dim=3), torch.ones(2, 2, 4))
    with pytest.raises(RuntimeError):
        attention_maps(layer, torch.randn(2, 4, 9))
    assert not layer.attention._forward_pre_hooks


def test_quick_gelu_is_nearly_gelu():
    x = torch.linspace(-4, 4, 50)
    assert (quick_gelu(x) - torch.nn.functional.gelu(x)).abs().max() < 0.03


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="'swish'.*gelu, tanh_gelu, quick_gelu, relu"):
        MLP(8, 16, "swish")
    with pytest.raises(ValueError, match=r"\[0, 5\).*got 0 to 5"):
        TokenEmbedding(5, 3)(torch.tensor([0, 5]))
    with pytest.raises(ValueError, match=r"\(2, 3\).*got torch.bool \(3, 2\)"):
        check_mask(torch.ones(3, 2, dtype=torch.bool), 2, 3)
