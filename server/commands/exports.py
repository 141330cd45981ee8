"""`bulkql export`: rows of a resource -> a file here, or a pipe."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import Data, Token, Url, connected, fault, output, screen, told
from bulkql.server.commands.imports import Format, given, json_of, names_in, offered_verbs
from bulkql.server.commands.progress import follow
from bulkql.server.commands.sending import PIPE
from bulkql.server.commands.summary import fetch, unused

MUTATION = """
mutation Export($input: BulkExportInput!, $options: BulkOptions) {
  operation: bulkExport(input: $input, options: $options) { id }
}
"""
FILES = "query Files($id: ID!) { operation(id: $id) { state message files { name url rows } } }"


class Compression(StrEnum):
    GZIP = "gzip"
    ZSTD = "zstd"


#: What the name of the output says.
FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet", ".xlsx": "xlsx"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def export(
    resource: Annotated[str, typer.Option(help="Whose rows, such as financialTransactions.")],
    where: Annotated[str | None, typer.Option(help="Which of them: the list query's filters, as JSON.")] = None,
    order: Annotated[str | None, typer.Option(help='In which order, as JSON: [{"datetime": "DESC"}].')] = None,
    fields: Annotated[
        str | None,
        typer.Option(help="The columns, also behind foreign keys: amount,financialAccount.name", metavar="A,B"),
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="By default as the name of the output says, else csv.")
    ] = None,
    compression: Annotated[Compression | None, typer.Option(help="By default as that name says, else none.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--output", help="The file; - is a pipe. By default the resource's name, here.", metavar="FILE"),
    ] = None,
    label: Annotated[str | None, typer.Option(help="A name for the operation.")] = None,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Export rows to a file: 0 where it is written, 1 where the operation failed, 2 where the service refused."""
    endings = [one.lower() for one in Path(to or "").suffixes]
    form = file_format or next((FORMATS[one] for one in endings if one in FORMATS), None)
    packed = compression or next((COMPRESSIONS[one] for one in endings if one in COMPRESSIONS), None)
    columns = given(
        where=json_of(where, "--where"),
        order=json_of(order, "--order"),
        fields=names_in(fields),
        format=form and form.upper(),
        compression=packed and packed.upper(),
    )
    client = connected(url, token, data)
    with told(client):
        offered_verbs(client, resource)
        options = given(mode="ASYNC", label=label)
        started = client.execute(MUTATION, input={resource: columns}, options=options)["operation"]["id"]
        file = finished_file(client, started)
        rows = f"{int(file['rows']):,} rows of {resource}"
        if to == PIPE:
            pipe(client, file["url"])
            screen.print(f"{rows} are written.", style="dim", highlight=False)
            return
        path = unused(Path(file["name"])) if to is None else Path(to)
        fetch(client, file["url"], path)
        output.print(f"{rows}: {path}", highlight=False, soft_wrap=True)


def finished_file(client: BulkClient, operation_id: str) -> dict[str, Any]:
    """The file of an export, once it is over; exits with 1 where it failed or was canceled."""
    try:
        follow(client, operation_id)
    except KeyboardInterrupt:
        text = f"It goes on: `bulkql watch {operation_id}` shows it again, `bulkql cancel {operation_id}` stops it."
        raise fault(text, 130) from None
    operation = client.execute(FILES, id=operation_id)["operation"]
    if operation["state"] != "COMPLETED" or not operation["files"]:
        raise fault(f"Operation {operation_id} is {operation['state']}: {operation['message'] or 'it has no file'}.", 1)
    file: dict[str, Any] = operation["files"][0]
    return file


def pipe(client: BulkClient, url: str) -> None:
    """A file's bytes to whoever reads the standard output."""
    with client.download(url) as pieces:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
