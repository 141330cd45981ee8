"""What options say together, and how messages of the service name them."""

from __future__ import annotations

import re

import pytest
import typer

from bulkql.server.commands import options


@pytest.mark.parametrize(
    ("verb", "given", "message"),
    [
        (
            "create",
            ["--update-fields"],
            "it is for upsert and sync, and not for create; leave it out, or give --operation sync.",
        ),
        ("upsert", ["--delete-missing"], "it is for sync, and not for upsert; leave it out, or give --operation sync."),
        ("create", ["--match-by"], "it is for update, replace, upsert, delete and sync, and not for create;"),
        ("sync", ["--skip-existing"], "it is for create, and not for sync; leave it out, or give --operation create."),
        ("sync", ["--max-deletes"], "it guards --delete-missing; give that too, or leave it out."),
        ("create", ["--dry-run", "--max-rows-per-second"], "it paces transactions, and --dry-run writes all rows in"),
        (
            "create",
            ["--max-rows-per-second", "--on-error reject-all"],
            "it paces transactions, and --on-error reject-all writes all rows in one; leave one of the two out.",
        ),
    ],
)
def test_an_option_of_another_verb_is_named_with_the_way_out(verb, given, message):
    with pytest.raises(typer.BadParameter, match=re.escape(message)):
        options.check_together(verb, given)


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("sync", ["--where", "--match-by", "--update-fields", "--delete-missing", "--max-deletes"]),
        ("create", ["--skip-existing", "--dry-run"]),
        ("delete", ["--match-by", "--max-rows-per-second", "--on-error skip-rows"]),
    ],
)
def test_options_that_go_together_are_taken(verb, given):
    options.check_together(verb, given)


@pytest.mark.parametrize(
    ("told", "as_typed"),
    [
        ("dateFormat is 'x'; give the places", "--date-format is 'x'; give the places"),
        ("trueValues and falseValues both have 'yes'", "--true-values and --false-values both have 'yes'"),
        ("skipExisting is for create; by updateFields.", "--skip-existing is for create; by --update-fields."),
        ("label has 300 characters", "--label has 300 characters"),
        (
            "map others with `columns`, or set unknownColumns: IGNORE.",
            "map others with `--map`, or set --unknown-columns ignore.",
        ),
        ("A plan is an operation with dryRun: true.", "A plan is an operation with --dry-run."),
        ("give force: true to undo it anyway.", "give --force to undo it anyway."),
        ("matchBy of cities is empty", "--match-by of cities is empty"),
        ("sheet is for workbooks, and this file is CSV", "--sheet is for workbooks, and this file is CSV"),
        (
            "cities cannot be matched by [NAME]; matchBy may be [ID] or [COUNTRY, NAME].",
            "cities cannot be matched by name; --match-by may be id or country,name.",
        ),
        (
            "send it again with maxDeletes: 5 or maxDeletePercent: 2.5.",
            "send it again with --max-deletes 5 or --max-delete-percent 2.5.",
        ),
        (
            "a statement took too long; raise it, or send the remaining rows with a smaller chunkSize",
            "a statement took too long; raise it, or send the remaining rows with a smaller --chunk-size",
        ),
        (
            "10 rows are bad; nothing was written, as onError: REJECT_ALL asks.",
            "10 rows are bad; nothing was written, as --on-error reject-all asks.",
        ),
        (
            "Variable '$input' has invalid value at .cities.where.name: Expected an object.",
            "--where: Expected an object.",
        ),
        ("Variable '$input' has invalid value at .label.file.columns[0].to: No text.", "--map: No text."),
        ("Variable '$options' has invalid value at .startAt: Value cannot", "--start-at: Value cannot"),
        ("cities has no field for the column 'startAt'.", "cities has no field for the column 'startAt'."),
        ("Its fields are startAt, label; map", "Its fields are startAt, label; map"),
        ("Its fields are label, startAt; map", "Its fields are label, startAt; map"),
        ("Its fields are startAt.", "Its fields are startAt."),
        ("Operation x is not over: QUEUED.", "Operation x is not over: QUEUED."),
    ],
)
def test_messages_name_options_as_they_are_typed(told, as_typed):
    assert options.as_typed(told) == as_typed


@pytest.mark.parametrize(
    ("told", "path", "as_typed"),
    [
        (
            '“1,5” is no number. With `decimal: ","` it is 1.5.',
            "amount",
            "“1,5” is no number. With `--decimal ,` it is 1.5.",
        ),
        (
            "`dateFormat` sets another order, such as %d.%m.%Y.",
            "at",
            "`--date-format` sets another order, such as %d.%m.%Y.",
        ),
        (
            "You may not change the city, or `where` excludes it.",
            None,
            "You may not change the city, or `--where` excludes it.",
        ),
        ("`label` is needed.", "label", "`label` is needed."),
        ("startAt is later than endAt.", "endAt", "startAt is later than endAt."),
    ],
)
def test_row_errors_name_options_too_and_their_fields_as_they_are(told, path, as_typed):
    assert options.error_as_typed(told, path) == as_typed


def test_a_field_that_there_is_not_is_named_with_those_that_there_are():
    text = "cities has no field contry. Did you mean country? It has id, country, is_capital."
    known = ["ID", "COUNTRY", "IS_CAPITAL"]

    options.check_names("--match-by", ["country", "isCapital", "is_capital"], known, "cities")
    with pytest.raises(typer.BadParameter, match=re.escape(text)):
        options.check_names("--match-by", ["contry"], known, "cities")


@pytest.mark.parametrize("text", ["yesterday", "31.12.2026", "2026-13-01", ""])
def test_what_is_no_time_is_refused_with_one_that_is(text):
    with pytest.raises(typer.BadParameter, match=re.escape(f"{text!r} is not a time such as 2026-01-31T02:00:00Z.")):
        options.moment_of(text, "--start-at")


@pytest.mark.parametrize(
    ("names", "found"), [("a,b", ["a", "b"]), (" a, b ,", ["a", "b"]), ("", []), (None, None)], ids=str
)
def test_names_have_commas_between_them(names, found):
    assert options.names_in(names) == found


@pytest.mark.parametrize("name", ["financial_account", "financialAccount"])
def test_names_of_fields_become_values_of_the_enum(name):
    assert options.enum_value(name) == "FINANCIAL_ACCOUNT"


@pytest.mark.parametrize("text", ["amount", "=amount", "Betrag="])
def test_a_mapping_has_both_sides(text):
    with pytest.raises(typer.BadParameter, match=r"is not FROM=TO, such as Betrag=amount\."):
        options.column_of(text)


def test_a_column_may_have_the_sign_in_its_name():
    assert options.column_of("a=b=amount") == {"from": "a=b", "to": "amount"}
