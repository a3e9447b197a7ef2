"""The configuration: every key documented, each layer over the one before, and every mistake told with its place."""

import inspect
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import config, options, packaged
from assistant.backends import ENGINES, find
from assistant.config import Config, EngineSection, Layer, Section, leaves, load_config, show, toml, user_file
from assistant.errors import ConfigError

DEFAULTS = dict(leaves(tomllib.loads(packaged("config.toml").read_text(encoding="utf-8"))))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration folder without anything in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def complaint(*args: object, **kwargs: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(*args, environ=kwargs.pop("environ", {}), **kwargs)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---------------------------------------------------------------- defaults


def fields(section: str) -> set[str]:
    cls = Config.model_fields[section].annotation
    assert isinstance(cls, type) and issubclass(cls, Section)
    return set(cls.model_fields)


def test_the_packaged_file_holds_exactly_the_keys_there_are():
    typed = {f"{section}.{key}" for section in Config.model_fields for key in fields(section)}
    assert {dotted for dotted in DEFAULTS if dotted.count(".") == 1} == typed


def test_every_key_is_explained_where_it_stands():
    for line in packaged("config.toml").read_text(encoding="utf-8").splitlines():
        if "=" in line.partition("#")[0]:
            assert len(line.partition("#")[2].split()) >= 3, f"'{line}' explains nothing"


def test_every_range_is_documented():
    """A number's limits stand in the comment beside it, so that the file can be trusted without reading code."""
    documented, section = {}, ""
    for line in packaged("config.toml").read_text(encoding="utf-8").splitlines():
        section = line.strip("[]") if line.startswith("[") else section
        documented[section, line.split(" = ")[0]] = line.partition("#")[2]
    for section in Config.model_fields:
        cls = Config.model_fields[section].annotation
        assert isinstance(cls, type) and issubclass(cls, Section)
        for key, field in cls.model_fields.items():
            for limit in field.metadata:
                edge = getattr(limit, "ge", getattr(limit, "le", None))
                if edge is not None:
                    assert f"{edge:.12g}" in documented[section, key], f"[{section}] {key}: {edge:g}"
            for choice in get_args(field.annotation):
                if isinstance(choice, str):
                    assert choice in documented[section, key], f"[{section}] {key}: {choice}"


def test_nothing_else_than_the_packaged_file_is_the_default():
    made = load_config(environ={})
    assert dict(leaves(made.model_dump())) == DEFAULTS
    assert all(made.origin(dotted) == "config.toml" for dotted in DEFAULTS)


def test_a_configuration_cannot_be_changed():
    made = load_config(environ={})
    with pytest.raises(ValueError, match="frozen"):
        made.turn.end_s = 1.0


FED = {"offline", "store", "max_tokens", "seed"}
"""what an engine is told from other sections: [assistant] offline and seed, [models], [mind] max_reply_tokens"""


@pytest.mark.parametrize(("slot", "engine"), [(s, e) for s, known in ENGINES.items() for e in known if e != "scripted"])
def test_documented_options_are_the_engines_own_with_its_defaults(slot: str, engine: str):
    parameters = inspect.signature(find(slot, engine)).parameters
    for key, value in load_config(environ={}).options(slot, engine).items():
        default = parameters[key].default
        assert (tuple(value) if isinstance(value, list) else value) == default, f"[{slot}.{engine}] {key}"
    text = packaged("config.toml").read_text(encoding="utf-8")
    section = text.partition(f"[{slot}.{engine}]\n")[2].partition("\n[")[0]
    for key in parameters.keys() - FED:
        assert f"{key} = " in section, f"[{slot}.{engine}] {key} is not documented"


def test_the_command_line_offers_the_choices_of_the_configuration():
    for key, offered in (("tier", options.Tier), ("language", options.Language)):
        assert get_args(config.Assistant.model_fields[key].annotation) == get_args(offered)
    assert get_args(config.Fusion.model_fields["mode"].annotation) == get_args(options.Fusion)
    for setting in options.SETTINGS.values():
        assert setting.key in DEFAULTS


# ---------------------------------------------------------------- layers


def test_each_layer_stands_over_the_one_before(home: Path):
    def end_s(**given: object) -> float:
        return load_config(**{"environ": {}, **given}).turn.end_s  # type: ignore[arg-type]

    assert end_s() == DEFAULTS["turn.end_s"]
    write(user_file(), "[turn]\nend_s = 0.61\npause_s = 0.3")
    assert end_s() == 0.61
    file = write(home / "mine.toml", "[turn]\nend_s = 0.62")
    assert end_s(file=file) == 0.62
    environ = {"ASSISTANT_TURN__END_S": "0.63"}
    assert end_s(file=file, environ=environ) == 0.63
    assert end_s(file=file, environ=environ, sets=["turn.end_s=0.64"]) == 0.64
    assert end_s(file=file, environ=environ, sets=["turn.end_s=0.64", "turn.end_s=0.65"]) == 0.65
    flag = Layer("--end", {"turn": {"end_s": 0.66}})
    made = load_config(file, ["turn.end_s=0.64"], environ, [flag])
    assert (made.turn.end_s, made.turn.pause_s, made.turn.onset_p) == (0.66, 0.3, DEFAULTS["turn.onset_p"])
    assert made.origin("turn.end_s") == "--end"
    assert made.origin("turn.pause_s") == str(user_file())


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASSISTANT_ASSISTANT__SEED", "7")
    monkeypatch.setenv("ASSISTANT_SHARED", "/somewhere")
    assert load_config().assistant.seed == 7


@pytest.mark.parametrize(
    ("text", "section", "key", "value"),
    [
        ("microphone.source=0", "microphone", "source", "0"),
        ("microphone.source=007.wav", "microphone", "source", "007.wav"),
        ("microphone.source=a=b.wav", "microphone", "source", "a=b.wav"),
        ("camera.source='my pictures'", "camera", "source", "my pictures"),
        ("assistant.tier=8gb", "assistant", "tier", "8gb"),
        ("assistant.memory=false", "assistant", "memory", False),
        ("turn.end_s = 1", "turn", "end_s", 1.0),
        ("models.wheels=['a', 'b']", "models", "wheels", ["a", "b"]),
        ("models.index=true", "models", "index", "true"),
        ("models.folder=", "models", "folder", ""),
        ("models.folder=牛奶", "models", "folder", "牛奶"),
    ],
)
def test_values_are_written_without_quotes(text: str, section: str, key: str, value: object):
    assert getattr(getattr(load_config(sets=[text], environ={}), section), key) == value


def test_options_of_an_engine_are_its_own_table(home: Path):
    file = write(home / "mine.toml", '[recogniser.whisper]\nmodel = "small"\n')
    made = load_config(file, ["recogniser.whisper.device=cpu"], {"ASSISTANT_RECOGNISER__WHISPER__LANGUAGES": "['zh']"})
    given = made.options("recogniser", "whisper")
    assert given["model"] == "small" and given["device"] == "cpu" and given["languages"] == ["zh"]
    given["model"] = "changed"
    assert made.options("recogniser", "whisper")["model"] == "small"
    assert made.options("eyes", "scripted") == {}


def test_a_number_is_a_device(home: Path):
    assert load_config(write(home / "a.toml", "[microphone]\nsource = 3"), environ={}).microphone.source == "3"


def test_a_mark_at_the_start_of_a_file_is_nothing(home: Path):
    file = home / "mine.toml"
    file.write_bytes(b"\xef\xbb\xbf[assistant]\r\nseed = 5\r\n")
    assert load_config(file, environ={}).assistant.seed == 5


def test_what_is_shown_can_be_read_back_as_a_file(home: Path):
    made = load_config(
        sets=['models.folder=C:\\a "b" 牛', "models.wheels=['x', 'y']", "recogniser.whisper.model=small"],
        environ={"ASSISTANT_TURN__END_S": "0.7"},
    )
    shown = show(made)
    assert "end_s = 0.7  # environment" in shown and "pause_s = 0.2\n" in shown
    assert load_config(write(home / "again.toml", shown), environ={}).model_dump() == made.model_dump()


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_toml(text: str):
    assert tomllib.loads(f"value = {toml(text)}")["value"] == text


# ---------------------------------------------------------------- mistakes

WRONG = {
    "voice.spede=1": "[voice] has no key 'spede'; did you mean 'speed' of [voice.espeak]?",
    "turn.end=1": "[turn] has no key 'end'; did you mean 'end_s'?",
    "assistant.pause_s=1": "[assistant] has no key 'pause_s'; did you mean 'pause_s' of [turn]?",
    "fusion.zzz=1": "[fusion] has no key 'zzz'; it knows mode, see_wait_s, frames, captions, disk_mb",
    "voise.engine=espeak": "there is no section [voise]; did you mean 'voice'?",
    "voice.engine=espaek": "[voice] engine wanted one of auto, espeak, coqui, kokoro, scripted, got 'espaek'; "
    "did you mean 'espeak'?",
    "voice.espaek.speed=1": "[voice] has no engine 'espaek'; did you mean 'espeak'?",
    "voice.espeak=1": "[voice] espeak wanted a table of options, got 1; write [voice.espeak]",
    "turn.end_s=long": "[turn] end_s wanted a number from 0.05 to 10, got 'long'; the default is 0.5",
    "turn.end_s=10.5": "[turn] end_s wanted a number from 0.05 to 10, got 10.5; the default is 0.5",
    "turn.end_s=nan": "[turn] end_s wanted a number from 0.05 to 10, got nan; the default is 0.5",
    "turn.onset_p=0": "[turn] onset_p wanted a number from 0.05 to 0.95, got 0; the default is 0.5",
    "turn.end_s=true": "[turn] end_s wanted a number from 0.05 to 10, got true; the default is 0.5",
    "turn.pause_s=1": "[turn] end_s wanted at least pause_s (1), got 0.5; raise it or lower pause_s",
    "mind.budget_tokens=600.5": "[mind] budget_tokens wanted a whole number from 64 to 1000000, got 600.5; "
    "the default is 600",
    "assistant.memory=yes": "[assistant] memory wanted true or false, got 'yes'; the default is true",
    "assistant.tier=8GB": "[assistant] tier wanted one of auto, builtin, cpu, 8gb, 24gb, apple, got '8GB'; "
    "did you mean '8gb'?",
    "microphone.source=true.": "",  # a text: no mistake
    "microphone.source=[1]": "",  # a file may be called so
    "models.wheels=3": "[models] wheels wanted a list of texts, got 3; the default is []",
    "models.wheels=[3]": "[models] wheels wanted a list of texts, got 3; the default is []",
}


@pytest.mark.parametrize(("text", "told"), WRONG.items())
def test_a_mistake_is_told_with_its_place(text: str, told: str):
    if told:
        assert complaint(sets=[text]).startswith(f"--set: {told}")
    else:
        load_config(sets=[text], environ={})


def test_a_mistake_names_the_layer_that_makes_it(home: Path):
    file = home / "mine.toml"
    assert complaint(write(file, "[turn]\nend = 1")).startswith(
        f"{file}: [turn] has no key 'end'; did you mean 'end_s'?"
    )
    assert complaint(write(file, "seed = 1")) == (
        f"{file}: wanted sections, got the key 'seed' outside of any; did you mean 'seed' of [assistant]?"
    )
    assert complaint(write(file, "turn = 1")).startswith(f"{file}: [turn] wanted a section of keys, got 1")
    told = complaint(environ={"ASSISTANT_TURN__EMD_S": "1"})
    assert told == "environment: [turn] has no key 'emd_s'; did you mean 'end_s'?"
    told = complaint(options=[Layer("--voice", {"voice": {"engine": "nobody"}})])
    assert told.startswith("--voice: [voice] engine wanted one of auto")
    write(user_file(), "[camera]\nsorce = 0")
    assert complaint() == f"{user_file()}: [camera] has no key 'sorce'; did you mean 'source'?"


def test_the_layer_at_fault_is_named_although_another_key_clashes():
    assert complaint(sets=["turn.end_s=0.1"]).startswith("--set: [turn] end_s wanted at least pause_s (0.2), got 0.1")
    made = load_config(sets=["turn.pause_s=1", "turn.end_s=2"], environ={})
    assert (made.turn.pause_s, made.turn.end_s) == (1.0, 2.0)


@pytest.mark.parametrize("text", ["turn.end_s", "end_s=1", "=1", "", ".=1", "turn.=1", "turn..end_s=1"])
def test_a_set_that_is_none_is_told_how_to_write_it(text: str):
    assert complaint(sets=[text]) == (
        f"--set: wanted section.key=value, got '{text}'; write it as in --set turn.end_s=0.7"
    )


def test_a_file_that_cannot_be_read_is_told(home: Path):
    missing = home / "missing.toml"
    assert complaint(missing) == (
        f"wanted a configuration file, got {missing} (no such file or directory); check the path"
    )
    assert f"got {home} (is a directory)" in complaint(home)
    broken = write(home / "broken.toml", "[turn]\nend_s = \n")
    assert complaint(broken).startswith(f"{broken}: wanted TOML in UTF-8, got: ") and "line 2" in complaint(broken)
    binary = home / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00\x00")
    assert complaint(binary).startswith(f"{binary}: wanted TOML in UTF-8, got: ")


def test_options_that_an_engine_does_not_have_are_told_when_it_is_checked(home: Path):
    file = write(home / "mine.toml", '[recogniser.whisper]\nmodl = "base"')
    made = load_config(file, environ={})
    with pytest.raises(
        ConfigError, match=r"mine\.toml: \[recogniser\.whisper\] has no key 'modl'; did you mean 'model'\?"
    ):
        made.check()
    made = load_config(sets=["recogniser.whisper.model=3"], environ={})
    with pytest.raises(ConfigError, match=r"--set: \[recogniser\.whisper\] model wanted str, got 3; correct it"):
        made.options("recogniser", "whisper")
    load_config(sets=["recogniser.whisper.model=small"], environ={}).check()


def test_all_options_that_come_with_the_package_are_in_order():
    made = load_config(environ={})
    for slot, known in ENGINES.items():
        assert isinstance(getattr(made, slot), EngineSection)
        for engine in known:
            made.options(slot, engine)
