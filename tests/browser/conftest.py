"""A real browser: the system's Chromium, driven by playwright, and JupyterLab as `make lab` starts it."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils import runtime

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = runtime.repository()
PICTURES = ROOT / "build" / "screenshots"  # for people to look at; git ignores it
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
OPTIONS = ("--LabApp.extension_manager=readonly", "--LabApp.expose_app_in_browser=True")
SECONDS = 90  # that one step may take on a busy machine; none waits longer than it has to

FIGURE = """\
import torch
from torch import Tensor

from course_utils import plots, widgets
from course_utils.checks import autoencoders as check

plots.show(plots.image_grid(torch.linspace(-1, 1, 4).view(4, 1, 1, 1).expand(4, 1, 8, 8)), alt="four squares from black to white")"""
EXPLORER = """\
def draw(count, level, side, inverted, title):
    marks = torch.full((count, 1, 8, 8), level + len(title) / 100)
    marks[..., :4 if side == "left" else 6] = 0.5
    return -marks if inverted else marks


widgets.explorer(draw, alt="squares in shades of grey", count=(1, 6, 2), level=(-1.0, 0.8, 0.0), side=["left", "right"], inverted=False, title="a")"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="needs a browser"))


def student_notebook(path: Path) -> None:
    """A short notebook from pieces of a released one: title, Colab's cell, an exercise with its check, a figure, an explorer."""
    released = nbformat.read(ROOT / "notebooks" / "01_autoencoders" / "02_vae.ipynb", as_version=4)
    named = {cell.metadata.get("nbgrader", {}).get("grade_id", cell.id): cell for cell in released.cells}
    title = new_markdown_cell("# Tiny\n\nAn equation, $z = \\mu + \\sigma \\epsilon$, in a line of text.", id="title")
    exercise = [named["kl-divergence"], named["kl-divergence-check"]]
    cells = [
        title,
        named["colab"],
        new_code_cell(FIGURE, id="figure"),
        *exercise,
        new_code_cell(EXPLORER, id="explorer"),
    ]
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=released.metadata), path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab, started by the command in which the first `make lab` ends: the welcome page, and one notebook."""
    folder = tmp_path_factory.mktemp("lab")
    spec = importlib.util.spec_from_file_location("setup_environment", ROOT / "setup_environment.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    student_notebook(folder / "course" / "notebooks" / "01_tiny" / "01_first.ipynb")
    shutil.copy(ROOT / "notebooks" / setup.WELCOME, folder / "course" / "notebooks")
    settings = folder / "settings" / "@jupyterlab"
    for name, choice in {
        "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
        "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are there too
        "docmanager-extension/plugin": {"autosave": False},
    }.items():
        path = settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(choice))
    commands: list[list[str]] = []
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {
            "HOME": "home", "JUPYTER_DATA_DIR": "home/data", "JUPYTER_CONFIG_DIR": "home/config", "JUPYTER_RUNTIME_DIR": "home/runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "home/ipython",
        }.items():  # fmt: skip
            patch.setenv(variable, str(folder / value))
        patch.setenv("JUPYTER_TOKEN", "secret")
        patch.setattr(setup, "ROOT", folder / "course")
        patch.setattr(setup, "PYTHON", Path(sys.executable))
        patch.setattr(setup, "install", lambda extras: None)
        patch.setattr(setup.os, "execv", lambda program, command: commands.append(command))
        patch.chdir(folder)
        for variable in ("JUPYTER_PREFER_ENV_PATH", "PATH"):
            patch.setenv(variable, os.environ.get(variable, "1"))
        setup.lab(port, browser=False)
        with open(folder / "log", "wb") as log:
            server = subprocess.Popen([*commands[0], *OPTIONS], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            try:
                urllib.request.urlopen(f"{address}/api?token=secret", timeout=20).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


# The contrast of each text that a selector finds, by the formula of WCAG 2, against the first opaque background behind each.
CONTRAST = """
selector => {
  const parts = color => { const n = color.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [...document.querySelectorAll(selector)].filter(e => e.textContent.trim() && e.getClientRects().length);
  return found.map(element => {
    let behind = element;
    while (behind && parts(getComputedStyle(behind).backgroundColor)[3] < 1) behind = behind.parentElement;
    const pair = [getComputedStyle(element).color, behind ? getComputedStyle(behind).backgroundColor : "rgb(255,255,255)"];
    const [a, b] = pair.map(parts).map(light).sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
}
"""


class Watched:
    """A page, and what went wrong on it: errors of its console, requests to other servers than the course's own."""

    def __init__(self, browser: "Browser", **options: object):
        self.page: Page = browser.new_page(viewport={"width": 1200, "height": 1000}, **options)
        self.page.set_default_timeout(1_000 * SECONDS)
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._look(request.url))

    def _look(self, address: str) -> None:
        if not re.match(r"(data|blob|file|about):|(https?|ws)://127\.0\.0\.1[:/]", address):
            self.elsewhere.append(address)

    def contrasts(self, selector: str) -> list[float]:
        """Contrast of each text that the selector finds, from 1 to 21."""
        return self.page.evaluate(CONTRAST, selector)

    def keep(self, name: str) -> None:
        """Keep a screenshot for people to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture(scope="module")
def watch(browser: "Browser") -> Callable[..., Watched]:
    """Opens a watched page."""
    return lambda **options: Watched(browser, **options)
