"""Fingerprints of code: equal for code that does the same, whatever its comments, docstrings and line breaks."""

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import CellType, CodeType, FunctionType
from typing import Any

from torch.utils.data import Dataset


def digest(*parts: str | bytes) -> str:
    """A short fingerprint (16 hexadecimal digits) of the parts in this order."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(str(len(data)).encode() + b":" + data)
    return whole.hexdigest()[:16]


def source_of_files(paths: Iterable[Path]) -> str:
    """Fingerprint of Python files, without regard to comments and docstrings."""
    return digest(*(canonical(path.read_text(encoding="utf-8")) for path in sorted(paths)))


def source_of(thing: Any) -> str:
    """Fingerprint of a function or class: of its source, the plain values it refers to, and the functions beside it.

    What it calls in its own module (in a notebook: the reader's other functions) is followed, and so are players and
    data sets that it refers to, so a change anywhere in the reader's code is seen; code of other modules is not.
    """
    parts: dict[str, str] = {}
    _collect(thing, getattr(thing, "__module__", None), parts)
    return digest(*(f"{name}={parts[name]}" for name in sorted(parts)))


@functools.lru_cache(1024)
def canonical(source: str) -> str:
    """The source as nested lists of what Python's parser saw; the mere words where it cannot parse."""
    try:
        return str(_node(ast.parse(textwrap.dedent(source))))
    except SyntaxError:  # the lines of a lambda in the middle of a call are not a program
        return " ".join(source.split())


def _node(value: Any) -> Any:
    if isinstance(value, list):
        return [_node(one) for one in value]
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = dict(ast.iter_fields(value))
    if isinstance(value, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
        first = fields["body"][0] if fields["body"] else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            fields["body"] = fields["body"][1:]  # a docstring does nothing
    filled = [(name, _node(field)) for name, field in fields.items() if field not in (None, [])]
    return [type(value).__name__, filled]  # what is empty differs between versions of Python, and says nothing


def _collect(thing: Any, module: str | None, parts: dict[str, str]) -> None:
    if isinstance(thing, type):
        name = thing.__qualname__
        if name in parts:
            return
        parts[name] = str([base.__qualname__ for base in thing.__bases__])
        for member in [*thing.__bases__, *vars(thing).values()]:
            member = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(member, FunctionType) or (isinstance(member, type) and member.__module__ == module):
                _collect(member, module, parts)
        return
    thing = inspect.unwrap(getattr(thing, "__func__", thing))
    if not isinstance(thing, FunctionType):
        parts[type(thing).__qualname__] = repr(thing) if _is_plain(thing) else type(thing).__qualname__
        return
    try:
        source = canonical(inspect.getsource(thing))
    except (OSError, TypeError):
        source = repr((thing.__code__.co_code, thing.__code__.co_names))
    name = thing.__qualname__ + (digest(source) if "<lambda>" in thing.__qualname__ else "")
    if name in parts:
        return
    parts[name] = source + repr(thing.__defaults__ if _is_plain(thing.__defaults__) else "")
    for label, cell in zip(thing.__code__.co_freevars, thing.__closure__ or (), strict=True):
        if cell != CellType():  # empty as long as its variable has no value
            _collect_value(name, label, cell.cell_contents, module, parts)
    for label in _names(thing.__code__):
        if label in thing.__globals__:
            _collect_value(name, label, thing.__globals__[label], module, parts)


def _collect_value(user: str, label: str, value: Any, module: str | None, parts: dict[str, str]) -> None:
    """Note a value that `user` knows by the name `label`; lists and dicts only where a NAME says that they stay."""
    if _is_plain(value) or (label.isupper() and _is_plain(_frozen(value))):
        parts[f"{user} uses {label}"] = repr(value)
    elif isinstance(value, FunctionType | type):
        if value.__module__ == module:
            _collect(value, module, parts)
    elif is_dataclass(value) and type(value).__dataclass_params__.frozen:  # a player, a config
        for field in fields(value):
            _collect_value(user, f"{label}.{field.name}", getattr(value, field.name), module, parts)
    elif isinstance(value, Dataset):
        settings = {name: setting for name, setting in vars(value).items() if _is_plain(setting)}
        parts[f"{user} uses {label}"] = repr((type(value).__qualname__, settings))


def _names(code: CodeType) -> list[str]:
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant)]
    return [*code.co_names, *inner]


def _frozen(value: Any) -> Any:
    """Lists and dicts, also inside each other, as tuples."""
    if isinstance(value, dict):
        value = list(value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:
    """Whether it is a value that stays as it is: lists and dicts may change while code runs."""
    if isinstance(value, tuple | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | None)
