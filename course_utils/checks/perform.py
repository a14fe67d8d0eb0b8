"""What a check asks of an answer, carried out beside the answer: in the notebook, or in the child process.

A request is plain data. There are three: `Call` a function, `Build` a module and call its methods, `Train` a small network for a
few steps. Each gives one `Answer`: what was returned, the gradients, and what happened on the way. Both subjects (see
`subjects.py`) run this same code, so that they come to the same verdict.
"""

import contextlib
import inspect
import linecache
import random
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.checks import plain


@dataclass(frozen=True)
class Network:
    """A small network as data: linear layers with tanh between them, and at the end the shape of one output.

    Stands for a model, or for a function, among the arguments of a request.

    Args:
        weights: each (out_features, in_features).
        biases: each (out_features,).
        shape: of one output, such as (1, 8, 8).
        integers: whether it refuses floating-point numbers, as a model does that looks its inputs up in a table.
        norm: whether a batch norm of the inputs comes first, so that its mode shows in what it gives.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    shape: tuple[int, ...]
    integers: bool = False
    norm: bool = False

    def built(self) -> nn.Module:
        """The network; its parameters require gradients."""
        layers: list[nn.Module] = [_Rows(self.integers)]
        if self.norm:
            layers.append(nn.BatchNorm1d(self.weights[0].shape[1]))
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
            linear.load_state_dict({"weight": weight, "bias": bias})
            layers += [linear, nn.Tanh()]
        return nn.Sequential(*layers[:-1], nn.Unflatten(1, self.shape))


class _Rows(nn.Module):
    """(batch, ...) of any numbers, or of integers only, to (batch, features) of floating-point ones."""

    def __init__(self, integers: bool):
        super().__init__()
        self.integers = integers

    def forward(self, inputs: Tensor) -> Tensor:
        if self.integers and inputs.dtype not in (torch.int64, torch.int32):  # these are what nn.Embedding takes
            raise TypeError(f"{inputs.dtype} given to a network that takes int64")
        return inputs.flatten(1) if inputs.is_floating_point() else inputs.flatten(1).float()


@dataclass(frozen=True)
class Failure:
    """An exception as text: its type, its message, the line of the answer that it came from."""

    type_name: str
    message: str
    line_number: int | None = None
    line: str = ""
    unwritten: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of a request.

    Args:
        value: what was returned, as plain data with `Seen` tensors.
        gradients: of a weighted sum of what was returned, by name; None where no graph leads there.
        changed: names of the arguments that were changed in place; "the gradient mode" and "the parameters of ..." where these were left
            switched off; "the gradients of ..." where those that a network's parameters held are not there any more; "the requires_grad
            of ..." where an argument requires gradients that did not before.
        drew: whether random numbers were drawn from a global generator.
        events: what happened in which order, where the request watches for it.
        failure: the exception, where there was one.
    """

    value: Any = None
    gradients: dict[str, Tensor | None] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    drew: bool = False
    events: tuple[str, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True)
class Call:
    """Call a function with `arguments`, in their order; differentiate what it returns by those named in `gradients`.

    By a `Network` means by each of its parameters: "discriminator" gives "discriminator.1.weight" and so on.

    Args:
        along: weights of the sum that is differentiated, one tensor for each that is returned, or None to leave it out;
            weights that tell all entries apart, unless given.
        recording: whether autograd records, as it does unless the caller works under `torch.no_grad()`.
    """

    arguments: Mapping[str, Any]
    gradients: tuple[str, ...] = ()
    along: tuple[Tensor | None, ...] | None = None
    recording: bool = True

    def carry_out(self, target: Callable[..., Any], watch: "Watch") -> Answer:
        leaves, passed, wanted = {}, {}, {}
        for name, value in self.arguments.items():
            if isinstance(value, Network):
                passed[name] = value.built()
                for parameter in passed[name].parameters():
                    parameter.grad = torch.ones_like(parameter)  # as another loss may have left some
                if name in self.gradients:
                    wanted |= {f"{name}.{key}": weight for key, weight in passed[name].named_parameters()}
            elif isinstance(value, Tensor):
                leaves[name] = value.clone().requires_grad_(name in self.gradients)
                passed[name] = leaves[name].clone()  # no leaf: code that works in place runs, and is told afterwards
            else:
                passed[name] = value
        watch.start()  # new layers of a network have drawn their first weights
        torch.set_grad_enabled(self.recording)
        output = target(*passed.values())
        changed = ["the gradient mode"] if self.recording and not torch.is_grad_enabled() else []
        torch.set_grad_enabled(True)
        wanted |= {name: leaf for name, leaf in leaves.items() if name in self.gradients}
        thawed = {name: leaf for name, leaf in wanted.items() if leaf.requires_grad}  # the answer may freeze a network
        gradients = dict.fromkeys(wanted) | _gradients(output, thawed, self.along)
        # detach_() works in place as well
        cut = [name for name in self.gradients if name in leaves and not passed[name].requires_grad]
        changed += [name for name, before in leaves.items() if name in cut or not _equal(before, passed[name])]
        marked = [name for name in leaves if passed[name].requires_grad and name not in (*self.gradients, *changed)]
        changed += [f"the requires_grad of {name}" for name in marked]
        for name, value in passed.items():
            if isinstance(value, nn.Module) and not all(parameter.requires_grad for parameter in value.parameters()):
                changed.append(f"the parameters of {name}")
            if isinstance(value, nn.Module) and not all(_is_one(parameter.grad) for parameter in value.parameters()):
                changed.append(f"the gradients of {name}")
        return Answer(plain.describe(output), gradients, tuple(changed), watch.drew())


@dataclass(frozen=True)
class Build:
    """Make a module, put `parameters` in, and call methods: `calls` maps each method's name to its tensor.

    The gradients are those of the parameters through the last call. After it come the calls `in_evaluation`, in evaluation mode: what
    the others have left there, such as running statistics, shows in their results.
    """

    arguments: tuple[Any, ...]
    parameters: Mapping[str, Tensor]
    calls: Mapping[str, Tensor]
    in_evaluation: Mapping[str, Tensor] = field(default_factory=dict)

    def carry_out(self, target: Callable[..., nn.Module], watch: "Watch") -> Answer:
        model = target(*self.arguments)
        names = _put_parameters(model, self.parameters)
        watch.start()
        value, changed, output = {}, [], None

        def call(method: str, images: Tensor, name: str) -> Any:
            passed = images.clone()
            output = getattr(model, method)(passed)
            value[name] = plain.describe(output)
            if not _equal(images, passed):
                changed.append(f"the argument of {method}")
            return output

        for method, images in self.calls.items():
            output = call(method, images, method)
        gradients = _gradients(output, names)
        if self.in_evaluation:
            model.eval()
        for method, images in self.in_evaluation.items():
            call(method, images, f"{method} in evaluation mode")
        return Answer(value, gradients, tuple(dict.fromkeys(changed)), watch.drew())


@dataclass(frozen=True)
class Train:
    """Call `train_step(model, optimizer, images)` once for each of `batches`: what it returned, and the parameters at the end.

    Gradients of ones are there at the start, as another loop may leave some.

    Args:
        optimizer: "SGD" or "Adam".
        settings: of the optimizer, such as a learning rate.
    """

    network: Network
    optimizer: str
    settings: Mapping[str, float]
    batches: Sequence[Tensor]

    def carry_out(self, target: Callable[..., Any], watch: "Watch") -> Answer:
        model = self.network.built()
        optimizer = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[self.optimizer](
            model.parameters(), **self.settings
        )
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        events = _watched(model, optimizer)
        watch.start()
        returned, changed = [], False
        for images in self.batches:
            passed = images.clone()
            returned.append(plain.describe(target(model, optimizer, passed)))
            changed |= not _equal(images, passed)
        parameters = {name: plain.describe(parameter.detach()) for name, parameter in model.named_parameters()}
        value = {"loss": returned, "parameters": parameters}
        return Answer(value, {}, ("images",) if changed else (), watch.drew(), tuple(events))


@dataclass(frozen=True)
class Layer:
    """A layer of `torch.nn` as data, or a sequence of them.

    Args:
        kind: name of its class.
        settings: of its constructor.
        state: its parameters and buffers.
        parts: the layers of a sequence.
    """

    kind: str
    settings: Mapping[str, Any]
    state: Mapping[str, Tensor]
    parts: tuple["Layer", ...] = ()

    def built(self) -> nn.Module:
        """The layer, with its own numbers."""
        layer = getattr(nn, self.kind)(*(part.built() for part in self.parts), **self.settings)
        layer.load_state_dict(dict(self.state))
        return layer


def layer_to_data(module: nn.Module) -> Layer:
    """`module` as data.

    Raises:
        TypeError: if it is, or holds, anything but a layer of `torch.nn`.
    """
    kind = type(module)
    if getattr(nn, kind.__name__, None) is not kind:
        raise TypeError(f"{kind.__name__} is no layer of torch.nn")
    if kind is nn.Sequential:
        return Layer("Sequential", {}, module.state_dict(), tuple(map(layer_to_data, module)))
    names = [name for name in inspect.signature(kind).parameters if name not in ("device", "dtype", "args", "kwargs")]
    settings = {name: getattr(module, name) for name in names if hasattr(module, name)}
    if "bias" in settings:
        settings["bias"] = module.bias is not None
    return Layer(kind.__name__, settings, module.state_dict())


@dataclass(frozen=True)
class Alter:
    """Call a function on a layer: the layer's parameters and buffers afterwards.

    Args:
        seed: of the global generators, for functions whose task is to draw.
    """

    layer: Layer
    seed: int

    def carry_out(self, target: Callable[..., Any], watch: "Watch") -> Answer:
        layer = self.layer.built()
        torch.default_generator.manual_seed(self.seed)
        target(layer)
        return Answer({name: plain.describe(value.detach()) for name, value in layer.state_dict().items()})


Request = Call | Build | Train | Alter


@dataclass(frozen=True)
class Description:
    """What stands under the name of an answer: "function", "class", "module", "missing" or "other".

    Where it is missing because its cell fails, `cell` and `failure` tell of that.
    """

    kind: str
    type_name: str = ""
    parameters: tuple[str, ...] = ()
    cell: str = ""
    failure: Failure | None = None


def look_at(target: Any) -> Description:
    """The `Description` of `target`, found without calling it."""
    type_name = type(target).__qualname__
    if isinstance(target, nn.Module):
        return Description("module", type_name)
    if not callable(target):
        return Description("other", type_name)
    try:
        parameters = tuple(inspect.signature(target).parameters)
    except Exception:  # a signature may be the student's own code
        parameters = ()
    return Description("class" if isinstance(target, type) else "function", type_name, parameters)


def perform(target: Any, request: Request) -> Answer:
    """Carry `request` out on `target`, leaving the global random state, gradient mode and warnings as they were."""
    with _undisturbed() as watch:
        try:
            return request.carry_out(target, watch)
        except (Exception, SystemExit) as error:
            return Answer(failure=failure_of(error), drew=watch.drew())


def failure_of(error: BaseException) -> Failure:
    """`error` as text, with the innermost line that belongs to the answer and not to a library."""
    number, line = None, ""
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not any(part in filename for part in ("site-packages", "dist-packages", "course_utils/", "course_utils\\")):
            if (found := linecache.getline(filename, trace.tb_lineno).strip()) or number is None:
                number, line = trace.tb_lineno, found
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        number, line = error.lineno, (error.text or "").strip()
        return Failure(type(error).__name__, str(error.msg)[:400], number, line[:200])
    try:
        message = str(error)[:400]
    except Exception:  # the student's own exception
        message = ""
    unwritten = isinstance(error, NotImplementedError) and (line.startswith("raise ") or not (line or message))
    return Failure(type(error).__name__, message, number, line[:200], unwritten)


class Watch:
    """Tells whether the global generators have been drawn from since `start`."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Look from now on."""
        self._torch, self._random, self._numpy = torch.get_rng_state(), random.getstate(), _numpy_state()

    def drew(self) -> bool:
        """Whether torch's, Python's or NumPy's global generator has moved."""
        moved = self._random != random.getstate() or self._numpy != _numpy_state()
        return moved or not torch.equal(self._torch, torch.get_rng_state())


def _numpy_state() -> tuple[Any, ...]:
    import numpy

    kind, keys, *rest = numpy.random.get_state()
    return (kind, keys.tobytes(), *rest)


@contextlib.contextmanager
def _undisturbed() -> Iterator[Watch]:
    import numpy

    states = random.getstate(), numpy.random.get_state(), torch.get_default_dtype()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with (
        torch.random.fork_rng(devices=devices),
        torch.inference_mode(False),
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # nbgrader gives no points to a cell that wrote to stderr
        torch.default_generator.manual_seed(0)  # so that even an answer that draws gives the same each time
        random.seed(0)
        numpy.random.seed(0)
        try:
            yield Watch()
        finally:
            random.setstate(states[0])
            numpy.random.set_state(states[1])
            torch.set_default_dtype(states[2])


def _is_one(gradient: Tensor | None) -> bool:
    return gradient is not None and bool((gradient == 1).all())


def _equal(before: Tensor, after: Tensor) -> bool:
    after = after.detach()
    return before.shape == after.shape and torch.equal(torch.nan_to_num(before.detach()), torch.nan_to_num(after))


def _flat(value: Any) -> Iterator[Any]:
    """What tuples and lists hold, also inside each other."""
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _telling_apart(tensor: Tensor) -> Tensor:
    """Weights of the shape of `tensor`, no two of them equal."""
    places = torch.arange(tensor.numel(), dtype=torch.float64)
    return (1 + 0.5 * torch.cos(places)).reshape(tensor.shape).to(tensor)


def _gradients(
    output: Any, leaves: Mapping[str, Tensor], along: Sequence[Tensor | None] | None = None
) -> dict[str, Tensor | None]:
    """Gradients of a sum of all that was returned, by each of `leaves`; weighted so that no two entries count alike, or `along`."""
    if along is None:
        returned = [tensor for tensor in _flat(output) if isinstance(tensor, Tensor)]
        along = [_telling_apart(tensor) for tensor in returned]
    else:
        returned = output if isinstance(output, (tuple, list)) else (output,)
    pairs = [(y, w) for y, w in zip(returned, along, strict=True) if w is not None and y.requires_grad]
    if not pairs or not leaves:
        return dict.fromkeys(leaves)
    outputs, weights = zip(*pairs, strict=True)
    found = torch.autograd.grad(outputs, list(leaves.values()), weights, allow_unused=True)
    return {name: None if g is None else g.detach().cpu().clone() for name, g in zip(leaves, found, strict=True)}


class WrongParameters(Exception):
    """A module whose parameters are not the ones that the exercise gives."""


def _put_parameters(model: Any, parameters: Mapping[str, Tensor]) -> dict[str, nn.Parameter]:
    """Copy `parameters` into `model`: by name, or, where the layers have other names, in their order if all shapes agree."""
    if not isinstance(model, nn.Module):
        raise WrongParameters(f"it makes a {type(model).__name__}, which is no nn.Module")
    own = dict(model.named_parameters())
    if set(own) != set(parameters):
        own = dict(zip(parameters, own.values(), strict=False)) if len(own) == len(parameters) else own
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    found = {name: tuple(value.shape) for name, value in own.items()}
    if found != shapes:
        wrong = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))[:4]
        expected, got = (
            ", ".join(f"{name} {of[name]}" if name in of else f"no {name}" for name in wrong) for of in (shapes, found)
        )
        raise WrongParameters(
            f"the layers that the exercise gives have been changed. Expected: {expected}. Found: {got}"
        )
    with torch.no_grad():
        for name, value in parameters.items():
            own[name].copy_(value)
    return {name: own[name] for name in parameters}


def _watched(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """A list to which every forward, backward, step and zero_grad will add its name."""
    events: list[str] = []

    def noting(event: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            events.append(event)
            return function(*args, **kwargs)

        return noted

    model.register_forward_pre_hook(lambda *_: events.append("forward"))
    next(model.parameters()).register_post_accumulate_grad_hook(lambda _: events.append("backward"))
    model.zero_grad = noting("zero_grad", model.zero_grad)  # type: ignore[method-assign]
    optimizer.step = noting("step", optimizer.step)  # type: ignore[method-assign]
    optimizer.zero_grad = noting("zero_grad", optimizer.zero_grad)  # type: ignore[method-assign]
    return events


_KINDS = {kind.__name__: kind for kind in (Call, Build, Train, Network, Alter, Layer)}


def request_to_plain(value: Any) -> Any:
    """A request as plain data."""
    if type(value) in _KINDS.values():
        entries = [(entry.name, request_to_plain(getattr(value, entry.name))) for entry in fields(value)]
        return {"made of": type(value).__name__, "entries": dict(entries)}
    if isinstance(value, Mapping):
        return {"in order": [(name, request_to_plain(item)) for name, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return type(value)(request_to_plain(item) for item in value)
    return value


def request_from_plain(value: Any) -> Any:
    """The request that `request_to_plain` wrote."""
    if isinstance(value, dict) and "made of" in value:
        return _KINDS[value["made of"]](**{name: request_from_plain(item) for name, item in value["entries"].items()})
    if isinstance(value, dict):
        return {name: request_from_plain(item) for name, item in value["in order"]}
    if isinstance(value, (list, tuple)):
        return type(value)(request_from_plain(item) for item in value)
    return value


def record_to_plain(record: Answer | Description | Failure) -> dict[str, Any]:
    """An answer, a description or a failure as plain data."""
    found = {entry.name: getattr(record, entry.name) for entry in fields(record)}
    if found.get("failure") is not None:
        found["failure"] = record_to_plain(found["failure"])
    return found


def failure_from_plain(value: Any) -> Failure | None:
    """The failure that `record_to_plain` wrote.

    Raises:
        plain.Malformed: if it is anything else.
    """
    if value is None:
        return None
    _expect(value, type_name=str, message=str, line_number=(int, types.NoneType), line=str, unwritten=bool)
    return Failure(**value)


def description_from_plain(value: Any) -> Description:
    """The description that `record_to_plain` wrote.

    Raises:
        plain.Malformed: if it is anything else.
    """
    _expect(value, kind=str, type_name=str, parameters=tuple, cell=str, failure=(dict, types.NoneType))
    if not all(type(name) is str for name in value["parameters"]):
        raise plain.Malformed("names of parameters that are no text")
    return Description(**{**value, "failure": failure_from_plain(value["failure"])})


def answer_from_plain(value: Any) -> Answer:
    """The answer that `record_to_plain` wrote.

    Raises:
        plain.Malformed: if it is anything else.
    """
    _expect(value, value=object, gradients=dict, changed=tuple, drew=bool, events=tuple, failure=(dict, types.NoneType))
    if not all(gradient is None or isinstance(gradient, Tensor) for gradient in value["gradients"].values()):
        raise plain.Malformed("gradients that are no tensors")
    if not all(type(name) is str for name in value["changed"] + value["events"]):
        raise plain.Malformed("names of arguments or events that are no text")
    return Answer(**{**value, "failure": failure_from_plain(value["failure"])})


def _expect(value: Any, /, **kinds: Any) -> None:
    if type(value) is not dict or set(value) != set(kinds):
        raise plain.Malformed("a record with other entries than asked for")
    for name, kind in kinds.items():
        if not isinstance(value[name], kind):
            raise plain.Malformed(f"a record whose {name} has the wrong type")
