"""Every engine of the chosen set, loaded once and put to work, with its speed.

The sounds and pictures are the demo's. Nothing is fetched. Knows the seams, no engine's inside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant import choosing, hiring
from assistant.backends import Decodes, Message
from assistant.doctor.finding import Finding, failed
from assistant.errors import AssistantError
from assistant.events import HEARING_RATE_HZ, Image, Samples

if TYPE_CHECKING:
    from assistant.choosing import Choice
    from assistant.config import Config

SENTENCE = "The best before date is in two weeks."
QUESTION = "Say in one sentence what a cup is for."
PIECES = 24
"""pieces of a reply that are waited for"""
SPEAKS_HZ = 4.0
"""pieces a second below which a mind is slower than a voice that speaks 150 words a minute"""
SLOW = "too slow for a talk: close other programs, or choose a smaller model"
NATIVE = (ImportError, OSError, RuntimeError, ValueError, TypeError, AttributeError, KeyError, MemoryError)
"""what a library that is broken, too old or too big raises"""
Worked = tuple[bool, str, str]
"""in order, what was found, what to do"""


def examine(config: Config) -> Iterator[Finding]:
    """A finding an engine, and at last whether the network is needed. Raises ConfigError for an unknown engine."""
    offline = config.model_copy(update={"assistant": config.assistant.model_copy(update={"offline": True})})
    missing: list[str] = []
    for slot, choice in choosing.choose(config).items():
        finding = examine_one(slot, choice, lambda slot=slot, choice=choice: hiring.engage(offline, slot, choice))
        if not finding.ok:
            missing.append(slot)
        yield finding
    if missing:
        yield Finding("network", False, f"not all was here, or works: {', '.join(missing)}", "see there")
    else:
        yield Finding("network", True, "not needed: every engine was loaded and used without it")


def examine_one(slot: str, choice: Choice, loading: Callable[[], tuple[Any, Choice]]) -> Finding:
    """Load an engine, have it work, and let it go; the finding tells how quick it was, or what went wrong.

    `loading` returns it with what it is: a spare takes the place of a choice that cannot be had, which is told.
    """
    engine: Any = None
    try:
        began_at = time.perf_counter()
        engine, taken = loading()
        load_s = time.perf_counter() - began_at
        if engine is None:
            return Finding(slot, True, f"{taken.shown}: {taken.why}")
        ok, worked, advice = WORK[slot](engine)
        instead = f" ({taken.why})" if taken.shown != choice.shown else ""
        return Finding(slot, ok, f"{taken.shown}{instead}: loaded in {load_s:.1f} s, {worked}", advice)
    except AssistantError as error:
        return failed(slot, error)
    except NATIVE as error:
        found = f"{choice.shown} fails with {type(error).__name__}: {error}"
        return Finding(slot, False, found, f"install its packages again, or choose another: --set {slot}.engine=…")
    finally:
        getattr(engine, "close", lambda: None)()


# ---------------------------------------------------------------- what each does


def _question() -> Samples:
    from assistant.backends.files import read_sound
    from assistant.demo import script

    talk = script()
    asked = talk.questions[0]
    return read_sound(talk.sound)[: round((asked.ended_s + 0.5) * HEARING_RATE_HZ)]


def _picture() -> Image:
    from assistant.backends.pictures import open_files
    from assistant.demo import script

    camera = open_files(script().pictures[0][1], 1.0)
    frame = camera.frame(0.0)
    camera.close()
    assert frame is not None
    return frame.image


def _took_s(work: Callable[[], object]) -> float:
    began_at = time.perf_counter()
    work()
    return time.perf_counter() - began_at


def _activity(engine: Any) -> Worked:
    pcm, state = _question(), engine.start()
    count = len(pcm) // engine.window

    def work() -> None:
        nonlocal state
        for i in range(count):
            state, _ = engine.voice(state, pcm[i * engine.window : (i + 1) * engine.window])

    return (
        True,
        f"{1000 * _took_s(work) / count:.2f} ms a window of {1000 * engine.window / HEARING_RATE_HZ:.0f} ms",
        "",
    )


def _endpointing(engine: Any) -> Worked:
    return True, f"{1000 * _took_s(lambda: engine.over(_question())):.0f} ms a pause", ""


def _recogniser(engine: Any) -> Worked:
    pcm = _question()
    seconds = len(pcm) / HEARING_RATE_HZ
    language = engine.languages[0]

    def work() -> None:
        if isinstance(engine, Decodes):
            engine.decode(pcm, language, "", lambda: False)
            return
        segment = engine.start(language)
        for begin in range(0, len(pcm), 512):
            engine.feed(segment, pcm[begin : begin + 512])
        engine.finish(segment)

    pace = _took_s(work) / seconds
    return True, f"{pace:.2f} of the time that the speech takes", "" if pace < 1 else SLOW


def _mind(engine: Any) -> Worked:
    began_at, came = time.perf_counter(), list[float]()
    for _ in engine.reply([Message("user", QUESTION)], lambda: len(came) >= PIECES):
        came.append(time.perf_counter() - began_at)
    if not came:
        return False, "it says nothing", "choose another: --mind NAME"
    rate_hz = (len(came) - 1) / max(came[-1] - came[0], 1e-3) if len(came) > 1 else 1 / came[0]
    found = f"first word after {1000 * came[0]:.0f} ms, then {rate_hz:.0f} pieces a second"
    return True, found, "" if rate_hz > SPEAKS_HZ else SLOW


def _eyes(engine: Any) -> Worked:
    picture = _picture()
    return True, f"{1000 * _took_s(lambda: engine.look(picture)):.0f} ms a picture", ""


def _encoder(engine: Any) -> Worked:
    picture = _picture()
    return True, f"{1000 * _took_s(lambda: engine.embed_image(picture)):.0f} ms a picture", ""


def _voice(engine: Any) -> Worked:
    began_at = time.perf_counter()
    speech = engine.synthesise(SENTENCE, "en" if "en" in engine.languages else engine.languages[0], lambda: False)
    seconds = len(speech.pcm) / speech.rate_hz
    if not seconds or not np.abs(speech.pcm).max() > 0:
        return False, "it makes no sound", "choose another: --voice NAME"
    pace = (time.perf_counter() - began_at) / seconds
    return True, f"{pace:.2f} of the time that the speech takes", "" if pace < 1 else SLOW


WORK: dict[str, Callable[[Any], Worked]] = {
    "activity": _activity,
    "endpointing": _endpointing,
    "recogniser": _recogniser,
    "mind": _mind,
    "eyes": _eyes,
    "detector": _eyes,
    "encoder": _encoder,
    "voice": _voice,
}
"""how an engine of each slot is tried"""
