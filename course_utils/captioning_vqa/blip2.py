"""BLIP-2: a frozen image encoder and a frozen language model, and a small network that translates between them.

The Q-Former has learned in its first stage to fetch from the picture what texts speak of (`qformer`). In the second its outputs, through one linear
layer, stand before the text like words of a language that the model is taught to understand:

    decoder-only (GPT, OPT)          [queries][prompt]  ->  continued by the answer
    encoder and decoder (T5)         [queries][prompt]  ->  encoder;  the decoder writes the answer

    minimise  -E[ log p(answer | queries(picture), prompt) ]

by the Q-Former and that layer alone: gradients flow through the language model, but do not change it. For questions the Q-Former sees the question
too, so that it can ask the picture for what is wanted; then the image encoder is tuned as well.

Papers: Li, Li, Savarese & Hoi, ICML 2023, sections 3.2 and 4.4. Dai et al., "InstructBLIP", NeurIPS 2023.
"""

from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.captioning_vqa.blip_layout import BERT_LAYER, VISION, split_qkv
from course_utils.captioning_vqa.image_encoder import ImageEncoder
from course_utils.captioning_vqa.qformer import QFormer, QFormerConfig
from course_utils.clip.open_clip_layout import MEAN, STD
from course_utils.hub import WeightsError, check_settings, load_weights, read_config, read_transformers, renamed
from course_utils.language import opt, t5
from course_utils.language.corruption import IGNORED, real_labels
from course_utils.language.generation import Prefixed, write
from course_utils.language.gpt2 import GPT2
from course_utils.language.t5 import T5, T5Config
from course_utils.layers.attention import check_mask

IMAGE_EPS = 1e-6


class BLIP2(nn.Module):
    """Image encoder, Q-Former and language model. Pictures are float32 (batch, channels, size, size) in [-1, 1], as the image encoder wants them.

    Prompts and answers are ids (batch, n) int64 of the language model, with masks (batch, n) bool, True at real tokens. Answers are padded on the
    right; prompts on the left, but for T5, which counts distances, on the right. A `question` is ids of the Q-Former: with it the queries see
    the question.

    Args:
        image_encoder: pictures to tokens (batch, m, context_width); it is frozen here, thaw it with `requires_grad_(True)`.
        qformer: with an `output_width`, the width of the language model.
        language_model: it is frozen.

    Raises:
        ValueError: if Q-Former and language model do not fit.
    """

    def __init__(self, image_encoder: nn.Module, qformer: QFormer, language_model: GPT2 | T5):
        super().__init__()
        if qformer.config.output_width != language_model.config.width:
            raise ValueError(
                f"the Q-Former's outputs stand among tokens of the language model, of width {language_model.config.width}, "
                f"but its config says output_width={qformer.config.output_width}"
            )
        self.image_encoder = image_encoder.requires_grad_(False)
        self.qformer = qformer
        self.language_model = language_model.requires_grad_(False)

    def prefix(self, images: Tensor, question_ids: Tensor | None = None, question_mask: Tensor | None = None) -> Tensor:
        """What stands before the text, (batch, num_queries, width of the language model)."""
        return self.qformer.prefix(self.image_encoder(images), question_ids, question_mask)

    def forward(
        self,
        images: Tensor,
        prompt_ids: Tensor,
        answer_ids: Tensor,
        prompt_mask: Tensor | None = None,
        answer_mask: Tensor | None = None,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits (batch, m, vocab_size): those at t are of answer token t, given picture, prompt, and the answer before t.

        Raises:
            ValueError: if pictures, texts or masks do not fit.
        """
        prefix = self.prefix(images, question_ids, question_mask)
        return self.speak(prefix, prompt_ids, answer_ids, prompt_mask, answer_mask)

    def speak(
        self,
        prefix: Tensor,
        prompt_ids: Tensor,
        answer_ids: Tensor,
        prompt_mask: Tensor | None = None,
        answer_mask: Tensor | None = None,
    ) -> Tensor:
        """`forward` after `prefix`: what the language model makes of it."""
        prompt_mask = check_mask(prompt_mask, *prompt_ids.shape)
        answer_mask = check_mask(answer_mask, *answer_ids.shape)
        ahead = prefix.shape[1]
        if isinstance(self.language_model, T5):
            mask = None if prompt_mask is None else F.pad(prompt_mask, (ahead, 0), value=True)
            labels = real_labels(answer_ids, answer_mask)
            shifted = t5.shifted(labels, self.language_model.config.start_token_id)
            return self.language_model(prompt_ids, shifted, mask, prefix)
        mask = None
        if prompt_mask is not None or answer_mask is not None:
            whole = (torch.ones_like(part, dtype=torch.bool) for part in (prompt_ids, answer_ids))
            masks = (
                every if mask is None else mask for every, mask in zip(whole, (prompt_mask, answer_mask), strict=True)
            )
            mask = F.pad(torch.cat(list(masks), dim=1), (ahead, 0), value=True)
        logits = self.language_model(torch.cat([prompt_ids, answer_ids], dim=1), mask, prefix)
        before = ahead + prompt_ids.shape[1]
        return logits[:, before - 1 : -1]

    def loss(
        self,
        images: Tensor,
        prompt_ids: Tensor,
        answer_ids: Tensor,
        prompt_mask: Tensor | None = None,
        answer_mask: Tensor | None = None,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
    ) -> Tensor:
        """-log p(answer) in nats a token, a mean over all real tokens of the answers: a scalar. Arguments and errors as for `forward`."""
        logits = self(images, prompt_ids, answer_ids, prompt_mask, answer_mask, question_ids, question_mask)
        labels = real_labels(answer_ids, answer_mask)
        # (batch, m, vocab_size) -> (batch * m, vocab_size)
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)

    @torch.inference_mode()
    def generate(
        self,
        images: Tensor,
        max_new_tokens: int,
        generator: torch.Generator | None = None,
        *,
        prompt_ids: Tensor | None = None,
        prompt_mask: Tensor | None = None,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
        num_beams: int = 1,
        **settings: Any,
    ) -> Tensor:
        """What the language model writes about each picture, (batch, length) int64, without the prompt.

        Args:
            prompt_ids: by default none, the queries alone are answered. (OPT is used to a text that begins with its token 2.)
            num_beams: more than 1 for a beam search.
            settings: of `language.generation.generate`, such as `end_token_id`, `temperature` and `top_p`, or of `beam_search`.

        Raises:
            ValueError: as there and in `forward`.
        """
        if prompt_ids is None:
            prompt_ids = torch.empty(len(images), 0, dtype=torch.int64, device=images.device)
        model = Prefixed(self.language_model, self.prefix(images, question_ids, question_mask))
        texts = write(model, prompt_ids, max_new_tokens, generator, num_beams, attention_mask=prompt_mask, **settings)
        before = 1 if isinstance(self.language_model, T5) else prompt_ids.shape[1]
        return texts[:, before:]

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published BLIP-2 or InstructBLIP with OPT or T5 in the layout of transformers, in evaluation mode.

        `BLIP2.from_hub("Salesforce/blip2-opt-2.7b")`, `"Salesforce/blip2-flan-t5-xl"` or `"Salesforce/instructblip-flan-t5-xl"`, for three. They have
        4 to 12 billion numbers, which take 4 bytes each here. Pictures are in [-1, 1] as all ours; mean and standard deviation are applied inside.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`; WeightsError also for another language model.
        """
        instructed = read_config(source).get("model_type") == "instructblip"
        settings, weights = read_transformers(source, "instructblip" if instructed else "blip-2", {})
        text = settings.get("text_config") or {}
        words = {name.removeprefix(LANGUAGE): value for name, value in weights.items() if name.startswith(LANGUAGE)}
        language_model, words = own_language_model(text, words, source)
        model = cls(
            published_image_encoder(settings.get("vision_config") or {}, source),
            QFormer(published_qformer(settings, language_model.config.width, instructed, source)),
            language_model,
        )
        others = {name: value for name, value in weights.items() if not name.startswith(LANGUAGE)}
        named = split_qkv(
            renamed({name: others[name] for name in others if not name.endswith("position_ids")}, RENAMED)
        )
        load_weights(model, named | {LANGUAGE + name: value for name, value in words.items()}, source)
        return model.eval()


def parameter_counts(model: BLIP2) -> dict[str, tuple[int, int]]:
    """How many numbers of each part are trained, and how many are frozen."""
    counts = {}
    for name, part in model.named_children():
        trained = sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)
        counts[name] = (trained, sum(parameter.numel() for parameter in part.parameters()) - trained)
    return counts


LANGUAGE = "language_model."
RENAMED = (
    *VISION,
    (r"^query_tokens", "qformer.queries"),
    (r"^language_projection", "qformer.projection"),
    (r"^vision_projection", "qformer.image_projection"),
    (r"^text_projection", "qformer.text_projection"),
    (r"^itm_head", "qformer.match_head"),
    (r"^(?:qformer\.)?embeddings\.word_embeddings", "qformer.tokens"),
    (r"^(?:qformer\.)?embeddings\.position_embeddings", "qformer.positions"),
    (r"^qformer\.(?:embeddings\.)?layernorm", "qformer.norm"),
    (r"^qformer\.encoder\.layer\.", "qformer.layer."),
    *BERT_LAYER,
    (r"\.layer\.(\d+)\.intermediate_query\.dense", r".layers.\1.query_mlp.up"),
    (r"\.layer\.(\d+)\.output_query\.dense", r".layers.\1.query_mlp.down"),
    (r"\.layer\.(\d+)\.output_query\.LayerNorm", r".layers.\1.query_norm3"),
)


def own_language_model(
    text: dict[str, Any], words: dict[str, Tensor], source: str | Path
) -> tuple[GPT2 | T5, dict[str, Tensor]]:
    """The language model that a file's settings describe, and its weights under our names.

    Raises:
        WeightsError: if it is neither OPT nor T5.
    """
    kind = text.get("model_type")
    if kind == "opt":
        return GPT2(opt.published_config(text, source)), opt.own_names(words)
    if kind == "t5":
        words = t5.own_names(words)
        return T5(published_t5(text, tied="output.weight" not in words)), words
    raise WeightsError(f"{source} speaks through a {kind}, but ours are opt and t5")


def published_t5(text: dict[str, Any], tied: bool) -> T5Config:
    """As `t5.published_config`, for settings that may leave out what has the library's value."""
    usual = {"vocab_size": 32128, "d_model": 512, "num_layers": 6, "num_heads": 8, "d_kv": 64, "d_ff": 2048}
    return t5.published_config(usual | text, tied)


def published_image_encoder(vision: dict[str, Any], source: str | Path) -> ImageEncoder:
    """The image encoder for the settings of a transformers `Blip2VisionConfig`. What a file does not say has the library's value."""
    only = {"hidden_act": "gelu", "layer_norm_eps": IMAGE_EPS, "qkv_bias": True}
    check_settings(f"vision model of {source}", vision, only)
    return ImageEncoder(
        3, vision.get("image_size", 224), vision.get("patch_size", 14), vision.get("hidden_size", 1408),
        vision.get("num_hidden_layers", 39), vision.get("num_attention_heads", 16), vision.get("intermediate_size", 6144),
        MEAN, STD, IMAGE_EPS,
    )  # fmt: skip


def published_qformer(
    settings: dict[str, Any], output_width: int, instructed: bool, source: str | Path
) -> QFormerConfig:
    """Our config of the Q-Former for the settings of a transformers `Blip2Config`; `instructed` if it reads texts."""
    qformer = settings.get("qformer_config") or {}
    check_settings(f"Q-Former of {source}", qformer, {"hidden_act": "gelu", "layer_norm_eps": 1e-12})
    return QFormerConfig(
        num_queries=settings.get("num_query_tokens", 32),
        width=qformer.get("hidden_size", 768),
        depth=qformer.get("num_hidden_layers", 12),
        num_heads=qformer.get("num_attention_heads", 12),
        hidden=qformer.get("intermediate_size", 3072),
        context_width=qformer.get("encoder_hidden_size", 1408),
        cross_every=qformer.get("cross_attention_frequency", 2),
        vocab_size=qformer.get("vocab_size", 30522) if instructed else 0,
        max_positions=qformer.get("max_position_embeddings", 512),
        dim=0,
        writes=False,
        output_width=output_width,
    )
