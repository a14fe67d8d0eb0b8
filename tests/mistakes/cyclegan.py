"""The bank of notebook cyclegan: wrong answers as students write them, each with a part of the sentence that it deserves, and right ones."""

SETUP = """
import torch
import torch.nn.functional as F
from torch import Tensor, nn
"""

CYCLE = """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))
"""
IDENTITY = """
def identity_loss(x, y, x_to_y, y_to_x):
    return F.l1_loss(x_to_y(y), y) + F.l1_loss(y_to_x(x), x)
"""
OBJECTIVE = (
    CYCLE
    + IDENTITY
    + """
def full_objective(x, y, x_to_y, y_to_x, discriminate_x, discriminate_y, cycle_weight=10.0, identity_weight=5.0):
"""
)

# name of the check -> pairs (source, part of the expected message)
WRONG: dict[str, list[tuple[str, str]]] = {
    "cycle_loss": [
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    back_x = y_to_x(x_to_y(x))
    back_y = x_to_y(y_to_x(y))
    return weight * (F.mse_loss(back_x, x) + F.mse_loss(back_y, y))
""",
            "mean *absolute* error",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    fake_y = x_to_y(x)
    return weight * torch.abs(y_to_x(fake_y) - x).mean()
""",
            "y -> x -> y is missing",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    back_x = F.l1_loss(y_to_x(x_to_y(x)), x)
    back_y = F.l1_loss(x_to_y(y_to_x(y)), y)
    return back_x + back_y
""",
            "`weight` (lambda) is missing",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return weight * F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y)
""",
            "multiplies only the first",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return weight * ((x_to_y(y_to_x(x)) - x).abs().mean() + (y_to_x(x_to_y(y)) - y).abs().mean())
""",
            "applied in the wrong order",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return weight * (F.l1_loss(x_to_y(x), x) + F.l1_loss(y_to_x(y), y))
""",
            "without the way back",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    fake_y, fake_x = x_to_y(x), y_to_x(y)
    return weight * (F.l1_loss(y_to_x(fake_y), fake_y) + F.l1_loss(x_to_y(fake_x), fake_x))
""",
            "compare what came back with the translation",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    back_x = torch.sum(torch.abs(y_to_x(x_to_y(x)) - x))
    back_y = torch.sum(torch.abs(x_to_y(y_to_x(y)) - y))
    return weight * (back_x + back_y)
""",
            "You summed over everything",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    loss_x = (y_to_x(x_to_y(x)) - x).abs().sum(dim=(1, 2, 3)).mean()
    loss_y = (x_to_y(y_to_x(y)) - y).abs().sum(dim=(1, 2, 3)).mean()
    return weight * (loss_x + loss_y)
""",
            "summed over the values of a picture",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    with torch.no_grad():
        fake_y, fake_x = x_to_y(x), y_to_x(y)
    return weight * (F.l1_loss(y_to_x(fake_y), x) + F.l1_loss(x_to_y(fake_x), y))
""",
            "cut the graph between the two translations",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return weight * ((y_to_x(x_to_y(x)) - x).mean() + (x_to_y(y_to_x(y)) - y).mean())
""",
            "The absolute value is missing",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    losses = [F.l1_loss(y_to_x(x_to_y(x)), x), F.l1_loss(x_to_y(y_to_x(y)), y)]
    return weight * torch.stack(losses).mean()
""",
            "You averaged the two ways",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return weight * F.l1_loss(y_to_x(x_to_y(x)), x), weight * F.l1_loss(x_to_y(y_to_x(y)), y)
""",
            "return the two errors apart",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    loss = F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y)
    return weight * loss.item()
""",
            "You return a Python number",
        ),
        (
            """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    return -weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))
""",
            "exactly the negative of the right one",
        ),
    ],
    "identity_loss": [
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return F.l1_loss(x_to_y(x), x) + F.l1_loss(y_to_x(y), y)
""",
            "You forbid the translation itself",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return (y_to_x(x_to_y(x)) - x).abs().mean() + (x_to_y(y_to_x(y)) - y).abs().mean()
""",
            "This is the cycle loss of exercise 1",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return (x_to_y(x) - y).abs().mean() + (y_to_x(y) - x).abs().mean()
""",
            "as if they were pairs",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return F.mse_loss(x_to_y(y), y) + F.mse_loss(y_to_x(x), x)
""",
            "mean *absolute* error (L1), as the cycle loss is",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return torch.mean(torch.abs(x_to_y(y) - y))
""",
            "The half for `y_to_x` is missing",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    same_y = torch.abs(x_to_y(y) - y)
    same_x = torch.abs(y_to_x(x) - x)
    return (same_x.mean() + same_y.mean()) / 2
""",
            "You averaged the two halves",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x, weight=5.0):
    return weight * (F.l1_loss(x_to_y(y), y) + F.l1_loss(y_to_x(x), x))
""",
            "You multiplied by the weight 5",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return (x_to_y(y) - y).mean() + (y_to_x(x) - x).mean()
""",
            "The absolute value is missing",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    loss = nn.L1Loss(reduction="sum")
    return loss(x_to_y(y), y) + loss(y_to_x(x), x)
""",
            "You summed over everything",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return F.l1_loss(x_to_y(y).detach(), y) + F.l1_loss(y_to_x(x).detach(), x)
""",
            "the gradient with respect to",
        ),
        (
            """
@torch.no_grad()
def identity_loss(x, y, x_to_y, y_to_x):
    return F.l1_loss(x_to_y(y), y) + F.l1_loss(y_to_x(x), x)
""",
            "cut off from the graph",
        ),
        (
            """
def identity_loss(x, y, x_to_y, y_to_x):
    return F.l1_loss(x_to_y(y), y), F.l1_loss(y_to_x(x), x)
""",
            "return the two halves apart",
        ),
    ],
    "query": [
        (
            """
def query(history, images, swap, places, capacity):
    if len(history) < capacity:
        history = torch.cat([history, images.detach()])[:capacity]
    return images.detach(), history
""",
            "Nothing is swapped",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    return images, torch.cat([history, images])[-capacity:]
""",
            "You keep the newest pictures and show only new ones",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    for i in range(free, len(images)):
        if swap[i]:
            history[places[i]] = images[i]
            shown[i] = history[places[i]]
    return shown, history
""",
            "always shown the new pictures",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    for i in range(free, len(images)):
        if swap[i]:
            shown[i] = history[places[i]]
    return shown, history
""",
            "the new ones do not take their places",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    for i in range(free, len(images)):
        if not swap[i]:
            old = history[places[i]].clone()
            history[places[i]] = images[i]
            shown[i] = old
    return shown, history
""",
            "`swap` is turned round",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    rest = slice(free, len(images))
    shown[rest] = history[places[rest]]
    history[places[rest]] = images[rest]
    return shown, history
""",
            "You swap every picture once the history is full",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    if len(history) < capacity:
        return images, torch.cat([history, images])[:capacity]
    history, shown = history.clone(), images.clone()
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown, history
""",
            "shown unchanged as a whole",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    number = 0
    for i in range(free, len(images)):
        if swap[number]:
            shown[i] = history[places[number]]
            history[places[number]] = images[i]
        number += 1
    return shown, history
""",
            "belong to images[i]",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    swap = swap.clone()
    swap[:free] = False
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown, history
""",
            "still carry their graphs",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    if free > 0:
        history = torch.cat([history, images[:free]])
    shown = images.clone()
    swap = swap.clone()
    swap[:free] = False
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown, history
""",
            "changes `history` in place",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    for i in range(free, len(images)):
        if swap[i]:
            shown[i] = history[places[i]]
        history[places[i]] = images[i]
    return shown, history
""",
            "Every new picture is written into the history",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    swap = swap.clone()
    swap[:free] = False
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return history, shown
""",
            "in the wrong order",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    mask = torch.zeros(len(images), dtype=torch.bool)
    mask[free:] = torch.rand(len(images) - free) < 0.5
    shown[mask] = history[places[mask]]
    history[places[mask]] = images[mask]
    return shown, history
""",
            "draws random numbers of its own",
        ),
        (
            """
def query(history, images, swap, places, capacity):
    images = images.detach()
    free = min(capacity - len(history), len(images))
    history = torch.cat([history, images[:free]])
    shown = images.clone()
    swap = swap.clone()
    swap[:free] = False
    shown[swap] = history[places[swap]]
    history[places[swap]] = images[swap]
    return shown
""",
            "You return only what the discriminator sees",
        ),
    ],
    "full_objective": [
        (
            OBJECTIVE
            + """
    fake_y, fake_x = x_to_y(x), y_to_x(y)
    gan = (discriminate_y(fake_y) ** 2).mean() + (discriminate_x(fake_x) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "The generators want 1",
        ),
        (
            OBJECTIVE
            + """
    logits_y, logits_x = discriminate_y(x_to_y(x)), discriminate_x(y_to_x(y))
    bce = nn.BCEWithLogitsLoss()
    gan = bce(logits_y, torch.ones_like(logits_y)) + bce(logits_x, torch.ones_like(logits_x))
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "You took the cross-entropy",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_x(x_to_y(x)) - 1) ** 2).mean() + ((discriminate_y(y_to_x(y)) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "The discriminators are swapped",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_y(x_to_y(x)) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "The adversarial term of `y_to_x` is missing",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_y(x_to_y(x)) - 1) ** 2).mean() + ((discriminate_x(y_to_x(y)) - 1) ** 2).mean()
    cycle = cycle_weight * cycle_loss(x, y, x_to_y, y_to_x, cycle_weight)
    return gan + cycle + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "`cycle_weight` is multiplied twice",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_y(x_to_y(x)) - 1) ** 2).mean() + ((discriminate_x(y_to_x(y)) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "hand `cycle_weight` on to it",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_y(x_to_y(x)) - 1) ** 2).mean() + ((discriminate_x(y_to_x(y)) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_loss(x, y, x_to_y, y_to_x)
""",
            "`identity_weight` is not used",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_y(x_to_y(x)) - 1) ** 2).mean() + ((discriminate_x(y_to_x(y)) - 1) ** 2).mean()
    identity = cycle_weight * identity_weight * identity_loss(x, y, x_to_y, y_to_x)
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity
""",
            "the two weights stand side by side",
        ),
        (
            OBJECTIVE
            + """
    fake_y, fake_x = x_to_y(x).detach(), y_to_x(y).detach()
    gan = ((discriminate_y(fake_y) - 1) ** 2).mean() + ((discriminate_x(fake_x) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "cut the judgement off",
        ),
        (
            OBJECTIVE
            + """
    with torch.no_grad():
        judged_y, judged_x = discriminate_y(x_to_y(x)), discriminate_x(y_to_x(y))
    gan = (judged_y - 1).square().mean() + (judged_x - 1).square().mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "cut the judgement off",
        ),
        (
            OBJECTIVE
            + """
    gan = 0.5 * ((discriminate_y(x_to_y(x)) - 1) ** 2).mean() + 0.5 * ((discriminate_x(y_to_x(y)) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "There is a factor 1/2",
        ),
        (
            OBJECTIVE
            + """
    gan = ((torch.sigmoid(discriminate_y(x_to_y(x))) - 1) ** 2).mean()
    gan = gan + ((torch.sigmoid(discriminate_x(y_to_x(y))) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "You put a sigmoid",
        ),
        (
            OBJECTIVE
            + """
    gan = ((discriminate_y(y) - 1) ** 2).mean() + ((discriminate_x(x) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "The discriminators look at real pictures",
        ),
        (
            OBJECTIVE
            + """
    for judge in (discriminate_x, discriminate_y):
        judge.requires_grad_(False)
    gan = ((discriminate_y(x_to_y(x)) - 1) ** 2).mean() + ((discriminate_x(y_to_x(y)) - 1) ** 2).mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
            "freezes",
        ),
    ],
    "least_squares_loss": [
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * ((discriminate(real) - 1) ** 2).mean() + 0.5 * (discriminate(fake) ** 2).mean()
""",
            "The gradient reaches the generator",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return ((discriminate(real) - 1) ** 2).mean() + (discriminate(fake.detach()) ** 2).mean()
""",
            "The factor 1/2 is missing",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    real_logits, fake_logits = discriminate(real), discriminate(fake.detach())
    return (F.mse_loss(real_logits, torch.zeros_like(real_logits)) + F.mse_loss(fake_logits, torch.ones_like(fake_logits))) / 2
""",
            "The targets are swapped",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    real_logits, fake_logits = discriminate(real), discriminate(fake.detach())
    bce = F.binary_cross_entropy_with_logits
    return 0.5 * (bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits)))
""",
            "You took the cross-entropy",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real).sigmoid() - 1).square().mean() + 0.5 * discriminate(fake.detach()).sigmoid().square().mean()
""",
            "You put a sigmoid",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real) - 1).square().mean() + discriminate(fake.detach()).square().mean()
""",
            "at the real pictures only",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real) - 1).square().mean() + 0.5 * (discriminate(fake.detach()) - 1).square().mean()
""",
            "Both terms draw to 1",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real) - 1).square().mean()
""",
            "The term for translations is missing",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real).mean() - 1) ** 2 + 0.5 * discriminate(fake.detach()).mean() ** 2
""",
            "averaged the patches' answers before you squared",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    with torch.no_grad():
        return 0.5 * (discriminate(real) - 1).square().mean() + 0.5 * discriminate(fake).square().mean()
""",
            "cut off from the graph",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    real_logits, fake_logits = discriminate(real), discriminate(fake).detach()
    return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()
""",
            "what the discriminator *says* of the translations",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    with torch.no_grad():
        fake_logits = discriminate(fake)
    return ((discriminate(real) - 1) ** 2).mean() / 2 + (fake_logits**2).mean() / 2
""",
            "what the discriminator *says* of the translations",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    with torch.no_grad():
        real_logits = discriminate(real)
    return ((real_logits - 1) ** 2).mean() / 2 + (discriminate(fake.detach()) ** 2).mean() / 2
""",
            "what the discriminator *says* of the real pictures",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    loss = 0.5 * (discriminate(real) - 1).square().mean() + 0.5 * discriminate(fake.detach()).square().mean()
    return loss.item()
""",
            "You return a Python number",
        ),
        (
            """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real) - 1).square().mean() - 0.5 * discriminate(fake.detach()).square().mean()
""",
            "is subtracted",
        ),
    ],
}

RIGHT: dict[str, list[str]] = {
    "cycle_loss": [
        """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    back_x = torch.abs(y_to_x(x_to_y(x)) - x).mean()
    back_y = torch.abs(x_to_y(y_to_x(y)) - y).mean()
    return weight * back_x + weight * back_y
""",
        """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    l1 = nn.L1Loss()
    forward = l1(x, y_to_x(x_to_y(x)))
    backward = l1(y, x_to_y(y_to_x(y)))
    return weight * (forward + backward)
""",
        """
def cycle_loss(x, y, x_to_y, y_to_x, weight=10.0):
    total = 0.0
    for pictures, there, back in ((x, x_to_y, y_to_x), (y, y_to_x, x_to_y)):
        total = total + (back(there(pictures)) - pictures).flatten(1).norm(p=1, dim=1).mean() / pictures[0].numel()
    return weight * total
""",
    ],
    "identity_loss": [
        """
def identity_loss(x, y, x_to_y, y_to_x):
    return (x_to_y(y) - y).abs().mean() + (y_to_x(x) - x).abs().mean()
""",
        """
def identity_loss(x, y, x_to_y, y_to_x):
    l1 = nn.L1Loss()
    return l1(y, x_to_y(y)) + l1(x, y_to_x(x))
""",
        """
def identity_loss(x, y, x_to_y, y_to_x):
    return sum(F.l1_loss(network(pictures), pictures) for network, pictures in [(x_to_y, y), (y_to_x, x)])
""",
    ],
    "query": [
        """
def query(history, images, swap, places, capacity):
    images = images.detach()
    history = list(history)
    shown = []
    for image, exchange, place in zip(images, swap, places):
        if len(history) < capacity:
            history.append(image)
            shown.append(image)
        elif exchange:
            shown.append(history[place])
            history[place] = image
        else:
            shown.append(image)
    return torch.stack(shown), torch.stack(history)
""",
        """
def query(history, images, swap, places, capacity):
    with torch.no_grad():
        fresh = min(capacity - len(history), len(images))
        history = torch.cat([history, images[:fresh]])
        rest, swap, places = images[fresh:], swap[fresh:], places[fresh:]
        if len(rest) == 0:
            return images.clone(), history
        old = history[places]
        mask = swap[:, None, None, None]
        history[places] = torch.where(mask, rest, old)
        return torch.cat([images[:fresh], torch.where(mask, old, rest)]), history
""",
        """
def query(history, images, swap, places, capacity):
    new = images.data
    free = capacity - len(history)
    memory = torch.cat((history, new[:free]), dim=0).clone()
    index = torch.arange(len(new))
    index = index[swap & (index >= free)]
    answer = new.clone()
    answer[index], memory[places[index]] = memory[places[index]], new[index]
    return answer, memory
""",
    ],
    "full_objective": [
        OBJECTIVE
        + """
    gan = (discriminate_y(x_to_y(x)) - 1).square().mean() + (discriminate_x(y_to_x(y)) - 1).square().mean()
    return gan + cycle_loss(x, y, x_to_y, y_to_x, cycle_weight) + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
""",
        OBJECTIVE
        + """
    judged_y, judged_x = discriminate_y(x_to_y(x)), discriminate_x(y_to_x(y))
    loss = F.mse_loss(judged_y, torch.ones_like(judged_y)) + F.mse_loss(judged_x, torch.ones_like(judged_x))
    loss = loss + cycle_weight * cycle_loss(x, y, x_to_y, y_to_x, weight=1.0)
    loss = loss + identity_weight * identity_loss(x, y, x_to_y, y_to_x)
    return loss
""",
        """
def full_objective(x, y, x_to_y, y_to_x, discriminate_x, discriminate_y, cycle_weight=10.0, identity_weight=5.0):
    fake_y, fake_x = x_to_y(x), y_to_x(y)
    terms = [
        torch.mean((1 - discriminate_y(fake_y)) ** 2),
        torch.mean((1 - discriminate_x(fake_x)) ** 2),
        cycle_weight * torch.mean(torch.abs(y_to_x(fake_y) - x)),
        cycle_weight * torch.mean(torch.abs(x_to_y(fake_x) - y)),
        identity_weight * torch.mean(torch.abs(x_to_y(y) - y)),
        identity_weight * torch.mean(torch.abs(y_to_x(x) - x)),
    ]
    return sum(terms)
""",
    ],
    "least_squares_loss": [
        """
def least_squares_loss(discriminate, real, fake):
    return 0.5 * (discriminate(real) - 1).square().mean() + 0.5 * discriminate(fake.detach()).square().mean()
""",
        """
def least_squares_loss(discriminate, real, fake):
    real_logits, fake_logits = discriminate(real), discriminate(fake.detach())
    real_loss = F.mse_loss(real_logits, torch.ones_like(real_logits))
    fake_loss = F.mse_loss(fake_logits, torch.zeros_like(fake_logits))
    return (real_loss + fake_loss) / 2
""",
        """
def least_squares_loss(discriminate, real, fake):
    fake = fake.detach()
    errors = [torch.mean((1.0 - discriminate(real)) ** 2), torch.mean(discriminate(fake) ** 2)]
    return torch.stack(errors).mean()
""",
        """
def least_squares_loss(discriminate, real, fake):
    real, fake = real.detach(), fake.detach()  # both are data here
    return 0.5 * (discriminate(real) - 1).square().mean() + 0.5 * discriminate(fake).square().mean()
""",
    ],
}
