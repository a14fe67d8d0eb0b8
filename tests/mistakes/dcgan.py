"""The bank of notebook dcgan: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from course_utils.gans import dcgan


def initialized(kind, channels):
    def layer():
        return {
            "convolution": lambda: nn.Conv2d(channels, channels + 8, 4),
            "convolution without bias": lambda: nn.Conv2d(channels, channels + 8, 4, bias=False),
            "transposed convolution": lambda: nn.ConvTranspose2d(channels, channels + 8, 4),
            "batch norm": lambda: nn.BatchNorm2d(channels**2),
        }[kind]()

    network = nn.Sequential(layer(), layer(), nn.LeakyReLU(0.2), nn.Linear(3, 2))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    first, second, _, linear = network
    shape, has_bias = first.weight.shape, first.bias is not None
    network.apply(initialize)
    weight = first.weight.detach()
    return {
        "mean": weight.mean().item(),
        "spread": weight.std().item(),
        "within": ((weight - weight.mean()).abs() <= weight.std()).double().mean().item(),
        "bias": 0.0 if first.bias is None else first.bias.abs().max().item(),
        "bias kept": (first.bias is not None) == has_bias,
        "shape kept": first.weight.shape == shape,
        "float32": all(parameter.dtype == torch.float32 for parameter in first.parameters()),
        "learns": all(parameter.requires_grad for parameter in first.parameters()),
        "layers differ": not torch.equal(weight, second.weight.detach()),
        "linear kept": all(bool((parameter == 0.5).all()) for parameter in linear.parameters()),
    }
"""

# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "generator_block": [
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
""",
            "The convolution has a bias",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.ReLU(),
    )
""",
            "Between convolution and activation belongs an `nn.BatchNorm2d(out_channels)`",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    layers = [nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False)]
    layers.append(nn.BatchNorm2d(in_channels))
    layers.append(nn.ReLU())
    return nn.Sequential(*layers)
""",
            "as many channels as the block's *input*",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(out_channels, in_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "The channels are swapped",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "an ordinary convolution, which halves the map",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "The kernel is 3 wide",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.UpsamplingNearest2d(scale_factor=2),
        nn.Conv2d(in_channels, out_channels, 3, padding="same", bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "You repeat pixels and convolve with stride 1",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "The padding is missing",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "The stride is 1",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2, inplace=True),
    )
""",
            "You use a leaky ReLU",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Tanh(),
    )
""",
            "You end the block with a tanh",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(out_channels),
    )
""",
            "The activation comes before the batch norm",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
    )
""",
            "The activation is missing",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return [
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    ]
""",
            "You return a plain list of layers",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Dropout2d(0.5),
    )
""",
            "There is a dropout in your block",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "it makes a NoneType, which is no nn.Module",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, padding=2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "The padding is 2",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, affine=False),
        nn.ReLU(),
    )
""",
            "`affine=False`, or an instance norm",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1),
        nn.BatchNorm2d(out_channels, affine=False),
        nn.ReLU(),
    )
""",
            "`bias=False` belongs to the convolution",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.InstanceNorm2d(out_channels, affine=True),
        nn.ReLU(),
    )
""",
            "(an instance norm)",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.GroupNorm(1, out_channels),
        nn.ReLU(),
    )
""",
            "(a group norm)",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, 0.8),
        nn.ReLU(),
    )
""",
            "is `eps`, not `momentum`",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False).requires_grad_(False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "Some weights of your block learn nothing",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels).eval(),
        nn.ReLU(),
    )
""",
            "is in evaluation mode",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "by name (the sixth argument by position is another one)",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(),
    )
""",
            "with a slope of your own",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )
""",
            "Your ReLU stops at 6",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.GELU(),
    )
""",
            "You end the block with a GELU",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 6, 2, 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
""",
            "The kernel is 6 wide",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Dropout(0.3),
    )
""",
            "There is a dropout in your block",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, track_running_stats=False),
        nn.ReLU(),
    )
""",
            "keeps no running mean and variance",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, momentum=0),
        nn.ReLU(),
    )
""",
            "never learns its running mean and variance",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, momentum=0.9),
        nn.ReLU(),
    )
""",
            "Right in training, but not in evaluation mode",
        ),
        (
            """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, momentum=None),
        nn.ReLU(),
    )
""",
            "Right in training, but not in evaluation mode",
        ),
    ],
    "discriminator_block": [
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "The convolution has a bias",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, affine=False),
        nn.LeakyReLU(0.2),
    )
""",
            "Between convolution and activation belongs an `nn.BatchNorm2d(out_channels)`",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
    )
""",
            "The batch norm stands before the convolution",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "That is a transposed convolution",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
        nn.MaxPool2d(2),
    )
""",
            "And no pooling",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "The stride is 1",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "The padding is missing",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(True),
    )
""",
            "You use a plain ReLU",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(inplace=True),
    )
""",
            "PyTorch's own slope of 0.01",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Sigmoid(),
    )
""",
            "You end the block with a sigmoid",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.BatchNorm2d(out_channels),
    )
""",
            "The activation comes before the batch norm",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    conv = nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))
""",
            "The activation is missing",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False), nn.BatchNorm2d(out_channels), nn.LeakyReLU(0.2)
""",
            "it makes a tuple, which is no nn.Module",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, padding=2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "The padding is 2",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, affine=False),
        nn.LeakyReLU(0.2),
    )
""",
            "`affine=False`, or an instance norm",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1),
        nn.BatchNorm2d(out_channels, affine=False),
        nn.LeakyReLU(0.2),
    )
""",
            "`bias=False` belongs to the convolution",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.InstanceNorm2d(out_channels, affine=True),
        nn.LeakyReLU(0.2),
    )
""",
            "(an instance norm)",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.GroupNorm(1, out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "(a group norm)",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, 0.8),
        nn.LeakyReLU(0.2),
    )
""",
            "is `eps`, not `momentum`",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False).requires_grad_(False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "Some weights of your block learn nothing",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels).eval(),
        nn.LeakyReLU(0.2),
    )
""",
            "is in evaluation mode",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.02),
    )
""",
            "has another slope below zero",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.8),
    )
""",
            "has another slope below zero",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout2d(0.25)),
    )
""",
            "There is a dropout in your block",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 2, 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    )
""",
            "The kernel is 2 wide",
        ),
        (
            """
class Leaky(nn.Module):
    def forward(self, a):
        return torch.min(a, 0.2 * a)

def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        Leaky(),
    )
""",
            "You take the smaller",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.BatchNorm2d(out_channels),
    )
""",
            "and shrinks about half of them",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, track_running_stats=False),
        nn.LeakyReLU(0.2),
    )
""",
            "keeps no running mean and variance",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, momentum=0),
        nn.LeakyReLU(0.2),
    )
""",
            "never learns its running mean and variance",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, momentum=0.9),
        nn.LeakyReLU(0.2),
    )
""",
            "Right in training, but not in evaluation mode",
        ),
        (
            """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels, momentum=None),
        nn.LeakyReLU(0.2),
    )
""",
            "Right in training, but not in evaluation mode",
        ),
    ],
    "initialized": [
        (
            """
def initialize(module):
    raise NotImplementedError()
""",
            "This is not written yet",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0, 0.02**2)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02**2)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
""",
            "that is 0.02 squared, the variance",
        ),
        (
            """
def initialize(module):
    if hasattr(module, "weight"):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
""",
            "You draw all that has weights around 0",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
""",
            "all exactly 1",
        ),
        (
            """
def initialize(module):
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if getattr(module, "bias", None) is not None and isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
        nn.init.zeros_(module.bias)
""",
            "Transposed convolutions stay as they were",
        ),
        (
            """
def initialize(module):
    if "Conv" in type(module).__name__:
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif "BatchNorm" in type(module).__name__:
        nn.init.normal_(module.weight, 1.0, 0.02)
""",
            "The biases stay as they were",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
""",
            "Not every layer has a bias",
        ),
        (
            """
def initialize(module):
    nn.init.normal_(module.weight, 0.0, 0.02)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
""",
            "Not every module has weights",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.normal_(0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        module.weight.normal_(1.0, 0.02)
        module.bias.zero_()
""",
            "may not be changed in place",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight = torch.randn_like(module.weight) * 0.02
    elif isinstance(module, nn.BatchNorm2d):
        module.weight = torch.randn_like(module.weight) * 0.02 + 1
        module.bias = torch.zeros_like(module.bias)
""",
            "a plain tensor in the place of a parameter",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        weight = torch.randn(module.weight.shape) * 0.02
    elif isinstance(module, nn.BatchNorm2d):
        weight = 1 + torch.randn(module.weight.shape) * 0.02
""",
            "Nothing has changed",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.data = (torch.rand_like(module.weight) * 2 - 1) * 0.02
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
""",
            "evenly from -0.02 to 0.02",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
""",
            "0.02 is the *mean* in your call",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
""",
            "Batch norms stay as they were",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.data = torch.from_numpy(np.random.normal(0, 0.02, tuple(module.weight.shape)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        module.weight.data = torch.from_numpy(np.random.normal(1, 0.02, tuple(module.weight.shape)))
        nn.init.zeros_(module.bias)
""",
            "The weights have become float64",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.data = 0.02 * torch.randn(module.in_channels, module.out_channels, 4, 4)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
""",
            "ordinary convolutions have another shape than before",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight = nn.Parameter(0.02 * torch.randn(module.weight.shape), requires_grad=False)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        module.weight = nn.Parameter(1 + 0.02 * torch.randn(module.weight.shape), requires_grad=False)
        nn.init.zeros_(module.bias)
""",
            "The weights no longer require a gradient",
        ),
        (
            """
def initialize(module):
    for parameter in module.parameters():
        parameter.requires_grad = False
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.normal_(0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        module.weight.normal_(1, 0.02)
        nn.init.zeros_(module.bias)
""",
            "The weights no longer require a gradient",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            module.bias = None
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        module.bias = None
""",
            "You take the bias away",
        ),
        (
            """
def initialize(module):
    torch.manual_seed(0)
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
""",
            "Two equal layers begin with the same weights",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
""",
            "You also change linear layers",
        ),
        (
            """
def initialize(module):
    if hasattr(module, "weight") and module.weight is not None:
        nn.init.normal_(module.weight, 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
""",
            "You also change linear layers",
        ),
        (
            """
def initialize(module):
    name = module.__class__.__name__
    if name.find("Conv") != -1:
        nn.init.normal_(module.weight.data, 0.0, 0.02)
    elif name.find("BatchNorm") != -1:
        nn.init.normal_(module.weight.data, 1.0, 0.02)
        nn.init.constant_(module.bias.data, 0)
""",
            "The biases of the convolutions stay as they were",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.normal_(module.bias, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.normal_(module.bias, 0.0, 0.02)
""",
            "The biases are drawn at random",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.data = 0.02 * torch.randn_like(module.weight)
        if module.bias is not None:
            module.bias.data = 0.02 * torch.randn_like(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
""",
            "The biases of the convolutions are drawn at random",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.normal_(module.bias, std=0.02)
""",
            "The shifts (`bias`) of the batch norm are drawn",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.ones_(module.bias)
""",
            "start at 1: they start at 0",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1)
        nn.init.zeros_(module.bias)
""",
            "You leave the standard deviation out",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.data += 0.02 * torch.randn_like(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        module.weight.data += 0.02 * torch.randn_like(module.weight)
        nn.init.zeros_(module.bias)
""",
            "You add to the weights that were there",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        module.weight.data *= 0.02
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
""",
            "You multiply the weights of the convolutions",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.uniform_(module.weight, -0.02, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight, 0.98, 1.02)
        nn.init.zeros_(module.bias)
""",
            "You draw all weights evenly",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02**2)
        nn.init.zeros_(module.bias)
""",
            "The factors of the batch norm spread over 0.0004",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.trunc_normal_(module.weight, 0, 0.02, -0.04, 0.04)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.trunc_normal_(module.weight, 1, 0.02, 0.96, 1.04)
        nn.init.zeros_(module.bias)
""",
            "off at two standard deviations",
        ),
        (
            """
def initialize(module):
    for name, parameter in module.named_parameters(recurse=False):
        if name == "bias":
            parameter.data.zero_()
        else:
            parameter.data.normal_(0.0, 0.02).add_(float(parameter.ndim == 1))
""",
            "You also change linear layers",
        ),
        (
            """
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
""",
            "The factors of the batch norm lie around 0",
        ),
    ],
    "spherical_interpolation": [
        (
            """
def spherical_interpolation(start, end, fractions):
    t = fractions[:, None, None]
    return (1 - t) * start + t * end
""",
            "That is the straight line",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    t = fractions[:, None, None]
    return F.normalize((1 - t) * start + t * end, dim=-1)
""",
            "shorten the points of the straight line to length 1",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None]
    t = fractions[:, None, None]
    return torch.sin(t * angle) / torch.sin(angle) * start + torch.sin((1 - t) * angle) / torch.sin(angle) * end
""",
            "Start and end are swapped",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    start, end = F.normalize(start, dim=-1), F.normalize(end, dim=-1)
    angle = torch.acos((start * end).sum(dim=-1, keepdim=True))
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "Your noises have length 1",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None]
    t = fractions[:, None, None]
    return torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end
""",
            "The division by the sine of the whole angle is missing",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1)[:, None]
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You took the cosine for the angle",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos((start * end).sum(dim=1, keepdim=True))
    t = fractions.view(-1, 1, 1)
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "The dot product is a cosine only for vectors of length 1",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    cosine = (start * end).sum() / (start.norm() * end.norm())
    angle = torch.acos(cosine)
    t = fractions.view(-1, 1, 1)
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "one angle for the whole batch",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos(F.cosine_similarity(start, end, dim=0))
    t = fractions.view(-1, 1, 1)
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "The angle is taken along the batch",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None] * 180 / math.pi
    t = fractions.view(-1, 1, 1)
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "Your angle is in degrees",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None, None]
    t = fractions[None, :, None]
    return (torch.sin((1 - t) * angle) * start[:, None] + torch.sin(t * angle) * end[:, None]) / torch.sin(angle)
""",
            "The batch comes first in your result",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = torch.acos(F.cosine_similarity(start, end, dim=-1))[:, None]
    t = fractions[:, None, None]
    weight = torch.sin(t * angle) / torch.sin(angle)
    return (1 - weight) * start + weight * end
""",
            "You took one minus the end's weight",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    x = torch.lerp(start, end, fractions[:, None, None])
    return F.normalize(x, dim=-1) * start.norm(dim=-1, keepdim=True)
""",
            "You pull the straight line out to the sphere",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    x = torch.lerp(start, end, fractions[:, None, None])
    return F.normalize(x, dim=-1) * math.sqrt(start.shape[-1])
""",
            "You pull the straight line out to the sphere",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()[:, None]
    t = fractions[:, None, None]
    start, end = F.normalize(start, dim=-1), F.normalize(end, dim=-1)
    return math.sqrt(start.shape[-1]) * (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You take the lengths off the noises",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()[:, None]
    t = fractions[:, None, None]
    length = torch.lerp(start.norm(dim=-1, keepdim=True), end.norm(dim=-1, keepdim=True), t)
    start, end = F.normalize(start, dim=-1), F.normalize(end, dim=-1)
    return length * (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You take the lengths off the noises",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos().mean()
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You average the angles of the batch",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()[0]
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "the angle of the first pair for all",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = ((start * end).sum(-1, keepdim=True) / (start.norm() * end.norm())).acos()
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You divide by the lengths of the whole batch",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "The angle lacks its last axis",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()[:, None]
    t = fractions
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "The fractions lack their axes",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()[:, None]
    t = fractions[:, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "The fractions lack an axis",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).clamp(-0.99, 0.99).acos()[:, None]
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "nearly parallel, here 3 degrees apart",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).abs().acos()[:, None]
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You take the absolute value of the cosine",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).clamp(0, 1).acos()[:, None]
    t = fractions[:, None, None]
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "You clamp the cosine to [0, 1]",
        ),
        (
            """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).acos()[:, None]
    t = fractions[:, None, None]
    return (torch.sin(1 - t * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
""",
            "A bracket is missing",
        ),
    ],
    "latent_arithmetic": [
        (
            """
def latent_arithmetic(having, lacking, onto):
    return lacking.mean(dim=0) - having.mean(dim=0) + onto.mean(dim=0)
""",
            "The difference is turned round",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.mean(dim=0) - (lacking.mean(dim=0) + onto.mean(dim=0))
""",
            "You subtract `onto`",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return torch.mean(having, dim=0) - torch.mean(lacking, dim=0)
""",
            "`onto` is missing",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.mean(dim=0) + onto.mean(dim=0)
""",
            "`lacking` is missing",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.sum(dim=0) - lacking.sum(dim=0) + onto.sum(dim=0)
""",
            "You add the exemplars up",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having[0] - lacking[0] + onto[0]
""",
            "You use only the first exemplar of each",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    direction = having.mean(dim=0) - lacking.mean(dim=0)
    return onto + direction
""",
            "`onto` is not averaged",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.mean(0, True) - lacking.mean(0, True) + onto.mean(0, True)
""",
            "You keep the axis of the exemplars",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.mean() - lacking.mean() + onto.mean()
""",
            "You average over everything",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.mean(dim=-1) - lacking.mean(dim=-1) + onto.mean(dim=-1)
""",
            "You average over the numbers of each noise",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having - lacking + onto
""",
            "The exemplars are not averaged",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return (having - lacking + onto).mean(dim=0)
""",
            "have not equally many exemplars",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return F.normalize(having.mean(0) - lacking.mean(0) + onto.mean(0), dim=0)
""",
            "You bring the result to length 1",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having.mean(0) - onto.mean(0) + lacking.mean(0)
""",
            "`onto` and `lacking` are swapped",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return (having.sum(0) - lacking.sum(0) + onto.sum(0)) / having.shape[0]
""",
            "by the number of exemplars of `having`",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return (having.sum(0) - lacking.sum(0) + onto.sum(0)) / 3
""",
            "You divide the sums by 3",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return having[:3].mean(0) - lacking[:3].mean(0) + onto[:3].mean(0)
""",
            "the first three exemplars only",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    n = min(len(having), len(lacking), len(onto))
    return (having[:n] - lacking[:n] + onto[:n]).mean(dim=0)
""",
            "You drop exemplars",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    z = having.mean(0) - lacking.mean(0) + onto.mean(0)
    return z / z.norm() * math.sqrt(len(z))
""",
            "You rescale the result",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    z = having.mean(0) - lacking.mean(0) + onto.mean(0)
    return z * onto.mean(0).norm() / z.norm()
""",
            "You rescale the result",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return F.normalize(having.mean(0) - lacking.mean(0), dim=0) + onto.mean(0)
""",
            "You bring the difference to length 1",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    return torch.cat([having, -lacking, onto]).mean(dim=0)
""",
            "of the three together",
        ),
        (
            """
def latent_arithmetic(having, lacking, onto):
    z = having.double().mean(0) - lacking.double().mean(0) + onto.double().mean(0)
    return z
""",
            "wrong dtype",
        ),
    ],
    "with_label_maps": [
        (
            """
def with_label_maps(images, labels, num_classes):
    batch, _, height, width = images.shape
    label = labels.view(batch, 1, 1, 1).expand(batch, 1, height, width)
    return torch.cat([images, label.float()], dim=1)
""",
            "one map of its number",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).float()
    maps = one_hot[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
    return torch.cat([maps, images], dim=1)
""",
            "The maps come first",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels).float()
    maps = one_hot[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
    return torch.cat([images, maps], dim=1)
""",
            "the largest label of *this batch*",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    maps = torch.zeros(len(images), num_classes, images.shape[2], images.shape[3])
    for i, label in enumerate(labels):
        maps[i, label - 1] = 1
    return torch.cat([images, maps], dim=1)
""",
            "one too early",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).float()
    return torch.cat([images, one_hot], dim=1)
""",
            "have no height and width yet",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).float()
    return torch.cat([images, one_hot[:, :, None, None]], dim=1)
""",
            "The maps are one pixel large",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).float()
    maps = one_hot[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
    return torch.cat([images, maps])
""",
            "You put the maps below the batch",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).float()
    maps = one_hot[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
    return torch.cat([images.detach(), maps], dim=1)
""",
            "You detach the pictures",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes) * 2.0 - 1
    maps = one_hot[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
    return torch.cat([images, maps], dim=1)
""",
            "Your maps are -1",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    return images + labels[:, None, None, None]
""",
            "You added the label to the pixels",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).float()
    return one_hot[:, :, None, None].expand(-1, -1, images.shape[2], images.shape[3])
""",
            "The pictures are missing",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    maps = torch.zeros(len(images), num_classes, *images.shape[2:])
    maps[:, labels] = 1
    return torch.cat([images, maps], dim=1)
""",
            "the labels of the whole batch",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    side = images.shape[-1]
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, side, side)], dim=1)
""",
            "It fails where height and width differ",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    _, _, width, height = images.shape
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, height, width)], dim=1)
""",
            "It fails where height and width differ",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    side = images.shape[2]
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, side, side)], dim=1)
""",
            "your maps have the height for both",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, 32, 32)], dim=1)
""",
            "Your maps have 32 pixels a side",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, 64, 64)], dim=1)
""",
            "Your maps have 64 pixels a side",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    maps = images.new_zeros(len(images), num_classes, *images.shape[2:])
    maps[labels] = 1
    return torch.cat([images, maps], dim=1)
""",
            "fills whole pictures",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=-1)
""",
            "You join along the width",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=2)
""",
            "You join along the height",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, 12).to(images.dtype)
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=1)
""",
            "always 12 maps",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([images[:, :3], one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=1)
""",
            "You keep three channels only",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([images.clamp(-1, 1), one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=1)
""",
            "You clamp the pictures",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.cat([(images + 1) / 2, one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=1)
""",
            "You scale the pictures to [0, 1]",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    batch, channels, height, width = images.shape
    out = torch.zeros(batch, channels + num_classes, height, width)
    out[:, :channels] = images
    out[torch.arange(batch), channels + labels] = 1
    return out
""",
            "You make float32 of everything",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = torch.from_numpy(np.eye(num_classes))[labels]
    return torch.cat([images, one_hot[:, :, None, None].expand(-1, -1, *images.shape[2:])], dim=1)
""",
            "Your maps are float64",
        ),
        (
            """
def with_label_maps(images, labels, num_classes):
    one_hot = F.one_hot(labels, num_classes).to(images.dtype)
    batch, _, height, width = images.shape
    maps = one_hot.repeat(1, height * width).view(batch, num_classes, height, width)
    return torch.cat([images, maps], dim=1)
""",
            "run from map to map",
        ),
    ],
}

RIGHT: dict[str, list[str]] = {
    "generator_block": [
        """
def generator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
""",
        """
def generator_block(in_channels, out_channels):
    block = nn.Sequential()
    block.add_module("up", nn.ConvTranspose2d(in_channels, out_channels, (4, 4), (2, 2), (1, 1), bias=False))
    block.add_module("norm", nn.BatchNorm2d(out_channels))
    block.add_module("activation", nn.LeakyReLU(0.0))
    return block
""",
        """
class Block(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.convolution = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, maps):
        return F.relu(self.norm(self.convolution(maps)))

def generator_block(in_channels, out_channels):
    return Block(in_channels, out_channels)
""",
    ],
    "discriminator_block": [
        """
def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(negative_slope=0.2, inplace=True),
    )
""",
        """
def discriminator_block(in_channels, out_channels):
    layers = [nn.ZeroPad2d(1), nn.Conv2d(in_channels, out_channels, 4, 2, bias=False)]
    layers += [nn.BatchNorm2d(out_channels), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)
""",
        """
class Leaky(nn.Module):
    def forward(self, x):
        return torch.maximum(x, 0.2 * x)

def discriminator_block(in_channels, out_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False), nn.BatchNorm2d(out_channels), Leaky()
    )
""",
    ],
    "initialized": [
        """
def initialize(module):
    name = module.__class__.__name__
    if name.find("Conv") != -1:
        nn.init.normal_(module.weight.data, 0.0, 0.02)
        if module.bias is not None:
            nn.init.constant_(module.bias.data, 0)
    elif name.find("BatchNorm") != -1:
        nn.init.normal_(module.weight.data, 1.0, 0.02)
        nn.init.constant_(module.bias.data, 0)
""",
        """
@torch.no_grad()
def initialize(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)):
        centre = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
        module.weight.copy_(centre + 0.02 * torch.randn(module.weight.shape))
        if module.bias is not None:
            module.bias.zero_()
""",
        """
def initialize(module):
    if not isinstance(module, (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)):
        return
    for name, parameter in module.named_parameters():
        if name == "bias":
            parameter.data.zero_()
        else:
            parameter.data.normal_(0.0, 0.02).add_(float(parameter.ndim == 1))
""",
    ],
    "spherical_interpolation": [
        """
def spherical_interpolation(start, end, fractions):
    cosine = (start * end).sum(dim=-1) / (start.norm(dim=-1) * end.norm(dim=-1))
    angle = torch.arccos(cosine).unsqueeze(-1)
    t = fractions.reshape(-1, 1, 1)
    return torch.sin((1 - t) * angle) / torch.sin(angle) * start + torch.sin(t * angle) / torch.sin(angle) * end
""",
        """
def spherical_interpolation(start, end, fractions):
    angle = F.cosine_similarity(start, end, dim=-1).clamp(-1, 1).acos()
    steps = []
    for t in fractions:
        a, b = ((1 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin()
        steps.append(a[:, None] * start + b[:, None] * end)
    return torch.stack(steps)
""",
        """
def spherical_interpolation(start, end, fractions):
    unit_start, unit_end = F.normalize(start, dim=1), F.normalize(end, dim=1)
    angle = torch.acos(torch.einsum("bd,bd->b", unit_start, unit_end))
    weights = torch.stack([torch.sin(torch.outer(1 - fractions, angle)), torch.sin(torch.outer(fractions, angle))])
    return torch.einsum("ksb,kbd->sbd", weights / angle.sin(), torch.stack([start, end]))
""",
    ],
    "latent_arithmetic": [
        """
def latent_arithmetic(having, lacking, onto):
    return torch.mean(having, 0) - torch.mean(lacking, 0) + torch.mean(onto, 0)
""",
        """
def latent_arithmetic(having, lacking, onto):
    direction = having.mean(dim=0) - lacking.mean(dim=0)
    return (onto + direction).mean(dim=0)
""",
        """
def latent_arithmetic(having, lacking, onto):
    means = [noises.sum(dim=0) / len(noises) for noises in (having, lacking, onto)]
    return means[0] - means[1] + means[2]
""",
    ],
    "with_label_maps": [
        """
def with_label_maps(images, labels, num_classes):
    batch, _, height, width = images.shape
    maps = torch.zeros(batch, num_classes, height, width, dtype=images.dtype, device=images.device)
    maps[torch.arange(batch), labels] = 1
    return torch.cat([images, maps], dim=1)
""",
        """
def with_label_maps(images, labels, num_classes):
    classes = torch.arange(num_classes, device=images.device)
    maps = (labels[:, None] == classes)[:, :, None, None].to(images)
    return torch.cat((images, maps * torch.ones_like(images[:, :1])), 1)
""",
        """
def with_label_maps(images, labels, num_classes):
    codes = torch.eye(num_classes, device=images.device)[labels]
    return torch.hstack([images, codes.view(len(images), num_classes, 1, 1).repeat(1, 1, *images.shape[2:])])
""",
    ],
}
