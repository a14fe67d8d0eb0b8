"""What a transformer keeps of the tokens that it has read, so that each need be read only once.

In causal attention a token's key and value do not depend on what follows. A sampler that keeps them computes each new token alone: n steps for n
tokens, in place of 1 + 2 + ... + n.
"""

from torch import Tensor


class KeyValues:
    """Keys and values of one attention layer, with room for `capacity` tokens."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put those of new tokens, (batch, heads, n, head_dim), behind the others; all of them, (batch, heads, length, head_dim).

        Raises:
            ValueError: if there is no room left.
        """
        batch, heads, new, head_dim = keys.shape
        start, self.length = self.length, self.length + new
        if self.length > self.capacity:
            raise ValueError(f"a cache for {self.capacity} tokens cannot take {self.length}")
        if self._keys is None or self._values is None:
            room = (batch, heads, self.capacity, head_dim)
            self._keys, self._values = keys.new_empty(room), values.new_empty(room)
        self._keys[:, :, start : self.length] = keys
        self._values[:, :, start : self.length] = values
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, (new batch,) int64; one may come several times."""
        if self._keys is None or self._values is None:
            return
        kept = []
        for old in (self._keys, self._values):
            chosen = old[:, :, : self.length].index_select(0, rows)
            room = old if len(rows) == len(old) else old.new_empty(len(rows), *old.shape[1:])
            room[:, :, : self.length] = chosen
            kept.append(room)
        self._keys, self._values = kept


class Cache:
    """The memory of a whole model while it generates.

    Attributes:
        layers: keys and values of each layer's self-attention.
        context: keys and values of each layer's cross-attention, which do not grow; () where there is none.
        attention_mask: (batch, m) bool: which tokens of the context (or without one of the text itself) are real; None for all.
        prefix: (batch, p, width), vectors to be read before the first tokens; None where there are none, or when they have been read.
    """

    def __init__(
        self,
        num_layers: int,
        capacity: int,
        attention_mask: Tensor | None = None,
        context: tuple[tuple[Tensor, Tensor], ...] = (),
        prefix: Tensor | None = None,
    ):
        self.layers = [KeyValues(capacity) for _ in range(num_layers)]
        self.context = context
        self.attention_mask = attention_mask
        self.prefix = prefix

    @property
    def length(self) -> int:
        """How many tokens have been read."""
        return self.layers[0].length

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, (new batch,) int64: what a beam search needs when it drops a beam and splits another."""
        for layer in self.layers:
            layer.select(rows)
        self.context = tuple((keys[rows], values[rows]) for keys, values in self.context)
        if self.attention_mask is not None:
            self.attention_mask = self.attention_mask[rows]
