"""Template filters: numbers and times in the console's one form."""

from __future__ import annotations

from django import template

from apps.dashboard import numbers

register = template.Library()
register.filter("whole", numbers.whole)
register.filter("fil", numbers.fil)
register.filter("duration", numbers.duration)
register.filter("time_left", numbers.time_left)
register.filter("shortened", numbers.shortened)
register.filter("moment", numbers.moment)


@register.filter
def size_number(count: int | None) -> str:
    """The number of a size in bytes, without its unit."""
    return numbers.size(count)[0]


@register.filter
def size_unit(count: int | None) -> str:
    """The unit of a size in bytes."""
    return numbers.size(count)[1]


@register.filter
def fee_number(atto: int | None) -> str:
    """The number of a fee per gas, without its unit."""
    return numbers.fee(atto)[0]


@register.filter
def fee_unit(atto: int | None) -> str:
    """The unit of a fee per gas."""
    return numbers.fee(atto)[1]
