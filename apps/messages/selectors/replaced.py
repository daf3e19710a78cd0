"""Messages whose nonce another message used, and of which nobody has decided yet."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.messages.models import Message
from apps.messages.selectors.messages import messages_visible
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal


def messages_replaced(viewer: Principal) -> QuerySet[Message]:
    """Return the viewer's replaced messages, newest first; some are payments that were not made."""
    rows = messages_visible(viewer).filter(state=MessageState.REPLACED, wait=Wait.NONCE_TAKEN)
    return rows.order_by("-created_at", "-pk")
