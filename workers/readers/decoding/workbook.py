"""A sheet of a workbook (XLSX, ODS) -> Arrow streams of texts; run by process.py, which bounds its memory.

First H and {sheet, left, line, names} as JSON: the sheet's name, the place of its first column, the header's row, and
the names in it, "" for columns without one; then H and the cells of ODS without a value, as opendocument.py finds them,
which may take as long again. Then, once a line of JSON has told the kind of each column's values (null for one to leave
out) and which empty rows are some all the same, F and an Arrow stream for each frame, and Z.
A frame has a column for each that is wanted, called by its place in the header; LINE, the row of the sheet; and
FAULTS: null, or what cannot be read of a row as JSON, [[place or null, message, what the cell shows], ...].
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

# As neighbours: process.py knows of no bulkql.
from .opendocument import Merge, looked_through, readable
from .values import DURATION_OF_1900, DURATION_OF_1904, EXACT, cell_text, column_texts, is_filled

LINE = "__line"
FAULTS = "__faults"
#: Cells of a frame.
FRAME_CELLS = 200_000
#: Where every spreadsheet ends, at XFD. A damaged place of a cell may be any number.
MOST_COLUMNS = 16_384
#: What begins each cell of the line below the header in which a template says what its columns are.
HELP = "\N{CIRCLED LATIN SMALL LETTER I}"
TOO_EXACT = "Number cells keep 15 digits, and this one has more: format it as text, and type it again."
#: Kinds of columns that take them as they are: floats, and what is left out.
INEXACT = ("float", "marked float", "ignored")
#: Says that days are counted from the other one.
IS_APPLE = re.compile(rb"""\bdate1904\s*=\s*["'](?:1|true|on)["']""")

#: Calamine tells the two by their endings.
XLSX_SUFFIX, ODS_SUFFIX = ".xlsx", ".ods"
#: Bytes of XML for each byte of memory: a cell has more as XML than in memory, but for empty ones.
XML_BYTES = 4


class Unsuitable(Exception):
    """A file that is whole, and has no such sheet or is no such workbook: (what it is)."""

    letter = "S"


def messages(
    path: str, sheet: str | None, header_row: int | None, memory_bytes: int, frame_bytes: int, most_faults: int
) -> Iterator[tuple[bytes, Any]]:
    """The header; and the rows of the columns that are wanted."""
    # Its kind is looked at first, and told by the name: calamine would try all that it knows.
    suffix = suffix_of_workbook(path, memory_bytes)
    path = linked(path, suffix)
    from python_calamine import CalamineWorkbook

    is_ods = suffix == ODS_SUFFIX
    workbook = CalamineWorkbook.from_path(readable(path) if is_ods else path)
    name = chosen(workbook, sheet)
    duration_kind = duration_kind_of(path)
    rows = workbook.get_sheet_by_name(name)
    found = Sheet(rows, name, header_row)
    yield b"H", json.dumps(found.header()).encode()
    faults, merges = looked_through(path, name, most_faults) if is_ods else ([], rows.merged_cell_ranges)
    found.merge(merges or [])
    yield b"H", json.dumps(faults).encode()
    wanted = json.loads(sys.stdin.readline() or "{}")
    if wanted:
        kinds = [duration_kind if kind == "duration" else kind for kind in wanted["kinds"]]
        for frame in found.frames(kinds, frozenset(wanted["lines"])):
            for part in batch_halves(frame, frame_bytes):
                yield b"F", part
    yield b"Z", b""


def suffix_of_workbook(path: str, memory_bytes: int) -> str:
    """The kind of a workbook that can be read, by the names and sizes of its parts."""
    with open(path, "rb") as file:  # noqa: PTH123
        beginning = file.read(8)
    if beginning == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise Unsuitable("This is a workbook with a password, or of Excel 97 (.xls); save it as .xlsx, without one")
    if not zipfile.is_zipfile(path):
        raise Unsuitable("This is not a workbook: it is neither XLSX nor ODS")
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        size = sum(one.file_size for one in archive.infolist() if one.filename.endswith((".xml", ".bin")))
    if "xl/workbook.bin" in names:
        raise Unsuitable("This is a binary workbook (.xlsb); save it as .xlsx")
    if not names & {"[Content_Types].xml", "content.xml"}:
        raise Unsuitable("This is a ZIP archive, but not a workbook")
    if size > XML_BYTES * memory_bytes:
        raise MemoryError
    # Not by its MIME type: some tools deflate that too, or store it behind other parts.
    return XLSX_SUFFIX if "[Content_Types].xml" in names else ODS_SUFFIX


def linked(path: str, suffix: str) -> str:
    """The same file under a name with this ending."""
    link = Path(path).with_suffix(suffix)
    link.symlink_to(path)
    return str(link)


def duration_kind_of(path: str) -> str:
    """The kind of durations that are formatted as dates: these are counted from a day that the workbook names."""
    with zipfile.ZipFile(path) as archive:
        if "content.xml" in archive.namelist():
            return "duration"
        # Whatever its folder: there is one of this name.
        names = [name for name in archive.namelist() if name.lower().endswith("workbook.xml")]
        is_apple = any(IS_APPLE.search(archive.read(name)) for name in names)
    return DURATION_OF_1904 if is_apple else DURATION_OF_1900


def chosen(workbook: Any, wanted: str | None) -> str:
    """The name of a sheet: as asked, or the first that is not hidden."""
    sheets = [one for one in workbook.sheets_metadata if str(one.typ).endswith("WorkSheet")]
    if not sheets:
        raise Unsuitable(
            "The workbook has no sheet that can be read; save it again in a spreadsheet, or send it as CSV"
        )
    visible = [one.name for one in sheets if str(one.visible).endswith(".Visible")]
    if wanted is None:
        if not visible:
            raise Unsuitable("All sheets of the workbook are hidden; name one with `sheet`")
        return str(visible[0])
    # No two sheets differ in nothing but capitals.
    found = [one.name for one in sheets if one.name.casefold() == wanted.strip().casefold()]
    if not found:
        known = ", ".join(f"{one.name!r}{'' if one.name in visible else ' (hidden)'}" for one in sheets[:20])
        raise Unsuitable(f"The workbook has no sheet {wanted!r}; it has {known}")
    return str(found[0])


class Sheet:
    """A sheet whose header is known, and whose rows are read once."""

    def __init__(self, sheet: Any, name: str, header_row: int | None) -> None:
        self._name = name
        self._left: int = sheet.start[1] if sheet.start else 0
        # From the first row of the sheet on, whether it is used or not; but from its first used column.
        self._rows = enumerate(sheet.iter_rows())
        self._line, self._names = self._find_header(name, header_row)
        self._merged: list[Merge] = []
        #: The values of merges that go on in the next frame.
        self._carried: dict[Merge, Any] = {}

    def merge(self, merges: list[Merge]) -> None:
        """The cells that are merged."""
        self._merged = [one for one in merges if one[1][0] > self._line]

    def header(self) -> dict[str, Any]:
        return {"sheet": self._name, "left": self._left, "line": self._line, "names": self._names}

    def _find_header(self, name: str, header_row: int | None) -> tuple[int, list[str]]:
        """The names of columns: those in the row that was named, or in the first that has any."""
        for line, row in self._rows:
            if any(map(is_filled, row)) if header_row is None else line == header_row - 1:
                if len(row) > MOST_COLUMNS:
                    told = f"The sheet {name!r} has {len(row):,} columns; no spreadsheet has over {MOST_COLUMNS:,}"
                    raise Unsuitable(f"{told}. Delete those beside the data, or send it as CSV")
                names = [cell_text(value, "text").strip() for value in row]
                if not any(names):
                    raise Unsuitable(f"Row {header_row} of the sheet {name!r} is empty; `headerRow` names the header's")
                return line, names
        if header_row is None:
            raise Unsuitable(f"The sheet {name!r} is empty; a sheet begins with a header")
        raise Unsuitable(f"The sheet {name!r} ends before row {header_row}, where `headerRow` says that its header is")

    def frames(self, kinds: list[str | None], kept: frozenset[int]) -> Iterator[Any]:
        """The rows behind the header, as tables of texts; those without a value are none, but for the ones to keep."""
        size = max(1, FRAME_CELLS // max(1, len(kinds)))
        last, is_first = self._line, True
        while batch := list(islice(self._rows, size)):
            last = batch[-1][0]
            batch = without_help(batch) if is_first else batch
            is_first = False
            rows = {line: list(row) for line, row in batch if line in kept or any(map(is_filled, row))}
            if rows:
                yield self._frame(rows, kinds)
        # Those that calamine does not count among the sheet's.
        if beyond := {line: [""] * len(kinds) for line in sorted(kept) if line > last}:
            yield self._frame(beyond, kinds)

    def _frame(self, rows: dict[int, list[Any]], kinds: list[str | None]) -> Any:
        import pyarrow as pa

        found: dict[int, list[Any]] = {}
        for merge in self._merged:
            self._spread(merge, rows, kinds, found)
        columns = list(zip(*rows.values(), strict=True))
        texts: dict[str, Any] = {}
        for place, (values, kind) in enumerate(zip(columns, kinds, strict=True)):
            if kind is not None:
                self._mark_inexact(rows, values, place, kind, found)
                texts[str(place)] = pa.array(column_texts(values, kind), pa.string())
            elif not self._names[place]:
                self._mark_unnamed(rows, values, place, found)
        told = [json.dumps(found[line]) if line in found else None for line in rows]
        lines = [line + 1 for line in rows]
        return pa.record_batch({**texts, LINE: pa.array(lines, pa.int64()), FAULTS: pa.array(told, pa.string())})

    def _spread(
        self, merge: Merge, rows: dict[int, list[Any]], kinds: list[str | None], found: dict[int, list[Any]]
    ) -> None:
        """The value of merged cells is that of each of their rows; of several columns, it is nobody's."""
        (top, left), (bottom, right) = merge
        lines = range(max(top, next(iter(rows))), min(bottom, next(reversed(rows))) + 1)
        if left == right:
            for line in filter(rows.__contains__, lines):
                if line == top:
                    self._carried[merge] = rows[line][left - self._left]
                rows[line][left - self._left] = self._carried.get(merge, "")
        elif sum(kind is not None for kind in kinds[left - self._left : right - self._left + 1]) > 1:
            cells = f"{letters_of(left)}{top + 1}:{letters_of(right)}{bottom + 1}"
            message = (
                f"The cells {cells} are merged over several columns; it is not clear which column has their value."
            )
            for line in filter(rows.__contains__, lines):
                found.setdefault(line, []).append([None, message, None])

    def _mark_inexact(
        self, lines: Iterable[int], values: tuple[Any, ...], place: int, kind: str, found: dict[int, list[Any]]
    ) -> None:
        """Whole numbers with more digits than a cell keeps; as floats they are what they say."""
        if kind in INEXACT:
            return
        for line, value in zip(lines, values, strict=True):
            if type(value) is float and not abs(value) < EXACT:
                message = TOO_EXACT if isfinite(value) else "This is no number; correct it."
                found.setdefault(line, []).append([place, message, cell_text(value, kind)])

    def _mark_unnamed(
        self, lines: Iterable[int], values: tuple[Any, ...], place: int, found: dict[int, list[Any]]
    ) -> None:
        """Values of a column that has no name."""
        for line, value in zip(lines, values, strict=True):
            if is_filled(value):
                name = f"{letters_of(self._left + place)}{line + 1}"
                message = f"The cell {name} has a value, and its column no name in the header (row {self._line + 1})."
                found.setdefault(line, []).append([None, message, cell_text(value, "text")])


def without_help(batch: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Rows without the line of help below a template's header."""
    _, first = batch[0]
    texts = [value for value in first if is_filled(value)]
    is_help = bool(texts) and all(isinstance(text, str) and text.startswith(HELP) for text in texts)
    return batch[1:] if is_help else batch


def letters_of(column: int) -> str:
    """0 -> A, 26 -> AA, 16383 -> XFD."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def batch_halves(batch: Any, frame_bytes: int) -> Iterator[Any]:
    """A batch, or its halves, where it has more bytes than a frame should."""
    if batch.nbytes > frame_bytes and batch.num_rows > 1:
        middle = batch.num_rows // 2
        yield from batch_halves(batch.slice(0, middle), frame_bytes)
        yield from batch_halves(batch.slice(middle), frame_bytes)
    else:
        yield batch
