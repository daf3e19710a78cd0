"""What PagerDuty reports back: who acknowledges an incident there has acknowledged the alert here.

Source: PagerDuty's “Webhooks V3”, payload, behavior and signatures.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.checks.models import AlertChannel, CallbackEvent
from apps.checks.selectors.alerts import alerts_own
from apps.checks.services.acknowledgements import alert_acknowledge
from apps.checks.services.pagerduty import DEDUP_PREFIX
from apps.checks.states import ChannelKind
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.core.sanitize import sanitize_text
from apps.core.uuids import is_uuid
from apps.users.rules.encryption import DecryptionFailed, text_decrypt
from apps.users.rules.principals import Principal
from apps.users.states import Perm

VERSION: Final = "v1="
"""Before a signature; a header has several while a secret is being replaced."""
ACKNOWLEDGED: Final = "incident.acknowledged"
PERSON: Final = "user_reference"
ACTOR: Final = "PagerDuty: "
NAME_MAX: Final = 100
HOURS: Final = 12
"""For so long an alert is acknowledged: a night, in which PagerDuty asks again by itself."""
AGE_MAX: Final = timedelta(hours=24)
"""PagerDuty tries for 20 minutes; what is older or later than this is somebody's recording."""
OTHER_EVENT: Final = "only incident.acknowledged counts here"
NO_PERSON: Final = "no person acknowledged it"
TOO_OLD: Final = "it did not happen within the last 24 hours"
REPEATED: Final = "this event was reported before"
NO_ALERT: Final = "no alert of this channel has this incident_key"


def pagerduty_event_handle(*, channel: UUID, body: bytes, signatures: str, now: datetime) -> str:
    """Acknowledge the alert of an incident that a person acknowledged in PagerDuty, in their name.

    Returns why nothing was changed; empty if the alert is acknowledged now.  Never changes more than that.
    Raises NotFound, NotAllowed for a wrong signature, BadValue.
    """
    row = _channel_find(channel)
    _signature_check(row, body=body, signatures=signatures)
    event = _object(_read(body).get("event"))
    if event.get("event_type") != ACKNOWLEDGED:
        return OTHER_EVENT
    agent = _object(event.get("agent"))
    name = " ".join(sanitize_text(str(agent.get("summary") or "")).split())[:NAME_MAX]
    if agent.get("type") != PERSON or not name:
        return NO_PERSON  # our own events come back, too
    if abs(now - _moment(event.get("occurred_at"))) > AGE_MAX:
        return TOO_OLD
    event_id, key = _event_id(event.get("id")), str(_object(event.get("data")).get("incident_key"))
    try:
        with transaction.atomic():
            if CallbackEvent.objects.filter(channel=row, event_id=event_id).exists():
                return REPEATED
            reason = _acknowledge(row, key=key, name=name, now=now)
            CallbackEvent.objects.create(channel=row, event_id=event_id, at=now)
    except IntegrityError:  # the same event at the same moment
        return REPEATED
    return reason


def _channel_find(uuid: UUID) -> AlertChannel:
    """Return a channel to which PagerDuty may report.  Raises NotFound."""
    rows = AlertChannel.objects.select_related("tenant")
    row = rows.filter(uuid=uuid, kind=ChannelKind.PAGERDUTY, is_enabled=True).first()
    if row is None or not row.callback_secret or (row.tenant is not None and not row.tenant.is_open):
        raise NotFound(gettext("no PagerDuty channel takes events here"))
    return row


def _signature_check(row: AlertChannel, *, body: bytes, signatures: str) -> None:
    """Refuse a body that is not signed with the channel's secret.  Raises NotAllowed."""
    try:
        secret = text_decrypt(row.callback_secret)
    except DecryptionFailed:
        raise NotAllowed(gettext("SECRET_KEY has changed: enter the channel's secret again")) from None
    wanted = (VERSION + hmac.digest(secret.encode(), body, "sha256").hex()).encode()
    found = [one.strip().encode(errors="replace") for one in signatures.split(",")]
    if not any(hmac.compare_digest(wanted, one) for one in found):
        raise NotAllowed(gettext("X-PagerDuty-Signature does not fit the body and the channel's secret"))


def _read(body: bytes) -> dict[str, Any]:
    """Return a body's object.  Raises BadValue."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BadValue(gettext("must be JSON"), field="body") from None
    return _object(found)


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _event_id(found: Any) -> str:
    """Return an event's id.  Raises BadValue."""
    if not isinstance(found, str) or not 0 < len(found) <= 100 or not found.isprintable():
        raise BadValue(gettext("must be 1 to 100 characters"), field="event.id")
    return sanitize_text(found)


def _moment(found: Any) -> datetime:
    """Return when an event happened.  Raises BadValue."""
    try:
        moment = datetime.fromisoformat(str(found))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadValue(gettext("must be a moment with a time zone"), field="event.occurred_at")
    return moment


def _acknowledge(channel: AlertChannel, *, key: str, name: str, now: datetime) -> str:
    """Acknowledge an alert of whoever has the channel; return why it could not be."""
    whose = channel.tenant
    principal = Principal(
        tenant_id=None if whose is None else whose.pk,
        tenant_name="" if whose is None else whose.name,
        is_operator=whose is None,
        perm=Perm.WRITE,
        actor=ACTOR + name,
    )
    uuid = key.removeprefix(DEDUP_PREFIX)
    if not is_uuid(uuid) or not alerts_own(principal).filter(uuid=uuid).exists():
        return NO_ALERT
    try:
        alert_acknowledge(principal=principal, uuid=uuid, hours=HOURS, now=now)
    except Conflict as refusal:  # it has ended, or somebody else has acknowledged it
        return refusal.reason
    return ""
