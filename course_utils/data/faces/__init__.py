"""Faces: rendered cartoon portraits with nine independent attributes, for arithmetic, style and translation."""

from course_utils.data.faces.captions import captions
from course_utils.data.faces.dataset import LENGTHS, Faces
from course_utils.data.faces.records import (
    ATTRIBUTES,
    MAX_JITTER,
    NUISANCES,
    OUTFITS,
    SPLITS,
    FaceRecords,
    face,
    records,
    visible_code,
)
from course_utils.data.faces.rendering import BACKGROUND_RGB, HAIR_RGB, OUTFIT_RGB, SKIN_RGB, render
from course_utils.data.records import join

__all__ = [
    "ATTRIBUTES",
    "BACKGROUND_RGB",
    "FaceRecords",
    "Faces",
    "HAIR_RGB",
    "LENGTHS",
    "MAX_JITTER",
    "NUISANCES",
    "OUTFITS",
    "OUTFIT_RGB",
    "SKIN_RGB",
    "SPLITS",
    "captions",
    "face",
    "join",
    "records",
    "render",
    "visible_code",
]
