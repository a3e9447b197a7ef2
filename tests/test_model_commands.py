"""`assistant models`: what a user types and reads, against a server of the tests' own."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import Served, served

from assistant import cli, models
from assistant.choosing import choose
from assistant.config import load_config
from assistant.errors import ConfigError, WeightsError
from assistant.hiring import options
from assistant.models import Hub, StoreSettings, Url, catalogue, elsewhere, known, locate, verify
from assistant.models.machine import Machine

BIG = bytes(range(256)) * 500
FILES = {"config.json": b"{}", "model.safetensors": BIG, "tokenizer.json": b'{"a": 1}'}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, proxy or configuration of this machine's."""
    theirs = ("PIP_", "UV_", "HF_", "XDG_", "TTS_", "NETRC", "ASSISTANT_")
    for name in list(os.environ):
        if name.startswith(theirs) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A hub that has every repository of the catalogue, all with the same small files."""
    entries = catalogue().values()
    repositories = {source.repository for one in entries for source in one.sources if isinstance(source, Hub)}
    with served(dict(FILES)) as told:
        told.repositories = tuple(sorted(repositories))
        monkeypatch.setenv("HF_ENDPOINT", told.url)
        yield told


def store(tmp_path: Path, *sets: str) -> list[str]:
    return [word for one in (f"models.folder={tmp_path / 'store'}", *sets) for word in ("--set", one)]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.run(["models", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


# ---------------------------------------------------------------- list


def test_list_names_everything_and_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list", *store(tmp_path))
    header, *rows = out.splitlines()
    assert code == 0 and header.split() == "name slot size licence languages needs quality here".split()
    shown = {row.split()[0]: row for row in rows if row and not row.startswith("~")}
    assert set(shown) == set(catalogue())
    assert "CPML (not commercial)" in shown["xtts-v2"] and "~1876 MB" in shown["xtts-v2"]
    assert "145 MB" in shown["whisper-base"] and "~145 MB" not in shown["whisper-base"]
    assert shown["qwen3-vl-4b"].endswith(" no") and "~10.0 GB RAM" in shown["qwen3-vl-4b"]


def test_list_of_one_says_where_its_facts_stand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list", "xtts-v2", "whisper-base", *store(tmp_path))
    assert code == 0
    assert "not for commercial use, must be accepted  https://" in out and "Hub" not in out
    assert "https://huggingface.co/openai/whisper-base" in out and "assistant models pull whisper-base" in out


def test_list_as_json_has_it_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list", "--json", *store(tmp_path))
    told = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and set(told) == set(catalogue())
    row = told["lfm2.5-vl-450m"]
    assert row["here"] is False and row["path"] is None and row["commercial"] is True and "zh" in row["languages"]
    assert row["sources"][0]["kind"] == "hub" and row["quality"][0]["source"].startswith("https://")
    assert {"ram_mb", "vram_mb", "ram_source", "vram_source"} == set(row["needs"])


# ---------------------------------------------------------------- pull, verify, where, remove


def test_pull_verify_where_remove(hub: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "store" / "d-fine-small"
    code, out, err = run(capsys, "pull", "d-fine-small", *store(tmp_path))
    assert (code, out) == (0, f"d-fine-small: {place}\n")
    assert "fetching d-fine-small" in err and "fetched d-fine-small" in err and "\x1b" not in err
    code, out, err = run(capsys, "pull", "d-fine-small", *store(tmp_path))
    assert (code, out, err) == (0, f"d-fine-small: {place}\n", "")
    code, out, _ = run(capsys, "verify", *store(tmp_path))
    assert code == 0 and "d-fine-small: right: 3 of its files" in out
    code, out, _ = run(capsys, "where", *store(tmp_path))
    assert code == 0 and str(place) in out
    (place / "model.safetensors").write_bytes(BIG[:-1] + b"!")
    code, out, err = run(capsys, "verify", "d-fine-small", *store(tmp_path))
    assert code == 1 and "differs: model.safetensors" in out
    assert err.startswith("assistant: error: wanted every file right, got model.safetensors of d-fine-small damaged; ")
    code, out, _ = run(capsys, "remove", "d-fine-small", *store(tmp_path))
    assert code == 0 and out.startswith("removed d-fine-small") and not place.exists()
    code, _, err = run(capsys, "verify", "d-fine-small", *store(tmp_path))
    assert code == 1 and "got none of it; get it with: assistant models pull d-fine-small" in err


def test_one_that_fails_does_not_keep_the_others(
    hub: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.status["/api/models/Roboflow/rf-detr-medium/revision/" + revision("rf-detr-medium")] = 503
    code, out, err = run(capsys, "pull", "rf-detr-medium", "d-fine-small", *store(tmp_path))
    assert code == 1 and out.startswith("d-fine-small: ") and err.count("assistant: error:") == 1
    assert "rf-detr-medium" in err and "answers 503" in err and "Traceback" not in err


def revision(name: str) -> str:
    (source,) = known(name).sources
    assert isinstance(source, Hub)
    return source.revision


def test_a_tier_means_all_its_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "pull", "cpu", "--offline", *store(tmp_path))
    assert code == 1 and "whisper-" in err and "coqui-vits-" in err and "offline" in err


def test_a_name_that_is_none_is_told_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "pull", "whisper-bse", *store(tmp_path))
    assert code == 1 and "did you mean 'whisper-base'?" in err and "24gb" in err
    code, _, err = run(capsys, "remove", "whisper-base", *store(tmp_path))
    assert code == 1 and "nothing of it is there" in err


def test_an_unfinished_pull_is_listed(hub: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.breaks = 1_000
    assert run(capsys, "pull", "d-fine-small", *store(tmp_path))[0] == 1
    _, out, _ = run(capsys, "where", *store(tmp_path))
    assert any(line.startswith("d-fine-small ") and "pull it again to go on" in line for line in out.splitlines())


def test_ctrl_c_leaves_what_has_arrived(hub: Served, tmp_path: Path) -> None:
    hub.go_on = threading.Event()
    words = [sys.executable, "-m", "assistant", "models", "pull", "d-fine-small", *store(tmp_path)]
    environ = {**os.environ, "HF_ENDPOINT": hub.url}
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert hub.half_sent.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "") and "Traceback" not in err
    assert list((tmp_path / "store" / "d-fine-small.part").glob("*.growing"))


# ---------------------------------------------------------------- licences


def test_without_a_terminal_a_licence_is_accepted_by_name(
    hub: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = known("xtts-v2").sources[0]
    assert isinstance(source, Hub)
    hub.files = {name: BIG for name in source.files}
    code, _, err = run(capsys, "pull", "xtts-v2", *store(tmp_path))
    assert code == 1 and "--accept-licence xtts-v2" in err and "https://tts-hub.github.io/cpml" in err
    assert hub.asked == []
    code, out, err = run(capsys, "pull", "xtts-v2", "--accept-licence", "xtts-v2", *store(tmp_path))
    assert (code, out) == (0, f"xtts-v2: {tmp_path / 'store' / 'xtts-v2'}\n"), err
    assert run(capsys, "pull", "xtts-v2", *store(tmp_path))[0] == 0
    _, out, _ = run(capsys, "list", "xtts-v2", *store(tmp_path))
    assert "must be accepted" not in out and ", accepted" in out


@pytest.mark.parametrize(("answer", "pulled"), [("y", True), ("n", False)])
def test_on_a_terminal_a_licence_is_asked_for_once(answer: str, pulled: bool, hub: Served, tmp_path: Path) -> None:
    source = known("xtts-v2").sources[0]
    assert isinstance(source, Hub)
    hub.files = {name: BIG for name in source.files}
    words = [sys.executable, "-m", "assistant", "models", "pull", "xtts-v2", *store(tmp_path)]
    ours, theirs = pty.openpty()
    environ = {**os.environ, "HF_ENDPOINT": hub.url, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown = read_all(ours)
        process.wait(60)
    assert "CPML, not for commercial use. Read it: https://tts-hub.github.io/cpml" in shown
    assert "Do you accept it? [y/N]" in shown
    assert (process.returncode == 0) == pulled == (tmp_path / "store" / "xtts-v2" / "model.pth").is_file(), shown
    assert ("fetched xtts-v2" in shown) == pulled


def read_all(terminal: int) -> str:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # how a pseudo-terminal ends on Linux
            part = b""
        if not part:
            os.close(terminal)
            return shown.decode(errors="replace")
        shown += part


# ---------------------------------------------------------------- engines find them


def fake(folder: Path, name: str) -> Path:
    """A model's folder that looks whole; made up."""
    folder.mkdir(parents=True)
    for path in known(name).paths.values():
        if path != ".":
            (folder / path).write_bytes(b"GGUF made up")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"made up")
    return folder


def test_a_name_of_the_catalogue_becomes_a_path(tmp_path: Path) -> None:
    folder = fake(tmp_path / "store" / "smolvlm2-500m", "smolvlm2-500m")
    sets = [f"models.folder={tmp_path / 'store'}"]
    for model in ("smolvlm2-500m", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"):
        config = load_config(sets=[*sets, f"mind.transformers.model={model}"], environ={})
        assert options(config, "mind", "transformers")["model"] == str(folder)
    other = load_config(sets=[*sets, "mind.transformers.model=/a/folder"], environ={})
    assert options(other, "mind", "transformers")["model"] == "/a/folder"


def test_a_model_that_is_not_here_is_told_how_to_get(tmp_path: Path) -> None:
    sets = [f"models.folder={tmp_path / 'store'}", "mind.transformers.model=qwen3-vl-4b"]
    with pytest.raises(WeightsError, match=r"\(about 8\.9 GB\).* assistant models pull qwen3-vl-4b"):
        options(load_config(sets=sets, environ={}), "mind", "transformers")
    sets[1] = "mind.transformers.model=Qwen/Qwen3-VL-4B-Instruct"  # the engine may still know it
    told = options(load_config(sets=sets, environ={}), "mind", "transformers")
    assert told["model"] == "Qwen/Qwen3-VL-4B-Instruct"


def test_a_model_of_another_engine_is_refused(tmp_path: Path) -> None:
    sets = [f"models.folder={tmp_path / 'store'}", "voice.coqui.model=whisper-base"]
    with pytest.raises(ConfigError, match=r"one for \[recogniser\.whisper\].*--recogniser whisper"):
        options(load_config(sets=sets, environ={}), "voice", "coqui")


def test_a_voice_may_be_named_by_its_folder(tmp_path: Path) -> None:
    settings = StoreSettings(tmp_path / "store")
    told = {"folder": "kokoro", "speed": 1.0}
    assert models.resolved("voice", "kokoro", told, settings) == told
    folder = tmp_path / "store" / "kokoro-82m"
    folder.mkdir(parents=True)
    (folder / "kokoro-v1.0.onnx").write_bytes(b"made up")
    assert locate("kokoro-82m", settings) is None
    (folder / "voices-v1.0.bin").write_bytes(b"made up")
    for name in ({"folder": "kokoro"}, {"folder": "kokoro-82m"}, {"model": "kokoro-82m"}):
        found = models.resolved("voice", "kokoro", {**name, "speed": 1.0}, settings)
        assert found == {"folder": str(folder), "speed": 1.0}


def test_whispers_own_name_and_cache_go_on_working(tmp_path: Path) -> None:
    sets = [f"models.folder={tmp_path / 'store'}", "recogniser.whisper.model=base"]
    config = load_config(sets=sets, environ={})
    assert "folder" not in options(config, "recogniser", "whisper")
    cache = tmp_path / ".cache" / "whisper"
    cache.mkdir(parents=True)
    with (cache / "base.pt").open("wb") as file:
        file.truncate(known("whisper-base").size_bytes - 1)
    assert locate("whisper-base") is None, "a broken download of Whisper's own"
    with (cache / "base.pt").open("r+b") as file:
        file.truncate(known("whisper-base").size_bytes)
    assert locate("whisper-base") == cache / "base.pt"
    told = options(config, "recogniser", "whisper")
    assert (told["model"], told["folder"]) == ("base", str(cache))
    assert told == options(
        load_config(sets=[sets[0], "recogniser.whisper.model=whisper-base"], environ={}), "recogniser", "whisper"
    )


# ---------------------------------------------------------------- what is here already


def test_the_hubs_own_cache_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    repository = tmp_path / "hf" / "hub" / "models--ustc-community--dfine-small-obj2coco"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (repository / "blobs").mkdir()
    for name, content in FILES.items():
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    settings = StoreSettings(tmp_path / "store", offline=True)
    assert locate("d-fine-small", settings) == snapshot == models.pull("d-fine-small", settings)
    found = verify("d-fine-small", settings)
    assert found is not None and (found.checked, found.wrong, found.unchecked) == (3, (), ())
    with pytest.raises(WeightsError, match="which is not ours; delete it there"):
        models.remove("d-fine-small", settings)
    (snapshot / "model.safetensors").resolve().write_bytes(b"changed")
    found = verify("d-fine-small", settings)
    assert found is not None and found.wrong == ("model.safetensors",)
    (snapshot / "model.safetensors").resolve().unlink()
    assert locate("d-fine-small", settings) is None


def test_coquis_own_cache_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    folder = tmp_path / "tts" / "tts_models--en--vctk--vits"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert locate("coqui-vits-vctk") is None
    (folder / "model_file.pth").write_bytes(b"made up")
    assert locate("coqui-vits-vctk") == folder
    assert list(elsewhere.caches(known("coqui-vits-vctk"))) == [folder]


@pytest.mark.parametrize("title", ["qwen3-vl-4b-gguf", "Qwen3-VL-4B-Instruct-GGUF"])
def test_a_folder_of_the_users_own_counts(title: str, tmp_path: Path) -> None:
    folder = fake(tmp_path / "disk" / title, "qwen3-vl-4b-gguf")
    config = load_config(
        sets=[f"models.folder={tmp_path / 'store'}", f"models.folders=['{tmp_path / 'disk'}']"], environ={}
    )
    from assistant.hiring import store_settings

    assert locate("qwen3-vl-4b-gguf", store_settings(config)) == folder
    found = verify("qwen3-vl-4b-gguf", store_settings(config))
    assert found is not None and len(found.unchecked) == 4 and not found.wrong
    (folder / known("qwen3-vl-4b-gguf").paths["mmproj"]).unlink()
    assert locate("qwen3-vl-4b-gguf", store_settings(config)) is None


def test_weights_in_parts_need_all_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "qwen3-vl-4b"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"made up")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    settings = StoreSettings(tmp_path / "store")
    assert locate("qwen3-vl-4b", settings) is None
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"made up")
    assert locate("qwen3-vl-4b", settings) == folder


# ---------------------------------------------------------------- with the real engines


def test_pulled_weights_load_in_their_engine(
    hub: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real loading code on a tiny detector with random weights, through a pull and with the hub gone."""
    import tiny_models

    from assistant.backends import load

    made = tiny_models.random_detector(tmp_path / "made", "d_fine")
    hub.files = {path.name: path.read_bytes() for path in made.iterdir()}
    assert run(capsys, "pull", "d-fine-small", *store(tmp_path))[0] == 0
    unasked = choose(load_config(sets=[f"models.folder={tmp_path / 'store'}"], environ={}), Machine(8_000, cores=4))
    assert unasked["detector"].model == "d-fine-small", "no further configuration is needed"
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    sets = [f"models.folder={tmp_path / 'store'}", "detector.transformers.model=d-fine-small", "assistant.offline=true"]
    detector = load(
        "detector", "transformers", **options(load_config(sets=sets, environ={}), "detector", "transformers")
    )
    assert detector is not None


def test_a_pulled_voice_loads_in_its_engine(hub: Served, tmp_path: Path) -> None:
    """The real loading code on a tiny VITS with random weights, zipped as Coqui's releases are."""
    import tiny_models

    from assistant.backends import load

    made = tiny_models.random_voice(tmp_path / "made", speakers=3)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for path in made.iterdir():
            archive.write(path, f"tts_models--en--vctk--vits/{path.name}")
    shutil.rmtree(made)  # its config.json names the list of speakers by where it lay
    hub.files = {"voice.zip": whole.getvalue()}
    source = Url(f"{hub.url}/files/voice.zip", unpack=True)
    weights = replace(known("coqui-vits-vctk"), sources=(source,))
    settings = StoreSettings(tmp_path / "store")
    folder = models.pull(weights, settings)
    told = models.engine_options(weights, settings)
    voice = load("voice", "coqui", **told, speaker="speaker 2", offline=True)
    assert folder.is_dir() and voice.languages == ("en",)
    found = verify(weights, settings)
    assert found is not None and not found.wrong and found.checked == 3
