"""The engine behind every check: it asks an answer for results on some cases and says, as a teacher would, what is wrong.

A check is declared: a reference, cases, and the known mistakes, each a wrong function with a sentence. The engine looks in this order: is
it written, does it run, type, shape, dtype, device, does a gradient flow, values, gradients, inputs unchanged. What fails is then compared
with what each known wrong function returns: the one that fails alike gives its sentence.
"""

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from course_utils import runtime
from course_utils.checks.perform import Answer, Call, Description, Failure, Request
from course_utils.checks.plain import Seen, Unknown
from course_utils.checks.subjects import Forged, InChild, InNotebook, SubjectLost
from course_utils.layers import draw_integers, draw_normal, draw_uniform


class CheckFailed(AssertionError):
    """An answer that does not hold yet. Shown as a few lines, in Jupyter without a traceback.

    Attributes:
        exercise: name of the check.
        sentence: what is wrong.
        details: lines (label, text): the case, what was expected, what came, where to look.
    """

    def __init__(self, exercise: str, sentence: str, details: Sequence[tuple[str, str]] = ()):
        self.exercise, self.sentence, self.details = exercise, sentence, tuple(details)
        super().__init__(exercise, sentence, self.details)

    def __str__(self) -> str:
        lines = [f"{self.exercise}: not yet. {self.sentence}"]
        return "\n".join(lines + [f"  {label:<9} {text}" for label, text in self.details])

    def _render_traceback_(self, *_: object) -> list[str]:
        first, *rest = str(self).split("\n")
        return [
            f"\x1b[1m{first}\x1b[0m",
            *rest,
        ]  # bold; red could hardly be read on the red ground of JupyterLab's errors


class Draw:
    """Random inputs for cases: all from one seed, on the CPU."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal numbers."""
        return draw_normal(shape, self.generator, dtype=dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Numbers evenly from [low, high)."""
        return low + (high - low) * draw_uniform(shape, self.generator)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Integers (int64) from 0 to high - 1."""
        return draw_integers(0, high, shape, self.generator)


@dataclass(frozen=True)
class Case:
    """One situation to try an answer in.

    Args:
        name: what the reader is told of it: "3 codes of 5 numbers".
        make: builds what is asked from a `Draw`: the arguments in order (a tuple), or a whole request.
        alone: what to say to an answer that is wrong in this case and right in all others.
    """

    name: str
    make: Callable[[Draw], tuple[Any, ...] | Request]
    alone: str = ""


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer and the sentence that a teacher would say to it.

    Args:
        wrong: the wrong answer.
        sentence: what to say.
        align: makes an answer comparable with the wrong one, where that leaves a choice: (value, wrong value) -> value.
    """

    wrong: Callable[..., Any]
    sentence: str
    align: Callable[[Any, Any], Any] | None = None


@dataclass(frozen=True)
class Check:
    """The check of one exercise. Call it with the answer: it prints a line if all holds, and raises `CheckFailed` if not.

    Args:
        name: of the function or class that the exercise asks for.
        signature: names of the arguments in order; those of the constructor for a class.
        reference: the right answer.
        holds: what is proven by success, for the line that is printed.
        look: notebook and exercise, for the message.
        hint: where to look or what to try when no known mistake fits.
        cases: tried in the notebook.
        hidden_cases: tried in addition when graded; the visible ones are tried again then, on other seeds.
        mistakes: known wrong answers.
        gradients: "required" if gradients must flow to the tensors named in `differentiable` as they do in the reference, which may cut some
            off; "forbidden" if none may; or "free".
        differentiable: names of the arguments to differentiate by; of a `Network`, by its parameters.
        relative, absolute: tolerances of the values.
        align: makes a result comparable where the exercise leaves a choice: (value, expected value) -> value.
        not_a_number: what to say where the answer gives NaN or infinity and the reference does not.
    """

    name: str
    signature: tuple[str, ...]
    reference: Callable[..., Any]
    holds: str
    look: str
    hint: str
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]
    hidden_cases: tuple[Case, ...] = ()
    gradients: str = "free"
    differentiable: tuple[str, ...] = ()
    relative: float = 1e-4
    absolute: float = 1e-5
    align: Callable[[Any, Any], Any] | None = None
    not_a_number: str = "Your result holds NaN or infinity: somewhere you divide by zero, or take a root or logarithm of what is not positive."

    def __call__(self, answer: Any, *, hidden: bool = False) -> None:
        """Check `answer`, the function or class itself (or a subject), and print one line if it holds.

        Args:
            hidden: try further cases and other seeds, as grading does.

        Raises:
            CheckFailed: with what was expected, what came, and which mistake it is.
        """
        subject = answer if isinstance(answer, (InNotebook, InChild)) else InNotebook(answer, self.name)
        try:
            self._look_over(subject.look())
            answers = [subject.answer(request) for _, request in self.tried(hidden)]
        except Forged as error:
            raise CheckFailed(self.name, f"No honest answer: {error}.") from None
        except SubjectLost as error:
            raise CheckFailed(self.name, f"No answer: {error}.", self._where()) from None
        failed = self.verdict(answers, hidden)
        if failed is not None:
            raise failed from None
        print(f"{self.name} holds{' in the hidden cases' if hidden else ''}: {self.holds} ({len(answers)} cases).")

    def tried(self, hidden: bool = False) -> list[tuple[str, Request]]:
        """The cases by name, with the requests that they make."""
        return _tried(self, hidden)

    def verdict(self, answers: Sequence[Answer], hidden: bool = False) -> CheckFailed | None:
        """What is wrong with `answers` to the requests of `tried(hidden)`, or None."""
        names = [name for name, _ in self.tried(hidden)]
        expected = known_answers(self, self.reference, hidden)
        answers = [
            replace(got, value=_fitted(got.value, right.value)) for right, got in zip(expected, answers, strict=True)
        ]
        for aspect in self._aspects():
            for name, right, got in zip(names, expected, answers, strict=True):
                found = aspect(right, got, self)
                if found is None:
                    continue
                sentence = None if got.failure is not None and got.failure.unwritten else self.mistake(answers, hidden)
                if aspect is _failure and sentence is None:
                    found = _with_hint(found, got.failure, self)
                general = self._relation(expected, answers) if aspect == self._value else None
                draws = got.drew and not right.drew and aspect in (self._flow, self._value)
                general = general or (_DRAWS if draws else None)
                if aspect in (self._value, _slope) and got.changed:
                    general = general or _overwritten(got)
                if sentence is None and got.failure is None:
                    sentence = self._alone(names, expected, answers)
                first, details = found
                if sentence or general:
                    details = details if first in (_DIFFERS, Check.not_a_number) else [("Found", first), *details]
                    first = sentence or general or first
                return CheckFailed(
                    self.name, first, [("Case", name), *details, *self._where(recognised=sentence is not None)]
                )
        return None

    def _aspects(self) -> tuple[Callable[[Answer, Answer, "Check"], "Finding"], ...]:
        """What is looked at, in the order in which a teacher would."""
        kinds = (_failure, _nothing, _kind, _shape, _dtype, _device)
        return (*kinds, self._flow, self._value, _slope, _changed)

    def _alone(self, names: Sequence[str], expected: Sequence[Answer], answers: Sequence[Answer]) -> str | None:
        """What to say where only one case, or cases that share a sentence, are wrong."""
        sentences = {case.name: case.alone for case in self.cases + self.hidden_cases}
        wrong = {
            sentences[name]
            for name, right, got in zip(names, expected, answers, strict=True)
            if any(aspect(right, got, self) is not None for aspect in self._aspects())
        }
        return wrong.pop() or None if len(wrong) == 1 else None

    def mistake(self, answers: Sequence[Answer], hidden: bool = False) -> str | None:
        """The sentence of the known mistake that gives `answers`: alike in everything, or else in its values."""
        known = [(mistake, known_answers(self, mistake.wrong, hidden)) for mistake in self.mistakes]
        ways = [self.alike, self._alike_but_for_events, self._alike_in_value]
        right = known_answers(self, self.reference, hidden)
        if all(self._alike_in_value(mine, its) for mine, its in zip(answers, right, strict=True)):
            ways.pop()  # right values do not tell which mistake it is
        for alike in ways:
            for mistake, wrong in known:
                aligned = (self._aligned(mine, its, mistake) for mine, its in zip(answers, wrong, strict=True))
                if all(alike(mine, its) for mine, its in zip(aligned, wrong, strict=True)):
                    return mistake.sentence
        return None

    def _aligned(self, answer: Answer, wrong: Answer, mistake: Mistake) -> Answer:
        comparable = answer.failure is None and wrong.failure is None
        if mistake.align is None or not comparable or any(f(wrong, answer, self) for f in (_kind, _shape)):
            return answer
        return replace(answer, value=mistake.align(answer.value, wrong.value))

    def alike(self, a: Answer, b: Answer) -> bool:
        """Whether two answers are equal in values, gradients, events and all."""
        return self._alike_but_for_events(a, b) and a.events == b.events

    def _alike_but_for_events(self, a: Answer, b: Answer) -> bool:
        if not self._alike_in_value(a, b) or a.changed != b.changed or a.gradients.keys() != b.gradients.keys():
            return False
        largest = _largest(b.gradients.values())
        if not all(_similar(a.gradients[name], b.gradients[name], largest) for name in a.gradients):
            return False
        return self.gradients == "free" or _graphs(a.value) == _graphs(b.value)

    def _alike_in_value(self, a: Answer, b: Answer) -> bool:
        if a.failure is not None or b.failure is not None:
            return a.failure is not None and b.failure is not None and _gist(a.failure) == _gist(b.failure)
        if any(aspect(a, b, self) is not None for aspect in (_kind, _shape, _dtype, _device)):
            return False
        return self._first_difference(a.value, b.value, nan_equal=True) is None

    def _look_over(self, found: Description) -> None:
        arguments = ", ".join(self.signature)
        if found.kind == "missing":
            if found.failure is not None:
                first, details = _with_hint(_failure_text(found.failure), found.failure, self)
                first = f"There is no `{self.name}`, for the cell {found.cell} fails. {first}"
                raise CheckFailed(self.name, first, [*details, ("Look at", self.look)])
            raise CheckFailed(
                self.name,
                f"There is no `{self.name}`: run its cell, and keep the name that the exercise gives.",
                self._where(),
            )
        if found.kind == "module" or found.kind == "other":
            advice = f"Pass `{self.name}` itself, without calling it: `check.{_check_name(self.name)}({self.name})`."
            raise CheckFailed(
                self.name, f"This is no function or class but a {found.type_name}. {advice}", self._where()
            )
        plain_order = sorted(found.parameters) == sorted(self.signature) and len(self.signature) > 1
        if plain_order and found.parameters != self.signature:
            raise CheckFailed(
                self.name,
                "The arguments stand in another order than in the exercise, so each call would mix them up.",
                [
                    ("Expected", f"{self.name}({arguments})"),
                    ("Got", f"{self.name}({', '.join(found.parameters)})"),
                    *self._where(),
                ],
            )

    def _where(self, recognised: bool = False) -> list[tuple[str, str]]:
        return [("Look at", self.look)] if recognised else [("Hint", self.hint), ("Look at", self.look)]

    def _flow(self, right: Answer, got: Answer, _: "Check") -> "Finding":
        if self.gradients == "required":
            cut = [
                name
                for name, gradient in right.gradients.items()
                if gradient is not None and got.gradients.get(name) is None
            ]
            if cut:
                names = " and ".join(f"`{name}`" for name in cut[:3])
                right_values = self._first_difference(right.value, got.value) is None
                return (
                    f"The values may be right, but no gradient flows from your result back to {names}, so nothing could be learned through it."
                    if right_values
                    else f"The values are wrong, and no gradient flows from your result back to {names}: are all of the arguments used?",
                    [
                        (
                            "Expected",
                            "a graph to every input: no detach(), .data, item(), numpy() or torch.no_grad() on the way",
                        )
                    ],
                )
        if self.gradients == "forbidden" and any(_graphs(got.value)):
            return (
                "Your result still carries a gradient, and with it the whole graph that made it in memory.",
                [("Expected", "a tensor with requires_grad=False"), ("Got", "requires_grad=True")],
            )
        return None

    def _value(self, right: Answer, got: Answer, _: "Check") -> "Finding":
        difference = self._first_difference(right.value, got.value)
        if difference is None:
            return None
        name, expected, came = difference
        if not torch.isfinite(came).all() and torch.isfinite(expected).all():
            return (self.not_a_number, [("Expected", name + numbers(expected)), ("Got", name + numbers(came))])
        digits = _digits(expected, came, self.relative, self.absolute)
        details = [("Expected", name + numbers(expected, digits)), ("Got", name + numbers(came, digits))]
        if expected.numel() > _SHOWN:
            gap = (expected.double() - came.double()).abs()
            place = [int(i) for i in torch.unravel_index(gap.nan_to_num(0).argmax(), gap.shape)]
            a, b = expected[tuple(place)], came[tuple(place)]
            digits = _digits(a, b, self.relative, self.absolute)
            there = f"{_rounded(b.item(), digits)} where {_rounded(a.item(), digits)} belongs"
            details.append(("Largest", f"difference at {place}: {there}"))
        return (_DIFFERS, details)

    def _first_difference(self, right: Any, got: Any, nan_equal: bool = False) -> tuple[str, Tensor, Tensor] | None:
        """The first leaf of two values of equal structure that differs: its name, and both tensors."""
        if self.align is not None:
            got = self.align(got, right)
        for (name, a), (_, b) in zip(_leaves(right), _leaves(got), strict=True):
            if isinstance(a, (Unknown, str)) or a is None:
                continue
            x, y = (_as_tensor(leaf) for leaf in (a, b))
            if not _close(x, y, self.relative, self.absolute):
                return name, x, y
        return None

    def _relation(self, expected: Sequence[Answer], answers: Sequence[Answer]) -> str | None:
        """A factor or a constant between what was expected and what came, if there is one that holds everywhere."""
        if any(answer.failure is not None for answer in answers) or self.align is not None:
            return None  # kinds and shapes have been found equal before
        pairs = []
        for right, got in zip(expected, answers, strict=True):
            leaves = [[_as_tensor(leaf).double().flatten() for _, leaf in _leaves(of.value)] for of in (right, got)]
            pairs.append([torch.cat(parts) for parts in leaves])
        right_all, got_all = (torch.cat(values) for values in zip(*pairs, strict=True))
        if not (torch.isfinite(got_all).all() and torch.isfinite(right_all).all()) or len(right_all) < 3:
            return None
        factor = ((right_all @ got_all) / (right_all @ right_all).clamp(min=1e-12)).item()
        if abs(factor) > 1e-3 and all(_falls_short(a, b, factor * a) for a, b in pairs):
            if _rounded(factor) == "-1":
                return "Your result is exactly the negative of the right one: look for a turned sign."
            if _rounded(factor) != "1":
                return f"Your result is {_rounded(factor)} times the right one, in every case: look for a missing or extra factor."
        shift = (got_all - right_all).mean().item()
        if all(_falls_short(a, b, a + shift) for a, b in pairs):
            return f"Your result differs from the right one by the same amount everywhere ({_rounded(shift)}): look for a missing or extra constant."
        return None


@functools.cache
def _tried(check: Check, hidden: bool) -> list[tuple[str, Request]]:
    plan = [(case, 11) for case in check.cases]
    if hidden:
        plan = [(case, seed) for seed in _hidden_seeds() for case in check.cases + check.hidden_cases]
    made = []
    for number, (case, seed) in enumerate(plan):
        request = case.make(Draw(seed + 31 * number))
        if isinstance(request, tuple):
            asked = check.differentiable if check.gradients != "free" else ()
            request = Call(dict(zip(check.signature, request, strict=False)), asked)
        made.append((case.name, request))
    return made


@functools.cache
def _hidden_seeds() -> tuple[int, ...]:
    """The seeds of the hidden tests: a list in a file that students do not get."""
    path = runtime.repository() / "solutions" / "hidden_seeds.json"
    if not path.exists():
        raise FileNotFoundError(f"hidden tests need {path}, a list of seeds that only instructors have")
    return tuple(json.loads(path.read_text(encoding="utf-8")))


@functools.cache
def known_answers(check: Check, function: Callable[..., Any], hidden: bool) -> list[Answer]:
    """What the reference or a known mistake of `check` answers: the same each time, so it is computed once."""
    subject = InNotebook(function)
    return [subject.answer(request) for _, request in check.tried(hidden)]


Finding = tuple[str, list[tuple[str, str]]] | None

_DIFFERS = "It runs, and type and shape are right, but the values are not."
_DRAWS = "Your code draws random numbers of its own (a new layer does that too): all randomness must come in through the arguments, or no result can be repeated."
_SHOWN = 6


def numbers(tensor: Tensor, digits: int = 4) -> str:
    """A tensor in a few numbers rounded to `digits` digits: "[1.25, -0.5, 3]", and its shape if there are more."""
    if tensor.dim() == 0:
        return _rounded(tensor.item(), digits)
    flat = tensor.flatten()
    shown = ", ".join(_rounded(value, digits) for value in flat[:_SHOWN].tolist())
    return (
        f"[{shown}]"
        if len(flat) <= _SHOWN and tensor.dim() == 1
        else f"[{shown}{', ...' if len(flat) > _SHOWN else ''}] of shape {tuple(tensor.shape)}"
    )


def _rounded(value: Any, digits: int = 4) -> str:
    if isinstance(value, (bool, int, complex)):
        return str(value)
    return str(value) if not math.isfinite(value) else f"{value:.{digits}g}"


def _digits(expected: Tensor, came: Tensor, relative: float, absolute: float) -> int:
    """How many digits it takes to see each difference among the numbers that are shown: at least 4."""
    if expected.shape != came.shape:
        return 4
    shown = zip(expected.flatten()[:_SHOWN], came.flatten()[:_SHOWN], strict=True)
    different = [(a.item(), b.item()) for a, b in shown if not _close(a, b, relative, absolute)]
    enough = (d for d in range(4, 10) if all(_rounded(a, d) != _rounded(b, d) for a, b in different))
    return next(enough, 10)


def _falls_short(right: Tensor, got: Tensor, explained: Tensor) -> bool:
    """Whether `explained` is much closer to `got` than `right` is: to rounding, and to a hundredth of the way."""
    rounding = 1e-5 * right.abs().max().item() + 1e-6 if len(right) else 0.0
    left = (got - explained).abs()
    return bool((left <= rounding).all() and (left <= 0.01 * (got - right).abs() + 0.1 * rounding).all())


def _fitted(value: Any, right: Any) -> Any:
    """`value` with tuples in place of lists where `right` has tuples: the difference is none to a reader."""
    if isinstance(right, tuple) and isinstance(value, (tuple, list)):
        rest = itertools.chain(right, itertools.repeat(None))
        return tuple(_fitted(item, its) for item, its in zip(value, rest, strict=False))
    if isinstance(right, dict) and isinstance(value, dict):
        return {key: _fitted(item, right.get(key)) for key, item in value.items()}
    return value


def _check_name(name: str) -> str:
    return name.lower()


def _leaves(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """All leaves of a value with names such as "encode: " or "second: "."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _leaves(value[key], f"{name}{key}: ")
    elif isinstance(value, (tuple, list)):
        ordinals = itertools.chain(("first", "second", "third", "fourth"), itertools.count(5))
        for ordinal, item in zip(ordinals, value, strict=False):
            yield from _leaves(item, f"{name}{ordinal}: ")
    else:
        yield name, value


def _graphs(value: Any) -> list[bool]:
    return [leaf.requires_grad for _, leaf in _leaves(value) if isinstance(leaf, Seen)]


def _as_tensor(leaf: Any) -> Tensor:
    return (
        leaf.data
        if isinstance(leaf, Seen)
        else torch.tensor(math.nan if not isinstance(leaf, (bool, int, float)) else leaf)
    )


def _close(a: Tensor, b: Tensor, relative: float, absolute: float) -> bool:
    if a.shape != b.shape:
        return False
    if a.is_complex() or b.is_complex():
        return bool(torch.allclose(a.to(torch.complex128), b.to(torch.complex128), relative, absolute, equal_nan=True))
    return bool(torch.allclose(b.double(), a.double(), relative, absolute, equal_nan=True))


def _largest(gradients: Iterable[Tensor | None]) -> float:
    """The largest finite entry of all of them, without its sign."""
    sizes = [g.double().abs().nan_to_num(0, 0, 0).max().item() for g in gradients if g is not None and g.numel()]
    return max(sizes, default=0.0)


def _similar(a: Tensor | None, b: Tensor | None, largest: float) -> bool:
    """Whether two gradients are equal: to a thousandth of the largest entry of `b`, and to what rounding leaves where it is zero in exact
    arithmetic (a bias before a batch norm), beside a `largest` entry of all gradients of the answer.
    """
    return a is b or (a is not None and b is not None and _close(a, b, 1e-3, _rounding(b, largest)))


def _rounding(gradient: Tensor, largest: float) -> float:
    return max(1e-3 * _largest([gradient]), 1e-5 * largest, 1e-6)


def _gist(failure: Failure) -> tuple[str, str]:
    """What two failures that are alike have in common; of wrong parameters it is the whole list, with their sizes."""
    if failure.type_name == "WrongParameters":
        return failure.type_name, failure.message
    return failure.type_name, "".join(c for c in failure.message if not c.isdigit())[:60]


def _failure(right: Answer, got: Answer, check: Check) -> Finding:
    return None if got.failure is None else _failure_text(got.failure)


def _failure_text(failure: Failure) -> tuple[str, list[tuple[str, str]]]:
    if failure.unwritten:
        return "This is not written yet: replace `raise NotImplementedError()` by your code.", []
    if failure.type_name == "WrongParameters":
        return failure.message.split(". ")[0].capitalize() + ".", [("Found", failure.message)]
    place = f"line {failure.line_number}: {failure.line}" if failure.line else ""
    first = f"Your code stops with {failure.type_name}: {_shortened(failure.message)}"
    return first, [("At", place)] if place else []


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:197] + "..."


_HINTS = {
    "must match the size of tensor": "Two tensors do not fit together. Print both shapes just before this line; keepdim=True often mends it.",
    "shapes cannot be multiplied": "In a @ b the last size of a must be the one but last of b. Print both shapes just before this line.",
    "must have same number of dimensions": "The two tensors differ in their number of dimensions: x[:, None] adds one.",
    "Sizes of tensors must match": "torch.cat joins along one dimension, and all others must agree. Print the shapes just before this line.",
    "Dimension out of range": "This tensor has fewer dimensions than the `dim` that you name. Print its shape just before this line.",
    "Given transposed=1, weight of size": "A transposed convolution takes its weight as (in_channels, out_channels, height, width), an ordinary one as (out_channels, in_channels, height, width).",
    "view size is not compatible": "view() reads numbers in the order of memory, and after transpose() the axes stand in another one: use reshape() or flatten().",
    "is invalid for input of size": "The number of values does not fit the shape that you ask for. Keep the batch: x.flatten(1), x.unflatten(1, ...).",
    "Expected all tensors to be on the same device": "Make new tensors where the arguments are: torch.zeros_like(x), or device=x.device.",
    "positional argument": "Keep the arguments of the exercise, in their order.",
    "unexpected keyword argument": "A function is called with an argument that it does not have: compare with its signature.",
    "implicitly created only for scalar outputs": "A gradient is that of one number: .sum() before torch.autograd.grad or backward().",
    "appears to not have been used": "You differentiate by a tensor from which the result was not computed: hand that very tensor (the leaf) to the network.",
    "differentiated Tensors does not require grad": "You differentiate by a tensor that no gradient is kept for: leaf = x.detach().requires_grad_().",
    "Index tensor must have the same number of dimensions": "gather takes an index with as many dimensions as x, and gives one entry for each: x.gather(1, index[:, None]).",
    "The shape of the mask": "An index of bool or uint8 is taken for a mask: numbers of places need .long() first.",
    "can be converted to an index": "Is an index a tensor of more than one number? Or is a factor a tuple? torch.autograd.grad returns one: (gradient,) = torch.autograd.grad(...).",
    "can't multiply sequence": "Is one of the factors a tuple? torch.autograd.grad returns one: (gradient,) = torch.autograd.grad(...).",
    "Class values must be smaller": "A label is larger than there are classes: do the arguments stand in their order, and are these the labels?",
    "has no attribute 'sqrt'": "A plain number has no .sqrt(), it must be a tensor: torch.ones_like(x) is a 1 that fits to x.",
    "sqrt(): argument 'input'": "torch.sqrt takes no plain number, it must be a tensor: torch.ones_like(x) is a 1 that fits to x.",
    "does not require grad": "Nothing was recorded on the way to what you differentiate: look for detach(), item() and torch.no_grad(). Where the caller works under no_grad(), as samplers do, put `with torch.enable_grad():` around it.",
    "in-place operation": "A tensor that autograd still needs is overwritten. Write x = x + y in place of x += y or x.add_(y).",
    "inplace operation": "A tensor that autograd still needs is overwritten. Write x = x + y in place of x += y or x.add_(y).",
    "only supports boolean masks": "The mask holds numbers: torch.ones(..., dtype=torch.bool), or mask.bool().",
    "bitwise_and": "`&` binds before < and ==: put brackets round each comparison, (a < b) & c.",
    "tuple index out of range": "The last index is len(x) - 1: who looks at x[i + 1] has to stop one place earlier.",
    "list index out of range": "The last index is len(x) - 1: who looks at x[i + 1] has to stop one place earlier.",
    "Boolean value of Tensor": "`if` and `and` want one truth value, a tensor has many: use torch.where, or .all() and .any().",
    "numpy() on Tensor that requires grad": "Stay in torch: NumPy knows no gradients.",
    "before Module.__init__() call": "Call super().__init__() first in your __init__.",
    "has no attribute 'backward'": "The loss must still be a tensor when backward() is called: take .item() afterwards.",
    "only Tensors of floating point": "Convert to a floating-point dtype first: x.float().",
    "not defined": "Is the cell with this name above, and has it been run? Is it imported?",
}


def _with_hint(
    found: tuple[str, list[tuple[str, str]]], failure: Failure | None, check: Check
) -> tuple[str, list[tuple[str, str]]]:
    first, details = found
    if failure is None or failure.unwritten:
        return found
    called_wrongly = failure.type_name == "TypeError" and "positional argument" in failure.message
    if called_wrongly and failure.line_number is None:  # no line of the answer was reached
        return (
            "It is called with other arguments than those that it takes: keep the signature of the exercise.",
            [("Expected", f"{check.name}({', '.join(check.signature)})"), ("Got", _shortened(failure.message))],
        )
    for text, hint in _HINTS.items():
        if text in failure.message:
            return first, [*details, ("Often", hint)]
    return found


def _nothing(right: Answer, got: Answer, check: Check) -> Finding:
    empty = [name for (name, leaf) in _leaves(got.value) if leaf is None]
    if got.value is not None and not (empty and isinstance(got.value, dict)):
        return None
    method = empty[0].split(":")[0] if empty else ""
    where = f"`{method}`" if method not in ("", "loss") else "function"
    return f"Your {where} returns nothing (None): is there a `return`?", []


def _kind(right: Answer, got: Answer, check: Check) -> Finding:
    for name, expected, came in _paired(right.value, got.value):
        if _kind_name(expected) != _kind_name(came):
            details = [("Expected", name + _kind_name(expected)), ("Got", name + _kind_name(came))]
            return _kind_advice(expected, came, isinstance(right.value, tuple), check.gradients == "required"), details
    return None


def _paired(right: Any, got: Any, name: str = "") -> Iterable[tuple[str, Any, Any]]:
    """Pairs of parts of two values, down to where their structures differ."""
    yield name, right, got
    if isinstance(right, dict) and isinstance(got, dict):
        for key in right:
            yield from _paired(right[key], got.get(key), f"{name}{key}: ")
    elif type(right) is type(got) and isinstance(right, (tuple, list)):
        for number, (a, b) in enumerate(zip(right, got, strict=False)):
            yield from _paired(
                a, b, f"{name}{('first', 'second', 'third', 'fourth')[number] if number < 4 else number + 1}: "
            )


def _kind_name(value: Any) -> str:
    if isinstance(value, Seen):
        return "a tensor"
    if isinstance(value, Unknown):
        return f"a value of type {value.type_name}"
    if isinstance(value, (tuple, list)):
        short = 0 < len(value) <= _SHOWN and all(type(item) is int for item in value)
        return f"a {type(value).__name__} of {len(value)}" + (f": {', '.join(map(str, value))}" if short else "")
    if isinstance(value, dict):
        return f"a dict of {', '.join(sorted(value))}"
    if value is None:
        return "None"
    return f"a Python {type(value).__name__}"


def _kind_advice(expected: Any, came: Any, nested: bool, differentiated: bool) -> str:
    if isinstance(came, Unknown) and came.type_name.startswith("numpy"):
        if isinstance(expected, (bool, int, float)):
            return (
                "You return a NumPy value where a plain Python number is asked for: int(...) or float(...) makes one."
            )
        why = ", for NumPy cuts off gradients" if differentiated else ""
        return f"You return a NumPy value: stay in torch from the arguments to the result{why}."
    if isinstance(expected, Seen) and isinstance(came, (bool, int, float)):
        why = "cut off the gradient" if differentiated else "make such a number of it"
        return f"You return a plain Python number where a tensor belongs: item() and float() {why}."
    if isinstance(expected, Seen) and isinstance(came, (tuple, list)):
        if nested:
            return f"A {type(came).__name__} of {len(came)} stands where one tensor belongs: torch.stack makes one of tensors, torch.tensor of numbers."
        return f"You return {len(came)} things, but one tensor is asked for."
    if isinstance(expected, float) and isinstance(came, Seen):
        return (
            "You return a tensor where a plain Python number is asked for: .item() gives it, and lets go of the graph."
        )
    if isinstance(expected, tuple) and isinstance(came, Seen):
        return f"You return one tensor, but {len(expected)} things are asked for."
    if type(expected) is type(came) and isinstance(expected, (tuple, list)):
        return "A part of what you return has another length than it should have."
    return "What you return has another type than asked for."


def _shape(right: Answer, got: Answer, check: Check) -> Finding:
    for name, expected, came in _paired(right.value, got.value):
        if isinstance(expected, Seen) and isinstance(came, Seen) and expected.data.shape != came.data.shape:
            details = [
                ("Expected", f"{name}shape {tuple(expected.data.shape)}"),
                ("Got", f"{name}shape {tuple(came.data.shape)}"),
            ]
            return "Your result has the wrong shape.", details
    return None


def _dtype(right: Answer, got: Answer, check: Check) -> Finding:
    for name, expected, came in _paired(right.value, got.value):
        if isinstance(expected, Seen) and isinstance(came, Seen) and expected.data.dtype != came.data.dtype:
            details = [("Expected", f"{name}{expected.data.dtype}"), ("Got", f"{name}{came.data.dtype}")]
            floating = expected.data.is_floating_point() and came.data.is_floating_point()
            return (
                f"Your result has the wrong dtype{': it should be that of the arguments' if floating else ''}.",
                details,
            )
    return None


def _device(right: Answer, got: Answer, check: Check) -> Finding:
    for name, expected, came in _paired(right.value, got.value):
        if isinstance(expected, Seen) and isinstance(came, Seen) and expected.device != came.device:
            details = [("Expected", f"{name}{expected.device}"), ("Got", f"{name}{came.device}")]
            return "Your result is on another device than the arguments: make no tensor on a fixed device.", details
    return None


def _slope(right: Answer, got: Answer, check: Check) -> Finding:
    if check.gradients != "required":
        return None
    largest = _largest(right.gradients.values())
    for name, expected in right.gradients.items():
        came = got.gradients.get(name)
        if expected is None and came is not None and came.count_nonzero():
            return (
                f"The values are right, but a gradient flows back to `{name}`, and none may.",
                [
                    ("Expected", f"no gradient: detach() `{name}` wherever it enters"),
                    ("Got", f"gradient {numbers(came)}"),
                ],
            )
        if expected is not None and not _similar(came, expected, largest):
            shown = "none"
            digits = 4
            if came is not None:
                digits = _digits(expected, came, 1e-3, _rounding(expected, largest))
                shown = f"gradient {numbers(came, digits)}"
            return (
                f"The values are right, but the gradient with respect to `{name}` is not: part of the way back is cut, or a value was put in by hand.",
                [
                    ("Expected", f"gradient {numbers(expected, digits)}"),
                    ("Got", shown),
                ],
            )
    return None


def _changed(right: Answer, got: Answer, check: Check | None = None) -> Finding:
    if not got.changed:
        return None
    if "the gradient mode" in got.changed:
        return (
            "The result is right, but gradients stay switched off afterwards: nothing in the notebook could learn any more.",
            [("Expected", "`with torch.no_grad():`, which switches them on again where its block ends")],
        )
    if frozen := [name for name in got.changed if name.startswith("the parameters of ")]:
        return (
            f"The result is right, but your code freezes {frozen[0]}: whoever called it could not train the network any further.",
            [("Expected", "`with torch.no_grad():`, and the network left as it came")],
        )
    if touched := [name for name in got.changed if name.startswith("the gradients of ")]:
        return (
            f"The result is right, but your code changes {touched[0]}: backward() and zero_grad() belong to the training that calls you.",
            [("Expected", "the result alone, and each parameter's .grad left as it came")],
        )
    if marked := [name.split()[-1] for name in got.changed if name.startswith("the requires_grad of ")]:
        return (
            f"The result is right, but `{marked[0]}` requires gradients afterwards: it belongs to the caller, whose next steps would all be recorded.",
            [("Expected", f"{marked[0]}.detach().requires_grad_(), a tensor of your own")],
        )
    names = " and ".join(name if " " in name else f"`{name}`" for name in got.changed)
    return (
        f"The result is right, but your code changes {names} in place: whoever called it would find other data than before.",
        [("Expected", "x + y in place of x += y or x.add_(y), and no x[...] = on an argument")],
    )


def _overwritten(got: Answer) -> str:
    """What `_changed` says, of an answer whose result is wrong."""
    found = _changed(got, got)
    said = found[0].removeprefix("The result is right, but ") if found else ""
    return f"{said[:1].upper()}{said[1:]} And the result is wrong, perhaps for that reason."
