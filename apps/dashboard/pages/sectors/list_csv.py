"""The filtered list of sectors as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import path
from django.views.decorators.http import require_safe

from apps.dashboard.csv_export import csv_answer, rows_in_turn
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.filters import ListFilter, narrowed
from apps.dashboard.sessions import sign_in_required
from poolsite.wire.pipeline import NEXT_STAGE

if TYPE_CHECKING:
    from django.http import HttpRequest

    from apps.dashboard.csv_export import Download
    from apps.users.rules.principals import Principal

COLUMNS: Final = (
    "id",
    "miner",
    "number",
    "state",
    "stage",
    "active",
    "deadline",
    "partition",
    "activation",
    "expiration",
    "pledged",
)
"""Of the list as CSV."""
CSV_FIELDS: Final = (
    "uuid",
    "miner__actor_id",
    "number",
    "state",
    "active",
    "deadline",
    "partition",
    "activation",
    "expiration",
    "created_at",
    "pk",
)
"""What the columns are made of: a row's other fields are not read, least of all its batches' params."""


@require_safe
@sign_in_required
def sectors_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV."""
    rows = narrowed(viewer, ListFilter.of(request.GET), data=PageData(viewer)).select_related(None)
    fields = rows_in_turn(rows.values_list(*CSV_FIELDS, named=True))
    cells = (
        (
            uuid,
            "" if actor_id is None else f"f0{actor_id}",
            number,
            state,
            NEXT_STAGE[state].stage,
            *plain,
            made.isoformat(),
        )
        for uuid, actor_id, number, state, *plain, made, _pk in fields
    )
    return csv_answer("sectors.csv", COLUMNS, cells)


urlpatterns: Final = [
    path("sectors.csv", sectors_csv, name="sectors-csv"),
]
