"""Filters of the list of stores."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core.clock import now
from apps.core.filters import TEXT_MAX, Choices, Words
from apps.core.uuids import is_uuid
from apps.miners.selectors.miners import TenantFilters
from apps.sectors.models import Store, StoreAttachment
from apps.sectors.selectors.store_states import STATES, stores_stated

LABEL_MAX: Final = 50


class StoreFilters(TenantFilters):
    """Filters of stores."""

    state = Choices([name for name in STATES if name], method="in_states")
    label = Words(method="labelled")
    q = Words(
        label=_("Name or folder of a store"),
        method="called",
        about="part of the name, or of its folder on a host, or the uuid",
    )

    def in_states(self, rows: QuerySet[Store], _name: str, value: list[str]) -> QuerySet[Store]:
        """Narrow to some states, as lists say them in words."""
        wanted = reduce(or_, (STATES[word] for word in value))
        if "tone" in rows.query.annotations:
            return rows.filter(wanted)
        stated = stores_stated(Store.objects.all(), now=now()).filter(wanted)
        return rows.filter(pk__in=stated.order_by().values("pk"))

    def labelled(self, rows: QuerySet[Store], _name: str, value: str) -> QuerySet[Store]:
        """Narrow to the stores with a label."""
        return rows.filter(labels__contains=[value[:LABEL_MAX]])

    def called(self, rows: QuerySet[Store], _name: str, value: str) -> QuerySet[Any]:
        """Find by a part of the name or of a folder, or the uuid."""
        text = value[:TEXT_MAX]
        there = StoreAttachment.objects.filter(worker__retired_at=None, path__icontains=text).values("store")
        own = Q(name__icontains=text) | Q(pk__in=there)
        return rows.filter(own | Q(uuid=text) if is_uuid(text) else own)
