"""Configs survive a round trip, weight files are read safely, and every failure says what to do."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass

import pytest
import safetensors.torch
import torch
from huggingface_hub import PyTorchModelHubMixin
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from torch import nn

from course_utils import hub


@dataclass(frozen=True)
class NetConfig:
    widths: tuple[int, ...] = (4, 8)
    stages: tuple[tuple[int, str], ...] = ((1, "a"), (2, "b"))
    name: str = "net"
    rate: float = 0.5
    bias: bool = True
    limit: int | None = None


class Net(nn.Module, hub.HubModel, coders=hub.config_coders(NetConfig)):
    def __init__(self, config: NetConfig):
        super().__init__()
        self.config = config
        self.first = nn.Linear(config.widths[0], config.widths[1], bias=config.bias)
        self.second = nn.Linear(config.widths[1], config.widths[0], bias=False)
        self.second.weight = nn.Parameter(self.first.weight.T.clone())
        self.codebook = nn.Parameter(torch.full((3,), 1 / 3))
        self.register_buffer("count", torch.tensor(70_000.0))
        self.register_buffer("steps", torch.tensor(123_456_789))


@pytest.mark.parametrize(
    "config", [NetConfig(), NetConfig(widths=(4, 2), stages=(), name="ü", rate=1e-7, bias=False, limit=3)]
)
@pytest.mark.parametrize("mixin", ["ours", "the library's"])
def test_a_config_survives_saving_and_loading_with_its_tuples(tmp_path, config, mixin):
    if mixin == "ours":
        model_class = Net
    else:

        class PlainNet(nn.Module, PyTorchModelHubMixin, coders=hub.config_coders(NetConfig)):
            def __init__(self, config: NetConfig):
                super().__init__()
                self.config = config
                self.weight = nn.Parameter(torch.ones(2))

        model_class = PlainNet
    model_class(config).save_pretrained(tmp_path)
    loaded = model_class.from_pretrained(tmp_path).config
    assert loaded == config and isinstance(loaded.widths, tuple) and hash(loaded) == hash(config)
    assert all(isinstance(stage, tuple) for stage in loaded.stages)


def test_a_config_must_be_frozen_and_flat():
    @dataclass
    class Thawed:
        size: int = 1

    @dataclass(frozen=True)
    class Nested:
        inner: NetConfig = NetConfig()

    with pytest.raises(TypeError, match="frozen"):
        hub.config_coders(Thawed)
    with pytest.raises(TypeError, match="Nested.inner"):
        hub.config_coders(Nested)


def test_half_precision_keeps_buffers_and_codebooks_and_comes_back_as_float32(tmp_path):
    model = Net(NetConfig())
    hub.save_half(model, tmp_path)
    stored = hub.read_weights(tmp_path)
    assert stored["first.weight"].dtype == torch.float16
    assert stored["codebook"].dtype == stored["count"].dtype == torch.float32
    assert (
        stored["count"] == 70_000 and stored["steps"] == 123_456_789 and stored["codebook"][0] == 1 / torch.tensor(3.0)
    )
    loaded = Net.from_pretrained(tmp_path)
    assert loaded.first.weight.dtype == torch.float32 and model.first.weight.dtype == torch.float32
    torch.testing.assert_close(loaded.first.weight, model.first.weight, atol=1e-7, rtol=2**-10)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_half_precision_keeps_tied_weights_tied(tmp_path):
    class Tied(nn.Module, hub.HubModel):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False)
            self.b.weight = self.a.weight

    model = Tied()
    hub.save_half(model, tmp_path)
    assert (tmp_path / hub.WEIGHTS).stat().st_size < 2 * 64 * 64 * 1.5
    loaded = Tied.from_pretrained(tmp_path)
    assert loaded.a.weight is loaded.b.weight
    torch.testing.assert_close(loaded.a.weight, model.a.weight, atol=1e-7, rtol=2**-10)


def test_half_precision_refuses_what_it_cannot_hold_and_leaves_the_old_file(tmp_path):
    model = Net(NetConfig())
    hub.save_half(model, tmp_path)
    before = (tmp_path / hub.WEIGHTS).read_bytes()
    with torch.no_grad():
        model.first.bias[0] = 70_000
    with pytest.raises(hub.WeightsError, match=r"first\.bias"):
        hub.save_half(model, tmp_path)
    assert (tmp_path / hub.WEIGHTS).read_bytes() == before


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin", "weights.pt", "sub/weights.pth"])
def test_reads_every_format_from_a_file_a_folder_and_a_subfolder(tmp_path, name):
    weights = {"a": torch.arange(3.0), "b": torch.ones(2, 2, dtype=torch.int64)}
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save({"state_dict": weights} if path.suffix == ".pt" else weights, path)
    for read in (hub.read_weights(path), hub.read_weights(tmp_path), hub.read_weights(tmp_path, filename=name)):
        assert read.keys() == weights.keys() and all(read[key].equal(weights[key]) for key in weights)


def test_a_folder_without_the_file_lists_what_it_holds(tmp_path):
    torch.save({}, tmp_path / "one.pt")
    torch.save({}, tmp_path / "two.bin")
    with pytest.raises(FileNotFoundError, match=r"one\.pt, two\.bin"):
        hub.read_weights(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"three\.pt"):
        hub.read_weights(tmp_path, filename="three.pt")


class Harmful:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("form", ["torch", "bare pickle"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path, form):
    weights, trap = tmp_path / "evil.bin", tmp_path / "was-run"
    if form == "torch":
        torch.save({"a": torch.ones(1), "b": Harmful(trap)}, weights)
    else:
        weights.write_bytes(pickle.dumps(Harmful(trap), protocol=2))
    with pytest.raises(hub.WeightsError, match=r"evil\.bin was refused"):
        hub.read_weights(weights)
    assert not trap.exists()


def test_a_file_with_more_than_tensors_by_name_is_refused(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(hub.WeightsError, match="no plain dictionary"):
        hub.read_weights(tmp_path / "list.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_gives_one_clear_error(tmp_path, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    weights = {"a": torch.randn(100, 100)}
    safetensors.torch.save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(hub.WeightsError, match=rf"cut{suffix}"):
        hub.read_weights(path)


def test_from_pretrained_refuses_damaged_and_foreign_files_and_prints_nothing(tmp_path, capsys):
    Net(NetConfig()).save_pretrained(tmp_path)
    assert not Net.from_pretrained(tmp_path).training
    assert capsys.readouterr().out == ""

    config = json.loads((tmp_path / hub.CONFIG).read_text())
    (tmp_path / hub.CONFIG).write_text(json.dumps({**config, "widths": [4, 16]}))
    with pytest.raises(hub.WeightsError, match="does not fit Net"):
        Net.from_pretrained(tmp_path)
    (tmp_path / hub.CONFIG).write_text(json.dumps(config))

    whole = (tmp_path / hub.WEIGHTS).read_bytes()
    safetensors.torch.save_file({"other.weight": torch.ones(3)}, tmp_path / hub.WEIGHTS)
    with pytest.raises(hub.WeightsError, match="does not fit Net"):
        Net.from_pretrained(tmp_path)
    (tmp_path / hub.WEIGHTS).write_bytes(whole[:-10])
    with pytest.raises(hub.WeightsError, match="damaged"):
        Net.from_pretrained(tmp_path)
    (tmp_path / hub.WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        Net.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"weight": torch.ones(2, 3)}, "Missing.*bias"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "other": torch.ones(1)}, "Unexpected.*other"),
        ({"weight": torch.ones(2, 4), "bias": torch.ones(2)}, "size mismatch for weight"),
    ],
)
def test_weights_are_loaded_whole_or_refused_in_one_line(weights, words):
    layer = nn.Linear(3, 2)
    with pytest.raises(hub.WeightsError, match=rf"some/file\.pth does not fit Linear: .*{words}"):
        hub.load_weights(layer, weights, "some/file.pth")
    hub.load_weights(layer, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, "some/file.pth")
    assert layer(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]


OFFLINE = """
from course_utils import hub
try:
    hub.read_weights("some-owner/some-model", "weights/a.bin")
except hub.OfflineError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}]
)
def test_without_a_network_the_error_names_the_repository_and_what_to_do(tmp_path, environment):
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        env={**os.environ, "HF_HOME": str(tmp_path), **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "weights/a.bin of some-owner/some-model" in run.stdout, run.stderr
    assert "hf download some-owner/some-model weights/a.bin" in run.stdout


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (LocalEntryNotFoundError("no connection"), hub.OfflineError, "owner/name"),
        (ConnectionResetError("reset"), hub.OfflineError, "owner/name"),
        (
            RepositoryNotFoundError.__new__(RepositoryNotFoundError),
            FileNotFoundError,
            "no public repository owner/name",
        ),
    ],
)
def test_errors_of_the_hub_become_ours(monkeypatch, raised, expected, words):
    def fail(*args, **kwargs):
        raise raised

    monkeypatch.setattr(hub, "hf_hub_download", fail)
    monkeypatch.setattr(hub, "get_hf_file_metadata", fail)
    with pytest.raises(expected, match=words):
        hub.read_weights("owner/name")


def test_a_name_that_is_neither_folder_nor_hub_id_says_so():
    with pytest.raises(FileNotFoundError, match="no file or folder on this machine"):
        hub.read_weights("data/checkpoints/there/is/none")


def test_a_byte_a_weight_halves_the_file_and_is_off_by_less_than_half_a_step_of_each_row(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 40, 3), nn.Linear(8, 8), nn.Embedding(64, 32))
    wide = type("Wide", (nn.Module, hub.HubModel), {})
    saved = wide()
    saved.parts = model
    with torch.no_grad():
        model[0].weight[3] = 0
        model[2].weight[5] *= 100
    hub.save_half(saved, tmp_path)
    size = (tmp_path / hub.WEIGHTS).stat().st_size
    hub.store_in_bytes(tmp_path / hub.WEIGHTS)
    assert (tmp_path / hub.WEIGHTS).stat().st_size < 0.65 * size
    read = hub.read_weights(tmp_path)
    assert set(read) == set(saved.state_dict()), "the scales are not weights"
    for name, weight in saved.state_dict().items():
        if weight.ndim == 1 or weight.numel() < hub.FEW:
            assert read[name].equal(weight.half())
            continue
        rows, stored = weight.flatten(1), read[name].flatten(1)
        assert ((rows - stored).abs().amax(1) <= rows.abs().amax(1) * (0.51 / 127 + 2**-10)).all()
    assert read["parts.0.weight"][3].abs().max() == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.safetensors"]


def test_a_model_in_bytes_is_loaded_like_any_other(tmp_path):
    model = Net(NetConfig())
    hub.save_half(model, tmp_path)
    plain = Net.from_pretrained(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "FEW", 1)
        hub.store_in_bytes(tmp_path / hub.WEIGHTS)
    assert hub.read_weights(tmp_path)["first.weight"].dtype == torch.float32
    loaded = Net.from_pretrained(tmp_path)
    torch.testing.assert_close(
        loaded.first.weight, plain.first.weight, atol=plain.first.weight.abs().max().item() / 200, rtol=0
    )
    assert not loaded.first.weight.equal(plain.first.weight)
    assert loaded.codebook.equal(plain.codebook) and loaded.steps.equal(plain.steps)


def test_a_model_in_several_files_is_found_while_offline(tmp_path, monkeypatch):
    """The index and what it lists are in the cache; the single file, which is asked for first, cannot be."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "net"}))
    parts = {"model-1.safetensors": {"a": torch.ones(2)}, "model-2.safetensors": {"b": torch.zeros(3)}}
    for name, tensors in parts.items():
        safetensors.torch.save_file(tensors, tmp_path / name)
    index = {"weight_map": {key: name for name, tensors in parts.items() for key in tensors}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    def cached(source, filename, **download):
        if not (tmp_path / filename).is_file():
            raise hub.OfflineError(f"cannot get {filename}")
        return tmp_path / filename

    monkeypatch.setattr(hub, "_locate", cached)
    _, weights = hub.read_transformers("owner/name", "net", {})
    assert {name: len(tensor) for name, tensor in weights.items()} == {"a": 2, "b": 3}
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(hub.OfflineError, match=r"cannot get model\.safetensors"):
        hub.read_transformers("owner/name", "net", {})


def test_shared_tensors_are_saved_the_same_each_time(tmp_path):
    class Tied(nn.Module, hub.HubModel, coders=hub.config_coders(NetConfig)):
        def __init__(self, config: NetConfig):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(6))
            self.others = nn.ModuleList(self.layers)

    model = Tied(NetConfig())
    saved = set()
    for number in range(4):
        hub.save_half(model, tmp_path / str(number))
        saved.add((tmp_path / str(number) / hub.WEIGHTS).read_bytes())
    assert len(saved) == 1
    loaded = Tied.from_pretrained(tmp_path / "0")
    assert loaded.layers[2].weight is loaded.others[2].weight
    assert loaded.layers[2].weight.equal(model.layers[2].weight.half().float())
