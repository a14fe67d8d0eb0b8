"""What holds for the tests of every bank."""

from collections.abc import Iterator

import pytest
import torch

from course_utils.checks.subjects import Child


@pytest.fixture(scope="module")
def child(request: pytest.FixtureRequest) -> Iterator[Child]:
    """A process that runs answers; with the checks come the modules of the course that answers use."""
    with Child(seconds=60, preload=[request.module.checks.__name__, "numpy"]) as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The cases are tiny: two threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
