"""`make site`: the course as a book of web pages, all solved notebooks and the pages of docs/, for reading without a network.

What lies in `solutions/` and `docs/` is copied to `build/site/source` in the form in which a reader wants it: solutions folded, without marks of
tests and grading, each explorer as its picture and settings (a slider moves nothing where no kernel runs). Sphinx makes `build/site/html` of
it; nothing in there is fetched from elsewhere. MathJax comes from an installed package.
"""

import re
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils import runtime
from course_utils.cli import notebooks, release
from course_utils.cli.names import Failure, require

if TYPE_CHECKING:
    from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"^[ \t]*(### (BEGIN|END) SOLUTION|# NBVAL_CHECK_OUTPUT)[^\n]*\n?", re.MULTILINE)
ANSWER = re.compile(r"<!-- BEGIN SOLUTION -->\n(.*?)<!-- END SOLUTION -->", re.DOTALL)
LINK = re.compile(r"(\]\(|(?:src|href)=\")(\.\./[^)\s\"#]+)")
PAGES = ("prerequisites", "claims", "papers", "glossary", "cluster", "benchmarks", "teaching")
SETTINGS = {
    "project": "Generative models, vision and language",
    "html_title": "Generative models, vision and language",
    "author": "the course authors",
    "copyright": "the course authors, MIT licence",
    "extensions": ["myst_nb", "sphinx-mathjax-offline"],
    "html_theme": "sphinx_book_theme",
    "html_context": {"default_mode": "auto"},
    "html_theme_options": {"use_download_button": False, "use_fullscreen_button": False, "show_navbar_depth": 1},
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "myst_heading_anchors": 3,
    "nb_execution_mode": "off",
    "nb_code_prompt_show": "Show the solution",
    "nb_code_prompt_hide": "Hide the solution",
    "nb_merge_streams": True,
    "html_show_sphinx": False,
    "html_show_search_summary": False,  # it would fetch the pages that were found, which a browser does not do from a disk
    "suppress_warnings": ["mystnb.unknown_mime_type", "myst.header", "myst.xref_missing", "misc.highlighting_failure"],
}


def page_of(notebook: "NotebookNode") -> "NotebookNode":
    """A solved notebook as a page of the book, changed in place."""
    states = notebook.metadata.pop("widgets", {}).get(STATES, {}).get("state", {})
    for cell in notebook.cells:
        solution = cell.metadata.get("nbgrader", {}).get("solution")
        if cell.cell_type == "markdown":
            answer = "<details><summary>Show the answer</summary>\n\n\\1\n</details>"
            cell.source = ANSWER.sub(answer, cell.source)
            continue
        cell.source = MARK.sub("", HIDDEN.sub("", cell.source)).rstrip()
        if solution:
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        cell.outputs = [
            still
            for output in cell.get("outputs", [])
            for still in (_still(states, output) if WIDGET in output.get("data", {}) else [output])
        ]
    return notebook


def _still(states: dict[str, Any], output: "NotebookNode") -> list["NotebookNode"]:
    """What an explorer shows when it opens, as a picture and the settings of its controls."""
    from nbformat.v4 import new_output

    made, settings, texts = [], [], []
    todo = [output.data[WIDGET]["model_id"]]
    while todo:
        model = states.get(todo.pop(0), {"model_name": "", "state": {}})
        state = model["state"]
        todo += [child.removeprefix("IPY_MODEL_") for child in state.get("children", [])]
        if model["model_name"] == "ImageModel":
            data = {"image/png": model["buffers"][0]["data"]}
            made.append(
                new_output("display_data", data=data, metadata={"image/png": {"alt": "the explorer's picture"}})
            )
        elif model["model_name"] == "HTMLModel":
            texts.append(re.sub(r"<[^>]+>", "", state["value"]))
        elif state.get("description"):
            labels = state.get("_options_labels")
            value = labels[state["index"]] if labels else state.get("value")
            settings.append(f"<li>{escape(state['description'])}: {escape(str(value))}</li>")
    for picture in made:
        picture.metadata["image/png"]["alt"] = " ".join(texts) or "the explorer's picture"
    words = f"<p>{escape(' '.join(texts))}</p><ul>{''.join(settings)}</ul>"
    made.append(
        new_output(
            "display_data", data={"text/html": f"{words}<p><small>In JupyterLab these controls move.</small></p>"}
        )
    )
    return made


def _lead(text: str, known: set[str]) -> str:
    """Links out of docs/ and solutions/: to a page of the book where there is one, else to the course's address."""

    def to(match: re.Match) -> str:
        target = re.sub(r"^(\.\./)+", "", match.group(2))
        page = re.sub(r"^(notebooks|solutions)/", "", target)
        if page in known:
            return f"{match.group(1)}../{page}"
        return f"{match.group(1)}{release.address()}/blob/main/{target}"

    return LINK.sub(to, text)


def stage(source: Path, chosen: Sequence[notebooks.Pair], pages: Sequence[str] = PAGES) -> None:
    """Write what Sphinx reads into the folder `source`."""
    root = runtime.repository()
    shutil.rmtree(source, ignore_errors=True)
    known = {f"{pair.name}.ipynb" for pair in chosen}
    chapters: dict[str, list[str]] = {}
    for pair in chosen:
        page = page_of(notebooks.read_notebook(pair.notebook))
        for cell in page.cells:
            if cell.cell_type == "markdown":
                cell.source = _lead(cell.source, known)
        notebooks.write(page, source / f"{pair.name}.ipynb")
        for picture in release.pictures(pair):
            target = source / pair.chapter / picture.relative_to(pair.text.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, target)
        chapters.setdefault(pair.chapter, []).append(pair.name)
    for name in pages:
        if (root / "docs" / f"{name}.md").exists():
            (source / "docs").mkdir(parents=True, exist_ok=True)
            text = (root / "docs" / f"{name}.md").read_text(encoding="utf-8")
            (source / "docs" / f"{name}.md").write_text(_lead(text, known), encoding="utf-8")
    for folder in ("figures", "images"):
        shutil.copytree(root / "docs" / folder, source / "docs" / folder, dirs_exist_ok=True)
    (source / "index.md").write_text(
        _index(chapters, [name for name in pages if (source / "docs" / f"{name}.md").exists()]), "utf-8"
    )


def _index(chapters: dict[str, list[str]], pages: Sequence[str]) -> str:
    """The first page: README's head, and what the book holds."""
    readme = (runtime.repository() / "README.md").read_text(encoding="utf-8")
    head = readme.partition("\n## ")[0]
    trees = [
        (f"Chapter {chapter.replace('_', ' ')}" if chapter else "Before the chapters", names)
        for chapter, names in chapters.items()
    ]
    trees.append(("Beside the notebooks", [f"docs/{name}" for name in pages]))
    return head + "".join(
        f"\n\n```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n{chr(10).join(names)}\n```"
        for caption, names in trees
    )


def build(source: Path, html: Path) -> None:
    """Make the pages.

    Raises:
        Failure: if Sphinx cannot, or if a page would fetch something from elsewhere.
    """
    require("myst_nb", "site")
    require("sphinx-mathjax-offline", "site")
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    shutil.rmtree(html, ignore_errors=True)
    with docutils_namespace():
        app = Sphinx(
            source, None, html, html.with_name("doctrees"), "html", confoverrides=SETTINGS, status=None, freshenv=True
        )
        app.build(force_all=True)
    if app.statuscode:
        raise Failure(f"Sphinx could not make the pages from {source}: its reasons stand above")
    if found := fetched(html):
        raise Failure("these pages fetch something from elsewhere:\n" + "\n".join(found))


def fetched(html: Path) -> list[str]:
    """What the pages and style sheets below a folder would fetch from another server when they are read (links are only followed)."""
    tag = re.compile(
        r"<(script|img|iframe|source|video|audio|embed|link)\b[^>]*?\b(?:src|href)=\"((?:https?:)?//[^\"]+)\"[^>]*>"
    )
    style = re.compile(r"(?:url\(|@import )\s*[\"']?((?:https?:)?//[^\"')]+)")
    found = []
    for path in sorted(html.rglob("*")):
        if path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            found += [
                f"{path.relative_to(html)}: {hit.group(2)}"
                for hit in tag.finditer(text)
                if not (hit.group(1) == "link" and 'rel="canonical"' in hit.group())
            ]
            found += [f"{path.relative_to(html)}: {address}" for address in style.findall(text)]
        elif path.suffix == ".css":
            found += [
                f"{path.relative_to(html)}: {address}" for address in style.findall(path.read_text(encoding="utf-8"))
            ]
    return found


def site(names: tuple[str, ...] = (), folder: Path | None = None) -> Path:
    """Make the book of the notebooks that `names` mean (all unless given), and return its first page."""
    folder = folder or runtime.repository() / "build" / "site"
    stage(folder / "source", notebooks.choose(names, notebooks.pairs()))
    build(folder / "source", folder / "html")
    return folder / "html" / "index.html"


if __name__ == "__main__":
    print(f"the book of the course: open {site()}")
