"""What happens in a simulated room: scenes, each drawn from a corpus by its number and a seed, always the same.

A scene says who speaks, on which cue and with which pauses, what else is heard, through which room, and what the
scripted mind answers. Knows no engine and runs nothing: `turns` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.events import HEARING_RATE_HZ, Samples
from assistant.sessions.corpus import SPEECH_DB, Clip, Corpus
from assistant.sessions.levels import GAP_S, frames, rms_db
from assistant.sessions.noises import cough, faded, knock, looped, own_tone, room_tone
from assistant.sessions.rooms import Cue, Room, Sound
from assistant.speaking import ReplyText, speakable

# ---------------------------------------------------------------- what is drawn from

SHARES: dict[str, float] = {
    "turns": 0.30,
    "interruption": 0.30,
    "own speech, echo": 0.10,
    "backchannel": 0.08,
    "own speech, noise": 0.06,
    "stop": 0.06,
    "cough": 0.04,
    "knock": 0.04,
    "silence": 0.02,
}
"""kind of scene -> its share"""
COUPLINGS_DB: tuple[float | None, ...] = (None, -10.0, 0.0)
"""the echo in scenes with interruptions, in turn"""
PAUSED = 0.25
"""share of the turns with a pause that is put in"""
PAUSE_MEDIAN_S, PAUSE_P90_S = 0.5, 1.0
"""of its length, log-normal"""
NOISY = 0.5
"""share of the scenes with turns that have noise in the background"""
NOISY_OVER = 0.25
"""and of those with sounds over an answer"""
SNR_DB = (0.0, 20.0)
"""speech over noise"""
SNR_OVER_DB = (10.0, 20.0)
DELAY_S = (0.02, 0.12)
TAIL_S = (0.15, 0.45)
COUPLING_DB = (-25.0, 0.0)
DRIVE = (0.3, 1.2)
DRIFTING = 0.25
"""share of the rooms whose clocks drift"""
DRIFT_PPM = 100.0
TURNS, OVER, INTERRUPTIONS, STOPS = 3, 3, 2, 2
"""how many sounds of its kind a scene has"""
LEAD_S = (0.7, 1.5)
REPLY_S = (0.4, 1.2)
"""of silence after an answer before the user speaks again"""
INTO_ANSWER_S = (0.4, 7.0)
APART_S = (2.0, 5.0)
SHORT_WORDS, LONG_WORDS, LONGEST_WORDS = 12, 110, 330
"""of an answer that is let be, interrupted, or listened to for its own sake: 4, 35 and 110 s"""
QUIET_DB = SPEECH_DB - 20.0
"""no pause that is put in is louder"""
SILENCE_S = 60.0
LIMIT_S = 240.0
QUIET_S, NOISE_S = 5.0, 30.0
"""of background, before it is repeated"""
SHORTEST_INTERRUPTION_S = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One scene. `noise` names what is in the background, at `snr_db`; empty: a quiet room. `replies` are the scripted
    mind's. The microphone lasts `seconds` at least and `limit_s` at most.
    """

    number: int
    kind: str
    room: Room
    sounds: tuple[Sound, ...]
    background: Samples
    noise: str
    snr_db: float | None
    replies: tuple[str, ...]
    seconds: float = 0.0
    limit_s: float = LIMIT_S

    @property
    def name(self) -> str:
        """What to call it in a report."""
        return f"scene {self.number} ({self.kind})"


def kind_of(number: int) -> tuple[str, int]:
    """The kind of scene `number` (0 is the first), and how many of its kind came before: any run of scenes has them by
    SHARES, and a longer run begins like a shorter one.
    """
    counts = dict.fromkeys(SHARES, 0)
    kind = ""
    for n in range(1, number + 2):
        kind = max(SHARES, key=lambda k: SHARES[k] * n - counts[k])
        counts[kind] += 1
    return kind, counts[kind] - 1


def make_scene(corpus: Corpus, number: int, seed: int) -> Scene:
    """Scene `number` of a run with this seed."""
    kind, before = kind_of(number)
    return draw(corpus, kind, np.random.default_rng([seed, number]), number, COUPLINGS_DB[before % len(COUPLINGS_DB)])


def quiet_talk(corpus: Corpus, number: int, seed: int) -> Scene:
    """Talk `number` of those that are held at the speed of sound: turns in a quiet room."""
    return draw(corpus, "turns", np.random.default_rng([seed, number, 1]), number, noisy=False)


def draw(
    corpus: Corpus,
    kind: str,
    rng: np.random.Generator,
    number: int = 0,
    coupling_db: float | None = None,
    *,
    noisy: bool = True,
) -> Scene:
    """A scene of a kind. `coupling_db` counts for interruptions and stops; without `noisy` the room is quiet."""
    room = _room(rng)
    question = _question(rng, corpus)
    over = kind not in ("turns", "own speech, echo", "own speech, noise", "silence")
    share = (NOISY_OVER if over else NOISY) if noisy else 0.0
    background, noise, snr_db = _background(rng, corpus, share, SNR_OVER_DB if over else SNR_DB)
    sounds: list[Sound] = [question]
    words, seconds = LONG_WORDS, 0.0
    match kind:
        case "turns":
            clips = [_pick(rng, corpus.clips) for _ in range(TURNS)]
            sounds = [_turn(rng, clip, "quiet" if n else "begin") for n, clip in enumerate(clips)]
            words = SHORT_WORDS
        case "interruption":
            room = _with_echo(room, coupling_db)
            clips = [c for c in corpus.clips if c.seconds >= SHORTEST_INTERRUPTION_S and c not in corpus.backchannels]
            sounds += [
                said("interruption", _pick(rng, clips or corpus.clips), "answer", rng.uniform(*INTO_ANSWER_S))
                for _ in range(INTERRUPTIONS)
            ]
        case "stop":
            room = _with_echo(room, coupling_db)
            for n in range(STOPS):
                if n:
                    sounds.append(said("turn", _pick(rng, corpus.clips), "begin", 3.0))
                sounds.append(said("stop", _pick(rng, corpus.stops), "answer", rng.uniform(*INTO_ANSWER_S)))
        case "backchannel" | "cough" | "knock":
            for n in range(OVER):
                after_s = rng.uniform(*(APART_S if n else INTO_ANSWER_S))
                if kind == "backchannel":
                    sounds.append(said(kind, _pick(rng, corpus.backchannels), "answer", after_s))
                else:
                    pcm = (cough if kind == "cough" else knock)(rng, SPEECH_DB + rng.uniform(-6, 3))
                    length_s = len(pcm) / HEARING_RATE_HZ
                    sounds.append(Sound(kind, f"{kind} (synthetic)", pcm, 0.0, length_s, cue="answer", after_s=after_s))
        case "own speech, echo":
            room = _with_echo(room, 0.0)
            background, noise, snr_db = _background(rng, corpus, 0.0, SNR_DB)
            words = LONGEST_WORDS
        case "own speech, noise":
            room = _with_echo(room, None)
            background, noise, snr_db = _background(rng, corpus, 1.0, SNR_DB)
            words = LONGEST_WORDS
        case "silence":
            sounds, seconds = [], SILENCE_S
            background, noise, snr_db = _background(rng, corpus, 0.0, SNR_DB)
        case _:
            raise ValueError(f"wanted one of {', '.join(SHARES)}, got '{kind}'")
    replies = tuple(answer(rng, words) for _ in range(4 if kind == "turns" else 2))
    return Scene(number, kind, room, tuple(sounds), background, noise, snr_db, replies, seconds)


# ---------------------------------------------------------------- what is said


def said(kind: str, clip: Clip, cue: Cue, after_s: float) -> Sound:
    """A recording as it is."""
    return Sound(kind, clip.name, clip.pcm, clip.began_s, clip.ended_s, clip.text, clip.pauses, cue, after_s)


def paused(rng: np.random.Generator, clip: Clip, cue: Cue, after_s: float) -> Sound:
    """A recording as a turn with a pause put in between two of its words, filled with its own room; as it is where its
    words are not known or it has only one.
    """
    words = clip.words or ()
    if len(words) < 2:
        return said("turn", clip, cue, after_s)
    which = int(rng.integers(len(words) - 1))
    cut_s = _quietest_s(clip.pcm, words[which].ended_s, words[which + 1].began_s)
    length_s = pause_s(rng)
    cut = round(cut_s * HEARING_RATE_HZ)
    tone = own_tone(rng, clip.pcm, length_s, QUIET_DB)
    before, after = faded(clip.pcm[:cut], begin=False), faded(clip.pcm[cut:], end=False)
    pcm = np.concatenate([before, tone, after])
    return Sound(
        "turn",
        clip.name,
        pcm,
        clip.began_s,
        clip.ended_s + length_s,
        clip.text,
        _with_pause(clip.pauses, cut_s, length_s),
        cue,
        after_s,
    )


def pause_s(rng: np.random.Generator) -> float:
    """The length of a pause inside a turn: log-normal by PAUSE_MEDIAN_S and PAUSE_P90_S."""
    sigma = np.log(PAUSE_P90_S / PAUSE_MEDIAN_S) / 1.2815515655446004  # the 90th percentile of the normal distribution
    return float(PAUSE_MEDIAN_S * np.exp(sigma * rng.standard_normal()))


def answer(rng: np.random.Generator, words: int) -> str:
    """Sentences with at least so many words."""
    sentences = _sentences()
    chosen: list[str] = []
    while sum(len(s.split()) for s in chosen) < words:
        chosen += [sentences[i] for i in rng.permutation(len(sentences))]
    count = next(n for n in range(1, len(chosen) + 1) if sum(len(s.split()) for s in chosen[:n]) >= words)
    return " ".join(chosen[:count])


def phrases_of_answers() -> list[str]:
    """All that a voice is given to say in answers, in a fixed order: each sentence as the first, the second and any
    later phrase, as those are cut differently.
    """
    sentences = _sentences()
    whole = next(s for s in sentences if len(_phrases(s)) == 1)
    spoken = (p for s in sentences for before in ("", f"{whole} ", f"{whole} {whole} ") for p in _phrases(before + s))
    return list(dict.fromkeys(spoken))


def _phrases(reply: str) -> list[str]:
    text = ReplyText()
    spans = text.feed(reply) + text.finish()
    spoken = (speakable(reply[span.begin : span.end], "en").text for span in spans)
    return [each for each in spoken if each]


def _sentences() -> list[str]:
    return (Path(__file__).parent / "assets" / "answers.txt").read_text(encoding="utf-8").splitlines()


def _turn(rng: np.random.Generator, clip: Clip, cue: Cue) -> Sound:
    after_s = rng.uniform(*(LEAD_S if cue == "begin" else REPLY_S))
    return paused(rng, clip, cue, after_s) if rng.random() < PAUSED else said("turn", clip, cue, after_s)


def _question(rng: np.random.Generator, corpus: Corpus) -> Sound:
    """A recording that is short and does not pause: what is measured comes after it."""
    short = [c for c in corpus.clips if c.seconds < 3.0 and not c.pauses] or list(corpus.clips)
    return said("turn", _pick(rng, short), "begin", rng.uniform(*LEAD_S))


def _pick(rng: np.random.Generator, clips: Sequence[Clip]) -> Clip:
    return clips[int(rng.integers(len(clips)))]


def _quietest_s(pcm: Samples, from_s: float, to_s: float) -> float:
    """Where to cut between two words: the quietest 10 ms from 30 ms before the end of one to 30 ms into the other."""
    level = frames(pcm)
    first = max(0, min(len(level) - 1, round((from_s - 0.03) * 100)))
    last = max(first + 1, min(len(level), round((to_s + 0.03) * 100)))
    return (first + int(np.argmin(level[first:last])) + 0.5) / 100


def _with_pause(
    pauses: Sequence[tuple[float, float]], cut_s: float, length_s: float
) -> tuple[tuple[float, float], ...]:
    """The pauses of a recording once another is put in; one that it falls into grows."""
    moved: list[tuple[float, float]] = []
    own = (cut_s, cut_s + length_s)
    for began_s, ended_s in pauses:
        if began_s < cut_s < ended_s:
            own = (began_s, ended_s + length_s)
        else:
            shift_s = length_s if began_s >= cut_s else 0.0
            moved.append((began_s + shift_s, ended_s + shift_s))
    if own[1] - own[0] >= GAP_S:
        moved.append(own)
    return tuple(sorted(moved))


# ---------------------------------------------------------------- where it is said


def _room(rng: np.random.Generator) -> Room:
    return Room(
        coupling_db=rng.uniform(*COUPLING_DB),
        delay_s=rng.uniform(*DELAY_S),
        tail_s=rng.uniform(*TAIL_S),
        drive=rng.uniform(*DRIVE),
        drift_ppm=float(rng.choice([-DRIFT_PPM, DRIFT_PPM])) if rng.random() < DRIFTING else 0.0,
        seed=int(rng.integers(2**31)),
    )


def _with_echo(room: Room, coupling_db: float | None) -> Room:
    return Room(coupling_db, room.delay_s, room.tail_s, room.drive, room.drift_ppm, room.seed)


def _background(
    rng: np.random.Generator, corpus: Corpus, noisy: float, snr_db: tuple[float, float]
) -> tuple[Samples, str, float | None]:
    """What is always heard, its name, and how far below speech it lies; a quiet room has no name."""
    quiet = room_tone(rng, QUIET_S)
    if rng.random() >= noisy:
        return quiet, "", None
    ratio_db = rng.uniform(*snr_db)
    if not corpus.noises:
        return quiet + room_tone(rng, QUIET_S, SPEECH_DB - ratio_db), "steady noise (synthetic)", ratio_db
    name, pcm = corpus.noises[int(rng.integers(len(corpus.noises)))]
    gain = 10 ** ((SPEECH_DB - ratio_db - rms_db(pcm)) / 20)
    noise = gain * looped(rng, pcm, NOISE_S)
    return np.asarray(noise + np.resize(quiet, len(noise)), np.float32), name, ratio_db
