"""CLIP against open_clip: a residual network and a vision transformer, in vectors, similarities, loss and gradients; sizes of RN50."""

import json
from pathlib import Path

import open_clip
import pytest
import safetensors.torch
import torch

from course_utils import layers, runtime
from course_utils.clip import CLIP, CLIPConfig
from course_utils.clip.open_clip_layout import MEAN, STD, config_settings
from course_utils.hub import WeightsError

TEXT = {"context_length": 16, "vocab_size": 99, "width": 32, "heads": 4, "layers": 2}
VISION = {
    "resnet": {"image_size": 64, "layers": [1, 2, 1, 1], "width": 8, "patch_size": None},
    "vit": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
}
RN50 = {
    "embed_dim": 1024, "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": [3, 4, 6, 3], "width": 64, "patch_size": None},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12},
}  # fmt: skip


def build(kind: str, quick: bool = True) -> tuple[open_clip.CLIP, dict]:
    """A small peer with nothing at zero, and its settings."""
    config = {"embed_dim": 16, "quick_gelu": quick, "vision_cfg": VISION[kind], "text_cfg": TEXT}
    torch.manual_seed(0)
    peer = open_clip.CLIP(**config).eval()
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        if (
            kind == "resnet"
        ):  # statistics of a batch: with others the signal would die on its way, and dead networks agree with anything
            norms = [module for module in peer.modules() if isinstance(module, torch.nn.BatchNorm2d)]
            for norm in norms:
                norm.momentum = 1.0
            peer.train().encode_image(batch(kind)[1])
            for norm in norms:
                norm.momentum = 0.1
    return peer.eval(), config


def saved(peer: open_clip.CLIP, config: dict, folder: Path) -> Path:
    """As open_clip keeps it on the hub."""
    folder.mkdir(exist_ok=True)
    stored = {"model_cfg": config, "preprocess_cfg": {"mean": list(MEAN), "std": list(STD)}}
    (folder / "open_clip_config.json").write_text(json.dumps(stored))
    weights = {name: tensor.contiguous() for name, tensor in peer.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def batch(kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures as ours and as the peer sees them, and texts that end at different places, padded with 0."""
    size = VISION[kind]["image_size"]
    squares = (
        layers.draw_uniform((4, 3, 4, 4), runtime.generator(0)) * 2 - 1
    )  # large, so that pictures differ after pooling too
    images = squares.repeat_interleave(size // 4, 2).repeat_interleave(size // 4, 3)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    texts = layers.draw_integers(3, 98, (4, 16), runtime.generator(1))
    for row, end in enumerate((15, 5, 3, 7)):
        texts[row, end], texts[row, end + 1 :] = 98, 0
    return images, ((images + 1) / 2 - mean) / std, texts


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("kind", list(VISION))
def test_vectors_similarities_and_gradients_are_those_of_open_clip(tmp_path, kind, quick):
    peer, config = build(kind, quick)
    model = CLIP.from_open_clip(saved(peer, config, tmp_path))
    images, pixels, texts = batch(kind)
    vectors = peer.encode_image(pixels)
    assert (vectors[0] - vectors[1]).norm() > 0.1 * vectors[0].norm(), "it sees the pictures"
    close(model.image_encoder(images), vectors)
    close(model.text_encoder(texts), peer.encode_text(texts))
    logits = peer.get_logits(pixels, texts)[0]
    close(model(images, texts), logits)
    expected = open_clip.ClipLoss()(
        peer.encode_image(pixels, normalize=True), peer.encode_text(texts, normalize=True), peer.logit_scale.exp()
    )
    loss = model.loss(images, texts)
    close(loss, expected)
    expected.backward()
    loss.backward()
    with torch.no_grad():  # the peer's gradients take the place of its weights, and are read like weights
        for parameter in peer.parameters():
            parameter.copy_(parameter.grad)
    gradients = dict(CLIP.from_open_clip(saved(peer, config, tmp_path / "gradients")).named_parameters())
    for name, parameter in model.named_parameters():
        close(parameter.grad, gradients[name].detach())


def test_in_training_the_statistics_of_the_batch_are_used_and_kept(tmp_path):
    peer, config = build("resnet")
    model = CLIP.from_open_clip(saved(peer, config, tmp_path)).train()
    images, pixels, _ = batch("resnet")
    close(model.image_encoder(images), peer.train().encode_image(pixels))
    after = dict(CLIP.from_open_clip(saved(peer, config, tmp_path / "after")).named_buffers())
    for name, buffer in model.named_buffers():
        close(buffer, after[name])


def test_the_published_sizes():
    assert CLIPConfig(**config_settings({"model_cfg": RN50}, "RN50")).image_heads == 32
    with torch.device("meta"):
        model = CLIP(CLIPConfig(**config_settings({"model_cfg": RN50}, "RN50")))
        peer = open_clip.CLIP(**RN50)
    assert sum(parameter.numel() for parameter in model.parameters()) == 102_007_137
    assert sum(parameter.numel() for parameter in peer.parameters()) == 102_007_137
    assert model.image_encoder.attention_pool.positions.shape == (50, 2048)


def test_the_mean_looks_at_all_places_alike_where_nothing_tells_them_apart():
    """With queries of zero the pool is an average of the values."""
    model = CLIP(CLIPConfig(3, 16, 0, 8, 0, 4, 0, 11, 8, 16, 1, 2, 24, 10, 12, image_blocks=(1, 1)))
    pool = model.image_encoder.attention_pool
    torch.nn.init.zeros_(pool.to_q.weight)
    torch.nn.init.zeros_(pool.to_q.bias)
    features = layers.draw_normal((2, 64, 2, 2), runtime.generator(0))
    tokens = features.flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1) + pool.positions
    close(pool(features), pool.projection(pool.to_v(tokens).mean(1)))


def test_what_is_no_clip_is_refused(tmp_path):
    peer, config = build("vit")
    folder = saved(peer, config, tmp_path)
    for part, setting, value in (("vision_cfg", "timm_model_name", "vit"), ("text_cfg", "pool_type", "last")):
        odd = config | {part: config[part] | {setting: value}}
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": odd}))
        with pytest.raises(WeightsError, match=f"no CLIP as the paper has it.*{setting}.*{value}"):
            CLIP.from_open_clip(folder)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config | {"embed_dim": 8}}))
    with pytest.raises(WeightsError, match="does not fit CLIP"):
        CLIP.from_open_clip(folder)
    (folder / "open_clip_config.json").write_text("{}")
    with pytest.raises(WeightsError, match="no settings of both encoders"):
        CLIP.from_open_clip(folder)


def test_a_network_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="4 stages make the picture 32 times smaller: an image_size of 48"):
        CLIP(CLIPConfig(image_size=48, image_width=8, image_heads=4, image_blocks=(1, 1, 1, 1)))
    with pytest.raises(ValueError, match="7 heads cannot share 256 channels"):
        CLIP(CLIPConfig(image_size=64, image_width=8, image_heads=7, image_blocks=(1, 1, 1, 1)))
