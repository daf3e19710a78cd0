"""The page of tokens: every valid one can be found, however many others there are."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from apps.core.clock import now
from apps.dashboard.pagination import ROWS
from apps.users.models import Token
from apps.users.services.tokens import token_issue
from tests.page_client import signed_in, text_of
from tests.people import person, tenant

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    person("adm", role="TENANT_ADMIN")
    return signed_in("adm")


def names(text: str) -> list[str]:
    """The tokens of a page, in its order."""
    return re.findall(r'<th scope="row" class="c-name">([^<]+)<', text)


def next_page(text: str) -> str | None:
    """The address of the page after this one."""
    found = re.search(r'rel="next" href="([^"]+)"', text)
    return None if found is None else "/tokens/" + found[1]


def test_old_valid_token_stands_before_newer_ones_of_no_use(admin: Client) -> None:
    token_issue(tenant=tenant(), name="old admin", perm="admin")
    for n in range(ROWS):
        token_issue(tenant=tenant(), name=f"expired-{n}", perm="read", expires_at=now() - timedelta(days=1))
    token_issue(tenant=tenant(), name="exchanged", perm="write")
    Token.objects.filter(name="exchanged").update(joined_uid="host-1")
    token_issue(tenant=tenant(), name="revoked", perm="write")
    Token.objects.filter(name="revoked").update(revoked_at=now())

    text = text_of(admin.get("/tokens/"))

    assert names(text)[:3] == ["old admin", "revoked", "exchanged"]
    assert "1 valid token." in text
    assert "1 of them never used." in text


def test_all_tokens_are_counted_and_shown_page_by_page(admin: Client) -> None:
    for n in range(ROWS + 5):
        token_issue(tenant=tenant(), name=f"valid-{n}", perm="read")
    for n in range(ROWS + 5):
        token_issue(tenant=tenant(), name=f"expired-{n}", perm="read", expires_at=now() - timedelta(days=1))
    token_issue(tenant=tenant("bob"), name="a stranger's", perm="read")

    address: str | None = "/tokens/"
    shown: list[str] = []
    while address is not None:
        text = text_of(admin.get(address))
        assert f"{ROWS + 5} valid tokens." in text
        shown += names(text)
        address = next_page(text)

    assert shown == [f"{word}-{n}" for word in ("valid", "expired") for n in reversed(range(ROWS + 5))]
