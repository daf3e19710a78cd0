"""The faults that can be injected, and what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


PARTS: Final[dict[StrOrPromise, dict[str, tuple[StrOrPromise, StrOrPromise, StrOrPromise]]]] = {
    _("Blocks"): {
        "mining": (
            _("Mining"),
            "",
            _("on-demand: one block per message; paused: the chain advances only by the actions above"),
        ),
        "nullLeft": (
            _("Null rounds"),
            _("epochs"),
            _("the built-in miner makes no block in this many coming epochs"),
        ),
        "flapLeft": (
            _("Flapping forks"),
            _("tipsets"),
            _("a heavier fork immediately replaces each of the coming tipsets"),
        ),
        "spikeLeft": (
            _("Base fee spike"),
            _("epochs"),
            _("full blocks: the base fee rises by an eighth per epoch"),
        ),
        "baseFeeFloor": (
            _("Base fee floor"),
            "attoFIL",
            _("blocks are filled while the base fee is below this"),
        ),
        "hideMessages": (_("Withhold messages"), "", _("blocks do not include pending messages")),
        "inclusionDelay": (
            _("Slow inclusion"),
            _("epochs"),
            _("a new message is left out of blocks for this long"),
        ),
        "withholdPost": (_("Withhold proofs"), "", _("the built-in miner does not prove its sector")),
        "loseSector": (
            _("Lose the sector"),
            "",
            _("the built-in miner declares its sector faulty, then recovers it"),
        ),
        "beaconLateMs": (_("Late beacon"), "ms", _("each epoch's beacon value, and so its block, is late")),
    },
    _("Messages"): {
        "dropNext": (_("Drop messages"), _("messages"), _("the next messages are accepted, then dropped")),
        "dropShare": (_("Drop a share"), _("0 to 1"), _("this share of messages is accepted, then dropped")),
    },
    _("Responses"): {
        "lagMs": (_("Lag"), "ms", _("every response is delayed")),
        "jitterMs": (_("Jitter"), "ms", _("a random delay on top of the lag")),
        "lagMethods": (
            _("Lagging methods"),
            _("pattern"),
            _("only matching methods are delayed, such as StateWaitMsg; empty: all"),
        ),
        "stallRandomness": (
            _("Stall randomness"),
            "",
            _("randomness requests wait until this is off, a minute at most"),
        ),
        "errorMethods": (
            _("Fail methods"),
            _("pattern"),
            _("matching methods fail, such as MpoolPush"),
        ),
        "errorShare": (_("Failure rate"), _("0 to 1"), _("share of the calls to those methods that fail")),
        "errorCode": (_("Error code"), "", _("returned by the calls that fail")),
        "errorText": (_("Error text"), "", _("returned by the calls that fail")),
        "garbageMethods": (
            _("Invalid responses"),
            _("pattern"),
            _("matching methods return garbage"),
        ),
    },
    _("Reported state"): {
        "freezeHead": (_("Freeze the head"), "", _("the node keeps reporting its current head")),
        "behind": (_("Report lag"), _("epochs"), _("the node reports that it is this far behind")),
        "networkName": (_("Wrong network"), "name", _("the node reports this network name")),
        "duplicateNotifications": (
            _("Duplicate notifications"),
            "",
            _("every ChainNotify frame is sent twice"),
        ),
    },
}
"""By part of the page: each fault's label, unit and effect."""
ACTION_LABELS: Final[dict[str, tuple[StrOrPromise, StrOrPromise]]] = {
    "mine": (_("Mine"), _("makes this many tipsets now")),
    "advance": (_("Advance"), _("advances the chain by at least this many epochs now")),
    "reorg": (_("Reorganise"), _("replaces the newest tipsets with a heavier branch")),
    "back": (_("Set the head back"), _("moves the head back by this many tipsets, as ChainSetHead does")),
    "foreign": (
        _("Foreign messages"),
        _("sent from an address whose key the node has; empty: its own miner's"),
    ),
    "fail-next": (
        _("Fail messages"),
        _("the next messages that call the method land with this code; 0 stops it"),
    ),
    "drain": (_("Drain funds"), _("limits an actor's balance to this amount")),
    "drop-sockets": (_("Drop sockets"), _("closes all WebSocket connections of this node")),
}
"""Each action's label and effect."""
NUMBER_LABELS: Final[dict[str, StrOrPromise]] = {
    "count": _("Tipsets"),
    "epochs": _("Epochs"),
    "depth": _("Depth"),
    "nulls": _("Null rounds"),
    "messages": _("Messages"),
    "method": _("Method"),
    "code": _("Exit code"),
    "fil": "FIL",
}
SWITCH_LABELS: Final = {"messages": _("include messages")}
