"""docs/security.md is true: the files that it names are there, and what it says of answers holds."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from django.test import Client

from tests import people
from tests.page_client import signed_in
from workers.signer.encryption import Cost

SITE = Path(__file__).parents[3]
DOCUMENT = (SITE / "docs" / "security.md").read_text()
HOMES = ("", "apps/users", "apps/gateway", "workers/signer")
"""Folders that a file may be in when its line names only its last part."""


def test_the_readme_names_it_and_it_stays_short():
    assert "(docs/security.md" in (SITE / "README.md").read_text()
    assert len(DOCUMENT.splitlines()) <= 120


MADE_LATER = {"var/"}
"""What the first start makes."""
NAMED = set(re.findall(r"`([\w*.][\w*./]+(?:\.py|\.md|/))`", DOCUMENT)) - MADE_LATER


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_file_that_it_names_is_there(name):
    places = [SITE / home for home in HOMES]

    assert any(list(place.glob(name.rstrip("/"))) for place in places)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login/", "/api/v1/miners", "/nothing/", "/healthz"])
def test_answers_are_not_framed_sniffed_or_scripted_by_others(path):
    answer = Client().get(path)

    policy = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")


@pytest.mark.django_db
def test_session_cookie_is_http_only_same_site_and_rotates_at_login():
    people.person("ann")
    client = Client()
    client.get("/login/")
    before = client.session.session_key

    answer = client.post(
        "/login/", {"username": "ann", "password": people.PASSWORD, "next": "//evil.example/"}
    )

    cookie = answer.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie.value != before
    assert answer["Location"] == "/"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_change_by_cookie_needs_the_csrf_token_whatever_its_form(kind):
    people.person("ann", role="TENANT_ADMIN")
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in().cookies

    for path in ("/api/v1/tokens", "/tokens/new/", "/people/invite/", "/theme/", "/logout/"):
        assert client.post(path, b"{}", content_type=kind).status_code == 403, path


def test_production_sends_cookies_over_tls_only(monkeypatch):
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "CHAIN_URLS"):
        monkeypatch.setenv(name, "pool.example")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/pool")
    monkeypatch.setenv("REDIS_URL", "redis://cache/0")

    production = importlib.import_module("poolsite.settings.production")

    assert production.SESSION_COOKIE_SECURE is production.CSRF_COOKIE_SECURE is True
    assert production.SECURE_HSTS_SECONDS > 0
    assert production.DEBUG is False
    assert "Basic" not in str(production.REST_FRAMEWORK)


def test_keys_are_sealed_as_hard_as_it_says():
    assert Cost().memory_kib == 64 * 1024
