"""A finding of the doctor, as the contract has it."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.errors import AssistantError

ESSENTIAL = frozenset({"microphone", "loudspeaker", "activity", "recogniser", "mind", "eyes", "voice"})
"""a talk does not begin where one of these is wrong"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is in order, what was found, and what puts it right (empty where nothing must)."""

    check: str
    ok: bool
    found: str
    advice: str = ""

    @property
    def grave(self) -> bool:
        """No talk can be held with it."""
        return not self.ok and self.check in ESSENTIAL


def failed(check: str, error: AssistantError) -> Finding:
    """The finding that an error makes: `wanted, got; do`."""
    found, _, advice = str(error).partition("; ")
    return Finding(check, False, found, advice)
