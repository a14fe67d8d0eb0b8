"""Data: worlds that need no download (`digits`, `faces`, `glyphs`, `scenes`, `text`) and real data by name (`real`).

Importing this package is cheap; a name loads its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_utils.data.digits import Digits
    from course_utils.data.exposure import stream, to_dataset
    from course_utils.data.faces import Faces
    from course_utils.data.glyphs import GlyphPairs, Glyphs
    from course_utils.data.loading import loader
    from course_utils.data.scenes import Scenes
    from course_utils.data.text import Blocks, Documents

_HOMES = {
    "Blocks": "text",
    "Digits": "digits",
    "Documents": "text",
    "Faces": "faces",
    "Glyphs": "glyphs",
    "GlyphPairs": "glyphs",
    "Scenes": "scenes",
    "loader": "loading",
    "to_dataset": "exposure",
    "stream": "exposure",
}

__all__ = [
    "Blocks", "Digits", "Documents", "Faces", "GlyphPairs", "Glyphs", "Scenes", "loader", "stream", "to_dataset",
    "archives", "cards", "digits", "draws", "exposure", "faces", "glyphs", "hashing", "loading", "outlines", "pixels", "real",
    "records", "rendered", "scenes", "text",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(__all__))}")


def __dir__() -> list[str]:
    return sorted(__all__)
