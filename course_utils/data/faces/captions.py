"""Captions of faces: one sentence each, which says all attributes and no more.

"A smiling face turned left, with tan skin, long blond hair, a full beard, glasses and a top hat, on a navy background."

What a face does not wear is not said: no glasses, no hat, no beard.
"""

from course_utils.data.faces.records import ATTRIBUTES, FaceRecords

_TURNED = {"left": "turned left", "front": "seen from the front", "right": "turned right"}
_PLURAL = ("glasses", "sunglasses")


def captions(faces: FaceRecords) -> list[str]:
    """One sentence for each face (batch,); faces with equal attributes have equal sentences."""
    numbers = {name: getattr(faces, name).tolist() for name in ATTRIBUTES}
    return [
        _sentence({name: words[numbers[name][row]] for name, words in ATTRIBUTES.items()}) for row in range(len(faces))
    ]


def _sentence(words: dict[str, str]) -> str:
    worn = [words[name] for name in ("beard", "glasses", "hat") if words[name] != "none"]
    things = [f"{words['skin']} skin", f"{words['hair_length']} {words['hair_color']} hair"]
    things += [word if word in _PLURAL else f"a {word}" for word in worn]
    listed = f"{', '.join(things[:-1])} and {things[-1]}"
    return f"A {words['smile']} face {_TURNED[words['pose']]}, with {listed}, on a {words['background']} background."
