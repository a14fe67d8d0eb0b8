"""The official side: what is read from solutions/, what counts as the reference, how test cells run, and how answers cross."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_utils.checks.perform import Answer
from course_utils.checks.subjects import Child
from course_utils.grading import official
from course_utils.grading.grader import run_test
from course_utils.grading.official import Chapter, Question
from course_utils.grading.proxy import AnswerFailed, Proxy
from course_utils.grading.traps import make_library

SOURCE = """
import torch
from torch import nn
def double(x): return 2 * x
def swap(a, b): return b * a.exp(), a
def fill(layer):
    if isinstance(layer, nn.Conv2d):
        nn.init.constant_(layer.weight, 3.0)
def noise(layer):
    nn.init.normal_(layer.weight)
def odd(x): return object()
def fails(x): raise ValueError("no")
"""


@pytest.fixture(scope="module")
def child() -> Any:
    with Child(seconds=60) as process:
        yield process


def proxy(name: str, child: Child) -> Proxy:
    pieces = child.pieces = getattr(child, "pieces", [("answer", SOURCE)])  # the same object, so that it is loaded once
    return Proxy(pieces, name, child)


def question(source: str, points: float = 3, setup: str = "import torch") -> Question:
    return Question("q-check", points, source, ("double",), setup, 30, (), ())


def test_every_question_of_the_course_has_points_a_name_and_a_trap() -> None:
    for name in official.chapter_names():
        chapter = official.read_chapter(name)
        assert chapter.points > 0 and chapter.notebooks
        for book in chapter.notebooks:
            for found in book.questions:
                assert found.names and found.points > 0 and found.hidden, found.name
                (trap,) = found.traps
                reference = getattr(importlib.import_module(trap.module), trap.name).reference
                # one that a function made has no name to be reached by, but through its check
                assert trap.functions or "<locals>" in reference.__qualname__, found.name
                assert "hidden=True" in found.source and "hidden=True" not in found.visible


def test_what_answers_an_exercise_is_trapped_and_no_more(whole: Chapter) -> None:
    traps = {q.name: q.traps[0].functions for book in whole.notebooks for q in book.questions}
    assert traps["discriminator-loss-check"] == (("course_utils.gans.losses", "minimax_discriminator_loss"),)
    assert ("course_utils.gans.gan", "mode_coverage") in traps["mode-coverage-check"], "of the same name as the answer"
    assert ("course_utils.gans.dcgan", "initialize") in traps["initialize-check"], "behind the check's own function"
    assert all("minimax" not in name for _, name in traps["game-check"]), "the answer to another exercise stays"


def test_the_stub_is_what_nbgrader_releases(whole: Chapter) -> None:
    import json

    for book in whole.notebooks:
        path = Path(official.__file__).resolve().parents[2] / "notebooks" / whole.name / f"{book.name}.ipynb"
        cells = json.loads(path.read_text("utf-8"))["cells"]
        released = {c["metadata"].get("nbgrader", {}).get("grade_id"): official.source_of(c) for c in cells}
        for slot in book.slots:
            assert slot.stub.strip() == released[slot.name].strip(), slot.name


def test_the_sandbox_copy_has_gaps_where_answers_stand(chapter: Chapter, tmp_path: Path) -> None:
    traps = [trap for question in chapter.notebooks[0].questions for trap in question.traps]
    library = make_library(tmp_path, traps)
    copy = tmp_path / "course_utils"
    assert (copy / "gans" / "dcgan.py").exists() and (copy / "grading" / "inside.py").exists()
    for gone in ("gans/losses.py", "checks/gans/gan.py", "checks/gans/dcgan.py", "grading/grader.py", "cli"):
        assert not (copy / gone).exists(), gone
    assert "minimax_discriminator_loss" in library.sources["course_utils.gans.losses"]


@pytest.mark.parametrize(
    ("source", "score", "reason"),
    [
        ("assert double(2) == 4", 3, "all tests hold"),
        ("assert double(2) == 5, 'twice two'", 0, "The test does not hold: twice two."),
        ("assert double(2) == 4\n2", 2, "2 of 3 points"),
        ("7", 3, "3 of 3 points"),
        ("'text'", 3, "all tests hold"),
        ("assert double(2) == 4\n### BEGIN HIDDEN TESTS\nassert double(3) == 7, 'threes'\n### END HIDDEN TESTS", 0, "(a hidden test): threes"),
        ("undefined", 0, "could not be carried out"),
        ("fails = double('x')[10]", 0, "could not be carried out"),
    ],
)  # fmt: skip
def test_a_test_cell_runs_as_in_a_kernel(source: str, score: float, reason: str, child: Child) -> None:
    outputs, earned, why = run_test(question(source), {"double": proxy("double", child)}, {}, [])
    assert earned == score and reason in why
    assert "double(3)" not in str(outputs)


def test_what_a_test_prints_is_kept(child: Child) -> None:
    outputs, _, _ = run_test(question("print('four:', double(2))"), {"double": proxy("double", child)}, {}, [])
    assert outputs == [{"output_type": "stream", "name": "stdout", "text": "four: 4\n"}]


def test_gradients_cross_in_both_directions(child: Child) -> None:
    a, b = torch.tensor([0.5, 1.0], requires_grad=True), torch.tensor([2.0, 3.0], requires_grad=True)
    first, second = proxy("swap", child)(a, b)
    (first * torch.tensor([1.0, 10.0]) + second.square()).sum().backward()
    weights = torch.tensor([1.0, 10.0])
    assert torch.allclose(a.grad, weights * (b * a.exp()).detach() + 2 * a.detach())
    assert torch.allclose(b.grad, weights * a.exp().detach())
    assert proxy("double", child)(torch.ones(2)).requires_grad is False


def test_layers_cross_with_their_numbers(child: Child) -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 4, stride=2, bias=False), nn.BatchNorm2d(3), nn.LeakyReLU(0.1))
    network.apply(proxy("fill", child))
    assert bool((network[0].weight == 3).all()) and bool((network[1].weight == 1).all())
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    noise = proxy("noise", child)
    noise(first), noise(second)
    assert not torch.equal(first.weight, second.weight), "two draws"


def test_what_is_no_plain_data_does_not_cross(child: Child) -> None:
    with pytest.raises(AnswerFailed, match="object"):
        proxy("odd", child)(1)
    with pytest.raises(AnswerFailed, match="ValueError: no"):
        proxy("fails", child)(1)

    class Own(nn.Linear):
        pass

    with pytest.raises(TypeError, match="no layer of"):
        proxy("fill", child)(Own(1, 1))


def test_a_forged_gradient_shape_is_refused(monkeypatch: pytest.MonkeyPatch, child: Child) -> None:
    subject = proxy("double", child)
    x = torch.ones(2, requires_grad=True)
    y = subject(x)
    forged: dict[str, Tensor | None] = {"argument 0": torch.ones(5)}
    monkeypatch.setattr(subject, "answer", lambda _: Answer(gradients=forged))
    with pytest.raises(AnswerFailed, match="shape"):
        y.sum().backward()
