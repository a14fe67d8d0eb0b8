"""Explorers for notebooks: sliders and menus that redraw a picture."""

from course_utils.widgets.explorer import explorer

__all__ = ["explorer"]
