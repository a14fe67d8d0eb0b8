"""OPT against transformers; a prefix of vectors against embedded tokens."""

import pytest
import torch
import transformers

from course_utils.hub import WeightsError
from course_utils.language import GPT2, T5, GPT2Config, T5Config, generate
from course_utils.language.generation import Prefixed, write
from course_utils.language.opt import load_opt

from .conftest import close, ids

SIZES = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 128,
         "max_position_embeddings": 16}  # fmt: skip


def build(**changes):
    return transformers.OPTForCausalLM(transformers.OPTConfig(**SIZES | changes))


class Ours:
    from_hub = staticmethod(load_opt)


def test_logits_and_loss_are_those_of_transformers(tiny):
    peer, model = tiny(build, Ours)
    text = ids(3, 12)
    mask = torch.arange(12) < torch.tensor([12, 7, 4])[:, None]
    for real in (mask, mask.flip(1)):
        labels = text.masked_fill(~real, -100)
        theirs = peer(text, attention_mask=real.long(), labels=labels)
        close(model(text, real)[real], theirs.logits[real])
    close(model.loss(text, mask), peer(text, attention_mask=mask.long(), labels=text.masked_fill(~mask, -100)).loss)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"do_layer_norm_before": False}, "do_layer_norm_before"),
        ({"ffn_dim": 37}, "got 37"),
        ({"word_embed_proj_dim": 16}, "and 16"),
    ],
)
def test_another_network_is_refused(changes, words, tmp_path):
    build(**changes).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=words):
        load_opt(tmp_path)


def test_a_model_in_several_files(tmp_path):
    peer = build()
    peer.save_pretrained(tmp_path, max_shard_size="30KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    text = ids(2, 5)
    with torch.no_grad():
        close(load_opt(tmp_path)(text), peer.eval()(text).logits)


@pytest.fixture(params=["gpt2", "t5"])
def model(request) -> GPT2 | T5:
    torch.manual_seed(0)
    if request.param == "gpt2":
        return GPT2(GPT2Config(99, 20, 32, 2, 4)).eval()
    return T5(T5Config(99, 32, 2, 2, 4, 8, 37)).eval()


def test_a_prefix_of_embedded_tokens_is_these_tokens(model):
    """In one pass, and while writing: greedy, by beams, with padding between prefix and prompt, and with no prompt at all."""
    text = ids(3, 8)
    prefix, rest = model.tokens(text[:, :3]), text[:, 3:]
    answer = () if isinstance(model, GPT2) else (ids(3, 4, seed=2),)
    with torch.no_grad():
        close(model(rest, *answer, prefix=prefix), model(text, *answer))
    skip = 3 if isinstance(model, GPT2) else 0
    for beams in (1, 3):
        plain = write(model, text, 6, num_beams=beams)[:, skip:]
        assert write(Prefixed(model, prefix), rest, 6, num_beams=beams).equal(plain)
        whole = model.tokens(text)
        empty = write(Prefixed(model, whole), text[:, :0], 6, num_beams=beams)
        assert empty[:, -6:].equal(plain[:, -6:])
    mask = (torch.arange(5) < torch.tensor([5, 3, 2])[:, None]).flip(1)
    padded = generate(Prefixed(model, prefix), rest, 6, attention_mask=mask)
    for row in range(3):
        alone = generate(Prefixed(model, prefix[row : row + 1]), rest[row : row + 1, mask[row]], 6)
        assert isinstance(model, T5) or padded[row, -6:].equal(alone[0, -6:])


def test_t5_does_not_see_the_padding_after_a_prefix():
    torch.manual_seed(0)
    model = T5(T5Config(99, 32, 2, 2, 4, 8, 37)).eval()
    prefix, text, answer = torch.randn(2, 3, 32), ids(2, 5), ids(2, 4, seed=2)
    mask = torch.arange(8) < torch.tensor([8, 6])[:, None]
    with torch.no_grad():
        both = model(text, answer, mask, prefix)
        close(both[1], model(text[1:, :3], answer[1:], prefix=prefix[1:])[0])
    found = generate(Prefixed(model, prefix), text, 6, attention_mask=mask[:, 3:])
    assert found[1].equal(generate(Prefixed(model, prefix[1:]), text[1:, :3], 6)[0])
