"""Refusals, by the state of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy

from apps.core.marked_texts import gettext
from apps.messages.errors import BadMessage
from apps.messages.states import WIRE_NAMES, MessageState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


RULES: Final[dict[str, StrOrPromise]] = {
    MessageState.UNFILLED: gettext_lazy("possible only before a message is signed: {fact}"),
    MessageState.FILLED: gettext_lazy("possible only for a message in flight: {fact}"),
    MessageState.REPLACED: gettext_lazy("possible only for a replaced message: {fact}"),
}
"""Refusals, by the state that the act needs."""


def wrong_state(state: str, *, needed: str, field: str = "id") -> BadMessage:
    """Return the refusal of an act that a message in this state does not allow."""
    facts = {
        MessageState.UNFILLED: gettext("this one is not signed yet; mark it failed to withdraw it"),
        MessageState.FILLED: gettext("this one is in flight"),
        MessageState.LANDED: gettext("this one is on chain"),
        MessageState.FAILED: gettext("this one has failed"),
        MessageState.REPLACED: gettext("another message took its nonce"),
    }
    return BadMessage(
        str(RULES[needed]).format(fact=facts[MessageState(state)]),
        field=field,
        wire=f"need {WIRE_NAMES[needed]} got {WIRE_NAMES[state]}",
    )
