"""Template filters: numbers and times in the console's one form."""

from __future__ import annotations

from django import template

from apps.core import formatting
from apps.dashboard.html_time import time_html

register = template.Library()
register.filter("whole", formatting.whole)
register.filter("fil", formatting.fil)
register.filter("duration", formatting.duration)
register.filter("time_left", formatting.time_left)
register.filter("shortened", formatting.shortened)
register.filter("moment", time_html)


@register.filter
def size_number(count: int | None) -> str:
    """The number of a size in bytes, without its unit."""
    return formatting.size(count)[0]


@register.filter
def size_unit(count: int | None) -> str:
    """The unit of a size in bytes."""
    return formatting.size(count)[1]


@register.filter
def fee_number(atto: int | None) -> str:
    """The number of a fee per gas, without its unit."""
    return formatting.fee(atto)[0]


@register.filter
def fee_unit(atto: int | None) -> str:
    """The unit of a fee per gas."""
    return formatting.fee(atto)[1]
