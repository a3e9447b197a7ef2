"""Stages of a turn: they add up, and work done ahead costs nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.timing import STAGES, Marks, stages_ms

TIMES = st.none() | st.floats(0, 10)


@given(st.floats(0, 5), st.lists(TIMES, min_size=5, max_size=5), st.floats(5, 20))
def test_stages_are_never_negative_and_add_up_to_voice_to_voice(ended_s, times, output_s):
    marks = Marks(ended_s, **dict(zip((f"{s}_s" for s in STAGES[:-1]), times, strict=True)), output_s=output_s)
    stages = stages_ms(marks)
    assert min(stages.values()) >= 0
    reached = max([ended_s, output_s, *(t for t in times if t is not None)])
    assert sum(stages.values()) == pytest.approx(1000 * (reached - ended_s), abs=1)


def test_what_was_done_behind_the_gate_is_free():
    stages = stages_ms(Marks(1.0, endpoint_s=1.5, recognise_s=1.3, see_s=1.3, think_s=1.4, speak_s=1.55, output_s=1.57))
    assert stages == {
        "endpoint_ms": 500.0,
        "recognise_ms": 0.0,
        "see_ms": 0.0,
        "think_ms": 0.0,
        "speak_ms": 50.0,
        "output_ms": 20.0,
    }
