"""OPT, the language model of BLIP-2: a GPT-2 with ReLU, and what of its published layout differs from ours.

Layers, norms and learned positions are those of GPT-2. Its table of positions begins with two rows that no token ever has (a trace of how the
authors' library counts padding), which ours leaves out. The model with 350 M numbers normalises after its layers and is another network.

Paper: Zhang et al., "OPT: open pre-trained transformer language models", 2022, section 2.1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils.hub import WeightsError, check_settings, load_weights, read_transformers, renamed
from course_utils.language.gpt2 import GPT2, GPT2Config

UNUSED = 2  # rows of the published table of positions
ONLY = {"do_layer_norm_before": True, "activation_function": "relu", "enable_bias": True, "_remove_final_layer_norm": False,
        "layer_norm_elementwise_affine": True, "tie_word_embeddings": True}  # fmt: skip
RENAMED = (
    (r"^(?:model\.)?decoder\.", ""),
    (r"^embed_tokens", "tokens"),
    (r"^embed_positions", "positions"),
    (r"^final_layer_norm", "norm"),
    (r"^layers\.(\d+)\.self_attn\.([qkv])_proj", r"layers.\1.attention.to_\2"),
    (r"^layers\.(\d+)\.self_attn\.out_proj", r"layers.\1.attention.to_out.0"),
    (r"^layers\.(\d+)\.self_attn_layer_norm", r"layers.\1.norm1"),
    (r"^layers\.(\d+)\.final_layer_norm", r"layers.\1.norm2"),
    (r"^layers\.(\d+)\.fc1", r"layers.\1.mlp.up"),
    (r"^layers\.(\d+)\.fc2", r"layers.\1.mlp.down"),
)


def load_opt(source: str | Path) -> GPT2:
    """A published OPT in the layout of transformers' `OPTForCausalLM`, in evaluation mode: `load_opt("facebook/opt-125m")`.

    Raises:
        FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers` and `published_config`.
    """
    settings, weights = read_transformers(source, "opt", {})
    model = GPT2(published_config(settings, source))
    load_weights(model, own_names(weights), source)
    return model.eval()


def own_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' layout under our names; some files repeat the table of tokens as output layer."""
    named = renamed({name: weights[name] for name in weights if name != "lm_head.weight"}, RENAMED)
    return named | {"positions.weight": named["positions.weight"][UNUSED:].contiguous()}


def published_config(settings: Mapping[str, Any], source: str | Path) -> GPT2Config:
    """Our config for the settings of a transformers `OPTConfig`. What a file does not say has the library's value.

    Raises:
        WeightsError: if it is another network.
    """
    check_settings(f"OPT of {source}", settings, ONLY)
    width = settings.get("hidden_size", 768)
    if (settings.get("ffn_dim", 3072), settings.get("word_embed_proj_dim") or width) != (4 * width, width):
        raise WeightsError(
            f"expected ffn_dim = 4 * hidden_size and word_embed_proj_dim = hidden_size in {source}, "
            f"got {settings.get('ffn_dim')} and {settings.get('word_embed_proj_dim')} with a hidden_size of {width}"
        )
    return GPT2Config(
        vocab_size=settings.get("vocab_size", 50272),
        max_positions=settings.get("max_position_embeddings", 2048),
        width=width,
        depth=settings.get("num_hidden_layers", 12),
        num_heads=settings.get("num_attention_heads", 12),
        activation="relu",
    )
