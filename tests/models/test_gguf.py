"""A file says what it is, and one that is no model is refused before anything is loaded."""

import struct
from contextlib import suppress

import pytest

from compiler_nb.models.gguf import NotGguf, read_header


def text(value):
    """Return a text as GGUF writes it."""
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(*keys, version=3, count=None):
    """Return the beginning of a file with these keys, each a name, the code of a type, and the packed value."""
    head = b"GGUF" + struct.pack("<IQQ", version, 0, len(keys) if count is None else count)
    return head + b"".join(text(name) + struct.pack("<I", kind) + value for name, kind, value in keys)


FACTS = (
    ("general.architecture", 8, text("llama")),
    ("general.name", 8, text("Tiny")),
    ("general.size_label", 8, text("2M")),
    ("llama.context_length", 4, struct.pack("<I", 2048)),
)


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a file with these bytes."""

    def write(data):
        path = tmp_path / "model.gguf"
        path.write_bytes(data)
        return path

    return write


def test_a_file_says_its_name_its_size_and_its_context(file):
    """Lists between them are skipped; the tokenizer's come last, and are not read, however broken they are."""
    tags = ("general.tags", 9, struct.pack("<IQ", 8, 2) + text("chat") + text("en"))
    found = read_header(file(gguf(tags, *FACTS, ("tokenizer.ggml.tokens", 9, b"\xff" * 40))))
    assert (found.title, found.context, found.size) == ("Tiny, 2M parameters", 2048, "1 MB")


def test_a_file_that_says_nothing_is_known_by_its_name(file):
    """No key is required."""
    found = read_header(file(gguf()))
    assert (found.title, found.context) == ("model", 0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"hello, world", "it begins with b'hell'"),
        (b"version https://git-lfs.github.com/spec/v1\noid ", "git lfs pull"),
        (b"GGUF", "damaged or cut off"),
        (gguf(*FACTS)[:-30], "cut off"),
        (gguf(version=1), "its version of GGUF is 1"),
        (gguf(count=2**60), "keys, so its beginning is damaged"),
        (gguf(("a", 8, struct.pack("<Q", 2**60))), "a text of"),
        (gguf(("a", 9, struct.pack("<IQ", 8, 2**60))), "values in a list"),
        (gguf(("a", 9, struct.pack("<IQ", 9, 1) * 5_000)), "damaged"),
        (gguf(("a", 77, b"")), "unknown type 77"),
        (gguf(("a", 8, struct.pack("<Q", 2) + b"\xff\xff")), "damaged"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_the_reason(file, data, words):
    """Whatever the bytes are, they are a NotGguf that says what is wrong."""
    with pytest.raises(NotGguf, match=words):
        read_header(file(data))


def test_a_folder_is_pointed_at_the_file_in_it(file):
    """Many a model is downloaded as a folder."""
    path = file(gguf())
    with pytest.raises(NotGguf, match=r"it is a folder.*such as .*model\.gguf"):
        read_header(path.parent)


def test_every_cut_and_many_damages_are_named(file):
    """No damage raises anything else: the beginning is cut at every byte, and each byte is changed."""
    whole = gguf(*FACTS)
    damaged = [whole[:at] for at in range(len(whole))]
    damaged += [whole[:at] + bytes([value]) + whole[at + 1 :] for at in range(len(whole)) for value in (0, 9, 255)]
    for data in damaged:
        with suppress(NotGguf):
            read_header(file(data))
