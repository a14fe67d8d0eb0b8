"""GPT-2 writes: our `generate` with its cache, transformers' `generate` with its own, and ours without a cache.

`ours` and `peer` are milliseconds a token for the whole batch, always the likeliest token, so that both write the same (which is checked);
`ratio` is the median of ours / peer over turns, and the goal is at most 0.83 with a cache. Six layers of width 192, prompts of 16 tokens,
128 new ones.
"""

import json
import tempfile

import torch
import transformers
import turns

from course_utils import runtime
from course_utils.language import GPT2, generate

PROMPT, NEW, WORDS = 16, 128, 2048


@torch.inference_mode()
def without_cache(model: GPT2, text: torch.Tensor) -> torch.Tensor:
    """The whole text is read again for each token."""
    for _ in range(NEW):
        text = torch.cat([text, model(text)[:, -1:].argmax(dim=2)], dim=1)
    return text


def main() -> None:
    """Print the rows."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=WORDS,
        n_positions=256,
        n_embd=192,
        n_layer=6,
        n_head=6,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    peer = transformers.GPT2LMHeadModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        model = GPT2.from_hub(folder)
    model, peer = model.to(runtime.device()), peer.to(runtime.device())
    for count in (1, 16):
        prompt = torch.randint(1, WORDS, (count, PROMPT), generator=runtime.generator(0)).to(runtime.device())
        mask = torch.ones_like(prompt)

        def theirs(prompt: torch.Tensor = prompt, mask: torch.Tensor = mask) -> torch.Tensor:
            return peer.generate(prompt, attention_mask=mask, max_new_tokens=NEW, do_sample=False)

        ways = {
            "with cache": lambda prompt=prompt: generate(model, prompt, NEW),
            "ours without a cache": lambda prompt=prompt: without_cache(model, prompt),
        }
        for name, ours in ways.items():
            assert ours().equal(theirs()), "expected both to write the same"
            row = turns.compare(
                f"{name}, {count} texts at once",
                make=lambda: None,
                ours=lambda _, ours=ours: ours(),
                peer=lambda _: theirs(),
                steps=NEW,
                turns=5,
            )
            print(json.dumps(row | {"tokens_per_second": 1000 * count / row["ours"]}), flush=True)


if __name__ == "__main__":
    main()
