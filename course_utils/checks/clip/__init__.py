"""Checks of chapter 05: `from course_utils.checks import clip as check`, then `check.causal_attention(causal_attention)`."""

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
    "causal_attention",
    "corrupt",
    "merge_step",
    "multi_head_attention",
    "next_probabilities",
]
