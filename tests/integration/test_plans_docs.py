"""docs/plans.md, executed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulkql.examples.ledger.models import FinancialAccount
from tests.integration.test_plans import _patient  # noqa: F401

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parents[2] / "docs/plans.md").read_text()


def test_the_documents_make_a_plan_and_apply_it(user, ask):
    make, apply = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)

    plan = ask(user, make, rows=[{"name": "Cash"}])["bulkUpsert"]
    applied = ask(user, apply, id=plan["id"])["applyOperation"]

    assert (plan["state"], plan["created"]) == ("COMPLETED", 1)
    assert (applied["state"], applied["created"], applied["appliedFrom"]) == ("COMPLETED", 1, plan["id"])
    assert FinancialAccount.objects.count() == 1


def test_the_code_runs(user):
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/plans.md", "exec"), {"ada": user})
