"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`, then `check.three_masks(three_masks)`."""

from course_utils.checks.captioning_vqa.blip import bootstrapped, hard_negatives, soft_contrast, three_masks
from course_utils.checks.captioning_vqa.blip2 import prefix_and_labels, query_contrast, who_sees_whom
from course_utils.checks.captioning_vqa.clipcap import beam_step, caption_loss, mapped_prefix, prefixed
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
    "who_sees_whom",
]
