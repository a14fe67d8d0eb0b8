"""Tables for people, JSON lines for programs."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def number(value: float) -> str:
    """A number in four significant digits, large ones in full: 0.9912, 12.35, 131072."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: tuples become lists, and what is no finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def text(value: Any) -> str:
    """A value as a cell of a table shows it; None is shown as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "\n".join(f"{name} {text(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(text(item) for item in value)
    return number(value) if isinstance(value, (int, float)) else str(value)


def show(rows: Sequence[Mapping[str, Any]], title: str, as_json: bool = False, empty: str = "nothing yet") -> None:
    """Print rows as a table, or as one JSON object a line where `as_json` is set. What a row lacks stays blank."""
    if as_json:
        for row in rows:
            print(json.dumps(plain(row), ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 160)
    if not rows:
        console.print(f"{title}: {empty}", markup=False)
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[text(row.get(name)) for name in names] for row in rows]
    table = Table(title=title, title_justify="left", show_lines=any("\n" in cell for line in cells for cell in line))
    for name in names:
        values = [row.get(name) for row in rows]
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        # names are looked for with grep and copied: no line break within one
        table.add_column(
            name.replace("_", " "), justify="right" if numeric else "left", overflow="fold", no_wrap=name == "name"
        )
    for line in cells:
        table.add_row(*map(Text, line))
    console.print(table)
