"""All that chapter 07 trains; each notebook's own stand in its file, `clipcap_recipes.py` and so on."""

from course_utils.training import Recipe

RECIPES: tuple[Recipe, ...] = ()
