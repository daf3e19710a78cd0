"""Alert channels of the operator and of tenants: added, changed, tried out, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext_noop
from kombu.exceptions import OperationalError as BrokerAway

from apps.chain.node.public_hosts import is_private_literal
from apps.checks.models import AlertChannel, Notification
from apps.checks.services.channel_choices import SCOPE, scope_describe, scope_read, scope_write
from apps.checks.services.pagerduty import EVENTS_URL
from apps.checks.services.push_services import (
    PUSH_BY_NAME,
    PUSH_SERVICES,
    SCHEMES,
    PushTarget,
    push_url_find,
    wrong_part_find,
)
from apps.checks.states import AlertEvent, ChannelKind
from apps.core.clock import DAY_S
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.core.units import value_with_unit
from apps.users.models import Tenant
from apps.users.rules.encryption import text_encrypt
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

log = structlog.get_logger(__name__)

REPEATS_S: Final = (900, 3600, 6 * 3600, DAY_S)
"""What can be chosen as the least time between two notifications of a check."""
TARGET_MAX: Final = 2000
SIGNED: Final = (ChannelKind.WEBHOOK, ChannelKind.PAGERDUTY)
"""Kinds with a key beside their target."""
CHOSEN: Final = ("repeat_s", "critical_only", "with_actions", "language", *SCOPE)
"""Fields of a channel that say which notifications it gets."""
CHANNELS_MAX: Final = 10
"""Channels of one tenant."""
TEST_EVERY: Final = timedelta(minutes=1)
"""Between two tests of a tenant's channel."""
CLAIM: Final = timedelta(seconds=60)
"""A sender claims a notification for so long: longer than one attempt takes; a process that
dies in one leaves it to the next after that."""
TEST_TEXT: Final = gettext_noop("This is a test. Notifications reach this channel.")


def can_manage_channels(principal: Principal, *, tenant_id: int | None) -> bool:
    """Return whether this caller manages a tenant's alert channels; without a tenant, the operator's."""
    is_own = tenant_id is not None and tenant_id == principal.own_id
    return principal.may("admin") and not principal.is_partial and (principal.is_operator or is_own)


def _allowed(principal: Principal, tenant_id: int | None) -> None:
    if not can_manage_channels(principal, tenant_id=tenant_id):
        raise NotAllowed(gettext("only the operator and the tenant's own admins can manage alert channels"))


def channel_describe(channel: AlertChannel) -> str:
    """Return how the audit log names a channel: a tenant's with the tenant."""
    return channel.name if channel.tenant is None else f"{channel.tenant}/{channel.name}"


def target_read(kind: str, *, text: str, to_public: bool) -> str:
    """Return a checked URL or address; without one PagerDuty's own.  Raises BadValue.

    `to_public` refuses addresses that are not public; what a name leads to is checked when it is sent to.
    """
    if len(text) > TARGET_MAX:
        raise BadValue(
            gettext("at most {target_max} characters").format(target_max=TARGET_MAX), field="target"
        )
    if kind == ChannelKind.EMAIL:
        if not settings.EMAIL_HOST:
            raise BadValue(
                gettext("the pool has no mail server: set EMAIL_URL and restart it"), field="target"
            )
        try:
            validate_email(text)
        except ValidationError:
            raise BadValue(gettext("enter one e-mail address"), field="target") from None
        return text
    if kind == ChannelKind.PAGERDUTY and not text:
        return EVENTS_URL
    if kind == ChannelKind.APPRISE:
        return _push_url_read(text)
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    # A control character would be refused by the HTTP library, in words that hold the whole path.
    if not is_url or not text.isascii() or not text.isprintable() or " " in text:
        raise BadValue(gettext("enter an address that begins with https:// or http://"), field="target")
    if to_public and not settings.ALERT_URLS_PRIVATE and is_private_literal(parts.hostname or ""):
        raise BadValue(gettext("enter a public address: this one is of a private network"), field="target")
    return text


def _push_url_read(text: str) -> str:
    """Return the URL of a service of the list, as it is kept.  Raises BadValue."""
    if (found := push_url_find(text)) is not None:
        return found.url
    scheme, mark, _ = text.partition("://")  # without the mark it may be a token: it is not repeated
    shapes = [one.shape for one in PUSH_SERVICES if not mark or one.scheme == scheme.lower()]
    if not shapes:
        refused = gettext("{scheme}:// is none of the services: {schemes}")
        text = refused.format(scheme=scheme.lower()[:32], schemes=", ".join(SCHEMES))
        raise BadValue(text, field="target")
    refused = gettext("enter nothing but this, with its parts as the service gives them: {shapes}")
    raise BadValue(refused.format(shapes=", ".join(shapes)), field="target")


def push_url_write(name: str, *, parts: Sequence[str]) -> str:
    """Return the URL of a service by its name and parts, in their order.  Raises BadValue."""
    service = PUSH_BY_NAME.get(name)
    if service is None:
        raise BadValue(gettext("choose one of the services"), field="service")
    given = dict(zip(service.parts, (part.strip() for part in parts), strict=False))
    if (fault := wrong_part_find(service, parts=given)) is not None:
        raise BadValue(
            gettext("enter it as {service} gives it").format(service=service.title),
            field=f"part_{[*service.parts].index(fault) + 1}",
        )
    return PushTarget(service, given).url


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """What a channel is to be, as `AlertChannel` has it; target and secret are not encrypted yet."""

    name: str
    kind: str
    target: str = ""
    secret: str = ""
    repeat_s: int = REPEATS_S[1]
    critical_only: bool = False
    with_actions: bool = False
    language: str = settings.LANGUAGE_CODE
    """Language of the texts that people read; what programs read is English."""
    only_tenants: Sequence[str] = ()
    """Names; only of the operator's channels."""
    only_miners: Sequence[str] = ()
    """ID addresses."""
    only_checks: Sequence[str] = ()
    wait_min: int = 0
    quiet_from: str = ""
    """`22:00`, as `quiet_to`; empty: there are no quiet hours."""
    quiet_to: str = ""
    quiet_zone: str = ""
    quiet_critical: bool = False

    @property
    def scope(self) -> dict[str, Any]:
        """Return what `scope_read` reads."""
        return {name: getattr(self, name) for name in SCOPE}


@transaction.atomic
def channel_add(spec: ChannelSpec, *, principal: Principal, tenant: Tenant | None = None) -> AlertChannel:
    """Add a channel of a tenant, which is told of what the tenant has; without one, of the whole pool.

    Raises NotAllowed, BadValue, Conflict for a name that is taken and for one channel too many.
    """
    _allowed(principal, None if tenant is None else tenant.pk)
    if not spec.name.strip() or len(spec.name) > 100:
        raise BadValue(gettext("enter a name of at most 100 characters"), field="name")
    if spec.kind not in ChannelKind.values:
        raise BadValue(gettext("choose one of the kinds"), field="kind")
    _spec_check(spec)
    if tenant is not None:
        # Two that come at once are counted one by one.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        if AlertChannel.objects.filter(tenant=tenant).count() >= CHANNELS_MAX:
            text = gettext("a tenant can have at most {most} channels: remove one first")
            raise Conflict(text.format(most=CHANNELS_MAX))
    scope = scope_read(spec.scope, kind=spec.kind, tenant=tenant)
    try:
        with transaction.atomic():
            row = AlertChannel.objects.create(
                tenant=tenant,
                name=spec.name.strip(),
                kind=spec.kind,
                target=text_encrypt(
                    target_read(spec.kind, text=spec.target.strip(), to_public=tenant is not None)
                ),
                secret=text_encrypt(spec.secret) if spec.secret and spec.kind in SIGNED else "",
                repeat_s=spec.repeat_s,
                critical_only=spec.critical_only,
                with_actions=spec.with_actions,
                language=spec.language,
                **scope,
            )
    except IntegrityError:
        raise Conflict(gettext("a channel with this name exists already"), field="name") from None
    repeated = value_with_unit("repeat_s", spec.repeat_s)
    after = {"kind": spec.kind, "repeat_s": repeated, "critical_only": spec.critical_only}
    after |= {"with_actions": True} if spec.with_actions else {}
    after |= {"language": spec.language} if spec.language != settings.LANGUAGE_CODE else {}
    facts, none = scope_describe(scope_write(row)), scope_describe(ChannelSpec(name="", kind="").scope)
    after |= {name: value for name, value in facts.items() if value != none[name]}
    audit_record(
        principal=principal, action="alerts.channel.add", target=channel_describe(row), before={}, after=after
    )
    return row


def _spec_check(spec: ChannelSpec) -> None:
    """Check what does not depend on other channels, but for the target.  Raises BadValue."""
    if spec.kind == ChannelKind.PAGERDUTY and not spec.secret:
        raise BadValue(gettext("enter the integration key of an Events API v2 integration"), field="secret")
    if spec.with_actions and spec.kind != ChannelKind.WEBHOOK:
        raise BadValue(gettext("only a webhook is told of actions"), field="with_actions")
    if spec.language not in dict(settings.LANGUAGES):
        text = gettext("{language!r} is not a language").format(language=spec.language)
        raise BadValue(text, field="language")
    if spec.kind == ChannelKind.PAGERDUTY and spec.language != settings.LANGUAGE_CODE:
        raise BadValue(gettext("PagerDuty is told in English"), field="language")
    if spec.repeat_s not in REPEATS_S:
        raise BadValue(gettext("choose one of the intervals"), field="repeat_s")
    if len(spec.secret) > TARGET_MAX:
        raise BadValue(
            gettext("at most {target_max} characters").format(target_max=TARGET_MAX), field="secret"
        )


@transaction.atomic
def channel_edit(
    *,
    principal: Principal,
    channel: AlertChannel,
    target: str | None = None,
    secret: str | None = None,
    **chosen: Any,
) -> None:
    """Change where a channel's notifications go, their key, or by names of `CHOSEN` which it gets.

    What is not given, or None, stays.  What waits for the channel goes where it leads then.
    Raises NotAllowed, NotFound, BadValue.
    """
    _allowed(principal, channel.tenant_id)
    rows = AlertChannel.objects.select_for_update(of=("self",)).select_related("tenant")
    row = rows.filter(pk=channel.pk).first()
    if row is None:
        raise NotFound(gettext("there is no such channel"))
    held = {name: getattr(row, name) for name in CHOSEN} | scope_write(row)
    scope = scope_read(held | chosen, kind=row.kind, tenant=row.tenant, before=row)
    _spec_check(
        ChannelSpec(
            name=row.name, kind=row.kind, secret=row.secret[:1] if secret is None else secret, **held | chosen
        )
    )
    for name, value in (chosen | scope).items():
        setattr(row, name, value)
    before, after = _chosen_facts(held), _chosen_facts(held | chosen | scope_write(row))
    if target is not None:
        target = target_read(row.kind, text=target.strip(), to_public=row.tenant is not None)
        row.target, after["target"] = text_encrypt(target), "another"
    if secret is not None and row.kind in SIGNED and (secret or row.secret):
        row.secret, after["secret"] = text_encrypt(secret) if secret else "", "another" if secret else "none"
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    if not changed:
        return
    row.save(update_fields=["target", "secret", *CHOSEN])
    audit_record(
        principal=principal,
        action="alerts.channel.set",
        target=channel_describe(row),
        before={name: value for name, value in before.items() if name in changed},
        after=changed,
    )


def _chosen_facts(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the audit log holds of which notifications a channel gets."""
    own = {name: value for name, value in chosen.items() if name not in SCOPE}
    return {**own, "repeat_s": value_with_unit("repeat_s", chosen["repeat_s"]), **scope_describe(chosen)}


@transaction.atomic
def channel_set(*, principal: Principal, channel: AlertChannel, is_enabled: bool) -> None:
    """Switch a channel on or off; what waits for one that is switched off is dropped, but for a test.

    Once it is on again, the next evaluation writes what is true then: which checks fail, and which of those
    that it was told of pass again.
    """
    _allowed(principal, channel.tenant_id)
    if channel.is_enabled == is_enabled:
        return
    before, channel.is_enabled = channel.is_enabled, is_enabled
    channel.save(update_fields=["is_enabled"])
    if not is_enabled:
        waiting = channel.notifications.exclude(next_try_at=None).exclude(event=AlertEvent.TEST)
        told_in = Q(told_in__in=list(waiting.values_list("uuid", flat=True)))  # not told either
        channel.notifications.filter(Q(pk__in=waiting.values("pk")) | told_in).delete()
    audit_record(
        principal=principal,
        action="alerts.channel.set",
        target=channel_describe(channel),
        before={"is_enabled": before},
        after={"is_enabled": is_enabled},
    )


@transaction.atomic
def channel_callback_set(*, principal: Principal, channel: AlertChannel, secret: str) -> None:
    """Set with what PagerDuty signs what it reports back; empty: nothing that it reports counts.

    Raises NotAllowed, BadValue.
    """
    _allowed(principal, channel.tenant_id)
    if channel.kind != ChannelKind.PAGERDUTY:
        raise BadValue(gettext("only PagerDuty reports back"), field="callback_secret")
    if len(secret) > TARGET_MAX or not secret.isascii():
        raise BadValue(gettext("enter the secret as PagerDuty shows it"), field="callback_secret")
    if not secret and not channel.callback_secret:
        return
    before, channel.callback_secret = bool(channel.callback_secret), text_encrypt(secret) if secret else ""
    channel.save(update_fields=["callback_secret"])
    after = {"callback": bool(secret), **({"secret": "another"} if before and secret else {})}
    audit_record(
        principal=principal,
        action="alerts.channel.set",
        target=channel_describe(channel),
        before={"callback": before},
        after=after,
    )


@transaction.atomic
def channel_change(
    *,
    principal: Principal,
    channel: AlertChannel,
    callback_secret: str | None = None,
    enabled: bool | None = None,
    **edited: Any,
) -> None:
    """Change what is given of a channel, all or nothing.  Raises NotAllowed, NotFound, BadValue."""
    if callback_secret is not None:
        channel_callback_set(principal=principal, channel=channel, secret=callback_secret)
    if edited:
        channel_edit(principal=principal, channel=channel, **edited)
    if enabled is not None:
        channel_set(principal=principal, channel=channel, is_enabled=enabled)


@transaction.atomic
def channel_remove(*, principal: Principal, channel: AlertChannel) -> None:
    """Remove a channel with its notifications."""
    _allowed(principal, channel.tenant_id)
    target = channel_describe(channel)
    channel.delete()
    audit_record(
        principal=principal,
        action="alerts.channel.remove",
        target=target,
        before={"kind": channel.kind, "repeat_s": value_with_unit("repeat_s", channel.repeat_s)},
    )


@transaction.atomic
def channel_test(*, principal: Principal, channel: AlertChannel, now: datetime) -> Notification:
    """Write a test notification; it is sent like any other, and what waits for the channel goes before it.

    Raises NotAllowed, Conflict if the channel is off: nothing is sent to it, and if a tenant's was tested a
    moment ago: it may be somebody else's mailbox.
    """
    _allowed(principal, channel.tenant_id)
    if not channel.is_enabled:
        raise Conflict(gettext("the channel is off: enable it first"))
    lately = channel.notifications.filter(event=AlertEvent.TEST, created_at__gt=now - TEST_EVERY)
    if channel.tenant_id is not None and lately.exists():
        raise Conflict(gettext("a test was sent less than a minute ago: see whether it was delivered"))
    # A pause no longer than a claim may be a claim: a sender has it in hand.
    waiting = channel.notifications.filter(next_try_at__gt=now + CLAIM, is_held=False)
    waiting.update(next_try_at=now)
    target = channel_describe(channel)
    audit_record(principal=principal, action="alerts.channel.test", target=target, before={})
    row = Notification(
        channel=channel, event=AlertEvent.TEST, text=TEST_TEXT, created_at=now, next_try_at=now
    )
    row.body = {"id": str(row.uuid), "event": "test", "text": TEST_TEXT, "at": now.isoformat()}
    row.save()
    transaction.on_commit(_deliver_soon)
    return row


def _deliver_soon() -> None:
    """Enqueue its delivery; without a broker the next turn delivers it."""
    try:
        current_app.send_task("alerts.run", queue="io", retry=False, expires=10)
    except (BrokerAway, OSError) as error:
        log.warning("notification_waits", reason=str(error)[:200])
