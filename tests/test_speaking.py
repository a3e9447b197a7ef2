"""A reply on its way from tokens to words in the air, and back to what was heard of it."""

import unicodedata
from bisect import bisect_left
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assistant.backends import Speech
from assistant.errors import AssistantError
from assistant.events import Phrase, Played
from assistant.speaking import Phrases, ReplyText, Span, heard, make_phrase, say, sounded, speakable, spoken_only

PIECES = st.sampled_from(
    [
        *"abcXYZ 0123456789.,;:!?-–—…()[]*_`#>|/\\<>\"'“”%$€°\n\t",
        *"你好的助手。，！？；：、「」（）",
        " the", " and", "Mr. ", "e.g. ", "3.14", " 3 kg", "$3.49", "2027-05-14", "10:30", "www.x.org", "1,000", "...",
        "**bold**", "[t](http://u.org)", "\n- ", "\n1. ", "| a | b |\n", "```py\n", " USB", " FRESH MILK", "😀", "👍🏽",
        "½", "²", "１", "٣", "Ⅳ", "é", "e\u0301", "\u200b", "\x00", "\ud800", "a.m.", " 1990s", "+49 170 1234567",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map("".join)


def chopped(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def cut(pieces: list[str]) -> list[Span]:
    phrases = Phrases()
    return [span for piece in pieces for span in phrases.feed(piece)] + phrases.finish()


def texts_of(reply: str) -> list[str]:
    return [reply[span.begin : span.end] for span in cut([reply])]


# ---------------------------------------------------------------- thinking


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        ("<think>Hm. What?</think>\n\nYes.", "Yes."),
        ("<THINKING>x</THINKING>Yes <reasoning>why</reasoning>no.", "Yes no."),
        ("[THINK]x[/THINK] Yes.", "Yes."),
        ("◁think▷x◁/think▷Yes.", "Yes."),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>", "Yes."),
        ("<|channel>thought\nHm.<channel|>Yes.", "Yes."),
        ("Yes.<|im_end|>", "Yes."),
        ("Yes. <think>never closed", "Yes."),
        ("<think>never closed", ""),
        ("Said already. </think> Yes.", "Said already.  Yes."),
        ("3 < 4, [x] and <thin", "3 < 4, [x] and <thin"),
        ("a <b>bold</b> [thing]", "a <b>bold</b> [thing]"),
        ("  Yes.\n ", "Yes."),
        (" \n", ""),
    ],
)
def test_thinking_is_never_part_of_the_reply(stream: str, reply: str):
    assert "".join(spoken_only([stream])) == reply
    assert "".join(spoken_only(stream)) == reply, "character by character"


@given(
    st.lists(st.sampled_from([*"ab <>|[/]", "<think>", "</think>", "<|channel|>", "<|message|>", "final"])), st.data()
)
def test_the_reply_does_not_depend_on_how_the_stream_is_chopped(parts: list[str], data: st.DataObject):
    stream = "".join(parts)
    cuts = data.draw(st.lists(st.integers(0, 200), max_size=8))
    assert "".join(spoken_only(chopped(stream, cuts))) == "".join(spoken_only([stream]))


def test_a_mind_that_starts_in_the_middle_of_its_thoughts_can_say_so():
    reply = ReplyText(starts_thinking=True)
    spans = [span for piece in ("Let me ", "see.</thi", "nk>\nIt is red.") for span in reply.feed(piece)]
    spans += reply.finish()
    assert reply.generated == "It is red."
    assert spans == [Span(0, 10)]


# ---------------------------------------------------------------- phrases


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 400), max_size=12))
def test_phrases_tile_the_reply_however_it_is_chopped(text: str, cuts: list[int]):
    spans = cut(chopped(text, cuts))
    assert spans == cut([text]) == cut(list(text))
    assert [span.begin for span in spans] == [0, *(span.end for span in spans)][: len(spans)]
    assert "".join(text[span.begin : span.end] for span in spans) == text
    assert all(0 < span.end - span.begin <= 200 for span in spans)


@pytest.mark.parametrize(
    "whole",
    [
        "It costs 3.14 today",
        "Ask Mr. Smith or Dr. Jones",
        "Fruit, e.g. apples",
        "It is 10:30 now",
        "See www.x.org for it",
        "About 1,000 people",
        "Well... maybe not",
        "J. R. R. Tolkien wrote it",
        "At 5 p.m. it closes",
        "Net wt. 16 oz",
        "From 3 - 5 it is open",
        "The U.S. army is big",
        "1. Apples are red",
        "See [this, and that too, and more. Yes](http://x.org/a,b) here",
    ],
)
def test_a_phrase_does_not_end_inside_of(whole: str):
    assert texts_of(whole) == [whole]


@pytest.mark.parametrize(
    ("reply", "first"),
    [
        ("Yes. It is red.", "Yes."),
        ("I can see it, and it is red.", "I can see it,"),
        ("Oh, I see it, and it is red.", "Oh, I see it,"),
        ("The red one is yours; the other is mine.", "The red one is yours;"),
        ("The one on the left — that is yours.", "The one on the left —"),
        ("It closes at 5 p.m. You should go.", "It closes at 5 p.m."),
        ("She asked “really?” and left. So did I.", "She asked “really?” and left."),
        ("The label on the bottle says that milk is good", "The label on the bottle says"),
        ("You are holding one big old heavy shiny wooden English garden spade today", None),
        ("你好！我是你的助手。", "你好！"),
        ("我能看见你手里的杯子，它是红色的。", "我能看见你手里的杯子，"),
        ("“你好。”他说。", "“你好。”"),
        ("First line\nSecond line", "First line"),
    ],
)
def test_the_first_phrase_is_a_clause(reply: str, first: str | None):
    got = texts_of(reply)[0]
    if first is None:
        assert 8 <= len(got.split()) <= 12
        assert len(got) < len(reply)
    else:
        assert got == first


def test_the_first_phrase_is_out_before_the_sentence_is_over():
    phrases = Phrases()
    out = [
        len(phrases.text)
        for word in "I think that this one, the red one on the left, is yours.".split()
        if phrases.feed(f"{word} ")
    ]
    assert out and out[0] < 30


def test_later_phrases_are_sentences_and_long_ones_are_cut_at_clauses():
    short = "So it is. This is the second sentence, with a comma. And the third."
    assert texts_of(short) == ["So it is.", " This is the second sentence, with a comma.", " And the third."]
    long = "Yes. " + "a word and another one, " * 30 + "done."
    assert all(text.endswith((",", ".")) for text in texts_of(long))
    endless = texts_of("x" * 1000)
    assert max(map(len, endless)) <= 200


# ---------------------------------------------------------------- speakable

ENGLISH = [
    ("# Title", "Title"),
    ("**Fresh** _milk_, `code` and ~~old~~", "Fresh milk, code and old"),
    ("- milk\n- eggs", "milk. eggs"),
    ("1. Apples\n2. Pears", "one, Apples. two, Pears"),
    ("| a | b |\n|---|---|\n| c | d |", "a, b. c, d"),
    ("```python\nprint(x)\n```", "print, x."),
    ("See [the docs](http://x.org/a).", "See the docs."),
    ("https://www.example.com/docs", "example dot com slash docs"),
    ("jane.doe@example.com", "jane dot doe at example dot com"),
    ("Great! 😀👍🏽", "Great!"),
    ("3 kg of 1 g", "three kilograms of one gram"),
    ("-5 °C, 100 km/h and 20ml", "minus five degrees Celsius, one hundred kilometers per hour and twenty milliliters"),
    ("62 kcal/100 g", "sixty-two kilocalories per one hundred grams"),
    ("$3.49, €1, £0.99 and ¥20", "three dollars and forty-nine cents, one euro, ninety-nine pence and twenty yuan"),
    ("$3.5 million", "three point five million dollars"),
    ("5% or 3-5 %", "five percent or three to five percent"),
    ("1,234 or 3.14 or 0.5", "one thousand two hundred and thirty-four or three point one four or zero point five"),
    ("the 21st of the 1990s", "the twenty-first of the nineteen nineties"),
    ("2027-05-14", "May fourteenth, twenty twenty-seven"),
    ("14/05/2027", "May fourteenth, twenty twenty-seven"),
    ("05/14/2027", "May fourteenth, twenty twenty-seven"),
    ("14 May 2027", "the fourteenth of May, twenty twenty-seven"),
    ("Dec. 24", "December twenty-fourth"),
    ("10:30, 10:00 and 00:05", "ten thirty, ten o'clock and zero oh five"),
    ("At 2:30 p.m. Then 3pm", "At two thirty p m. Then three p m"),
    ("555-123-4567", "five five five, one two three, four five six seven"),
    ("4006381333931", "four zero zero six three eight one three three three nine three one"),
    ("007", "zero zero seven"),
    ("Call 911 or 112", "Call nine one one or one hundred and twelve"),
    ("lot L23-0457", "lot L twenty-three zero four five seven"),
    ("978-3-16-148410-0", "nine seven eight, three, one six, one four eight four one zero, zero"),
    ("Net wt. 3,5 kg (incl. box)", "Net weight three point five kilograms, including box"),
    ("2027-05-14T10:30", "May fourteenth, twenty twenty-seven ten thirty"),
    ("3-5 eggs", "three to five eggs"),
    ("1/2, 3/4 and 1 1/2 cups", "one half, three quarters and one and one half cups"),
    ("1990-1995", "nineteen ninety to nineteen ninety-five"),
    ("It says FRESH MILK and USB and NASA.", "It says fresh milk and USB and NASA."),
    ("“Hello,” she said — ‘well’…", "Hello, she said, well,"),
    ("don't stop well-known", "don't stop well-known"),
    ("a < b & c = 2 * 3", "a less than b and c equals two times three"),
    ("version 1.52.0 of B12", "version one point fifty-two point zero of B twelve"),
    ("e.g. Mr. Smith", "for example mister Smith"),
    ("&lt;b&gt; &amp; <b>x</b>", "less than b greater than and x"),
    ("---", ""),
    ("😀 👍", ""),
    ("** **\n```\n```", ""),
    ("", ""),
]  # fmt: skip
CHINESE = [
    ("3 kg", "三公斤"),
    ("2个苹果和2 kg", "两个苹果和两公斤"),
    ("$3.49，¥12.50，20元", "三点四九美元，十二点五元，二十元"),
    ("50%，3-5%", "百分之五十，百分之三到五"),
    ("2027年5月14日", "二零二七年五月十四日"),
    ("2027-05-14", "二零二七年五月十四日"),
    ("10:30，2:05 pm", "十点三十分，下午两点零五分"),
    ("105，110，1010，10010，100000，12", "一百零五，一百一十，一千零一十，一万零一十，十万，十二"),
    ("-5°C", "零下五摄氏度"),
    ("1/2", "二分之一"),
    ("13812345678", "一三八一二三四五六七八"),
    ("**你好**，😀我是`助手`。", "你好，我是助手。"),
    ("第3名", "第三名"),
    ("iPhone 15 手机", "iPhone 十五手机"),
]


@pytest.mark.parametrize(("text", "said"), ENGLISH)
def test_english_is_made_speakable(text: str, said: str):
    assert speakable(text, "en").text == said


@pytest.mark.parametrize(("text", "said"), CHINESE)
def test_chinese_is_made_speakable(text: str, said: str):
    assert speakable(text, "zh").text == said


@settings(deadline=None)
@given(st.integers(0, 10**15 - 1) | st.integers(0, 3000))
def test_english_numbers_are_those_of_a_well_kept_library(number: int):
    num2words = pytest.importorskip("num2words", reason="comes with coqui-tts").num2words
    assert speakable(f"{number:,}", "en").text == num2words(number).replace(",", "")
    assert speakable(f"{number:,}th", "en").text == num2words(number, to="ordinal").replace(",", "")
    if 1900 <= number <= 2099:
        assert speakable(str(number), "en").text == num2words(number, to="year").replace("oh-", "oh ")


@settings(deadline=None)
@given(st.integers(0, 10**15 - 1))
def test_chinese_numbers_can_be_read_back(number: int):
    places = {"十": 10, "百": 100, "千": 1000}
    total = group = digit = 0
    for c in speakable(f"{number:,}", "zh").text:
        if c in places:
            group, digit = group + (digit or 1) * places[c], 0
        elif c in "万亿":
            size = 10**4 if c == "万" else 10**8
            total, group, digit = (total + group + digit) * size if c == "亿" else total + (group + digit) * size, 0, 0
        else:
            digit = "零一二三四五六七八九".index(c)
    assert total + group + digit == number


@settings(max_examples=600, deadline=None)
@example("🇩🇪1️⃣", "en")
@given(TEXTS | st.text(max_size=40), st.sampled_from(["en", "zh"]))
def test_every_word_leads_back_to_the_source_and_nothing_unspeakable_is_left(text: str, language: str):
    spoken = speakable(text, language)
    assert spoken.text == spoken.text.strip()
    if not spoken.text:
        assert spoken.marks == ()
        return
    assert spoken.marks[-1] == (len(spoken.text), len(text))
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(spoken.marks))
    assert all(spoken.text[:end].strip() for end, _ in spoken.marks)
    left = {c for c in spoken.text if not (c.isalpha() or unicodedata.combining(c) or c in " '-.,;:!?。，；：！？、")}
    assert not left, f"{left} in {spoken.text!r}"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("It is 3 kg, yes", ["It ", "It is ", "It is ", "It is 3 kg, ", "It is 3 kg, yes"]),
        ("**Hi** “you” there.", ["**Hi** ", "**Hi** “you” ", "**Hi** “you” there."]),
        ("One\n- two", ["One\n", "One\n- two"]),
        ("Go! 😀", ["Go! 😀"]),
    ],
)
def test_a_token_counts_with_its_last_word_and_takes_what_follows_it(text: str, steps: list[str]):
    assert [text[:end] for _, end in speakable(text, "en").marks] == steps


# ---------------------------------------------------------------- heard

RATE_HZ = 16_000


def pronounced(text: str, seed: int, *, told: bool = True, pauses_told: bool = True) -> tuple[Speech, list[int]]:
    """A sound for a text, word by word, with pauses after punctuation, and where each word begins. The voice may tell
    where each word ends (with its pause or without it), or nothing.
    """
    random = np.random.default_rng(seed)
    parts = [np.zeros(random.integers(0, 400), np.float32)]
    onsets, ends, over, at = list[int](), list[int](), list[int](), 0
    for word in text.split():
        at = text.index(word, at) + len(word)
        onsets.append(sum(map(len, parts)))
        parts.append(np.full(random.integers(50, 3000), 0.3, np.float32))
        over.append(sum(map(len, parts)))
        parts.append(np.zeros(random.integers(0, 900) if word[-1] in ",.!?" else 0, np.float32))
        ends.append(at)
    pcm = np.concatenate(parts)
    samples = [*onsets[1:], len(pcm)] if pauses_told else over
    marks = tuple(zip(ends, samples, strict=True)) if told else ()
    return Speech(pcm, RATE_HZ, marks), onsets


def phrases_of(reply: str, seed: int, *, told: bool = True, pauses_told: bool = True) -> list[tuple[Phrase, list[int]]]:
    made = list[tuple[Phrase, list[int]]]()
    for number, span in enumerate(cut([reply])):
        spoken = speakable(reply[span.begin : span.end], "en")
        if spoken.text:
            speech, onsets = pronounced(spoken.text, seed + number, told=told, pauses_told=pauses_told)
            made.append((make_phrase(span.begin, spoken, speech), onsets))
    return made


def played(phrases: list[Phrase], samples: int) -> list[Played]:
    """The loudspeaker's account after so many samples."""
    account = list[Played]()
    for phrase in phrases:
        account.append(Played(phrase, max(0, min(samples, len(phrase.pcm)))))
        samples -= len(phrase.pcm)
    return account


PLAIN = st.lists(
    st.tuples(
        st.sampled_from("red milk is on the big table here we go now".split()),
        st.sampled_from(["", "", "", ",", ".", "!"]),
    ),
    min_size=1,
    max_size=40,
).map(lambda words: " ".join(word + mark for word, mark in words))


@settings(max_examples=300, deadline=None)
@given(PLAIN, st.integers(0, 999), st.booleans(), st.lists(st.floats(0, 1), min_size=1, max_size=15))
def test_exactly_the_words_that_had_begun_were_heard(reply: str, seed: int, pauses_told: bool, fractions: list[float]):
    made = phrases_of(reply, seed, pauses_told=pauses_told)
    begins, length = list[int](), 0
    for phrase, onsets in made:
        begins += [length + onset for onset in onsets]
        length += len(phrase.pcm)
    for fraction in fractions:
        samples = round(fraction * length)
        was_heard = heard(played([phrase for phrase, _ in made], samples), reply)
        assert reply.startswith(was_heard)
        assert was_heard.split() == reply.split()[: bisect_left(begins, samples)]
    assert heard(played([phrase for phrase, _ in made], length), reply) == reply


@settings(max_examples=200, deadline=None)
@given(TEXTS.map(str.strip), st.integers(0, 999), st.booleans())
def test_what_was_heard_grows_to_the_whole_and_is_always_a_prefix(reply: str, seed: int, told: bool):
    phrases = [phrase for phrase, _ in phrases_of(reply, seed, told=told)]
    length = sum(len(phrase.pcm) for phrase in phrases)
    so_far = [heard(played(phrases, samples), reply) for samples in range(0, length + 1, max(1, length // 20))]
    so_far.append(heard(played(phrases, length), reply))
    assert so_far[0] == ""
    assert all(reply.startswith(text) for text in so_far)
    assert all(b.startswith(a) for a, b in pairwise(so_far))
    assert so_far[-1] == (reply if phrases else "")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["3 kg", "$3.49", "2027-05-14", "red", "1,000", "10:30", "**so**", "is"]), min_size=1),
    st.data(),
)
def test_of_a_number_nothing_is_heard_before_its_last_word_has_begun(tokens: list[str], data: st.DataObject):
    reply = " ".join(tokens)
    ((phrase, onsets), *_) = phrases_of(reply, 7)
    samples = data.draw(st.integers(0, len(phrase.pcm)))
    was_heard = heard([Played(phrase, samples)], reply)
    assert len(speakable(was_heard, "en").text.split()) <= sum(onset < samples for onset in onsets)


@settings(max_examples=200, deadline=None)
@given(TEXTS | st.text(max_size=40), st.sampled_from(["en", "zh"]), st.integers(0, 999), st.floats(0, 1))
def test_every_word_that_sounded_has_the_time_of_its_own_sound(text: str, language: str, seed: int, share: float):
    spoken = speakable(text, language)
    phrase = make_phrase(0, spoken, pronounced(spoken.text, seed, told=False, pauses_told=False)[0])
    words = sounded(phrase, 60.0)
    assert len(words) == len(spoken.marks)
    assert "".join(word.text for word in words) == spoken.text.replace(" ", "")
    times = [t for word in words for t in (word.began_s, word.ended_s)]
    assert times == sorted(times) and all(60.0 <= t <= 60.0 + len(phrase.pcm) / RATE_HZ for t in times)
    begun = sounded(phrase, 60.0, round(share * len(phrase.pcm)))
    assert [w.began_s for w in begun] == [
        w.began_s for w in words if w.began_s < 60 + round(share * len(phrase.pcm)) / RATE_HZ
    ]


def test_the_words_of_a_phrase_sound_where_they_begin():
    ((phrase, onsets),) = phrases_of("milk is on the table", 11)
    words = sounded(phrase, 2.5)
    assert [word.text for word in words] == ["milk", "is", "on", "the", "table"]
    assert [word.began_s for word in words] == pytest.approx([2.5 + onset / RATE_HZ for onset in onsets])


def test_a_voice_that_does_not_tell_is_estimated_within_its_sound():
    spoken = speakable("one two three four.", "en")
    pcm = np.concatenate([np.zeros(1000), np.full(8000, 0.2), np.zeros(3000)]).astype(np.float32)
    marks = make_phrase(0, spoken, Speech(pcm, RATE_HZ)).marks
    assert marks[0].sample == 1001, "not before there is any sound"
    assert 1000 < marks[1].sample < marks[2].sample < marks[3].sample < 9000
    assert marks[-1].source_end == len("one two three four.")


def test_marks_coarser_than_words_are_used_where_they_are():
    spoken = speakable("aaaa bbbb cccc dddd", "en")
    speech = Speech(np.full(10_000, 0.2, np.float32), RATE_HZ, ((9, 2000), (19, 10_000)))
    samples = [mark.sample for mark in make_phrase(0, spoken, speech).marks]
    assert samples == [1, pytest.approx(900, abs=150), 2001, pytest.approx(6000, abs=500)]


def test_a_phrase_cut_in_the_middle_is_the_last_that_counts():
    (first, _), (second, _) = phrases_of("So it is. And more.", 3)
    assert (
        heard([Played(first, len(first.pcm) - 1), Played(second, len(second.pcm))], "So it is. And more.")
        == "So it is."
    )
    assert heard([Played(first, 0)], "So it is. And more.") == ""
    assert heard([], "So it is. And more.") == ""


def test_a_tail_that_cannot_be_spoken_counts_with_the_last_word():
    reply = "All done! Bye. 😀"
    phrases = [phrase for phrase, _ in phrases_of(reply, 1)]
    assert heard([Played(phrase, len(phrase.pcm)) for phrase in phrases], reply) == reply


class Counting:
    """A voice of one sample per character."""

    languages: tuple[str, ...] = ("en", "zh")

    def __init__(self) -> None:
        self.texts: list[str] = []

    def synthesise(self, text: str, language: str, stop: object) -> Speech:
        self.texts.append(text)
        return Speech(np.ones(len(text), np.float32), RATE_HZ)


def test_say_speaks_phrase_by_phrase():
    voice = Counting()
    pcm, rate_hz = say("So **it** is. It costs $2.\n\n---\n\nBye 😀", "en", voice)
    assert voice.texts == ["So it is.", "It costs two dollars.", "Bye"]
    assert (len(pcm), rate_hz) == (len("".join(voice.texts)), RATE_HZ)
    with pytest.raises(AssistantError, match="no word in '---'"):
        say("---", "en", voice)


@pytest.mark.parametrize(
    ("prompt", "open_"),
    [
        ("<|assistant|><think>\n", True),
        ("<|assistant|>[THINK]", True),
        ("<|assistant|><think>\n\n</think>\n\n", False),
        ("<|user|>what is <think><|assistant|>", False),
        ("<|assistant|>", False),
    ],
)
def test_a_prompt_may_end_inside_thinking(prompt: str, open_: bool) -> None:
    from assistant.speaking.thinking import left_open

    assert left_open(prompt) == open_


def test_what_is_hidden_now_can_be_asked() -> None:
    from assistant.speaking import SpokenOnly

    spoken = SpokenOnly()
    hidden = []
    for piece in ("Yes", "<think>", "so", "</think>", "no"):
        spoken.feed(piece)
        hidden.append(spoken.hidden)
    assert hidden == [False, True, True, False, False]
