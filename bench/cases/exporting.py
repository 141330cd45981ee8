"""Rows of the table to a file, beside COPY of the same query."""

from __future__ import annotations

from time import perf_counter

from bench import limit, work
from bench.case import case
from bench.client import document
from bench.stage import Stage, Timing
from bench.target import Target

EXPORT = "mutation ($input: BulkExportInput!) { bulkExport(input: $input) { id } }"
FILES = "query ($id: ID!) { operation(id: $id) { exported files { rows } } }"


@case(
    Target(measure="ratio", most=1.3),
    work=work.export,
    limit=limit.copy_to,
    rows=1_000_000,
    quick_rows=50_000,
    repetitions=3,
)
def export_million(stage: Stage) -> Timing:
    """Export a million to CSV."""
    body = document(EXPORT, input={stage.work.sent.table.resource: {"fields": stage.work.sent.fields}})
    started = perf_counter()
    operation = stage.client.post(body)["bulkExport"]
    answered = perf_counter()
    end = stage.client.watch(operation["id"])
    told = stage.client.post(document(FILES, id=operation["id"]))["operation"]
    if [int(file["rows"]) for file in told["files"]] != [stage.work.sent.count]:
        raise SystemExit(f"The export has not all rows: {told}")
    return Timing(
        seconds=end.at - started,
        parts={"answer": answered - started, "write": end.at - answered},
        events=end.events,
    )
