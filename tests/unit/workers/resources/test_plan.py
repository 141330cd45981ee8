"""How rows are found, and what is said where they cannot be."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.resources.plan import Plan, key_for, plan_for
from bulkql.workers.resources.registry import resource_named

PAIR = ("financial_account", "datetime")


@pytest.mark.parametrize(
    ("verb", "match_by", "names", "key"),
    [
        (Verb.CREATE, None, ["id"], ()),
        (Verb.UPDATE, None, ["id", "amount"], ("id",)),
        (Verb.UPDATE, None, ["amount"], PAIR),
        (Verb.UPDATE, ["id"], ["amount"], ("id",)),
        (Verb.UPSERT, None, ["id"], PAIR),
    ],
)
def test_key_is_as_asked_or_the_primary_key_or_the_resources_own(verb, match_by, names, key):
    assert key_for(verb, resource_named("financialTransactions"), match_by, names) == key


def test_key_that_several_rows_may_have_is_refused_with_those_that_are_taken():
    with pytest.raises(BadInput) as refused:
        key_for(Verb.UPDATE, resource_named("financialTransactions"), ["amount"], [])

    assert str(refused.value) == (
        "financialTransactions cannot be matched by [AMOUNT], of which several rows may have the same; "
        "matchBy may be [ID] or [FINANCIAL_ACCOUNT, DATETIME]."
    )


def test_a_key_without_a_field_is_refused():
    with pytest.raises(BadInput, match=r"matchBy of financialAccounts is empty; leave it out, or say \[NAME\]"):
        key_for(Verb.UPSERT, resource_named("financialAccounts"), [], [])


def test_a_key_that_names_a_field_twice_is_refused():
    with pytest.raises(BadInput) as refused:
        key_for(Verb.UPSERT, resource_named("financialAccounts"), ["name", "name"], [])

    assert str(refused.value) == "matchBy of financialAccounts is [NAME, NAME]; name each field once."


def test_a_primary_key_that_new_rows_cannot_give_is_refused_for_what_it_is():
    with pytest.raises(BadInput) as refused:
        key_for(Verb.UPSERT, resource_named("financialTransactions"), ["id"], [])

    assert str(refused.value) == (
        "financialTransactions cannot be matched by [ID]: it is the primary key, which new rows cannot give, for it is "
        "not among the resource's `fields`; matchBy may be [FINANCIAL_ACCOUNT, DATETIME]."
    )


@pytest.mark.parametrize(
    ("field", "unique"),
    [("label", 'LOWER("label") is unique'), ("badge", '"badge" is unique where "is_open"')],
)
def test_a_key_that_only_the_database_knows_is_refused_with_a_way_out(field, unique):
    with pytest.raises(BadInput) as refused:
        key_for(Verb.UPSERT, resource_named("lockers"), [field], [])

    assert str(refused.value) == (
        f"lockers cannot be matched by [{field.upper()}]: only {unique}. Make {field} unique as it stands, and let "
        "prepare_rows bring rows into its spelling, or take another key; "
        "matchBy may be [NUMBER] or [KEEPER] or [FLOOR, PLACE]."
    )


@pytest.mark.parametrize(("fields", "told"), [(["colour"], "names COLOUR"), ([], "is empty")])
def test_unknown_update_fields_are_refused_with_the_known(fields, told):
    with pytest.raises(BadInput) as refused:
        plan_for(Verb.UPSERT, resource_named("financialAccounts"), None, fields, ["name"])

    assert str(refused.value) == f"updateFields of financialAccounts {told}; it may name NAME."


def test_plan_of_a_request():
    resource = resource_named("financialTransactions")

    plan = plan_for(Verb.UPSERT, resource, None, ["amount"], [])

    assert plan == Plan(resource=resource, verb=Verb.UPSERT, match_by=PAIR, update_fields=("amount",))
