"""What stands at the top of a page: what was just done, once, and what the operator has to say to all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest
from django.utils.translation import gettext

from apps.checks.report.status_page import component_names
from apps.checks.selectors.status_banners import StatusBanner, status_banners
from apps.core.languages import list_text
from apps.core.local_time import moment_text
from poolsite.filecoin.policy import MADE_UP, Network

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NOTICE: Final = "notice"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence with its tone, as of a label."""

    tone: str
    text: str


def notice_leave(request: HttpRequest, text: StrOrPromise, *, tone: str = "ok") -> None:
    """Keep a sentence in the session for the page that a redirect leads to."""
    request.session[NOTICE] = [tone, str(text)]


def notice_pop(request: HttpRequest) -> Notice | None:
    """Return the sentence and forget it; None where nothing was left."""
    left = request.session.pop(NOTICE, None)
    return None if left is None else Notice(*left)


def made_up_notes(network: Network | None) -> list[Notice]:
    """Return what every page of the demo says."""
    if network is None or network.name != MADE_UP.name:
        return []
    return [Notice("run", gettext("Demo: all data are made up, and nothing reaches a chain."))]


def banner_notes(now: datetime) -> list[Notice]:
    """Return notes to open incidents, and maintenance that lasts or begins within a day."""
    return [_notice(one, now=now) for one in status_banners(now)]


def _notice(one: StatusBanner, *, now: datetime) -> Notice:
    names = list_text(component_names(list(one.components)))
    if one.starts_at is None or one.ends_at is None:
        return Notice("warn", gettext("{components}: {text}").format(components=names, text=one.text))
    starts, ends = (datetime.fromtimestamp(at, UTC) for at in (one.starts_at, one.ends_at))
    say = (
        gettext("Maintenance until {ends} ({components}): {text}")
        if starts <= now
        else gettext("Maintenance from {starts} to {ends} ({components}): {text}")
    )
    return Notice(
        "run",
        say.format(components=names, text=one.text, starts=moment_text(starts), ends=moment_text(ends)),
    )
