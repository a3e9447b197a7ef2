"""Models of the real shapes with RANDOM weights: their speed is true, and their words and voices mean nothing.

For measuring engines where weights are not to be had. The same call makes the same model. A module a kind of engine,
each with the sources of its shapes; what they make is read by the engines as if it came from its hub.
"""

from assistant.sessions.shapes.minds import MINDS, mind_config, random_mind
from assistant.sessions.shapes.recognisers import WHISPERS, random_checkpoint
from assistant.sessions.shapes.sight import DETECTORS, ENCODERS, random_detector, random_encoder
from assistant.sessions.shapes.voices import SPEAKERS, XTTS, random_vits, random_xtts

__all__ = [
    "DETECTORS",
    "ENCODERS",
    "MINDS",
    "SPEAKERS",
    "WHISPERS",
    "XTTS",
    "mind_config",
    "random_checkpoint",
    "random_detector",
    "random_encoder",
    "random_mind",
    "random_vits",
    "random_xtts",
]
