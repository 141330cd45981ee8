"""bulkCreate over real HTTP, watched over a real websocket."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.rows import transactions, write_csv, write_ndjson, write_parquet
from tests.acceptance.service import CREATE, wait_for
from tests.totals import grow

NUMBERS = ("total", "processed", "created", "updated", "unchanged", "deleted", "failed", "skipped")


def test_ten_thousand_inline_rows_while_another_client_watches(service):
    rows = transactions(10_000)

    operation = service.create({"mode": "ASYNC", "chunkSize": 500}, financialTransactions={"rows": rows})
    events = list(service.client.watch(operation["id"]))

    assert events[-1] | {"rowsPerSecond": None} == {
        "id": operation["id"], "state": "COMPLETED", "total": 10_000, "processed": 10_000, "created": 10_000,
        "updated": 0, "unchanged": 0, "deleted": 0, "failed": 0, "skipped": 0, "rowsPerSecond": None, "message": None,
    }  # fmt: skip
    assert grow(events)
    results = service.results(operation["id"])
    assert [row["index"] for row in results] == list(range(10_000))
    assert {row["outcome"] for row in results} == {"CREATED"}
    stored = service.sql("SELECT id, description FROM ledger_financialtransaction ORDER BY id")
    assert [int(row["pk"]) for row in results] == [pk for pk, _ in stored]
    assert [row["description"] for row in rows] == [description for _, description in stored]


def test_each_event_of_one_operation_only(service):
    first = service.create({"mode": "ASYNC"}, financialTransactions={"rows": transactions(5_000)})
    second = service.create({"mode": "ASYNC"}, financialTransactions={"rows": transactions(5_000, start=5_000)})

    events = list(service.client.watch(first["id"]))

    assert {event["id"] for event in events} == {first["id"]} != {second["id"]}
    service.finished(second["id"])


def test_late_subscriber_gets_the_final_state_and_completion(service):
    operation = service.create({"mode": "SYNC"}, financialTransactions={"rows": transactions(10)})

    events = list(service.client.watch(operation["id"]))

    assert [(event["state"], event["processed"]) for event in events] == [("COMPLETED", 10)]


def test_few_rows_are_answered_finished_and_more_are_queued(service):
    few = service.create(financialTransactions={"rows": transactions(50)})
    more = service.create(financialTransactions={"rows": transactions(51, start=50)})

    assert (few["state"], few["created"]) == ("COMPLETED", 50)
    assert more["state"] in ("QUEUED", "RUNNING")
    assert service.finished(more["id"])["created"] == 51


@pytest.mark.parametrize("mode", ["AUTO", "SYNC"])
@pytest.mark.parametrize(
    ("name", "write"),
    [("t.csv", write_csv), ("t.ndjson", write_ndjson), ("t.parquet", write_parquet)],
)
def test_file_by_upload(service, tmp_path, name, write, mode):
    path = write(tmp_path / name, transactions(3_000))

    operation = service.create(
        {"mode": mode, "chunkSize": 700},
        financialTransactions={"file": {"uploadId": service.client.upload(path)}},
    )

    finished = service.finished(operation["id"])
    assert (finished["state"], finished["created"], finished["failed"]) == ("COMPLETED", 3_000, 0)
    assert mode == "AUTO" or operation["state"] == "COMPLETED"
    descriptions = service.sql("SELECT description FROM ledger_financialtransaction ORDER BY id")
    assert [text for (text,) in descriptions] == [row["description"] for row in transactions(3_000)]


def test_file_in_a_multipart_request(service, tmp_path):
    path = write_csv(tmp_path / "t.csv", transactions(2_000))
    body = {"query": CREATE, "variables": {"input": {"financialTransactions": {"file": {"upload": None}}}}}

    answer = httpx.post(
        f"{service.url}/graphql",
        data={
            "operations": json.dumps(body),
            "map": json.dumps({"file": ["variables.input.financialTransactions.file.upload"]}),
        },
        files={"file": ("t.csv", path.read_bytes(), "text/csv")},
        headers={"Authorization": f"Bearer {service.token}"},
    )

    operation = answer.json()["data"]["bulkCreate"]
    assert service.finished(operation["id"])["created"] == 2_000


def test_parents_are_written_before_children_whatever_the_order_in_the_request(service):
    service.sql("TRUNCATE places_country CASCADE")
    place = {"latitude": 47.14, "longitude": 9.52, "timezone": "Europe/Vaduz"}
    city = {"geonameId": 1, "name": "Vaduz", "country": "LI", **place}
    country = {"iso": "LI", "iso3": "LIE", "name": "Liechtenstein", "continent": "EU"}

    operation = service.create(cities={"rows": [city]}, countries={"rows": [country]})

    assert (operation["state"], operation["created"]) == ("COMPLETED", 2)
    resources = service.operation(operation["id"])["resources"]
    assert [one["resource"] for one in resources] == ["countries", "cities"]
    assert service.sql("SELECT name, country_id, population FROM places_city") == [("Vaduz", "LI", 0)]


def test_first_chunks_are_written_while_the_rest_is_read(service, tmp_path):
    path = write_csv(tmp_path / "t.csv", transactions(200_000))
    upload = service.client.upload(path)
    operation = service.create({"chunkSize": 1_000}, financialTransactions={"file": {"uploadId": upload}})

    events = list(service.client.watch(operation["id"]))

    assert any(event["created"] > 0 and event["total"] is None for event in events)
    assert (events[-1]["total"], events[-1]["created"]) == (200_000, 200_000)


def test_client_that_hangs_up_leaves_a_whole_operation_or_none(service):
    body = json.dumps(
        {"query": CREATE, "variables": {"input": {"financialTransactions": {"rows": transactions(9_000)}}}}
    ).encode()
    (before,) = service.sql("SELECT count(*) FROM bulkql_operation")[0]
    address = urlsplit(service.url)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {service.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    def hang_up(sent: int) -> None:
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall((head + body)[:sent])

    # Half a body, a whole one, and a whole one many times at once.
    hang_up(len(head) + len(body) // 2)
    threads = [threading.Thread(target=hang_up, args=[len(head) + len(body)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Nobody tells when the last of the requests is at its end: two seconds without a new operation, and none at work.
    counts = "SELECT count(*), count(*) FILTER (WHERE finished_at IS NULL) FROM bulkql_operation"
    seen: list[tuple[int, int]] = []

    def is_quiet() -> bool:
        seen.append(service.sql(counts)[0])
        return len(seen) > 40 and len(set(seen[-40:])) == 1 and seen[-1][1] == 0

    wait_for(is_quiet, 60, "all operations to be over")
    operations = service.sql("SELECT id FROM bulkql_operation ORDER BY created_at OFFSET %s", before)
    assert len(operations) <= 8
    for (operation_id,) in operations:
        operation = service.operation(str(operation_id))
        assert (operation["state"], operation["processed"]) == ("COMPLETED", 9_000)
    (stored,) = service.sql("SELECT count(*) FROM ledger_financialtransaction")[0]
    assert stored == (9_000 if operations else 0)


def test_literals_in_the_query_do_what_variables_do(service):
    query = """mutation ($when: DateTime!) { bulkCreate(input: { financialTransactions: { rows: [
      { amount: "1.50", description: "one", datetime: $when, financialAccount: 1, classificationStatus: "1" }
      { amount: 2.5, description: 7, datetime: "soon", financialAccount: "none", classificationStatus: 1, colour: RED }
    ] } }) { id } }"""
    literal = service.post(query, when="2024-01-01T00:00:00Z")["data"]["bulkCreate"]["id"]
    rows = [
        {
            "amount": "1.50",
            "description": "one",
            "datetime": "2024-01-01T00:00:01Z",
            "financialAccount": 1,
            "classificationStatus": "1",
        },
        {
            "amount": 2.5,
            "description": 7,
            "datetime": "soon",
            "financialAccount": "none",
            "classificationStatus": 1,
            "colour": "RED",
        },
    ]

    variable = service.create(financialTransactions={"rows": rows})["id"]

    first, second = service.operation(literal), service.operation(variable)
    assert first["rowErrors"] == second["rowErrors"]
    assert {edge["node"]["path"]: edge["node"]["code"] for edge in first["rowErrors"]["edges"]} == {
        "colour": "UNKNOWN_FIELD",
        "datetime": "INVALID",
        "description": "INVALID",
        "financialAccount": "INVALID",
    }
    assert first["created"] == second["created"] == 1


def test_file_that_turns_out_unreadable_fails_with_its_line(service, tmp_path):
    path = write_csv(tmp_path / "t.csv", transactions(80_000))
    with path.open("ab") as file:
        file.write(b"1,caf\xe9,2020-01-01T00:00:00Z,1,1\n")
    operation = service.create(financialTransactions={"file": {"uploadId": service.client.upload(path)}})

    events = list(service.client.watch(operation["id"]))

    assert (events[-1]["state"], events[-1]["created"]) == ("FAILED", 0)
    assert events[-1]["message"].startswith("Line 80002 is not utf-8: ")
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(0,)]
