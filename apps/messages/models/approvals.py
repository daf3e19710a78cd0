"""Which messages wait for a second person, and what that person decided."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from apps.core.fields import AttoFilField
from apps.core.models import Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.messages.models.messages import Message
from apps.messages.states import APPROVAL_TRANSITIONS, ApprovalState
from apps.users.models import Tenant

USERNAME_MAX = 150


class ApprovalRule(Timestamped):
    """Messages that wait until a second person has approved them.

    A rule is added and removed, never changed: removing one takes two people, and so would loosening it.
    """

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.CASCADE, related_name="+")
    """Whose messages; None for everybody's."""
    actor = models.CharField(max_length=32, blank=True, default="")
    """Kind of the receiver; empty for any."""
    method = models.BigIntegerField(null=True)
    """None for any but those of sealing and proving; the exported number of a method counts too."""
    above = AttoFilField(default=0)
    """Only messages that move more than this, in attoFIL; 0 for any."""
    created_by = models.CharField(max_length=200)
    """Person or token that added it, as `Principal.actor` says."""
    removal_by = models.CharField(max_length=USERNAME_MAX, blank=True, default="")
    """Username of the person who wants it removed; empty where nobody does."""
    removal_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "actor", "method", "above"],
                nulls_distinct=False,
                name="approval_rule_once",
            )
        ]

    def __str__(self) -> str:
        return f"approval rule {self.uuid}"


class MessageApproval(WithReasons):
    """What a second person decides about one message."""

    States = ApprovalState
    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = APPROVAL_TRANSITIONS

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="approval")
    state = models.CharField(max_length=16, choices=ApprovalState.choices, default=ApprovalState.PENDING)
    rule = ReasonCharField(max_length=300)
    """What the rule said that it fits."""
    rule_coded = CodedField()
    asked_at = models.DateTimeField()
    content = models.CharField(max_length=64, blank=True, default="")
    """Of what was approved, see `content_digest_compute`; empty before."""
    decided_by = models.CharField(max_length=USERNAME_MAX, blank=True, default="")
    """Username of the person who approved or refused it."""
    decided_at = models.DateTimeField(null=True)
    reason = ReasonCharField(max_length=500, blank=True, default="")
    """Why it was refused: what a person wrote, or that nobody decided in time."""
    reason_coded = CodedField()

    def __str__(self) -> str:
        return f"approval of {self.message_id}"
