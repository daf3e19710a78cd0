"""An act and its line in the audit log are written together: a kill between the two leaves neither."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.test import Client

from apps.dashboard.confirm_page import CONFIRM_FIELD
from apps.users.models import AccountApproval, Tenant, Token
from apps.users.services.grants import account_approve
from tests import people
from tests.page_client import signed_in

pytestmark = pytest.mark.django_db

APPROVAL = {"signer": "alice", "account": "bob"}
REST: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "tenant created": ("users.services.tenant_management", "post", "tenants", {"name": "carol"}),
    "tenant changed": ("users.services.tenant_management", "patch", "tenants/alice", {"enabled": False}),
    "token created": (
        "users.services.tokens",
        "post",
        "tokens",
        {"name": "new", "perm": "read", "tenant": "alice"},
    ),
    "token revoked": ("users.services.tokens", "delete", "tokens/{token}", {}),
    "approved": (
        "gateway.services.connection_test",
        "post",
        "signer-approvals",
        {"signer": "bob", "account": "alice", "approve": True},
    ),
    "approval revoked": (
        "gateway.services.connection_test",
        "post",
        "signer-approvals",
        {**APPROVAL, "approve": False},
    ),
}
"""Each with its module, method, path and body."""
PAGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "token created": (
        "users.services.tokens",
        "/tokens/new/",
        {"name": "new", "part": "all", "perm": "read", "life": "30", "tenant": "alice"},
    ),
    "token revoked": ("users.services.tokens", "/tokens/{token}/revoke/", {CONFIRM_FIELD: "yes"}),
    "approval revoked": ("gateway.services.connection_test", "/gateway/approvals/{approval}/refuse/", {}),
}


@pytest.fixture
def rows() -> dict[str, object]:
    """What the acts change: two tenants, a token, an approval."""
    people.tenant("alice")
    people.tenant("bob")
    people.token()
    account_approve(signer_tenant=people.tenant("alice"), account=people.tenant("bob"))
    return {"token": Token.objects.get().pk, "approval": AccountApproval.objects.get().pk}


def written() -> list[Any]:
    return [
        sorted(Tenant.objects.values_list("name", "enabled")),
        sorted(Token.objects.filter(revoked_at=None).values_list("name")),
        sorted(AccountApproval.objects.values_list("signer_tenant__name", "account__name")),
    ]


def killed(monkeypatch: pytest.MonkeyPatch, module: str) -> list[bool]:
    """Have a module fail where it writes the audit log; returns a list that grows when it does."""
    fallen: list[bool] = []

    def audit_record(**_: object) -> None:
        fallen.append(True)
        raise RuntimeError("killed")

    monkeypatch.setattr(import_module(module), "audit_record", audit_record)
    return fallen


@pytest.mark.parametrize("act", REST)
def test_rest(rows: dict[str, object], act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, method, path, body = REST[act]
    by = people.bearer(people.operator_token())
    fallen, before = killed(monkeypatch, f"apps.{module}"), written()

    client = Client(raise_request_exception=False)
    request = getattr(client, method)
    request(f"/api/v1/{path.format(**rows)}", body, content_type="application/json", headers=by)

    assert fallen
    assert written() == before


@pytest.mark.parametrize("act", PAGES)
def test_page(rows: dict[str, object], act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, path, body = PAGES[act]
    people.operator_person()
    client = signed_in("olga")
    client.raise_request_exception = False
    fallen, before = killed(monkeypatch, f"apps.{module}"), written()

    client.post(path.format(**rows), body)

    assert fallen
    assert written() == before
