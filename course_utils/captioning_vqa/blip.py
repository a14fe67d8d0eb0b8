"""BLIP: one network that compares pictures with texts, reads both together, and writes about what it sees.

A vision transformer reads the picture. One text transformer has three roles, each begun by a token of its own (a mixture of encoder and decoder):

    text encoder                    tokens see all of the text                              [CLS] -> contrast with the picture
    image-grounded text encoder     ... and, by cross-attention, the picture's patches      [ENC] -> do the two match?
    image-grounded text decoder     tokens see what is before them, and the patches         [DEC] -> the text, token by token

Encoder and decoder share everything but self-attention: looking both ways and looking back only are different trades, the rest is not. All
roles learn at once, from `losses`: ITC + ITM + LM. For questions the two are separate: the encoder reads the question and the picture, the decoder
looks at what the encoder made of them, and writes the answer.

Paper: Li, Li, Xiong & Hoi, "BLIP: bootstrapping language-image pre-training for unified vision-language understanding and generation", ICML 2022
(sections 3.1 and 3.2; 5.1 to 5.3 for the tasks, figure 5 for questions).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.captioning_vqa.blip_layout import read_blip
from course_utils.captioning_vqa.image_encoder import ImageEncoder, ResidualTokens
from course_utils.captioning_vqa.losses import (
    Keys,
    contrastive_loss,
    hard_negatives,
    keys_of,
    matching_loss,
    writing_loss,
)
from course_utils.captioning_vqa.text_transformer import Grounded, TextDecoder, TextTransformer, share
from course_utils.clip.clip import LARGEST_SCALE
from course_utils.hub import HubModel, WeightsError, config_coders, load_weights
from course_utils.language.corruption import IGNORED, real_labels
from course_utils.language.generation import write
from course_utils.layers.attention import check_mask

TEMPERATURE = 0.07  # with which the contrast begins


@dataclass(frozen=True)
class BLIPConfig:
    """Settings of a `BLIP` or `BLIPAnswerer`; the defaults are those of the published base models, but for mean and standard deviation.

    Attributes:
        in_channels: 1 for grey pictures, 3 for colour.
        image_size, patch_size: height and width of pictures and patches in pixels.
        image_width, image_depth, image_heads, image_hidden: of the vision transformer: width of a token, layers, heads, width inside of the MLP. Of a
            residual network: channels of its first convolutions, and heads of its pooling; it has no depth, no hidden and no patch size.
        vocab_size: number of tokens.
        max_positions: longest text.
        text_width, text_depth, text_heads, text_hidden: of the text transformer.
        dim: of the space in which pictures and texts are compared.
        encode_token_id: [ENC], with which a text begins that is read together with a picture.
        start_token_id: [DEC], with which a text begins that is written.
        end_token_id: [SEP], with which each text ends.
        pad_token_id: fills up shorter texts.
        label_smoothing: of the loss of writing.
        encoder, decoder: which roles of the text transformer there are. A captioner needs the decoder alone, retrieval the encoder.
        image_mean, image_std: of pictures in [0, 1], one for all channels or one each: what the network sees is (x - mean) / std.
        image_blocks: how many bottlenecks each stage of a residual network has, as in `CLIPConfig`; () for a vision transformer.
    """

    in_channels: int = 3
    image_size: int = 384
    patch_size: int = 16
    image_width: int = 768
    image_depth: int = 12
    image_heads: int = 12
    image_hidden: int = 3072
    vocab_size: int = 30524
    max_positions: int = 512
    text_width: int = 768
    text_depth: int = 12
    text_heads: int = 12
    text_hidden: int = 3072
    dim: int = 256
    encode_token_id: int = 30523
    start_token_id: int = 30522
    end_token_id: int = 102
    pad_token_id: int = 0
    label_smoothing: float = 0.1
    encoder: bool = True
    decoder: bool = True
    image_mean: tuple[float, ...] = (0.5,)
    image_std: tuple[float, ...] = (0.5,)
    image_blocks: tuple[int, ...] = ()


class BLIPLosses(NamedTuple):
    """The three losses of pre-training, scalars in nats, whose sum is minimised (section 3.2)."""

    contrast: Tensor
    matching: Tensor
    writing: Tensor


class BLIP(nn.Module, HubModel, coders=config_coders(BLIPConfig)):
    """The mixture of encoder and decoder. Pictures are float32 (batch, in_channels, image_size, image_size) in [-1, 1].

    Texts are `input_ids` (batch, n) int64: [CLS], the words, [SEP], padding; `attention_mask` (batch, n) bool is True at real tokens. Each role
    puts its own token in the place of [CLS].
    """

    def __init__(self, config: BLIPConfig):
        super().__init__()
        if not (config.encoder or config.decoder):
            raise ValueError("a BLIP without encoder and decoder can do nothing: one of both must be True")
        self.config = config
        self.image_encoder = image_encoder(config)
        image_width = self.image_encoder.width
        self.text_encoder = text_transformer(config, image_width) if config.encoder else None
        self.text_decoder = TextDecoder(text_transformer(config, image_width)) if config.decoder else None
        if config.encoder and config.decoder:
            share(self.text_decoder.text, self.text_encoder)
        if config.encoder:
            self.image_projection = nn.Linear(image_width, config.dim)
            self.text_projection = nn.Linear(config.text_width, config.dim)
            self.match_head = nn.Linear(config.text_width, 2)
            self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))

    @property
    def logit_scale(self) -> Tensor:
        """1 / temperature of the contrast, a scalar of at most 100."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def forward(self, images: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """The decoder's logits (batch, n, vocab_size) of a text about each picture; those at t are of token t + 1.

        Raises:
            ValueError: pictures or texts do not fit the config, or there is no decoder.
        """
        return self._decoder()(begun(input_ids, self.config.start_token_id), attention_mask, self.image_encoder(images))

    def encode_image(self, images: Tensor) -> Tensor:
        """Unit vectors (batch, dim) for the contrast: [CLS] of the image encoder."""
        return self.image_vectors(self.image_encoder(images))

    def image_vectors(self, image_tokens: Tensor) -> Tensor:
        """Unit vectors (batch, dim) from what the image encoder gave, (batch, 1 + patches, image_width)."""
        self._encoder()
        return F.normalize(self.image_projection(image_tokens[:, 0]).float(), dim=1)

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Unit vectors (batch, dim) for the contrast: [CLS] of the text encoder, which does not see the picture."""
        features = self._encoder()(input_ids, attention_mask)
        return F.normalize(self.text_projection(features[:, 0]).float(), dim=1)

    def match(self, image_tokens: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits (batch, 2) of "no" and "yes": does text i belong to picture i?

        Args:
            image_tokens: what the image encoder gave, (batch, 1 + patches, image_width).
        """
        features = self._encoder()(begun(input_ids, self.config.encode_token_id), attention_mask, image_tokens)
        return self.match_head(features[:, 0])

    def losses(
        self,
        images: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        uniforms: Tensor,
        keys: Keys | None = None,
        alpha: float = 0.0,
    ) -> BLIPLosses:
        """Contrast, matching and writing on pictures and their texts, row by row; the picture is read once for all three.

        Args:
            uniforms: (2, batch, batch) in [0, 1), which draw for each picture another's text, and for each text another's picture.
            keys: of the slow copy; None for the batch's own.
            alpha: how much the slow copy's opinion counts among the targets.

        Raises:
            ValueError: as `forward`, encoder or decoder is missing, or the batch is a single pair.
        """
        return self.losses_of(self.image_encoder(images), input_ids, attention_mask, uniforms, keys, alpha)

    def losses_of(
        self,
        tokens: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        uniforms: Tensor,
        keys: Keys | None = None,
        alpha: float = 0.0,
        alike: Tensor | None = None,
    ) -> BLIPLosses:
        """The same from what the image encoder gave, tokens (batch, 1 + patches, image_width).

        Args:
            alike: (batch, batch) bool, which text (row) fits which other picture (column) as well: matching does not take these for wrong.
        """
        image_features, text_features = self.image_vectors(tokens), self.encode_text(input_ids, attention_mask)
        keys = keys_of(image_features, text_features) if keys is None else keys
        contrast = contrastive_loss(image_features, text_features, self.logit_scale, keys, alpha)

        similarities = self.logit_scale * image_features @ text_features.T
        other_text = hard_negatives(similarities, uniforms[0], None if alike is None else alike.T)
        other_image = hard_negatives(similarities.T, uniforms[1], alike)
        # true pairs, then each text with another picture, then each picture with another text
        pictures = torch.cat([tokens, tokens[other_image], tokens])
        texts = torch.cat([input_ids, input_ids, input_ids[other_text]])
        masks = None
        if attention_mask is not None:
            masks = torch.cat([attention_mask, attention_mask, attention_mask[other_text]])
        matching = matching_loss(self.match(pictures, texts, masks))

        written = begun(input_ids, self.config.start_token_id)
        labels = real_labels(written, attention_mask)
        logits = self._decoder()(written, attention_mask, tokens)
        return BLIPLosses(contrast, matching, writing_loss(logits, labels, self.config.label_smoothing))

    def loss(
        self,
        images: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        uniforms: Tensor,
        keys: Keys | None = None,
        alpha: float = 0.0,
    ) -> Tensor:
        """The sum of `losses`, a scalar. Arguments and errors as there."""
        return torch.stack(self.losses(images, input_ids, attention_mask, uniforms, keys, alpha)).sum()

    def caption_loss(
        self,
        images: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """The loss of writing alone, with which a captioner is fine-tuned: a scalar.

        Args:
            labels: (batch, n) int64, -100 where nothing is to be predicted, such as in a prompt. By default all real tokens.
        """
        if labels is None:
            labels = real_labels(input_ids, attention_mask)
        return writing_loss(self(images, input_ids, attention_mask), labels, self.config.label_smoothing)

    @torch.inference_mode()
    def generate(
        self,
        images: Tensor,
        max_new_tokens: int,
        generator: torch.Generator | None = None,
        *,
        prompt_ids: Tensor | None = None,
        num_beams: int = 1,
        **settings: Any,
    ) -> Tensor:
        """A text about each picture, (batch, length) int64: [DEC], the prompt, what was written, [SEP], padding.

        Args:
            prompt_ids: (batch, p) words with which the text begins, without special tokens.
            num_beams: more than 1 for a beam search.
            settings: of `language.generation.generate`, such as `temperature` and `top_p`, or of `beam_search`.

        Raises:
            ValueError: as there and in `forward`.
        """
        start = torch.full((len(images), 1), self.config.start_token_id, device=images.device)
        if prompt_ids is not None:
            start = torch.cat([start, prompt_ids], dim=1)
        writer = Grounded(self._decoder(), self.image_encoder(images))
        return write(writer, start, max_new_tokens, generator, num_beams, **ends(self.config) | settings)

    def _encoder(self) -> TextTransformer:
        if self.text_encoder is None:
            raise ValueError("this BLIP has no text encoder, it only writes: its config says encoder=False")
        return self.text_encoder

    def _decoder(self) -> TextDecoder:
        if self.text_decoder is None:
            raise ValueError("this BLIP has no text decoder and cannot write: its config says decoder=False")
        return self.text_decoder

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published BLIP for captions or retrieval in the layout of transformers, in evaluation mode.

        `BLIP.from_hub("Salesforce/blip-image-captioning-base")` has a decoder, `BLIP.from_hub("Salesforce/blip-itm-base-coco")` an encoder. Its
        pictures are in [-1, 1] as all ours; the authors' mean and standard deviation are applied inside.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`; WeightsError also for a model that answers questions.
        """
        settings, weights = read_blip(source)
        parts = {part: any(name.startswith(f"text_{part}.") for name in weights) for part in ("encoder", "decoder")}
        if parts["encoder"] and parts["decoder"]:
            raise WeightsError(f"{source} has encoder and decoder that share nothing, for questions: use BLIPAnswerer")
        if parts["encoder"]:  # the file does not hold the temperature of its training
            weights["log_scale"] = torch.tensor(math.log(1 / TEMPERATURE))
        model = cls(BLIPConfig(**settings, **parts))
        load_weights(model, weights, source)
        return model.eval()


class BLIPAnswerer(nn.Module, HubModel, coders=config_coders(BLIPConfig)):
    """Answers to questions about pictures (section 5.3): the encoder reads the question while it looks at the picture, the decoder looks at that.

    Pictures and texts as for `BLIP`. Encoder and decoder share nothing.
    """

    def __init__(self, config: BLIPConfig):
        super().__init__()
        if not (config.encoder and config.decoder):
            raise ValueError("an answerer reads and writes: encoder and decoder must be True in its config")
        self.config = config
        self.image_encoder = image_encoder(config)
        self.text_encoder = text_transformer(config, self.image_encoder.width)
        self.text_decoder = TextDecoder(text_transformer(config, config.text_width))

    def read(self, images: Tensor, question_ids: Tensor, question_mask: Tensor | None = None) -> Tensor:
        """What the encoder made of questions (batch, n) and pictures: (batch, n, text_width)."""
        question_ids = begun(question_ids, self.config.encode_token_id)
        return self.text_encoder(question_ids, question_mask, self.image_encoder(images))

    def forward(
        self,
        images: Tensor,
        question_ids: Tensor,
        answer_ids: Tensor,
        question_mask: Tensor | None = None,
        answer_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits (batch, m, vocab_size) of the answer; those at t are of token t + 1.

        Raises:
            ValueError: if pictures, texts or masks do not fit.
        """
        context = self.read(images, question_ids, question_mask)
        answer_ids = begun(answer_ids, self.config.start_token_id)
        return self.text_decoder(answer_ids, answer_mask, context, check_mask(question_mask, *question_ids.shape))

    def loss(
        self,
        images: Tensor,
        question_ids: Tensor,
        answer_ids: Tensor,
        question_mask: Tensor | None = None,
        answer_mask: Tensor | None = None,
    ) -> Tensor:
        """-log p(answer) in nats a token, a mean over all real tokens: a scalar. Arguments and errors as for `forward`."""
        logits = self(images, question_ids, answer_ids, question_mask, answer_mask)
        return writing_loss(logits, real_labels(answer_ids, answer_mask), self.config.label_smoothing)

    @torch.inference_mode()
    def generate(
        self,
        images: Tensor,
        question_ids: Tensor,
        max_new_tokens: int,
        generator: torch.Generator | None = None,
        *,
        question_mask: Tensor | None = None,
        num_beams: int = 1,
        **settings: Any,
    ) -> Tensor:
        """Answers (batch, length) int64: [DEC], the words, [SEP], padding. Arguments as for `forward` and `BLIP.generate`.

        (The authors' code lets the decoder look at the question's padding, too, when it generates; ours never does.)
        """
        context = self.read(images, question_ids, question_mask)
        writer = Grounded(self.text_decoder, context, check_mask(question_mask, *question_ids.shape))
        start = torch.full((len(images), 1), self.config.start_token_id, device=images.device)
        return write(writer, start, max_new_tokens, generator, num_beams, **ends(self.config) | settings)

    @torch.inference_mode()
    def rank(
        self,
        images: Tensor,
        question_ids: Tensor,
        candidate_ids: Tensor,
        question_mask: Tensor | None = None,
        candidate_mask: Tensor | None = None,
    ) -> Tensor:
        """log p(answer | question, picture) of each candidate, (batch, candidates): the authors choose the likeliest of a list (appendix).

        Args:
            candidate_ids: (candidates, m), texts as all; `candidate_mask` of the same shape.
        """
        batch, number = len(images), len(candidate_ids)
        context = self.read(images, question_ids, question_mask).repeat_interleave(number, dim=0)
        mask = check_mask(question_mask, *question_ids.shape)
        if mask is not None:
            mask = mask.repeat_interleave(number, dim=0)
        answers = begun(candidate_ids, self.config.start_token_id).repeat(batch, 1)
        real = check_mask(candidate_mask, *candidate_ids.shape)
        if real is not None:
            real = real.repeat(batch, 1)
        logits = self.text_decoder(answers, real, context, mask)[:, :-1].float()
        labels = real_labels(answers, real)[:, 1:]
        # (batch * candidates, m - 1)
        lost = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        return -lost.sum(dim=1).view(batch, number)

    @classmethod
    def from_hub(cls, source: str | Path) -> Self:
        """A published answerer in the layout of transformers' `BlipForQuestionAnswering`, in evaluation mode.

        `BLIPAnswerer.from_hub("Salesforce/blip-vqa-base")`, for one. Pictures as for `BLIP.from_hub`.

        Raises:
            FileNotFoundError, OfflineError, WeightsError: as `hub.read_transformers`.
        """
        settings, weights = read_blip(source)
        model = cls(BLIPConfig(**settings))
        load_weights(model, weights, source)
        return model.eval()


def image_encoder(config: BLIPConfig) -> ImageEncoder | ResidualTokens:
    """The image encoder of a config."""
    if config.image_blocks:
        return ResidualTokens(config)
    return ImageEncoder(
        config.in_channels, config.image_size, config.patch_size, config.image_width, config.image_depth,
        config.image_heads, config.image_hidden, config.image_mean, config.image_std,
    )  # fmt: skip


def text_transformer(config: BLIPConfig, context_width: int) -> TextTransformer:
    """A text transformer of a config, which looks at tokens of this width."""
    return TextTransformer(
        config.vocab_size, config.max_positions, config.text_width, config.text_depth, config.text_heads, config.text_hidden,
        context_width,
    )  # fmt: skip


def begun(input_ids: Tensor, token_id: int) -> Tensor:
    """Texts (batch, n) with this token in the first place."""
    return torch.cat([torch.full_like(input_ids[:, :1], token_id), input_ids[:, 1:]], dim=1)


def ends(config: BLIPConfig) -> dict[str, int]:
    """What `language.generation` has to know of the tokens."""
    return {"end_token_id": config.end_token_id, "pad_token_id": config.pad_token_id}


def rerank(similarities: Tensor, k: int, match: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Scores (queries, candidates) of a retrieval in two steps: the contrast chooses k candidates, matching says which of these is best.

    As by the authors the scores of the k are similarity + score of matching; all others are minus infinity.

    Args:
        similarities: (queries, candidates), cosines.
        match: numbers of queries and of candidates, both (pairs,) int64, to scores (pairs,).

    Raises:
        ValueError: if k is below 1 or above the number of candidates.
    """
    if not 1 <= k <= similarities.shape[1]:
        raise ValueError(f"k is {k}, but must lie between 1 and the number of candidates, {similarities.shape[1]}")
    best = similarities.topk(k, dim=1)
    queries = torch.arange(len(similarities), device=similarities.device).repeat_interleave(k)
    scores = match(queries, best.indices.flatten()).view(-1, k)
    return torch.full_like(similarities, float("-inf")).scatter(1, best.indices, best.values + scores)
