"""The price of a request before it is carried out: one reading of `?dry_run=true` for all routes."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.messages.services.signer_trials import Verdicts

DRY_RUN: Final = OpenApiParameter("dry_run", bool, description="only return what it would do and cost")
PARAMETERS: Final = ("dry_run",)
"""`write_parameters` of a view that has a dry run: a misspelt one is refused before it acts."""
BOOLEANS: Final = {"0": False, "false": False, "1": True, "true": True}


def is_dry_run(request: Request) -> bool:
    """Return whether only the price is asked for.  Raises BadValue for a word that is neither yes nor no."""
    return parameter_bool(request, "dry_run")


def parameter_bool(request: Request, name: str) -> bool:
    """Return what a parameter of the query says, false without it.  Raises BadValue for any other word."""
    word = request.query_params.get(name, "false").lower()
    if word not in BOOLEANS:
        raise BadValue(gettext("must be true or false"), field=name)
    return BOOLEANS[word]


def verdicts_body(verdicts: Verdicts) -> dict[str, Any]:
    """Return what the signer and the approval rules would do with messages, as JSON."""
    return {"signer": verdicts.signer, "approval": verdicts.approval}
