"""A signer's policy, seen and changed from the console: the signer shows, rehearses, checks and decides.

The console passes on.  It holds no key and no editor's code; what it writes down of a change is the audit
log's, the signer's own history is the truth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from apps.core.errors import DomainError, NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused, SignerAway, SignerRefused
from apps.gateway.models import SignerConnection
from apps.gateway.selectors.connections import signers_connected
from apps.gateway.services.connection_test import connection_request
from apps.gateway.services.signatures import signers_find
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.services.audit import audit_record
from apps.wallets.errors import NoPolicy
from apps.wallets.models import Wallet
from apps.wallets.rules.policy_words import policy_words
from apps.wallets.selectors import wallet_get
from apps.wallets.services.signed_ids import UNKNOWN_EVENT
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.wire.codec import BadWire, document_decode, document_send
from poolsite.wire.policy import (
    POLICY_APPLY,
    POLICY_DRAFT,
    POLICY_READ,
    POLICY_TRY,
    POLICY_VERSION,
    MessageTrial,
    MessageVerdict,
    PolicyApplied,
    PolicyChange,
    PolicyDraft,
    PolicyEdit,
    PolicyState,
    PolicyVersion,
    VersionAsked,
)
from poolsite.wire.proposals import policy_advice, sealing_receivers

T = TypeVar("T")

READ_S: Final = 10.0
REHEARSE_S: Final = 60.0
"""Thirty days of a busy signer's records."""


def signer_find(viewer: Principal, *, address: str) -> SignerConnection:
    """Find the connected signer that holds a key, if it is the caller's own.  Raises NotFound, SignerAway."""
    wallet = wallet_get(viewer, address)
    held = signers_connected(viewer).filter(
        signer_keys__address=wallet.address, signer_keys__removed_at=None, tenant_id=wallet.tenant_id
    )
    row = held.order_by("-created_at").first()
    if row is not None:
        return row
    if not viewer.is_operator and wallet.tenant_id != viewer.own_id:
        raise NotFound(gettext("the signer of {address} belongs to another tenant").format(address=address))
    raise SignerAway(wallet.address)


def is_held_twice(wallet: Wallet) -> bool:
    """Return whether several connected signers of its tenant hold a key, each with a policy of its own."""
    return sum(one.tenant_id == wallet.tenant_id for one in signers_find(wallet.address)) > 1


def _signer_call(
    viewer: Principal, *, address: str, method: str, question: Any, kind: type[T], seconds: float
) -> T:
    """Return what the signer of a key answers.  Raises NotFound, SignerAway, SignerRefused."""
    row = signer_find(viewer, address=address)
    payload = None if question is None else document_send(question)
    try:
        return document_decode(
            kind, connection_request(row, method=method, payload=payload, timeout_s=seconds)
        )
    except ProviderRefused as refusal:
        if refusal.reason.startswith(UNKNOWN_EVENT):
            raise NoPolicy from None
        raise SignerRefused(refusal.reason) from None
    except (NoAnswer, NoProvider) as refusal:
        raise SignerAway(address, refusal.reason) from None
    except BadWire as error:
        raise SignerRefused(
            gettext("the signer's response could not be parsed: {error}").format(error=error)
        ) from None


def policy_read(viewer: Principal, *, address: str) -> PolicyState:
    """Show what is in force, and store what pages tell of it.  Raises NotFound, SignerAway, SignerRefused."""
    state = _signer_call(
        viewer, address=address, method=POLICY_READ, question=None, kind=PolicyState, seconds=READ_S
    )
    with suppress(DomainError):  # it went meanwhile
        _policy_record(signer_find(viewer, address=address), state)
    return state


def _policy_record(row: SignerConnection, state: PolicyState) -> None:
    """Store, with its connection, what a signer's policy lacks and which miners it may seal for."""
    advice = [] if state.error else policy_advice(state.rules)
    named = None if state.error else sealing_receivers(state.rules)
    receivers = None if named is None else list(named)
    if (advice, receivers) == (row.policy_advice, row.policy_receivers):
        return
    SignerConnection.objects.filter(pk=row.pk).update(policy_advice=advice, policy_receivers=receivers)
    publish(Change("signer", str(row.pk), row.tenant_id))


def keys_group(addresses: Iterable[str]) -> list[list[str]]:
    """Return keys whose signers are connected, those of one signer together."""
    found: dict[UUID, list[str]] = defaultdict(list)
    for address in addresses:
        with suppress(DomainError):
            found[signer_find(SYSTEM, address=address).pk].append(address)
    return list(found.values())


def policy_advice_record(*, address: str) -> bool:
    """Store the advice on the policy of the signer that holds a key.

    Returns whether it answered: if it cannot be asked, or does not show its policy, the stored advice stays.
    """
    try:
        policy_read(SYSTEM, address=address)
    except DomainError:
        return False
    return True


def policy_version_read(viewer: Principal, *, address: str, number: int) -> PolicyVersion:
    """Show one version.  Raises NotFound, SignerAway, SignerRefused."""
    question = VersionAsked(number=number)
    return _signer_call(
        viewer, address=address, method=POLICY_VERSION, question=question, kind=PolicyVersion, seconds=READ_S
    )


def policy_draft_make(viewer: Principal, *, address: str, edit: PolicyEdit) -> PolicyDraft:
    """Return what an edit would make and have made.  Raises NotFound, SignerAway, SignerRefused."""
    return _signer_call(
        viewer, address=address, method=POLICY_DRAFT, question=edit, kind=PolicyDraft, seconds=REHEARSE_S
    )


def policy_try(viewer: Principal, *, address: str, message: Message, text: str = "") -> MessageVerdict:
    """Return the policy's verdict on an unsigned message.  Raises NotFound, SignerAway, SignerRefused."""
    trial = MessageTrial(message=message_to_cbor(message), text=text)
    return _signer_call(
        viewer, address=address, method=POLICY_TRY, question=trial, kind=MessageVerdict, seconds=READ_S
    )


@dataclass(frozen=True, slots=True)
class SignerVerdict:
    """What the signer of a key decides of a message; nothing of it if the signer does not show its policy."""

    is_allowed: bool = False
    rule: str = ""
    """The rule that allows it."""
    refusal: str = ""
    """Why its policy would not sign it."""
    silence: str = ""
    """Why it could not be asked."""


def signer_verdict_read(viewer: Principal, *, address: str, message: Message) -> SignerVerdict:
    """Return what the signer of a key would decide of a message; nothing is signed."""
    try:
        verdict = policy_try(viewer, address=address, message=message)
    except (NoPolicy, NotFound):  # another make's, or another tenant's
        return SignerVerdict()
    except DomainError as error:
        return SignerVerdict(silence=error.reason)
    return SignerVerdict(not verdict.error, verdict.rule, verdict.error)


def policy_refusal_find(*, address: str, message: Message) -> str:
    """Return why the policy of a key's signer would refuse a message; empty: it would not, or unknown."""
    try:
        refused = policy_try(SYSTEM, address=address, message=message).error
    except DomainError:
        return ""
    return policy_words(refused, method=int(message.method))


def signer_refusal_find(viewer: Principal, *, address: str, message: Message, method: str) -> str:
    """Return why the signer of a key would not sign a message of this method; empty if it would.

    A signer that cannot be asked is named too: what is queued waits for it.  Not one of another make, as
    venus-wallet: it has no policy.
    """
    try:
        refused = policy_try(viewer, address=address, message=message).error
    except NoPolicy:
        return ""
    except DomainError as error:
        return gettext("the signer of {sender} could not be asked: {reason}").format(
            sender=address, reason=error.reason
        )
    if not refused:
        return ""
    return gettext("the signer of {sender} would refuse {method}: {refused}").format(
        sender=address, method=method, refused=policy_words(refused, method=int(message.method))
    )


def policy_change_apply(viewer: Principal, *, address: str, change: PolicyChange) -> PolicyApplied:
    """Apply a signed change at the signer.  Raises NotAllowed, NotFound, SignerAway, SignerRefused."""
    if not viewer.may("admin"):
        raise NotAllowed(gettext("changing a policy requires the level 'admin'"))
    before = policy_read(viewer, address=address)
    sent = PolicyChange(
        text=change.text,
        number=change.number,
        editor=change.editor,
        signature=change.signature,
        person=viewer.actor,
    )
    fields = {"version": change.number, "editor": change.editor}
    try:
        applied = _signer_call(
            viewer, address=address, method=POLICY_APPLY, question=sent, kind=PolicyApplied, seconds=READ_S
        )
    except SignerRefused as refusal:
        after: dict[str, Any] = {**fields, "refused": refusal.reason}
        audit_record(principal=viewer, action="policy.refused", target=address, after=after)
        raise
    diff = policy_version_read(viewer, address=address, number=applied.number).diff
    with suppress(DomainError):  # the change is made, whether or not the signer shows what is in force
        policy_read(viewer, address=address)
    audit_record(
        principal=viewer,
        action="policy.change",
        target=address,
        before={"version": before.number, "digest": before.digest},
        after={"version": applied.number, "digest": applied.digest, "editor": change.editor, "diff": diff},
    )
    return applied
