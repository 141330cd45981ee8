"""What is written into a workbook is read as the same texts."""

from __future__ import annotations

import io
from functools import partial

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.workers.downloads.workbook import format_of_column, workbook, write_cell
from bulkql.workers.readers import workbooks
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from tests.plans import creating

COLUMNS = resource_named("animals").columns


def write(name, texts, book, styles):
    sheet = book.add_worksheet()
    sheet.write_string(0, 0, name)
    for row, text in enumerate(texts, start=1):
        write_cell(sheet, row, 0, text, format_of_column(COLUMNS[name]), styles, guilty=False)


def read(name, texts):
    """The cells that a reader finds where these texts were written."""
    data = b"".join(workbook(partial(write, name, texts)))
    frames = workbooks.read(io.BytesIO(data), creating(resource_named("animals")), FileOptions(format=FileFormat.XLSX))
    return [cell for frame in frames for cell in frame[name]]


floats = st.floats(allow_nan=False, allow_infinity=False)
#: Most have 16 or 17 digits.
measures = st.randoms(use_true_random=False).map(lambda dice: dice.random() * 10.0 ** dice.randint(-3, 15))


@given(numbers=st.lists(floats | measures | st.integers(-(2**53), 2**53), min_size=20))
@settings(max_examples=15, deadline=None)
def test_a_number_keeps_all_of_its_digits(numbers):
    texts = [repr(number).removesuffix(".0") for number in numbers]

    assert read("number", texts) == texts


@pytest.mark.parametrize("text", ["0.12345678901234568", "123456789012345.67", "1234567.890123457", "0.5", "-7"])
@pytest.mark.parametrize("name", ["number", "decimal"])
def test_a_number_is_one_in_its_cell(name, text):
    data = b"".join(workbook(partial(write, name, [text])))

    (row,) = openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(min_row=2)
    assert (row[0].data_type, repr(float(row[0].value))) == ("n", repr(float(text)))
