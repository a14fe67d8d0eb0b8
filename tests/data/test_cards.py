import re

import pytest
from PIL import Image

from course_utils.data import cards
from course_utils.runtime import repository

CARDS = repository() / "data" / "cards"


@pytest.mark.parametrize("name", cards.TEXTS)
def test_the_texts_are_up_to_date(name):
    """Mended by `python -m course_utils.data.cards`."""
    assert (CARDS / f"{name}.md").read_text() == cards.TEXTS[name]()


@pytest.mark.parametrize("name", cards.BOOKS)
def test_the_pictures_are_small_files_that_show_something(name):
    file = CARDS / f"{name}.png"
    assert file.stat().st_size < 150_000
    with Image.open(file) as picture:
        assert picture.width > 500
        assert len(picture.convert("RGB").getcolors(2**24)) > 30


@pytest.mark.parametrize("name", ["digits", "glyphs"])
def test_the_pictures_can_be_made_anew(name):
    with Image.open(CARDS / f"{name}.png") as stored:
        assert cards.BOOKS[name]().size == stored.size


@pytest.mark.parametrize("name", ["digits", "glyphs"])
def test_the_code_on_the_card_runs(name):
    (code,) = re.findall(r"```python\n(.*?)```", (CARDS / f"{name}.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert next(iter(names["batches"]))["image"].shape == (128, 1, 32, 32)
    assert names["table"].column_names[:2] == ["image", "label"]


@pytest.mark.parametrize("name", cards.TEXTS)
def test_links_of_the_cards_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)]+)\)", (CARDS / f"{name}.md").read_text()):
        assert (CARDS / target).is_file()
