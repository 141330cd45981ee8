"""The words of an operation: what it does to rows, where it stands, and what became of each row."""

from __future__ import annotations

from django.db import models


class Verb(models.TextChoices):
    """What an operation does to its rows."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    REPLACE = "REPLACE"
    UPSERT = "UPSERT"
    DELETE = "DELETE"
    SYNC = "SYNC"
    EXPORT = "EXPORT"
    REVERT = "REVERT"

    @property
    def takes_rows(self) -> bool:
        """Whether a request brings rows; an export gives some, and a revert takes those of another operation."""
        return self not in (Verb.EXPORT, Verb.REVERT)


class Lane(models.TextChoices):
    """How rows reach the table. AUTO is what a resource may say: COPY where it does what save() would do, else SAVE."""

    AUTO = "AUTO"
    #: As columns: by COPY, or by the ORM's bulk methods where the database has none.
    COPY = "COPY"
    #: One by one: full_clean() and save(), or delete(), of an instance each.
    SAVE = "SAVE"


class OnError(models.TextChoices):
    """What bad rows do to the others."""

    SKIP_ROWS = "SKIP_ROWS"
    REJECT_ALL = "REJECT_ALL"


class Approval(models.TextChoices):
    """Who has to agree before rows of a resource are written."""

    NONE = "NONE"
    #: A user other than the one who made the plan: rows are written by plans alone.
    BY_ANOTHER = "BY_ANOTHER"


class State(models.TextChoices):
    """Where an operation stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"

    @classmethod
    def final(cls) -> tuple[State, ...]:
        return (cls.COMPLETED, cls.CANCELED, cls.FAILED)


class Outcome(models.TextChoices):
    """What became of a row."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    DELETED = "DELETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class DeliveryState(models.TextChoices):
    """Whether a webhook was heard."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
