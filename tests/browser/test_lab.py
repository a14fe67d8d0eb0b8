"""A student's way through a notebook in JupyterLab: the cells are run from the keyboard, one after the other."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

WRONG = "def kl_divergence(mean, log_variance):\n    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).mean(dim=1)"
RIGHT = WRONG.replace(".mean(dim=1)", ".sum(dim=1)")
TITLE, COLAB, FIGURE, EXERCISE, CHECK, EXPLORER = range(6)
READABLE = 4.5  # contrast of a text, as WCAG 2 asks for at level AA


class Notebook:
    """An open notebook: its cells by number."""

    def __init__(self, watched: Any):
        self.watched, self.page = watched, watched.page
        self.cells = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")

    def run(self, number: int, source: str | None = None) -> str:
        """Run a cell with Shift+Enter, after `source` was typed into it if there is one; returns what it shows as text."""
        cell = self.cells.nth(number)
        prompt = cell.locator(".jp-InputPrompt").first
        before = prompt.inner_text()
        cell.locator(".cm-content").first.click()
        if source is not None:
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_function(
            "([element, before]) => /\\[\\d+\\]/.test(element.innerText) && element.innerText !== before",
            arg=[prompt.element_handle(), before],
        )
        self.page.locator("#jp-main-statusbar", has_text="| Idle").wait_for()
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


@pytest.fixture(scope="module")
def notebook(lab: str, watch: Callable[..., Any]) -> Iterator[Notebook]:
    """The notebook, opened, with its cells run once, as they were handed out."""
    watched = watch()
    watched.page.goto(f"{lab}/lab/tree/01_tiny/01_first.ipynb?token=secret")
    opened = Notebook(watched)
    opened.cells.nth(EXPLORER).wait_for()
    watched.page.locator("#jp-main-statusbar", has_text="| Idle").wait_for()
    opened.shown = {number: opened.run(number) for number in (COLAB, FIGURE, EXERCISE, CHECK, EXPLORER)}
    opened.picture = watched.page.locator("img.course-explorer-picture")
    watched.keep("lab-opened")
    assert "Error" not in opened.shown[EXPLORER], opened.shown
    opened.picture.wait_for()
    yield opened
    watched.keep("lab-end")
    watched.page.close()


def test_it_runs_cell_by_cell_as_it_was_handed_out(notebook: Notebook) -> None:
    assert notebook.shown[COLAB] == "" and notebook.shown[EXERCISE] == ""
    assert notebook.cells.nth(TITLE).locator("mjx-container, .MathJax").count() == 1, "the equation is set"
    figure = notebook.cells.nth(FIGURE).locator(".jp-RenderedImage img")
    assert figure.evaluate("image => image.complete && image.naturalWidth > 100")
    assert "four squares from black to white" in notebook.cells.nth(FIGURE).locator("details").text_content()
    assert "kl_divergence" in notebook.shown[CHECK] and "not written" in notebook.shown[CHECK].replace(
        "NotImplemented", "not written"
    )


def test_a_wrong_answer_is_told_its_mistake_and_a_right_one_passes(notebook: Notebook) -> None:
    notebook.run(EXERCISE, WRONG)
    said = notebook.run(CHECK)
    assert "You averaged over the latent dimensions: the KL is a sum over them" in said
    assert "Traceback" not in said
    notebook.watched.keep("lab-wrong-answer")
    notebook.run(EXERCISE, RIGHT)
    said = notebook.run(CHECK)
    assert "You averaged" not in said
    notebook.watched.keep("lab-right-answer")


@pytest.mark.parametrize(
    ("control", "part", "keys"),
    [
        ("count", "[role=slider]", ["ArrowRight"]),
        ("level", "[role=slider]", ["ArrowLeft"]),
        ("side", "[role=slider]", ["ArrowRight"]),
        ("inverted", "input[type=checkbox]", ["Space"]),
        ("title", "input[type=text]", ["End", "b", "c", "d", "Enter"]),
    ],
)
def test_each_kind_of_control_is_moved_by_keyboard_and_the_picture_changes(
    notebook: Notebook, control: str, part: str, keys: list[str]
) -> None:
    before = notebook.picture.get_attribute("src")
    notebook.page.locator(f".course-control-{control} {part}").focus()
    for key in keys:
        notebook.page.keyboard.press(key)
    notebook.page.wait_for_function(
        "([image, before]) => image.src !== before && image.complete && image.naturalWidth > 0",
        arg=[notebook.picture.element_handle(), before],
    )
    assert notebook.page.locator(".jp-OutputArea-output[data-mime-type*=stderr]").count() == 0
    notebook.watched.keep(f"lab-control-{control}")


def test_tab_leads_from_control_to_control_and_each_has_a_name(notebook: Notebook) -> None:
    order = ["count", "level", "side", "inverted", "title"]
    notebook.page.locator(".course-control-count [role=slider]").focus()
    reached = []
    for _ in range(12):  # a slider is followed by its number, which can be edited
        found = notebook.page.evaluate(
            "() => document.activeElement.closest('[class*=course-control-]')?.className ?? ''"
        )
        if match := re.search(r"course-control-(\w+)", found):
            reached.append(match[1])
        notebook.page.keyboard.press("Tab")
    assert list(dict.fromkeys(reached)) == order
    names = [notebook.page.locator(f".course-control-{name}").inner_text().split()[:2] for name in order]
    assert all(name in words for name, words in zip(order, names, strict=True)), "each control says what it is"
    assert notebook.page.get_by_text("squares in shades of grey", exact=True).is_visible(), "the picture in words"


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_both_themes_are_readable(notebook: Notebook, theme: str) -> None:
    notebook.page.evaluate(
        f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
    )
    notebook.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
    notebook.run(EXERCISE, WRONG)
    notebook.run(CHECK)
    for what in (
        ".jp-MarkdownOutput p",
        ".jp-RenderedText pre",
        ".jp-RenderedText pre span",
        ".jp-RenderedHTML summary",
        ".course-control-side label",
        ".widget-html small",
    ):
        found = notebook.watched.contrasts(f".jp-NotebookPanel {what}")
        assert found and min(found) >= READABLE, f"{what} in theme {theme}: contrast {found}"
    notebook.watched.keep(f"lab-{theme.lower()}")


def test_nothing_went_wrong_and_nothing_was_fetched_from_elsewhere(notebook: Notebook) -> None:
    assert notebook.watched.errors == []
    assert notebook.watched.elsewhere == []


def test_the_first_page_that_make_lab_opens_is_the_welcome_page(
    notebook: Notebook, lab: str, watch: Callable[..., Any]
) -> None:
    watched = watch()
    watched.page.goto(f"{lab}/?token=secret")
    panel = watched.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    panel.get_by_role("heading", name="Welcome: everything on one page").wait_for()
    assert watched.page.url.split("?")[0] == f"{lab}/lab/tree/00_welcome.ipynb"
    assert panel.get_by_role("link", name="a map of letters").count() == 1, "a way into each chapter"
    watched.keep("lab-welcome")
    assert watched.errors == [] and watched.elsewhere == []
    watched.page.close()
