"""Approving and refusing messages that wait for a second person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.message_output import MessageOutput, head_height_or_zero, message_body
from apps.api.v1.serializers import CODE_HELP, InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.reasons import code_of
from apps.messages.selectors.approval_choice import content_digest_compute
from apps.messages.selectors.approvals import approval_of, approval_until, approvers_of
from apps.messages.selectors.messages import message_get
from apps.messages.services.approvals import message_approve, message_refuse

if TYPE_CHECKING:
    from apps.messages.models import Message

NEVER = "NONE"
"""State of a message that never waited for a second person."""


class ApproveInput(InputSerializer):
    """The message that is approved, by the digest of its content."""

    content = serializers.CharField(
        max_length=64, help_text="`content` of `GET /messages/{id}/approval`, whose message was reviewed"
    )


class RefuseInput(InputSerializer):
    """Why a message is refused."""

    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class MessageApprovalOutput(serializers.Serializer[Any]):
    """What a second person has decided about a message, or may decide."""

    state = serializers.CharField(help_text="NONE, PENDING, APPROVED or REFUSED")
    waits = serializers.BooleanField(help_text="it gets no nonce before it is approved")
    rule = serializers.CharField(help_text="what makes it wait")
    rule_code = serializers.CharField(help_text=CODE_HELP)
    content = serializers.CharField(
        help_text="SHA-256 of sender, receiver, value, method and parameters: what an approval is for"
    )
    pushed_by = serializers.CharField()
    asked_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="when it fails unless somebody has approved it; null: it does not wait"
    )
    approvers = serializers.ListField(
        child=serializers.CharField(), help_text="usernames of those who may approve or refuse it now"
    )
    decided_by = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)


def approval_body(row: Message) -> dict[str, Any]:
    """Return what there is to decide about a message, or what was decided, as JSON."""
    found = approval_of(row)
    waits = row.needs_approval and not row.is_final
    return {
        "state": NEVER if found is None else found.state,
        "waits": waits,
        "rule": "" if found is None else found.rule,
        "rule_code": "" if found is None else code_of(found.rule),
        "content": content_digest_compute(row),
        "pushed_by": row.pushed_by,
        "asked_at": None if found is None else found.asked_at,
        "expires_at": approval_until(row),
        "approvers": approvers_of(row) if waits else [],
        "decided_by": "" if found is None else found.decided_by,
        "decided_at": None if found is None else found.decided_at,
        "reason": "" if found is None else found.reason,
        "reason_code": "" if found is None else code_of(found.reason),
    }


class MessageApprovalView(PoolView):
    """`/messages/{id}/approval`: whether it waits for a second person."""

    @extend_schema(operation_id="v1_message_approval", responses=MessageApprovalOutput)
    def get(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Return whether a message waits for a second person, who may decide, and what was decided."""
        return Response(approval_body(message_get(self.principal, id)))


class ApproveView(PoolView):
    """`/messages/{id}/approve`: let a message go on."""

    perms = {**PoolView.perms, "POST": "sign"}
    confirmed_methods = ("POST",)

    @extend_schema(operation_id="v1_message_approve", request=ApproveInput, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:
        """Approve a message that somebody else has pushed; for a person's session only, not for a token."""
        row = message_get(self.principal, id)
        data = checked(ApproveInput(data=request.data))
        row = message_approve(message=row, by=self.principal, content=data["content"], now=clock.now())
        return Response(message_body(row, head_height=head_height_or_zero()))


class RefuseView(PoolView):
    """`/messages/{id}/refuse`: fail a message that waits for a second person."""

    perms = {**PoolView.perms, "POST": "sign"}
    confirmed_methods = ("POST",)

    @extend_schema(operation_id="v1_message_refuse", request=RefuseInput, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:
        """Refuse a message that somebody else has pushed: it fails; for a person's session only."""
        row = message_get(self.principal, id)
        data = checked(RefuseInput(data=request.data))
        row = message_refuse(message=row, by=self.principal, reason=data["reason"], now=clock.now())
        return Response(message_body(row, head_height=head_height_or_zero()))


urlpatterns = [
    path("messages/<path:id>/approval", MessageApprovalView.as_view(), name="api-message-approval"),
    path("messages/<path:id>/approve", ApproveView.as_view(), name="api-message-approve"),
    path("messages/<path:id>/refuse", RefuseView.as_view(), name="api-message-refuse"),
]
