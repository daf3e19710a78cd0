"""Rows of the messager: messages, senders with their nonces, fee rules, what gas costs and may cost."""

from __future__ import annotations

from apps.messages.models.approvals import ApprovalRule, MessageApproval
from apps.messages.models.gas import AutoBumpRule, GasGuard, GasSpend
from apps.messages.models.messages import MESSAGE_ID_MAX, Message, MessageEvent, SignedVersion, Tracker
from apps.messages.models.receivers import Receiver
from apps.messages.models.recovery import Recovery, UnmatchedMessage
from apps.messages.models.senders import ActorRules, ExtraNode, FeeRules, Sender, SharedRules

__all__ = [
    "MESSAGE_ID_MAX",
    "ActorRules",
    "ApprovalRule",
    "AutoBumpRule",
    "ExtraNode",
    "FeeRules",
    "GasGuard",
    "GasSpend",
    "Message",
    "MessageApproval",
    "MessageEvent",
    "Receiver",
    "Recovery",
    "Sender",
    "SharedRules",
    "SignedVersion",
    "Tracker",
    "UnmatchedMessage",
]
