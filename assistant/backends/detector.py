"""Detectors: which things are in a picture, and where. People are found like any other thing, and are nobody.

`OnnxDetector` runs a YOLOX or a FastestDet through onnxruntime, `TransformersDetector` the DETR family (RF-DETR,
D-FINE, RT-DETR, …) through transformers. Both are given a picture and return findings of kind `object`, surest first,
and then the colours of the surest of them. Neither carries weights. Knows nothing of what a picture is looked at for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.backends import hub
from assistant.backends.ocr import check_picture, colours_within
from assistant.backends.pixels import Stretched, stretched
from assistant.errors import WeightsError
from assistant.events import Finding, Image

Floats = NDArray[np.float32]

MOST = 100
"""things in a picture, at most; COCO's own measure counts no more"""
COLOURED = 12
"""things whose colours are told too"""
SAME_THING = 0.75
"""of two boxes of different classes that share more of their union, the less sure one is another name for one thing"""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a network proposes: boxes (n, 4) as left, top, right, bottom in pixels of the picture, scores (n,) 0 to 1,
    and classes (n,) as indices.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.intp]


def findings(found: Candidates, names: tuple[str, ...], size: tuple[int, int]) -> tuple[Finding, ...]:
    """Objects by name, surest first, at most `MOST`, their boxes cut at the edges of a picture of `size` (height,
    width); what lies outside of it, or has no name, is dropped.
    """
    height, width = size
    boxes = np.clip(found.boxes, 0, np.array([width, height, width, height], np.float32))
    kept: list[Finding] = []
    for i in map(int, np.argsort(-found.scores, kind="stable")):
        left, top, right, bottom = map(float, boxes[i])
        name = names[int(found.classes[i])]
        if name and right - left >= 1 and bottom - top >= 1:
            kept.append(Finding("object", name, round(float(found.scores[i]), 3), (left, top, right, bottom)))
    return tuple(kept[:MOST])


def coloured(image: Image, things: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The things, and then the main colours of the surest of them, each with its thing's box."""
    return (*things, *(colour for t in things[:COLOURED] if t.box for colour in colours_within(image, t.box)))


# ---------------------------------------------------------------- onnxruntime


class OnnxDetector:
    """The `Eyes` seam over an `.onnx` file of a YOLOX or of a FastestDet; which one it is, is read off its shapes.

    model: the file. labels: a file with the names of its classes, one a line; empty: the 80 of COCO. least_score: 0 to
    1, what is less sure is dropped; None: the family's own, because their scores are not of one measure. overlap: 0 to
    1, of two boxes of one class that share more of their union than this, the less sure one is dropped. threads: of
    onnxruntime, 0 for all cores. Raises WeightsError where a file is missing or of neither family.
    """

    def __init__(
        self,
        model: str = "",
        labels: str = "",
        least_score: float | None = None,
        overlap: float = 0.5,
        threads: int = 1,
    ) -> None:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf

        file = Path(model).expanduser()
        if not model or not file.is_file():
            raise WeightsError(
                f"wanted a detector's weights, found no file '{model}'; "
                "set detector.onnx.model to the .onnx file of a YOLOX or a FastestDet"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
            raise WeightsError(f"wanted an ONNX model, {file} is none: '{error}'; fetch it again") from error
        self._network = _network(self._session, file)
        self._names = read_labels(labels, self._network.classes)
        self._least_score = self._network.least_score if least_score is None else least_score
        self._overlap = overlap

    def look(self, image: Image) -> tuple[Finding, ...]:
        """The things in a picture with their colours; uint8 (height, width, 3), red first, of any size.

        Raises EngineError for what is no such picture.
        """
        check_picture(image)
        network = self._network
        pixels, scale = network.prepare(image, network.size)
        (output,) = self._session.run(None, {network.name: pixels})
        found = network.decode(np.asarray(output)[0], network.size)
        sure = found.scores >= self._least_score
        found = Candidates(found.boxes[sure] * scale, found.scores[sure], found.classes[sure])
        things = findings(suppressed(found, self._overlap), self._names, (image.shape[0], image.shape[1]))
        return coloured(image, things)


@dataclass(frozen=True, slots=True)
class _Network:
    """How a family of networks is called. size: height and width of its input in pixels. prepare: a picture and that
    size to the input and to what boxes are multiplied with to lie in the picture. decode: the output to candidates.
    least_score: what its authors show.
    """

    name: str
    size: tuple[int, int]
    classes: int
    prepare: Callable[[Image, tuple[int, int]], tuple[Floats, Floats]]
    decode: Callable[[Floats, tuple[int, int]], Candidates]
    least_score: float


def _network(session: Any, file: Path) -> _Network:
    """The family of a model by the shapes it declares. Raises WeightsError for any other."""
    entries, outputs = session.get_inputs(), session.get_outputs()
    shapes = f"input {[i.shape for i in entries]}, output {[o.shape for o in outputs]}"
    match [i.shape for i in entries], [o.shape for o in outputs]:
        case [[1, 3, int(h), int(w)]], [[1, int(n), int(c)]] if n == _cells(h, w) and c > 5:
            return _Network(entries[0].name, (h, w), c - 5, letterboxed, decode_yolox, 0.3)
        case [[1, 3, int(h), int(w)]], [[1, int(c), int(rows), int(columns)]] if c > 5 and h // rows == w // columns:
            return _Network(entries[0].name, (h, w), c - 5, _stretched, decode_fastestdet, 0.65)
    raise WeightsError(
        f"wanted a YOLOX (1, cells, 5 + classes) or a FastestDet (1, 5 + classes, rows, columns) of fixed size, "
        f"{file} has {shapes}; export it anew, or use --detector transformers"
    )


def read_labels(file: str, count: int) -> tuple[str, ...]:
    """The names of `count` classes. Raises WeightsError where the file has another number of lines."""
    path = Path(file).expanduser() if file else Path(__file__).with_name("coco.txt")
    try:
        names = tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"wanted the names of {count} classes in {path}, got '{error}'; correct labels") from error
    if len(names) != count:
        raise WeightsError(
            f"wanted names for {count} classes, {path} has {len(names)}; set detector.onnx.labels to a file with one "
            "name a line"
        )
    return names


# ---------------------------------------------------------------- YOLOX

STRIDES = (8, 16, 32)
"""pixels of the input per cell, grid by grid"""
PADDING = 114
"""the grey that YOLOX was trained to see around a picture"""


def _cells(height: int, width: int) -> int:
    return sum((height // s) * (width // s) for s in STRIDES)


def letterboxed(image: Image, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """A picture, red first, as YOLOX takes it: (1, 3, height, width), blue first, 0 to 255, shrunk or grown with its
    sides in proportion into the upper left corner; and the scale back.
    """
    import cv2

    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    boxed = np.full((*size, 3), PADDING, np.uint8)
    boxed[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    back = np.array([image.shape[1] / width, image.shape[0] / height] * 2, np.float32)
    return np.ascontiguousarray(boxed[:, :, ::-1].transpose(2, 0, 1)[None], np.float32), back


def decode_yolox(output: Floats, size: tuple[int, int]) -> Candidates:
    """The raw output of a YOLOX (cells, 5 + classes): centre = (offset + cell) x stride, side = exp(side) x stride,
    score = objectness x class. After Ge et al. 2021, https://arxiv.org/abs/2107.08430, without decode_in_inference.
    """
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], 1))
        strides.append(np.full((rows.size, 1), stride))
    cell, stride = np.concatenate(cells), np.concatenate(strides)
    middles = (output[:, :2] + cell) * stride
    halves = np.exp(np.clip(output[:, 2:4], -10, 10)) * stride / 2
    boxes = np.concatenate([middles - halves, middles + halves], 1).astype(np.float32)
    scores = output[:, 4:5] * output[:, 5:]
    return Candidates(boxes, scores.max(1), scores.argmax(1))


# ---------------------------------------------------------------- FastestDet


def _stretched(image: Image, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """A picture, red first, as FastestDet takes it: (1, 3, height, width), blue first, 0 to 1; and the scale back."""
    import cv2

    small = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    back = np.array([image.shape[1] / size[1], image.shape[0] / size[0]] * 2, np.float32)
    return np.ascontiguousarray(small[:, :, ::-1].transpose(2, 0, 1)[None] / 255, np.float32), back


def decode_fastestdet(output: Floats, size: tuple[int, int]) -> Candidates:
    """The output of a FastestDet (5 + classes, rows, columns): centre = cell + tanh, side = sigmoid of the picture's,
    score = objectness^0.6 x class^0.4. After https://github.com/dog-qiuqiu/FastestDet.
    """
    rows, columns = output.shape[1:]
    down, across = np.mgrid[:rows, :columns]
    scale = np.array([size[1], size[0]], np.float32)
    middles = np.stack([(across + np.tanh(output[1])) / columns, (down + np.tanh(output[2])) / rows], -1) * scale
    halves = np.stack([_sigmoid(output[3]), _sigmoid(output[4])], -1) * scale / 2
    boxes = np.concatenate([middles - halves, middles + halves], -1).reshape(-1, 4).astype(np.float32)
    scores = (np.clip(output[0], 0, 1) ** 0.6)[None] * np.clip(output[5:], 0, 1) ** 0.4
    scores = scores.reshape(len(scores), -1)
    return Candidates(boxes, scores.max(0), scores.argmax(0))


def _sigmoid(x: Floats) -> Floats:
    return (1 / (1 + np.exp(-np.clip(x, -30, 30)))).astype(np.float32)


def suppressed(found: Candidates, overlap: float) -> Candidates:
    """Of boxes of one class whose intersection is more than `overlap` of their union, only the surest; of boxes of
    different classes likewise, with `SAME_THING`.
    """
    alike = _suppressed(found, found.classes, overlap)
    return _suppressed(alike, np.zeros_like(alike.classes), SAME_THING)


def _suppressed(found: Candidates, groups: NDArray[np.intp], overlap: float) -> Candidates:
    import cv2

    if not len(found.scores):
        return found
    sized = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxesBatched(sized.tolist(), found.scores.tolist(), groups.tolist(), 0.0, overlap)
    at = np.asarray(kept, np.intp).reshape(-1)
    return Candidates(found.boxes[at], found.scores[at], found.classes[at])


# ---------------------------------------------------------------- transformers

FAMILIES = ("rf_detr", "d_fine", "rt_detr", "rt_detr_v2", "lw_detr", "deimv2")
"""Families that score each class by itself (sigmoid) and need no suppression: a query is a thing."""


class TransformersDetector:
    """The `Eyes` seam over a detector of the DETR family (RF-DETR, D-FINE, RT-DETR, …), with its own class names.

    model: a folder, or a name on the hub; a name is fetched on first use unless `offline`. least_score: 0 to 1, what is
    less sure is dropped. device: auto, cpu or cuda. threads: of torch. Pictures are prepared here, because the
    library does it for RF-DETR with torchvision only. Raises WeightsError where weights are missing, damaged, or of
    another family.
    """

    def __init__(
        self,
        model: str = "ustc-community/dfine-small-obj2coco",
        least_score: float = 0.5,
        device: str = "auto",
        threads: int = 1,
        offline: bool = False,
    ) -> None:
        import torch

        if not model:
            raise WeightsError(
                "wanted a detector's weights, no model is named; "
                "set detector.transformers.model to a folder or to a name on the hub"
            )
        torch.set_num_threads(threads)
        self._model, self._pixels = hub.have("detector", model, lambda name: _load(name, device), offline=offline)
        names: dict[int, str] = self._model.config.id2label
        self._names = tuple(names.get(i, "").replace("N/A", "") for i in range(max(names) + 1))  # COCO left ids out
        self._least_score = least_score

    def look(self, image: Image) -> tuple[Finding, ...]:
        """The things in a picture with their colours; uint8 (height, width, 3), red first, of any size.

        Raises EngineError for what is no such picture.
        """
        import torch

        check_picture(image)
        pixels = torch.from_numpy(self._pixels([image])).to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            output = self._model(pixel_values=pixels)
        scores = output.logits[0, :, : len(self._names)].float().sigmoid().cpu().numpy()
        boxes = output.pred_boxes[0].float().cpu().numpy()
        height, width = image.shape[:2]
        middles, halves = boxes[:, :2], boxes[:, 2:] / 2
        corners = np.concatenate([middles - halves, middles + halves], 1) * np.array([width, height] * 2, np.float32)
        sure = scores.max(1) >= self._least_score
        found = Candidates(corners[sure], scores[sure].max(1), scores[sure].argmax(1))
        return coloured(image, findings(found, self._names, (height, width)))


def _load(model: str, device: str) -> tuple[Any, Stretched]:
    """The model and how it wants its pictures, from what is here. Raises ValueError for another family."""
    import transformers
    from transformers.image_processing_base import ImageProcessingMixin

    config = transformers.AutoConfig.from_pretrained(model, local_files_only=True)
    if config.model_type not in FAMILIES:
        raise ValueError(f"a model of the family {config.model_type}, and none of {', '.join(FAMILIES)}")
    loaded = hub.weights(transformers.AutoModelForObjectDetection, model, device)
    settings, _ = ImageProcessingMixin.get_image_processor_dict(model, local_files_only=True)
    side = getattr(config.backbone_config, "image_size", None)
    return loaded, stretched(settings, side, normal=config.model_type == "rf_detr")
