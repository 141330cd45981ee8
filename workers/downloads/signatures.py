"""A file of an operation, or a template <-> the signed, expiring path under which it is fetched."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.utils import timezone

from bulkql.workers.conf import limits
from bulkql.workers.errors import Expired, NotFound

#: Whose the templates of resources are, where files are an operation's.
TEMPLATES = "templates"

signer = TimestampSigner(salt="bulkql.files")


def sign(owner: UUID | str, name: str) -> tuple[str, datetime]:
    """The signature of a file's name, and when it expires."""
    # Signatures count whole seconds.
    expires_at = timezone.now().replace(microsecond=0) + timedelta(seconds=limits().file_seconds)
    value = signed_value(owner, name)
    return signer.sign(value).removeprefix(f"{value}{signer.sep}"), expires_at


def check_signature(owner: UUID | str, name: str, signature: str) -> None:
    """Raises NotFound for a signature that is not ours, and Expired for one that was."""
    try:
        signer.unsign(f"{signed_value(owner, name)}{signer.sep}{signature}", max_age=limits().file_seconds)
    except SignatureExpired:
        raise Expired("This link has expired; ask for the operation's files again.") from None
    except BadSignature:
        raise NotFound("There is no such file; ask for the operation's files.") from None


def signed_value(owner: UUID | str, name: str) -> str:
    return f"{owner}/{name}"
