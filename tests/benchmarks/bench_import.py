"""Starting the course.

Seconds that a fresh Python needs, median of nine runs in turns, beside the two imports that everything else waits for.
"""

import json
import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "python, nothing imported": "pass",
    "import course_utils": "import course_utils",
    "course --help": "from course_utils.cli.main import main; main(['--help'])",
    "import torch": "import torch",
    "import transformers, torch": "import torch, transformers; transformers.PreTrainedModel",
}


def seconds(program: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    for program in PROGRAMS.values():
        seconds(program)  # once unmeasured: the files are then in the system's cache
    runs = {name: [] for name in PROGRAMS}
    for _ in range(9):
        for name, program in PROGRAMS.items():
            runs[name].append(seconds(program))
    medians = {name: statistics.median(times) for name, times in runs.items()}
    for name, median in medians.items():
        print(json.dumps({"what": name, "seconds": median, "part_of_import_torch": median / medians["import torch"]}))


if __name__ == "__main__":
    main()
