"""Encoders: pictures, parts of pictures and texts as vectors of one space, through transformers.

`Siglip` (SigLIP and SigLIP 2, many languages) and `Clip`. The tokens that such a model has for the patches of a picture
do not lie in the space of its texts: only what its pooling or its class token leads to does. So a part of a picture is
embedded as a picture of its own, or, with CLIP, along the path that leads there. Knows nothing of what is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from assistant.backends import hub
from assistant.backends.ocr import check_picture
from assistant.backends.pixels import Stretched, stretched
from assistant.errors import WeightsError
from assistant.events import Box, Image, Matrix, Vector

SMALLEST = 16
"""pixels a side that a part of a picture has at least: less is a smear of colour"""
BATCH = 8
"""parts of a picture that are embedded at a time"""


class _Encoder:
    """What both have in common: loading, whole pictures, texts, and parts as pictures of their own."""

    family = ""

    def __init__(self, model: str, device: str, threads: int, offline: bool) -> None:
        import torch

        if not model:
            raise WeightsError(f"wanted an encoder's weights, no model is named; set encoder.{self.family}.model")
        torch.set_num_threads(threads)
        self._model, self._tokenizer, self._pixels = hub.have(
            "encoder", model, lambda name: _load(name, self.family, device), offline=offline
        )

    def embed_image(self, image: Image) -> Vector:
        """A picture, uint8 (height, width, 3), red first, as (d,). Raises EngineError for another."""
        check_picture(image)
        return self._embed([image])[0]

    def embed_text(self, text: str) -> Vector:
        """A text as (d,); what is longer than the model takes is cut."""
        import torch

        tokens = self._tokens(text)
        with torch.inference_mode():
            return _unit(self._model.get_text_features(**tokens).pooler_output)[0]

    def embed_regions(self, image: Image, boxes: Sequence[Box]) -> Matrix:
        """Parts of a picture, each as if it were the picture, as (n, d); boxes in pixels, cut at the edges."""
        check_picture(image)
        crops = [cropped(image, box) for box in boxes]
        rows = [self._embed(crops[at : at + BATCH]) for at in range(0, len(crops), BATCH)]
        return np.concatenate(rows) if rows else np.zeros((0, self._width), np.float32)

    @property
    def _length(self) -> int:
        """How many tokens a text may have."""
        return self._model.config.text_config.max_position_embeddings

    @property
    def _width(self) -> int:
        """How many numbers a vector has."""
        return self._model.config.projection_dim

    def _embed(self, images: Sequence[Image]) -> Matrix:
        import torch

        with torch.inference_mode():
            return _unit(self._model.get_image_features(pixel_values=self._tensor(images)).pooler_output)

    def _tensor(self, images: Sequence[Image]) -> Any:
        import torch

        return torch.from_numpy(self._pixels(images)).to(self._model.device, self._model.dtype)

    def _tokens(self, text: str) -> dict[str, Any]:
        found = self._tokenizer(text, truncation=True, max_length=self._length, return_tensors="pt")
        return {name: found[name].to(self._model.device) for name in ("input_ids", "attention_mask")}


class Siglip(_Encoder):
    """The `Encoder` seam over a SigLIP or a SigLIP 2 of fixed size (NaFlex takes pictures in another way).

    model: a folder, or a name on the hub; a name is fetched on first use unless `offline`. device: auto, cpu or cuda.
    threads: of torch. Raises WeightsError where weights are missing, damaged, or of another family.
    Source: Tschannen et al. 2025, https://arxiv.org/abs/2502.14786.
    """

    family = "siglip"

    def __init__(
        self,
        model: str = "google/siglip2-base-patch16-224",
        device: str = "auto",
        threads: int = 1,
        offline: bool = False,
    ) -> None:
        super().__init__(model, device, threads, offline)

    def _tokens(self, text: str) -> dict[str, Any]:
        # in lower case, and padded to the full length without a mask: so it was trained
        found = self._tokenizer(
            text.lower(), padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
        )
        return {"input_ids": found["input_ids"].to(self._model.device)}

    @property
    def _width(self) -> int:
        return self._model.config.vision_config.hidden_size


class Clip(_Encoder):
    """The `Encoder` seam over a CLIP.

    regions: `values`, one pass for all parts of a picture, along the value path (see `_values`); or `crops`, one pass
    for each, slower and surer of small things. The rest as for `Siglip`.
    Source: Radford et al. 2021, https://arxiv.org/abs/2103.00020.
    """

    family = "clip"

    def __init__(
        self,
        model: str = "openai/clip-vit-base-patch32",
        regions: Literal["values", "crops"] = "values",
        device: str = "auto",
        threads: int = 1,
        offline: bool = False,
    ) -> None:
        super().__init__(model, device, threads, offline)
        self._by_values = regions == "values"

    def embed_regions(self, image: Image, boxes: Sequence[Box]) -> Matrix:
        """Parts of a picture as (n, d); boxes in pixels, cut at the edges. By values: the mean of the patches, each as
        much as the box covers of it, or the one that a smaller box lies in.
        """
        if not self._by_values or not boxes:
            return super().embed_regions(image, boxes)
        check_picture(image)
        grid = self._values(image)
        rows, columns, width = grid.shape
        scale = np.array([columns / image.shape[1], rows / image.shape[0]] * 2)
        shares = [covered(np.array(box) * scale, rows, columns) for box in boxes]
        parts = np.stack([share.ravel() @ grid.reshape(-1, width) for share in shares])
        return (parts / np.linalg.norm(parts, axis=1, keepdims=True)).astype(np.float32)

    def _values(self, image: Image) -> np.ndarray[Any, Any]:
        """The patches of a picture in the space of texts, (rows, columns, d).

        In the last layer each token is given its own value instead of the attention's mean of all: what is left is the
        path on which the class token gets to the space of texts, for each patch by itself. Raw patch tokens have been
        mixed with all others and were never trained to lie there.
        Source: MaskCLIP, Zhou et al. 2022, https://arxiv.org/abs/2112.01071, section 3.2.
        """
        import torch

        vision = self._model.vision_model
        with torch.inference_mode():
            tokens = vision.pre_layrnorm(vision.embeddings(self._tensor([image])))
            *layers, last = vision.encoder.layers
            for layer in layers:
                tokens = layer(tokens, attention_mask=None)
            attention = last.self_attn
            tokens = tokens + attention.out_proj(attention.v_proj(last.layer_norm1(tokens)))
            tokens = tokens + last.mlp(last.layer_norm2(tokens))
            found = self._model.visual_projection(vision.post_layernorm(tokens[:, 1:]))[0].float().cpu().numpy()
        side = self._model.config.vision_config.patch_size
        return found.reshape(self._pixels.height // side, self._pixels.width // side, -1)


def cropped(image: Image, box: Box) -> Image:
    """The part of a picture in a box, cut at the edges, at least `SMALLEST` pixels a side where it has them."""
    left, right = _span(box[0], box[2], image.shape[1])
    top, bottom = _span(box[1], box[3], image.shape[0])
    return np.ascontiguousarray(image[top:bottom, left:right])


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """Whole pixels from `low` to `high`, within 0 to `length`, made wider where they are fewer than `SMALLEST`."""
    least = min(SMALLEST, length)
    lacking = max(0.0, least - (high - low)) / 2
    begin = round(min(max(low - lacking, 0.0), float(length - least)))
    return begin, round(min(max(high + lacking, begin + least), float(length)))


def covered(box: np.ndarray[Any, Any], rows: int, columns: int) -> np.ndarray[Any, Any]:
    """How much of each cell of a grid a box covers, as shares of the box, (rows, columns); `box` in cells. A box of no
    size counts as the cell that it lies in.
    """
    shares: list[np.ndarray[Any, Any]] = []
    for low, high, count in ((box[1], box[3], rows), (box[0], box[2], columns)):
        edges = np.arange(count)
        share = np.clip(np.minimum(high, edges + 1) - np.maximum(low, edges), 0, None)
        if share.sum() < 1e-6:
            share = (edges == min(max(int((low + high) / 2), 0), count - 1)).astype(float)
        shares.append(share / share.sum())
    return np.outer(*shares)


def _unit(vectors: Any) -> Matrix:
    """Rows of length 1, off the device."""
    import torch

    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def _load(model: str, family: str, device: str) -> tuple[Any, Any, Stretched]:
    """Model, tokenizer, and how pictures are prepared, from what is here. Raises ValueError for another family."""
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    config = transformers.AutoConfig.from_pretrained(model, local_files_only=True)
    if config.model_type != family:
        raise ValueError(f"a model of the family {config.model_type}, and not {family}")
    loaded = hub.weights(transformers.AutoModel, model, device)
    settings, _ = ImageProcessingMixin.get_image_processor_dict(model, local_files_only=True)
    side = config.vision_config.image_size
    pixels = stretched({**settings, "size": {"height": side, "width": side}}, side, normal=True)
    return loaded, transformers.AutoTokenizer.from_pretrained(model, local_files_only=True), pixels
