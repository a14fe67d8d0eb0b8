"""What every model of the course must do. A new model joins by one line in CASES.

A case builds a small model and its inputs. `forward` and `loss` take the same inputs unless the case says otherwise; all
randomness comes in as tensors, drawn here, so both are functions of their inputs. `sample` is for models that draw.
"""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from course_utils import hub, layers, runtime
from course_utils.autoencoders import VAE, Autoencoder, AutoencoderConfig, VAEConfig
from course_utils.data import faces, scenes
from course_utils.metrics.judges import (
    FaceJudge,
    FaceJudgeConfig,
    GlyphJudge,
    GlyphJudgeConfig,
    SceneJudge,
    SceneJudgeConfig,
)
from course_utils.metrics.readings import face_targets, scene_targets

BATCH = 4


def pictures(channels: int = 1, size: int = 16) -> Tensor:
    """Pictures of pure ink and paper (BATCH, channels, size, size)."""
    return layers.draw_integers(0, 2, (BATCH, channels, size, size), runtime.generator(1)).float() * 2 - 1


def noise(*shape: int) -> Tensor:
    return layers.draw_normal((BATCH, *shape), runtime.generator(2))


def labels(classes: int) -> Tensor:
    return layers.draw_integers(0, classes, (BATCH,), runtime.generator(3))


def scene() -> tuple[Tensor, tuple[Tensor, ...]]:
    """Rendered scenes and what a judge should read from them."""
    records = scenes.records("train", torch.arange(BATCH))
    return scenes.render(records, 32), scene_targets(records, scenes.label_map(records, 32))


def portraits() -> tuple[Tensor, tuple[Tensor, ...]]:
    """Rendered faces and what a judge should read from them."""
    records = faces.records("train", torch.arange(BATCH))
    return faces.render(records, 16), face_targets(records)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple]  # of forward, and of loss unless it has its own
    sample: Callable[[nn.Module, torch.Generator], Tensor] | None = None
    loss_inputs: Callable[[], tuple] | None = None

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build()


WAYS = {"fully_connected": (32, 16), "convolutional": (8, 16)}
CASES = [
    *(Case(f"autoencoder {way} {up}", lambda way=way, widths=widths, up=up: Autoencoder(AutoencoderConfig(way, 3, 16, widths, 6, up)), lambda: (pictures(3),)) for way, widths in WAYS.items() for up in ("resize", "transposed")),
    *(Case(f"vae {way} {likelihood}", lambda way=way, widths=widths, likelihood=likelihood: VAE(VAEConfig(way, 1, 16, widths, 6, likelihood)), lambda: (pictures(), noise(6)), lambda model, generator: model.sample(3, generator)) for way, widths in WAYS.items() for likelihood in ("bernoulli", "gaussian")),
    *(Case(f"conditional vae, label into {into}", lambda into=into: VAE(VAEConfig("convolutional", 1, 16, (8, 16), 6, "bernoulli", 5, label_into=into)), lambda: (pictures(), noise(6), labels(5)), lambda model, generator: model.sample(3, generator, torch.arange(3))) for into in ("both", "encoder", "decoder", "neither")),
    Case("scene judge", lambda: SceneJudge(SceneJudgeConfig(3, 32, (8, 12, 12, 16), 16, 8)), lambda: scene()[:1], None, scene),
    Case("glyph judge", lambda: GlyphJudge(GlyphJudgeConfig(1, 16, (8, 12), 16, 62)), lambda: (pictures(),), None, lambda: (pictures(), torch.nn.functional.one_hot(labels(62), 62).float())),
    Case("face judge", lambda: FaceJudge(FaceJudgeConfig(3, 16, (8, 12), 16)), lambda: portraits()[:1], None, portraits),
]  # fmt: skip
SAMPLERS = [case for case in CASES if case.sample]


def of(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def outputs(model: nn.Module, case: Case) -> list[Tensor]:
    """Everything that forward and loss give, in a flat list."""
    return tree_leaves((model(*case.inputs()), model.loss(*(case.loss_inputs or case.inputs)())))


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
    model = case.model().train()
    inputs = (case.loss_inputs or case.inputs)()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = model.loss(*inputs).item()
    for _ in range(80):
        optimizer.zero_grad()
        loss = model.loss(*inputs)
        loss.backward()
        optimizer.step()
    assert loss.item() < before - 0.6 * abs(before)


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
        assert (ours - theirs).norm() <= 0.05 * ours.norm()
    assert rough[-1].dtype == torch.float32, "the loss is summed in float32, also under autocast"


@of(CASES)
def test_forward_and_loss_compile_without_a_graph_break(case):
    model = case.model().train()
    torch.compiler.reset()
    forward, loss = (torch.compile(f, fullgraph=True, backend="eager") for f in (model.forward, model.loss))
    loss_inputs = (case.loss_inputs or case.inputs)()
    for plain, compiled in [
        (model(*case.inputs()), forward(*case.inputs())),
        (model.loss(*loss_inputs), loss(*loss_inputs)),
    ]:
        assert all(a.equal(b) for a, b in zip(tree_leaves(plain), tree_leaves(compiled), strict=True))


class RefuseFloat64(TorchDispatchMode):
    """Fails at the first operation that makes a float64 tensor: MPS has none."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dtype == torch.float64 for leaf in tree_leaves(result)):
            raise TypeError(f"{function} makes float64")
        return result


def run_on_a_pretended_gpu(build: Callable[[], nn.Module], forward: tuple, loss: tuple) -> None:
    """Build the model where CUDA is the default device, then run it elsewhere, on inputs on CUDA; computes no numbers."""
    with FakeTensorMode(), RefuseFloat64():
        with torch.device("cuda"):
            model = build()
            forward, loss = (
                tree_map(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype), inputs)
                for inputs in (forward, loss)
            )
        results = tree_leaves((model(*forward), model.loss(*loss)))
        assert {str(result.device) for result in results} == {"cuda:0"}


@of(CASES)
def test_it_is_ready_for_a_gpu(case):
    run_on_a_pretended_gpu(case.build, case.inputs(), (case.loss_inputs or case.inputs)())


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
    inputs = (torch.zeros(2, 3),)
    if words is None:
        run_on_a_pretended_gpu(lambda: Careless(**how), inputs, inputs)
    else:
        with pytest.raises((RuntimeError, TypeError), match=words):
            run_on_a_pretended_gpu(lambda: Careless(**how), inputs, inputs)
