"""How outcomes and steps of rounds are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from apps.blocks.states import RoundState
from apps.dashboard.labels import StateLabel

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

STATES: Final[dict[str, StateLabel]] = {
    RoundState.NOT_ELIGIBLE: StateLabel("idle", _("not eligible")),
    RoundState.NO_WIN: StateLabel("idle", _("no win")),
    RoundState.WON: StateLabel("run", _("won, block in progress")),
    RoundState.SUBMITTED: StateLabel("run", _("submitted")),
    RoundState.INCLUDED: StateLabel("ok", _("included")),
    RoundState.ORPHANED: StateLabel("warn", _("orphaned")),
    RoundState.LATE: StateLabel("bad", _("late")),
    RoundState.PROOF_TIMEOUT: StateLabel("bad", _("no proof in time")),
    RoundState.PROOF_REFUSED: StateLabel("bad", _("proof refused")),
    RoundState.SIGNER_AWAY: StateLabel("bad", _("signer unavailable")),
    RoundState.SIGNER_REFUSED: StateLabel("bad", _("signer refused")),
    RoundState.BASE_CHANGED: StateLabel("bad", _("base changed")),
    RoundState.NODE_AWAY: StateLabel("bad", _("node unavailable")),
    RoundState.NODE_REFUSED: StateLabel("bad", _("node refused")),
    RoundState.SLASH_GUARD: StateLabel("bad", _("stopped by the slash guard")),
    RoundState.INTERRUPTED: StateLabel("bad", _("interrupted")),
}
STEP_TEXTS: Final[dict[str, StrOrPromise]] = {
    "base_info": _("base info"),
    "election": _("election"),
    "ticket": _("ticket"),
    "proof": "WinningPoSt",
    "messages": _("messages"),
    "base": _("base re-check"),
    "create": _("block creation"),
    "reserve": _("height reserved"),
    "sign": _("signature"),
    "wait": _("wait for block time"),
    "submit": _("submission"),
    "verify": _("proof verification"),
    "node_key": _("node access to the worker key"),
}
