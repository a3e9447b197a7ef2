"""Who is chosen and why, and what takes the place of an engine that cannot be loaded: real loading code throughout."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models

from assistant import pacing
from assistant.backends import ENGINES
from assistant.choosing import Choice, better, choose
from assistant.config import Config, load_config
from assistant.errors import EngineError, WeightsError
from assistant.hiring import engage, load_engines, options, out_of_memory
from assistant.models import known
from assistant.models.machine import Machine

LAPTOP = Machine(ram_mb=8_000, cores=4)


def configured(folder: Path, *sets: str) -> Config:
    return load_config(sets=[f"models.folder={folder}", "assistant.offline=true", *sets], environ={})


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> Path:
    """A tiny VITS voice with random weights."""
    return tiny_models.random_voice(tmp_path_factory.mktemp("voice") / "made")


@pytest.fixture(scope="module")
def mind(tmp_path_factory) -> Path:
    """A tiny vision-language model with random weights."""
    return tiny_models.random_seeing_mind(tmp_path_factory.mktemp("mind") / "made", "smolvlm")


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    """A tiny D-FINE with random weights."""
    return tiny_models.random_detector(tmp_path_factory.mktemp("detector") / "made", "d_fine")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """A tiny SigLIP with random weights."""
    return tiny_models.random_encoder(tmp_path_factory.mktemp("encoder") / "made", "siglip")


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """No cache of another program's on this machine counts."""
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "TTS_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))


@pytest.fixture
def store(tmp_path, elsewhere) -> Path:
    return tmp_path / "models"


def keep(made: Path, store: Path, name: str) -> Path:
    """Put a model into the store under a name of the catalogue."""
    return Path(shutil.copytree(made, store / name))


# ---------------------------------------------------------------- who is chosen


def test_without_any_weights_all_is_built_in(store):
    chosen = choose(configured(store), LAPTOP)
    assert {slot: choice.name for slot, choice in chosen.items()} == {
        "activity": "silero",
        "endpointing": "smart_turn",
        "recogniser": "pocketsphinx",
        "mind": "llama",
        "eyes": "ocr",
        "voice": "espeak",
    }
    assert {choice.why for choice in chosen.values()} == {"built in"}


def test_auto_takes_what_is_here_and_fits_and_says_why(store, voice, mind):
    keep(voice, store, "coqui-vits-ljspeech")
    keep(mind, store, "smolvlm2-500m")
    chosen = choose(configured(store), LAPTOP)
    assert chosen["mind"].logged() == {
        "name": "transformers",
        "model": "smolvlm2-500m",
        "why": "8.0 GB are free and it is here",
    }
    assert (chosen["voice"].name, chosen["voice"].model) == ("coqui", "coqui-vits-ljspeech")
    assert (chosen["recogniser"].name, chosen["recogniser"].why) == ("pocketsphinx", "built in")


def test_auto_leaves_out_what_does_not_fit_and_says_so(store, mind, voice):
    keep(voice, store, "coqui-vits-ljspeech")
    keep(mind, store, "smolvlm2-500m")
    chosen = choose(configured(store), Machine(ram_mb=2_000, cores=4))
    assert chosen["mind"].why == "built in; smolvlm2-500m needs 2.5 GB beside the others, 2.0 GB are free"
    assert chosen["voice"].model == "coqui-vits-ljspeech"


def test_what_was_asked_for_counts_in_the_memory(store, mind, voice):
    keep(mind, store, "smolvlm2-500m")
    free = Machine(ram_mb=4_500, cores=4)
    assert choose(configured(store), free)["mind"].model == "smolvlm2-500m"
    asked = configured(store, "recogniser.engine=whisper", "recogniser.whisper.model=small")
    assert choose(asked, free)["mind"].name == "llama"
    assert choose(asked, free)["recogniser"].why == "asked for"


def test_a_named_tier_takes_its_own_and_tells_how_to_get_what_is_missing(store, voice):
    keep(voice, store, "coqui-vits-vctk")
    chosen = choose(configured(store, "assistant.tier=cpu"), Machine(ram_mb=1, cores=4))
    assert chosen["voice"].model == "coqui-vits-vctk", "whoever names a tier knows what fits"
    assert chosen["voice"].why.startswith("tier cpu, ")
    assert chosen["recogniser"].name == "pocketsphinx"
    assert chosen["recogniser"].why == "built in; whisper-base is not here: assistant models pull whisper-base"
    assert "assistant models pull lfm2.5-vl-450m-gguf" in chosen["mind"].why


def test_the_built_in_tier_ignores_what_is_here(store, voice):
    keep(voice, store, "coqui-vits-ljspeech")
    assert choose(configured(store, "assistant.tier=builtin"), LAPTOP)["voice"].name == "espeak"


def test_a_voice_of_another_language_is_not_taken(store, voice):
    keep(voice, store, "coqui-vits-ljspeech")
    chosen = choose(configured(store, "assistant.language=zh"), LAPTOP)
    assert chosen["voice"].why == "built in; coqui-vits-ljspeech knows no 'zh'"


@pytest.mark.parametrize("key", ["voice.coqui.model=mine", "mind.llama.model=mine.gguf"])
def test_a_model_that_the_user_names_is_not_replaced_by_the_tiers(store, voice, mind, key):
    keep(voice, store, "coqui-vits-ljspeech")
    keep(mind, store, "smolvlm2-500m")
    chosen = choose(configured(store, key), LAPTOP)
    assert chosen[key.split(".")[0]].why == "built in"


def test_engines_are_told_what_their_model_wants_whatever_the_defaults_are(store, voice):
    folder = keep(voice, store, "coqui-vits-ljspeech")
    config = configured(store, "voice.coqui.threads=2")
    told = options(config, "voice", "coqui", choose(config, LAPTOP)["voice"])
    assert (told["model"], told["threads"], told["offline"], told["device"]) == (str(folder), 2, True, "auto")
    assert options(config, "voice", "coqui")["model"] == str(folder), "the default is the same model, and it is here"
    other = configured(store, "voice.coqui.model=elsewhere")
    assert options(other, "voice", "coqui")["model"] == "elsewhere"


# ---------------------------------------------------------------- what can be done without

SCRIPTED = [f"{slot}.engine=scripted" for slot in ("activity", "recogniser", "mind", "eyes", "endpointing", "voice")]


def test_a_detector_and_an_encoder_that_are_here_are_used_without_further_words(store, detector, encoder):
    import numpy as np

    keep(detector, store, "d-fine-small")
    keep(encoder, store, "siglip2-base")
    config = configured(store)
    chosen = choose(config, LAPTOP)
    assert chosen["detector"].logged() == {
        "name": "transformers",
        "model": "d-fine-small",
        "why": "8.0 GB are free and it is here",
    }
    assert (chosen["encoder"].name, chosen["encoder"].model) == ("siglip", "siglip2-base")
    picture = np.zeros((48, 64, 3), np.uint8)
    assert len(engage(config, "encoder", chosen["encoder"])[0].embed_image(picture)) > 0
    assert isinstance(engage(config, "detector", chosen["detector"])[0].look(picture), tuple)


def test_none_switches_them_off_and_so_does_the_tier_that_has_none(store, detector, encoder):
    keep(detector, store, "d-fine-small")
    keep(encoder, store, "siglip2-base")
    off = choose(configured(store, "detector.engine=none", "encoder.engine=none"), LAPTOP)
    assert not {"detector", "encoder"} & off.keys()
    assert "encoder" in choose(configured(store, "detector.engine=none"), LAPTOP)
    assert not {"detector", "encoder"} & choose(configured(store, "assistant.tier=builtin"), LAPTOP).keys()


def test_one_that_does_not_fit_beside_the_others_is_told_and_takes_nothing_from_them(store, mind, detector):
    keep(mind, store, "smolvlm2-500m")
    keep(detector, store, "d-fine-small")
    chosen = choose(configured(store), Machine(ram_mb=3_600, cores=4))
    assert chosen["mind"].model == "smolvlm2-500m"
    assert chosen["detector"].logged() == {
        "name": "none",
        "why": "done without; d-fine-small needs 0.3 GB beside the others, 3.6 GB are free",
    }
    assert choose(configured(store), Machine(ram_mb=3_800, cores=4))["detector"].model == "d-fine-small"


def test_where_the_card_is_full_things_are_found_on_the_processor(store, detector):
    keep(detector, store, "d-fine-small")
    config = configured(store, "assistant.tier=auto")
    roomy, full = Machine(8_000, 7_000, 4), Machine(8_000, 6_000, 4)
    assert choose(config, roomy)["detector"].options == {}
    asked = configured(store, "recogniser.engine=whisper", "recogniser.whisper.model=turbo")  # 6 GB of the card's
    on_processor = choose(asked, full)["detector"]
    assert on_processor.options == {"device": "cpu"} and "d-fine-small needs 0.5 GB" in on_processor.why
    assert options(asked, "detector", "transformers", on_processor)["device"] == "cpu"


def test_a_talk_goes_on_without_a_detector_that_is_damaged_and_is_told(store, detector):
    spoil(keep(detector, store, "d-fine-small") / "model.safetensors")
    engines = pacing.run(load_engines(configured(store, *SCRIPTED)), fast=False)
    engines.close()
    assert engines.detector is None
    assert engines.chosen["detector"].name == "none"
    assert engines.chosen["detector"].why.startswith("done without, in place of d-fine-small: wanted the detector ")
    keep(detector, store / "again", "d-fine-small")
    engines = pacing.run(load_engines(configured(store / "again", *SCRIPTED)), fast=False)
    engines.close()
    assert engines.detector is not None and engines.chosen["detector"].model == "d-fine-small"


def test_a_named_tier_tells_of_the_detector_that_it_offers_and_has_not_got(store):
    chosen = choose(configured(store, "assistant.tier=cpu"), LAPTOP)
    assert chosen["detector"].why == "done without; d-fine-small is not here: assistant models pull d-fine-small"
    assert "encoder" not in chosen, "it offers none"


def test_chinese_is_not_given_a_mind_that_does_not_know_it(store, voice):
    keep(voice, store, "smolvlm2-500m")
    assert choose(configured(store, "assistant.language=en"), LAPTOP)["mind"].model == "smolvlm2-500m"
    assert choose(configured(store, "assistant.language=zh"), LAPTOP)["mind"].name == "llama"


# ---------------------------------------------------------------- what would be better


def test_what_would_be_better_is_told_with_its_size(store, voice):
    found = better(configured(store), LAPTOP)
    assert found is not None
    assert found.models == ("whisper-base", "lfm2.5-vl-450m-gguf", "coqui-vits-vctk", "d-fine-small")
    assert str(found) == (
        "0.8 GB: Whisper base, a seeing model, a natural voice, an eye for things (MIT, LFM1.0, Apache-2.0)"
    )


def test_what_is_here_or_does_not_fit_is_not_offered(store, voice):
    keep(voice, store, "coqui-vits-vctk")
    found = better(configured(store), Machine(ram_mb=2_400, cores=4))
    assert found is not None and found.models == ("whisper-base",)
    assert better(configured(store), Machine(ram_mb=500, cores=4)) is None
    assert better(configured(store, "assistant.tier=cpu"), LAPTOP) is None


# ---------------------------------------------------------------- what cannot be loaded


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def spoil(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def another_shape(config: Path) -> None:
    """The settings of a model that the weights beside them are not of."""
    told = json.loads(config.read_text(encoding="utf-8"))
    sizes = told.get("model_args", told)
    sizes |= {"hidden_channels": 24} if "model_args" in told else {"model_type": "gemma3"}
    config.write_text(json.dumps(told), encoding="utf-8")


DAMAGE = {
    "truncated": {"voice": ("model.pth", cut), "mind": ("model.safetensors", cut)},
    "corrupt": {"voice": ("model.pth", spoil), "mind": ("model.safetensors", spoil)},
    "of another shape": {"voice": ("config.json", another_shape), "mind": ("config.json", another_shape)},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_voice_is_replaced_by_the_next_best_and_then_by_the_built_in_one(store, voice, damage):
    name, harm = DAMAGE[damage]["voice"]
    harm(keep(voice, store, "coqui-vits-vctk") / name)
    config = configured(store)
    _, taken = engage(config, "voice", choose(config, LAPTOP)["voice"])
    assert taken.name == "espeak"
    assert taken.why.startswith("built in, in place of coqui-vits-vctk: wanted ")
    keep(voice, store, "coqui-vits-ljspeech")
    engine, taken = engage(config, "voice", choose(config, LAPTOP)["voice"])
    assert taken.model == "coqui-vits-ljspeech" and "in place of coqui-vits-vctk: " in taken.why
    assert len(engine.synthesise("hello there", "en", lambda: False).pcm) > 0


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_mind_is_replaced(store, mind, damage):
    name, harm = DAMAGE[damage]["mind"]
    harm(keep(mind, store, "smolvlm2-500m") / name)
    config = configured(store)
    wanted = choose(config, LAPTOP)["mind"]
    assert [spare.name for spare in wanted.spares] == ["llama"]
    fake = Choice(wanted.name, wanted.why, wanted.model, spares=(Choice("scripted", "a fake"),))
    engine, taken = engage(config, "mind", fake)
    assert type(engine).__name__ == ENGINES["mind"]["scripted"].split(":")[1]
    assert taken.why.startswith("a fake, in place of smolvlm2-500m: wanted ")


def test_a_damaged_recogniser_is_replaced_and_nothing_is_fetched_for_it(store):
    file = store / "whisper-base" / "base.pt"
    file.parent.mkdir(parents=True)
    file.touch()
    os.truncate(file, known("whisper-base").size_bytes)  # as large as it should be, and all zeros
    config = load_config(sets=[f"models.folder={store}"], environ={})
    wanted = choose(config, LAPTOP)["recogniser"]
    assert wanted.model == "whisper-base"
    _, taken = engage(config, "recogniser", wanted)
    assert taken.name == "pocketsphinx" and "whisper-base: wanted the weights of Whisper" in taken.why


def test_a_tiers_voice_leaves_other_languages_to_the_built_in_one(store, voice):
    keep(voice, store, "coqui-vits-ljspeech")
    config = configured(store)
    engine, taken = engage(config, "voice", choose(config, LAPTOP)["voice"])
    assert engine.languages == ("en", "zh") and taken.why.endswith("; zh by espeak")
    espeak, _ = engage(config, "voice", Choice("espeak", "built in"))
    told = [(text, language, lambda: False) for text, language in (("你好", "zh"), ("hello", "en"))]
    own, others = ([len(voice.synthesise(*one).pcm) for one in told] for voice in (engine, espeak))
    assert abs(own[0] - others[0]) < 100 < own[0] and abs(own[1] - others[1]) > 100
    ((end, speech),) = engine.stream("你好", "zh", lambda: False)
    assert end == 2 and len(speech.pcm) > 0
    assert list(engine.stream("", "zh", lambda: False)) == []
    english = configured(store, "assistant.language=en")
    engine, taken = engage(english, "voice", choose(english, LAPTOP)["voice"])
    assert engine.languages == ("en",) and "espeak" not in taken.why


def test_what_was_asked_for_is_not_replaced(store, voice):
    folder = keep(voice, store, "coqui-vits-ljspeech")
    cut(folder / "model.pth")
    config = configured(store, "voice.engine=coqui", "voice.coqui.model=coqui-vits-ljspeech")
    with pytest.raises(WeightsError, match="wanted "):
        engage(config, "voice", choose(config, LAPTOP)["voice"])


def test_a_talk_gets_the_engines_that_could_be_had_and_is_told(store, voice):
    keep(voice, store, "coqui-vits-ljspeech")
    spoil(store / "coqui-vits-ljspeech" / "model.pth")
    scripted = [f"{slot}.engine=scripted" for slot in ("activity", "recogniser", "mind", "eyes", "endpointing")]
    engines = pacing.run(load_engines(configured(store, *scripted)), fast=False)
    engines.close()
    assert engines.chosen["voice"].name == "espeak"
    assert "in place of coqui-vits-ljspeech" in engines.chosen["voice"].why
    assert engines.chosen["mind"].why == "asked for"


# ---------------------------------------------------------------- out of memory

HUNGRY = """
import json, sys
from assistant.choosing import choose
from assistant.config import load_config
from assistant.errors import EngineError
from assistant.hiring import engage
from assistant.models import known
from assistant.models.machine import Machine
import resource
config = load_config(sets=sys.argv[1:], environ={})
choice = choose(config, Machine(ram_mb=8_000, cores=4))["voice"]
import tiny_models, tempfile, pathlib
tiny_models.random_voice(pathlib.Path(tempfile.mkdtemp()) / "small")  # all libraries are loaded by now
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, resource.RLIM_INFINITY))
try:
    engine, taken = engage(config, "voice", choice)
    print(json.dumps([type(engine).__name__, taken.logged()]))
except EngineError as error:
    print(json.dumps(["error", str(error)]))
"""


def starved(store: Path, *sets: str) -> list:
    """What comes of loading the voice where only 300 MB more may be used."""
    done = subprocess.run(
        [sys.executable, "-c", HUNGRY, f"models.folder={store}", "assistant.offline=true", *sets],
        env={"PYTHONPATH": f"{Path.cwd()}:{Path(__file__).parent}", "PATH": "/usr/bin:/bin", "HOME": str(store)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def large(store: Path, voice: Path) -> None:
    """A voice whose settings ask for layers of gigabytes."""
    folder = keep(voice, store, "coqui-vits-ljspeech")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["model_args"]["hidden_channels"] = 16_384
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="this machine has no limit on memory")
def test_a_model_that_finds_no_memory_is_replaced_with_the_reason(store, voice):
    large(store, voice)
    engine, taken = starved(store)
    assert engine == "Espeak" and taken["name"] == "espeak"
    assert (
        "in place of coqui-vits-ljspeech: wanted the voice 'coqui-vits-ljspeech', got no memory for it" in taken["why"]
    )


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="this machine has no limit on memory")
def test_a_model_that_was_asked_for_and_finds_no_memory_is_one_clear_line(store, voice):
    large(store, voice)
    kind, message = starved(store, "voice.engine=coqui", "voice.coqui.model=coqui-vits-ljspeech")
    assert kind == "error" and "got no memory for it" in message and "close programs" in message


def test_the_ways_to_be_out_of_memory_are_known():
    import torch

    wrapped = WeightsError("wanted a voice")
    wrapped.__cause__ = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to")
    for error in (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
        wrapped,
    ):
        assert out_of_memory(error)
    for error in (RuntimeError("size mismatch"), OSError(2, "no such file"), WeightsError("out of memory of it"), None):
        assert not out_of_memory(error)


class FakeMemory:
    """Stands in for loading: engines of `wants` take so many MB when they are loaded, one half and then the other, and
    the first time together. What finds no room holds what it has got until it is let go.
    """

    def __init__(self, free_mb: int, wants: dict[str, int]) -> None:
        self.free_mb, self.wants = free_mb, wants
        self.tried: list[str] = []
        self.lock, self._together = threading.RLock(), threading.Barrier(len(wants))

    def load(self, slot: str, name: str, **told: object) -> object:
        wanted = self.wants.get(name, 0)
        with self.lock:
            first = wanted > 0 and name not in self.tried
            self.tried.append(name)
        got = list[_Taken]()
        for _ in range(2):
            got.append(_Taken(self, wanted // 2))
            if first:
                self._together.wait(30)
        if sum(part.mb for part in got) < wanted:
            import torch

            raise MemoryError if slot == "mind" else torch.OutOfMemoryError("CUDA out of memory")
        return SimpleNamespace(languages=("en", "zh"), holds=got)


class _Taken:
    """A part of a fake memory, for as long as it is known."""

    def __init__(self, memory: FakeMemory, wanted_mb: int) -> None:
        self._memory = memory
        with memory.lock:
            self.mb = min(memory.free_mb, wanted_mb)
            memory.free_mb -= self.mb

    def __del__(self) -> None:
        with self._memory.lock:
            self._memory.free_mb += self.mb


def hungry(store: Path, monkeypatch: pytest.MonkeyPatch, memory: FakeMemory, *, spares: bool) -> Config:
    """A mind and a voice that are loaded from a fake memory, each with a fake as its spare, or none."""
    chosen = {
        slot: Choice(name, "it is here", f"{name}-model", spares=(Choice("scripted", "a fake"),) if spares else ())
        for slot, name in (("mind", "transformers"), ("voice", "coqui"))
    }
    monkeypatch.setattr("assistant.hiring.load", memory.load)
    monkeypatch.setattr("assistant.hiring.options", lambda *_: {})
    config = configured(store, *SCRIPTED, "detector.engine=none", "encoder.engine=none")
    rest = choose(config)
    monkeypatch.setattr("assistant.hiring.choose", lambda _: {**rest, **chosen})
    return config


WANTS = {"transformers": 900, "coqui": 900}


def test_of_two_that_run_out_of_memory_at_once_one_gets_what_the_other_lets_go(store, monkeypatch):
    memory = FakeMemory(1_000, WANTS)
    engines = pacing.run(load_engines(hungry(store, monkeypatch, memory, spares=True)), fast=False)
    engines.close()
    assert engines.chosen["mind"].why == "it is here"
    assert engines.chosen["voice"].why.startswith(
        "a fake, in place of coqui-model: wanted the voice 'coqui-model', got no memory for it ("
    )
    assert [name for name in memory.tried if name != "scripted"][2:] == ["transformers", "coqui"]


def test_of_two_that_find_no_memory_each_is_replaced_and_says_why(store, monkeypatch):
    memory = FakeMemory(400, WANTS)
    engines = pacing.run(load_engines(hungry(store, monkeypatch, memory, spares=True)), fast=False)
    engines.close()
    for slot in ("mind", "voice"):
        assert engines.chosen[slot].name == "scripted"
        assert f"wanted the {slot} '" in engines.chosen[slot].why and "got no memory" in engines.chosen[slot].why


def test_two_that_find_no_memory_and_have_no_spare_are_both_told(store, monkeypatch):
    memory = FakeMemory(400, WANTS)
    with pytest.raises(EngineError, match=r"wanted the mind 'tr.*no memory.*; and wanted the voice 'coqui.*no memory"):
        pacing.run(load_engines(hungry(store, monkeypatch, memory, spares=False)), fast=False)
    assert memory.free_mb == 400, "what they had got is let go"


def test_what_is_damaged_is_not_read_twice(store, monkeypatch):
    tried: list[str] = []

    def load(slot: str, name: str, **told: object) -> object:
        tried.append(name)
        if name == "transformers":
            raise WeightsError("wanted weights, got none; get some")
        return SimpleNamespace(languages=("en", "zh"))

    config = hungry(store, monkeypatch, FakeMemory(0, {"none": 1}), spares=True)
    monkeypatch.setattr("assistant.hiring.load", load)
    engines = pacing.run(load_engines(config), fast=False)
    engines.close()
    assert tried.count("transformers") == 1
    assert engines.chosen["mind"].why == "a fake, in place of transformers-model: wanted weights, got none; get some"


def test_every_engine_that_was_tried_is_told(store, monkeypatch):
    def load(slot: str, name: str, **told: object) -> object:
        if name != "scripted":
            raise WeightsError(f"wanted {name}, got none; get it")
        return SimpleNamespace()

    monkeypatch.setattr("assistant.hiring.load", load)
    choice = Choice("llama", "a", "one", spares=(Choice("openai", "b", "two"), Choice("scripted", "a fake")))
    monkeypatch.setattr("assistant.hiring.options", lambda *_: {})
    _, taken = engage(configured(store), "mind", choice)
    assert taken.why == (
        "a fake, in place of one: wanted llama, got none; get it, in place of two: wanted openai, got none; get it"
    )


def test_a_failure_that_is_the_programs_own_is_not_covered_up(store, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("assistant.hiring.load", broken)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        engage(configured(store), "voice", Choice("espeak", "built in", spares=(Choice("scripted", "a fake"),)))


def test_no_language_of_the_last_engine_is_an_error(store):
    config = configured(store, "assistant.language=zh")
    with pytest.raises(EngineError, match="wanted a recogniser for 'zh'"):
        engage(config, "recogniser", choose(config, LAPTOP)["recogniser"])
