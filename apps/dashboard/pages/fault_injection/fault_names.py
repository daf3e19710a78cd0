"""The faults that can be injected, and what they are called."""

from __future__ import annotations

from typing import Final

PARTS: Final[dict[str, dict[str, tuple[str, str, str]]]] = {
    "Blocks": {
        "mining": (
            "Mining",
            "",
            "on-demand: one block per message; paused: the chain advances only by the actions above",
        ),
        "nullLeft": ("Null rounds", "epochs", "the built-in miner makes no block in this many coming epochs"),
        "flapLeft": (
            "Flapping forks",
            "tipsets",
            "a heavier fork immediately replaces each of the coming tipsets",
        ),
        "spikeLeft": ("Base fee spike", "epochs", "full blocks: the base fee rises by an eighth per epoch"),
        "baseFeeFloor": ("Base fee floor", "attoFIL", "blocks are filled while the base fee is below this"),
        "hideMessages": ("Withhold messages", "", "blocks do not include pending messages"),
        "inclusionDelay": ("Slow inclusion", "epochs", "a new message is left out of blocks for this long"),
        "withholdPost": ("Withhold proofs", "", "the built-in miner does not prove its sector"),
        "loseSector": (
            "Lose the sector",
            "",
            "the built-in miner declares its sector faulty, then recovers it",
        ),
        "beaconLateMs": ("Late beacon", "ms", "each epoch's beacon value, and so its block, is late"),
    },
    "Messages": {
        "dropNext": ("Drop messages", "messages", "the next messages are accepted, then dropped"),
        "dropShare": ("Drop a share", "0 to 1", "this share of messages is accepted, then dropped"),
    },
    "Responses": {
        "lagMs": ("Lag", "ms", "every response is delayed"),
        "jitterMs": ("Jitter", "ms", "a random delay on top of the lag"),
        "lagMethods": (
            "Lagging methods",
            "pattern",
            "only matching methods are delayed, such as StateWaitMsg; empty: all",
        ),
        "stallRandomness": (
            "Stall randomness",
            "",
            "randomness requests wait until this is off, a minute at most",
        ),
        "errorMethods": (
            "Fail methods",
            "pattern",
            "matching methods fail, such as MpoolPush",
        ),
        "errorShare": ("Failure rate", "0 to 1", "share of the calls to those methods that fail"),
        "errorCode": ("Error code", "", "returned by the calls that fail"),
        "errorText": ("Error text", "", "returned by the calls that fail"),
        "garbageMethods": (
            "Invalid responses",
            "pattern",
            "matching methods return garbage",
        ),
    },
    "Reported state": {
        "freezeHead": ("Freeze the head", "", "the node keeps reporting its current head"),
        "behind": ("Report lag", "epochs", "the node reports that it is this far behind"),
        "networkName": ("Wrong network", "name", "the node reports this network name"),
        "duplicateNotifications": ("Duplicate notifications", "", "every ChainNotify frame is sent twice"),
    },
}
"""By part of the page: each fault's label, unit and effect."""
ACTION_LABELS: Final[dict[str, tuple[str, str]]] = {
    "mine": ("Mine", "makes this many tipsets now"),
    "advance": ("Advance", "advances the chain by at least this many epochs now"),
    "reorg": ("Reorganise", "replaces the newest tipsets with a heavier branch"),
    "back": ("Set the head back", "moves the head back by this many tipsets, as ChainSetHead does"),
    "foreign": ("Foreign messages", "sent from an address whose key the node has; empty: its own miner's"),
    "fail-next": ("Fail messages", "the next messages that call the method land with this code; 0 stops it"),
    "drain": ("Drain funds", "limits an actor's balance to this amount"),
    "drop-sockets": ("Drop sockets", "closes all WebSocket connections of this node"),
}
"""Each action's label and effect."""
NUMBER_LABELS: Final = {
    "count": "Tipsets",
    "epochs": "Epochs",
    "depth": "Depth",
    "nulls": "Null rounds",
    "messages": "Messages",
    "method": "Method",
    "code": "Exit code",
    "fil": "FIL",
}
SWITCH_LABELS: Final = {"messages": "include messages"}
