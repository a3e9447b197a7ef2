"""The command line as a user meets it: help, exit codes, a line for every mistake, Ctrl-C, pipes, a wheel elsewhere."""

import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from PIL import Image as Pillow
from typer.main import get_command

from assistant import __version__, cli, packaged
from assistant.backends.espeak import Espeak
from assistant.commands import app
from assistant.errors import AssistantError
from assistant.speaking import say

HERE = Path(__file__).resolve().parent
FAKES = (
    *("--recogniser", "scripted", "--mind", "scripted", "--eyes", "scripted", "--voice", "scripted"),
    *("--set", "endpointing.engine=scripted"),
)
HEAVY = {"torch", "transformers", "TTS", "cv2", "numpy", "scipy", "onnxruntime", "whisper", "sounddevice"}


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without a user's configuration, of a plain terminal."""
    home = tmp_path_factory.mktemp("home")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ASSISTANT_")}
    return {**kept, "XDG_CONFIG_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "80"}


@pytest.fixture(autouse=True)
def no_user_file(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", environ["XDG_CONFIG_HOME"])


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A question as a sound file: 0.5 s of silence, then speech."""
    pcm, rate_hz = say("What is the time please", "en", Espeak())
    heard = soxr.resample(pcm, rate_hz, 16_000)
    path = tmp_path_factory.mktemp("sounds") / "question.wav"
    soundfile.write(path, np.concatenate((np.zeros(8_000, np.float32), heard)), 16_000)
    return path


def assistant(*words: str, environ: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assistant", *words],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        **options,
    )


def over(question: Path, *more: str) -> list[str]:
    return ["run", "--microphone", str(question), "--camera", "none", "--speaker", "none", *FAKES, *more]


# ---------------------------------------------------------------- help


def tree() -> dict[tuple[str, ...], Any]:
    """Every command there is, by its words."""
    found: dict[tuple[str, ...], Any] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, command = waiting.pop()
        found[words] = command
        waiting += [((*words, name), one) for name, one in getattr(command, "commands", {}).items()]
    return found


def test_all_commands_are_there():
    assert {" ".join(words) for words in tree()} >= {
        *("run", "demo", "say", "hear", "look", "devices", "config show", "config check"),
        *("models list", "models pull", "models verify", "models where", "models remove"),
        *("eval hearing", "eval seeing", "bench turns"),
    }


@pytest.mark.parametrize("words", list(tree()), ids=" ".join)
def test_every_help_has_an_example_that_parses(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert cli.run([*words, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Example: assistant" in text
    example = shlex.split(text.rpartition("Example: assistant")[2])
    assert tuple(example[: len(words)]) == words
    named = max((known for known in tree() if tuple(example[: len(known)]) == known), key=len) or ("run",)
    rest = example[len(named) :] if example[:1] == [named[0]] else example
    tree()[named].make_context(" ".join(named), rest)  # raises where an option or an argument is none


def test_help_takes_less_than_half_a_second(environ: dict[str, str]):
    """Of processor time, which does not depend on who else works on this machine; the median of five."""
    taken: list[float] = []
    for words in (["--help"], ["run", "--help"]) * 2 + (["--help"],):
        process = subprocess.Popen(
            [sys.executable, "-m", "assistant", *words],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        taken.append(usage.ru_utime + usage.ru_stime)
    print(f"--help: {statistics.median(taken):.2f} s of processor time")
    assert statistics.median(taken) < 0.5


def test_help_imports_nothing_heavy(environ: dict[str, str]):
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "assistant", "eval", "hearing", "--help"],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in process.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & HEAVY


# ---------------------------------------------------------------- exit codes and error lines


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bogus"], "no such command 'bogus'; see assistant --help"),
        (["config"], "missing command; see assistant config --help"),
        (["hear"], "missing argument 'FILE...'; see assistant hear --help"),
        (["--microphon", "x"], "no such option: --microphon"),
        (
            ["run", "--pace", "slow"],
            "invalid value for '--pace': 'slow' is not one of 'real', 'fast'; see assistant run",
        ),
        (["demo", "--language", "fr"], "invalid value for '--language': 'fr' is not one of 'auto', 'en', 'zh'"),
        (["run", "--seed", "many"], "invalid value for '--seed'"),
    ],
)
def test_wrong_usage_is_2(words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert cli.run(words) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(f"assistant: error: {told}") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["config", "show", "--set", "voice.spede=1"], "--set: [voice] has no key 'spede'; did you mean 'speed'"),
        (["config", "show", "--config", "none.toml"], "wanted a configuration file, got none.toml (no such file"),
        (["config", "check", "--mind", "lama"], "--mind: [mind] engine wanted one of auto, llama,"),
        (["config", "check", "--set", "voice.espeak.sped=3"], "--set: [voice.espeak] has no key 'sped'; did you mean"),
        (["--seed", "-1"], "--seed: [assistant] seed wanted a whole number from 0 to 4294967295, got -1"),
        (["say", " "], "wanted a text to say, got nothing"),
        (["say", "hi", "-o", "/nowhere/hi.wav"], "wanted to write /nowhere/hi.wav, got 'No such file or directory'"),
        (["say", "hi", "-o", "/dev/full"], "wanted to write /dev/full, got 'No space left on device'"),
        (["run", "--microphone", "missing.wav", *FAKES], "wanted"),
        (["run", "--pace", "fast", *FAKES], "wanted a sound file as microphone for --pace fast, got a device"),
        (["hear", "missing.wav"], "wanted"),
        (["look", "missing.png"], "wanted"),
        (["eval", "hearing", "missing"], "wanted"),
        (["eval", "seeing", "missing"], "wanted"),
        (["bench", "turns", "--corpus", "missing"], "wanted"),
        (["run", "--offline", "--set", "models.folder=/nowhere"], "wanted the weights 'smollm2-135m-instruct-q4_1'"),
    ],
)
def test_an_error_of_ours_is_1_and_one_line(words: list[str], told: str, capfd: pytest.CaptureFixture[str]):
    assert cli.run(words) == 1
    out, error = capfd.readouterr()
    assert out == "" and error.startswith(f"assistant: error: {told}") and error.count("\n") == 1
    assert "; " in error, "it does not say what to do"


def test_chinese_needs_a_recogniser_that_hears_it(question: Path, capfd: pytest.CaptureFixture[str]):
    assert cli.run(["hear", str(question), "--language", "zh"]) == 1
    error = capfd.readouterr().err
    assert "wanted a recogniser for 'zh', got one for en only; use --recogniser whisper" in error
    assert error.count("\n") == 1


def test_debug_shows_where_an_error_comes_from(environ: dict[str, str]):
    told = assistant("config", "show", "--set", "x", environ=environ)
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    for words in (["--debug", "config", "show", "--set", "x"], ["config", "show", "--set", "x", "--debug"]):
        shown = assistant(*words, environ=environ)
        assert shown.returncode == 1 and "Traceback" in shown.stderr and "ConfigError" in shown.stderr
    with pytest.raises(AssistantError):
        cli.run(["--debug", "config", "show", "--set", "x"])


def test_debug_behind_two_dashes_is_a_text(tmp_path: Path):
    assert cli.run(["say", "-o", str(tmp_path / "a.wav"), "--", "--debug"]) == 0
    assert soundfile.info(tmp_path / "a.wav").duration > 0.2


def test_what_was_not_expected_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "assistant.config", None)  # as if the installation were damaged
    assert cli.run(["config", "show"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("assistant: error: unexpected ModuleNotFoundError: ") and error.count("\n") == 1
    assert error.endswith("; run again with --debug to see where\n")


def test_version(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"assistant {__version__}\n"


# ---------------------------------------------------------------- what the commands do


def test_config_show_says_what_holds_and_why(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["config", "show", "--no-memory", "--mind", "scripted", "--set", "turn.end_s=0.7"]) == 0
    out = capsys.readouterr().out
    for line in ("memory = false  # --no-memory", 'engine = "scripted"  # --mind', "end_s = 0.7  # --set"):
        assert f"\n{line}\n" in out
    assert cli.run(["config", "check"]) == 0


def test_say_writes_what_can_be_heard(tmp_path: Path):
    path = tmp_path / "morning.wav"
    assert cli.run(["say", "Good morning.", "-o", str(path)]) == 0
    pcm, rate_hz = soundfile.read(path, dtype="float32")
    assert soundfile.info(path).subtype == "PCM_16" and 0.4 < len(pcm) / rate_hz < 3
    assert np.abs(pcm).max() > 0.05
    chinese = tmp_path / "chinese.wav"
    assert cli.run(["say", "早上好", "-o", str(chinese)]) == 0
    assert soundfile.info(chinese).duration > 0.4
    slow = tmp_path / "slow.wav"
    assert cli.run(["say", "Good morning.", "--set", "voice.espeak.speed=80", "-o", str(slow)]) == 0
    assert soundfile.info(slow).duration > 1.3 * soundfile.info(path).duration


def test_say_plays_over_the_loudspeaker_that_is_named(tmp_path: Path):
    path = tmp_path / "played.wav"
    assert cli.run(["say", "Good morning.", "--speaker", str(path)]) == 0
    pcm, rate_hz = soundfile.read(path, dtype="float32")
    assert len(pcm) / rate_hz > 0.4 and np.abs(pcm).max() > 0.05


def test_models_where_lists_what_is_here_and_what_is_not(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert cli.run(["models", "where", "--set", f"models.folder={tmp_path}"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "slot", "size", "licence", "where"]
    assert any(row.startswith("smollm2-135m-instruct-q4_1") and "Apache-2.0" in row for row in rows)
    assert cli.run(["models", "where", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"name", "path", "size_bytes", "licence", "present"} <= listed[0].keys()


def test_a_talk_over_files_in_plain_lines(question: Path, tmp_path: Path, environ: dict[str, str]):
    """`assistant` alone is `assistant run`; without a terminal its output has no escape codes."""
    events = tmp_path / "events.jsonl"
    words = over(question, "--pace", "fast", "--events", str(events))[1:]
    talked = assistant(*words, environ={**environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"})
    assert (talked.returncode, talked.stderr) == (0, "")
    assert "\x1b" not in talked.stdout
    shown = talked.stdout.splitlines()
    assert shown[0].startswith("ready: activity silero (built in), endpointing scripted (asked for), recogniser scrip")
    assert "you: these words are scripted" in shown
    assert any(re.match(r"assistant: You said: these words are scripted", line) for line in shown)
    assert any(re.match(r"  \d+ ms to the first sound \(endpoint \d+", line) for line in shown)
    assert shown[-1].startswith("done: ")
    logged = [json.loads(line)["type"] for line in events.read_text(encoding="utf-8").splitlines()]
    assert logged[0] == "ready" and logged[-1] == "done" and "exchange" in logged


def test_a_talk_on_a_terminal_is_live(question: Path, environ: dict[str, str]):
    """The state and the meter are drawn again and again; what was said stays on the screen."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "assistant", *over(question, "--pace", "fast")],
        env={**environ, "TERM": "xterm-256color", "NO_COLOR": "1"},
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    drawn = b""
    with os.fdopen(master, "rb", buffering=0) as terminal:
        while chunk := _read(terminal):
            drawn += chunk
    assert process.wait(timeout=60) == 0
    text = drawn.decode()
    assert "\x1b[?25l" in text and "\x1b[?25h" in text, "the cursor is hidden, and comes back"
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)
    left = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    for wanted in (
        "you: these words are scripted",
        "assistant: You said:",
        "speaking",
        "listening",
        "ms to the first sound",
    ):
        assert wanted in left


def _read(terminal: io.FileIO) -> bytes:
    try:
        return terminal.read(65536) or b""
    except OSError:  # how Linux says that the other end of a terminal is closed
        return b""


def test_the_same_input_makes_the_same_events(question: Path, tmp_path: Path):
    files = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for file in files:
        assert cli.run(over(question, "--pace", "fast", "--plain", "--events", str(file))) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_was_dropped_is_logged_with_its_reason(tmp_path: Path):
    hum = 0.3 * np.sin(np.arange(16_000) / 5)
    path, events = tmp_path / "blip.wav", tmp_path / "events.jsonl"
    soundfile.write(path, np.concatenate((hum, np.zeros(4_000), hum[:1_600], np.zeros(16_000))), 16_000)
    words = over(path, "--pace", "fast", "--plain", "--events", str(events), "--set", "activity.engine=scripted")
    assert cli.run(words) == 0
    logged = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(e["text"], e["why"]) for e in logged if e["type"] == "dropped"] == [("", "0.10 s of voice, wanted 0.15")]
    assert [e["text"] for e in logged if e["type"] == "words" and e["final"]] == ["these words are scripted"]


def test_an_output_that_knows_ascii_only_stops_nothing(question: Path, environ: dict[str, str]):
    words = over(question, "--pace", "fast", "--set", "recogniser.scripted.texts=['牛奶多少钱']")
    talked = assistant(*words, environ={**environ, "PYTHONIOENCODING": "ascii"})
    assert talked.returncode == 0 and "you: ?????" in talked.stdout and talked.stderr == ""


# ---------------------------------------------------------------- Ctrl-C, closed pipes, full disks


@pytest.mark.parametrize("moment", ["ready:", "you:", "assistant:"])
def test_ctrl_c_is_130_and_loses_nothing(moment: str, question: Path, tmp_path: Path, environ: dict[str, str]):
    events, spoken = tmp_path / "events.jsonl", tmp_path / "spoken.wav"
    words = [*over(question, "--events", str(events)), "--speaker", str(spoken)]
    process = subprocess.Popen(
        [sys.executable, "-m", "assistant", *words],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(moment):
            process.send_signal(signal.SIGINT)
            break
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "")
    logged = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    assert logged[0]["type"] == "ready" and logged[-1]["type"] == "done"
    assert soundfile.info(spoken).samplerate > 0


def test_ctrl_c_while_engines_are_loaded_is_130(question: Path, tmp_path: Path, environ: dict[str, str]):
    events = tmp_path / "events.jsonl"
    os.mkfifo(events)  # opening it waits for the other end, which opens it just before it loads
    process = subprocess.Popen(
        [sys.executable, "-m", "assistant", *over(question, "--events", str(events))],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with events.open(encoding="utf-8") as log:
        process.send_signal(signal.SIGINT)
        logged = [json.loads(line) for line in log]
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "")
    assert all(event["type"] in ("ready", "done") for event in logged)


def test_a_closed_pipe_is_quiet(environ: dict[str, str]):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "assistant", "config", "show"],
        env=environ,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert process.stderr == b"" and process.returncode in (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["config", "show"], ["--help"]], ids=" ".join)
def test_a_full_disk_is_one_line(words: list[str], environ: dict[str, str]):
    with open("/dev/full", "w", encoding="utf-8") as full:
        process = subprocess.run(
            [sys.executable, "-m", "assistant", *words],
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert process.returncode == 1 and process.stderr.count("\n") == 1
    assert "No space left on device" in process.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_events_is_told_after_the_talk(question: Path, capfd: pytest.CaptureFixture[str]):
    assert cli.run(over(question, "--pace", "fast", "--plain", "--events", "/dev/full")) == 1
    out, error = capfd.readouterr()
    assert "assistant: You said" in out
    assert (
        error.startswith("assistant: error: wanted to write events to /dev/full, No space left")
        and error.count("\n") == 1
    )


# ---------------------------------------------------------------- a wheel, elsewhere


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked into a folder outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(
        HERE.parent, source, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "demo-out")
    )
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(source)],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    if "No matching distribution found for hatchling" in built.stderr:
        pytest.skip("building a wheel needs hatchling from a package index, which cannot be reached")
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("assistant-*.whl")
    shutil.rmtree(source)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_carries_all_that_is_needed(unpacked: Path):
    assert (unpacked / "assistant" / "config.toml").read_bytes() == packaged("config.toml").read_bytes()
    prompts = {path.name for path in packaged("prompts").glob("*.md")}
    assert prompts and {path.name for path in (unpacked / "assistant" / "prompts").iterdir()} >= prompts
    carried = {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()}
    wanted = {
        path.relative_to(HERE.parent)
        for path in (HERE.parent / "assistant").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= carried


def test_a_wheel_works_outside_the_checkout(unpacked: Path, question: Path, environ: dict[str, str], tmp_path: Path):
    elsewhere = {**environ, "PYTHONPATH": str(unpacked)}
    code = "import assistant, assistant.prompting as p; print(assistant.__file__); print(p.prompt('system', 'zh'))"
    found = subprocess.run(
        [sys.executable, "-c", code], env=elsewhere, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    where, *text = found.stdout.splitlines()
    assert Path(where).is_relative_to(unpacked) and text
    talked = assistant(*over(question, "--pace", "fast"), environ=elsewhere, cwd=tmp_path)
    assert talked.returncode == 0 and "assistant: You said" in talked.stdout, talked.stderr


def test_without_memory_the_program_writes_nothing_to_disk(
    question: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """Pictures change while somebody speaks, and none fits into memory: with a memory they go to an album."""
    pictures, scratch = tmp_path / "pictures", tmp_path / "scratch"
    for folder in (pictures, scratch):
        folder.mkdir()
    for i in range(4):
        Pillow.fromarray(np.full((48, 64, 3), 60 * i, np.uint8)).save(pictures / f"{i}.png")
    made: list[str] = []

    def mkdtemp(prefix: str) -> str:
        made.append(prefix)
        (scratch / prefix).mkdir()
        return str(scratch / prefix)

    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr("tempfile.mkdtemp", mkdtemp)
    monkeypatch.setattr("assistant.seeing.watching.IN_MEMORY_BYTES", 0)
    monkeypatch.chdir(scratch)
    words = over(question, "--pace", "fast", "--camera", str(pictures), "--set", "camera.folder_interval_s=0.4")
    for more, albums in (("--no-memory",), 0), ((), 1):
        assert cli.run([*words, *more]) == 0
        assert len(made) == albums
        assert not list(scratch.iterdir()), "nothing is left in either case"
    capfd.readouterr()
