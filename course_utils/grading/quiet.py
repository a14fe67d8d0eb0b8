"""nbgrader's converters without their log; what they complain of comes with the error."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def quietly(failure: type[Exception], told: str) -> Iterator[Callable[[Any], dict[str, Any]]]:
    """Run a converter in silence: a function that makes its options `coursedir` and `log` of its configuration.

    nbgrader wraps every cause into an exception of its own and logs the reason.

    Raises:
        failure: if nbgrader fails: `told`, and the last messages of its log.
    """
    from nbgrader.coursedir import CourseDirectory

    messages: list[str] = []

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    log = logging.Logger("nbgrader", logging.WARNING)
    log.addHandler(Listen())

    def options(config: Any) -> dict[str, Any]:
        return {"coursedir": CourseDirectory(config=config, log=log), "log": log}

    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
            yield options
    except (Exception, SystemExit) as error:
        reason = "\n".join(messages[-5:]) or f"{type(error).__name__}: {error}"
        raise failure(f"{told}:\n{reason}") from error
