"""PixelCNN: what it sees by gradients, its likelihood by counting, its cached sampler against the plain loop."""

import itertools
import math

import pytest
import torch

from course_utils.autoencoders import PixelCNN, PixelCNNConfig, pixelcnn
from course_utils.layers import draw_integers, draw_normal, draw_uniform
from course_utils.runtime import generator

KINDS = {
    "plain": {},
    "three layers of kernel 3": {"num_layers": 3, "kernel_size": 3},
    "labels": {"num_classes": 3},
    "condition": {"condition_channels": 5},
    "attention": {"attention_every": 1},
    "everything": {"num_classes": 3, "condition_channels": 5, "attention_every": 2, "num_layers": 3, "kernel_size": 3},
}
EACH = pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)


def build(**settings) -> PixelCNN:
    torch.manual_seed(0)
    config = PixelCNNConfig(**{"num_values": 7, "height": 5, "width": 6, "hidden": 8, "num_layers": 2} | settings)
    model = PixelCNN(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "to_out" in name:  # they start at zero: attention would not show
                parameter.copy_(0.5 * draw_normal(parameter.shape, generator(9)))
    return model


def given(model: PixelCNN, batch: int) -> dict:
    config = model.config
    found = {}
    if config.num_classes:
        found["labels"] = draw_integers(0, config.num_classes, (batch,), generator(4))
    if config.condition_channels:
        found["condition"] = draw_normal((batch, config.condition_channels, config.height, config.width), generator(5))
    return found


def what_is_seen(model: PixelCNN, values: torch.Tensor) -> torch.Tensor:
    """(h, w, h, w) bool: at which values the logits of each place have a gradient."""
    embedded = []
    hook = model.embedding.register_forward_hook(lambda *out: embedded.append(out[-1].retain_grad() or out[-1]))
    logits = model(values, **given(model, len(values)))
    hook.remove()
    seen = torch.zeros(*values.shape[1:], *values.shape[1:], dtype=torch.bool)
    for row, column in itertools.product(*map(range, values.shape[1:])):
        (gradient,) = torch.autograd.grad(logits[:, :, row, column].square().sum(), embedded[0], retain_graph=True)
        seen[row, column] = (gradient != 0).any(dim=3).any(dim=0)
    return seen


@EACH
@pytest.mark.parametrize("size", [(5, 6), (9, 4)])
def test_nothing_later_is_seen_and_everything_earlier_in_the_receptive_field(settings, size):
    model = build(**settings, height=size[0], width=size[1])
    values = draw_integers(0, 7, (2, *size), generator(1))
    seen = what_is_seen(model, values)
    place = torch.arange(size[0] * size[1]).view(size)
    later = place >= place[:, :, None, None]
    assert not (seen & later).any()
    assert seen.equal(model.receptive_field())


def test_the_receptive_field_is_as_large_as_promised():
    """Three layers of kernel 3: four rows above, three columns aside; four places to the left in its own row."""
    model = build(num_layers=3, kernel_size=3, height=9, width=11)
    field = model.receptive_field()[6, 5]
    assert field.any(dim=1).tolist() == [False, False, True, True, True, True, True, False, False]
    assert field[5].tolist() == [False, False, *[True] * 7, False, False]
    assert field[6].tolist() == [False, *[True] * 4, *[False] * 6]


def test_masked_convolutions_alone_have_a_blind_spot_and_two_stacks_have_none():
    layers = [pixelcnn.MaskedConvolution(1, 1, 3, kind) for kind in "ABBB"]
    for layer in layers:
        torch.nn.init.ones_(layer.weight)
    pictures = torch.zeros(1, 1, 9, 9, requires_grad=True)
    features = pictures
    for layer in layers:
        features = layer(features)
    (gradient,) = torch.autograd.grad(features[0, 0, 6, 4], pictures)
    seen = gradient[0, 0] != 0
    assert seen[3].tolist() == [True] * 8 + [False]
    assert not seen[4, 7] and not seen[5, 6], "the blind spot to the right above"
    assert not seen[6, 4:].any() and not seen[7:].any()
    ours = build(num_layers=4, kernel_size=3, height=9, width=9).receptive_field()[6, 4]
    assert ours[4, 7] and ours[5, 6]


def test_masks_are_those_of_the_paper():
    assert pixelcnn.causal_mask(3, "A").tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert pixelcnn.causal_mask(3, "B").tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert pixelcnn.causal_mask(5, "A").sum() == 12
    for size, kind in ((4, "A"), (3, "C")):
        with pytest.raises(ValueError, match="'A' or 'B'"):
            pixelcnn.causal_mask(size, kind)


@EACH
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_the_cached_sampler_equals_the_plain_loop(settings, temperature):
    model = build(**settings)
    conditions = given(model, 6)
    cached = model.sample(6, generator(3), temperature=temperature, **conditions)
    uniform = draw_uniform(cached.shape, generator(3))
    assert cached.equal(pixelcnn.sample_plainly(lambda values: model(values, **conditions), uniform, temperature))
    assert len(cached.unique()) > 3


def test_sampling_computes_nothing_twice(monkeypatch):
    """The vertical stack moves on once a row, the horizontal one once a pixel, and the whole network never runs."""
    calls = {"next_row": 0, "next_pixel": 0, "forward": 0}
    for name in calls:
        original = getattr(pixelcnn.GatedLayer, name)

        def counted(*args, name=name, original=original):
            calls[name] += 1
            return original(*args)

        monkeypatch.setattr(pixelcnn.GatedLayer, name, counted)
    build(num_layers=3, height=5, width=6).sample(2, generator(0))
    assert calls == {"next_row": 3 * 5, "next_pixel": 3 * 5 * 6, "forward": 0}


def test_probabilities_of_all_grids_add_up_to_one_and_samples_follow_them():
    model = build(num_values=2, height=2, width=3)
    every = torch.tensor(list(itertools.product((0, 1), repeat=6))).view(-1, 2, 3)
    with torch.no_grad():
        probabilities = model.log_likelihood(every).double().exp()
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    drawn = model.sample(20_000, generator(0)).flatten(1) @ torch.tensor([32, 16, 8, 4, 2, 1])
    shares = torch.bincount(drawn, minlength=64).double() / len(drawn)
    deviations = (shares - probabilities) / (probabilities * (1 - probabilities) / len(drawn)).sqrt()
    assert deviations.abs().max() < 4.5


def test_loss_is_in_nats_a_value_and_bits_per_dimension_in_bits():
    model = build()
    with torch.no_grad():
        for parameter in model.head[-1].parameters():
            parameter.zero_()  # every value equally likely
    values = draw_integers(0, 7, (3, 5, 6), generator(1))
    assert model.loss(values).item() == pytest.approx(math.log(7))
    nats = model.log_likelihood(values)
    assert nats.tolist() == pytest.approx([-30 * math.log(7)] * 3)
    assert pixelcnn.bits_per_dimension(nats, 30).tolist() == pytest.approx([math.log2(7)] * 3)


def test_choosing_takes_the_value_in_whose_share_the_number_falls():
    logits = torch.tensor([0.5, 0.2, 0.3]).log().expand(5, 3)
    assert pixelcnn.choose(logits, torch.tensor([0.0, 0.49, 0.51, 0.71, 1 - 2**-24])).tolist() == [0, 0, 1, 2, 2]
    certain = torch.tensor([[-1e9, 0.0, -1e9]])
    assert pixelcnn.choose(certain, torch.tensor([0.0])).item() == 1, "a value without probability is never drawn"


def test_wrong_inputs_are_named():
    plain, labelled = build(), build(num_classes=3)
    values = torch.zeros(2, 5, 6, dtype=torch.int64)
    for call, words in [
        (lambda: plain(values[:, :4]), "5 x 6"),
        (lambda: plain(values, torch.zeros(2, dtype=torch.int64)), "labels of shape None"),
        (lambda: labelled(values), r"labels of shape \(2,\), got None"),
        (lambda: labelled.sample(3, labels=torch.zeros(2, dtype=torch.int64)), r"labels of shape \(3,\)"),
        (lambda: plain.sample(1, temperature=0.0), "temperature is 0"),
        (lambda: build(kernel_size=4), "odd"),
        (lambda: build(attention_every=1, num_heads=3), "multiple of num_heads"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
