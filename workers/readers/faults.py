"""A workbook -> the cells of a sheet that have no value to read: errors, formulas that nobody has computed, and dates
that are none.

Calamine gives the first two as empty ones, and what a row has empty it does not give: it would take its default. A
negative time is another one to it. The XML is looked through in pieces, for the marks of such cells alone.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from xml.etree import ElementTree

from bulkql.workers.errors import UnreadableFile

#: (Row, column), from 0 -> the error that the cell shows, or the number that is no date; "" for a formula without its
#: value.
Faults: TypeAlias = dict[tuple[int, int], str]

PIECE_BYTES = 4 * 1024 * 1024
#: Bytes that the workbook's own parts may have, which are read whole: names of sheets, and where they are.
PART_BYTES = 4 * 1024 * 1024
#: Bytes behind a piece that may belong to its last cell.
OVERLAP = 64 * 1024

#: Cells that are told one by one; a sheet with more of them is refused, and none of them are kept in memory.
MOST_FAULTS = 50_000
#: Bytes of a cell's tag.
TAG_BYTES = 1_000

# Nothing is tried again behind these patterns: what a sender writes could make that take for ever.
CELL = rb"<(?:\w++:)?c\s(?P<attributes>[^<>]*+)>"
FORMULA = rb"\s*+<(?:\w++:)?f\b[^<>]*+>(?:(?<=/>)|[^<]*+</(?:\w++:)?f>)\s*+"
ERROR = re.compile(CELL + rb"(?:" + FORMULA + rb")?+\s*+(?:<(?:\w++:)?v>(?P<shown>[^<]*+)</)?+")
UNCOMPUTED = re.compile(CELL + FORMULA + rb"(?:<(?:\w++:)?v(?:\s*+/>|>\s*+</(?:\w++:)?v>))?+\s*+</(?:\w++:)?c>")
#: A number without a date: a negative one, and in the years from 1900 the 29 February 1900.
DATELESS, DATELESS_OF_1900 = re.compile(rb"[<:]v>(?=-)"), re.compile(rb"[<:]v>(?=-|60(?:\.|<))")
NUMBER = re.compile(CELL + rb"(?:" + FORMULA + rb")?+\s*+<(?:\w++:)?v>(?P<number>[^<]*+)</")
STYLE = re.compile(rb"""\bs=["'](\d{1,6})["']""")
#: The formats that every workbook has for dates and times; and what in one of its own is none of the letters of a date.
DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)})
ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
KIND = re.compile(rb"""\bt=["'](\w+)["']""")
PLACE = re.compile(rb"""\br=["']([A-Z]{1,3})(\d{1,7})["']""")


def faults_of(path: Path, sheet: str, of_ods: Iterable[tuple[int, int, str]]) -> Faults:
    """The cells of a sheet that cannot be read; raises UnreadableFile where the file does not say which they are.

    Those of ODS have no names, and were counted by its decoder (decoding/opendocument.py).
    """
    found: Faults = {}
    for some in chain(in_sheet(path, sheet), ({(row, column): shown} for row, column, shown in of_ods)):
        found |= some
        if len(found) > MOST_FAULTS:
            raise UnreadableFile(
                f"The sheet {sheet!r} has more than {MOST_FAULTS:,} cells with errors, or with formulas that were "
                f"never computed; mend them, or open the file in a spreadsheet and save it."
            )
    return found


def is_number(shown: str) -> bool:
    """Whether it is what a cell shows that has a number, and no error."""
    return shown.startswith(("-", "6"))


def in_sheet(path: Path, sheet: str) -> Iterator[Faults]:
    """What is found in the pieces of a sheet of XLSX."""
    with zipfile.ZipFile(path) as archive:
        if "content.xml" not in archive.namelist():
            dates = Dates.of(archive)
            for piece in pieces(archive, part_of(archive, sheet)):
                yield in_piece(piece) | without_date(piece, dates)


@dataclass(frozen=True, slots=True)
class Dates:
    """The styles of a workbook's dates and times, and the numbers that are none."""

    styles: frozenset[int]
    dateless: re.Pattern[bytes]

    def is_date(self, attributes: bytes) -> bool:
        """Whether a cell has a number that it shows as a date or a time."""
        style, kind = STYLE.search(attributes), KIND.search(attributes)
        return style is not None and int(style[1]) in self.styles and (kind is None or kind[1] == b"n")

    @classmethod
    def of(cls, archive: zipfile.ZipFile) -> Dates:
        workbook = workbook_part(archive)
        pr = next((one for one in xml_of(archive, workbook).iter() if one.tag.endswith("}workbookPr")), None)
        is_of_1904 = pr is not None and pr.get("date1904") in ("1", "true", "on")
        name = str(PurePosixPath(workbook).parent / "styles.xml")
        styles = date_styles(archive, name) if name in archive.namelist() else frozenset()
        return cls(styles, DATELESS if is_of_1904 else DATELESS_OF_1900)


def date_styles(archive: zipfile.ZipFile, name: str) -> frozenset[int]:
    """The places of the cell formats that show numbers as dates or times; durations have any number."""
    formats, places = set(DATE_FORMATS), list[int]()
    in_cells = False
    with archive.open(name) as part:
        for event, element in ElementTree.iterparse(part, ("start", "end")):  # noqa: S314  (as in xml_of)
            tag = element.tag.rpartition("}")[2]
            if tag == "cellXfs":
                in_cells = event == "start"
            elif event == "start" and tag == "numFmt" and is_date_format(element.get("formatCode", "")):
                formats.add(int(element.get("numFmtId", 0)))
            elif event == "start" and tag == "xf" and in_cells:
                places.append(int(element.get("numFmtId", 0)))
    return frozenset(place for place, number in enumerate(places) if number in formats)


def is_date_format(code: str) -> bool:
    return not ELAPSED.search(code) and bool(re.search("[dmyhs]", LITERAL.sub("", code), re.IGNORECASE))


def without_date(piece: bytes, dates: Dates) -> Faults:
    """The cells whose numbers are to be dates or times, and are none."""
    found: Faults = {}
    first = 0
    for mark in dates.dateless.finditer(piece) if dates.styles else ():
        start = max(piece.rfind(beginning, first, mark.start()) for beginning in (b"<c ", b":c "))
        start = piece.rfind(b"<", first, start + 1)
        cell = NUMBER.match(piece, start) if start >= 0 else None
        # A formula may say v>-1, too.
        if cell is not None and cell.start("number") == mark.end() and dates.is_date(cell["attributes"]):
            found[place_of_cell(cell["attributes"])] = cell["number"].decode(errors="replace").strip()
        # No cell has two values, and nothing is looked at twice.
        first = mark.end()
    return found


def in_piece(piece: bytes) -> Faults:
    found: Faults = {}
    if b't="e"' in piece or b"t='e'" in piece:
        # Cells of one kind among all: their beginning is looked for, and no cell is parsed that is none.
        for mark in re.finditer(rb"""\st=["']e["']""", piece):
            cell = ERROR.match(piece, piece.rfind(b"<", max(0, mark.start() - TAG_BYTES), mark.start()))
            if cell is not None:
                found[place_of_cell(cell["attributes"])] = (cell["shown"] or b"#ERROR!").decode(errors="replace")
    if b"<f" in piece or b":f" in piece:
        for cell in UNCOMPUTED.finditer(piece):
            kind = KIND.search(cell["attributes"])
            # The value of ="" is an empty text.
            if kind is None or kind[1] not in (b"str", b"e"):
                found[place_of_cell(cell["attributes"])] = ""
    return found


def place_of_cell(attributes: bytes) -> tuple[int, int]:
    """The place of a cell, which writers may leave out; raises UnreadableFile."""
    place = PLACE.search(attributes)
    if place is None:
        raise UnreadableFile(
            "The sheet has cells with errors, or formulas without values; save it again in a spreadsheet."
        )
    column = 0
    for letter in place[1]:
        column = column * 26 + letter - ord("A") + 1
    return int(place[2]) - 1, column - 1


def pieces(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The bytes of a part, each piece with the end of the one before it."""
    with archive.open(name) as part:
        rest = b""
        while block := part.read(PIECE_BYTES):
            yield rest + block
            rest = block[-OVERLAP:]


def part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part of the archive that holds a sheet, as the workbook and its relations say."""
    workbook = workbook_part(archive)
    relations = str(PurePosixPath(workbook).parent / "_rels" / f"{PurePosixPath(workbook).name}.rels")
    ids = {
        element.get("name"): next(value for name, value in element.items() if name.endswith("}id"))
        for element in xml_of(archive, workbook).iter()
        if element.tag.endswith("}sheet")
    }
    targets = {element.get("Id"): element.get("Target") or "" for element in xml_of(archive, relations)}
    target = targets[ids[sheet]]
    part = target.lstrip("/") if target.startswith("/") else str(PurePosixPath(workbook).parent / target)
    # Spreadsheets find parts in any case.
    return next((name for name in archive.namelist() if name.lower() == part.lower()), part)


def workbook_part(archive: zipfile.ZipFile) -> str:
    """The workbook's own part."""
    return next((name for name in root_parts(archive) if name in archive.namelist()), "xl/workbook.xml")


def root_parts(archive: zipfile.ZipFile) -> Iterator[str]:
    """The parts that may be the workbook's own."""
    for element in xml_of(archive, "_rels/.rels"):
        if (element.get("Type") or "").endswith("/officeDocument"):
            yield (element.get("Target") or "").lstrip("/")


def xml_of(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    with archive.open(name) as part:
        # Small, and of a file that calamine has read already; expat expands no entities without end.
        return ElementTree.fromstring(part.read(PART_BYTES))  # noqa: S314
