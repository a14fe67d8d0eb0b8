"""The bank of notebook pix2pix: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones.

Each entry is source, as it would stand in a notebook below `SETUP`.
"""

SETUP = """
import math
from itertools import pairwise
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""

LAYERS = """
class UNet(nn.Module):
    def __init__(self, in_channels, out_channels, width, depth):
        super().__init__()
        widths = [width * 2**level for level in range(depth)]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level, (taken, given) in enumerate(pairwise((in_channels, *widths))):
            norm = nn.BatchNorm2d(given) if 0 < level < depth - 1 else nn.Identity()
            self.encoder.append(nn.Sequential(nn.Conv2d(taken, given, 4, stride=2, padding=1), norm, nn.LeakyReLU(0.2)))
        for level, (given, taken) in reversed(list(enumerate(pairwise((out_channels, *widths))))):
            taken = taken if level == depth - 1 else 2 * taken
            end = [nn.BatchNorm2d(given), nn.ReLU()] if level else [nn.Tanh()]
            self.decoder.append(nn.Sequential(nn.ConvTranspose2d(taken, given, 4, stride=2, padding=1), *end))
"""

WAY_IN = (
    LAYERS
    + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
)
WAY_BACK = """        x = self.decoder[0](seen.pop())
        for layer in self.decoder[1:]:
            x = layer(torch.cat([seen.pop(), x], dim=1))
"""
FORWARD = LAYERS + "\n    def forward(self, images):\n"

D_LOSS = "def discriminator_loss(discriminator, inputs, targets, answers):\n"
G_LOSS = "def generator_loss(discriminator, inputs, targets, answers, l1_weight=100.0):\n"
D_REAL = D_LOSS + "    real = discriminator(torch.cat([inputs, targets], dim=1))\n"
D_PAIRS = D_REAL + "    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))\n"
D_RETURN = "    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())\n"
G_JUDGED = G_LOSS + "    judged = F.softplus(-discriminator(torch.cat([inputs, answers], dim=1))).mean()\n"
G_RETURN = "    return judged + l1_weight * F.l1_loss(answers, targets)\n"
FIELD = "def receptive_field(layers):\n"
DROP = "def drop(features, uniform, rate):\n"

# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "unet": [
        (
            LAYERS
            + """
    def forward(self, images):
        features = images
        for layer in self.encoder:
            features = layer(features)
        for layer in self.decoder:
            features = layer(features)
        return features
""",
            "gets half of the channels",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        seen = seen[:-1][::-1]
        x = self.decoder[0](x)
        for layer, skip in zip(self.decoder[1:], seen):
            x = layer(x + skip)
        return x
""",
            "Adding the two",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        for layer in self.decoder:
            x = layer(torch.cat([seen.pop(), x], dim=1))
        return x
""",
            "the innermost layer has no skip",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        seen.pop()
        for number, layer in enumerate(self.decoder):
            if number > 0:
                x = torch.cat((x, seen.pop()), 1)
            x = layer(x)
        return x
""",
            "in the other order",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        for number, layer in enumerate(self.decoder):
            if number > 0:
                x = torch.cat((seen[number - 1], x), 1)
            x = layer(x)
        return x
""",
            "in the encoder's own order",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        x = self.decoder[0](x)
        for layer in self.decoder[1:]:
            x = layer(torch.cat((seen.pop(), x), 1))
        return x
""",
            "the bottleneck itself is still in your list",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x.detach())
        seen.pop()
        x = self.decoder[0](x)
        for layer in self.decoder[1:]:
            x = layer(torch.cat((seen.pop(), x), 1))
        return x
""",
            "The skips are detached",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        seen.pop()
        x = self.decoder[0](x)
        for layer in self.decoder[1:]:
            x = layer(torch.cat((seen.pop(), x), 1))
        return torch.tanh(x)
""",
            "ends with one already",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        with torch.no_grad():
            for layer in self.encoder:
                x = layer(x)
                seen.append(x)
        seen.pop()
        x = self.decoder[0](x)
        for layer in self.decoder[1:]:
            x = layer(torch.cat((seen.pop(), x), 1))
        return x
""",
            "under torch.no_grad()",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        bottleneck = seen.pop()
        x = self.decoder[0](x)
        for layer in self.decoder[1:]:
            x = layer(torch.cat((seen.pop(), x), 1))
        return x, bottleneck
""",
            "here the answer only",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
        seen.pop()
        x = self.decoder[0](x)
        for layer in self.decoder[1:]:
            skip = seen.pop()
            x = layer(torch.cat((x, x), 1))
        return x
""",
            "to themselves",
        ),
        (
            LAYERS
            + """
    def forward(self, images):
        x = images
        for layer in self.encoder:
            x = layer(x)
        return x
""",
            "the decoder has still to make a picture",
        ),
        (
            FORWARD
            + """
        if not hasattr(self, "skips"):
            self.skips = []
        for layer in self.encoder:
            images = layer(images)
            self.skips.append(images)
        x = self.decoder[0](images)
        for i, layer in enumerate(self.decoder[1:]):
            x = layer(torch.cat([self.skips[len(self.encoder) - 2 - i], x], 1))
        return x
""",
            "You keep the skips on `self`",
        ),
        (
            FORWARD
            + """
        if not hasattr(self, "seen"):
            self.seen = []
            for layer in self.encoder:
                images = layer(images)
                self.seen.append(images)
        seen = list(self.seen)
"""
            + WAY_BACK
            + """        return x
""",
            "You keep the skips on `self`",
        ),
        (
            WAY_IN
            + WAY_BACK
            + """
        return x.squeeze()
""",
            "a batch of one stays a batch",
        ),
        (
            WAY_IN
            + WAY_BACK
            + """
        return x.squeeze(0)
""",
            "a batch of one stays a batch",
        ),
        (
            WAY_IN
            + WAY_BACK
            + """
        side = images.shape[-1]
        return x.reshape(len(images), -1, side, side)
""",
            "You take one side for both",
        ),
        (
            WAY_IN
            + """
        x = self.decoder[0](seen.pop())
        for layer in self.decoder[1:]:
            skip = seen.pop()
            skip = skip.reshape(len(x), -1, x.shape[3], x.shape[2])
            x = layer(torch.cat([skip, x], dim=1))
        return x
""",
            "torch.cat joins along one dimension",
        ),
        (
            FORWARD
            + """
        self.train()
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "You switch to training mode inside of forward",
        ),
        (
            FORWARD
            + """
        self.eval()
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "You switch to evaluation mode inside of forward",
        ),
        (
            FORWARD
            + """
        def upto(number):
            x = images
            for layer in self.encoder[:number]:
                x = layer(x)
            return x

        depth = len(self.encoder)
        x = self.decoder[0](upto(depth))
        for i, layer in enumerate(self.decoder[1:], 1):
            x = layer(torch.cat([upto(depth - i), x], dim=1))
        return x
""",
            "You run the encoder anew for each skip",
        ),
        (
            FORWARD
            + """
        return torch.cat([self.one(image[None]) for image in images])

    def one(self, images):
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "You send the pictures through one at a time",
        ),
        (
            FORWARD
            + """
        outer = self.encoder[0](images)
        middle = self.encoder[1](outer)
        x = self.decoder[0](self.encoder[2](middle))
        x = self.decoder[1](torch.cat([middle, x], dim=1))
        return self.decoder[2](torch.cat([outer, x], dim=1))
""",
            "You wrote the three layers of the diagram",
        ),
        (
            WAY_IN
            + """
        x = torch.cat([seen[-2], self.decoder[0](seen[-1])], dim=1)
        for i in range(1, len(self.decoder) - 1):
            x = torch.cat([seen[-2 - i], self.decoder[i](x)], dim=1)
        return self.decoder[-1](x)
""",
            "With one halving there is no skip at all",
        ),
        (
            WAY_IN
            + """
        x = self.decoder[0](seen.pop())
        for layer in self.decoder[1:-1]:
            x = layer(torch.cat([seen.pop(), x], dim=1))
        return x
""",
            "The last layer of the decoder is missing",
        ),
        (
            FORWARD
            + """
        x, seen = images, []
        for layer in self.encoder:
            x = F.relu(layer(x))
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "You put an activation where none is asked for",
        ),
        (
            WAY_IN
            + """
        x = self.decoder[0](seen.pop())
        for layer in self.decoder[1:]:
            x = layer(F.relu(torch.cat([seen.pop(), x], dim=1)))
        return x
""",
            "You put an activation where none is asked for",
        ),
        (
            WAY_IN
            + WAY_BACK
            + """
        return torch.sigmoid(x)
""",
            "You put an activation where none is asked for",
        ),
        (
            WAY_IN
            + WAY_BACK
            + """
        return x.clamp(0, 1)
""",
            "You cut the answer off at 0",
        ),
        (
            WAY_IN
            + """
        x = self.decoder[0](seen.pop())
        for layer in self.decoder[1:]:
            x = layer(torch.stack([seen.pop(), x], dim=2).flatten(1, 2))
        return x
""",
            "You alternate the channels",
        ),
        (
            FORWARD
            + """
        images *= 2
        images -= 1
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "You overwrite `images`",
        ),
        (
            FORWARD
            + """
        images *= 0.5
        x, seen = images, []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "Your code changes the argument of forward in place",
        ),
        (
            FORWARD
            + """
        x, seen = images[:1], []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
            + WAY_BACK
            + """        return x
""",
            "You answer the first picture only",
        ),
        (
            WAY_IN
            + WAY_BACK
            + """
        return torch.from_numpy(x.detach().numpy())
""",
            "detach() or NumPy",
        ),
        (
            LAYERS.replace("if 0 < level < depth - 1 else nn.Identity()", "")
            + WAY_IN.removeprefix(LAYERS)
            + WAY_BACK
            + """
        return x
""",
            "You changed `__init__`",
        ),
    ],
    "receptive_field": [
        (
            FIELD
            + """
    size = 1
    for kernel, stride in layers:
        size = (size - 1) * stride + kernel
    return size
""",
            "from the first to the last",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = size * stride + kernel
    return size
""",
            "The -1 is missing",
        ),
        (
            FIELD
            + """
    size = 0
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size
""",
            "You start with 0",
        ),
        (
            FIELD
            + """
    return 1 + sum(kernel - 1 for kernel, stride in layers)
""",
            "You leave the strides out",
        ),
        (
            FIELD
            + """
    total = 1
    for kernel, stride in layers:
        total *= stride
    return total
""",
            "You multiply the strides only",
        ),
        (
            FIELD
            + """
    return math.prod(kernel for kernel, _ in layers)
""",
            "You multiply the kernels",
        ),
        (
            FIELD
            + """
    size = 1
    for stride, kernel in reversed(layers):
        size = (size - 1) * stride + kernel
    return size
""",
            "Kernel and stride are swapped",
        ),
        (
            FIELD
            + """
    return sum(kernel for kernel, _ in layers)
""",
            "You add up the kernels",
        ),
        (
            FIELD
            + """
    size, jump = 1, 1
    for kernel, stride in layers:
        jump = jump * stride
        size = size + (kernel - 1) * jump
    return size
""",
            "own stride comes too early",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in layers[::-1]:
        size = (size - 1) * stride + kernel
    return size * size
""",
            "one side of the square",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in layers[-2::-1]:
        size = (size - 1) * stride + kernel
    return size
""",
            "The last layer is left out",
        ),
        (
            FIELD
            + """
    size = 1
    for i in range(len(layers) - 1, 0, -1):
        kernel, stride = layers[i]
        size = (size - 1) * stride + kernel
    return size
""",
            "The first layer is left out",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = size * stride + kernel - 1
    return size
""",
            "brackets first",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = size - 1 * stride + kernel
    return size
""",
            "only the stride is subtracted",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + 4
    return size
""",
            "the same kernel for all layers",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + layers[0][0]
    return size
""",
            "the same kernel for all layers",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel - 2
    return size
""",
            "it does not make it smaller",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + max(kernel, stride)
    return size
""",
            "without max() or if",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = size * stride + max(kernel - stride, 0)
    return size
""",
            "without max() or if",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
        return size
""",
            "inside of the loop",
        ),
        (
            FIELD
            + """
    size = layers[-1][0]
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size
""",
            "The last layer is counted twice",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in sorted(layers, key=lambda layer: layer[1]):
        size = (size - 1) * stride + kernel
    return size
""",
            "You sort the layers",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(sorted(set(layers))):
        size = (size - 1) * stride + kernel
    return size
""",
            "a set knows neither",
        ),
        (
            FIELD
            + """
    size = 1
    for i in range(len(layers) - 1, -1, -1):
        size = (size - 1) * layers[i - 1][1] + layers[i][0]
    return size
""",
            "the stride of its neighbour",
        ),
        (
            FIELD
            + """
    size = 256
    for kernel, stride in layers:
        size = (size + 2 - kernel) // stride + 1
    return size
""",
            "You compute the size of an output",
        ),
        (
            FIELD
            + """
    layers = list(layers).reverse()
    size = 1
    for kernel, stride in layers:
        size = (size - 1) * stride + kernel
    return size
""",
            "returns None",
        ),
        (
            FIELD
            + """
    size = 1
    for kernel, stride in reversed(layers):
        if kernel == 1:
            continue
        size = (size - 1) * stride + kernel
    return size
""",
            "their stride counts all the same",
        ),
    ],
    "discriminator_loss": [
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return (of_real + of_fake) / 2
""",
            "The gradient reaches the generator",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    return F.softplus(-real).mean() + F.softplus(fake).mean()
""",
            "The factor 1/2 is missing",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    of_real = F.binary_cross_entropy_with_logits(real, torch.zeros_like(real))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    return 0.5 * (of_real + of_fake)
""",
            "The targets are swapped",
        ),
        (
            D_LOSS
            + """
    real, fake = discriminator(targets), discriminator(answers.detach())
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "gets one picture",
        ),
        (
            D_LOSS
            + """
    real, fake = discriminator(inputs, targets), discriminator(inputs, answers.detach())
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "You call the discriminator with two pictures",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([targets, inputs], dim=1))
    fake = discriminator(torch.cat([answers.detach(), inputs], dim=1))
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "stands before its input",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets]))
    fake = discriminator(torch.cat([inputs, answers.detach()]))
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "You join along the batch",
        ),
        (
            D_LOSS
            + """
    real = torch.sigmoid(discriminator(torch.cat([inputs, targets], dim=1)))
    fake = torch.sigmoid(discriminator(torch.cat([inputs, answers.detach()], dim=1)))
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * (of_real + of_fake)
""",
            "puts another",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    of_real = F.binary_cross_entropy(real, torch.ones_like(real))
    of_fake = F.binary_cross_entropy(fake, torch.zeros_like(fake))
    return 0.5 * (of_real + of_fake)
""",
            "wants probabilities",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    ones = torch.ones_like(real)
    return 0.5 * (F.binary_cross_entropy_with_logits(real, ones) + F.binary_cross_entropy_with_logits(fake, ones))
""",
            "Both terms draw to 1",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    return 0.5 * (F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean())
""",
            "The sign is turned",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    return 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())
""",
            "as CycleGAN will",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real), reduction="sum")
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake), reduction="sum")
    return 0.5 * (of_real + of_fake)
""",
            "You summed over patches and pictures",
        ),
        (
            D_LOSS
            + """
    with torch.no_grad():
        real = discriminator(torch.cat([inputs, targets], dim=1))
        fake = discriminator(torch.cat([inputs, answers], dim=1))
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "cut off from the graph",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers], dim=1)).detach()
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "what the discriminator *says* of the made pairs",
        ),
        (
            D_LOSS
            + """
    with torch.no_grad():
        fake = discriminator(torch.cat([inputs, answers], dim=1))
    real = discriminator(torch.cat([inputs, targets], dim=1))
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * of_real + 0.5 * of_fake
""",
            "what the discriminator *says* of the made pairs",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1)).detach()
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
""",
            "what the discriminator *says* of the true pairs",
        ),
        (
            D_LOSS
            + """
    discriminator.eval()
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
"""
            + D_RETURN,
            "You put the discriminator into evaluation mode",
        ),
        (
            D_REAL
            + """
    discriminator.eval()
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    discriminator.train()
"""
            + D_RETURN,
            "by its batch norm alone",
        ),
        (
            D_PAIRS
            + """
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    return 0.5 * (torch.log(real).mean() + torch.log(1 - fake).mean())
""",
            "The sign is turned",
        ),
        (
            D_PAIRS
            + """
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    return -0.5 * (torch.log(real).mean() + torch.log(1 - fake).mean())
""",
            "where the discriminator is sure",
        ),
        (
            D_PAIRS
            + """
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    return -0.5 * ((real + 1e-8).log().mean() + (1 - fake + 1e-8).log().mean())
""",
            "where the discriminator is sure",
        ),
        (
            D_PAIRS
            + """
    real, fake = torch.sigmoid(real).clamp(1e-6, 1 - 1e-6), torch.sigmoid(fake).clamp(1e-6, 1 - 1e-6)
    return -0.5 * (real.log().mean() + (1 - fake).log().mean())
""",
            "where the discriminator is sure",
        ),
        (
            D_PAIRS
            + """
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    of_real = F.binary_cross_entropy(real, torch.ones_like(real))
    return 0.5 * (of_real + F.binary_cross_entropy(fake, torch.zeros_like(fake)))
""",
            "where the discriminator is sure",
        ),
        (
            D_PAIRS
            + """
    loss = 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
    loss.backward(retain_graph=True)
    return loss
""",
            "You call backward() or zero_grad()",
        ),
        (
            D_PAIRS
            + """
    loss = 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())
    loss.backward()
    return loss
""",
            "You call backward() or zero_grad()",
        ),
        (
            D_LOSS
            + """
    discriminator.zero_grad()
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
"""
            + D_RETURN,
            "You call backward() or zero_grad()",
        ),
        (
            D_PAIRS
            + """
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean().item())
""",
            "says* of the made pairs",
        ),
        (
            D_REAL
            + """
    import copy

    fake = copy.deepcopy(discriminator)(torch.cat([inputs, answers.detach()], dim=1))
"""
            + D_RETURN,
            "says* of the made pairs",
        ),
        (
            D_REAL
            + """
    discriminator.requires_grad_(False)
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    discriminator.requires_grad_(True)
"""
            + D_RETURN,
            "says* of the made pairs",
        ),
        (
            D_REAL
            + """
    fake = discriminator(torch.cat([answers.detach(), inputs], dim=1))
"""
            + D_RETURN,
            "In your made pair the answer comes first",
        ),
        (
            D_PAIRS
            + """
    of_real = F.binary_cross_entropy_with_logits(torch.ones_like(real), real)
    of_fake = F.binary_cross_entropy_with_logits(torch.zeros_like(fake), fake)
    return 0.5 * (of_real + of_fake)
""",
            "first the logits",
        ),
        (
            D_PAIRS
            + """
    real, fake = real.sigmoid().mean(), fake.sigmoid().mean()
    return -0.5 * (real.log() + (1 - fake).log())
""",
            "You averaged D before the logarithm",
        ),
        (
            D_PAIRS
            + """
    real, fake = real.sigmoid().mean((1, 2, 3)), fake.sigmoid().mean((1, 2, 3))
    return -0.5 * (real.log() + (1 - fake).log()).mean()
""",
            "You averaged D before the logarithm",
        ),
        (
            D_PAIRS
            + """
    return 0.5 * (F.softplus(-real).mean((1, 2, 3)).sum() + F.softplus(fake).mean((1, 2, 3)).sum())
""",
            "You summed over the batch",
        ),
        (
            D_PAIRS
            + """
    logits = torch.cat([real, fake])
    labels = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    return 0.5 * F.binary_cross_entropy_with_logits(logits, labels)
""",
            "The factor 1/2 is there twice",
        ),
        (
            D_PAIRS
            + """
    real, fake = real[:, :, 0, 0], fake[:, :, 0, 0]
"""
            + D_RETURN,
            "You look at one patch only",
        ),
        (
            D_PAIRS
            + """
    real, fake = real[0], fake[0]
"""
            + D_RETURN,
            "You look at the first picture only",
        ),
        (
            D_PAIRS
            + """
    of_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * (of_real + of_fake)
""",
            "You smooth the target of the true pairs",
        ),
        (
            D_PAIRS
            + """
    return F.softplus(fake - real).mean()
""",
            "relativistic",
        ),
        (
            D_REAL
            + """
    fake = discriminator(torch.cat([targets, answers.detach()], dim=1))
"""
            + D_RETURN,
            "in place of the *input*",
        ),
        (
            D_REAL
            + """
    fake = discriminator(torch.cat([inputs, targets.detach()], dim=1))
"""
            + D_RETURN,
            "Your made pair holds `targets`",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=-1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=-1))
"""
            + D_RETURN,
            "You join along the width",
        ),
        (
            D_PAIRS
            + """
    return 0.5 * (F.softplus(-real) + F.softplus(fake))
""",
            "a scalar is asked for",
        ),
        (
            D_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets.detach()], dim=1))
    fake = discriminator(torch.cat([inputs, answers], dim=1))
"""
            + D_RETURN,
            "detach() the *answers* (not the targets)",
        ),
        (
            D_LOSS
            + """
    inputs *= 0.5
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
"""
            + D_RETURN,
            "Your code changes `inputs` in place",
        ),
    ],
    "generator_loss": [
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    return F.softplus(-fake).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "that belongs to the discriminator's loss",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake)) + F.l1_loss(answers, targets)
""",
            "`l1_weight` is not used",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    adversarial = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return adversarial + l1_weight * F.l1_loss(answers, targets)
""",
            "that is what the *discriminator* wants",
        ),
        (
            G_LOSS
            + """
    probability = torch.sigmoid(discriminator(torch.cat([inputs, answers], dim=1)))
    return torch.log(1 - probability).mean() + l1_weight * (answers - targets).abs().mean()
""",
            "You minimise log(1 - D)",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.softplus(-fake).mean() + l1_weight * F.mse_loss(answers, targets)
""",
            "You squared the differences",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.softplus(-fake).mean() + l1_weight * (answers - targets).abs().sum()
""",
            "You summed the differences over everything",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(answers)
    return F.softplus(-fake).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "gets one picture",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return l1_weight * F.softplus(-fake).mean() + F.l1_loss(answers, targets)
""",
            "stands at the GAN term",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.softplus(-fake).mean() + l1_weight * (answers - targets).mean()
""",
            "You forgot the absolute value",
        ),
        (
            G_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    return F.softplus(-real).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "looks at the true pair",
        ),
        (
            G_LOSS
            + """
    return l1_weight * F.l1_loss(answers, targets)
""",
            "The GAN term is missing",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
""",
            "The L1 term is missing",
        ),
        (
            G_LOSS
            + """
    for parameter in discriminator.parameters():
        parameter.requires_grad = False
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.softplus(-fake).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "and leave them off",
        ),
        (
            G_LOSS
            + """
    with torch.no_grad():
        fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.softplus(-fake).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "the generator learns *through* the discriminator",
        ),
        (
            G_LOSS
            + """
    fake = discriminator(torch.cat([answers, inputs], dim=1))
    return F.softplus(-fake).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "stands before its input",
        ),
        (
            G_LOSS
            + """
    discriminator.eval()
    judged = F.softplus(-discriminator(torch.cat([inputs, answers], dim=1))).mean()
"""
            + G_RETURN,
            "You put the discriminator into evaluation mode",
        ),
        (
            G_LOSS
            + """
    discriminator.eval()
    judged = F.softplus(-discriminator(torch.cat([inputs, answers], dim=1))).mean()
    discriminator.train()
"""
            + G_RETURN,
            "You put the discriminator into evaluation mode",
        ),
        (
            G_LOSS
            + """
    probability = torch.sigmoid(discriminator(torch.cat([inputs, answers], dim=1)))
    loss = -probability.log().mean()
    loss += l1_weight * (answers - targets).abs().flatten(1).mean(1).mean()
    return loss
""",
            "where the discriminator is sure",
        ),
        (
            G_LOSS
            + """
    probability = torch.sigmoid(discriminator(torch.cat([inputs, answers], dim=1)))
    return -(probability + 1e-8).log().mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "where the discriminator is sure",
        ),
        (
            G_JUDGED
            + """
    loss = judged + l1_weight * F.l1_loss(answers, targets)
    loss.backward(retain_graph=True)
    return loss
""",
            "You call backward() or zero_grad()",
        ),
        (
            G_LOSS
            + """
    discriminator.zero_grad()
    judged = F.softplus(-discriminator(torch.cat([inputs, answers], dim=1))).mean()
"""
            + G_RETURN,
            "You call backward() or zero_grad()",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * F.l1_loss(answers.detach(), targets)
""",
            "The L1 term is cut off",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * F.l1_loss(answers, targets).item()
""",
            "The L1 term is cut off",
        ),
        (
            G_JUDGED
            + """
    with torch.no_grad():
        distance = F.l1_loss(answers, targets)
    return judged + l1_weight * distance
""",
            "The L1 term is cut off",
        ),
        (G_JUDGED.replace("100.0", "10.0") + G_RETURN, "You changed the default"),
        (
            G_JUDGED
            + """
    return judged + (l1_weight or 100) * F.l1_loss(answers, targets)
""",
            "A weight of 0 is a weight",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * (answers - targets).abs().sum(1).mean()
""",
            "over the channels",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * (targets - answers).mean()
""",
            "You forgot the absolute value",
        ),
        (
            G_LOSS
            + """
    probability = torch.sigmoid(discriminator(torch.cat([inputs, answers], dim=1)))
    return torch.log(probability).mean() + l1_weight * F.l1_loss(answers, targets)
""",
            "The sign of the GAN term is turned",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * (answers - targets).mean().abs()
""",
            "have cancelled by then",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * torch.norm(targets - answers)
""",
            "the Euclidean norm",
        ),
        (
            G_JUDGED
            + """
    return (judged + l1_weight * F.l1_loss(answers, targets)) / (1 + l1_weight)
""",
            "You divide by the sum of the weights",
        ),
        (
            G_JUDGED
            + """
    return 0.5 * (judged + l1_weight * F.l1_loss(answers, targets))
""",
            "at the whole loss",
        ),
        (
            G_LOSS
            + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    of_discriminator = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    return l1_weight * F.l1_loss(answers, targets) - of_discriminator
""",
            "You took minus the discriminator's loss",
        ),
        (
            G_LOSS
            + """
    judged = F.softplus(-discriminator(torch.cat([inputs, answers], dim=1))).sum((1, 2, 3)).mean()
"""
            + G_RETURN,
            "You summed over the patches of a picture",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * F.l1_loss(answers, targets) / len(answers)
""",
            "once too often",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * F.l1_loss(answers[0], targets[0])
""",
            "the first picture only",
        ),
        (
            G_JUDGED
            + """
    return judged + l1_weight * F.l1_loss((answers + 1) / 2, (targets + 1) / 2)
""",
            "do not rescale them",
        ),
        (
            G_JUDGED
            + """
    return judged, l1_weight * F.l1_loss(answers, targets)
""",
            "add them",
        ),
        (
            G_LOSS
            + """
    judged = F.softplus(-discriminator(torch.cat([targets, answers], dim=1))).mean()
"""
            + G_RETURN,
            "in place of the *input*",
        ),
        (
            G_LOSS
            + """
    pairs = torch.cat([torch.cat([inputs, targets], dim=1), torch.cat([inputs, answers], dim=1)])
    judged = F.softplus(-discriminator(pairs)[len(inputs) :]).mean()
"""
            + G_RETURN,
            "along with the made ones",
        ),
        (
            G_LOSS
            + """
    judged = -discriminator(torch.cat([inputs, answers], dim=1)).sigmoid().mean().log()
"""
            + G_RETURN,
            "You averaged D before the logarithm",
        ),
        (
            G_JUDGED
            + """
    with torch.no_grad():
        targets.clamp_(-0.5, 0.5)
"""
            + G_RETURN,
            "Your code changes `targets` in place",
        ),
    ],
    "drop": [
        (
            DROP
            + """
    return features * (uniform > rate).float()
""",
            "You do not scale up what is left",
        ),
        (
            DROP
            + """
    return features * (uniform < rate) / (1 - rate)
""",
            "You keep what should be dropped",
        ),
        (
            DROP
            + """
    kept = uniform < 1 - rate
    return kept * features / (1 - rate)
""",
            "but others",
        ),
        (
            DROP
            + """
    return F.dropout(features, p=rate, training=True)
""",
            "You let F.dropout draw its own numbers",
        ),
        (
            DROP
            + """
    features[uniform < rate] = 0.0
    return features / (1 - rate)
""",
            "You overwrite the features in place",
        ),
        (
            DROP
            + """
    return features * uniform
""",
            "You multiply by the numbers themselves",
        ),
        (
            DROP
            + """
    return features + uniform
""",
            "You add the noise",
        ),
        (
            DROP
            + """
    return torch.where(uniform < 0.5, 0.0, 2 * features)
""",
            "You have put 0.5 in by hand",
        ),
        (
            DROP
            + """
    return torch.where(uniform >= rate, features * (1 - rate), 0.0)
""",
            "You scale down in place of up",
        ),
        (
            DROP
            + """
    with torch.no_grad():
        return features * (uniform >= rate) / (1 - rate)
""",
            "no gradient gets through",
        ),
        (
            DROP
            + """
    mask = (uniform >= rate)[:, :, 0, 0]
    return features * mask[:, :, None, None] / (1 - rate)
""",
            "You drop whole channels",
        ),
        (
            DROP
            + """
    return features * (uniform > rate) / (1 - rate)
""",
            "A number equal to the rate is kept",
        ),
        (
            DROP
            + """
    return torch.where(uniform <= rate, 0.0, features / (1 - rate))
""",
            "A number equal to the rate is kept",
        ),
        (
            DROP
            + """
    return features * torch.ceil(uniform - rate).clamp(0, 1) / (1 - rate)
""",
            "A number equal to the rate is kept",
        ),
        (
            DROP
            + """
    return features * (uniform >= rate) / rate
""",
            "You divide by the share that is dropped",
        ),
        (
            DROP
            + """
    return features * (uniform >= rate)
""",
            "You do not scale up what is left",
        ),
        (
            DROP
            + """
    return features * (uniform >= rate) * 2
""",
            "Right for a rate of 0.5 only",
        ),
        (
            DROP
            + """
    return features * uniform.round() / (1 - rate)
""",
            "Right for a rate of 0.5 only",
        ),
        (
            DROP
            + """
    return features * (uniform >= rate) / 1 - rate
""",
            "Brackets: / (1 - rate)",
        ),
        (
            DROP
            + """
    return features * (uniform < rate) / rate
""",
            "You keep what should be dropped",
        ),
        (
            DROP
            + """
    return features * (uniform >= 1 - rate) / (1 - rate)
""",
            "You compare with 1 - rate",
        ),
        (
            DROP
            + """
    return features * (features >= rate) / (1 - rate)
""",
            "You drop *small features*",
        ),
        (
            DROP
            + """
    return torch.where(uniform < rate, features, features / (1 - rate))
""",
            "What is dropped stays as it was",
        ),
        (
            DROP
            + """
    return features * (uniform[:, :1] >= rate) / (1 - rate)
""",
            "All channels share one mask",
        ),
        (
            DROP
            + """
    return features * (uniform >= rate) * (1 + rate)
""",
            "You multiply by 1 + rate",
        ),
        (
            DROP
            + """
    mask = (uniform >= rate).float()
    return features * mask / mask.mean()
""",
            "the share that happens to be left",
        ),
        (
            DROP
            + """
    mask = (uniform >= rate).float()
    return features * mask / mask.mean(dim=(1, 2, 3), keepdim=True)
""",
            "the share that happens to be left",
        ),
        (
            DROP
            + """
    left = features * (uniform >= rate)
    return left * features.mean() / left.mean()
""",
            "so that the mean of these features stays",
        ),
        (
            DROP
            + """
    numbers = uniform.clone()
    numbers[uniform < rate] = 0
    return features * numbers / (1 - rate)
""",
            "a mask of 0 and 1",
        ),
        (
            DROP
            + """
    features.data[uniform < rate] = 0
    return features / (1 - rate)
""",
            "You overwrite the features in place",
        ),
    ],
}

RIGHT: dict[str, list[str]] = {
    "unet": [
        LAYERS
        + """
    def forward(self, images):
        features, seen = images, []
        for layer in self.encoder:
            features = layer(features)
            seen.append(features)
        seen.pop()
        for number, layer in enumerate(self.decoder):
            if number > 0:
                features = torch.cat([seen.pop(), features], dim=1)
            features = layer(features)
        return features
""",
        LAYERS
        + """
    def forward(self, images):
        outputs = [images]
        for layer in self.encoder:
            outputs.append(layer(outputs[-1]))
        x = self.decoder[0](outputs[-1])
        for i, layer in enumerate(self.decoder[1:]):
            x = layer(torch.cat((outputs[-2 - i], x), dim=1))
        return x
""",
        LAYERS
        + """
    def forward(self, images):
        return self.inner(images, 0)

    def inner(self, x, level):
        down, up = self.encoder[level], self.decoder[len(self.encoder) - 1 - level]
        features = down(x)
        if level + 1 < len(self.encoder):
            features = torch.cat([features, self.inner(features, level + 1)], dim=1)
        return up(features)
""",
        WAY_IN
        + """
        x = self.decoder[0](seen.pop())
        for layer in self.decoder[1:]:
            skip, convolution = seen.pop(), layer[0]
            of_skip, of_features = convolution.weight.split(x.shape[1])
            x = F.conv_transpose2d(skip, of_skip, None, 2, 1) + F.conv_transpose2d(x, of_features, convolution.bias, 2, 1)
            x = layer[1:](x)
        return x
""",
        FORWARD
        + """
        x, seen = images.contiguous(memory_format=torch.channels_last), []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x)
"""
        + WAY_BACK
        + """        return x.contiguous()
""",
        FORWARD
        + """
        x, seen = images.flip(0), []
        for layer in self.encoder:
            x = layer(x)
            seen.append(x / 3 + x * 2 / 3)
        seen[-1] = x
"""
        + WAY_BACK
        + """        return x.flip(0)
""",
        FORWARD
        + """
        kept = []
        hooks = [layer.register_forward_hook(lambda layer, given, x: kept.append(x)) for layer in self.encoder]
        x = nn.Sequential(*self.encoder)(images)
        for hook in hooks:
            hook.remove()
        x = self.decoder[0](kept.pop())
        for layer in self.decoder[1:]:
            x = layer(torch.cat([kept.pop(), x], dim=1))
        return x
""",
    ],
    "receptive_field": [
        FIELD
        + """
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size
""",
        FIELD
        + """
    size, jump = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * jump
        jump *= stride
    return size
""",
        FIELD
        + """
    if len(layers) == 0:
        return 1
    kernel, stride = layers[0]
    return kernel + (receptive_field(layers[1:]) - 1) * stride
""",
        FIELD
        + """
    import numpy

    kernels, strides = numpy.array(layers).T
    jumps = numpy.concatenate([[1], numpy.cumprod(strides)[:-1]])
    return 1 + ((kernels - 1) * jumps).sum()
""",
    ],
    "discriminator_loss": [
        D_LOSS
        + """
    real = discriminator(torch.cat([inputs, targets], dim=1))
    fake = discriminator(torch.cat([inputs, answers.detach()], dim=1))
    of_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    of_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return 0.5 * (of_real + of_fake)
""",
        D_LOSS
        + """
    fake_pair = torch.cat((inputs, answers), 1).detach()
    real_pair = torch.cat((inputs, targets), 1)
    return (F.softplus(-discriminator(real_pair)).mean() + F.softplus(discriminator(fake_pair)).mean()) / 2
""",
        D_LOSS
        + """
    answers = answers.detach()
    log_real = F.logsigmoid(discriminator(torch.cat([inputs, targets], 1)))
    log_fake = F.logsigmoid(-discriminator(torch.cat([inputs, answers], 1)))
    return -(log_real.mean() + log_fake.mean()) / 2
""",
        D_LOSS
        + """
    logits = discriminator(torch.cat([torch.cat([inputs, targets], 1), torch.cat([inputs, answers.detach()], 1)], 0))
    labels = torch.zeros_like(logits)
    labels[: len(inputs)] = 1
    return F.binary_cross_entropy_with_logits(logits, labels)
""",
        D_LOSS
        + """
    # data need no gradient
    with torch.no_grad():
        real_pair = torch.cat([inputs, targets], dim=1)
        fake_pair = torch.cat([inputs, answers], dim=1)
    return 0.5 * (F.softplus(-discriminator(real_pair)).mean() + F.softplus(discriminator(fake_pair)).mean())
""",
        D_LOSS
        + """
    inputs, targets, answers = inputs.detach(), targets.detach(), answers.detach()
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    real = discriminator(torch.cat([inputs, targets], dim=1))
"""
        + D_RETURN,
        D_LOSS
        + """
    pairs = torch.cat([torch.cat([inputs, targets], 1), torch.cat([inputs, answers.detach()], 1)])
    real, fake = discriminator(pairs).chunk(2)
"""
        + D_RETURN,
    ],
    "generator_loss": [
        G_LOSS
        + """
    fake = discriminator(torch.cat([inputs, answers], dim=1))
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake)) + l1_weight * F.l1_loss(answers, targets)
""",
        G_LOSS
        + """
    judged = F.softplus(-discriminator(torch.cat((inputs, answers), 1)))
    return judged.mean() + l1_weight * (targets - answers).abs().mean()
""",
        G_LOSS
        + """
    loss = -F.logsigmoid(discriminator(torch.cat([inputs, answers], dim=1))).mean()
    loss += l1_weight * (answers - targets).abs().flatten(1).mean(1).mean()
    return loss
""",
        G_LOSS
        + """
    judged = -F.logsigmoid(discriminator(torch.cat([inputs.detach(), answers], dim=1))).mean()
    return judged + l1_weight * torch.linalg.vector_norm(targets.detach() - answers, ord=1) / answers.numel()
""",
        G_LOSS
        + """
    discriminator.requires_grad_(False)
    judged = F.softplus(-discriminator(torch.cat([inputs, answers], dim=1))).mean()
    discriminator.requires_grad_(True)
"""
        + G_RETURN,
    ],
    "drop": [
        DROP
        + """
    return features * (uniform >= rate) / (1 - rate)
""",
        DROP
        + """
    return torch.where(uniform < rate, torch.zeros_like(features), features / (1 - rate))
""",
        DROP
        + """
    mask = torch.ones_like(features).masked_fill(uniform < rate, 0.0)
    return mask * features * (1 / (1 - rate))
""",
        DROP
        + """
    return (features / (1 - rate)).masked_fill(uniform < rate, 0)
""",
        DROP
        + """
    return features * torch.heaviside(uniform - rate, torch.ones(())) / (1 - rate)
""",
    ],
}
