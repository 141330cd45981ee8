"""A revert on a running service: over GraphQL, by workers, one of which is killed in the middle."""

from __future__ import annotations

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service, wait_for

ROWS = 6_000
STATE = "SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM ledger_financialtransaction t"
REVERT = """mutation Undo($id: ID!) {
  revertOperation(id: $id, options: {mode: ASYNC, chunkSize: 500}) { id }
}"""


def test_an_upsert_is_undone_although_a_worker_is_killed_in_the_middle(service: Service, tmp_path):
    half = service.client.upload(write_csv(tmp_path / "half.csv", transactions(ROWS // 2)))
    service.finished(service.create({}, financialTransactions={"file": {"uploadId": half}})["id"])
    before = service.sql(STATE)
    rows = [{**row, "description": "changed"} for row in transactions(ROWS)]
    whole = service.client.upload(write_csv(tmp_path / "whole.csv", rows))
    upsert = service.bulk("Upsert", {"chunkSize": 500}, financialTransactions={"file": {"uploadId": whole}})
    done = service.finished(upsert["id"])
    assert (done["created"], done["updated"]) == (ROWS // 2, ROWS // 2)

    again = service.post(REVERT, id=upsert["id"])["data"]["revertOperation"]
    recorded = "SELECT id FROM bulkql_chunk WHERE operation_id = %s AND recorded_at IS NOT NULL"
    wait_for(lambda: len(service.sql(recorded, again["id"])) >= 2, 60, "the first chunks to be undone")
    service.workers()[0].kill()

    undone = service.finished(again["id"])
    assert (undone["state"], undone["deleted"], undone["updated"]) == ("COMPLETED", ROWS // 2, ROWS // 2)
    assert service.sql(STATE) == before
