"""ODS workbooks as raw frames: what calamine passes over, and cells without a value."""

from __future__ import annotations

import io
import zipfile

import pytest

from bulkql.workers.frames import INTAKE_ERRORS, LINE
from tests.fuzz.samples import documents, unzipped, zipped
from tests.unit.workers.readers.sheets import errors, read, read_with_lines, refused

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


def ods(*rows, before=""):
    """A workbook in ODS, of the XML of the rows of its sheet; `before` is that of others."""
    begin, _, rest = documents()[0]["content.xml"].partition(b"<table:table-row>")
    begin = begin.replace(b"<table:table ", f"{before}<table:table ".encode())
    xml = begin + "".join(rows).encode() + rest[rest.index(b"</table:table>") :]
    return zipped({**documents()[0], "content.xml": xml}, deflated=True)


def ods_row(*cells, repeated=1):
    times = f' table:number-rows-repeated="{repeated}"' if repeated > 1 else ""
    return f"<table:table-row{times}>{''.join(cells)}</table:table-row>"


def ods_cell(attributes='office:value-type="string"', text="", inside=""):
    return f"<table:table-cell {attributes}>{inside}{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"


def ods_texts(*texts):
    return ods_row(*(ods_cell(text=text) for text in texts))


def deflated(parts):
    """Its parts as tools pack them that treat the MIME type as any other."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return sink.getvalue()


@pytest.mark.parametrize("names", [["mimetype", "content.xml"], ["content.xml", "mimetype"]])
def test_ods_is_told_by_its_parts_however_they_are_packed(names):
    parts = unzipped(ods(ods_texts("char"), ods_texts("a<text:tab/>b")))

    frame = read(deflated({**{name: parts[name] for name in names}, **parts}))

    assert frame["char"].to_list() == ["a\tb"]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("a<text:tab/>b", "a\tb"),
        ("a<text:tab></text:tab>b", "a\tb"),
        ('a<text:tab text:tab-ref="1"/>b', "a\tb"),
        ("a<text:line-break/>b</text:p><text:p>c", "a\nb\nc"),
        ('a<text:s text:c="3"/>b<text:s/>c', "a   b c"),
        ("<text:span>a<text:line-break/></text:span><text:tab/><text:a>b</text:a>", "a\n\tb"),
        ("a<![CDATA[<b> & \n]]>c<![CDATA[]]>", "a<b> & \nc"),
    ],
)
def test_a_text_of_ods_keeps_its_tabs_line_breaks_and_blanks(xml, text):
    assert read(ods(ods_texts("char"), ods_texts(xml)))["char"].to_list() == [text]


IMAGE = '<draw:frame table:z-index="0"><draw:image xlink:href="a.png"><text:p/></draw:image></draw:frame>'
GROUP = "<draw:g><draw:custom-shape><text:p>boxed</text:p></draw:custom-shape><draw:line/></draw:g>"


@pytest.mark.parametrize("drawn", [IMAGE, GROUP, "<draw:control/>", f"{IMAGE}{GROUP}"])
def test_what_is_drawn_in_a_cell_of_ods_is_none_of_its_text(drawn):
    shapes = f"<table:shapes>{drawn}</table:shapes>"

    frame = read(ods(shapes, ods_texts("char", "text"), ods_row(ods_cell(text="a", inside=drawn), ods_cell(text="b"))))

    assert frame.rows() == [("a", "b")]


def test_how_a_text_of_ods_is_spoken_is_none_of_it():
    ruby = "<text:ruby><text:ruby-base>a</text:ruby-base><text:ruby-text>b</text:ruby-text></text:ruby>c"

    assert read(ods(ods_texts("char"), ods_texts(ruby)))["char"].to_list() == ["ac"]


def test_a_workbook_without_a_sheet_that_can_be_read_says_so():
    parts = unzipped(ods(ods_texts("char"), ods_texts("a")))
    xml = parts["content.xml"].replace(b"table:", b"t:").replace(b"xmlns:table=", b"xmlns:t=")

    assert refused(deflated({**parts, "content.xml": xml})) == (
        "The workbook has no sheet that can be read; save it again in a spreadsheet, or send it as CSV."
    )


def test_a_cell_of_ods_without_a_type_is_a_text():
    data = ods(
        ods_texts("char"), ods_row('<table:table-cell table:style-name="a"><text:p>x</text:p></table:table-cell>')
    )

    assert read(data)["char"].to_list() == ["x"]


@pytest.mark.parametrize(
    ("name", "kind", "value", "text"),
    [
        ("time", "time", "PT01H02M02.999999998S", "01:02:03"),
        ("time", "time", "PT01H59M59.9999999S", "02:00:00"),
        ("time", "time", "PT01H02M03.000000002S", "01:02:03"),
        ("time", "time", "PT01H02M03.500000S", "01:02:03.500000"),
        ("datetime", "date", "2024-02-29T23:59:59.99999997", "2024-03-01T00:00:00"),
        ("datetime", "date", "2024-02-29T12:00:00.1234564999", "2024-02-29T12:00:00.123456"),
    ],
)
def test_moments_of_ods_lose_the_noise_of_their_sums(name, kind, value, text):
    cell = ods_cell(f'office:value-type="{kind}" office:{kind}-value="{value}"', "shown")

    assert read(ods(ods_texts(name), ods_row(cell)))[name].to_list() == [text]


FORMULA = 'table:formula="of:=1+1"'
NEVER = "The cell {} has a formula that was never computed; open the file in a spreadsheet, and save it."


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (ods_cell(f'{FORMULA} office:value-type="float" office:value="2"', "2"), "2"),
        (ods_cell(f'{FORMULA} office:value-type="string"', "ab"), "ab"),
        (ods_cell(f'{FORMULA} office:value-type="string" office:string-value=""'), None),
    ],
)
def test_formulas_of_ods_have_the_value_that_was_computed(cell, value):
    frame = read(ods(ods_texts("char", "text"), ods_row(cell, ods_cell(text="x"))))

    assert errors(frame) == [[]]
    assert frame["char"].to_list() == [value]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (ods_cell(FORMULA), "="),
        (f"<table:table-cell {FORMULA}/>", "="),
        (ods_cell(FORMULA, "2"), "="),
        (ods_cell(f'{FORMULA} office:value-type="float"', "2"), "="),
        (ods_cell(f'{FORMULA} office:value-type="void"'), "="),
        (ods_cell(f'{FORMULA} calcext:value-type="error" office:value-type="string" office:string-value=""', "#N/A"),
         "#N/A"),
        (ods_cell('calcext:value-type="error" office:value-type="string" office:string-value=""'), "#ERROR!"),
        (ods_cell(f'{FORMULA} office:value-type="float" office:value="0"', "Err:502"), "Err:502"),
        (ods_cell(FORMULA, inside="<office:annotation><text:p>a note</text:p></office:annotation>"), "="),
    ],
)  # fmt: skip
def test_a_cell_of_ods_without_a_value_to_read_is_an_error_of_its_row(cell, shown):
    rows = [ods_texts("char", "text"), ods_texts("a", "b"), ods_row(cell, ods_cell(text="x"))]
    other = f'<table:table table:name="Other">{ods_row(cell)}</table:table>'

    frame = read(ods(*rows, before=other), sheet="Rows")

    message = NEVER.format("A3") if shown == "=" else f"The cell A3 has the error {shown}; fix its formula."
    assert errors(frame) == [[], [("char", message, shown)]]
    assert frame.drop(INTAKE_ERRORS).rows() == [("a", "b"), (shown, "x")]


def test_cells_of_ods_are_counted_whatever_stands_for_several():
    broken = f"<table:table-cell {FORMULA}/>"
    data = ods(
        '<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="9"/>'
        "</table:table-row>",
        ods_row(
            '<table:table-cell table:number-columns-repeated="2"/>', *(ods_cell(text=name) for name in ("char", "text"))
        ),
        ods_row('<table:table-cell table:number-columns-repeated="2"/>', ods_cell(text="a"), broken, repeated=2),
        ods_row("<table:covered-table-cell/><table:table-cell/>", ods_cell(text="b"), ods_cell(text="y")),
        ods_row(
            "<table:table-cell/><table:table-cell/>", broken.replace(" ", ' table:number-columns-repeated="2" ', 1)
        ),
    )

    frame = read_with_lines(data)

    assert [[(path, message) for path, message, _ in found] for found in errors(frame)] == [
        [("text", NEVER.format("D4"))],
        [("text", NEVER.format("D5"))],
        [],
        [("char", NEVER.format("C7")), ("text", NEVER.format("D7"))],
    ]
    assert frame[LINE].to_list() == [4, 5, 6, 7]


def test_a_sheet_of_ods_of_nothing_but_errors_is_refused():
    data = ods(ods_texts("char"), ods_row(f"<table:table-cell {FORMULA}/>", repeated=1_000_000))

    assert refused(data).startswith("The sheet 'Rows' has more than 50,000 cells with errors, or with formulas")


def test_cells_of_ods_that_are_merged_are_read_as_those_of_xlsx():
    covered = "<table:covered-table-cell/>"
    spanned = 'office:value-type="string" table:number-rows-spanned="2" table:number-columns-spanned="{}"'
    data = ods(
        ods_texts("char", "integer", "text"),
        ods_row(ods_cell(spanned.format(1), "a"), ods_cell(text="1"), ods_cell(text="x")),
        ods_row(covered, ods_cell(text="2"), ods_cell(text="y")),
        ods_row(ods_cell(text="b"), ods_cell(spanned.format(2), "3"), covered),
        ods_row(ods_cell(text="c"), covered, covered),
    )

    frame = read(data)

    assert frame["char"].to_list() == ["a", "a", "b", "c"]
    message = "The cells B4:C5 are merged over several columns; it is not clear which column has their value."
    assert errors(frame) == [[], [], [(None, message, None)], [(None, message, None)]]
