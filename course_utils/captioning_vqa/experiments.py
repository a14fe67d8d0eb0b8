"""All studies of chapter 07; each notebook's own stand in its file, `clipcap_experiments.py` and so on."""

from course_utils.captioning_vqa.blip2_experiments import BLIP2_EXPERIMENTS
from course_utils.captioning_vqa.blip_experiments import BLIP_EXPERIMENTS
from course_utils.captioning_vqa.clipcap_experiments import CLIPCAP_EXPERIMENTS
from course_utils.captioning_vqa.vqa_experiments import VQA_EXPERIMENTS
from course_utils.training import Experiment

EXPERIMENTS: tuple[Experiment, ...] = (*CLIPCAP_EXPERIMENTS, *BLIP_EXPERIMENTS, *BLIP2_EXPERIMENTS, *VQA_EXPERIMENTS)
