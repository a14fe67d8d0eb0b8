"""What stands in an official test cell under the name of a student's function: a proxy to the sandbox."""

from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks.perform import Alter, Answer, Call, layer_to_data
from course_utils.checks.plain import Seen, Unknown
from course_utils.checks.subjects import InChild


class AnswerFailed(Exception):
    """A student's function raised, or returned what cannot cross."""


class Proxy(InChild):
    """A subject for checks that can also be called: arguments and result cross as plain data, gradients and layers too."""

    def __call__(self, *arguments: Any) -> Any:
        """What the student's function returns for `arguments`, which are passed by position.

        Raises:
            AnswerFailed: if it raises, or returns anything but plain data.
            SubjectLost: if its process died, ran out of time, or sent what was not asked for.
        """
        if len(arguments) == 1 and isinstance(arguments[0], nn.Module):
            return self._alter(arguments[0])
        inputs = [value for value in arguments if isinstance(value, Tensor) and value.requires_grad]
        if not inputs or not torch.is_grad_enabled():
            return _plain(self._ask(arguments))
        return _Remote.apply(self, arguments, *inputs)

    def _alter(self, module: nn.Module) -> None:
        """Let the student's function work on a copy of a layer, and take its numbers over."""
        self._calls = getattr(self, "_calls", 0) + 1
        answer = self._honest(self.answer(Alter(layer_to_data(module), self._calls)))
        state = _plain(answer)
        if type(state) is not dict or not all(isinstance(value, Tensor) for value in state.values()):
            raise AnswerFailed("the layer did not come back")
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise AnswerFailed(f"the layer came back changed: {error}") from None

    def _ask(self, arguments: tuple[Any, ...], gradients: tuple[str, ...] = (), along: Any = None) -> Answer:
        named = {f"argument {i}": v.detach() if isinstance(v, Tensor) else v for i, v in enumerate(arguments)}
        return self._honest(self.answer(Call(named, gradients, along)))

    def _honest(self, answer: Answer) -> Answer:
        if answer.failure is not None:
            raise AnswerFailed(f"{self.name} stops with {answer.failure.type_name}: {answer.failure.message}")
        return answer


class _Remote(torch.autograd.Function):
    """A function in the sandbox as a node of the graph: backward asks the sandbox for the gradients."""

    @staticmethod
    def forward(ctx: Any, proxy: Proxy, arguments: tuple[Any, ...], *_: Tensor) -> Any:
        ctx.proxy, ctx.arguments = proxy, arguments
        return _plain(proxy._ask(arguments))

    @staticmethod
    def backward(ctx: Any, *along: Tensor | None) -> Any:
        asked = [i for i, v in enumerate(ctx.arguments) if isinstance(v, Tensor) and v.requires_grad]
        names = tuple(f"argument {i}" for i in asked)
        weights = tuple(None if w is None else w.detach() for w in along)
        found = ctx.proxy._ask(ctx.arguments, names, weights).gradients
        gradients = []
        for i, name in zip(asked, names, strict=True):
            gradient, value = found.get(name), ctx.arguments[i]
            if gradient is not None and gradient.shape != value.shape:
                raise AnswerFailed(f"a gradient of shape {tuple(gradient.shape)} came for {tuple(value.shape)}")
            gradients.append(None if gradient is None else gradient.to(value.dtype))
        return (None, None, *gradients)


def _plain(answer: Answer) -> Any:
    return _opened(answer.value)


def _opened(value: Any) -> Any:
    if isinstance(value, Seen):
        return value.data
    if isinstance(value, Unknown):
        raise AnswerFailed(f"it returns a value of type {value.type_name}, which is no plain data")
    if isinstance(value, (list, tuple)):
        return type(value)(_opened(item) for item in value)
    if isinstance(value, dict):
        return {name: _opened(item) for name, item in value.items()}
    return value
