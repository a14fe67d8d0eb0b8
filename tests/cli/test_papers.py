"""docs/papers.md says what modules, notebooks and recipes say, and is up to date; the other pages keep their promises too."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import runtime
from course_utils.cli import main, names, notebooks, papers

DOCS = runtime.repository() / "docs"
PAGES = ["cluster.md", "glossary.md", "papers.md", "prerequisites.md", "teaching.md"]


def fenced(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture(scope="module")
def systems() -> dict[str, papers.System]:
    return {system.module: system for system in papers.systems()}


def test_a_system_is_read_from_its_module_its_notebook_and_its_recipes(systems: dict[str, papers.System]) -> None:
    vqvae = systems["autoencoders/vqvae.py"]
    assert vqvae.title == "VQ-VAE" and "Neural discrete representation learning" in vqvae.papers
    assert vqvae.notebooks == ("01_autoencoders/03_vqvae",)
    assert vqvae.checkpoints == ("vqvae-scenes",) and vqvae.published == ("CompVis/ldm-celebahq-256",)
    assert systems["translation/pix2pix.py"].published == (), (
        "a class of the same name in another module is another system"
    )
    assert systems["translation/pix2pix.py"].reads and not systems["gans/gan.py"].reads


def test_every_recipe_notebook_and_published_weight_stands_on_the_page(systems: dict[str, papers.System]) -> None:
    checkpoints = {name for system in systems.values() for name in system.checkpoints}
    of_judges = {recipe.name for recipe in names.recipes().values() if recipe.system.endswith("judge")}
    assert checkpoints == names.recipes().keys() - of_judges
    assert {name for system in systems.values() for name in system.notebooks} == {
        pair.name for pair in notebooks.pairs() if pair.chapter
    }
    package = runtime.repository() / "course_utils"
    reading = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "    def from_hub(" in path.read_text("utf-8")
    }
    assert reading <= systems.keys(), "a module with from_hub needs a docstring with Paper: or Papers:"


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "papers.md").read_text("utf-8") == papers.page(), (
        "docs/papers.md is out of date: `make readme` writes it anew"
    )


def test_a_module_that_a_notebook_names_and_that_is_gone_is_named(tmp_path: Path) -> None:
    text = tmp_path / "01_tiny" / "01_first.py"
    text.parent.mkdir()
    text.write_text("# %% [markdown]\n# # T\n#\n# | **Code** | `course_utils/gans/gan.py`, `gone.py` |\n\n# %%\n1\n")
    with pytest.raises(names.Failure, match="gone.py"):
        papers.code_of(notebooks.pairs(tmp_path)[0])


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    missing = [link for link in links if not (DOCS / link).exists()]
    assert not missing, f"docs/{page} points at what is not there: {missing}"


def test_the_refresher_runs_as_it_stands() -> None:
    blocks = fenced("prerequisites.md", "python")
    assert len(blocks) >= 8
    program = "\n".join(blocks)
    assert program.count("assert ") >= 15, "each idiom shows what comes out"
    exec(compile(program, "docs/prerequisites.md", "exec"), {})


def test_the_glossary_is_in_order_says_each_term_once_and_what_it_means() -> None:
    entries = re.findall(
        r"^\*\*(.+?)\*\*: (.+?)(?=\n\n|\Z)", (DOCS / "glossary.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    terms = [term.casefold() for term, _ in entries]
    assert len(terms) >= 60 and terms == sorted(terms) and len(set(terms)) == len(terms)
    assert all(len(meaning.split()) >= 6 for _, meaning in entries)
    leads = {part for _, meaning in entries for part in re.findall(r"\]\(../notebooks/([^/)]+)/", meaning)}
    released = {path.parent.name for path in (DOCS.parent / "notebooks").glob("*/*.ipynb")}
    assert leads == released, f"docs/glossary.md has no word of {sorted(released - leads)}"


def cluster_commands() -> list[str]:
    return [
        line
        for block in fenced("cluster.md", "bash")
        for line in block.replace("\\\n", "").splitlines()
        if line.strip() and line[0] != "#"
    ]


def test_commands_of_the_cluster_page_name_what_there_is() -> None:
    commands = cluster_commands()
    assert any("torchrun" in line for line in commands) and any("accelerate launch" in line for line in commands)
    asked = [re.search(r"course (train|evaluate|experiment) ([\w-]+)", line) for line in commands]
    assert sum(found is not None for found in asked) >= 6
    for found in filter(None, asked):
        known = names.experiments() if found[1] == "experiment" else names.recipes()
        assert found[2] in known and found[1] in main.COMMANDS, found[0]


@pytest.mark.parametrize(
    "starter", ["torchrun --standalone --nproc-per-node", "accelerate launch --multi_gpu --num_processes"]
)
def test_the_cluster_commands_train_at_scale_smoke(starter: str, tmp_path: Path) -> None:
    """The very line of the page, with another recipe, in two processes on the CPU."""
    (line,) = [
        line for line in cluster_commands() if starter in line and "course train" in line and "SLURM" not in line
    ]
    words = re.sub(r"course train [\w-]+", "course train autoencoder-glyphs", line).split()
    settings = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    folder = Path(sys.executable).parent
    script = tmp_path / "course"
    script.write_text("import sys\nfrom course_utils.cli.main import main\nsys.exit(main())\n")
    for index, word in enumerate(words):
        if word == ".venv/bin/course":
            words[index] = str(script)
        elif word in ("torchrun", "accelerate"):
            words[index] = str(folder / word)
        elif re.search(r"nproc|num_processes", words[index - 1]):
            words[index] = "2"
        elif word == "--multi_gpu":
            words[index] = "--cpu"
    environment = os.environ | settings | {
        "COURSE_SCALE": "smoke", "COURSE_DATA": str(tmp_path), "COURSE_DEVICE": "cpu", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(runtime.repository()),
    }  # fmt: skip
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("trained in") == 1, "the first process alone measures and writes"
    assert list(tmp_path.rglob("smoke/autoencoder-glyphs/model.safetensors"))
