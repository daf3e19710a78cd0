"""Names of network upgrades.  Source: lotus api/types.go ForkUpgradeParams."""

from __future__ import annotations

from typing import Final

FORK_UPGRADES: Final = [
    "Smoke",
    "Breeze",
    "Ignition",
    "Liftoff",
    "Assembly",
    "Refuel",
    "Tape",
    "Kumquat",
    "Calico",
    "Persian",
    "Orange",
    "Claus",
    "Trust",
    "Norwegian",
    "Turbo",
    "Hyperdrive",
    "Chocolate",
    "OhSnap",
    "Skyr",
    "Shark",
    "Hygge",
    "Lightning",
    "Thunder",
    "Watermelon",
    "Dragon",
    "Phoenix",
    "Waffle",
    "Tuktuk",
    "Teep",
    "Tock",
    "GoldenWeek",
    "FireHorse",
]
"""Names of the upgrades in ForkUpgradeParams, in order."""
