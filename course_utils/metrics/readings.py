"""What judges read, what they are taught, and how often they are right, in numbers that need no network."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.data.faces.records import ATTRIBUTES, NUISANCES, FaceRecords
from course_utils.data.scenes.records import BACKGROUNDS, COLORS, SHAPES, SIZES, SceneRecords


class SceneTargets(NamedTuple):
    """Probabilities that `SceneJudge.loss` compares with, in the shapes of `SceneLogits`.

    Where a place is empty, color and size are zero: nothing is asked of them.
    """

    shape: Tensor
    color: Tensor
    size: Tensor
    background: Tensor
    label_map: Tensor


class SceneReading(NamedTuple):
    """What the judge sees, in the indices of `course_utils.data.scenes`; int64 but for `confidence`.

    `shape`, `color`, `size` are `(batch, 4)`, -1 where a place is empty; `background` and `confidence` are `(batch,)`.
    """

    shape: Tensor
    color: Tensor
    size: Tensor
    background: Tensor
    confidence: Tensor

    @property
    def present(self) -> Tensor:
        """`(batch, 4)` bool: is there an object at the place?"""
        return self.shape >= 0

    def records(self) -> SceneRecords:
        """The reading as scene records that `scenes.render` draws; what a judge does not read, as jitter, is 0."""
        nothing = torch.zeros_like(self.background)
        return SceneRecords(
            shape=self.shape,
            color=self.color,
            size=self.size,
            background=self.background,
            jitter=self.shape.new_zeros(*self.shape.shape, 2),
            mover=self.present.long().argmax(1),
            motion=nothing,
            light=nothing,
            texture=nothing,
        )


def scene_targets(records: SceneRecords, label_map: Tensor) -> SceneTargets:
    """The targets of `SceneJudge.loss` for pictures whose record is known.

    Args:
        records: `batch` scenes.
        label_map: `(batch, height, width)` int64, 0 for background or 1 + index into SHAPES.
    """
    there = records.present[..., None]  # (batch, 4, 1)
    return SceneTargets(
        shape=F.one_hot(records.shape + 1, len(SHAPES) + 1).float(),
        color=F.one_hot(records.color.clamp(min=0), len(COLORS)).float() * there,
        size=F.one_hot(records.size.clamp(min=0), len(SIZES)).float() * there,
        background=F.one_hot(records.background, len(BACKGROUNDS)).float(),
        label_map=F.one_hot(label_map, len(SHAPES) + 1).float().movedim(-1, 1),  # (batch, 7, height, width)
    )


def scene_agreement(reading: SceneReading, records: SceneRecords) -> dict[str, Tensor]:
    """Where a reading is right, place by place.

    Returns:
        bool tensors: `presence (batch, 4)`; `shape`, `color`, `size` `(batch, 4)`, True only where the records have an
        object and the judge sees it with that attribute; `background (batch,)`; `wholly_right (batch,)`: all of it,
        with no object too many.
    """
    there = records.present
    right = {
        "presence": reading.present == there,
        "shape": there & (reading.shape == records.shape),
        "color": there & (reading.color == records.color),
        "size": there & (reading.size == records.size),
        "background": reading.background == records.background,
    }
    objects = (right["shape"] & right["color"] & right["size"]) | (~there & ~reading.present)
    return right | {"wholly_right": objects.all(1) & right["background"]}


def scene_accuracy(reading: SceneReading, records: SceneRecords) -> dict[str, float]:
    """Accuracy of each attribute: presence over all places, shape, colour, size over all objects, the rest over scenes.

    An object that the judge does not see counts as wrong in shape, colour and size. Raises ValueError for no scenes.
    """
    if len(records) == 0:
        raise ValueError("accuracy needs at least one scene, and records is empty")
    right = scene_agreement(reading, records)
    objects = records.present.sum().item()
    accuracy = {name: right[name].double().mean().item() for name in ("presence", "background", "wholly_right")}
    return accuracy | {name: right[name].sum().item() / objects for name in ("shape", "color", "size")}


def scene_confusion(reading: SceneReading, records: SceneRecords) -> dict[str, Tensor]:
    """How often each truth (row) was read as what (column), int64 counts.

    Returns:
        `shape (7, 7)`: 0 is "none", then SHAPES, over all places; `color (8, 8)` and `size (2, 2)` over objects that
        the judge sees; `background (6, 6)` over scenes.
    """
    seen = records.present & reading.present
    return {
        "shape": count_pairs(records.shape + 1, reading.shape + 1, len(SHAPES) + 1),
        "color": count_pairs(records.color[seen], reading.color[seen], len(COLORS)),
        "size": count_pairs(records.size[seen], reading.size[seen], len(SIZES)),
        "background": count_pairs(records.background, reading.background, len(BACKGROUNDS)),
    }


class FaceTargets(NamedTuple):
    """Probabilities that `FaceJudge.loss` compares with, in the shapes of `FaceLogits`."""

    smile: Tensor
    glasses: Tensor
    hat: Tensor
    hair_color: Tensor
    hair_length: Tensor
    skin: Tensor
    beard: Tensor
    pose: Tensor
    background: Tensor


class FaceReading(NamedTuple):
    """What the judge sees, `(batch,)` each: int64 indices into the words of `faces.ATTRIBUTES`, and `confidence`."""

    smile: Tensor
    glasses: Tensor
    hat: Tensor
    hair_color: Tensor
    hair_length: Tensor
    skin: Tensor
    beard: Tensor
    pose: Tensor
    background: Tensor
    confidence: Tensor

    def records(self) -> FaceRecords:
        """The reading as face records that `faces.render` draws; what a judge does not read is as in `faces.face`."""
        nothing = torch.zeros_like(self.smile)
        read = {name: getattr(self, name) for name in ATTRIBUTES}
        unread = dict.fromkeys((*NUISANCES, "outfit"), nothing)
        return FaceRecords(**read, **unread, jitter=nothing[:, None].expand(-1, 2))


def face_targets(records: FaceRecords) -> FaceTargets:
    """The targets of `FaceJudge.loss` for pictures of `batch` faces whose record is known."""
    return FaceTargets(
        **{name: F.one_hot(getattr(records, name), len(words)).float() for name, words in ATTRIBUTES.items()}
    )


def face_agreement(reading: FaceReading, records: FaceRecords) -> dict[str, Tensor]:
    """Where a reading is right: `(batch,)` bool for each attribute, and `wholly_right`: for all of them."""
    right = {name: getattr(reading, name) == getattr(records, name) for name in ATTRIBUTES}
    return right | {"wholly_right": torch.stack(list(right.values())).all(0)}


def face_accuracy(reading: FaceReading, records: FaceRecords) -> dict[str, float]:
    """Share of the faces that are read right, for each attribute and `wholly_right`. Raises ValueError for no faces."""
    if len(records) == 0:
        raise ValueError("accuracy needs at least one face, and records is empty")
    return {name: right.double().mean().item() for name, right in face_agreement(reading, records).items()}


def face_confusion(reading: FaceReading, records: FaceRecords) -> dict[str, Tensor]:
    """How often each truth (row) was read as what (column), `(words, words)` int64 counts for each attribute."""
    return {
        name: count_pairs(getattr(records, name), getattr(reading, name), len(words))
        for name, words in ATTRIBUTES.items()
    }


def count_pairs(truth: Tensor, found: Tensor, classes: int) -> Tensor:
    """`(classes, classes)` int64: how often each truth (row) was found as what (column); any shape of input."""
    return torch.bincount((truth * classes + found).flatten(), minlength=classes**2).view(classes, classes)


def worst_confusions(confusion: Tensor, names: tuple[str, ...], most: int = 5) -> list[tuple[str, str, int]]:
    """The most frequent errors of a confusion matrix `(classes, classes)`: (truth, read as, count), largest first."""
    wrong = confusion - confusion.diag().diag()
    order = wrong.flatten().argsort(descending=True, stable=True)[:most].tolist()
    pairs = [divmod(position, len(names)) for position in order]
    return [(names[row], names[column], wrong[row, column].item()) for row, column in pairs if wrong[row, column] > 0]


def mean_iou(confusion: Tensor) -> float:
    """Mean over classes of intersection over union, from a confusion matrix of pixels `(classes, classes)`.

    A class that is neither there nor found is left out (Everingham et al., IJCV 2015, section 4.1).
    """
    both = confusion.diag().double()
    either = confusion.sum(0) + confusion.sum(1) - confusion.diag()
    return (both / either)[either > 0].mean().item()
