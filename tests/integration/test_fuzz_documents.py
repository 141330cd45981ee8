"""Some hundred documents of the fuzz, always the same; `python -m tests.fuzz.documents` sends as many as you like."""

from __future__ import annotations

import pytest

from bulkql.schema.schema import schema
from bulkql.server.asgi import application
from bulkql.server.auth import token_for
from tests.fuzz.documents import prepared, run


@pytest.mark.django_db(transaction=True)
def test_no_document_is_answered_with_a_500_or_internal_or_late_or_leaves_a_traceback(user):
    report = run(schema()._schema, application, token_for(user), 300, 12, prepared)

    assert report.count == 300
    assert report.faults == {}
    assert report.codes["answered"] > 30
