"""Cells of write-only fields <-> the same, encrypted: a password waits in no chunk, and on no disk, in the clear.

They are encrypted where rows are read, and decrypted in the memory of those who write them, and of nobody else. Who
knows nothing of this, such as downloads, finds no column of the field at all.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache

import polars as pl
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.errors import HookFailed, RowError
from bulkql.workers.frames import IGNORED, INTAKE_ERRORS, OTHERS, ROW, errors_from_json, errors_to_json, row_numbers
from bulkql.workers.resources.plan import Plan

#: In front of the names of encrypted columns. Readers of raw frames take what begins so for none of the sender's.
SEALED = "__sealed:"
#: In place of words that would quote a value.
UNSAID = "This value is not valid; its error quotes it, and is not shown."


def sealed(plan: Plan, raw: pl.DataFrame) -> pl.DataFrame:
    """A raw frame whose write-only cells nobody can read without SECRET_KEY. Cells that are so already stay so."""
    names = write_only_in(plan, raw)
    if names:
        lock = fernet()
        locked = (map_texts(raw[name], lambda text: lock.encrypt(text.encode()).decode()) for name in names)
        raw = raw.drop(names).with_columns(cells.alias(SEALED + cells.name) for cells in locked)
    if plan.resource.write_only and INTAKE_ERRORS in raw.columns:
        # A field that nobody knows may be the password with a typing error; a broken record may hold it anywhere.
        raw = raw.with_columns(map_texts(raw[INTAKE_ERRORS], without_data))
    if plan.resource.write_only:
        raw = raw.drop(name for name in raw.columns if name.startswith((IGNORED, OTHERS)))
    return raw


def unsealed(plan: Plan, raw: pl.DataFrame) -> pl.DataFrame:
    """What sealed was given; raises HookFailed where SECRET_KEY has become another one since."""
    names = [name for name in raw.columns if name.startswith(SEALED)]
    if not names:
        return raw
    lock = fernet()
    try:
        cells = [map_texts(raw[name], lambda text: lock.decrypt(text.encode()).decode()) for name in names]
    except InvalidToken:
        raise HookFailed(
            f"Write-only fields of {plan.resource.name} were stored under another SECRET_KEY. Add that one to "
            "SECRET_KEY_FALLBACKS and retry the operation, or send the rows again."
        ) from None
    return raw.drop(names).with_columns(one.alias(one.name.removeprefix(SEALED)) for one in cells)


def withheld(plan: Plan, errors: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Row errors that do not tell what a row gave for a write-only field.

    `given` are the cells or values: with `__row`, or of all rows of the chunk.
    """
    if errors.is_empty() or not plan.resource.write_only:
        return errors
    given = given if ROW in given.columns else given.with_columns(row_numbers())
    for name in write_only_in(plan, given):
        is_of_it = pl.col("path") == graphql_name(name)
        if not errors.select(is_of_it.any()).item():
            continue
        texts = given.select(ROW, cell=pl.col(name).cast(pl.String).str.strip_chars('\0" \t\r\n'))
        quotes = (pl.col("cell") != "") & pl.col("message").str.contains(pl.col("cell"), literal=True)
        errors = (
            errors.join(texts.unique(ROW), on=ROW, how="left", maintain_order="left")
            .with_columns(
                message=pl.when(is_of_it & quotes.fill_null(False)).then(pl.lit(UNSAID)).otherwise("message"),
                data=pl.when(~is_of_it.fill_null(False)).then("data"),
            )
            .drop("cell")
        )
    # polars keeps the texts that no row has any more in its buffers, and writes them to files with the others.
    return errors.with_columns(map_texts(errors[name], str) for name in ("message", "data"))


def write_only_in(plan: Plan, frame: pl.DataFrame) -> list[str]:
    """The columns of a frame that nobody may read."""
    return [name for name in frame.columns if name in plan.resource.write_only]


def without_data(text: str) -> str:
    """A row's errors of intake without what the row gave."""
    return errors_to_json(RowError(one.path, one.code, one.message) for one in errors_from_json(text))


def map_texts(texts: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Each text through a function; null stays null."""
    return pl.Series(texts.name, [None if text is None else change(text) for text in texts], dtype=pl.String)


def fernet() -> MultiFernet:
    """Encrypts under SECRET_KEY, and decrypts what was encrypted under one that it replaces too."""
    return fernet_of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@cache
def fernet_of(secrets: tuple[str, ...]) -> MultiFernet:
    """Keys of our own, so that nothing which is signed with the secret tells anything of them."""

    def key(secret: str) -> bytes:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"bulkql: write-only fields")
        return base64.urlsafe_b64encode(derived.derive(secret.encode()))

    return MultiFernet([Fernet(key(secret)) for secret in secrets])
