"""Console machines over REST: listed, added with a join token, removed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.consoles import consoles_seen, processes_by_machine, roles_led
from apps.core.processes import PROCESS_STATES
from apps.messages.selectors.recovery import recovery_row
from apps.users.services.consoles import VALID_FOR, console_join, console_remove, console_token_issue
from apps.users.states import JOIN_CONSOLE
from poolsite.wire.hosts import VERSION


class ConsoleProcessOutput(serializers.Serializer[Any]):
    """One process of a console machine."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=PROCESS_STATES)
    seen_at = serializers.DateTimeField(
        allow_null=True, help_text="Its last heartbeat; a database sends none."
    )


class UnreadOutput(serializers.Serializer[Any]):
    """A shared folder in which a machine cannot read the file of another machine."""

    machine = serializers.CharField(help_text="Who wrote it.")
    setting = serializers.CharField(help_text="The setting that names the shared folder.")
    folder = serializers.CharField(help_text="Its value on the machine that cannot read it.")
    reason = serializers.CharField()


class ConsoleOutput(serializers.Serializer[Any]):
    """One console machine."""

    machine = serializers.CharField(help_text="Its POOLSITE_MACHINE.")
    works = serializers.BooleanField(help_text="Whether it was seen within 30 s.")
    answers = serializers.BooleanField(help_text="Whether this answer is from it.")
    version = serializers.CharField()
    leads = serializers.ListField(
        child=serializers.CharField(), help_text="What one machine does for all: follower, blocks."
    )
    processes = ConsoleProcessOutput(many=True)
    joined_at = serializers.DateTimeField(
        allow_null=True, help_text="When it joined with a token; null: it was set up without one."
    )
    joined_by = serializers.CharField(help_text="Who made its join token.")
    started_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    disk_free_bytes = serializers.IntegerField()
    disk_total_bytes = serializers.IntegerField()
    unread = UnreadOutput(many=True, help_text="What it cannot read that another machine wrote.")


class ConsoleTokenOutput(serializers.Serializer[Any]):
    """A join token for a console machine, which is shown only once."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class ConsoleJoinInput(InputSerializer):
    """The machine that exchanges its join token."""

    folder = serializers.RegexField(r"^[0-9a-f]{32}$", help_text="Id of its POOLSITE_VAR.")
    machine = serializers.CharField(max_length=100)
    version = serializers.CharField(max_length=100)


class ConsoleJoinOutput(serializers.Serializer[Any]):
    """Settings, secrets included, that all console machines of the pool share."""

    pool = serializers.UUIDField()
    version = serializers.CharField()
    secret_key = serializers.CharField()
    settings = serializers.DictField(child=serializers.CharField())


def console_bodies() -> list[dict[str, Any]]:
    """Return the console machines as JSON."""
    led, processes = roles_led(), processes_by_machine(at=clock.now())
    return [
        {
            "machine": seen.row.machine,
            "works": seen.works,
            "answers": seen.row.machine == settings.MACHINE_NAME,
            "version": seen.row.version,
            "leads": led.get(seen.row.machine, []),
            "processes": [
                {"name": one.name, "state": one.state, "seen_at": one.beat and one.beat.seen_at}
                for one in processes.get(seen.row.machine, [])
            ],
            "joined_at": seen.row.joined_at,
            "joined_by": seen.row.joined_by,
            "started_at": seen.row.started_at,
            "seen_at": seen.row.seen_at,
            "disk_free_bytes": seen.row.disk_free,
            "disk_total_bytes": seen.row.disk_total,
            "unread": seen.row.unread,
        }
        for seen in consoles_seen()
    ]


class ConsolesView(PoolView):
    """`/consoles`."""

    operator_only = True
    perms = {**PoolView.perms, "GET": "admin"}

    @extend_schema(responses=ConsoleOutput(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the pool's console machines by name."""
        return Response(ConsoleOutput(console_bodies(), many=True).data)


class ConsoleView(PoolView):
    """`/consoles/{machine}`."""

    operator_only = True
    perms = {**PoolView.perms, "DELETE": "admin"}
    confirmed_methods = ("DELETE",)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, machine: str) -> Response:  # noqa: ARG002  # DRF's form
        """Forget a machine that is gone; one that works is refused."""
        console_remove(by=self.principal, machine=machine)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ConsoleTokensView(PoolView):
    """Join tokens for console machines (`/consoles:join`)."""

    operator_only = True
    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses={201: ConsoleTokenOutput})
    def post(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """Create a join token for one console machine.  Its text is returned only in this response."""
        text = console_token_issue(by=self.principal)
        return created({"token": text, "expires_at": clock.now() + VALID_FOR})


class ConsoleJoinView(PoolView):
    """`/consoles:join`: a join token is exchanged for what the pool's consoles share, once."""

    scope = JOIN_CONSOLE
    perms = {**PoolView.perms, "POST": "read"}
    keeps_answers = False  # it would be repeated after the machine's start, too

    @extend_schema(request=ConsoleJoinInput, responses={201: ConsoleJoinOutput})
    def post(self, request: Request) -> Response:
        """Exchange the join token for the shared settings and keys.

        The same machine may repeat this until its first start.
        """
        data = checked(ConsoleJoinInput(data=request.data))
        shared = console_join(
            by=self.principal, folder=data["folder"], machine=data["machine"], version=data["version"]
        )
        pool = recovery_row().pool
        response = created(
            {"pool": pool, "version": VERSION, "secret_key": settings.SECRET_KEY, "settings": shared}
        )
        response["Cache-Control"] = "no-store"
        return response


urlpatterns = [
    path("consoles", ConsolesView.as_view(), name="v1-consoles"),
    path("consoles/join-tokens", ConsoleTokensView.as_view(), name="v1-console-tokens"),
    path("consoles/<str:machine>", ConsoleView.as_view(), name="v1-console"),
    path("consoles:join", ConsoleJoinView.as_view(), name="v1-console-join"),
]
