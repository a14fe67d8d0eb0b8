"""The network that draws to a prompt: what it sees of the text, and what it refuses."""

import pytest
import torch

from course_utils.text_to_image.network import PromptNetwork, PromptNetworkConfig

SMALL = PromptNetworkConfig(vocab_size=20, max_positions=8, text_width=16, text_heads=2, width=16, depth=2, num_heads=2)


def shaken() -> PromptNetwork:
    """With weights where training would put some: at first a DiT answers zero."""
    torch.manual_seed(0)
    model = PromptNetwork(SMALL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def test_every_word_and_its_place_matter():
    model = shaken()
    latents, times = torch.randn(1, 4, 8, 8).expand(3, -1, -1, -1), torch.full((3,), 500)
    words = torch.tensor([[1, 2, 3, 4, 19, 19], [2, 1, 3, 4, 19, 19], [1, 2, 3, 5, 19, 19]])
    one, swapped, other = model(latents, times, words)
    assert one.shape == (4, 8, 8)
    assert not torch.allclose(one, swapped, atol=1e-4) and not torch.allclose(one, other, atol=1e-4)


def test_without_layers_words_do_not_see_one_another():
    torch.manual_seed(0)
    model = PromptNetwork(
        PromptNetworkConfig(vocab_size=20, max_positions=8, text_width=16, text_depth=0, width=16, depth=1, num_heads=2)
    )
    first, second = model.text_encoder(torch.tensor([[1, 2, 3], [1, 7, 3]]))
    assert first[0].equal(second[0]) and first[2].equal(second[2]) and not first[1].equal(second[1])
    deep = shaken().text_encoder(torch.tensor([[1, 2, 3], [1, 7, 3]]))
    assert not torch.allclose(deep[0, 0], deep[1, 0], atol=1e-4)


def test_both_embeddings_begin_as_wide_as_the_config_says():
    torch.manual_seed(0)
    encoder = PromptNetwork(PromptNetworkConfig(token_std=1.0, position_std=0.02)).text_encoder
    assert encoder.tokens.weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert encoder.positions.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_a_prompt_that_is_too_long_or_of_another_vocabulary_is_refused():
    model, latents, times = shaken(), torch.randn(1, 4, 8, 8), torch.tensor([5])
    with pytest.raises(ValueError, match="9"):
        model(latents, times, torch.zeros(1, 9, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\[0, 20\)"):
        model(latents, times, torch.full((1, 4), 20))
