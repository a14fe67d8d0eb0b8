"""VQ-VAE against vector-quantize-pytorch, diffusers' VQModel, torch.distributions and closed forms."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from diffusers import VQModel
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from vector_quantize_pytorch import VectorQuantize

from course_utils.autoencoders import VQVAE, VQVAEConfig, recipes, vqvae
from course_utils.hub import WeightsError
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.runtime import generator
from course_utils.training import fit

CODES, DIM = 16, 8


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return draw_normal(shape, generator(seed))


def nearest_distance(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)


# --- the peers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.8, 0.99])
def test_ten_updates_equal_those_of_vector_quantize_pytorch(decay):
    peer = VectorQuantize(
        dim=DIM, codebook_size=CODES, decay=decay, commitment_weight=0.25, rotation_trick=False, accept_image_fmap=True
    )
    ours = vqvae.VectorQuantizer(CODES, DIM, commitment=0.25, decay=decay)
    ours.codebook.copy_(peer.codebook)
    ours.cluster_sum.copy_(peer.codebook)
    for step in range(10):
        # two clusters only, so that some codes are never chosen and the smoothing shows
        features = (0.1 * normal(4, DIM, 5, 5, seed=step) + (step % 2)).requires_grad_()
        twin = features.detach().clone().requires_grad_()
        quantized = ours(features)
        ours.update(features, quantized.indices)
        theirs, indices, loss = peer(twin)
        assert quantized.indices.equal(indices)
        torch.testing.assert_close(quantized.vectors, theirs, rtol=0, atol=1e-5)
        torch.testing.assert_close(quantized.loss, loss.squeeze(), rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.codebook, peer.codebook, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.cluster_size, peer._codebook.cluster_size[0], rtol=0, atol=1e-5)
        (quantized.vectors.sin().sum() + quantized.loss).backward()
        (theirs.sin().sum() + loss.sum()).backward()
        torch.testing.assert_close(features.grad, twin.grad, rtol=0, atol=1e-5)


def published(**changes) -> VQModel:
    """A small VQModel as diffusers makes it, with weights in which nothing is zero or one by default."""
    torch.manual_seed(0)
    settings = {
        "in_channels": 3, "out_channels": 3, "latent_channels": 3, "num_vq_embeddings": 64, "block_out_channels": (32, 64),
        "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "layers_per_block": 1,
        "sample_size": 32,
    }  # fmt: skip
    model = VQModel(**settings | changes).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.02 if parameter.ndim == 1 else 0, 0.15)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vq_embed_dim": 5, "layers_per_block": 2},
        {"mid_block_add_attention": False},
        {"block_out_channels": (32, 32, 64), "down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3},
    ],
    ids=["plain", "wider codes, more blocks", "no attention", "three levels"],
)  # fmt: skip
def test_a_published_vqmodel_gives_the_same_here(changes, tmp_path):
    peer = published(**changes)
    peer.save_pretrained(tmp_path / "vqvae")
    ours = VQVAE.from_hub(tmp_path, "vqvae")
    images = normal(2, 3, 32, 32)
    with torch.no_grad():
        latents = peer.encode(images).latents
        theirs, _, (_, _, indices) = peer.quantize(latents)
        torch.testing.assert_close(ours.encode(images), latents, rtol=0, atol=1e-5)
        assert ours.indices(images).flatten().equal(indices)
        assert len(indices.unique()) > 2
        torch.testing.assert_close(ours.decode(theirs), peer.decode(latents).sample, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours(images), peer(images).sample, rtol=0, atol=1e-5)
        clamped = peer.decode(latents).sample.clamp(-1, 1)
        torch.testing.assert_close(ours.decode_indices(ours.indices(images)), clamped, rtol=0, atol=1e-5)


def test_files_with_the_old_names_of_the_attention_load_too(tmp_path):
    from safetensors.torch import load_file, save_file

    published().save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    images = normal(2, 3, 32, 32)
    expected = VQVAE.from_hub(tmp_path)(images)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(path)
    renamed = {}
    for name, tensor in weights.items():
        for new, legacy in old.items():
            name = name.replace(f".{new}.", f".{legacy}.")
        renamed[name] = tensor
    assert renamed.keys() != weights.keys()
    save_file(renamed, path)
    assert VQVAE.from_hub(tmp_path)(images).equal(expected)


def test_another_kind_of_model_and_foreign_weights_are_refused(tmp_path):
    import json

    published().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    for change, words in (
        ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
        ({"norm_type": "spatial"}, "spatial"),
        ({"layers_per_block": 3}, "does not fit VQVAE"),
    ):
        path.write_text(json.dumps(settings | change))
        with pytest.raises(WeightsError, match=words):
            VQVAE.from_hub(tmp_path)
    path.write_text("{")
    with pytest.raises(WeightsError, match="damaged"):
        VQVAE.from_hub(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        VQVAE.from_hub(tmp_path)


def test_relaxed_codes_equal_torchs_gumbel_softmax():
    logits = normal(3, CODES, 4, 4)
    quantizer = vqvae.GumbelQuantizer(CODES, DIM, kl_weight=0.5)
    torch.manual_seed(5)
    expected = F.gumbel_softmax(logits, tau=0.7, dim=1)
    torch.manual_seed(5)
    noise = -torch.empty_like(logits).exponential_().log()  # as torch draws it
    quantized = quantizer(logits, noise, 0.7)
    torch.testing.assert_close(quantized.vectors, torch.einsum("bkhw,kd->bdhw", expected, quantizer.codebook))
    shares = torch.distributions.Categorical(logits=logits.movedim(1, 3))
    kl = torch.distributions.kl_divergence(shares, torch.distributions.Categorical(logits=torch.zeros(CODES)))
    torch.testing.assert_close(vqvae.kl_to_uniform(logits), kl)
    torch.testing.assert_close(quantized.loss, 0.5 * kl.mean())


# --- closed forms ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 6), st.integers(0, 1000))
def test_the_nearest_code_is_the_nearest(vectors, codes, dim, seed):
    points, codebook = normal(vectors, dim, seed=seed), normal(codes, dim, seed=seed + 1)
    distances = torch.cdist(points.double(), codebook.double())
    chosen = distances.gather(1, vqvae.nearest_codes(points, codebook)[:, None])[:, 0]
    torch.testing.assert_close(chosen, distances.min(dim=1).values, rtol=1e-5, atol=1e-5)


def test_more_vectors_than_are_compared_at_once_give_the_same(monkeypatch):
    points, codebook = normal(100, 4), normal(7, 4, seed=1)
    at_once = vqvae.nearest_codes(points, codebook)
    monkeypatch.setattr(vqvae, "ROWS", 9)
    assert vqvae.nearest_codes(points, codebook).equal(at_once)


def test_the_gradient_goes_straight_through_and_commits():
    quantizer = vqvae.VectorQuantizer(CODES, DIM, commitment=0.25, decay=0.99)
    features = normal(2, DIM, 3, 3).requires_grad_()
    vectors, indices, loss = quantizer(features)
    assert vectors.allclose(quantizer.lookup(indices), atol=1e-6)
    weights = normal(*vectors.shape, seed=2)
    (straight,) = torch.autograd.grad((weights * vectors).sum(), features, retain_graph=True)
    torch.testing.assert_close(straight, weights)
    (pull,) = torch.autograd.grad(loss, features)
    expected = 0.25 * 2 * (features - quantizer.lookup(indices)) / features.numel()
    torch.testing.assert_close(pull, expected.detach())


def test_without_running_means_the_codebook_learns_by_its_own_loss():
    quantizer = vqvae.VectorQuantizer(CODES, DIM, commitment=0.25, decay=None)
    features = normal(2, DIM, 3, 3).requires_grad_()
    vectors, indices, loss = quantizer(features)
    (vectors.sum() + loss).backward()
    codes = quantizer.lookup(indices).detach().requires_grad_()
    F.mse_loss(codes, features.detach()).backward()
    expected = torch.zeros(CODES, DIM).index_add_(0, indices.flatten(), codes.grad.movedim(1, 3).flatten(0, 2))
    torch.testing.assert_close(quantizer.codebook.grad, expected)


def test_running_means_converge_to_the_means_of_their_vectors():
    centres = 10 * normal(4, DIM)
    quantizer = vqvae.VectorQuantizer(4, DIM, decay=0.9)
    quantizer.codebook.copy_(centres + 0.5)
    quantizer.cluster_sum.copy_(quantizer.codebook)
    vectors = centres[:, :, None, None].repeat(6, 1, 1, 1) + 0.1 * normal(24, DIM, 1, 1, seed=1)
    for _ in range(200):
        quantizer.update(vectors, quantizer(vectors).indices)
    means = vectors[:, :, 0, 0].view(6, 4, DIM).mean(dim=0)
    torch.testing.assert_close(quantizer.codebook, means, rtol=0, atol=1e-3)
    torch.testing.assert_close(quantizer.cluster_size, torch.full((4,), 6.0), rtol=0, atol=1e-3)


def test_codes_that_nothing_chooses_restart_at_vectors_of_the_batch_and_others_stay():
    quantizer = vqvae.VectorQuantizer(CODES, DIM, decay=0.5, restart_below=0.2)
    quantizer.codebook[1:] += 100.0  # far from everything
    quantizer.cluster_sum.copy_(quantizer.codebook)
    vectors = normal(8, DIM, 2, 2)
    plain = vqvae.VectorQuantizer(CODES, DIM, decay=0.5)
    plain.load_state_dict(quantizer.state_dict())
    for _ in range(3):  # 1/2, 1/4, 1/8: below the limit for the first time
        quantizer.update(vectors, quantizer(vectors).indices)
        plain.update(vectors, plain(vectors).indices)
    rows = vectors.movedim(1, 3).flatten(0, 2)
    assert (nearest_distance(quantizer.codebook, rows)[1:] == 0).all(), "each unused code now is one of the vectors"
    assert vqvae.used_codes(quantizer(vectors).indices, CODES) > 0.6
    assert vqvae.used_codes(plain(vectors).indices, CODES) == 1 / CODES
    assert quantizer.codebook[0].allclose(plain.codebook[0])


def test_a_codebook_started_from_data_is_made_of_data():
    quantizer = vqvae.VectorQuantizer(CODES, DIM)
    features = 5 + normal(4, DIM, 3, 3)
    quantizer.start(features)
    assert nearest_distance(quantizer.codebook, features.movedim(1, 3).flatten(0, 2)).max() == 0
    assert quantizer.cluster_sum.equal(quantizer.codebook)


def test_perplexity_counts_codes():
    assert vqvae.perplexity(torch.zeros(5, 3, dtype=torch.int64), 8) == pytest.approx(1)
    assert vqvae.perplexity(torch.arange(8).repeat(3), 8) == pytest.approx(8)
    half = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    assert vqvae.perplexity(half, 100) == pytest.approx(4)
    assert vqvae.used_codes(half, 8) == 0.5


def test_gumbel_noise_makes_draws_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, -2.0, 0.5])
    noise = vqvae.gumbel_noise(draw_uniform((200_000, 4), generator(0)))
    shares = torch.bincount((logits + noise).argmax(dim=1)) / len(noise)
    torch.testing.assert_close(shares, logits.softmax(0), rtol=0, atol=0.005)
    assert vqvae.gumbel_noise(torch.tensor([0.0, 1 - 2**-24])).isfinite().all()


def test_temperature_falls_from_one_to_its_last_value():
    temperatures = [vqvae.gumbel_temperature(step, 100) for step in range(101)]
    assert temperatures[0] == 1
    assert temperatures[75:] == [1 / 16] * 26
    assert all(a > b for a, b in zip(temperatures[:75], temperatures[1:76], strict=True))
    assert vqvae.gumbel_temperature(375, 1000) == pytest.approx((1 + 1 / 16) / 2)


def test_cold_relaxed_codes_are_codes():
    quantizer = vqvae.GumbelQuantizer(CODES, DIM, 0.0)
    logits = normal(2, CODES, 3, 3)
    noise = vqvae.gumbel_noise(draw_uniform(logits.shape, generator(1)))
    cold = quantizer(logits, noise, 1e-4).vectors
    torch.testing.assert_close(cold, quantizer.lookup((logits + noise).argmax(dim=1)), rtol=0, atol=1e-3)
    torch.testing.assert_close(quantizer(logits).vectors, quantizer.lookup(logits.argmax(dim=1)))


# --- the model and its training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [({"network": "resnet"}, "strided"), ({"quantizer": "soft"}, "gumbel"), ({"image_size": 30}, "halved")],
)
def test_a_config_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        VQVAE(VQVAEConfig(**{"widths": (8, 8), **change}))


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, 3, 32, 32\)"):
        VQVAE(VQVAEConfig(widths=(8, 8))).indices(torch.zeros(2, 1, 32, 32))


def test_training_moves_the_codebook_and_resumes_exactly(tmp_path):
    """The running means are part of the training's state: a broken-off run ends where an undisturbed one does."""
    pictures = draw_uniform((32, 3, 16, 16), generator(3)) * 2 - 1
    batches = [{"image": rows} for rows in pictures.split(8)]
    config = VQVAEConfig(widths=(8, 8), num_codes=CODES, code_dim=4, image_size=16, num_blocks=1)

    def train(steps: int, **how) -> VQVAE:
        torch.manual_seed(0)
        model = VQVAE(config)
        fit(recipes.vqvae_player(model, pictures), batches, steps, progress=False, schedule="constant", **how)
        return model

    whole = train(8)
    assert not whole.quantizer.codebook.equal(train(1).quantizer.codebook)
    path = tmp_path / "state.pt"
    train(8, checkpoint=path, minutes=0)  # stops after its first step
    resumed = train(8, checkpoint=path)
    for name, tensor in whole.state_dict().items():
        assert tensor.equal(resumed.state_dict()[name]), name


def test_two_processes_keep_one_codebook(tmp_path):
    """Counts and sums are added up over the processes: two of them end where one does, restarts included."""
    program = str(Path(__file__).with_name("shared_codebook.py"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_DEVICE": "cpu"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    for command in ([sys.executable, program, tmp_path / "one"], [*torchrun, program, tmp_path / "two"]):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
    one, first, second = (torch.load(tmp_path / name) for name in ("one.0", "two.0", "two.1"))
    for name, value in one["weights"].items():
        torch.testing.assert_close(first["weights"][name], value, rtol=1e-5, atol=1e-5, msg=name)
        assert first["weights"][name].equal(second["weights"][name]), name
    assert first["restarted"].equal(second["restarted"])
    assert not first["restarted"].equal(first["weights"]["quantizer.codebook"])


def test_the_codebook_of_a_trained_model_lies_among_its_vectors():
    torch.manual_seed(0)
    pictures = draw_integers(0, 2, (64, 3, 1, 1), generator(3)).float().expand(-1, -1, 16, 16) * 2 - 1  # eight colours
    model = VQVAE(VQVAEConfig(widths=(16, 16), num_codes=8, code_dim=4, image_size=16, num_blocks=1))
    fit(recipes.vqvae_player(model, pictures, 5e-3), [{"image": pictures}], 150, progress=False)
    with torch.no_grad():
        terms = model.terms(pictures)
    assert terms.squared_error < 0.02
    assert F.mse_loss(model.quantizer.lookup(terms.indices), terms.features) < 0.1 * terms.features.var()
