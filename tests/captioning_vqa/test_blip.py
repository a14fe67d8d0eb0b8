"""BLIP against transformers: captions, retrieval, answers. The mixture, which no peer has whole, by its invariants."""

import math

import pytest
import torch
import torch.nn.functional as F
import transformers

from course_utils import runtime
from course_utils.captioning_vqa import BLIP, BLIPAnswerer, BLIPConfig, rerank
from course_utils.captioning_vqa.losses import contrastive_loss, hard_negatives, keys_of, matching_loss
from course_utils.hub import WeightsError
from course_utils.layers import draw_uniform

from .conftest import as_the_peer_sees_them, close, compare_gradients, ids, lively, pictures, real

START, ENCODE, END, PAD = 96, 97, 95, 0
SIZES = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
OURS = BLIPConfig(3, 16, 4, 32, 2, 4, 37, 99, 16, 32, 2, 4, 37, 8, ENCODE, START, END, PAD)


def config(image_width: int = 24, **text) -> transformers.BlipConfig:
    tokens = {
        "vocab_size": 99,
        "max_position_embeddings": 16,
        "bos_token_id": START,
        "sep_token_id": END,
        "pad_token_id": PAD,
    }
    return transformers.BlipConfig(
        text_config=SIZES | tokens | {"attn_implementation": "eager"} | text,
        vision_config=SIZES | {"hidden_size": image_width, "image_size": 16, "patch_size": 4},
        image_text_hidden_size=8,
    )


def captioner(**text):
    return transformers.BlipForConditionalGeneration(config(**text))


def matcher():
    return transformers.BlipForImageTextRetrieval(config())


def answerer():
    """The peer's decoder can look at questions only where these are as wide as pictures."""
    return transformers.BlipForQuestionAnswering(config(image_width=32))


def begun(text: torch.Tensor, token: int) -> torch.Tensor:
    text = text.clone()
    text[:, 0] = token
    return text


# --- against transformers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_captions_logits_loss_and_gradients_are_those_of_transformers(tiny, tmp_path, smoothing):
    peer, model = tiny(lambda: captioner(label_smoothing=smoothing), BLIP)
    text, mask = begun(ids(3, 9), START), real(9, 6, 4, total=9)
    labels = text.masked_fill(~mask, -100)
    theirs = peer(as_the_peer_sees_them(pictures()), text, attention_mask=mask.long(), labels=labels)
    close(model(pictures(), text, mask)[mask], theirs.logits[mask])
    loss = model.caption_loss(pictures(), text, mask)
    close(loss, theirs.loss)
    close(model.caption_loss(pictures(), text, mask.long(), labels), loss)
    theirs.loss.backward()
    loss.backward()
    compare_gradients(peer, model, tmp_path / "gradients")


@pytest.mark.parametrize("prompted", [False, True])
@pytest.mark.parametrize("beams", [1, 3])
def test_captions_written_are_those_of_transformers(tiny, beams, prompted):
    peer, model = tiny(lambda: lively(captioner()), BLIP)
    prompt = ids(3, 2, seed=4) if prompted else None
    # theirs has [CLS] in front, which it overwrites, and an end, which it cuts off
    whole = None if prompt is None else F.pad(prompt, (1, 1), value=2)
    within = int(model.generate(pictures(), 9, prompt_ids=prompt)[0, -5])  # as end token it ends texts before the last
    for end in (END, within):
        peer.config.text_config.sep_token_id = end
        theirs = peer.generate(
            as_the_peer_sees_them(pictures()), whole, num_beams=beams, max_new_tokens=9, do_sample=False
        )
        ours = model.generate(pictures(), 9, prompt_ids=prompt, num_beams=beams, end_token_id=end)
        assert ours.tolist() == theirs.tolist()
    assert beams > 1 or (ours[:, 1:-1] == within).any()


def test_matching_and_contrast_are_those_of_transformers(tiny):
    peer, model = tiny(matcher, BLIP)
    text, mask = begun(ids(3, 9), ENCODE), real(9, 6, 4, total=9)
    images = as_the_peer_sees_them(pictures())
    theirs = peer(text, images, use_itm_head=True, attention_mask=mask.long())
    close(model.image_encoder(pictures()), theirs.last_hidden_state)
    close(model.match(model.image_encoder(pictures()), text, mask), theirs.itm_score)
    theirs = peer(text, images, use_itm_head=False, attention_mask=mask.long())
    close(model.encode_image(pictures()) @ model.encode_text(text, mask).T, theirs.itm_score)


def test_answers_loss_and_gradients_are_those_of_transformers(tiny, tmp_path):
    """Of questions without padding: transformers 5 drops the mask of what cross-attention looks at, the authors' code does not."""
    peer, model = tiny(answerer, BLIPAnswerer)
    question = begun(ids(3, 7), ENCODE)
    answer, answer_mask = begun(ids(3, 5, seed=2), START), real(3, 5, 4, total=5)
    theirs = peer(
        question, as_the_peer_sees_them(pictures()), decoder_attention_mask=answer_mask.long(),
        labels=answer.masked_fill(~answer_mask, -100), decoder_input_ids=answer,
    )  # fmt: skip
    loss = model.loss(pictures(), question, answer, answer_mask=answer_mask)
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    compare_gradients(peer, model, tmp_path / "gradients")


@pytest.mark.parametrize("beams", [1, 3])
def test_answers_written_are_those_of_transformers(tiny, beams):
    peer, model = tiny(lambda: lively(answerer()), BLIPAnswerer)
    question = begun(ids(3, 7), ENCODE)
    theirs = peer.generate(
        question, as_the_peer_sees_them(pictures()), num_beams=beams, max_new_tokens=8, do_sample=False
    )
    assert model.generate(pictures(), question, 8, num_beams=beams).tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("peer", "ours", "changes", "count"),
    [
        (transformers.BlipForConditionalGeneration, BLIP, {"encoder": False}, 223_971_644),
        (transformers.BlipForImageTextRetrieval, BLIP, {"decoder": False}, 223_744_258),
        (transformers.BlipForQuestionAnswering, BLIPAnswerer, {}, 361_230_140),
    ],
)
def test_the_published_sizes(peer, ours, changes, count):
    with torch.device("meta"):
        theirs, model = peer(transformers.BlipConfig()), ours(BLIPConfig(**changes))
    number = sum(parameter.numel() for name, parameter in model.named_parameters() if name != "log_scale")
    assert number == sum(parameter.numel() for parameter in theirs.parameters()) == count


def test_foreign_files_are_refused(tmp_path):
    answerer().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="use BLIPAnswerer"):
        BLIP.from_hub(tmp_path)
    captioner().save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="does not fit BLIPAnswerer"):
        BLIPAnswerer.from_hub(tmp_path)
    captioner(hidden_act="relu").save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="hidden_act.*relu"):
        BLIP.from_hub(tmp_path)


# --- the mixture ------------------------------------------------------------------------------------------------------


@pytest.fixture
def mixture() -> BLIP:
    torch.manual_seed(0)
    model = BLIP(OURS).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def test_all_but_self_attention_is_shared(mixture):
    encoder, decoder = (dict(part.named_parameters()) for part in (mixture.text_encoder, mixture.text_decoder.text))
    own = {name for name in encoder if encoder[name] is not decoder[name]}
    assert own == {name for name in encoder if ".attention." in name or ".norm1." in name}
    assert own
    separate = BLIPAnswerer(OURS)
    encoder, decoder = (dict(part.named_parameters()) for part in (separate.text_encoder, separate.text_decoder.text))
    assert not any(encoder[name] is decoder[name] for name in encoder)


def test_shared_weights_survive_saving(mixture, tmp_path):
    mixture.save_pretrained(tmp_path)
    loaded = BLIP.from_pretrained(tmp_path)
    assert loaded.text_decoder.text.layers[0].mlp.up.weight is loaded.text_encoder.layers[0].mlp.up.weight
    text = ids(3, 7)
    assert loaded(pictures(), text).equal(mixture(pictures(), text))
    assert loaded.encode_text(text).equal(mixture.encode_text(text))


def test_who_sees_what(mixture):
    """The decoder sees nothing later; the encoder does. Only grounded roles see the picture, and padding is seen by none."""
    text, mask = ids(2, 8), real(8, 5, total=8)
    other = torch.cat([text[:, :4], ids(2, 4, seed=9)], dim=1)
    images, tokens = pictures(2), mixture.image_encoder(pictures(2))
    close(mixture(images, text)[:, :4], mixture(images, other)[:, :4])
    assert (mixture.encode_text(text) - mixture.encode_text(other)).abs().max() > 1e-3
    assert (mixture.match(tokens, text) - mixture.match(tokens, other)).abs().max() > 1e-3
    assert (mixture.match(tokens, text) - mixture.match(tokens.flip(0), text)).abs().max() > 1e-3
    assert (mixture(images, text) - mixture(images.flip(0), text)).abs().max() > 1e-3
    padded = torch.where(mask, text, other)
    close(mixture.encode_text(padded, mask), mixture.encode_text(text, mask))
    close(mixture.match(tokens, padded, mask), mixture.match(tokens, text, mask))
    close(mixture(images, padded, mask)[mask], mixture(images, text, mask)[mask])
    close(mixture.encode_text(text, mask)[1], mixture.encode_text(text[1:, :5])[0])


def test_the_three_losses_are_what_their_parts_say(mixture):
    text, mask = ids(4, 8), real(8, 5, 7, 3, total=8)
    images, draw = pictures(4), draw_uniform((2, 4, 4), runtime.generator(3))
    found = mixture.losses(images, text, mask, draw)
    u, v, scale = mixture.encode_image(images), mixture.encode_text(text, mask), mixture.logit_scale
    close(found.contrast, contrastive_loss(u, v, scale, keys_of(u, v)))
    table, tokens = scale * u @ v.T, mixture.image_encoder(images)
    other_text, other_image = hard_negatives(table, draw[0]), hard_negatives(table.T, draw[1])
    logits = [
        mixture.match(tokens, text, mask),
        mixture.match(tokens[other_image], text, mask),
        mixture.match(tokens, text[other_text], mask[other_text]),
    ]
    close(found.matching, matching_loss(torch.cat(logits)))
    close(found.writing, mixture.caption_loss(images, begun(text, START), mask))
    close(mixture.loss(images, text, mask, draw), sum(found))
    close(mixture.losses(images, text, None, draw).writing, mixture.caption_loss(images, begun(text, START)))


def test_an_answer_does_not_depend_on_padding():
    torch.manual_seed(1)
    model = lively(BLIPAnswerer(OURS)).eval()
    question, mask, answer = ids(2, 8), real(8, 5, total=8), ids(2, 4, seed=3)
    close(model(pictures(2), question, answer, mask)[1], model(pictures(2)[1:], question[1:, :5], answer[1:])[0])
    written = model.generate(pictures(2), question, 6, question_mask=mask)
    alone = model.generate(pictures(2)[1:], question[1:, :5], 6)
    assert written[1, : alone.shape[1]].tolist() == alone[0].tolist()


def test_ranking_gives_the_log_probability_of_each_answer():
    torch.manual_seed(1)
    model = BLIPAnswerer(OURS).eval()
    question, mask = ids(2, 6), real(6, 4, total=6)
    candidates, real_tokens = ids(5, 4, seed=8), real(4, 3, 2, 4, 2, total=4)
    scores = model.rank(pictures(2), question, candidates, mask, real_tokens)
    for row in range(2):
        for number in range(5):
            answer = candidates[number, real_tokens[number]][None]
            logs = model(pictures(2)[row : row + 1], question[row : row + 1], answer, mask[row : row + 1]).log_softmax(
                2
            )
            expected = logs[0, :-1].gather(1, answer[0, 1:, None]).sum()
            close(scores[row, number], expected.detach())
    every = torch.ones(2, 6).bool(), torch.ones(5, 4).bool()
    close(model.rank(pictures(2), question, candidates), model.rank(pictures(2), question, candidates, *every))


def test_generation_reads_a_prompt_token_by_token(mixture):
    """Greedy search with the cache takes what a plain pass finds likeliest."""
    written = mixture.generate(pictures(2), 6, prompt_ids=ids(2, 2, seed=4))
    assert written[:, 0].tolist() == [START, START]
    for length in range(3, written.shape[1]):
        logits = mixture(pictures(2), written[:, :length])[:, -1]
        assert logits.argmax(1).tolist() == written[:, length].tolist()


def test_reranking_looks_at_the_best_k_only():
    similarities = torch.tensor([[0.9, 0.1, 0.8, 0.7], [0.2, 0.3, 0.1, 0.0]])
    asked = []

    def match(queries: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        asked.extend(zip(queries.tolist(), candidates.tolist(), strict=True))
        return torch.where(candidates == 3, 5.0, torch.where(candidates == 0, 1.0, 0.0))

    scores = rerank(similarities, 3, match)
    assert set(asked) == {(0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)}
    expected = torch.tensor([[1.9, -math.inf, 0.8, 5.7], [1.2, 0.3, 0.1, -math.inf]])
    close(scores, expected)
    with pytest.raises(ValueError, match="k is 5.*candidates, 4"):
        rerank(similarities, 5, match)


def test_errors_name_what_is_wrong(mixture):
    with pytest.raises(ValueError, match="no text encoder"):
        BLIP(BLIPConfig(**vars(OURS) | {"encoder": False})).encode_text(ids(2, 5))
    with pytest.raises(ValueError, match="no text decoder"):
        BLIP(BLIPConfig(**vars(OURS) | {"decoder": False})).generate(pictures(2), 3)
    with pytest.raises(ValueError, match="one of both must be True"):
        BLIP(BLIPConfig(encoder=False, decoder=False))
    with pytest.raises(ValueError, match="must be True"):
        BLIPAnswerer(BLIPConfig(encoder=False))
    with pytest.raises(ValueError, match="17 tokens is longer than the 16"):
        mixture(pictures(2), ids(2, 17))
    with pytest.raises(ValueError, match="longer than the 16"):
        mixture.generate(pictures(2), 16)
    with pytest.raises(ValueError, match=r"\(batch, 3, 16, 16\)"):
        mixture.encode_image(pictures(2, 12))
    with pytest.raises(ValueError, match="batch of 1"):
        mixture.loss(pictures(1), ids(1, 5), None, torch.rand(2, 1, 1))
    with pytest.raises(ValueError, match="no padding"):
        mixture.generate(pictures(2), 3, attention_mask=torch.ones(2, 1).bool())
    with pytest.raises(ValueError, match="patches of 5 do not divide"):
        BLIP(BLIPConfig(image_size=16, patch_size=5))
