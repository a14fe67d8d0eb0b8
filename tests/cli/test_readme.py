"""README's course map is made from notebooks and cards, and is up to date."""

import re
from collections import namedtuple
from types import SimpleNamespace

import pytest

from course_utils import runtime
from course_utils.cli import names, notebooks, readme, trained

Target = namedtuple("Target", "at_least at_most")
FIRST = """# %% [markdown]
# # Variational | autoencoders
#
# | | |
# |---|---|
# | **Time** | 75 minutes of work; the code runs in about 5 minutes on a laptop's CPU, 1 on a GPU |

# %%
number = 1
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """One notebook with two recipes, of which one has a card."""
    text = tmp_path / "solutions" / "01_tiny" / "02_vae.py"
    text.parent.mkdir(parents=True)
    text.write_text(FIRST, encoding="utf-8")
    pairs = notebooks.pairs(tmp_path / "solutions")
    recipes = [
        SimpleNamespace(
            name="vae-a", notebook="01_tiny/02_vae", system="VAE", targets={"elbo_nats": Target(-9, None), "x": None}
        ),
        SimpleNamespace(name="vae-b", notebook="01_tiny/02_vae", system="VAE", targets={"accuracy": Target(0.9, None)}),
        SimpleNamespace(name="gan", notebook="02_other/01_gan", system="GAN", targets={}),
    ]
    cards = {"vae-a": {"metrics": {"elbo_nats": -8.4567, "x": 1.0}, "chance": {"elbo_nats": -99}}}
    monkeypatch.setattr(readme.notebooks, "pairs", lambda: pairs)
    monkeypatch.setattr(names, "recipes", lambda: {recipe.name: recipe for recipe in recipes})
    monkeypatch.setattr(trained, "card", lambda recipe: cards.get(recipe.name, {}))
    return text


def test_a_row_holds_title_links_systems_minutes_and_measured_figures(course):
    row = readme.course_map().splitlines()[2]
    assert row == (
        "| 01 tiny | [Variational \\| autoencoders](notebooks/01_tiny/02_vae.ipynb) ([solved](solutions/01_tiny/02_vae.ipynb)) "
        "| VAE | 75 / 5 | `vae-a`: elbo nats -8.457 (chance -99) |"
    )


def test_a_page_before_the_chapters_has_a_row_without_a_chapter(course, monkeypatch):
    text = course.parents[1] / "00_front.py"
    text.write_text(FIRST.replace("minutes of work", "minutes of play").replace("Variational | auto", "Auto"), "utf-8")
    pairs = notebooks.Pair("00_front", text, text.with_suffix(".ipynb"))
    monkeypatch.setattr(readme.notebooks, "pairs", lambda: [pairs])
    row = readme.course_map().splitlines()[2]
    assert row == "|  | [Autoencoders](notebooks/00_front.ipynb) ([solved](solutions/00_front.ipynb)) |  | 75 / 5 |  |"


def test_a_notebook_that_does_not_say_its_minutes_is_named(course):
    course.write_text(FIRST.replace("75 minutes of work", "an hour"), encoding="utf-8")
    with pytest.raises(names.Failure, match=r"01_tiny/02_vae.*minutes of work"):
        readme.course_map()


def test_writing_changes_nothing_but_the_table(course, tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", encoding="utf-8")
    assert readme.update(file) is True
    assert readme.update(file) is False
    text = file.read_text(encoding="utf-8")
    assert (
        text.startswith(f"before\n{readme.BEGIN}\n| chapter")
        and text.endswith(f"|\n{readme.END}\nafter\n")
        and "old" not in text
    )


@pytest.mark.parametrize(
    "text", ["none", readme.BEGIN, f"{readme.END}{readme.BEGIN}", f"{readme.BEGIN * 2}{readme.END}"]
)
def test_marks_that_are_missing_or_in_disorder_are_named(text):
    with pytest.raises(names.Failure, match="course-map"):
        readme.with_map(text)


def test_the_courses_own_map_is_up_to_date():
    text = (runtime.repository() / "README.md").read_text(encoding="utf-8")
    assert readme.with_map(text) == text, "README.md: the course map is out of date: `make readme` writes it anew"


def test_every_link_of_readme_leads_somewhere():
    text = (runtime.repository() / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    missing = [link for link in links if not (runtime.repository() / link).exists()]
    assert links and not missing, f"README.md points at files that are not there: {missing}"
