"""How an act of a multisig goes on, as every route shows it that makes a proposal of an act."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class ProposedOutput(serializers.Serializer[Any]):
    """State of a multisig's proposal once the message has landed."""

    multisig = serializers.CharField()
    approvals = serializers.IntegerField(help_text="that it has then")
    threshold = serializers.IntegerField()
    is_executed = serializers.BooleanField(help_text="whether the message carries the act out at once")
    exit_code = serializers.IntegerField(
        allow_null=True, help_text="of the act itself, tried now; null where the node cannot try it"
    )
    error = serializers.CharField(allow_blank=True)
