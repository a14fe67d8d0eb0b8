"""Judges that read pictures, and distances between sets of pictures."""

from course_utils.metrics.distances import (
    bootstrap_interval,
    density_coverage,
    frechet_distance,
    halves_distance,
    high_frequency_energy,
    kernel_distance,
    memorisation,
    nearest_images,
    precision_recall,
    psnr,
    sharpness,
)
from course_utils.metrics.judges import READABLE, GlyphJudge, GlyphJudgeConfig, SceneJudge, SceneJudgeConfig
from course_utils.metrics.readings import SceneReading, scene_accuracy, scene_agreement

__all__ = [
    "READABLE",
    "GlyphJudge",
    "GlyphJudgeConfig",
    "SceneJudge",
    "SceneJudgeConfig",
    "SceneReading",
    "bootstrap_interval",
    "density_coverage",
    "frechet_distance",
    "halves_distance",
    "high_frequency_energy",
    "kernel_distance",
    "memorisation",
    "nearest_images",
    "precision_recall",
    "psnr",
    "scene_accuracy",
    "scene_agreement",
    "sharpness",
]
