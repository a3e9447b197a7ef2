"""LoRA adapters: a few trained weights over those of a model (Hu et al. 2021, arXiv:2106.09685), by `peft`.

An adapter is a folder as peft writes it. `peft` is an extra and is imported only when an adapter is loaded. Knows
nothing of what the model is for.
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

    Raises EngineError without `peft`, WeightsError where the folder holds no adapter, one for another model, or one
    that is damaged or of which nothing fits.
    """
    folder = Path(adapter).expanduser()
    base = _base(folder)
    if _last(base) not in _names(name):
        raise WeightsError(f"wanted an adapter for '{name}', got '{adapter}' for '{base}'; load it over its own model")
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


def _base(folder: Path) -> str:
    """The model that an adapter was trained on, by its own settings."""
    settings = folder / "adapter_config.json"
    try:
        base = json.loads(settings.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except FileNotFoundError as error:
        raise WeightsError(f"wanted an adapter, got no '{settings}'; name the folder that peft wrote") from error
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"wanted an adapter's settings, got '{hub.line(error)}' in '{settings}'; copy it anew"
        ) from error
    if not base:
        raise WeightsError(f"wanted the model that an adapter is for, got none in '{settings}'; name it there")
    return str(base)


def _names(model: str) -> set[str]:
    """What a model may be called: the last part of its name, of its folder, or of its place in the hub's cache."""
    parts = Path(model).expanduser().resolve().parts if Path(model).expanduser().exists() else (model,)
    cached = [part.rsplit("--", 1)[-1] for part in parts if part.startswith("models--")]
    return {_last(model), _last(parts[-1]), *(name.casefold() for name in cached)}


def _last(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].casefold()
