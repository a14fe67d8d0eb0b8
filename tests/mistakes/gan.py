"""The bank of notebook gan: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = ""
WRONG: dict[str, list[tuple[str, str]]] = {}
RIGHT: dict[str, list[str]] = {}
