"""A base of management commands that import rows: fetch -> clean -> split -> one bulk operation, with its progress."""

from __future__ import annotations

import re
import sys
import time
from abc import abstractmethod
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias
from uuid import UUID

import polars as pl
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bulkql import verbs
from bulkql.cleaning import Cleaning
from bulkql.operation import BulkOperation
from bulkql.workers.errors import BulkError, counted
from bulkql.workers.signals import chunk_written

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import Model

Frame: TypeAlias = pl.DataFrame | pl.LazyFrame
Frames: TypeAlias = Mapping[type["Model"], Frame]

#: What `operation` may be; rows are deleted by a sync alone.
VERBS = ("create", "update", "replace", "upsert", "sync")
#: Exit statuses: rows failed; nothing was done; Ctrl-C, as shells tell it.
FAILED, REFUSED, INTERRUPTED = 1, 2, 130
#: What messages of the Python API call the options of a command: max_delete_percent=10.
OPTION = re.compile(r"\b(dry_run|delete_missing|max_delete_percent|chunk_size)\b(?:=(?:True|(\d+(?:\.\d+)?)))?")
#: The row errors that are looked at for their kinds, and the kinds that are told.
LOOKED_AT, KINDS = 1_000, 12


class ImportCommand(BaseCommand):
    """Subclass it in an app's management/commands, and say where rows come from and what model they are of.

    Exits with 0 where all rows are written, 1 where some failed, 2 where nothing was done, 130 after Ctrl-C.
    """

    #: The model of the rows; None where `fetch` or `split` tells the rows of several.
    model: ClassVar[type[Model] | None] = None
    #: What is done to the source's frame, or to the frame of each model.
    cleaning: ClassVar[Cleaning | Mapping[type[Model], Cleaning]] = Cleaning()
    #: The verb; with --delete-missing it is always sync.
    operation: ClassVar[Literal["create", "update", "replace", "upsert", "sync"]] = "upsert"
    #: The key by which rows are found, of a command with one model; by default the resource's.
    match_by: ClassVar[Sequence[str] | None] = None
    #: Whether one bad row keeps all others out (REJECT_ALL).
    on_error: ClassVar[Literal["SKIP_ROWS", "REJECT_ALL"]] = "SKIP_ROWS"
    #: The name of the user who asks, unless --user says another.
    user: ClassVar[str | None] = None

    @abstractmethod
    def fetch(self, **options: Any) -> Frame | Frames:
        """The rows as their source has them: a frame, or one for each model. `options` are the command's own."""

    def clean(self, rows: Frame, model: type[Model] | None = None) -> pl.DataFrame:
        """The rows as they are to be written; by default what `cleaning` declares."""
        declared = self.cleaning
        if isinstance(declared, Mapping):
            declared = declared.get(model, Cleaning()) if model is not None else Cleaning()
        return declared.clean(rows)

    def split(self, rows: pl.DataFrame) -> Frames:
        """The cleaned rows of each model, where `fetch` gives one frame; by default all are of `model`."""
        if self.model is None:
            raise CommandError(
                f"{type(self).__module__} has no `model`; set it, or override `split`.", returncode=REFUSED
            )
        return {self.model: rows}

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Call it first where you override it."""
        parser.add_argument("--dry-run", action="store_true", help="Write everything and roll it back.")
        parser.add_argument("--yes", action="store_true", help="Write without a dry run and without asking.")
        parser.add_argument("--delete-missing", action="store_true", help="Delete rows that the source does not have.")
        parser.add_argument(
            "--max-delete-percent", type=float, help="Write nothing if more are missing; by default 10."
        )
        parser.add_argument("--chunk-size", type=int, help="Rows that are written in one transaction.")
        parser.add_argument(
            "--timeout", type=seconds, metavar="SECONDS", help="Stop at the next chunk after this many seconds."
        )
        parser.add_argument("--user", help="The name of the user whose permissions count.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Fetch, clean, ask, write, tell."""
        try:
            self.carry_out(options)
        except BulkError as error:
            raise CommandError(f"{error.code}: {as_option(str(error))}", returncode=REFUSED) from None
        except KeyboardInterrupt as interrupt:
            told = " ".join(getattr(interrupt, "__notes__", ["Nothing was written."]))
            raise CommandError(f"Interrupted. {told}", returncode=INTERRUPTED) from None

    def carry_out(self, options: dict[str, Any]) -> None:
        """All of it; raises BulkError with nothing stored."""
        user = self.find_user(self.user if options["user"] is None else options["user"])
        if options["max_delete_percent"] is not None and not options["delete_missing"]:
            text = "--max-delete-percent guards --delete-missing; give that too, or leave it out."
            raise CommandError(text, returncode=REFUSED)
        if self.operation not in VERBS:
            text = f"`operation` of {type(self).__module__} is {self.operation!r}; give one of {', '.join(VERBS)}."
            raise CommandError(text, returncode=REFUSED)
        rows = self.rows_by_model(self.fetch(**options))
        if not options["delete_missing"]:
            rows = {model: frame for model, frame in rows.items() if not frame.is_empty()}
        if not rows:
            self.stdout.write("The source has no rows; nothing was written.")
            return
        if not options["dry_run"] and not options["yes"] and is_interactive():
            self.stdout.write("This is a dry run; --yes skips it.")
            self.tell(self.write(rows, user, options, dry_run=True), options)
            if not self.is_wanted():
                raise CommandError("Nothing is written.", returncode=REFUSED)
        operation = self.write(rows, user, options, dry_run=options["dry_run"])
        self.tell(operation, options)
        left = operation.failed + operation.skipped
        if operation.state != "COMPLETED" or left:
            lost = f"{counted(left, 'row')} {'was' if left == 1 else 'were'} not written"
            reason = as_option(operation.message) or (lost if left else "all of its rows are written")
            text = f"Operation {operation.id} is {operation.state}: {reason.removesuffix('.')}."
            raise CommandError(text, returncode=FAILED)

    def is_sync(self, options: dict[str, Any]) -> bool:
        """Whether rows that the source does not have may be deleted."""
        return bool(options["delete_missing"] or self.operation == "sync")

    def is_wanted(self) -> bool:
        """What somebody answers who has seen the dry run; Ctrl-C and Ctrl-D are a no."""
        try:
            return input("Write this? [y/N] ").strip().lower() in ("y", "yes")
        except (EOFError, KeyboardInterrupt):
            self.stdout.write()
            return False

    def find_user(self, name: str | None) -> User:
        """Who asks: that user's permissions count."""
        from django.contrib.auth import get_user_model

        if name is None:
            text = "Name the user with --user or as `user` of the command: that user's permissions count."
            raise CommandError(text, returncode=REFUSED)
        model: Any = get_user_model()
        found: User | None = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
        if found is None:
            raise CommandError(f"There is no user {name!r}.", returncode=REFUSED)
        return found

    def rows_by_model(self, fetched: Frame | Frames) -> dict[type[Model], pl.DataFrame]:
        """The cleaned rows of each model."""
        if isinstance(fetched, Mapping):
            found = {model: self.clean(checked(rows, "fetch"), model) for model, rows in fetched.items()}
        else:
            parts = self.split(self.clean(checked(fetched, "fetch"), self.model))
            found = {model: checked(rows, "split").lazy().collect() for model, rows in parts.items()}
        if not found:
            raise CommandError("The source has no frame; give one, without rows if there are none.", returncode=REFUSED)
        if len(found) > 1 and self.match_by is not None:
            text = "`match_by` is the key of one model, and there are rows of several; leave it out."
            raise CommandError(text, returncode=REFUSED)
        return found

    def write(
        self, rows: dict[type[Model], pl.DataFrame], user: User, options: dict[str, Any], *, dry_run: bool
    ) -> BulkOperation:
        """One operation, parents before children, whatever the order of the models here."""
        name = "sync" if self.is_sync(options) else self.operation
        how: dict[str, Any] = {"user": user, "on_error": self.on_error, "dry_run": dry_run}
        how |= {"chunk_size": options["chunk_size"], "label": type(self).__module__.rpartition(".")[2]}
        if name == "sync":
            how |= {name: options[name] for name in ("delete_missing", "max_delete_percent")}
        if self.match_by is not None:
            how["match_by"] = self.match_by
        ((model, frame), *others) = rows.items()
        given: tuple[Any, ...] = (model, frame) if not others else (rows,)
        with watched(sum(map(len, rows.values())), options["timeout"], deletes=options["delete_missing"]):
            operation: BulkOperation = getattr(verbs, name)(*given, **how)
        return operation

    def tell(self, operation: BulkOperation, options: dict[str, Any]) -> None:
        """The counts, and the first row error of each kind."""
        self.stdout.write(f"{operation.state}: {operation.counts() or 'no rows'} (operation {operation.id})")
        errors = list(islice(operation.row_errors(), LOOKED_AT))
        kinds = Counter((one["resource"], one["path"], one["code"]) for one in errors)
        for (resource, path, code), count in kinds.most_common(KINDS):
            first = next(one for one in errors if (one["resource"], one["path"], one["code"]) == (resource, path, code))
            place = f"{resource}.{path}" if path else resource
            self.stdout.write(f"{count:>9,}  {code} {place}, row {first['index']:,}: {first['message']}")
        if len(errors) == LOOKED_AT:
            self.stdout.write(f"Counted in the first {LOOKED_AT:,} row errors.")


def as_option(message: str) -> str:
    """A message with the command's own options: max_delete_percent=10 -> --max-delete-percent 10."""
    return OPTION.sub(lambda found: " ".join(filter(None, (f"--{found[1].replace('_', '-')}", found[2]))), message)


def seconds(text: str) -> float:
    """A time for argparse, whose message names the option."""
    found = float(text)
    if not 0 <= found < float("inf"):
        raise ArgumentTypeError(f"{text} is not a number of seconds")
    return found


def checked(rows: Any, method: str) -> Frame:
    """What a method gave for rows, if it is a frame; raises CommandError."""
    if not isinstance(rows, pl.DataFrame | pl.LazyFrame):
        text = f"`{method}` gave {type(rows).__name__}; give a polars frame, or a dict with a frame for each model."
        raise CommandError(text, returncode=REFUSED)
    return rows


def is_interactive() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def watched(total: int, timeout: float | None, *, deletes: bool) -> Iterator[None]:
    """A bar on a terminal, by the chunks that this process writes; after `timeout` seconds no other is begun."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    deadline = None if timeout is None else time.monotonic() + timeout
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("Writing", total=total)

        def advance(operation_id: UUID, row_count: int, **_: Any) -> None:
            bar.advance(task, row_count)
            # Once all rows are written there is nothing to stop, but for what a sync deletes.
            is_left = deletes or bar.tasks[task].completed < total
            if is_left and deadline is not None and time.monotonic() > deadline:
                from bulkql.workers.operations import steering

                steering.cancel(operation_id)

        chunk_written.connect(advance, weak=False)
        try:
            yield
        finally:
            chunk_written.disconnect(advance)
