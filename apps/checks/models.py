"""Alerts and the status page: who is told of failing checks, how the pool's components are and were."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q, Value

from apps.checks.states import AlertEntryKind, AlertEvent, ChannelKind, Component, Condition
from apps.core.models import Named
from apps.core.reason_fields import CodedField, ReasonCharField, ReasonTextField, WithReasons
from apps.users.models import Tenant


class AlertChannel(models.Model):
    """A webhook, an e-mail address or PagerDuty: told when a check starts failing and passes again."""

    uuid = models.UUIDField(default=uuid4, unique=True)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.CASCADE, related_name="alert_channels")
    """Of whose miners, hosts and messages it is told; None: of the whole pool, for the operator."""
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=ChannelKind.choices)
    target = models.TextField()
    """URL or address, encrypted: chat services put a password into the URL."""
    secret = models.TextField(blank=True)
    """Key of the signature of a webhook's bodies, encrypted; empty: they are not signed.  Of PagerDuty the
    integration key."""
    callback_secret = models.TextField(blank=True)
    """Of PagerDuty: with what its webhook signs, encrypted; empty: its acknowledgements do not come back."""
    repeat_s = models.PositiveIntegerField(default=3600)
    """Least seconds between two notifications that the same check fails; a critical one that passed in
    between, or has become worse, waits no longer than the shortest that can be chosen."""
    critical_only = models.BooleanField(default=False)
    with_actions = models.BooleanField(default=False)
    """Of a webhook: whether it is also told that somebody acknowledged an alert, or commented on it, that an
    acknowledgement ended, and by events of their own that an alert began again or became worse."""
    language = models.CharField(max_length=16, default="en", db_default="en")
    """In which people are told: a code of `LANGUAGES`.  What programs read is English."""
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    only_tenants = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    """Keys of the tenants whose alerts the operator's channel is told of; empty: the whole pool's."""
    only_miners = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    """Actor ids of the miners of which alone it is told; empty: no such limit."""
    only_checks = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    """Names of the checks of which alone it is told; empty: all."""
    wait_min = models.PositiveIntegerField(default=0, db_default=0)
    """It is told only of what nobody has acknowledged for so many minutes; 0: of all at once."""
    quiet_from = models.CharField(max_length=5, blank=True, default="", db_default="")
    """`22:00`: from then on what is not critical waits, each day; empty: nothing does."""
    quiet_to = models.CharField(max_length=5, blank=True, default="", db_default="")
    quiet_zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    """Zone of these times by IANA's name; empty: UTC."""
    quiet_critical = models.BooleanField(default=False, db_default=False)
    """Whether what is critical waits, too."""

    class Meta:
        """A name once for the operator, and once for each tenant."""

        constraints: ClassVar = [
            models.UniqueConstraint("name", condition=Q(tenant=None), name="channel_of_pool_once"),
            models.UniqueConstraint(
                "tenant", "name", condition=~Q(tenant=None), name="channel_of_tenant_once"
            ),
        ]

    def __str__(self) -> str:
        """Return its name."""
        return self.name


class Alert(WithReasons):
    """A check that failed from one evaluation to another, of the whole pool or of what a tenant has.

    One that fails again soon after it passed is the same alert.
    """

    uuid = models.UUIDField(default=uuid4, unique=True)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.CASCADE, related_name="alerts")
    """In whose part of the pool; None: in all of it."""
    check_name = models.CharField(max_length=64)
    part_of = models.CharField(max_length=64, blank=True, default="", db_default="")
    """The check that explains all that was found last: its alert tells of it; empty: none does."""
    title = models.CharField(max_length=200)
    """What is true while the check passes."""
    severity = models.CharField(max_length=16)
    say = ReasonTextField()
    """What was found last."""
    say_coded = CodedField()
    count = models.PositiveIntegerField()
    keys = models.JSONField(default=list)
    """Keys of the findings of that; empty if it was written before they were."""
    object_names = models.JSONField(default=list)
    """Names of what it was about so far, as links and the audit log have them: addresses, ids, hosts."""
    began_at = models.DateTimeField()
    """When the check failed first."""
    since = models.DateTimeField()
    """When it began to fail last, after it passed for a short time; else as `began_at`."""
    times = models.PositiveIntegerField(default=1)
    """How often it began to fail."""
    ended_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    """When somebody acknowledged it; None: nobody has."""
    acknowledged_by = models.CharField(max_length=200, blank=True)
    """Who acknowledged it, as `Principal.actor` says."""
    acknowledged_until = models.DateTimeField(null=True)
    """When that runs out; None: it lasts until the check passes."""
    acknowledged_severity = models.CharField(max_length=16, blank=True)
    """How bad it was then: what is worse ends the acknowledgement."""
    acknowledged_count = models.PositiveIntegerField(default=0)
    acknowledged_keys = models.JSONField(default=list)

    class Meta:
        """One open alert for each check of the pool, and of each tenant."""

        constraints: ClassVar = [
            models.UniqueConstraint(
                "check_name", condition=Q(ended_at=None, tenant=None), name="alert_open_once"
            ),
            models.UniqueConstraint(
                "tenant",
                "check_name",
                condition=Q(ended_at=None) & ~Q(tenant=None),
                name="alert_of_tenant_open_once",
            ),
        ]
        indexes: ClassVar = [models.Index("ended_at", name="alert_ended")]

    def __str__(self) -> str:
        """Return the check's name."""
        return self.check_name

    @property
    def is_acknowledged(self) -> bool:
        """Return whether somebody works on it."""
        return self.acknowledged_at is not None


class AlertEntry(WithReasons):
    """One line of an alert's history; none is changed."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=AlertEntryKind.choices)
    actor = models.CharField(max_length=200, blank=True)
    """Who did it, as `Principal.actor` says; empty: the pool."""
    text = ReasonTextField(blank=True)
    """A comment, or what was found."""
    text_coded = CodedField()
    severity = models.CharField(max_length=16)
    count = models.PositiveIntegerField()
    """How many objects failed then."""
    until = models.DateTimeField(null=True)
    """Of an acknowledgement, when it runs out."""

    class Meta:
        """Read in order."""

        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        """Return its kind."""
        return self.kind


class CheckSetting(models.Model):
    """What the operator set of one check; a check without a row is as it is delivered."""

    check_name = models.CharField(max_length=64, unique=True)
    severity = models.CharField(max_length=16, blank=True)
    """Instead of the check's own; empty: that."""
    muted_until = models.DateTimeField(null=True)
    """Until then the operator's channels are not told that it fails; None: they are."""
    mute_reason = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        """Return the check's name."""
        return self.check_name

    def is_muted(self, now: datetime) -> bool:
        """Return whether the operator's channels are not told at this moment that it fails."""
        return self.muted_until is not None and self.muted_until > now


class Notification(WithReasons):
    """One message to one channel; it stays until it was delivered or given up."""

    uuid = models.UUIDField(default=uuid4, unique=True)
    """Goes with it: whoever gets it twice knows it by this."""
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="notifications")
    alert = models.ForeignKey(Alert, null=True, on_delete=models.CASCADE, related_name="notifications")
    """None: a test."""
    event = models.CharField(max_length=16, choices=AlertEvent.choices)
    text = ReasonTextField()
    text_coded = CodedField()
    body = models.JSONField()
    """As a webhook gets it."""
    finding_codes = models.JSONField(null=True)
    """Codes of the body's findings, and after them of those that these explain, as `coded` writes them."""
    keys = models.JSONField(default=list)
    """Keys of the findings that it tells of; empty if it tells of none, or was written before they were."""
    created_at = models.DateTimeField()
    next_try_at = models.DateTimeField(null=True)
    """None once it was delivered or given up."""
    attempts = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    error = ReasonCharField(max_length=300, blank=True)
    """Why the last attempt failed."""
    error_coded = CodedField()
    is_held = models.BooleanField(default=False, db_default=False)
    """Whether it waits for the end of its channel's quiet hours."""
    told_in = models.UUIDField(null=True)
    """The notification that tells of it with others after quiet hours; None: it goes by itself."""

    class Meta:
        """Found by what is due."""

        indexes: ClassVar = [
            models.Index("next_try_at", condition=~Q(next_try_at=None), name="notification_due"),
            models.Index("channel", "created_at", name="notification_of_channel"),
        ]

    def __str__(self) -> str:
        """Return what it says."""
        return str(self.text)


class CallbackEvent(models.Model):
    """An event that PagerDuty reported back and that was looked at: reported again, it changes nothing."""

    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="callback_events")
    event_id = models.CharField(max_length=100)
    """As PagerDuty names it."""
    at = models.DateTimeField(db_index=True)

    class Meta:
        """Each event of a channel once."""

        constraints: ClassVar = [models.UniqueConstraint("channel", "event_id", name="callback_event_once")]

    def __str__(self) -> str:
        """Return its id."""
        return self.event_id


class ComponentStatus(models.Model):
    """How a component is now, and up to when its days are counted."""

    component = models.CharField(max_length=16, choices=Component.choices, unique=True)
    condition = models.CharField(max_length=16, choices=Condition.choices)
    """What the last evaluation found; no state that is advanced."""
    since = models.DateTimeField()
    evaluated_at = models.DateTimeField()
    """The last evaluation, in whole seconds."""
    counted_until = models.DateTimeField()
    """As a rule the same; after a clock was set back what it had been at, so that no second counts twice."""

    def __str__(self) -> str:
        """Return its name."""
        return self.component


class ComponentDay(models.Model):
    """How long a component was in each condition on one UTC day; what is missing was before the pool."""

    component = models.CharField(max_length=16, choices=Component.choices)
    day = models.DateField(db_index=True)
    up_s = models.PositiveIntegerField(default=0)
    degraded_s = models.PositiveIntegerField(default=0)
    down_s = models.PositiveIntegerField(default=0)
    unknown_s = models.PositiveIntegerField(default=0)
    announced_s = models.PositiveIntegerField(default=0)
    """Seconds of all but `up_s` for which maintenance had been announced."""

    class Meta:
        """One row for each component and day."""

        constraints: ClassVar = [models.UniqueConstraint("component", "day", name="component_day_once")]

    def __str__(self) -> str:
        """Return its name and day."""
        return f"{self.component} {self.day}"


class ComponentIncident(Named):
    """A time in which a component was degraded or down."""

    component = models.CharField(max_length=16, choices=Component.choices)
    condition = models.CharField(max_length=16, choices=Condition.choices)
    """The worst that it was."""
    effect = models.CharField(max_length=64)
    """Names the row of `table/components.py` that says what it meant to tenants then."""
    since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=1000, blank=True)
    """What the operator says of it to everybody who sees the status page."""
    noted_at = models.DateTimeField(null=True)

    class Meta:
        """One open incident for each component."""

        constraints: ClassVar = [
            models.UniqueConstraint(
                "component", condition=Q(ended_at=None), name="component_incident_open_once"
            )
        ]
        indexes: ClassVar = [models.Index("ended_at", name="component_incident_ended")]

    def __str__(self) -> str:
        """Return its component and when it began."""
        return f"{self.component} since {self.since}"


class Maintenance(Named):
    """Work that the operator announces, with the components that it may take away meanwhile."""

    text = models.CharField(max_length=1000)
    components = models.JSONField()
    """Names of `Component`."""
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)
    """Earlier than announced once it was ended or withdrawn before its time."""
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return what is announced."""
        return self.text


class StatusSettings(models.Model):
    """Who sees the status page; a single row, without one as it is delivered."""

    is_public = models.BooleanField(default=False)
    """Whether everybody does; else only people who signed in."""

    def __str__(self) -> str:
        """Return what it is."""
        return "status settings"


class ServiceDay(models.Model):
    """A UTC day whose service is counted for every tenant; final once it is written."""

    day = models.DateField(unique=True)
    end_epoch = models.BigIntegerField()
    """The first epoch that is no more in it; the next day's begin there."""

    def __str__(self) -> str:
        """Return its day."""
        return str(self.day)


class TenantServiceDay(models.Model):
    """What the pool did for one tenant on one day; the miners are those it had as the day began."""

    day = models.ForeignKey(ServiceDay, on_delete=models.CASCADE, related_name="tenants")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="service_days")
    posts_proven = models.PositiveIntegerField(default=0)
    """Proofs of windows that closed on that day and landed."""
    posts_missed_pool = models.PositiveIntegerField(default=0)
    posts_missed_tenant = models.PositiveIntegerField(default=0)
    posts_missed_unknown = models.PositiveIntegerField(default=0)
    wins_published = models.PositiveIntegerField(default=0)
    """Wins of that day whose block is on the chain."""
    wins_lost_pool = models.PositiveIntegerField(default=0)
    wins_lost_tenant = models.PositiveIntegerField(default=0)
    wins_lost_unknown = models.PositiveIntegerField(default=0)
    """Orphans, too: nobody knows whose cause they are."""
    messages_pushed = models.PositiveIntegerField(default=0)
    messages_landed = models.PositiveIntegerField(default=0)
    """Of them, those that had landed when the day was counted."""
    landing_times = models.JSONField(default=list)
    """How many of these landed within each of `LANDING_EDGES_S`, counted up; the rest took longer."""

    class Meta:
        """One row for each tenant and day."""

        constraints: ClassVar = [models.UniqueConstraint("tenant", "day", name="service_day_of_tenant_once")]

    def __str__(self) -> str:
        """Return the tenant and the day."""
        return f"{self.tenant} on {self.day}"


class ServiceTargets(models.Model):
    """What the operator promises a tenant from a month on; 0 is no promise.  What was before stays."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="service_targets")
    from_month = models.DateField()
    """First day of the first month."""
    posts_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    """Least share of due WindowPoSts that land, without those that the tenant missed."""
    wins_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    """The same of wins that become blocks."""
    console_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    """Least share of the time on record in which console, API and gateway are up."""
    landing_s = models.PositiveIntegerField(default=0)
    """Seconds within which 95 % of the landed messages land."""

    class Meta:
        """One row for each tenant and month."""

        constraints: ClassVar = [models.UniqueConstraint("tenant", "from_month", name="service_targets_once")]

    def __str__(self) -> str:
        """Return whose they are, and since when."""
        return f"targets of {self.tenant} from {self.from_month}"
