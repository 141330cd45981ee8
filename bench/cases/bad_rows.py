"""One bad row in a hundred, of each kind, beside our own run without them."""

from __future__ import annotations

from bench import work
from bench.case import case
from bench.request import send_file
from bench.stage import Stage, Timing
from bench.target import Target

AT_MOST = Target(measure="ratio", most=1.2)


def clean(stage: Stage) -> float:
    """This service's own create by CSV file of the same rows, of which none is bad."""
    return send_file(stage, "Create").seconds


@case(AT_MOST, work=work.wrong_type, limit=clean)
def bad_type(stage: Stage) -> Timing:
    """1 % bad rows: wrong type."""
    return send_file(stage, "Create")


@case(AT_MOST, work=work.missing_reference, limit=clean)
def bad_reference(stage: Stage) -> Timing:
    """1 % bad rows: missing reference."""
    return send_file(stage, "Create")


@case(AT_MOST, work=work.already_there, limit=clean)
def bad_existing(stage: Stage) -> Timing:
    """1 % bad rows: already there."""
    return send_file(stage, "Create")


@case(AT_MOST, work=work.duplicate, limit=clean)
def bad_duplicate(stage: Stage) -> Timing:
    """1 % bad rows: duplicate in the request."""
    return send_file(stage, "Create")


@case(AT_MOST, work=work.check_constraint, limit=clean)
def bad_constraint(stage: Stage) -> Timing:
    """1 % bad rows: check constraint, on cities."""
    return send_file(stage, "Create")
