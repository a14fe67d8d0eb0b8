"""Checks of chapter 05: `from course_utils.checks import clip as check`, then `check.causal_attention(causal_attention)`."""

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
from course_utils.checks.clip.transformers import (
    attend_with_cache,
    causal_attention,
    corrupt,
    merge_step,
    multi_head_attention,
    next_probabilities,
)

__all__ = [
    "attend_with_cache",
    "attention_pool",
    "causal_attention",
    "class_embeddings",
    "contrastive_loss",
    "corrupt",
    "cosine_search",
    "kmeans",
    "linear_probe",
    "merge_step",
    "multi_head_attention",
    "next_probabilities",
    "pq_distances",
    "pq_encode",
    "recall_at_k",
    "search_lists",
    "zero_shot_by_letters",
]
