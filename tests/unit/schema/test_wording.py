"""How Python code is told of GraphQL's options; tests/unit/server/test_options.py has the command line."""

from __future__ import annotations

import pytest

from bulkql.options import PYTHON


@pytest.mark.parametrize(
    ("told", "in_python"),
    [
        (
            "maxDeletes: 2 and maxDeletePercent: 50 do not let them be deleted; give maxDeletePercent: 66.67.",
            "max_deletes=2 and max_delete_percent=50 do not let them be deleted; give max_delete_percent=66.67.",
        ),
        ("nothing was written, as onError: REJECT_ALL asks.", 'nothing was written, as on_error="REJECT_ALL" asks.'),
        ("send it with dryRun: true, and let", "send it with dry_run=True, and let"),
        ("maxDeletes guards deleteMissing;", "max_deletes guards delete_missing;"),
        ("startAt cannot be combined with mode SYNC.", "start_at cannot be combined with mode SYNC."),
        ("You may not read it. Give another matchBy.", "You may not read it. Give another match_by."),
        (
            "cities cannot be matched by [NAME]; matchBy may be [ID] or [COUNTRY, NAME].",
            "cities cannot be matched by ['name']; match_by may be ['id'] or ['country', 'name'].",
        ),
        ("updateFields of cities names X_1; it may name NAME.", "update_fields of cities names x_1; it may name name."),
        ("match_by is [5]; give a list of names.", "match_by is [5]; give a list of names."),
        ("The rows of dryRuns are None.", "The rows of dryRuns are None."),
        ("Its fields are startAt, dryRun; rename others", "Its fields are startAt, dryRun; rename others"),
    ],
)
def test_messages_name_options_as_python_code_gives_them(told, in_python):
    assert PYTHON.message(told) == in_python
