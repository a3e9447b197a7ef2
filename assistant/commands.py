"""The commands and their options; what they do is done elsewhere and imported when it is asked for.

Each command gets the configuration that its options lead to (`options`), and turns a result into text. Knows no engine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from assistant import __version__
from assistant.engaging import engine, prepare
from assistant.errors import AssistantError, OutputError
from assistant.measure_commands import bench_app, eval_app
from assistant.model_commands import models_app
from assistant.options import DEVICES, ENGINES, GENERAL, AsJson, IsPlain, configured
from assistant.printing import echo as _echo
from assistant.printing import print_json as _print_json
from assistant.printing import print_table as _print_table

if TYPE_CHECKING:
    from assistant.config import Config
    from assistant.display import Display

app = typer.Typer(
    help="Talk with your own computer: it hears, sees and answers aloud, and nothing leaves the machine.",
    epilog="`assistant` alone is `assistant run`. Example: assistant --microphone question.wav --speaker answer.wav",
    add_completion=False,
    rich_markup_mode=None,  # help in boxes takes 0.2 s of processor time to import
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Show or check the configuration.", epilog="Example: assistant config show")
app.add_typer(config_app, name="config")
app.add_typer(eval_app, name="eval")
app.add_typer(models_app, name="models")
app.add_typer(bench_app, name="bench")


# ---------------------------------------------------------------- talking


@app.callback(invoke_without_command=True)
def assistant(
    version: Annotated[bool, typer.Option("--version", help="print the version", is_eager=True)] = False,
) -> None:
    """Answer what is asked of the program itself."""
    if version:
        _echo(f"assistant {__version__}")
        raise typer.Exit


@app.command(epilog="Example: assistant run --microphone question.wav --camera photo.jpg --speaker answer.wav")
@configured(*DEVICES, *ENGINES, *GENERAL, "--no-memory")
def run(
    config: Config,
    *,
    pace: Annotated[Literal["real", "fast"], typer.Option(help="fast: sound files only, in virtual time")] = "real",
    costs: Annotated[Path | None, typer.Option(metavar="FILE", help="what work costs at --pace fast")] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="write every event as it happens, what is said and read too: your own log, of which 'forget that' and "
            "--no-memory delete nothing",
        ),
    ] = None,
    plain: IsPlain = False,
) -> None:
    """Talk over this machine's microphone, camera and loudspeaker."""
    from assistant.backends.keys import terminal_keys
    from assistant.display import Live
    from assistant.running import run_session

    with _display(plain) as display:
        live = isinstance(display, Live) and sys.stdin is not None and sys.stdin.isatty()
        keys = terminal_keys(sys.stdin) if live else None
        if live:
            push = "space opens and closes the microphone, " if config.microphone.push_to_talk else ""
            display.note(f"keys: {push}m mutes, q ends" if keys else "keys: this system gives none; Ctrl-C ends")
        run_session(config, pace=pace, events_path=events, costs_path=costs, display=display, keys=keys)


@app.command(epilog="Example: assistant demo --out demo-out")
@configured(*ENGINES, *GENERAL)
def demo(
    config: Config,
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="where the recording and the events go")] = Path(
        "demo-out"
    ),
    plain: IsPlain = False,
) -> None:
    """Hold a short talk over sounds and pictures of the package."""
    from assistant import running

    with _display(plain) as display:
        running.demo(config, out, display)
        for line in _median_turn(out / "events.jsonl"):
            display.note(line)
        for name in ("conversation.wav", "reply.wav", "events.jsonl"):
            display.note(f"wrote {out / name}")


@app.command(epilog='Example: assistant say "Good morning." -o morning.wav')
@configured("--speaker", "--voice", *GENERAL)
def say(
    config: Config,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what is to be said")],
    *,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE.wav", help="write it, do not play it")
    ] = None,
) -> None:
    """Say a text aloud, or write it as a sound file."""
    from assistant import speaking
    from assistant.hiring import language_of

    if not text.strip():
        raise AssistantError("wanted a text to say, got nothing; write it in quotes")
    voice = engine(config, "voice")
    pcm, rate_hz = speaking.say(text, language_of(config, text), voice)
    if out is None:
        _play(config, pcm, rate_hz)
    else:
        _write_wav(out, pcm, rate_hz)


# ---------------------------------------------------------------- single questions


@app.command(epilog="Example: assistant hear question.wav --json")
@configured("--recogniser", *GENERAL)
def hear(
    config: Config,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="recordings (wav, flac, ogg)")],
    *,
    as_json: AsJson = False,
) -> None:
    """Print what is said in recordings."""
    from assistant.sessions.hearing import hear_file

    recogniser, activity = engine(config, "recogniser"), engine(config, "activity")
    heard: list[dict[str, Any]] = []
    try:
        for file in files:
            words = hear_file(file, recogniser, activity, config.assistant.language)
            heard.append({"file": str(file), "text": words.text, "language": words.language, "words": words.timed})
            if not as_json:
                _echo(words.text if len(files) == 1 else f"{file}: {words.text}")
    finally:  # a bad file does not take what was heard before it
        if as_json and heard:
            _print_json(heard)


@app.command(epilog='Example: assistant look photo.jpg -q "What does it say?" --show looked.png')
@configured("--mind", "--eyes", "--detector", "--encoder", "--fusion", *GENERAL)
def look(
    config: Config,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="pictures and videos, the last one is in view")
    ],
    *,
    question: Annotated[str | None, typer.Option("-q", "--question", help="default: describe them")] = None,
    show: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="draw what was looked at: boxes, text, crop, heat map")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question about pictures and videos, or describe them."""
    from assistant import running

    prepare(config, "mind")
    result = running.look(config, images, question, show=show)
    if as_json:
        _print_json(result)
    else:
        _echo(result["answer"])


# ---------------------------------------------------------------- this machine


@app.command(epilog="Example: assistant devices")
@configured()
def devices(config: Config) -> None:
    """List the microphones and loudspeakers of this machine."""
    from assistant.backends.portaudio import list_devices

    found = list_devices()
    if found:
        _print_table(found)
    else:
        _echo("no sound device was found; use files: --microphone FILE.wav --speaker FILE.wav")


@app.command(epilog="Example: assistant doctor --json")
@configured(*DEVICES, *ENGINES, *GENERAL)
def doctor(config: Config, *, as_json: AsJson = False) -> None:
    """Look at devices, disk, GPU and every engine, and say what puts right what is wrong."""
    from assistant.display import clean
    from assistant.doctor import examine

    findings = []
    for finding in examine(config):
        findings.append(finding)
        if not as_json:
            _echo(clean(f"{'ok  ' if finding.ok else 'BAD '} {finding.check}: {finding.found}"))
            if finding.advice:
                _echo(f"     {clean(finding.advice)}")
    if as_json:
        _print_json(findings)
    if any(finding.grave for finding in findings):
        raise typer.Exit(1)


@config_app.command("show", epilog="Example: assistant config show --set turn.end_s=0.7")
@configured(*DEVICES, *ENGINES, *GENERAL, "--no-memory")
def config_show(config: Config) -> None:
    """Print the configuration that holds, and where values come from."""
    from assistant.config import show, user_file

    own = user_file()
    _echo(f"# your own file: {own}{'' if own.is_file() else ' (there is none)'}\n\n{show(config)}")


@config_app.command("check", epilog="Example: assistant config check --config mine.toml")
@configured(*DEVICES, *ENGINES, *GENERAL, "--no-memory")
def config_check(config: Config) -> None:
    """Check every key, and the options of every engine."""
    config.check()
    _echo("config: every key and every option is in order")


# ---------------------------------------------------------------- what commands share


def _display(plain: bool) -> Display:
    from assistant.display import open_display

    assert sys.stdout is not None
    return open_display(sys.stdout, plain=plain)


def _median_turn(events: Path) -> list[str]:
    """Where the time went in the turn of median latency, as a waterfall; nothing where no turn was answered."""
    from assistant.display import waterfall

    logged = (json.loads(line) for line in events.read_text(encoding="utf-8").splitlines())
    turns = sorted((event for event in logged if event["type"] == "turn"), key=lambda t: t["voice_to_voice_ms"])
    if not turns:
        return []
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    return ["the median turn:", *waterfall(turns[len(turns) // 2], ascii_only=ascii_only).splitlines()]


def _play(config: Config, pcm: Any, rate_hz: int) -> None:
    from assistant import pacing
    from assistant.backends.devices import open_speaker
    from assistant.events import Phrase
    from assistant.saying import say_through

    async def play() -> None:
        clock = pacing.Clock()
        clock.start()
        speaker = open_speaker(config.speaker.sink, clock)
        try:
            await say_through(speaker, Phrase("", pcm, rate_hz, ()), lambda line: typer.echo(line, err=True))
        finally:
            speaker.close()

    pacing.run(play(), fast=False)


def _write_wav(path: Path, pcm: Any, rate_hz: int) -> None:
    import io

    import soundfile

    whole = io.BytesIO()
    soundfile.write(whole, pcm, rate_hz, format="WAV", subtype="PCM_16")
    try:
        path.write_bytes(whole.getbuffer())
    except OSError as error:
        raise OutputError(f"wanted to write {path}, got '{error.strerror}'; choose another file") from error
