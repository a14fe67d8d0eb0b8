import random
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch

from course_utils import __version__, runtime


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import course_utils", "import course_utils.data", "import course_utils.runtime"]
)
def test_import_is_cheap(statement):
    loaded = modules_after(statement)
    assert "course_utils" in loaded
    assert not loaded & {"torch", "datasets", "transformers", "matplotlib", "numpy", "PIL", "sklearn"}


def test_version_is_the_one_of_the_project():
    text = runtime.repository().joinpath("pyproject.toml").read_text()
    assert f'version = "{__version__}"' in text


@pytest.mark.parametrize("name", runtime.SCALES)
def test_scale_picks_by_name(monkeypatch, name):
    monkeypatch.setenv("COURSE_SCALE", name)
    assert runtime.scale_name() == name
    assert runtime.scale(smoke="smoke", cpu="cpu", gpu="gpu") == name


def test_scale_is_cpu_unless_chosen(monkeypatch):
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    assert runtime.scale(smoke=1, cpu=2, gpu=3) == 2


def test_unknown_scale_is_named_with_the_choices(monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "huge")
    with pytest.raises(ValueError, match=r"'huge'.*smoke, cpu, gpu"):
        runtime.scale(smoke=1, cpu=2, gpu=3)


def test_device_is_a_device_that_computes(monkeypatch):
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    assert torch.ones(2, device=runtime.device()).sum().item() == 2
    if torch.cuda.is_available():
        assert runtime.device().type == "cuda"


def test_device_can_be_chosen(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "meta")
    assert runtime.device() == torch.device("meta")


def test_seed_everything_fixes_all_generators():
    def draws() -> list[float]:
        return [random.random(), numpy.random.get_bit_generator().random_raw(), torch.rand(()).item()]

    runtime.seed_everything(2**40 + 3)
    first = draws()
    runtime.seed_everything(2**40 + 3)
    assert draws() == first
    runtime.seed_everything(4)
    assert all(one != other for one, other in zip(draws(), first, strict=True))


def test_generator_is_a_function_of_its_seed():
    draws = [torch.rand(3, generator=runtime.generator(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_folders(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    root = runtime.repository()
    assert (root / "course_utils" / "runtime.py").is_file()
    assert runtime.data_folder("checkpoints", "vae-glyphs") == root / "data" / "checkpoints" / "vae-glyphs"
    assert runtime.cache_folder("x") == root / "data" / "cache" / "x"
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert runtime.cache_folder("x") == Path(tmp_path, "cache", "x")
