"""What is looked at -> findings: whether it is well, what was seen, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.core.checks import CheckMessage
from django.core.checks.messages import ERROR


class Health(StrEnum):
    """How well something is."""

    WELL = "ok"
    #: It works, and will be a trouble.
    DOUBTFUL = "warning"
    ILL = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    health: Health
    #: What was seen, in a few words.
    seen: str
    #: What to do about it; empty where it is well.
    advice: str = ""


#: Looks at one part of a deployment; yields a finding for each thing there.
Look = Callable[[], Iterator[Finding]]


def well(subject: str, seen: str) -> Finding:
    return Finding(subject=subject, health=Health.WELL, seen=seen)


def doubtful(subject: str, seen: str, advice: str) -> Finding:
    return Finding(subject=subject, health=Health.DOUBTFUL, seen=seen, advice=advice)


def ill(subject: str, seen: str, advice: str) -> Finding:
    return Finding(subject=subject, health=Health.ILL, seen=seen, advice=advice)


def of_checks(subject: str, messages: Iterable[CheckMessage]) -> Iterator[Finding]:
    """What Django's system checks say; a finding each."""
    for one in messages:
        make = ill if one.level >= ERROR else doubtful
        seen, _, rest = " ".join(one.msg.split()).partition(". ")
        yield make(subject, f"{one.id}: {seen.rstrip('.')}", " ".join((one.hint or rest).split()))


def findings(subject: str, look: Look, advice: str) -> Iterator[Finding]:
    """What a look finds; an exception is a finding too, for the other looks go on."""
    try:
        yield from look()
    except Exception as error:  # whatever a driver raises: that is what the doctor is asked for
        yield ill(subject, f"{type(error).__name__}: {first_line(error)}", advice)


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:200]
