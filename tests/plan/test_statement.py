"""Where a statement ends, and the one budget of depth that all of its tokens are paid from."""

from __future__ import annotations

import ast
import contextlib
import threading
import warnings

import pytest

from compiler_nb.plan import check
from compiler_nb.plan.statement import FIELDS, OPERATORS, Depth, Statement, parse_syntax
from tests.support.plans import Reading


def lines(text: str) -> list[bool]:
    """Return after each line whether the statement goes on; a statement that ended is followed by a new one."""
    statement, told = Statement(), []
    for line in text.splitlines(keepends=True):
        told.append(statement.add(line))
        statement = statement if told[-1] else Statement()
    return told


def wrong(text: str) -> str:
    """Return the kind of limit that a statement breaks, "" if it breaks none."""
    statement = Statement()
    for line in text.splitlines(keepends=True):
        statement.add(line)
    return statement.wrong.kind if statement.wrong else ""


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [
        ("a = f(1)\n", [False]),
        ("a = f(\n  1, [\n])\n", [True, True, False]),
        ("a = f(  # not ( open\n)\n", [True, False]),
        ("a = '(['\n", [False]),
        ('a = """(\n"\n\\"""\n"""\n', [True, True, True, False]),
        ("a = '''x''' + f'''{\n1}''' + (\n2)\n", [True, True, False]),
        ("a = 1 + \\\n2\n", [True, False]),
        ("a = f('it is open\n", [False]),  # the parser says that the string does not end
        ("a = 'it is open \\\n", [False]),
        ("a = )(\n)\n", [True, False]),
    ],
)
def test_a_statement_ends_at_a_line_feed_outside_strings_and_brackets(text, goes_on):
    """What stands in strings and comments opens nothing; an unended string ends with its line."""
    assert lines(text) == goes_on


@pytest.mark.parametrize(
    "nest",
    [
        lambda n: "not " * n + "a",
        lambda n: "-" * n + "a",  # each sign of a run nests
        lambda n: "1 if 1 else " * (n // 2) + "a" + " + a" * (n % 2),
        lambda n: "1if 1else " * (n // 2) + "a" + " + a" * (n % 2),  # a number may touch the word behind it
        lambda n: "a" + " + a" * n,
        lambda n: "a" + ".x" * n,
        lambda n: "0or " * n + "a",
        lambda n: "lambda a: 0, " * n + "a",  # commas end nothing in a lambda, whose own they may be
    ],
)
@pytest.mark.parametrize("where", ["x = {}\n", 'x = f"{{{}}}"\n', "x = [f'''\n{{0}} {{[{}]}}''']\n"])
def test_operators_are_paid_wherever_they_stand(nest, where):
    """In a statement and in the fields of its f-strings alike: as many as the budget has, and no more."""
    assert not wrong(where.format(nest(OPERATORS - 5)))  # the others stand in the line around it
    assert wrong(where.format(nest(OPERATORS + 1))) == "too_deep"


def test_a_comma_pays_back_what_is_pending_before_it():
    """A long list of sums is not deep."""
    assert not wrong(f"x = [{'a + b, ' * 1_000}]\n")
    assert not wrong('x = f"' + "{a + b} - " * FIELDS + '"\n')


def test_an_fstring_is_paid_from_the_depth_of_its_statement():
    """Half of the budget outside and half inside is all of it."""
    half = "not " * (OPERATORS // 2)
    assert not wrong(f"x = {half[8:]} f'{{{half[8:]} a}}'\n")
    assert wrong(f"x = {half} f'{{{half} a}}'\n") == "too_deep"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('x = f"{a[0]} {{ {b!r:>{w}}"\n', ""),
        ("x = f\"{a['k']:'^9}\"\n", ""),
        ('x = "{a[0"\n', ""),
        ('x = f"{a["k"]}"\n', "fstring"),
        ('x = rF"{a["\n', "fstring"),
        ('x = f"""{a\n["k"]}"""\n', ""),
        ('x = f"' + "{a}" * FIELDS + '"\n', ""),
        ('x = f"' + "{a}" * (FIELDS + 1) + '"\n', "too_large"),
        ("x = " + "[" * check.DEPTH_LIMIT + "]" * check.DEPTH_LIMIT + "\n", ""),
        ("x = " + "[" * (check.DEPTH_LIMIT + 1) + "]" * (check.DEPTH_LIMIT + 1) + "\n", "too_deep"),
        ('x = f"' + "{" + "(" * 19 + ")" * 19 + "}" + '"\n', ""),
        ('x = f"' + "{" + "(" * 20 + ")" * 20 + "}" + '"\n', "too_deep"),
        ("ﬁle = f(1)\n", "bad_name"),
        ("x = 'ﬁle'\n", ""),
    ],
)
def test_the_limits_of_a_statement(text, kind):
    """Brackets, fields, fields that do not end, and names that Python would change."""
    assert wrong(text) == kind


@pytest.mark.slow
@pytest.mark.parametrize("nest", ["not ", "-", "1if 1else ", "0or ", "~", "a.b[0]+", "lambda a,b:"])
@pytest.mark.parametrize("where", ["{}", 'f"{{{}}}"', "max([1], key=lambda a: {})"])
@pytest.mark.parametrize("times", [150, 400, 1_000, 30_000])
def test_no_text_is_too_deep_for_what_reads_it(nest, where, times):
    """Deep texts are plans or problems; none overflows a stack, and each takes a moment."""
    read = Reading([f"answer({where.format(nest * times + '1')})\n"], "python")
    assert read.problems or read.plan.explain()


def test_far_too_many_brackets_end_a_statement_sooner():
    """A text that opens hundreds of brackets is one problem, and what follows is read."""
    told = lines("x = " + "(" * 100 + ")" * 60 + "\ny = f(1)\n")
    assert told == [False, False]


def test_a_depth_tells_what_there_is_too_much_of():
    """It stays over once it is; a closing bracket too many changes nothing."""
    depth = Depth()
    depth.take("close")
    for _ in range(check.DEPTH_LIMIT):
        depth.take("open")
    assert not depth.over
    depth.take("open")
    depth.take("close")
    assert depth.over == "brackets"
    depth = Depth()
    for _ in range(OPERATORS + 1):
        depth.take("operator")
    assert depth.over == "operators"


def test_statements_and_expressions():
    """What comes back is the tree of the text."""
    assert isinstance(parse_syntax("a = f(1)\n", "single").body[0], ast.Assign)
    assert isinstance(parse_syntax("1 + 2", "eval").body, ast.BinOp)
    with pytest.raises(SyntaxError):
        parse_syntax("a = f(\n", "single")


def test_no_warning_gets_out():
    """An escape that is not valid is for the planner to fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_syntax("a = f('\\d', 1if x else 2)\n", "single").body


@pytest.mark.slow
def test_threads_that_parse_at_once():
    """CPython counts the depth of all threads' parsing together; ours, beside a foreign one, all get their trees."""
    text = "a = f(" + "[" * 15 + "x" + "]" * 15 + ", " + ", ".join(f"g({n}, (1, 2))" for n in range(40)) + ")\n"
    faults: list[BaseException] = []
    done = threading.Event()

    def ours() -> None:
        try:
            for _ in range(150):
                parse_syntax(text, "single")
        except BaseException as error:  # noqa: BLE001 - shown below
            faults.append(error)

    def foreign() -> None:
        while not done.is_set():
            with contextlib.suppress(SystemError):  # what we guard against
                ast.parse(text)

    other = threading.Thread(target=foreign)
    threads = [threading.Thread(target=ours) for _ in range(4)]
    for thread in (other, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    other.join()
    assert not faults
