"""What a page says of itself for a terminal."""

from __future__ import annotations

import shlex
from inspect import getclosurevars
from typing import Any, Final
from uuid import UUID

import pytest
from django.test import RequestFactory
from django.urls import URLPattern, resolve, reverse
from django.urls.converters import IntConverter, UUIDConverter

from apps.dashboard.registry import page_addresses
from apps.dashboard.rest_twins import PARTLY, TRENDS, TWINS, twin_of
from poolsite.command.acts import acts_read
from poolsite.command.main import command_of

WITHOUT = {
    # before somebody has signed in, or a person's own settings
    *("invitation", "login", "login-company", "login-company-back", "login-second", "password"),
    *("account", "account-confirm", "account-recovery", "account-totp", "account-totp-qr"),
    *("own-deal", "own-deals", "own-sign-in", "people", "person-invite", "person-link"),
    # parts of pages, files, pictures, and what is shown once
    *("pick", "pledge-price", "resync", "scope", "search", "search-suggest", "sector-named"),
    *("audit-json", "docs", "docs-page", "docs-picture", "offline-code", "offline-file", "status-json"),
    *("client-token-made", "console-joining", "host-joining", "token-made"),
    # forms and questions whose page of data has the line
    *("auto-rule-new-extension", "chain-unbind", "charges-correction", "client-token-new"),
    *("console-remove", "gas-method", "gas-method-new", "host-join", "incident-note"),
    *("maintenance-announce", "maintenance-end", "message-mark-bad", "message-push-again"),
    *("message-withdraw-export", "messages-bulk", "miner-remove", "miner-role-act", "offline-sign"),
    *("policy-rule", "policy-text", "policy-try", "sector-check-files", "sector-end-stage"),
    *("sector-run-abort", "store-check-cancel", "store-detach", "store-scan-cancel"),
    *("tenant-service-targets", "wallet-name"),
    # what REST does not have
    *("block-round", "chain-mempool", "chain-tipset", "charges-unclosed", "miner-signing"),
    *("fault-injection", "fault-injection-node"),
}
"""Pages without a line, by why."""
SAMPLES: Final[dict[type, object]] = {UUIDConverter: UUID(int=5), IntConverter: 3}


def twin(path: str) -> Any:
    request = RequestFactory().get(path)
    request.resolver_match = resolve(request.path)
    return twin_of(request)


def is_shown(page: URLPattern) -> bool:
    """Whether it answers a GET with a page of its own, no CSV."""
    methods = getclosurevars(page.callback).nonlocals.get("request_method_list")
    return methods != ["POST"] and not str(page.name).endswith("-csv")


def test_each_page_has_a_request_of_as_many_values() -> None:
    acts = {f"{act.method} {act.path}": act for act in acts_read()}
    values = {page.name: page.pattern.converters for page in page_addresses()}

    assert {name: way for name, way in TWINS.items() if way not in acts or name not in values} == {}
    assert [name for name, way in TWINS.items() if len(values[name]) != len(acts[way].arguments)] == []
    of_part = [way for way in (*PARTLY.values(), *TRENDS.values()) if way not in acts]
    assert (of_part, PARTLY.keys() - values, PARTLY.keys() & TWINS.keys()) == ([], set(), set())
    shown = {page.name for page in page_addresses() if page.name and is_shown(page)}
    assert shown - TWINS.keys() - PARTLY.keys() - {"trends"} == WITHOUT


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
            "/trends/host/7/",
            "poolsite workers history 7",
            'curl -H "Authorization: Bearer $TOKEN" http://testserver/api/v1/workers/7/history',
        ),
        (
            "/blocks/",
            "poolsite miners rounds ADDRESS",
            'curl -H "Authorization: Bearer $TOKEN" http://testserver/api/v1/miners/ADDRESS/rounds',
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
