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
from course_utils.metrics.judges import (
    READABLE,
    FaceJudge,
    FaceJudgeConfig,
    GlyphJudge,
    GlyphJudgeConfig,
    SceneJudge,
    SceneJudgeConfig,
)
from course_utils.metrics.readings import (
    FaceReading,
    SceneReading,
    face_accuracy,
    face_agreement,
    scene_accuracy,
    scene_agreement,
)

__all__ = [
    "READABLE",
    "FaceJudge",
    "FaceJudgeConfig",
    "FaceReading",
    "GlyphJudge",
    "GlyphJudgeConfig",
    "SceneJudge",
    "SceneJudgeConfig",
    "SceneReading",
    "bootstrap_interval",
    "density_coverage",
    "face_accuracy",
    "face_agreement",
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
