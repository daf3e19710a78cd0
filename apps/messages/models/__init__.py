"""Rows of the messager: messages, senders with their nonces, fee rules, what gas costs and may cost."""

from __future__ import annotations

from apps.messages.models.gas import GasGuard, GasSpend, HurryRule
from apps.messages.models.messages import MESSAGE_ID_MAX, Message, MessageEvent, SignedVersion, Tracker
from apps.messages.models.receivers import Receiver
from apps.messages.models.recovery import Recovery, UnmatchedMessage
from apps.messages.models.senders import ActorRules, ExtraNode, FeeRules, Sender, SharedRules

__all__ = [
    "MESSAGE_ID_MAX",
    "ActorRules",
    "ExtraNode",
    "FeeRules",
    "GasGuard",
    "GasSpend",
    "HurryRule",
    "Message",
    "MessageEvent",
    "Receiver",
    "Recovery",
    "Sender",
    "SharedRules",
    "SignedVersion",
    "Tracker",
    "UnmatchedMessage",
]
