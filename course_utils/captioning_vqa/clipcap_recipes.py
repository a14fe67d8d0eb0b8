"""What notebook 01_clipcap needs trained: a mapper from the vectors of `clip-scenes`, which sees and stays as it is, to the tokens of `gpt-scenes`,
which writes and learns on, or stays as it is, too."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import runtime, scale
from course_utils.captioning_vqa.clipcap import ClipCap, Mapper, MapperConfig
from course_utils.captioning_vqa.metrics import truth_scores
from course_utils.clip.clip import CLIP
from course_utils.clip.recipes import CLIP_SCENES, SIZE, written
from course_utils.data import Scenes, loader
from course_utils.data.scenes import LEVELS, SceneRecords, records, render
from course_utils.hub import HubModel
from course_utils.language.gpt2 import GPT2
from course_utils.language.recipes import GPT_SCENES, SCENES
from course_utils.language.texts import END, decoded, encoded, special
from course_utils.training import Player, Recipe, Target, load

NOTEBOOK = "07_captioning_vqa/01_clipcap"
IMAGE_WIDTH = 384  # of the last map of `clip-scenes`, and of what its attention pool has seen
MAPPER = MapperConfig(
    "transformer", clip_dim=IMAGE_WIDTH, width=SCENES.width, prefix_length=8, clip_length=4, depth=3, num_heads=4
)
LENGTH = 52  # tokens of the longest caption, with the end token behind it
SEEN = 40_000  # scenes whose vectors are computed before the mapper learns from them
CHUNK = 250  # pictures at once


# --- vectors and captions ---------------------------------------------------------------------------------------------


@torch.no_grad()  # not inference mode: a mapper is trained on what comes out
def vectors(images: Tensor, clip: CLIP | None = None) -> Tensor:
    """What CLIP's attention pool has seen, (pictures, 384) on the CPU, each with a mean of 0 and a variance of 1.

    CLIP itself takes a projection of this to 128 numbers, which keeps what tells captions apart and loses much of who has which colour.

    Args:
        clip: by default `clip-scenes`.
    """
    encoder = (clip or load(CLIP_SCENES)).image_encoder.to(runtime.device()).eval()
    parts = (encoder.features(part.to(runtime.device())) for part in images.split(CHUNK))
    seen = torch.cat([encoder.attention_pool.seen(part).cpu() for part in parts])
    return F.layer_norm(seen, seen.shape[1:])


def caption_ids(texts: Sequence[str], length: int | None = None) -> tuple[Tensor, Tensor]:
    """Ids (texts, n) int64 and `attention_mask` (texts, n) bool: words and the end token, for the prefix stands where texts of `gpt-scenes` begin.

    Args:
        length: n; by default that of the longest.
    """
    batch = encoded(texts, None if length is None else length + 1)
    return batch["input_ids"][:, 1:], batch["attention_mask"][:, 1:]


class CaptionedVectors(Dataset):
    """Scenes as CLIP sees them, once and for all: `features` (batch, 384), `input_ids` and `attention_mask` (batch, n) of a caption of each.

    Args:
        length: number of scenes.
        level: of their captions.
        split, objects: as for `Scenes`.
    """

    def __init__(self, length: int, level: str = "full", split: str = "train", objects: int | None = None):
        data, clip = (
            Scenes(split, SIZE, length=length, fields=("image", "captions"), objects=objects),
            load(CLIP_SCENES),
        )
        features, texts = [], []
        for start in range(0, length, 1000):
            part = data[range(start, min(start + 1000, length))]
            features.append(vectors(part["image"], clip).half())
            texts += [few[LEVELS.index(level)] for few in part["captions"]]
        self.features = torch.cat(features)
        ids, self.attention_mask = caption_ids(texts, LENGTH)
        self.input_ids = ids.short()

    def __len__(self) -> int:
        return len(self.features)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        chosen = torch.as_tensor(indices)
        mask = self.attention_mask[chosen]
        longest = int(mask.sum(1).max())
        return {
            "features": self.features[chosen].float(),
            "input_ids": self.input_ids[chosen, :longest].long(),
            "attention_mask": mask[:, :longest],
        }


class Captioner(ClipCap, HubModel):
    """`MAPPER` and a GPT-2 of the size of `gpt-scenes` that learns, as one model to be saved."""

    def __init__(self) -> None:
        super().__init__(Mapper(MAPPER), GPT2(SCENES), frozen=False)


def between(mapper: Mapper, frozen: bool) -> ClipCap:
    """A mapper before the trained `gpt-scenes`, which learns on unless it is frozen."""
    return ClipCap(mapper, load(GPT_SCENES), frozen)


def with_gpt_scenes(model: ClipCap) -> ClipCap:
    """The same model with the weights of `gpt-scenes` in its language model."""
    model.language_model.load_state_dict(load(GPT_SCENES).state_dict())
    return model


def clipcap_player(model: ClipCap, learning_rate: float = 1e-3, ema_decay: float = 0.998) -> Player:
    """A mapper, and what else of the model is not frozen, that learns captions; batches as `CaptionedVectors` makes them."""

    def objective(batch: dict) -> tuple[Tensor, dict[str, Tensor | float]]:
        return model.loss(batch["features"], batch["input_ids"], batch["attention_mask"]), {}

    return Player("ClipCap", model, objective, learning_rate, (0.9, 0.98), weight_decay=0.05, ema_decay=ema_decay)


# --- writing ----------------------------------------------------------------------------------------------------------


def described(model: ClipCap, features: Tensor, generator: torch.Generator | None = None, **settings) -> list[str]:
    """A caption for each vector (pictures, 384), see `vectors`.

    Args:
        generator, settings: as for `ClipCap.generate`; by default the likeliest token is taken each time.
    """
    device, end, texts = next(model.parameters()).device, special(END), []
    for part in features.split(CHUNK):
        ids = model.generate(part.to(device), LENGTH, generator, end_token_id=end, pad_token_id=end, **settings)
        texts += decoded(ids.cpu())
    return texts


def full_captions(scenes: SceneRecords) -> list[str]:
    """The full caption of each scene."""
    return [caption.text for caption in written(scenes, "full")]


def others_captions(scenes: SceneRecords) -> list[str]:
    """For each scene the full caption of the next: what chance says."""
    texts = full_captions(scenes)
    return [*texts[1:], texts[0]]


# --- measuring --------------------------------------------------------------------------------------------------------


def caption_scores(write: Callable[[SceneRecords], list[str]], samples: int) -> dict[str, float]:
    """`truth_scores` of captions of held-out scenes; `unseen_pairs_whole` of scenes with pairs of shape and colour that training never shows."""
    scenes, unseen = records("test", range(samples)), records("compositional", range(max(1, samples // 4)))
    return truth_scores(write(scenes), scenes) | {"unseen_pairs_whole": truth_scores(write(unseen), unseen)["whole"]}


def _clipcap_metrics(model: ClipCap, samples: int) -> dict[str, float]:
    return caption_scores(lambda scenes: described(model, vectors(render(scenes, SIZE))), samples)


def _clipcap_chance(samples: int) -> dict[str, float]:
    """The captions of other scenes."""
    return caption_scores(others_captions, samples)


CLIPCAP_SCENES = Recipe(
    name="clipcap-scenes",
    chapter="07_captioning_vqa",
    notebook=NOTEBOOK,
    system="ClipCap",
    paper="Mokady, Hertz & Bermano, 2021",
    data="scenes, as vectors of clip-scenes, with full captions",
    model=Captioner,
    players=lambda model: clipcap_player(with_gpt_scenes(model)),
    loader=lambda: loader(CaptionedVectors(scale(smoke=200, cpu=SEEN, gpu=50_000)), 64),
    steps={"smoke": 3, "cpu": 5_500, "gpu": 20_000},
    metrics=_clipcap_metrics,
    targets={"whole": Target(at_least=0.5)},
    samples=1000,
    quick_samples=100,
    chance=_clipcap_chance,
    ceiling=lambda samples: caption_scores(full_captions, samples),
    minutes=30,
    about="One vector of 384 numbers from the frozen `clip-scenes`, before its projection, becomes eight that a language model goes on from, by its "
    "likeliest tokens. That begins as `gpt-scenes` and learns along with the mapper. `true`: all that the caption states holds; `complete`: it "
    "names every object; `whole`: both. Chance is the caption of another scene. The course hoped for 0.8: the vector does not hold enough of "
    "scenes with several objects, see the study `clipcap-vector`.",
)

CLIPCAP_RECIPES: tuple[Recipe, ...] = (CLIPCAP_SCENES,)
"""`course train clipcap-scenes`."""
