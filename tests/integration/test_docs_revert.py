"""docs/revert.md is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

import bulkql
from bulkql.examples.ledger.models import FinancialAccount
from bulkql.schema.schema import schema
from bulkql.workers.conf import Limits
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, NotFound

PAGE = (Path(__file__).parents[2] / "docs/revert.md").read_text()

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_documents_are_valid_and_carried_out(ask, bulk, user):
    done = bulk(Verb.CREATE, "financialAccounts", [{"name": "Savings"}])
    (document,) = blocks("graphql")
    assert validate(schema()._schema, parse(document)) == []

    answer = ask(user, document, id=str(done.operation.id))["revertOperation"]

    assert answer["reverted"] == {"undone": 1, "changedSince": 0, "impossible": 0}
    assert not FinancialAccount.objects.exists()


def test_the_python_blocks_run(user):
    for block in blocks("python"):
        names: dict[str, Any] = {"bulkql": bulkql, "FinancialAccount": FinancialAccount, "ada": user}
        exec(block, names)

    assert names["undone"].state == "COMPLETED"


def test_the_limit_is_the_default():
    assert f"{Limits().image_rows:,}" in PAGE
    assert Limits().keeps_images


def test_python_knows_operations_by_their_id(user):
    operation = bulkql.create(FinancialAccount, [{"name": "Savings"}], user=user)

    assert bulkql.revert(str(operation.id), user=user, label="back").deleted == 1
    with pytest.raises(BadInput, match="was reverted by operation"):
        bulkql.revert(operation, user=user)
    with pytest.raises(NotFound):
        bulkql.revert("00000000-0000-0000-0000-000000000000", user=user)
