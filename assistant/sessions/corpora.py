"""Questions, captions and scenes to measure seeing by, in the formats they come in. Knows no model.

`qa.jsonl` and `scenes.jsonl` are ours; VQA v2, COCO captions, Flickr30k and Visual Genome are read as their makers
publish them, with the pictures in the folder or in one below it. Of those, pictures that are not there are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from assistant.errors import SourceError
from assistant.grounding.words import is_chinese

T = TypeVar("T")

KINDS = ("read", "name", "colour", "count", "other")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a picture or a video, and what may be in a right answer.

    file: where it lies. answers: one of them has to occur. kind: one of KINDS. at_s: how far a video has been seen when
    it is asked, None for all of it. people: what each of them answered, where the corpus is VQA.
    """

    file: Path
    question: str
    answers: tuple[str, ...]
    language: str = "en"
    kind: str = "other"
    at_s: float | None = None
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture, and how people described it."""

    file: Path
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """Something shown in a video while `said` is said, with its pointing word at `this_at_s`: what it points at is in
    view from `from_s` to `to_s`, in seconds of the video.
    """

    file: Path
    said: str
    this_at_s: float
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a folder holds; `left_out`: how many questions and captions are of pictures that are not there."""

    questions: tuple[Asked, ...] = ()
    captions: tuple[Captioned, ...] = ()
    scenes: tuple[Scene, ...] = ()
    left_out: int = 0


def read_corpus(path: Path, most: int | None = None) -> Corpus:
    """All that is in a folder, in whatever of the formats; `most`: of each no more than that, evenly spread.

    Raises SourceError where there is none of them, or with file and line where one is not what it should be.
    """
    folder = path if path.is_dir() else path.parent
    pictures = _Pictures(folder)
    questions: list[Asked] = []
    captions: dict[Path, list[str]] = {}
    scenes: list[Scene] = []
    known = False
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        for matches, read in _FORMATS:
            if file.is_file() and matches(file.name):
                known = True
                for found in read(file, pictures):
                    match found:
                        case Asked():
                            questions.append(found)
                        case Scene():
                            scenes.append(found)
                        case Captioned(picture, references):
                            captions.setdefault(picture, []).extend(references)
                break
    if not known:
        raise SourceError(
            f"wanted questions, captions or scenes in {path}, found none; name a folder with qa.jsonl and its "
            "pictures, or with the files of VQA v2, COCO captions, Flickr30k or Visual Genome"
        )
    if not questions and not captions and not scenes:
        raise SourceError(f"wanted pictures for what is asked in {path}, none is there; put them beside it")
    described = [Captioned(picture, tuple(references)) for picture, references in captions.items()]
    return Corpus(spread(questions, most), spread(described, most), spread(scenes, most), pictures.missing)


def spread(items: Sequence[T], most: int | None) -> tuple[T, ...]:
    """No more than `most` of the items, evenly spread over all."""
    if most is None or len(items) <= most:
        return tuple(items)
    return tuple(items[i * len(items) // most] for i in range(most))


# ---------------------------------------------------------------- our own


def read_questions(file: Path, pictures: _Pictures | None = None) -> Iterator[Asked]:
    """`qa.jsonl`: an object a line with image or video, question and answers; also lang, kind and at_s."""
    for where, row in _lines(file):
        try:
            name = row["image"] if "image" in row else row["video"]
            at_s = row.get("at_s")
            yield Asked(
                file.parent / str(name),
                str(row["question"]),
                tuple(map(str, _listed(row["answers"]))),
                str(row.get("lang") or language_of(row["question"])),
                str(row.get("kind") or kind_of(row["question"])),
                None if at_s is None else float(at_s),
            )
        except (KeyError, TypeError, ValueError) as error:
            wanted = "wanted an object with image or video, question and answers"
            raise SourceError(f"{where}: {wanted}, got {error!r}; correct the line") from error


def read_scenes(file: Path, pictures: _Pictures | None = None) -> Iterator[Scene]:
    """`scenes.jsonl`: an object a line with clip, said, this_at_s, from_s and to_s."""
    for where, row in _lines(file):
        try:
            times = (float(row[key]) for key in ("this_at_s", "from_s", "to_s"))
            yield Scene(file.parent / str(row["clip"]), str(row["said"]), *times)
        except (KeyError, TypeError, ValueError) as error:
            wanted = "wanted an object with clip, said, this_at_s, from_s and to_s"
            raise SourceError(f"{where}: {wanted}, got {error!r}; correct the line") from error


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_text(file).splitlines(), 1):
        if line.strip():
            where = f"{file}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SourceError(f"{where}: wanted JSON, got '{error}'; correct the line") from error
            if not isinstance(row, dict):
                raise SourceError(f"{where}: wanted an object, got {line.strip()[:40]!r}; correct the line")
            yield where, row


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise TypeError(f"answers {value!r}")
    return value


def language_of(text: str) -> str:
    """The language that a question is asked in."""
    return "zh" if is_chinese(text) else "en"


def kind_of(question: str) -> str:
    """Which of KINDS a question is, as far as its words tell."""
    from assistant.grounding.questions import read

    wording = read(question).wording
    if wording in ("colour", "count"):
        return wording
    return "name" if wording == "thing" else "read" if wording == "lines" else "other"


# ---------------------------------------------------------------- others'


@dataclass(slots=True)
class _Pictures:
    """Where the pictures of a corpus lie: in its folder, or in one below it."""

    folder: Path
    missing: int = 0
    _folders: list[Path] = field(default_factory=list[Path])

    def find(self, name: str) -> Path | None:
        """The file of a picture; None, and counted, where it is not there."""
        if not self._folders:
            self._folders = [self.folder, *sorted(f for f in self.folder.iterdir() if f.is_dir())]
        found = next((f / name for f in self._folders if (f / name).is_file()), None)
        self.missing += found is None
        return found


def read_vqa(file: Path, pictures: _Pictures) -> Iterator[Asked]:
    """VQA v2, https://visualqa.org/download.html: `v2_OpenEnded_mscoco_SPLIT_questions.json`, with the answers of ten
    people each in `v2_mscoco_SPLIT_annotations.json` beside it.
    """
    asked = _json(file)
    beside = file.with_name(file.name.replace("OpenEnded_", "").replace("_questions", "_annotations"))
    with _told(file, "the questions of VQA v2"):
        subtype = asked["data_subtype"]
        theirs = {row["question_id"]: row for row in _json(beside)["annotations"]}
        for row in asked["questions"]:
            picture = pictures.find(f"COCO_{subtype}_{row['image_id']:012}.jpg")
            if picture is not None:
                answers = tuple(a["answer"] for a in theirs[row["question_id"]]["answers"])
                usual = theirs[row["question_id"]]["multiple_choice_answer"]
                question = row["question"]
                kind = {"number": "count"}.get(theirs[row["question_id"]]["answer_type"]) or kind_of(question)
                yield Asked(picture, question, (usual,), language_of(question), kind, people=answers)


def read_coco(file: Path, pictures: _Pictures) -> Iterator[Captioned]:
    """COCO captions, https://cocodataset.org/#format-data: `captions_SPLIT.json` with images and annotations."""
    table = _json(file)
    with _told(file, "the captions of COCO"):
        files = {image["id"]: pictures.find(image["file_name"]) for image in table["images"]}
        for row in table["annotations"]:
            picture = files[row["image_id"]]
            if picture is not None:
                yield Captioned(picture, (row["caption"].strip(),))


def read_flickr(file: Path, pictures: _Pictures) -> Iterator[Captioned]:
    """Flickr30k, https://shannon.cs.illinois.edu/DenotationGraph: `results_*.token` with `PICTURE.jpg#0`, a tab and the
    caption on each line; or `results.csv` with picture, number and caption between bars.
    """
    found: dict[str, Path | None] = {}
    for number, line in enumerate(_text(file).splitlines(), 1):
        name, _, caption = line.partition("\t") if "\t" in line else _barred(line)
        name = name.split("#")[0].strip()
        if not caption.strip() or name == "image_name":
            if line.strip() and name != "image_name":
                raise SourceError(
                    f"{file}, line {number}: wanted a picture and its caption, got {line[:40]!r}; correct it"
                )
            continue
        if name not in found:
            found[name] = pictures.find(name)
        picture = found[name]
        if picture is not None:
            yield Captioned(picture, (caption.strip(),))


def _barred(line: str) -> tuple[str, str, str]:
    name, number, caption = [*line.split("|", 2), "", ""][:3]
    return name, number, caption


def read_genome(file: Path, pictures: _Pictures) -> Iterator[Asked]:
    """Visual Genome, https://homes.cs.washington.edu/~ranjay/visualgenome: `question_answers.json`, a list of pictures
    with their questions; the picture is named by its number.
    """
    table = _json(file)
    with _told(file, "the questions of Visual Genome"):
        for image in table:
            number = image.get("id", image.get("image_id"))
            picture = pictures.find(f"{number}.jpg")
            for row in image["qas"] if picture is not None else ():
                question, answer = row["question"], row["answer"].rstrip(". ")
                yield Asked(picture, question, (answer,), language_of(question), kind_of(question))  # type: ignore[arg-type]


@contextmanager
def _told(file: Path, wanted: str) -> Iterator[None]:
    """Turns what a table lacks into a SourceError that names its file and what it should be."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise SourceError(f"wanted {wanted} in {file}, got {error!r}; download it again") from error


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except ValueError as error:
        raise SourceError(f"wanted JSON in {file}, got '{error}'; download it again") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"wanted to read {file}, got '{error}'; put it there") from error


Found = Asked | Captioned | Scene
_FORMATS: tuple[tuple[Callable[[str], bool], Callable[[Path, _Pictures], Iterable[Found]]], ...] = (
    (lambda name: name == "qa.jsonl", read_questions),
    (lambda name: name == "scenes.jsonl", read_scenes),
    (lambda name: name.startswith("v2_OpenEnded") and name.endswith("_questions.json"), read_vqa),
    (lambda name: name.startswith("captions_") and name.endswith(".json"), read_coco),
    (lambda name: name.endswith(".token") or name == "results.csv", read_flickr),
    (lambda name: name == "question_answers.json", read_genome),
)
"""which file is read how"""
