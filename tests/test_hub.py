"""Models by their names on the hub: what is fetched of a repository, and that what is here is used without asking."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import offline
import pytest
import serving
import tiny_models

from assistant.backends import hub, load
from assistant.config import load_config
from assistant.errors import WeightsError
from assistant.models import advice, catalogue

PICTURE = np.zeros((32, 32, 3), np.uint8)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[serving.Served]:
    """A hub on this machine, and an empty cache."""
    with serving.served({}) as hub_served:
        addresses = hub_served.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub_served.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", addresses)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub_served


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with random weights, with `.safetensors`."""
    return tiny_models.random_encoder(tmp_path_factory.mktemp("clip") / "made", "clip")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def pickled(folder: Path) -> dict[str, bytes]:
    """The same model as repositories from before `.safetensors` have it."""
    import io

    import torch
    from safetensors.torch import load

    files = contents(folder)
    whole = io.BytesIO()
    torch.save(load(files.pop("model.safetensors")), whole)
    return {**files, "pytorch_model.bin": whole.getvalue()}


def cached(made: Path, cache: Path, name: str) -> None:
    """A model as the hub's cache keeps it."""
    home = cache / f"models--{name.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("c0ffee")
    shutil.copytree(made, home / "snapshots" / "c0ffee")


# ---------------------------------------------------------------- fetched


def test_weights_in_the_old_format_are_fetched_where_there_are_no_others(served: serving.Served, clip: Path) -> None:
    served.files = pickled(clip)
    encoder = load("encoder", "clip", model="made/up")
    there = load("encoder", "clip", model=str(clip))
    assert encoder.embed_image(PICTURE) == pytest.approx(there.embed_image(PICTURE), abs=1e-6)
    assert len(served.fetched("pytorch_model.bin")) == 1
    served.asked.clear()
    load("encoder", "clip", model="made/up")
    assert served.asked == [], "what is here is used without asking"


def test_weights_in_the_old_format_are_left_where_there_are_others(served: serving.Served, clip: Path) -> None:
    served.files = {**pickled(clip), **contents(clip)}
    load("encoder", "clip", model="made/up")
    assert served.fetched("pytorch_model.bin") == [] and len(served.fetched("model.safetensors")) == 1


def test_a_repository_without_weights_is_told(served: serving.Served, clip: Path) -> None:
    served.files = {name: content for name, content in contents(clip).items() if name != "model.safetensors"}
    with pytest.raises(WeightsError, match=r"wanted the encoder 'made/up', got .*; check the name and the network"):
        load("encoder", "clip", model="made/up")


# ---------------------------------------------------------------- without a network

EVERY = """
import sys
from assistant.backends import load
engines = {"encoder": "clip", "detector": "transformers", "mind": "transformers", "recogniser": "whisper"}
for slot, engine in engines.items():
    assert load(slot, engine, model=f"made/{slot}", offline=sys.argv[1] == "offline") is not None
import threading
assert [thread.name for thread in threading.enumerate() if "conversion" in thread.name] == []
"""


@pytest.mark.parametrize("told", ["offline", "as a user starts it"])
def test_nothing_is_asked_about_what_the_cache_holds(tmp_path: Path, clip: Path, told: str) -> None:
    """Also of weights in the old format, which transformers would have converted on the hub."""
    cache = tmp_path / "cache"
    old = tmp_path / "old"
    old.mkdir()
    for name, content in pickled(clip).items():
        (old / name).write_bytes(content)
    cached(old, cache, "made/encoder")
    cached(tiny_models.random_detector(tmp_path / "detector", "d_fine"), cache, "made/detector")
    cached(tiny_models.random_seeing_mind(tmp_path / "mind", "smolvlm"), cache, "made/mind")
    cached(tiny_models.random_hub_whisper(tmp_path / "whisper"), cache, "made/recogniser")
    environ = {"HF_HUB_CACHE": str(cache), "PYTHONPATH": str(Path.cwd())}
    done = offline.watched(tmp_path / "watch", "-c", EVERY, told, environ=environ)
    assert done.code == 0, done.out
    assert done.tried == []
    assert done.counted is None or not any(done.counted.values())


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_what_keeps_the_hubs_library_offline_keeps_everything_offline(variable: str) -> None:
    assert load_config(environ={variable: "1"}).assistant.offline
    assert load_config(environ={variable: "1"}).origin("assistant.offline") == variable
    assert not load_config(environ={variable: "0"}).assistant.offline
    assert not load_config(environ={variable: "1", "ASSISTANT_ASSISTANT__OFFLINE": "false"}).assistant.offline


def test_offline_no_weights_are_fetched_whoever_was_told_so(tmp_path: Path) -> None:
    """The built-in mind's, which a wheel carries, from an empty store."""
    words = ("assistant", "look", "none.png", "--set", f"models.folder={tmp_path / 'store'}")
    done = offline.watched(tmp_path / "watch", *words, environ={"HF_HUB_OFFLINE": "1"})
    assert done.code == 1 and "nothing is fetched while offline" in done.out
    assert done.tried == []


# ---------------------------------------------------------------- what gets them


def test_every_model_of_the_catalogue_is_told_how_to_get_by_every_name_of_it() -> None:
    for weights in catalogue().values():
        carried = weights.sources[0].kind == "wheel"
        for name in (weights.name, *weights.also):
            wanted = "else" if carried else f"get it with: assistant models pull {weights.name}"
            assert advice(weights.slot, name, "else") == wanted
    assert advice("voice", "whisper-base", "else") == advice("recogniser", "nobody/nothing", "else") == "else"


@pytest.mark.parametrize(
    ("slot", "engine", "model", "pulled"),
    [
        ("mind", "transformers", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "smolvlm2-500m"),
        ("encoder", "siglip", "google/siglip2-base-patch16-224", "siglip2-base"),
        ("encoder", "clip", "openai/clip-vit-base-patch32", "clip-vit-base-patch32"),
        ("detector", "transformers", "Roboflow/rf-detr-medium", "rf-detr-medium"),
        ("recogniser", "whisper", "base", "whisper-base"),
        ("voice", "coqui", "tts_models/en/vctk/vits", "coqui-vits-vctk"),
    ],
)
def test_an_engine_whose_weights_are_missing_says_what_gets_them(
    slot: str, engine: str, model: str, pulled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for variable in ("XDG_CACHE_HOME", "TTS_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(WeightsError, match=rf"; get it with: assistant models pull {pulled}$"):
        load(slot, engine, model=model, offline=True)


def test_what_is_fetched_is_what_a_pull_of_such_a_repository_gets() -> None:
    from assistant.models.catalogue import EVERYTHING_FOR_TRANSFORMERS

    assert tuple(hub.FILES) == EVERYTHING_FOR_TRANSFORMERS
