"""The tests of a bank of wrong and right answers, against every check: visible and hidden, in the notebook and in a child process."""

import itertools
import linecache
from types import ModuleType
from typing import Any

import pytest

from course_utils.checks.engine import Check, CheckFailed, known_answers
from course_utils.checks.subjects import Child, InChild, InNotebook


def subjects(check: Check, source: str, child: Child) -> list[Any]:
    linecache.cache["<answer>"] = (len(source), None, source.splitlines(keepends=True), "<answer>")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<answer>", "exec"), namespace)
    return [InNotebook(namespace[check.name]), InChild(source, check.name, child)]


def bank_tests(checks: ModuleType, bank: ModuleType) -> type:
    """The tests of the checks of a module with their bank, as a class for pytest to collect."""
    known = [pytest.param(name, check, id=name) for name, check in vars(checks).items() if isinstance(check, Check)]
    wrong = [
        pytest.param(getattr(checks, name), source, fragment, id=f"{name}-{number}")
        for name, entries in bank.WRONG.items()
        for number, (source, fragment) in enumerate(entries)
    ]
    right = [
        pytest.param(getattr(checks, name), source, id=f"{name}-{number}")
        for name, entries in bank.RIGHT.items()
        for number, source in enumerate(entries)
    ]

    class TestBank:
        @pytest.mark.parametrize(("check", "source", "fragment"), wrong)
        def test_wrong_answer_is_told_which_mistake_it_is(
            self, check: Check, source: str, fragment: str, child: Child
        ) -> None:
            both = subjects(check, bank.SETUP + source, child)
            for hidden in (False, True):
                messages = []
                for subject in both:
                    with pytest.raises(CheckFailed) as failed:
                        check(subject, hidden=hidden)
                    messages.append(str(failed.value))
                assert fragment in messages[0]
                assert messages[0] == messages[1], "the two subjects must come to the same verdict"

        @pytest.mark.parametrize(("check", "source"), right)
        def test_right_answer_is_accepted(
            self, check: Check, source: str, child: Child, capsys: pytest.CaptureFixture[str]
        ) -> None:
            for subject in subjects(check, bank.SETUP + source, child):
                assert check(subject) is None
                assert check(subject, hidden=True) is None
            assert capsys.readouterr().out.count(f"{check.name} holds") == 4

        @pytest.mark.parametrize(("name", "check"), known)
        def test_cases_tell_all_known_mistakes_apart(self, name: str, check: Check) -> None:
            assert len({mistake.wrong for mistake in check.mistakes}) == len(check.mistakes) >= 5
            for hidden in (False, True):
                answers = [("right", known_answers(check, check.reference, hidden))]
                answers += [
                    (mistake.sentence, known_answers(check, mistake.wrong, hidden)) for mistake in check.mistakes
                ]
                assert check.verdict(answers[0][1], hidden) is None
                for (first, a), (second, b) in itertools.combinations(answers, 2):
                    same = all(check.alike(x, y) for x, y in zip(a, b, strict=True))
                    assert not same, f"no case tells apart: {first!r} and {second!r}"
                for sentence, answer in answers[1:]:
                    failed = check.verdict(answer, hidden)
                    assert failed is not None and failed.sentence == sentence

        @pytest.mark.parametrize(("name", "check"), known)
        def test_bank_and_cases_are_large_enough(self, name: str, check: Check) -> None:
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

    return TestBank
