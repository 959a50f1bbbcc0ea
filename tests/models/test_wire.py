import json

import pytest

from compiler_nb.models.wire import EVENT_LIMIT, REPLY_LIMIT, Completion, ErrorObject, EventReader, WireError, usage_of
from compiler_nb.outcome import Usage
from tests.support.server import DONE, events_of, sse

TEXT = 'a = f("日本 é")\njoin(a)\n'
BODY = b"".join([*map(sse, events_of(TEXT, 3)), DONE])


def read(body, size):
    """Return the completion and its text, of a body that comes in pieces of `size` bytes."""
    reader, completion = EventReader(), Completion()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    text = "".join(completion.absorb(reader.feed(piece)) for piece in pieces)
    return text + completion.absorb(reader.close()), completion


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 10**6])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n"])
@pytest.mark.parametrize("begin", [b"data: ", b"data:", b": ping\n\nevent: x\nid: 1\ndata: "])
def test_any_chunking_gives_the_same_reply(size, end, begin):
    """Wherever the bytes are split, and however the events are written, text, finish and usage are the same."""
    body = b"".join(sse(event, begin, end) for event in [*events_of(TEXT, 3), "[DONE]"])
    text, completion = read(body, size)
    assert text == TEXT
    assert (completion.finish, completion.done, completion.broken) == ("stop", True, None)
    assert completion.usage == Usage(1, 10, len(TEXT))


def test_an_event_of_several_lines_is_one():
    """Data lines belong together until the blank line, as the standard has it."""
    event = json.dumps(events_of("ab", 2)[1], indent=1).encode()
    text, completion = read(b"data: " + event.replace(b"\n", b"\ndata: ") + b"\n\n" + DONE, 5)
    assert (text, completion.broken) == ("ab", None)


def test_a_body_that_just_ends_says_no_finish():
    """A cut reply is one without a finish."""
    text, completion = read(b"".join(map(sse, events_of(TEXT, 3)[:3])), 10)
    assert (text, completion.finish, completion.done, completion.ended) == (TEXT[:6], "", False, False)


@pytest.mark.parametrize(
    ("word", "finish"), [("stop", "stop"), ("LENGTH", "length"), ("max_tokens", "length"), ("eos", "stop")]
)
def test_finish_reasons_are_called_alike(word, finish):
    """Other servers' words become OpenAI's."""
    completion = Completion()
    completion.take(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}).encode())
    assert completion.finish == finish


def test_text_before_a_broken_event_is_kept():
    """What came whole counts; the rest of the bytes does not."""
    good = sse(events_of("ab", 2)[1])
    text, completion = read(good + b'data: {"choi\n\n' + good, 10**6)
    assert text == "ab"
    assert isinstance(completion.broken, WireError)


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b'"x"', b"{} {}", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_event_is_refused(payload):
    """Bytes that are no JSON object are an error of ours."""
    with pytest.raises(WireError):
        Completion().take(payload)


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "no"}},
        {"error": "no"},
        {"object": "error", "message": "no"},
        {"detail": "no"},
        {"choices": [], "error": {"code": 502}},
    ],
)
def test_an_error_object_is_told_from_an_event(event):
    """A provider may fail in the middle of a reply, in its own words."""
    with pytest.raises(ErrorObject):
        Completion().take(json.dumps(event).encode())


@pytest.mark.parametrize(
    "event",
    [
        {"choices": []},
        {"choices": None, "usage": {}},
        {"choices": [None, {}, {"delta": None}, {"delta": "x"}, {"delta": {"content": 3}}]},
        {"choices": [{"index": 1, "delta": {"content": "other"}}]},
        {"type": "ping"},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": []}, "finish_reason": None}]},
    ],
)
def test_events_without_text_are_passed_over(event):
    """Unknown fields, other choices and odd shapes are no text and no error."""
    assert Completion().take(json.dumps(event).encode()) == ""


def test_content_in_parts_is_joined():
    """Some servers send content as a list of parts."""
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert Completion().take(json.dumps({"choices": [{"message": {"content": parts}}]}).encode()) == "ab"


def test_reasoning_is_a_sign_of_life_and_no_text():
    """A thinking model is not silent."""
    completion = Completion()
    assert completion.take(b'{"choices": [{"delta": {"reasoning_content": "hm"}}]}') == ""
    assert completion.thinks


@pytest.mark.parametrize("size", [1_000, EVENT_LIMIT + 100])
def test_an_event_is_bounded(size):
    """One event over the limit is refused, in pieces and at once."""
    with pytest.raises(WireError, match="an event is over 1,000,000 bytes"):
        read(b'data: "' + b"x" * EVENT_LIMIT + b'"\n\n', size)


def test_a_reply_is_bounded():
    """Many events together are bounded as well."""
    piece = b": " + b"x" * 500_000 + b"\n"
    with pytest.raises(WireError, match="the reply is over 10,000,000 bytes"):
        read(piece * (REPLY_LIMIT // len(piece) + 2), 65536)


@pytest.mark.parametrize("usage", [None, [], "many", {"prompt_tokens": "3"}, {"prompt_tokens": 1}, {}])
def test_usage_without_numbers_is_none(usage):
    """What is not in numbers is not reported."""
    assert usage_of(usage) is None


def test_cached_tokens_are_read():
    """Cached input is part of the usage."""
    details = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    assert usage_of(details) == Usage(1, 9, 2, 8)


@pytest.mark.parametrize(
    ("details", "total", "received", "thought"),
    [
        ({"reasoning_tokens": 7}, 18, 9, 7),  # xAI: what it wrote is without what it thought
        (None, 18, 9, 7),  # Gemini: only the total tells
        ({"reasoning_tokens": 2}, 11, 2, 2),  # OpenAI: a part of what it wrote
        ({"reasoning_tokens": 1}, 18, 2, 1),  # a total that means something else
        (None, 3, 2, 0),
    ],
)
def test_reasoning_that_only_the_total_counts_is_output(details, total, received, thought):
    """It is sold as output, so it has to be counted as that."""
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": total, "completion_tokens_details": details}
    assert usage_of(usage) == Usage(1, 9, received, reasoning_tokens=thought)


@pytest.mark.parametrize(
    ("events", "name"),
    [
        ([{"model": "a"}, {"model": "b"}], "a"),
        ([{"model": ""}, {"model": "b"}], "b"),
        ([{"model": None}, {"model": 3}, {}], ""),
        ([{"model": "x" * 9_999}], "x" * 200),
    ],
)
def test_the_reply_says_which_model_it_is_from(events, name):
    """The first name that is given, bounded; anything else is none."""
    completion = Completion()
    completion.absorb([json.dumps({"choices": [], **event}).encode() for event in events])
    assert completion.model == name
