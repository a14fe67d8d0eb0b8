"""All studies of chapter 07; each notebook's own stand in its file, `clipcap_experiments.py` and so on."""

from course_utils.training import Experiment

EXPERIMENTS: tuple[Experiment, ...] = ()
