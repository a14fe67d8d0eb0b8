"""Scenes: rendered worlds of 1 to 4 objects, in which one record gives every task its ground truth."""

from course_utils.data.records import join
from course_utils.data.scenes.captions import LEVELS, Caption, captions
from course_utils.data.scenes.dataset import LENGTHS, Scenes
from course_utils.data.scenes.drawing import BACKGROUND_RGB, COLOR_RGB, label_map, masks
from course_utils.data.scenes.facts import RELATIONS, Fact, Pattern, best_recall, holds, objects, true_of
from course_utils.data.scenes.questions import ANSWERS, QUESTION_KINDS, Question, questions
from course_utils.data.scenes.records import (
    ALLOWED,
    BACKGROUNDS,
    COLORS,
    HELD_OUT,
    MAX_JITTER,
    MOTIONS,
    NUM_CLASSES,
    PLACES,
    SHAPES,
    SIZES,
    SPLITS,
    SceneRecords,
    records,
    scene,
    visible_code,
)
from course_utils.data.scenes.rendering import STYLES, render, render_video

__all__ = [
    "ALLOWED",
    "ANSWERS",
    "BACKGROUNDS",
    "BACKGROUND_RGB",
    "COLORS",
    "COLOR_RGB",
    "Caption",
    "Fact",
    "HELD_OUT",
    "LENGTHS",
    "LEVELS",
    "MAX_JITTER",
    "MOTIONS",
    "NUM_CLASSES",
    "PLACES",
    "Pattern",
    "QUESTION_KINDS",
    "Question",
    "RELATIONS",
    "SHAPES",
    "SIZES",
    "SPLITS",
    "STYLES",
    "SceneRecords",
    "Scenes",
    "best_recall",
    "captions",
    "holds",
    "join",
    "label_map",
    "masks",
    "objects",
    "questions",
    "records",
    "render",
    "render_video",
    "scene",
    "true_of",
    "visible_code",
]
