"""What a page says of itself for a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory
from django.urls import resolve

from apps.dashboard.registry import navigation, page_addresses
from apps.dashboard.rest_twins import TWINS, twin_of
from poolsite.command.acts import acts_read

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
            "/messages/?state=FAILED&state=BAD&sort=cost",
            "poolsite messages list --state FAILED --state BAD",
            "curl -H \"Authorization: Bearer $TOKEN\" 'http://testserver/api/v1/messages?state=FAILED&state=BAD'",
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


def test_a_page_without_one_shows_none() -> None:
    assert twin("/people/") is None
