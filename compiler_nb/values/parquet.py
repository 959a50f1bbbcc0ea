"""Tables as Parquet, and back from bytes that anyone may have made.

Theory of operation
    A file of a few bytes may say that it holds a great deal: pages that are packed, runs of equal values, texts that
    are named again and again. So it is looked at before it is read. Pages are never packed, as ours are not; rows times
    columns are bounded; texts are read as a dictionary with numbers, and are only written out where their whole length
    is within the bound.
    What pandas has added to the schema says which types it is to make, by name. Those names, and those of time zones,
    are checked against what we know before pandas sees them: none of them leads to an import, a file or a call.
"""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.errors import HistoryError
from compiler_nb.values.footer import codecs
from compiler_nb.values.zones import is_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ALWAYS: Final = 200_000_000
"""Bytes that a table may take in any case."""
TIMES: Final = 20
"""How many times its own size a table may take."""
COLUMNS: Final = 10_000
"""Columns that a table may have; groups of rows times columns are bounded by ten times that."""
_NUMBER, _TEXT = 8, 32
"""Bytes that a number counts for, and a text beside its own."""
_FREQUENCY: Final = r"[A-Za-z0-9-]{1,20}"
_TYPE: Final = re.compile(
    r"object|str|string|bool|boolean|bytes|category|date|time|decimal|empty|unicode|mixed|mixed-integer|datetime"
    r"|u?int\d{1,2}|float\d{1,2}|UInt\d{1,2}|Int\d{1,2}|Float\d{1,2}|categorical|datetimetz|timedelta|integer|floating"
    r"|list\[empty\]|string\[(?:python|pyarrow)\]|(?:[a-z]\w{0,20})\[pyarrow\]"
    r"|(?:datetime64|timedelta64)(?:\[(?:s|ms|us|ns)\])?"
    rf"|period\[{_FREQUENCY}\]|interval\[(?:int64|float64|datetime64\[(?:s|ms|us|ns)\]), (?:left|right|both|neither)\]"
)
_ZONED: Final = re.compile(r"datetime64\[(?:s|ms|us|ns), (?P<zone>[^\]]{1,60})\]")
_EXTENSIONS: Final = ("pandas.period", "pandas.interval")


def write(frame: Any) -> bytes:
    """Return a table as Parquet; raises ImportError where pyarrow is not there, and what pyarrow raises."""
    from pyarrow import Table, parquet  # noqa: PLC0415 - an extra

    out = io.BytesIO()
    parquet.write_table(Table.from_pandas(frame), out, compression="none")  # a key in it would be found
    return out.getvalue()


def read(blob: bytes) -> Any:
    """Return the table; raises HistoryError, or what pyarrow and pandas raise, for bytes that are none."""
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    if codecs(blob) - {0}:
        raise HistoryError("a stored table is packed")
    most = max(ALWAYS, TIMES * len(blob))
    file = parquet.ParquetFile(io.BytesIO(blob))
    left = most - _room(file.metadata)
    if left < 0:
        raise HistoryError(f"a stored table would take more than {most:,} bytes")
    schema = file.schema_arrow
    for kind in schema.types:
        _check_kind(kind)
    _check_words((schema.metadata or {}).get(b"pandas"))
    texts = [each.path for each in _leaves(file.metadata) if each.physical_type == "BYTE_ARRAY"]
    table = parquet.ParquetFile(io.BytesIO(blob), read_dictionary=texts).read(use_threads=False)
    if sum(_length(chunk) for column in table.columns for chunk in column.chunks) > left:
        raise HistoryError(f"a stored table would take more than {most:,} bytes")
    return table.cast(schema).replace_schema_metadata(schema.metadata).to_pandas(use_threads=False)


# -------------------------------------------------------------------- sizes


def _leaves(metadata: Any) -> Iterator[Any]:
    for number in range(metadata.num_columns):
        yield metadata.schema.column(number)


def _room(metadata: Any) -> int:
    """Return the bytes that a table takes beside its texts; raises HistoryError where it is none of ours."""
    groups, columns = metadata.num_row_groups, metadata.num_columns
    if columns > COLUMNS or groups * columns > 10 * COLUMNS:
        raise HistoryError("a stored table has too many columns")
    width = 0
    for leaf in _leaves(metadata):
        if leaf.max_repetition_level:
            raise HistoryError("a stored table holds lists")
        width += _TEXT if leaf.physical_type == "BYTE_ARRAY" else max(_NUMBER, leaf.length)
    rows = 0
    for number in range(groups):
        group = metadata.row_group(number)
        chunks = [group.column(each) for each in range(columns)]
        if any(chunk.file_path for chunk in chunks):
            raise HistoryError("a stored table lies elsewhere")
        counts = [group.num_rows, *(chunk.num_values for chunk in chunks)]
        if min(counts) < 0:
            raise HistoryError("a stored table has less than no rows")
        rows += max(counts)
    return int(max(rows, metadata.num_rows) * max(width, _NUMBER))


def _length(array: Any) -> int:
    """Return the bytes of an array's texts, each counted as often as it is named."""
    from pyarrow import compute, types  # noqa: PLC0415 - an extra

    if types.is_struct(array.type):
        return sum(_length(array.field(number)) for number in range(array.type.num_fields))
    if not types.is_dictionary(array.type) or not _is_text(array.type.value_type):
        return 0
    lengths = compute.binary_length(array.dictionary).cast("int64").take(array.indices)
    return int(compute.sum(lengths).as_py() or 0)


def _is_text(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415 - an extra

    return any(each(kind) for each in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


# -------------------------------------------------------------------- names


def _check_kind(kind: Any) -> None:
    """Raise HistoryError for a type that is none of plain data, or in a time zone that there is not."""
    from pyarrow import BaseExtensionType, types  # noqa: PLC0415 - an extra

    if isinstance(kind, BaseExtensionType):
        if kind.extension_name not in _EXTENSIONS:
            raise HistoryError("a stored table has a column of an unknown type")
        _check_kind(kind.storage_type)
    elif types.is_dictionary(kind):
        _check_kind(kind.value_type)
    elif types.is_struct(kind):
        for number in range(kind.num_fields):
            _check_kind(kind.field(number).type)
    elif types.is_nested(kind) or types.is_run_end_encoded(kind):
        raise HistoryError("a stored table holds lists")
    elif types.is_timestamp(kind) and kind.tz is not None and not is_zone(kind.tz):
        raise HistoryError("a stored table names an unknown time zone")


def _check_words(raw: bytes | None) -> None:
    """Raise HistoryError where what pandas is told to make is none of what it writes itself."""
    said = json.loads(raw) if raw is not None else {}
    columns, indexes = said.get("columns", []), said.get("column_indexes", [])
    if len(indexes) > 1:
        raise HistoryError("a stored table has names of several levels")
    for each in (*columns, *indexes):
        _check_types((each["pandas_type"], each["numpy_type"]))
        zone = (each.get("metadata") or {}).get("timezone")
        if zone is not None and not is_zone(zone):
            raise HistoryError("a stored table names an unknown time zone")
    for index in said.get("index_columns", []):
        parts = [index[name] for name in ("start", "stop", "step")] if type(index) is dict else []
        if (type(index) is not str and not parts) or any(type(part) is not int for part in parts):
            raise HistoryError("a stored table has an unknown index")


def _check_types(names: Iterable[Any]) -> None:
    for name in names:
        zoned = _ZONED.fullmatch(name)
        if not (is_zone(zoned["zone"]) if zoned else _TYPE.fullmatch(name)):
            raise HistoryError(f"a stored table has a column of the unknown type {name[:40]!r}")
