"""What holds for every test: no network, its share of the cores, no windows, scale smoke unless another is chosen."""

import os

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

# Before torch and the Hugging Face libraries are imported: they read these once. Child processes inherit them.
os.environ.setdefault("COURSE_SCALE", "smoke")
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, CORES // WORKERS)))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")

import matplotlib
import pytest

matplotlib.use("Agg")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out `full` tests at scale smoke, and skip `gpu` tests where there is no CUDA device."""
    long = [item for item in items if item.get_closest_marker("full") and os.environ["COURSE_SCALE"] == "smoke"]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line each which tests were left out for lack of a sandbox or a browser, and how to have them."""
    skipped = terminalreporter.stats.get("skipped", [])
    without = sum("needs a sandbox" in str(report.longrepr) for report in skipped)
    if without:
        terminalreporter.write_line(
            f"left out: {without} tests of tests/grading, which need bubblewrap: `sudo apt install bubblewrap`, then again"
        )
    unseen = sum("needs a browser" in str(report.longrepr) for report in skipped)
    if unseen:
        terminalreporter.write_line(
            f"left out: {unseen} tests of tests/browser, which need Chromium: `sudo apt install chromium`, then again"
        )
