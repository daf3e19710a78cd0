"""Writing connections, and requests to signers from anywhere in the pool."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F

from apps.core import clock
from apps.core.live import Change, publish
from apps.core.sanitize import sanitize_text
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused, SignedBefore, SignerAway, SignerRefused
from apps.gateway.hedging import is_repeatable
from apps.gateway.hub_client import HubRequest, requests_send
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.routes import connections_alive, wallet_route
from apps.users.models import AccountApproval, SignerGrant, Tenant
from apps.users.selectors import accounts_refused
from apps.users.services import signer_grant
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_cbor
from poolsite.filecoin.signature import Signature, signature_from_json
from poolsite.wire.codec import document_encode
from poolsite.wire.origins import ORIGIN_FIELD, SIGNED_FIELD

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from apps.core.errors import DomainError
    from apps.gateway.activity import Activity
    from apps.users.principals import Principal
    from poolsite.wire.origins import Origin


@dataclass(frozen=True, slots=True)
class RuledSignature(Signature):
    """A signature with the rule of its signer's policy that allowed it."""

    rule: str = ""


ASK_S: Final = 10.0
"""Time for a signature, when the caller names none."""
SIGNED_PROTOCOLS: Final = frozenset("134")
"""Kinds of addresses that are keys."""


@dataclass(frozen=True, slots=True)
class WalletSignRequest:
    """Something to be signed by the key of `address`, for one of `accounts`."""

    address: str
    accounts: Sequence[str]
    to_sign: bytes
    meta_type: str
    """What it is, in the words of venus-wallet: `message`, `block`, …"""
    extra: bytes = b""
    origin: Origin | None = None
    """Which message it is for; a signer of ours refuses a second nonce for it, others pass over it."""

    def payload(self) -> dict[str, Any]:
        """Return the event's JSON."""
        extra = base64.b64encode(self.extra).decode() if self.extra else None
        return {
            "Signer": self.address,
            "ToSign": base64.b64encode(self.to_sign).decode(),
            "Meta": {"Type": self.meta_type, "Extra": extra},
            **({} if self.origin is None else {ORIGIN_FIELD: document_encode(self.origin)}),
        }


def wallet_sign(
    *,
    address: str,
    accounts: Sequence[str],
    to_sign: bytes,
    meta_type: str,
    extra: bytes = b"",
    timeout_s: float = ASK_S,
) -> Signature:
    """Sign with a connected signer.  Raises SignerAway, SignerRefused."""
    request = WalletSignRequest(address, accounts, to_sign, meta_type, extra)
    answer = wallet_sign_all([request], timeout_s=timeout_s)[0]
    if isinstance(answer, Signature):
        return answer
    raise answer


def wallet_sign_all(
    requests: Sequence[WalletSignRequest], *, timeout_s: float = ASK_S
) -> list[Signature | DomainError]:
    """Sign many requests at once; each gets its signature or SignerAway or SignerRefused."""
    hub_requests = [
        HubRequest(
            wallet_route(one.address),
            tuple(one.accounts),
            "WalletSign",
            one.payload(),
            is_repeatable=is_repeatable("WalletSign", one.address),
        )
        for one in requests
    ]
    answers = requests_send(hub_requests, timeout_s=timeout_s)
    return [signature_read(one.address, answer) for one, answer in zip(requests, answers, strict=True)]


def signature_read(address: str, answer: Any) -> Signature | DomainError:
    """Turn what came back into a signature or a refusal."""
    if isinstance(answer, ProviderRefused):
        return SignerRefused(answer.reason)
    if isinstance(answer, NoProvider | NoAnswer):
        return SignerAway(address, answer.reason)
    if isinstance(answer, dict) and SIGNED_FIELD in answer:
        return signed_before_read(answer[SIGNED_FIELD])
    try:
        signature: Signature = signature_from_json(answer)
    except BadField as error:
        return SignerRefused(f"the signer's answer is no signature: {error}")
    rule = answer.get("Rule")
    if isinstance(rule, str) and rule:
        return RuledSignature(signature.type, signature.data, rule=sanitize_text(rule[:100]))
    return signature


def signed_before_read(versions: Any) -> DomainError:
    """Turn a refusal of a second nonce into the messages that the signer signed."""
    try:
        messages = tuple(message_from_cbor(base64.b64decode(one, validate=True)) for one in versions)
    except (TypeError, ValueError) as error:
        return SignerRefused(f"the signer's answer cannot be read: {error}")
    if not messages:
        return SignerRefused("the signer signed this message before and does not say how")
    return SignedBefore(messages)


def wallet_has(address: str, accounts: Collection[str]) -> bool:
    """Return whether a connected signer holds this key for one of these accounts."""
    return bool(connections_alive(wallet_route(address), accounts))


def signers_of(address: str) -> list[SignerConnection]:
    """Return every connected signer that holds a key, those of several tenants too."""
    names = [one.connection for one in connections_alive(wallet_route(address), None)]
    return list(SignerConnection.objects.filter(uuid__in=names, closed_at=None).order_by("created_at"))


@transaction.atomic
def signer_connection_open(
    *, uuid: str, principal: Principal, accounts: Sequence[str], process: str, source: str
) -> SignerConnection:
    """Write down a wallet's channel; pages hear of it with its keys."""
    now = clock.now()
    return SignerConnection.objects.create(
        uuid=uuid,
        tenant_id=principal.own_id,
        token=principal.token_id or None,
        accounts=list(accounts),
        process=process,
        source=source,
        created_at=now,
        seen_at=now,
    )


@transaction.atomic
def prover_connection_open(
    *, uuid: str, principal: Principal, actor_id: int, purpose: str, process: str, source: str
) -> ProverConnection:
    """Write down a miner's channel."""
    now = clock.now()
    row = ProverConnection.objects.create(
        uuid=uuid,
        tenant_id=principal.own_id,
        token=principal.token_id or None,
        actor_id=actor_id,
        purpose=purpose,
        process=process,
        source=source,
        created_at=now,
        seen_at=now,
    )
    publish(Change("signer", str(row.uuid), principal.own_id))
    return row


@transaction.atomic
def accounts_claim(*, principal: Principal, names: Sequence[str]) -> list[str]:
    """Return those of `names` that this signer may serve; for the others, leave a request to be approved."""
    refused = set(accounts_refused(signer_tenant_id=principal.own_id, names=names))
    for account in Tenant.objects.filter(name__in=refused):
        AccountApproval.objects.get_or_create(signer_tenant_id=principal.own_id, account=account)
    return [name for name in names if name not in refused]


@transaction.atomic
def keys_add(*, connection_id: str, accounts: Collection[str], addresses: Collection[str]) -> None:
    """Write down keys that a connection proved, and let its accounts use them.

    An address that somebody took from an account stays taken: a signer comes back after every restart.
    """
    connection = SignerConnection.objects.select_related("tenant").get(pk=connection_id)
    now = clock.now()
    proved = sorted(set(addresses))
    SignerKey.objects.bulk_create(
        [
            SignerKey(address=address, tenant=connection.tenant, connection=connection, verified_at=now)
            for address in proved
        ],
        update_conflicts=True,
        unique_fields=["address", "tenant"],
        update_fields=["connection", "verified_at", "removed_at"],
    )
    tenants = list(Tenant.objects.filter(name__in=accounts, deleted_at=None).order_by("pk"))
    grants = SignerGrant.objects.filter(address__in=proved, tenant__in=tenants)
    known = set(grants.values_list("tenant_id", "address"))  # of a signer that comes back: all of them
    for tenant in tenants:
        for address in proved:
            if address[1] in SIGNED_PROTOCOLS and (tenant.pk, address) not in known:
                signer_grant(tenant=tenant, address=address)
    publish(Change("signer", str(connection.uuid), connection.tenant_id))


def accounts_set(*, connection_id: str, accounts: Collection[str]) -> None:
    """Write down whom a connection serves now."""
    SignerConnection.objects.filter(pk=connection_id).update(accounts=sorted(accounts))


def keys_remove(*, connection_id: str, addresses: Collection[str]) -> None:
    """Write down keys that a signer gave up; what was granted for them stays."""
    keys = SignerKey.objects.filter(connection__pk=connection_id, address__in=list(addresses))
    keys.update(removed_at=clock.now())


def connections_confirm(*, process: str, done: Mapping[str, Activity], now: datetime) -> None:
    """Note that a process' connections are alive, and what each did since the last time."""
    for model in (SignerConnection, ProverConnection):
        model.objects.filter(process=process, closed_at=None).update(seen_at=now)
        for pk, tenant_id in model.objects.filter(pk__in=list(done)).values_list("pk", "tenant_id"):
            model.objects.filter(pk=pk).update(**activity_fields(done[str(pk)], now=now))
            publish(Change("connection", str(pk), tenant_id))


def activity_fields(activity: Activity, *, now: datetime) -> dict[str, Any]:
    """Write what a connection did as an update of its row."""
    return {
        **({"failed_at": now} if activity.failures else {}),
        "requests": F("requests") + activity.requests,
        "failures": F("failures") + activity.failures,
        "in_flight": activity.in_flight,
        "p50_ms": activity.p50_ms,
        "p99_ms": activity.p99_ms,
        "last_failure": activity.last_failure,
    }


def connection_close(*, uuid: str, tenant_id: int, activity: Activity | None) -> None:
    """Write down the end of a connection."""
    now = clock.now()
    fields = activity_fields(activity, now=now) if activity is not None else {}
    for model in (SignerConnection, ProverConnection):
        over = {**fields, "closed_at": now, "seen_at": now, "in_flight": 0}
        if model.objects.filter(pk=uuid).update(**over):
            break
    publish(Change("signer", uuid, tenant_id))
