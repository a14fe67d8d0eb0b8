"""What every model of the course must do. A new model joins by one line in CASES.

A case builds a small model and its inputs. `forward` and `loss` take the same inputs unless the case says otherwise; all
randomness comes in as tensors, drawn here, so both are functions of their inputs. `sample` is for models that draw.
A model of several players names for each of them its part and its loss. A network whose loss is that of others has for inputs of its loss those of
`forward`, and what it is to predict.
"""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from course_utils import hub, layers, runtime
from course_utils.autoencoders import (
    VAE,
    VQVAE,
    VQVAE2,
    Autoencoder,
    AutoencoderConfig,
    HierarchicalPrior,
    HierarchicalPriorConfig,
    PixelCNN,
    PixelCNNConfig,
    VAEConfig,
    VQVAE2Config,
    VQVAEConfig,
    vqvae,
)
from course_utils.captioning_vqa import BLIP, BLIPAnswerer, BLIPConfig, Mapper, MapperConfig, QFormer, QFormerConfig
from course_utils.clip import CLIP, CLIPConfig
from course_utils.data import faces, scenes
from course_utils.diffusion import (
    AutoencoderKL,
    AutoencoderKLConfig,
    DiT,
    DiTConfig,
    PointDenoiser,
    PointDenoiserConfig,
    UNet,
    UNetConfig,
)
from course_utils.gans import DCGAN, GAN, DCGANConfig, GANConfig
from course_utils.language import (
    BERT,
    GPT2,
    T5,
    BERTConfig,
    GPT2Config,
    T5Config,
    ViT,
    ViTConfig,
    generate,
)
from course_utils.metrics.judges import (
    FaceJudge,
    FaceJudgeConfig,
    GlyphJudge,
    GlyphJudgeConfig,
    SceneJudge,
    SceneJudgeConfig,
)
from course_utils.metrics.readings import face_targets, scene_targets
from course_utils.text_to_image import Dalle, DalleConfig, DiscreteVAE, DiscreteVAEConfig
from course_utils.text_to_image.network import PromptNetwork, PromptNetworkConfig
from course_utils.translation import CycleGAN, CycleGANConfig, Pix2Pix, Pix2PixConfig

BATCH = 4


def pictures(channels: int = 1, size: int = 16) -> Tensor:
    """Pictures of pure ink and paper (BATCH, channels, size, size)."""
    return layers.draw_integers(0, 2, (BATCH, channels, size, size), runtime.generator(1)).float() * 2 - 1


def patches() -> Tensor:
    """Pictures (BATCH, 3, 16, 16) of one colour in each square of 4 x 4 pixels: what a grid of tokens can say."""
    return pictures(3, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)


def noise(*shape: int) -> Tensor:
    return layers.draw_normal((BATCH, *shape), runtime.generator(2))


def labels(classes: int) -> Tensor:
    return layers.draw_integers(0, classes, (BATCH,), runtime.generator(3))


def values(number: int, height: int, width: int) -> Tensor:
    """Grids of tokens (BATCH, height, width)."""
    return layers.draw_integers(0, number, (BATCH, height, width), runtime.generator(4))


def spread_out(model: VQVAE) -> VQVAE:
    """Codes far from each other, as in a trained model: between codes around zero the last bit of a weight would decide."""
    with torch.no_grad():
        model.quantizer.codebook.normal_()
    return model


def gumbel(*shape: int) -> Tensor:
    return vqvae.gumbel_noise(layers.draw_uniform((BATCH, *shape), runtime.generator(5)))


@torch.no_grad()
def shaken(model: nn.Module) -> nn.Module:
    """No layer at zero, as after some training: a network whose last layer is zero would agree with anything."""
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def scene() -> tuple[Tensor, tuple[Tensor, ...]]:
    """Rendered scenes and what a judge should read from them."""
    records = scenes.records("train", torch.arange(BATCH))
    return scenes.render(records, 32), scene_targets(records, scenes.label_map(records, 32))


def portraits() -> tuple[Tensor, tuple[Tensor, ...]]:
    """Rendered faces and what a judge should read from them."""
    records = faces.records("train", torch.arange(BATCH))
    return faces.render(records, 16), face_targets(records)


def dropout_noise() -> tuple[Tensor, ...]:
    """Uniform numbers for the decoder layers 0 and 1 of the small U-Net."""
    draw = runtime.generator(4)
    return layers.draw_uniform((BATCH, 16, 4, 4), draw), layers.draw_uniform((BATCH, 8, 8, 8), draw)


Players = dict[str, tuple[str, Callable[[], tuple]]]  # the part that a player trains: its loss, the inputs of that


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple]  # of forward, and of loss unless it has its own
    sample: Callable[[nn.Module, torch.Generator], Tensor] | None = None
    loss_inputs: Callable[[], tuple] | None = None
    tokens: bool = False  # the nearest code of some place may be another one after rounding
    players: Players = dataclasses.field(default_factory=dict)

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build()

    def losses(self) -> list[tuple[str, str, tuple]]:
        """The part of the model that is trained ("" for all of it), the method that is its loss, and the inputs of that."""
        if not self.players:
            return [("", "loss", (self.loss_inputs or self.inputs)())]
        return [(part, loss, inputs()) for part, (loss, inputs) in self.players.items()]

    def calls(self) -> list[tuple[str, tuple]]:
        """`forward` and the losses, each with its inputs."""
        return [("forward", self.inputs()), *((loss, inputs) for _, loss, inputs in self.losses())]


def gan_players(images: Callable[[], Tensor], *others: Callable[[], Tensor]) -> Players:
    """Both players of a GAN; `others` are noise and, where there are any, labels."""
    return {
        "discriminator": ("discriminator_loss", lambda: (images(), *(other() for other in others))),
        "generator": ("generator_loss", lambda: tuple(other() for other in others)),
    }


def points() -> Tensor:
    return layers.draw_normal((BATCH, 2), runtime.generator(5)) + 2


def pairs() -> tuple:
    """Inputs, their negatives as targets, and noise: what a U-Net can learn in a few steps."""
    return pictures(3), -pictures(3), dropout_noise()


def denoiser(name: str, build: Callable[[], nn.Module], settings: dict) -> Case:
    """A network of diffusion: noisy pictures, times, and the label and context that it takes by its settings."""

    def inputs() -> tuple:
        times = 1000 * layers.draw_uniform((BATCH,), runtime.generator(6))
        label = labels(5) if "num_classes" in settings else None
        context = noise(6, 10) if "context_width" in settings else None
        return noise(3, 8, 8), times, label, context

    return Case(name, lambda: shaken(build()), inputs, loss_inputs=lambda: (*inputs(), pictures(3, 8)))


def words(length: int, seed: int = 7) -> Tensor:
    """Texts (BATCH, length) of 11 different tokens, 0 and 1 not among them."""
    return layers.draw_integers(2, 11, (BATCH, length), runtime.generator(seed))


def real() -> Tensor:
    """Which of 6 tokens are real: each text begins with another amount of padding, the first with none."""
    return torch.arange(6) >= torch.arange(BATCH)[:, None]


BLIP_SIZES = BLIPConfig(3, 16, 4, 16, 1, 2, 24, 14, 8, 16, 2, 2, 24, 8, 12, 11, 13, 0, label_smoothing=0.0)
WAYS = {"fully_connected": (32, 16), "convolutional": (8, 16)}
CASES = [
    *(Case(f"autoencoder {way} {up}", lambda way=way, widths=widths, up=up: Autoencoder(AutoencoderConfig(way, 3, 16, widths, 6, up)), lambda: (pictures(3),)) for way, widths in WAYS.items() for up in ("resize", "transposed")),
    *(Case(f"vae {way} {likelihood}", lambda way=way, widths=widths, likelihood=likelihood: VAE(VAEConfig(way, 1, 16, widths, 6, likelihood)), lambda: (pictures(), noise(6)), lambda model, generator: model.sample(3, generator)) for way, widths in WAYS.items() for likelihood in ("bernoulli", "gaussian")),
    *(Case(f"conditional vae, label into {into}", lambda into=into: VAE(VAEConfig("convolutional", 1, 16, (8, 16), 6, "bernoulli", 5, label_into=into)), lambda: (pictures(), noise(6), labels(5)), lambda model, generator: model.sample(3, generator, torch.arange(3))) for into in ("both", "encoder", "decoder", "neither")),
    *(Case(f"vq-vae {quantizer}", lambda quantizer=quantizer: spread_out(VQVAE(VQVAEConfig(widths=(8, 16), image_size=16, num_codes=12, code_dim=6, quantizer=quantizer))), lambda quantizer=quantizer: (patches(), *((gumbel(12, 4, 4), 0.9) if quantizer == "gumbel" else ()))) for quantizer in ("ema", "gradient", "gumbel")),
    Case("vq-vae with the published network", lambda: spread_out(VQVAE(VQVAEConfig("vqgan", 3, 16, (8, 16), 1, 12, 6, "gradient", latent_channels=4, num_groups=4))), lambda: (patches(),), tokens=True),
    Case("vq-vae-2", lambda: VQVAE2(VQVAE2Config(image_size=16, widths=(8, 16), num_codes=12, code_dim=6)), lambda: (patches(),), tokens=True),
    *(Case(f"pixelcnn {name}", lambda settings=settings: PixelCNN(PixelCNNConfig(7, 4, 5, 8, 2, 3, **settings)), lambda settings=settings: (values(7, 4, 5), labels(3) if "num_classes" in settings else None, noise(2, 4, 5) if "condition_channels" in settings else None), lambda model, generator, settings=settings: model.sample(3, generator, torch.arange(3) if "num_classes" in settings else None, noise(2, 4, 5)[:3] if "condition_channels" in settings else None)) for name, settings in {"plain": {}, "with attention": {"attention_every": 1}, "conditional": {"num_classes": 3, "condition_channels": 2}}.items()),
    Case("vq-vae-2 prior", lambda: HierarchicalPrior(HierarchicalPriorConfig(7, 2, 3, 8, 2, 8, 2)), lambda: (values(7, 2, 2), values(7, 4, 4), labels(3)), lambda model, generator: model.sample(3, generator, torch.arange(3)).bottom),
    *(Case(f"gan, {loss}", lambda loss=loss: GAN(GANConfig((2,), 6, (32,), (32,), loss)), lambda: (noise(6),), lambda model, generator: model.sample(3, generator), players=gan_players(points, lambda: noise(6))) for loss in ("non_saturating", "least_squares", "hinge")),
    Case("gan of pictures", lambda: GAN(GANConfig((1, 16, 16), 6, (32,), (32,))), lambda: (noise(6),), lambda model, generator: model.sample(3, generator), players=gan_players(pictures, lambda: noise(6))),
    *(Case(f"dcgan {switch}", lambda switch=switch: DCGAN(DCGANConfig(1, 16, 6, 8, **switch)), lambda: (noise(6),), lambda model, generator: model.sample(3, generator), players=gan_players(pictures, lambda: noise(6))) for switch in ({}, {"strides": False}, {"leaky": False}, {"hidden_width": 16}, {"batch_norm": False})),
    *(Case(f"conditional dcgan {how}", lambda how=how: DCGAN(DCGANConfig(1, 16, 6, 8, 5, conditioning=how)), lambda: (noise(6), labels(5)), lambda model, generator: model.sample(3, generator, torch.arange(3)), players=gan_players(pictures, lambda: noise(6), lambda: labels(5))) for how in ("concatenation", "projection")),
    *(Case(f"pix2pix {kind}", lambda kind=kind: Pix2Pix(Pix2PixConfig(3, 3, 16, 3, 8, dropout=(0, 1), patch_layers=1, **kind)), lambda: (pictures(3), dropout_noise()), lambda model, generator: model.sample(pictures(3), generator), players={"discriminator": ("discriminator_loss", pairs), "generator": ("generator_loss", pairs)}) for kind in ({}, {"norm": "instance"}, {"skips": False}, {"conditional": False})),
    Case("cyclegan", lambda: CycleGAN(CycleGANConfig(1, 16, 8, 1, 1)), lambda: (pictures(), -pictures()), players={"discriminators": ("discriminator_loss", lambda: (pictures(), -pictures(), -pictures(), pictures().roll(1, 0))), "generators": ("generator_loss", lambda: (pictures(), -pictures()))}),
    *(denoiser(f"u-net {kind}", lambda kind=kind: UNet(UNetConfig(3, 3, 8, (8, 16), 1, (1,), 2, num_groups=4, **kind)), kind) for kind in ({}, {"num_classes": 5, "scale_shift": True}, {"context_width": 10}, {"unshuffle": 2, "convention": "ddpm"})),
    *(denoiser(f"dit {kind}", lambda kind=kind: DiT(DiTConfig(3, 3, 8, 2, 16, 2, 2, **kind)), kind) for kind in ({}, {"num_classes": 5}, {"context_width": 10})),
    Case("denoiser of points", lambda: shaken(PointDenoiser(PointDenoiserConfig(2, 16, 2))), lambda: (noise(2), 1000 * layers.draw_uniform((BATCH,), runtime.generator(6))), loss_inputs=lambda: (noise(2), 1000 * layers.draw_uniform((BATCH,), runtime.generator(6)), points())),
    Case("kl autoencoder", lambda: AutoencoderKL(AutoencoderKLConfig(3, 16, (8, 16), 1, 4, 4)), lambda: (patches(), noise(4, 8, 8))),
    *(Case(f"gpt-2 {kind}", lambda: GPT2(GPT2Config(11, 8, 16, 2, 2)), lambda mask=mask: (words(6), *mask()), lambda model, generator: generate(model, words(4), 4, generator, temperature=3.0)) for kind, mask in {"": tuple, "padded": lambda: (real(),)}.items()),
    Case("bert", lambda: BERT(BERTConfig(11, 8, 16, 2, 2, 24)), lambda: (words(6), real()), loss_inputs=lambda: (words(6), words(6, 8), real(), (words(6) > 5).long(), words(1)[:, 0] % 2)),
    *(Case(f"t5 {kind}", lambda kind=kind: shaken(T5(T5Config(11, 16, 1, 2, 2, 6, 24, **kind))), lambda: (words(6), words(5, 8), real()), lambda model, generator: generate(model, words(6), 4, generator, temperature=3.0)) for kind in ({}, {"gated": True, "tied": False, "scaled_output": False})),
    Case("vit", lambda: shaken(ViT(ViTConfig(3, 16, 4, 16, 2, 2, 24, 5))), lambda: (pictures(3),), loss_inputs=lambda: (pictures(3), labels(5))),
    Case("clip", lambda: CLIP(CLIPConfig(3, 16, 4, 16, 2, 2, 24, 11, 8, 16, 2, 2, 24, 10, 12)), lambda: (pictures(3), words(6))),
    Case("prompt network", lambda: shaken(PromptNetwork(PromptNetworkConfig(11, 6, 16, 1, 2, width=16, depth=1, num_heads=2))), lambda: (noise(4, 8, 8), labels(1000), words(6)), loss_inputs=lambda: (noise(4, 8, 8), labels(1000), words(6), pictures(4, 8))),
    Case("clip with a residual network", lambda: shaken(CLIP(CLIPConfig(3, 16, 0, 8, 0, 4, 0, 11, 8, 16, 2, 2, 24, 10, 12, image_blocks=(1, 1)))), lambda: (pictures(3), words(6))),
    Case("dalle", lambda: Dalle(DalleConfig(11, 6, 7, 3, 16, 2, 2)), lambda: (words(6), real().flip(1), values(7, 3, 3)), lambda model, generator: model.generate(words(6), real().flip(1), generator, temperature=3.0)),
    Case("dall-e's discrete autoencoder", lambda: DiscreteVAE(DiscreteVAEConfig(3, 12, 8, 6, 1)), lambda: (patches(),), loss_inputs=lambda: (patches(), gumbel(12, 2, 2)), tokens=True),
    Case("blip", lambda: BLIP(BLIP_SIZES), lambda: (pictures(3), words(6), real().flip(1)), lambda model, generator: model.generate(pictures(3), 4, generator, temperature=3.0), lambda: (pictures(3), words(6), real().flip(1), layers.draw_uniform((2, BATCH, BATCH), runtime.generator(5)))),
    Case("blip on a residual network", lambda: BLIP(dataclasses.replace(BLIP_SIZES, image_blocks=(1, 1))), lambda: (pictures(3), words(6), real().flip(1)), lambda model, generator: model.generate(pictures(3), 4, generator, temperature=3.0), lambda: (pictures(3), words(6), real().flip(1), layers.draw_uniform((2, BATCH, BATCH), runtime.generator(5)))),
    Case("blip for questions", lambda: BLIPAnswerer(BLIP_SIZES), lambda: (pictures(3), words(6), words(5, 8), real().flip(1)), lambda model, generator: model.generate(pictures(3), words(6), 4, generator, temperature=3.0)),
    Case("q-former", lambda: shaken(QFormer(QFormerConfig(4, 16, 2, 2, 24, 10, 2, 14, 8, 12, True, 11, 0))), lambda: (noise(6, 10), words(6), real().flip(1)), loss_inputs=lambda: (noise(6, 10), words(6), real().flip(1), layers.draw_uniform((2, BATCH, BATCH), runtime.generator(5)))),
    *(Case(f"clipcap mapper {kind}", lambda kind=kind: Mapper(MapperConfig(kind, 6, 16, 3, 2, 2, 2)), lambda: (noise(6),), loss_inputs=lambda: (noise(6), noise(3, 16))) for kind in ("mlp", "transformer")),
    Case("scene judge", lambda: SceneJudge(SceneJudgeConfig(3, 32, (8, 12, 12, 16), 16, 8)), lambda: scene()[:1], None, scene),
    Case("glyph judge", lambda: GlyphJudge(GlyphJudgeConfig(1, 16, (8, 12), 16, 62)), lambda: (pictures(),), None, lambda: (pictures(), torch.nn.functional.one_hot(labels(62), 62).float())),
    Case("face judge", lambda: FaceJudge(FaceJudgeConfig(3, 16, (8, 12), 16)), lambda: portraits()[:1], None, portraits),
]  # fmt: skip
SAMPLERS = [case for case in CASES if case.sample]


def of(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def method(model: nn.Module, name: str) -> Callable:
    """The method of that name; for a network without a loss of its own the mean squared error to the last of the inputs."""
    if name == "loss" and not hasattr(model, name):
        return lambda *inputs: torch.nn.functional.mse_loss(model(*inputs[:-1]).float(), inputs[-1])
    return getattr(model, name)


def outputs(model: nn.Module, case: Case) -> list[Tensor]:
    """Everything that forward and the losses give, in a flat list."""
    return tree_leaves([method(model, name)(*inputs) for name, inputs in case.calls()])


@of(CASES)
def test_saved_and_loaded_it_is_the_same(case, tmp_path):
    model = case.model().eval()
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert all(a.equal(b) for a, b in zip(outputs(model, case), outputs(loaded, case), strict=True))


@of(CASES)
def test_a_half_precision_checkpoint_is_close_and_saves_again_unchanged(case, tmp_path):
    model = case.model().eval()
    hub.save_half(model, tmp_path / "once")
    loaded = type(model).from_pretrained(tmp_path / "once")
    hub.save_half(loaded, tmp_path / "twice")
    first, second = ((tmp_path / name / hub.WEIGHTS).read_bytes() for name in ("once", "twice"))
    assert first == second
    for ours, theirs in zip(outputs(model, case), outputs(loaded, case), strict=True):
        assert (ours - theirs).norm() <= 0.01 * ours.norm() + 1e-6


@of(CASES)
def test_it_overfits_one_batch(case):
    """Of several players each in its turn: it must be able to win against the others as they are then, standing still."""
    model = case.model().train()
    for part, name, inputs in case.losses():
        optimizer = torch.optim.Adam(model.get_submodule(part).parameters(), lr=1e-2)
        before = method(model, name)(*inputs).item()
        for _ in range(80):
            optimizer.zero_grad()
            loss = method(model, name)(*inputs)
            loss.backward()
            optimizer.step()
        assert loss.item() < before - 0.6 * abs(before), name


@of(SAMPLERS)
def test_samples_are_a_function_of_the_generator(case):
    model = case.model().eval()
    torch.manual_seed(1)
    first = case.sample(model, runtime.generator(5))
    torch.manual_seed(2)
    again, other = case.sample(model, runtime.generator(5)), case.sample(model, runtime.generator(6))
    assert first.equal(again)
    assert not first.equal(other)


@of(CASES)
def test_bfloat16_autocast_is_finite_and_close(case):
    model = case.model().eval()
    exact = outputs(model, case)
    with torch.autocast("cpu", torch.bfloat16):
        rough = outputs(model, case)
    for ours, theirs in zip(exact, rough, strict=True):
        assert theirs.isfinite().all()
        if case.tokens:
            assert (ours - theirs).abs().median() <= 0.05 * ours.abs().median()
        else:
            assert (ours - theirs).norm() <= 0.05 * ours.norm()
    losses = rough[-len(case.losses()) :]
    assert all(loss.dtype == torch.float32 for loss in losses), "a loss is summed in float32, also under autocast"


@of(CASES)
def test_forward_and_loss_compile_without_a_graph_break(case):
    model = case.model().train()
    torch.compiler.reset()
    for name, inputs in case.calls():
        compiled = torch.compile(method(model, name), fullgraph=True, backend="eager")
        plain, compiled = method(model, name)(*inputs), compiled(*inputs)
        assert all(a.equal(b) for a, b in zip(tree_leaves(plain), tree_leaves(compiled), strict=True)), name


class RefuseFloat64(TorchDispatchMode):
    """Fails at the first operation that makes a float64 tensor: MPS has none."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dtype == torch.float64 for leaf in tree_leaves(result)):
            raise TypeError(f"{function} makes float64")
        return result


def run_on_a_pretended_gpu(build: Callable[[], nn.Module], calls: list[tuple[str, tuple]]) -> None:
    """Build the model where CUDA is the default device, then run its methods elsewhere, on inputs on CUDA; computes no numbers."""
    with FakeTensorMode(), RefuseFloat64():
        with torch.device("cuda"):
            model = build()
            calls = tree_map_only(Tensor, lambda leaf: torch.empty(leaf.shape, dtype=leaf.dtype), calls)
        results = tree_leaves([method(model, name)(*inputs) for name, inputs in calls])
        assert {str(result.device) for result in results} == {"cuda:0"}


@of(CASES)
def test_it_is_ready_for_a_gpu(case):
    run_on_a_pretended_gpu(case.build, case.calls())


class Careless(nn.Module):
    """Makes a tensor in its loss: where and of what type, the test says."""

    def __init__(self, **how):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.how = how

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images)

    def loss(self, images: Tensor) -> Tensor:
        return (self(images) + torch.ones(3, **self.how)).sum().float()


@pytest.mark.parametrize(
    ("how", "words"), [({}, "cpu"), ({"device": "cuda", "dtype": torch.float64}, "float64"), ({"device": "cuda"}, None)]
)
def test_the_gpu_test_finds_a_forgotten_device_and_a_float64(how, words):
    calls = [("forward", (torch.zeros(2, 3),)), ("loss", (torch.zeros(2, 3),))]
    if words is None:
        run_on_a_pretended_gpu(lambda: Careless(**how), calls)
    else:
        with pytest.raises((RuntimeError, TypeError), match=words):
            run_on_a_pretended_gpu(lambda: Careless(**how), calls)
