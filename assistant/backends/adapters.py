"""LoRA adapters: a few trained weights over those of a model (Hu et al. 2021, arXiv:2106.09685), by `peft`.

An adapter is a folder as peft writes it. Whether it is one for a model is told by its tensors; what it calls its model
may be anybody's folder, and is told only where it does not fit. `peft` is an extra and is imported only when an adapter
is loaded. Knows nothing of what the model is for.
"""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from assistant.backends import hub
from assistant.errors import EngineError, WeightsError


def adapted(model: Any, name: str, adapter: str, *, merge: bool = True) -> Any:
    """The model `name` with the adapter in a folder: merged into its weights, or beside them where it must not be.

    Raises EngineError without `peft`, WeightsError where the folder holds no adapter, one that does not fit the model,
    or one that is damaged.
    """
    folder = Path(adapter).expanduser()
    _check_fit(model, name, folder, _settings(folder))
    if find_spec("peft") is None:
        raise EngineError(
            f"wanted the adapter '{adapter}', got no peft to load it with; pip install 'assistant[adapters]'"
        )
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
            warnings.filterwarnings("error", ".*missing adapter keys.*")  # peft leaves those at zero and goes on
            wrapped: Any = PeftModel.from_pretrained(model, str(folder))
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, UserWarning, SafetensorError) as error:
        raise WeightsError(
            f"wanted the adapter '{adapter}', got '{hub.line(error)}'; copy it anew, or train it on this model"
        ) from error
    return wrapped.merge_and_unload() if merge else wrapped.get_base_model()


def _settings(folder: Path) -> dict[str, Any]:
    """What an adapter says of itself."""
    file = folder / "adapter_config.json"
    try:
        told: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"wanted an adapter, got no '{file}'; name the folder that peft wrote") from error
    except (OSError, ValueError) as error:
        raise _unreadable(file, hub.line(error)) from error
    if not isinstance(told, dict):
        raise _unreadable(file, type(told).__name__)
    return told


def _unreadable(file: Path, got: str) -> WeightsError:
    return WeightsError(f"wanted an adapter's settings, got '{got}' in '{file}'; copy it anew")


def _check_fit(model: Any, name: str, folder: Path, told: dict[str, Any]) -> None:
    """Raise WeightsError where an adapter's layers are not the model's: of another width, or some that it lacks.

    Where none of them goes by a name of the model's, as in files from before a library renamed them, peft is left to
    tell.
    """
    wanted = _layers(folder)
    found = {layer: _width(model, layer, width) for layer, width in wanted.items()}
    wrong = sorted(layer for layer, width in wanted.items() if found[layer] != width)
    if not wrong or not any(found.values()):
        return
    first, base = wrong[0], told.get("base_model_name_or_path") or "another model"
    has = found[first]
    raise WeightsError(
        f"wanted an adapter for '{name}', got '{folder}', which says that it is for '{base}': {len(wrong)} of its "
        f"{len(wanted)} layers do not fit, {first} takes {wanted[first][0]} to {wanted[first][1]} where the model has "
        f"{f'{has[0]} to {has[1]}' if has else 'nothing'}; load it over its own model"
    )


def _layers(folder: Path) -> dict[str, tuple[int, int]]:
    """The layers that an adapter has a part for -> how many numbers go in and come out; no weights are read.

    Source of the names: peft writes `base_model.model.<layer>.lora_A.weight`, (rank, in), and `lora_B`, (out, rank).
    """
    from safetensors import SafetensorError, safe_open

    file = folder / "adapter_model.safetensors"
    if not file.is_file():  # in the old format, or none: peft tells
        return {}
    try:
        with safe_open(str(file), "pt") as tensors:
            shapes = {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"wanted the adapter '{folder}', got '{hub.line(error)}'; copy it anew, or train it on this model"
        ) from error
    first, second = ".lora_A.weight", ".lora_B.weight"
    pairs = [(key, key.removesuffix(first) + second) for key in shapes if key.endswith(first)]
    return {
        a.removesuffix(first).removeprefix("base_model.model."): (shapes[a][1], shapes[b][0])
        for a, b in pairs
        if b in shapes and len(shapes[a]) == len(shapes[b]) == 2
    }


def _width(model: Any, layer: str, wanted: tuple[int, int]) -> tuple[int, int] | None:
    """How many numbers go into a layer of a model and come out, as wanted where it does not say; None without it."""
    try:
        found: Any = model.get_submodule(layer)
    except AttributeError:
        return None
    return getattr(found, "in_features", wanted[0]), getattr(found, "out_features", wanted[1])
