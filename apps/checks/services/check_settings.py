"""What the operator sets of a check: its severity, and that nobody is notified of it for some hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from apps.checks.findings.results import Check, Severity
from apps.checks.models import CheckSetting
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

MUTE_HOURS_MAX: Final = 168
"""A week: what is muted for longer is forgotten."""
REASON_MAX: Final = 200


def can_set_checks(principal: Principal) -> bool:
    """Return whether this caller sets severities and mutes checks."""
    return principal.sees_pool and principal.may("admin")


def check_find(name: str) -> Check:
    """Return a check.  Raises NotFound."""
    check = CHECKS_BY_NAME.get(name)
    if check is None:
        raise NotFound(gettext("there is no such check"))
    return check


def _locked(principal: Principal, name: str) -> CheckSetting:
    """Return the row of a check, locked until the transaction ends.  Raises NotAllowed, NotFound."""
    if not can_set_checks(principal):
        raise NotAllowed(gettext("only the pool's operator can do this"))
    check_find(name)
    CheckSetting.objects.get_or_create(check_name=name)
    return CheckSetting.objects.select_for_update().get(check_name=name)


@transaction.atomic
def check_severity_set(*, principal: Principal, name: str, severity: str) -> None:
    """Set how bad it is when a check fails, for everybody; empty: as it is delivered.

    Raises NotAllowed, NotFound, BadValue.
    """
    row = _locked(principal, name)
    own = str(check_find(name).severity)
    if severity and severity not in set(Severity):
        raise BadValue(gettext("choose critical or warning"), field="severity")
    stored = "" if severity == own else severity
    before, after = row.severity or own, severity or own
    if stored == row.severity:
        return
    row.severity = stored
    row.save(update_fields=["severity"])
    audit_record(
        principal=principal,
        action="check.severity",
        target=name,
        before={"severity": before},
        after={"severity": after},
    )
    publish(Change("check", name, None))


@transaction.atomic
def check_mute_set(*, principal: Principal, name: str, hours: int, reason: str, now: datetime) -> None:
    """Mute a check for some hours: no channel of the operator is notified of it; pages show it all the same.

    Tenants' channels are notified: they do not know the operator's reason.  A mute replaces an earlier one.
    Raises NotAllowed, NotFound, BadValue.
    """
    row = _locked(principal, name)
    if not 1 <= hours <= MUTE_HOURS_MAX:
        text = gettext("choose 1 to {most} hours").format(most=MUTE_HOURS_MAX)
        raise BadValue(text, field="mute_hours")
    reason = " ".join(reason.split())
    if not reason or len(reason) > REASON_MAX:
        text = gettext("say why, in at most {most} characters").format(most=REASON_MAX)
        raise BadValue(text, field="mute_reason")
    row.muted_until, row.mute_reason = now + timedelta(hours=hours), reason
    row.save(update_fields=["muted_until", "mute_reason"])
    after = {"until": row.muted_until.isoformat(timespec="seconds"), "reason": reason}
    audit_record(principal=principal, action="check.mute", target=name, after=after)
    publish(Change("check", name, None))


@transaction.atomic
def check_mute_end(*, principal: Principal, name: str, now: datetime) -> None:
    """End a mute before its time; a check that fails is reported with the next evaluation.

    Raises NotAllowed, NotFound.
    """
    row = _locked(principal, name)
    if row.muted_until is None or row.muted_until <= now:
        return
    before = {"until": row.muted_until.isoformat(timespec="seconds"), "reason": row.mute_reason}
    row.muted_until, row.mute_reason = None, ""
    row.save(update_fields=["muted_until", "mute_reason"])
    audit_record(principal=principal, action="check.unmute", target=name, before=before)
    publish(Change("check", name, None))


@transaction.atomic
def check_change(
    *,
    principal: Principal,
    name: str,
    now: datetime,
    severity: str | None = None,
    mute_hours: int | None = None,
    mute_reason: str | None = None,
) -> None:
    """Set what is given of a check, all or nothing; `mute_hours` of 0 ends its mute.

    Raises NotAllowed, NotFound, BadValue.
    """
    check_find(name)
    if mute_reason is not None and not mute_hours:
        raise BadValue(gettext("goes with mute_hours of 1 or more"), field="mute_reason")
    if severity is not None:
        check_severity_set(principal=principal, name=name, severity=severity)
    if mute_hours:
        check_mute_set(principal=principal, name=name, hours=mute_hours, reason=mute_reason or "", now=now)
    elif mute_hours is not None:
        check_mute_end(principal=principal, name=name, now=now)
