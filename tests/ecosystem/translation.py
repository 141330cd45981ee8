"""What django-modeltranslation translates."""

from modeltranslation.translator import TranslationOptions, register

from .models import Translated


@register(Translated)
class TranslatedOptions(TranslationOptions):
    fields = ("title",)
