"""`bulkql import`: a file, or what comes through a pipe, -> an operation, watched to its end."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import INTERRUPTED, Service, connected, fault, output, told
from bulkql.server.commands.import_options import Format, Reading, Syncing, Verb, Writing
from bulkql.server.commands.options import SPELLINGS, check_names, check_together
from bulkql.server.commands.progress import follow
from bulkql.server.commands.sending import Request, Source, opened, started
from bulkql.server.commands.storing import check_place
from bulkql.server.commands.summary import beside, conclude, ending_of

MUTATION = """
mutation Import($input: Bulk{verb}Input!, $options: BulkOptions) {{
  operation: bulk{verb}(input: $input, options: $options) {{ id state }}
}}
"""
RESOURCES = "{ bulkResources { name typeName operations } }"
FIELDS = "query Fields($name: String!) { __type(name: $name) { enumValues { name } } }"


def import_file(
    *,
    file: Annotated[str, typer.Argument(help="CSV, NDJSON, Parquet or a workbook, also as .gz and .zst; - is a pipe.")],
    resource: Annotated[str, typer.Option(help="The resource to write to, such as financialTransactions.")],
    operation: Annotated[Verb, typer.Option(help="What to do with the rows.")] = Verb.CREATE,
    writing: Writing,
    syncing: Syncing,
    reading: Reading,
    failed_rows: Annotated[
        Path | None, typer.Option(help="Where failed rows are stored; by default beside the file.", metavar="FILE")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Watch the operation to its end, or print its id and exit.")
    ] = True,
    service: Service,
) -> None:
    """Import a file. Exits with 0 if all rows are written, 1 if some failed, 2 if none is, 3 if its end is unknown."""
    read = reading.file()
    rows = {**writing.rows(), **syncing.rows()}
    check_together(operation, [*(SPELLINGS[one] for one in (*rows, *writing.pace())), f"--on-error {writing.on_error}"])
    with opened(file) as source:
        options = writing.options(source.name)
        sent = sent_as(file, source, resource, reading.file_format)
        if wait:
            check_failed_rows(failed_rows, sent, resource)
        client = connected(service)
        with told(client):
            type_name = check_resource(client, resource, operation)
            check_fields(client, type_name, resource, writing.keys, writing.changed)
            request = Request(
                MUTATION.format(verb=operation.title()),
                lambda upload: {
                    "input": {resource: {**rows, "file": {**read, "uploadId": upload}}},
                    "options": options,
                },
            )
            # With a key all bytes come first: the same ones are the same input, whichever upload brings them.
            begins_early = writing.idempotency_key is None and reading.file_format not in (Format.PARQUET, Format.XLSX)
            started_one = started(client, source, request, begins_early=begins_early)
    if wait:
        watched(client, started_one, sent, failed_rows)
    else:
        output.print(started_one, highlight=False)


def sent_as(file: str, source: Source, resource: str, file_format: Format | None) -> Path:
    """What failed rows are stored beside: of a pipe, which is named after the resource, here. Exits with 2."""
    if source.size is not None:
        return Path(file)
    if file_format is None:
        raise fault(f"{file} is a pipe, and has no name that shows its format; give --format: {', '.join(Format)}.")
    return Path(f"{resource}.{file_format}")


def check_failed_rows(failed_rows: Path | None, sent: Path, resource: str) -> None:
    """Whether failed rows can be stored, before anything is sent; exits with 2."""
    if failed_rows is not None and failed_rows.exists() and sent.exists() and failed_rows.samefile(sent):
        raise fault(f"{failed_rows} is the file that is sent; give --failed-rows another one.")
    check_place(failed_rows or beside(sent, resource, f"{resource}{ending_of(sent)}"), "--failed-rows")


def watched(client: BulkClient, operation_id: str, sent: Path | None = None, failed_rows: Path | None = None) -> None:
    """Draw an operation's progress and tell its end; Ctrl-C leaves it to itself."""
    again = f"`bulkql watch {operation_id}` shows it again"
    with told(client, operation_id, f"{again}, and stores its failed rows with --failed-rows FILE"):
        try:
            follow(client, operation_id)
        except KeyboardInterrupt:
            raise fault(
                f"The operation continues: {again}, `bulkql cancel {operation_id}` stops it.", INTERRUPTED
            ) from None
        try:
            conclude(client, operation_id, sent, failed_rows)
        except KeyboardInterrupt:
            raise fault(f"Operation {operation_id} is over: {again}.", INTERRUPTED) from None


def check_resource(client: BulkClient, resource: str, verb: Verb) -> str:
    """Whether the service has the resource, and the resource the verb; exits with 2. Gives the name of its type."""
    found = resource_named(client, resource)
    offered = found["operations"]
    if verb.upper() not in offered:
        raise fault(f"{resource} does not offer {verb}; it offers {', '.join(one.lower() for one in offered)}.")
    return str(found["typeName"])


def resource_named(client: BulkClient, name: str) -> dict[str, Any]:
    """What the service tells of a resource; exits with 2 where it does not have it."""
    found = {one["name"]: one for one in client.execute(RESOURCES)["bulkResources"]}
    if name not in found:
        like = get_close_matches(name, found, n=1)
        doubt = f" Did you mean {like[0]}?" if like else ""
        raise fault(f"There is no resource {name}.{doubt} The resources are {', '.join(sorted(found))}.")
    told_of: dict[str, Any] = found[name]
    return told_of


def check_fields(
    client: BulkClient, type_name: str, resource: str, keys: list[str] | None, changed: list[str] | None
) -> None:
    """Whether the resource has the fields that options name; raises BadParameter."""
    if keys is None and changed is None:
        return
    values = client.execute(FIELDS, name=f"{type_name}Field")["__type"]["enumValues"]
    known = [one["name"] for one in values]
    check_names("--match-by", keys, known, resource)
    check_names("--update-fields", changed, known, resource)
