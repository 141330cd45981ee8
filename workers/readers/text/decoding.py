"""A file's bytes in its encoding -> pieces of UTF-8, without a byte order mark."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from typing import IO

from bulkql.workers.errors import BadInput, UnreadableFile

BOM = "\N{BYTE ORDER MARK}"
#: Bytes that tell an encoding.
HEAD_BYTES = 64
#: Longer marks first: UTF-32's begins as UTF-16's does. utf-16 and utf-32 read their marks themselves.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Encodings in which old files are likely to be, told apart by nobody but a reader.
LIKELY = ("cp1252", "cp1250", "cp1251", "cp850", "gb18030", "shift_jis")
SHOWN = 60


def encoding_of(head: bytes, said: str | None) -> str:
    """The encoding of a file that begins so; `said` is what its sender says. Raises BadInput.

    A byte order mark is certain, and so are the null characters of UTF-16 and UTF-32. Nothing else is.
    """
    if said is not None:
        check_encoding(said)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    name = codecs.lookup(said).name if said is not None else None
    if name in ("utf-16", "utf-32") and marked is None:
        return without_mark(head, name)
    if name is None:
        return marked or by_nulls(head) or "utf-8"
    if marked == "utf-8-sig" and name == "utf-8":
        return marked
    if marked in ("utf-16", "utf-32") and name == "utf-8":
        raise UnreadableFile(f"The file is not {said}: it has the byte order mark of {marked}; leave `encoding` out.")
    return said or "utf-8"


def without_mark(head: bytes, name: str) -> str:
    """UTF-16 or UTF-32 whose mark is not there, told by the null characters of its first letters."""
    if (found := by_nulls(head)) is not None and found.startswith(name):
        return found
    raise UnreadableFile(
        f"The file is not {name}: it has no byte order mark, and no null characters where Latin letters have them. "
        f"Leave `encoding` out for UTF-8, or give {name}-le or {name}-be."
    )


def by_nulls(head: bytes) -> str | None:
    """The encoding in which two ASCII characters begin a file with such null characters."""
    zeros = "".join("0" if byte == 0 else "x" for byte in head[:8])
    if zeros in ("x000x000", "000x000x"):
        return f"utf-32-{'le' if zeros[0] == 'x' else 'be'}"
    if zeros[:4] in ("x0x0", "0x0x"):
        return f"utf-16-{'le' if zeros[0] == 'x' else 'be'}"
    return None


def check_encoding(name: str) -> None:
    """Whether Python can decode texts of this encoding, piece by piece; raises BadInput."""
    try:
        " ".encode(name).decode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        raise BadInput(f"There is no encoding {name}; utf-8, utf-16 and cp1252 are some.") from None


def decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Pieces of a file as UTF-8, without a byte order mark; raises UnreadableFile with the line and the reason."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, is_first = 1, True
    for piece in chain(pieces, [b""]):
        try:
            text = decoder.decode(piece, final=not piece)
            found = (text.removeprefix(BOM) if is_first else text).encode()
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise undecodable(error, encoding, line) from error
        except UnicodeError as error:
            # What some encodings make of bytes: half a surrogate pair, which is no text.
            raise UnreadableFile(
                f"The file is not {encoding}: {error}. Save it as UTF-8, or name its encoding."
            ) from error
        line += text.count("\n")
        if text:
            yield found
            is_first = False


def pieces_of(file: IO[bytes], first: int, size: int) -> Iterator[bytes]:
    """A file piece by piece; the first is small, for those who look at the beginning only."""
    while piece := file.read(first):
        yield piece
        first = size


def undecodable(error: UnicodeDecodeError, encoding: str, line: int) -> UnreadableFile:
    """Why bytes are no text, and what they would be in other encodings."""
    start = error.object.rfind(b"\n", 0, error.start) + 1
    end = error.object.find(b"\n", error.start)
    end = len(error.object) if end < 0 else end
    text = error.object[max(start, error.start - SHOWN // 2) : min(end, error.start + SHOWN // 2)]
    found = [f"{shown!r} in {name}" for name, shown in readings(text)[:2]]
    others = f" It would be {' or '.join(found)}." if found else ""
    return UnreadableFile(
        f"Line {line} is not {encoding}: {error.reason} (byte {error.object[error.start]:#04x}).{others} "
        f"Save the file as UTF-8, or name its encoding."
    )


def readings(text: bytes) -> list[tuple[str, str]]:
    """Bytes as the likely encodings read them, those first in which most of what is not ASCII are letters."""
    found: dict[str, str] = {}
    for name in LIKELY:
        try:
            shown = text.decode(name).strip()
        except UnicodeDecodeError:
            continue
        if shown.isprintable() and shown not in found.values():
            found[name] = shown
    return sorted(found.items(), key=lambda one: sum(not letter.isalpha() for letter in one[1] if not letter.isascii()))
