"""From a configuration to a running conversation: open devices, load, talk, close.

The one place where slots, devices, clock and log are put together; `run_session` is what `assistant run` does, and the
demo and the bench do the same with devices of their own. Knows the seams and the configuration, no engine's inside.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import __version__, pacing
from assistant.addressing import AddressRules
from assistant.backends import Album, Camera, Microphone, Speaker
from assistant.backends.album import DiskAlbum
from assistant.backends.keys import Keys
from assistant.choosing import choose
from assistant.conversation import converse
from assistant.endpointing import Waiting
from assistant.errors import ConfigError, OutputError
from assistant.eventlog import EventFile, EventLog, Sink
from assistant.events import HEARING_RATE_HZ, Block, Conversation, Words
from assistant.grounding import evidence_of
from assistant.hearing import TurnTaking
from assistant.hiring import Engines, engage, language_of, load_engines, prepare
from assistant.muting import END, SwitchedMicrophone
from assistant.offering import offer
from assistant.pacing import Clock, Costs
from assistant.seeing import Captioner, Sight
from assistant.soundcheck import ADVICE, SoundCheck, check
from assistant.talk import Devices, Models, Rules, Talk
from assistant.transcribing import Transcriber
from assistant.workers import Worker

if TYPE_CHECKING:
    from assistant.config import Config

# ---------------------------------------------------------------- a session


def rules(config: Config) -> Rules:
    """The configuration's part that the conversation goes by."""
    turn = config.turn
    return Rules(
        language=config.assistant.language,
        turn=TurnTaking(
            turn.onset_p, turn.confirm_s, turn.false_alarm_s, turn.pause_s, turn.end_s, turn.longest_s, turn.preroll_s
        ),
        waiting=Waiting(turn.pause_s, turn.end_s, turn.min_wait_s, turn.max_wait_s),
        address=address_rules(config),
        decide_s=turn.decide_s,
        fusion=config.fusion.mode,
        see_wait_s=config.fusion.see_wait_s,
        frames=config.fusion.frames,
        watch_interval_s=config.camera.watch_interval_s,
        budget_tokens=config.mind.budget_tokens,
        memory=config.assistant.memory,
    )


def address_rules(config: Config) -> AddressRules:
    """When the assistant is meant. Whoever pushes a key to talk needs no wake phrase."""
    address = config.address
    wake = () if config.microphone.push_to_talk else tuple(address.wake)
    return AddressRules(wake, tuple(address.sleep), tuple(address.wake_up), address.follow_up_s)


def make_talk(config: Config, engines: Engines, devices: Devices, clock: Clock, log: EventLog) -> Talk:
    """A conversation that has not begun."""

    def partial(words: Words) -> None:
        stable = transcriber.stable
        log.emit("words", text=words.text, final=False, language=words.language, words=words.timed, stable=stable)

    def dropped(text: str, why: str) -> None:
        log.emit("dropped", text=text, why=why)

    conversation = Conversation()
    remembers = config.assistant.memory and config.fusion.disk_mb > 0
    album = Worker[Album]("album") if remembers else None
    if album is not None:
        album.model = DiskAlbum(config.fusion.disk_mb * 1_000_000)
    transcriber = Transcriber(
        engines.recogniser, config.assistant.language, partial, dropped, raw=config.echo.feed == "raw"
    )
    return Talk(
        devices=devices,
        models=Models(engines.activity, engines.endpointing, transcriber, engines.mind, engines.voice, engines.eyes),
        rules=rules(config),
        conversation=conversation,
        clock=clock,
        log=log,
        sight=Sight(
            devices.camera,
            engines.eyes,
            conversation,
            clock,
            log,
            senses=[engines.detector] if engines.detector is not None else [],
            encoder=engines.encoder,
            album=album,
            captioner=_captioner(config, engines, devices, transcriber),
            memory=config.assistant.memory,
            learned=evidence_of,  # now, and not of an hour's glimpses when a question comes
        ),
    )


def _captioner(config: Config, engines: Engines, devices: Devices, transcriber: Transcriber) -> Captioner | None:
    """Who describes pictures while nobody talks; None where that is not wanted, or the mind sees nothing."""
    if not config.fusion.captions or not engines.mind.model.sees:
        return None

    def busy() -> bool:
        return devices.speaker.sounding or any(not segment.done() for segment in transcriber.segments)

    return Captioner(engines.mind, config.assistant.language, busy)


async def talk_over(
    config: Config,
    engines: Engines,
    open_devices: Callable[[Clock], Devices],
    sinks: tuple[Sink, ...] = (),
    level: Callable[[Block], None] = lambda _: None,
    keys: Keys | None = None,
) -> Talk:
    """Hold one conversation over devices that are opened here and closed in the end, whatever happens.

    `keys` mute the microphone or open it (`muting`), and `q` is Ctrl-C.
    """
    clock = Clock()
    log = EventLog(clock, *sinks)
    devices = open_devices(clock)
    switched = SwitchedMicrophone(
        devices.microphone,
        push_to_talk=config.microphone.push_to_talk and keys is not None,
        tell=lambda deaf: log.emit("muted", on=deaf),
    )
    if keys is not None:
        devices = replace(devices, microphone=switched)
    talk = make_talk(config, engines, devices, clock, log)
    log.emit(
        "ready",
        engines={slot: c.logged() for slot, c in engines.chosen.items()},
        sample_rate_hz={
            "microphone": getattr(devices.microphone, "rate_hz", HEARING_RATE_HZ),
            "recogniser": HEARING_RATE_HZ,
            "speaker": getattr(devices.speaker, "rate_hz", 0),
        },
        version=__version__,
    )
    if switched.deaf:
        log.emit("muted", on=True)
    tell_troubles(devices, log)

    def on_key(key: str) -> None:
        if key.lower() == END:
            signal.raise_signal(signal.SIGINT)
        else:
            switched.press(key)

    try:
        with keys(on_key) if keys is not None else nullcontext():
            await converse(talk, level, sound_check(switched, devices.speaker, log))
    finally:
        log.emit("done", exchanges=len(talk.conversation.exchanges), seconds=round(clock.now_s(), 3))
        with ExitStack() as closing:
            closing.callback(talk.sight.close)
            closing.callback(devices.microphone.close)
            closing.callback(devices.camera.close)
            closing.callback(devices.speaker.close)
    return talk


def sound_check(microphone: SwitchedMicrophone, speaker: Speaker, log: EventLog) -> Callable[[Block, float], None]:
    """What is told of every window that is heard, with its probability of speech, and has the log told once where the
    microphone is muted, too loud or too quiet. Recordings do not count, nor what the user muted or our own voice is in.
    """
    state = SoundCheck()
    real = getattr(microphone.source, "in_room", True)

    def checked(window: Block, p_voice: float) -> None:
        nonlocal state
        if not real or microphone.deaf or microphone.lost or speaker.sounding:
            return
        state, fault = check(state, window.pcm if window.raw is None else window.raw, p_voice)
        if fault is not None:
            log.emit("trouble", where="microphone", message=f"{fault.found}; {ADVICE[fault.kind]}", kept_going=True)

    return checked


def tell_troubles(devices: Devices, log: EventLog) -> None:
    """Have the log told when a sound card was away for a moment, is lost or is back, where the devices notice."""

    def teller(where: str, what: str) -> Callable[..., None]:
        return lambda *told: log.emit("trouble", where=where, message=what.format(*told), kept_going=True)

    microphone: Any = getattr(devices.microphone, "source", devices.microphone)
    speaker: Any = devices.speaker
    if hasattr(microphone, "on_gap"):
        microphone.on_gap = teller("microphone", "{:.2f} s of sound went missing; they count as silence")
    for where, device, name in (("microphone", microphone, "microphone"), ("speaker", speaker, "loudspeaker")):
        if hasattr(device, "on_lost"):
            device.on_lost, device.on_back = teller(where, "{}"), teller(where, f"the {name} is back")
    if hasattr(speaker, "on_gap"):
        speaker.on_gap = teller("speaker", "the sound card paused for {:.2f} s; the voice went on where it was")


def read_costs(path: Path | None) -> Costs:
    """A cost table: a JSON object of seconds, as `{"mind.reply.first": 0.1}`, or what `bench turns --json` wrote, which
    holds one. Raises ConfigError.
    """
    if path is None:
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): float(seconds) for key, seconds in table.get("costs", table).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f'wanted a table of costs like {{"mind.reply.first": 0.1}} in {path}, {error}') from error


def open_devices(config: Config, clock: Clock) -> Devices:
    """The devices that the configuration names; what is open is closed again when a later one cannot be had."""
    from assistant.backends.devices import open_camera, open_microphone, open_speaker, without_echo

    said, answered = Path(config.microphone.source), Path(config.speaker.sink)
    if said.is_file() and answered.is_file() and said.samefile(answered):
        raise ConfigError(f"wanted another file for the answer than for the question, got {said} for both; rename one")
    with ExitStack() as opened:
        microphone: Microphone = open_microphone(config.microphone.source, clock)
        opened.callback(microphone.close)
        camera: Camera = open_camera(config.camera.source, clock, config.camera.folder_interval_s, config.camera.turned)
        opened.callback(camera.close)
        speaker: Speaker = open_speaker(config.speaker.sink, clock)
        opened.pop_all()
        return Devices(without_echo(microphone, speaker, config.echo.mode), camera, speaker)


def run_session(
    config: Config,
    *,
    pace: str = "real",
    events_path: Path | None = None,
    costs_path: Path | None = None,
    display: Any = None,
    keys: Keys | None = None,
) -> None:
    """`assistant run`: talk over the configured devices until they end or Ctrl-C. `keys`: of the user's terminal.

    Raises AssistantError; a KeyboardInterrupt comes out after what was heard is committed and every file is closed. An
    events file that could not be written to the end is raised last: the talk went on without it.
    """
    fast = pace == "fast"
    if fast and not (config.microphone.source == "none" or Path(config.microphone.source).suffix):
        raise ConfigError("wanted a sound file as microphone for --pace fast, got a device; add --microphone FILE.wav")
    if config.microphone.push_to_talk and keys is None:
        raise ConfigError(
            "wanted to push a key to talk, got no terminal whose keys can be read; run on one without --plain, "
            "or add --set microphone.push_to_talk=false"
        )
    costs = read_costs(costs_path)
    _run(lambda clock: open_devices(config, clock), config, costs, events_path, display, keys, fast=fast)


def _run(
    open_them: Callable[[Clock], Devices],
    config: Config,
    costs: Costs,
    events_path: Path | None,
    display: Any,
    keys: Keys | None = None,
    *,
    fast: bool,
) -> None:
    prepare(config, display)
    events = EventFile(events_path) if events_path is not None else None
    sinks: list[Sink] = [events] if events is not None else []
    if display is not None:
        sinks.append(display.show)
    offered = offer(config, display, keys) if display is not None and not fast else None
    if offered is not None:
        sinks.append(offered.show)
        keys = offered.over(keys) if keys is not None else None

    async def main() -> None:
        engines = await load_engines(config, costs)
        try:
            await talk_over(config, engines, open_them, tuple(sinks), _meter(display), keys)
        finally:
            engines.close()

    try:
        pacing.run(main(), fast=fast)
    finally:
        if events is not None:
            events.close()
        if offered is not None:
            offered.close()
    if events is not None and events.failure is not None:
        raise events.failure


def _meter(display: Any) -> Callable[[Block], None]:
    """Ten times a second, tell the display how loud it is, in dBFS."""
    if display is None:
        return lambda _: None
    due_s = 0.0

    def level(block: Block) -> None:
        nonlocal due_s
        if block.at_s >= due_s:
            due_s = block.at_s + 0.1
            rms = math.sqrt(float((block.pcm**2).mean()) or 1e-12)
            display.level(max(-96.0, 20 * math.log10(rms)))

    return level


# ---------------------------------------------------------------- the demo


def demo(config: Config, out: Path, display: Any = None) -> None:
    """`assistant demo`: the conversation that comes with the package, at the speed of sound.

    Leaves `conversation.wav` (left the user, right the assistant), `reply.wav` and `events.jsonl` in `out`.
    Raises OutputError where the folder cannot be written.
    """
    from assistant.backends.files import FileMicrophone, FileSpeaker, read_sound
    from assistant.backends.pictures import PictureCamera
    from assistant.demo import mix, script

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"wanted to write the demo to {out}, {error.strerror}; choose another --out") from error
    talk = script()

    def open_them(clock: Clock) -> Devices:
        return Devices(
            FileMicrophone(read_sound(talk.sound), clock),
            PictureCamera(talk.pictures),
            FileSpeaker(out / "reply.wav", clock),
        )

    try:
        _run(open_them, config, {}, out / "events.jsonl", display, fast=False)
    finally:
        if (out / "reply.wav").is_file():
            mix(talk.sound, out / "reply.wav", out / "conversation.wav")


# ---------------------------------------------------------------- single looks


def look(
    config: Config, paths: Sequence[Path], question: str | None, mode: str | None = None, show: Path | None = None
) -> dict[str, Any]:
    """`assistant look`: answer a question about pictures and videos, or describe each; the contract's keys.

    The last picture is the one in view; those before it are memory, a second apart. show: where to draw what was looked
    at. The weights must be here (`prepare`). Raises SourceError, EngineError and OutputError.
    """
    from assistant.sessions import looking

    chosen = choose(config)
    engines = {
        slot: engage(config, slot, chosen[slot])[0]
        for slot in ("eyes", "mind", "detector", "encoder")
        if slot in chosen
    }
    language = language_of(config, question) if question else config.assistant.language.replace("auto", "en")
    told: dict[str, Any] = {"mode": mode or config.fusion.mode, "language": language}
    told["budget_tokens"] = config.mind.budget_tokens
    senses = looking.Senses(**engines)
    try:
        if question is not None:
            done = [looking.answer(looking.watch(paths), question, senses, most=config.fusion.frames, **told)]
        else:
            done = [looking.describe(looking.watch([path]), senses, **told) for path in paths]
    finally:
        for engine in engines.values():
            getattr(engine, "close", lambda: None)()
    if show is not None:
        looking.draw(done[-1], show)
    named = len(done) > 1
    return {
        "answer": "\n".join(
            f"{path.name}: {one.answer}" if named else one.answer
            for path, one in zip(paths if named else paths[-1:], done, strict=True)
        ),
        "mode": done[-1].fusion.mode,
        "why": done[-1].fusion.why,
        "evidence": [evidence for one in done for evidence in one.evidence],
    }
