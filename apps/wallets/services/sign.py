"""Having messages and other bytes signed, verifying every signature, and keeping a record of each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from django.conf import settings
from django.utils.translation import override

from apps.core import clock
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, refused
from apps.gateway.errors import SignerRefused
from apps.gateway.services.signatures import RuledSignature, WalletSignRequest, wallet_sign_all
from apps.wallets.models import SignRecord
from apps.wallets.reasons import BYTES, MESSAGE
from apps.wallets.selectors import MESSAGER
from apps.wallets.services.sign_requests import Accounts, sign_request
from poolsite.filecoin.address import Address
from poolsite.filecoin.cids import BadCid, cid_from_bytes
from poolsite.filecoin.message import Message, SignedMessage
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify
from poolsite.wire.origins import Origin

SIGN_S: Final = 10.0
"""Time for one round of signatures; a signer that is away is expected back within it."""


def message_sign(message: Message, *, tenant_id: int | None, asked_by: str = MESSAGER) -> SignedMessage:
    """Sign one message by its signer.  Raises SenderNotGranted, SignerAway, SignerRefused."""
    answer = messages_sign([message], tenant_id=tenant_id, asked_by=asked_by)[0]
    if isinstance(answer, DomainError):
        raise answer
    return answer


@override(settings.LANGUAGE_CODE)  # refusals are recorded too
def messages_sign(
    messages: Sequence[Message],
    *,
    tenant_id: int | None,
    asked_by: str = MESSAGER,
    origins: Sequence[Origin] = (),
) -> list[SignedMessage | DomainError]:
    """Sign messages by their signers, all at once, and record each; `origins` says which ones they are.

    Each gets its signed form, or SenderNotGranted, SignerAway, SignedBefore or SignerRefused.
    Nothing unsigned by the sender's own key comes back: every signature is verified.  Network work: not for
    use in a transaction.
    """
    start = time.monotonic()
    found: dict[int, SignedMessage | DomainError] = {}
    requests: list[tuple[int, WalletSignRequest]] = []
    accounts = Accounts(tenant_id)
    for at, message in enumerate(messages):
        try:
            request = sign_request(message, accounts=accounts)
            requests.append((at, replace(request, origin=origins[at]) if origins else request))
        except DomainError as error:
            found[at] = error
    answers = wallet_sign_all([request for _, request in requests], timeout_s=SIGN_S) if requests else []
    rules: dict[int, str] = {}
    for (at, request), answer in zip(requests, answers, strict=True):
        found[at] = _signed_check(messages[at], payload=request.to_sign, answer=answer)
        rules[at] = _rule_of(answer)
    results = [found[at] for at in range(len(messages))]
    records_write(
        messages,
        results=results,
        rules=rules,
        tenant_id=tenant_id,
        asked_by=asked_by,
        ms=int((time.monotonic() - start) * 1000),
    )
    return results


def _rule_of(answer: Signature | DomainError) -> str:
    """Name the rule of the signer's policy that allowed a signature, where the signer reports it."""
    return answer.rule if isinstance(answer, RuledSignature) else ""


@override(settings.LANGUAGE_CODE)
def bytes_sign(
    *, address: Address, to_sign: bytes, meta_type: str, extra: bytes, tenant_id: int | None, asked_by: str
) -> Signature:
    """Sign bytes of any kind, as the wallet interface of a node does; recorded like messages.

    Raises SenderNotGranted, SignerAway, SignerRefused.
    """
    start, signer_address = time.monotonic(), str(address)
    answer: Signature | DomainError
    try:
        accounts = Accounts(tenant_id).of(signer_address)
        [answer] = wallet_sign_all(
            [WalletSignRequest(signer_address, accounts, to_sign, meta_type, extra)], timeout_s=SIGN_S
        )
        if isinstance(answer, Signature):
            signature_verify(answer, address, to_sign)
    except BadSignature as error:
        answer = SignerRefused(
            gettext("the signer returned an invalid signature: {error}").format(error=error)
        )
    except DomainError as error:
        answer = error
    bytes_record(
        address=signer_address,
        meta_type=meta_type,
        to_sign=to_sign,
        tenant_id=tenant_id,
        asked_by=asked_by,
        ms=int((time.monotonic() - start) * 1000),
        error=refused(answer) if isinstance(answer, DomainError) else "",
        rule=_rule_of(answer),
    )
    if isinstance(answer, DomainError):
        raise answer
    return answer


def bytes_record(
    *,
    address: str,
    meta_type: str,
    to_sign: bytes,
    tenant_id: int | None,
    asked_by: str,
    ms: int,
    error: Reason | str = "",
    rule: str = "",
) -> None:
    """Record a signature of bytes, with the CID of the message if they are one's, or why there is none."""
    SignRecord.objects.create(
        at=clock.now(),
        tenant_id=tenant_id,
        address=address,
        what=BYTES(meta_type=meta_type or "bytes", count=len(to_sign)),
        cid=_bytes_cid(to_sign, meta_type=meta_type),
        asked_by=asked_by,
        ms=ms,
        error=error,
        rule=rule[:100],
    )


def _bytes_cid(to_sign: bytes, *, meta_type: str) -> str:
    """Return the CID of the message that bytes to be signed stand for; empty if they are something else."""
    with contextlib.suppress(BadCid):
        return str(cid_from_bytes(to_sign))[:128] if meta_type == "message" else ""
    return ""


def _signed_check(
    message: Message, *, payload: bytes, answer: Signature | DomainError
) -> SignedMessage | DomainError:
    """Return the signed message if the signature is the sender's over it, else why it is refused."""
    if isinstance(answer, DomainError):
        return answer
    try:
        signature_verify(answer, message.from_, payload)
    except BadSignature as error:
        return SignerRefused(gettext("the signer returned an invalid signature: {error}").format(error=error))
    return SignedMessage(message, answer)


def records_write(
    messages: Sequence[Message],
    *,
    results: Sequence[SignedMessage | DomainError],
    rules: Mapping[int, str],
    tenant_id: int | None,
    asked_by: str,
    ms: int,
) -> None:
    """Keep the console's copy of a round; `rules` by place."""
    now = clock.now()
    SignRecord.objects.bulk_create(
        SignRecord(
            at=now,
            tenant_id=tenant_id,
            address=str(message.from_),
            what=MESSAGE(method=message.method, to=str(message.to)),
            cid=str(message.cid),
            asked_by=asked_by,
            ms=ms,
            error=refused(result) if isinstance(result, DomainError) else "",
            rule=rules.get(at, ""),
        )
        for at, (message, result) in enumerate(zip(messages, results, strict=True))
    )
