"""Models in the file format of the Hugging Face hub: from a folder, from its cache, or fetched once.

What is here is used without asking the hub. Imports its libraries when something is loaded, not before. Knows no
engine: each hands in how it loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from assistant.errors import EngineError, WeightsError
from assistant.models import advice

T = TypeVar("T")

FILES = ["*.json", "*.jinja", "*.safetensors", "*.txt", "*.model"]
"""What is fetched of a repository: many also hold the same weights for other engines."""
PICKLED = ["pytorch_model*.bin"]
"""The weights of a repository without `.safetensors`."""


def have(slot: str, model: str, load: Callable[[str], T], *, offline: bool) -> T:
    """What `load` makes of a folder: the one that is named, or that of a name on the hub, fetched where it is not here.

    `load` gets no name: with one, libraries ask the hub about it. `slot` is what the error calls it.
    Raises WeightsError where the weights are missing, cannot be had or are damaged.
    """
    from safetensors import SafetensorError

    folder = Path(model).expanduser()
    cure = advice(slot, model, "run once without --offline")
    if folder.exists():
        cure = "name a folder with a model, or one on the hub"
    try:
        try:
            with quiet():
                return load(str(folder if folder.exists() else _kept(model)))
        except OSError:
            if offline or folder.exists():
                raise
        cure = advice(slot, model, "check the name and the network")
        fetched = _fetched(model)
        with quiet():
            return load(fetched)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"wanted the {slot} '{model}', got '{line(error)}'; {cure}") from error


def _kept(model: str) -> Path:
    """The folder that the hub's cache has of a repository, as it was left there. Raises OSError without one."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json")
    if not isinstance(found, str):
        raise FileNotFoundError("no such folder, and nothing of it in the hub's cache")
    return Path(found).parent


def _fetched(model: str) -> str:
    """The folder of a repository in the hub's cache, after fetching what is wanted of it. Raises OSError."""
    from huggingface_hub import snapshot_download

    folder = snapshot_download(model, allow_patterns=FILES, ignore_patterns="*/*")
    if not any(Path(folder).glob("*.safetensors")):
        commit = Path(folder).name
        return snapshot_download(model, revision=commit, allow_patterns=PICKLED, ignore_patterns="*/*")
    return folder


def weights(kind: Any, model: str, device: str, dtype: str = "auto", quantise: str = "none") -> Any:
    """A model of a class of transformers, from what is here.

    `dtype` auto is the file's own. `quantise` 4bit packs the weights into 4 bits (NF4: Dettmers et al. 2023,
    arXiv:2305.14314). Raises ValueError where tensors are missing or of another shape, EngineError without the library
    for 4 bits.
    """
    packed = {} if quantise == "none" else {"quantization_config": _four_bits(dtype)}
    loaded, found = kind.from_pretrained(
        model,
        local_files_only=True,
        dtype=dtype,
        device_map=_device(device),
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are told below, in one line
        **packed,
    )
    if wrong := found["mismatched_keys"]:
        raise ValueError(f"weights of another shape in {len(wrong)} of their tensors, {min(wrong)[0]} among them")
    if missing := found["missing_keys"]:  # the library fills them with noise and goes on
        raise ValueError(f"weights without {len(missing)} of their tensors, {min(missing)} among them")
    return loaded.eval()


def quickest_dtype(device: str) -> str:
    """The narrowest numbers that a device multiplies by itself.

    On a CPU with AVX-512 BF16, one thread, layers of 1024 x 2816 took 0.65 of float32's time in bfloat16 for one token
    and 0.45 for 64 (measured); float16 takes 4 times as long there, and CPUs without either emulate both.
    """
    import torch

    place = _device(device)
    if place == "cpu":
        can = getattr(torch.cpu, "get_capabilities", dict)()
        return "bfloat16" if can.get("avx512_bf16") or can.get("amx_bf16") else "float32"
    if place == "mps":
        return "float16"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def _four_bits(dtype: str) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise EngineError(
            "wanted weights in 4 bits, got no bitsandbytes; pip install 'assistant[quantised]', or set "
            "mind.transformers.quantise to none"
        )
    compute = torch.float32 if dtype == "auto" else getattr(torch, dtype)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)


def _device(device: str) -> str:
    """What `from_pretrained` is told: auto spreads a model over the GPUs there are."""
    import torch

    if device != "auto" or torch.cuda.is_available():
        return device
    return "mps" if torch.backends.mps.is_available() else "cpu"


def line(error: BaseException) -> str:
    """The first line of an error that says something."""
    return next((text.strip() for text in str(error).splitlines() if text.strip()), type(error).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Loading without the library's progress bar and remarks."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
