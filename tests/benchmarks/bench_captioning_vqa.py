"""BLIP writes captions: our `generate` with its cache beside transformers' BLIP of equal size and weights, and ours without a cache.

`ours` and `peer` are milliseconds a batch of captions, always the likeliest token, so that both write the same (which is checked); `ratio` is the
median of ours / peer over turns, and the goal is at most 1. Four layers of width 192 for pictures of 96 pixels and for texts, 24 new tokens.
"""

import json
import tempfile

import torch
import transformers
import turns
from torch import Tensor

from course_utils import runtime
from course_utils.captioning_vqa import BLIP
from course_utils.clip.open_clip_layout import MEAN, STD
from course_utils.layers import draw_uniform

NEW, WORDS, SIZE, START, END, PAD = 24, 2048, 96, 1, 2, 0
DEVICE = runtime.device()


def captioners() -> tuple[transformers.BlipForConditionalGeneration, BLIP]:
    """The peer, and ours with its weights."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 6}
    tokens = {
        "vocab_size": WORDS,
        "max_position_embeddings": 64,
        "bos_token_id": START,
        "sep_token_id": END,
        "pad_token_id": PAD,
    }
    peer = transformers.BlipForConditionalGeneration(
        transformers.BlipConfig(text_config=sizes | tokens, vision_config=sizes | {"image_size": SIZE, "patch_size": 16})
    ).eval()  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        ours = BLIP.from_hub(folder)
    return peer.to(DEVICE), ours.to(DEVICE)


@torch.inference_mode()
def without_cache(model: BLIP, images: Tensor, end: int) -> Tensor:
    """The whole text is read again for each token; the picture only once."""
    text = torch.full((len(images), 1), START, device=images.device)
    ended = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    context = model.image_encoder(images)
    while len(text[0]) <= NEW and not ended.all():
        word = model.text_decoder(text, None, context)[:, -1].argmax(dim=1).masked_fill(ended, PAD)
        text, ended = torch.cat([text, word[:, None]], dim=1), ended | (word == end)
    return text


def main() -> None:
    """Print the rows."""
    peer, model = captioners()
    peer.config.text_config.sep_token_id = WORDS + 1  # no text ends, so that all are as long
    for count in (1, 16):
        images = draw_uniform((count, 3, SIZE, SIZE), runtime.generator(0), DEVICE) * 2 - 1
        ways = {
            "with cache": lambda images=images: model.generate(images, NEW, end_token_id=WORDS + 1),
            "ours without a cache": lambda images=images: without_cache(model, images, WORDS + 1),
        }

        def theirs(images: Tensor = images) -> Tensor:
            mean, std = (torch.tensor(values, device=DEVICE)[:, None, None] for values in (MEAN, STD))
            return peer.generate(((images + 1) / 2 - mean) / std, max_new_tokens=NEW, do_sample=False)

        for name, ours in ways.items():
            assert ours().equal(theirs()), "expected both to write the same"
            row = turns.compare(
                f"{name}, {count} captions at once", make=lambda: None, ours=lambda _, ours=ours: ours(), peer=lambda _: theirs(), steps=1, turns=5
            )  # fmt: skip
            print(json.dumps(row | {"captions_per_second": round(1000 * count / row["ours"], 1)}), flush=True)


if __name__ == "__main__":
    main()
