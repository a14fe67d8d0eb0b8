"""Chapter 05, first part: transformers that read and write texts, and one that reads pictures."""

from course_utils.language.bert import BERT, BERTConfig
from course_utils.language.corruption import corrupt_spans, corrupt_tokens
from course_utils.language.generation import beam_search, generate
from course_utils.language.gpt2 import GPT2, GPT2Config
from course_utils.language.lstm import LSTM, LSTMConfig
from course_utils.language.opt import load_opt
from course_utils.language.t5 import T5, T5Config
from course_utils.language.tokenizer import BytePairTokenizer
from course_utils.language.vit import ViT, ViTConfig

__all__ = [
    "BERT",
    "BERTConfig",
    "BytePairTokenizer",
    "GPT2",
    "GPT2Config",
    "LSTM",
    "LSTMConfig",
    "T5",
    "T5Config",
    "ViT",
    "ViTConfig",
    "beam_search",
    "corrupt_spans",
    "corrupt_tokens",
    "generate",
    "load_opt",
]
