"""A snippet, used as wagtail's documentation shows."""

from __future__ import annotations

from django.db import models
from wagtail.models import DraftStateMixin, RevisionMixin
from wagtail.snippets.models import register_snippet


@register_snippet
class Advert(DraftStateMixin, RevisionMixin, models.Model):
    name = models.CharField(max_length=40, unique=True)
    text = models.CharField(max_length=40, blank=True, default="")

    def __str__(self) -> str:
        return self.name
