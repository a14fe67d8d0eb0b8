"""BLIP-2 with OPT and with T5, and InstructBLIP with T5, against transformers."""

import pytest
import torch
import transformers
from torch._subclasses.fake_tensor import FakeTensorMode

from course_utils.captioning_vqa import BLIP2, QFormer, QFormerConfig, parameter_counts
from course_utils.captioning_vqa.image_encoder import ImageEncoder
from course_utils.hub import WeightsError
from course_utils.language import GPT2, T5, GPT2Config, T5Config

from .conftest import as_the_peer_sees_them, close, compare_gradients, ids, lively, pictures, real

IMAGE, QUERIES, PAD = 98, 5, 1
SIZES = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 37}
VISION = SIZES | {"hidden_size": 24, "image_size": 16, "patch_size": 4}
QFORMER = SIZES | {"hidden_size": 32, "vocab_size": 99, "max_position_embeddings": 16}
TEXT = {
    "opt": {"model_type": "opt", "vocab_size": 99, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 64,
            "max_position_embeddings": 32, "word_embed_proj_dim": 16},
    "t5": {"model_type": "t5", "vocab_size": 99, "d_model": 16, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 2,
           "decoder_start_token_id": 0, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}  # fmt: skip


def build(kind: str):
    config = {"opt": transformers.OPTConfig, "t5": transformers.T5Config}[kind.removeprefix("instructed ")]
    text = config(**TEXT[kind.removeprefix("instructed ")])
    vision, qformer, image = VISION, QFORMER, {"num_query_tokens": QUERIES, "image_token_index": IMAGE}
    if kind.startswith("instructed"):
        config = transformers.InstructBlipConfig(
            vision_config=vision, qformer_config=qformer, text_config=text, **image
        )
        return transformers.InstructBlipForConditionalGeneration(config)
    return transformers.Blip2ForConditionalGeneration(
        transformers.Blip2Config(vision_config=vision, qformer_config=qformer, text_config=text, **image)
    )


def before(text: torch.Tensor) -> torch.Tensor:
    """A text with the peer's image tokens in front."""
    return torch.cat([torch.full((len(text), QUERIES), IMAGE), text], dim=1)


PROMPT, ANSWER = ids(3, 3), ids(3, 4, seed=2)
SEEN = real(4, 2, 3, total=4)  # of the answers
QUESTION = {"question_ids": ids(3, 5, seed=3), "question_mask": real(5, 3, 4, total=5)}


def test_opt_continues_as_in_transformers(tiny, tmp_path):
    peer, model = tiny(lambda: build("opt"), BLIP2)
    text = before(torch.cat([PROMPT, ANSWER], dim=1))
    mask = torch.cat([torch.ones(3, QUERIES + 3).bool(), SEEN], dim=1)
    labels = text.clone()
    labels[:, : QUERIES + 3] = -100
    labels = labels.masked_fill(~mask, -100)
    theirs = peer(as_the_peer_sees_them(pictures()), text, attention_mask=mask.long(), labels=labels)
    close(model.qformer(model.image_encoder(pictures())), theirs.qformer_outputs.last_hidden_state)
    ours = model(pictures(), PROMPT, ANSWER, answer_mask=SEEN)
    close(ours[SEEN], theirs.logits[:, -5:-1][SEEN])
    loss = model.loss(pictures(), PROMPT, ANSWER, answer_mask=SEEN)
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    assert {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None} == {"qformer"}
    compare_gradients(peer, model, tmp_path / "gradients", left_out=("image_encoder.", "language_model."))


@pytest.mark.parametrize("kind", ["t5", "instructed t5"])
def test_t5_answers_as_in_transformers(tiny, tmp_path, kind):
    peer, model = tiny(lambda: build(kind), BLIP2)
    question, theirs_too = {}, {}
    if kind != "t5":
        question = QUESTION
        theirs_too = {
            "qformer_input_ids": QUESTION["question_ids"],
            "qformer_attention_mask": QUESTION["question_mask"].long(),
        }
    theirs = peer(
        as_the_peer_sees_them(pictures()), input_ids=before(PROMPT), labels=ANSWER.masked_fill(~SEEN, -100), **theirs_too
    )  # fmt: skip
    queries = model.qformer(model.image_encoder(pictures()), *question.values())
    close(queries, theirs.qformer_outputs.last_hidden_state[:, :QUERIES])
    close(model(pictures(), PROMPT, ANSWER, answer_mask=SEEN, **question)[SEEN], theirs.logits[SEEN])
    loss = model.loss(pictures(), PROMPT, ANSWER, answer_mask=SEEN, **question)
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    compare_gradients(peer, model, tmp_path / "gradients", left_out=("image_encoder.", "language_model."))


@pytest.mark.parametrize("kind", ["opt", "t5"])
def test_texts_written_are_those_of_transformers(tiny, kind):
    peer, model = tiny(lambda: lively(build(kind)), BLIP2)
    prompt, shown = (PROMPT, real(3, 2, 1, total=3).flip(1)) if kind == "opt" else (PROMPT, torch.ones(3, 3).bool())
    # the peer wants padding before the image tokens
    whole = before(prompt)
    mask = torch.cat([torch.ones(3, QUERIES).bool(), shown], dim=1)
    for row, number in enumerate((~shown).sum(1).tolist()):
        whole[row] = torch.cat([torch.full((number,), PAD), before(prompt[row : row + 1, number:])[0]])
        mask[row] = torch.arange(QUERIES + 3) >= number
    within = int(model.generate(pictures(), 8, prompt_ids=prompt, prompt_mask=shown)[0, 4])
    for beams in (1, 3):
        theirs = peer.generate(
            as_the_peer_sees_them(pictures()), whole, mask.long(), num_beams=beams, max_new_tokens=8, do_sample=False,
            eos_token_id=within, pad_token_id=PAD,
        )  # fmt: skip
        ours = model.generate(
            pictures(), 8, prompt_ids=prompt, prompt_mask=shown, num_beams=beams, end_token_id=within, pad_token_id=PAD
        )
        assert ours.tolist() == theirs[:, 1 if kind == "t5" else QUERIES + 3 :].tolist()


def test_padding_of_prompts_and_questions_is_not_seen(tiny):
    for kind in ("opt", "instructed t5"):
        _, model = tiny(lambda kind=kind: build(kind), BLIP2)
        shown, question = real(3, 2, 1, total=3), {}
        if kind == "opt":
            shown = shown.flip(1)
        else:
            question = QUESTION
        logits = model(pictures(), PROMPT, ANSWER, shown, SEEN, **question)
        for row, (length, answered, asked) in enumerate(zip((3, 2, 1), (4, 2, 3), (5, 3, 4), strict=True)):
            one = {"question_ids": QUESTION["question_ids"][row : row + 1, :asked]} if question else {}
            prompt = PROMPT[row : row + 1, shown[row]]
            assert prompt.shape[1] == length
            alone = model(pictures()[row : row + 1], prompt, ANSWER[row : row + 1, :answered], **one)
            close(logits[row, :answered], alone[0])


def small(kind: str) -> BLIP2:
    encoder = ImageEncoder(3, 16, 4, 24, 1, 2, 24)
    qformer = QFormer(QFormerConfig(5, 32, 2, 4, 37, 24, 2, 99, 16, 0, False, 97, 16))
    language_model = GPT2(GPT2Config(99, 32, 16, 2, 2)) if kind == "gpt" else T5(T5Config(99, 16, 1, 2, 2, 6, 24))
    return BLIP2(encoder, qformer, language_model)


@pytest.mark.parametrize("kind", ["gpt", "t5"])
def test_it_compiles_in_one_graph_and_is_ready_for_a_gpu(kind):
    torch.manual_seed(0)
    model, inputs = small(kind), (pictures(), PROMPT, ANSWER, None, SEEN, *QUESTION.values())
    torch.compiler.reset()
    for method in (model.forward, model.loss):
        assert torch.compile(method, fullgraph=True, backend="eager")(*inputs).equal(method(*inputs))
    with FakeTensorMode():
        with torch.device("cuda"):
            model = small(kind)
            fake = [None if part is None else torch.empty(part.shape, dtype=part.dtype) for part in inputs]
        assert str(model.loss(*fake).device) == "cuda:0"


def test_only_the_qformer_is_trained():
    counts = parameter_counts(small("gpt"))
    assert [trained > 0 for trained, _ in counts.values()] == [False, True, False]
    assert counts["qformer"][1] == 0
    assert sum(sum(pair) for pair in counts.values()) == sum(
        parameter.numel() for parameter in small("gpt").parameters()
    )


def test_the_published_size():
    """Two rows of OPT's table of positions, which nothing uses, are not ours."""
    text = transformers.OPTConfig(
        hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, ffn_dim=10240, vocab_size=50304
    )
    with torch.device("meta"):
        peer = transformers.Blip2ForConditionalGeneration(transformers.Blip2Config(text_config=text))
        encoder = ImageEncoder(3, 224, 14, 1408, 39, 16, 6144)
        qformer = QFormer(QFormerConfig(vocab_size=0, dim=0, writes=False))
        model = BLIP2(encoder, qformer, GPT2(GPT2Config(50304, 2048, 2560, 32, 32, "relu")))
    number = sum(parameter.numel() for parameter in model.parameters()) + 2 * 2560
    assert number == sum(parameter.numel() for parameter in peer.parameters()) == 3_744_761_856
    bridge = (*peer.qformer.parameters(), peer.query_tokens, *peer.language_projection.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained == sum(parameter.numel() for parameter in bridge) == 107_130_880


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="of width 16, but its config says output_width=0"):
        BLIP2(
            ImageEncoder(3, 16, 4, 24, 1, 2, 24),
            QFormer(QFormerConfig(5, 32, 1, 4, 37, 24, output_width=0)),
            small("gpt").language_model,
        )
    text = transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=99)
    config = transformers.Blip2Config(
        vision_config=VISION, qformer_config=QFORMER, text_config=text, num_query_tokens=QUERIES
    )
    transformers.Blip2ForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="speaks through a gpt2"):
        BLIP2.from_hub(tmp_path)
