"""The engine: what it says to answers that are unwritten, break, or are wrong in kind, and that it leaves no trace."""

import contextlib
import linecache
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import Tensor, nn

from course_utils.autoencoders import autoencoder
from course_utils.checks.autoencoders import train_step as check_train_step
from course_utils.checks.engine import Case, Check, CheckFailed, Mistake, known_answers
from course_utils.checks.perform import Build, Network

scaled = Check(
    name="scaled",
    signature=("x", "factor"),
    reference=lambda x, factor: factor * x,
    holds="x times factor",
    look='00_test, exercise 1 "Scale"',
    hint="multiply.",
    cases=(
        Case("2 numbers", lambda draw: (draw.normal(2), 3.0)),
        Case("3x2 numbers", lambda draw: (draw.normal(3, 2), -0.5)),
    ),
    hidden_cases=(Case("nothing at all", lambda draw: (draw.normal(4), 0.0)),),
    gradients="required",
    differentiable=("x",),
    mistakes=(
        Mistake(lambda x, factor: x + factor, "You added."),
        Mistake(lambda x, factor: (factor * x).detach(), "You cut the graph."),
        Mistake(lambda x, factor: (factor * x).sum(), "You summed."),
    ),
)


def unwritten(x: Tensor, factor: float) -> Tensor:
    raise NotImplementedError()


def forgets_return(x: Tensor, factor: float) -> None:
    x * factor


def breaks(x: Tensor, factor: float) -> Tensor:
    return x @ torch.ones(7, 7)


def takes_one(x: Tensor) -> Tensor:
    return x


def swapped(factor: float, x: Tensor) -> Tensor:
    return factor * x


def in_place(x: Tensor, factor: float) -> Tensor:
    x *= factor
    return x


def exits(x: Tensor, factor: float) -> Tensor:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        (unwritten, ["This is not written yet"]),
        (forgets_return, ["returns nothing (None): is there a `return`?"]),
        (breaks, ["stops with RuntimeError", "return x @ torch.ones(7, 7)", "Print both shapes"]),
        (takes_one, ["other arguments than those that it takes", "scaled(x, factor)"]),
        (swapped, ["another order", "scaled(x, factor)", "scaled(factor, x)"]),
        (in_place, ["changes `x` in place"]),
        (exits, ["stops with SystemExit"]),
        (lambda x, factor: (factor * x).detach().numpy(), ["NumPy", "numpy.ndarray"]),
        (lambda x, factor: (factor * x).sum().item(), ["plain Python number"]),
        (lambda x, factor: (factor * x, x), ["2 things, but one tensor"]),
        (lambda x, factor: (factor * x)[..., None], ["wrong shape", "shape (2,)", "shape (2, 1)"]),
        (lambda x, factor: (factor * x).double(), ["wrong dtype", "torch.float32", "torch.float64"]),
        (lambda x, factor: (factor * x).to("meta"), ["stops with NotImplementedError"]),
        (lambda x, factor: (factor * x).data, ["You cut the graph."]),
        (lambda x, factor: (factor * x).data + x - x, ["values are right, but the gradient", "`x`"]),
        (lambda x, factor: x + factor, ["You added.", "2 numbers", "Expected", "Got"]),
        (lambda x, factor: (x * factor).sum(), ["You summed.", "Found     Your result has the wrong shape."]),
        (lambda x, factor: -factor * x, ["exactly the negative"]),
        (lambda x, factor: 2.5 * factor * x, ["is 2.5 times the right one"]),
        (lambda x, factor: factor * x + 0.25, ["by the same amount everywhere (0.25)"]),
        (lambda x, factor: factor * x + torch.randn_like(x), ["draws random numbers of its own"]),
        (lambda x, factor: factor * x / 0 * 0, ["NaN or infinity"]),
        (lambda x, factor: factor * x * x, ["values are not", "Hint      multiply.", '00_test, exercise 1 "Scale"']),
        (torch.ones(2), ["no function or class but a Tensor", "check.scaled(scaled)"]),
        (torch.nn.Linear(2, 2), ["no function or class but a Linear"]),
    ],
)
def test_says_what_is_wrong(answer: object, parts: list[str]) -> None:
    with pytest.raises(CheckFailed) as failed:
        scaled(answer)
    for part in parts:
        assert part in str(failed.value)


def test_another_device_is_told() -> None:
    right = known_answers(scaled, scaled.reference, False)
    elsewhere = [replace(answer, value=replace(answer.value, device="cuda:0")) for answer in right]
    assert scaled.verdict(right) is None
    failed = scaled.verdict(elsewhere)
    assert failed is not None
    assert "another device" in str(failed) and "cuda:0" in str(failed)


def test_success_prints_one_line_and_returns_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert scaled(lambda a, b: a * b) is None
    assert scaled(lambda a, b: b * a, hidden=True) is None
    out = capsys.readouterr()
    assert out.out.splitlines() == [
        "scaled holds: x times factor (2 cases).",
        "scaled holds in the hidden cases: x times factor (6 cases).",
    ]
    assert out.err == ""


def test_hidden_cases_find_what_the_visible_ones_do_not() -> None:
    def knows_the_visible_factors(x: Tensor, factor: float) -> Tensor:
        return factor * x if factor else x

    scaled(knows_the_visible_factors)
    with pytest.raises(CheckFailed, match="nothing at all"):
        scaled(knows_the_visible_factors, hidden=True)


def test_a_forbidden_gradient_is_told() -> None:
    quiet = Check(
        name="quiet", signature=("x",), reference=lambda x: x.detach(), holds="no graph", look="here", hint="detach",
        cases=(Case("4 numbers", lambda draw: (draw.normal(4),)),), mistakes=(), gradients="forbidden", differentiable=("x",),
    )  # fmt: skip
    quiet(lambda x: x.detach())
    with pytest.raises(CheckFailed, match="still carries a gradient"):
        quiet(lambda x: x * 1)


def test_a_gradient_to_what_the_reference_cuts_off_is_told() -> None:
    half = Check(
        name="half", signature=("x", "y"), reference=lambda x, y: x * y.detach(), holds="no way to y", look="here", hint="detach",
        cases=(Case("4 numbers", lambda draw: (draw.normal(4), draw.normal(4))),), mistakes=(), gradients="required",
        differentiable=("x", "y"),
    )  # fmt: skip
    half(lambda x, y: x * y.detach())
    half(lambda x, y: x * y.detach() + 0 * y)  # a gradient of zero is none
    with pytest.raises(CheckFailed, match="a gradient flows back to `y`, and none may"):
        half(lambda x, y: x * y)


def test_gradients_by_the_parameters_of_a_network_are_compared() -> None:
    judged = Check(
        name="judged", signature=("judge", "x", "y"), reference=lambda judge, x, y: judge(x) + judge(y.detach()), holds="both", look="here",
        hint="add", mistakes=(), gradients="required", differentiable=("y", "judge"),
        cases=(Case("2 rows", lambda draw: (Network((draw.normal(3, 4),), (draw.normal(3),), (3,)), draw.normal(2, 4), draw.normal(2, 4))),),
    )  # fmt: skip

    def frozen_for_a_while(judge: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        judge.requires_grad_(False)
        result = judge(x + 0 * y.detach()) + judge(y.detach())
        judge.requires_grad_(True)
        return result

    judged(lambda judge, x, y: judge(torch.cat([x, y]).detach()).view(2, 2, 3).sum(0))
    with pytest.raises(CheckFailed, match="a gradient flows back to `y`, and none may"):
        judged(lambda judge, x, y: judge(x) + judge(y))
    for half in (
        lambda judge, x, y: judge(x) + judge(y).detach(),
        lambda judge, x, y: judge(x).detach() + judge(y.detach()),
    ):
        with pytest.raises(CheckFailed, match="the gradient with respect to `judge.1.weight` is not"):
            judged(half)
    for none in (lambda judge, x, y: judge(x).detach() + judge(y).detach(), frozen_for_a_while):
        with pytest.raises(
            CheckFailed, match="no gradient flows from your result back to `judge.1.weight` and `judge.1.bias`"
        ):
            judged(none)


def test_what_a_module_keeps_for_evaluation_is_compared() -> None:
    def request(draw: Any) -> Build:
        return Build(
            (3,),
            {"weight": torch.ones(3), "bias": draw.normal(3)},
            {"forward": draw.normal(5, 3)},
            {"forward": draw.normal(1, 3)},
        )

    norm = Check(
        name="norm", signature=("features",), reference=nn.BatchNorm1d, holds="a batch norm", look="here", hint="nn.BatchNorm1d",
        cases=(Case("5 rows of 3", request),), mistakes=(), gradients="required",
    )  # fmt: skip
    norm(lambda features: nn.BatchNorm1d(features))
    for settings in ({"momentum": 0.0}, {"momentum": 0.5}):
        with pytest.raises(CheckFailed, match="Expected  forward in evaluation mode: "):
            norm(lambda features, settings=settings: nn.BatchNorm1d(features, **settings))
    with pytest.raises(CheckFailed, match="more than 1 value per channel"):
        norm(lambda features: nn.BatchNorm1d(features, track_running_stats=False))


def test_the_mode_and_the_gradients_of_a_network_are_left_as_they_came() -> None:
    judged = Check(
        name="judged", signature=("judge", "x"), reference=lambda judge, x: judge(x).mean(), holds="it", look="here", hint="call it",
        mistakes=(), gradients="required", differentiable=("x", "judge"),
        cases=(Case("3 rows", lambda draw: (Network((draw.normal(2, 4),), (draw.normal(2),), (2,), norm=True), 5 * draw.normal(3, 4))),),
    )  # fmt: skip

    def backward(judge: nn.Module, x: Tensor) -> Tensor:
        loss = judge(x).mean()
        loss.backward(retain_graph=True)
        return loss

    def emptied(judge: nn.Module, x: Tensor) -> Tensor:
        judge.zero_grad()
        return judge(x).mean()

    judged(lambda judge, x: judge(x).sum() / 6)
    with pytest.raises(CheckFailed, match="the values are not"):
        judged(lambda judge, x: judge.eval()(x).mean())
    for meddling in (backward, emptied):
        with pytest.raises(CheckFailed, match="your code changes the gradients of judge"):
            judged(meddling)


def test_the_rounding_of_a_gradient_that_is_zero_is_no_mistake() -> None:
    def normed(x: Tensor, shift: Tensor) -> Tensor:
        return 30 * nn.functional.layer_norm(x + shift, x.shape)  # which no shift changes

    norm = Check(
        name="norm", signature=("x", "shift"), reference=normed, holds="it", look="here", hint="norm", mistakes=(), gradients="required",
        differentiable=("x", "shift"), relative=1e-3, absolute=1e-3,
        cases=(Case("8 numbers", lambda draw: (draw.normal(8), draw.normal(1))),),
    )  # fmt: skip
    norm(lambda x, shift: normed(x.flip(0), shift).flip(0))
    norm(lambda x, shift: normed(x, shift) + 1e-5 * (shift - shift.detach()))
    with pytest.raises(CheckFailed, match="the gradient with respect to `shift` is not"):
        norm(lambda x, shift: normed(x, shift) + 0.1 * (shift - shift.detach()))


def test_an_argument_that_is_overwritten_is_told_beside_a_wrong_result() -> None:
    with pytest.raises(CheckFailed) as failed:
        scaled(lambda x, factor: x.mul_(2) * factor + x.square())
    assert "Your code changes `x` in place" in str(failed.value)
    assert "And the result is wrong" in str(failed.value)


def test_right_values_are_not_taken_for_a_mistake_that_gives_right_values() -> None:
    with pytest.raises(CheckFailed) as failed:
        scaled(lambda x, factor: (factor * x).data + x - x)
    assert "You cut the graph" not in str(failed.value)


def test_a_list_is_as_good_as_a_tuple() -> None:
    both = replace(scaled, reference=lambda x, factor: (factor * x, (x, factor)), mistakes=())
    both(lambda x, factor: [factor * x, [x, factor]])
    both(lambda x, factor: (factor * x, [x, factor]))
    with pytest.raises(CheckFailed, match="one tensor, but 2 things"):
        both(lambda x, factor: [factor * x, x])
    with pytest.raises(CheckFailed, match="2 things, but one tensor"):
        scaled(lambda x, factor: [factor * x, x])


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, factor: factor * x * (1 + 1e-4 * x.abs()) * 1.0005,  # nearly a factor
        lambda x, factor: factor * x * 1.00015,  # a factor that rounds to 1
        lambda x, factor: factor * x + 0.5 + 2e-3 * x.numel(),  # nearly a constant
        lambda x, factor: factor * x * (1.5 if len(x) == 2 else 1.51),  # a factor in each case
    ],
)
def test_what_is_nearly_a_factor_or_a_constant_is_not_called_one(answer: Callable[..., Tensor]) -> None:
    with pytest.raises(CheckFailed) as failed:
        scaled(answer)
    assert "values are not" in str(failed.value)
    assert "times the right one" not in str(failed.value) and "same amount" not in str(failed.value)


def test_enough_digits_are_shown_to_see_the_difference() -> None:
    constant = replace(scaled, reference=lambda x, factor: x.sum() * 0 + 15.0892, mistakes=())
    with pytest.raises(CheckFailed) as failed:
        constant(lambda x, factor: x.sum() * 0 + 15.0928)
    assert "15.089" in str(failed.value) and "15.093" in str(failed.value)
    many = replace(scaled, reference=lambda x, factor: x * 0 + torch.ones(40, 2)[:, : len(x)].sum(0), mistakes=())
    many = replace(many, cases=(Case("2 numbers", lambda draw: (draw.normal(2), 1.0)),), hidden_cases=())
    with pytest.raises(CheckFailed, match=r"Got       \[40.01, 40\]"):
        many(lambda x, factor: x * 0 + torch.tensor([40.01, 40.0]))


def test_what_is_wrong_in_one_case_alone_is_told() -> None:
    pair = replace(
        scaled, cases=(*scaled.cases, Case("large", lambda draw: (1e3 + draw.normal(2), 2.0), "Mind large numbers."))
    )
    with pytest.raises(CheckFailed) as failed:
        pair(lambda x, factor: factor * x.clamp(max=900))
    assert "Mind large numbers." in str(failed.value) and "large" in str(failed.value)
    with pytest.raises(CheckFailed) as failed:
        pair(lambda x, factor: factor * x.clamp(max=0))
    assert "Mind large numbers." not in str(failed.value)


def test_a_mistake_is_recognised_up_to_what_it_leaves_open() -> None:
    def signs(value: Any, wrong: Any) -> Any:
        return replace(value, data=value.data.abs() * torch.sign(wrong.data))

    wrong = Mistake(lambda x, factor: factor * x + x.square(), "You added the square.", signs)
    open_sign = replace(scaled, mistakes=(wrong,))
    with pytest.raises(CheckFailed, match="You added the square."):
        open_sign(lambda x, factor: -factor * x - x.square())
    open_sign(lambda x, factor: factor * x)


def test_forgetting_old_gradients_too_late_is_told() -> None:
    def step(*order: str) -> Callable[..., float]:
        def train_step(model: Any, optimizer: Any, images: Tensor) -> float:
            loss = autoencoder.reconstruction_loss(model(images), images)
            for what in order:
                {"zero_grad": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}[what]()
            return loss.item()

        return train_step

    nameless = replace(check_train_step, mistakes=())
    nameless(step("zero_grad", "backward", "step"))
    nameless(step("zero_grad", "backward", "step", "zero_grad"))
    with pytest.raises(CheckFailed, match="values are not"):
        nameless(step("backward", "step", "zero_grad"))


def test_own_draws_are_told_where_an_argument_is_a_network() -> None:
    applied = Check(
        name="applied", signature=("network", "x"), reference=lambda network, x: network(x).detach(), holds="network of x", look="here",
        hint="call it", mistakes=(),
        cases=(Case("2 rows", lambda draw: (Network((draw.normal(3, 4),), (draw.normal(3),), (3,)), draw.normal(2, 4))),),
    )  # fmt: skip
    applied(lambda network, x: network(x).detach())
    with pytest.raises(CheckFailed, match="draws random numbers of its own"):
        applied(lambda network, x: network(x).detach() + torch.rand(2, 3))


def test_global_state_is_left_as_it_was() -> None:
    def restless(x: Tensor, factor: float) -> Tensor:
        torch.rand(3), random.random(), numpy.random.rand()
        torch.manual_seed(5)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return factor * x

    def draws() -> tuple[float, float, float]:
        return torch.rand(()).item(), random.random(), float(numpy.random.rand())

    torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
    undisturbed = draws()
    torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
    for answer in (restless, unwritten):
        with contextlib.suppress(CheckFailed):
            scaled(answer)
    assert draws() == undisturbed
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_warnings_of_the_answer_do_not_reach_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    import warnings

    def warns(x: Tensor, factor: float) -> Tensor:
        warnings.warn("nbgrader would give no points for this", stacklevel=1)
        return factor * x

    scaled(warns)
    assert capfd.readouterr().err == ""


def test_failure_is_shown_in_jupyter_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell.instance()
    shell.user_ns.update(check=scaled, answer=lambda x, factor: x + factor)
    result = shell.run_cell("check(answer)")
    InteractiveShell.clear_instance()
    shown = capsys.readouterr().out
    assert isinstance(result.error_in_exec, CheckFailed)
    assert "You added." in shown and "Traceback" not in shown and "engine.py" not in shown
    assert len(shown.strip().splitlines()) <= 6


def test_the_line_of_the_answer_is_named() -> None:
    source = "def scaled(x, factor):\n    y = factor * x\n    return undefined_name + y\n"
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
    namespace: dict[str, object] = {}
    exec(compile(source, "<cell>", "exec"), namespace)
    with pytest.raises(CheckFailed) as failed:
        scaled(namespace["scaled"])
    assert "line 3: return undefined_name + y" in str(failed.value)
    assert "has it been run?" in str(failed.value)


def test_the_line_shown_is_the_students_own_where_the_course_fails_deeper() -> None:
    source = """
def train_step(model, optimizer, images):
    optimizer.zero_grad()
    loss = autoencoder.reconstruction_loss(model(images)[:, :, 1:], images)
    loss.backward()
    optimizer.step()
    return loss.item()
"""
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
    namespace: dict[str, Any] = {"autoencoder": autoencoder}
    exec(compile(source, "<cell>", "exec"), namespace)
    with pytest.raises(CheckFailed) as failed:
        check_train_step(namespace["train_step"])
    assert "line 4: loss = autoencoder.reconstruction_loss(model(images)[:, :, 1:], images)" in str(failed.value)
    assert "square" not in str(failed.value)  # the course's own line is the answer to another exercise
