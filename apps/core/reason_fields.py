"""Two columns for a reason: its English text, and beside it its code with values, which follows by itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from apps.core.reasons import Reason, coded, coded_read, english

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

if TYPE_CHECKING:  # the generic form exists in the stubs only
    TextField = models.TextField[Any, Any]
    CharField = models.CharField[Any, Any]
    QuerySet = models.QuerySet[Any]
else:
    TextField, CharField, QuerySet = models.TextField, models.CharField, models.QuerySet

Row = TypeVar("Row", bound=models.Model, covariant=True)
TEXT_MAX = 2_000
"""Characters of a reason that a text column keeps."""
CODED = "_coded"
"""Ends the name of the column beside."""


class ReasonAttribute(DeferredAttribute):
    """Reads both columns: a `Reason`, or the text of a row that has no code."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        text = super().__get__(instance, cls)
        if instance is None or not text or not isinstance(text, str) or isinstance(text, Reason):
            return text
        read = instance.__dict__[self.field.attname] = coded_read(
            text, getattr(instance, self.field.attname + CODED)
        )
        return read

    def __set__(self, instance: Any, value: Any) -> None:
        """Make reads come here: an attribute of the object itself would go before."""
        instance.__dict__[self.field.attname] = english(value)


class _ReasonField:
    """Base of both kinds of text columns with reasons."""

    max_length: int | None

    def fitted(self, text: Any) -> Any:
        """Return so much of a text as the column holds."""
        text = english(text)
        return str(text)[: self.max_length or TEXT_MAX] if isinstance(text, Reason) else text

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(self.fitted(value))  # type: ignore[misc]  # a field's, beside this class

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Return the column as migrations have it: an ordinary one."""
        name, path, args, kwargs = super().deconstruct()  # type: ignore[misc]  # as above
        return name, f"django.db.models.{path.rpartition('.')[2].removeprefix('Reason')}", args, kwargs


class ReasonTextField(_ReasonField, TextField):
    """The English text of a reason, of any length."""

    descriptor_class = ReasonAttribute


class ReasonCharField(_ReasonField, CharField):
    """The English text of a reason, cut to `max_length`."""

    descriptor_class = ReasonAttribute


class CodedField(models.JSONField):
    """The code and values of the reason in the column before, as `coded` writes them; null: it has none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"null": True, "editable": False}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Return the column as migrations have it: JSON."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002  # Django's signature
        """Set what the text says, on the object too."""
        name = self.attname.removesuffix(CODED)
        text = getattr(model_instance, name)
        field: Any = model_instance._meta.get_field(name)
        value = coded(text, column_text=field.fitted(text))
        setattr(model_instance, self.attname, value)
        return value


def is_kept(row: models.Model, name: str, text: str) -> bool:
    """Return whether a row has this reason already, values and all."""
    field: Any = row._meta.get_field(name)
    fitted = field.fitted(text)
    return bool(
        getattr(row, name) == fitted and getattr(row, name + CODED) == coded(text, column_text=fitted)
    )


@cache
def reason_columns(model: type[models.Model]) -> dict[str, Any]:
    """Return a model's columns of reasons, by name."""
    return {field.name: field for field in model._meta.get_fields() if isinstance(field, _ReasonField)}


def with_codes(model: type[models.Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of columns with those that follow of them."""
    found = dict(values)
    for name, field in reason_columns(model).items():
        if name in values and name + CODED not in values:  # `bulk_update` has both
            found[name + CODED] = coded(values[name], column_text=field.fitted(values[name]))
    return found


class ReasonQuerySet(QuerySet):
    """Writes the codes of reasons with their texts."""

    def update(self, **kwargs: Any) -> int:
        return super().update(**with_codes(self.model, kwargs))

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        if names := kwargs.get("update_fields"):
            kwargs["update_fields"] = list(with_codes(self.model, dict.fromkeys(names)))
        return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None) -> int:
        rows, names = list(objs), list(fields)
        for name in with_codes(self.model, dict.fromkeys(names)).keys() - set(names):
            for row in rows:
                self.model._meta.get_field(name).pre_save(row, False)  # as for an update
            names.append(name)
        return super().bulk_update(rows, names, batch_size)


class ReasonManager(models.Manager[Row]):
    """Gives querysets that write codes."""

    def get_queryset(self) -> models.QuerySet[Row]:
        return ReasonQuerySet(self.model, using=self._db)


class WithReasons(models.Model):
    """A row with reasons: each way to write their texts writes their codes."""

    objects = ReasonManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if (names := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = {*with_codes(type(self), dict.fromkeys(names))}
        super().save(*args, **kwargs)
