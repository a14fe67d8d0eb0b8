"""Configs, checkpoints and published weights: all reading and writing of model files goes through here.

A model of the course takes one frozen, flat config dataclass and mixes in `HubModel`:

    class VAE(nn.Module, HubModel, coders=config_coders(VAEConfig)):
        def __init__(self, config: VAEConfig): ...

`save_pretrained` and `from_pretrained` (a folder or a hub id) are those of `huggingface_hub.PyTorchModelHubMixin`.
We write safetensors only; files of other formats are read with `weights_only=True`, so that no file can run code.
"""

import copy
import functools
import json
import os
import pickle
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import safetensors.torch
import torch
from huggingface_hub import PyTorchModelHubMixin, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from torch import Tensor, nn

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
SCALE = ".row_scale"  # ends the name of what weights of one byte are multiplied by
FEW = 1024  # weights; a smaller matrix is not worth a byte a weight
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


class WeightsError(RuntimeError):
    """A weight file is damaged, unsafe, or belongs to another model; the message says which and what to do."""


class OfflineError(ConnectionError):
    """Published weights are not on this machine and the hub cannot be reached; the message says what to do."""


def config_coders(config_class: type) -> dict[type, tuple[Callable, Callable]]:
    """The `coders=` that let a model with this config be saved and loaded unchanged.

    JSON knows no tuples, and the mixin rebuilds a dataclass by calling it with what JSON gave back, before it asks any coder. So
    the constructor of `config_class` is made to accept lists where the fields hold tuples.

    Raises:
        TypeError: if `config_class` is not a frozen dataclass, or if a field holds another dataclass.
    """
    if not is_dataclass(config_class) or not config_class.__dataclass_params__.frozen:
        raise TypeError(f"{config_class.__name__} must be a frozen dataclass: write @dataclass(frozen=True) above it")
    nested = [field.name for field in fields(config_class) if is_dataclass(field.type)]
    if nested:
        raise TypeError(
            f"{config_class.__name__}.{nested[0]} is a dataclass; a config is flat: plain values and tuples"
        )
    construct = config_class.__init__

    @functools.wraps(construct)
    def construct_with_tuples(self: object, *args: object, **kwargs: object) -> None:
        construct(self, *map(_tuples, args), **{name: _tuples(value) for name, value in kwargs.items()})

    config_class.__init__ = construct_with_tuples
    return {config_class: (asdict, lambda values: config_class(**values))}


def _tuples(value: object) -> object:
    """`value` with every list, also inside lists, turned into a tuple."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


class HubModel(PyTorchModelHubMixin):
    """The library's mixin, made strict: a file with missing, foreign or damaged weights is refused, and nothing is printed."""

    @classmethod
    def _from_pretrained(
        cls, *, model_id: str, map_location: str = "cpu", strict: bool = True, revision: str | None = None,
        cache_dir: str | Path | None = None, force_download: bool = False, local_files_only: bool = False,
        token: str | bool | None = None, **model_arguments: Any,
    ) -> Self:  # fmt: skip
        model = cls(**model_arguments)
        path = _locate(
            model_id, WEIGHTS, revision=revision, cache_dir=cache_dir, force_download=force_download,
            local_files_only=local_files_only, token=token,
        )  # fmt: skip
        weights = _read(path)  # refuses a damaged file by name, before anything is copied
        try:
            missing, unexpected = fill(model, weights)
        except RuntimeError as error:
            raise WeightsError(f"{path} does not fit {cls.__name__} with its config: {error}") from error
        if strict and (missing or unexpected):
            raise WeightsError(
                f"{path} does not fit {cls.__name__} with its config: it lacks {missing or 'nothing'}, "
                f"and has {unexpected or 'nothing'} too much"
            )
        return model.to(map_location).eval()


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Load weights by name, and give the names that the model lacks then, and those that it has no place for.

    Parameters that share a tensor are stored under one of their names; the others do not lack.

    Raises:
        RuntimeError: if a weight has another shape than the parameter of its name.
    """
    own = model.state_dict()
    loaded = {own[name].data_ptr() for name in weights if name in own}
    result = model.load_state_dict(weights, strict=False)
    missing = [name for name in result.missing_keys if own[name].data_ptr() not in loaded]
    return missing, list(result.unexpected_keys)


def save_half(model: nn.Module, folder: str | Path) -> None:
    """Write `config.json` and `model.safetensors` into `folder`, with parameters in float16.

    Buffers (running statistics, counts, schedules) and parameters with `codebook` in their name keep their type. A file is
    replaced only when the new one is complete, so an interrupted write loses nothing. `from_pretrained` gives float32 back.

    Raises:
        WeightsError: if a parameter is not finite in float16 (its largest number is 65,504).
    """
    half = copy.deepcopy(model)
    for name, parameter in half.named_parameters():
        if parameter.is_floating_point() and "codebook" not in name:
            parameter.data = parameter.data.half()
        if not parameter.isfinite().all():
            raise WeightsError(f"parameter {name} is not finite in half precision: has the training diverged?")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".incomplete-") as incomplete:
        half.save_pretrained(incomplete)
        weights = safetensors.torch.load_file(Path(incomplete, WEIGHTS))
        if len(weights) < len(half.state_dict()):  # the library notes which names share a tensor, in an order of chance
            safetensors.torch.save_file(weights, Path(incomplete, WEIGHTS))
        for name in (WEIGHTS, CONFIG):
            if Path(incomplete, name).exists():  # a model without a config has no such file
                Path(incomplete, name).chmod(0o644)  # safetensors writes files that only their owner can read
                os.replace(Path(incomplete, name), folder / name)


def store_in_bytes(path: str | Path) -> None:
    """Rewrite a file of `save_half` with a byte for each weight of a matrix or kernel: about half the size.

    A row (all weights of one output, or of one token) keeps its largest size in a `scale`; its weights become whole numbers from -127 to 127:

        weight = number * scale,    scale = max |weights of the row| / 127

    so that none is off by more than 1/254 of the largest in its row. `read_weights` and `from_pretrained` give the weights back. Vectors,
    small matrices, and what `save_half` keeps in float32 stay as they are.
    """
    stored = {}
    for name, weight in safetensors.torch.load_file(path).items():
        if weight.dtype == torch.float16 and weight.ndim > 1 and weight.numel() >= FEW:
            rows = weight.float().flatten(1)
            scale = rows.abs().amax(dim=1).clamp(min=torch.finfo(torch.float16).tiny) / 127
            stored[name] = (rows / scale[:, None]).round().to(torch.int8).view(weight.shape)
            stored[name + SCALE] = scale
        else:
            stored[name] = weight
    part = Path(path).with_suffix(".part")
    safetensors.torch.save_file(stored, part)
    part.chmod(0o644)
    os.replace(part, path)


def _from_bytes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `store_in_bytes` stored, in float32; other weights as they are."""
    plain = {}
    for name, weight in weights.items():
        scale = weights.get(name + SCALE)
        if weight.dtype == torch.int8 and scale is not None:
            plain[name] = weight.float() * scale.view(-1, *[1] * (weight.ndim - 1))
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) in weights):
            plain[name] = weight
    return plain


def read_weights(source: str | Path, filename: str | None = None) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, from a file, a folder, or a repository of the Hugging Face hub.

    Args:
        source: a weight file, a folder, or a hub id such as `openai-community/gpt2`.
        filename: which file in the folder or repository, `unet/model.safetensors` for one in a subfolder. Without it: `model.safetensors`,
            or else the only weight file of a folder.

    Raises:
        FileNotFoundError: the folder has no such file (the message lists those it has).
        OfflineError: the hub cannot be reached, or has no such repository, and there is no copy on this machine.
        WeightsError: the file is damaged or holds more than plain tensors.
    """
    return _read(_locate(str(source), filename))


def read_config(source: str | Path, filename: str = CONFIG) -> dict[str, Any]:
    """The settings in a JSON file of a folder or of a repository of the Hugging Face hub.

    Args:
        source: a folder, or a hub id.
        filename: of the file, `unet/config.json` for one in a subfolder.

    Raises:
        FileNotFoundError, OfflineError: as in `read_weights`.
        WeightsError: the file is damaged.
    """
    path = _locate(str(source), filename)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is damaged (no JSON): delete it and get it again ({error})") from error
    if not isinstance(settings, dict):
        raise WeightsError(f"{path} holds no settings by name, but {type(settings).__name__}")
    return settings


def read_diffusers(
    source: str | Path, subfolder: str, kinds: Sequence[str], only: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights of a published model in the layout of diffusers, from a folder or a hub id.

    Args:
        subfolder: that holds `config.json` and `diffusion_pytorch_model.safetensors` (`.bin` in older repositories); "" for none.
        kinds: classes of diffusers that fit.
        only: settings of which our model knows one value; where they are given, they must have it.

    Raises:
        FileNotFoundError, OfflineError: as in `read_weights`.
        WeightsError: as in `read_weights`, and for a model of another kind or with other settings.
    """
    inside = f"{subfolder}/" if subfolder else ""
    settings = read_config(source, f"{inside}{CONFIG}")
    kind = settings.get("_class_name")
    if kind not in kinds:
        raise WeightsError(f"{source} {subfolder} holds a {kind}, but expected was a {' or '.join(kinds)} of diffusers")
    check_settings(f"{kind} of {source}", settings, only)
    try:
        return settings, read_weights(source, f"{inside}diffusion_pytorch_model.safetensors")
    except FileNotFoundError:
        return settings, read_weights(source, f"{inside}diffusion_pytorch_model.bin")


def read_transformers(
    source: str | Path, kind: str, only: Mapping[str, Any], subfolder: str = ""
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights of a published model in the layout of transformers, from a folder or a hub id.

    The folder holds `config.json` and `model.safetensors` (`pytorch_model.bin` in older repositories); large models come in several files,
    which an index lists.

    Args:
        kind: its `model_type`.
        only: settings of which our model knows one value; where they are given, they must have it.
        subfolder: that holds both files; "" for none.

    Raises:
        FileNotFoundError, OfflineError: as in `read_weights`.
        WeightsError: as in `read_weights`, and for a model of another kind or with other settings.
    """
    inside = f"{subfolder}/" if subfolder else ""
    settings = read_config(source, f"{inside}{CONFIG}")
    if settings.get("model_type") != kind:
        raise WeightsError(f"{source} holds a {settings.get('model_type')}, but expected was a {kind} of transformers")
    check_settings(f"{kind} of {source}", settings, only)
    missing: list[FileNotFoundError | OfflineError] = []
    for name in (WEIGHTS, "pytorch_model.bin"):
        try:
            return settings, read_weights(source, f"{inside}{name}")
        except (FileNotFoundError, OfflineError) as error:  # offline another of these may be in the cache
            missing.append(error)
        try:
            index = read_config(source, f"{inside}{name}.index.json")
        except (FileNotFoundError, OfflineError):
            continue
        files = sorted(set(index["weight_map"].values()))
        return settings, {
            key: tensor for file in files for key, tensor in read_weights(source, f"{inside}{file}").items()
        }
    raise missing[0]


def find_file(source: str | Path, filename: str) -> Path:
    """The path of a file in a folder or in a repository of the Hugging Face hub, downloaded if need be.

    Raises:
        FileNotFoundError, OfflineError: as in `read_weights`.
    """
    return _locate(str(source), filename)


def renamed(weights: Mapping[str, Tensor], patterns: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Tensors under other names: each regular expression in its turn is replaced in every name, as by `re.sub`."""
    named = {}
    for name, tensor in weights.items():
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name)
        named[name] = tensor
    return named


def check_settings(model: str, settings: Mapping[str, Any], only: Mapping[str, Any]) -> None:
    """Refuse a published model whose settings, where they are given, differ from those in `only`.

    Args:
        model: what it is called in the message.

    Raises:
        WeightsError: if one differs.
    """
    odd = {name: settings[name] for name, value in only.items() if settings.get(name, value) != value}
    if odd:
        expected = {name: only[name] for name in odd}
        raise WeightsError(f"this {model} is another network than ours: it has {odd}, ours {expected}")


def load_weights(module: nn.Module, weights: dict[str, Tensor], source: str | Path) -> None:
    """Put tensors by name into `module`, all of them and nothing else.

    Args:
        source: where they come from, for the message.

    Raises:
        WeightsError: if a name or a shape does not fit.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        details = " ".join(str(error).split())
        raise WeightsError(f"{source} does not fit {type(module).__name__}: {details}") from error


def _locate(source: str, filename: str | None, **download: Any) -> Path:
    """The path of a weight file on this machine, downloaded if need be."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        there = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.suffix in SUFFIXES)
        if filename is None and WEIGHTS not in there and len(there) == 1:
            filename = there[0]
        if not (path / (filename or WEIGHTS)).is_file():
            raise FileNotFoundError(
                f"no {filename or WEIGHTS} in {path}; weight files there: {', '.join(there) or 'none'}. Pass one as filename="
            )
        return path / (filename or WEIGHTS)
    return _download(source, filename or WEIGHTS, **download)


def _download(repository: str, filename: str, **download: Any) -> Path:
    """The path of a file of a hub repository: the copy on this machine, or else a fresh one."""
    revision, token = download.get("revision"), download.get("token")
    try:
        if not download.get("force_download"):
            try:
                return Path(hf_hub_download(repository, filename, **{**download, "local_files_only": True}))
            except LocalEntryNotFoundError:
                # one quick question before the download, which would ask six times, 25 seconds, where there is no network
                get_hf_file_metadata(hf_hub_url(repository, filename, revision=revision), token=token)
        return Path(hf_hub_download(repository, filename, **download))
    except HFValidationError as error:
        raise FileNotFoundError(
            f"{repository} is no file or folder on this machine, and no hub id (owner/name)"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"the hub has no public repository {repository}; is the name spelled right?") from error
    except LocalEntryNotFoundError as error:
        raise _offline(repository, filename) from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(f"the repository {repository} has no file {filename}; pass filename=") from error
    except HfHubHTTPError:
        raise  # the hub answered, and its message says what is wrong (a gated repository, too many requests)
    except (HTTPError, OSError) as error:
        raise _offline(repository, filename) from error


def _offline(repository: str, filename: str) -> OfflineError:
    return OfflineError(
        f"cannot get {filename} of {repository}: it is not in the cache of this machine and huggingface.co cannot be reached. "
        f"Run this once with a network: hf download {repository} {filename} (it is then found offline), or go on without it."
    )


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a safetensors file or, with `weights_only=True`, a torch file."""
    if path.suffix == ".safetensors":
        try:
            return _from_bytes(safetensors.torch.load_file(path))
        except safetensors.SafetensorError as error:
            raise WeightsError(
                f"{path} is damaged (incomplete or no safetensors file): delete it and get it again ({error})"
            ) from error
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} was refused: it is damaged, or holds more than plain tensors and could run code when opened. "
            "Look for a .safetensors file of the same weights."
        ) from error
    except (RuntimeError, EOFError, BadZipFile, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is damaged or incomplete: delete it and get it again ({error})") from error
    weights = weights.get("state_dict", weights) if isinstance(weights, dict) else weights
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise WeightsError(f"{path} holds no plain dictionary of tensors by name, but {type(weights).__name__}")
    return weights
