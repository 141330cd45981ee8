"""The ledger's tables: operations, their inputs, stored chunks, and uploads."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from bulkql.workers.enums import DeliveryState, OnError, State, Verb
from bulkql.workers.moments import StoredAt

T = TypeVar("T", bound=models.Model)

#: Characters of the texts that a request gives its operation.
TEXT_LENGTH = 200


class Bytes(models.QuerySet[T]):
    """Rows with many bytes, to which nothing points."""

    def delete_unheard(self) -> int:
        """Delete them without Django's signals: a receiver for all models would have each of them loaded."""
        return int(self._raw_delete(self.db))


class Upload(models.Model):
    """A file on its way in. `uploaded_at` is set once all of its bytes are stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)
    size = models.BigIntegerField(null=True, help_text="Bytes, as announced and later as stored.")
    path = models.CharField(max_length=255, blank=True, help_text="The name of the stored file in the storage.")
    digest = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="SHA-256 of its bytes, where the storage told."
    )
    # A deleted user's uploads wait for the purge: it alone deletes their bytes too, and operations may still need them.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = StoredAt()
    uploaded_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bulkql_upload"

    def __str__(self) -> str:
        return f"upload {self.id}"


class StoredFile(models.Model):
    """A file of the database storage (workers/uploads/storage.py)."""

    name = models.CharField(max_length=255, unique=True)
    size = models.BigIntegerField(default=0)

    class Meta:
        db_table = "bulkql_stored_file"

    def __str__(self) -> str:
        return self.name


class StoredPart(models.Model):
    """A slice of a stored file; all but the last are of one size."""

    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="parts")
    number = models.IntegerField()
    data = models.BinaryField()
    digest = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="SHA-256 of its bytes, where they came by tus."
    )

    objects = Bytes.as_manager()

    class Meta:
        db_table = "bulkql_stored_part"
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="bulkql_part_once")]

    def __str__(self) -> str:
        return f"part {self.number} of file {self.file_id}"


class Operation(models.Model):
    """One bulk request, durable. Its counts are the sums over its chunks."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verb = models.CharField(max_length=10, choices=Verb)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    on_error = models.CharField(max_length=10, choices=OnError, default=OnError.SKIP_ROWS)
    dry_run = models.BooleanField(default=False, help_text="Everything is written, and rolled back.")
    label = models.CharField(max_length=TEXT_LENGTH, blank=True)
    message = models.TextField(blank=True, help_text="Why it failed.")
    idempotency_key = models.CharField(max_length=TEXT_LENGTH, null=True)
    input_hash = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = StoredAt()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Stays when that user is deleted, as an empty one means that they are the operation's own user's.
    rows_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text="Who sent its rows, where that is not its user: it retries, or applies, what another user sent.",
    )
    retry_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retries")
    revert_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="reverts")
    forces = models.BooleanField(
        default=False, db_default=False, help_text="A revert of rows that were changed since, too."
    )
    # A plan is applied once, whoever asks at the same moment.
    applied_from = models.OneToOneField(
        "self", null=True, on_delete=models.SET_NULL, related_name="application", help_text="The plan that it applies."
    )
    lease = models.UUIDField(null=True, help_text="Who is writing all of it, in one transaction.")
    leased_until = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    outages = models.IntegerField(default=0, db_default=0, help_text="Tries that the database's going away ended.")
    waiting_since = models.DateTimeField(null=True, help_text="Since when it waits for locks that somebody else holds.")
    trades = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Unique values change hands between its rows: those that are not written yet go together.",
    )
    turns = models.IntegerField(default=0, db_default=0, help_text="How often it was paused or resumed.")
    start_at = models.DateTimeField(null=True, help_text="Nothing of it is begun before.")
    due_at = models.DateTimeField(null=True, help_text="When its next chunk may be dispatched, at its pace.")
    max_rows_per_second = models.IntegerField(null=True, help_text="Rows of it that all workers together may begin.")
    calls_back = models.BooleanField(default=False, db_default=False, help_text="It has deliveries of webhooks.")
    skip_existing = models.BooleanField(
        default=False, db_default=False, help_text="New rows whose unique key the table has already are UNCHANGED."
    )

    class Meta:
        db_table = "bulkql_operation"
        permissions = [("apply_operation", "Can apply a plan")]
        constraints = [
            models.UniqueConstraint(fields=["created_by", "idempotency_key"], name="bulkql_operation_once"),
        ]
        indexes = [
            models.Index(fields=["created_by", "-created_at"], name="bulkql_operation_of_user"),
            models.Index(
                fields=["created_at"],
                condition=models.Q(finished_at__isnull=True),
                name="bulkql_operation_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return f"operation {self.id}"

    @property
    def owner_id(self) -> str | None:
        """The key of the user who asked for it, as text: a number, a UUID, whatever the project's users have."""
        return None if self.created_by_id is None else str(self.created_by_id)

    @property
    def sent_by(self) -> Any:
        """The key of the user who sent its rows; None where that user is deleted."""
        has_anothers = self.retry_of_id is not None or self.applied_from_id is not None
        return self.rows_by_id or (None if has_anothers else self.created_by_id)

    @property
    def is_one_transaction(self) -> bool:
        """All of its rows are written together, or none: its chunks are not for several workers."""
        return self.dry_run or self.on_error == OnError.REJECT_ALL or self.trades

    @property
    def looks_first(self) -> bool:
        """What it finds in the table is recorded, or compared with what a plan found."""
        return self.is_plan or self.applied_from_id is not None

    @property
    def is_plan(self) -> bool:
        """It can be applied, once it is over and went well. A revert is asked for again instead."""
        return self.dry_run and self.verb not in (Verb.EXPORT, Verb.REVERT)


class Input(models.Model):
    """The rows that one operation holds for one resource: inline, or a file that is read into chunks.

    Inputs are written in the order of `position`: a resource comes after those that its foreign keys point to.
    """

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="inputs")
    resource = models.CharField(max_length=100, help_text="The resource's GraphQL name.")
    position = models.IntegerField()
    chunk_size = models.IntegerField(help_text="Rows, as they were when the request was accepted.")
    upload = models.ForeignKey(Upload, null=True, on_delete=models.PROTECT, related_name="+")
    file_options = models.JSONField(null=True)
    match_by = models.JSONField(default=list, help_text="The fields by which rows are found.")
    update_fields = models.JSONField(null=True, help_text="The fields that an upsert changes; null for all.")
    header = models.JSONField(null=True, help_text="The columns as the file names them: [[name, field or null], ...].")
    total = models.BigIntegerField(null=True, help_text="Rows; unknown until the file has been read to its end.")
    read_at = models.DateTimeField(null=True, help_text="When the last chunk was stored.")
    scope = models.TextField(null=True, help_text="The `where` of a sync, signed; null for the whole table.")
    removes = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Its rows are those of the table that a sync's other input of the resource does not name.",
    )
    max_deletes = models.BigIntegerField(null=True, help_text="How many of them may be deleted.")
    max_delete_percent = models.FloatField(null=True, help_text="The same, of the rows in scope.")
    scope_rows = models.BigIntegerField(null=True, help_text="Rows in scope, when it was found which ones are missing.")
    note = models.TextField(blank=True, default="", db_default="", help_text="Why no row was deleted after all.")
    lease = models.UUIDField(null=True, help_text="Who is reading.")
    leased_until = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    outages = models.IntegerField(default=0, db_default=0, help_text="Tries that the database's going away ended.")

    class Meta:
        db_table = "bulkql_input"
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "position"], name="bulkql_input_position"),
            models.UniqueConstraint(fields=["operation", "resource", "removes"], name="bulkql_input_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} of operation {self.operation_id}"


class Export(models.Model):
    """The file that an export makes of an input. `size` is set once all of it is stored."""

    input = models.OneToOneField(Input, on_delete=models.CASCADE, related_name="export")
    fields = models.JSONField(help_text="What the file's columns are called, in their order.")
    format = models.CharField(max_length=10)
    compression = models.CharField(max_length=10)
    path = models.CharField(max_length=255, blank=True, help_text="Its name in the storage, known before it is there.")
    size = models.BigIntegerField(null=True, help_text="Bytes.")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of its bytes.")

    class Meta:
        db_table = "bulkql_export"

    def __str__(self) -> str:
        return f"file of input {self.input_id}"


class Chunk(models.Model):
    """A stored slice of an input's rows: the unit of work, and the ledger entry of what became of it.

    An export's rows are in its files: its chunks have none, and tell how far it has come.
    """

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="chunks")
    input = models.ForeignKey(Input, on_delete=models.CASCADE, related_name="chunks")
    number = models.IntegerField()
    row_start = models.BigIntegerField()
    row_count = models.IntegerField()
    payload = models.BinaryField(help_text="The raw frame, compressed Arrow IPC.")
    dispatched_at = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True, help_text="Who is writing.")
    leased_until = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    outages = models.IntegerField(default=0, db_default=0, help_text="Tries that the database's going away ended.")
    recorded_at = models.DateTimeField(null=True)
    created = models.IntegerField(default=0)
    updated = models.IntegerField(default=0)
    unchanged = models.IntegerField(default=0)
    deleted = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    exported = models.IntegerField(default=0, db_default=0, help_text="Rows that were written to an export's file.")
    cascades = models.JSONField(null=True, help_text="Rows deleted along with the chunk's, by model.")
    error_count = models.IntegerField(default=0, help_text="Row errors; a row may have several.")
    results = models.BinaryField(null=True, help_text="Outcome and pk of each row, compressed Arrow IPC.")
    errors = models.BinaryField(null=True, help_text="Row errors, compressed Arrow IPC.")
    images = models.BinaryField(null=True, help_text="What its rows were before, compressed Arrow IPC.")
    evidence = models.BinaryField(null=True, help_text="What a dry run saw of the table's rows, compressed Arrow IPC.")

    objects = Bytes.as_manager()

    class Meta:
        db_table = "bulkql_chunk"
        ordering = ["input__position", "number"]
        constraints = [models.UniqueConstraint(fields=["input", "number"], name="bulkql_chunk_once")]
        indexes = [
            models.Index(
                fields=["operation", "input", "number"],
                condition=models.Q(recorded_at__isnull=True),
                name="bulkql_chunk_open",
            ),
        ]

    def __str__(self) -> str:
        return f"chunk {self.number} of input {self.input_id}"


class Delivery(models.Model):
    """A webhook that tells the end of an operation. It is due once that is over."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="deliveries")
    url = models.TextField(help_text="Where it goes; parts of it may be secret.")
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.PENDING)
    attempts = models.IntegerField(default=0, help_text="Tries, since it was sent anew last.")
    tries = models.JSONField(default=list, help_text="The last ones: at, seconds, status, error.")
    created_at = StoredAt()
    due_at = models.DateTimeField(db_default=Now(), help_text="When the next try is due.")
    leased_until = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "bulkql_delivery"
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="PENDING"), name="bulkql_delivery_due"),
        ]

    def __str__(self) -> str:
        return f"webhook {self.id}"

    @property
    def message_id(self) -> str:
        """The same for every try, so that a receiver takes it once."""
        return f"msg_{self.id.hex}"

    @property
    def host(self) -> str:
        """Whom it tells; what else stands in the URL may be secret."""
        return urlsplit(self.url).hostname or ""
