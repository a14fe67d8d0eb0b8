"""DiT against diffusers' DiTTransformer2DModel, and the paper's size."""

import pytest
import torch
from diffusers import DiTTransformer2DModel
from torch import nn

from course_utils.diffusion import DiT, DiTConfig
from course_utils.diffusion.dit import own_names
from course_utils.hub import WeightsError
from course_utils.layers import draw_normal
from course_utils.runtime import generator

TINY = {
    "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 8, "num_layers": 2,
    "sample_size": 8, "patch_size": 2, "num_embeds_ada_norm": 10,
}  # fmt: skip
SMALL = {"in_channels": 3, "out_channels": 3, "image_size": 8, "width": 16, "depth": 2, "num_heads": 2}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return draw_normal(shape, generator(seed))


def published(**changes) -> DiTTransformer2DModel:
    """A small peer; each block gets a copy of the first one's embeddings, as in what was converted from the authors' weights."""
    torch.manual_seed(0)
    peer = DiTTransformer2DModel(**TINY | changes).eval()
    for block in peer.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(peer.transformer_blocks[0].norm1.emb.state_dict())
    return peer


def dit(**settings) -> DiT:
    torch.manual_seed(0)
    return DiT(DiTConfig(**SMALL | settings))


@pytest.mark.parametrize("changes", [{}, {"patch_size": 4, "num_layers": 3}, {"out_channels": None, "sample_size": 12}])
def test_a_published_dit_gives_the_same_here(changes, tmp_path):
    peer = published(**changes)
    peer.save_pretrained(tmp_path / "transformer")
    ours = DiT.from_hub(tmp_path, "transformer")
    size = changes.get("sample_size", 8)
    images, twin = (normal(3, 4, size, size).requires_grad_() for _ in range(2))
    timesteps, labels = torch.tensor([0, 37, 999]), torch.tensor([3, 10, 0])  # 10: no class
    output, expected = ours(images, timesteps, labels), peer(twin, timesteps, labels).sample
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.05
    weights = normal(*expected.shape, seed=9)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    largest = max(parameter.grad.abs().max().item() for parameter in peer.parameters())
    assert largest > 1
    torch.testing.assert_close(images.grad, twin.grad, rtol=0, atol=1e-5 * largest)
    # each copy of the embeddings learns from its block alone (the last layer uses the first one's): together what our one learns
    gradients: dict[str, torch.Tensor] = {}
    for name, parameter in peer.named_parameters():
        (ours_of_it,) = own_names({name: parameter})
        gradients[ours_of_it] = gradients.get(ours_of_it, 0) + parameter.grad
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=1e-5 * largest, msg=name)


def test_the_convention_of_the_authors_differs_in_the_frequencies(tmp_path):
    published().save_pretrained(tmp_path)
    images, labels = normal(2, 4, 8, 8), torch.tensor([3, 1])
    as_diffusers, as_authors = DiT.from_hub(tmp_path), DiT.from_hub(tmp_path, convention="paper")
    start, middle = torch.zeros(2), torch.tensor([300, 600])
    torch.testing.assert_close(
        as_diffusers(images, start, labels), as_authors(images, start, labels), rtol=0, atol=1e-3
    )
    assert not as_diffusers(images, middle, labels).allclose(as_authors(images, middle, labels), atol=1e-2)


def test_blocks_with_embeddings_of_their_own_are_refused(tmp_path):
    torch.manual_seed(0)
    DiTTransformer2DModel(**TINY).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="one class_embedding.weight for all"):
        DiT.from_hub(tmp_path)


def test_the_size_of_the_paper():
    """675 M of DiT-XL/2 (table 4) are 675,129,632 with the places of 256 patches, which ours computes; diffusers holds 28 embeddings."""
    config = DiTConfig(4, 8, 32, 2, 1152, 28, 16, 1000)
    with torch.device("meta"):
        ours = sum(parameter.numel() for parameter in DiT(config).parameters())
        peer = DiTTransformer2DModel(out_channels=8)
        theirs = sum(parameter.numel() for parameter in peer.parameters())
        embedding = sum(parameter.numel() for parameter in peer.transformer_blocks[0].norm1.emb.parameters())
    assert ours == 675_129_632 - 256 * 1152
    assert ours == theirs - 27 * embedding


def test_at_first_every_block_is_the_identity_and_the_prediction_zero():
    model = dit(num_classes=3, context_width=6)
    tokens, condition = normal(2, 16, 16), normal(2, 16, seed=1)
    assert model.blocks[0](tokens, condition, normal(2, 4, 6)).equal(tokens)
    assert (model(normal(2, 3, 8, 8), torch.tensor([1, 2]), None, normal(2, 4, 6)) == 0).all()


def trained(model: DiT) -> DiT:
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model


def test_every_condition_matters_and_pictures_do_not_mix():
    model = trained(dit(num_classes=3, context_width=6))
    images, timesteps, labels, context = (
        normal(2, 3, 8, 8),
        torch.tensor([10, 700]),
        torch.tensor([0, 1]),
        normal(2, 4, 6),
    )
    whole = model(images, timesteps, labels, context)
    changed = (
        (images.flip(0), timesteps, labels, context),
        (images, timesteps + 5, labels, context),
        (images, timesteps, None, context),
        (images, timesteps, labels, context + 1),
    )
    assert all(not whole.allclose(model(*other), atol=1e-4) for other in changed)
    alone = model(images[1:], timesteps[1:], labels[1:], context[1:])
    torch.testing.assert_close(whole[1:], alone, rtol=0, atol=1e-5)
    assert trained(dit())(images, timesteps).shape == images.shape


def test_patches_lie_where_they_were_cut():
    """With layers that only copy, the joined patches are the picture."""
    model = dit(width=16, in_channels=1, out_channels=1, patch_size=4)
    pixels = normal(2, 1, 8, 8)
    cut = pixels.unfold(2, 4, 4).unfold(3, 4, 4)  # (batch, 1, row, column, 4, 4)
    assert model._join(cut.movedim(1, -1).reshape(2, 4, 16)).equal(pixels)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"convention": "other"}, "paper, diffusers"), ({"patch_size": 3}, "do not divide"), ({"num_heads": 3}, "3 heads"),
     ({"width": 18, "num_heads": 1}, "multiple of 4")],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dit(**change)


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, 3, 8, 8\)"):
        dit()(normal(2, 3, 16, 16), torch.tensor([1, 2]))
