"""Draws are a function of the generator, land where they are wanted, and are made in one place only."""

import ast
from pathlib import Path

import pytest
import torch

from course_utils import layers, runtime

PACKAGE = Path(layers.__file__).parent.parent
DRAWS = {
    "normal": lambda generator, **where: layers.draw_normal((1000, 4), generator, **where),
    "uniform": lambda generator, **where: layers.draw_uniform((1000, 4), generator, **where),
    "integers": lambda generator, **where: layers.draw_integers(2, 7, (1000, 4), generator, **where),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_draws_repeat_with_the_seed_and_leave_the_global_state_alone(draw):
    before = torch.get_rng_state()
    first, again, other = (draw(runtime.generator(seed)) for seed in (3, 3, 4))
    assert first.equal(again) and not first.equal(other) and first.shape == (1000, 4)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_draws_are_made_on_the_generators_device_and_moved(draw, monkeypatch):
    drawn_on = []
    for name in ("randn", "rand", "randint"):
        original = getattr(torch, name)

        def recording(*args, original=original, **kwargs):
            drawn_on.append(str(kwargs["device"]))
            return original(*args, **kwargs)

        monkeypatch.setattr(torch, name, recording)
    assert draw(runtime.generator(0), device="meta").device.type == "meta"
    assert draw(None, device="meta").device.type == "meta"
    assert drawn_on == ["cpu", "meta"]


def test_draws_have_the_distribution_that_they_name():
    normal = layers.draw_normal((100_000,), runtime.generator(0))
    uniform = layers.draw_uniform((100_000,), runtime.generator(0), dtype=torch.float64)
    integers = layers.draw_integers(2, 7, (100_000,), runtime.generator(0))
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    assert (
        0 <= uniform.min() and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01 and uniform.dtype == torch.float64
    )
    assert integers.dtype == torch.int64 and integers.unique().tolist() == [2, 3, 4, 5, 6]


def test_an_empty_range_of_integers_is_refused():
    with pytest.raises(ValueError, match="high must be larger"):
        layers.draw_integers(3, 3, (2,))


def calls_with_generator(source: str) -> list[int]:
    """Lines that hand a generator to a function or method that draws in torch."""
    drawing = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "rand_like", "randn_like"}
    drawing |= {f"{name}_" for name in ("normal", "uniform", "bernoulli", "random", "exponential")}
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in drawing
        and any(keyword.arg == "generator" for keyword in call.keywords)
    ]


def test_only_this_package_draws_with_a_generator():
    assert calls_with_generator("torch.randn(3, generator=g)\nx.normal_(generator=g)\ntorch.randn(3)") == [1, 2]
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if "layers" not in path.relative_to(PACKAGE).parts
        for line in calls_with_generator(path.read_text())
    }
    assert not found, (
        f"draw with course_utils.layers.draw_normal, draw_uniform or draw_integers instead, in {sorted(found)}"
    )
    assert calls_with_generator((PACKAGE / "layers" / "random.py").read_text()), (
        "the search no longer finds the known draws"
    )
