"""Arithmetic is evaluated as in a plan, within bounds, and every error names the part and the fix."""

from __future__ import annotations

import ast
import math
import operator
import sys
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler_nb.errors import ExpressionError
from compiler_nb.toolbox import calculate

NUMBERS = st.integers(0, 10**6).map(str) | st.floats(0.001, 1e6).map(repr)
TEXTS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", "-", "*", " / "]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-({})".format),
        st.tuples(inner, inner).map("max({0[0]}, {0[1]})".format),
        inner.map("abs({})".format),
    ),
    max_leaves=8,
)
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def oracle(node):
    """Compute a tree of the few kinds that are drawn."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=sign, right=right):
            return OPERATORS[type(sign)](oracle(left), oracle(right))
        case ast.UnaryOp(operand=operand):
            return -oracle(operand)
        case ast.Call(func=ast.Name(id=name), args=args):
            return {"max": max, "abs": abs}[name](*map(oracle, args))
    raise AssertionError(ast.dump(node))


@given(TEXTS)
def test_it_computes_as_python_does(text):
    """The same number of the same type, for any arithmetic."""
    try:
        expected = oracle(ast.parse(text, mode="eval").body)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="division by zero"):
            calculate(text)
        return
    value = calculate(text)
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10984 * 1.15 - 8376 * 0.80", 10984 * 1.15 - 8376 * 0.80),
        ("2 ** 10 // 3 % 7", 5),
        ("sqrt(2) + log(8, 2) + exp(0)", math.sqrt(2) + 3 + 1),
        ("log(e) * pi", math.pi),
        ("mean([1, 2, 6]) + mean(1, 2)", 4.5),
        ("round(sum([1.25, 2]), 1)", 3.2),
        ("min(3, 1) + abs(-3)", 4),
        ("1 < 2 <= 2", True),
        ("1 if 3 > 2 else 0", 1),
        ("not 1 or 2 > 1", True),
        ("2 \u00d7 3 \u2212 6 \u00f7 2", 3),
        (" 1\n +\u00a02 ", 3),
        ("1_000 + .5 + 1e3", 2000.5),
        ("17%5", 2),
        ("+".join(["1"] * 150), 150),
        (f"sum([{', '.join(['1'] * 2_000)}])", 2_000),
    ],
)
def test_what_it_knows(text, value):
    """Operators, comparisons, a few functions and two constants; the signs of print for times, divided by and minus."""
    assert calculate(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("2^3", r"\^: write \*\* for a power"),
        ("1,234.5 * 2", r"1,234: write a number without commas"),
        ("max(10,984, 8,376)", r"10,984: write a number without commas"),
        ("15% of 80", "15%: write 15/100"),
        ("100 * 15%", "15%: write 15/100"),
        ("5km + 1", "5km: write numbers in plain digits without units"),
        ("10 km * 2", r"km \* 2: .*units"),
        ("2(3)", r"2: .*between factors write \*"),
        ("2x", "2x: .*between factors"),
        ("$12 + 1", "currency"),
        ("x = 3", "without ="),
        ("x + 1", "x: this name is not known; use one of"),
        ("sin(1)", "sin: this function is not available; use one of"),
        ("math.sqrt(2)", "math.sqrt: this function is not available"),
        ("round(1.5, ndigits=1)", "="),
        ("sqrt(-1)", r"sqrt\(-1\): .*domain"),
        ("sqrt(1, 2)", r"sqrt\(1, 2\): TypeError"),
        ("mean([])", r"mean\(\[\]\): "),
        ("1 / (2 - 2)", r"division by zero"),
        ("(-8) ** (1/3)", "not a real number"),
        ("1e308 * 10", "too large"),
        ("1e999", "not finite"),
        ("9 ** 9 ** 9", "bits"),
        ("10 ** 100000", "bits"),
        ("[1, 2]", "more than one number"),
        ("1, 2", "more than one number"),
        ("3 +", "not arithmetic"),
        ("(3", "not arithmetic"),
        ("'a' * 3", "only numbers"),
        ("(1).real", r"\(1\)\.real: only numbers"),
        ("[x for x in (1, 2)]", "only numbers"),
        ("[1, 2][0]", "only numbers"),
        ("lambda: 1", "only numbers"),
        ("(y := 1)", "without ="),
        ("max(*[1, 2])", "one by one"),
        ("None", "more than one number"),
        ("\x00", "not arithmetic"),
        ("\ud800", "cannot be read"),
        ("9" * 400, "300 digits"),
    ],
)
def test_errors_name_the_part_and_the_mend(text, told):
    """Whatever people and models write instead of arithmetic."""
    with pytest.raises(ExpressionError, match=told):
        calculate(text)


@pytest.mark.parametrize(
    "text",
    ["-" * 9_000 + "1", "(" * 3_000 + ")" * 3_000, "1+" * 4_000 + "1", "not " * 2_000 + "1", "[" * 9_999, "9" * 9_999,
     "1" + "<1" * 4_000, "abs(" * 2_000 + "1" + ")" * 2_000, "2**" * 3_000 + "2", "1 if 1 else " * 800 + "1",
     "x" * 9_999, "9" * 10_001, "1." * 5_000, "." * 9_999, " %" * 4_000, "1%" * 4_000, "1_" * 4_000],
)  # fmt: skip
def test_nothing_overflows_the_stack(text):
    """Depth and length are checked before the parser sees the text, in a thread with a small stack, too."""
    ended = []

    def work():
        with pytest.raises(ExpressionError):
            calculate(text)
        ended.append(text)

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert ended


@given(st.text(max_size=40) | st.text(st.sampled_from("0123456789.,+-*/%()[]<>=! eE_aif\u00d7\u2212"), max_size=60))
def test_any_text_gives_a_number_or_an_error(text):
    """Nothing else comes out, whatever goes in."""
    try:
        value = calculate(text)
    except ExpressionError:
        return
    assert type(value) in (int, float, bool)
    assert math.isfinite(value)


def test_nothing_is_executed():
    """No import, no file, no compiled code beyond the parser's own tree."""
    seen = []
    watching = True

    def audit(event, args):
        if watching and event in ("exec", "import", "open", "os.system", "subprocess.Popen"):
            seen.append((event, args))

    sys.addaudithook(audit)
    for text in ("__import__('os').system('x')", "open('x')", "exec('1')", "max(1, 2)", "().__class__"):
        with suppress(ExpressionError):
            calculate(text)
    watching = False
    assert not seen


def test_what_a_planner_reads():
    """Two short lines."""
    assert calculate.pure
    assert calculate.signature == "calculate(expression: str) -> float"
    assert len(calculate.description) < 200
