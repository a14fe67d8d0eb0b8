"""The vision transformer against transformers."""

import pytest
import torch
import transformers

from course_utils import layers, runtime
from course_utils.hub import WeightsError
from course_utils.language import ViT, ViTConfig
from course_utils.layers.attention import attention_maps

from .conftest import close, compare_gradients

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37, "image_size": 32,
         "patch_size": 8}  # fmt: skip


def build():
    return transformers.ViTForImageClassification(
        transformers.ViTConfig(**SIZES, num_labels=5, attn_implementation="eager")
    )


def pictures(size: int = 32) -> torch.Tensor:
    return layers.draw_uniform((3, 3, size, size), runtime.generator(1)) * 2 - 1


def test_logits_loss_and_gradients_are_those_of_transformers(tiny, tmp_path):
    peer, model = tiny(build, ViT)
    labels = torch.tensor([0, 4, 2])
    theirs = peer(pictures(), labels=labels, output_attentions=True)
    close(model(pictures()), theirs.logits)
    for ours, peers in zip(attention_maps(model, pictures()).values(), theirs.attentions, strict=True):
        close(ours, peers.detach())
    loss = model.loss(pictures(), labels)
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    compare_gradients(peer, model, tmp_path / "gradients")


def test_one_token_a_patch_and_one_more(tiny):
    _, model = tiny(build, ViT)
    assert model.encode(pictures()).shape == (3, 1 + 16, 32)


def test_the_published_size():
    with torch.device("meta"):
        model = ViT(ViTConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 86_567_656


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="patches of 7 do not divide"):
        ViT(ViTConfig(image_size=32, patch_size=7))
    with pytest.raises(ValueError, match="16"):
        ViT(ViTConfig(3, 32, 8, 32, 1, 4, 37, 5))(pictures(16))
    transformers.ViTModel(transformers.ViTConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="no classifier"):
        ViT.from_hub(tmp_path)
