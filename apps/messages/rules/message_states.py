"""What a message's state forbids, in words."""

from __future__ import annotations

from django.utils.translation import gettext

from apps.messages.errors import BadMessage
from apps.messages.states import WIRE_NAMES, MessageState


def wrong_state(state: str, *, needed: str) -> BadMessage:
    """Return the refusal of an act that a message in this state does not allow."""
    rule = (
        gettext("only a message in flight can be changed so: {fact}")
        if needed == MessageState.FILLED
        else gettext("only a message that is not signed yet can be changed so: {fact}")
    )
    facts = {
        MessageState.UNFILLED: gettext("this one is not signed yet; mark it failed to withdraw it"),
        MessageState.FILLED: gettext("this one is in flight"),
        MessageState.LANDED: gettext("this one is on chain"),
        MessageState.FAILED: gettext("this one was marked failed"),
        MessageState.REPLACED: gettext("another message took its nonce"),
    }
    return BadMessage(
        rule.format(fact=facts[MessageState(state)]),
        field="id",
        wire=f"need {WIRE_NAMES[needed]} got {WIRE_NAMES[state]}",
    )
