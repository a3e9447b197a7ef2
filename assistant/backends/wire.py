"""Messages in the form of chat completions, which llama.cpp and every OpenAI-compatible server take.

Pictures travel inside them as data URLs. What was said or read cannot pose as a message, nor as a picture. Knows no
server and no engine.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from assistant.backends import Message
from assistant.events import Image

JPEG_QUALITY = 90

_CONTROL = re.compile(
    r"<(?=[|｜]|/?s>|(?:start|end)_of_(?:turn|image)>|(?:bos|eos|unk|pad|image|image_soft_token|__media__)>)"
    r"|\[(?=/?INST\]|/?SYSTEM_PROMPT\]|IMG(?:_BREAK|_END)?\])"
)
"""How the control tokens of common chat formats begin (ChatML, Llama, Gemma, Mistral, DeepSeek), pictures' included."""


def chat(messages: Sequence[Message], image_px: int) -> list[dict[str, Any]]:
    """The `messages` of a request; pictures go before their message's text, at most `image_px` pixels a side."""
    return [{"role": message.role, "content": _content(message, image_px)} for message in messages]


def plain(text: str) -> str:
    """The text with the control tokens in it broken up, so that what was said or read cannot pose as a message."""
    return _CONTROL.sub(lambda found: found[0] + " ", text)


def data_url(image: Image, image_px: int) -> str:
    """A picture (uint8, height x width x 3, RGB) as a JPEG inside an address. The same picture is the same text."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image)
    picture.thumbnail((image_px, image_px))
    file = BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + b64encode(file.getvalue()).decode("ascii")


def _content(message: Message, image_px: int) -> Any:
    text = plain(message.text)
    if not message.images:
        return text
    pictures = [{"type": "image_url", "image_url": {"url": data_url(image, image_px)}} for image in message.images]
    return [*pictures, {"type": "text", "text": text}]
