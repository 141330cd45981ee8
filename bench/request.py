"""A verb and rows or a file -> a bulk request, sent, watched to its end and timed."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from bench.client import End, document
from bench.stage import Stage, Timing

MUTATION = """
mutation ($input: Bulk{verb}Input!, $mode: Mode!) {{
  bulk{verb}(input: $input, options: {{ mode: $mode }}) {{ id state failed }}
}}
"""
ERRORS = "query ($id: ID!) { operation(id: $id) { rowErrors(first: 1) { totalCount edges { node { code } } } } }"


def send_file(stage: Stage, verb: str, path: Path | None = None, **how: Any) -> Timing:
    """Upload the work's file, or another of its rows, and wait for the last event."""
    started = perf_counter()
    upload_id = stage.client.upload(path or stage.work.sent.path)
    uploaded = perf_counter()
    body = request(verb, stage.work.sent.table.resource, file={"uploadId": upload_id}, **how)
    operation = stage.client.post(body)[f"bulk{verb}"]
    answered = perf_counter()
    end = stage.client.watch(operation["id"])
    check_errors(stage, end, operation["id"])
    return Timing(
        seconds=end.at - started,
        parts={"upload": uploaded - started, "answer": answered - uploaded, "write": end.at - answered},
        events=end.events,
    )


def send_rows(stage: Stage, verb: str, rows: list[dict[str, Any]]) -> Timing:
    """Send rows inline and wait for the last event."""
    body = request(verb, stage.work.sent.table.resource, rows=rows)
    started = perf_counter()
    operation = stage.client.post(body)[f"bulk{verb}"]
    answered = perf_counter()
    end = stage.client.watch(operation["id"])
    return Timing(
        seconds=end.at - started,
        parts={"answer": answered - started, "write": end.at - answered},
        events=end.events,
    )


def request(verb: str, resource: str, *, mode: str = "ASYNC", **given: Any) -> bytes:
    """The body of a bulk mutation for one resource."""
    return document(MUTATION.format(verb=verb), input={resource: given}, mode=mode)


def check_errors(stage: Stage, end: End, operation_id: str) -> None:
    """The bad rows failed, each with its one error, and no other row did; raises SystemExit."""
    work = stage.work
    if end.operation["failed"] != work.failed:
        raise SystemExit(f"{end.operation['failed']} rows failed, where {work.failed} are bad.")
    if not work.failed:
        return
    errors = stage.client.post(document(ERRORS, id=operation_id))["operation"]["rowErrors"]
    codes = [edge["node"]["code"] for edge in errors["edges"]]
    if errors["totalCount"] != work.failed or codes != [work.code]:
        raise SystemExit(f"{work.failed} errors {work.code} were expected, and not {errors}.")
