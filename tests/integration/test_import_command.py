"""Management commands on the base of bulkql.ImportCommand: the page's example, and each option."""

from __future__ import annotations

import io
import re
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError, call_command

import bulkql
from bulkql import commands
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.models import Operation

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (Path(__file__).parents[2] / "docs/import-command.md").read_text()


class Accounts(bulkql.ImportCommand):
    """Ten accounts, or those that a test gives."""

    model = FinancialAccount
    user = "ada"
    names: tuple[str, ...] = tuple(f"Account {number}" for number in range(10))

    def fetch(self, **options):
        return pl.DataFrame({"name": self.names})


@pytest.fixture
def run(user):
    """Run a command; gives what it printed."""

    def perform(command, *options):
        out = io.StringIO()
        try:
            call_command(command, *options, stdout=out)
        except CommandError as error:
            return out.getvalue(), error.returncode, str(error)
        return out.getvalue(), 0, ""

    return perform


def having(*names):
    return type("Some", (Accounts,), {"names": names})()


def giving(fetched):
    return type("Giving", (Accounts,), {"fetch": lambda self, **options: fetched})


SEVERAL = {model: pl.DataFrame({"name": ["Cash"]}) for model in (FinancialAccount, ClassificationStatus)}
RENAMING = bulkql.Cleaning(rename={"a": "name"})


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "x"])
def test_a_time_that_is_none_is_refused(user, seconds):
    with pytest.raises(CommandError, match=rf"argument --timeout: .*{seconds}"):
        call_command(Accounts(), "--yes", "--timeout", seconds)


def test_the_example_of_the_page_prints_what_the_page_says(run, django_user_model):
    django_user_model.objects.create_superuser("importer", password="")
    names = {}
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, names)  # the page is our own text

    printed, status, _ = run(names["Command"](), "--yes")

    (told,) = re.findall(r"--yes\n    (COMPLETED.*\n.*)\n", PAGE)
    assert re.sub(r"operation [0-9a-f-]+", "operation ...", printed).split() == told.split()
    assert status == 1
    assert sorted(FinancialTransaction.objects.values_list("financial_account__name", "description", "amount")) == [
        ("Bank", "(none)", 20),
        ("Cash", "coffee", pytest.approx(1.5)),
    ]


def test_one_model_is_upserted_and_nothing_changes_the_second_time(run):
    first = run(Accounts(), "--yes")
    second = run(Accounts(), "--yes", "--chunk-size", "3")

    assert (first[1], second[1]) == (0, 0)
    assert first[0].startswith("COMPLETED: 10 created (operation")
    assert second[0].startswith("COMPLETED: 10 unchanged (operation")
    assert [one.label for one in Operation.objects.all()] == ["test_import_command"] * 2


def test_a_dry_run_writes_nothing(run):
    printed, status, _ = run(Accounts(), "--dry-run")

    assert (status, printed[:22]) == (0, "COMPLETED: 10 created ")
    assert not FinancialAccount.objects.exists()


def test_bad_rows_end_with_1_and_are_told_by_kind(run):
    printed, status, message = run(having("Cash", "x" * 101, "y" * 102), "--yes")

    assert status == 1
    assert "2  TOO_LONG financialAccounts.name, row 1: " in printed
    assert message.endswith("is COMPLETED: 2 rows were not written.")


def test_missing_rows_are_deleted_under_the_guard(run):
    run(Accounts(), "--yes")

    guarded = run(having("Account 1"), "--yes", "--delete-missing")
    done = run(having("Account 1"), "--yes", "--delete-missing", "--max-delete-percent", "95")

    assert guarded[1] == 1
    assert "is FAILED: The input does not name 9 of the 10 financial account rows in scope" in guarded[2]
    assert "If they should be deleted, give --max-delete-percent 90." in guarded[2]
    assert done[0].startswith("COMPLETED: 1 unchanged, 9 deleted ")
    assert [one.name for one in FinancialAccount.objects.all()] == ["Account 1"]


@pytest.mark.parametrize(("answer", "written"), [("y", 10), ("", 0), ("no", 0)])
def test_on_a_terminal_it_looks_and_asks_first(run, monkeypatch, answer, written):
    monkeypatch.setattr(commands, "is_interactive", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)

    printed, status, _ = run(Accounts())

    assert "COMPLETED: 10 created" in printed
    assert (FinancialAccount.objects.count(), status) == (written, 0 if written else 2)


@pytest.mark.parametrize("way_out", [EOFError, KeyboardInterrupt])
def test_who_leaves_instead_of_an_answer_says_no(run, monkeypatch, way_out):
    def leave(_):
        raise way_out

    monkeypatch.setattr(commands, "is_interactive", lambda: True)
    monkeypatch.setattr("builtins.input", leave)

    _, status, message = run(Accounts())

    assert (status, message) == (2, "Nothing is written.")
    assert not FinancialAccount.objects.exists()


def test_after_its_time_it_stops_at_the_next_chunk(run):
    names = [f"Account {number}" for number in range(12_000)]

    printed, status, message = run(having(*names), "--yes", "--chunk-size", "1000", "--timeout", "0")

    assert status == 1
    assert "is CANCELED" in message
    assert 1_000 <= FinancialAccount.objects.count() < 12_000
    assert "skipped" in printed


def test_all_that_is_written_before_its_time_is_looked_at_is_completed(run):
    printed, status, _ = run(Accounts(), "--yes", "--timeout", "0")

    assert (status, printed[:22]) == (0, "COMPLETED: 10 created ")


def test_a_source_without_rows_is_no_failure(run):
    frames = {FinancialAccount: pl.DataFrame({"name": []}), ClassificationStatus: pl.DataFrame({"name": ["Open"]})}

    nothing = run(having(), "--yes")
    something = run(giving(frames)(), "--yes")

    assert nothing == ("The source has no rows; nothing was written.\n", 0, "")
    assert (something[1], something[0][:21]) == (0, "COMPLETED: 1 created ")


def test_ctrl_c_stops_at_the_next_chunk_and_says_what_is_written(run):
    def press(**_):
        raise KeyboardInterrupt

    bulkql.chunk_written.connect(press, weak=False)
    try:
        _, status, message = run(Accounts(), "--yes", "--chunk-size", "4")
    finally:
        bulkql.chunk_written.disconnect(press)

    assert status == 130
    assert message == f"Interrupted. Operation {Operation.objects.get().pk} is CANCELED: 4 created, 6 skipped."


def test_ctrl_c_before_anything_is_written_says_so(run):
    def fetch(self, **options):
        raise KeyboardInterrupt

    leaving = type("Leaving", (Accounts,), {"fetch": fetch})

    assert run(leaving(), "--yes")[1:] == (130, "Interrupted. Nothing was written.")


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        (type("Nobodys", (Accounts,), {"user": None}), [], "Name the user with --user"),
        (Accounts, ["--user", "bob"], "There is no user 'bob'."),
        (Accounts, ["--user", ""], "There is no user ''."),
        (type("OfNothing", (Accounts,), {"model": None}), [], "has no `model`; set it, or override `split`."),
        (type("Keyed", (Accounts,), {"match_by": ["colour"]}), [], "BAD_INPUT: "),
        (giving(None), [], "`fetch` gave NoneType; give a polars frame, or a dict with a frame for each model."),
        (giving([{"name": "Cash"}]), [], "`fetch` gave list; give a polars frame"),
        (giving({FinancialAccount: None}), [], "`fetch` gave NoneType; give a polars frame"),
        (giving({}), [], "The source has no frame; give one, without rows if there are none."),
        (type("Keyed", (giving(SEVERAL),), {"match_by": ["name"]}), [], "`match_by` is the key of one model"),
        (
            type("Deleting", (Accounts,), {"operation": "delete"}),
            [],
            "is 'delete'; give one of create, update, replace",
        ),
        (Accounts, ["--max-delete-percent", "5"], "--max-delete-percent guards --delete-missing; give that too"),
        (
            Accounts,
            ["--delete-missing", "--max-delete-percent", "101"],
            "BAD_INPUT: --max-delete-percent is 101; it must be between 0 and 100.",
        ),
        (Accounts, ["--chunk-size", "0"], "BAD_INPUT: --chunk-size is 0; a chunk has at least one row."),
        (giving(pl.DataFrame({"nme": ["Cash"]})), [], "BAD_INPUT: None of the columns ('nme') is a field of"),
        (
            type("Twice", (giving(pl.DataFrame({"a": ["1"], "name": ["2"]})),), {"cleaning": RENAMING}),
            [],
            "BAD_INPUT: The cleaning makes two columns of one name: ",
        ),
    ],
    ids=[
        *("nobody", "stranger", "empty name", "no model", "no such key", "nothing", "a list", "no frame", "no frames"),
        *("a key of several", "another verb", "a guard of nothing"),
        *("too large a guard", "chunks of nothing", "another column", "one name twice"),
    ],
)
def test_what_is_refused_ends_with_2(run, command, options, message):
    _, status, told = run(command(), "--yes", *options)

    assert status == 2
    assert message in told
    assert not Operation.objects.exists()


def test_who_may_not_write_is_told_so(run, django_user_model):
    django_user_model.objects.create_user("bob")

    _, status, message = run(Accounts(), "--yes", "--user", "bob")

    assert (status, message[:10]) == (2, "FORBIDDEN:")
