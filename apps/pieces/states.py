"""The states of a piece and how they follow each other."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class DeliveryState(models.TextChoices):
    """Where bytes are that a market asked for."""

    WAITING = "WAITING", _("Waiting")
    """For a sealing host that unseals them, or for their turn."""
    DELIVERED = "DELIVERED", _("Delivered")
    FAILED = "FAILED", _("Failed")


DELIVERY_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    DeliveryState.WAITING: {"DELIVER": DeliveryState.DELIVERED, "FAIL": DeliveryState.FAILED},
    DeliveryState.DELIVERED: {"REPEAT": DeliveryState.WAITING},
    DeliveryState.FAILED: {"REPEAT": DeliveryState.WAITING},
}
"""From a state and an event to the next.  REPEAT: the market asks once more, later."""


class IndexOutcome(models.TextChoices):
    """Outcome of indexing a piece's blocks."""

    NONE = "", _("Not indexed yet")
    INDEXED = "INDEXED", _("Indexed")
    NO_CAR = "NO_CAR", _("Not a CAR")
    DAMAGED = "DAMAGED", _("Damaged CAR")


class PiecePurpose(models.TextChoices):
    """Into which sectors a piece goes."""

    ANY = "any", _("New or committed sectors")
    """A new sector is started when it is due; where the miner's settings say so, a committed one first."""
    SNAP_UP = "snap-up", _("Committed sectors only")
    """It waits for a snap-up, and no new sector is started for it."""


class PieceState(models.TextChoices):
    """Where a piece is between its upload and the chain."""

    UPLOADING = "UPLOADING", _("Uploading")
    FETCHING = "FETCHING", _("Fetching")
    """The console downloads it from a URL."""
    RECEIVED = "RECEIVED", _("Computing commitment")
    """All bytes are here."""
    HELD = "HELD", _("Waiting for its deal")
    """Its deal must be published before it goes into a sector."""
    READY = "READY", _("Waiting for a sector")
    PACKED = "PACKED", _("In a sector")
    """The sector is being sealed."""
    ACTIVE = "ACTIVE", _("Active")
    """The chain has its sector; a fault does not change that, nor end the deal."""
    ENDED = "ENDED", _("Sector ended")
    """Its sector was terminated or has expired; the same bytes sent once more wait for another one."""
    FAILED = "FAILED", _("Failed")
    """Not fetched, not what was announced, or refused by the chain; its bytes are gone."""


TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    PieceState.UPLOADING: {"RECEIVE": PieceState.RECEIVED},
    PieceState.FETCHING: {"RECEIVE": PieceState.RECEIVED, "FAIL": PieceState.FAILED},
    PieceState.RECEIVED: {
        "ACCEPT": PieceState.READY,
        "HOLD": PieceState.HELD,
        "FAIL": PieceState.FAILED,
    },
    PieceState.HELD: {"RELEASE": PieceState.READY, "FAIL": PieceState.FAILED},
    PieceState.READY: {"PACK": PieceState.PACKED, "REFUSE": PieceState.FAILED},
    PieceState.PACKED: {"UNPACK": PieceState.READY, "ACTIVATE": PieceState.ACTIVE, "END": PieceState.ENDED},
    PieceState.ACTIVE: {"DEACTIVATE": PieceState.PACKED},
    PieceState.ENDED: {"REVERT": PieceState.PACKED, "RETURN": PieceState.READY},
    PieceState.FAILED: {},
}
"""From a state and an event to the next.  REFUSE: its allocation or deal is not good any more; UNPACK
follows an aborted sector, DEACTIVATE one that left the chain, not one that is faulty.  REVERT: a
reorganisation brought its sector back; RETURN: somebody sent the bytes again."""

UNPLACED: Final = (
    PieceState.UPLOADING,
    PieceState.FETCHING,
    PieceState.RECEIVED,
    PieceState.HELD,
    PieceState.READY,
)
"""In no sector yet, and able to go into one."""
UNCOMMITTED: Final = (
    PieceState.UPLOADING,
    PieceState.FETCHING,
    PieceState.RECEIVED,
    PieceState.HELD,
    PieceState.FAILED,
)
"""Before it is known under which commitment and terms it is stored: no other piece is the same."""
