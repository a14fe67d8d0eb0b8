"""`course caption`: what is in a picture, in words; and how the commands of chapter 07 tell that a picture is not of the course's world."""

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
