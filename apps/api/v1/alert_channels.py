"""Alert channels over REST: the operator's, and each tenant's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.serializers import CODE_HELP, InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.checks.selectors.alerts import channel_fault, channel_visible, channels_visible, target_shown
from apps.checks.services.channel_choices import WAITS_MIN, scope_write
from apps.checks.services.channels import (
    REPEATS_S,
    TARGET_MAX,
    ChannelSpec,
    channel_add,
    channel_change,
    channel_remove,
    channel_test,
)
from apps.checks.states import ChannelKind
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.users.selectors.tenants import tenant_or_all

if TYPE_CHECKING:
    pass


class ScopeInput(InputSerializer):
    """The alerts that a channel is told of, when, and in which language."""

    language = serializers.ChoiceField(
        choices=[code for code, _ in settings.LANGUAGES],
        required=False,
        help_text="Of e-mails, chats and apps; the JSON of a webhook and PAGERDUTY are English.",
    )
    only_tenants = serializers.ListField(
        child=serializers.CharField(max_length=50),
        required=False,
        help_text="The operator's: names of tenants of whose alerts it is told; empty: the whole pool's.",
    )
    only_miners = serializers.ListField(
        child=serializers.CharField(max_length=32),
        required=False,
        help_text="ID addresses of miners of which alone it is told; empty: all.",
    )
    only_checks = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        help_text="Names of checks of which alone it is told; empty: all.",
    )
    wait_min = serializers.ChoiceField(
        choices=WAITS_MIN,
        required=False,
        help_text="Told only of what nobody has acknowledged for so many minutes.",
    )
    quiet_from = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=8,
        help_text="As 22:00: until quiet_to what is not critical waits, and is told then in one message.",
    )
    quiet_to = serializers.CharField(required=False, allow_blank=True, max_length=8)
    quiet_zone = serializers.CharField(
        required=False, allow_blank=True, max_length=64, help_text="Zone of these times; empty: UTC."
    )
    quiet_critical = serializers.BooleanField(required=False, help_text="True: what is critical waits, too.")


class ChannelInput(ScopeInput):
    """A channel to add."""

    tenant = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=50,
        help_text="Whose miners it is told of; null: of the whole pool, for the operator.",
    )
    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=ChannelKind.values)
    target = serializers.CharField(
        max_length=TARGET_MAX,
        required=False,
        allow_blank=True,
        help_text="URL of the webhook, or e-mail address; it is not shown again. Of PAGERDUTY empty, or the "
        "URL of another Events API v2, as in the EU. Of APPRISE the URL of a service of the list, such as "
        "pover://user_key@token.",
    )
    secret = serializers.CharField(
        max_length=TARGET_MAX,
        required=False,
        allow_blank=True,
        help_text="Signing key of the webhook; PAGERDUTY: the integration key.",
    )
    repeat_s = serializers.ChoiceField(
        choices=REPEATS_S, default=REPEATS_S[1], help_text="Least seconds between two reports of a check."
    )
    critical_only = serializers.BooleanField(default=False)
    with_actions = serializers.BooleanField(
        default=False,
        help_text="Webhooks: also told of acknowledgements, comments, what fails again or is worse.",
    )


class ChannelChange(ScopeInput):
    """What is changed of a channel; what is left out stays."""

    target = serializers.CharField(
        max_length=TARGET_MAX,
        required=False,
        allow_blank=True,
        help_text="Where notifications go from now on, those that wait too; of PAGERDUTY empty: its own URL.",
    )
    secret = serializers.CharField(
        max_length=TARGET_MAX,
        required=False,
        allow_blank=True,
        help_text="Signing key of the webhook, empty: none; PAGERDUTY: the integration key.",
    )
    repeat_s = serializers.ChoiceField(
        choices=REPEATS_S, required=False, help_text="Least seconds between two reports of a check."
    )
    critical_only = serializers.BooleanField(required=False)
    with_actions = serializers.BooleanField(
        required=False,
        help_text="Webhooks: also told of acknowledgements, comments, what fails again or is worse.",
    )
    enabled = serializers.BooleanField(
        required=False, help_text="False: nothing is sent to it, and what waits for it is dropped."
    )
    callback_secret = serializers.CharField(
        max_length=TARGET_MAX,
        required=False,
        allow_blank=True,
        help_text="PAGERDUTY: with what its webhook signs; empty: acknowledgements do not come back.",
    )


class ChannelOutput(serializers.Serializer[Any]):
    """One channel, without its URL and its key."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField(source="tenant.name", default=None, allow_null=True)
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=ChannelKind.values)
    target = serializers.SerializerMethodField(
        help_text="Shortened: the host of a URL, the domain of an address, the scheme of APPRISE."
    )
    repeat_s = serializers.IntegerField()
    critical_only = serializers.BooleanField()
    with_actions = serializers.BooleanField()
    language = serializers.CharField()
    only_tenants = serializers.SerializerMethodField(help_text="Names.")
    only_miners = serializers.SerializerMethodField(help_text="ID addresses.")
    only_checks = serializers.ListField(child=serializers.CharField())
    wait_min = serializers.IntegerField()
    quiet_from = serializers.CharField()
    quiet_to = serializers.CharField()
    quiet_zone = serializers.CharField()
    quiet_critical = serializers.BooleanField()
    callback = serializers.BooleanField(
        source="callback_secret", help_text="PAGERDUTY: whether acknowledgements come back."
    )
    enabled = serializers.BooleanField(source="is_enabled")
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(
        allow_null=True, help_text="When a notification was last delivered."
    )
    last_error = serializers.CharField(help_text="Why the last attempt failed; empty if it did not.")
    last_error_code = serializers.SerializerMethodField(help_text=CODE_HELP)

    def get_only_tenants(self, row: Any) -> list[str]:
        """Return the names of the tenants."""
        return list(scope_write(row)["only_tenants"])

    def get_only_miners(self, row: Any) -> list[str]:
        """Return the miners' addresses."""
        return list(scope_write(row)["only_miners"])

    def get_target(self, row: Any) -> str:
        """Return where notifications go, without what may be a secret."""
        return target_shown(row)

    def get_last_error_code(self, row: Any) -> str:
        """Return the code of why the last attempt failed."""
        return code_of(channel_fault(row))


class ChannelTestOutput(serializers.Serializer[Any]):
    """A test that is on its way."""

    id = serializers.UUIDField(source="uuid", help_text="It comes with this id.")
    created_at = serializers.DateTimeField()


class AlertChannelsView(PoolView):
    """`/alert-channels`: the operator's all, a tenant's its own."""

    pagination_class = Pages
    filters = ("limit", "offset")

    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(responses=ChannelOutput(many=True))
    def get(self, request: Request) -> Response:
        """List channels; their URLs are shown shortened."""
        return page_of(self, request, channels_visible(self.principal), ChannelOutput)

    @extend_schema(request=ChannelInput, responses={201: ChannelOutput})
    def post(self, request: Request) -> Response:
        """Add a channel."""
        data = checked(ChannelInput(data=request.data))
        tenant = tenant_or_all(self.principal, data.pop("tenant", None))
        row = channel_add(ChannelSpec(**data), principal=self.principal, tenant=tenant)
        return created(ChannelOutput(channel_visible(self.principal, row.uuid)).data)


class AlertChannelView(PoolView):
    """`/alert-channels/{uuid}`: one channel."""

    perms = {**PoolView.perms, "PATCH": "admin", "DELETE": "admin"}
    confirmed_methods = ("PATCH", "DELETE")
    whole_methods = ("PATCH", "DELETE")

    @extend_schema(responses=ChannelOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Show it, with why the last attempt failed."""
        return Response(ChannelOutput(channel_visible(self.principal, uuid)).data)

    @extend_schema(request=ChannelChange, responses=ChannelOutput)
    def patch(self, request: Request, uuid: str) -> Response:
        """Disable it, enable it again, change what it is told of and where, or what PagerDuty signs with."""
        data = checked(ChannelChange(data=request.data))
        row = channel_visible(self.principal, uuid)
        if not data:
            raise BadValue(gettext("name what is to change"), field="enabled")
        channel_change(principal=self.principal, channel=row, **data)
        return Response(ChannelOutput(channel_visible(self.principal, uuid)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Remove it with what waits for it."""
        channel_remove(principal=self.principal, channel=channel_visible(self.principal, uuid))
        return Response(status=204)


class AlertChannelTestView(PoolView):
    """`/alert-channels/{uuid}/test`."""

    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses={202: ChannelTestOutput})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's form
        """Send a test; the channel then shows whether it was delivered."""
        row = channel_visible(self.principal, uuid)
        sent = channel_test(principal=self.principal, channel=row, now=clock.now())
        return Response(ChannelTestOutput(sent).data, status=202)


urlpatterns = [
    path("alert-channels", AlertChannelsView.as_view(), name="api-alert-channels"),
    path("alert-channels/<uuid:uuid>", AlertChannelView.as_view(), name="api-alert-channel"),
    path("alert-channels/<uuid:uuid>/test", AlertChannelTestView.as_view(), name="api-alert-channel-test"),
]
