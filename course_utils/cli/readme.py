"""The course map in README.md: one row a notebook, made from the notebooks' first cells and the checkpoints' cards.

`make readme` writes it anew; a test says when it is out of date.
"""

import re
from pathlib import Path

from course_utils import runtime
from course_utils.cli import names, notebooks, output, trained

BEGIN, END = "<!-- course-map -->", "<!-- /course-map -->"
HEAD = ("chapter", "notebook", "systems", "minutes: yours / the CPU's", "measured on held-out data")


def title_and_minutes(pair: notebooks.Pair) -> tuple[str, int, int]:
    """A notebook's title, the minutes of work that it asks for, and the minutes that its code runs on a CPU.

    Raises:
        Failure: if its first cell does not say them.
    """
    first = notebooks.read_text(pair.text).cells[0].source
    title = re.search(r"^# (.+)$", first, re.MULTILINE)
    work = re.search(r"\*\*Time\*\* \|[^|\n]*?(\d+) minutes of (?:work|play)", first)
    computing = re.search(r"\*\*Time\*\* \|[^|\n]*?runs in (?:about )?(\d+) minutes?", first)
    if not (title and work and computing):
        raise names.Failure(
            f"{pair.name}: its first cell must hold a title, `# ...`, and a row "
            "`| **Time** | 60 minutes of work; the code runs in about 5 minutes on a laptop's CPU |`"
        )
    return title.group(1), int(work.group(1)), int(computing.group(1))


def measured(notebook: str) -> tuple[list[str], list[str]]:
    """The systems that a notebook trains, and for each of its recipes the first metric that has a target."""
    systems, figures = [], []
    for recipe in names.recipes().values():
        if recipe.notebook != notebook:
            continue
        if recipe.system not in systems:
            systems.append(recipe.system)
        metric = next(iter(recipe.targets), None)
        own = trained.card(recipe)
        value = own.get("metrics", {}).get(metric)
        if value is not None:
            chance = own.get("chance", {}).get(metric)
            beside = "" if chance is None else f" (chance {output.number(chance)})"
            figures.append(f"`{recipe.name}`: {metric.replace('_', ' ')} {output.number(value)}{beside}")
    return systems, figures


def course_map() -> str:
    """The table, in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "| --- | --- | --- | ---: | --- |"]
    for pair in notebooks.pairs():
        title, work, computing = title_and_minutes(pair)
        systems, figures = measured(pair.name)
        place = f"[{title}](notebooks/{pair.name}.ipynb) ([solved](solutions/{pair.name}.ipynb))"
        shown = [pair.chapter.replace("_", " "), place, ", ".join(systems), f"{work} / {computing}", "; ".join(figures)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in shown) + " |")
    return "\n".join(lines)


def with_map(text: str) -> str:
    """README's text with the table of today between its two marks.

    Raises:
        Failure: if the marks are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise names.Failure(f"README.md must hold {BEGIN} and, after it, {END}, once each: the course map goes between")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{course_map()}\n{END}{rest.partition(END)[2]}"


def update(readme: Path | None = None) -> bool:
    """Write the table into README.md; whether anything changed."""
    readme = readme or runtime.repository() / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = with_map(old)
    if new != old:
        readme.write_text(new, encoding="utf-8", newline="\n")
    return new != old


def picture(path: Path | None = None, side: int = 20) -> Path:
    """Draw README's picture: what `vae-glyphs` decodes from a lattice of codes of equal prior probability."""
    import torch

    from course_utils import plots, training

    model = training.load(names.recipe("vae-glyphs"))
    ticks = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    codes = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)  # first latent to the right, second upwards
    with torch.inference_mode():
        images = model.decode(codes.to(runtime.device()))
    path = path or runtime.repository() / "docs" / "images" / "manifold.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plots.png(plots.sheet(images, columns=side, padding=0)))
    return path


if __name__ == "__main__":
    from course_utils.cli import papers

    print(f"docs/papers.md: {'written anew' if papers.update() else 'is up to date'}")
    print(f"drawn: {picture().relative_to(runtime.repository())}")
    print("README.md: course map written anew" if update() else "README.md: course map is up to date")
