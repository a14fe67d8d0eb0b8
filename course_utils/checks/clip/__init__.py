"""Checks of chapter 05: `from course_utils.checks import clip as check`, then `check.contrastive_loss(contrastive_loss)`."""

from course_utils.checks.clip.contrastive import (
    attention_pool,
    class_embeddings,
    contrastive_loss,
    linear_probe,
    zero_shot_by_letters,
)

__all__ = [
    "attention_pool",
    "class_embeddings",
    "contrastive_loss",
    "linear_probe",
    "zero_shot_by_letters",
]
