"""Visual memory: frames that were worth keeping, and what the senses found in them.

`judging` says what a frame is worth, `memory` which glimpses are kept (both pure), `watching` runs them over a camera
and has the senses look in the background. Knows nothing of words and questions.
"""

from assistant.seeing.captioning import Captioner
from assistant.seeing.judging import blank, brightness, changed, sharpness, thumbnail
from assistant.seeing.memory import DENSE_S, KEPT, RECALL_S, keep, recall, thin
from assistant.seeing.watching import Sight

__all__ = [
    "DENSE_S",
    "KEPT",
    "RECALL_S",
    "Captioner",
    "Sight",
    "blank",
    "brightness",
    "changed",
    "keep",
    "recall",
    "sharpness",
    "thin",
    "thumbnail",
]
