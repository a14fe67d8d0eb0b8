"""From records to pictures: a cartoon portrait, laid on part by part from the back to the front.

    images = render(faces, size=32)                  # (batch, 3, 32, 32) in [-1, 1]

Sizes and colours come from tables by the numbers of the record, so that all faces are drawn by the same steps.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from course_utils.data.faces.canvas import LINE, Canvas, Shape, Window, arch, box, ellipse, only, without
from course_utils.data.faces.records import ATTRIBUTES, OUTFITS, FaceRecords
from course_utils.data.pixels import check_size, palette

SKIN_RGB: dict[str, tuple[int, int, int]] = {
    "light": (255, 226, 204),
    "tan": (234, 184, 140),
    "brown": (190, 130, 88),
    "dark": (136, 86, 60),
}

HAIR_RGB: dict[str, tuple[int, int, int]] = {
    "black": (26, 26, 40),
    "brown": (76, 40, 20),
    "ginger": (208, 88, 26),
    "blond": (252, 212, 76),
    "gray": (178, 184, 200),
}

BACKGROUND_RGB: dict[str, tuple[int, int, int]] = {
    "cream": (254, 250, 222),
    "sky": (148, 200, 254),
    "coral": (230, 136, 122),
    "teal": (26, 126, 146),
    "violet": (142, 92, 230),
    "navy": (34, 53, 125),
}
"""Red, green and blue, 0 to 255. Within each table lightness differs too, for colour-blind readers."""

OUTFIT_RGB: dict[str, tuple[int, int, int]] = {
    "red": (204, 40, 50),
    "orange": (244, 132, 36),
    "green": (30, 134, 92),
    "blue": (44, 92, 190),
    "purple": (124, 58, 150),
}

_CHUNK = 256  # faces at a time: what is computed on stays in the processor's cache

_SKIN = palette(SKIN_RGB[name] for name in ATTRIBUTES["skin"])
_HAIR = palette(HAIR_RGB[name] for name in ATTRIBUTES["hair_color"])
_GROUND = palette(BACKGROUND_RGB[name] for name in ATTRIBUTES["background"])
_OUTFIT = palette(OUTFIT_RGB[name] for name in OUTFITS)
_INK, _WHITE, _BLUSH, _MOUTH_RED, _LENS, _GLINT = palette(
    [(34, 24, 30), (252, 252, 250), (240, 84, 84), (176, 44, 62), (215, 238, 250), (150, 160, 190)]
).split(1)

_HEAD: Window = (-0.29, -0.3, 0.29, 0.32)
_HAIR_WINDOW: Window = (-0.33, -0.36, 0.33, 1.0)
_EYES: Window = (-0.27, -0.15, 0.27, 0.1)
_MOUTH: Window = (-0.18, 0.06, 0.18, 0.27)


def _shaded(color: Tensor, share: float) -> Tensor:
    """A colour with a share of its light."""
    return (color + 1) * share - 1


def _pick(values: Sequence[float], index: Tensor) -> Tensor:
    """(batch, 1, 1): the value for each index (batch,)."""
    return torch.tensor(values, device=index.device)[index][:, None, None]


class _Portrait:
    """Faces in work: their measures (batch, 1, 1), their colours (batch, 3) and the canvas."""

    def __init__(self, faces: FaceRecords, size: int):
        device = faces.device
        canvas = Canvas(_GROUND.to(device)[faces.background], faces.jitter, size)
        self.faces, self.canvas, self.lay = faces, canvas, canvas.lay
        self.skin, self.hair = _SKIN.to(device)[faces.skin], _HAIR.to(device)[faces.hair_color]
        self.outfit = _OUTFIT.to(device)[faces.outfit]
        self.skin_line, self.hair_line = _shaded(self.skin, 0.6), _shaded(self.hair, 0.62)
        self.seam = _shaded(self.outfit, 0.6)
        self.turn = (faces.pose - 1)[:, None, None]  # -1 to the left, 1 to the right
        self.front = 0.062 * self.turn  # where the middle of the front of the head is
        self.half_width = 0.232 + self._nuisance("width", 0.008)
        self.volume = self._nuisance("hair_volume", 0.008)
        self.light = self._nuisance("light", 0.04)
        self.eye_radius = 0.045 + self._nuisance("eye_size", 0.003)
        self.eye_distance = 0.098 + self._nuisance("eye_distance", 0.005)

    def drawn(self) -> Tensor:
        """(batch, 3, size, size) in [-1, 1]."""
        self._hair_behind()
        self._body()
        self._head()
        self._beard()
        self._mouth()
        self._nose()
        self._moustache()
        self._hair_in_front()
        self._eyes()
        self._glasses()
        self._hat()
        return self.canvas.image

    def _nuisance(self, name: str, step: float) -> Tensor:
        return step * getattr(self.faces, name)[:, None, None]

    def _is(self, attribute: str, *words: str) -> Tensor:
        """(batch, 1, 1) bool: which faces have one of these words."""
        chosen = [word in words for word in ATTRIBUTES[attribute]]
        return _pick(chosen, getattr(self.faces, attribute))

    def _hair_shape(self, u: Tensor, v: Tensor) -> Tensor:
        """All hair, with no opening for the face."""
        width = self.half_width + self.volume + _pick([0.022, 0.06, 0.06], self.faces.hair_length)
        end = _pick([-0.02, 0.21, 1.0], self.faces.hair_length)
        return torch.maximum(arch(u, v, width, 0.315 + self.volume), v - end)

    def _head_shape(self, u: Tensor, v: Tensor, more: float = 0.0) -> Tensor:
        """An egg with its narrow end down, made larger by `more`."""
        return ellipse(u / (1 - 0.55 * v), v, self.half_width + more, 0.275 + more)

    def _both(self, shape: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Shape:
        """The same about each eye; `shape` gets how wide things are there: less on the side that is turned away."""

        def pair(u: Tensor, v: Tensor) -> Tensor:
            sides = []
            for side in (-1, 1):
                wide = 1 - 0.2 * (side * self.turn).clamp(min=0)
                sides.append(shape(u - self.front - side * self.eye_distance * wide, v, wide))
            return torch.minimum(*sides)

        return pair

    def _hair_behind(self) -> None:
        self.lay(self._hair_shape, _shaded(self.hair, 0.8), _HAIR_WINDOW, self.hair_line)

    def _body(self) -> None:
        shadow = _shaded(self.skin, 0.82)
        self.lay(lambda u, v: box(u, v - 0.33, 0.085, 0.12, 0.02), shadow, (-0.1, 0.2, 0.1, 0.46), self.skin_line)
        self.lay(lambda u, v: ellipse(u, v - 0.55, 0.34, 0.22), self.outfit, (-0.36, 0.32, 0.36, 1.0), self.seam)
        self.lay(lambda u, v: ellipse(u, v - 0.335, 0.1, 0.05), shadow, (-0.11, 0.28, 0.11, 0.4), self.seam)

    def _head(self) -> None:
        def ears(u: Tensor, v: Tensor) -> Tensor:
            across = (u + 0.5 * self.front).abs()  # the ear that is turned away hides behind the head
            return ellipse(across - self.half_width - 0.005, v - 0.03, 0.042, 0.058)

        def shade(u: Tensor, v: Tensor) -> Tensor:
            return without(self._head_shape(u, v, -LINE), ellipse(u - self.light, v + 0.045, self.half_width, 0.275))

        def cheeks(u: Tensor, v: Tensor) -> Tensor:
            return ellipse((u - self.front).abs() - 0.135, v - 0.085, 0.042, 0.03)

        self.lay(ears, self.skin, (-0.35, -0.04, 0.35, 0.1), self.skin_line)
        self.lay(self._head_shape, self.skin, _HEAD, self.skin_line)
        self.lay(shade, _shaded(self.skin, 0.8), _HEAD)
        self.lay(cheeks, (self.skin + _BLUSH.to(self.skin.device)) / 2, (-0.26, 0.04, 0.26, 0.13), opacity=0.7)

    def _beard(self) -> None:
        full = self._is("beard", "full beard")

        def shape(u: Tensor, v: Tensor) -> Tensor:
            face = ellipse(u - 0.7 * self.front, v + 0.08, self.half_width - 0.022, 0.2)
            mouth = ellipse(u - self.front, v - 0.182, 0.1, 0.052)
            jaw = torch.maximum(self._head_shape(u, v, 0.022), -0.03 - v)
            return only(full, without(without(jaw, face), mouth))

        self.lay(shape, self.hair, (-0.29, -0.03, 0.29, 0.32), self.hair_line)

    def _mouth(self) -> None:
        """A bowl full of teeth, a bar, or an open arch."""
        more = self._nuisance("mouth_width", 0.006)
        smiling, serious = self._is("smile", "smiling"), self._is("smile", "serious")

        def lips(u: Tensor, v: Tensor) -> Tensor:
            across, down = u - self.front, v - 0.18
            bowl = torch.maximum(ellipse(across, down + 0.022, 0.088 + more, 0.078), -0.022 - down)
            bar = box(across, down, 0.066 + more, 0.015, 0.012)
            half = torch.maximum(ellipse(across, down - 0.05, 0.088 + more, 0.088), down - 0.05)
            bent = without(half, ellipse(across, down - 0.055, 0.06 + more, 0.035))
            return torch.where(smiling, bowl, torch.where(serious, bar, bent))

        inside = torch.where(smiling[..., 0], _WHITE.to(self.skin.device), _MOUTH_RED.to(self.skin.device))
        self.lay(lips, _shaded(self.skin, 0.4), _MOUTH)
        self.lay(lambda u, v: only(~serious, lips(u, v) + 0.013), inside, _MOUTH)

    def _nose(self) -> None:
        self.lay(
            lambda u, v: ellipse(u - 1.35 * self.front + 0.15 * self.light, v - 0.05, 0.03, 0.026),
            _shaded(self.skin, 0.76),
            (-0.13, 0.02, 0.13, 0.08),
        )

    def _moustache(self) -> None:
        grown = self._is("beard", "moustache", "full beard")

        def shape(u: Tensor, v: Tensor) -> Tensor:
            across = (u - self.front).abs()
            return only(grown, ellipse(across - 0.05, v - 0.105 - 0.15 * across, 0.062, 0.024))

        self.lay(shape, self.hair, (-0.18, 0.06, 0.18, 0.16), self.hair_line)

    def _hair_in_front(self) -> None:
        def shape(u: Tensor, v: Tensor) -> Tensor:
            face = arch(u - 0.6 * self.front, v - 0.05, self.half_width - 0.028, 0.225)
            return without(self._hair_shape(u, v), face)

        self.lay(shape, self.hair, _HAIR_WINDOW, self.hair_line)

    def _eyes(self) -> None:
        radius, gaze = self.eye_radius, 0.014 * self.turn
        white = self._both(lambda u, v, wide: ellipse(u, v + 0.025, radius * wide, radius * 1.15))
        pupil = self._both(lambda u, v, wide: ellipse(u - gaze, v + 0.02, radius * wide * 0.62, radius * 0.72))
        spark = self._both(lambda u, v, wide: ellipse(u - gaze + 0.01, v + 0.035, radius * 0.2, radius * 0.2))
        brow = self._both(lambda u, v, wide: box(u, v + 0.105 - 3 * u.square(), 0.048 * wide, 0.011, 0.01))
        self.lay(white, _WHITE, _EYES, self.skin_line)
        self.lay(pupil, _INK, _EYES)
        self.lay(spark, _WHITE, _EYES)
        self.lay(brow, _shaded(self.hair, 0.8), _EYES)

    def _glasses(self) -> None:
        worn, dark = self._is("glasses", "glasses", "sunglasses"), self._is("glasses", "sunglasses")
        radius = self.eye_radius
        lens = self._both(lambda u, v, wide: box(u, v + 0.02, (radius + 0.03) * wide, radius + 0.028, 0.035))
        glint = self._both(lambda u, v, wide: box(u + 0.5 * v + 0.03, v + 0.035, 0.012, 0.02, 0.005))

        def frame(u: Tensor, v: Tensor) -> Tensor:
            glass = lens(u, v)
            rim = torch.where(dark, glass, (glass + 0.011).abs() - 0.0115)
            bridge = torch.maximum((v + 0.035).abs() - 0.011, (u - self.front).abs() - 0.6 * self.eye_distance)
            return only(worn, torch.minimum(rim, bridge))

        self.lay(lambda u, v: only(worn, lens(u, v)), _LENS, _EYES, opacity=0.3)
        self.lay(frame, _INK, _EYES)
        self.lay(lambda u, v: only(dark, glint(u, v)), _GLINT, _EYES)

    def _hat(self) -> None:
        hat = self.faces.hat
        cap, beanie, top_hat = (self._is("hat", word) for word in ATTRIBUTES["hat"][1:])
        width = self.half_width + self.volume + _pick([0.0, 0.035, 0.035, -0.035], hat)
        foot, height = _pick([0.0, -0.165, -0.15, -0.2], hat), _pick([1.0, 0.18, 0.2, 0.27], hat)

        def bobble(u: Tensor, v: Tensor) -> Tensor:
            return only(beanie, ellipse(u, v + 0.37, 0.055, 0.055))

        def crown(u: Tensor, v: Tensor) -> Tensor:
            up = v - foot
            low = torch.maximum(ellipse(u, up, width, height), up)
            tall = box(u * (1.05 + 0.3 * up), up + height / 2, width, height / 2, 0.02)
            return torch.where(top_hat, tall, only(cap | beanie, low))

        def band(u: Tensor, v: Tensor) -> Tensor:
            fold = box(u, v - foot + 0.025, width + 0.008, 0.036, 0.02)
            ribbon = box(u, v - foot + 0.045, width - 0.012, 0.03, 0.005)
            return torch.where(beanie, fold, only(top_hat, ribbon))

        def brim(u: Tensor, v: Tensor) -> Tensor:
            peak = ellipse(u - 0.2 * self.turn, v + 0.155, 0.2, 0.042)
            wide = box(u, v + 0.195, self.half_width + 0.075, 0.024, 0.022)
            return torch.where(cap, peak, only(top_hat, wide))

        band_color = torch.where(beanie[..., 0], (self.outfit + 1) / 2, _shaded(self.outfit, 0.45))
        self.lay(bobble, _WHITE, (-0.07, -0.44, 0.07, -0.3), _shaded(_WHITE, 0.7))
        self.lay(crown, self.outfit, (-0.34, -0.5, 0.34, -0.14), self.seam)
        self.lay(band, band_color, (-0.34, -0.28, 0.34, -0.1), self.seam)
        self.lay(brim, _shaded(self.outfit, 0.75), (-0.41, -0.23, 0.41, -0.1), _shaded(self.outfit, 0.45))


def render(faces: FaceRecords, size: int = 32) -> Tensor:
    """Pictures of faces.

    Args:
        faces: the records; pictures are made on their device.
        size: side in pixels, at least 8.

    Returns:
        (batch, 3, size, size) float32 in [-1, 1]. Each picture depends on its own record alone.

    Raises:
        ValueError: too small a size.
    """
    check_size(size)
    images = torch.empty(len(faces), 3, size, size, device=faces.device)
    for start in range(0, len(faces), _CHUNK):
        part = slice(start, start + _CHUNK)
        images[part] = _Portrait(faces[part], size).drawn()
    return images
