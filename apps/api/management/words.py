"""What commands share: values as `name=value`, and lines of facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from rest_framework.exceptions import ValidationError

from apps.api.management.caller import COMMAND
from apps.api.v1.serializers import InputSerializer
from apps.core.errors import DomainError
from apps.core.formatting import fil, plural
from apps.sectors.services.changes.plans import ChangePlan
from apps.sectors.services.changes.signing import signers_refusal_find


def values_of(arguments: Sequence[str]) -> dict[str, Any]:
    """Read `name=value`, `null` being none.  Raises CommandError."""
    found: dict[str, Any] = {}
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if not sign or not name:
            raise CommandError(f"{argument} is not name=value")
        found[name] = None if value == "null" else value
    return found


def checked(kind: type[InputSerializer], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as REST would take them.  Raises CommandError."""
    body = kind(data=dict(values))
    try:
        body.is_valid(raise_exception=True)
    except ValidationError as error:
        raise CommandError(json.dumps(error.detail, default=str)) from None
    except DomainError as refusal:
        raise CommandError(
            f"{refusal.field}: {refusal.reason}" if refusal.field else refusal.reason
        ) from None
    return dict(body.validated_data)


def confirm(phrase: str, *, is_needed: bool = True) -> None:
    """Prompt for words that name act and number, if they are needed.  Raises CommandError for others."""
    if is_needed and input(f'Type "{phrase}" to confirm: ').strip() != phrase:
        raise CommandError("not confirmed: nothing was done")


@contextmanager
def refusals_as_command_errors() -> Iterator[None]:
    """Pass on what a service refuses as a command's error."""
    try:
        yield
    except DomainError as refusal:
        raise CommandError(refusal.reason) from None


def facts(body: Mapping[str, Any], *, under: str = "") -> Iterator[str]:
    """Return a line for each fact of a body."""
    for name, value in body.items():
        if isinstance(value, dict):
            yield from facts(value, under=f"{under}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for row in value:
                yield f"{under}{name}: " + ", ".join(f"{key} {cell}" for key, cell in row.items())
        else:
            yield f"{under}{name}: {value}"


def plan_lines(plan: ChangePlan) -> Iterator[str]:
    """Return a line for each sector of a termination or an extension, and one for the price."""
    for one in plan.sectors:
        name = f"{one.sector.miner} / {one.sector.number}"
        if one.refusal:
            yield f"{name}: left out: {one.refusal}"
        elif one.after is not None and one.live is not None:
            yield f"{name}: epoch {one.live.expiration} -> {one.after.expiration}"
        else:
            yield f"{name}: fee {fil(one.fee)} FIL, pledge released {fil(one.pledge)} FIL"
    gas = "unknown" if plan.gas_expected is None else f"{fil(plan.gas_expected)} FIL"
    yield f"fee {fil(plan.fee)} FIL, gas {gas}, {plural(plan.messages, 'message')}"
    if plan.trial_error:
        yield f"the chain would refuse it: {plan.trial_error}"
    if plan.approval:
        yield f"waits for a second person: {plan.approval}"
    if refused := signers_refusal_find(plan, by=COMMAND):
        yield refused
