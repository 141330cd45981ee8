"""A stage -> a timing. What is measured: one function a case; what it prepares before its clock starts is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from bench import limit
from bench.client import document
from bench.stage import Stage, Timing

CREATE = "mutation ($input: BulkCreateInput!) { bulkCreate(input: $input, options: { mode: ASYNC }) { id state } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case, the limit that it is held against, and the multiple of it that we aim at."""

    name: str
    title: str
    #: The most rows that it takes.
    most_rows: int | None
    target: float
    limit: Callable[[Stage], float]
    run: Callable[[Stage], Timing]


#: All cases, in the order in which they run.
CASES: list[Case] = []


def case(
    *, target: float, limit: Callable[[Stage], float], most_rows: int | None = None
) -> Callable[[Callable[[Stage], Timing]], Callable[[Stage], Timing]]:
    """Enter a function as a case; its docstring is the title."""

    def enter(run: Callable[[Stage], Timing]) -> Callable[[Stage], Timing]:
        title = (run.__doc__ or run.__name__).rstrip(".")
        CASES.append(Case(name=run.__name__, title=title, most_rows=most_rows, target=target, limit=limit, run=run))
        return run

    return enter


@case(target=1.3, limit=limit.copy)
def create_csv(stage: Stage) -> Timing:
    """Create by CSV file."""
    started = perf_counter()
    upload_id = stage.client.upload(stage.rows.path)
    uploaded = perf_counter()
    rows = {"financialTransactions": {"file": {"uploadId": upload_id}}}
    operation = stage.client.post(document(CREATE, input=rows))["bulkCreate"]
    answered = perf_counter()
    end = stage.client.watch(operation["id"])
    return Timing(
        seconds=end.at - started,
        parts={"upload": uploaded - started, "answer": answered - uploaded, "write": end.at - answered},
        events=end.events,
    )


@case(target=2.5, limit=limit.copy, most_rows=10_000)
def create_inline(stage: Stage) -> Timing:
    """Create by inline rows."""
    body = document(CREATE, input={"financialTransactions": {"rows": stage.rows.as_json()}})
    started = perf_counter()
    operation = stage.client.post(body)["bulkCreate"]
    answered = perf_counter()
    end = stage.client.watch(operation["id"])
    return Timing(
        seconds=end.at - started,
        parts={"answer": answered - started, "write": end.at - answered},
        events=end.events,
    )
