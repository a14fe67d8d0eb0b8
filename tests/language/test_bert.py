"""BERT against transformers."""

import pytest
import torch
import transformers

from course_utils.language import BERT, BERTConfig
from course_utils.layers.attention import attention_maps

from .conftest import close, compare_gradients, ids

SIZES = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37,
         "max_position_embeddings": 16}  # fmt: skip


def build():
    return transformers.BertForPreTraining(transformers.BertConfig(**SIZES, attn_implementation="eager"))


def without_next_sentence():
    return transformers.BertForMaskedLM(transformers.BertConfig(**SIZES))


def texts() -> dict[str, torch.Tensor]:
    """Two sentences a text, padded to 12 tokens."""
    place = torch.arange(12)
    return {
        "input_ids": ids(3, 12),
        "attention_mask": place < torch.tensor([12, 7, 4])[:, None],
        "token_type_ids": (place >= torch.tensor([5, 3, 2])[:, None]).long(),
    }


def test_logits_loss_and_gradients_are_those_of_transformers(tiny, tmp_path):
    peer, model = tiny(build, BERT)
    batch, follows = texts(), torch.tensor([0, 1, 1])
    labels = batch["input_ids"].masked_fill(torch.rand(3, 12) < 0.5, -100)
    theirs = peer(**batch, labels=labels, next_sentence_label=follows)
    close(model(**batch), theirs.prediction_logits)
    close(model.follows(model.pool(model.encode(**batch))), theirs.seq_relationship_logits)
    loss = model.loss(labels=labels, next_sentence_labels=follows, **batch)
    close(loss, theirs.loss)
    theirs.loss.backward()
    loss.backward()
    compare_gradients(peer, model, tmp_path / "gradients")


def test_without_next_sentences(tiny):
    peer, model = tiny(without_next_sentence, BERT)
    batch = {"input_ids": ids(3, 12)}
    theirs = peer(**batch, labels=ids(3, 12, seed=2))
    close(model(**batch), theirs.logits)
    close(model.loss(labels=ids(3, 12, seed=2), **batch), theirs.loss)
    with pytest.raises(ValueError, match="no pooler"):
        model.pool(model.encode(**batch))


def test_attention_maps_are_those_of_transformers(tiny):
    peer, model = tiny(build, BERT)
    theirs = peer(**texts(), output_attentions=True).attentions
    for ours, peers in zip(attention_maps(model, **texts()).values(), theirs, strict=True):
        close(ours, peers.detach())


def test_files_of_the_first_years(tiny, tmp_path):
    """With gamma and beta, and the tied output layer a second time."""
    from safetensors.torch import load_file, save_file

    _, model = tiny(build, BERT)
    weights = load_file(tmp_path / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in weights.items()
    }
    old["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"].clone()
    save_file(old, tmp_path / "model.safetensors")
    close(BERT.from_hub(tmp_path)(ids(2, 9)), model(ids(2, 9)))


def test_the_published_size():
    with torch.device("meta"):
        model = BERT(BERTConfig())
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    heads = counts["head"] + counts["head_norm"] + counts["follows"] + model.head_bias.numel()
    assert sum(p.numel() for p in model.parameters()) - heads == 109_482_240
    assert sum(p.numel() for p in model.parameters()) == 110_106_428


def test_errors_name_what_is_wrong():
    model = BERT(BERTConfig(99, 16, 32, 1, 4, 37))
    with pytest.raises(ValueError, match="17 tokens"):
        model(ids(1, 17))
    with pytest.raises(ValueError, match="vocabulary"):
        model(torch.tensor([[5, -1]]))
    with pytest.raises(ValueError, match="attention_mask must be"):
        model(ids(2, 3), torch.ones(2, 1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="token_type_ids must have the shape"):
        model(ids(2, 3), token_type_ids=torch.zeros(2, 4, dtype=torch.int64))
