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

D_LOSS = "def discriminator_loss(discriminator, inputs, targets, answers):\n"
G_LOSS = "def generator_loss(discriminator, inputs, targets, answers, l1_weight=100.0):\n"
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
    probability = torch.sigmoid(discriminator(torch.cat([inputs, answers], dim=1)))
    loss = -probability.log().mean()
    loss += l1_weight * (answers - targets).abs().flatten(1).mean(1).mean()
    return loss
""",
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
    ],
}
