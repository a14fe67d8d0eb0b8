"""The KL autoencoder against diffusers' AutoencoderKL; its loss, scale and conditions; latent diffusion as a whole."""

import json

import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL as Peer
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn

from course_utils import hub
from course_utils.diffusion import AutoencoderKL, AutoencoderKLConfig, LatentDiffusion, UNet, UNetConfig
from course_utils.diffusion.latent_diffusion import autoencoder_players, concatenate
from course_utils.gans.losses import hinge_discriminator_loss
from course_utils.layers import draw_normal
from course_utils.runtime import generator
from course_utils.training import fit
from course_utils.translation.pix2pix import PatchDiscriminator

PUBLISHED = {
    "in_channels": 3, "out_channels": 3, "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2, "block_out_channels": (32, 64), "layers_per_block": 1, "latent_channels": 4,
}  # fmt: skip
SMALL = {"image_size": 16, "widths": (8, 16), "num_groups": 4}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return draw_normal(shape, generator(seed))


def published(**changes) -> Peer:
    torch.manual_seed(0)
    model = Peer(**PUBLISHED | changes).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.02 if parameter.ndim == 1 else 0, 0.15)
    return model


def autoencoder(**settings) -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(AutoencoderKLConfig(**SMALL | settings))


@pytest.mark.parametrize(
    "changes",
    [{}, {"mid_block_add_attention": False, "layers_per_block": 2}, {"latent_channels": 3, "scaling_factor": 0.5}],
    ids=["plain", "no attention, more blocks", "other latents"],
)
def test_a_published_autoencoder_gives_the_same_here(changes, tmp_path):
    peer = published(**changes)
    peer.save_pretrained(tmp_path / "vae")
    ours = AutoencoderKL.from_hub(tmp_path, "vae")
    images, twin = (normal(2, 3, 32, 32).requires_grad_() for _ in range(2))
    posterior, theirs = ours.encode(images), peer.encode(twin).latent_dist
    torch.testing.assert_close(posterior.mean, theirs.mode(), rtol=0, atol=1e-5)
    torch.testing.assert_close(posterior.log_variance, theirs.logvar, rtol=0, atol=1e-5)
    torch.testing.assert_close(posterior.kl(), theirs.kl(), rtol=1e-5, atol=0)
    noise = normal(*posterior.mean.shape, seed=1)
    output = ours(images, noise)
    expected = peer.decode(theirs.mean + theirs.std * noise).sample
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
    assert ours.scaling_factor.item() == pytest.approx(changes.get("scaling_factor", 0.18215))
    weights = normal(*output.shape, seed=2)
    ((output * weights).sum() + posterior.kl().sum()).backward()
    ((expected * weights).sum() + theirs.kl().sum()).backward()
    others = dict(peer.named_parameters())
    largest = max(parameter.grad.abs().max().item() for parameter in others.values())
    torch.testing.assert_close(images.grad, twin.grad, rtol=0, atol=1e-5 * largest)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, others[name].grad, rtol=0, atol=1e-5 * largest, msg=name)


def test_the_size_of_the_published_autoencoder():
    with torch.device("meta"):
        model = AutoencoderKL(AutoencoderKLConfig(image_size=512, widths=(128, 256, 512, 512), num_blocks=2))
    assert sum(parameter.numel() for parameter in model.parameters()) == 83_653_863


def test_files_with_the_old_names_of_the_attention_load_too(tmp_path, with_old_names):
    published().save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    images = normal(2, 3, 32, 32)
    expected = AutoencoderKL.from_hub(tmp_path).encode(images).mean
    renamed = with_old_names(load_file(path))
    assert renamed.keys() != load_file(path).keys()
    save_file(renamed, path)
    assert AutoencoderKL.from_hub(tmp_path).encode(images).mean.equal(expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"_class_name": "VQModel"}, "VQModel"), ({"shift_factor": 0.1}, "shift_factor"), ({"latent_channels": 8}, "does not fit")],
)  # fmt: skip
def test_other_autoencoders_are_refused(change, words, tmp_path):
    published().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(hub.WeightsError, match=words):
        AutoencoderKL.from_hub(tmp_path)


# --- its loss ----------------------------------------------------------------------------------------------------------


def test_the_loss_in_closed_form():
    model, discriminator = autoencoder(kl_weight=0.5), nn.Conv2d(3, 1, 3)
    images, noise = normal(2, 3, 16, 16).clamp(-1, 1), normal(2, 4, 8, 8, seed=1)
    terms = model.terms(images, noise, discriminator)
    mean, log_variance = model.encode(images)
    normals = [torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(torch.zeros(()), torch.ones(()))]  # fmt: skip
    kl = torch.distributions.kl_divergence(*normals)
    torch.testing.assert_close(terms.kl, kl.flatten(1).sum(1).mean() / (3 * 16 * 16))
    torch.testing.assert_close(terms.l1, (images - model(images, noise)).abs().mean())
    torch.testing.assert_close(terms.adversarial, -discriminator(terms.reconstruction).mean())
    torch.testing.assert_close(terms.loss(0.5, 0.1), terms.l1 + 0.5 * terms.kl + 0.1 * terms.adversarial)
    plain = model.terms(images, noise)
    assert plain.adversarial == 0
    assert model.loss(images, noise) == plain.l1 + 0.5 * plain.kl


def test_the_weight_of_the_kl_does_not_depend_on_the_size_of_the_picture():
    """Both terms are taken for each value of the picture, so four times the picture gives about the same."""
    model = autoencoder()
    small, noise = normal(1, 3, 16, 16), normal(1, 4, 8, 8, seed=1)
    large = model.terms(small.repeat(1, 1, 4, 4), noise.repeat(1, 1, 4, 4))
    torch.testing.assert_close(large.kl, model.terms(small, noise).kl, rtol=0.2, atol=0)


def test_players_train_both_and_the_discriminator_first():
    model, discriminator = autoencoder(), PatchDiscriminator(3, width=4, layers=1)
    images = normal(16, 3, 16, 16).clamp(-1, 1)
    first, second = autoencoder_players(model, discriminator, adversarial_weight=0.5)
    assert (first.module, second.module) == (discriminator, model)
    torch.manual_seed(1)
    loss, _ = first.objective({"image": images})
    torch.manual_seed(1)
    with torch.no_grad():
        fake = model(images, torch.randn(16, 4, 8, 8))
    torch.testing.assert_close(loss, hinge_discriminator_loss(discriminator(images), discriminator(fake)))
    loss.backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    before = {name: tensor.clone() for part in (model, discriminator) for name, tensor in part.state_dict().items()}
    history = fit([first, second], [{"image": images}], 2, progress=False)
    assert {"l1", "kl", "adversarial"} <= {name.rpartition("/")[2] for name in history}
    after = {**model.state_dict(), **discriminator.state_dict()}
    assert not after["encoder.conv_in.weight"].equal(before["encoder.conv_in.weight"])
    assert not after["model.0.weight"].equal(before["model.0.weight"])
    (alone,) = autoencoder_players(model)
    loss, logs = alone.objective({"image": images})
    assert logs["adversarial"] == 0 and loss.isfinite()


def test_a_discriminator_is_listened_to_only_after_its_start():
    model, discriminator = autoencoder(), PatchDiscriminator(3, width=4, layers=1)
    batch = {"image": normal(4, 3, 16, 16).clamp(-1, 1)}
    critic, player = autoencoder_players(model, discriminator, adversarial_weight=0.5, adversarial_start=1)
    parts = []
    for _ in range(3):
        torch.manual_seed(1)
        loss, logs = player.objective(batch)
        parts.append((loss - logs["l1"] - model.config.kl_weight * logs["kl"]).item())
        critic.after_step(batch)
    assert parts[:2] == pytest.approx([0, 0], abs=1e-6)
    assert parts[2] == pytest.approx(0.5 * logs["adversarial"].item(), abs=1e-5)
    assert "steps" in discriminator.state_dict(), "a training that goes on has to know how far it was"


# --- latents -------------------------------------------------------------------------------------------------------------


def test_scaled_latents_have_variance_one_and_the_scale_is_saved(tmp_path):
    model = autoencoder()
    images = normal(32, 3, 16, 16)
    latent = LatentDiffusion(model, nn.Identity())
    assert latent.encode(images).std() != pytest.approx(1, abs=0.05)
    model.measure_scale(images)
    assert latent.encode(images).std() == pytest.approx(1, abs=1e-5)
    hub.save_half(model, tmp_path)
    assert AutoencoderKL.from_pretrained(tmp_path).scaling_factor.equal(model.scaling_factor)


def test_latents_go_there_and_back():
    model = autoencoder()
    images, noise = normal(2, 3, 16, 16), normal(2, 4, 8, 8, seed=1)
    model.measure_scale(images)
    latent = LatentDiffusion(model, nn.Identity())
    posterior = model.encode(images)
    torch.testing.assert_close(latent.encode(images, noise), posterior.draw(noise) * model.scaling_factor)
    back = latent.decode(latent.encode(images))
    torch.testing.assert_close(back, model.decode(posterior.mean).clamp(-1, 1))
    assert back.abs().max() <= 1


def test_only_the_network_learns():
    network = UNet(UNetConfig(4, 4, 8, (8, 16), 1, (1,), num_groups=4, num_classes=3))
    latent = LatentDiffusion(autoencoder(), network)
    latents = latent.encode(normal(2, 3, 16, 16))
    assert not latents.requires_grad
    prediction = latent(latents, torch.tensor([1, 2]), torch.tensor([0, 1]))
    (prediction - 1).square().mean().backward()
    trainable = {name for name, parameter in latent.named_parameters() if parameter.requires_grad}
    assert trainable == {f"network.{name}" for name, _ in network.named_parameters()}
    assert all(parameter.grad is None for parameter in latent.autoencoder.parameters())
    assert network.conv_out.bias.grad.abs().min() > 0


def test_a_folder_of_stable_diffusion_loads_and_inpaints_as_it_does_there(tmp_path):
    """Latents, mask and hidden picture in the order of diffusers' inpainting pipeline, through the published layout of both parts."""
    vae = published()
    vae.save_pretrained(tmp_path / "vae")
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=9, out_channels=4, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=8,
    ).eval()  # fmt: skip
    unet.save_pretrained(tmp_path / "unet")
    ours = LatentDiffusion.from_hub(tmp_path)
    images, noisy, context = normal(2, 3, 32, 32), normal(2, 4, 16, 16, seed=1), normal(2, 7, 32, seed=2)
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, 5:20, 8:30] = 1
    with torch.no_grad():
        hidden = vae.encode(images * (mask < 0.5)).latent_dist.mode() * vae.config.scaling_factor
        joined = torch.cat([noisy, F.interpolate(mask, size=(16, 16)), hidden], dim=1)
        expected = unet(joined, 500, context).sample
        output = ours(noisy, torch.tensor([500, 500]), None, context, ours.inpainting_condition(images, mask))
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
    changed = images + 5 * mask  # under the mask nothing is looked at
    assert ours.inpainting_condition(changed, mask).equal(ours.inpainting_condition(images, mask))


def test_conditions_are_joined_at_the_size_of_the_latents():
    latents, layout, small = normal(2, 4, 8, 8), torch.zeros(2, 3, 16, 16), normal(2, 3, 4, 4)
    layout[:, 1] = 1
    layout[:, 1, :, 0], layout[:, 2, :, 0] = 0, 1  # half of the first column of cells is another class
    joined = concatenate(latents, layout, small)
    assert joined.shape == (2, 10, 8, 8)
    assert joined[:, :4].equal(latents)
    assert joined[:, 4:7].sum(dim=1).allclose(torch.ones(2, 8, 8))
    assert (joined[:, 5, :, 0] == 0.5).all() and (joined[:, 5, :, 1:] == 1).all()
    assert joined[:, 7:].equal(small.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_pictures_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="multiples of 2"):
        autoencoder().encode(normal(1, 3, 15, 16))
