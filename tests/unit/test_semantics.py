"""The model of tests/semantics, case by case: what it says must be what the documentation says."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tests.semantics.tables import Part, Request, Tables, Told
from tests.semantics.verbs import DependsOnOrder, perform

PLAIN = {"price": None, "stock": 0, "shelf": None, "place": None, "hidden": False}
CAR = {"sku": "a", "name": "car", **PLAIN, "price": Decimal("1.50"), "stock": 3, "shelf": 1, "place": 1}
BALL = {"sku": "b", "name": "ball", **PLAIN}
DOLL = {"sku": "c", "name": "doll", **PLAIN, "hidden": True}


def before() -> Tables:
    """Two toys, and a third that the user does not see; two shelves, and a third of these, too."""
    return Tables(
        rows={
            "shelves": {pk: {"code": code, "note": "", "hidden": code == "C"} for pk, code in enumerate("ABC", 1)},
            "toys": {1: dict(CAR), 2: dict(BALL), 3: dict(DOLL)},
        },
        seals={2},
    )


def toys(verb, rows, match_by=None, update_fields=None, **options):
    """What a request for toys alone leaves of them, and what is told."""
    after, told = perform(before(), Request(verb, [Part("toys", rows, match_by, update_fields)], **options))
    return after.rows["toys"], told


def outcomes(told):
    return [outcome for _, (outcome, _) in sorted(told.outcomes.items())]


def codes(told):
    return [(index, path, code) for (_, index), errors in told.errors.items() for path, code in sorted(errors, key=str)]


CAR_KEY = {"sku": "a"}
NEW = {"sku": "n", "name": "new"}

#: Verb, rows, and for each row its outcome; or path and code of its errors.
CASES = {
    "defaults": ("create", [NEW], ["CREATED"]),
    "required": ("create", [{"price": 1}], [{("sku", "REQUIRED"), ("name", "REQUIRED")}]),
    "blank": ("create", [{"sku": "", "name": ""}], [{("sku", "REQUIRED"), ("name", "REQUIRED")}]),
    "null": ("create", [NEW | {"price": None}, {"sku": "m", "name": "m", "stock": None}], [
        "CREATED", {("stock", "NULL_NOT_ALLOWED")},
    ]),
    "all that is wrong with values": ("create", [{"sku": 7, "name": "too long", "price": "1.234", "stock": "3"}], [
        {("sku", "INVALID"), ("name", "TOO_LONG"), ("price", "OUT_OF_RANGE"), ("stock", "INVALID")},
    ]),
    "unknown fields": ("create", [NEW | {"id": 9, "colour": "red"}], [
        {("id", "UNKNOWN_FIELD"), ("colour", "UNKNOWN_FIELD")},
    ]),
    "no object": ("create", ["a row", None], [{(None, "INVALID")}, {(None, "INVALID")}]),
    "taken": ("create", [{"sku": "a", "name": "x"}, {"sku": "c", "name": "x"}], [{("sku", "ALREADY_EXISTS")}] * 2),
    "a taken place": ("create", [NEW | {"shelf": 1, "place": 1}], [{(None, "ALREADY_EXISTS")}]),
    "null is no place": ("create", [NEW | {"place": 1}, {"sku": "m", "name": "m", "place": 1}], ["CREATED"] * 2),
    "check": ("create", [NEW | {"stock": -1}], [{(None, "CONSTRAINT")}]),
    "the last one counts": ("create", [NEW, NEW | {"name": "x"}], [{("sku", "DUPLICATE_IN_REQUEST")}, "CREATED"]),
    "the last one counts, also when it is bad": ("create", [NEW, {"sku": "n", "name": None}], [
        {("sku", "DUPLICATE_IN_REQUEST")}, {("name", "NULL_NOT_ALLOWED")},
    ]),
    "an earlier one is told its other errors": ("create", [{"sku": "n"}, NEW], [
        {("sku", "DUPLICATE_IN_REQUEST"), ("name", "REQUIRED")}, "CREATED",
    ]),
    "what is unreadable is no duplicate": ("create", [{"sku": "long", "name": "x"}] * 2, [{("sku", "TOO_LONG")}] * 2),
    "names": ("create", [NEW | {"shelfBy": {"code": "A"}}, {"sku": "m", "name": "m", "shelfBy": {"code": "Z"}}], [
        "CREATED", {("shelfBy.code", "REFERENCE_NOT_FOUND")},
    ]),
    "what the user does not see": ("create", [NEW | {"shelf": 3}, {**CAR_KEY, "name": "m", "shelfBy": {"code": "C"}}], [
        {("shelf", "REFERENCE_NOT_FOUND")}, {("shelfBy.code", "REFERENCE_NOT_FOUND")},
    ]),
    "no names": ("create", [NEW | {"shelfBy": "A"}, {"sku": "m", "name": "m", "shelfBy": {"note": "A"}}], [
        {("shelfBy", "INVALID")}, {("shelfBy.note", "UNKNOWN_FIELD")},
    ]),
    "one or the other": ("create", [NEW | {"shelf": 1, "shelfBy": {"code": "A"}}], [{("shelfBy", "INVALID")}]),
    "a name and what it stands for": (
        "create", [NEW | {"shelf": 2, "place": 1}, {"sku": "m", "name": "m", "shelfBy": {"code": "B"}, "place": 1}],
        [{(None, "DUPLICATE_IN_REQUEST")}, "CREATED"],
    ),
    "updated or not": ("update", [{"sku": "a", "stock": 4}, {"sku": "b", "stock": 0.0}], ["UPDATED", "UNCHANGED"]),
    "not there": ("update", [{"sku": "z"}, {"sku": "c"}], [{("sku", "NOT_FOUND")}] * 2),
    "by primary key, where any row gives it": ("update", [{"id": 1}, {"sku": "b"}], [
        "UNCHANGED", {("id", "REQUIRED")},
    ]),
    "the primary key as text": ("update", [{"id": "1"}, {"id": 1}], [{("id", "DUPLICATE_IN_REQUEST")}, "UNCHANGED"]),
    "another one's key": ("update", [{"id": 1, "sku": "b"}], [{("sku", "ALREADY_EXISTS")}]),
    "what a replacement owes": ("replace", [CAR_KEY, {"id": 1, "name": "x"}], [
        {("name", "REQUIRED"), ("id", "REQUIRED")}, {("sku", "REQUIRED")},
    ]),
    "a replacement creates nothing": ("replace", [NEW], [{("sku", "NOT_FOUND")}]),
    "an upsert": ("upsert", [CAR_KEY, {"sku": "b", "name": "x"}, NEW], ["UNCHANGED", "UPDATED", "CREATED"]),
    "what an upsert owes": ("upsert", [{"sku": "n"}, {"name": "x"}], [{("name", "REQUIRED")}, {("sku", "REQUIRED")}]),
    "upsert of a row outside": ("upsert", [{"sku": "c", "name": "x"}], [{("sku", "FORBIDDEN")}]),
    "gone": ("delete", [{"id": 1}, {"id": 9}, {"id": 3}], ["DELETED", {("id", "NOT_FOUND")}, {("id", "NOT_FOUND")}]),
    "protected": ("delete", [{"sku": "b"}], [{(None, "CONSTRAINT")}]),
    "deleted once": ("delete", [CAR_KEY, CAR_KEY], [{("sku", "DUPLICATE_IN_REQUEST")}, "DELETED"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_becomes_of_rows(case):
    verb, rows, expected = CASES[case]

    _, told = toys(verb, rows)

    assert [
        told.errors[row] if outcome == "FAILED" else outcome for row, (outcome, _) in sorted(told.outcomes.items())
    ] == expected


def test_a_new_row_has_defaults():
    after, told = toys("create", [NEW])

    assert after[-1] == {**NEW, **PLAIN}
    assert told.outcomes == {("toys", 0): ("CREATED", -1)}


def test_an_update_sets_what_is_given_and_a_replacement_all():
    updated, _ = toys("update", [{"sku": "a", "name": "x"}])
    replaced, _ = toys("replace", [{"sku": "a", "name": "x"}])

    assert updated[1] == {**CAR, "name": "x"}
    assert replaced[1] == {"sku": "a", "name": "x", **PLAIN}


def test_a_replacement_keeps_the_key_of_two_fields_by_which_it_was_found():
    after, told = toys("replace", [{"shelfBy": {"code": "A"}, "place": 1, "sku": "x", "name": "x"}], ("shelf", "place"))

    assert after[1] == {"sku": "x", "name": "x", **PLAIN, "shelf": 1, "place": 1}
    assert outcomes(told) == ["UPDATED"]


def test_update_fields_narrow_an_update_and_no_create():
    after, _ = toys("upsert", [{"sku": "a", "name": "x", "stock": 9}, NEW | {"price": 2}], update_fields=("stock",))

    assert after[1] == {**CAR, "stock": 9}
    assert after[-1] == {**NEW, **PLAIN, "price": Decimal(2)}


def test_one_bad_row_rejects_all():
    after, told = toys("create", [NEW, {"sku": "m"}, {"sku": "a", "name": "x"}], rejects_all=True)

    assert after == before().rows["toys"]
    assert (told.state, outcomes(told)) == ("FAILED", ["SKIPPED", "FAILED", "FAILED"])
    assert codes(told) == [(1, "name", "REQUIRED"), (2, "sku", "ALREADY_EXISTS")]


def test_a_dry_run_tells_and_leaves():
    after, told = toys("upsert", [NEW, {"sku": "a", "price": 2, "shelf": None}, {"sku": "b"}], dry_run=True)

    assert after == before().rows["toys"]
    assert told == Told(
        outcomes={("toys", 0): ("CREATED", None), ("toys", 1): ("UPDATED", 1), ("toys", 2): ("UNCHANGED", 2)},
        changes={("toys", 1): {("price", "1.50", "2.00"), ("shelf", "1", None)}},
    )


def test_parents_are_written_first_and_deleted_last():
    new = [Part("toys", [NEW | {"shelfBy": {"code": "D"}}]), Part("shelves", [{"code": "D"}])]
    old = [Part("shelves", [{"id": 1}, {"id": 2}]), Part("toys", [{"id": 1}])]

    created, _ = perform(before(), Request("create", new))
    deleted, told = perform(before(), Request("delete", old))

    assert created.rows["toys"][-2]["shelf"] == -1
    assert set(deleted.rows["shelves"]) == {3}
    assert (outcomes(told), told.cascades) == (["DELETED"] * 3, Counter())


def test_toys_go_with_their_shelf_unless_one_is_sealed():
    delete = Request("delete", [Part("shelves", [{"code": "A"}])])
    sealed = before()
    sealed.seals.add(1)

    after, told = perform(before(), delete)
    kept, refused = perform(sealed, delete)

    assert (set(after.rows["toys"]), told.cascades) == ({2, 3}, Counter({"zoo.Toy": 1}))
    assert (kept, codes(refused)) == (sealed, [(0, None, "CONSTRAINT")])


#: Toys by what they were: 1 is car on place 1 of shelf 1, 2 is ball, both places are free.
HANDS = {
    "a swap": ("update", [{"id": 1, "sku": "b"}, {"id": 2, "sku": "a"}], ["UPDATED"] * 2),
    "what is given up": ("update", [{"id": 1, "sku": "b"}, {"id": 2, "sku": "z"}], ["UPDATED"] * 2),
    "half of a key": ("update", [{"id": 2, "shelf": 1, "place": 1}, {"id": 1, "place": 2}], ["UPDATED"] * 2),
    "what a bad row does not give up": ("update", [{"id": 1, "sku": "b"}, {"id": 2, "sku": "z", "stock": -1}], [
        {("sku", "ALREADY_EXISTS")}, {(None, "CONSTRAINT")},
    ]),
    "what nobody gives up": ("update", [{"id": 1, "sku": "b"}, {"id": 2, "sku": "c"}], [
        {("sku", "ALREADY_EXISTS")}, {("sku", "ALREADY_EXISTS")},
    ]),
    "halves that come to the same": ("update", [{"id": 1, "place": 2}, {"id": 2, "shelf": 1, "place": 2}], [
        {(None, "DUPLICATE_IN_REQUEST")}, "UPDATED",
    ]),
    "a new row": ("upsert", [NEW | {"shelf": 1, "place": 1}, {"sku": "a", "place": 2}], ["CREATED", "UPDATED"]),
}  # fmt: skip


@pytest.mark.parametrize("case", HANDS)
def test_what_changes_hands(case):
    verb, rows, expected = HANDS[case]

    _, told = toys(verb, rows)

    assert [
        told.errors[row] if outcome == "FAILED" else outcome for row, (outcome, _) in sorted(told.outcomes.items())
    ] == expected


def test_half_of_a_key_of_a_row_that_is_not_there_yet_is_nothing_to_say_about():
    rows = [{"sku": "a", "shelfBy": {"code": "Z"}}, {"sku": "b", "shelfBy": {"code": "Z"}, "place": 1}]

    with pytest.raises(DependsOnOrder):
        toys("upsert", rows)
