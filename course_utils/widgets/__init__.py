"""Explorers for notebooks: controls that redraw a picture."""

from course_utils.widgets.explorer import explorer

__all__ = ["explorer"]
