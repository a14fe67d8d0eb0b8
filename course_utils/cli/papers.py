"""docs/papers.md: every system of the course with its papers, our module, its notebooks and weights.

Made by `make readme` from what the modules say of themselves (`Papers:` in their docstrings, `from_hub("...")`), from the rows **Code** of
the notebooks and from the recipes; a test says when it is out of date.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from course_utils import runtime
from course_utils.cli import names, notebooks

CHAPTERS = (
    "autoencoders", "gans", "translation", "diffusion", "language", "clip", "text_to_image", "captioning_vqa", "beyond",
)  # fmt: skip
PAPERS = re.compile(r"^Papers?: (.*?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
HUB = re.compile(r"""\b(\w+)\.from_hub\(\s*"([\w.-]+/[\w.-]+)\"""")
HEAD = """# Papers, code, weights

Every system of the course: the papers that it follows, the module that holds it, the notebooks that build it, its checkpoints in
`data/checkpoints/`, and the published weights that `from_hub` reads into our own module. Written by `make readme` from modules, notebooks and
recipes.
"""


@dataclass(frozen=True)
class System:
    """One module of a chapter that follows a paper.

    Args:
        module: as in `autoencoders/vae.py`.
        title: the first line of its docstring, up to the colon.
        papers: as its docstring names them.
        notebooks: whose row **Code** names it, such as `01_autoencoders/02_vae`.
        checkpoints: recipes that train a model of it.
        published: weights on the Hugging Face hub, by name; none, though `reads` is true, where they lie elsewhere.
        reads: whether it has a `from_hub`.
    """

    module: str
    title: str
    papers: str
    notebooks: tuple[str, ...]
    checkpoints: tuple[str, ...]
    published: tuple[str, ...]
    reads: bool


def code_of(pair: notebooks.Pair) -> list[str]:
    """The modules that the row **Code** of a notebook names; a name without a folder is in that of the name before.

    Raises:
        Failure: if one of them is not there.
    """
    first = notebooks.read_text(pair.text).cells[0].source
    row = re.search(r"\*\*Code\*\* \|(.*)\|", first)
    folder, found = "", []
    for name in re.findall(r"`([\w/]+\.py)`", row.group(1) if row else ""):
        folder, _, file = name.rpartition("/") if "/" in name else (folder, "", name)
        module = f"{folder}/{file}".removeprefix("course_utils/")
        if not (runtime.repository() / "course_utils" / module).is_file():
            raise names.Failure(f"{pair.name}: its row Code names {name}, and there is no course_utils/{module}")
        found.append(module)
    return found


def _checkpoints() -> dict[str, list[str]]:
    """The recipes by the module of the model that they train."""
    made: dict[str, list[str]] = {}
    for recipe in names.recipes().values():
        # a class of a recipe's own, such as `SceneAnswerer`, only says how a checkpoint holds the model that it extends
        module = next(
            part.__module__ for part in type(recipe.model()).__mro__ if not part.__module__.endswith("recipes")
        )
        made.setdefault(module.removeprefix("course_utils.").replace(".", "/") + ".py", []).append(recipe.name)
    return made


def systems() -> list[System]:
    """Every system, in the order of the chapters."""
    root = runtime.repository()
    pairs = notebooks.pairs()
    code = {pair.name: code_of(pair) for pair in pairs}
    trained = _checkpoints()
    sources = {pair.name: pair.text.read_text(encoding="utf-8") for pair in pairs}
    found = []
    for chapter in CHAPTERS:
        for path in sorted((root / "course_utils" / chapter).glob("*.py")):
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
            docstring = ast.get_docstring(tree) or ""
            papers = PAPERS.search(docstring)
            if papers is None:
                continue
            module = f"{chapter}/{path.name}"
            classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
            built = tuple(name for name, modules in code.items() if module in modules)
            loads = [hit for text in (source, *(sources[name] for name in built)) for hit in HUB.findall(text)]
            found.append(
                System(
                    module=module,
                    title=docstring.splitlines()[0].partition(":")[0].rstrip("."),
                    papers=" ".join(papers.group(1).split()),
                    notebooks=built,
                    checkpoints=tuple(trained.get(module, [])),
                    published=tuple(dict.fromkeys(name for owner, name in loads if owner in classes)),
                    reads="def from_hub(" in source,
                )
            )
    return found


def _linked(name: str, target: str) -> str:
    """A link to a file of the repository; the name alone as long as a draft's notebook or checkpoint is not there."""
    return f"[{name}](../{target})" if (runtime.repository() / target).exists() else name


def page() -> str:
    """The page, in Markdown."""
    lines = [HEAD]
    for system in systems():
        built = ", ".join(_linked(name, f"notebooks/{name}.ipynb") for name in system.notebooks)
        own = ", ".join(_linked(name, f"data/checkpoints/{name}/README.md") for name in system.checkpoints)
        hub = ", ".join(f"[{name}](https://huggingface.co/{name})" for name in system.published)
        lines += [
            f"## {system.title}",
            "",
            f"- papers: {system.papers}",
            f"- module: [course_utils/{system.module}](../course_utils/{system.module})",
            *([f"- notebooks: {built}"] if built else []),
            *([f"- checkpoints: {own}"] if own else []),
            *([f"- published weights: {hub or 'from files, as `from_hub` says'}"] if system.reads else []),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def update(path: Path | None = None) -> bool:
    """Write the page; whether anything changed."""
    path = path or runtime.repository() / "docs" / "papers.md"
    new = page()
    changed = not path.exists() or path.read_text(encoding="utf-8") != new
    if changed:
        path.write_text(new, encoding="utf-8", newline="\n")
    return changed
