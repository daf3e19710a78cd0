"""Keys that are kept offline over REST: export unsigned messages, import signatures, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.message_input import zero_amount
from apps.api.v1.message_output import MessageOutput, head_height_or_zero, message_body
from apps.api.v1.serializers import CODE_HELP, AddressField, AmountField, InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.addresses import address_typed
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.messages.rules.offline_files import ENTRIES_MAX, signatures_parse, unsigned_file
from apps.messages.selectors.messages import message_get
from apps.messages.selectors.offline import OfflineKey, messages_exported, offline_key_require, offline_keys
from apps.messages.services.offline import (
    export_withdraw,
    exports_record,
    messages_export,
    offline_key_add,
    offline_key_remove,
    signatures_import,
)
from apps.users.selectors.tenants import tenant_resolve
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from apps.messages.models import Message


class OfflineKeyOutput(serializers.Serializer[Any]):
    """A key that no signer holds."""

    address = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # our word
    waiting = serializers.IntegerField(help_text="messages that can be exported")
    exported = serializers.IntegerField(help_text="messages that wait for their signatures")
    expired = serializers.IntegerField(help_text="those of them that were exported over a day ago")


class OfflineKeyInput(InputSerializer):
    """A key that is kept offline."""

    address = AddressField()
    tenant = serializers.CharField(required=False, help_text="who sends from it; by default your own")
    label = serializers.CharField(  # type: ignore[assignment]  # our word
        max_length=60, default="", allow_blank=True
    )


class ExportInput(InputSerializer):
    """Which messages to export."""

    ids = serializers.ListField(
        child=serializers.CharField(max_length=256),
        max_length=ENTRIES_MAX,
        required=False,
        help_text="left out: all that wait",
    )
    gas_fee_cap = AmountField(
        default=zero_amount,
        help_text="fee cap of each, in attoFIL; 0: as a signer would get it. The base fee may rise meanwhile",
    )


class UnsignedMessage(serializers.Serializer[Any]):
    """One exported message."""

    Id = serializers.CharField()
    Message = serializers.DictField(help_text="as lotus writes it")
    CID = serializers.DictField(help_text="of the unsigned message")
    SignBytes = serializers.CharField(help_text="what is signed, in hexadecimal: the bytes of the CID")
    ExportedAt = serializers.CharField()
    ExpiresAt = serializers.CharField(help_text="import the signature by then, or withdraw it")


class LeftMessage(serializers.Serializer[Any]):
    """A message that was not exported."""

    id = serializers.CharField()
    wait = serializers.CharField()
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)


class ExportOutput(serializers.Serializer[Any]):
    """The file of unsigned messages."""

    Format = serializers.CharField()
    Network = serializers.CharField()
    Messages = UnsignedMessage(many=True)
    Left = LeftMessage(many=True, required=False)


class SignaturesInput(InputSerializer):
    """Signatures made offline."""

    messages = serializers.JSONField(
        help_text="lotus' SignedMessage, one or a list; or objects of `CID` and `Signature` in hexadecimal"
    )


class RefusedSignature(serializers.Serializer[Any]):
    """A signature that was not taken."""

    cid = serializers.CharField()
    reason = serializers.CharField()


class ImportOutput(serializers.Serializer[Any]):
    """The messages whose signatures were imported, and the refused signatures with reasons."""

    imported = serializers.ListField(child=serializers.CharField(), help_text="ids of the messages")
    refused = RefusedSignature(many=True)


def key_body(key: OfflineKey) -> dict[str, Any]:
    """Return an offline key as JSON."""
    return {
        "address": key.address,
        "label": key.label,
        "waiting": key.waiting,
        "exported": key.exported,
        "expired": key.expired,
    }


def file_body(rows: Sequence[Message]) -> dict[str, Any]:
    """Return the file of exported messages."""
    return unsigned_file(rows, network=network_current().name)


def address_named(text: str) -> str:
    """Return the address in a path as rows have it.  Raises NotFound for what is none."""
    try:
        return address_typed(text)
    except BadAddress:
        raise NotFound(gettext("{address} is not kept offline").format(address=text[:100])) from None


class OfflineKeysView(PoolView):
    """`/offline-keys`."""

    filters = ()
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "admin"}
    operator_methods = ("POST",)
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(responses=OfflineKeyOutput(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the keys that are kept offline."""
        return Response([key_body(key) for key in offline_keys(self.principal, now=clock.now())])

    @extend_schema(request=OfflineKeyInput, responses={201: OfflineKeyOutput})
    def post(self, request: Request) -> Response:
        """Add a key that no signer holds: a tenant sends from it by exports."""
        data = checked(OfflineKeyInput(data=request.data))
        wallet = offline_key_add(
            principal=self.principal,
            tenant=tenant_resolve(self.principal, name=data.get("tenant") or self.principal.tenant_name),
            address=data["address"],
            label=data["label"],
        )
        keys = offline_keys(self.principal, now=clock.now())
        return created(key_body(next(key for key in keys if key.address == wallet.address)))


class OfflineKeyView(PoolView):
    """`/offline-keys/{address}`."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"DELETE": "admin"}
    operator_methods = ("DELETE",)
    whole_methods = ("DELETE",)
    confirmed_methods = ("DELETE",)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's form
        """Remove an offline key: a signer signs its messages again; refused while exports wait."""
        offline_key_remove(principal=self.principal, address=address_named(address))
        return Response(status=204)


class OfflineExportsView(PoolView):
    """`/offline-keys/{address}/exports`: the file of unsigned messages."""

    filters = ()
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"GET": "sign", "HEAD": "sign", "POST": "sign"}
    whole_methods = ("GET", "POST")
    confirmed_methods = ("POST",)
    asks_network = True

    @extend_schema(responses=ExportOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's form
        """Return again what was exported and waits for its signatures."""
        key = address_named(address)
        offline_key_require(self.principal, key)
        rows = list(messages_exported(self.principal, key))
        exports_record(rows, by=self.principal)
        return Response(file_body(rows))

    @extend_schema(request=ExportInput, responses={201: ExportOutput})
    def post(self, request: Request, address: str) -> Response:
        """Assign nonces to messages of the key and return them to be signed; the nonces stay reserved."""
        data = checked(ExportInput(data=request.data))
        head = head_current()
        if head is None:
            raise NetworkUnknown(gettext("no node has answered yet"))
        found = messages_export(
            principal=self.principal,
            address=address_named(address),
            ids=data.get("ids"),
            gas_fee_cap=data["gas_fee_cap"],
            client=chain_client(),
            head=head,
            now=clock.now(),
        )
        left = [
            {
                "id": row.push_id,
                "wait": str(row.wait),
                "reason": row.error,
                "reason_code": code_of(row.error),
            }
            for row in found.left
        ]
        return created({**file_body(found.rows), "Left": left})


class OfflineSignaturesView(PoolView):
    """`/offline-signatures`."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    asks_network = True

    @extend_schema(request=SignaturesInput, responses={200: ImportOutput})
    def post(self, request: Request) -> Response:
        """Import signatures that were made offline; each valid one's message is published."""
        data = checked(SignaturesInput(data=request.data))
        found = signatures_import(
            principal=self.principal, signatures=signatures_parse(data["messages"]), now=clock.now()
        )
        return Response(
            {
                "imported": [row.push_id for row in found.rows],
                "refused": [{"cid": cid, "reason": reason} for cid, reason in found.refused],
            }
        )


class WithdrawExportView(PoolView):
    """`/messages/{id}/withdraw-export`."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    bodiless_methods = ("POST",)
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(request=None, responses=MessageOutput)
    def post(self, request: Request, id: str) -> Response:  # noqa: ARG002  # the route's word; DRF's form
        """Fail an exported message: the next export gets its nonce, so only one of both can land."""
        row = export_withdraw(
            principal=self.principal, message=message_get(self.principal, id), now=clock.now()
        )
        return Response(message_body(row, head_height=head_height_or_zero()))


urlpatterns = [
    path("offline-keys", OfflineKeysView.as_view(), name="v1-offline-keys"),
    path("offline-keys/<str:address>", OfflineKeyView.as_view(), name="v1-offline-key"),
    path("offline-keys/<str:address>/exports", OfflineExportsView.as_view(), name="v1-offline-exports"),
    path("offline-signatures", OfflineSignaturesView.as_view(), name="v1-offline-signatures"),
    path("messages/<path:id>/withdraw-export", WithdrawExportView.as_view(), name="v1-withdraw-export"),
]
