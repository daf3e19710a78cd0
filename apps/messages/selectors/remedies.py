"""What a person can do about a message that is stuck, and what each action does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from apps.chain.models import Head
from apps.core.formatting import fee_text
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.selectors.diagnosis import Diagnosis
from apps.messages.selectors.queue_costs import PREMIUM_USUAL
from apps.messages.selectors.replacement_fees import premium_floor_compute

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

TRANSFER_LIMIT: Final = 1_600_000
"""Gas limit of a transfer between key addresses, rounded up: 1.25 times what a trial takes."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What one of the actions would do to this message."""

    action: str
    does: str
    cost: int | None = None
    """attoFIL of gas that it may cost at most at the present base fee; None where it signs nothing."""


DOES: Final[dict[str, StrOrPromise]] = {
    "approve": _("shows all that it does, for a person who did not ask for it to approve or refuse"),
    "fund": _("it will be selected on the first head that shows the new balance"),
    "raise-fee": _("its own fee limits override those of its sender and the pool; retries at once"),
    "fee-rules": _("looser rules or guards release it on the next head"),
    "quota": _("a larger quota releases it on the next head"),
    "policy": _("a rule that allows it releases it on the next head"),
    "lower-fee": _("a smaller max fee fits the rule, if it still covers the base fee; retries at once"),
    "grant": _("once its tenant may use the address, it is signed on the next attempt"),
    "start-sender": _("the sender's messages are selected again from the next head on"),
    "send-too": _("its messages are selected from the next head on, beside those of the other program"),
    "republish": _("resubmits it to every node"),
    "push-again": _("it gets a new nonce; if another message was sent in its place, both pay"),
    "retry-now": _("retries at once; if it fails, the back-off starts over"),
    "replace-earlier": _("the message that blocks it lands sooner"),
}
"""Actions whose effect is the same for every message."""


def message_remedies(message: Message, diagnosis: Diagnosis, *, head: Head | None) -> tuple[Remedy, ...]:
    """Return what each action would do to this message and cost, without asking the node."""
    base_fee = int(head.base_fee) if head is not None else 0
    return tuple(_remedy(action, message, base_fee=base_fee) for action in diagnosis.actions)


def _remedy(action: str, message: Message, *, base_fee: int) -> Remedy:
    premium = premium_floor_compute(int(message.gas_premium))
    if action == "replace":
        cap = max(int(message.gas_fee_cap), base_fee + premium)
        does = gettext("signs it again with the same nonce and a premium of at least {premium}").format(
            premium=fee_text(premium)
        )
        return Remedy(action, does, message.gas_limit * cap)
    if action == "cancel":
        does = gettext(
            "an empty message takes nonce {nonce}; if a block includes this one first, it lands instead"
        ).format(nonce=message.nonce)
        return Remedy(action, does, TRANSFER_LIMIT * (base_fee + premium))
    if action == "mark-bad":
        if message.nonce is None:
            return Remedy(action, gettext("marks the message failed; it will never be signed"))
        does = gettext(
            "marks the message failed; if no node has it, a gap filler takes nonce {nonce}"
        ).format(nonce=message.nonce)
        return Remedy(action, does, TRANSFER_LIMIT * (base_fee + PREMIUM_USUAL))
    return Remedy(action, str(DOES[action]))
