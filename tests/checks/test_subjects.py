"""The child process: plain data only, and a plain reason for whatever else comes."""

import math
import time
from collections.abc import Iterator

import pytest
import torch

from course_utils.checks import plain, subjects
from course_utils.checks.autoencoders import kl_divergence
from course_utils.checks.engine import CheckFailed
from course_utils.checks.perform import Build, Call, Network
from course_utils.checks.plain import Malformed, Seen, Unknown, decode, encode
from course_utils.checks.subjects import Child, Forged, InChild, SubjectLost

RIGHT = "def kl_divergence(mean, log_variance):\n    return 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1)\n"


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child(seconds=60) as process:
        yield process


def test_plain_data_comes_back_as_it_was() -> None:
    value = {
        "numbers": [None, True, -3, 0.1, math.inf, "text", (1, (2.5,))],
        "tensors": [torch.arange(6).reshape(2, 3), torch.zeros(0, 3), torch.tensor(True), torch.tensor(1 + 2j)],
        "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "unknown": Unknown("numpy.ndarray"),
    }
    back = decode(encode(value))
    assert back["numbers"] == value["numbers"] and back["unknown"] == value["unknown"]
    for before, after in zip([*value["tensors"], value["half"]], [*back["tensors"], back["half"]], strict=True):
        assert before.dtype == after.dtype and before.shape == after.shape and torch.equal(before, after)
    seen = decode(encode(Seen(torch.ones(2), "cuda:0", True)))
    assert seen.device == "cuda:0" and seen.requires_grad and torch.equal(seen.data, torch.ones(2))


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[" * 100_000,
        b"NaN",
        b'{"kind":"pickle","of":"gASVAAAA"}',
        b'{"kind":"tensor","dtype":"float32","shape":[2],"bytes":"AAAA"}',
        b'{"kind":"tensor","dtype":"object","shape":[1],"bytes":"AAAA"}',
        b'{"kind":"tensor","dtype":"float32","shape":[-1],"bytes":""}',
        b'{"kind":"tensor","dtype":"bool","shape":[3],"bytes":"AAEC"}',
        b'{"kind":"tensor","dtype":["float32"],"shape":[0],"bytes":""}',
        b'{"kind":"dict","of":[1]}',
        b'{"kind":"float","is":"1.0"}',
        b'"' + b"x" * plain.LIMIT + b'"',
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        decode(line)


def test_objects_that_could_lie_are_known_by_name_only() -> None:
    class Equal(float):
        def __eq__(self, other: object) -> bool:
            return True

    assert isinstance(plain.describe(Equal(1.0)), Unknown)
    assert isinstance(plain.describe([torch.ones(2).numpy()])[0], Unknown)
    assert type(plain.describe(torch.ones(2, dtype=torch.int64).numpy().sum())) is int
    pair = plain.describe(torch.ones(3).topk(2))
    assert type(pair) is tuple and len(pair) == 2, "a named tuple is told as a tuple"
    with pytest.raises(TypeError, match="not plain data"):
        encode({"of": object()})


def test_output_and_gradients_cross(child: Child) -> None:
    subject = InChild(RIGHT, "kl_divergence", child)
    answer = subject.answer(
        Call({"mean": torch.ones(2, 3), "log_variance": torch.zeros(2, 3)}, ("mean", "log_variance"))
    )
    assert answer.value.data.tolist() == [1.5, 1.5] and answer.value.requires_grad
    assert answer.gradients["mean"].shape == (2, 3) and answer.gradients["mean"].abs().sum() > 0
    assert answer.gradients["log_variance"].abs().sum() == 0  # exp(0) - 1
    kl_divergence(subject)


def test_gradients_of_a_network_and_calls_in_evaluation_cross(child: Child) -> None:
    network = Network((torch.ones(1, 2),), (torch.zeros(1),), (1,))
    source = (
        "import torch\ndef twice(network, x):\n    return 2 * network(x)\nclass Norm(torch.nn.BatchNorm1d):\n    pass\n"
    )
    call = Call({"network": network, "x": torch.tensor([[1.0, 3.0]])}, ("network",))
    gradients = InChild(source, "twice", child).answer(call).gradients
    assert list(gradients) == ["network.1.weight", "network.1.bias"]
    assert torch.allclose(gradients["network.1.weight"], 3 * torch.tensor([[1.0, 3.0]]))  # one output counts 1.5
    parameters = {"weight": torch.ones(1), "bias": torch.zeros(1)}
    build = Build((1,), parameters, {"forward": torch.tensor([[1.0], [3.0]])}, {"forward": torch.tensor([[0.2]])})
    value = InChild(source, "Norm", child).answer(build).value
    assert list(value) == ["forward", "forward in evaluation mode"]
    assert value["forward in evaluation mode"].data.abs().max() < 1e-6  # a tenth of the mean 2 is what has been learned


def test_each_answer_has_a_fresh_process(child: Child) -> None:
    patched = "import torch, builtins\ntorch.exp = torch.allclose = None\nbuiltins.sum = None\n" + RIGHT
    InChild(patched, "kl_divergence", child).look()
    clean = "import torch\ndef kl_divergence(mean, log_variance):\n    sum([1])\n    e = torch.exp(log_variance)\n"
    kl_divergence(InChild(clean + "    return 0.5 * (mean**2 + e - log_variance - 1).sum(1)\n", "kl_divergence", child))


def test_what_is_printed_goes_nowhere(child: Child) -> None:
    noisy = "import os, sys\nprint('hello'); os.write(1, b'[1]'); os.write(2, b'oops')\n" + RIGHT
    kl_divergence(InChild(noisy, "kl_divergence", child))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os; os._exit(0)", "ended by itself"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by itself"),
        ("[os.write(d, FORGED) for d in range(3, 20) if writable(d)]", "nobody had asked for"),
        ("[os.write(d, b'nonsense\\n') for d in range(3, 20) if writable(d)]", "not plain data"),
        ("[flood(d) for d in range(3, 20) if writable(d)]", "more than 8 MiB"),
        ("return torch.zeros(4_000_000)", "more than 8 MiB"),
    ],
)
def test_hostile_answers_are_told_plainly(body: str, message: str, child: Child) -> None:
    source = f"""
import os, torch
FORGED = b'{{"kind":"dict","of":{{"token":"guess","result":null}}}}\\n'
def writable(descriptor):
    try:
        os.write(descriptor, b"")
        return True
    except OSError:
        return False
def flood(descriptor):
    for _ in range(9):
        os.write(descriptor, b"x" * 2**20)
def kl_divergence(mean, log_variance):
    {body}
    return mean
"""
    with pytest.raises(CheckFailed, match=message):
        kl_divergence(InChild(source, "kl_divergence", child))
    kl_divergence(InChild(RIGHT, "kl_divergence", child))  # and the next answer is served again


def test_unasked_data_is_forgery(child: Child) -> None:
    source = """
import os
def early(x):
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b'{"kind":"dict","of":{"token":"guess","result":7}}\\n')
        except OSError:
            pass
    return x
"""
    subject = InChild(source, "early", child)
    with pytest.raises(Forged):
        subject.answer(Call({"x": torch.ones(1)}))


def test_an_endless_loop_ends_in_time() -> None:
    with Child(seconds=5) as short:
        loop = InChild("def f(x):\n    while True:\n        pass\n", "f", short)
        loop.look()
        started = time.monotonic()
        with pytest.raises(SubjectLost, match="more than 5 seconds"):
            loop.answer(Call({"x": torch.ones(1)}))
        assert time.monotonic() - started < 30


def test_source_that_fails_is_named(child: Child) -> None:
    pieces = [
        ("set-up", "import torch\n1 / 0\n"),
        ("kl-divergence", "def kl_divergence(mean, log_variance)\n    return mean\n"),
    ]
    with pytest.raises(CheckFailed) as failed:
        kl_divergence(InChild(pieces, "kl_divergence", child))
    assert "the cell kl-divergence fails" in str(failed.value) and "SyntaxError" in str(failed.value)


def test_a_start_that_takes_too_long_is_laid_to_the_machine_and_not_to_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subjects, "START_SECONDS", 0.0)
    with Child() as process, pytest.raises(SubjectLost, match="no fault of the answer") as lost:
        process.load([])
    assert "loop" not in str(lost.value)
