from __future__ import annotations

import pytest

from compiler_nb.compare.cases import Case, read_cases


def test_questions_are_texts_pairs_or_dicts():
    """One text is one question; `expected` and `inputs` may be given beside them."""
    assert read_cases("Why?") == [Case("Why?")]
    assert read_cases(["a?", ("b?", 2), {"question": "c?", "expected": 3, "inputs": {"k": 1}}], inputs={"n": 0}) == [
        Case("a?", None, {"n": 0}),
        Case("b?", 2, {"n": 0}),
        Case("c?", 3, {"n": 0, "k": 1}),
    ]
    assert read_cases(["a?", "b?"], [1, 2]) == [Case("a?", 1), Case("b?", 2)]


@pytest.mark.parametrize(
    ("questions", "told"),
    [
        ([], "no questions"),
        (3, "questions must be a list"),
        ({"question": "a?"}, "questions must be a list"),
        (["a?", 3], "question 1 must be a text, a pair"),
        (["  "], "question 0 is empty"),
        ([{"question": "a?", "answer": 1}], "question 0 has no field answer; a dict has question, expected, inputs"),
        ([{"question": "a?", "inputs": 3}], "question 0 has inputs that are not a dict"),
    ],
)
def test_what_is_no_question_is_named(questions, told):
    """With its number, and what it may be."""
    with pytest.raises(ValueError, match=told):
        read_cases(questions)


def test_all_that_is_wrong_with_questions_is_told_together():
    """Not the first fault alone."""
    with pytest.raises(ValueError, match=r"question 0 is empty\nquestion 2 must be a text"):
        read_cases(["", "b?", 4])
    with pytest.raises(ValueError, match="expected has 1 answers for 2 questions"):
        read_cases(["a?", "b?"], [1])
    with pytest.raises(ValueError, match="expected must be a list"):
        read_cases(["a?"], "x")
    with pytest.raises(ValueError, match="inputs must be a dict"):
        read_cases(["a?"], inputs=[1])
