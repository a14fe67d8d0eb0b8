"""Run every `bench_*.py` of this folder, one after the other, and write what they measured to docs/benchmarks.md.

`run.py grading` runs bench_grading.py alone; the other sections stay as they are.

Each benchmark is a program that measures the course and what one would use instead, in one run and in turns, and
prints its rows as JSON objects, one a line. The keys become the columns of its table, its docstring the text above.
"""

import ast
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent.parent / "docs" / "benchmarks.md"


def shown(value: object) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def table(rows: list[dict]) -> str:
    """Rows with the same keys as a table in Markdown."""
    columns = list(rows[0])
    numeric = [all(isinstance(row[column], (int, float)) for row in rows) for column in columns]
    lines = [f"| {' | '.join(column.replace('_', ' ') for column in columns)} |"]
    lines.append(f"| {' | '.join('---:' if right else '---' for right in numeric)} |")
    lines += [f"| {' | '.join(shown(row[column]) for column in columns)} |" for row in rows]
    return "\n".join(lines)


def measure(program: Path) -> list[dict]:
    """The rows that a benchmark printed.

    Raises:
        RuntimeError: if it failed or printed none.
    """
    print(f"{program.name} ...", flush=True)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not rows:
        raise RuntimeError(f"{program.name} ended with {done.returncode} and {len(rows)} rows:\n{done.stderr[-2000:]}")
    for row in rows:
        print("   ", ", ".join(f"{key} {shown(value)}" for key, value in row.items()), flush=True)
    return rows


def main(names: list[str]) -> int:
    programs = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    if unknown := [name for name in names if name not in programs]:
        raise SystemExit(f"no benchmark is called {unknown[0]}; there are {', '.join(programs)}")
    versions = ", ".join(f"{name} {importlib.metadata.version(name).split('+')[0]}" for name in ("torch", "accelerate"))
    parts = [
        "# Benchmarks",
        "Written by `make bench`: the course against what one would use instead, both in one run on one machine. "
        "Compare the ratios; times differ from machine to machine.",
        f"Python {platform.python_version()}, {versions}, {platform.system()} on {platform.machine()}, {os.cpu_count()} cores.",
    ]
    head, *before = TABLE.read_text(encoding="utf-8").strip().split("\n\n## ") if names else [""]
    if names and head != "\n\n".join(parts):
        raise SystemExit("the other sections were measured on another machine or with other versions: run them all")
    sections = {section.partition("\n")[0]: section for section in before}
    for name, program in programs.items():
        title, _, text = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))).partition("\n")
        title = title.rstrip(".")
        if names and name not in names:
            parts += [f"## {sections[title]}"] if title in sections else []
            continue
        rows = measure(program)
        parts += [f"## {title}", *([text.strip()] if text.strip() else []), table(rows)]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text("\n\n".join(parts) + "\n", encoding="utf-8", newline="\n")
    print(f"written to {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
