"""The bank of wrong and right answers, against every check: visible and hidden, in the notebook and in a child process."""

import itertools
import linecache
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from course_utils.checks import autoencoders as chapter_01
from course_utils.checks.diffusion import ddpm
from course_utils.checks.engine import Check, CheckFailed, known_answers
from course_utils.checks.gans import dcgan, gan
from course_utils.checks.subjects import Child, InChild, InNotebook
from course_utils.checks.translation import cyclegan, pix2pix


def _bank(chapter: str) -> ModuleType:
    spec = util.spec_from_file_location(f"bank_{chapter}", Path(__file__).with_name(f"{chapter}.py"))
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHAPTERS = [
    (chapter_01, _bank("autoencoders")),
    (gan, _bank("gan")),
    (dcgan, _bank("dcgan")),
    (pix2pix, _bank("pix2pix")),
    (cyclegan, _bank("cyclegan")),
    (ddpm, _bank("ddpm")),
]
CHECKS = [(name, check) for checks, _ in CHAPTERS for name, check in vars(checks).items() if isinstance(check, Check)]
WRONG = [
    pytest.param(getattr(checks, name), bank.SETUP, source, fragment, id=f"{name}-{number}")
    for checks, bank in CHAPTERS
    for name, entries in bank.WRONG.items()
    for number, (source, fragment) in enumerate(entries)
]
RIGHT = [
    pytest.param(getattr(checks, name), bank.SETUP, source, id=f"{name}-{number}")
    for checks, bank in CHAPTERS
    for name, entries in bank.RIGHT.items()
    for number, source in enumerate(entries)
]


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    modules = [f"course_utils.autoencoders.{name}" for name in ("autoencoder", "vae", "vqvae", "pixelcnn")]
    modules += ["course_utils.gans.dcgan", "course_utils.translation.cyclegan", "course_utils.checks.diffusion"]
    with Child(seconds=60, preload=[*modules, "numpy"]) as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The cases are tiny: two threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def subjects(check: Check, source: str, child: Child) -> list[Any]:
    linecache.cache["<answer>"] = (len(source), None, source.splitlines(keepends=True), "<answer>")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<answer>", "exec"), namespace)
    return [InNotebook(namespace[check.name]), InChild(source, check.name, child)]


@pytest.mark.parametrize(("check", "setup", "source", "fragment"), WRONG)
def test_wrong_answer_is_told_which_mistake_it_is(
    check: Check, setup: str, source: str, fragment: str, child: Child
) -> None:
    both = subjects(check, setup + source, child)
    for hidden in (False, True):
        messages = []
        for subject in both:
            with pytest.raises(CheckFailed) as failed:
                check(subject, hidden=hidden)
            messages.append(str(failed.value))
        assert fragment in messages[0]
        assert messages[0] == messages[1], "the two subjects must come to the same verdict"


@pytest.mark.parametrize(("check", "setup", "source"), RIGHT)
def test_right_answer_is_accepted(
    check: Check, setup: str, source: str, child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    for subject in subjects(check, setup + source, child):
        assert check(subject) is None
        assert check(subject, hidden=True) is None
    assert capsys.readouterr().out.count(f"{check.name} holds") == 4


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_cases_tell_all_known_mistakes_apart(name: str, check: Check) -> None:
    assert len({mistake.wrong for mistake in check.mistakes}) == len(check.mistakes) >= 5
    for hidden in (False, True):
        answers = [("right", known_answers(check, check.reference, hidden))]
        answers += [(mistake.sentence, known_answers(check, mistake.wrong, hidden)) for mistake in check.mistakes]
        assert check.verdict(answers[0][1], hidden) is None
        for (first, a), (second, b) in itertools.combinations(answers, 2):
            same = all(check.alike(x, y) for x, y in zip(a, b, strict=True))
            assert not same, f"no case tells apart: {first!r} and {second!r}"
        for sentence, answer in answers[1:]:
            failed = check.verdict(answer, hidden)
            assert failed is not None and failed.sentence == sentence


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_bank_and_cases_are_large_enough(name: str, check: Check) -> None:
    bank = next(bank for checks, bank in CHAPTERS if getattr(checks, name, None) is check)
    assert len(bank.WRONG[name]) >= 5
    assert len(bank.RIGHT[name]) >= 3
    sizes = set()
    for _, request in check.tried():
        values = getattr(request, "batches", None) or getattr(request, "calls", None) or request.arguments
        values = list(values.values() if isinstance(values, dict) else values)
        # where all arguments are plain, the first of them is the size
        sizes.add(next((value.shape for value in values if hasattr(value, "shape")), values[0]))
    assert len(sizes) >= 2, "at least two sizes of input"
    assert len(check.tried(hidden=True)) > len(check.tried())
