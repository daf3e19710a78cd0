from __future__ import annotations

import io
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command

from apps.core import clock
from apps.users.models import AuditEntry, Tenant, Token, User
from apps.users.services.bootstrap import pool_prepare
from apps.users.services.passwords import password_change
from apps.users.services.tokens import token_revoke
from tests.people import principal_by_token

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db


@pytest.fixture
def var(tmp_path, settings, monkeypatch):
    settings.VAR = tmp_path
    monkeypatch.setenv("POOLSITE_URL", "http://localhost:8123")
    return tmp_path


def bootstrap() -> None:
    call_command("bootstrap", stdout=io.StringIO())


def operator(var: Path) -> Any:
    return json.loads((var / "operator.json").read_text())


def test_a_fresh_pool_gets_an_operator_and_tokens_of_least_privilege(var):
    bootstrap()

    entry = operator(var)
    tokens = {
        name: (var / "tokens" / name).read_text().strip() for name in ("admin", "signer", "sealer", "prover")
    }
    holders = {name: principal_by_token(text, now=clock.now()) for name, text in tokens.items()}
    assert set(entry) == {"url", "username", "password", "admin_token"}
    assert entry["url"] == "http://localhost:8123"
    assert entry["admin_token"] == tokens["admin"]
    assert User.objects.get(username="operator").check_password(entry["password"])
    assert {name: (who.is_operator, who.perm, who.scopes) for name, who in holders.items()} == {
        "admin": (True, "admin", ()),
        "signer": (False, "read", ("signer",)),
        "sealer": (False, "write", ("sealer",)),
        "prover": (False, "write", ("prover",)),
    }


def test_token_file_that_is_no_text_gets_another_token(var):
    bootstrap()
    (var / "tokens" / "prover").write_bytes(b"\xff\xfe")

    bootstrap()

    text = (var / "tokens" / "prover").read_text().strip()
    assert principal_by_token(text, now=clock.now()).scopes == ("prover",)


def test_the_files_are_for_their_owner_alone(var):
    bootstrap()

    files = [var / "operator.json", *(var / "tokens").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_second_run_changes_nothing(var):
    bootstrap()
    before = {path: path.read_bytes() for path in var.rglob("*") if path.is_file()}

    bootstrap()

    assert {path: path.read_bytes() for path in var.rglob("*") if path.is_file()} == before
    assert (Token.objects.count(), Tenant.objects.count(), User.objects.count()) == (4, 1, 1)


def test_the_password_leaves_the_file_when_it_is_changed(var, django_capture_on_commit_callbacks):
    bootstrap()
    token = operator(var)["admin_token"]

    with django_capture_on_commit_callbacks(execute=True):
        password_change(user=User.objects.get(), new_password="a better one 17")
    bootstrap()

    assert operator(var) == {"url": "http://localhost:8123", "username": "operator", "admin_token": token}
    assert User.objects.get().check_password("a better one 17")


def test_a_password_that_never_reached_the_file_is_made_anew(var):
    bootstrap()
    (var / "operator.json").unlink()

    bootstrap()

    assert User.objects.get().check_password(operator(var)["password"])


def test_a_token_that_never_reached_its_file_is_replaced(var):
    bootstrap()
    (var / "tokens" / "sealer").unlink()

    bootstrap()

    assert Token.objects.filter(name="bootstrap sealer", revoked_at=None).count() == 1
    assert principal_by_token((var / "tokens" / "sealer").read_text().strip(), now=clock.now()).scopes == (
        "sealer",
    )


def test_a_revoked_token_is_not_made_anew(var):
    bootstrap()
    token_revoke(Token.objects.get(name="bootstrap admin"))
    before = operator(var)

    bootstrap()

    assert operator(var) == before
    assert Token.objects.filter(name="bootstrap admin").count() == 1


@pytest.mark.parametrize(
    "content", ["", '{"url": "http://loc', "[]", '{"url": "u"}', '{"url":1,"username":2,"admin_token":3}']
)
def test_a_truncated_file_is_refused_in_one_sentence_and_stays(var, content):
    (var / "operator.json").write_text(content)

    with pytest.raises(CommandError, match=r"operator\.json is damaged") as refusal:
        bootstrap()

    assert "\n" not in str(refusal.value)
    assert (var / "operator.json").read_text() == content
    assert not Tenant.objects.exists()


def test_a_disk_that_takes_no_more_is_named(var, monkeypatch):
    monkeypatch.setattr(
        "os.fsync", lambda _handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )

    with pytest.raises(CommandError, match="cannot be written: No space left on device"):
        bootstrap()

    assert [path for path in var.rglob("*") if path.is_file()] == []


def test_what_the_first_start_makes_stands_in_the_audit_log(tmp_path):
    pool_prepare(var=tmp_path, url="http://localhost:8000")
    first = sorted(AuditEntry.objects.values_list("action", "target"))
    pool_prepare(var=tmp_path, url="http://localhost:8000")

    assert ("token.create", "pool/bootstrap admin") in first
    assert ("person.create", "operator") in first
    assert sorted(AuditEntry.objects.values_list("action", "target")) == first
