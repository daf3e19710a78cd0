"""A message as REST reads it, to be pushed."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.api.v1.serializers import AddressField, AmountField, FactorField, InputSerializer
from apps.core.marked_texts import gettext
from apps.messages.rules.push_items import Gas, PushItem, SendSpec


@extend_schema_field({"type": "string", "format": "byte"})
class Base64Field(serializers.CharField):
    """Bytes as base64 with padding; empty text is no bytes."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the bytes.  Raises ValidationError."""
        try:
            return base64.b64decode(super().to_internal_value(data), validate=True)
        except (binascii.Error, ValueError):
            raise serializers.ValidationError(gettext("must be base64")) from None

    def to_representation(self, value: Any) -> str:
        """Write it."""
        return base64.b64encode(bytes(value)).decode()


def zero_amount() -> Any:
    """Return the amount of a field that is left out, as the field's own reading would."""
    return 0


def _empty() -> Any:
    """Return the bytes of a field that is left out."""
    return b""


class MessageInput(InputSerializer):
    """A message to push.  Numbers that do not fit a JSON number are decimal text."""

    id = serializers.CharField(max_length=256)
    to = AddressField()
    value = AmountField(default=zero_amount)
    method = serializers.IntegerField(min_value=0, max_value=(1 << 63) - 1)
    params = Base64Field(default=_empty, allow_blank=True)
    gas_limit = serializers.IntegerField(min_value=0, default=0)
    gas_fee_cap = AmountField(default=zero_amount)
    gas_premium = AmountField(default=zero_amount)
    max_fee = AmountField(default=zero_amount)
    gas_over_estimation = FactorField(min_value=0, default=0)
    gas_over_premium = FactorField(min_value=0, default=0)
    expire_epoch = serializers.IntegerField(min_value=0, default=0)
    hold_base_fee = AmountField(default=zero_amount)
    hold_until = serializers.IntegerField(min_value=0, default=0)

    def get_fields(self) -> Any:
        """Add `from`, which Python cannot name."""
        return {**super().get_fields(), "from": AddressField()}


def push_item(data: dict[str, Any]) -> PushItem:
    """Return a checked body as the service takes it."""
    return PushItem(
        id=data["id"],
        to=data["to"],
        from_=data["from"],
        value=data["value"],
        method=data["method"],
        params=data["params"] or b"",
        spec=SendSpec(
            max_fee=data["max_fee"],
            gas_over_estimation=data["gas_over_estimation"],
            gas_over_premium=data["gas_over_premium"],
            expire_epoch=data["expire_epoch"],
            hold_base_fee=data["hold_base_fee"],
            hold_until=data["hold_until"],
        ),
        gas=Gas(limit=data["gas_limit"], fee_cap=data["gas_fee_cap"], premium=data["gas_premium"]),
    )
