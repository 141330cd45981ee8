"""`bulkql export`: rows of a resource -> a file here, or a pipe."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import (
    INTERRUPTED,
    Service,
    begun,
    connected,
    fault,
    output,
    printable,
    screen,
    told,
)
from bulkql.server.commands.import_options import Format
from bulkql.server.commands.imports import resource_named
from bulkql.server.commands.options import given, json_of, names_in
from bulkql.server.commands.progress import follow
from bulkql.server.commands.sending import PIPE
from bulkql.server.commands.storing import check_place, fetch
from bulkql.server.commands.summary import rows_of

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
FORMATS = {
    ".csv": Format.CSV,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".xlsx": Format.XLSX,
}
COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}
#: What names say that exports are not.
OTHERS = (".tsv", ".json", ".xls", ".xlsm", ".xlsb", ".ods", ".xml", ".html", ".sql", ".zip", ".bz2", ".xz", ".arrow")


def export(
    *,
    resource: Annotated[str, typer.Option(help="The resource to export, such as financialTransactions.")],
    where: Annotated[str | None, typer.Option(help="Which of them: the list query's filters, as JSON.")] = None,
    order: Annotated[str | None, typer.Option(help='In which order, as JSON: [{"datetime": "DESC"}].')] = None,
    fields: Annotated[
        str | None,
        typer.Option(help="The columns, also behind foreign keys: amount,financialAccount.name", metavar="A,B"),
    ] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="By default as the name of the output says, else csv.", case_sensitive=False),
    ] = None,
    compression: Annotated[Compression | None, typer.Option(help="By default as that name says, else none.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--output", help="The file; - is a pipe. By default the resource's name, here.", metavar="FILE"),
    ] = None,
    label: Annotated[str | None, typer.Option(help="A name for the operation.")] = None,
    service: Service,
) -> None:
    """Export rows to a file: 0 if it is stored, 1 if the operation failed, 2 if refused, 3 if not fetched."""
    form, packed = kind_of_file(to, file_format, compression)
    columns = given(
        where=json_of(where, "--where"),
        order=json_of(order, "--order"),
        fields=names_in(fields),
        format=form and form.upper(),
        compression=packed and packed.upper(),
    )
    if to != PIPE:
        check_place(Path(to or resource), "--output")
    client = connected(service)
    with told(client):
        resource_named(client, resource)
        options = given(mode="ASYNC", label=label)
        started = begun(client, MUTATION, input={resource: columns}, options=options)["id"]
    with told(client, started, f"`bulkql watch {started}` tells how to fetch its file"):
        file = finished_file(client, started)
        rows = rows_of(resource, int(file["rows"]))
        if to == PIPE:
            pipe(client, file["url"])
            screen.print(f"{rows} written.", style="dim", highlight=False)
            return
        path = fetch(client, file["url"], Path(to or file["name"]), replaces=to is not None)
        output.print(f"{rows}: {printable(str(path))}", highlight=False, markup=False, soft_wrap=True)


def kind_of_file(
    to: str | None, form: Format | None, packed: Compression | None
) -> tuple[Format | None, Compression | None]:
    """The format and the compression, as the options or the file's name say; exits with 2 where they contradict."""
    endings = [one.lower() for one in Path(to or "").suffixes]
    named = next((FORMATS[one] for one in reversed(endings) if one in FORMATS), None)
    pressed = next((COMPRESSIONS[one] for one in endings[-1:] if one in COMPRESSIONS), None)
    if endings and endings[-1] in OTHERS:
        known = f"{', '.join(FORMATS)}, and {', '.join(COMPRESSIONS)} behind those of text"
        raise fault(f"--output {to}: exports are no {endings[-1]} files; give a name that ends with {known}.")
    if form is not None and named not in (None, form):
        raise fault(f"--output {to} names a file of {named}, and --format says {form}; leave one of the two out.")
    form = form or named
    is_packed_within = form in (Format.PARQUET, Format.XLSX)
    if pressed is not None and is_packed_within:
        raise fault(f"--output {to}: {form} is compressed within; leave {endings[-1]} out of the name.")
    if packed is not None and named is not None and not is_packed_within and pressed != packed:
        ending = next(one for one, value in COMPRESSIONS.items() if value == packed)
        raise fault(f"--output {to} does not say that it is compressed; let it end with {ending} for {packed}.")
    return form, packed or pressed


def finished_file(client: BulkClient, operation_id: str) -> dict[str, Any]:
    """The file of an export, once it is over; exits with 1 where it failed or was canceled."""
    try:
        follow(client, operation_id)
    except KeyboardInterrupt:
        again = f"`bulkql watch {operation_id}` shows it again"
        text = f"The operation continues: {again}, `bulkql cancel {operation_id}` stops it."
        raise fault(text, INTERRUPTED) from None
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
