"""One explorer for all notebooks: controls on the left, the picture that they make on the right.

The controls are ipywidgets' own, and work from the keyboard: Tab to reach, arrows to move a slider, space to tick a box.
"""

from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.figure import Figure
from torch import Tensor

from course_utils import plots

Control = tuple[float, float, float] | Sequence[str] | str | bool


def _control(name: str, setting: Control) -> ipywidgets.ValueWidget:
    description = name.replace("_", " ")
    common = {"description": description, "style": {"description_width": "8em"}}
    if isinstance(setting, bool):
        return ipywidgets.Checkbox(value=setting, description=description)
    if isinstance(setting, str):  # a change counts when Enter is pressed
        return ipywidgets.Text(value=setting, continuous_update=False, layout={"width": "36em"}, **common)
    if all(isinstance(item, str) for item in setting):
        # no Dropdown: JupyterLab takes the arrow keys away from its menu, and moves to another cell
        return ipywidgets.SelectionSlider(options=list(setting), continuous_update=False, **common)
    low, high, start = setting
    if all(isinstance(item, int) for item in setting):
        return ipywidgets.IntSlider(value=start, min=low, max=high, continuous_update=False, **common)
    return ipywidgets.FloatSlider(
        value=start, min=low, max=high, step=(high - low) / 40, continuous_update=True, readout_format=".2f", **common
    )


def explorer(
    draw: Callable[..., Tensor | Figure], *, alt: str, columns: int = 8, zoom: int = 4, **controls: Control
) -> ipywidgets.Widget:
    """A widget that calls `draw(**values)` whenever a control moves, and shows the pictures, or the figure, that it returns.

    Args:
        draw: gets the value of every control by name and returns pictures (batch, channels, height, width) in [-1, 1], or a figure.
        alt: what the picture shows, for screen readers.
        columns: pictures in a row; no matter for a figure.
        zoom: screen pixels for each pixel of a picture; no matter for a figure.
        controls: by name, `(low, high, start)` for a slider (of whole numbers, if all three are), a list of
            strings to slide through, a string for a line of text, or True or False for a box to tick.

    An error in `draw` is shown under the picture, and the last good picture stays.
    """
    widgets = {name: _control(name, setting) for name, setting in controls.items()}
    picture = ipywidgets.Image(format="png", layout={"object_fit": "none"})
    picture.add_class("course-explorer-picture")
    message = ipywidgets.HTML(f"<small>{alt}</small>")

    def redraw(_change: object = None) -> None:
        try:
            made = draw(**{name: widget.value for name, widget in widgets.items()})
            picture.value = (
                plots.figure_png(made) if isinstance(made, Figure) else plots.png(plots.sheet(made, columns), zoom)
            )
            message.value = f"<small>{alt}</small>"
        except Exception as error:  # ipywidgets would only log it where no reader looks
            message.value = f"<b>{type(error).__name__}:</b> {error}"

    for name, widget in widgets.items():
        widget.add_class(f"course-control-{name.replace('_', '-')}")
        widget.observe(redraw, names="value")
    redraw()
    return ipywidgets.HBox([ipywidgets.VBox(list(widgets.values())), ipywidgets.VBox([picture, message])])
