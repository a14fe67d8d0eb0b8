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


def _function(signature: str, body: str) -> str:
    """The source of a function from its signature and its lines."""
    return f"\ndef {signature}:\n" + "".join(f"    {line}\n" for line in body.strip().split("\n"))


def _cycle(body: str) -> str:
    return _function("cycle_loss(x, y, x_to_y, y_to_x, weight=10.0)", body)


def _identity(body: str) -> str:
    return _function("identity_loss(x, y, x_to_y, y_to_x)", body)


def _query(body: str) -> str:
    return _function("query(history, images, swap, places, capacity)", body)


FILLED = """images, swap = images.detach(), swap.clone()
fresh = min(capacity - len(history), len(images))
history = torch.cat([history, images[:fresh]])
swap[:fresh] = False
shown = images.clone()
"""
SWAPPED = """shown[swap] = history[places[swap]]
history[places[swap]] = images[swap]
"""


def _loop(
    full: str, room: str = "kept.append(picture); shown.append(picture)", size: str = "len(kept) < capacity"
) -> str:
    return _query(
        f"""kept, shown = list(history), []
for i, picture in enumerate(images.detach()):
    if {size}:
        {room}
    elif swap[i]:
        {full}
    else:
        shown.append(picture)
return torch.stack(shown), torch.stack(kept)"""
    )


ADVERSARIAL = "(discriminate_y(x_to_y(x)) - 1).square().mean() + (discriminate_x(y_to_x(y)) - 1).square().mean()"
CYCLES = "cycle_loss(x, y, x_to_y, y_to_x, cycle_weight)"
SAME = "identity_weight * identity_loss(x, y, x_to_y, y_to_x)"


def _objective(adversarial: str = ADVERSARIAL, cycles: str = CYCLES, same: str = SAME, before: str = "pass") -> str:
    lines = f"{before}\nreturn {adversarial} + {cycles} + {same}".split("\n")
    return OBJECTIVE + "".join(f"    {line}\n" for line in lines)


def _of_answers(each: str) -> str:
    """The adversarial terms from what is done to the answers `D` of one discriminator."""
    return _objective(
        f"{each.replace('D', 'discriminate_y(x_to_y(x))')} + {each.replace('D', 'discriminate_x(y_to_x(y))')}"
    )


def _squares(body: str) -> str:
    return _function("least_squares_loss(discriminate, real, fake)", body)


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
        (
            _cycle("return weight * ((y_to_x(x_to_y(x)) - x).abs() + (x_to_y(y_to_x(y)) - y).abs()).mean()"),
            "value by value before the mean",
        ),
        (
            _cycle(
                "return 2 * weight * F.l1_loss(torch.cat([y_to_x(x_to_y(x)), x_to_y(y_to_x(y))]), torch.cat([x, y]))"
            ),
            "one mean over both collections",
        ),
        (
            _cycle("return weight * F.l1_loss(torch.cat([y_to_x(x_to_y(x)), x_to_y(y_to_x(y))]), torch.cat([x, y]))"),
            "about half as large",
        ),
        (
            _cycle(
                "return weight * ((y_to_x(x_to_y(x)) - x).abs().sum() + (x_to_y(y_to_x(y)) - y).abs().sum()) / x.numel()"
            ),
            "number of values of *one* collection",
        ),
        (
            _cycle("""n = min(len(x), len(y))
x, y = x[:n], y[:n]
return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))"""),
            "length of the shorter one",
        ),
        (
            _cycle("""x, y = x[:1], y[:1]
return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))"""),
            "Only the first picture counts",
        ),
        (
            _cycle("return 10.0 * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))"),
            "`weight` is ignored: you wrote 10",
        ),
        (
            _cycle("return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(y_to_x(x_to_y(y)), y))"),
            "y has to go the other way round",
        ),
        (_cycle("return weight * (F.l1_loss(x_to_y(x), y) + F.l1_loss(y_to_x(y), x))"), "as if they were pairs"),
        (
            _cycle(
                "return weight * (F.l1_loss(y_to_x(x_to_y(x)), y_to_x(y)) + F.l1_loss(x_to_y(y_to_x(y)), x_to_y(x)))"
            ),
            "with a translation of the other collection",
        ),
        (
            _cycle("return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y).detach()), y))"),
            "One of the two ways is cut",
        ),
        (
            _cycle("return weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y).detach())"),
            "One of the two errors is cut off",
        ),
        (
            _cycle(
                "return weight * (F.mse_loss(y_to_x(x_to_y(x)), x).sqrt() + F.mse_loss(x_to_y(y_to_x(y)), y).sqrt())"
            ),
            "root of the mean squared error",
        ),
        (
            _cycle("return weight * (F.smooth_l1_loss(y_to_x(x_to_y(x)), x) + F.smooth_l1_loss(x_to_y(y_to_x(y)), y))"),
            "smooth_l1_loss is a squared error near 0",
        ),
        (
            _cycle(
                "return weight * (torch.linalg.matrix_norm(y_to_x(x_to_y(x)) - x, ord=1).mean() + torch.linalg.matrix_norm(x_to_y(y_to_x(y)) - y, ord=1).mean())"
            ),
            "The matrix norm",
        ),
        (
            _cycle("""there, back = x_to_y(x).clamp(-1, 1), y_to_x(y).clamp(-1, 1)
return weight * (F.l1_loss(y_to_x(there), x) + F.l1_loss(x_to_y(back), y))"""),
            "You clip translations",
        ),
        (
            _cycle(
                'return weight * (F.l1_loss(y_to_x(x_to_y(x)), x, reduction="none") + F.l1_loss(x_to_y(y_to_x(y)), y, reduction="none"))'
            ),
            "The mean is missing",
        ),
        (
            _cycle("return weight * torch.stack([F.l1_loss(y_to_x(x_to_y(x)), x), F.l1_loss(x_to_y(y_to_x(y)), y)])"),
            "return the two errors apart",
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
            "The value is right, but it is cut off from the graph",
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
        (_identity("return ((x_to_y(y) - y).abs() + (y_to_x(x) - x).abs()).mean()"), "value by value before the mean"),
        (
            _identity("return 2 * F.l1_loss(torch.cat([x_to_y(y), y_to_x(x)]), torch.cat([y, x]))"),
            "one mean over both collections",
        ),
        (
            _identity("return ((x_to_y(y) - y).abs().sum() + (y_to_x(x) - x).abs().sum()) / x.numel()"),
            "number of values of *one* collection",
        ),
        (
            _identity("""n = min(len(x), len(y))
return F.l1_loss(x_to_y(y[:n]), y[:n]) + F.l1_loss(y_to_x(x[:n]), x[:n])"""),
            "length of the shorter one",
        ),
        (
            _identity("return F.l1_loss(x_to_y(y), y) + F.l1_loss(y_to_x(x).detach(), x)"),
            "What `y_to_x` made is cut off",
        ),
        (
            _identity("""with torch.no_grad():
    same = x_to_y(y)
return F.l1_loss(same, y) + F.l1_loss(y_to_x(x), x)"""),
            "What `x_to_y` made is cut off",
        ),
        (
            _identity("return F.l1_loss(x_to_y(x_to_y(x)), x_to_y(x)) + F.l1_loss(y_to_x(y_to_x(y)), y_to_x(y))"),
            "You feed the generators translations",
        ),
        (
            _identity("return (x_to_y(y) - y).abs().sum(1).mean() + (y_to_x(x) - x).abs().sum(1).mean()"),
            "You summed over the channels",
        ),
        (
            _identity("return (x_to_y(y) - y).pow(2).mean().sqrt() + (y_to_x(x) - x).pow(2).mean().sqrt()"),
            "root of the mean squared error",
        ),
        (
            _identity("return torch.stack([F.l1_loss(x_to_y(y), y), F.l1_loss(y_to_x(x), x)])"),
            "return the two errors apart",
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
        (
            _loop("shown.append(kept[places[i]]); kept[places[i]] = picture", size="len(kept) <= capacity"),
            "one picture more than `capacity`",
        ),
        (_loop("shown.append(kept[places[i]]); kept[places[i]] = picture", size="len(kept) < 50"), "If you wrote 50"),
        (_loop("shown.append(kept[i]); kept[i] = picture"), "you took i itself as a place"),
        (
            _query(
                FILLED
                + """shown[swap] = history[places[swap]]
stay = torch.ones(len(history), dtype=torch.bool)
stay[places[swap]] = False
return shown, torch.cat([history[stay], images[swap]])"""
            ),
            "The right pictures are kept, in the wrong places",
        ),
        (
            _query("""history, shown = history.clone(), []
for i, picture in enumerate(images.detach()):
    if len(history) < capacity:
        history = torch.cat([history, picture[None]])
        shown.append(picture)
    elif swap[i]:
        shown.append(history[places[i]])
        history[places[i]] = picture
    else:
        shown.append(picture)
return torch.stack(shown), history"""),
            "is a *view*",
        ),
        (
            _query("""history, shown = history.clone(), []
for i, picture in enumerate(images):
    if len(history) < capacity:
        history = torch.cat([history, picture[None]])
        shown.append(picture)
    elif swap[i]:
        shown.append(history[places[i]])
        history[places[i]] = picture
    else:
        shown.append(picture)
return torch.stack(shown), history"""),
            "Two things. The pictures still carry their graphs",
        ),
        (
            _query(
                FILLED
                + """for i in range(fresh, len(images)):
    if swap[i]:
        shown[i], history[places[i]] = history[places[i]], shown[i]
return shown, history"""
            ),
            "images[i] may have been overwritten by then",
        ),
        (
            _query(
                FILLED
                + """shown[swap] = history[places[swap]]
if len(history) == capacity:
    history[places][swap] = images[swap]
return shown, history"""
            ),
            "writes into a copy",
        ),
        (
            _query(
                "remembered = len(history)\n"
                + FILLED
                + "swap = swap & (places < remembered)\n"
                + SWAPPED
                + "return shown, history"
            ),
            "A swap may meet a picture that this very batch has added",
        ),
        (
            _query(FILLED.replace("swap[:fresh] = False\n", "") + SWAPPED + "return shown, history"),
            "a place that the history does not have yet",
        ),
        (
            _query(
                "if len(history) < capacity:\n    return images.detach(), torch.cat([history, images.detach()])\n"
                + FILLED
                + SWAPPED
                + "return shown, history"
            ),
            "is added as a whole, beyond `capacity`",
        ),
        (
            _query(
                """images, swap = images.detach(), swap.clone()
if len(history) + len(images) <= capacity:
    return images, torch.cat([history, images])
history, shown = history.clone(), images.clone()
swap &= places < len(history)
"""
                + SWAPPED
                + "return shown, history"
            ),
            "Empty places stay empty",
        ),
        (
            _query(
                FILLED.replace("[history, images[:fresh]]", "[images[:fresh], history]")
                + SWAPPED
                + "return shown, history"
            ),
            "New pictures are added in front",
        ),
        (
            _query(
                FILLED.replace("images[:fresh]", "images[len(images) - fresh :]").replace(
                    "swap[:fresh]", "swap[len(images) - fresh :]"
                )
                + SWAPPED
                + "return shown, history"
            ),
            "The *first* pictures of the batch go",
        ),
        (
            _query(
                FILLED.replace("swap[:fresh] = False", "if len(history) < capacity:\n    return images, history")
                + SWAPPED
                + "return shown, history"
            ),
            "goes there *and* is shown itself",
        ),
        (
            _query("swap = swap[:1].expand(len(swap))\n" + FILLED + SWAPPED + "return shown, history"),
            "You let one coin decide",
        ),
        (
            _query(
                FILLED
                + "shown = torch.cat([images[~swap], history[places[swap]]])\nhistory[places[swap]] = images[swap]\nreturn shown, history"
            ),
            "have lost their order",
        ),
        (_query(FILLED + SWAPPED + "return torch.cat([images, shown]), history"), "*in place of* a new one"),
        (
            _query(
                "old, full = history, len(history) == capacity\n"
                + FILLED
                + "if full:\n    shown[swap] = history[places[swap]]\nreturn shown, torch.cat([old, images])[-capacity:]"
            ),
            "You drop the oldest pictures",
        ),
        (
            _query(
                "if len(history) < capacity:\n    return images.detach(), images.detach()[:capacity]\n"
                + FILLED
                + SWAPPED
                + "return shown, history"
            ),
            "What was remembered before is lost",
        ),
        (
            _query(
                FILLED
                + SWAPPED
                + "full = torch.zeros(capacity, *images.shape[1:])\nfull[: len(history)] = history\nreturn shown, full"
            ),
            "The history has no empty pictures",
        ),
        (
            _query(
                FILLED.replace("images, swap = images.detach(), ", "swap = ")
                + "history = history.detach()\nshown[swap] = history[places[swap]]\nhistory[places[swap]] = images[swap].detach()\nreturn shown, history"
            ),
            "the pictures shown still carry their graphs",
        ),
        (_query(FILLED + SWAPPED + "return list(shown), history"), "The pictures shown are a list"),
        (
            _loop(
                "shown.append(kept[places[i]]); kept[places[i]] = picture",
                room="kept.extend([picture] if swap[i] else []); shown.append(picture)",
            ).replace("torch.stack(kept)", "torch.stack(kept) if kept else history"),
            "whatever its coin",
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
        (_of_answers("(D.mean((1, 2, 3)) - 1).square().mean()"), "averaged each picture's patches before you squared"),
        (_of_answers("(D - 1).square().sum((1, 2, 3)).mean()"), "You summed over the patches"),
        (_of_answers("(D - 1)[..., 0, 0].square().mean()"), "Only one patch of each picture"),
        (_of_answers("(D.square() - 1).mean()"), "D^2 - 1 is not (D - 1)^2"),
        (_of_answers("F.relu(1 - D).mean()"), "You took the hinge loss"),
        (_of_answers("(D - 1).mean()"), "The square is missing"),
        (_of_answers("(D + 1).square().mean()"), "answers to -1"),
        (
            _objective("-discriminate_y(x_to_y(x)).square().mean() - discriminate_x(y_to_x(y)).square().mean()"),
            "minus the discriminators' term",
        ),
        (
            _objective("((discriminate_y(x_to_y(x)) - 1) ** 2 + (discriminate_x(y_to_x(y)) - 1) ** 2).mean()"),
            "value by value before the mean",
        ),
        (
            _objective("2 * (torch.cat([discriminate_y(x_to_y(x)), discriminate_x(y_to_x(y))]) - 1).square().mean()"),
            "one mean over both collections",
        ),
        (
            _objective("(discriminate_y(x_to_y(x)) - 1) ** 2 + (discriminate_x(y_to_x(y)) - 1) ** 2"),
            "The mean over patches and pictures is missing",
        ),
        (_objective(before="n = min(len(x), len(y))\nx, y = x[:n], y[:n]"), "length of the shorter one"),
        (
            _objective(
                "(discriminate_y(x_to_y(y)) - 1).square().mean() + (discriminate_x(y_to_x(x)) - 1).square().mean()"
            ),
            "of its *own* collection",
        ),
        (
            _objective(f"{ADVERSARIAL} + discriminate_y(y).square().mean() + discriminate_x(x).square().mean()"),
            "are the discriminators' own (exercise 5)",
        ),
        (
            _objective(
                "(discriminate_y(x_to_y(x)) - discriminate_y(y)).square().mean() + (discriminate_x(y_to_x(y)) - discriminate_x(x)).square().mean()"
            ),
            "compare them with the number 1",
        ),
        (_objective("0"), "Both adversarial terms are missing"),
        (_objective(f"cycle_weight * ({ADVERSARIAL})"), "multiplies the adversarial terms too"),
        (_objective(same="5 * identity_loss(x, y, x_to_y, y_to_x)"), "you wrote 5"),
        (
            _objective(cycles="cycle_loss(x, y, x_to_y, y_to_x)", same="5 * identity_loss(x, y, x_to_y, y_to_x)"),
            "Both weights are ignored",
        ),
        (_objective(same="0.5 * cycle_weight * identity_loss(x, y, x_to_y, y_to_x)"), "half of lambda"),
        (_objective().replace("identity_weight=5.0", "identity_weight=20.0"), "You changed the default"),
        (_objective(cycles="cycle_weight * F.l1_loss(y_to_x(x_to_y(x)), x)"), "lacks the way y -> x -> y"),
        (_objective(cycles="cycle_loss(y, x, x_to_y, y_to_x, cycle_weight)"), "takes x through y_to_x first"),
        (_objective(same="identity_weight * identity_loss(x, y, y_to_x, x_to_y)"), "compares x_to_y(x) with x"),
        (
            _objective()
            .replace("weight * (F.l1_loss(y_to_x", "weight * (F.mse_loss(y_to_x")
            .replace("F.l1_loss(x_to_y(y_to_x", "F.mse_loss(x_to_y(y_to_x"),
            "the cycle part is squared",
        ),
        (
            _objective(
                same="identity_weight * (F.l1_loss(x_to_y(y_to_x(y)), y_to_x(x_to_y(y_to_x(y)))) + identity_loss(x, y, x_to_y, y_to_x))"
            ),
            "Where both weights are 0 your loss is right",
        ),
        (
            _objective(
                "(discriminate_y(x_to_y(x)) - 1).square().mean() + (discriminate_x(y_to_x(y).detach()) - 1).square().mean()"
            ),
            "The judgement of y_to_x(y) is cut off",
        ),
        (
            _objective(
                before="fake_y, fake_x = x_to_y(x), y_to_x(y)",
                cycles="cycle_weight * (F.l1_loss(y_to_x(fake_y.detach()), x) + F.l1_loss(x_to_y(fake_x.detach()), y))",
            ),
            "in the cycle part the translations are detached",
        ),
        (_objective(same=f"({SAME}).detach()"), "The identity part is cut off"),
        (_objective(cycles=f"{CYCLES}.item()"), "The cycle part is cut off"),
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
        (
            _squares("return 0.5 * ((discriminate(real) - 1) ** 2 + discriminate(fake.detach()) ** 2).mean()"),
            "value by value before the mean",
        ),
        (
            _squares("""answers = discriminate(torch.cat([real, fake.detach()]))
wanted = torch.zeros_like(answers)
wanted[: len(real)] = 1
return F.mse_loss(answers, wanted)"""),
            "one mean over real and translated pictures together: that is right only",
        ),
        (
            _squares("""answers = discriminate(torch.cat([real, fake.detach()]))
wanted = torch.zeros_like(answers)
wanted[: len(real)] = 1
return 0.5 * F.mse_loss(answers, wanted)"""),
            "the one mean halves already",
        ),
        (
            _squares("""judged, made = discriminate(torch.cat([real, fake.detach()])).chunk(2)
return 0.5 * (judged - 1).square().mean() + 0.5 * made.square().mean()"""),
            ".split([len(real), len(fake)])",
        ),
        (
            _squares("""judged, made = discriminate(real), discriminate(fake.detach())
return 0.5 * ((judged - 1).square().sum() + made.square().sum()) / judged.numel()"""),
            "number of values of *one* collection",
        ),
        (
            _squares("""n = min(len(real), len(fake))
return 0.5 * (discriminate(real[:n]) - 1).square().mean() + 0.5 * discriminate(fake[:n].detach()).square().mean()"""),
            "length of the shorter one",
        ),
        (
            _squares(
                "return 0.5 * (discriminate(real)[0] - 1).square().mean() + 0.5 * discriminate(fake.detach())[0].square().mean()"
            ),
            "Only the first picture counts",
        ),
        (
            _squares(
                "return 0.5 * (discriminate(real).mean((1, 2, 3)) - 1).square().mean() + 0.5 * discriminate(fake.detach()).mean((1, 2, 3)).square().mean()"
            ),
            "averaged each picture's patches before you squared",
        ),
        (
            _squares(
                "return 0.5 * (discriminate(real) - 1).square().sum() / len(real) + 0.5 * discriminate(fake.detach()).square().sum() / len(fake)"
            ),
            "You summed over the patches",
        ),
        (
            _squares(
                "return (0.5 * (discriminate(real) - 1)).square().mean() + (0.5 * discriminate(fake.detach())).square().mean()"
            ),
            "stands inside of the square",
        ),
        (
            _squares(
                "return 0.5 * (discriminate(real.detach()) - 1).square().mean() + 0.5 * discriminate(fake).square().mean()"
            ),
            "The gradient reaches the generator",
        ),
        (
            _squares(
                "return 0.5 * F.relu(1 - discriminate(real)).mean() + 0.5 * F.relu(1 + discriminate(fake.detach())).mean()"
            ),
            "You took the hinge loss",
        ),
        (
            _squares(
                "return 0.5 * (discriminate(real) - 0.9).square().mean() + 0.5 * discriminate(fake.detach()).square().mean()"
            ),
            "label smoothing",
        ),
        (
            _squares("return 0.5 * (discriminate(real) - discriminate(fake.detach()) - 1).square().mean()"),
            "one by one, as if they were pairs",
        ),
        (
            _squares("return 0.5 * ((discriminate(real) - 1).mean() + discriminate(fake.detach()).mean()) ** 2"),
            "squared the sum of both means",
        ),
        (
            _squares("return 0.5 * (discriminate(real) - 1).square() + 0.5 * discriminate(fake.detach()).square()"),
            "The mean is missing",
        ),
        (
            _squares(
                "return 0.5 * (discriminate(real) - 1).square().mean(), 0.5 * discriminate(fake.detach()).square().mean()"
            ),
            "return the two errors apart",
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
        _cycle(
            "x, y = x.detach(), y.detach()\nreturn weight * (F.l1_loss(y_to_x(x_to_y(x)), x) + F.l1_loss(x_to_y(y_to_x(y)), y))"
        ),
        _cycle("return weight * (F.l1_loss(y_to_x(x_to_y(x)), x.detach()) + F.l1_loss(x_to_y(y_to_x(y)), y.detach()))"),
        _cycle(
            "both, n = torch.cat([x, y]), len(x)\nreturn weight * (F.l1_loss(y_to_x(x_to_y(both))[:n], x) + F.l1_loss(x_to_y(y_to_x(both))[n:], y))"
        ),
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
        _identity("x, y = x.detach(), y.detach()\nreturn F.l1_loss(x_to_y(y), y) + F.l1_loss(y_to_x(x), x)"),
        _identity("return F.l1_loss(x_to_y(y), y.detach()) + F.l1_loss(y_to_x(x), x.detach())"),
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
        _query(
            "old = history\n"
            + FILLED.replace(
                "history = torch.cat([history, images[:fresh]])",
                "history = torch.cat([old, images[:fresh]]) if fresh else old.clone()",
            )
            + SWAPPED
            + "return [shown, history]"
        ),
        _loop("shown.append(kept[places[i]]); kept[places[i]] = picture"),
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
        _objective(before="x, y = x.detach(), y.detach()"),
        _objective(
            cycles="cycle_weight * (F.l1_loss(y_to_x(x_to_y(x)), x.detach()) + F.l1_loss(x_to_y(y_to_x(y)), y.detach()))"
        ),
        _objective(
            "F.mse_loss(discriminate_y(x_to_y(x)), torch.tensor(1.0)) + F.mse_loss(discriminate_x(y_to_x(y)), torch.tensor(1.0))"
        ),
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
        _squares("""judged, made = discriminate(torch.cat([real, fake]).detach()).split([len(real), len(fake)])
return 0.5 * (judged - 1).square().mean() + 0.5 * made.square().mean()"""),
    ],
}
