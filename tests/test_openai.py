"""A mind on a server: real HTTP with a scripted server that is good, slow, rude or gone, and llama.cpp's own server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_whole_loop
from PIL import Image as Pillow
from servers import Answering, Behaviour, llama_server, refuses, replies, serving, unused_address, within
from talking import talk_through

from assistant.backends import Message, load
from assistant.backends.openai import OpenAI
from assistant.backends.remote import is_near, is_private
from assistant.backends.responses import LINE_BYTES
from assistant.config import load_config
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.hiring import options
from assistant.models import fetch
from assistant.prompting import prompt

QUESTION = [Message("system", "Be brief."), Message("user", "What is the sun?")]
HELLO = replies("Hel", "lo", " there.")
PICTURE = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, and a proxy that would swallow every request."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def never() -> bool:
    return False


def connected(base_url: str, **settings: Any) -> Any:
    """A mind that sees nothing and asks for nothing twice, unless told otherwise; to be closed."""
    return closing(OpenAI(base_url, **{"sees": False, **settings}))


def say(mind: OpenAI, messages: list[Message] = QUESTION) -> str:
    return "".join(mind.reply(messages, never))


def at_rest(mind: OpenAI) -> None:
    """Wait until the last answer has been read to its end, which comes after its last word."""

    async def others() -> None:
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks)

    asyncio.run_coroutine_threadsafe(others(), mind._remote._loop).result()


# ---------------------------------------------------------------- what is sent, what is told


def test_a_reply_comes_in_the_servers_pieces() -> None:
    with serving(HELLO) as server, connected(server.base_url) as mind:
        assert list(mind.reply(QUESTION, never)) == ["Hel", "lo", " there."]
        assert (mind.model, mind.context_tokens, mind.free, mind.sees) == ("fake", 2048, True, False)
        asked = server.asked[-1]
        assert asked["messages"] == [{"role": m.role, "content": m.text} for m in QUESTION]
        assert (asked["model"], asked["stream"], asked["max_tokens"]) == ("fake", True, 256)
        assert server.paths == ["/v1/models", *["/v1/chat/completions"] * 2]
        assert "Authorization" not in server.headers[-1]


def test_one_connection_serves_reply_after_reply() -> None:
    with serving(HELLO) as server, connected(server.base_url) as mind:
        for _ in range(3):
            assert say(mind) == "Hello there."
            at_rest(mind)
        assert server.connections == 1


def test_pictures_go_before_the_text_as_jpeg_of_bounded_size() -> None:
    large = np.zeros((600, 900, 3), np.uint8)
    with serving(HELLO) as server, connected(server.base_url, sees=True, image_px=300) as mind:
        say(mind, [Message("user", "And this?", (PICTURE, large))])
        *pictures, text = server.asked[-1]["messages"][0]["content"]
        assert text == {"type": "text", "text": "And this?"}
        sizes = []
        for picture in pictures:
            head, _, data = picture["image_url"]["url"].partition(",")
            assert head == "data:image/jpeg;base64"
            sizes.append(Pillow.open(io.BytesIO(base64.b64decode(data))).size)
        assert sizes == [(64, 48), (300, 200)]


def test_reasoning_that_is_sent_apart_is_not_said() -> None:
    def thinks(to: Answering) -> None:
        to.begin()
        to.say(None, reasoning_content="They ask about the sun.")
        to.say("", reasoning="A star.")
        to.say("A star.")
        to.say(None, "stop")
        to.end()

    with serving(thinks) as server, connected(server.base_url) as mind:
        assert say(mind) == "A star."


def test_what_is_set_reaches_every_request() -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "top_p": 0.5}
    with serving(HELLO) as server:
        with connected(server.base_url, extra=extra, temperature=0.7, seed=5, max_tokens=9) as mind:
            say(mind)
        for asked in server.asked:
            assert (asked["temperature"], asked["seed"], asked["top_p"]) == (0.7, 5, 0.5)
            assert asked["chat_template_kwargs"] == {"enable_thinking": False}
        assert [asked["max_tokens"] for asked in server.asked] == [1, 9]


def test_what_a_server_does_not_take_is_left_out() -> None:
    def strict(to: Answering) -> None:
        asked = to.server.asked[-1]
        for name, code in (("max_tokens", "unsupported_parameter"), ("temperature", "unsupported_value")):
            if name in asked:
                error = {"message": f"Unsupported: '{name}'.", "param": name, "code": code}
                return to.answer(json.dumps({"error": error}).encode(), status=400)
        return HELLO(to)

    with serving(strict) as server, connected(server.base_url, max_tokens=9) as mind:
        assert say(mind) == "Hello there."
        asked = server.asked[-1]
        assert asked["max_completion_tokens"] == 9
        assert not {"max_tokens", "temperature"} & asked.keys()


def test_it_is_read_ahead_only_where_that_is_wanted() -> None:
    with serving(HELLO) as server:
        for wanted in (False, True):
            with connected(server.base_url, prefill=wanted) as mind:
                before = len(server.asked)
                mind.prefill(QUESTION[:1], never)
                assert len(server.asked) - before == wanted
        assert server.asked[-1]["max_tokens"] == 1
        assert [m["role"] for m in server.asked[-1]["messages"]] == ["system"]


def test_tokens_are_estimated_and_rather_more() -> None:
    with serving(HELLO) as server, connected(server.base_url) as mind:
        assert [mind.count(text) for text in ("", "sun", "four words of text", "太阳是什么")] == [0, 1, 6, 5]


# ---------------------------------------------------------------- does it see?


@pytest.mark.parametrize("kinds", [["text"], ["text", "image"]])
def test_a_server_that_tells_whether_it_sees_is_believed(kinds: list[str]) -> None:
    models = {"data": [{"id": "m", "architecture": {"input_modalities": kinds}, "meta": {"n_ctx": 512}}]}
    with serving(HELLO, models=models) as server, connected(server.base_url, sees="auto") as mind:
        assert mind.sees == ("image" in kinds)
        assert mind.context_tokens == 512
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_server_that_tells_nothing_is_shown_a_picture(status: int) -> None:
    def looks(to: Answering) -> None:
        shown = any(isinstance(m["content"], list) for m in to.server.asked[-1]["messages"])
        (refuses(status, {"error": {"message": "no pictures"}}) if shown and status != 200 else HELLO)(to)

    with serving(looks) as server, connected(server.base_url, sees="auto") as mind:
        assert mind.sees == (status == 200)
        assert say(mind) == "Hello there."


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (refuses(401, {"error": {"message": "no key"}}), "set the key in the environment"),
        (refuses(404, {"error": {"message": "no such model"}}), "no such model"),
        (refuses(429, {"error": {"message": "quota"}}, Retry_After="99"), "quota"),
        (Answering.break_off, "broken connection"),
    ],
)
def test_what_has_nothing_to_do_with_pictures_is_not_taken_for_blindness(behaviour: Behaviour, message: str) -> None:
    with serving(behaviour) as server, pytest.raises(EngineError, match=message):
        OpenAI(server.base_url, sees="auto")


def test_a_server_said_to_see_that_does_not_is_an_error() -> None:
    with serving(refuses(400, {"error": "no pictures"})) as server, pytest.raises(EngineError, match="no pictures"):
        OpenAI(server.base_url, sees=True)


def test_a_mind_that_does_not_see_takes_no_pictures() -> None:
    with serving(HELLO) as server, connected(server.base_url) as mind:
        with pytest.raises(EngineError, match="cannot see"):
            say(mind, [Message("user", "This?", (PICTURE,))])
        assert len(server.asked) == 1


# ---------------------------------------------------------------- keys and addresses


def test_a_key_comes_from_the_environment_and_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", " sk-secret-123 ")
    echo = refuses(401, {"error": {"message": "Incorrect API key provided: sk-secret-123"}})
    with serving(HELLO, echo) as server, connected(server.base_url, key_env="MY_KEY") as mind:
        assert server.headers[-1]["Authorization"] == "Bearer sk-secret-123"
        with pytest.raises(EngineError, match=r"provided: \*\*\*\); set the key") as error:
            say(mind)
    assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key_env": "sk-1234"}, "key_env wanted the name of a variable"),
        ({"key_env": "NO_SUCH_KEY"}, "wanted a key in the environment's NO_SUCH_KEY, got none"),
        ({"key_env": "ODD_KEY"}, "odd characters"),
        ({"key_env": "MY_KEY", "base_url": "http://api.example.com/v1"}, "wanted https to send the key in MY_KEY"),
        ({"base_url": "https://me:sk-1234@host/v1"}, "without a password or a query"),
        ({"base_url": "localhost:8000/v1"}, "base_url wanted an address"),
        ({"base_url": "ftp://localhost/v1"}, "base_url wanted an address"),
        ({"base_url": "http://localhost:port/v1"}, "base_url wanted an address"),
        ({"base_url": "http://[::1/v1"}, "base_url wanted an address"),
        ({"base_url": "http://localhost/v1?key=sk-1234"}, "without a password or a query"),
    ],
)
def test_a_bad_address_or_key_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], message: str
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    monkeypatch.setenv("ODD_KEY", "sk-secret-\u201c")
    with pytest.raises(ConfigError, match=message) as error:
        OpenAI(**settings)  # type: ignore[arg-type]
    assert "sk-" not in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTPS_PROXY", "ftp://127.0.0.1:9"), ("SSL_CERT_FILE", "/no/file")],
)
def test_what_cannot_be_used_of_the_environment_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.delenv(variable.lower(), raising=False)
    with pytest.raises(ConfigError, match="wanted the environment's proxy and certificates"):
        OpenAI("https://api.example.com/v1")


def test_a_key_in_the_configuration_is_an_error() -> None:
    config = load_config(sets=("mind.openai.api_key=sk-secret-123",), environ={})
    with pytest.raises(ConfigError, match="has no key 'api_key'; keep keys in the environment;") as error:
        config.options("mind", "openai")
    assert "key_env" in str(error.value)
    assert "sk-" not in str(error.value)


def test_offline_only_private_addresses_are_taken() -> None:
    for away in ("https://api.openai.com/v1", "http://8.8.8.8/v1", "http://gpu-box:8000/v1"):
        with pytest.raises(ConfigError, match="wanted localhost or a private address with --offline"):
            OpenAI(away, offline=True)
    with serving(HELLO) as server, connected(server.base_url, offline=True) as mind:
        assert say(mind)
    config = load_config(sets=("assistant.offline=true",), environ={})
    assert options(config, "mind", "openai")["offline"] is True


def test_what_is_private_and_what_is_near() -> None:
    private = ["localhost", "127.0.0.1", "[::1]", "10.1.2.3", "192.168.1.20", "172.16.0.9", "100.64.0.1", "[fd00::1]"]
    near = ["gpu-box", "gpu.local", "nas.lan"]
    away = ["8.8.8.8", "api.openai.com", "localhost.example.com", "[2606:4700::1]", "172.32.0.1"]
    assert [is_private(f"http://{host}:8000/v1") for host in private + near + away] == [True] * 8 + [False] * 8
    assert [is_near(f"http://{host}:8000/v1") for host in private + near + away] == [True] * 11 + [False] * 5


# ---------------------------------------------------------------- stopping


def silent_before(to: Answering) -> None:
    to.wait()


def silent_after_headers(to: Answering) -> None:
    to.begin()
    to.wait()


def silent_in_the_middle(to: Answering) -> None:
    to.begin()
    to.say("One")
    to.wait()


SILENT: list[Behaviour] = [silent_before, silent_after_headers, silent_in_the_middle]


@pytest.mark.parametrize("behaviour", SILENT)
def test_stop_is_obeyed_while_nothing_comes_and_the_server_is_left(behaviour: Behaviour) -> None:
    with serving(HELLO, behaviour, HELLO) as server, connected(server.base_url) as mind:
        stopped_s: list[float] = []

        def stop() -> bool:
            if len(server.asked) > 1 and not stopped_s:
                stopped_s.append(time.monotonic() + 0.1)
            return bool(stopped_s) and time.monotonic() >= stopped_s[0]

        assert "".join(mind.reply(QUESTION, stop)) in ("", "One")
        assert time.monotonic() - stopped_s[0] < 0.05
        assert server.left.wait(1.0), "the server was not left"
        assert say(mind) == "Hello there."


def test_closing_the_reply_leaves_the_server_at_once() -> None:
    with serving(HELLO, silent_in_the_middle, HELLO) as server, connected(server.base_url) as mind:
        reply = mind.reply(QUESTION, never)
        assert next(reply) == "One"
        with within(0.05):
            getattr(reply, "close")()  # noqa: B009 - the seam says Iterator, engines give generators
        assert server.left.wait(1.0)
        assert say(mind) == "Hello there."


def test_closing_the_mind_ends_a_reply_that_is_read_elsewhere() -> None:
    with serving(HELLO, silent_in_the_middle) as server, connected(server.base_url) as mind:
        begun, told = threading.Event(), list[BaseException]()

        def read() -> None:
            try:
                for _ in mind.reply(QUESTION, never):
                    begun.set()
            except EngineError as error:
                told.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(5)
        mind.close()
        reader.join(5)
        assert "closed" in str(told[0])
        with pytest.raises(EngineError, match="closed"):
            say(mind)


def test_threads_and_connections_end_with_the_mind() -> None:
    with serving(HELLO) as server:
        before = threading.active_count()
        for _ in range(3):
            with connected(server.base_url) as mind:
                assert say(mind)
        assert "assistant-remote" not in [thread.name for thread in threading.enumerate()]
        assert threading.active_count() <= before + 3  # the fake's own


# ---------------------------------------------------------------- again


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    busy = refuses(status, {"error": {"message": "overloaded"}}, Retry_After="0")
    with serving(HELLO, busy, busy, HELLO) as server, connected(server.base_url) as mind:
        with within(3.0):
            assert say(mind) == "Hello there."
        assert len(server.asked) == 4


def test_a_connection_that_breaks_before_the_first_word_is_tried_again() -> None:
    def begins_and_breaks(to: Answering) -> None:
        to.begin()
        to.say(None, role="assistant")
        to.break_off()

    with serving(HELLO, Answering.break_off, begins_and_breaks, HELLO) as server, connected(server.base_url) as mind:
        assert say(mind) == "Hello there."
        assert len(server.asked) == 4


@pytest.mark.parametrize("wanted", ["1", "date"])
def test_the_time_a_server_asks_for_is_given(wanted: str) -> None:
    def busy(to: Answering) -> None:
        after = formatdate(time.time() + 1.5, usegmt=True) if wanted == "date" else wanted
        refuses(503, Retry_After=after)(to)

    with serving(HELLO, busy, HELLO) as server, connected(server.base_url) as mind:
        began_s = time.monotonic()
        assert say(mind) == "Hello there."
        assert 0.9 < time.monotonic() - began_s < 4.0


@pytest.mark.parametrize("wanted", ["3600", "99999999999999999999", "date"])
def test_a_server_that_asks_for_too_much_time_is_given_up(wanted: str) -> None:
    after = formatdate(time.time() + 3600, usegmt=True) if wanted == "date" else wanted
    busy = refuses(429, {"error": {"message": "quota"}}, Retry_After=after)
    with serving(HELLO, busy) as server, connected(server.base_url) as mind:
        with within(1.0), pytest.raises(EngineError, match=r"status 429 \(quota\); try again later"):
            say(mind)
        assert len(server.asked) == 2


def test_stop_is_obeyed_between_two_attempts() -> None:
    busy = refuses(503, Retry_After="4")
    with serving(HELLO, busy) as server, connected(server.base_url) as mind:
        stop_s = time.monotonic() + 0.2
        with within(0.5):
            assert list(mind.reply(QUESTION, lambda: time.monotonic() >= stop_s)) == []
        assert len(server.asked) == 2


def test_attempts_come_to_an_end() -> None:
    with serving(HELLO, refuses(500, b"<html>", Retry_After="soon")) as server, connected(server.base_url) as mind:
        with within(5.0), pytest.raises(EngineError, match=r"status 500 \(Internal Server Error\)"):
            say(mind)
        assert len(server.asked) == 5


# ---------------------------------------------------------------- slow, silent, rude, gone


def dies(to: Answering) -> None:
    to.begin()
    to.say("One")
    to.say(" two")
    to.break_off()


def ends_early(to: Answering) -> None:
    to.begin()
    to.say("One")
    to.say(" two")
    to.end()


def fails_inside(to: Answering) -> None:
    to.begin()
    to.say("One")
    to.say(" two")
    to.event({"error": {"message": "out of\nmemory", "code": 500}})
    to.wait()


def is_no_json(to: Answering) -> None:
    to.begin()
    to.say("One")
    to.say(" two")
    to.event(b'{"choices": [')
    to.wait()


def has_an_endless_line(to: Answering) -> None:
    to.begin()
    to.say("One")
    to.say(" two")
    to.send(b"data: " + b"x" * (LINE_BYTES + 7))
    to.wait()


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (dies, "got a broken connection"),
        (ends_early, "got a reply that broke off; see the server's log"),
        (fails_inside, "got 'out of memory'; see the server's log"),
        (is_no_json, r"""got '{"choices": \[' instead of JSON"""),
        (has_an_endless_line, "got a line without end"),
        (silent_in_the_middle, "got nothing for 0.3 s; see whether it is overloaded, or raise patience_s"),
    ],
)
def test_a_reply_that_fails_in_the_middle_is_not_begun_again(behaviour: Behaviour, message: str) -> None:
    with serving(HELLO, behaviour, HELLO) as server, connected(server.base_url, patience_s=0.3) as mind:
        heard: list[str] = []
        with within(2.0), pytest.raises(EngineError, match=message) as error:
            for piece in mind.reply(QUESTION, never):
                heard.append(piece)
        assert "".join(heard) in ("One", "One two")
        assert "\n" not in str(error.value)
        assert str(error.value).startswith(f"wanted a reply of the server at {server.base_url}/, got ")
        assert len(server.asked) == 2
        assert say(mind) == "Hello there."


def test_a_whole_reply_needs_no_done_and_no_end() -> None:
    def goes_on(to: Answering) -> None:
        to.begin()
        to.say("All.", "stop")
        to.wait()

    with serving(HELLO, goes_on, HELLO) as server, connected(server.base_url) as mind:
        with within(0.5):
            assert say(mind) == "All."
        assert server.left.wait(3.0), "its connection was kept"
        assert say(mind) == "Hello there."


def html(to: Answering) -> None:
    to.answer(b"<html>Welcome</html>", "text/html; charset=utf-8")


def forwards(to: Answering) -> None:
    to.answer(b"", status=302, Location="http://127.0.0.1:9/elsewhere")


def whole(to: Answering) -> None:
    to.answer(json.dumps({"choices": [{"message": {"content": "Hello"}}]}).encode())


def other_json(to: Answering) -> None:
    to.begin()
    to.event({"hello": "world"})
    to.wait()


def nested(to: Answering) -> None:
    to.begin()
    to.event(b"[" * 200_000)
    to.wait()


def pings(to: Answering) -> None:
    to.begin()
    while not to.server.over.wait(0.02):
        to.send(b": ping\n\n")


def drips(to: Answering) -> None:
    to.send_response(200)
    to.end_headers()
    while not to.server.over.wait(0.02):
        to.wfile.write(b"x")


def counts_for_ever(to: Answering) -> None:
    to.begin()
    while not to.server.over.wait(0.02):
        to.event({"choices": [], "usage": {}})


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (html, "got 'text/html' instead of text/event-stream; correct its base_url; it mostly ends in /v1"),
        (whole, "got 'application/json' instead of text/event-stream"),
        (other_json, "got something else than chat completions"),
        (nested, "instead of JSON"),
        (forwards, "got status 302 .Found.; name the place it leads to as base_url"),
        (refuses(404, {"detail": "Not Found"}), r"got status 404 \(Not Found\); correct its base_url"),
        (refuses(400, {"object": "error", "message": "bad\nrequest"}), r"got status 400 \(bad request\); correct the"),
        (refuses(400, b"x" * 3_000_000), "got an answer without end"),
        (
            refuses(400, {"error": {"message": "maximum context length is 9 tokens", "code": None}}),
            r"maximum context length is 9 tokens\); lower budget_tokens",
        ),
        (silent_before, "got nothing for 0.3 s"),
        (silent_after_headers, "got nothing for 0.3 s"),
        (pings, "got nothing for 0.3 s"),
        (drips, "got '' instead of|got 'no content type' instead"),
        (counts_for_ever, "got nothing for 0.3 s"),
    ],
)
def test_a_rude_server_is_one_line_in_bounded_time(behaviour: Behaviour, message: str) -> None:
    with serving(HELLO, behaviour, HELLO) as server, connected(server.base_url, patience_s=0.3) as mind:
        with within(2.0), pytest.raises(EngineError, match=message) as error:
            say(mind)
        assert "\n" not in str(error.value)
        assert len(server.asked) == 2
        assert say(mind) == "Hello there."


def test_a_server_that_never_ends_is_left_after_enough() -> None:
    def babbles(to: Answering) -> None:
        to.begin()
        while not to.server.over.is_set():
            to.say("bla ")

    with serving(HELLO, babbles) as server, connected(server.base_url, max_tokens=10) as mind:
        assert 10 <= len(list(mind.reply(QUESTION, never))) <= 40
        assert server.left.wait(3.0)


def test_a_server_that_is_not_there_is_told_when_loading() -> None:
    address = unused_address()
    with within(5.0), pytest.raises(EngineError, match=r"wanted the models .* no connection .*; start it, or correct"):
        OpenAI(address)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"data": []}, "got none; have it load one"),
        ({"models": []}, "got something else than a list of models"),
        ([], "got something else than a list of models"),
        ({"data": [{"name": "x"}]}, "got something else than a list of models"),
        (html, "got 'text/html' instead of application/json"),
        (Answering.wait, "got nothing for 0.3 s"),
    ],
)
def test_a_server_without_models_is_told_when_loading(models: Any, message: str) -> None:
    with serving(HELLO, models=models) as server, within(3.0), pytest.raises(EngineError, match=message):
        OpenAI(server.base_url, patience_s=0.3)


def test_a_server_that_has_no_list_of_models_is_used_by_name() -> None:
    with serving(HELLO, models=html) as server:
        with connected(server.base_url, model="mine", context_tokens=999) as mind:
            assert say(mind) == "Hello there."
        assert server.asked[-1]["model"] == "mine"


# ---------------------------------------------------------------- a real server


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    try:
        weights: Path = fetch("smollm2-135m-instruct-q4_1")
    except WeightsError as reason:
        pytest.skip(f"needs the built-in mind: {reason}")
    with llama_server(weights) as base_url:
        yield base_url


def test_a_real_server_answers_in_words(real: str) -> None:
    with closing(load("mind", "openai", base_url=real, max_tokens=40)) as mind:
        assert mind.model.endswith(".gguf") and not mind.sees and mind.context_tokens == 1024
        pieces = list(mind.reply([QUESTION[0], Message("user", "What is the capital of France?")], never))
        assert len(pieces) > 3 and "Paris" in "".join(pieces)


def test_a_real_server_stops_when_it_is_left(real: str) -> None:
    """Its only slot is free again at once: the next reply does not wait for the rest of a long one."""
    with connected(real, max_tokens=800) as mind:
        story = mind.reply([Message("user", "Tell me a very long story about a dog and a ship.")], never)
        assert next(story)
        getattr(story, "close")()  # noqa: B009
        with within(5.0):
            assert next(iter(mind.reply(QUESTION, never)))


def test_a_real_server_refuses_what_is_too_long(real: str) -> None:
    with connected(real) as mind:
        with pytest.raises(EngineError, match="lower budget_tokens"):
            say(mind, [Message("user", "hello " * 2000)])
        assert say(mind)


def test_an_address_of_a_real_server_without_its_v1(real: str) -> None:
    with closing(OpenAI(real.removesuffix("/v1"), max_tokens=3)) as mind:  # llama.cpp serves both
        assert say(mind)
    with pytest.raises(EngineError, match=r"status 404 .*mostly ends in /v1"):
        OpenAI(real + "/nowhere")


# ---------------------------------------------------------------- the whole loop


def test_a_server_that_dies_in_a_sentence_costs_one_sentence_and_not_the_talk() -> None:
    def dies_at_first(to: Answering) -> None:
        asked = to.server.asked[-1]["messages"][-1]["content"]
        if "second" in asked or asked == "Hello!":
            return HELLO(to)
        to.begin()
        to.say("The sun is a star. It is made")
        return to.break_off()

    with serving(dies_at_first) as server, connected(server.base_url) as mind:
        held = talk_through([(1, 2), (10, 11)], ["the first question", "the second question"], mind=mind)
    (trouble,) = held.all("trouble")
    assert trouble["kept_going"] and "broken connection" in trouble["message"]
    assert trouble["at_s"] < 10
    first, second = held.exchanges
    assert (first.heard, first.cut) == ("The sun is a star.", True)
    assert first.generated == "The sun is a star. It is made"
    assert (second.said, second.heard) == ("the second question", "Hello there.")
    spoken = [sounded.phrase.text for sounded in held.speaker.record if sounded.phrase is not None]
    assert spoken == ["The sun is a star.", prompt("trouble", "en").strip(), "Hello there."]


def test_a_talk_with_a_mind_on_a_real_server(real: str, shared: Path, tmp_path: Path) -> None:
    clip = shared / "data/speech/en_weather_like.flac"
    test_whole_loop.track(tmp_path / "said.wav", [clip], 12.0)
    events, _ = test_whole_loop.talk(
        tmp_path,
        tmp_path / "said.wav",
        "none",
        *test_whole_loop.whisper(shared),
        "mind.engine=openai",
        f"mind.openai.base_url={real}",
        "mind.openai.prefill=true",
        "assistant.language=en",
    )
    assert not test_whole_loop.of(events, "trouble")
    (exchange,) = test_whole_loop.of(events, "exchange")
    assert len(exchange["heard"].split()) >= 2
    (ready,) = test_whole_loop.of(events, "ready")
    assert ready["engines"]["mind"]["name"] == "openai"
    assert ready["engines"]["mind"]["why"].endswith(f" at {real}/, takes no pictures")
