"""What a page says of itself for a terminal."""

from __future__ import annotations

import shlex
from typing import Any, Final
from uuid import UUID

import pytest
from django.test import RequestFactory
from django.urls import resolve, reverse
from django.urls.converters import IntConverter, UUIDConverter

from apps.dashboard.registry import navigation, page_addresses
from apps.dashboard.rest_twins import TWINS, twin_of
from poolsite.command.acts import acts_read
from poolsite.command.main import command_of

WITHOUT = {
    "account",
    "blocks",
    "gateway",
    "people",
    "proving",
    "roles",
    "sectors-expirations",
    "today",
    "fault-injection",
}
SAMPLES: Final[dict[type, object]] = {UUIDConverter: UUID(int=5), IntConverter: 3}
"""Pages of the rail that show several things, or what REST does not have."""


def twin(path: str) -> Any:
    request = RequestFactory().get(path)
    request.resolver_match = resolve(request.path)
    return twin_of(request)


def test_each_page_has_a_request_of_as_many_values() -> None:
    acts = {f"{act.method} {act.path}": act for act in acts_read()}
    values = {page.name: page.pattern.converters for page in page_addresses()}

    assert {name: way for name, way in TWINS.items() if way not in acts or name not in values} == {}
    assert [name for name, way in TWINS.items() if len(values[name]) != len(acts[way].arguments)] == []
    assert {item.key for group in navigation() for item in group} - set(TWINS) <= WITHOUT


@pytest.mark.parametrize(
    ("path", "command", "curl"),
    [
        (
            "/messages/?state=FAILED&state=LANDED&sort=cost",
            "poolsite messages list --state FAILED --state LANDED",
            'curl -H "Authorization: Bearer $TOKEN" '
            "'http://testserver/api/v1/messages?state=FAILED&state=LANDED'",
        ),
        (
            "/proving/f01004/3/",
            "poolsite miners deadlines-show f01004 3",
            'curl -H "Authorization: Bearer $TOKEN" http://testserver/api/v1/miners/f01004/deadlines/3',
        ),
        (
            "/tenants/new/",
            "poolsite tenants create --name NAME",
            "curl -H \"Authorization: Bearer $TOKEN\" -X POST -H 'Content-Type: application/json' "
            '-d \'{"name": "NAME"}\' http://testserver/api/v1/tenants',
        ),
    ],
)
def test_the_line_can_be_pasted(path: str, command: str, curl: str) -> None:
    assert twin(path) == (command, curl)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/messages/?state=failed&after=IjUi:1vX:sig", "poolsite messages list --state failed"),
        ("/messages/?state=stuck", "poolsite messages list --state stuck"),
        ("/sectors/?miner=f01004&after=IjUi:1vX:sig", "poolsite sectors list --miner f01004"),
        ("/hosts/?state=idle&group=a%20b", "poolsite workers list --group 'a b' --state idle"),
        ("/audit/?who=ann&after=IjUi:1vX:sig", "poolsite audit list --who ann"),
        ("/miners/f01004/withdraw/", "poolsite miners withdrawals-create f01004 --dry-run"),
    ],
)
def test_what_rest_would_refuse_is_left_out_and_an_act_is_tried_first(path: str, command: str) -> None:
    shown = twin(path)

    assert shown.command == command
    assert "after=" not in shown.curl
    assert ("dry_run=true" in shown.curl) == ("--dry-run" in command)


def test_each_line_is_one_that_the_command_takes() -> None:
    for name, way in TWINS.items():
        act = next(act for act in acts_read() if f"{act.method} {act.path}" == way)
        if any(field.is_required for field in act.body):
            continue  # it names what has to be filled in
        values = {page.name: page.pattern.converters for page in page_addresses()}[name]
        path = reverse(name, args=[SAMPLES.get(type(one), "f01004") for one in values.values()])
        words = shlex.split(twin(path).command)[3:]
        command_of(act).make_context(act.verb, words)


def test_a_page_without_one_shows_none() -> None:
    assert twin("/people/") is None
