"""Pictures as a model of the transformers library takes them: tensors, and the tokens that stand for them in a prompt.

One picture takes no more tokens than it is allowed, whatever a family makes of it by itself: Idefics and SmolVLM cut
every picture into tiles after enlarging it, the others follow its size. Knows nothing of messages and caches.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from inspect import signature
from types import SimpleNamespace
from typing import Any

import numpy as np

from assistant.backends.lfm2_pictures import Lfm2Pictures
from assistant.errors import ConfigError
from assistant.events import Image

KEPT = 8
"""pictures that are not prepared anew while they are asked for again and again"""
SMALLEST_PX = 16


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture, prepared. `text` stands for it in a prompt, `places` of its tokens are filled with its features.

    `key` is negative and tells it from other pictures, and from token ids.
    """

    key: int
    text: str
    places: int
    tensors: dict[str, Any]


class Pictures:
    """What prepares pictures for one model: at most `most_px` on their longer side and `most_tokens` in the prompt.

    `place` is the id of the tokens that are filled with features. Raises ConfigError where the family's smallest
    picture takes more tokens.
    """

    def __init__(self, processor: Any, place: int, most_px: int, most_tokens: int) -> None:
        self.mark: str = processor.image_token
        self._processor, self._place = processor, place
        self._most_px, self._most_tokens = most_px, most_tokens
        self._kept: dict[bytes, Shown] = {}
        self.shown(np.zeros((most_px, most_px, 3), np.uint8))  # a square takes the most tiles

    def shown(self, image: Image) -> Shown:
        """The picture, prepared; uint8 RGB, [height, width, 3]."""
        digest = hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=7).digest()
        made = self._kept.pop(digest, None) or self._prepared(digest, self._small(image))
        self._kept[digest] = made  # the newest last
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return made

    def _small(self, image: Image) -> Any:
        from PIL import Image as Pillow

        picture = Pillow.fromarray(image)
        picture.thumbnail((self._most_px, self._most_px))
        return picture

    def _prepared(self, digest: bytes, picture: Any) -> Shown:
        encoded = self._encoded(picture)
        while (tokens := encoded["input_ids"].shape[1]) > self._most_tokens:
            picture = self._smaller(picture, tokens)
            encoded = self._encoded(picture)
        text = encoded.pop("text_replacement_offsets")[0][0]["replacement"]
        places = int((encoded["input_ids"] == self._place).sum())
        for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
            encoded.pop(name, None)
        named = hashlib.blake2b(digest + text.encode(), digest_size=7).digest()
        return Shown(-1 - int.from_bytes(named, "big"), text, places, encoded)

    def _encoded(self, picture: Any) -> dict[str, Any]:
        made = self._processor(
            text=[self.mark], images=[picture], return_tensors="pt", return_text_replacement_offsets=True
        )
        return dict(made)

    def _smaller(self, picture: Any, tokens: int) -> Any:
        """What takes fewer tokens: less of the family's enlarging where it enlarges, else a smaller picture."""
        images = self._processor.image_processor
        tile = (getattr(images, "max_image_size", None) or {}).get("longest_edge")
        if tile and images.size.get("longest_edge", 0) > tile:
            images.size = {"longest_edge": max(tile, images.size["longest_edge"] - tile)}
            return picture
        share = min(0.9, (self._most_tokens / tokens) ** 0.5)
        size = tuple(int(px * share) for px in picture.size)
        if min(size) < SMALLEST_PX:
            raise ConfigError(
                f"wanted pictures of at most {self._most_tokens} tokens, got a model whose smallest takes {tokens}; "
                f"set mind.transformers.image_tokens to {tokens} or more"
            )
        return picture.resize(size)


def processor_of(model: str, family: str) -> Any:
    """A family's processor; without torchvision, one that takes pictures but no videos.

    Processors with a video part need torchvision for that part alone, and refuse to be made without it; LFM2-VL's needs
    it for pictures too.
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES  # type: ignore[attr-defined]
    from transformers.utils.import_utils import is_torchvision_available

    base = getattr(transformers, str(PROCESSOR_MAPPING_NAMES[family]))
    parts = base.get_attributes()
    if is_torchvision_available() or not ("video_processor" in parts or family == "lfm2_vl"):
        return transformers.AutoProcessor.from_pretrained(model, local_files_only=True)

    def check(self: Any, name: str, part: Any) -> Any:
        if (name == "video_processor" and part is None) or isinstance(part, Lfm2Pictures):
            return None
        return base.check_argument_for_proper_class(self, name, part)

    settings, _ = base.get_processor_dict(model, local_files_only=True)
    own = {name: settings[name] for name in signature(base).parameters if name in settings and name not in parts}
    own |= {"video_processor": None} if "video_processor" in parts else {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
    own.setdefault("chat_template", tokenizer.chat_template)
    made = type(base.__name__, (base,), {"check_argument_for_proper_class": check})(
        image_processor=_image_processor(model, family), tokenizer=tokenizer, **own
    )
    if family == "smolvlm":  # its chat template asks these of the video part, for pictures as well
        made.video_processor = SimpleNamespace(num_frames=1, fps=1)
    return made


def _image_processor(model: str, family: str) -> Any:
    import transformers

    if family != "lfm2_vl":
        return transformers.AutoImageProcessor.from_pretrained(model, local_files_only=True)
    settings, _ = transformers.BaseImageProcessor.get_image_processor_dict(model, local_files_only=True)
    return Lfm2Pictures(settings)
