from __future__ import annotations

import io
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core import clock
from apps.users.errors import TokenRefused
from apps.users.models import AuditEntry, SiteKey, Tenant, Token, TotpDevice, User
from apps.users.rules.encryption import text_encrypt
from apps.users.services.bootstrap import pool_prepare
from apps.users.services.passwords import password_change
from apps.users.services.tokens import token_revoke
from tests.people import principal_by_token

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


def test_a_start_in_another_folder_revokes_and_resets_nothing(var, tmp_path, settings):
    bootstrap()
    before = operator(var)
    first = {path.name: path.read_text().strip() for path in (var / "tokens").iterdir()}
    settings.VAR = tmp_path / "second"

    bootstrap()

    second = {path.name: path.read_text().strip() for path in (settings.VAR / "tokens").iterdir()}
    assert not Token.objects.exclude(revoked_at=None).exists()
    assert all(principal_by_token(text, now=clock.now()) for text in (*first.values(), *second.values()))
    assert not set(first.values()) & set(second.values())
    assert User.objects.get().check_password(before["password"])
    assert operator(settings.VAR).keys() == {"url", "username", "admin_token"}
    assert Token.objects.filter(name=f"bootstrap signer on {socket.gethostname()}").count() == 1


def test_the_first_folder_goes_on_after_a_start_in_another(var, tmp_path, settings):
    bootstrap()
    before = operator(var)
    settings.VAR = tmp_path / "second"
    bootstrap()
    settings.VAR = var

    bootstrap()

    assert operator(var) == before
    assert Token.objects.filter(revoked_at=None).count() == 8


def test_a_start_that_was_killed_leaves_no_token_without_a_holder(var, monkeypatch):
    with monkeypatch.context() as killed:
        write = "apps.users.services.bootstrap.operator_write"
        killed.setattr(write, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bootstrap()
    assert (Token.objects.count(), User.objects.count()) == (0, 0)

    bootstrap()

    assert Token.objects.count() == 4
    assert User.objects.get().check_password(operator(var)["password"])
    assert principal_by_token(operator(var)["admin_token"], now=clock.now()).is_operator


def test_a_lost_token_file_gets_another_token_and_the_old_one_stays(var):
    bootstrap()
    (var / "tokens" / "sealer").unlink()
    (var / "tokens" / "admin").unlink()
    admin = operator(var)["admin_token"]

    bootstrap()

    assert Token.objects.filter(name__startswith="bootstrap sealer", revoked_at=None).count() == 2
    text = (var / "tokens" / "sealer").read_text().strip()
    assert principal_by_token(text, now=clock.now()).scopes == ("sealer",)
    assert (var / "tokens" / "admin").read_text().strip() == admin, "operator.json had it too"


def test_another_key_than_the_databases_is_refused_and_changes_nothing(var, settings):
    bootstrap()
    before = {path: path.read_bytes() for path in var.rglob("*") if path.is_file()}
    settings.SECRET_KEY = "another"

    with pytest.raises(CommandError, match=r"another SECRET_KEY.*make takeover") as refusal:
        bootstrap()

    assert refusal.value.returncode == os.EX_CONFIG
    assert {path: path.read_bytes() for path in var.rglob("*") if path.is_file()} == before
    assert (Token.objects.count(), AuditEntry.objects.count()) == (4, 5)


def test_an_earlier_key_is_replaced_while_it_is_among_the_fallbacks(var, settings):
    bootstrap()
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [before]

    bootstrap()
    settings.SECRET_KEY_FALLBACKS = []
    bootstrap()

    assert SiteKey.objects.count() == 1


def test_taking_over_makes_a_usable_pool_of_a_lost_folder(var, tmp_path, settings):
    bootstrap()
    lost = [path.read_text().strip() for path in (var / "tokens").iterdir()]
    person = User.objects.get()
    TotpDevice.objects.create(user=person, sealed_secret=text_encrypt("A" * 16), confirmed_at=clock.now())
    other = Token.objects.create(tenant=Tenant.objects.get(), name="of a host", perm="write", digest="d")
    settings.VAR, settings.SECRET_KEY = tmp_path / "second", "another"

    call_command("bootstrap", take_over=True, stdout=io.StringIO())
    entry = operator(settings.VAR)
    bootstrap()

    assert operator(settings.VAR) == entry
    person.refresh_from_db()
    assert person.check_password(entry["password"])
    assert person.must_change_password
    assert not TotpDevice.objects.exists(), "no code of it would be right"
    for text in lost:
        with pytest.raises(TokenRefused):
            principal_by_token(text, now=clock.now())
    assert principal_by_token(entry["admin_token"], now=clock.now()).is_operator
    other.refresh_from_db()
    assert other.revoked_at is None
    acts = set(AuditEntry.objects.values_list("action", "target"))
    assert {("token.revoke", "pool/bootstrap admin"), ("person.password", "operator")} <= acts


def test_taking_over_keeps_what_this_folder_has(var):
    bootstrap()
    before = {path: path.read_bytes() for path in var.rglob("*") if path.is_file()}

    call_command("bootstrap", take_over=True, stdout=io.StringIO())

    assert {path: path.read_bytes() for path in var.rglob("*") if path.is_file()} == before
    assert not Token.objects.exclude(revoked_at=None).exists()


def test_a_folder_takes_over_again_from_the_one_that_took_over(var, tmp_path, settings):
    bootstrap()
    settings.VAR = tmp_path / "second"
    call_command("bootstrap", take_over=True, stdout=io.StringIO())
    second = operator(settings.VAR)["admin_token"]
    settings.VAR = var

    call_command("bootstrap", take_over=True, stdout=io.StringIO())

    texts = {path.name: path.read_text().strip() for path in (var / "tokens").iterdir()}
    assert texts["admin"] == operator(var)["admin_token"]
    assert all(principal_by_token(text, now=clock.now()) for text in texts.values())
    with pytest.raises(TokenRefused):
        principal_by_token(second, now=clock.now())


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
