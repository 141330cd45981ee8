"""An ODS file -> one that calamine reads whole, and the cells that have no value to read; imported by workbook.py.

Calamine passes over tabs and line breaks within a text, over texts of cells without a type, and over digits of a
second that it does not keep; what is drawn in a cell is part of its text to it. Cells with errors, and formulas that
nobody has computed, are empty ones.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from html import escape
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

#: The first and the last cell: their rows and columns.
Merge: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
CONTENT = "content.xml"
PIECE_BYTES = 4 * 1024 * 1024
CELL_END = b"</table:table-cell>"
#: An element that calamine passes over -> what it says, as XML has it within a text.
BREAK = re.compile(rb"<text:(tab|line-break)\b[^<>]*+(?:(?<=/)>|></text:\1>)")
BREAKS = {b"tab": b"&#9;", b"line-break": b"&#10;"}
#: What stands in a cell and is none of its text: drawings with their captions, and how a text is spoken.
DRAWN = re.compile(rb"<(draw:[\w-]++|text:ruby-text)\b[^<>]*+(?:(?<=/)>|>.*?</\1>)", re.DOTALL)
#: A cell without a type, which has a text; what it was computed from tells the others apart.
UNTYPED = re.compile(
    rb"<table:table-cell((?:\s++(?!office:value-type|table:formula)[\w:-]++=\"[^\"<>]*+\")*+\s*+)>(?=<text:p)"
)
#: A moment or a duration with more digits of a second than anybody keeps. Spreadsheets compute with days.
FRACTION = re.compile(rb"office:(date|time)-value=\"([^\"<>]*?)\.([0-9]{7,40})(S?)\"")

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
CALCEXT = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
#: What a sheet has whose elements have to be looked at one by one.
SIGNS = re.compile(rb"table:formula=|calcext:value-type=\"error\"|-spanned=\"(?!1\")")
#: A part of a text that is written as it stands.
CDATA = re.compile(rb"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
#: What a cell shows whose error is not told.
ERROR = "#ERROR!"
CELLS = (f"{TABLE}table-cell", f"{TABLE}covered-table-cell")
#: Where a cell of each type has its value.
VALUES = {
    "float": f"{OFFICE}value",
    "percentage": f"{OFFICE}value",
    "currency": f"{OFFICE}value",
    "date": f"{OFFICE}date-value",
    "time": f"{OFFICE}time-value",
    "boolean": f"{OFFICE}boolean-value",
}
#: What a formula shows that came to nothing, where its type does not say so.
SHOWN_ERROR = re.compile(r"#(?:N/A|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!)|Err:[0-9]{3}")

DOUBTS = (BREAK, UNTYPED, FRACTION, CDATA, DRAWN)


def readable(path: str) -> str:
    """The file, or a copy of it in which calamine passes over nothing."""
    with zipfile.ZipFile(path) as archive:
        if not any(doubt.search(piece) for piece in pieces(archive) for doubt in DOUBTS):
            return path
        copy = str(Path(path).with_name("readable.ods"))
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as changed:
            changed.writestr("mimetype", archive.read("mimetype"), zipfile.ZIP_STORED)
            if "META-INF/manifest.xml" in archive.namelist():
                changed.writestr("META-INF/manifest.xml", archive.read("META-INF/manifest.xml"))
            with changed.open(CONTENT, "w", force_zip64=True) as content:
                for piece in pieces(archive):
                    content.write(written_out(piece))
    return copy


def pieces(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """The sheets' XML in pieces, each of which ends behind a cell, or is the last."""
    with archive.open(CONTENT) as part:
        rest = b""
        while block := part.read(PIECE_BYTES):
            rest += block
            end = rest.rfind(CELL_END) + len(CELL_END)
            if end >= len(CELL_END):
                yield rest[:end]
                rest = rest[end:]
        yield rest


def written_out(xml: bytes) -> bytes:
    xml = DRAWN.sub(b"", xml)
    xml = CDATA.sub(lambda found: escape(found[1].decode()).encode(), xml)
    xml = BREAK.sub(lambda found: BREAKS[found[1]], xml)
    xml = UNTYPED.sub(rb'<table:table-cell\1 office:value-type="string">', xml)
    return FRACTION.sub(lambda found: rounded(found[0], *(found[place].decode() for place in (1, 2, 3, 4))), xml)


def rounded(whole: bytes, kind: str, before: str, digits: str, unit: str) -> bytes:
    """A value to the microsecond next to it: 01:02:02.999999998 is what adding up days makes of 01:02:03."""
    micros = int((Decimal(f"0.{digits}") * 1_000_000).to_integral_value(ROUND_HALF_EVEN))
    if micros < 1_000_000:
        return f'office:{kind}-value="{before}.{micros:06}{unit}"'.encode()
    try:
        if kind == "date":
            return f'office:date-value="{(datetime.fromisoformat(before) + timedelta(seconds=1)).isoformat()}"'.encode()
        hours, minutes, seconds = map(int, re.fullmatch(r"PT([0-9]+)H([0-9]+)M([0-9]+)", before).groups())  # type: ignore[union-attr]
    except (ValueError, OverflowError, AttributeError):
        return whole
    minutes, seconds = divmod(3600 * hours + 60 * minutes + seconds + 1, 60)
    hours, minutes = divmod(minutes, 60)
    return f'office:time-value="PT{hours:02}H{minutes:02}M{seconds:02}S"'.encode()


def looked_through(path: str, sheet: str, most: int) -> tuple[list[tuple[int, int, str]], list[Merge]]:
    """The cells of a sheet without a value to read, and those that are merged; places are counted from 0.

    Row, column, and the error that the cell shows, which is "" for a formula that nobody has computed; one more than
    `most` of them, and no more are looked for. Of merged cells the first and the last: their rows and columns.
    """
    found: list[tuple[int, int, str]] = []
    with zipfile.ZipFile(path) as archive:
        if not any(SIGNS.search(piece) for piece in pieces(archive)):
            return [], []
        table = Table(sheet)
        parser = ElementTree.XMLParser(target=table)  # noqa: S314  (expat expands no entities without end)
        for piece in pieces(archive):
            parser.feed(piece)
            found += islice(table.take(), most + 1 - len(found))
            if len(found) > most:
                break
    return found, table.merges


class Table:
    """Takes the elements of all sheets, and counts the cells of one."""

    def __init__(self, sheet: str) -> None:
        self._sheet = sheet
        self._is_inside = False
        #: Where the next cell is, and how many rows this one stands for.
        self._row = self._column = 0
        self._repeated = 1
        #: What is known of a cell that may have no value: an error, one that was not computed, or what it shows tells.
        self._doubt: tuple[int, int, str | None] | None = None
        self._is_note = False
        self._shown: list[str] = []
        #: Of the row: the first place, how many there are, and the error.
        self._broken: list[tuple[int, int, str]] = []
        self._found: list[Iterator[tuple[int, int, str]]] = []
        self.merges: list[Merge] = []

    def take(self) -> Iterator[tuple[int, int, str]]:
        """What was found since it was asked last."""
        found, self._found = self._found, []
        return chain.from_iterable(found)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{TABLE}table":
            self._is_inside, self._row = attributes.get(f"{TABLE}name") == self._sheet, 0
        elif tag == f"{TABLE}table-row":
            self._column, self._repeated = 0, int(attributes.get(f"{TABLE}number-rows-repeated", 1))
        elif tag == f"{OFFICE}annotation":
            self._is_note = True
        elif tag in CELLS:
            count = int(attributes.get(f"{TABLE}number-columns-repeated", 1))
            is_error = attributes.get(f"{CALCEXT}value-type") == "error"
            if self._is_inside and (is_error or f"{TABLE}formula" in attributes):
                self._doubt, self._shown = (self._column, count, said_of(attributes)), []
            rows, columns = (int(attributes.get(f"{TABLE}number-{one}-spanned", 1)) for one in ("rows", "columns"))
            if self._is_inside and max(rows, columns) > 1:
                last = (self._row + rows - 1, self._column + columns - 1)
                self.merges.append(((self._row, self._column), last))
            self._column += count

    def data(self, text: str) -> None:
        if self._doubt is not None and not self._is_note:
            self._shown.append(text)

    def end(self, tag: str) -> None:
        if tag == f"{TABLE}table":
            self._is_inside = False
        elif tag == f"{OFFICE}annotation":
            self._is_note = False
        elif tag in CELLS and self._doubt is not None:
            column, count, said = self._doubt
            shown = "".join(self._shown).strip()
            if said == ERROR or SHOWN_ERROR.fullmatch(shown):
                self._broken.append((column, count, shown or ERROR))
            elif said is not None:
                self._broken.append((column, count, said))
            self._doubt = None
        elif tag == f"{TABLE}table-row":
            if self._is_inside and self._broken:
                self._found.append(each_cell(range(self._row, self._row + self._repeated), self._broken))
            self._broken = []
            self._row += self._repeated


def said_of(attributes: dict[str, str]) -> str | None:
    """What a cell says by its attributes: that it has an error, "" that it has no value, or that it has one."""
    if attributes.get(f"{CALCEXT}value-type") == "error":
        return ERROR
    kind = attributes.get(f"{OFFICE}value-type", "")
    return None if kind == "string" or VALUES.get(kind) in attributes else ""


def each_cell(rows: range, broken: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    return (
        (row, place, shown) for row in rows for first, count, shown in broken for place in range(first, first + count)
    )
