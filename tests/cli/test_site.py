"""`make site`: a small part of the book is made; it needs no network, folds solutions, and shows all that the notebook shows."""

import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_utils.cli import notebooks, site
from course_utils.cli.names import Failure


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    site.stage(folder / "source", notebooks.choose(("00_welcome", "02_vae"), notebooks.pairs()), ("glossary", "papers"))
    site.build(folder / "source", folder / "html")
    return folder / "html"


@pytest.fixture(scope="module")
def page(book: Path) -> str:
    return (book / "01_autoencoders" / "02_vae.html").read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(book: Path, page: str) -> None:
    assert site.fetched(book) == []
    own = [path for path in re.findall(r'<(?:script|link)\b[^>]*?\b(?:src|href)="([^"#?]+)', page) if ":" not in path]
    assert len(own) > 8
    missing = [path for path in own if not (book / "01_autoencoders" / path).exists()]
    assert not missing, f"scripts and styles that are not there: {missing}"
    assert any(path.endswith("mathjax/tex-chtml.js") for path in own)
    assert list((book / "_static" / "mathjax").rglob("MathJax_Main-Regular.woff"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//cdn.example/x.css">'),
        ("a.html", '<img alt="x" src="https://example.org/x.png">'),
        ("a.css", "@font-face { src: url(https://example.org/x.woff2) }"),
        ("a.css", '@import "https://example.org/x.css";'),
    ],
)
def test_what_would_be_fetched_from_elsewhere_is_found(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "b.html").write_text('<a href="https://example.org">a link</a> <img alt="" src="x.png">')
    assert site.fetched(tmp_path) == []
    (tmp_path / name).write_text(content)
    assert len(site.fetched(tmp_path)) == 1


def test_solutions_and_answers_are_folded_and_marks_of_grading_are_gone(page: str) -> None:
    (pair,) = notebooks.choose(("02_vae",), notebooks.pairs())
    cells = notebooks.read_notebook(pair.notebook).cells
    solved = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("solution")]
    code = sum(cell.cell_type == "code" for cell in solved)
    assert page.count("Show the solution") == code >= 3
    assert page.count("<summary>Show the answer</summary>") == len(solved) - code >= 2
    for folded in re.findall(r"<details[^>]*>.*?</details>", page, re.DOTALL):
        page = page.replace(folded, "")
    assert (
        "Speckled" not in page
        and "binary_cross_entropy_with_logits" not in re.sub(r"<code.*?</code>", "", page)[: page.find("Exercise 4")]
    )
    for word in ("SOLUTION", "NBVAL", "HIDDEN TESTS", "hidden=True"):
        assert word not in page


def test_figures_equations_and_the_explorer_are_there_with_words(page: str, book: Path) -> None:
    images = re.findall(r"<img\b[^>]*>", page)
    assert len(images) >= 8
    assert all(re.search(r'\balt="[^"]+"', image) for image in images)
    shown = [re.search(r'src="([^"]+)"', image)[1] for image in images]
    assert all((book / "01_autoencoders" / path).exists() for path in shown)
    assert page.count('class="math') >= 30
    assert "the picture decoded from the chosen pair of latents" in page and "<li>model: yours</li>" in page
    assert "widget-view" not in page and "require.js" not in page


def test_the_book_can_be_searched_and_its_links_lead_to_its_pages(book: Path) -> None:
    index = (book / "searchindex.js").read_text(encoding="utf-8")
    assert "reparameteris" in index and (book / "search.html").exists()
    papers = (book / "docs" / "papers.html").read_text(encoding="utf-8")
    assert 'href="../01_autoencoders/02_vae.html"' in papers
    assert "/blob/main/course_utils/autoencoders/vae.py" in papers
    first = (book / "index.html").read_text(encoding="utf-8")
    assert 0 < first.find('href="00_welcome.html"') < first.find('href="01_autoencoders/02_vae.html"')
    assert 'href="01_autoencoders/02_vae.html"' in (book / "00_welcome.html").read_text(encoding="utf-8")
    assert 'href="01_autoencoders/02_vae.html"' in first and 'href="docs/glossary.html"' in first


def test_a_page_that_fetches_something_stops_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    html = '<img src="https://example.org/x.png" alt="x">'
    cell = new_code_cell("1", outputs=[new_output("display_data", data={"text/html": html})])
    notebooks.write(new_notebook(cells=[cell]), source / "index.ipynb")
    with pytest.raises(Failure, match=r"index.html: https://example.org/x.png"):
        site.build(source, tmp_path / "html")
