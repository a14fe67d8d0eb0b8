"""A small network that draws to a prompt: a text encoder trained along, and a diffusion transformer that looks at it.

A prompt becomes a token for each word; layers in which all words look at one another turn them into the context c, since "red" means nothing
before it is known of what, and where that is. The transformer of `diffusion.dit` predicts from noisy latents and the time, and looks at c:

    c = encoder(prompt),        v = DiT(z_t, t, c)

Papers: Rombach et al., CVPR 2022, section 3.3 (text encoder tau trained along). Chen et al., "PixArt-alpha", ICLR 2024 (cross-attention in a DiT).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from course_utils.diffusion.dit import DiT, DiTConfig
from course_utils.hub import HubModel, config_coders
from course_utils.layers.attention import check_length
from course_utils.layers.embeddings import TokenEmbedding
from course_utils.layers.transformer import PreNormLayer

EPS = 1e-5  # of the encoder's layer norms


@dataclass(frozen=True)
class PromptNetworkConfig:
    """Settings of a `PromptNetwork`.

    Attributes:
        vocab_size: number of tokens; the last ends a prompt, and fills it up.
        max_positions: tokens of a prompt, with what fills it up.
        text_width, text_depth, text_heads: of the encoder. The depth may be 0: then words do not look at one another.
        token_std, position_std: standard deviation of both embeddings at first.
        channels: of the latents, or of pictures where there are none.
        image_size: their height and width.
        patch_size, width, depth, num_heads: of the diffusion transformer.
    """

    vocab_size: int = 512
    max_positions: int = 52
    text_width: int = 128
    text_depth: int = 2
    text_heads: int = 4
    token_std: float = 0.02
    position_std: float = 0.02
    channels: int = 4
    image_size: int = 8
    patch_size: int = 2
    width: int = 128
    depth: int = 6
    num_heads: int = 4

    @property
    def end_token_id(self) -> int:
        return self.vocab_size - 1


class PromptEncoder(nn.Module):
    """Ids (batch, n) int64 to a context (batch, n, text_width); every token sees all others, padding too, as in published models."""

    def __init__(self, config: PromptNetworkConfig):
        super().__init__()
        self.config = config
        width = config.text_width
        self.tokens = TokenEmbedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_positions, width)
        self.layers = nn.ModuleList(
            PreNormLayer(width, config.text_heads, 4 * width, "gelu", EPS) for _ in range(config.text_depth)
        )
        self.norm = nn.LayerNorm(width, EPS)
        nn.init.normal_(self.tokens.weight, std=config.token_std)
        nn.init.normal_(self.positions.weight, std=config.position_std)

    def forward(self, input_ids: Tensor) -> Tensor:
        """The context.

        Raises:
            ValueError: a prompt is longer than `max_positions`, or ids are outside of the vocabulary.
        """
        length = input_ids.shape[1]
        check_length(length, self.config.max_positions)
        tokens = self.tokens(input_ids) + self.positions.weight[:length]
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens)


class PromptNetwork(nn.Module, HubModel, coders=config_coders(PromptNetworkConfig)):
    """A prediction (batch, channels, image_size, image_size) from noisy latents of that shape, times (batch,) and ids (batch, n)."""

    def __init__(self, config: PromptNetworkConfig):
        super().__init__()
        self.config = config
        self.text_encoder = PromptEncoder(config)
        self.network = DiT(
            DiTConfig(
                config.channels, config.channels, config.image_size, config.patch_size, config.width, config.depth, config.num_heads,
                context_width=config.text_width,
            )
        )  # fmt: skip

    def forward(self, latents: Tensor, timesteps: Tensor, input_ids: Tensor) -> Tensor:
        """The prediction. Arguments and errors as for `PromptEncoder.forward` and `DiT.forward`."""
        return self.network(latents, timesteps, context=self.text_encoder(input_ids))
