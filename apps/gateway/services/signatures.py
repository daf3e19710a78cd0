"""Signatures by connected signers, asked from anywhere in the pool."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.core.sanitize import sanitize_text
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused, SignedBefore, SignerAway, SignerRefused
from apps.gateway.hub.blocking_client import requests_send
from apps.gateway.hub.hedging import is_repeatable
from apps.gateway.hub.requests import HubRequest
from apps.gateway.hub.routes import connections_alive, wallet_route
from apps.gateway.models import SignerConnection
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_cbor
from poolsite.filecoin.signature import Signature, signature_from_json
from poolsite.wire.codec import document_encode
from poolsite.wire.origins import ORIGIN_FIELD, SIGNED_FIELD, Origin

SIGN_TIMEOUT_S: Final = 10.0
"""Time for a signature, when the caller names none."""


@dataclass(frozen=True, slots=True)
class RuledSignature(Signature):
    """A signature with the rule of its signer's policy that allowed it."""

    rule: str = ""


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
    timeout_s: float = SIGN_TIMEOUT_S,
) -> Signature:
    """Sign with a connected signer.  Raises SignerAway, SignerRefused."""
    request = WalletSignRequest(address, accounts, to_sign, meta_type, extra)
    answer = wallet_sign_all([request], timeout_s=timeout_s)[0]
    if isinstance(answer, Signature):
        return answer
    raise answer


def wallet_sign_all(
    requests: Sequence[WalletSignRequest], *, timeout_s: float = SIGN_TIMEOUT_S
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
    return [signature_read(one.address, answer=answer) for one, answer in zip(requests, answers, strict=True)]


def signature_read(address: str, *, answer: Any) -> Signature | DomainError:
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
        return SignerRefused(gettext("the signer's response is not a signature: {error}").format(error=error))
    rule = answer.get("Rule")
    if isinstance(rule, str) and rule:
        return RuledSignature(signature.type, signature.data, rule=sanitize_text(rule[:100]))
    return signature


def signed_before_read(versions: Any) -> DomainError:
    """Turn a refusal of a second nonce into the messages that the signer signed."""
    try:
        messages = tuple(message_from_cbor(base64.b64decode(one, validate=True)) for one in versions)
    except (TypeError, ValueError) as error:
        return SignerRefused(
            gettext("the signer's response could not be parsed: {error}").format(error=error)
        )
    if not messages:
        return SignerRefused(
            gettext("the signer has already signed this message but does not say with which nonce")
        )
    return SignedBefore(messages)


def wallet_has(address: str, *, accounts: Collection[str]) -> bool:
    """Return whether a connected signer holds this key for one of these accounts."""
    return bool(connections_alive(wallet_route(address), accounts))


def signers_find(address: str) -> list[SignerConnection]:
    """Return every connected signer that holds a key, those of several tenants too."""
    names = [one.connection for one in connections_alive(wallet_route(address), None)]
    return list(SignerConnection.objects.filter(uuid__in=names, closed_at=None).order_by("created_at"))
