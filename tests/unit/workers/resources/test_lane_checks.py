"""The lane of each resource is told with its reasons, and what no lane gets right is refused."""

from __future__ import annotations

from django.db import models
from django.db.models import signals
from django.test.utils import isolate_apps

import bulkql
from bulkql.workers.resources import registry as module
from bulkql.workers.resources.checks import resource_errors
from bulkql.workers.resources.lane_checks import check_lanes, lane_errors, lane_lines, lane_notes
from tests.unit.workers.resources.unfit import Child, Parent
from tests.zoo.models import Keeper, Note

# ruff: noqa: DJ008 (nobody reads the names of these models' rows)
# What tree packages give their models, by the names of their modules.
MP_Node = type("MP_Node", (), {"__module__": "treebeard.mp_tree"})

with isolate_apps("tests.zoo"):

    class Mirror(Parent):
        class Meta:
            app_label = "zoo"
            proxy = True

    class Branch(models.Model):
        name = models.CharField(max_length=10)
        lft = models.PositiveIntegerField(editable=False)
        rght = models.PositiveIntegerField(editable=False)

        _mptt_meta = type(
            "Options", (), {"left_attr": "lft", "right_attr": "rght", "tree_id_attr": "lft", "level_attr": "lft"}
        )

        class Meta:
            app_label = "zoo"

    class Place(MP_Node, models.Model):
        name = models.CharField(max_length=10)

        class Meta:
            app_label = "zoo"

    class Dated(models.Model):
        day = models.DateField()
        slug = models.SlugField(unique_for_date="day")
        owner = models.ForeignKey(Parent, models.CASCADE)

        class Meta:
            app_label = "zoo"
            order_with_respect_to = "owner"


def resource(model, **attributes):
    rules = type("Rules", (bulkql.BulkResource,), {"fields": ("name",), **attributes})
    rules.__qualname__ = "Rules"
    return rules(model)


def said(messages):
    return [(one.id, one.msg, one.hint) for one in messages]


def reindex(**_):
    """A receiver."""


def test_a_stock_model_needs_no_word():
    assert [*lane_notes(resource(Parent)), *lane_errors(resource(Parent)), *lane_notes(resource(Mirror))] == []


def test_reasons_name_who_it_is():
    signals.post_save.connect(reindex, sender=Keeper)
    try:
        notes, chosen = (
            lane_notes(resource(Keeper, fields=("code",), writes=lane)) for lane in (bulkql.AUTO, bulkql.COPY)
        )
        found = said(notes), said(chosen)
    finally:
        signals.post_save.disconnect(reindex, sender=Keeper)

    skips = f"{__name__}.reindex receives post_save (create, update, replace, upsert, sync)"
    assert found == (
        [
            (
                "bulkql.I075",
                f"zoo.Keeper is saved row by row, because COPY would skip: {skips}.",
                "COPY is many times as fast. If all of this may be skipped, set writes = bulkql.COPY in Rules.",
            )
        ],
        [
            (
                "bulkql.I074",
                f"zoo.Keeper is written by COPY, which skips: {skips}.",
                "Rules has writes = bulkql.COPY; with bulkql.AUTO it would not be copied.",
            )
        ],
    )


def test_what_fields_and_tables_do_is_a_reason():
    reasons = [
        one.msg.partition("skip: ")[2] for model in (Child, Dated) for one in lane_notes(resource(model, fields=()))
    ]

    assert reasons == [
        "its rows are in several tables (it inherits from another model) (create, update, replace, upsert, delete, "
        "sync).",
        "slug has unique_for_date (create, update, replace, upsert, sync); "
        "order_with_respect_to numbers its rows (create, update, replace, upsert, sync).",
    ]  # fmt: skip


def test_a_lane_is_one_of_three():
    assert said(lane_errors(resource(Parent, writes="FAST"))) == [
        ("bulkql.E070", "Rules has writes = 'FAST'.", "It is bulkql.AUTO, bulkql.COPY or bulkql.SAVE.")
    ]


def test_copy_fills_one_table():
    assert said(lane_errors(resource(Child, writes=bulkql.COPY))) == [
        (
            "bulkql.E006",
            "Rules has writes = bulkql.COPY, and zoo.Child inherits from another table, which COPY cannot fill.",
            "Leave `writes` out: then its rows are saved one by one.",
        )
    ]


def test_no_check_advises_to_number_a_tree_by_hand():
    assert said(resource_errors(resource(Branch))) == []
    assert said(lane_errors(resource(Branch, fields=("name", "lft"), writes=bulkql.COPY))) == [
        (
            "bulkql.E071",
            "Rules has writes = bulkql.COPY, and zoo.Branch is a tree, whose lft, rght only its own methods keep "
            "right.",
            "Leave `writes` out: then its rows are saved one by one.",
        ),
        (
            "bulkql.E072",
            "Rules names lft, by which the tree of zoo.Branch keeps its order; rows that give it would corrupt the "
            "tree.",
            "Leave lft out of `fields`.",
        ),
    ]


def test_nodes_that_methods_place_are_not_created():
    allowed = bulkql.ALL - {"CREATE", "UPSERT", "SYNC"}

    assert [one.id for one in lane_errors(resource(Place, operations=allowed))] == []
    assert said(lane_errors(resource(Place))) == [
        (
            "bulkql.E073",
            "Rules offers CREATE, SYNC, UPSERT, and new nodes of zoo.Place get their place in the tree from "
            "add_root() and add_child(), which save() does not call.",
            'Offer the other verbs: operations = bulkql.ALL - {"CREATE", "UPSERT", "SYNC"}.',
        )
    ]


def test_each_resource_has_its_line(monkeypatch):
    registry = {
        Keeper: resource(Keeper, name="keepers", fields=("code",)),
        Note: resource(Note, name="notes", fields=("title", "tags")),
        Parent: resource(Parent, name="mothers", writes=bulkql.SAVE),
    }
    monkeypatch.setattr(module, "_registry", registry)
    monkeypatch.setattr("bulkql.workers.resources.lane_checks._registry", registry)
    signals.pre_delete.connect(reindex, sender=Note)
    try:
        lines, found = lane_lines(), [one.id for one in check_lanes()]
    finally:
        signals.pre_delete.disconnect(reindex, sender=Note)

    assert lines == [
        "keepers  COPY",
        "notes    COPY (create, update, replace, upsert, sync), SAVE (delete)",
        "mothers  SAVE",
    ]
    assert found == ["bulkql.I075"]
