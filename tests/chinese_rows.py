"""Rows that somebody who reads Chinese has left in Chinese, where machines read English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import models

CHINESE: Final = re.compile("[\u3400-\u9fff]")


def texts_of(row: models.Model) -> Iterator[str]:
    """The texts of a row."""
    for field in row._meta.concrete_fields:
        if isinstance(field, models.CharField | models.TextField | models.JSONField):
            yield f"{row._meta.label}.{field.name}: {getattr(row, field.attname)}"


def rows_in_chinese() -> set[str]:
    """The texts of the whole database that are not English."""
    return {
        text
        for model in apps.get_models()
        if model is not Session
        for row in model._default_manager.all()
        for text in texts_of(row)
        if CHINESE.search(text)
    }
