"""Serializers that refuse what they do not know, and the fields of a chain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core import clock
from apps.core.addresses import address_fault, address_typed
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.core.sanitize import marks_in
from apps.core.uuids import is_uuid
from apps.messages.services.method_rules import method_read
from apps.sectors.rules.sector_names import sector_name_parse
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.amounts import BadAmount, fil_parse
from poolsite.filecoin.message import METHOD_MAX

ADDRESS_PATTERN: Final = "^([ft][0-4][0-9a-z]+|0x[0-9a-fA-F]{40})$"
"""What every address looks like; the rest is its checksum's."""
AMOUNT_DIGITS: Final = 40
"""Of the largest amount that is read: more than all FIL in attoFIL."""
AMOUNT_PATTERN: Final = r"^-?([0-9]{1,40}|[0-9]{0,20}\.?[0-9]{1,18} ?([num]|nano|micro|milli|atto|a)?FIL)$"
"""attoFIL, or an amount with its unit."""
METHOD_TEXT: Final = re.compile("[A-Za-z0-9]{1,64}")
APPROVAL_HELP: Final = "the rule by which the message waits for a second person; empty if it does not"
CODE_HELP: Final = "code of the reason, which stays where its words change; empty if it has none"


class CodeField(serializers.CharField):
    """Shows the code of the reason that `source` names."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"help_text": CODE_HELP, "read_only": True, **kwargs})

    def to_representation(self, value: Any) -> str:
        return code_of(value)


class InputSerializer(serializers.Serializer[Any]):
    """A body: unknown fields are refused, so that a misspelt one is noticed."""

    def to_internal_value(self, data: Any) -> Any:
        """Check the names of the fields, then their values."""
        if isinstance(data, dict):
            unknown = [writable(str(name)) for name in data if name not in self.fields]
            if unknown:
                raise serializers.ValidationError({unknown[0]: ["unknown field"]})
            if turned := [name for name, value in data.items() if marks_in(value)]:
                reason = gettext(
                    "must not contain invisible characters, or marks that change the direction of text"
                )
                raise serializers.ValidationError({turned[0]: [reason]})
        return super().to_internal_value(data)


def writable(text: str) -> str:
    """Return a name as an answer can hold it: half of a surrogate pair has no UTF-8."""
    return text[:100].encode("utf-8", "replace").decode()


class QuerySerializer(InputSerializer):
    """Parameters of a GET with pages; those of the pages and the token are known everywhere."""

    def to_internal_value(self, data: Any) -> Any:
        """Check the names, those of the pages aside."""
        own = {name: data[name] for name in data if name not in {"limit", "cursor", "token"}}
        return super().to_internal_value(own)


def checked(serializer: InputSerializer) -> dict[str, Any]:
    """Return the checked input."""
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


@extend_schema_field({"type": "string", "pattern": ADDRESS_PATTERN})
class AddressField(serializers.CharField):
    """An address with either prefix; or in Ethereum's form; read as canonical text with `f`."""

    def to_internal_value(self, data: Any) -> str:
        """Return the address as canonical text.  Raises ValidationError."""
        try:
            return address_typed(super().to_internal_value(data))
        except BadAddress as error:
            raise serializers.ValidationError(address_fault(error)) from None


class MomentField(serializers.DateTimeField):
    """A moment in which something can have been written."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment.  Raises ValidationError, also for a year outside `clock.YEARS`."""
        moment: datetime = super().to_internal_value(value)
        first, last = clock.YEARS
        if not first <= moment.year <= last:
            reason = gettext("must be between the years {first} and {last}")
            raise serializers.ValidationError(reason.format(first=first, last=last))
        return moment


def address_value(text: str, *, field: str) -> str:
    """Return an address of a query or path as canonical text.  Raises BadValue that names `field`."""
    return str(_value(AddressField(), text, field=field))


def moment_value(text: str | None, *, field: str) -> datetime | None:
    """Return a moment of a query; None if it has none.  Raises BadValue that names `field`."""
    return None if text is None else _value(MomentField(), text, field=field)


def _value(kind: Any, text: str, *, field: str) -> Any:
    try:
        return kind.run_validation(text)
    except serializers.ValidationError as error:
        raise BadValue(" ".join(map(str, error.detail)), field=field) from None


@extend_schema_field({"type": "string", "pattern": AMOUNT_PATTERN})
class AmountField(serializers.CharField):
    """A whole number of attoFIL as decimal text, as JSON numbers end at 2^53, or an amount with its unit."""

    def __init__(self, *, is_signed: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.is_signed = is_signed

    def to_internal_value(self, data: Any) -> Any:
        """Return the attoFIL.  Raises ValidationError."""
        limit = 10**AMOUNT_DIGITS
        try:
            amount = int(fil_parse(super().to_internal_value(data), default_unit="attoFIL"))
        except BadAmount:
            amount = limit
        if not (-limit if self.is_signed else -1) < amount < limit:
            raise serializers.ValidationError(
                gettext("must be a whole number of attoFIL, as text, or an amount such as 1.5 FIL")
            )
        return amount

    def to_representation(self, value: Any) -> str:
        """Write it."""
        return str(value)


class SectorField(serializers.CharField):
    """A sector by its uuid, or by its miner and number."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"help_text": "uuid, or miner and number as in `f01004-12`"} | more)

    def to_internal_value(self, data: Any) -> str:
        """Return the sector's name; whether it exists is checked later.  Raises ValidationError."""
        text: str = super().to_internal_value(data)
        if not is_uuid(text) and sector_name_parse(text) is None:
            raise serializers.ValidationError(
                gettext("must be a sector: its uuid, or its miner and number as in f01004-12")
            )
        return text


@extend_schema_field(
    {
        "oneOf": [
            {"type": "integer", "minimum": 0, "maximum": METHOD_MAX},
            {"type": "string", "pattern": "^[A-Za-z0-9]{1,64}$"},
        ]
    }
)
class MethodField(serializers.Field[Any, Any, Any, Any]):
    """A method by its number, or by its name, which the kind of actor beside it makes a number."""

    def to_internal_value(self, data: Any) -> str:
        """Return the number or name as text.  Raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, int | str) or not METHOD_TEXT.fullmatch(str(data)):
            raise serializers.ValidationError(gettext("enter a method name or number"))
        return str(data)

    def to_representation(self, value: Any) -> int:
        """Write its number."""
        return int(value)


def method_number(data: Mapping[str, Any]) -> int | None:
    """Return the number of a checked body's method; None for any.  Raises BadValue."""
    text = data.get("method")
    number = None if text is None else method_read(text, kind=data.get("actor", ""))
    if number is not None and number > METHOD_MAX:
        raise BadValue(gettext("not a valid method number"), field="method")
    return number


class FactorField(serializers.FloatField):
    """A number, which yes and no are not: Python would take them for 1 and 0."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number.  Raises ValidationError."""
        if isinstance(data, bool):
            self.fail("invalid")
        return float(super().to_internal_value(data))


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every refusal."""

    code = serializers.CharField()
    message = serializers.CharField()
    field = serializers.CharField(allow_blank=True)


class RefusedSector(serializers.Serializer[Any]):
    """A sector of a group that is left unchanged."""

    uuid = serializers.CharField(help_text="for a compaction: the message that failed")
    reason = serializers.CharField()
