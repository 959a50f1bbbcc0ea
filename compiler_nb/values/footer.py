"""How the pages of a Parquet file are packed, read from its footer by ourselves.

pyarrow ends the process where a number there is none of its codecs.
Source: the Parquet format's FileMetaData, in Thrift's compact protocol.
"""

from __future__ import annotations

from typing import Any, Final

from compiler_nb.errors import HistoryError

_DEEPEST: Final = 16
_GROUPS, _COLUMNS, _META, _CODEC = 4, 1, 3, 4
"""Fields: FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data, ColumnMetaData.codec."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


def codecs(blob: bytes) -> set[int]:
    """Return the numbers of the codecs that a file's columns are packed by, 0 for none; raises HistoryError."""
    size = int.from_bytes(blob[-8:-4], "little")
    if blob[-4:] != b"PAR1" or not 0 < size <= len(blob) - 8:
        raise HistoryError("a stored table is no Parquet")
    try:
        groups = _Reader(blob[-8 - size : -8]).struct().get(_GROUPS, [])
        return {column[_META][_CODEC] for group in groups for column in group[_COLUMNS]}
    except (IndexError, KeyError, TypeError, AttributeError):
        raise HistoryError("a stored table is no Parquet") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 63:  # noqa: PLR2004 - seven bits in a byte, 64 in a number
                return value

    def signed(self) -> int:
        value = self.number()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise HistoryError("a stored table is no Parquet")
        found: dict[int, Any] = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.signed()
            found[field] = self.value(head & 0x0F, depth, in_list=False)
        return found

    def value(self, kind: int, depth: int, *, in_list: bool) -> Any:  # noqa: PLR0911 - a line per kind
        if kind in (_TRUE, _FALSE):
            return self.byte() if in_list else kind
        if kind == _BYTE:
            return self.byte()
        if kind == _DOUBLE:
            self.at += 8
            return None
        if kind == _BINARY:
            size = self.number()
            self.at += size
            return None
        if kind in (_LIST, _SET):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.number()  # noqa: PLR2004 - then the count follows
            if count > len(self.data):
                raise IndexError
            if depth > _DEEPEST:
                raise IndexError
            return [self.value(head & 0x0F, depth + 1, in_list=True) for _ in range(count)]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind == _MAP:
            raise HistoryError("a stored table is no Parquet")
        return self.signed()
