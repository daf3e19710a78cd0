"""Refusals of the messager."""

from __future__ import annotations

from typing import ClassVar, Final

from apps.core.addresses import address_fault
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from poolsite.filecoin.address import BadAddress

RECORD_NOT_FOUND: Final = "record not found"
"""The messager's words for any row that it does not have."""


class MessageNotFound(NotFound):
    """No such message, or not one of the caller's."""

    code: ClassVar[str] = "message_not_found"

    def __init__(self, reason: str = "", *, field: str = "id") -> None:
        super().__init__(
            reason or gettext("there is no such message"), field=field, wire=reason or RECORD_NOT_FOUND
        )


class MessageIdAmbiguous(Conflict):
    """Several tenants have a message of this id, and the caller sees more than one of them."""

    code: ClassVar[str] = "message_id_ambiguous"

    def __init__(self, uids: dict[str, str]) -> None:
        named = ", ".join(
            gettext("{uid} ({tenant})").format(uid=uid, tenant=tenant) for tenant, uid in sorted(uids.items())
        )
        super().__init__(
            gettext("several tenants have a message with this id; use its uid: {named}").format(named=named),
            field="id",
        )


class MessageIdTaken(Conflict):
    """The id stands for another message already."""

    code: ClassVar[str] = "message_id_taken"


class BadMessage(BadValue):
    """A field of the message that no node would take."""

    code: ClassVar[str] = "bad_message"


class CapBelowPremium(BadMessage):
    """A fee cap that does not cover the premium."""

    def __init__(self, *, field: str) -> None:
        super().__init__(
            gettext("the fee cap is below the premium"),
            field=field,
            wire="'GasFeeCap' less than 'GasPremium'",
        )


class BadMessageAddress(BadMessage):
    """Text that is no address."""

    def __init__(self, error: BadAddress, *, field: str) -> None:
        super().__init__(address_fault(error), field=field, wire=str(error))


class ReceiverNotGranted(NotAllowed):
    """The caller's token is limited to miners, and this is none of them."""

    code: ClassVar[str] = "receiver_not_granted"

    def __init__(self, address: str) -> None:
        super().__init__(gettext("this token may not send to {address}").format(address=address), field="to")


class SenderShared(NotAllowed):
    """Other tenants send from this address too: its settings would change what becomes of their messages."""

    code: ClassVar[str] = "sender_shared"

    def __init__(self) -> None:
        super().__init__(
            gettext(
                "other tenants also send from this address: ask the pool operator to change its settings"
            ),
            field="address",
        )


class SenderStopped(Conflict):
    """The address was taken out of service."""

    code: ClassVar[str] = "sender_stopped"


class SenderNotFound(NotFound):
    """No message was ever pushed from this address."""

    code: ClassVar[str] = "sender_not_found"

    def __init__(self, wire: str = RECORD_NOT_FOUND, *, field: str = "address") -> None:
        super().__init__(gettext("there is no such sender"), field=field, wire=wire)


class RuleNotFound(SenderNotFound):
    """No such rule of fees, or node to publish to."""

    def __init__(self, *, field: str) -> None:
        super().__init__(field=field)
        self.reason = gettext("there is no such entry")


class AlreadyOnChain(Conflict):
    """What is to be changed has landed."""

    code: ClassVar[str] = "already_on_chain"

    def __init__(self) -> None:
        super().__init__(gettext("the message is already on chain"), wire="message already on chain")


class FeeTooLow(BadValue):
    """A fee that no node would take in the place of the old one, or that the limit does not allow."""

    code: ClassVar[str] = "fee_too_low"


class SignerRefuses(Conflict):
    """No signature could be had."""

    code: ClassVar[str] = "signer_refuses"


class PersonRequired(NotAllowed):
    """A program asks for what only a person who is signed in may do."""

    code: ClassVar[str] = "person_required"

    def __init__(self) -> None:
        super().__init__(gettext("only a person who is signed in can decide this, not a token"))


class SecondPersonRequired(NotAllowed):
    """Somebody would decide alone what takes two people."""

    code: ClassVar[str] = "second_person_required"

    def __init__(self) -> None:
        super().__init__(gettext("another person must decide this: you or a token of yours asked for it"))


class ApprovalRequired(NotAllowed):
    """Somebody would have a message signed past the pool that an approval rule makes wait there."""

    code: ClassVar[str] = "approval_required"

    def __init__(self) -> None:
        super().__init__(
            gettext("an approval rule names this message: push it to the pool, where it waits for approval")
        )
