"""Writing messages: push, select, publish, track, change."""

from __future__ import annotations

from apps.messages.services.cancel import message_mark_bad, messages_clear
from apps.messages.services.gaps import gaps_fill
from apps.messages.services.publish import message_republish, messages_publish, messages_republish
from apps.messages.services.push import message_push, messages_push, messages_push_batch
from apps.messages.services.replace import NewFees, fee_limits_set, message_replace
from apps.messages.services.retry import (
    message_retry,
    message_retry_now,
    messages_recover,
    retry_after_funding,
)
from apps.messages.services.search import messages_search
from apps.messages.services.select import messages_expire, sender_select, senders_due
from apps.messages.services.track import messages_track
from apps.messages.services.validate import Gas, PushItem, SendSpec

__all__ = [
    "Gas",
    "NewFees",
    "PushItem",
    "SendSpec",
    "fee_limits_set",
    "gaps_fill",
    "message_mark_bad",
    "message_push",
    "message_replace",
    "message_republish",
    "message_retry",
    "message_retry_now",
    "messages_clear",
    "messages_expire",
    "messages_publish",
    "messages_push",
    "messages_push_batch",
    "messages_recover",
    "messages_republish",
    "messages_search",
    "messages_track",
    "retry_after_funding",
    "sender_select",
    "senders_due",
]
