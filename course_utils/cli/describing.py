"""`course caption` and `course ask`: what is in a picture, in words; and how they tell that a picture is not of the course's world."""

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from course_utils.cli import names, output


def _by_blip(model: nn.Module, images: Tensor) -> list[str]:
    from course_utils.captioning_vqa import blip_recipes

    return blip_recipes.described(model, images)


def _by_clipcap(model: nn.Module, images: Tensor) -> list[str]:
    from course_utils.captioning_vqa import clipcap_recipes

    return clipcap_recipes.described(model, clipcap_recipes.vectors(images))


def _by_blip2(model: nn.Module, images: Tensor) -> list[str]:
    from course_utils.captioning_vqa import blip2_recipes

    return blip2_recipes.described(model, blip2_recipes.image_tokens(images))


WRITERS: dict[str, Callable[[nn.Module, Tensor], list[str]]] = {
    "blip-scenes": _by_blip,
    "clipcap-scenes": _by_clipcap,
    "blip2-scenes": _by_blip2,
}
"""Every recipe that `course caption` takes: (model, pictures (batch, 3, 32, 32) in [-1, 1]) -> a caption of each."""


def pictures(files: Sequence[Path]) -> Tensor:
    """The central square of each file, (files, 3, 32, 32) in [-1, 1].

    Raises:
        FileNotFoundError, ValueError: as `clip.gallery.file_gallery`.
    """
    import torch

    from course_utils.clip import gallery
    from course_utils.clip.recipes import SIZE

    return torch.cat([gallery.file_gallery(file).images([0], SIZE) for file in files])


def familiar(images: Tensor) -> tuple[list[float], float]:
    """How familiar each picture is to `blip-scenes` (`blip_recipes.familiarity`), and what 99 of 100 held-out scenes reach.

    A picture below that is likely not of the course's world, and what any model says about it means little.
    """
    from course_utils import training
    from course_utils.captioning_vqa import blip_recipes

    recipe = blip_recipes.BLIP_SCENES
    found = blip_recipes.familiarity(training.load(recipe), images)
    return found.tolist(), training.read_card(recipe)["metrics"]["familiar"]


def warning(file: Path, found: float, usual: float) -> str:
    """What is said of a picture that is not familiar."""
    return (
        f"low confidence: {file} looks like none of the course's scenes (familiarity {found:.2f}; 99 of 100 scenes reach {usual:.2f})"
        f", so what is said about it means little"
    )


def caption(files: Sequence[Path], model_name: str, as_json: bool) -> int:
    """The sub-command `caption`.

    Raises:
        UsageError: no file.
        Failure: the recipe's model does not write captions.
        FileNotFoundError, ValueError: as `pictures`.
    """
    if not files:
        raise names.UsageError("name at least one picture, as in: course caption scene.png")
    recipe = names.recipe(model_name)
    if model_name not in WRITERS:
        raise names.Failure(f"{model_name} writes no captions; these do: {', '.join(WRITERS)}")
    from course_utils import training

    images = pictures(files)
    texts = WRITERS[model_name](training.load(recipe), images)
    found, usual = familiar(images)
    table = [
        {"picture": str(file), "caption": text, "familiarity": value, "low confidence": value < usual}
        for file, text, value in zip(files, texts, found, strict=True)
    ]
    output.show(table, f"What {model_name} sees", as_json)
    if not as_json:
        for file, value in zip(files, found, strict=True):
            if value < usual:
                print(warning(file, value, usual))
    return 0


ANSWERER = "blip2-vqa-scenes"
SHOWN = 5  # answers
SURE = 0.5  # an answer that is less likely is said to be a guess


def ask(image: Path | None, question: str | None, as_json: bool) -> int:
    """The sub-command `ask`.

    Raises:
        UsageError: no picture, or no question.
        FileNotFoundError, ValueError: as `pictures`.
    """
    if image is None or not (question or "").strip():
        raise names.UsageError(
            'name a picture and a question, as in: course ask scene.png "How many objects are there?"'
        )
    recipe = names.recipe(ANSWERER)
    from course_utils import training
    from course_utils.captioning_vqa import vqa_recipes

    seen = pictures([image])
    likely = vqa_recipes.chances(training.load(recipe), seen[0], question.strip())
    (found,), usual = familiar(seen)
    best = max(likely.values())
    low = found < usual or best < SURE
    table = [{"answer": answer, "p": p, "low confidence": low} for answer, p in list(likely.items())[:SHOWN]]
    output.show(table, f"{question} ({image})", as_json)
    if not as_json:
        if found < usual:
            print(warning(image, found, usual))
        if best < SURE:
            print(
                f"low confidence: the likeliest answer has p = {best:.2f}; the questions that {ANSWERER} knows are those of the course's scenes"
            )
    return 0
