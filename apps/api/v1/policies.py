"""A signer's policy over REST: read, backtest, try on a message, change with an editor's signature.

Documents are the dataclasses of `poolsite.wire.policy`; the signer answers them, wherever it is.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.api.v1.wire_schema import document_schema
from apps.core.errors import BadValue, NotFound
from apps.core.marked_texts import gettext
from apps.messages.services.retry import policy_change
from apps.wallets.services.policies import policy_draft_make, policy_read, policy_try, policy_version_read
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_json
from poolsite.wire.codec import BadWire, document_decode, document_encode
from poolsite.wire.policy import (
    TEXT_MAX,
    MessageVerdict,
    PolicyApplied,
    PolicyChange,
    PolicyDraft,
    PolicyEdit,
    PolicyState,
    PolicyVersion,
)

T = TypeVar("T")
JSON = "application/json"


class TrialInput(InputSerializer):
    """A message to test against the policy."""

    message = serializers.DictField()
    """As lotus writes it."""
    text = serializers.CharField(max_length=TEXT_MAX, allow_blank=True, default="", trim_whitespace=False)
    """Another policy to ask; empty: that in force."""


class PolicyDocumentView(PoolView):
    """A route of the policy: bodies and answers are wire documents."""

    def read(self, kind: type[T]) -> T:
        """Read the body.  Raises BadValue naming the field."""
        try:
            return document_decode(kind, self.request.data)
        except BadWire as error:
            raise BadValue(error.reason, field=error.field) from None


def answer_of(document: Any) -> Response:
    """Answer with a wire document."""
    return Response(document_encode(document))


class PolicyView(PolicyDocumentView):
    """The policy of the signer that holds a key."""

    perms = {**PoolView.perms, "PUT": "admin"}

    @extend_schema(responses={(200, JSON): document_schema(PolicyState)})
    def get(self, _request: Request, address: str) -> Response:
        """Show the policy in effect, its versions, and who may change it through a console."""
        return answer_of(policy_read(self.principal, address=address))

    @extend_schema(
        request={JSON: document_schema(PolicyChange)}, responses={(200, JSON): document_schema(PolicyApplied)}
    )
    def put(self, _request: Request, address: str) -> Response:
        """Apply a change that one of the signer's editors signed."""
        return answer_of(policy_change(self.principal, address=address, change=self.read(PolicyChange)))


class PolicyVersionView(PolicyDocumentView):
    """One version of a policy."""

    @extend_schema(responses={(200, JSON): document_schema(PolicyVersion)})
    def get(self, _request: Request, address: str, number: str) -> Response:
        """Show its text, who applied it, and what it changed."""
        if not number.isdecimal() or len(number) > 9:
            raise NotFound(gettext("there is no version {number}").format(number=number))
        return answer_of(policy_version_read(self.principal, address=address, number=int(number)))


class PolicyDraftView(PolicyDocumentView):
    """A change to think about."""

    perms = {**PoolView.perms, "POST": "admin"}
    asks_network = True

    @extend_schema(
        request={JSON: document_schema(PolicyEdit)}, responses={(200, JSON): document_schema(PolicyDraft)}
    )
    def post(self, _request: Request, address: str) -> Response:
        """Return the policy that the change would produce, and which past decisions it would have changed."""
        return answer_of(policy_draft_make(self.principal, address=address, edit=self.read(PolicyEdit)))


class PolicyTrialView(PolicyDocumentView):
    """A message that is not signed."""

    asks_network = True

    @extend_schema(request=TrialInput, responses={(200, JSON): document_schema(MessageVerdict)})
    def post(self, request: Request, address: str) -> Response:
        """Return the policy's decision on it."""
        data = TrialInput(data=request.data)
        data.is_valid(raise_exception=True)
        try:
            message = message_from_json(data.validated_data["message"])
        except BadField as error:
            raise BadValue(error.reason, field=f"message.{error.field}".rstrip(".")) from None
        return answer_of(
            policy_try(self.principal, address=address, message=message, text=data.validated_data["text"])
        )


urlpatterns = [
    path("wallets/<str:address>/policy", PolicyView.as_view(), name="api-policy"),
    path("wallets/<str:address>/policy/draft", PolicyDraftView.as_view(), name="api-policy-draft"),
    path("wallets/<str:address>/policy/try", PolicyTrialView.as_view(), name="api-policy-try"),
    path(
        "wallets/<str:address>/policy/versions/<str:number>",
        PolicyVersionView.as_view(),
        name="api-policy-version",
    ),
]
