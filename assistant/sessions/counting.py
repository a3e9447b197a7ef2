"""Plays many scenes in virtual time, in processes of their own, and keeps what came of each.

A scene comes out the same in whichever process, and after whichever other scene, it is played. Knows no measure over
more than one scene.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from assistant.errors import AssistantError, EngineError
from assistant.pacing import Costs
from assistant.sessions.corpus import Corpus
from assistant.sessions.outcomes import Outcome, outcome
from assistant.sessions.scenes import make_scene
from assistant.sessions.staging import set_stage

if TYPE_CHECKING:
    from assistant.config import Config


def count(
    config: Config,
    corpus: Corpus,
    scenes: int,
    costs: Costs,
    tell: Callable[[str], None] = lambda _: None,
    processes: int = 1,
) -> list[Outcome]:
    """What came of scenes 0 to `scenes`, in order. Raises AssistantError."""
    processes = min(processes, scenes)
    fresh = multiprocessing.get_context("spawn")  # models with threads of their own do not survive a fork
    outcomes: list[Outcome] = []
    open_ends: list[Connection] = []
    workers: list[BaseProcess] = []
    try:
        for first in range(processes):
            ours, theirs = fresh.Pipe(duplex=False)
            work = (theirs, config, corpus, costs, range(first, scenes, processes))
            workers.append(fresh.Process(target=_report, args=work, daemon=True))
            workers[-1].start()
            theirs.close()
            open_ends.append(ours)
        while open_ends:
            for end in wait(open_ends):
                assert isinstance(end, Connection)
                match _received(end):
                    case None:
                        open_ends.remove(end)
                    case Outcome() as one:
                        outcomes.append(one)
                        if len(outcomes) % 10 == 0 or len(outcomes) == scenes:
                            tell(f"{len(outcomes)} of {scenes} scenes")
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        for end in open_ends:
            end.close()
    return sorted(outcomes, key=lambda outcome: outcome.number)


def _received(end: Connection) -> Outcome | None:
    """What a process sent: an outcome, None where it is done. Raises the AssistantError that it met."""
    try:
        sent = end.recv()
    except EOFError:
        raise EngineError("wanted scenes to be played, a process ended before it was done; free memory") from None
    if isinstance(sent, AssistantError):
        raise sent
    return sent


def _report(end: Connection, config: Config, corpus: Corpus, costs: Costs, numbers: Sequence[int]) -> None:
    """Play scenes, and send what came of each; None when all are played."""
    try:
        stage = set_stage(config, costs)
        for number in numbers:
            scene = make_scene(corpus, number, config.assistant.seed)
            end.send(outcome(stage.play(scene), config.turn.end_s))
        stage.engines.close()
        end.send(None)
    except AssistantError as error:
        end.send(error)
    finally:
        end.close()
