"""A file whose last byte is not there yet: its beginning is looked at now, and its rows are read once it has come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.ledger.retention import purge
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Operation, Upload
from bulkql.workers.operations import running, steering, steps
from bulkql.workers.readers.options import FileFormat, FileOptions, compression_of
from bulkql.workers.rescue import end_abandoned, neglected, rescue
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import resumed, uploads
from tests.integration.conftest import Refused
from tests.integration.turns import fresh_queue, state, waiting_messages

__all__ = ["fresh_queue"]

pytestmark = pytest.mark.django_db

BEGINNING = uploads.BEGINNING_BYTES
ROWS = 100


def content_of(row: str, header: str = "", separator: str = "\n", end: str = "\n") -> bytes:
    """A file a little longer than a beginning; in a row NN stands for its number, and LONG for a long text."""
    long = "ä" * (BEGINNING // ROWS // 2 + 1_000)
    rows = (row.replace("NN", f"{number:02}").replace("LONG", long) for number in range(ROWS))
    return (header + separator.join(rows) + end).encode()


CREATE = "mutation ($input: BulkCreateInput!) { bulkCreate(input: $input) { state message } }"
HEADER = "amount,description,datetime,financialAccount.name,classificationStatus.name\n"
CONTENT = content_of("1.50,LONG,2026-01-01T00:00:00.NNZ,Cash,Open", HEADER)


@pytest.fixture(autouse=True)
def _targets(db):
    FinancialAccount.objects.create(name="Cash")
    ClassificationStatus.objects.create(name="Open")


def coming(user: Any, content: bytes = CONTENT, *, sent: int = BEGINNING, name: str = "accounts.csv") -> Upload:
    """An upload of which so many bytes have come."""
    upload = uploads.announce(user, name, len(content))
    resumed.append(upload.pk, 0, content[:sent])
    return Upload.objects.get(pk=upload.pk)


def send_rest(upload: Upload, content: bytes = CONTENT) -> None:
    resumed.append(upload.pk, resumed.offset_of(upload), content[resumed.offset_of(upload) :])


def request(user: Any, upload: Upload, *, file_format: FileFormat = FileFormat.CSV, **options: Any) -> BulkRequest:
    file = FileOptions(format=file_format, compression=compression_of(upload.name))
    item = InputRequest(resource=resource_named("financialTransactions"), upload=upload, file_options=file)
    return BulkRequest(verb=Verb.CREATE, user=user, inputs=[item], **options)


def asked(user: Any, upload: Upload, **options: Any) -> Operation:
    operation = running.run(request(user, upload, **options))
    # The youngest operations have a moment before the rescue looks at them.
    Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    return operation


def work(operation: Operation) -> None:
    """What workers do with the messages that they have."""
    for one in operation.inputs.filter(dispatched_at__isnull=False, read_at=None):
        steps.read_input(one.pk)
    if operation.is_one_transaction:
        steps.write_operation(operation.pk)
    for chunk_id in operation.chunks.order_by("number").values_list("pk", flat=True):
        steps.write_chunk(chunk_id)


@pytest.mark.parametrize("options", [{}, {"on_error": OnError.REJECT_ALL}, {"dry_run": True}, {"mode": Mode.ASYNC}])
def test_it_is_begun_when_its_last_byte_has_come(user, options):
    upload = coming(user)

    operation = asked(user, upload, **options)

    told = totals.progress(operation.pk)
    assert (told.state, told.message, told.total) == ("QUEUED", "Waiting for the rest of its file.", None)
    rescue()
    work(operation)
    assert (waiting_messages(), FinancialTransaction.objects.count()) == (0, 0)

    send_rest(upload)
    rescue()
    assert waiting_messages() == 1
    work(operation)
    told = totals.progress(operation.pk)
    assert (told.state, told.message, told.created) == ("COMPLETED", "", 100)
    assert FinancialTransaction.objects.count() == (0 if options.get("dry_run") else 100)


def test_a_message_that_came_too_early_reads_nothing(user):
    operation = asked(user, coming(user))

    steps.read_input(operation.inputs.get().pk)

    assert operation.inputs.get().read_at is None
    assert operation.inputs.get().attempts == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT.replace(b"amount", b"amuont"), "amuont"),
        (b"\x1f\x8b" + CONTENT, "gzip"),
        (CONTENT.replace("ä".encode(), b"\xe4"), "cp1252"),
    ],
    ids=["a column", "packed", "an encoding"],
)
def test_what_the_beginning_tells_is_refused_before_the_rest_is_sent(user, content, message):
    upload = coming(user, content)

    with pytest.raises(BadInput, match=message):
        running.run(request(user, upload))

    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "a.parquet",
            {"file_format": FileFormat.PARQUET},
            "the beginning of such a file does not show what it contains",
        ),
        ("a.xlsx", {"file_format": FileFormat.XLSX}, "the beginning of such a file does not show what it contains"),
        ("a.csv.gz", {}, "the beginning of such a file does not show what it contains"),
        ("a.csv", {"mode": Mode.SYNC}, "mode SYNC does not wait for uploads; send the rest first"),
    ],
)
def test_what_cannot_wait_is_refused(user, name, options, message):
    upload = coming(user, name=name)

    with pytest.raises(BadInput, match=message):
        running.run(request(user, upload, **options))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sent", [0, BEGINNING - 1, BEGINNING])
def test_the_beginning_has_to_be_there(ask, user, sent):
    upload = coming(user, sent=sent)
    how = {"input": {"financialTransactions": {"file": {"uploadId": str(upload.pk)}}}}

    if sent < BEGINNING:
        with pytest.raises(Refused, match=f"Upload {upload.pk} is not complete; send the rest of its bytes to the URL"):
            ask(user, CREATE, **how)
    else:
        told = {"state": "QUEUED", "message": "Waiting for the rest of its file."}
        assert ask(user, CREATE, **how) == {"bulkCreate": told}


WITHOUT_A_HOST = "webhookUrl is refused: no host is allowed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("verb", "given", "file", "options", "message"),
    [
        ("Create", {}, {"dateFormat": "x"}, {}, "dateFormat is 'x'"),
        ("Create", {}, {"delimiter": "ab"}, {}, "A delimiter is one ASCII character"),
        ("Create", {}, {"encoding": "nope"}, {}, "There is no encoding nope"),
        ("Create", {}, {"headerRow": 0}, {}, "headerRow is 0"),
        ("Create", {}, {"headerRow": 2}, {}, "headerRow is for workbooks, and this file is (CSV|PARQUET)"),
        ("Create", {}, {"sheet": ""}, {}, "sheet is for workbooks, and this file is (CSV|PARQUET); leave it out"),
        ("Create", {}, {"columns": [{"from": "a", "to": "b"}]}, {}, "`columns` maps to b"),
        ("Upsert", {"matchBy": ["AMOUNT"]}, {}, {}, "financialTransactions cannot be matched by .AMOUNT."),
        ("Update", {"matchBy": ["AMOUNT"]}, {}, {}, "financialTransactions cannot be matched by .AMOUNT."),
        ("Upsert", {"updateFields": ["ID"]}, {}, {}, "updateFields of financialTransactions names ID"),
        ("Create", {}, {}, {"label": "x" * 300}, "label has 300 characters"),
        ("Upsert", {}, {}, {"skipExisting": True}, "skipExisting is for rows to create"),
        ("Create", {}, {}, {"maxRowsPerSecond": 5, "dryRun": True}, "maxRowsPerSecond paces chunks"),
        ("Create", {}, {}, {"webhookUrl": "http://nowhere/"}, WITHOUT_A_HOST),
        ("Create", {}, {}, {"startAt": "2099-01-01T00:00:00Z"}, "beyond the limit of 7 days"),
        ("Create", {}, {}, {"mode": "SYNC", "startAt": "2026-01-01T00:00:00Z"}, "mode SYNC, which waits for the end"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_what_can_be_known_before_the_first_byte_is_refused_then(ask, user, name, verb, given, file, options, message):
    upload = coming(user, sent=0, name=name)
    mutation = CREATE.replace("Create", verb).replace("!)", "!, $options: BulkOptions)").replace("$input)", BOTH)
    how = {"financialTransactions": {**given, "file": {**file, "uploadId": str(upload.pk)}}}

    with pytest.raises(Refused, match=message):
        ask(user, mutation, input=how, options=options)


BOTH = "$input, options: $options)"

JSON = """{"amount": "1.50", "description": "LONG", "datetime": "2026-01-01T00:00:00.NNZ",
"financialAccount.name": "Cash", "classificationStatus.name": "Open"}"""
SHAPES = {
    "lines": (FileFormat.CSV, CONTENT),
    "quoted": (FileFormat.CSV, content_of('1.50,"LONG",2026-01-01T00:00:00.NNZ,"Cash","Open"', HEADER)),
    "carriage returns": (FileFormat.CSV, CONTENT.replace(b"\n", b"\r")),
    "NDJSON": (FileFormat.NDJSON, content_of(JSON.replace("\n", ""))),
    "JSON over lines": (FileFormat.NDJSON, content_of(JSON)),
    "an array": (FileFormat.NDJSON, content_of(JSON, "[", ",\n", "]")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_beginning_of_any_shape_is_enough(user, shape):
    file_format, content = SHAPES[shape]
    name = f"a.{file_format.lower()}"
    upload = coming(user, content, name=name)

    operation = asked(user, upload, file_format=file_format)
    send_rest(upload, content)
    rescue()
    work(operation)

    assert totals.progress(operation.pk).created == ROWS


def test_a_beginning_that_tells_nothing_yet_is_none(user, monkeypatch):
    monkeypatch.setattr(uploads, "BEGINNING_BYTES", 1_000)
    upload = coming(user, sent=1_000)

    with pytest.raises(BadInput, match="have arrived to determine its format; send the rest first"):
        running.run(request(user, upload))


def test_who_cancels_does_not_wait(user):
    upload = coming(user)
    operation = asked(user, upload)

    steering.cancel(operation.pk)

    assert state(operation) == State.CANCELED
    send_rest(upload)
    rescue()
    assert waiting_messages() == 0
    assert FinancialTransaction.objects.count() == 0


def test_what_is_canceled_can_be_given_up(user):
    upload = coming(user)
    steering.cancel(asked(user, upload).pk)

    resumed.terminate(upload)

    assert not Upload.objects.exists()


def test_who_pauses_and_resumes_goes_on_waiting(user):
    upload = coming(user)
    operation = asked(user, upload)

    steering.pause(operation.pk)
    send_rest(upload)
    rescue()
    assert waiting_messages() == 0

    steering.resume(operation.pk)
    work(operation)
    assert state(operation) == State.COMPLETED


def test_what_does_not_come_in_time_fails_the_operation(user):
    operation = asked(user, coming(user))
    end_abandoned()
    assert state(operation) == State.QUEUED

    Upload.objects.update(created_at=timezone.now() - timedelta(days=2))
    end_abandoned()

    told = totals.progress(operation.pk)
    message = "The rest of the file of financialTransactions did not arrive in time; send it again."
    assert (told.state, told.message, told.total) == ("FAILED", message, 0)
    assert purge() == (0, 1)


def test_a_key_is_the_same_before_and_after_the_last_byte(user):
    upload = coming(user)
    first = asked(user, upload, idempotency_key="k")

    assert asked(user, upload, idempotency_key="k") == first
    send_rest(upload)
    upload.refresh_from_db()
    assert asked(user, upload, idempotency_key="k") == first


def test_the_bytes_that_were_looked_at_stay(user):
    upload = coming(user)
    asked(user, upload)

    with pytest.raises(BadInput, match="send that by tus"):
        uploads.fill(upload, ContentFile(CONTENT))
    with pytest.raises(BadInput, match="cancel it first"):
        resumed.terminate(upload)


def test_nobody_looks_at_it_while_it_comes_unless_something_else_is_lost(user):
    upload = coming(user)
    waiting = asked(user, upload)
    assert waiting not in neglected()

    send_rest(upload)
    assert waiting in neglected()


def test_the_file_before_it_is_written_meanwhile(user):
    csv = FileOptions(format=FileFormat.CSV)
    upload = uploads.fill(uploads.announce(user, "accounts.csv", None), ContentFile(b"name\nBank\n"))
    children = coming(user, CONTENT.replace(b"Cash", b"Bank"))
    items = [
        InputRequest(resource=resource_named("financialTransactions"), upload=children, file_options=csv),
        InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=csv),
    ]
    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=items))
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=1))

    # Redis forgets what is waiting, while the other file is coming.
    broker.client.flushdb()
    rescue()
    work(operation)
    assert totals.progress(operation.pk).created == 1

    send_rest(children, CONTENT.replace(b"Cash", b"Bank"))
    rescue()
    work(operation)
    told = totals.progress(operation.pk)
    assert (told.state, told.created, told.failed) == ("COMPLETED", ROWS + 1, 0)
