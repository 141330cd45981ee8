"""What the clients' commands make of their options, of outages and of Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import typer

from bulkql.server.client import BulkClient, RequestFailed, answered
from bulkql.server.commands import imports, progress, summary
from bulkql.server.commands.connection import connected


def event(state, processed=0):
    return {"state": state, "processed": processed, "total": 2, "failed": 0, "rowsPerSecond": None}


class Service(BulkClient):
    """Answers what it is given, one by one; has no websocket."""

    def __init__(self, *answers):
        super().__init__("http://nowhere", "token")
        self._answers = list(answers)

    def watch(self, *_):
        raise ConnectionRefusedError

    def execute(self, *_, **__):
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return {"operation": answer}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(progress, "POLL_SECONDS", 0)


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("financial_account,datetime", ["FINANCIAL_ACCOUNT", "DATETIME"]),
        ("financialAccount, datetime,", ["FINANCIAL_ACCOUNT", "DATETIME"]),
        (None, None),
    ],
    ids=["snake", "camel", "none"],
)
def test_names_of_fields_become_values_of_the_enum(names, values):
    assert imports.fields_of(names) == values


@pytest.mark.parametrize("text", ["amount", "=amount", "Betrag="])
def test_a_mapping_has_both_sides(text):
    with pytest.raises(typer.BadParameter, match=r"is not FROM=TO, such as Betrag=amount\."):
        imports.column_of(text)


def test_a_column_may_have_the_sign_in_its_name():
    assert imports.column_of("a=b=amount") == {"from": "a=b", "to": "amount"}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("in/january.csv.gz", "in/january-failed.csv"),
        ("january.TSV", "january-failed.csv"),
        ("january.parquet", "january-failed.ndjson"),
        ("january.jsonl", "january-failed.ndjson"),
        ("january.xlsm", "january-failed.xlsx"),
    ],
    ids=lambda name: name.rsplit("/")[-1],
)
def test_failed_rows_are_stored_beside_what_was_sent_in_its_format(sent, stored):
    path = Path(sent)
    files = {f"accounts-failed{ending}": {} for ending in (".csv", ".ndjson", ".xlsx")}
    operation = {"resources": [{"resource": "accounts"}], "files": [{"name": name} for name in files]}

    chosen = summary.failed_files(operation, summary.ending_of(path))["accounts"]

    assert str(summary.beside(path, "accounts", chosen["name"])) == stored


def test_what_rows_say_moves_no_cursor_and_has_no_markup():
    assert summary.escaped("[red]\x1b[2J\r") == r"\[red]?[2J?"


def test_a_service_that_is_away_for_a_moment_is_asked_again():
    away = RequestFailed([{"message": "", "extensions": {"code": "UNAVAILABLE"}}])
    service = Service(event("RUNNING"), httpx.ConnectError("refused"), away, event("COMPLETED", 2))

    assert [one["state"] for one in progress.events(service, "1")] == ["RUNNING", "COMPLETED"]


def test_a_refusal_is_not_asked_again():
    gone = RequestFailed([{"message": "", "extensions": {"code": "NOT_FOUND"}}])

    with pytest.raises(RequestFailed):
        list(progress.events(Service(gone), "1"))


def test_ctrl_c_leaves_the_operation_to_itself(capsys):
    service = Service(event("RUNNING"), KeyboardInterrupt())

    with pytest.raises(typer.Exit) as left:
        imports.watched(service, "0b5c")

    assert left.value.exit_code == 130
    assert "`bulkql watch 0b5c` shows it again, `bulkql cancel 0b5c` stops it." in capsys.readouterr().err


def test_a_service_that_does_not_run_is_told_with_the_command_that_helps(tmp_path, capsys):
    (tmp_path / "service.json").write_text('{"url": "http://127.0.0.1:1"}')

    with pytest.raises(typer.Exit) as left:
        connected(None, None, tmp_path)

    assert left.value.exit_code == 2
    assert f"does not run; start it with `bulkql up --data {tmp_path}`." in capsys.readouterr().err.replace("\n", "")


def test_a_directory_without_a_service_is_one_that_cannot_be_reached(tmp_path, capsys):
    with pytest.raises(typer.Exit) as left:
        connected(None, None, tmp_path)

    told = f"No service has run in {tmp_path}; start one with `bulkql up --data {tmp_path}`.\n"
    assert (left.value.exit_code, capsys.readouterr().err) == (2, told)


def test_what_a_proxy_answers_is_told_as_such():
    request = httpx.Request("POST", "http://proxy/graphql")

    with pytest.raises(RequestFailed, match=r"http://proxy/graphql answered 502, and not as bulkql does"):
        answered(httpx.Response(502, text="<html>", request=request))
