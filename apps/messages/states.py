"""The states of a message and of a sender, how they change, and their numbers on the messager's wire.

Source: filecoin-project/venus venus-shared/types/messager/message.go (MessageState), address.go.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class MessageState(models.TextChoices):
    """Where a message is on its way."""

    UNFILLED = "UNFILLED", _("pending")
    """Accepted; has no nonce yet."""
    FILLED = "FILLED", _("in flight")
    """Has its nonce and signature, or was exported to be signed offline; not yet on chain."""
    LANDED = "LANDED", _("landed")
    """On chain, with a receipt; its exit code may be an error all the same."""
    FAILED = "FAILED", _("failed")
    """Marked bad by a person, or expired or refused by an actor too often before it got a nonce."""
    REPLACED = "REPLACED", _("replaced")
    """Another message of the sender landed with its nonce."""


TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    "UNFILLED": {"FILL": "FILLED", "EXPIRE": "FAILED", "MARK_BAD": "FAILED", "REFUSE": "FAILED"},
    "FILLED": {
        "REPLACE": "FILLED",
        "LAND": "LANDED",
        "CONFLICT": "REPLACED",
        "MARK_BAD": "FAILED",
    },
    "LANDED": {"REVERT": "FILLED", "CONFLICT": "REPLACED"},
    "REPLACED": {"REVERT": "FILLED", "LAND": "LANDED", "RETRY": "UNFILLED", "MARK_BAD": "FAILED"},
    "FAILED": {"LAND": "LANDED", "RECOVER": "FILLED", "RETRY": "UNFILLED"},
}
"""State and event to next state.

A message that was given up or replaced can still land, the latter after a reorganisation: its signature
is out.  Each event leads to one state, whatever the state before.
"""

WIRE_CODES: Final[dict[str, int]] = {
    MessageState.UNFILLED: 1,
    MessageState.FILLED: 2,
    MessageState.LANDED: 3,
    MessageState.FAILED: 4,
    MessageState.REPLACED: 5,
}
"""Numbers as the messager's JSON carries them; 0 is UnKnown and never ours."""

WIRE_NAMES: Final[dict[str, str]] = {
    MessageState.UNFILLED: "UnFillMsg",
    MessageState.FILLED: "FillMsg",
    MessageState.LANDED: "OnChainMsg",
    MessageState.FAILED: "Failed",
    MessageState.REPLACED: "NonceConflictMsg",
}
"""Words as the messager's error texts carry them."""

STATES_BY_CODE: Final[dict[int, str]] = {code: state for state, code in WIRE_CODES.items()}


ATTEMPT: Final = "attempt failed"
"""Event of a message's timeline: why it was not signed."""

EXPORT_WITHIN: Final = timedelta(hours=24)
"""For so long a message that was exported may wait for its signature without being asked about."""


class ApprovalState(models.TextChoices):
    """What a second person has decided about a message."""

    PENDING = "PENDING", _("waiting")
    APPROVED = "APPROVED", _("approved")
    REFUSED = "REFUSED", _("refused")


APPROVAL_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    ApprovalState.PENDING: {"APPROVE": ApprovalState.APPROVED, "REFUSE": ApprovalState.REFUSED},
    ApprovalState.APPROVED: {"ASK": ApprovalState.PENDING},
    ApprovalState.REFUSED: {"ASK": ApprovalState.PENDING},
}
"""A message that was given up and is tried again is asked about again."""

APPROVAL_WITHIN: Final = timedelta(hours=24)
"""What nobody has approved by then fails: no withdrawal of last month is approved in passing."""


class SenderState(models.TextChoices):
    """Whether an address may send."""

    ALIVE = "ALIVE", _("sending")
    FORBIDDEN = "FORBIDDEN", _("stopped")
    """No push and no selection; what is in flight is still tracked."""


SENDER_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    SenderState.ALIVE: {"STOP": SenderState.FORBIDDEN},
    SenderState.FORBIDDEN: {"RESUME": SenderState.ALIVE},
}

SENDER_EVENTS: Final[dict[str, str]] = {SenderState.FORBIDDEN: "STOP", SenderState.ALIVE: "RESUME"}
"""The event that leads to a state."""

SENDER_WIRE_CODES: Final[dict[str, int]] = {SenderState.ALIVE: 1, SenderState.FORBIDDEN: 4}


class NoncesBy(models.TextChoices):
    """Which programs give a sender's nonces."""

    POOL = "", _("the pool")
    OTHER = "OTHER", _("another program: the pool sends only proofs")
    """It has messages signed here and pushes them itself; the pool sends only what is pressing."""
    BOTH = "BOTH", _("the pool and another program")
    """A person has said that the pool sends too."""


class Priority(models.IntegerChoices):
    """Order of choice; smaller goes first."""

    PROOF = 0, _("proof")
    """WindowPoSt and recoveries: they have a deadline on chain."""
    GAP = 1, _("gap")
    """Closes a gap in the nonces, behind which everything waits."""
    PRE_COMMIT = 2, _("pre-commit")
    REST = 3, _("other")


PRESSING: Final = (Priority.PROOF, Priority.GAP)
"""What no base fee holds up: a missed window costs more, and a proof may wait behind a gap."""

KIND_PRIORITIES: Final[dict[str, Priority]] = {
    "window_post": Priority.PROOF,
    "recover": Priority.PROOF,
    "declare_faults": Priority.PROOF,
    "gap": Priority.GAP,
    "precommit": Priority.PRE_COMMIT,
}

STEP_KINDS: Final = ("precommit", "commit", "snap_up", "terminate", "extend", "compact", "publish")
"""Steps of sectors and deals: past `expire_epoch` the deposit, proof, sector or collateral is lost."""

CANCELLED_LATE: Final = ("publish",)
"""Kinds that the chain takes past `expire_epoch`, too, though landing then costs more than not to land."""

DONE_ANEW: Final = (*KIND_PRIORITIES, *(kind for kind in STEP_KINDS if kind != "compact"), "cancel", "settle")
"""Kinds for which the pool sends another message by itself if one was not carried out, or needs none.

A compaction is not among them: only a person orders one.
"""


class Wait(models.TextChoices):
    """Why a message has not moved: the closed list of diagnoses."""

    NONE = "", _("nothing")
    NEXT_HEAD = "NEXT_HEAD", _("waiting for the next head")
    APPROVAL = "APPROVAL", _("another person must approve it")
    QUOTA = "QUOTA", _("the sender has as many messages in flight as it may")
    BASE_FEE_GATE = "BASE_FEE_GATE", _("the base fee is above the sender's limit")
    HELD = "HELD", _("held until the base fee falls")
    GAS_CAP = "GAS_CAP", _("the gas guard's cap is below the base fee")
    DAILY_BUDGET = "DAILY_BUDGET", _("today's gas budget does not cover the message")
    FUNDS = "FUNDS", _("the sender's balance does not cover gas and value")
    NO_ACTOR = "NO_ACTOR", _("the sender does not exist on chain: it was never funded")
    ESTIMATE = "ESTIMATE", _("the node expects the message to fail")
    FEE_LIMIT = "FEE_LIMIT", _("the max fee gives a fee cap below the base fee")
    SIGNER_AWAY = "SIGNER_AWAY", _("no connected signer has this key")
    OFFLINE = "OFFLINE", _("its key is kept offline: export it, and import its signature")
    SIGNED_BEFORE = "SIGNED_BEFORE", _("the signer signed it earlier with a nonce that another message has")
    RECOVERY = "RECOVERY", _("the pool was restored from a backup and is reading what was sent since")
    POLICY = "POLICY", _("the signer or a grant refuses the message")
    STOPPED = "STOPPED", _("the sender was stopped")
    OTHER_PROGRAM = (
        "OTHER_PROGRAM",
        _("another program assigns the nonces: nobody has let the pool send"),
    )
    EARLIER_NONCE = "EARLIER_NONCE", _("an earlier message of the sender must land first")
    FEE_CAP = "FEE_CAP", _("its fee cap is below the base fee")
    IN_POOL = "IN_POOL", _("published, waiting for a block")
    NODE_REFUSES = "NODE_REFUSES", _("the node rejects the message")
    NODE_AWAY = "NODE_AWAY", _("no node responds")
    EXPIRED = "EXPIRED", _("its last valid epoch has passed")
    NONCE_TAKEN = "NONCE_TAKEN", _("another message used its nonce: it was not carried out")


UNSENDABLE: Final = (Wait.FUNDS, Wait.NO_ACTOR, Wait.ESTIMATE, Wait.SIGNER_AWAY, Wait.POLICY, Wait.STOPPED)
"""Reasons for which a node with a wallet of its own would refuse a push instead of holding the message."""
