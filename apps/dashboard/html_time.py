"""A moment as an element of a page, in the page's zone and language."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core import clock
from apps.core.formatting import NOTHING
from apps.core.local_time import UTC_NAME, day_text, here_of, offset_text

WHOLE: Final = "%Y-%m-%d %H:%M:%S"


def time_html(at: datetime | None) -> SafeString | str:
    """Time of day, on another day with the date; the whole of it in machine form and in the title.

    Of an hour that occurs twice, as the clocks are set back, the offset tells which one it is.
    """
    if at is None:
        return NOTHING
    here, today = here_of(at), here_of(clock.now())
    if here.date() == today.date():
        shown = f"{here:%H:%M:%S}"
    elif here.year == today.year:
        shown = f"{day_text(here)} {here:%H:%M}"
    else:
        shown = day_text(here, year=True)
    offset = offset_text(here)
    title = f"{here:{WHOLE}} {offset}"
    if offset != UTC_NAME:
        title = f"{title} ({at.astimezone(UTC):{WHOLE}} UTC)"
        if here.replace(fold=1 - here.fold).utcoffset() != here.utcoffset():
            shown = f"{shown} {offset}"
    exact = here.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, title, shown)
