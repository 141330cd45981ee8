"""Workbooks as bytes, and what is read of them."""

from __future__ import annotations

import io
import zipfile

import openpyxl
import polars as pl
import pytest

from bulkql.workers.errors import UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS, LINE, errors_from_json
from bulkql.workers.readers import workbooks
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from tests.plans import creating


def stored(book):
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def sheet(*rows):
    """A workbook of one sheet, by openpyxl."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def read_with_lines(data, **options):
    plan = creating(resource_named("animals"))
    found = list(workbooks.read(io.BytesIO(data), plan, FileOptions(format=FileFormat.XLSX, **options)))
    return pl.concat(found, how="diagonal")


def read(data, **options):
    return read_with_lines(data, **options).drop(LINE)


def cells(name, *values, **formats):
    """What the cells of one column are read as."""
    book = sheet([name], *([value] for value in values))
    for row, form in formats.items():
        book.active[row].number_format = form
    frame = read(stored(book))
    assert INTAKE_ERRORS not in frame.columns
    return frame[name].to_list()


def errors(frame):
    """Path, message and data of what is wrong with each row."""
    told = frame[INTAKE_ERRORS] if INTAKE_ERRORS in frame.columns else [None] * frame.height
    return [[(one.path, one.message, one.data) for one in errors_from_json(text or "[]")] for text in told]


def refused(data, **options):
    with pytest.raises(UnreadableFile) as caught:
        read(data, **options)
    return str(caught.value)


def rewritten(data, part, change):
    """A workbook with one of its parts changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return changed.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
