"""A page of the book that `make site` makes, read from the disk in a real browser, without a server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from course_utils.cli import notebooks, site

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, watch: Callable[..., Any]) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("site")
    site.stage(folder / "source", notebooks.choose(("02_vae",), notebooks.pairs()), ("glossary",))
    site.build(folder / "source", folder / "html")
    opened = watch()
    opened.html = (folder / "html").as_uri()
    yield opened
    opened.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_readable_with_its_equations_and_solutions_unfold_by_keyboard(watched: Any, scheme: str) -> None:
    page = watched.page
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{watched.html}/01_autoencoders/02_vae.html")
    page.wait_for_function("() => document.querySelectorAll('mjx-container').length >= 30")
    assert page.locator("mjx-merror").count() == 0
    solution = page.locator("details.hide").first
    assert solution.get_attribute("open") is None
    solution.locator("summary").focus()
    page.keyboard.press("Enter")
    assert solution.get_attribute("open") is not None
    assert min(watched.contrasts("article p, article td, article summary")) >= 4.5
    watched.keep(f"book-{scheme}")


def test_its_search_finds_a_word_of_a_notebook(watched: Any) -> None:
    watched.page.goto(f"{watched.html}/search.html?q=reparameterisation")
    watched.page.locator("#search-results li a", has_text="Variational autoencoders").first.wait_for()


def test_it_reports_no_error_and_fetches_nothing_from_elsewhere(watched: Any) -> None:
    assert watched.errors == []
    assert watched.elsewhere == []
