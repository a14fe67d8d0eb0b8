<<<<<<< HEAD
<<<<<<< HEAD
<<<<<<< HEAD
"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`, then `check.three_masks(three_masks)`."""

from course_utils.checks.captioning_vqa.blip import bootstrapped, hard_negatives, soft_contrast, three_masks
from course_utils.checks.captioning_vqa.blip2 import prefixed, query_contrast, who_sees_whom
=======
"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`, then `check.three_masks(three_masks)`."""
=======
"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`."""
>>>>>>> vqa

from course_utils.checks.captioning_vqa.blip import bootstrapped, hard_negatives, soft_contrast, three_masks
from course_utils.checks.captioning_vqa.blip2 import prefix_and_labels, query_contrast, who_sees_whom
from course_utils.checks.captioning_vqa.clipcap import beam_step, caption_loss, mapped_prefix, prefixed
<<<<<<< HEAD
>>>>>>> blip2

__all__ = [
    "beam_step",
    "bootstrapped",
    "caption_loss",
    "hard_negatives",
<<<<<<< HEAD
=======
    "mapped_prefix",
    "prefix_and_labels",
>>>>>>> blip2
    "prefixed",
    "query_contrast",
    "soft_contrast",
    "three_masks",
=======
from course_utils.checks.captioning_vqa.vqa import blind_answers, question_attention, rank_answers, vqa_accuracy

__all__ = [
    "beam_step",
    "blind_answers",
    "bootstrapped",
    "caption_loss",
    "hard_negatives",
    "mapped_prefix",
    "prefix_and_labels",
    "prefixed",
    "query_contrast",
    "question_attention",
    "rank_answers",
    "soft_contrast",
    "three_masks",
    "vqa_accuracy",
>>>>>>> vqa
    "who_sees_whom",
]
<<<<<<< HEAD
=======
"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`."""

from course_utils.checks.captioning_vqa.clipcap import beam_step, caption_loss, mapped_prefix, prefixed

__all__ = ["beam_step", "caption_loss", "mapped_prefix", "prefixed"]
>>>>>>> clipcap
=======
>>>>>>> blip2
