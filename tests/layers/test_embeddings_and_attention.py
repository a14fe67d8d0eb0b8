"""Waves against diffusers and closed forms; attention against torch's own."""

import math

import pytest
import torch
from diffusers.models.embeddings import get_2d_sincos_pos_embed, get_timestep_embedding
from torch import nn

from course_utils.layers.attention import Attention, FeedForward
from course_utils.layers.embeddings import ClassEmbedding, grid_embedding, sinusoidal_embedding


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("cosine_first", [True, False])
def test_waves_equal_those_of_diffusers(shift, cosine_first):
    times = torch.tensor([0.0, 0.25, 1, 500, 999])
    expected = get_timestep_embedding(times, 32, flip_sin_to_cos=cosine_first, downscale_freq_shift=shift)
    waves = sinusoidal_embedding(times, 32, shift=shift, cosine_first=cosine_first)
    torch.testing.assert_close(waves, expected, rtol=0, atol=1e-5)


def test_a_step_in_time_is_the_same_rotation_everywhere():
    early, late = (sinusoidal_embedding(torch.tensor([t, t + 7.0]), 16) for t in (3.0, 40.0))
    torch.testing.assert_close(early[0] @ early[1], late[0] @ late[1])


def test_places_equal_those_of_diffusers():
    torch.testing.assert_close(
        grid_embedding(6, 6, 32), get_2d_sincos_pos_embed(32, 6, base_size=6).float(), rtol=0, atol=1e-5
    )
    assert grid_embedding(2, 5, 8).shape == (10, 8)
    for function, arguments in ((sinusoidal_embedding, (torch.zeros(1), 3)), (grid_embedding, (2, 2, 6))):
        with pytest.raises(ValueError, match="even|multiple of 4"):
            function(*arguments)


@pytest.mark.parametrize("context_width", [0, 6])
def test_attention_equals_torchs_own(context_width):
    torch.manual_seed(0)
    ours = Attention(8, 2, context_width)
    peer = nn.MultiheadAttention(8, 2, batch_first=True, kdim=context_width or None, vdim=context_width or None)
    weights = [ours.to_q.weight, ours.to_k.weight, ours.to_v.weight]
    with torch.no_grad():
        if context_width:
            for theirs, mine in zip((peer.q_proj_weight, peer.k_proj_weight, peer.v_proj_weight), weights, strict=True):
                theirs.copy_(mine)
        else:
            peer.in_proj_weight.copy_(torch.cat(weights))
        peer.in_proj_bias.copy_(torch.cat([ours.to_q.bias, ours.to_k.bias, ours.to_v.bias]))
        peer.out_proj.load_state_dict(ours.to_out[0].state_dict())
    tokens, context = torch.randn(3, 5, 8), torch.randn(3, 7, context_width) if context_width else None
    seen = tokens if context is None else context
    torch.testing.assert_close(ours(tokens, context), peer(tokens, seen, seen)[0], rtol=0, atol=1e-6)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads cannot share a width of 8"):
        Attention(8, 3)


def test_feed_forward_layers_by_hand():
    torch.manual_seed(0)
    tokens = torch.randn(2, 3, 4)
    gated, plain = FeedForward(4, gated=True), FeedForward(4, gated=False)
    a, b = gated.net[0].proj(tokens).split(16, dim=2)
    torch.testing.assert_close(gated(tokens), gated.net[2](a * 0.5 * b * (1 + torch.erf(b / math.sqrt(2)))))
    x = plain.net[0].proj(tokens)
    expected = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    torch.testing.assert_close(plain(tokens), plain.net[2](expected))


def test_no_label_is_the_last_row():
    embedding = ClassEmbedding(3, 5)
    assert embedding.weight.shape == (4, 5)
    assert embedding(None, 2).equal(embedding.weight[3].expand(2, 5))
    assert embedding(torch.tensor([0, 3]), 2).equal(embedding.weight[[0, 3]])
