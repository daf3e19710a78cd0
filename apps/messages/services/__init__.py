"""Writing messages: push, select, publish, track, change."""

from __future__ import annotations

from apps.messages.services.change import (
    NewFees,
    message_mark_bad,
    message_replace,
    message_retry,
    messages_clear,
    messages_recover,
)
from apps.messages.services.checks import Gas, PushItem, SendSpec
from apps.messages.services.fee_limits import fee_limits_set
from apps.messages.services.holes import holes_close
from apps.messages.services.publish import message_republish, messages_publish, messages_republish
from apps.messages.services.push import message_push, messages_push, messages_push_batch
from apps.messages.services.rests import funded_wake, message_try_now
from apps.messages.services.search import messages_search
from apps.messages.services.select import messages_expire, sender_select, senders_due
from apps.messages.services.track import messages_track

__all__ = [
    "Gas",
    "NewFees",
    "PushItem",
    "SendSpec",
    "fee_limits_set",
    "funded_wake",
    "holes_close",
    "message_mark_bad",
    "message_push",
    "message_replace",
    "message_republish",
    "message_retry",
    "message_try_now",
    "messages_clear",
    "messages_expire",
    "messages_publish",
    "messages_push",
    "messages_push_batch",
    "messages_recover",
    "messages_republish",
    "messages_search",
    "messages_track",
    "sender_select",
    "senders_due",
]
