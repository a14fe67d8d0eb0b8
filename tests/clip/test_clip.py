"""CLIP against transformers: vectors, similarities, loss and gradients; sizes of the published model."""

import pytest
import torch
import transformers

from course_utils import layers, runtime
from course_utils.clip import CLIP, CLIPConfig
from course_utils.clip.clip import MEAN, STD
from course_utils.hub import WeightsError

SIZES = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = {"vocab_size": 99, "max_position_embeddings": 16, "bos_token_id": 97, "eos_token_id": 98, "pad_token_id": 1}


def build(folder, text: dict | None = None, vision: dict | None = None) -> transformers.CLIPModel:
    config = transformers.CLIPConfig(
        text_config=SIZES | TEXT | (text or {}), vision_config=SIZES | {"image_size": 32, "patch_size": 8} | (vision or {}),
        projection_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    peer = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    peer.save_pretrained(folder)
    return peer


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures as ours and as the peer sees them, and texts that end at different places."""
    images = layers.draw_uniform((4, 3, 32, 32), runtime.generator(0)) * 2 - 1
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    texts = layers.draw_integers(3, 98, (4, 10), runtime.generator(1))
    for row, end in enumerate((9, 5, 3, 7)):
        texts[row, end:] = 98
    return images, ((images + 1) / 2 - mean) / std, texts


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("end", [98, 2])
def test_similarities_loss_and_gradients_are_those_of_transformers(tmp_path, activation, end):
    peer = build(tmp_path, {"hidden_act": activation, "eos_token_id": end}, {"hidden_act": activation})
    model = CLIP.from_hub(tmp_path)
    images, pixels, texts = batch()
    theirs = peer(pixel_values=pixels, input_ids=texts, return_loss=True)
    close(model.encode_image(images), theirs.image_embeds)
    close(model.encode_text(texts), theirs.text_embeds)
    close(model(images, texts), theirs.logits_per_image)
    loss = model.loss(images, texts)
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    with torch.no_grad():  # the peer's gradients take the place of its weights, and are read like weights
        for parameter in peer.parameters():
            parameter.copy_(parameter.grad)
    peer.save_pretrained(tmp_path / "gradients")
    expected = dict(CLIP.from_hub(tmp_path / "gradients").named_parameters())
    for name, parameter in model.named_parameters():
        close(parameter.grad, expected[name].detach())


def test_what_comes_after_the_end_is_not_seen(tmp_path):
    build(tmp_path)
    model, texts = CLIP.from_hub(tmp_path), batch()[2]
    padded = texts.clone()
    padded[1, 6:] = 1
    close(model.encode_text(padded), model.encode_text(texts))
    close(model.encode_text(texts[1:2, :6]), model.encode_text(texts)[1:2])


def test_the_published_size():
    with torch.device("meta"):
        model = CLIP(CLIPConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 151_277_313
    text = sum(parameter.numel() for parameter in model.text_encoder.parameters())
    assert round(text / 1e6) == 63, "as the paper says in section 2.4"


def test_the_scale_is_bounded():
    model = CLIP(CLIPConfig(3, 16, 8, 16, 1, 2, 24, 11, 8, 16, 1, 2, 24, 10, 12))
    assert model.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-5)
    torch.nn.init.constant_(model.log_scale, 9.0)
    assert model.logit_scale == 100


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="patches of 7 do not divide"):
        CLIP(CLIPConfig(image_size=32, patch_size=7))
    build(tmp_path)
    model, images = CLIP.from_hub(tmp_path), batch()[0]
    with pytest.raises(ValueError, match="17 tokens"):
        model.encode_text(torch.zeros(1, 17, dtype=torch.int64))
    with pytest.raises(ValueError, match="16"):
        model.encode_image(images[:, :, :16, :16])
    build(tmp_path, {"hidden_act": "relu"})
    with pytest.raises(WeightsError, match="one activation"):
        CLIP.from_hub(tmp_path)
