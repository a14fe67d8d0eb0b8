"""Scenes: rendered worlds of 1 to 4 objects, in which one record gives every task its ground truth."""

from course_utils.data.scenes.dataset import LENGTHS, Scenes
from course_utils.data.scenes.records import (
    ALLOWED,
    BACKGROUNDS,
    COLORS,
    HELD_OUT,
    MAX_JITTER,
    MOTIONS,
    PLACES,
    SHAPES,
    SIZES,
    SPLITS,
    SceneRecords,
    join,
    records,
    scene,
    visible_code,
)
from course_utils.data.scenes.rendering import BACKGROUND_RGB, COLOR_RGB, STYLES, label_map, masks, render
