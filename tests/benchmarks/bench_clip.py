"""CLIP: a training step of ours and of open_clip's, at equal configuration.

`ours` and `peer` are milliseconds a step: both encoders, the contrastive loss, backward, AdamW; `ratio` is the median of ours / peer over turns,
and the goal is at most 0.83. Batches of 64 pictures of 64x64 pixels and texts of 32 tokens; bfloat16 on CUDA.
"""

import json

import open_clip
import torch
import turns

from course_utils import runtime
from course_utils.clip import CLIP
from course_utils.clip.clip import CLIPConfig
from course_utils.clip.open_clip_layout import config_settings

BATCH, STEPS, WORDS = 64, 4, 2048
TEXT = {"context_length": 32, "vocab_size": WORDS, "width": 192, "heads": 6, "layers": 4}
VISION = {
    "residual network with attention pooling": {
        "image_size": 64,
        "layers": [2, 2, 2, 2],
        "width": 24,
        "patch_size": None,
    },
    "vision transformer": {"image_size": 64, "layers": 6, "width": 192, "head_width": 32, "patch_size": 8},
}


def build(vision: dict) -> tuple[CLIP, open_clip.CLIP]:
    """Both, of equal size, ready to be trained."""
    torch.manual_seed(0)
    config = {"embed_dim": 128, "vision_cfg": vision, "text_cfg": TEXT}
    ours, peer = CLIP(CLIPConfig(**config_settings({"model_cfg": config}, "this benchmark"))), open_clip.CLIP(**config)
    sizes = [sum(parameter.numel() for parameter in model.parameters()) for model in (ours, peer)]
    assert sizes[0] == sizes[1], f"expected models of equal size, got {sizes}"
    return ours.to(runtime.device()).train(), peer.to(runtime.device()).train()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = runtime.generator(0)
    images = torch.rand(BATCH, 3, 64, 64, generator=draw) * 2 - 1
    texts = torch.randint(1, WORDS - 1, (BATCH, 32), generator=draw)
    texts[:, -1] = WORDS - 1  # the end token, which both find as the largest number
    return images.to(runtime.device()), texts.to(runtime.device())


def step_by_step(model: torch.nn.Module, loss_of: object) -> None:
    """Some steps of a training."""
    images, texts = batch()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    for _ in range(STEPS):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
            loss = loss_of(images, texts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train_peer(peer: open_clip.CLIP) -> None:
    criterion = open_clip.ClipLoss()
    step_by_step(peer, lambda images, texts: criterion(*peer(images, texts)))


def main() -> None:
    """Print the rows."""
    for name, vision in VISION.items():
        row = turns.compare(
            name,
            make=lambda vision=vision: build(vision),
            ours=lambda both: step_by_step(both[0], both[0].loss),
            peer=lambda both: train_peer(both[1]),
            steps=STEPS,
            turns=5,
        )
        print(json.dumps(row | {"pairs_per_second": 1000 * BATCH / row["ours"]}), flush=True)


if __name__ == "__main__":
    main()
