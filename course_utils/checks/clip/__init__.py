"""Checks of chapter 05: `from course_utils.checks import clip as check`, then `check.contrastive_loss(contrastive_loss)`."""

from course_utils.checks.clip.contrastive import (
    attention_pool,
    class_embeddings,
    contrastive_loss,
    linear_probe,
    zero_shot_by_letters,
)
from course_utils.checks.clip.retrieval import (
    cosine_search,
    kmeans,
    pq_distances,
    pq_encode,
    recall_at_k,
    search_lists,
)

__all__ = [
    "attention_pool",
    "class_embeddings",
    "contrastive_loss",
    "cosine_search",
    "kmeans",
    "linear_probe",
    "pq_distances",
    "pq_encode",
    "recall_at_k",
    "search_lists",
    "zero_shot_by_letters",
]
