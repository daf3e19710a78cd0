"""What the page of an object shows once its miner went to another tenant."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import reverse
from django.utils.translation import gettext

from apps.dashboard.fragments import FragmentContext, fragment
from apps.miners.errors import MinerUnknown
from apps.miners.selectors.miners import miner_get


def miner_transferred(context: FragmentContext) -> Iterable[str]:
    """Yield the page of a miner that went to another tenant: nothing of it stays to be read."""
    try:
        miner_get(context.viewer, context.key)
    except MinerUnknown:
        yield transferred_fragment("miners", gettext("Miner of another tenant"), gettext("All miners"))


def transferred_fragment(noun: str, title: str, action: str) -> str:
    """Return what stands where an object of these pages was that went to another tenant."""
    return fragment(
        "core/_gone.html",
        icon=noun,
        title=title,
        what=gettext("It was transferred"),
        text=gettext("Messages that you pushed for it and the audit log stay with you."),
        action=action,
        href=reverse(noun),
    )
