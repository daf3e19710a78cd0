"""How outcomes and steps of rounds are called."""

from __future__ import annotations

from typing import Final

from apps.blocks.states import RoundState
from apps.dashboard.labels import StateLabel

STATES: Final[dict[str, StateLabel]] = {
    RoundState.NOT_ELIGIBLE: StateLabel("idle", "not eligible"),
    RoundState.NO_WIN: StateLabel("idle", "no win"),
    RoundState.WON: StateLabel("run", "won, block in progress"),
    RoundState.SUBMITTED: StateLabel("run", "submitted"),
    RoundState.INCLUDED: StateLabel("ok", "included"),
    RoundState.ORPHANED: StateLabel("warn", "orphaned"),
    RoundState.LATE: StateLabel("bad", "late"),
    RoundState.PROOF_TIMEOUT: StateLabel("bad", "no proof in time"),
    RoundState.PROOF_REFUSED: StateLabel("bad", "proof refused"),
    RoundState.SIGNER_AWAY: StateLabel("bad", "signer unavailable"),
    RoundState.SIGNER_REFUSED: StateLabel("bad", "signer refused"),
    RoundState.BASE_CHANGED: StateLabel("bad", "base changed"),
    RoundState.NODE_AWAY: StateLabel("bad", "node unavailable"),
    RoundState.NODE_REFUSED: StateLabel("bad", "node refused"),
    RoundState.SLASH_GUARD: StateLabel("bad", "stopped by the slash guard"),
    RoundState.INTERRUPTED: StateLabel("bad", "interrupted"),
}
STEP_TEXTS: Final = {
    "base_info": "base info",
    "election": "election",
    "ticket": "ticket",
    "proof": "WinningPoSt",
    "messages": "messages",
    "base": "base re-check",
    "create": "block creation",
    "reserve": "height reserved",
    "sign": "signature",
    "wait": "wait for block time",
    "submit": "submission",
    "verify": "proof verification",
    "node_key": "node access to the worker key",
}
