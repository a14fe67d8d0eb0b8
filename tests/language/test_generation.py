"""Generation against transformers, token for token; samplers against their probabilities."""

import itertools

import pytest
import torch
import transformers

from course_utils import runtime
from course_utils.language import GPT2, T5, GPT2Config, T5Config, beam_search, generate
from course_utils.language.generation import keep_top_k, keep_top_p

from .conftest import close, ids

PAD = 1


def gpt2():
    sizes = {"vocab_size": 99, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=97))


def t5(**changes):
    sizes = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4}
    config = transformers.T5Config(**sizes, decoder_start_token_id=0, pad_token_id=PAD, **changes)
    return transformers.T5ForConditionalGeneration(config)


def gated_t5():
    return t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False)


BUILDS = {"gpt2": (gpt2, GPT2), "t5": (t5, T5), "t5 1.1": (gated_t5, T5)}
models = pytest.mark.parametrize("which", BUILDS)


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """Larger layers and a smaller table of tokens: a tiny network with tied weights would repeat the last token for ever."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("wte.weight", "shared.weight", "tokens.weight")):
                parameter.mul_(0.3)
            elif parameter.ndim == 2:
                parameter.mul_(4)
    return model


def common(model: GPT2 | T5, which: str, rank: int) -> int:
    """A token that the model writes often, the more so the lower its rank; as end token it ends texts at many places."""
    text, mask = prompts(which)
    written = generate(model, text, 14, attention_mask=mask)[:, -14:]
    return int(written.flatten().bincount().argsort(descending=True, stable=True)[rank])


def prompts(which: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded on the side on which the model wants it."""
    real = torch.arange(7) < torch.tensor([7, 4, 5, 2])[:, None]
    mask = real.flip(1) if which == "gpt2" else real
    return ids(4, 7, vocab_size=97).masked_fill(~mask, PAD), mask


@pytest.mark.parametrize("rank", [0, 2, 6])
@models
def test_greedy_search_is_that_of_transformers(tiny, which, rank):
    build, ours = BUILDS[which]
    peer, model = tiny(lambda: lively(build()), ours)
    text, mask = prompts(which)
    end = common(model, which, rank)
    theirs = peer.generate(
        text, attention_mask=mask.long(), max_new_tokens=14, do_sample=False, num_beams=1, pad_token_id=PAD, eos_token_id=end
    )  # fmt: skip
    found = generate(model, text, 14, attention_mask=mask, end_token_id=end, pad_token_id=PAD)
    assert found.tolist() == theirs.tolist()


@pytest.mark.parametrize("rank", [0, 2, 6])
@pytest.mark.parametrize(
    ("beams", "penalty", "early"), [(2, 1.0, False), (4, 1.0, True), (3, 0.0, False), (3, 2.0, False), (5, -1.0, False)]
)
@models
def test_beam_search_is_that_of_transformers(tiny, which, beams, penalty, early, rank):
    build, ours = BUILDS[which]
    peer, model = tiny(lambda: lively(build()), ours)
    text, mask = prompts(which)
    end = common(model, which, rank)
    theirs = peer.generate(
        text, attention_mask=mask.long(), max_new_tokens=14, do_sample=False, num_beams=beams, num_return_sequences=beams,
        length_penalty=penalty, early_stopping=early, pad_token_id=PAD, eos_token_id=end, output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    found = beam_search(
        model, text, 14, beams, length_penalty=penalty, early_stopping=early, attention_mask=mask, end_token_id=end,
        pad_token_id=PAD,
    )  # fmt: skip
    assert found.texts.flatten(0, 1).tolist() == theirs.sequences.tolist()
    close(found.scores.flatten(), theirs.sequences_scores)


@models
def test_texts_do_end_at_different_places(tiny, which):
    """What the comparisons above rest on."""
    _, model = tiny(lambda: lively(BUILDS[which][0]()), BUILDS[which][1])
    text, mask = prompts(which)
    ends = set()
    for rank in (0, 2, 6):
        end = common(model, which, rank)
        beams = beam_search(model, text, 14, 4, attention_mask=mask, end_token_id=end, pad_token_id=PAD)
        written = beams.texts.flatten(0, 1)[:, text.shape[1] if which == "gpt2" else 1 :]
        ends |= {row.index(end) if end in row else None for row in written.tolist()}
    assert len(ends) >= 4


# --- our own properties -----------------------------------------------------------------------------------------------


@pytest.fixture
def small() -> GPT2:
    torch.manual_seed(0)
    model = GPT2(GPT2Config(6, 12, 16, 2, 2)).eval()
    with torch.no_grad():
        model.tokens.weight.mul_(30)
        model.positions.weight.mul_(50)
    return lively(model)


def log_p(model: GPT2, text: torch.Tensor, start: int) -> torch.Tensor:
    """log p of all tokens from `start` on."""
    logs = model(text)[:, :-1].log_softmax(2).gather(2, text[:, 1:, None])[:, :, 0]
    return logs[:, start - 1 :].sum(1)


@torch.no_grad()
def test_as_many_beams_as_texts_find_the_likeliest_of_all(small):
    prompt = torch.tensor([[1, 2]])
    every = torch.tensor([[1, 2, *rest] for rest in itertools.product(range(6), repeat=3)])
    scores = log_p(small, every, 2)
    beams = beam_search(small, prompt, 3, 36, length_penalty=0.0)
    assert beams.texts[0, 0].equal(every[scores.argmax()])
    close(beams.scores[0], scores.topk(36).values)


@torch.no_grad()
def test_one_beam_is_greedy_search(small):
    prompt = torch.tensor([[1, 2], [4, 0]])
    assert beam_search(small, prompt, 6, 1).texts[:, 0].equal(generate(small, prompt, 6))


@torch.no_grad()
def test_draws_follow_the_probabilities(small):
    prompt = torch.tensor([[1, 2]]).expand(20_000, -1)
    logits = small(prompt[:1])[0, -1]
    for settings, expected in (
        ({"temperature": 1.0}, logits.softmax(0)),
        ({"temperature": 2.0}, (logits / 2).softmax(0)),
        ({"temperature": 1.0, "top_k": 3}, keep_top_k(logits, 3).softmax(0)),
        ({"temperature": 1.0, "top_p": 0.8}, keep_top_p(logits, 0.8).softmax(0)),
    ):
        drawn = generate(small, prompt, 1, runtime.generator(0), **settings)[:, 2]
        shares = drawn.bincount(minlength=6) / len(drawn)
        assert (shares - expected).abs().max() < 0.015
        assert not shares[expected == 0].any()


def test_draws_are_a_function_of_the_generator(small):
    prompt = torch.tensor([[1, 2]])
    first, again, other = (generate(small, prompt, 8, runtime.generator(seed), temperature=1.0) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


@pytest.mark.parametrize(("k", "p"), [(1, 0.01), (5, 0.5), (50, 0.9), (99, 0.999), (0, 1.0)])
def test_cutting_is_that_of_transformers(k, p):
    logits = torch.randn(20, 99, generator=torch.Generator().manual_seed(0)) * 3
    if k:
        close(keep_top_k(logits, k), transformers.TopKLogitsWarper(k)(None, logits))
    close(keep_top_p(logits, p), transformers.TopPLogitsWarper(p)(None, logits))


def test_a_processor_sees_text_and_logits(small):
    """Here: no token twice."""

    def never_again(texts: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return logits.scatter(1, texts, -1e4)

    prompt = torch.tensor([[1, 2], [3, 0]])
    for texts in (
        generate(small, prompt, 4, process=never_again),
        beam_search(small, prompt, 4, 2, process=never_again).texts[:, 0],
    ):
        assert all(len(set(row)) == 6 for row in texts.tolist())


def test_a_text_that_ended_is_filled_with_padding(small):
    texts = generate(small, torch.tensor([[1, 2]] * 50), 8, runtime.generator(3), temperature=1.0, end_token_id=5, pad_token_id=4)  # fmt: skip
    for row in texts[:, 2:].tolist():
        if 5 in row:
            assert set(row[row.index(5) + 1 :]) <= {4}
    assert any(5 in row[:-1] for row in texts[:, 2:].tolist())


def test_t5_writes_from_its_start_token():
    model = T5(T5Config(20, 16, 1, 1, 2, 8, 16, start_token_id=7)).eval()
    assert (generate(model, ids(3, 5, vocab_size=20), 2)[:, 0] == 7).all()


def test_errors_name_what_is_wrong(small):
    prompt = torch.tensor([[1, 2, 3]])
    with pytest.raises(ValueError, match="temperature >= 0.*got -1"):
        generate(small, prompt, 2, temperature=-1)
    with pytest.raises(ValueError, match="top_p"):
        generate(small, prompt, 2, temperature=1, top_p=0)
    with pytest.raises(ValueError, match="num_beams >= 1"):
        beam_search(small, prompt, 2, 0)
    with pytest.raises(ValueError, match="pad on the left"):
        generate(small, prompt, 2, attention_mask=torch.tensor([[True, True, False]]))
    with pytest.raises(ValueError, match="13 tokens is longer than the 12 positions"):
        generate(small, prompt, 10)
