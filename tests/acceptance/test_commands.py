"""The clients' commands against a running service: what they print, store, and end with."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE
from threading import Thread

import httpx
import pytest
from typer.testing import CliRunner

from bulkql.server import client
from bulkql.server.cli import app
from bulkql.server.client import BulkClient
from bulkql.server.commands import progress, sending

HEADER = "Betrag,description,datetime,financial_account.name,classification_status.name"
MAPPED = ("--resource", "financialTransactions", "--map", "Betrag=amount")


@pytest.fixture
def run(service, tmp_path, monkeypatch):
    """A command of a user who has set the two variables; gives its result."""
    monkeypatch.chdir(tmp_path)
    environment = {"BULKQL_URL": f"{service.url}/", "BULKQL_TOKEN": service.token}
    return lambda *words, **given: CliRunner().invoke(app, [*map(str, words)], env=environment, **given)


def line(number, amount="1.50", account="Account 7"):
    return f"{amount},row {number},2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z,{account},Open"


def lines_of(count):
    """One row in a hundred has a bad amount or no account."""
    bad = {7: {"amount": "a lot"}, 107: {"account": "[red]Nobody[/]"}}
    return [line(number, **bad.get(number % 200, {})) for number in range(count)]


def operation_in(text):
    return re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)[0]


def test_failed_rows_come_back_beside_the_file_and_go_in_once_they_are_mended(run, service, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text("\n".join([HEADER, *lines_of(1_000), ""]))

    first = run("import", sent, *MAPPED)
    failed = tmp_path / "january-failed.csv"
    with failed.open() as file:
        left = list(csv.DictReader(file))
    mended = failed.read_text().replace("a lot", "2.50").replace("[red]Nobody[/]", "Account 8")
    failed.write_text(mended)
    again = run("import", failed, *MAPPED)

    assert first.exit_code == 1, first.output
    assert re.search(r"financialTransactions +1,000 +990 +10\b", first.stdout)
    assert "5  REFERENCE_NOT_FOUND financialAccountBy.name, line 109: '[red]Nobody[/]'" in first.stdout
    assert f"10 rows of financialTransactions to fix and send again: {failed}" in first.stdout
    assert [one["bulkql_row"] for one in left] == [str(number) for number in range(7, 1_000, 100)]
    assert again.exit_code == 0, again.output
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(1_000,)]


def test_a_file_of_failed_rows_that_is_there_is_left_alone(run, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text("\n".join([HEADER, line(7, amount="a lot"), ""]))
    (tmp_path / "january-failed.csv").write_text("somebody's work")

    run("import", sent, *MAPPED)

    assert (tmp_path / "january-failed.csv").read_text() == "somebody's work"
    assert "a lot" in (tmp_path / "january-failed-2.csv").read_text()
    assert not list(tmp_path.glob("*.part"))


def test_a_pipe_is_read_and_its_options_are_files(run, service, tmp_path):
    text = f"{HEADER.replace(',', ';')}\n1,50;NA;01.02.2026 00:00;Account 7;Open\n"
    options = ("--format", "csv", "--delimiter", ";", "--decimal", ",", "--date-format", "DD.MM.YYYY")

    done = run("import", "-", *MAPPED, *options, "--null-values", "nothing", "--label", "piped", input=text)

    assert done.exit_code == 0, done.output
    assert service.sql("SELECT amount::text, description FROM ledger_financialtransaction") == [("1.50", "NA")]
    assert "piped, admin" in run("operations", "--label", "piped").stdout


def test_an_upsert_and_a_dry_run_take_their_options(run, service, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text("\n".join([HEADER, line(1), line(2), ""]))
    upsert = ("import", sent, *MAPPED, "--operation", "upsert", "--match-by", "financialAccount,datetime")

    look = run(*upsert, "--dry-run")
    applied = run("apply", operation_in(look.stdout))
    service.sql("TRUNCATE ledger_financialtransaction")
    written = run(*upsert, "--on-error", "reject-all")
    again = run(*upsert, "--update-fields", "amount")

    assert "upsert (dry run: nothing is written)" in look.stdout
    assert f"`bulkql apply {operation_in(look.stdout)}` carries it out" in look.stdout
    assert re.search(r"rows +created *\n.*\n financialTransactions +2 +2", applied.stdout)
    assert re.search(r"rows +created *\n.*\n financialTransactions +2 +2", written.stdout)
    assert re.search(r"rows +unchanged *\n.*\n financialTransactions +2 +2", again.stdout)


@pytest.mark.parametrize("guard", [("--max-deletes", "0"), ("--max-delete-percent", "0")])
def test_a_guard_of_zero_is_a_guard(run, tmp_path, guard):
    sent = tmp_path / "january.csv"
    sync = ("import", sent, *MAPPED, "--operation", "sync", "--match-by", "financialAccount,datetime")
    sent.write_text("\n".join([HEADER, *(line(number) for number in range(20)), ""]))
    assert run(*sync).exit_code == 0
    sent.write_text("\n".join([HEADER, *(line(number) for number in range(19)), ""]))

    done = run(*sync, "--delete-missing", *guard)

    assert done.exit_code == 1
    assert "nothing was written" in done.stdout


@pytest.mark.parametrize("where", ["[]", "null", "0", "false", "{"])
def test_what_is_no_scope_is_not_taken_for_the_whole_table(run, tmp_path, where):
    sent = tmp_path / "january.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    sync = ("import", sent, *MAPPED, "--operation", "sync", "--match-by", "financialAccount,datetime")

    assert run(*sync, "--delete-missing", "--max-delete-percent", "100", "--where", where).exit_code == 2
    assert run("export", "--resource", "financialTransactions", "--where", where).exit_code == 2


def test_failed_rows_of_a_pipe_leave_those_alone_that_somebody_mends(run, tmp_path):
    mending = tmp_path / "financialAccounts-failed.ndjson"
    mending.write_text("mended")

    done = run("import", "-", "--resource", "financialAccounts", "--format", "ndjson", input='{"name": null}\n')

    assert mending.read_text() == "mended"
    assert "financialAccounts-failed-2.ndjson" in done.stdout
    assert "NULL_NOT_ALLOWED" in (tmp_path / "financialAccounts-failed-2.ndjson").read_text()


def test_failed_rows_of_a_sync_are_not_to_be_taken_for_all_rows(run, service, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text("\n".join([HEADER, line(1), line(2, amount="a lot"), ""]))

    done = run("import", sent, *MAPPED, "--operation", "sync", "--match-by", "financialAccount,datetime")

    assert "1 row error; the first of each kind:" in done.stdout
    assert (
        "1 row of financialTransactions to fix and send again, by upsert, or by sync together with all others: "
        f"{tmp_path / 'january-failed.csv'}"
    ) in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--resource", "financialTransaction"), "Did you mean financialTransactions?"),
        ((*MAPPED, "--operation", "upsert", "--match-by", "when"), "financialTransactions has no field when."),
        ((*MAPPED, "--operation", "sync", "--where", '{"nothing": 1}'), "unknown field 'nothing'"),
        ((*MAPPED, "--delete-missing"), "--delete-missing: it is for sync"),
        ((*MAPPED, "--date-format", "x"), "BAD_INPUT: --date-format is 'x'; give the places of day, month and year"),
        ((*MAPPED, "--map", "description=nothing"), "`--map` maps to nothing; financialTransactions has"),
        ((*MAPPED, "--start-at", "yesterday"), "--start-at: 'yesterday' is not a time"),
        ((*MAPPED, "--failed-rows", "nowhere/a.csv"), "nowhere/a.csv: No such file or directory. Give --failed-rows"),
    ],
    ids=["resource", "key", "where", "sync's alone", "date format", "column", "time", "failed rows"],
)
def test_a_refused_request_ends_with_2_before_anything_is_sent(run, service, tmp_path, options, message):
    sent = tmp_path / "january.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    uploads = "SELECT count(*) FROM bulkql_upload"
    before = service.sql(uploads)

    done = run("import", sent, *options)
    piped = run("import", "-", *options, "--format", "CSV", input=sent.read_text())

    assert (done.exit_code, piped.exit_code) == (2, 2)
    assert message in done.stderr
    assert message in piped.stderr
    assert "Sending" not in done.stderr + piped.stderr
    assert service.sql(uploads) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.csv", "is empty: it has neither rows nor a header."),
        ("nowhere.csv", "No such file or directory."),
        ("directory", "Is a directory. Give one of its files."),
        ("", "'': No such file or directory."),
        ("-", "- is a pipe, and has no name that shows its format; give --format: csv, ndjson, parquet, xlsx."),
    ],
)
def test_what_cannot_be_sent_is_told_without_the_service(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "directory").mkdir()
    nobody = {"BULKQL_URL": "http://127.0.0.1:1", "BULKQL_TOKEN": "x"}

    done = CliRunner().invoke(app, ["import", name, "--resource", "cities"], env=nobody)

    assert done.exit_code == 2
    assert message in done.stderr


def test_an_empty_pipe_is_told_as_an_empty_file(run):
    done = run("import", "-", "--format", "csv", "--resource", "financialTransactions", input="")

    assert done.exit_code == 2
    assert "stdin is empty: it has neither rows nor a header." in done.stderr


@pytest.mark.parametrize("words", [["operations"], ["--help"], ["import", "--help"]], ids=" ".join)
@pytest.mark.parametrize(
    ("of", "status", "told"),
    [("stdout", 3, "The output cannot be written: No space left on device.\n"), ("stderr", 0, "")],
)
def test_a_standard_output_that_takes_nothing_is_no_success(service, words, of, status, told):
    command = [Path(sys.executable).with_name("bulkql"), *words]
    environment = {"BULKQL_URL": service.url, "BULKQL_TOKEN": service.token}

    with Path("/dev/full").open("w") as full:
        streams = {"stdout": PIPE, "stderr": PIPE, of: full}
        done = subprocess.run(command, env=environment, text=True, check=False, **streams)

    assert (done.returncode, done.stderr or "") == (status, told)


def test_who_reads_no_further_is_told_nothing(service):
    command = [Path(sys.executable).with_name("bulkql"), "operations"]
    environment = {"BULKQL_URL": service.url, "BULKQL_TOKEN": service.token}
    read, written = os.pipe()
    os.close(read)

    done = subprocess.run(command, env=environment, stdout=written, stderr=PIPE, text=True, check=False)
    os.close(written)

    assert (done.returncode, done.stderr) == (3, "")


@pytest.fixture
def command(service):
    """A command as a shell runs it: the words before those that follow, and its environment."""
    environment = {"BULKQL_URL": service.url, "BULKQL_TOKEN": service.token}
    return lambda *words: {"args": [Path(sys.executable).with_name("bulkql"), *words], "env": environment}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_whatever_stops_a_watcher_of_a_quiet_operation_leaves_it_to_itself(run, command, tmp_path, number):
    sent = tmp_path / "january.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = operation_in(run("import", sent, *MAPPED, "--start-at", tomorrow, "--no-wait").stdout)

    words = command("watch", later)
    # Whoever runs the tests may ignore the signal, as nohup does, and so would the command.
    heeding = {**words, "args": ["env", f"--default-signal={number.name.removeprefix('SIG')}", *words["args"]]}
    with subprocess.Popen(**heeding, stdout=PIPE, stderr=PIPE, text=True) as watcher:
        try:
            waits = watcher.stderr.readline()
            watcher.send_signal(number)
            _, told = watcher.communicate(timeout=30)
        finally:
            watcher.kill()

    assert waits.startswith("Starts at ")
    assert f"The operation continues: `bulkql watch {later}` shows it again" in told
    assert watcher.returncode == 130
    run("cancel", later)


def test_without_a_standard_output_nothing_is_told_and_that_is_no_success(command):
    with_shell = ["sh", "-c", '"$@" >&-', "sh"]
    words = command("operations")

    done = subprocess.run(**{**words, "args": [*with_shell, *words["args"]]}, stderr=PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (3, "The output cannot be written: Bad file descriptor.\n")


def test_a_terminal_that_is_not_utf_8_has_names_as_python_writes_them(run, command, tmp_path):
    sent = tmp_path / "jän.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    words = command("operations", "--label", "jän")
    words["env"] |= {"PYTHONIOENCODING": "ascii"}

    run("import", sent, *MAPPED)
    done = subprocess.run(**words, stdout=PIPE, check=True)

    assert b"j\\xe4n.csv, admin" in done.stdout


def test_a_resource_that_there_is_not_has_no_operations(run):
    done = run("operations", "--resource", "financialTransaction")

    assert done.exit_code == 2
    assert "There is no resource financialTransaction. Did you mean financialTransactions?" in done.stderr


def test_an_export_that_is_watched_says_how_to_fetch_its_file(run, service, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    run("import", sent, *MAPPED)
    run("export", "--resource", "financialTransactions", "--fields", "amount", "--output", "-")
    exported = operation_in(run("operations", "--kind", "export", "--limit", "1").stdout)

    told = run("watch", exported).stdout
    fetching = told.splitlines()[-1].replace("$BULKQL_TOKEN", service.token)

    assert re.search("\nfinancialTransactions.csv can be fetched until ", told)
    _, _, _, header, _, name, url = shlex.split(fetching)
    assert name == "financialTransactions.csv"
    answer = httpx.get(url, headers=dict([header.split(": ")]))
    assert answer.text == "amount\n1.50\n"


def test_a_token_that_is_typed_asks_as_its_user(run, service):
    data = service.process.args[service.process.args.index("--data") + 1]

    done = run("operations", "--data", data, "--token", "junk")

    assert done.exit_code == 2
    assert "UNAUTHENTICATED" in done.stderr


def test_what_a_shell_makes_of_a_command_is_read_as_a_pipe(run, service, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=[f"{HEADER}\n{line(7, amount='a lot')}\n"])

    writer.start()
    done = run("import", pipe, *MAPPED, "--format", "csv")
    writer.join()

    assert done.exit_code == 1, done.output
    assert "a lot" in (tmp_path / "financialTransactions-failed.csv").read_text()


def test_names_of_files_are_told_as_they_are(run, tmp_path):
    sent = tmp_path / "-jän\nner[red].csv"
    sent.write_text("\n".join([HEADER, line(7, amount="a lot"), ""]))

    done = run("import", *MAPPED, "--", sent.name)

    assert done.exit_code == 1, done.output
    assert "financialTransactions to fix and send again: -jän?ner[red]-failed.csv" in done.stdout
    assert (tmp_path / "-jän\nner[red]-failed.csv").exists()


def uploads_of(service):
    """The bytes and the uploads that count among the user's."""
    told = {
        one["name"]: one["used"]
        for one in BulkClient(service.url, service.token).execute("{ limits { name used } }")["limits"]
    }
    return told["userStoredBytes"], told["userUploadsWaiting"]


def long_lines(count=3_000):
    """A file of text of which the beginning is less than a half."""
    return [line(number).replace("row", 6_500 * "x") for number in range(count)]


@pytest.fixture
def sent_bytes(monkeypatch):
    """How many bytes each request for a part of a file carried."""
    counts = []

    def counted(pieces, count):
        counts.append(0)
        for piece in first_bytes(pieces, count):
            counts[-1] += len(piece)
            yield piece

    first_bytes = client.first_bytes
    monkeypatch.setattr(client, "first_bytes", counted)
    return counts


def test_a_large_file_that_is_wrong_is_refused_before_all_of_it_is_sent(run, service, tmp_path, sent_bytes):
    sent = tmp_path / "large.csv"
    sent.write_text("\n".join([HEADER.replace("description", "descripton"), *long_lines()]))
    used = uploads_of(service)

    result = run("import", sent, *MAPPED)

    assert result.exit_code == 2, result.output
    assert "descripton" in result.output
    assert "Operation" not in result.output
    assert uploads_of(service) == used
    assert sent_bytes == [sending.BEGINNING_BYTES]


def test_a_large_file_whose_beginning_does_not_tell_what_it_is_is_sent_whole_first(run, service, tmp_path, sent_bytes):
    sent = tmp_path / "large.ndjson"
    sent.write_text(2 * sending.BEGINNING_BYTES * "\n" + '{"name": "Behind blank lines"}\n')

    result = run("import", sent, "--resource", "financialAccounts")

    assert result.exit_code == 0, result.output
    assert sent_bytes == [sending.BEGINNING_BYTES, sent.stat().st_size - sending.BEGINNING_BYTES]
    assert re.search(r"financialAccounts +1 +1\b", result.stdout)


def test_a_large_file_is_read_when_its_last_byte_has_come(run, service, tmp_path):
    sent = tmp_path / "large.csv"
    sent.write_text("\n".join([HEADER, *long_lines()]))

    result = run("import", sent, *MAPPED)

    assert result.exit_code == 0, result.output
    assert re.search(r"financialTransactions +3,000 +3,000\b", result.stdout)


def test_a_large_file_whose_client_gives_up_is_canceled(run, service, tmp_path, monkeypatch):
    sent = tmp_path / "large.csv"
    sent.write_text("\n".join([HEADER, *long_lines()]))
    used = uploads_of(service)

    def interrupted(file, name, size, offset):
        if offset:
            raise KeyboardInterrupt
        return pieces(file, name, size, offset)

    pieces = sending.pieces
    monkeypatch.setattr(sending, "pieces", interrupted)
    result = run("import", sent, *MAPPED)

    assert result.exit_code == 130
    canceled = f"{operation_in(result.stderr)}, which waited for the rest, is canceled; nothing of it is written."
    assert canceled in result.stderr
    assert f"Interrupted: 8,388,608 of {sent.stat().st_size:,} bytes of large.csv were sent, and have" in result.stderr
    query = "{ operations(first: 1) { edges { node { state label total } } } }"
    (told,) = BulkClient(service.url, service.token).execute(query)["operations"]["edges"]
    assert told["node"] == {"state": "CANCELED", "label": "large.csv", "total": 0}
    assert uploads_of(service) == used


def test_who_is_not_known_and_where_nobody_answers(run, tmp_path):
    stranger = CliRunner().invoke(app, ["operations"], env={"BULKQL_URL": "http://127.0.0.1:1", "BULKQL_TOKEN": "x"})
    unnamed = CliRunner().invoke(app, ["operations"], env={"BULKQL_URL": None, "BULKQL_TOKEN": None})

    assert (run("operations", "--token", "junk").exit_code, stranger.exit_code, unnamed.exit_code) == (2, 2, 2)
    assert "UNAUTHENTICATED: Sign in" in run("operations", "--token", "junk").stderr
    assert "http://127.0.0.1:1 cannot be reached" in stranger.stderr
    assert "Say where the service is" in unnamed.stderr


def test_operations_are_left_watched_canceled_and_retried(run, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text("\n".join([HEADER, line(7, account="Account 7000"), ""]))

    left = run("import", sent, *MAPPED, "--no-wait")
    watched = run("watch", operation_in(left.stdout))
    canceled = run("cancel", operation_in(left.stdout))
    retried = run("retry", operation_in(left.stdout))

    assert (left.exit_code, watched.exit_code, canceled.exit_code, retried.exit_code) == (0, 1, 0, 1)
    assert canceled.stdout == f"{operation_in(left.stdout)} COMPLETED\n"
    assert operation_in(retried.stdout) != operation_in(left.stdout)
    assert not list(tmp_path.glob("*failed*"))


def test_an_import_that_waits_is_paused_and_goes_on(run, service, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    slowly = ("--max-rows-per-second", "1000", "--start-at", tomorrow.isoformat())

    later = operation_in(run("import", sent, *MAPPED, *slowly, "--no-wait").stdout)
    steered = [run(command, later).stdout for command in ("pause", "resume", "cancel")]

    assert steered[0] == f"{later} PAUSED\n"
    assert steered[1].split()[1] in ("QUEUED", "RUNNING")
    assert later in run("operations").stdout


def test_what_was_imported_is_exported_and_reverted(run, service, tmp_path):
    sent = tmp_path / "january.csv"
    sent.write_text("\n".join([HEADER, line(1), line(2), ""]))
    imported = operation_in(run("import", sent, *MAPPED).stdout)
    where = ("--where", '{"description": {"exact": "row 2"}}', "--fields", "amount,description,financialAccount.name")

    piped = run("export", "--resource", "financialTransactions", *where, "--output", "-")
    stored = run("export", "--resource", "financialTransactions", *where, "--output", "some.ndjson.gz")
    before = run("operations", "--kind", "export").stdout
    refused = run("export", "--resource", "financialTransactions", "--output", "nowhere/a.csv")
    after = run("operations", "--kind", "export").stdout
    undone = run("revert", imported)

    assert piped.stdout == "amount,description,financialAccount.name\n1.50,row 2,Account 7\n"
    assert stored.stdout == "1 row of financialTransactions: some.ndjson.gz\n"
    assert json.loads(gzip.decompress((tmp_path / "some.ndjson.gz").read_bytes()))["description"] == "row 2"
    assert (refused.exit_code, before.count("export")) == (2, after.count("export"))
    assert "nowhere/a.csv: No such file or directory. Give --output a file that can be written." in refused.stderr
    assert "2 undone, 0 changed since and kept, 0 impossible." in undone.stdout
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(0,)]


def test_without_a_websocket_progress_is_asked_for(run, tmp_path, monkeypatch):
    def refused(*_):
        raise ConnectionRefusedError

    sent = tmp_path / "january.csv"
    sent.write_text(f"{HEADER}\n{line(1)}\n")
    monkeypatch.setattr(progress.BulkClient, "watch", refused)

    done = run("import", sent, *MAPPED)

    assert done.exit_code == 0
    assert "COMPLETED" in done.stdout


def test_top_tells_what_runs(run):
    assert run("top", "--once").stdout == "0 operations are not over, 0 rows/s\n"


def test_the_schema_of_a_service(run, service):
    sdl = run("schema", "--url", service.url).stdout

    assert "bulkCreate(" in sdl
    assert "input FileInput {" in sdl
