"""Checks of chapter 07: `from course_utils.checks import captioning_vqa as check`."""

from course_utils.checks.captioning_vqa.vqa import blind_answers, question_attention, rank_answers, vqa_accuracy

__all__ = ["blind_answers", "question_attention", "rank_answers", "vqa_accuracy"]
