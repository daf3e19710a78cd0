"""One message as REST writes it, with its receipt."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.serializers import CODE_HELP
from apps.chain.selectors.heads import head_current
from apps.core.reasons import code_of
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from apps.messages.models import Message


class ReceiptOutput(serializers.Serializer[Any]):
    """The result of execution."""

    exit_code = serializers.IntegerField()
    gas_used = serializers.IntegerField()

    def get_fields(self) -> Any:
        """Add `return`, which Python cannot name."""
        return {**super().get_fields(), "return": serializers.CharField(allow_null=True)}


class MessageOutput(serializers.Serializer[Any]):
    """One message."""

    id = serializers.CharField()
    """Its caller's; unique within the tenant."""
    uid = serializers.CharField()
    """Unique in the whole pool; taken wherever an id is."""
    kind = serializers.CharField()
    state = serializers.ChoiceField(choices=MessageState.values)
    to = serializers.CharField()
    value = serializers.CharField()
    method = serializers.IntegerField()
    params = serializers.CharField(allow_null=True)
    nonce = serializers.IntegerField(allow_null=True)
    cid = serializers.CharField(allow_null=True)
    gas_limit = serializers.IntegerField()
    gas_fee_cap = serializers.CharField()
    gas_premium = serializers.CharField()
    height = serializers.IntegerField(allow_null=True)
    tipset = serializers.ListField(child=serializers.CharField())
    confidence = serializers.IntegerField()
    receipt = ReceiptOutput(allow_null=True)
    wait = serializers.CharField()
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    created_at = serializers.DateTimeField()
    filled_at = serializers.DateTimeField(allow_null=True)
    published_at = serializers.DateTimeField(allow_null=True)
    landed_at = serializers.DateTimeField(allow_null=True)

    def get_fields(self) -> Any:
        """Add `from`, which Python cannot name."""
        return {**super().get_fields(), "from": serializers.CharField()}


def message_body(row: Message, *, head_height: int) -> dict[str, Any]:
    """Return one message as JSON."""
    is_on_chain = bool(row.tipset_key)
    receipt = {
        "exit_code": row.exit_code,
        "gas_used": row.gas_used,
        "return": base64.b64encode(row.return_).decode() if row.return_ else None,
    }
    return {
        "id": row.push_id,
        "uid": row.pk,
        "kind": row.kind,
        "state": row.state,
        "from": row.from_addr,
        "to": row.to,
        "value": str(row.value),
        "method": row.method,
        "params": base64.b64encode(bytes(row.params)).decode() if row.params else None,
        "nonce": row.nonce,
        "cid": row.cid or None,
        "gas_limit": row.gas_limit,
        "gas_fee_cap": str(row.gas_fee_cap),
        "gas_premium": str(row.gas_premium),
        "height": row.height if is_on_chain else None,
        "tipset": row.tipset_key.split(),
        "confidence": max(head_height - row.height, 0) if is_on_chain else 0,
        "receipt": receipt if is_on_chain else None,
        "wait": row.wait,
        "error": row.error,
        "error_code": code_of(row.error),
        "created_at": row.created_at,
        "filled_at": row.filled_at,
        "published_at": row.published_at,
        "landed_at": row.landed_at,
    }


def head_height_or_zero() -> int:
    """Return the height of the chain's head; 0 while none is known."""
    head = head_current()
    return 0 if head is None else head.height
