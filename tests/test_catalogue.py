"""What the catalogue says: every entry complete, honest about what is not known, and in step with the libraries'."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from assistant.backends import ENGINES
from assistant.models import Hub, Url, Weights, Wheel, called, catalogue
from assistant.models.manifest import inside
from assistant.models.tiers import names, tiers

ENTRIES = list(catalogue().values())


@pytest.mark.parametrize("weights", ENTRIES, ids=lambda weights: weights.name)
def test_an_entry_says_all_that_a_user_asks(weights: Weights) -> None:
    assert weights.slot in ENGINES and weights.engine in ENGINES[weights.slot]
    assert weights.about and weights.origin.startswith("https://") and weights.licence and weights.languages
    assert weights.size_bytes > 1_000_000
    assert weights.needs.ram_mb or weights.needs.vram_mb
    for quality in weights.quality:
        assert quality.text and quality.source.startswith(("https://", "http://"))
    assert not weights.accept or weights.licence_url.startswith("https://")
    assert weights.commercial or weights.accept, "who may not use it for everything has to be told"
    assert (weights.sources and weights.paths) or isinstance(weights.sources[0], Wheel)
    assert all(path == "." or inside(path) for path in weights.paths.values())
    for source in weights.sources:
        match source:
            case Hub():
                named = {path for path in weights.paths.values() if path != "."}
                assert source.repository.count("/") == 1 and named <= set(source.files)
            case Url():
                assert source.url.startswith("https://") and (weights.sha256 or source.sha256 or source.unpack)
                assert len(source.sha256) in (0, 1 + len(source.more))
                named = {path for path in weights.paths.values() if path != "."}
                assert named <= {url.rpartition("/")[2] for url in (source.url, *source.more)}
            case Wheel():
                assert weights.exact and len(bytes.fromhex(weights.sha256)) == 32
                assert source.member.endswith(weights.file)
    assert bool(weights.file) == bool(weights.sha256), "one file is pinned; those of a folder the hub tells"


def test_no_name_means_two_models() -> None:
    for engine in {weights.engine for weights in ENTRIES}:
        told = [name for one in ENTRIES if one.engine == engine for name in {one.name, *one.also}]
        assert len(told) == len(set(told)), engine
    assert called("whisper", "base") == called("whisper", "whisper-base") == catalogue()["whisper-base"]
    assert called("coqui", "base") is None


def test_whispers_addresses_and_checksums_are_its_own() -> None:
    import whisper

    ours = [weights for weights in ENTRIES if weights.engine == "whisper"]
    assert len(ours) == 5
    for weights in ours:
        for source in weights.sources:
            assert isinstance(source, Url) and source.url.split("/")[-2:] == [weights.sha256, weights.file]
        assert weights.sources[0] == Url(whisper._MODELS[weights.options["model"]])


def test_coquis_voices_come_from_where_coqui_has_them() -> None:
    spec = find_spec("TTS")
    assert spec is not None and spec.origin is not None
    theirs = json.loads((Path(spec.origin).parent / ".models.json").read_text(encoding="utf-8"))
    for weights in (weights for weights in ENTRIES if weights.engine == "coqui"):
        kind, language, data, model = weights.options["model"].split("/")
        told = theirs[kind][language][data][model]
        source = weights.sources[0]
        if isinstance(source, Url):
            assert source.url == told["github_rls_url"]
        else:
            assert isinstance(source, Hub) and source.repository == told["repo_id"]
        assert weights.licence.lower().replace("-", " ") == told["license"].lower()
        assert weights.accept == told.get("tos_required", False)


def test_tiers_are_made_of_the_catalogue() -> None:
    for tier in tiers():
        assert set(names(tier)) <= set(catalogue())
