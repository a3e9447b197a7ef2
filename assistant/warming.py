"""Reading ahead: the mind reads what the next prompt begins with while there is time for it.

After a reply, when a reply was interrupted, while somebody speaks, and at a pause while the recogniser is still at its
last words. Knows no engine: one that cannot is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.backends import Message, Prefills
from assistant.errors import EngineError
from assistant.fusing import choose_mode
from assistant.prompting import compose
from assistant.seeing import recall
from assistant.talk import Talk


def warm(talk: Talk, said: str = "") -> None:
    """Have the mind read what the next prompt begins with, as it is now, and the words that are likely to follow."""
    cool(talk)
    talk.warming = talk.tasks.create_task(prefill(talk, said))


def cool(talk: Talk) -> None:
    """Stop reading ahead."""
    if talk.warming is not None:
        talk.warming.cancel()
        talk.warming = None


async def prefill(talk: Talk, said: str = "") -> None:
    """Have the mind read what the next prompt begins with: who it is, what was said and heard before, for a mind that
    sees what is in view, and then `said`. Where the final words are others, as much as is the same need not be read
    again.
    """
    mind, rules = talk.models.mind, talk.rules
    if not isinstance(mind.model, Prefills):
        return
    early = choose_mode(rules.fusion, mind.model.sees)[0] == "early"
    glimpse = recall(talk.conversation.glimpses, talk.clock.now_s()) if early else None
    images = (glimpse.image,) if glimpse is not None and glimpse.image is not None else ()
    messages = compose(
        said,
        talk.conversation.exchanges,
        language=talk.spoken,
        free=mind.model.free,
        images=images,
        budget_tokens=rules.budget_tokens,
        count=mind.model.count,
    )
    messages = messages if images or said else messages[:-1]
    if _same(messages, talk.read_ahead):
        return
    try:
        await mind.stoppable(mind.model.prefill, messages, cost="prefill")
        talk.read_ahead = messages
    except EngineError as error:  # nothing was lost; if it lasts, the next turn tells
        talk.log.emit("trouble", where="mind", message=str(error), kept_going=True)


def _same(some: Sequence[Message], others: Sequence[Message]) -> bool:
    """Whether two prompts have the same words and the very same pictures: arrays do not compare."""
    first, second = ([(m.role, m.text, *map(id, m.images)) for m in messages] for messages in (some, others))
    return first == second
