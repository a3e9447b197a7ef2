"""Pulling models from a hub, a mirror and an address over real HTTP: whole or not at all, whatever goes wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Quiet, Served, listening, served

from assistant.errors import ConfigError, OutputError, WeightsError
from assistant.models import (
    Fetching,
    Hub,
    StoreSettings,
    Url,
    Weights,
    accept,
    arriving,
    downloading,
    engine_options,
    fetch,
    locate,
    pull,
    remove,
    verify,
)

BIG = bytes(range(256)) * 2_000
FILES = {
    "config.json": b'{"model_type": "made_up"}',
    "model.safetensors": BIG,
    "vocab.json": b"{}",
    "added.json": b"{}",
    "README.md": b"not wanted",
    "onnx/model.onnx": b"not wanted either",
}
WANTED = ["added.json", "assistant-manifest.json", "config.json", "model.safetensors", "vocab.json"]
MODEL = Weights("made-up", "mind", 512_000, "none", engine="transformers", paths={"model": "."}, exact=False)


def from_hub(*repositories: str, **more: Any) -> Weights:
    sources = tuple(Hub(name) for name in repositories or ("made/up",))
    return replace(MODEL, **{"sources": sources, **more})


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, proxy or certificates of this machine's."""
    theirs = ("PIP_", "UV_", "HF_", "XDG_", "TTS_", "NETRC")
    for name in list(os.environ):
        if name.startswith(theirs) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> StoreSettings:
    return StoreSettings(tmp_path / "store")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with served(dict(FILES)) as told:
        monkeypatch.setenv("HF_ENDPOINT", told.url + "/")
        yield told


def kept(store: StoreSettings) -> list[str]:
    return sorted(path.relative_to(store.kept_in()).as_posix() for path in store.kept_in().rglob("*") if path.is_file())


# ---------------------------------------------------------------- it comes


def test_a_repository_comes_whole_and_only_what_is_wanted(hub: Served, store: StoreSettings) -> None:
    steps: list[Fetching] = []
    folder = pull(from_hub(), store, steps.append)
    assert sorted(path.name for path in folder.iterdir()) == WANTED
    assert all((folder / name).read_bytes() == FILES[name] for name in WANTED if name in FILES)
    total = sum(len(FILES[name]) for name in WANTED if name in FILES)
    assert [step.done_bytes == step.total_bytes for step in steps].count(True) == 1
    assert [step.done_bytes for step in steps].count(0) == 1
    assert (steps[0].done_bytes, steps[-1].done_bytes, steps[-1].total_bytes) == (0, total, total)
    assert kept(store) == [f"made-up/{name}" for name in WANTED]
    assert locate(from_hub(), store) == folder
    told = json.loads((folder / "assistant-manifest.json").read_text())
    assert told["revision"] == "c0ffee" and told["source"] == f"{hub.url}/made/up"
    assert {file["path"]: file["sha256"] for file in told["files"]} == {
        name: hashlib.sha256(FILES[name]).hexdigest() for name in WANTED if name in FILES
    }
    asked = len(hub.asked)
    assert pull(from_hub(), StoreSettings(store.folder, offline=True)) == folder and len(hub.asked) == asked


def test_named_files_come_from_below_the_top_folder_too(hub: Served, store: StoreSettings) -> None:
    source = Hub("made/up", files=("onnx/*.onnx", "config.json"))
    model = from_hub(sources=(source,), paths={"model": "onnx/model.onnx"})
    folder = pull(model, store)
    assert (folder / "onnx" / "model.onnx").read_bytes() == FILES["onnx/model.onnx"]
    assert engine_options(model, store) == {"model": str(folder / "onnx" / "model.onnx")}


def test_an_address_gives_a_file(hub: Served, store: StoreSettings) -> None:
    model = Weights(
        "made-up",
        "recogniser",
        len(BIG),
        "none",
        file="tiny.pt",
        sha256=hashlib.sha256(BIG).hexdigest(),
        options={"model": "tiny"},
        paths={"folder": "."},
        exact=False,
        sources=(Url(f"{hub.url}/files/model.safetensors"),),
    )
    path = pull(model, store)
    assert path.name == "tiny.pt" and path.read_bytes() == BIG
    assert engine_options(model, store) == {"model": "tiny", "folder": str(path.parent)}
    assert verify(model, store) is not None
    path.write_bytes(BIG[:-1])
    assert locate(model, store) is None
    assert pull(model, store).read_bytes() == BIG


def test_several_addresses_make_a_folder(hub: Served, store: StoreSettings) -> None:
    hub.files |= {"voice.onnx": BIG, "voices.bin": BIG[::-1]}
    sums = tuple(hashlib.sha256(hub.files[name]).hexdigest() for name in ("voice.onnx", "voices.bin"))
    source = Url(f"{hub.url}/files/voice.onnx", more=(f"{hub.url}/files/voices.bin",), sha256=sums)
    paths = {"model": "voice.onnx", "voices": "voices.bin"}
    model = replace(MODEL, sources=(source,), paths=paths)
    folder = pull(model, store)
    assert kept(store) == [f"made-up/{name}" for name in ("assistant-manifest.json", "voice.onnx", "voices.bin")]
    assert engine_options(model, store) == {option: str(folder / name) for option, name in paths.items()}
    hub.files["voices.bin"] = BIG
    with pytest.raises(WeightsError, match=r"its voices\.bin has another checksum"):
        pull(replace(model, name="another"), store)


def zipped(**members: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return whole.getvalue()


ZIPPED = Weights("made-up", "voice", len(BIG), "none", engine="coqui", paths={"model": "."}, exact=False)


def test_a_zip_is_unpacked_without_the_folder_around_it(hub: Served, store: StoreSettings) -> None:
    hub.files["voice.zip"] = zipped(**{"a voice/config.json": b"{}", "a voice/model_file.pth": BIG})
    model = replace(ZIPPED, sources=(Url(f"{hub.url}/files/voice.zip", unpack=True),), size_bytes=2 * len(BIG))
    steps: list[Fetching] = []
    folder = pull(model, store, steps.append)
    assert [step.done_bytes == step.total_bytes for step in steps].count(True) == 1, "it is over once"
    assert steps[-1].done_bytes == len(hub.files["voice.zip"])
    assert kept(store) == [f"made-up/{name}" for name in ("assistant-manifest.json", "config.json", "model_file.pth")]
    assert (folder / "model_file.pth").read_bytes() == BIG


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no zip", "its zip is damaged"),
        (zipped(**{"a/model.pth": BIG})[:-100], "its zip is damaged"),
        (zipped(), "its zip is empty"),
        (zipped(**{"../model.pth": b"x", "config.json": b"{}"}), r"its zip wants to write '\.\./model\.pth'"),
        (zipped(**{"/etc/model.pth": b"x", "config.json": b"{}"}), "its zip wants to write"),
    ],
)
def test_a_bad_zip_is_refused(content: bytes, said: str, hub: Served, store: StoreSettings) -> None:
    hub.files["voice.zip"] = content
    model = replace(ZIPPED, sources=(Url(f"{hub.url}/files/voice.zip", unpack=True),))
    with pytest.raises(WeightsError, match=said):
        pull(model, store)
    assert locate(model, store) is None and not (store.kept_in() / "model.pth").exists()
    hub.files["voice.zip"] = zipped(**{"config.json": b"{}", "model.pth": BIG})
    assert (pull(model, store) / "model.pth").read_bytes() == BIG


# ---------------------------------------------------------------- sources in order


def test_the_next_source_is_asked_where_one_has_nothing(hub: Served, store: StoreSettings) -> None:
    hub.repositories = ("made/up",)
    model = from_hub("gone/away", "made/up")
    assert pull(model, store).is_dir()
    hub.status["/api/models/made/up/revision/main"] = 503
    with pytest.raises(WeightsError) as error:
        pull(from_hub("gone/away", "made/up", name="another"), store)
    said = str(error.value)
    assert f"{hub.url}/gone/away (answers 404 Not Found)" in said and "made/up (answers 503 Service" in said
    assert "HF_ENDPOINT" in said and "\n" not in said


def test_the_mirror_in_the_environment_is_asked_and_nobody_else(hub: Served, store: StoreSettings) -> None:
    """The hub's own address would not be reached from here; nor does the mirror send anybody there."""
    pull(from_hub(), store)
    assert hub.asked[0][0] == "/api/models/made/up/revision/main"
    assert {path for path, _ in hub.asked[1:]} == {
        f"/made/up/resolve/c0ffee/{name}" for name in WANTED if name in FILES
    }


def test_a_proxy_is_gone_through(store: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy here answers by itself what it is asked for somebody else."""

    asked: list[str] = []

    class Proxy(Quiet):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.answer(502, b"", "text/plain")

    with listening(Proxy) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
        with pytest.raises(WeightsError, match="answers 502"):
            pull(from_hub(), store)
    assert asked and asked[0].startswith("http://hub.invalid/api/models/made/up/")


def test_no_network_at_all_is_one_line(store: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(Quiet) as nobody:
        pass
    monkeypatch.setenv("HF_ENDPOINT", nobody)
    with pytest.raises(WeightsError, match=rf"none of {nobody}/made/up \(.*refused.*\); try again") as error:
        pull(from_hub(), store)
    assert "\n" not in str(error.value) and kept(store) == []


def test_offline_nothing_is_asked(hub: Served, store: StoreSettings) -> None:
    with pytest.raises(WeightsError, match="nothing is fetched while offline"):
        pull(from_hub(), StoreSettings(store.folder, offline=True))
    assert hub.asked == [] and not store.kept_in().exists()


def test_an_engine_gets_nothing_unasked(hub: Served, store: StoreSettings) -> None:
    with pytest.raises(WeightsError, match="assistant models pull made-up"):
        fetch(from_hub(), store)
    assert hub.asked == []


# ---------------------------------------------------------------- what goes wrong on the way


def test_large_files_may_lie_elsewhere(hub: Served, store: StoreSettings) -> None:
    """The hub sends whoever asks for a large file on to its stores, a break included."""
    hub.redirects, hub.breaks = True, 1
    assert (pull(from_hub(), store) / "model.safetensors").read_bytes() == BIG
    assert hub.fetched("files/model.safetensors")


@pytest.mark.parametrize("resumes", [True, False])
def test_a_break_is_gone_on_from(resumes: bool, hub: Served, store: StoreSettings) -> None:
    hub.breaks, hub.resumes = 2, resumes
    assert (pull(from_hub(), store) / "model.safetensors").read_bytes() == BIG
    assert any(given for _, given in hub.asked)


def test_what_breaks_for_good_is_gone_on_from_the_next_time(hub: Served, store: StoreSettings) -> None:
    hub.breaks = 1_000
    with pytest.raises(WeightsError, match="what has arrived is kept"):
        pull(from_hub(), store)
    assert locate(from_hub(), store) is None and all(name.startswith("made-up.") for name in kept(store))
    hub.breaks = 0
    hub.asked.clear()
    assert (pull(from_hub(), store) / "model.safetensors").read_bytes() == BIG
    assert kept(store) == [f"made-up/{name}" for name in WANTED]
    begun = [given for given in hub.fetched("config.json") + hub.fetched("model.safetensors") if given]
    assert begun, "what had arrived was asked for again"


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_file_with_another_checksum_is_refused(path: str, hub: Served, store: StoreSettings) -> None:
    hub.claimed[path] = "0" * (64 if path == "model.safetensors" else 40)
    with pytest.raises(WeightsError, match=rf"its {path} has another checksum"):
        pull(from_hub(), store)
    assert locate(from_hub(), store) is None
    hub.claimed.clear()
    assert (pull(from_hub(), store) / path).read_bytes() == FILES[path]


def test_a_file_that_ends_early_without_saying_so_is_refused(hub: Served, store: StoreSettings) -> None:
    hub.cuts = 1_000
    with pytest.raises(WeightsError, match=r"its \w+\.json has \d+ bytes, \d+ were offered"):
        pull(from_hub(), store)
    assert locate(from_hub(), store) is None
    hub.cuts = 0
    assert pull(from_hub(), store).is_dir()


def test_another_version_behind_the_same_name_is_not_mixed_in(hub: Served, store: StoreSettings) -> None:
    hub.breaks = 1_000
    with pytest.raises(WeightsError):
        pull(from_hub(), store)
    hub.breaks = 0
    hub.files["model.safetensors"] = BIG[::-1]
    hub.commit = "decaf"
    assert (pull(from_hub(), store) / "model.safetensors").read_bytes() == BIG[::-1]


@pytest.mark.parametrize(
    "said",
    [
        "nonsense",
        {},
        [],
        {"sha": "c0ffee"},
        {"sha": "c0ffee", "siblings": [{}]},
        {"sha": "c0ffee", "siblings": [{"rfilename": "../../evil.json", "size": 2}]},
        {"sha": "c0ffee", "siblings": [{"rfilename": "/evil.json", "size": 2}]},
        {"sha": "c0ffee", "siblings": [{"rfilename": "config.json", "size": "large"}]},
    ],
)
def test_a_hub_that_talks_nonsense_is_named(said: object, hub: Served, store: StoreSettings) -> None:
    hub.listing = said
    with pytest.raises(WeightsError, match="answers with something else than a repository"):
        pull(from_hub(), store)
    assert kept(store) == []


def test_a_repository_without_the_files_is_named(hub: Served, store: StoreSettings) -> None:
    with pytest.raises(WeightsError, match=r"has no model\.gguf"):
        pull(from_hub(sources=(Hub("made/up", files=("model.gguf", "*.json")),)), store)
    with pytest.raises(WeightsError, match=r"has none of \*\.gguf"):
        pull(from_hub(sources=(Hub("made/up", files=("*.gguf",)),)), store)


def test_a_server_that_falls_silent_is_left(hub: Served, store: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "READ_S", 0.2)
    hub.go_on = threading.Event()
    with pytest.raises(WeightsError, match="does not answer"):
        pull(from_hub(), store)
    assert locate(from_hub(), store) is None


def test_a_damaged_model_is_replaced_whole(hub: Served, store: StoreSettings) -> None:
    folder = pull(from_hub(), store)
    (folder / "model.safetensors").write_bytes(BIG[:100])
    assert locate(from_hub(), store) is None
    with pytest.raises(WeightsError, match="not all; get it with: assistant models pull made-up"):
        engine_options(from_hub(), store)
    hub.breaks = 1_000
    with pytest.raises(WeightsError):
        pull(from_hub(), store)
    assert (folder / "config.json").read_bytes() == FILES["config.json"], "what was there is lost"
    hub.breaks = 0
    assert (pull(from_hub(), store) / "model.safetensors").read_bytes() == BIG
    assert kept(store) == [f"made-up/{name}" for name in WANTED]


# ---------------------------------------------------------------- disks


def test_room_is_asked_for_before_anything_comes(
    hub: Served, store: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage("/")
    monkeypatch.setattr(arriving.shutil, "disk_usage", lambda path: real._replace(free=1_000))
    with pytest.raises(OutputError, match=r"wanted 1 MB of room in .*store, got 1 MB; make room"):
        pull(from_hub(), store)
    assert hub.fetched("model.safetensors") == [] and kept(store) == []


def test_a_disk_that_fills_up_is_one_line_and_the_rest_comes_later(hub: Served, store: StoreSettings) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(BIG) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"wanted to write .*; make room or permit it") as error:
            pull(from_hub(), store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value) and locate(from_hub(), store) is None
    hub.asked.clear()
    assert (pull(from_hub(), store) / "model.safetensors").read_bytes() == BIG
    assert hub.fetched("config.json") == [] and all(hub.fetched("model.safetensors"))


def test_a_really_full_disk_is_one_line(hub: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], capture_output=True)
    if mount.returncode:
        pytest.skip(f"no small disk can be mounted here: {mount.stderr.decode().strip()}")
    try:
        with pytest.raises(OutputError, match="make room"):
            pull(from_hub(), StoreSettings(disk / "store"))
        (disk / "filler").write_bytes(b"")
        assert locate(from_hub(), StoreSettings(disk / "store")) is None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_store_that_cannot_be_written_is_named(hub: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=rf"wanted to write {tmp_path}/file/store"):
        pull(from_hub(), StoreSettings(tmp_path / "file" / "store"))


# ---------------------------------------------------------------- other processes

PULL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_pulling import from_hub
from assistant.models import StoreSettings, pull
print(pull(from_hub(), StoreSettings(Path(sys.argv[1]))))
"""


def start(store: StoreSettings) -> subprocess.Popen[str]:
    args = [sys.executable, "-c", PULL, str(store.folder), str(Path(__file__).parent)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_pull_is_gone_on_from(hub: Served, store: StoreSettings) -> None:
    del hub.files["config.json"], hub.files["vocab.json"], hub.files["added.json"]
    hub.go_on = threading.Event()
    with start(store) as killed:
        assert hub.half_sent.wait(60)
        part = store.kept_in() / "made-up.part"
        while not any(path.stat().st_size for path in part.glob("*.growing")):
            assert killed.poll() is None
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    hub.go_on.set()
    hub.go_on = None
    assert locate(from_hub(), store) is None
    hub.asked.clear()
    steps: list[Fetching] = []
    assert (pull(from_hub(), store, steps.append) / "model.safetensors").read_bytes() == BIG
    (given,) = hub.fetched("model.safetensors")
    assert given is not None and int(given.removeprefix("bytes=").rstrip("-")) > 0
    assert steps[0].done_bytes == 0 and steps[1].done_bytes > 0
    assert kept(store) == ["made-up/assistant-manifest.json", "made-up/model.safetensors"]


def test_one_process_at_a_time(hub: Served, store: StoreSettings) -> None:
    hub.go_on = threading.Event()
    with start(store) as first:
        assert hub.half_sent.wait(60)
        with pytest.raises(OutputError, match="another process is getting it"):
            pull(from_hub(), store)
        hub.go_on.set()
        out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert locate(from_hub(), store) == Path(out.strip())


# ---------------------------------------------------------------- licences, checking, deleting


def test_a_licence_has_to_be_accepted_once(hub: Served, store: StoreSettings) -> None:
    model = from_hub(accept=True, licence="CPML", licence_url="https://example.org/cpml")
    with pytest.raises(WeightsError, match=r"read https://example\.org/cpml and say: .* --accept-licence made-up"):
        pull(model, store)
    assert hub.asked == []
    accept(model, store)
    folder = pull(model, store)
    assert engine_options(model, store) == {"model": str(folder)}
    (store.kept_in() / "licences.json").unlink()
    with pytest.raises(WeightsError, match="accepted, it is not"):
        engine_options(model, store)


def test_an_acceptance_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"wanted to write .*licences\.json"):
        accept(from_hub(accept=True), StoreSettings(tmp_path / "file"))


def test_verifying_finds_what_has_changed(hub: Served, store: StoreSettings) -> None:
    assert verify(from_hub(), store) is None
    folder = pull(from_hub(), store)
    found = verify(from_hub(), store)
    assert found is not None and (found.wrong, found.unchecked, found.checked) == ((), (), 4)
    (folder / "model.safetensors").write_bytes(BIG[:-1] + b"!")
    (folder / "vocab.json").unlink()
    found = verify(from_hub(), store)
    assert found is not None and found.wrong == ("model.safetensors", "vocab.json")


def test_removing_takes_all_of_it_and_no_more(hub: Served, store: StoreSettings) -> None:
    pull(from_hub(), store)
    pull(from_hub(name="another"), store)
    hub.breaks = 1_000
    with pytest.raises(WeightsError):
        pull(from_hub(name="half"), store)
    assert remove(from_hub(), store) > len(BIG) and remove(from_hub(name="half"), store) > 0
    assert all(name.startswith("another/") for name in kept(store))
    with pytest.raises(WeightsError, match="nothing of it is there"):
        remove(from_hub(), store)
    with pytest.raises(ConfigError, match="model of the catalogue"):
        remove("made-up", store)
