"""A filter <-> text in which it waits for the worker that applies it.

Only Django knows how to build its queries again, from a pickle, which may do anything when it is read. So it is signed
with the project's secret: whoever can write to the database still cannot have a worker run what he wrote.
"""

from __future__ import annotations

import base64
import pickle
from typing import Any

from django.core.signing import BadSignature, Signer
from django.db import models
from django.db.models import QuerySet

from bulkql.workers.errors import BadInput

SALT = "bulkql: where"


def frozen(where: QuerySet[Any]) -> str:
    """A filter as text."""
    pickled = pickle.dumps(where.query, protocol=pickle.HIGHEST_PROTOCOL)
    return Signer(salt=SALT).sign(base64.b85encode(pickled).decode())


def thawed(model: type[models.Model], text: str) -> QuerySet[Any]:
    """The filter that a text was made of; raises BadInput where it was made with another secret."""
    try:
        pickled = Signer(salt=SALT).unsign(text)
    except BadSignature:
        raise BadInput("The `where` of this operation was signed with another SECRET_KEY; send it again.") from None
    found: QuerySet[Any] = model._base_manager.all()
    found.query = pickle.loads(base64.b85decode(pickled))  # noqa: S301  (signed above)
    return found
