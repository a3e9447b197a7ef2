"""Every error of ours, in one tree. Each message says what was wanted, what was got, and what to do.

    AssistantError            one line for the user; `cli` turns it into `assistant: error: …` and exit code 1
    ├── ConfigError           a key, a value or a file of the configuration
    ├── SourceError           a sound, a picture or a folder that was to be read
    ├── OutputError           a file that was to be written: no permission, a full disk
    ├── DeviceError           a microphone, camera or loudspeaker: missing, refused, lost
    └── EngineError           a recogniser, mind, voice or pair of eyes that cannot be loaded or failed
        └── WeightsError      its weights are not here and cannot be had, or are not what they should be

Caught in `cli`, and once a turn in `conversation.answer`. `nearest` is what to do about a name that is not known.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class AssistantError(Exception):
    """An error with a message for the user: `<wanted>, <got>; <what to do>`."""


class ConfigError(AssistantError):
    """The configuration has an unknown key, a value out of range, or cannot be read."""


class SourceError(AssistantError):
    """A sound, a picture, a video or a folder that was to be read is missing, empty or not what it claims to be."""


class OutputError(AssistantError):
    """A file cannot be written."""


class DeviceError(AssistantError):
    """A microphone, camera or loudspeaker is missing, refused or lost."""


class EngineError(AssistantError):
    """An engine cannot be loaded, or failed at its work."""


class WeightsError(EngineError):
    """An engine's weights are missing and cannot be had, or differ from what the catalogue says."""


def nearest(got: str, known: Iterable[str], otherwise: str) -> str:
    """What is told with an unknown name: the nearest of those that are known, `otherwise` where none is near."""
    near = get_close_matches(got, [*known], 1)
    return f"did you mean '{near[0]}'?" if near else otherwise
