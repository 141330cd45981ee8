"""A workbook -> the cells of a sheet that have no value to read: errors, and formulas that nobody has computed.

Calamine gives such cells as empty ones, and what a row has empty it does not give: it would take its default. The XML
is looked through in pieces, for the marks of such cells alone.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from xml.etree import ElementTree

from bulkql.workers.errors import UnreadableFile

#: (Row, column), from 0 -> the error that the cell shows; "" for a formula without its value.
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


def in_sheet(path: Path, sheet: str) -> Iterator[Faults]:
    """What is found in the pieces of a sheet of XLSX."""
    with zipfile.ZipFile(path) as archive:
        if "content.xml" not in archive.namelist():
            yield from map(in_piece, pieces(archive, part_of(archive, sheet)))


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
    (workbook,) = [name for name in root_parts(archive) if name in archive.namelist()][:1] or ["xl/workbook.xml"]
    relations = str(PurePosixPath(workbook).parent / "_rels" / f"{PurePosixPath(workbook).name}.rels")
    ids = {
        element.get("name"): next(value for name, value in element.items() if name.endswith("}id"))
        for element in xml_of(archive, workbook).iter()
        if element.tag.endswith("}sheet")
    }
    targets = {element.get("Id"): element.get("Target") or "" for element in xml_of(archive, relations)}
    target = targets[ids[sheet]]
    return target.lstrip("/") if target.startswith("/") else str(PurePosixPath(workbook).parent / target)


def root_parts(archive: zipfile.ZipFile) -> Iterator[str]:
    """The workbook's own part."""
    for element in xml_of(archive, "_rels/.rels"):
        if (element.get("Type") or "").endswith("/officeDocument"):
            yield (element.get("Target") or "").lstrip("/")


def xml_of(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    with archive.open(name) as part:
        # Small, and of a file that calamine has read already; expat expands no entities without end.
        return ElementTree.fromstring(part.read(PART_BYTES))  # noqa: S314
