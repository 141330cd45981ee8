"""What the clients' commands make of their options, of outages and of Ctrl-C."""

from __future__ import annotations

import errno
import io
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
import typer
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from bulkql.server.cli import app
from bulkql.server.client import BulkClient, GatewayFailed, RequestFailed, answered
from bulkql.server.commands import connection, exports, imports, progress, sending, summary, top
from bulkql.server.commands.connection import begun, connected, told


def event(state, processed=0):
    return {"state": state, "processed": processed, "total": 2, "failed": 0, "rowsPerSecond": None, "message": None}


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
    ("sent", "stored"),
    [
        ("in/january.csv.gz", "in/january-failed.csv"),
        ("january.TSV", "january-failed.csv"),
        ("2026.01.csv", "2026.01-failed.csv"),
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


def test_what_an_operation_waits_for_is_told_once(capsys):
    messages = ["Starts at 02:00.", "Waiting: locked for 2 s.", "Waiting: locked for 3 s.", None, "Failed."]
    states = ["QUEUED", "RUNNING", "RUNNING", "RUNNING", "FAILED"]
    told = [{**event(state), "message": message} for state, message in zip(states, messages, strict=True)]

    progress.follow(Service(*told), "1")

    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert lines[:2] == ["Starts at 02:00.", "Waiting: locked for 2 s."]
    assert "3 s." not in "".join(lines)
    assert "Failed." not in "".join(lines)


def test_all_that_runs_fits_into_80_characters(monkeypatch):
    one = {"id": "0b5c3c7e-5b0e-4f4e-9d5c-1f4a2b8c9d0e", "kind": "UPSERT", "state": "CANCELING", "dryRun": True}
    one |= {"label": "a file with a long name.csv", "createdBy": "admin", "resources": [{"resource": "cities"}]}
    one |= {
        "total": 10_000_000,
        "processed": 1_234_567,
        "failed": 12_345,
        "rowsPerSecond": 98_765,
        "etaSeconds": 86_399,
    }
    screen = Console(width=80, file=io.StringIO())
    monkeypatch.setattr(top, "output", screen)

    screen.print(top.table_of([one]))

    *_, first, second, _ = screen.file.getvalue().splitlines()
    assert all(word in first for word in (one["id"], "CANCELING", "98,765"))
    assert all(word in second for word in ("upsert, dry run, cities", "12,345", "1,234,567/10,000,000", "86,399 s"))


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


@pytest.mark.parametrize(
    ("outage", "message"),
    [
        (
            RequestFailed([{"message": "Sign in", "extensions": {"code": "UNAUTHENTICATED"}}]),
            "UNAUTHENTICATED: Sign in",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "Not everything could be written: No space left on device."),
        (OSError(errno.EACCES, "Permission denied", "a.csv"), "a.csv: Permission denied."),
        (httpx.ConnectError("refused"), "http://nowhere cannot be reached: refused."),
    ],
    ids=["a refusal", "a full disk", "a file", "an outage"],
)
def test_what_goes_wrong_once_an_operation_is_there_is_no_refusal(monkeypatch, capsys, outage, message):
    monkeypatch.setattr(progress, "AWAY_SECONDS", -1)
    service = Service(event("RUNNING"), outage)

    with pytest.raises(typer.Exit) as left:
        imports.watched(service, "0b5c")

    again = "`bulkql watch 0b5c` shows it again, and stores its failed rows with --failed-rows FILE"
    assert left.value.exit_code == 3
    assert capsys.readouterr().err.endswith(f"{message}\nOperation 0b5c was accepted all the same: {again}.\n")


def test_who_reads_no_further_is_told_nothing(capsys):
    with pytest.raises(typer.Exit) as left, told(Service(), "0b5c"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    assert (left.value.exit_code, capsys.readouterr().err) == (3, "")


@pytest.mark.parametrize(
    ("outage", "code"),
    [
        (httpx.ReadError("reset"), 3),
        (httpx.ReadTimeout("timed out"), 3),
        (GatewayFailed([{"message": "answered 504"}]), 3),
        (KeyboardInterrupt(), 130),
    ],
    ids=["cut", "slow", "a proxy", "interrupted"],
)
def test_a_mutation_without_an_answer_may_have_been_carried_out(capsys, outage, code):
    with pytest.raises(typer.Exit) as left:
        begun(Service(outage), "mutation")

    assert left.value.exit_code == code
    assert "no answer came; `bulkql operations` shows whether it did anything" in capsys.readouterr().err


def test_a_mutation_that_never_got_there_did_nothing():
    with pytest.raises(httpx.ConnectError):
        begun(Service(httpx.ConnectError("refused")), "mutation")


def test_the_bar_of_a_file_reaches_its_end(monkeypatch):
    bars = []
    monkeypatch.setattr(progress, "Progress", lambda *columns, **how: bars.append(Progress(*columns, **how)) or bars[0])

    with closing(progress.pieces(io.BytesIO(b"12345"), "a.csv", 5)) as pieces:
        assert next(pieces) == b"12345"

    assert bars[0].finished


class Receiver(BulkClient):
    """Takes uploads, until Ctrl-C."""

    def __init__(self, *, is_away=False):
        super().__init__("http://nowhere", "token")
        self.is_away = is_away

    def announce(self, *_):
        return {"id": "up1"}

    def execute(self, *_, **__):
        raise RequestFailed([{"message": "", "extensions": {"reason": sending.TOO_EARLY}}])

    def send_to(self, place, end, content_from, *, offset=0):
        next(content_from(offset))
        raise KeyboardInterrupt

    def forget(self, place):
        return not self.is_away


@pytest.mark.parametrize(
    ("is_away", "kept"), [(False, "have been deleted"), (True, "stay as upload up1 until it expires")]
)
def test_ctrl_c_while_a_file_is_sent_tells_what_became_of_it(capsys, is_away, kept):
    source = sending.Source(io.BytesIO(b"12345"), "a.csv", 5)

    with pytest.raises(typer.Exit) as left:
        sending.started(Receiver(is_away=is_away), source, sending.Request("", lambda _: {}), begins_early=True)

    assert left.value.exit_code == 130
    text = (
        f"Interrupted: 5 of 5 bytes of a.csv were sent, and {kept}. No rows were written. The same command starts over."
    )
    assert text in capsys.readouterr().err


class Losing(Receiver):
    """Takes the beginning of a file and its operation, and is away from then on, or but for the canceling."""

    def __init__(self, error, *, cancels):
        super().__init__(is_away=not cancels)
        self._error = error

    def execute(self, mutation, **_):
        if mutation == sending.CANCEL and self.is_away:
            raise httpx.ConnectError("refused")
        return {"operation": {"id": "0b5c"}}

    def send_to(self, place, end, content_from, *, offset=0):
        if offset:
            raise self._error


GIVEN_UP = RequestFailed([{"message": "8 of 9 bytes are sent, and no more arrive."}])
WAITS = "it waits for the rest of its file, and `bulkql cancel 0b5c` ends it."


@pytest.mark.parametrize(
    ("error", "cancels", "status", "message"),
    [
        (
            GIVEN_UP,
            True,
            2,
            "Operation 0b5c, which waited for the rest, is canceled; nothing of it is written.\n8 of 9",
        ),
        (
            GIVEN_UP,
            False,
            3,
            f"8 of 9 bytes are sent, and no more arrive.\nOperation 0b5c was accepted all the same: {WAITS}",
        ),
        (KeyboardInterrupt(), False, 130, f"Operation 0b5c was accepted: {WAITS}\nInterrupted: 0 of 99,999,999 bytes"),
    ],
    ids=["canceled", "away", "interrupted"],
)
def test_an_operation_whose_file_does_not_come_is_canceled_or_told(capsys, error, cancels, status, message):
    client = Losing(error, cancels=cancels)
    source = sending.Source(io.BytesIO(), "a.csv", 99_999_999)

    with pytest.raises(typer.Exit) as left, told(client):
        sending.started(client, source, sending.Request("", lambda _: {}), begins_early=True)

    assert left.value.exit_code == status
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["watch", "retry", "apply", "revert"])
def test_where_failed_rows_go_is_looked_at_before_the_service_is_asked(tmp_path, command):
    nobody = {"BULKQL_URL": "http://127.0.0.1:1", "BULKQL_TOKEN": "x"}

    done = CliRunner().invoke(app, [command, "0b5c", "--failed-rows", str(tmp_path)], env=nobody)

    told = f"{tmp_path}: Is a directory. Give --failed-rows a file that can be written.\n"
    assert (done.exit_code, done.stderr) == (2, told)


@pytest.mark.parametrize(
    ("to", "form", "packed", "message"),
    [
        ("x.tsv", None, None, "--output x.tsv: exports are no .tsv files; give a name that ends with .csv, .ndjson"),
        ("x.json", "ndjson", None, "--output x.json: exports are no .json files"),
        ("x.csv", "ndjson", None, "--output x.csv names a file of csv, and --format says ndjson; leave one of the two"),
        ("x.parquet.gz", None, None, "--output x.parquet.gz: parquet is compressed within; leave .gz out of the name."),
        ("x.csv", None, "gzip", "--output x.csv does not say that it is compressed; let it end with .gz for gzip."),
        (
            "x.csv.gz",
            None,
            "zstd",
            "--output x.csv.gz does not say that it is compressed; let it end with .zst for zstd",
        ),
    ],
)
def test_a_name_that_says_something_else_than_is_written_is_refused(capsys, to, form, packed, message):
    with pytest.raises(typer.Exit) as left:
        exports.kind_of_file(to, form and imports.Format(form), packed and exports.Compression(packed))

    assert left.value.exit_code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("to", "form", "packed", "kind"),
    [
        (None, None, None, (None, None)),
        ("-", None, None, (None, None)),
        ("x", "csv", "gzip", ("csv", "gzip")),
        ("x.2026.NDJSON.zst", None, None, ("ndjson", "zstd")),
        ("x.pq", None, "gzip", ("parquet", "gzip")),
        ("x.2026", None, None, (None, None)),
    ],
)
def test_the_name_of_an_export_says_what_is_written(to, form, packed, kind):
    found = exports.kind_of_file(to, form and imports.Format(form), packed and exports.Compression(packed))

    assert found == kind


@pytest.mark.parametrize("url", ["foo", "http://", "http://[", "ftp://somewhere", "https:/one.example"])
def test_what_is_no_url_is_told_with_one_that_is(capsys, url):
    with pytest.raises(typer.Exit) as left:
        connected(connection.Service(url, "token"))

    assert left.value.exit_code == 2
    assert (
        f"{url} is not the URL of a service; set BULKQL_URL or --url to one such as https://" in capsys.readouterr().err
    )


@pytest.mark.parametrize("token", ["ä", "two words", "a\nb", " "])
def test_what_is_no_token_is_told(capsys, token):
    with pytest.raises(typer.Exit) as left:
        connected(connection.Service("http://nowhere", token))

    assert left.value.exit_code == 2
    assert "BULKQL_TOKEN or --token is not a token" in capsys.readouterr().err


def test_a_service_that_does_not_run_is_told_with_the_command_that_helps(tmp_path, capsys):
    (tmp_path / "service.json").write_text('{"url": "http://127.0.0.1:1", "SECRET_KEY": "x"}')

    with pytest.raises(typer.Exit) as left:
        connected(connection.Service(data=tmp_path))

    assert left.value.exit_code == 2
    assert f"is not running; start it with `bulkql up --data {tmp_path}`." in capsys.readouterr().err.replace("\n", "")


def test_a_directory_of_another_user_is_told_with_the_way_out(tmp_path, capsys, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)

    with pytest.raises(typer.Exit) as left:
        connected(connection.Service())

    told = "Permission denied. It says where the service is; run the command as the user of that service, or set BULKQL"
    assert left.value.exit_code == 2
    assert f".bulkql/service.json: {told}" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", '{"url":', "[]", "{}", "null", "\udcff"], ids=repr)
def test_a_damaged_directory_is_told_with_the_command_that_mends_it(tmp_path, capsys, text):
    (tmp_path / "service.json").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(typer.Exit) as left:
        connected(connection.Service(data=tmp_path))

    told = (
        f"{tmp_path}/service.json is damaged; start the service again with `bulkql up --data {tmp_path}`, which mends"
    )
    assert (left.value.exit_code, capsys.readouterr().err) == (2, f"{told} it.\n")


def test_a_url_and_a_directory_are_two_services(tmp_path):
    words = ["operations", "--url", "http://nowhere", "--data", str(tmp_path)]
    told = f"--url http://nowhere and --data {tmp_path} both say where the service is; leave one of the two out.\n"

    typed = CliRunner().invoke(app, words)
    of_the_environment = CliRunner().invoke(app, words, env={"BULKQL_URL": "http://nowhere"})

    assert (typed.exit_code, typed.stderr) == (2, told)
    assert of_the_environment.stderr.startswith(f"No service has run in {tmp_path}")


def test_a_directory_without_a_service_is_one_that_cannot_be_reached(tmp_path, capsys):
    with pytest.raises(typer.Exit) as left:
        connected(connection.Service(data=tmp_path))

    told = f"No service has run in {tmp_path}; start one with `bulkql up --data {tmp_path}`.\n"
    assert (left.value.exit_code, capsys.readouterr().err) == (2, told)


def test_what_a_proxy_answers_is_told_as_such():
    request = httpx.Request("POST", "http://proxy/graphql")

    with pytest.raises(
        GatewayFailed, match=r"http://proxy/graphql answered 502, and not as bulkql does; is it running"
    ):
        answered(httpx.Response(502, text="<html>", request=request))


@pytest.mark.parametrize("body", ['{"status": "ok"}', '{"errors": "many"}', '{"data": null}', "[]", "<html>"])
def test_what_is_no_answer_of_graphql_is_told_as_such(body):
    request = httpx.Request("POST", "http://other/graphql")

    with pytest.raises(RequestFailed, match=r"answered 200, and not as bulkql does; is the URL right") as refused:
        answered(httpx.Response(200, text=body, request=request))

    assert not isinstance(refused.value, GatewayFailed)


def test_an_outage_that_the_service_tells_itself_is_a_refusal():
    body = {"errors": [{"message": "try again", "extensions": None}]}

    with pytest.raises(RequestFailed, match="try again") as refused:
        answered(httpx.Response(503, json=body, request=httpx.Request("POST", "http://service/graphql")))

    assert not isinstance(refused.value, GatewayFailed)
    assert refused.value.reasons == []


def test_version_is_that_of_the_package():
    told = CliRunner().invoke(app, ["--version"])

    assert (told.exit_code, told.output) == (0, f"bulkql {version('bulkql')}\n")
