"""CLIPs as open_clip keeps them, OpenAI's own among them: `open_clip_config.json`, and weights under the authors' names.

What differs from ours: queries, keys and values of a transformer are made by one matrix, `attn.in_proj_weight`; both projections of a ViT's model are
stored as (width, dim), to be multiplied from the right. OpenAI's weights want the quick GELU, and only the configuration says so: under another
activation everything fits, and every answer is a little wrong.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils.hub import WeightsError, read_config, read_weights, renamed

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the authors' pictures in [0, 1]
STD = (0.26862954, 0.26130258, 0.27577711)
HEAD_WIDTH = 64

# settings that we know; of any other only "off" is taken, and these values, which are how every CLIP of the paper is
MODEL = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}
VISION = {"image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"}
TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
USUAL = {"pool_type": ("tok", "argmax"), "pos_embed_type": ("learnable",), "proj_type": ("linear",)}

TRANSFORMER = (
    (r"\.transformer\.resblocks\.", ".layers."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.to_", ".attention.to_"),
    (r"\.attn\.out_proj\.", ".attention.to_out.0."),
    (r"\.c_fc\.", ".up."),
    (r"\.c_proj\.", ".down."),
)
NAMES_OF_TEXT = (
    (r"^logit_scale$", "log_scale"),
    (r"^token_embedding", "text_encoder.tokens"),
    (r"^positional_embedding$", "text_encoder.positions.weight"),
    (r"^transformer\.", "text_encoder.transformer."),
    (r"^ln_final", "text_encoder.norm"),
    (r"^text_projection$", "text_encoder.projection.weight"),
)
NAMES_OF_VIT = (
    (r"^visual\.class_embedding", "image_encoder.cls"),
    (r"^visual\.positional_embedding$", "image_encoder.positions.weight"),
    (r"^visual\.conv1", "image_encoder.patches"),
    (r"^visual\.ln_pre", "image_encoder.norm_in"),
    (r"^visual\.ln_post", "image_encoder.norm"),
    (r"^visual\.proj$", "image_encoder.projection.weight"),
    (r"^visual\.", "image_encoder."),
)
NAMES_OF_RESNET = (
    (r"^visual\.attnpool\.([qkv])_proj", r"image_encoder.attention_pool.to_\1"),
    (r"^visual\.attnpool\.c_proj", "image_encoder.attention_pool.projection"),
    (r"^visual\.attnpool\.positional_embedding", "image_encoder.attention_pool.positions"),
    *((rf"^visual\.layer{number + 1}\.", f"image_encoder.stages.{number}.") for number in range(4)),
    (r"^visual\.", "image_encoder."),
    (r"\.downsample\.", ".shortcut.1."),
    (r"\.conv(\d)\.", r".conv\1.0."),
    (r"\.bn(\d)\.", r".conv\1.1."),
)


def read_open_clip(source: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings of a `CLIPConfig`, by name, and weights under our names, of a folder or a repository of the hub.

    Raises:
        FileNotFoundError, OfflineError: as `hub.read_weights`.
        WeightsError: as `hub.read_weights`, and for a model with other parts than CLIP's.
    """
    stored = read_config(source, "open_clip_config.json")
    settings = config_settings(stored, source)
    try:
        weights = read_weights(source, "open_clip_model.safetensors")
    except FileNotFoundError:
        weights = read_weights(source, "open_clip_pytorch_model.bin")
    return settings, our_weights(weights)


def config_settings(stored: Mapping[str, Any], source: str | Path) -> dict[str, Any]:
    """The settings of a `CLIPConfig` for those of an `open_clip_config.json`.

    Raises:
        WeightsError: if the model has parts that ours knows nothing of.
    """
    model, pixels = stored.get("model_cfg") or {}, stored.get("preprocess_cfg") or {}
    vision, text = model.get("vision_cfg") or {}, model.get("text_cfg") or {}
    odd = {
        name: value
        for part, known in ((model, MODEL), (vision, VISION), (text, TEXT))
        for name, value in part.items()
        if name not in known and value and value not in USUAL.get(name, ())
    }
    if odd or not {"embed_dim", "vision_cfg", "text_cfg"} <= model.keys():
        raise WeightsError(f"{source} is no CLIP as the paper has it: it has {odd or 'no settings of both encoders'}")
    layers, head_width = vision.get("layers", 12), vision.get("head_width", HEAD_WIDTH)
    image_width, text_width = vision.get("width", 768), text.get("width", 512)
    resnet = isinstance(layers, list | tuple)
    last = image_width * 2 ** (len(layers) + 1) if resnet else image_width  # channels that the heads share
    settings = {
        "image_blocks": tuple(layers) if resnet else (),
        "image_depth": 0 if resnet else layers,
        "image_heads": last // head_width,
        "image_hidden": 0 if resnet else int(image_width * vision.get("mlp_ratio", 4.0)),
        "text_width": text_width,
        "text_hidden": int(text_width * text.get("mlp_ratio", 4.0)),
    }
    vocab_size = text.get("vocab_size", 49408)
    return settings | {
        "image_size": vision.get("image_size", 224),
        "patch_size": 0 if resnet else vision.get("patch_size", 16),
        "image_width": image_width,
        "vocab_size": vocab_size,
        "max_positions": text.get("context_length", 77),
        "text_depth": text.get("layers", 12),
        "text_heads": text.get("heads", 8),
        "end_token_id": vocab_size - 1,  # open_clip pools at the largest id of a text, which is this one
        "dim": model["embed_dim"],
        "activation": "quick_gelu" if model.get("quick_gelu") else "gelu",
        "image_mean": tuple(pixels.get("mean") or MEAN),
        "image_std": tuple(pixels.get("std") or STD),
    }


def our_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of open_clip, or of OpenAI's own state dict, by the names and in the shapes of our `CLIP`."""
    split: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if name in ("input_resolution", "context_length", "vocab_size"):  # numbers in OpenAI's own files
            continue
        if ".attn.in_proj_" in name:
            layer, kind = name.split("in_proj_")
            split |= {f"{layer}to_{which}.{kind}": part for which, part in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            split[name] = tensor.T.contiguous() if name in ("visual.proj", "text_projection") else tensor
    images = NAMES_OF_RESNET if "visual.attnpool.q_proj.weight" in split else NAMES_OF_VIT
    return renamed(split, (*NAMES_OF_TEXT, *images, *TRANSFORMER))
