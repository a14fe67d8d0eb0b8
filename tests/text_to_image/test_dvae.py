"""DALL-E's discrete autoencoder: its encoder against transformers' FLAVA, its decoder against the same network written as functions, its sizes."""

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
import transformers

from course_utils import layers, runtime
from course_utils.autoencoders.vqvae import gumbel_noise
from course_utils.hub import WeightsError
from course_utils.text_to_image import DiscreteVAE, DiscreteVAEConfig
from course_utils.text_to_image.dvae import DiscreteEncoder, logit_laplace, map_pixels, unmap_pixels

SMALL = DiscreteVAEConfig(num_codes=12, width=8, code_dim=5, num_blocks=2)


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def pictures() -> torch.Tensor:
    return layers.draw_uniform((2, 3, 16, 24), runtime.generator(0)) * 2 - 1


def peer() -> transformers.FlavaImageCodebook:
    """With residual branches that are loud enough to be heard through their gain of 1/64."""
    torch.manual_seed(0)
    config = transformers.FlavaImageCodebookConfig(hidden_size=SMALL.width, vocab_size=SMALL.num_codes, freeze=False)
    codebook = transformers.FlavaImageCodebook(config).eval()
    with torch.no_grad():
        for name, parameter in codebook.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (1.5 if "res_path" in name else 0.5))
    return codebook


def released_decoder() -> dict[str, torch.Tensor]:
    """Random weights under the names and in the shapes of the authors' `Decoder`."""
    draw, weights = runtime.generator(1), {}

    def convolution(name: str, into: int, out: int, kernel: int) -> None:
        weights[f"blocks.{name}.w"] = layers.draw_normal((out, into, kernel, kernel), draw)
        weights[f"blocks.{name}.b"] = layers.draw_normal((out,), draw)

    convolution("input", 12, 5, 1)
    before = 5
    for group, width in enumerate((64, 32, 16, 8), 1):
        for block in (1, 2):
            name = f"group_{group}.block_{block}"
            if before != width:
                convolution(f"{name}.id_path", before, width, 1)
            sizes = (before, width // 4, width // 4, width // 4, width)
            for place, kernel in enumerate((1, 3, 3, 3)):
                convolution(f"{name}.res_path.conv_{place + 1}", sizes[place], sizes[place + 1], kernel)
            before = width
    convolution("output.conv", 8, 6, 1)
    return weights


def decoded(weights: dict[str, torch.Tensor], features: torch.Tensor) -> torch.Tensor:
    """The authors' decoder as functions of its weights."""

    def convolved(name: str, features: torch.Tensor) -> torch.Tensor:
        kernel = weights[f"blocks.{name}.w"]
        return F.conv2d(features, kernel, weights[f"blocks.{name}.b"], padding=kernel.shape[2] // 2)

    features = convolved("input", features)
    for group in (1, 2, 3, 4):
        for block in (1, 2):
            name = f"group_{group}.block_{block}"
            inner = features
            for number in (1, 2, 3, 4):
                inner = convolved(f"{name}.res_path.conv_{number}", inner.relu())
            outer = convolved(f"{name}.id_path", features) if f"blocks.{name}.id_path.w" in weights else features
            features = outer + inner / 64
        if group < 4:
            features = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return convolved("output.conv", features.relu())


@pytest.fixture
def released(tmp_path):
    """Files of encoder and decoder, each in one of the two layouts, and where they came from."""
    codebook, weights = peer(), released_decoder()
    codebook.save_pretrained(tmp_path / "encoder")
    torch.save(weights, tmp_path / "decoder.pt")
    return tmp_path / "encoder", tmp_path / "decoder.pt", codebook, weights


def test_codes_are_those_of_transformers(released):
    folder, decoder, codebook, _ = released
    model, images = DiscreteVAE.from_hub(folder, decoder), pictures()
    theirs = codebook(map_pixels(images))
    close(model.encode(images), theirs)
    assert model.indices(images).equal(codebook.get_codebook_indices(map_pixels(images)))
    close(DiscreteEncoder.from_hub(folder)(map_pixels(images)), theirs)
    assert model.config == SMALL


def test_the_authors_names_are_read_too(released, tmp_path):
    _, decoder, codebook, _ = released
    names = {".group.": ".", ".res_path.path": ".res_path", ".weight": ".w", ".bias": ".b"}
    weights = {}
    for name, tensor in codebook.state_dict().items():
        for theirs, authors in names.items():
            name = name.replace(theirs, authors)
        weights[name] = tensor.clone()
    assert "blocks.group_1.block_1.res_path.conv_1.w" in weights
    safetensors.torch.save_file(weights, tmp_path / "authors.safetensors")
    model = DiscreteVAE.from_hub(tmp_path / "authors.safetensors", decoder)
    close(model.encode(pictures()), codebook(map_pixels(pictures())))


def test_pictures_are_those_of_the_authors_network(released):
    folder, decoder, _, weights = released
    model = DiscreteVAE.from_hub(folder, decoder)
    mixture = layers.draw_normal((2, 12, 2, 3), runtime.generator(2)).softmax(dim=1)
    mean, log_b = model.decode(mixture)
    theirs = decoded(weights, mixture)
    torch.testing.assert_close(torch.cat([mean, log_b], 1), theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())
    indices = model.indices(pictures())
    one_hot = F.one_hot(indices, 12).movedim(3, 1).float()
    close(model.decode_indices(indices), unmap_pixels(decoded(weights, one_hot)[:, :3].sigmoid()))
    close(model(pictures()), model.decode_indices(indices))


def test_the_published_sizes():
    with torch.device("meta"):
        model = DiscreteVAE(DiscreteVAEConfig())
    assert sum(parameter.numel() for parameter in model.encoder.parameters()) == 53_786_240
    assert sum(parameter.numel() for parameter in model.decoder.parameters()) == 43_829_766


def test_pixels_stay_away_from_the_ends_and_come_back():
    images = torch.tensor([-1.0, 0.0, 1.0])
    close(map_pixels(images), torch.tensor([0.1, 0.5, 0.9]))
    close(unmap_pixels(map_pixels(pictures())), pictures())
    assert unmap_pixels(torch.tensor([0.0, 1.0])).tolist() == [-1, 1]


@pytest.mark.parametrize(("mean", "log_b"), [(0.3, -1.0), (-1.0, -0.5)])
def test_the_density_of_pixels_is_one(mean, log_b):
    pixels = torch.linspace(1e-6, 1 - 1e-6, 400_001, dtype=torch.float64)
    density = logit_laplace(pixels, torch.full_like(pixels, mean), torch.full_like(pixels, log_b)).exp()
    assert torch.trapezoid(density, pixels).item() == pytest.approx(1, abs=1e-4)


def test_the_loss_is_the_bound_for_each_value():
    torch.manual_seed(0)
    model, images = DiscreteVAE(SMALL), pictures()
    noise = gumbel_noise(layers.draw_uniform((2, 12, 2, 3), runtime.generator(3)))
    logits = model.encode(images)
    mean, log_b = model.decode(((logits + noise) / 0.5).softmax(dim=1))
    shares = logits.softmax(dim=1)
    kl = (shares * (shares * 12).log()).sum()
    expected = (6.6 * kl - logit_laplace(map_pixels(images), mean, log_b).sum()) / (2 * 3 * 16 * 24)
    close(model.loss(images, noise, 0.5), expected)


def test_errors_name_what_is_wrong(released, tmp_path):
    folder, decoder, _, _ = released
    with pytest.raises(ValueError, match="multiples of 8"):
        DiscreteVAE(SMALL).encode(torch.zeros(1, 3, 16, 20))
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    torch.save(released_decoder, tmp_path / "decoder.pkl")
    with pytest.raises(WeightsError, match="no kernel blocks.input.weight"):
        DiscreteVAE.from_hub(folder, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="does not fit DiscreteDecoder"):
        DiscreteVAE.from_hub(folder, folder)
    with pytest.raises(WeightsError, match="could run code"):
        DiscreteVAE.from_hub(folder, tmp_path / "decoder.pkl")
