"""Gated PixelCNN: the probability of a picture, one pixel after the other, each given all pixels above it and to its left.

    log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1}),        i in reading order: row by row, from left to right

Each term is a softmax over the values that a pixel can take: grey levels, or the codes of a VQ-VAE. One network computes all terms of a
picture at once, because its convolutions are *masked*: none sees the pixel itself (mask A, in the first layer) or anything after it
(masks A and B). Masking square kernels alone leaves a blind spot to the right above the pixel; two stacks have none. The vertical one
sees all rows above; the horizontal one sees the row so far, and takes from the vertical one what is above. Each layer is gated:

    y = tanh(W_f * x + V_f h) . sigmoid(W_g * x + V_g h)          (h: what the picture is conditioned on, as a label)

Sampling is one pixel at a time, but it never computes anything twice: the vertical stack moves on once a row, the horizontal one once
a pixel, and attention keeps its keys and values.

Papers: van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel recurrent neural networks", ICML 2016 (masks). Van den Oord et al., "Conditional
image generation with PixelCNN decoders", NIPS 2016 (gates, stacks). Chen et al., "PixelSNAIL", ICML 2018 (causal attention between layers).
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.hub import HubModel, config_coders
from course_utils.layers import draw_uniform


@dataclass(frozen=True)
class PixelCNNConfig:
    """Settings of a `PixelCNN`.

    Attributes:
        num_values: what a pixel can be: grey levels or codes, 0 ... num_values - 1.
        height, width: of the grid.
        hidden: channels of both stacks, even.
        num_layers: gated layers.
        kernel_size: of the convolutions, odd; in the vertical stack (kernel_size + 1) / 2 rows of it are used.
        num_classes: 0, or the number of labels to condition on.
        condition_channels: 0, or the channels of a grid to condition on, place by place.
        attention_every: 0, or after how many layers the horizontal stack attends to all places so far.
        num_heads: of the attention.
    """

    num_values: int = 512
    height: int = 8
    width: int = 8
    hidden: int = 64
    num_layers: int = 8
    kernel_size: int = 5
    num_classes: int = 0
    condition_channels: int = 0
    attention_every: int = 0
    num_heads: int = 4


class MaskedConvolution(nn.Conv2d):
    """A square convolution that sees only what comes before a pixel ("A"), or that and the pixel itself ("B").

    (batch, in_channels, h, w) to (batch, out_channels, h, w). The first PixelCNN was a stack of these, one "A" and then "B"s.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, kind: str):
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.register_buffer("mask", causal_mask(kernel_size, kind))

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.weight * self.mask, self.bias, padding=self.padding)


def causal_mask(kernel_size: int, kind: str) -> Tensor:
    """(kernel_size, kernel_size) of ones where a masked convolution may look, and zeros (figure 1 of the first paper).

    Args:
        kernel_size: odd.
        kind: "A": rows above, and what is left in the middle row. "B": the middle itself as well.

    Raises:
        ValueError: an even size or another kind.
    """
    if kernel_size % 2 == 0 or kind not in ("A", "B"):
        raise ValueError(f"a mask has an odd size and the kind 'A' or 'B', got {kernel_size} and {kind!r}")
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = 1
    mask[middle, : middle + (kind == "B")] = 1
    return mask


class GatedLayer(nn.Module):
    """One layer of both stacks (figure 2 of the second paper).

    Instead of masking kernels it crops them to what a mask would leave, and pads so that the last row (vertical) or column (horizontal)
    of the window is the pixel's own. The first layer's horizontal window ends one column earlier: mask A.
    """

    def __init__(self, hidden: int, kernel_size: int, first: bool):
        super().__init__()
        self.first = first
        self.reach = (kernel_size + 1) // 2  # rows of the vertical window, columns of the horizontal one
        self.side = kernel_size // 2
        self.vertical = nn.Conv2d(hidden, 2 * hidden, (self.reach, kernel_size))
        self.link = nn.Conv2d(2 * hidden, 2 * hidden, 1)
        self.horizontal = nn.Conv2d(hidden, 2 * hidden, (1, self.reach))
        self.out = nn.Conv2d(hidden, hidden, 1)

    def forward(self, above: Tensor, left: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Both stacks one layer further.

        Args:
            above: the vertical stack (batch, hidden, h, w); at each place it knows that row and those above.
            left: the horizontal stack (batch, hidden, h, w); it knows what comes before the place.
            condition: (batch, 4 * hidden, h, w) or (batch, 4 * hidden, 1, 1), added before the gates.
        """
        for_vertical, for_horizontal = condition.chunk(2, dim=1)
        rows = self.vertical(F.pad(above, (self.side, self.side, self.reach - 1, 0)))
        earlier_rows = F.pad(rows, (0, 0, 1, 0))[
            :, :, :-1
        ]  # one row down: the horizontal stack must not see its own row
        window = F.pad(left, (self.reach, 0))[..., :-1] if self.first else F.pad(left, (self.reach - 1, 0))
        columns = self.horizontal(window) + self.link(earlier_rows) + for_horizontal
        horizontal = self.out(gate(columns))
        return gate(rows + for_vertical), horizontal if self.first else left + horizontal

    def next_row(self, rows: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The vertical stack for one row: its gated value (batch, hidden, 1, w), and what it says to the row below (batch, 2 * hidden, w).

        Args:
            rows: of the layer below, the last `reach` of them (batch, hidden, reach, w), zeros above the picture.
            condition: its vertical half for this row.
        """
        seen = self.vertical(F.pad(rows, (self.side, self.side)))
        return gate(seen + condition), self.link(seen)[:, :, 0]

    def next_pixel(self, window: Tensor, from_above: Tensor, condition: Tensor) -> Tensor:
        """The horizontal stack for one pixel, (batch, hidden), without the residual.

        Args:
            window: the last `reach` columns (batch, hidden, reach) that the layer sees.
            from_above: of `next_row`, (batch, 2 * hidden).
            condition: its horizontal half for this pixel, (batch, 2 * hidden).
        """
        # (batch, hidden, reach) -> (batch, hidden * reach), as the kernel's (2 * hidden, hidden, 1, reach) is laid out
        seen = F.linear(window.flatten(1), self.horizontal.weight.flatten(1), self.horizontal.bias)
        gated = gate(seen + from_above + condition)
        return F.linear(gated, self.out.weight.flatten(1), self.out.bias)


class CausalAttention(nn.Module):
    """Each place attends to itself and all places before it, in reading order; the result is added.

    No pixel sees itself by this: the horizontal stack at a place knows only what comes before that place.
    """

    def __init__(self, hidden: int, height: int, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.position = nn.Parameter(0.02 * torch.randn(height * width, hidden))
        self.norm = nn.LayerNorm(hidden)
        self.to_qkv = nn.Linear(hidden, 3 * hidden)
        self.to_out = nn.Linear(hidden, hidden)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def project(self, places: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (batch, heads, places, hidden / heads) of `places` (batch, places, hidden)."""
        queries_keys_values = self.to_qkv(self.norm(places + position)).unflatten(2, (3, self.num_heads, -1))
        return queries_keys_values.permute(2, 0, 3, 1, 4).unbind()  # (3, batch, heads, places, hidden / heads)

    def forward(self, left: Tensor) -> Tensor:
        """(batch, hidden, h, w) to the same shape."""
        places = left.flatten(2).transpose(1, 2)  # (batch, h * w, hidden)
        seen = F.scaled_dot_product_attention(*self.project(places, self.position), is_causal=True)
        added = self.to_out(seen.transpose(1, 2).flatten(2))  # (batch, heads, places, d) -> (batch, places, hidden)
        return left + added.transpose(1, 2).unflatten(2, left.shape[2:])

    def next_place(self, place: Tensor, keys: Tensor, values: Tensor, number: int) -> Tensor:
        """The same for place `number` alone, (batch, hidden): its key and value are put into the caches, which hold the earlier ones."""
        query, key, value = self.project(place[:, None], self.position[number])
        keys[:, :, number], values[:, :, number] = key[:, :, 0], value[:, :, 0]
        seen = F.scaled_dot_product_attention(query, keys[:, :, : number + 1], values[:, :, : number + 1])
        return place + self.to_out(seen.transpose(1, 2).flatten(2))[:, 0]


class PixelCNN(nn.Module, HubModel, coders=config_coders(PixelCNNConfig)):
    """Logits, likelihood and sampler of grids of numbers, (batch, height, width) int64 in [0, num_values).

    With `num_classes` all methods take `labels` (batch,) int64; with `condition_channels` a `condition`
    (batch, condition_channels, height, width).
    """

    def __init__(self, config: PixelCNNConfig):
        super().__init__()
        if config.kernel_size % 2 == 0 or config.hidden % max(1, config.num_heads if config.attention_every else 1):
            raise ValueError(
                f"kernel_size must be odd and hidden a multiple of num_heads, got {config.kernel_size}, "
                f"{config.hidden} and {config.num_heads}"
            )
        self.config = config
        hidden = config.hidden
        self.embedding = nn.Embedding(config.num_values, hidden)
        self.layers = nn.ModuleList(
            GatedLayer(hidden, config.kernel_size, first=number == 0) for number in range(config.num_layers)
        )
        self.attentions = nn.ModuleDict(
            {
                str(number): CausalAttention(hidden, config.height, config.width, config.num_heads)
                for number in range(config.num_layers)
                if config.attention_every and (number + 1) % config.attention_every == 0
            }
        )
        each = 4 * hidden * config.num_layers  # both halves of the gates of both stacks, in every layer
        if config.num_classes:
            self.of_label = nn.Embedding(config.num_classes, each)
            nn.init.normal_(self.of_label.weight, std=0.1)
        if config.condition_channels:
            self.of_condition = nn.Conv2d(config.condition_channels, each, 1)
        self.head = nn.Sequential(
            nn.SiLU(), nn.Conv2d(hidden, 2 * hidden, 1), nn.SiLU(), nn.Conv2d(2 * hidden, config.num_values, 1)
        )

    def forward(self, values: Tensor, labels: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """Logits (batch, num_values, height, width) of each value given those before it.

        Raises:
            ValueError: values, labels or condition have another shape than the config says, or are missing.
        """
        self._check(values.shape[1:], len(values), labels, condition)
        above = left = self.embedding(values).movedim(3, 1)
        for number, (layer, gates) in enumerate(zip(self.layers, self._gates(left, labels, condition), strict=True)):
            above, left = layer(above, left, gates)
            if str(number) in self.attentions:
                left = self.attentions[str(number)](left)
        return self.head(left)

    def log_likelihood(self, values: Tensor, labels: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """log p(values) of each grid, (batch,) in nats."""
        logits = self(values, labels, condition).float()
        return -F.cross_entropy(logits, values, reduction="none").flatten(1).sum(1)  # (batch, h, w) -> (batch,)

    def loss(self, values: Tensor, labels: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """Minus the log-likelihood, in nats a value, averaged over the batch: a scalar."""
        return -self.log_likelihood(values, labels, condition).mean() / (self.config.height * self.config.width)

    @torch.inference_mode()
    def sample(
        self,
        num_samples: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw grids (num_samples, height, width) int64, one value after the other.

        A value is where the running sum of its probabilities passes a uniform number; all of these are drawn at the start.

        Args:
            labels: (num_samples,), for a model with `num_classes`.
            condition: (num_samples, condition_channels, height, width), for a model with `condition_channels`.
            temperature: logits are divided by it; below 1 likely values become likelier.

        Raises:
            ValueError: labels or condition are missing or of another shape, or the temperature is not positive.
        """
        config, weight = self.config, self.embedding.weight
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}, but must be positive")
        self._check((config.height, config.width), num_samples, labels, condition)
        labels = None if labels is None else labels.to(weight.device)
        condition = None if condition is None else condition.to(weight.device)
        height, width, hidden, layers = config.height, config.width, config.hidden, config.num_layers
        uniform = draw_uniform((num_samples, height, width), generator, weight.device)
        values = torch.zeros(num_samples, height, width, dtype=torch.int64, device=weight.device)

        pad = self.layers[0].reach  # zeros above and to the left of the picture
        nothing = weight.new_zeros(num_samples, hidden, 1, 1)
        gates = [g.expand(num_samples, -1, height, width) for g in self._gates(nothing, labels, condition)]
        above = [
            weight.new_zeros(num_samples, hidden, pad + height, width) for _ in range(layers)
        ]  # input of each layer
        from_above = [layer.link.bias.expand(num_samples, width, -1).transpose(1, 2) for layer in self.layers]
        shape = (num_samples, config.num_heads, height * width, hidden // config.num_heads)
        caches = {number: (weight.new_zeros(shape), weight.new_zeros(shape)) for number in self.attentions}

        for row in range(height):
            left = [weight.new_zeros(num_samples, hidden, pad + width) for _ in range(layers)]  # input of each layer
            for column in range(width):
                place = weight.new_zeros(num_samples, hidden)
                for number, layer in enumerate(self.layers):
                    if number:
                        left[number][:, :, pad + column] = place
                    # mask A ends one column before the pixel, mask B with it
                    end = pad + column + (number > 0)
                    for_horizontal = gates[number][:, 2 * hidden :, row, column]
                    window = left[number][:, :, end - layer.reach : end]
                    place = place + layer.next_pixel(window, from_above[number][:, :, column], for_horizontal)
                    if str(number) in self.attentions:
                        attention = self.attentions[str(number)]
                        place = attention.next_place(place, *caches[str(number)], row * width + column)
                logits = self.head(place[:, :, None, None])[:, :, 0, 0]
                values[:, row, column] = choose(logits / temperature, uniform[:, row, column])
                left[0][:, :, pad + column] = self.embedding(values[:, row, column])
            above[0][:, :, pad + row] = self.embedding(values[:, row]).transpose(1, 2)
            for number, layer in enumerate(self.layers):
                window = above[number][:, :, pad + row + 1 - layer.reach : pad + row + 1]
                seen, from_above[number] = layer.next_row(window, gates[number][:, : 2 * hidden, row : row + 1])
                if number + 1 < layers:
                    above[number + 1][:, :, pad + row] = seen[:, :, 0]
        return values

    def receptive_field(self) -> Tensor:
        """(height, width, height, width) bool: which values (last two) can change the logits at each place (first two).

        Without attention: of the rows above, L (k - 1) / 2 + 1 of them, L (k - 1) / 2 columns to either side; of its own row as many
        as rows to the left, for L layers with kernel size k. Attention adds what the earlier places see.
        """
        config = self.config
        field = self._field_of(config.num_layers)
        if self.attentions:
            last = self._field_of(max(map(int, self.attentions)) + 1)
            field = field | (last.flatten(0, 1).cumsum(dim=0) > 0).view_as(field)
        return field

    def _field_of(self, num_layers: int) -> Tensor:
        """The receptive field of that many layers without attention."""
        row, column = torch.arange(self.config.height), torch.arange(self.config.width)
        up = (row[:, None] - row)[:, None, :, None]  # rows from a value down to the place
        across = (column[:, None] - column)[None, :, None, :]  # columns from a value right to the place
        reach = num_layers * (self.config.kernel_size // 2)
        above = (up > 0) & (up <= reach + 1) & (across.abs() <= reach)
        return above | ((up == 0) & (across > 0) & (across <= reach + 1))

    def _gates(self, like: Tensor, labels: Tensor | None, condition: Tensor | None) -> tuple[Tensor, ...]:
        """What is added before the gates, for each layer (batch, 4 * hidden, h, w) or with h = w = 1."""
        added = like.new_zeros(1, 4 * self.config.hidden * self.config.num_layers, 1, 1)
        if labels is not None:
            added = added + self.of_label(labels)[:, :, None, None]
        if condition is not None:
            added = added + self.of_condition(condition)
        return added.chunk(self.config.num_layers, dim=1)

    def _check(self, size: tuple, batch: int, labels: Tensor | None, condition: Tensor | None) -> None:
        config = self.config
        if tuple(size) != (config.height, config.width):
            raise ValueError(
                f"expected grids of {config.height} x {config.width} as the config says, got {tuple(size)}"
            )
        wanted = {
            "labels": (labels, (batch,) if config.num_classes else None),
            "condition": (
                condition,
                (batch, config.condition_channels, config.height, config.width) if config.condition_channels else None,
            ),
        }
        for name, (given, shape) in wanted.items():
            found = None if given is None else tuple(given.shape)
            if found != shape:
                raise ValueError(f"by its config this PixelCNN takes {name} of shape {shape}, got {found}")


def gate(features: Tensor) -> Tensor:
    """tanh of one half of the channels times the sigmoid of the other: (batch, 2c, ...) to (batch, c, ...) (equation 2)."""
    value, openness = features.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(openness)


def choose(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draws from softmax(logits): the first index at which the running sum of probabilities exceeds `uniform`.

    Args:
        logits: (batch, num_values).
        uniform: (batch,) in [0, 1).

    Returns (batch,) int64.
    """
    running = logits.float().softmax(dim=1).cumsum(dim=1)
    # rounding may leave the last sum a little below 1
    return (running <= uniform[:, None]).sum(dim=1).clamp(max=logits.shape[1] - 1)


@torch.no_grad()
def sample_plainly(logits_of: Callable[[Tensor], Tensor], uniform: Tensor, temperature: float = 1.0) -> Tensor:
    """The sampler without caches: the whole network again for each place, in reading order. What `PixelCNN.sample` must equal.

    Args:
        logits_of: grids (batch, height, width) int64 to logits (batch, num_values, height, width).
        uniform: (batch, height, width) in [0, 1), one number for each place.
        temperature: logits are divided by it.

    Returns (batch, height, width) int64.
    """
    values = torch.zeros(uniform.shape, dtype=torch.int64, device=uniform.device)
    for row, column in itertools.product(*map(range, uniform.shape[1:])):
        logits = logits_of(values)[:, :, row, column]
        values[:, row, column] = choose(logits / temperature, uniform[:, row, column])
    return values


def bits_per_dimension(nats: Tensor, dimensions: int) -> Tensor:
    """-log p in bits for each of `dimensions` numbers, from log p in nats."""
    return -nats / (dimensions * math.log(2))
