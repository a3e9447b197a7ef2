"""Scores of answers and captions against figures of others: published ones, and those of COCO's own evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.sessions.scoring import bleu_4, caption_words, cider_d, contains, vqa_accuracy, vqa_words

SHOWN = [
    (
        "a dog is running on the beach",
        ["a dog runs along the beach",
         "a brown dog is running on the sand", "the dog is running on the beach near water"],
    ),
    (
        "two people play with a red ball in the park",
        ["two people are playing with a red ball", "a man and a woman play with a ball in the park"],
    ),
    ("a cat sits near the table", ["a cat is sitting near a table", "the cat sits by the table"]),
]  # fmt: skip
CAPTIONS, REFERENCES = [c for c, _ in SHOWN], [r for _, r in SHOWN]

# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [
        ("It costs $5.", ["5"], True),
        ("It is 0.52 kg, or 5.2.", ["5"], False),
        ("I see FIVE caps", ["five", "5"], True),
        ("这是愚园路。", ["愚园路"], True),
        ("nothing", ["thing"], True),
        ("", ["a"], False),
    ],
)
def test_an_accepted_answer_is_contained(text: str, answers: list[str], right: bool) -> None:
    assert contains(text, answers) == right


def test_vqa_accuracy_is_the_mean_over_leaving_one_out() -> None:
    """By hand from the formula: with k of ten agreeing, k leave k - 1 behind and the others k."""
    for agreeing in range(11):
        people = ["red"] * agreeing + [f"other {i}" for i in range(10 - agreeing)]
        expected = (agreeing * min(1, (agreeing - 1) / 3) + (10 - agreeing) * min(1, agreeing / 3)) / 10
        assert vqa_accuracy("Red.", people) == pytest.approx(expected)
    assert vqa_accuracy("red", []) == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [("The Two Dogs!", "2 dogs"), ("1,000", "1000"), ("2.5 m", "2.5 m"), ("no.", "no"), ("don't know", "dont know")],
)
def test_vqa_answers_are_compared_without_dress(answer: str, words: str) -> None:
    assert vqa_words(answer) == words


# ---------------------------------------------------------------- captions


def test_captions_score_as_in_coco_s_own_evaluation() -> None:
    """pycocoevalcap 1.2 gave 0.63316021892 (its Bleu_4) and 3.76100044091 (its CIDEr, which is CIDEr-D) for these."""
    assert bleu_4(CAPTIONS, REFERENCES) == pytest.approx(0.63316021892, abs=1e-9)
    assert cider_d(CAPTIONS, REFERENCES) == pytest.approx(3.76100044091, abs=1e-9)


def test_bleu_is_that_of_a_published_example() -> None:
    """NLTK's documentation has 0.5920778868801042: https://www.nltk.org/api/nltk.translate.bleu_score.html.

    There Party and party are two words, here letters have no case: so the capital one is written otherwise.
    """
    hypotheses = [
        "It is a guide to action which ensures that the military always obeys the commands of the party",
        "he read the book because he was interested in world history",
    ]
    references = [
        [
            "It is a guide to action that ensures that the military will forever heed Partei commands",
            "It is the guiding principle which guarantees the military forces always being under the command of "
            "the Partei",
            "It is the practical guide for the army always to heed the directions of the party",
        ],
        ["he was interested in world history because he read the book"],
    ]
    assert bleu_4(hypotheses, references) == pytest.approx(0.5920778868801042, abs=1e-12)


def test_the_references_themselves_score_best() -> None:
    same = [refs[0] for refs in REFERENCES]
    assert bleu_4(same, REFERENCES) == pytest.approx(1.0)
    assert cider_d(same, REFERENCES) > cider_d(CAPTIONS, REFERENCES) > cider_d(["a thing"] * 3, REFERENCES)
    alone = [[refs[0]] for refs in REFERENCES]
    assert cider_d(same, alone) == pytest.approx(10.0)


def test_another_picture_s_caption_scores_worse() -> None:
    turned = [*CAPTIONS[1:], CAPTIONS[0]]
    assert cider_d(turned, REFERENCES) < 0.5 * cider_d(CAPTIONS, REFERENCES)
    assert bleu_4(turned, REFERENCES) < 0.5 * bleu_4(CAPTIONS, REFERENCES)


@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=4, max_size=9).map(" ".join), min_size=2, max_size=4))
def test_scores_stay_in_their_range(captions: list[str]) -> None:
    references = [[caption] for caption in reversed(captions)]
    assert 0 <= bleu_4(captions, references) <= 1 + 1e-9
    assert -1e-9 <= cider_d(captions, references) <= 10 + 1e-9


def test_nothing_is_nothing() -> None:
    assert bleu_4([], []) == cider_d([], []) == 0
    assert bleu_4([""], [["a dog"]]) == 0


def test_captions_are_cut_into_words() -> None:
    assert caption_words("A dog's red-and-white ball, on 2 chairs.") == "a dog's red-and-white ball on 2 chairs".split()
    assert caption_words("一只狗在海滩上。") == list("一只狗在海滩上")
