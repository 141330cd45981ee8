"""What is written, as tests look at it."""

from __future__ import annotations

from tests.zoo.models import Note


def table():
    """The names of each note's tags."""
    return {note.title: "".join(sorted(tag.name for tag in note.tags.all())) for note in Note.objects.all()}
