"""The states of a deal and how they follow each other; how data come, and which clients are accepted."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class DealState(models.TextChoices):
    """State of a deal, from its proposal to the end of its sector."""

    REFUSED = "REFUSED", _("Refused")
    """By the miner's rules; the same proposal may come again."""
    ACCEPTED = "ACCEPTED", _("Waiting for its data")
    TRANSFERRING = "TRANSFERRING", _("Transferring")
    """Its data come, or their commitment is being computed."""
    UNPUBLISHED = "UNPUBLISHED", _("Waiting to be published")
    """Its data are here, and are what the client said."""
    PUBLISHING = "PUBLISHING", _("Being published")
    """It is in a message to the market actor."""
    VERIFIED = "VERIFIED", _("Waiting for a sector")
    """Its data are here, and are what the client said; one that is published has its number."""
    SEALING = "SEALING", _("Being sealed")
    ACTIVE = "ACTIVE", _("Active")
    ENDED = "ENDED", _("Ended")
    """Its term is over, or its sector was terminated or has expired."""
    FAILED = "FAILED", _("Failed")


TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    DealState.REFUSED: {"ACCEPT": DealState.ACCEPTED, "REFUSE": DealState.REFUSED},
    DealState.ACCEPTED: {
        "TRANSFER": DealState.TRANSFERRING,
        "LAND": DealState.ACCEPTED,
        "STORE": DealState.UNPUBLISHED,
        "VERIFY": DealState.VERIFIED,
        "SEAL": DealState.SEALING,
        "ACTIVATE": DealState.ACTIVE,
        "FAIL": DealState.FAILED,
    },
    DealState.TRANSFERRING: {
        "WAIT": DealState.ACCEPTED,
        "LAND": DealState.TRANSFERRING,
        "STORE": DealState.UNPUBLISHED,
        "VERIFY": DealState.VERIFIED,
        "SEAL": DealState.SEALING,
        "ACTIVATE": DealState.ACTIVE,
        "FAIL": DealState.FAILED,
    },
    DealState.UNPUBLISHED: {
        "WAIT": DealState.ACCEPTED,
        "PUBLISH": DealState.PUBLISHING,
        "LAND": DealState.VERIFIED,
        "FAIL": DealState.FAILED,
    },
    DealState.PUBLISHING: {"LAND": DealState.VERIFIED, "RETURN": DealState.UNPUBLISHED},
    DealState.VERIFIED: {
        "WAIT": DealState.ACCEPTED,
        "SEAL": DealState.SEALING,
        "ACTIVATE": DealState.ACTIVE,
        "FAIL": DealState.FAILED,
    },
    DealState.SEALING: {
        "WAIT": DealState.ACCEPTED,
        "VERIFY": DealState.VERIFIED,
        "ACTIVATE": DealState.ACTIVE,
        "END": DealState.ENDED,
        "FAIL": DealState.FAILED,
    },
    DealState.ACTIVE: {"SEAL": DealState.SEALING, "END": DealState.ENDED},
    DealState.ENDED: {"SEAL": DealState.SEALING},
    DealState.FAILED: {},
}
"""From a state and an event to the next.  WAIT: the data that came were not those of the deal, or were
removed: it waits for others.  VERIFY of a deal that is being sealed follows an aborted sector; SEAL of an
active or ended one a reorganisation.  RETURN: its message came to nothing; an earlier one may still LAND."""

OVER: Final = (DealState.REFUSED, DealState.FAILED, DealState.ENDED)
"""Nothing is promised, kept or awaited for it any more."""
WITHOUT_DATA: Final = (DealState.ACCEPTED, DealState.TRANSFERRING)
"""Accepted, and its data are not all here."""
ENDABLE: Final = (*WITHOUT_DATA, DealState.UNPUBLISHED)
"""It costs the miner nothing yet: its people may end it."""
WITH_PIECE: Final = {
    "HELD": DealState.UNPUBLISHED,
    "READY": DealState.VERIFIED,
    "PACKED": DealState.SEALING,
    "ACTIVE": DealState.ACTIVE,
    "ENDED": DealState.ENDED,
}
"""From the state of a deal's piece to the deal's."""


class DealDoor(models.TextChoices):
    """Through which interface a deal was proposed."""

    MK20 = "mk20", _("HTTP, market 2.0")
    MK12 = "mk12", _("libp2p, market 1.2")


PUBLISHED: Final = (DealDoor.MK12,)
"""Doors whose deals the market actor holds: they are published before they are sealed."""


class DealSource(models.TextChoices):
    """How the data of a deal come."""

    HTTP = "http", _("Download from the client's URLs")
    PUT = "put", _("Upload by the client")
    OFFLINE = "offline", _("Import by the operator")


class ClientsRule(models.TextChoices):
    """With whom a miner makes deals."""

    ANYBODY = "anybody", _("Anybody")
    ONLY = "only", _("Only these clients")
    EXCEPT = "except", _("Anybody but these clients")


class AdKind(models.TextChoices):
    """Kind of an advertisement to indexers."""

    ADD = "ADD", _("Added")
    REMOVE = "REMOVE", _("Removed")
    ADDRESSES = "ADDRESSES", _("Addresses changed")
