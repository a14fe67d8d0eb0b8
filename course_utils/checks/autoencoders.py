"""Checks of chapter 01: `from course_utils.checks import autoencoders as check`, then `check.kl_divergence(kl_divergence)`."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.autoencoders import autoencoder as reference
from course_utils.autoencoders import pixelcnn, vae, vqvae
from course_utils.checks.engine import Case, Check, Draw, Mistake
from course_utils.checks.perform import Build, Network, Train

# --- notebook 01_autoencoder -----------------------------------------------------------------------------------------------


def _built(draw: Draw, in_features: int, hidden: int, latents: int, batch: int) -> Build:
    sizes = {
        "encoder_hidden": (hidden, in_features),
        "encoder_out": (latents, hidden),
        "decoder_hidden": (hidden, latents),
        "decoder_out": (in_features, hidden),
    }
    parameters = {}
    for name, (rows, columns) in sizes.items():
        parameters[f"{name}.weight"] = 1.5 * columns**-0.5 * draw.normal(rows, columns)
        parameters[f"{name}.bias"] = 0.3 * draw.normal(rows)
    side = math.isqrt(in_features)
    images, codes = draw.uniform(batch, 1, side, side, low=-1), draw.normal(batch, latents)
    return Build((in_features, hidden, latents), parameters, {"encode": images, "decode": codes, "forward": images})


def _network(**methods: Callable[..., Any]) -> type[nn.Module]:
    """The reference network with some methods replaced."""
    return type("Autoencoder", (reference.FullyConnected,), methods)


def _picture(self: Any, pixels: Tensor) -> Tensor:
    return pixels.unflatten(1, (1, self.image_size, self.image_size))


def _hidden(self: Any, images: Tensor) -> Tensor:
    return F.relu(self.encoder_hidden(images.flatten(1)))


def _pixels(self: Any, latents: Tensor) -> Tensor:
    return self.decoder_out(F.relu(self.decoder_hidden(latents)))


autoencoder = Check(
    name="Autoencoder",
    signature=("in_features", "hidden_features", "latent_features"),
    reference=reference.FullyConnected,
    holds="codes, pictures, reconstructions and the gradients of all parameters",
    look='01_autoencoder, exercise 1 "The network"',
    hint="encode: flatten, hidden layer, ReLU, output layer. decode: hidden layer, ReLU, output layer, tanh, shape of a picture.",
    cases=(
        Case("3 pictures of 8x8, 5 latents", lambda draw: _built(draw, 64, 12, 5, 3)),
        Case("1 picture of 6x6, 4 latents", lambda draw: _built(draw, 36, 10, 4, 1)),
    ),
    hidden_cases=(Case("7 pictures of 5x5, 2 latents", lambda draw: _built(draw, 25, 9, 2, 7)),),
    gradients="required",
    mistakes=(
        Mistake(
            _network(encode=lambda self, images: F.relu(self.encoder_out(_hidden(self, images)))),
            "You put a ReLU on the latents: then no code can be negative, and half of the code space is lost. Nothing comes after `encoder_out`.",
        ),
        Mistake(
            _network(encode=lambda self, images: torch.tanh(self.encoder_out(_hidden(self, images)))),
            "You put a tanh on the latents: a code may be any real number. The tanh belongs at the end of `decode`.",
        ),
        Mistake(
            _network(encode=lambda self, images: torch.sigmoid(self.encoder_out(_hidden(self, images)))),
            "You put a sigmoid on the latents: a code may be any real number. Nothing comes after `encoder_out`.",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, _pixels(self, latents))),
            "The tanh at the end of `decode` is missing: without it pixels are not held in [-1, 1].",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, torch.sigmoid(_pixels(self, latents)))),
            "You end `decode` with a sigmoid, which gives [0, 1]: pictures here are in [-1, 1], so end with tanh.",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, (torch.tanh(_pixels(self, latents)) + 1) / 2)),
            "You rescale the pixels to [0, 1] after the tanh: pictures stay in [-1, 1] everywhere in this course.",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, torch.tanh(F.relu(_pixels(self, latents))))),
            "You put a ReLU before the final tanh: then no pixel can be darker than 0, and the paper (-1) can never be drawn.",
        ),
        Mistake(
            _network(decode=lambda self, latents: torch.tanh(_pixels(self, latents))),
            "`decode` returns flat rows of pixels: give them the shape of a picture again, (batch, 1, height, width).",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, torch.tanh(_pixels(self, latents))).squeeze(1)),
            "`decode` has lost the channel axis: a picture is (1, height, width), even with one channel.",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, torch.tanh(_pixels(self, latents))).transpose(2, 3)),
            "Rows and columns of the decoded pictures are swapped: values come row by row, so plain `unflatten` or `view` puts them right.",
        ),
        Mistake(
            _network(encode=lambda self, images: self.encoder_out(self.encoder_hidden(images.flatten(1)))),
            "The ReLU in `encode` is missing: two linear layers in a row are just one linear layer.",
        ),
        Mistake(
            _network(
                decode=lambda self, latents: _picture(self, torch.tanh(self.decoder_out(self.decoder_hidden(latents))))
            ),
            "The ReLU in `decode` is missing: two linear layers in a row are just one linear layer.",
        ),
        Mistake(
            _network(
                encode=lambda self, images: self.encoder_out(self.encoder_hidden(images.flatten(1))),
                decode=lambda self, latents: _picture(self, torch.tanh(self.decoder_out(self.decoder_hidden(latents)))),
            ),
            "Both ReLUs are missing: without them each half is one linear layer, however many you stack.",
        ),
        Mistake(
            _network(encode=lambda self, images: self.encoder_out(self.encoder_hidden(F.relu(images.flatten(1))))),
            "The ReLU in `encode` comes too early: it belongs after `encoder_hidden`. On the pixels it wipes out all that is below 0.",
        ),
        Mistake(
            _network(
                encode=lambda self, images: self.encoder_out(
                    F.relu(self.encoder_hidden(images.transpose(2, 3).flatten(1)))
                )
            ),
            "The pixels enter `encode` column by column: flatten without transposing first.",
        ),
        Mistake(
            _network(
                encode=lambda self, images: self.encoder_out(
                    F.relu(self.encoder_hidden(images.reshape(self.image_size**2, -1).T))
                )
            ),
            "The reshape in `encode` mixes values of different pictures: keep the batch axis first, as `images.flatten(1)` does.",
        ),
        Mistake(
            _network(forward=lambda self, images: self.encode(images)),
            "`forward` stops at the code: decode it again, `self.decode(self.encode(images))`.",
        ),
        Mistake(
            _network(forward=lambda self, images: (self.decode(self.encode(images)), self.encode(images))),
            "`forward` returns reconstruction and code: here it returns the reconstruction only.",
        ),
        Mistake(
            _network(forward=lambda self, images: self.decode(self.encode(images).detach())),
            "You detach the code in `forward`: then the decoder can learn, but no gradient ever reaches the encoder.",
        ),
        Mistake(
            _network(forward=lambda self, images: torch.no_grad()(self.decode)(self.encode(images))),
            "`forward` runs without gradients: torch.no_grad() is for looking at results, not inside of a network that is to learn.",
        ),
        Mistake(
            _network(
                encode=lambda self, images: self.encoder_out(
                    F.relu(nn.Linear(images[0].numel(), self.encoder_hidden.out_features)(images.flatten(1)))
                )
            ),
            "You make a new layer inside of `encode`: it starts anew at each call and can never learn. Use the layers made in __init__.",
        ),
        Mistake(
            _network(encode=lambda self, images: F.relu(self.encoder_out(self.encoder_hidden(images.flatten(1))))),
            "The ReLU in `encode` comes too late: it belongs between `encoder_hidden` and `encoder_out`, not on the latents.",
        ),
        Mistake(
            _network(
                decode=lambda self, latents: _picture(self, self.decoder_out(torch.tanh(self.decoder_hidden(latents))))
            ),
            "The tanh in `decode` stands one layer too early: a ReLU comes after `decoder_hidden`, and the tanh after `decoder_out`, where it "
            "holds the pixels in [-1, 1].",
        ),
        Mistake(
            _network(
                decode=lambda self, latents: _picture(
                    self, torch.tanh(self.decoder_out(torch.tanh(self.decoder_hidden(latents))))
                )
            ),
            "You put a tanh where a ReLU belongs, after `decoder_hidden`: the only tanh is the one at the end of `decode`.",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, 2 * torch.sigmoid(_pixels(self, latents)) - 1)),
            "You end `decode` with 2 sigmoid(a) - 1. The range is right, but this is tanh(a / 2), half as steep as the tanh(a) that is asked for.",
        ),
        Mistake(
            _network(decode=lambda self, latents: _picture(self, F.relu(_pixels(self, latents)))),
            "You end `decode` with a ReLU in place of the tanh: then no pixel is below 0, so paper (-1) can never be drawn, and nothing keeps ink below 1.",
        ),
        Mistake(
            _network(encode=lambda self, images: self.encoder_out(torch.tanh(self.encoder_hidden(images.flatten(1))))),
            "You put a tanh where a ReLU belongs, after `encoder_hidden`: the only tanh is the one at the end of `decode`.",
        ),
    ),
)


def _pair(draw: Draw, *shape: int) -> tuple[Tensor, Tensor]:
    return draw.uniform(*shape, low=-1), draw.uniform(*shape, low=-1)


reconstruction_loss = Check(
    name="reconstruction_loss",
    signature=("reconstruction", "images"),
    reference=reference.reconstruction_loss,
    holds="sum over a picture, mean over the batch, with gradient",
    look='01_autoencoder, exercise 2 "The loss"',
    hint="Square the differences, flatten each picture, sum over dimension 1, then take the mean over the batch.",
    cases=(
        Case("4 pictures, 1 channel, 5x5", lambda draw: _pair(draw, 4, 1, 5, 5)),
        Case("2 pictures, 3 channels, 4x6", lambda draw: _pair(draw, 2, 3, 4, 6)),
        Case("black against white", lambda draw: (torch.ones(3, 1, 2, 2), -torch.ones(3, 1, 2, 2))),
    ),
    hidden_cases=(
        Case("1 picture", lambda draw: _pair(draw, 1, 2, 3, 7)),
        Case("a perfect copy", lambda draw: (torch.linspace(-1, 1, 24).reshape(2, 1, 3, 4),) * 2),
    ),
    gradients="required",
    differentiable=("reconstruction",),
    mistakes=(
        Mistake(
            F.mse_loss,
            "You averaged over everything: the squared error is a sum over the values of a picture, a mean comes only over the batch.",
        ),
        Mistake(
            lambda x, y: (x - y).square().sum(),
            "You summed over the batch too: the batch is averaged, or the loss would grow with the batch size.",
        ),
        Mistake(
            lambda x, y: (x - y).abs().flatten(1).sum(1).mean(),
            "You took the absolute error: the differences have to be squared.",
        ),
        Mistake(
            lambda x, y: (x - y).abs().mean(),
            "You took the mean absolute error: square the differences, sum over a picture, average over the batch.",
        ),
        Mistake(
            lambda x, y: ((x - y).square().flatten(1).sum(1) + 1e-20).sqrt().mean(),
            "You took the root of each picture's error (its norm): the loss is the *squared* norm.",
        ),
        Mistake(
            lambda x, y: (x - y).square().flatten(1).sum(1).mean() / 2,
            "There is a factor 1/2 too many: some books write it, the equation of this exercise does not.",
        ),
        Mistake(
            lambda x, y: (x - y).square().flatten(1).sum(1),
            "You return one error for each picture: the mean over the batch is still missing.",
        ),
        Mistake(
            lambda x, y: (x - y).square().flatten(1).mean(1),
            "You return one *mean* error for each picture: sum over its values, then average over the batch.",
        ),
        Mistake(
            lambda x, y: (x - y).flatten(1).sum(1).square().mean(),
            "You summed before squaring: errors of opposite sign then cancel. Square first.",
        ),
        Mistake(
            lambda x, y: (x - y).flatten(1).sum(1).mean(),
            "You forgot the square: errors of opposite sign cancel.",
        ),
        Mistake(
            lambda x, y: (x - y).square().flatten(1).mean(1).sum(),
            "Sum and mean are swapped: sum over the values of a picture, mean over the batch.",
        ),
        Mistake(
            lambda x, y: (x - y).square().sum(1).mean(),
            "You summed over the channels only, and averaged over rows and columns: all values of a picture are summed. flatten(1) joins them.",
        ),
        Mistake(
            lambda x, y: (x - y).square().sum((2, 3)).mean(),
            "You averaged over the channels: all values of a picture are summed, its channels too.",
        ),
        Mistake(
            torch.no_grad()(reference.reconstruction_loss),
            "The value is right, but it is cut off from the graph (no_grad, detach or .data): nothing can be learned from it.",
        ),
        Mistake(
            lambda x, y: reference.reconstruction_loss(x, y).item(),
            "You return a Python number: a loss has to stay a tensor until backward() has been called.",
        ),
        Mistake(
            lambda x, y: -reference.reconstruction_loss(x, y),
            "The sign is turned: a loss is to be made small.",
        ),
        Mistake(
            lambda x, y: F.binary_cross_entropy(x, y),
            "Binary cross-entropy wants values in [0, 1], and pictures here are in [-1, 1]: this exercise asks for the squared error.",
        ),
        Mistake(
            lambda x, y: (x - y).square().sum() / y.shape[1],
            "You divided by images.shape[1], the number of channels: the batch is the first axis, images.shape[0] or len(images).",
        ),
        Mistake(
            lambda x, y: (x - y).square().sum(-1).mean(),
            "You summed over one row of pixels only (the last axis), and averaged over the rest: all values of a picture are summed. flatten(1) joins them.",
        ),
        Mistake(
            lambda x, y: (x - y).square().flatten(1).sum(1).mean().sqrt(),
            "You took the root at the end: the loss is the mean *squared* norm, so no root.",
        ),
        Mistake(
            lambda x, y: (x - (y + 1) / 2).square().flatten(1).sum(1).mean(),
            "You brought `images` to [0, 1] and left `reconstruction` in [-1, 1]: both come in [-1, 1], so compare them as they are.",
        ),
        Mistake(
            lambda x, y: ((x + 1) / 2 - y).square().flatten(1).sum(1).mean(),
            "You brought `reconstruction` to [0, 1] and left `images` in [-1, 1]: both come in [-1, 1], so compare them as they are.",
        ),
        Mistake(
            lambda x, y: ((x - y) / 2).square().flatten(1).sum(1).mean(),
            "You brought both pictures to [0, 1]: that halves each difference, and so the loss is a quarter. Compare them as they are, in [-1, 1].",
        ),
    ),
)


def _training(optimizer: str, batch: int, **settings: float) -> Callable[[Draw], Train]:
    def make(draw: Draw) -> Train:
        sizes = (16, 5, 16)
        weights = tuple(
            columns**-0.5 * draw.normal(rows, columns) for columns, rows in zip(sizes, sizes[1:], strict=False)
        )
        biases = tuple(0.1 * draw.normal(rows) for rows in sizes[1:])
        batches = tuple(draw.uniform(batch, 1, 4, 4, low=-1) for _ in range(3))
        return Train(Network(weights, biases, (1, 4, 4)), optimizer, settings, batches)

    return make


def _step(
    *order: str, value: Callable[..., Any] = reference.reconstruction_loss, sign: float = 1.0
) -> Callable[..., float]:
    """A training step that does what `order` says."""

    def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
        loss = torch.tensor(0.0)
        for what in order:
            if what == "zero_grad":
                optimizer.zero_grad()
            elif what == "loss":
                loss = value(model(images), images)
            elif what == "backward":
                (sign * loss).backward()
            elif what == "step":
                optimizer.step()
        return loss.item()

    return train_step


def _step_returning_tensor(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss = reference.reconstruction_loss(model(images), images)
    loss.backward()
    optimizer.step()
    return loss


def _step_returning_nothing(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> None:
    _step_returning_tensor(model, optimizer, images)


def _step_with_item_too_early(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    optimizer.zero_grad()
    loss: Any = reference.reconstruction_loss(model(images), images).item()
    loss.backward()
    optimizer.step()
    return loss


def _step_without_graph(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    optimizer.zero_grad()
    with torch.no_grad():
        reconstruction = model(images)
    loss = reference.reconstruction_loss(reconstruction, images)
    loss.backward()
    optimizer.step()
    return loss.item()


def _step_with_own_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    own = type(optimizer)(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    return _step("zero_grad", "loss", "backward", "step")(model, own, images)


def _step_returning_mean(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor) -> float:
    return _step("zero_grad", "loss", "backward", "step")(model, optimizer, images) / len(images)


train_step = Check(
    name="train_step",
    signature=("model", "optimizer", "images"),
    reference=reference.train_step,
    holds="losses and all parameters after three steps, with SGD and Adam",
    look='01_autoencoder, exercise 3 "The bare training loop"',
    hint="The order: zero_grad, reconstruct, loss, backward, step; then return loss.item().",
    cases=(
        Case("3 steps of SGD on 4 pictures each", _training("SGD", 4, lr=0.01, momentum=0.9)),
        Case("3 steps of Adam on 2 pictures each", _training("Adam", 2, lr=0.02)),
    ),
    hidden_cases=(Case("3 steps of plain SGD on 5 pictures each", _training("SGD", 5, lr=0.02)),),
    relative=1e-3,
    absolute=2e-4,
    mistakes=(
        Mistake(
            _step("loss", "backward", "step"),
            "Old gradients are never forgotten: PyTorch *adds* each new gradient to the last, so call optimizer.zero_grad() in every step.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward", "zero_grad", "step"),
            "zero_grad() comes between backward() and step(): it wipes out the gradients that were just computed, and no weight moves.",
        ),
        Mistake(
            _step("loss", "backward", "zero_grad", "step"),
            "zero_grad() comes after backward(): it wipes out the gradients that were just computed, and no weight moves. Put it first.",
        ),
        Mistake(
            _step("zero_grad", "loss", "step", "backward"),
            "step() comes before backward(): at that moment there are no gradients, and no weight moves.",
        ),
        Mistake(
            _step("loss", "step", "zero_grad", "backward"),
            "step() comes before backward(): each step then uses the gradient of the batch before.",
        ),
        Mistake(
            _step("zero_grad", "loss", "step"),
            "backward() is missing: without it there are no gradients, and no weight moves.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward"),
            "step() is missing: the gradients are there, but no weight moves.",
        ),
        Mistake(
            _step("loss", "backward"),
            "step() and zero_grad() are missing: gradients pile up, and no weight moves.",
        ),
        Mistake(
            _step("loss"),
            "You only measure the loss: forget the old gradients, call backward(), and let the optimizer step.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward", "step", "loss"),
            "You return the loss after the step: return the one that was measured before it, which costs no second pass.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward", "step", "step"),
            "You call step() twice: one step for each batch.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward", "step", value=F.mse_loss),
            "You use the mean over all values (F.mse_loss) in place of `reconstruction_loss`: it is smaller by the number of pixels.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward", "step", sign=-1.0),
            "Your step goes uphill: it follows the gradient of minus the loss.",
        ),
        Mistake(
            _step_returning_tensor,
            "You return the loss as a tensor: return loss.item(), a plain number. The tensor keeps the whole graph of the step alive.",
        ),
        Mistake(
            _step_returning_nothing,
            "You return nothing: return the loss as a plain number, loss.item().",
        ),
        Mistake(
            _step_with_item_too_early,
            "You turn the loss into a plain number before backward(): a number has no graph. Take .item() at the end.",
        ),
        Mistake(
            _step_without_graph,
            "There is no graph for backward() to go through: either the model runs under torch.no_grad(), or you cut its output off with "
            "detach() or .data. Take that away, and the gradients find their way to the weights.",
        ),
        Mistake(
            _step_with_own_optimizer,
            "You make a new optimizer in every step: it forgets its momentum. Use the one that is given.",
        ),
        Mistake(
            _step_returning_mean,
            "You divide the returned loss by the batch size once more: `reconstruction_loss` is already a mean over the batch.",
        ),
        Mistake(
            _step("loss", "backward", "step", "zero_grad"),
            "zero_grad() comes last: then the first step still adds to whatever gradients are there when your loop begins, left by another loop or "
            "a look at them. Forget first, then compute.",
        ),
        Mistake(
            _step("zero_grad", "loss", "backward", "step", value=lambda x, y: F.mse_loss(x, y, reduction="sum")),
            "You summed the loss over the batch: average over the pictures, as `reconstruction_loss` does, or a larger batch makes larger steps.",
        ),
    ),
)


def _cloud(draw: Draw, batch: int, features: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Points (batch, features) far from the origin, whose standard deviations along their principal axes fall by a third each."""
    centered = draw.normal(batch, features, dtype=torch.float64)
    u, s, v = torch.linalg.svd(centered - centered.mean(0), full_matrices=False)
    spread = 4 * (2 / 3) ** torch.arange(len(s), dtype=torch.float64) * batch**0.5
    spread[s < 1e-9] = 0
    return (3 * draw.normal(features, dtype=torch.float64) + (u * spread) @ v).to(dtype)


def _signs_as(value: Any, expected: Any) -> Any:
    """(mean, components) with each component turned to point as the expected one does."""
    if not isinstance(value, tuple) or len(value) != 2 or value[1].data.dim() != 2:
        return value
    mean, components = value
    signs = torch.sign((components.data.double() * expected[1].data.double()).sum(1, keepdim=True))
    signs[signs == 0] = 1
    return mean, replace(components, data=components.data * signs.to(components.data.dtype))


def _columns_as(value: Any, expected: Any) -> Any:
    """(mean, components) with each *column* of the components turned: for matrices of eigenvectors that are read the wrong way."""
    mean, components = value
    signs = torch.sign((components.data.double() * expected[1].data.double()).sum(0))
    return mean, replace(components, data=components.data * torch.where(signs == 0, 1.0, signs).to(components.data))


def _svd(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.linalg.svd(images - images.mean(0), full_matrices=False)


def _pca_by_eigh(images: Tensor, chosen: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    mean = images.mean(0)
    return mean, chosen(torch.linalg.eigh((images - mean).T @ (images - mean) / len(images))[1])


def _pca_of_standardised(images: Tensor, k: int) -> tuple[Tensor, Tensor]:
    mean = images.mean(0)
    return mean, torch.linalg.svd((images - mean) / images.std(0), full_matrices=False)[2][:k]


def _pca_with_picture_means(images: Tensor, k: int) -> tuple[Tensor, Tensor]:
    mean = images.mean(1, keepdim=True)
    return mean, torch.linalg.svd(images - mean, full_matrices=False)[2][:k]


pca = Check(
    name="pca",
    signature=("images", "num_components"),
    reference=reference.pca,
    holds="the mean, and orthonormal components by falling variance (their signs are free)",
    look='01_autoencoder, exercise 5 "PCA"',
    hint="mean over dimension 0; torch.linalg.svd(images - mean, full_matrices=False) gives U, S and V^T; its first rows are the components.",
    cases=(
        Case("20 points of 5 values, 3 components", lambda draw: (_cloud(draw, 20, 5), 3)),
        Case("11 points of 7 values, 2 components", lambda draw: (_cloud(draw, 11, 7), 2)),
        Case(
            "12 points of 4 values in float64, all 4 components", lambda draw: (_cloud(draw, 12, 4, torch.float64), 4)
        ),
    ),
    hidden_cases=(Case("30 points of 7 values, 1 component", lambda draw: (_cloud(draw, 30, 7), 1)),),
    relative=1e-3,
    absolute=2e-3,
    align=_signs_as,
    mistakes=(
        Mistake(
            lambda x, k: (x.mean(0), torch.linalg.svd(x, full_matrices=False)[2][:k]),
            "You did not centre the data: subtract the mean first, or the first component just points at the mean.",
        ),
        Mistake(
            lambda x, k: (x.mean(), torch.linalg.svd(x - x.mean(), full_matrices=False)[2][:k]),
            "You centred by one number, the mean over everything: each feature has a mean of its own, images.mean(dim=0).",
        ),
        Mistake(
            _pca_with_picture_means,
            "You took the mean over the values of each picture: it goes over the batch (dim=0), one mean for each feature.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[0].T[:k]),
            "You took U (with pictures in rows): it holds one number for each *picture*. The components live in pixel space: they are the rows of V^T.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[0][:k]),
            "You took rows of U, the codes of the first pictures: the components are the rows of V^T, the third result.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[2][:, :k].T),
            "You took columns of V^T: torch.linalg.svd gives V already transposed, so the components are its *rows*.",
            _columns_as,
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[2][:k].T),
            "Rows and columns are swapped: components are (num_components, features), one in each row.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[2]),
            "You return all components: keep the first `num_components` rows.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[2][-k:]),
            "You kept the *last* components, those of least variance: singular values come largest first.",
        ),
        Mistake(
            lambda x, k: _pca_by_eigh(x, lambda v: v[:, :k].T),
            "You kept the components of least variance: torch.linalg.eigh sorts from small to large, so take the last ones, in reverse.",
        ),
        Mistake(
            lambda x, k: _pca_by_eigh(x, lambda v: v[:, -k:].T),
            "The right components, in the wrong order: largest variance first (eigh sorts from small to large).",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[1][:k, None] * _svd(x)[2][:k]),
            "You multiplied the components by the singular values: they have length one.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), _svd(x)[2][:k] / _svd(x)[1][:k, None]),
            "You divided the components by the singular values (whitening): they have length one.",
        ),
        Mistake(
            _pca_of_standardised,
            "You divided each feature by its standard deviation: that is PCA of the correlations. Only the mean is taken off.",
        ),
        Mistake(
            lambda x, k: (x.mean(0, keepdim=True), _svd(x)[2][:k]),
            "The mean has one axis too many: (features,), without keepdim.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), (x - x.mean(0)) @ _svd(x)[2][:k].T),
            "You return the codes of the pictures: the components themselves are asked for, the directions in pixel space.",
        ),
        Mistake(
            lambda x, k: (x.mean(0), torch.pca_lowrank(x, q=k)[2].T),
            "torch.pca_lowrank only approximates, and draws random numbers to do so: torch.linalg.svd is exact.",
        ),
        Mistake(
            lambda x, k: _svd(x)[2][:k],
            "You return the components only: the mean belongs to the answer too, (mean, components).",
        ),
        Mistake(
            lambda x, k: (_svd(x)[2][:k], x.mean(0)),
            "The two results are swapped: first the mean, then the components.",
        ),
        Mistake(
            lambda x, k: ((x - x.mean(0)).mean(0), _svd(x)[2][:k]),
            "You took the mean after centring, where it is 0: keep the mean of the pictures as they came, before it is taken off.",
        ),
        Mistake(
            lambda x, k: _pca_by_eigh(x, lambda v: v.flip(0)[:k]),
            "You took rows of the matrix of eigenvectors: torch.linalg.eigh gives them in its *columns*, so turn the order of the columns, and transpose.",
            _columns_as,
        ),
        Mistake(
            lambda x, k: _pca_by_eigh(x, lambda v: v[:k]),
            "You took the first rows of the matrix of eigenvectors: torch.linalg.eigh gives them in its *columns*, from small variance to large.",
            _columns_as,
        ),
    ),
)


def _spaces(
    draw: Draw, features: int, k: int, dtype: torch.dtype = torch.float32, scale: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Two slanted bases of k-dimensional spaces that lie neither close together nor at right angles."""
    a = draw.normal(features, k, dtype=torch.float64)
    b = a @ draw.normal(k, k, dtype=torch.float64) + 0.8 * draw.normal(features, k, dtype=torch.float64)
    return (scale * a).to(dtype), (scale * b).to(dtype)


def _same_space(draw: Draw, features: int, k: int) -> tuple[Tensor, Tensor]:
    """Two bases of one space; the change of basis is well conditioned."""
    a = torch.linalg.qr(draw.normal(features, k, dtype=torch.float64)).Q
    turn = torch.linalg.qr(draw.normal(k, k, dtype=torch.float64)).Q
    return (2 * a).float(), (a @ turn * (1 + torch.arange(k))).float()


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.qr(a).Q.T @ torch.linalg.qr(b).Q


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.svdvals(_overlap(a, b)).clamp(-1, 1)


principal_angles = Check(
    name="principal_angles",
    signature=("a", "b"),
    reference=reference.principal_angles,
    holds="angles in radians, smallest first, zero for one space in two bases",
    look='01_autoencoder, exercise 6 "Do two subspaces agree?"',
    hint="Q of both (torch.linalg.qr), singular values of Qa.T @ Qb, clamped to at most 1, then acos.",
    not_a_number="Your angles hold NaN: rounding has pushed a cosine a hair above 1, where acos is not defined. Clamp it: cosines.clamp(max=1).",
    cases=(
        Case("two spaces of dimension 3 in 8", lambda draw: _spaces(draw, 8, 3)),
        Case("two spaces of dimension 2 in 5, float64", lambda draw: _spaces(draw, 5, 2, torch.float64, 0.1)),
        Case("one space of dimension 6 in 40, two bases", lambda draw: _same_space(draw, 40, 6)),
        Case("one space of dimension 8 in 30, two bases", lambda draw: _same_space(draw, 30, 8)),
        Case("one space of dimension 12 in 64, two bases", lambda draw: _same_space(draw, 64, 12)),
        Case("a plane against an orthogonal one", lambda draw: (2 * torch.eye(5)[:, :2], torch.eye(5)[:, 2:4])),
    ),
    hidden_cases=(
        Case("two lines in 3", lambda draw: _spaces(draw, 3, 1)),
        Case("one space of dimension 10 in 50, two bases", lambda draw: _same_space(draw, 50, 10)),
    ),
    relative=1e-3,
    absolute=4e-3,
    mistakes=(
        Mistake(
            lambda a, b: torch.acos(torch.linalg.svdvals(_overlap(a, b))),
            "Clamp the cosines: rounding pushes one a hair above 1, where acos is NaN. cosines.clamp(max=1) mends it.",
        ),
        Mistake(_cosines, "You return the cosines of the angles: torch.acos turns them into angles."),
        Mistake(
            lambda a, b: torch.rad2deg(torch.acos(_cosines(a, b))),
            "Your angles are in degrees: radians are asked for, as torch.acos gives them.",
        ),
        Mistake(
            lambda a, b: torch.acos(_cosines(a, b)).flip(0),
            "The right angles in the wrong order: smallest first. The largest cosine belongs to the smallest angle.",
        ),
        Mistake(
            lambda a, b: torch.acos(torch.linalg.svdvals(a.T @ b).clamp(-1, 1)),
            "The bases are not orthonormal: singular values of a^T b are cosines only after a QR decomposition of both.",
        ),
        Mistake(
            lambda a, b: torch.acos(torch.linalg.svdvals(F.normalize(a, dim=0).T @ F.normalize(b, dim=0)).clamp(-1, 1)),
            "Columns of length one are not enough: they must also be orthogonal to each other. QR does both.",
        ),
        Mistake(
            lambda a, b: torch.asin(_cosines(a, b)),
            "You took asin of the cosines: acos is the inverse of the cosine.",
        ),
        Mistake(
            lambda a, b: torch.acos(_overlap(a, b).diagonal().clamp(-1, 1)),
            "You compared the basis vectors pairwise (the diagonal of Qa^T Qb): the bases are arbitrary, only its singular values are not.",
        ),
        Mistake(
            lambda a, b: torch.acos((_cosines(a, b).square()).clamp(-1, 1)),
            "You took squared cosines: eigenvalues of M^T M are the *squares* of the singular values of M.",
        ),
        Mistake(
            lambda a, b: torch.acos(_cosines(a, b)).max(),
            "You return the largest angle only: all k angles are asked for.",
        ),
        Mistake(
            lambda a, b: torch.acos(
                torch.linalg.svdvals(torch.linalg.qr(a.T).Q.T @ torch.linalg.qr(b.T).Q).clamp(-1, 1)
            ),
            "You transposed the bases before QR: the *columns* of a and b span the spaces.",
        ),
        Mistake(
            lambda a, b: torch.acos(torch.linalg.svdvals(torch.linalg.qr(a).R.T @ torch.linalg.qr(b).R).clamp(-1, 1)),
            "You took R, the second result of QR: the orthonormal basis is Q, the first.",
        ),
        Mistake(
            lambda a, b: 1 - _cosines(a, b),
            "You return 1 - cosine: that is a distance, not an angle. Use torch.acos.",
        ),
        Mistake(
            lambda a, b: torch.acos(torch.linalg.svdvals(torch.linalg.qr(a).Q.T @ b).clamp(-1, 1)),
            "Only one of the two bases is orthonormal: do the QR decomposition of b as well.",
        ),
        Mistake(
            lambda a, b: torch.acos(_overlap(a, b).diagonal().clamp(-1, 1)).sort().values,
            "You measured angles between single basis vectors, pair by pair, and sorted them: they depend on which basis was chosen. The singular values "
            "of Qa^T Qb do not.",
        ),
        Mistake(
            lambda a, b: torch.linalg.svdvals(torch.acos(_overlap(a, b).clamp(-1, 1))),
            "You took acos of the entries of Qa^T Qb, and singular values after that: first the singular values, which are the cosines, then acos.",
        ),
        Mistake(
            lambda a, b: torch.linalg.svdvals(torch.acos(_overlap(a, b).clamp(-1, 1))).flip(0),
            "You took acos of the entries of Qa^T Qb, and singular values of the result: first the singular values, which are the cosines, then acos.",
        ),
    ),
)


def _layer(draw: Draw, batch: int, channels: int, out_channels: int, height: int, width: int) -> tuple[Tensor, ...]:
    weight = draw.normal(out_channels, channels, 3, 3) / 3
    return draw.normal(batch, channels, height, width), weight, draw.normal(out_channels)


def _resize_convolution(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(F.interpolate(features, scale_factor=2, mode="nearest"), weight, bias, padding=1)


def _enlarged(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")


def _spread(features: Tensor) -> Tensor:
    """Values two pixels apart with zeros between them."""
    wide = features.new_zeros(*features.shape[:2], 2 * features.shape[2], 2 * features.shape[3])
    wide[..., ::2, ::2] = features
    return wide


resize_convolution = Check(
    name="resize_convolution",
    signature=("features", "weight", "bias"),
    reference=_resize_convolution,
    holds="enlarged twofold, then convolved, with gradients to features, weight and bias",
    look='01_autoencoder, exercise 4 "Resize-convolution"',
    hint='F.interpolate(..., scale_factor=2, mode="nearest"), then F.conv2d(..., padding=1).',
    cases=(
        Case("2 inputs, 3 to 4 channels, 4x5", lambda draw: _layer(draw, 2, 3, 4, 4, 5)),
        Case("1 input, 2 to 2 channels, 3x3", lambda draw: _layer(draw, 1, 2, 2, 3, 3)),
    ),
    hidden_cases=(Case("3 inputs, 1 to 5 channels, 6x2", lambda draw: _layer(draw, 3, 1, 5, 6, 2)),),
    gradients="required",
    differentiable=("features", "weight", "bias"),
    mistakes=(
        Mistake(
            lambda x, w, b: F.conv_transpose2d(x, w.transpose(0, 1), b, stride=2, padding=1, output_padding=1),
            "This is a transposed convolution, the very thing to be replaced: first repeat each value (nearest), then use an ordinary F.conv2d.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(_spread(x), w, b, padding=1),
            "You enlarged with zeros between the values: repeat each value in a 2 by 2 square (nearest neighbour).",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(
                F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), w, b, padding=1
            ),
            "You enlarged bilinearly: nearest neighbour is asked for, which repeats values.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(
                F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), w, b, padding=1
            ),
            "You enlarged bilinearly, with aligned corners: nearest neighbour is asked for, which repeats values.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(_enlarged(x), w, b),
            "The padding is missing: a 3 by 3 kernel takes one pixel off each side. padding=1 gives it back.",
        ),
        Mistake(
            lambda x, w, b: _enlarged(F.conv2d(x, w, b, padding=1)),
            "You convolve before enlarging: the blocks then stay visible, as nothing smooths them. Enlarge first.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(_enlarged(x), w, padding=1),
            "The bias is missing: hand it to F.conv2d.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(x, w, b, padding=1),
            "Nothing is enlarged: double height and width before the convolution.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(x.repeat(1, 1, 2, 2), w, b, padding=1),
            "`repeat` lays copies of the whole picture side by side: each *value* should be repeated (repeat_interleave, or F.interpolate).",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(F.pad(_enlarged(x), (1, 1, 1, 1), mode="replicate"), w, b),
            "You padded with copies of the border: pad with zeros, as padding=1 does.",
        ),
        Mistake(
            lambda x, w, b: F.relu(_resize_convolution(x, w, b)),
            "You put a ReLU behind the convolution: it is not part of this layer.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(_enlarged(x), w.flip(2, 3), b, padding=1),
            "The kernel is flipped: what PyTorch calls convolution does not flip it.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(_enlarged(x), w, b, padding=2),
            "The padding is too wide: a 3 by 3 kernel needs one pixel on each side.",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(_enlarged(x), w, b, padding=1, stride=2),
            "stride=2 makes the picture small again: convolve with stride 1.",
        ),
        Mistake(
            lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
            "F.conv_transpose2d is the transposed convolution that is to be replaced here (and it would want the two channel axes of `weight` swapped): "
            "first repeat each value (nearest), then use an ordinary F.conv2d.",
        ),
        Mistake(
            lambda x, w, b: nn.Conv2d(w.shape[1], w.shape[0], 3, padding=1)(_enlarged(x)),
            "You make a new nn.Conv2d, with random weights of its own: use the `weight` and `bias` that are given, F.conv2d(..., weight, bias, padding=1).",
        ),
        Mistake(
            lambda x, w, b: F.conv2d(x.repeat_interleave(2, 1).repeat_interleave(2, 2), w, b, padding=1),
            "You enlarged along the wrong axes, so that the number of channels no longer fits `weight`: axis 1 holds the channels, height and width are axes 2 and 3.",
        ),
    ),
)

# --- notebook 02_vae -------------------------------------------------------------------------------------------------------


def _code(draw: Draw, batch: int, latents: int) -> tuple[Tensor, Tensor]:
    return draw.normal(batch, latents), draw.uniform(batch, latents, low=-2.0, high=1.5)


def _extreme(draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Means of 0, log-variances from -24 to 9, and noise that is never small."""
    noise = torch.sign(draw.normal(4, 6)) * draw.uniform(4, 6, low=0.5, high=1.5)
    return torch.zeros(4, 6), torch.linspace(-24, 9, 24).view(4, 6), noise


reparameterize = Check(
    name="reparameterize",
    signature=("mean", "log_variance", "noise"),
    reference=vae.reparameterize,
    holds="mean + standard deviation x noise, with gradients to mean and log_variance",
    look='02_vae, exercise 1 "The reparameterisation trick"',
    hint="The standard deviation is the root of the variance, and exp(log_variance / 2) is just that.",
    cases=(
        Case("3 codes of 5 numbers", lambda draw: (*_code(draw, 3, 5), draw.normal(3, 5))),
        Case("1 code of 2 numbers", lambda draw: (*_code(draw, 1, 2), draw.normal(1, 2))),
        Case("variance 1", lambda draw: (draw.normal(4, 3), torch.zeros(4, 3), draw.normal(4, 3))),
        Case(
            "very small and very large variances",
            _extreme,
            "All is right but for very small or very large variances: a clamp, or a small constant that you add, changes these. A log-variance may be any "
            "number, and exp(log_variance / 2) needs no protection.",
        ),
    ),
    hidden_cases=(
        Case("no noise", lambda draw: (*_code(draw, 2, 4), torch.zeros(2, 4))),
        Case("6 codes of 1 number", lambda draw: (*_code(draw, 6, 1), draw.normal(6, 1))),
    ),
    gradients="required",
    differentiable=("mean", "log_variance"),
    not_a_number="Your result holds NaN: a log-variance may be negative, so neither its root nor its logarithm is defined. Use exp(log_variance / 2).",
    mistakes=(
        Mistake(
            lambda m, v, e: m + v.exp() * e,
            "You multiplied the noise by the *variance*: it is spread by the standard deviation, the root of it, exp(log_variance / 2).",
        ),
        Mistake(
            lambda m, v, e: m + v * e,
            "You multiplied the noise by the *log*-variance: turn it into a standard deviation first, exp(log_variance / 2).",
        ),
        Mistake(
            lambda m, v, e: m + v / 2 * e,
            "You halved the log-variance but forgot the exp: that is the log of the standard deviation.",
        ),
        Mistake(
            lambda m, v, e: m + (2 * v).exp() * e,
            "You squared the variance: the standard deviation is exp(log_variance / 2), with a half and not a two.",
        ),
        Mistake(
            lambda m, v, e: m + (-v / 2).exp() * e,
            "A minus sign too many: exp(-log_variance / 2) is one over the standard deviation.",
        ),
        Mistake(
            lambda m, v, e: m + (v / 2).exp(),
            "The noise is missing: without it you always return the point one standard deviation from the mean.",
        ),
        Mistake(
            lambda m, v, e: (v / 2).exp() * e,
            "The mean is missing: mean + standard deviation x noise.",
        ),
        Mistake(lambda m, v, e: m + 0 * v, "You return the mean alone: the draw is mean + standard deviation x noise."),
        Mistake(
            lambda m, v, e: m + 0 * v + e,
            "The noise is not scaled: multiply it by the standard deviation, exp(log_variance / 2).",
        ),
        Mistake(
            lambda m, v, e: m + (v / 2).exp() * torch.randn_like(m),
            "You draw noise of your own and ignore the argument `noise`: then nobody can repeat, test or compare your result.",
        ),
        Mistake(
            lambda m, v, e: torch.normal(m, (v / 2).exp()),
            "torch.normal draws by itself, and no gradient passes through a draw: compute mean + standard deviation x noise.",
        ),
        Mistake(
            lambda m, v, e: m - (v / 2).exp() * e,
            "A minus in place of a plus. The distribution is the same, for noise is symmetric, but the agreed formula is mean + std x noise.",
        ),
        Mistake(
            lambda m, v, e: m + v.sqrt() * e,
            "You took the root of the *log*-variance: take its exp first. The root of a variance is exp(log_variance / 2).",
        ),
        Mistake(
            lambda m, v, e: e + m * (v / 2).exp(),
            "Mean and noise have swapped roles: the noise is scaled, the mean is added.",
        ),
        Mistake(
            lambda m, v, e: (m + e) * (v / 2).exp(),
            "You scaled mean and noise together: only the noise is multiplied by the standard deviation.",
        ),
        Mistake(
            lambda m, v, e: m + F.softplus(v) * e,
            "You used softplus: log_variance is a logarithm, and its inverse is exp.",
        ),
        Mistake(
            lambda m, v, e: m + (v / 2).exp().detach() * e,
            "The values are right, but the standard deviation is cut off from the graph: the encoder could never learn how sure it may be.",
        ),
        Mistake(
            lambda m, v, e: m.detach() + (v / 2).exp() * e,
            "The values are right, but the mean is cut off from the graph: the encoder could never learn where to put a picture.",
        ),
        Mistake(
            torch.no_grad()(vae.reparameterize),
            "The values are right, but no gradient passes (no_grad, detach or .data): letting it pass is the whole point of the trick.",
        ),
        Mistake(
            lambda m, v, e: m + v.exp() / 2 * e,
            "You halved after the exp: that is half the variance. Halve *inside*, exp(log_variance / 2), which is its root.",
        ),
        Mistake(
            lambda m, v, e: (e - m) / (v / 2).exp(),
            "You took off the mean and divided by the standard deviation: that standardises a draw. Here the reverse is asked, from standard noise to a "
            "draw: mean + standard deviation x noise.",
        ),
        Mistake(
            lambda m, v, e: m + (v.clamp(-10, 2) / 2).exp() * e,
            "You clamp the log-variance to [-10, 2]: beyond these it is then wrong, and no gradient flows. A log-variance may be any number.",
        ),
    ),
)


def _kl_terms(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


kl_divergence = Check(
    name="kl_divergence",
    signature=("mean", "log_variance"),
    reference=vae.kl_divergence,
    holds="one number of nats for each code, zero for the prior, with gradients",
    look='02_vae, exercise 2 "The price of the code"',
    hint="Write the four terms of the equation one by one; sigma squared is exp(log_variance), and log sigma squared is log_variance itself.",
    cases=(
        Case("3 codes of 5 numbers", lambda draw: _code(draw, 3, 5)),
        Case("1 code of 2 numbers", lambda draw: _code(draw, 1, 2)),
        Case("the prior itself: mean 0, variance 1", lambda draw: (torch.zeros(2, 3), torch.zeros(2, 3))),
        Case("4 codes of 4 numbers, far from the prior", lambda draw: (3 * draw.normal(4, 4), 2 * draw.normal(4, 4))),
    ),
    hidden_cases=(
        Case("6 codes of 1 number", lambda draw: _code(draw, 6, 1)),
        Case("variance 1", lambda draw: (draw.normal(3, 4), torch.zeros(3, 4))),
        Case("mean 0", lambda draw: (torch.zeros(3, 4), draw.normal(3, 4))),
    ),
    gradients="required",
    differentiable=("mean", "log_variance"),
    not_a_number="Your result holds NaN or infinity: a log-variance may be negative or zero, so take its exp, never its root or logarithm.",
    mistakes=(
        Mistake(
            lambda m, v: -_kl_terms(m, v).sum(1),
            "The sign is turned: a KL divergence is never negative. (The paper writes *minus* KL in its appendix.)",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).mean(1),
            "You averaged over the latent dimensions: the KL is a sum over them; a mean comes only over the batch, and later.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).sum(1).mean(),
            "You averaged over the batch as well: one number for each picture is asked for; the mean comes later, in the loss.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).sum(),
            "You summed over the batch as well: sum over the latent dimensions only, dim=1.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).mean(),
            "You averaged over everything: sum over the latent dimensions, and keep one number for each picture.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).sum(0),
            "You summed over the batch (dim=0): sum over the latent dimensions, dim=1, and keep the batch.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v),
            "You return one number for each latent: sum over the latent dimensions.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).sum(1, keepdim=True),
            "One axis too many: the result is (batch,), so sum without keepdim.",
        ),
        Mistake(
            lambda m, v: 2 * _kl_terms(m, v).sum(1),
            "The factor 1/2 in front of the sum is missing.",
        ),
        Mistake(
            lambda m, v: (_kl_terms(m, v) + 0.5).sum(1),
            "The -1 is missing: without it the prior itself would have a price. Check: mean 0 and variance 1 must give 0.",
        ),
        Mistake(
            lambda m, v: (_kl_terms(m, v)).sum(1) + 0.5 * m.shape[1] - 0.5,
            "The -1 stands outside of the sum: it counts once for each latent dimension.",
        ),
        Mistake(
            lambda m, v: (_kl_terms(m, v) + 1).sum(1),
            "+1 in place of -1. Check: mean 0 and variance 1 must give 0.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + (v / 2).exp() - v - 1).sum(1),
            "You put in the standard deviation for the variance: sigma squared is exp(log_variance), without a half.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + (2 * v).exp() - 2 * v - 1).sum(1),
            "You took exp(log_variance) for the standard deviation, or log_variance for the log of the standard deviation: it is the *variance*. The "
            "standard deviation, which torch.distributions.Normal takes, is exp(log_variance / 2).",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + v.exp().square() - v - 1).sum(1),
            "You squared the variance: exp(log_variance) already is sigma squared.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + v - v.log() - 1).sum(1),
            "You read log_variance as the variance: it is its logarithm, so take exp where the equation has sigma squared.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + v.square() - v - 1).sum(1),
            "You squared log_variance: sigma squared is exp(log_variance).",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + v.exp() + v - 1).sum(1),
            "The log-variance has the wrong sign: it is subtracted.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + v.exp() - 1).sum(1),
            "The term - log sigma squared is missing: without it nothing keeps the variance from shrinking to zero.",
        ),
        Mistake(
            lambda m, v: 0.5 * (v.exp() - v - 1).sum(1) + 0 * m.sum(1),
            "The term mean squared is missing: without it codes may run away from the origin for free.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m + v.exp() - v - 1).sum(1),
            "The mean is not squared.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.abs() + v.exp() - v - 1).sum(1),
            "You took the absolute value of the mean: its square is asked for.",
        ),
        Mistake(
            lambda m, v: 0.5 * ((m.square() + 1) * (-v).exp() + v - 1).sum(1),
            "This is the KL the other way round, from the prior to the code: the KL is not symmetric.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v).sum(1) / math.log(2),
            "Your result is in bits: nats are asked for, with the natural logarithm.",
        ),
        Mistake(
            lambda m, v: (0.5 * m.square() + v.exp() - v - 1).sum(1),
            "The factor 1/2 stands on the first term only: it belongs in front of the whole sum.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m, v.detach()).sum(1),
            "The values are right, but the log-variance is cut off from the graph: the encoder could never learn it.",
        ),
        Mistake(
            lambda m, v: _kl_terms(m.detach(), v).sum(1),
            "The values are right, but the mean is cut off from the graph: the encoder could never learn it.",
        ),
        Mistake(
            torch.no_grad()(vae.kl_divergence),
            "The values are right, but the result is cut off from the graph (no_grad, detach or .data): nothing can be learned from it.",
        ),
        Mistake(
            lambda m, v: 0.5 * (m.square() + v.exp() - 0.5 * v - 1).sum(1),
            "You subtracted log sigma: the equation has log sigma *squared*, which is log_variance itself, without a half of its own.",
        ),
        Mistake(
            lambda m, v: 0.5 * m.square() + (0.5 * (v.exp() - v - 1)).sum(1),
            "The mean squared stands outside of the sum: put all four terms into one bracket, and sum that over the latent dimensions.",
        ),
        Mistake(
            lambda m, v: 0.5 * m.square() + (v.exp() - v - 1).sum(1),
            "The mean squared (with the half) stands outside of the sum: put all four terms into one bracket, sum it over the latent dimensions, and halve that.",
        ),
    ),
)


def _elbo(logits: Tensor, images: Tensor, mean: Tensor, log_variance: Tensor, beta: float = 1.0) -> Tensor:
    return vae.bernoulli_log_likelihood(logits, images) - beta * vae.kl_divergence(mean, log_variance)


def _bound_cases(draw: Draw, shape: tuple[int, ...], latents: int, *beta: float) -> tuple[Any, ...]:
    return 2 * draw.normal(*shape), draw.uniform(*shape, low=-1), *_code(draw, shape[0], latents), *beta


def _sure(draw: Draw) -> tuple[Tensor, ...]:
    """A decoder that is sure of itself, and wrong in a few pixels."""
    ink = torch.sign(draw.normal(2, 1, 4, 4))
    wrong = torch.ones(2, 1, 4, 4)
    wrong[:, 0, 1, 1:3] = -1
    return 130 * ink * wrong, ink, *_code(draw, 2, 3)


def _elbo_of(log_likelihood: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The bound with another reconstruction term."""
    return lambda l, x, m, v, beta=1.0: log_likelihood(l, x) - beta * vae.kl_divergence(m, v)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").flatten(1)


def _by_hand(logits: Tensor, images: Tensor) -> Tensor:
    p, t = torch.sigmoid(logits), (images + 1) / 2
    return (t * p.log() + (1 - t) * (1 - p).log()).flatten(1).sum(1)


elbo = Check(
    name="elbo",
    signature=("logits", "images", "mean", "log_variance", "beta"),
    reference=_elbo,
    holds="one bound for each picture, also at other betas and for a very sure decoder, with gradients",
    look='02_vae, exercise 3 "The ELBO"',
    hint='targets = (images + 1) / 2; log-likelihood = minus F.binary_cross_entropy_with_logits(..., reduction="none"), summed over a picture; '
    "minus beta times your KL divergence.",
    not_a_number="Your result holds NaN or infinity: where the decoder is very sure, sigmoid rounds to 0 or 1, and its logarithm to minus infinity. "
    "F.binary_cross_entropy_with_logits works with the logits themselves and does not overflow.",
    cases=(
        Case("3 pictures of 4x4, beta left out", lambda draw: _bound_cases(draw, (3, 1, 4, 4), 2)),
        Case("2 pictures of 3 channels, beta 4", lambda draw: _bound_cases(draw, (2, 3, 3, 5), 4, 4.0)),
        Case("1 picture, beta 0.5", lambda draw: _bound_cases(draw, (1, 1, 5, 4), 3, 0.5)),
        Case(
            "a decoder that is very sure, and wrong in two pixels",
            _sure,
            "All is right but where the decoder is very sure, and wrong. There the sigmoid rounds to 0 or 1, and an epsilon or a clamp in front of the logarithm "
            "caps what the mistake costs. Work with the logits: F.binary_cross_entropy_with_logits is exact.",
        ),
    ),
    hidden_cases=(
        Case("4 pictures, beta 0", lambda draw: _bound_cases(draw, (4, 1, 3, 3), 5, 0.0)),
        Case("5 pictures of 2 channels, beta 1", lambda draw: _bound_cases(draw, (5, 2, 4, 2), 1, 1.0)),
    ),
    gradients="required",
    differentiable=("logits", "mean", "log_variance"),
    mistakes=(
        Mistake(
            lambda *args: -_elbo(*args),
            "This is minus the ELBO, the loss: the bound itself is asked for, to be made large.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, x).sum(1)),
            "You took the pictures as they are, in [-1, 1], for shares of ink: targets must be in [0, 1], (images + 1) / 2.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, (x + 1) / 2).mean(1)),
            "You averaged the log-likelihood over the pixels: it is a sum over them, or the KL weighs far too much.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, (x + 1) / 2).mean()),
            'You averaged the cross-entropy over pixels and batch (its default): take reduction="none" and sum over the values of each picture.',
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, (x + 1) / 2).sum()),
            "You summed the cross-entropy over the batch as well: one number for each picture, so flatten(1) and sum over dim=1.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: beta * vae.bernoulli_log_likelihood(l, x) - vae.kl_divergence(m, v),
            "beta stands on the wrong term: it weighs the KL divergence, not the reconstruction.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: beta * (vae.bernoulli_log_likelihood(l, x) - vae.kl_divergence(m, v)),
            "beta multiplies the whole bound: it weighs the KL divergence only.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) + beta * vae.kl_divergence(m, v),
            "You added the KL divergence: it is a price, so it is subtracted from the log-likelihood.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) - vae.kl_divergence(m, v),
            "beta is not used: it weighs the KL divergence.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) - vae.kl_divergence(m, v) / (beta or 1e-9),
            "You divided the KL divergence by beta: multiply.",
        ),
        Mistake(
            lambda *args: _elbo(*args).mean(),
            "You averaged over the batch: one bound for each picture is asked for; the mean comes in the loss.",
        ),
        Mistake(
            lambda *args: _elbo(*args).sum(),
            "You summed over the batch: one bound for each picture is asked for.",
        ),
        Mistake(
            _elbo_of(lambda l, x: _cross_entropy(l, (x + 1) / 2).sum(1)),
            "The reconstruction term has the wrong sign: binary cross-entropy is *minus* the log-likelihood.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(torch.sigmoid(l), (x + 1) / 2).sum(1)),
            "The sigmoid is applied twice: F.binary_cross_entropy_with_logits does it by itself, and takes the logits as they are.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -F.binary_cross_entropy(l, (x + 1) / 2, reduction="none").flatten(1).sum(1)),
            "F.binary_cross_entropy wants probabilities, and you have logits: the variant ..._with_logits takes these.",
        ),
        Mistake(
            _elbo_of(
                lambda l, x: -F.binary_cross_entropy(torch.sigmoid(l), (x + 1) / 2, reduction="none").flatten(1).sum(1)
            ),
            "Where the decoder is very sure, sigmoid rounds to 0 or 1 and the logarithm is cut off at -100: F.binary_cross_entropy_with_logits is exact there.",
        ),
        Mistake(
            _elbo_of(_by_hand),
            "Where the decoder is very sure, sigmoid rounds to 0 or 1 and its logarithm is infinite: F.binary_cross_entropy_with_logits does not overflow.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -(torch.sigmoid(l) - (x + 1) / 2).square().flatten(1).sum(1)),
            "You took the squared error: a pixel is a coin here, so its log-likelihood is minus the binary cross-entropy.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -(2 * torch.sigmoid(l) - 1 - x).square().flatten(1).sum(1)),
            "You took the squared error between pictures: a pixel is a coin here, so its log-likelihood is minus the binary cross-entropy.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, (x > 0).to(x.dtype)).sum(1)),
            "You rounded the pictures to black and white: grey values are shares of ink, (images + 1) / 2.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, x.clamp(0, 1)).sum(1)),
            "You clamped the pictures to [0, 1]: that turns all below middle grey into paper. Rescale them, (images + 1) / 2.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy((l + 1) / 2, (x + 1) / 2).sum(1)),
            "You rescaled the logits too: only pictures are in [-1, 1], a logit may be any number.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy((x + 1) / 2, torch.sigmoid(l)).sum(1)),
            "Arguments swapped: in F.binary_cross_entropy_with_logits the logits come first, then the targets.",
        ),
        Mistake(
            _elbo_of(lambda l, x: ((x + 1) / 2 * F.logsigmoid(l)).flatten(1).sum(1)),
            "Half of the likelihood is missing: paper counts too, (1 - t) log(1 - s).",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) - beta * _kl_terms(m, v).mean(1),
            "In the KL you averaged over the latent dimensions: it is a sum over them.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) - beta * vae.kl_divergence(m, v).mean(),
            "You averaged the KL over the batch before subtracting it: each picture has a price of its own.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) + 0 * m.sum(1) + 0 * v.sum(1),
            "The KL divergence is missing: subtract beta times it.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: (
                vae.bernoulli_log_likelihood(l, x) - beta * vae.kl_divergence(m.detach(), v.detach())
            ),
            "The values are right, but the KL divergence is cut off from the graph: its price would never be paid in training.",
        ),
        Mistake(
            torch.no_grad()(_elbo),
            "The values are right, but the result is cut off from the graph (no_grad, detach or .data): nothing can be learned from it.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, x + 1 / 2).sum(1)),
            "Brackets are missing: images + 1 / 2 adds a half. From [-1, 1] to [0, 1] it is (images + 1) / 2.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy((x + 1) / 2, l).sum(1)),
            "The arguments are swapped: F.binary_cross_entropy_with_logits takes the logits first, then the targets.",
        ),
        Mistake(
            _elbo_of(lambda l, x: ((x + 1) / 2 * (F.logsigmoid(l) + F.logsigmoid(-l))).flatten(1).sum(1)),
            "The second term has the wrong factor: ink counts with t, paper with 1 - t.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, (1 - x) / 2).sum(1)),
            "Ink and paper are swapped: (1 - images) / 2 is the share of paper. Ink is +1 in a picture, so its share is (images + 1) / 2.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -_cross_entropy(l, (x + 1) / 2).sum() / len(l)),
            "You averaged the cross-entropy over the batch: one number for each picture is asked for, so flatten(1) and sum over dim=1.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: (
                vae.bernoulli_log_likelihood(l, x) - beta * vae.kl_divergence(m, (v / 2).exp())
            ),
            "You gave the standard deviation to kl_divergence: it takes the log-variance, as the encoder gives it.",
        ),
        Mistake(
            lambda l, x, m, v, beta=1.0: vae.bernoulli_log_likelihood(l, x) - beta * vae.kl_divergence(m, v.exp()),
            "You gave the variance to kl_divergence: it takes the log-variance, as the encoder gives it.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -(l - x).square().flatten(1).sum(1)),
            "You took the squared error between logits and pictures: a pixel is a coin here, so its log-likelihood is minus the binary cross-entropy.",
        ),
        Mistake(
            _elbo_of(lambda l, x: -(l - (x + 1) / 2).square().flatten(1).sum(1)),
            "You took the squared error between logits and ink: a pixel is a coin here, so its log-likelihood is minus the binary cross-entropy.",
        ),
    ),
)


def _decoder(draw: Draw, latents: int, *shape: int) -> Network:
    size = math.prod(shape)
    return Network((1.5 * draw.normal(size, latents),), (draw.normal(size),), shape)


def _sample(decode_logits: Callable[[Tensor], Tensor], noise: Tensor) -> Tensor:
    with torch.no_grad():
        return 2 * torch.sigmoid(decode_logits(noise)) - 1


def _sample_of(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A sampler that turns logits into pictures by `function`."""
    return torch.no_grad()(lambda decode_logits, noise: function(decode_logits(noise)))


sample = Check(
    name="sample",
    signature=("decode_logits", "noise"),
    reference=_sample,
    holds="pictures in [-1, 1] from the given noise, without a gradient",
    look='02_vae, exercise 4 "Sampling"',
    hint="decode_logits(noise), sigmoid, then from [0, 1] to [-1, 1] by 2 p - 1, all of it under torch.no_grad().",
    cases=(
        Case("3 codes of 2 numbers, pictures of 4x4", lambda draw: (_decoder(draw, 2, 1, 4, 4), draw.normal(3, 2))),
        Case(
            "1 code of 5 numbers, pictures of 3 channels", lambda draw: (_decoder(draw, 5, 3, 2, 3), draw.normal(1, 5))
        ),
    ),
    hidden_cases=(Case("6 codes of 3 numbers", lambda draw: (_decoder(draw, 3, 1, 3, 3), draw.normal(6, 3))),),
    gradients="forbidden",
    mistakes=(
        Mistake(
            _sample_of(lambda l: l),
            "You return the logits: a sigmoid makes probabilities of them, and 2 p - 1 pictures.",
        ),
        Mistake(
            _sample_of(torch.sigmoid),
            "You return probabilities in [0, 1]: pictures are in [-1, 1], so rescale them, 2 p - 1.",
        ),
        Mistake(
            _sample_of(lambda l: 2 * l - 1), "The sigmoid is missing: the decoder gives logits, not probabilities."
        ),
        Mistake(
            _sample_of(lambda l: (2 * l - 1).clamp(-1, 1)),
            "You clamped the logits in place of a sigmoid: a logit may be any number, the sigmoid turns it into a probability.",
        ),
        Mistake(
            _sample_of(lambda l: l.clamp(-1, 1)),
            "You clamped the logits in place of a sigmoid: a logit may be any number, the sigmoid turns it into a probability.",
        ),
        Mistake(
            _sample_of(torch.tanh),
            "tanh(a) is nearly it, but not quite: 2 sigmoid(a) - 1 equals tanh(a / 2).",
        ),
        Mistake(
            _sample_of(lambda l: (torch.sigmoid(l) + 1) / 2),
            "You rescaled the wrong way: (p + 1) / 2 leads from [-1, 1] to [0, 1], and you need 2 p - 1.",
        ),
        Mistake(
            _sample_of(lambda l: 2 * torch.sigmoid(l)),
            "The -1 is missing: 2 p lies in [0, 2], pictures in [-1, 1].",
        ),
        Mistake(
            _sample_of(lambda l: torch.sigmoid(2 * l - 1)),
            "First the sigmoid, then 2 p - 1: you rescaled before the sigmoid.",
        ),
        Mistake(
            _sample_of(lambda l: 2 * torch.bernoulli(torch.sigmoid(l)) - 1),
            "You toss the coins: here the probability itself is shown as grey, so no further draw is needed.",
        ),
        Mistake(
            _sample_of(lambda l: 2 * (l > 0).to(l.dtype) - 1),
            "You rounded to black and white: show the probability itself as grey, 2 p - 1.",
        ),
        Mistake(
            torch.no_grad()(lambda decode, noise: 2 * torch.sigmoid(decode(torch.randn_like(noise))) - 1),
            "You draw codes of your own and ignore the argument `noise`: it is the draw from the prior.",
        ),
        Mistake(
            torch.no_grad()(lambda decode, noise: 2 * torch.sigmoid(decode(torch.sigmoid(noise))) - 1),
            "You put the noise through a sigmoid: it is the code as it stands. The sigmoid belongs behind the decoder.",
        ),
        Mistake(
            lambda decode, noise: 2 * torch.sigmoid(decode(noise)) - 1,
            "The pictures are right, but they carry the graph that made them: work under torch.no_grad().",
        ),
        Mistake(
            _sample_of(lambda l: 2 * torch.softmax(l.flatten(1), 1).view_as(l) - 1),
            "softmax makes the pixels of a picture compete with each other: each is a coin of its own, so take the sigmoid.",
        ),
    ),
)


def _one_hot(labels: Tensor, num_classes: int) -> Tensor:
    return F.one_hot(labels, num_classes).float()


def _labelled(draw: Draw, batch: int, features: int, num_classes: int, highest: int) -> tuple[Tensor, Tensor, int]:
    return draw.normal(batch, features), draw.integers(highest, batch), num_classes


def _all_labels_in_each_row(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    label = features.new_zeros(len(features), num_classes)
    label[:, labels] = 1
    return torch.cat([features, label], 1)


append_label = Check(
    name="append_label",
    signature=("features", "labels", "num_classes"),
    reference=vae.append_label,
    holds="features first, then the one-hot label of full length, with gradient",
    look='02_vae, exercise 5 "Conditional VAE"',
    hint="F.one_hot(labels, num_classes) has the right length; torch.cat([...], dim=1) puts it behind the features.",
    cases=(
        Case("4 codes of 3 numbers, 10 classes", lambda draw: _labelled(draw, 4, 3, 10, 8)),
        Case("5 codes of 5 numbers, 5 classes", lambda draw: (draw.normal(5, 5), torch.tensor([3, 0, 1, 3, 2]), 5)),
        Case("1 code of 2 numbers, label 0 of 3", lambda draw: (draw.normal(1, 2), torch.tensor([0]), 3)),
    ),
    hidden_cases=(
        Case(
            "6 codes of 4 numbers, the last of 7 classes among them",
            lambda draw: (draw.normal(6, 4), torch.tensor([6, 0, 1, 6, 5, 2]), 7),
        ),
        Case("3 codes of 2 numbers, 62 classes", lambda draw: _labelled(draw, 3, 2, 62, 60)),
    ),
    gradients="required",
    differentiable=("features",),
    mistakes=(
        Mistake(
            lambda x, y, n: torch.cat([x, y[:, None].to(x.dtype)], 1),
            "You appended the label as one number: then 8 is twice a 4. Append a one-hot vector of length num_classes.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, y[:, None].to(x.dtype) / n], 1),
            "You appended the label as one scaled number: labels have no order. Append a one-hot vector of length num_classes.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([_one_hot(y, n), x], 1),
            "The label comes first: features first, then the label.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, F.one_hot(y).float()], 1),
            "The one-hot vector is as long as the largest label of *this batch*: tell F.one_hot the number of classes, or the length changes with each batch.",
        ),
        Mistake(
            lambda x, y, n: x + _one_hot(y, n),
            "You added the label to the features: append it behind them, torch.cat.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot(y, n)], 0),
            "You appended below (dim=0) what belongs behind (dim=1): each row is one picture.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, y], 1),
            "The labels have one axis only, and they are numbers: make a one-hot vector of each first, F.one_hot(labels, num_classes).",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot((y - 1) % n, n)], 1),
            "The one stands one place too early: label 0 belongs to the first place.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot((y + 1) % n, n)], 1),
            "The one stands one place too late: label 0 belongs to the first place.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot(y, n + 1)], 1),
            "The one-hot vector is one place too long: labels run from 0 to num_classes - 1.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, y[:, None].expand(-1, n).to(x.dtype)], 1),
            "You repeat the label num_classes times: a one-hot vector is zero but for a one at the label's place.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, 2 * _one_hot(y, n) - 1], 1),
            "Your label vector is -1 where it should be 0: only pictures are scaled to [-1, 1].",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, 1 - _one_hot(y, n)], 1),
            "Zeros and ones are swapped: all zeros but for a one at the label's place.",
        ),
        Mistake(lambda x, y, n: _one_hot(y, n) + 0 * x.sum(), "The features are missing: put the label behind them."),
        Mistake(
            lambda x, y, n: torch.cat([x, torch.ones(len(x), n)], 1),
            "You appended ones in every place: a one stands at the label's place only.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x.detach(), _one_hot(y, n)], 1),
            "The values are right, but the features are cut off from the graph: nothing in front of this layer could learn.",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, _one_hot(y, n)], 1).long(),
            "The result has become integers, and the features are rounded: turn the label to the dtype of the features, not the other way.",
        ),
        Mistake(
            _all_labels_in_each_row,
            "You set the places of *all* labels in every row: z[:, labels] takes each row with each label. Row n gets its own label only, z[arange(n), labels].",
        ),
        Mistake(
            lambda x, y, n: torch.cat([x, F.one_hot(y - 1, n).to(x.dtype)], 1),
            "You took 1 off the labels, and label 0 became -1: they start at 0 already, so give them to F.one_hot as they are.",
        ),
    ),
)


def _weights(draw: Draw, samples: int, batch: int, around: float = -3.0) -> tuple[Tensor, Tensor]:
    return around + 2 * draw.normal(samples, batch), 1.5 * draw.normal(samples, batch)


def _importance_weighted_bound(log_joint: Tensor, log_posterior: Tensor) -> Tensor:
    return torch.logsumexp(log_joint - log_posterior, dim=0) - math.log(log_joint.shape[0])


def _far_apart(draw: Draw) -> tuple[Tensor, Tensor]:
    """3 samples of 4 pictures; pictures lie hundreds of nats apart, and so do the draws of each; some are below -1000."""
    pictures = torch.tensor([150.0, -90.0, -800.0, -1600.0])
    draws = torch.tensor([0.0, -230.0, -410.0])[draw.uniform(4, 3).argsort(dim=1)]
    log_joint, log_posterior = _weights(draw, 3, 4)
    return log_joint + pictures + draws.T, log_posterior


def _shifted(shift: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The bound by hand: `shift` of the log weights is taken off before the exp, and added back after the log."""

    def bound(log_joint: Tensor, log_posterior: Tensor) -> Tensor:
        log_weights = log_joint - log_posterior
        return shift(log_weights) + (log_weights - shift(log_weights)).exp().mean(0).log()

    return bound


importance_weighted_bound = Check(
    name="importance_weighted_bound",
    signature=("log_joint", "log_posterior"),
    reference=_importance_weighted_bound,
    holds="the log of the mean weight, for weights of any size, with gradients",
    look='02_vae, exercise 6 "A tighter bound"',
    hint="log weights = log_joint - log_posterior; torch.logsumexp over the samples (dim=0); minus the log of their number.",
    not_a_number="Your result holds NaN or infinity: exp of a log weight of thousands of nats overflows, or rounds to 0. "
    "torch.logsumexp adds up in log space.",
    cases=(
        Case("5 samples of 3 pictures", lambda draw: _weights(draw, 5, 3)),
        Case("3 samples of 4 pictures, hundreds of nats", lambda draw: _weights(draw, 3, 4, -700.0)),
        Case("4 samples of 4 pictures", lambda draw: _weights(draw, 4, 4)),
        Case(
            "3 samples of 4 pictures, both hundreds of nats apart",
            _far_apart,
            "All is right but where pictures or draws lie hundreds of nats apart: exp rounds to 0 there, or overflows. What is taken off before the exp, and "
            "added back after the log, has to be each picture's own largest log weight; torch.logsumexp(..., dim=0) does so by itself.",
        ),
        Case("1 sample: the ELBO itself", lambda draw: _weights(draw, 1, 2)),
    ),
    hidden_cases=(
        Case("50 samples of 1 picture", lambda draw: _weights(draw, 50, 1)),
        Case("2 samples of 6 pictures, large densities", lambda draw: _weights(draw, 2, 6, 400.0)),
    ),
    gradients="required",
    differentiable=("log_joint", "log_posterior"),
    mistakes=(
        Mistake(
            lambda j, q: (j - q).mean(0),
            "You averaged the *logs*: that is the plain ELBO. The bound is tighter because the mean comes first, then the log.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0),
            "This is the log of the *sum* of the weights: for the mean, subtract the log of the number of samples.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 1) - math.log(j.shape[1]),
            "You went over the batch (dim=1): the mean is over the samples, dim=0, and the batch stays.",
        ),
        Mistake(
            lambda j, q: (j - q).exp().mean(0).log(),
            "exp of hundreds of nats rounds to 0 or overflows: add up in log space with torch.logsumexp.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(q - j, 0) - math.log(len(j)),
            "The weight is upside down: p over q, so log_joint - log_posterior.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j + q, 0) - math.log(len(j)),
            "You added the two logs, which multiplies p and q: the weight is p / q, so subtract.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j / q, 0) - math.log(len(j)),
            "You divided the logs: the log of p / q is a difference, log_joint - log_posterior.",
        ),
        Mistake(
            lambda j, q: (torch.logsumexp(j - q, 0) - math.log(len(j))).mean(),
            "You averaged over the batch: one bound for each picture is asked for.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) - math.log(j.shape[1]),
            "You subtracted the log of the batch size: it is the number of *samples*, the first axis.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) / len(j),
            "You divided the log by the number of samples: inside of the log that is a subtraction, - log K.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) - len(j),
            "You subtracted K: it is log K that has to come off.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) + math.log(len(j)),
            "log K has the wrong sign: a mean is smaller than a sum, so subtract it.",
        ),
        Mistake(
            lambda j, q: (j - q).amax(0),
            "You took the largest weight: the log of the *mean* weight is asked for.",
        ),
        Mistake(
            lambda j, q: (j - q).sum(0),
            "You summed the logs, which multiplies the weights: add up the weights themselves, with torch.logsumexp.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j, 0) - torch.logsumexp(q, 0),
            "You averaged p and q apart: each draw has its own weight p / q, and the mean goes over these.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j + 0 * q, 0) - math.log(len(j)),
            "log_posterior is not used: the weight of a draw is p / q.",
        ),
        Mistake(
            lambda j, q: math.log(len(j)) - torch.logsumexp(j - q, 0),
            "The sign is turned: this is minus the bound.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q.detach(), 0) - math.log(len(j)),
            "The values are right, but log_posterior is cut off from the graph: the encoder could not learn from it.",
        ),
        Mistake(
            torch.no_grad()(_importance_weighted_bound),
            "The values are right, but the result is cut off from the graph (no_grad, detach or .data): nothing can be learned from it.",
        ),
        Mistake(
            _shifted(lambda w: w.max()),
            "You take off one maximum for all pictures: where another picture lies hundreds of nats below, its weights still round to 0. Each "
            "picture needs its own, log_weights.amax(dim=0); torch.logsumexp does that by itself.",
        ),
        Mistake(
            _shifted(lambda w: w.mean()),
            "You take off the mean over everything: a log weight hundreds of nats above it still overflows, one below rounds to 0. Take off each "
            "picture's *largest* log weight, or use torch.logsumexp.",
        ),
        Mistake(
            _shifted(lambda w: w.mean(0)),
            "You take off each picture's mean: a draw hundreds of nats above it still overflows. Take off its *largest* log weight, or use torch.logsumexp.",
        ),
        Mistake(
            lambda j, q: (j - q).double().exp().mean(0).log().to(j.dtype),
            "float64 only moves the limit: below -745 nats exp rounds to 0 there as well, and above 709 it overflows. Add up in log space with torch.logsumexp.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) - (j - q).amax(0) - math.log(len(j)),
            "You took off the largest log weight and did not add it back: what is divided out before the mean has to come back after the log.",
        ),
        Mistake(
            lambda j, q: (j - q).exp().mean(0),
            "The log is missing: this is the mean of the weights, and the bound is the log of it (added up with torch.logsumexp).",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) - math.log2(len(j)),
            "You subtracted log2 of the number of samples: nats are asked for, so the natural logarithm, math.log.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) - math.log(max(len(j) - 1, 1)),
            "You divided by one sample less, as for a variance: the mean of S weights is their sum divided by S.",
        ),
        Mistake(
            lambda j, q: torch.logsumexp(j - q, 0) - math.log1p(len(j)),
            "You divided by one sample too many: math.log1p(S) is log(1 + S), and the mean needs log S.",
        ),
    ),
)


# --- notebook 03_vqvae -----------------------------------------------------------------------------------------------------


def _apart(draw: Draw, n: int, num_codes: int, code_dim: int, spread: float = 0.5) -> tuple[Tensor, Tensor]:
    """Vectors (n, code_dim) and a codebook (num_codes, code_dim) without near ties: the second-nearest code is clearly farther.

    The lengths of the codes span 2 * spread powers of ten.
    """
    lengths = torch.logspace(-spread, spread, num_codes, dtype=torch.float64)
    codebook = draw.normal(num_codes, code_dim, dtype=torch.float64) * lengths[:, None]
    many = 40 * n
    around = codebook[draw.integers(num_codes, many)] * (1 + 0.2 * draw.normal(many, 1, dtype=torch.float64))
    vectors = around + 0.5 * draw.normal(many, code_dim, dtype=torch.float64)
    nearest = torch.cdist(vectors, codebook).topk(2, largest=False).values
    vectors = vectors[nearest[:, 1] - nearest[:, 0] > 0.1][:n]
    return vectors.float(), codebook.float()


def _one_direction(draw: Draw) -> tuple[Tensor, Tensor]:
    """Codes along two lines, and vectors whose nearest code is neither the longest nor the one in the most similar direction."""
    codebook = torch.tensor([[8.0, 4.0], [1.0, 0.0], [0.0, 3.0], [-0.5, -0.25], [0.3, 0.0], [0.0, -1.0]])
    vectors = torch.tensor([[1.2, 0.6], [5.0, 1.0], [0.2, 0.1], [0.3, 1.9], [-3.0, -1.4], [0.1, -0.6], [2.5, 1.3]])
    return vectors + 0.02 * draw.normal(7, 2), codebook


def _corners(draw: Draw) -> tuple[Tensor, Tensor]:
    """Codes that the sum of absolute differences ranks otherwise than the distance."""
    codebook = torch.tensor([[0.9, 0.9, 0.9], [1.8, 0.0, 0.0], [-2.0, -0.2, 0.0], [-1.1, -1.1, -1.1]])
    return 0.05 * draw.normal(4, 3) + torch.tensor(
        [[0.0, 0, 0], [-0.1, 0.1, 0], [0.2, 0, 0.1], [-0.3, -0.3, 0]]
    ), codebook


def _pairs(vectors: Tensor, codebook: Tensor) -> Tensor:
    """All differences, (n, num_codes, code_dim)."""
    return vectors[:, None] - codebook


nearest_codes = Check(
    name="nearest_codes",
    signature=("vectors", "codebook"),
    reference=vqvae.nearest_codes,
    holds="the index of the nearest code of each vector, whatever the lengths of the codes",
    look='03_vqvae, exercise 1 "The nearest code"',
    hint="vectors @ codebook.T is a table of all inner products, (n, num_codes). Make ||e||^2 - 2 z.e of it, which ranks the codes as the distance does; "
    "then argmin along each row, dim=1.",
    cases=(
        Case("6 vectors of 3 numbers, 10 codes", lambda draw: _apart(draw, 6, 10, 3)),
        Case(
            "9 vectors of 4 numbers, 4 codes of very different length", lambda draw: _apart(draw, 9, 4, 4, spread=1.0)
        ),
        Case("1 vector of 2 numbers, 5 codes", lambda draw: _apart(draw, 1, 5, 2)),
        Case("7 vectors, codes along the same lines", _one_direction),
        Case("4 vectors around the origin, 4 codes", _corners),
    ),
    hidden_cases=(
        Case("40 vectors of 8 numbers, 3 codes", lambda draw: _apart(draw, 40, 3, 8)),
        Case("2 vectors of 6 numbers, 30 codes", lambda draw: _apart(draw, 2, 30, 6)),
    ),
    mistakes=(
        Mistake(
            lambda z, e: torch.cdist(z, e).argmax(1),
            "You took the *farthest* code: the smallest distance is looked for, argmin.",
        ),
        Mistake(
            lambda z, e: (z @ e.T).argmax(1),
            "You took the largest inner product: long codes then win everywhere. In ||z - e||^2 = ||z||^2 - 2 z.e + ||e||^2 the length of the code counts too, "
            "only ||z||^2 is the same for all codes.",
        ),
        Mistake(
            lambda z, e: (F.normalize(z, dim=1) @ F.normalize(e, dim=1).T).argmax(1),
            "You compared directions only (cosine): a code in the right direction may still be far away. Leave the lengths as they are.",
        ),
        Mistake(
            lambda z, e: (z @ e.T).argmin(1),
            "You took the *smallest* inner product: that is a code that points away from the vector. A distance is what is to be small.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).amin(1),
            "You return the smallest distances: what is asked for is *where* they stand, so argmin in place of min.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).square().amin(1),
            "You return the smallest squared distances: what is asked for is *where* they stand, so argmin in place of min.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).min(dim=1),
            "min(dim=1) returns two things, values and indices: only the indices are asked for, so argmin.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).argmin(0),
            "argmin runs over the wrong axis: this is the nearest *vector* for each code. Each vector chooses a code, so go along the codes.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).argmin(),
            "argmin without `dim` looks through the whole table and gives one number: each vector has a nearest code of its own, dim=1.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e, p=1).argmin(1),
            "You summed absolute differences: that is another distance (L1), and it prefers other codes. Square the differences.",
        ),
        Mistake(
            lambda z, e: (e.square().sum(1) - z @ e.T).argmin(1),
            "The factor 2 is missing: ||z - e||^2 = ||z||^2 - 2 z.e + ||e||^2. Without it you look for the code nearest to z / 2.",
        ),
        Mistake(
            lambda z, e: (e.square().sum(1) + 2 * z @ e.T).argmin(1),
            "The inner product has the wrong sign: this is ||z + e||^2, and its smallest value belongs to the code nearest to -z.",
        ),
        Mistake(
            lambda z, e: (-2 * z @ e.T - e.square().sum(1)).argmin(1),
            "The lengths of the codes have the wrong sign: ||e||^2 is *added* in ||z - e||^2, so that long codes do not win everywhere.",
        ),
        Mistake(
            lambda z, e: (e.norm(dim=1) - 2 * z @ e.T).argmin(1),
            "You added the length of each code, not its square: ||z - e||^2 has ||e||^2 in it. norm() takes the root.",
        ),
        Mistake(
            lambda z, e: (e.square().sum(1, keepdim=True) - 2 * z @ e.T).argmin(1),
            "The lengths of the codes stand in a column: in the table (n, num_codes) each code has a *column*, so their squares lie in a row. "
            "Leave out keepdim.",
        ),
        Mistake(
            lambda z, e: _pairs(z, e).sum(2).argmin(1),
            "The differences are not squared: negative ones then count as nearer than none at all.",
        ),
        Mistake(
            lambda z, e: _pairs(z, e).sum(2).abs().argmin(1),
            "You summed the differences before squaring them: those of opposite sign cancel. Square first, then sum.",
        ),
        Mistake(
            lambda z, e: F.one_hot(torch.cdist(z, e).argmin(1), len(e)),
            "You return one-hot vectors: the plain index of each code is asked for, of shape (n,).",
        ),
        Mistake(
            lambda z, e: F.one_hot(torch.cdist(z, e).argmin(1), len(e)).to(z.dtype),
            "You return one-hot vectors: the plain index of each code is asked for, of shape (n,), int64.",
        ),
        Mistake(
            lambda z, e: e[torch.cdist(z, e).argmin(1)],
            "You return the codes themselves: only their indices are asked for. codebook[indices] comes afterwards.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).argmin(1, keepdim=True),
            "Your result has one axis too many: (n,), without keepdim.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).argmin(1).int(),
            "Your indices are int32: leave them as argmin gives them, int64. That is what F.cross_entropy and F.one_hot want for the prior later.",
        ),
        Mistake(
            lambda z, e: torch.cdist(z, e).argmin(1).to(z.dtype),
            "Your indices are floating-point numbers: no tensor can be indexed by these. Leave them as argmin gives them, int64.",
        ),
    ),
)


straight_through = Check(
    name="straight_through",
    signature=("vectors", "codes"),
    reference=vqvae.straight_through,
    holds="the value of the codes, the gradient of the vectors, and no gradient to the codes",
    look='03_vqvae, exercise 2 "Straight through"',
    hint="Forward the vectors must cancel out, backward nothing else may count: add to them what is missing to the codes, and detach() exactly that.",
    cases=(
        Case("4 vectors of 3 numbers", lambda draw: (draw.normal(4, 3), draw.normal(4, 3))),
        Case("2 grids of 3x2 vectors of 5 numbers", lambda draw: (draw.normal(2, 5, 3, 2), draw.normal(2, 5, 3, 2))),
    ),
    hidden_cases=(
        Case("1 vector of 7 numbers in float64", lambda draw: tuple(draw.normal(2, 1, 7, dtype=torch.float64))),
        Case("vectors that are codes already", lambda draw: (draw.normal(5, 2),) * 2),
    ),
    gradients="required",
    differentiable=("vectors", "codes"),
    mistakes=(
        Mistake(
            lambda z, q: 1 * q,
            "You return the codes as they are: the value is right, but the gradient ends at them, and the encoder would never learn.",
        ),
        Mistake(
            lambda z, q: 1 * z,
            "You return the vectors: the decoder must see the *codes*. Only the gradient is that of the vectors.",
        ),
        Mistake(
            lambda z, q: q.detach(),
            "The value is right, but all of it is cut off from the graph (detach or no_grad): detach only the difference, "
            "and let the vectors themselves stay outside.",
        ),
        Mistake(
            lambda z, q: z + (q - z),
            "Nothing is detached: forward the vectors cancel out, and so they do backward. Their gradient is zero, and the codes get all of it.",
        ),
        Mistake(
            lambda z, q: z + q.detach() - z,
            "Only the codes are detached: the vectors then cancel out backward as well, and their gradient is zero. Detach the whole difference.",
        ),
        Mistake(
            lambda z, q: z.detach() + (q - z),
            "You detached the wrong part: the vectors outside of the difference must keep their gradient, the difference must have none. "
            "Now it runs backwards (-1) to the vectors, and to the codes as well.",
        ),
        Mistake(
            lambda z, q: q + (z - z.detach()),
            "The values are right, and the vectors get their gradient, but the codes get it too: detach them. "
            "The reconstruction is not to move the codebook, which has a rule of its own.",
        ),
        Mistake(
            lambda z, q: q + (z - q).detach(),
            "The roles are swapped: this is the value of the vectors with the gradient of the codes. It should be the other way round.",
        ),
        Mistake(
            lambda z, q: z - (q - z).detach(),
            "A sign is turned: this is 2 vectors - codes. What leads from the vectors to the codes is + (codes - vectors).",
        ),
        Mistake(
            lambda z, q: q - (z - q).detach(),
            "A sign is turned, and the wrong tensor stands outside: this is 2 codes - vectors. Start at the vectors, whose gradient you want.",
        ),
        Mistake(
            lambda z, q: z + q.detach(),
            "You added the codes to the vectors: add the *difference* codes - vectors, so that the value becomes that of the codes.",
        ),
        Mistake(
            lambda z, q: z + q,
            "You added the codes to the vectors: add the *difference* codes - vectors, detached, so that the value becomes that of the codes.",
        ),
        Mistake(
            lambda z, q: (z + q) / 2,
            "You took the mean of both: the decoder must see the codes themselves, or it would never learn to live with them.",
        ),
        Mistake(
            lambda z, q: (z + q.detach()) / 2,
            "You took the mean of both: the decoder must see the codes themselves, and the vectors must get the whole gradient, not half.",
        ),
        Mistake(
            lambda z, q: (q - z).detach(),
            "This is only the difference: add it to the vectors, through which the gradient flows.",
        ),
        Mistake(
            lambda z, q: q.detach() * z / z.detach(),
            "The value is right, but you multiplied where you should add: the gradient comes out multiplied by codes / vectors. "
            "A sum hands it on unchanged.",
        ),
        Mistake(
            lambda z, q: (z + (q - z).detach(), q),
            "You return two things: only the codes with the gradient of the vectors are asked for.",
        ),
        Mistake(
            lambda z, q: q.detach() - z + z.detach(),
            "The value is right, but the gradient has the wrong sign: the vectors that keep theirs stand with a minus, so the encoder would learn "
            "the opposite. They have to stand with a plus, and the detached ones with the minus.",
        ),
        Mistake(
            lambda z, q: 2 * z + (q - 2 * z).detach(),
            "The value is right, but the gradient is doubled: what stands outside of detach() hands its factor on. The vectors belong there once.",
        ),
        Mistake(
            lambda z, q: q.detach().requires_grad_(),
            "requires_grad_() starts a *new* graph at your result: from there nothing leads back to the vectors, and the encoder would never learn. "
            "Add the vectors themselves; through a sum the gradient flows by itself.",
        ),
        Mistake(
            lambda z, q: z + (q.detach_() - z.detach()),
            "The result is right, but detach_(), with the underscore, cuts off the tensor that was handed in: whoever called you still needs the graph of "
            "`codes`, for a codebook that learns by its own loss. detach() gives a new tensor.",
        ),
        Mistake(
            lambda z, q: z + (q.detach_() - z.detach_()),
            "You cut off the vectors themselves: detach_(), with the underscore, works in place, also on the `vectors` outside of the difference. "
            "detach() gives a new tensor.",
        ),
        Mistake(
            lambda z, q: z + q.detach_() - z.detach_(),
            "The result is right, but detach_(), with the underscore, cuts off the tensors that were handed in: whoever called you still needs their graph "
            "for the commitment loss. detach() gives a new tensor.",
        ),
    ),
)


def _means(
    draw: Draw,
    num_codes: int,
    code_dim: int,
    n: int,
    decay: float,
    unused: tuple[int, ...] = (),
    empty: tuple[int, ...] = (),
) -> tuple[Tensor, ...]:
    """Running means and a batch that chooses each code at least once, but for those of `unused` (now) and `empty` (never)."""
    size = draw.uniform(num_codes, low=0.8, high=4.0)
    size[list(unused)] = 0.6
    size[list(empty)] = 0.0
    used = torch.tensor([code for code in range(num_codes) if code not in unused + empty])
    indices = used[draw.integers(len(used), n)]
    indices[: len(used)] = used[:n]
    order = draw.uniform(n).argsort()
    return (
        size,
        size[:, None] * (1 + draw.normal(num_codes, code_dim)),
        draw.normal(n, code_dim) - 0.5,
        indices[order],
        decay,
    )


def _counted(vectors: Tensor, indices: Tensor, num_codes: int) -> tuple[Tensor, Tensor]:
    """How many vectors chose each code, and their sum."""
    chosen = F.one_hot(indices, num_codes).to(vectors.dtype)
    return chosen.sum(0), chosen.T @ vectors


def _mean_of(total: Tensor, size: Tensor) -> Tensor:
    return total / vqvae.smoothed(size)[:, None]


def _average(old: Tensor, new: Tensor, decay: float) -> Tensor:
    return decay * old + (1 - decay) * new


def _swapped(old: Tensor, new: Tensor, decay: float) -> Tensor:
    return (1 - decay) * old + decay * new


def _not_faded(old: Tensor, new: Tensor, decay: float) -> Tensor:
    return old + (1 - decay) * new


def _ema(
    counted: Callable[..., tuple[Tensor, Tensor]] = _counted,
    averaged: Callable[..., Tensor] = _average,
    returned: Callable[..., Any] = lambda size, total, **_: (_mean_of(total, size), size, total),
    averaged_sums: Callable[..., Tensor] | None = None,
) -> Callable[..., Any]:
    """The update with one of its parts replaced: what the batch gives, how it is averaged, what is returned.

    `averaged_sums` is for the sums, where they are not averaged as the sizes are.
    """

    def ema_update(old_size: Tensor, old_total: Tensor, vectors: Tensor, indices: Tensor, decay: float) -> Any:
        counts, sums = counted(vectors, indices, len(old_size))
        size, total = averaged(old_size, counts, decay), (averaged_sums or averaged)(old_total, sums, decay)
        state = {"old_size": old_size, "old_total": old_total, "counts": counts, "sums": sums, "decay": decay}
        return returned(size=size, total=total, **state)

    return ema_update


def _last_vector(vectors: Tensor, indices: Tensor, num_codes: int) -> Tensor:
    """For each code the last vector alone that chose it, as `sums[indices] += vectors` gives it."""
    sums = torch.zeros(num_codes, vectors.shape[1], dtype=vectors.dtype)
    for vector, index in zip(vectors, indices.tolist(), strict=True):
        sums[index] = vector
    return sums


def _chosen_once(vectors: Tensor, indices: Tensor, num_codes: int) -> Tensor:
    """One for each code that was chosen at all, as `counts[indices] += 1` gives it."""
    return (_counted(vectors, indices, num_codes)[0] > 0).to(vectors.dtype)


def _batch_means(vectors: Tensor, indices: Tensor, num_codes: int) -> Tensor:
    counts, sums = _counted(vectors, indices, num_codes)
    return sums / counts.clamp(min=1)[:, None]


def _chosen_rows_only(
    old_size: Tensor, old_total: Tensor, vectors: Tensor, indices: Tensor, decay: float
) -> tuple[Tensor, ...]:
    _, size, total = vqvae.ema_update(old_size, old_total, vectors, indices, decay)
    chosen = torch.zeros_like(old_size, dtype=torch.bool).index_fill_(0, indices, True)
    size, total = torch.where(chosen, size, old_size), torch.where(chosen[:, None], total, old_total)
    return _mean_of(total, size), size, total


def _vector_by_vector(
    old_size: Tensor, old_total: Tensor, vectors: Tensor, indices: Tensor, decay: float
) -> tuple[Tensor, ...]:
    size, total = old_size.clone(), old_total.clone()
    for vector, index in zip(vectors, indices.tolist(), strict=True):
        size[index] = decay * size[index] + (1 - decay)
        total[index] = decay * total[index] + (1 - decay) * vector
    return _mean_of(total, size), size, total


ema_update = Check(
    name="ema_update",
    signature=("cluster_size", "cluster_sum", "vectors", "indices", "decay"),
    reference=vqvae.ema_update,
    holds="codebook, sizes and sums after one step, also of codes that nothing chooses, and the inputs as they were",
    look='03_vqvae, exercise 3 "Codes as running means"',
    hint="n: how many vectors chose each code; s: the sum of these vectors. Average both with `decay`, new tensors each, "
    "then divide the new sums by vqvae.smoothed(new sizes)[:, None].",
    not_a_number="Your result holds NaN or infinity: a code that nothing has ever chosen has size 0 and sum 0. Divide by vqvae.smoothed(size), which is never 0.",
    cases=(
        Case(
            "12 vectors of 3 numbers, 5 codes: one not chosen, one never chosen",
            lambda draw: _means(draw, 5, 3, 12, 0.9, unused=(1,), empty=(4,)),
        ),
        Case("9 vectors of 4 numbers, 4 codes, decay 0.75", lambda draw: _means(draw, 4, 4, 9, 0.75, unused=(3,))),
        Case("1 vector of 2 numbers, 3 codes, decay 0.99", lambda draw: _means(draw, 3, 2, 1, 0.99, empty=(2,))),
        Case(
            "1 vector of 4 numbers, 3 codes: it chose the second",
            lambda draw: _means(draw, 3, 4, 1, 0.95, unused=(0, 2)),
        ),
    ),
    hidden_cases=(
        Case("30 vectors of 6 numbers, 8 codes", lambda draw: _means(draw, 8, 6, 30, 0.95, (0, 7), (2, 5))),
        Case("20 vectors of 1 number, 4 codes, all chosen", lambda draw: _means(draw, 4, 1, 20, 0.8)),
    ),
    relative=2e-4,  # N and smoothed N differ by 1e-5 / N: other ways not to divide by zero are right too
    mistakes=(
        Mistake(
            _ema(averaged=_swapped),
            "decay and 1 - decay are swapped: decay is the share of the *old* mean that stays, close to 1, or each batch would throw the codebook about.",
        ),
        Mistake(
            _ema(averaged=lambda old, new, decay: new),
            "These are the counts and sums of this batch alone: average them with the old ones, decay * old + (1 - decay) * new.",
        ),
        Mistake(
            _ema(averaged=lambda old, new, decay: old + new),
            "You add up without ever forgetting: the encoder moves on, so old vectors have to fade. decay * old + (1 - decay) * new.",
        ),
        Mistake(
            _ema(averaged=lambda old, new, decay: decay * old + new),
            "The weight 1 - decay of the new batch is missing: the two weights of an average add up to one.",
        ),
        Mistake(
            _ema(returned=lambda size, total, old_size, **_: (_mean_of(total, old_size), size, total)),
            "The codebook is divided by the *old* sizes: sum and size must be of one moment, or the quotient is no mean.",
        ),
        Mistake(
            _ema(returned=lambda size, total, old_total, **_: (_mean_of(old_total, size), size, total)),
            "The codebook is made of the *old* sums: divide the new ones, or the vectors of this batch do not count yet.",
        ),
        Mistake(
            _ema(returned=lambda size, total, counts, **_: (_mean_of(total, counts), size, total)),
            "The codebook is divided by the counts of this batch: divide the running sum by the running size.",
        ),
        Mistake(
            _ema(returned=lambda size, total, counts, **_: (total / counts[:, None], size, total)),
            "The codebook is divided by the counts of this batch, some of which are 0: divide the running sum by the running size, smoothed.",
        ),
        Mistake(
            _ema(returned=lambda size, total, counts, **_: (total / counts.clamp(min=1)[:, None], size, total)),
            "The codebook is divided by the counts of this batch: divide the running sum by the running size, also where nothing was chosen now.",
        ),
        Mistake(
            _ema(returned=lambda size, total, counts, sums, **_: (_mean_of(sums, counts), size, total)),
            "The codebook is the mean of this batch alone: it is the running sum divided by the running size.",
        ),
        Mistake(
            _ema(returned=lambda size, total, sums, **_: (_mean_of(sums, size), size, total)),
            "You divided the sums of this batch: the codebook is made of the *running* sum.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (total, size, total)),
            "The codebook is the running sum itself: a code is a mean, so divide by how many vectors are in that sum.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (total / size[:, None], size, total)),
            "A code that nothing has ever chosen has size 0, and 0 / 0 is NaN: divide by vqvae.smoothed(size).",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (total / size.clamp(min=1)[:, None], size, total)),
            "You hold the size at 1 or more: a running mean of counts may well lie between 0 and 1, and its code would shrink. Use vqvae.smoothed(size).",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (total / (size + 1)[:, None], size, total)),
            "You add 1 to each size: that draws all codes towards 0. The smoothing is to be tiny, 1e-5: vqvae.smoothed(size).",
        ),
        Mistake(
            _ema(
                returned=lambda size, total, **_: (
                    total / ((size + 1e-5) / (size.sum() + 1e-5 * len(size)))[:, None],
                    size,
                    total,
                )
            ),
            "You divided by the *share* of each code: the sizes must keep their total (smoothing ends with a multiplication by it), or all codes grow by that factor.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (total / vqvae.smoothed(size), size, total)),
            "The sizes stand along the wrong axis: each *row* is divided by the size of its code, so smoothed(size)[:, None].",
        ),
        Mistake(
            _ema(lambda v, k, num: (_counted(v, k, num)[0] / len(k), _counted(v, k, num)[1])),
            "You turned the counts into shares of the batch: then the sums should be shares too. Count the vectors as they are.",
        ),
        Mistake(
            _ema(lambda v, k, num: (_counted(v, k, num)[0] / len(k), _counted(v, k, num)[1] / len(k))),
            "You divided counts and sums by the number of vectors: count and add them up as they are, or a batch weighs almost nothing against the old sizes.",
        ),
        Mistake(
            _ema(lambda v, k, num: (_counted(v, k, num)[0], _batch_means(v, k, num))),
            "You averaged the vectors of each code where their *sum* belongs: it is divided only once, by the running size.",
        ),
        Mistake(
            _ema(lambda v, k, num: (_chosen_once(v, k, num), _counted(v, k, num)[1])),
            "Each code is counted at most once: `counts[indices] += 1` adds only one of equal indices. torch.bincount or index_add_ count them all.",
        ),
        Mistake(
            _ema(lambda v, k, num: (_chosen_once(v, k, num), _batch_means(v, k, num))),
            "You averaged the vectors of each code and counted it once: then a code chosen by hundreds weighs as much as one chosen by a single vector. "
            "Take counts and sums.",
        ),
        Mistake(
            _ema(lambda v, k, num: (_counted(v, k, num)[0], _last_vector(v, k, num))),
            "Only one vector of each code is in your sum: `sums[indices] += vectors` keeps the last of equal indices. index_add_ adds them all.",
        ),
        Mistake(
            _ema(lambda v, k, num: (_chosen_once(v, k, num), _last_vector(v, k, num))),
            "Of the vectors that chose one code, only one is counted and added: `x[indices] += ...` keeps one of equal indices. index_add_ adds them all.",
        ),
        Mistake(
            _ema(
                returned=lambda size, total, old_size, old_total, counts, sums, decay: (
                    decay * _mean_of(old_total, old_size) + (1 - decay) * sums / counts.clamp(min=1)[:, None],
                    size,
                    total,
                )
            ),
            "You averaged old and new *codes*: a batch in which one vector chose a code then counts as much as one with hundreds. "
            "Average sums and sizes, then divide.",
        ),
        Mistake(
            _chosen_rows_only,
            "Only the codes that were chosen are updated: the size of the others must fade too (with n = 0), or nobody would notice that they are dead.",
        ),
        Mistake(
            _vector_by_vector,
            "You let the old mean fade once for each *vector*: it fades once a batch. Count and add up first.",
        ),
        Mistake(
            lambda n, m, v, k, decay: _ema()(n, m, v, k[torch.arange(len(k)).roll(1)], decay),
            "Vectors and indices do not belong together: vectors[i] chose indices[i].",
        ),
        Mistake(
            lambda n, m, v, k, decay: _ema(lambda v, k, num: (torch.bincount(k).to(v.dtype), _counted(v, k, num)[1]))(
                n, m, v, k, decay
            ),
            "torch.bincount stops at the largest index of *this batch*: tell it the number of codes, minlength=len(cluster_size).",
        ),
        Mistake(
            _ema(lambda v, k, num: _counted(v, k, int(k.max()) + 1)),
            "F.one_hot stops at the largest index of *this batch*: tell it the number of codes, len(cluster_size).",
        ),
        Mistake(
            _ema(lambda v, k, num: (F.one_hot(k, num).sum(0), F.one_hot(k, num).T @ v)),
            "F.one_hot gives integers, and these cannot be multiplied with vectors: turn them to the dtype of the vectors, .to(vectors.dtype).",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (size, total, _mean_of(total, size))),
            "The order of the results is another: the codebook comes first, then sizes, then sums.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (_mean_of(total, size), total, size)),
            "The last two results are swapped: codebook, sizes, sums.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: _mean_of(total, size)),
            "You return the codebook only: the running sizes and sums belong to the answer too, or the next step could not go on from them.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (size, total)),
            "The codebook is missing: it comes first, the sums divided by the smoothed sizes; then sizes and sums.",
        ),
        Mistake(
            _ema(lambda v, k, num: (F.one_hot(k, num).to(v.dtype).sum(1), _counted(v, k, num)[1])),
            "You counted along the wrong axis: each row of the one-hot table is one *vector*, which chose one code, so sum(1) is always 1. "
            "How many vectors chose each code is the sum over the vectors, dim=0.",
        ),
        Mistake(
            _ema(lambda v, k, num: (torch.tensor(float(len(k))), _counted(v, k, num)[1])),
            "You counted all vectors together: sum() without `dim` gives one number for the whole table. Each code has its own count, so sum over the "
            "vectors only, dim=0.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (vqvae.smoothed(size)[:, None] / total, size, total)),
            "The quotient is upside down: a mean is the *sum divided by the size*, m / N.",
        ),
        Mistake(
            _ema(returned=lambda size, total, **_: (size[:, None] / total, size, total)),
            "The quotient is upside down: a mean is the *sum divided by the size*, m / N, with N smoothed.",
        ),
        Mistake(
            _ema(averaged=lambda old, new, decay: 0.99 * old + 0.01 * new),
            "You write 0.99 for the decay: whoever calls the function chooses it, so use the argument `decay`.",
        ),
        Mistake(
            _ema(returned=lambda size, total, old_size, old_total, **_: (_mean_of(old_total, old_size), size, total)),
            "The codebook is that of *before*: it is made of old sums and old sizes. Update both first, then divide, or each code lags a step behind.",
        ),
        Mistake(
            _ema(averaged_sums=_not_faded),
            "The sums do not fade: the old ones are multiplied by `decay` too, as the sizes are. Without that they grow from step to step, and the codes with them.",
        ),
        Mistake(
            _ema(averaged=_not_faded, averaged_sums=_average),
            "The sizes do not fade: the old ones are multiplied by `decay` too, as the sums are. Without that they grow from step to step, and the codes shrink.",
        ),
        Mistake(
            _ema(averaged=_not_faded),
            "Nothing fades: the old sizes and sums are to be multiplied by `decay`. The encoder moves on, so old vectors have to lose weight.",
        ),
        Mistake(
            _ema(averaged=_swapped, averaged_sums=_average),
            "For the sizes decay and 1 - decay are swapped, for the sums they are right: both are averaged in the same way, or their quotient is no mean.",
        ),
        Mistake(
            _ema(averaged_sums=_swapped),
            "For the sums decay and 1 - decay are swapped, for the sizes they are right: both are averaged in the same way, or their quotient is no mean.",
        ),
        Mistake(
            _ema(
                returned=lambda size, total, counts, **_: (
                    torch.where(counts[:, None] > 0, _mean_of(total, size), 0),
                    size,
                    total,
                )
            ),
            "You set codes that nobody chose in this batch to 0: they keep m / N, for both fade alike. A code without a vector in one batch may be "
            "chosen in the next.",
        ),
    ),
)


def _mask(kernel_size: int, kind: str, shift: int = 0) -> Tensor:
    """The right mask; with a shift its middle lies so much farther down and to the right."""
    middle = kernel_size // 2 + shift
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = 1
    mask[middle, : middle + (kind == "B")] = 1
    return mask


def _mask_of(above: int, left: Callable[[str], int]) -> Callable[[int, str], Tensor]:
    """A mask that ends `above` rows later than it should, and in the middle row `left(kind)` places after the middle."""

    def causal_mask(kernel_size: int, kind: str) -> Tensor:
        middle = kernel_size // 2
        mask = torch.zeros(kernel_size, kernel_size)
        mask[: max(0, middle + above)] = 1
        mask[middle, : max(0, middle + left(kind))] = 1
        return mask

    return causal_mask


def _quadrant(kernel_size: int, kind: str) -> Tensor:
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[: middle + 1, : middle + 1] = 1
    mask[middle, middle] = kind == "B"
    return mask


def _middle_row(kernel_size: int, kind: str, above: float = 1.0) -> Tensor:
    """The whole middle row, for "A" without the middle itself; and the rows above, or not."""
    middle = kernel_size // 2
    mask = torch.zeros(kernel_size, kernel_size)
    mask[:middle] = above
    mask[middle] = 1
    mask[middle, middle] = kind == "B"
    return mask


def _with_rows(
    first: Callable[[int], int],
    last: Callable[[int], int],
    value: float,
    columns: Callable[[int], slice] = lambda middle: slice(None),
) -> Callable[[int, str], Tensor]:
    """The right mask but for `value` in the rows from `first(middle)` up to `last(middle)`, and there in some columns only."""

    def causal_mask(kernel_size: int, kind: str) -> Tensor:
        middle = kernel_size // 2
        mask = _mask(kernel_size, kind)
        mask[first(middle) : last(middle), columns(middle)] = value
        return mask

    return causal_mask


def _of_size_3(kernel_size: int, kind: str) -> Tensor:
    """What is right for size 3, at the same indices for each size."""
    mask = torch.zeros(kernel_size, kernel_size)
    mask[0] = 1
    mask[1, : 1 + (kind == "B")] = 1
    return mask


causal_mask = Check(
    name="causal_mask",
    signature=("kernel_size", "kind"),
    reference=pixelcnn.causal_mask,
    holds="both kinds, at several sizes",
    look='03_vqvae, exercise 4 "Masked convolution"',
    hint='Begin with zeros. Ones in all rows above the middle one; in the middle row ones to the left of the middle; for kind "B" the middle itself as well. '
    "Print your mask for size 5: it shows at once.",
    cases=(
        Case('size 3, kind "A"', lambda draw: (3, "A")),
        Case('size 3, kind "B"', lambda draw: (3, "B")),
        Case('size 5, kind "A"', lambda draw: (5, "A")),
        Case('size 7, kind "B"', lambda draw: (7, "B")),
    ),
    hidden_cases=(
        Case('size 9, kind "A"', lambda draw: (9, "A")),
        Case('size 5, kind "B"', lambda draw: (5, "B")),
    ),
    mistakes=(
        Mistake(
            lambda k, kind: _mask(k, "A" if kind == "B" else "B"),
            'A and B are swapped: "A" hides the pixel itself (the first layer must not see what it is to predict), "B" shows it.',
        ),
        Mistake(
            lambda k, kind: _mask(k, "A"),
            'You make kind "A" each time: with "B" the middle is a one, for later layers may see what the first has made of the pixel\'s past.',
        ),
        Mistake(
            lambda k, kind: _mask(k, "B"),
            'You make kind "B" each time: with "A" the middle is a zero, or the network would just copy the pixel that it is to predict.',
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).T,
            "Rows and columns are swapped: pixels come row by row, so what is above counts as earlier, whatever its column. A mask is indexed [row, column].",
        ),
        Mistake(
            _mask_of(0, lambda kind: -99),
            "The middle row is all zeros: what is to the left of the pixel comes before it, and may be seen.",
        ),
        Mistake(
            lambda k, kind: _mask_of(0, lambda kind: -99)(k, kind) + (kind == "B") * (_mask(k, "B") - _mask(k, "A")),
            "In the middle row what is to the left of the pixel is missing: it comes before it, and may be seen.",
        ),
        Mistake(
            _mask_of(0, lambda kind: 99),
            "The whole middle row is ones: what is to the right of the pixel comes after it, and must not be seen.",
        ),
        Mistake(
            _middle_row,
            "The middle row is ones on both sides: what is to the right of the pixel comes after it, and must not be seen.",
        ),
        Mistake(
            lambda k, kind: _middle_row(k, kind, 0.0),
            "You show the middle row and nothing else: the rows above are to be seen, and what is right of the pixel is not.",
        ),
        Mistake(
            _mask_of(-99, lambda kind: kind == "B"),
            "The rows above are missing: all of them come before the pixel, and may be seen.",
        ),
        Mistake(
            _mask_of(-1, lambda kind: kind == "B"),
            "The row just above the pixel is missing: a slice ends *before* its last index, so mask[:middle] holds all rows above.",
        ),
        Mistake(
            lambda k, kind: torch.ones(k, k).tril(0 if kind == "B" else -1),
            "This is the lower triangle, the mask of attention, where row and column number two *places*. Here both together are one place in the picture.",
        ),
        Mistake(
            lambda k, kind: torch.ones(k, k).triu(0 if kind == "B" else 1),
            "This is the upper triangle, a mask for attention, where row and column number two *places*. Here both together are one place in the picture.",
        ),
        Mistake(
            _quadrant,
            "You show only what is above *and* left: in the rows above all columns come before the pixel, those to the right as well.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).flip(0),
            "Your mask is upside down: row 0 of a kernel lies above the pixel, and the rows above have been drawn already.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).flip(1),
            "Your mask is mirrored: in the middle row the *left* side has been drawn already.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).flip(0, 1),
            "You show the future: below and to the right. F.conv2d does not flip its kernel, so row 0 lies above the pixel.",
        ),
        Mistake(
            lambda k, kind: 1 - _mask(k, kind),
            "Ones and zeros are swapped: one where the convolution may look.",
        ),
        Mistake(
            _mask_of(0, lambda kind: 1 + (kind == "B")),
            "The middle row goes one place too far: a slice ends before its last index, so mask[middle, :middle] is all that is left of the pixel.",
        ),
        Mistake(
            _mask_of(0, lambda kind: -1 + (kind == "B")),
            "The middle row ends one place too early: a slice ends before its last index, so mask[middle, :middle] is all that is left of the pixel.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind, shift=1),
            "Your middle lies one row and one column too far: counted from 0 it is kernel_size // 2.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).bool(),
            "Your mask is of bool: it is to be multiplied with weights, so float32 is asked for. .float() turns it.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).long(),
            "Your mask is of integers: it is to be multiplied with weights, so float32 is asked for. .float() turns it.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).double(),
            "Your mask is float64, as NumPy makes it: weights are float32, and so should the mask be.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).log(),
            "You wrote minus infinity where nothing may be seen: that is for scores before a softmax. Weights are multiplied, so write 0 and 1.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).view(1, 1, k, k),
            "Your mask has two axes too many: (kernel_size, kernel_size); they come by themselves when it is multiplied with the weights.",
        ),
        Mistake(
            lambda k, kind: _mask(k, kind).flatten(),
            "Your mask is flat: give it its two axes back, (kernel_size, kernel_size).",
        ),
        Mistake(
            _with_rows(lambda middle: 0, lambda middle: middle - 1, 0),
            "Only the row just above the pixel is seen: *all* rows above come before it, so mask[:middle], a slice. Size 3 has just one such row and "
            "would not show it.",
        ),
        Mistake(
            _with_rows(lambda middle: middle, lambda middle: middle + 1, 0, lambda middle: slice(0, middle - 1)),
            "In the middle row only the left neighbour is seen: *everything* to the left comes before the pixel, so mask[middle, :middle], a slice. "
            "Size 3 has just one place there and would not show it.",
        ),
        Mistake(
            _mask_of(0, lambda kind: 1 if kind == "B" else -99),
            'With "A" what is to the left of the pixel is missing: only the pixel itself is hidden there. The left part belongs to both kinds, so it '
            'stands outside of the `if`; "B" adds the middle.',
        ),
        Mistake(
            _mask_of(0, lambda kind: 99 if kind == "B" else 0),
            '"B" shows what is to the right of the middle too, the whole row: that comes after the pixel. "B" adds the middle itself and nothing else.',
        ),
        Mistake(
            _mask_of(0, lambda kind: 2 if kind == "B" else 0),
            '"B" goes one place too far, to the right of the middle: a slice ends before its last index, so mask[middle, : middle + 1] holds the '
            "middle already.",
        ),
        Mistake(
            _with_rows(lambda middle: middle + 1, lambda middle: 2 * middle + 1, 1),
            "The rows below the middle are ones: they come after the pixel, and must be zero. mask[middle + 1 :] = 0.",
        ),
        Mistake(
            _of_size_3,
            "Your indices are those of size 3: in a larger mask the middle lies farther down and to the right, at kernel_size // 2. Count from there.",
        ),
    ),
)


def _grids(
    draw: Draw, batch: int, num_values: int, height: int, width: int, temperature: float | None = None
) -> tuple[Any, ...]:
    """A network in which each place depends on all others, uniform numbers, and perhaps a temperature."""
    places = height * width
    weight = 0.8 * draw.normal(num_values * places, places)
    network = Network((weight,), (0.8 * draw.normal(num_values * places),), (num_values, height, width), integers=True)
    return (network, draw.uniform(batch, height, width), *(() if temperature is None else (temperature,)))


def _reading_order(height: int, width: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(height) for column in range(width)]


def _sampler(
    places: Callable[[int, int], list[tuple[int, int]]] = _reading_order,
    chosen: Callable[[Tensor, Tensor], Tensor] = pixelcnn.choose,
    tempered: Callable[[Tensor, float], Tensor] = lambda logits, temperature: logits / temperature,
    logits_at: Callable[[int, int, int, int], tuple[int, int]] = lambda row, column, height, width: (row, column),
    uniform_at: Callable[[int, int, int, int], tuple[int, int]] = lambda row, column, height, width: (row, column),
    start: Callable[[Tensor], Tensor] = lambda uniform: torch.zeros_like(uniform, dtype=torch.int64),
    seen: Callable[[Tensor, int, int], Tensor] = lambda values, row, column: values,
) -> Callable[..., Tensor]:
    """The sampler with one of its parts replaced."""

    def sample_plainly(logits_of: Callable[[Tensor], Tensor], uniform: Tensor, temperature: float = 1.0) -> Tensor:
        values = start(uniform)
        _, height, width = uniform.shape
        for row, column in places(height, width):
            logits = logits_of(seen(values, row, column))
            i, j = logits_at(row, column, height, width)
            k, l = uniform_at(row, column, height, width)
            values[:, row, column] = chosen(tempered(logits[:, :, i, j], temperature), uniform[:, k, l])
        return values

    return torch.no_grad()(sample_plainly)


def _last_logits(logits_of: Callable[[Tensor], Tensor], uniform: Tensor, temperature: float = 1.0) -> Tensor:
    return logits_of(pixelcnn.sample_plainly(logits_of, uniform, temperature)) / temperature


def _before(row: int, column: int, height: int, width: int) -> tuple[int, int]:
    """The place before, in reading order; before the first the last."""
    place = (row * width + column - 1) % (height * width)
    return place // width, place % width


def _only_rows_before(values: Tensor, row: int, column: int) -> Tensor:
    """The grid without what was drawn of its own row: as if whole rows were drawn at once."""
    values = values.clone()
    values[:, row] = 0
    return values


def _only_last(values: Tensor, row: int, column: int) -> Tensor:
    """The grid with nothing but the value that was drawn last."""
    i, j = _before(row, column, *values.shape[1:])
    alone = torch.zeros_like(values)
    alone[:, i, j] = values[:, i, j]
    return alone


def _reshaped(logits_of: Callable[[Tensor], Tensor], uniform: Tensor, temperature: float = 1.0) -> Tensor:
    """Takes the logits apart as if their values stood last."""

    def other_logits(values: Tensor) -> Tensor:
        return logits_of(values).reshape(*values.shape, -1).movedim(3, 1)

    return pixelcnn.sample_plainly(other_logits, uniform, temperature)


def _place_as_value(logits_of: Callable[[Tensor], Tensor], uniform: Tensor, temperature: float = 1.0) -> Tensor:
    """logits[:, row, column], without the axis of the values."""
    values = torch.zeros_like(uniform, dtype=torch.int64)
    for row, column in _reading_order(*uniform.shape[1:]):
        values[:, row, column] = pixelcnn.choose(
            logits_of(values)[:, row, column] / temperature, uniform[:, row, column]
        )
    return values


def _largest(logits: Tensor, uniform: Tensor) -> Tensor:
    return logits.argmax(1)


sample_plainly = Check(
    name="sample_plainly",
    signature=("logits_of", "uniform", "temperature"),
    reference=pixelcnn.sample_plainly,
    holds="one place after the other in reading order, each drawn with its own uniform number, at several temperatures",
    look='03_vqvae, exercise 5 "Sampling from the prior"',
    hint="Begin with a grid of zeros (int64). For each row and each column: the logits of the grid so far, at this place, divided by the temperature; "
    "pixelcnn.choose with this place's uniform number; write the value into the grid.",
    cases=(
        Case("3 grids of 2x4, 5 values, temperature left out", lambda draw: _grids(draw, 3, 5, 2, 4)),
        Case("2 grids of 4x3, 3 values, temperature 0.5", lambda draw: _grids(draw, 2, 3, 4, 3, 0.5)),
        Case("1 grid of 3x5, 7 values, temperature 2", lambda draw: _grids(draw, 1, 7, 3, 5, 2.0)),
        Case("2 grids of 3x3, 4 values, temperature 1.5", lambda draw: _grids(draw, 2, 4, 3, 3, 1.5)),
    ),
    hidden_cases=(
        Case("4 grids of 1x6, 4 values", lambda draw: _grids(draw, 4, 4, 1, 6, 1.0)),
        Case("5 grids of 5x2, 6 values, temperature 0.8", lambda draw: _grids(draw, 5, 6, 5, 2, 0.8)),
    ),
    mistakes=(
        Mistake(
            _sampler(seen=lambda values, row, column: torch.zeros_like(values)),
            "The network never sees what was drawn: either all places come from one pass, or the values are not written into the grid "
            "that it is given. Each place has to know those before it.",
        ),
        Mistake(
            _sampler(seen=_only_rows_before),
            "You draw whole rows at once: a value must also know what was drawn to its left, so one pass for each *place*.",
        ),
        Mistake(
            _sampler(seen=_only_last),
            "The network sees only the value drawn last: keep one grid, and write each value into it.",
        ),
        Mistake(
            _sampler(chosen=_largest),
            "You take the most probable value each time: then all samples are alike. Draw, with pixelcnn.choose and the uniform number.",
        ),
        Mistake(
            _sampler(chosen=_largest, seen=lambda values, row, column: torch.zeros_like(values)),
            "You take the most probable value at all places from one pass: go place by place, show the network what was drawn, and draw with pixelcnn.choose.",
        ),
        Mistake(
            _sampler(lambda height, width: [(row, column) for column in range(width) for row in range(height)]),
            "You go column by column: the network was trained in reading order, row by row, so the outer loop is over the rows.",
        ),
        Mistake(
            _sampler(lambda height, width: _reading_order(height, width)[::-1]),
            "You go backwards, from the last place to the first: the network was trained in reading order.",
        ),
        Mistake(
            _sampler(
                lambda height, width: [(row, width - 1 - column) for row, column in _reading_order(height, width)]
            ),
            "You go through each row from right to left: reading order is from left to right.",
        ),
        Mistake(
            _sampler(
                lambda height, width: [(height - 1 - row, column) for row, column in _reading_order(height, width)]
            ),
            "You go through the rows from the bottom up: reading order begins at the top.",
        ),
        Mistake(
            _sampler(lambda height, width: _reading_order(height, width)[1:]),
            "The first place is never drawn: nothing is given, not even a start value, so begin at row 0 and column 0.",
        ),
        Mistake(
            _sampler(lambda height, width: _reading_order(height, width)[:-1]),
            "The last place is never drawn: range(n) ends at n - 1 by itself.",
        ),
        Mistake(
            _sampler(logits_at=lambda row, column, height, width: (-1, -1)),
            "You take the logits of the last place each time: those of the place that is being drawn are needed, logits[:, :, row, column].",
        ),
        Mistake(
            _sampler(logits_at=lambda row, column, height, width: (0, 0)),
            "You take the logits of the first place each time: those of the place that is being drawn are needed, logits[:, :, row, column].",
        ),
        Mistake(
            _sampler(logits_at=_before),
            "You take the logits of the place before: in a text model these predict the next token, but masked convolutions predict each place at its own.",
        ),
        Mistake(
            _sampler(logits_at=lambda row, column, height, width: (column, row)),
            "Row and column are swapped: logits are (batch, num_values, height, width), so logits[:, :, row, column].",
        ),
        Mistake(
            _sampler(uniform_at=lambda row, column, height, width: (0, 0)),
            "All places are drawn with one and the same uniform number: each has its own, uniform[:, row, column].",
        ),
        Mistake(
            _sampler(uniform_at=lambda row, column, height, width: (-1, -1)),
            "All places are drawn with the last uniform number: each has its own, uniform[:, row, column].",
        ),
        Mistake(
            _sampler(uniform_at=lambda row, column, height, width: (row, 0)),
            "All places of a row are drawn with one uniform number: each has its own, uniform[:, row, column].",
        ),
        Mistake(
            _sampler(uniform_at=lambda row, column, height, width: (column, row)),
            "Row and column of the uniform numbers are swapped: they are (batch, height, width), so uniform[:, row, column].",
        ),
        Mistake(
            _sampler(tempered=lambda logits, temperature: logits * temperature),
            "You multiplied by the temperature: divide, so that a low one makes likely values likelier.",
        ),
        Mistake(
            _sampler(tempered=lambda logits, temperature: logits),
            "The temperature is not used: divide the logits by it.",
        ),
        Mistake(
            _sampler(tempered=lambda logits, temperature: logits.softmax(1) / temperature),
            "You gave probabilities to pixelcnn.choose, which takes logits: it applies the softmax by itself. Twice makes all values nearly alike.",
        ),
        Mistake(
            _sampler(tempered=lambda logits, temperature: (logits / temperature).softmax(1)),
            "You gave probabilities to pixelcnn.choose, which takes logits: it applies the softmax by itself, and twice makes all values nearly alike.",
        ),
        Mistake(
            _sampler(start=lambda uniform: torch.ones_like(uniform, dtype=torch.int64)),
            "You begin with a grid of ones: begin with zeros, as the exercise says. (A causal network would not notice, but this one looks everywhere.)",
        ),
        Mistake(
            _sampler(start=lambda uniform: torch.zeros_like(uniform)),
            "You show the network a grid of floating-point numbers: a PixelCNN looks each value up in a table, which takes int64. zeros_like(uniform) and "
            "torch.zeros are floating-point unless you say dtype=torch.int64.",
        ),
        Mistake(
            torch.no_grad()(lambda *args: pixelcnn.sample_plainly(*args).float()),
            "Your values are floating-point numbers: they are numbers of codes, so int64 is asked for. zeros_like(uniform) takes the dtype of `uniform`.",
        ),
        Mistake(
            _sampler(start=lambda uniform: torch.zeros_like(uniform, dtype=torch.int32)),
            "Your values are int32: int64 is asked for, as everywhere for indices.",
        ),
        Mistake(
            _sampler(chosen=lambda logits, uniform: torch.multinomial(logits.softmax(1), 1).squeeze(1)),
            "You draw with random numbers of your own and ignore `uniform`: with it, the same numbers give the same sample again.",
        ),
        Mistake(
            _sampler(chosen=lambda logits, uniform: (logits.softmax(1) > uniform[:, None]).int().argmax(1)),
            "You compare the uniform number with single probabilities: a draw is where the *running sum* of the probabilities passes it (cumsum).",
        ),
        Mistake(
            _sampler(
                chosen=lambda logits, uniform: pixelcnn.choose(logits, uniform).add(1).clamp(max=logits.shape[1] - 1)
            ),
            "Each value is one too high: the first index at which the running sum exceeds the uniform number is asked for.",
        ),
        Mistake(
            _sampler(chosen=lambda logits, uniform: (pixelcnn.choose(logits, uniform) - 1).clamp(min=0)),
            "Each value is one too low: the first index at which the running sum exceeds the uniform number is asked for.",
        ),
        Mistake(
            torch.no_grad()(_last_logits),
            "You return logits: the grid of drawn values is asked for, (batch, height, width) int64.",
        ),
        Mistake(
            torch.no_grad()(lambda *args: _last_logits(*args).softmax(1)),
            "You return probabilities: the grid of drawn values is asked for, (batch, height, width) int64.",
        ),
        Mistake(
            torch.no_grad()(lambda *args: pixelcnn.sample_plainly(*args)[:, None]),
            "Your grids have a channel axis: (batch, height, width) is asked for, a token has no colours.",
        ),
        Mistake(
            torch.no_grad()(lambda *args: pixelcnn.sample_plainly(*args).flatten(1)),
            "Your grids are flat: give them their shape back, (batch, height, width).",
        ),
        Mistake(
            torch.no_grad()(_place_as_value),
            "The second axis of the logits is the *values*, not the rows: logits are (batch, num_values, height, width), so logits[:, :, row, column].",
        ),
        Mistake(
            torch.no_grad()(_reshaped),
            "reshape and view are no permute: they cut the same row of numbers anew, and mix values with places. The values stand in the second axis "
            "already: logits[:, :, row, column].",
        ),
        Mistake(
            _sampler(chosen=lambda logits, uniform: pixelcnn.choose(logits, uniform[:1].expand(len(logits)))),
            "All grids share the uniform number of the first: they would be the same draw over and over. Each grid has its own, uniform[:, row, column].",
        ),
        Mistake(
            _sampler(chosen=lambda logits, uniform: pixelcnn.choose(logits, uniform[0])),
            "You take the uniform number of the first grid only, uniform[0, ...]: each grid has its own, uniform[:, row, column].",
        ),
        Mistake(
            _sampler(chosen=lambda logits, uniform: pixelcnn.choose(logits, 1 - uniform)),
            "You turned the uniform numbers round, 1 - uniform: that is just as random, but the draw is where the running sum passes `uniform` itself, "
            "and only so do the same numbers give the same sample everywhere.",
        ),
        Mistake(
            lambda logits_of, uniform, temperature=1.0: pixelcnn.sample_plainly(logits_of, uniform / temperature),
            "You divided the uniform number by the temperature: divide the *logits*. The uniform number must stay evenly spread over [0, 1).",
        ),
        Mistake(
            lambda logits_of, uniform, temperature=1.0: pixelcnn.sample_plainly(logits_of, uniform * temperature),
            "You multiplied the uniform number by the temperature: divide the *logits* by it. The uniform number must stay evenly spread over [0, 1).",
        ),
        Mistake(
            _sampler(logits_at=lambda row, column, height, width: (row, column - 1)),
            "You take the logits of the left neighbour: in a text model these predict the next token, but masked convolutions predict each place at its own.",
        ),
        Mistake(
            _sampler(logits_at=lambda row, column, height, width: divmod(max(0, row * width + column - 1), width)),
            "You take the logits of the place before (at the first, its own): in a text model these predict the next token, but masked convolutions "
            "predict each place at its own.",
        ),
        Mistake(
            _sampler(start=lambda uniform: (2 * uniform).long()),
            "You begin with a grid made of the uniform numbers: begin with zeros, as the exercise says. (A causal network would not notice, but this one "
            "looks everywhere.)",
        ),
        Mistake(
            _sampler(seen=lambda values, row, column: values[:1]),
            "The network sees the first grid only, and all others are drawn by its logits: each grid has its own past, so give it the whole batch.",
        ),
    ),
)
