"""What is sent as bytes, what goes beside it, and which values come home at once."""

from __future__ import annotations

from compiler_nb.engine.cluster.parcel import pack, pack_function, pack_small, unpack, unpack_function
from compiler_nb.outcome import Remote
from tests.support.cluster import BIG, numbers


def test_arguments_are_packed_with_what_goes_beside_them():
    """A value of the cluster, and what is large, are not in the bytes but named in them."""
    remote = Remote("a list", 10, None)
    parcel = pack("f", ([remote, 1],), {"x": "y"}, str)
    assert (len(parcel.data) < 300, parcel.beside) == (True, [remote])
    assert unpack(parcel.data, ["it"]) == ((["it", 1],), {"x": "y"})


def test_small_plain_data_comes_home_and_all_else_stays():
    """Objects of classes stay, however small."""
    assert [pack_small(value) is not None for value in (1, "a", [1, {"a": (2, None)}])] == [True] * 3
    assert [pack_small(value) for value in (numbers, {"a": object()}, list(range(BIG)), "x" * 20_000)] == [None] * 4


def test_a_tool_of_a_module_is_sent_by_its_name():
    """So what else stands in the module does not leave; a function of a cell is sent as it is."""
    data = pack_function("numbers", numbers.function)
    assert unpack_function(data) is numbers.function
    assert len(data) < 300
    local = pack_function("own", lambda x: x + 1)
    assert unpack_function(local)(1) == 2
