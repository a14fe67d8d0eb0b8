"""All that chapter 07 trains; each notebook's own stand in its file, `clipcap_recipes.py` and so on."""

from course_utils.captioning_vqa.blip2_recipes import BLIP2_RECIPES
from course_utils.captioning_vqa.blip_recipes import BLIP_RECIPES
from course_utils.captioning_vqa.clipcap_recipes import CLIPCAP_RECIPES
from course_utils.captioning_vqa.vqa_recipes import VQA_RECIPES
from course_utils.training import Recipe

RECIPES: tuple[Recipe, ...] = (*CLIPCAP_RECIPES, *BLIP_RECIPES, *BLIP2_RECIPES, *VQA_RECIPES)
