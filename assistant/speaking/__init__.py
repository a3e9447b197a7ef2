"""From a mind's tokens to phrases a voice can speak, and from what was played back to what was heard.

`thinking` keeps reasoning out of the reply; `phrases` cuts the reply where a voice may begin; `markup`, `reading`,
`english` and `chinese` turn a phrase into words to say (`speakable`); `heard` makes a voice's sound a phrase with marks
and reads off what was heard of it. All of it is pure: knows nothing of loudspeakers, threads and time.
"""

from assistant.speaking.hearing import heard, make_phrase, say, sounded
from assistant.speaking.phrases import Phrases, ReplyText, Span
from assistant.speaking.speakable import Spoken, speakable
from assistant.speaking.thinking import SpokenOnly, spoken_only

__all__ = [
    "Phrases",
    "ReplyText",
    "Span",
    "Spoken",
    "SpokenOnly",
    "heard",
    "make_phrase",
    "say",
    "sounded",
    "speakable",
    "spoken_only",
]
