"""JSON values, plain and odd, drawn at random by a seed."""

from __future__ import annotations

import os
import random
from typing import Any

from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))

SEED = int(os.environ.get("FUZZ_SEED", "1"))

NOBODY = "00000000-0000-4000-8000-000000000000"

KEY = str(key_address(fixed_key("secp256k1")))

WORDS: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**53, 2**63, 2**64, 10**400, 1.5, -0.0, 1e308),
    *("", " ", "0", "-1", "a\0b", "\ud800", "é" * 300, "x" * 10_000, "<script>", "' OR 1=1 --", "../../etc"),
    *("%00", "${7*7}", "f01000", "t01000", "f00", "f099999999999999999999", KEY, KEY[:-1], "f3x", "<empty>"),
    *("bafy2bzace", "AA==", "AAAA", "====", "1e9", "NaN", "Infinity", "9" * 80, NOBODY),
    *("2026-11-20T00:00:00Z", "0001-01-01T00:00:00Z", "99999-01-01"),
    *({"/": "bafy"}, {"/": 1}, {}, [], [[]], [{}], {"a": {"b": []}}),
]


def value(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON."""
    kind = rng.random()
    if depth < 3 and kind < 0.1:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 3 and kind < 0.2:
        return {str(rng.choice(WORDS))[:50]: value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice(WORDS)
