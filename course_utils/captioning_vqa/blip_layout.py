"""BLIPs as transformers keeps them: settings and weights under our names.

What differs from ours: an image layer makes queries, keys and values by one matrix, `qkv`; files repeat tied tensors, and old ones hold the numbers
of positions.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils.clip.open_clip_layout import MEAN, STD
from course_utils.hub import check_settings, read_transformers, renamed

VISION = (
    (r"^vision_model\.embeddings\.class_embedding", "image_encoder.cls"),
    (r"^vision_model\.embeddings\.position_embedding", "image_encoder.positions"),
    (r"^vision_model\.embeddings\.patch_embedding", "image_encoder.patches"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.self_attn\.projection", r"image_encoder.layers.\1.attention.to_out.0"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.self_attn", r"image_encoder.layers.\1.attention"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.layer_norm(\d)", r"image_encoder.layers.\1.norm\2"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.mlp\.fc1", r"image_encoder.layers.\1.mlp.up"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.mlp\.fc2", r"image_encoder.layers.\1.mlp.down"),
    (r"^vision_model\.post_layernorm", "image_encoder.norm"),
)
BERT_LAYER = (
    (r"\.layer\.(\d+)\.attention\.(?:self|attention)\.query", r".layers.\1.attention.to_q"),
    (r"\.layer\.(\d+)\.attention\.(?:self|attention)\.key", r".layers.\1.attention.to_k"),
    (r"\.layer\.(\d+)\.attention\.(?:self|attention)\.value", r".layers.\1.attention.to_v"),
    (r"\.layer\.(\d+)\.attention\.output\.dense", r".layers.\1.attention.to_out.0"),
    (r"\.layer\.(\d+)\.attention\.output\.LayerNorm", r".layers.\1.norm1"),
    (r"\.layer\.(\d+)\.crossattention\.(?:self|attention)\.query", r".layers.\1.cross_attention.to_q"),
    (r"\.layer\.(\d+)\.crossattention\.(?:self|attention)\.key", r".layers.\1.cross_attention.to_k"),
    (r"\.layer\.(\d+)\.crossattention\.(?:self|attention)\.value", r".layers.\1.cross_attention.to_v"),
    (r"\.layer\.(\d+)\.crossattention\.output\.dense", r".layers.\1.cross_attention.to_out.0"),
    (r"\.layer\.(\d+)\.crossattention\.output\.LayerNorm", r".layers.\1.norm2"),
    (r"\.layer\.(\d+)\.intermediate\.dense", r".layers.\1.mlp.up"),
    (r"\.layer\.(\d+)\.output\.dense", r".layers.\1.mlp.down"),
    (r"\.layer\.(\d+)\.output\.LayerNorm", r".layers.\1.norm3"),
)
RENAMED = (
    *VISION,
    (r"^text_decoder\.bert", "text_decoder.text"),
    (r"\.embeddings\.word_embeddings", ".tokens"),
    (r"\.embeddings\.position_embeddings", ".positions"),
    (r"\.embeddings\.LayerNorm", ".norm"),
    (r"\.encoder\.layer\.", ".layer."),
    *BERT_LAYER,
    (r"\.cls\.predictions\.transform\.dense", ".head"),
    (r"\.cls\.predictions\.transform\.LayerNorm", ".head_norm"),
    (r"\.cls\.predictions\.bias", ".head_bias"),
    (r"^vision_proj\.", "image_projection."),
    (r"^text_proj\.", "text_projection."),
    (r"^itm_head\.", "match_head."),
)


def read_blip(source: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings of a `BLIPConfig` and weights under our names, from a folder or a hub id.

    Raises:
        FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`; WeightsError also if activation or epsilon are others than ours.
    """
    settings, weights = read_transformers(source, "blip", {})
    copies = ("position_ids", "predictions.decoder.weight", "predictions.decoder.bias")
    kept = {name: tensor for name, tensor in weights.items() if not name.endswith(copies)}
    return own_settings(settings, source), split_qkv(renamed(kept, RENAMED))


def split_qkv(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with `to_q`, `to_k` and `to_v` in the place of each `qkv`."""
    named: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if ".qkv." in name:
            for part, piece in zip(("to_q", "to_k", "to_v"), tensor.chunk(3), strict=True):
                named[name.replace("qkv", part)] = piece.contiguous()
        else:
            named[name] = tensor
    return named


def own_settings(settings: Mapping[str, Any], source: str | Path) -> dict[str, Any]:
    """Those of a transformers `BlipConfig` by our names. What a file does not say has the library's value."""
    text, vision = settings.get("text_config") or {}, settings.get("vision_config") or {}
    check_settings(f"text model of {source}", text, {"hidden_act": "gelu", "layer_norm_eps": 1e-12})
    check_settings(f"vision model of {source}", vision, {"hidden_act": "gelu", "layer_norm_eps": 1e-5})
    return {
        "image_size": vision.get("image_size", 384),
        "patch_size": vision.get("patch_size", 16),
        "image_width": vision.get("hidden_size", 768),
        "image_depth": vision.get("num_hidden_layers", 12),
        "image_heads": vision.get("num_attention_heads", 12),
        "image_hidden": vision.get("intermediate_size", 3072),
        "vocab_size": text.get("vocab_size", 30524),
        "max_positions": text.get("max_position_embeddings", 512),
        "text_width": text.get("hidden_size", 768),
        "text_depth": text.get("num_hidden_layers", 12),
        "text_heads": text.get("num_attention_heads", 8),
        "text_hidden": text.get("intermediate_size", 3072),
        "dim": settings.get("image_text_hidden_size", 256),
        "start_token_id": text.get("bos_token_id", 30522),
        "encode_token_id": text.get("bos_token_id", 30522) + 1,
        "end_token_id": text.get("sep_token_id", 102),
        "pad_token_id": text.get("pad_token_id", 0),
        "label_smoothing": text.get("label_smoothing", 0.0),
        "image_mean": MEAN,
        "image_std": STD,
    }
