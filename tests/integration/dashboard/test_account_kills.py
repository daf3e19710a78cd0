"""A change of one's own account and its line in the audit log are written together, or neither is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.users.models import AuditEntry, Passkey, PersonSession, RecoveryCode, TotpDevice, User
from apps.users.services.second_factor import recovery_codes_generate, totp_begin
from tests import people
from tests.authenticator import Authenticator
from tests.integration.dashboard.second_factors import app_of, passkey_added, secret_of, signed_in
from tests.killed_writes import Killed, kill

pytestmark = pytest.mark.django_db

OTHER = "a password of some other words"


def app_confirm(client: Client) -> Any:
    totp_begin(User.objects.get())
    return client.post("/account/totp/", {"code": secret_of(User.objects.get()).now()})


def app_remove(client: Client) -> Any:
    return client.post("/account/totp/remove/", {"sure": "yes"})


def passkey_remove(client: Client) -> Any:
    return client.post(f"/account/passkeys/{Passkey.objects.get().pk}/remove/", {"sure": "yes"})


def session_end(client: Client) -> Any:
    return client.post(f"/account/sessions/{PersonSession.objects.order_by('pk')[0].pk}/end/")


def password_change(client: Client) -> Any:
    fields = {"old_password": people.PASSWORD, "new_password1": OTHER, "new_password2": OTHER}
    return client.post("/password/", fields)


ACTS: dict[str, tuple[str, Callable[[Client], Any]]] = {
    "app": ("person.totp.add", app_confirm),
    "no app": ("person.totp.remove", app_remove),
    "passkey": ("person.passkey.add", lambda client: passkey_added(client, Authenticator())),
    "no passkey": ("person.passkey.remove", passkey_remove),
    "one session": ("person.session.end", session_end),
    "all sessions": ("person.session.end", lambda client: client.post("/account/sessions/end/")),
    "password": ("person.password", password_change),
}
BEFORE: dict[str, Callable[[User, Client], Any]] = {
    "no app": lambda ann, _: (app_of(ann), recovery_codes_generate(ann)),
    "no passkey": lambda _, client: passkey_added(client, Authenticator()),
}


def stored() -> list[Any]:
    """What the acts change, and the audit log."""
    return [
        set(TotpDevice.objects.exclude(confirmed_at=None).values_list("pk")),
        *(set(model.objects.values_list("pk")) for model in (Passkey, PersonSession, RecoveryCode)),
        set(User.objects.values_list("password")),
        list(AuditEntry.objects.values_list("action", flat=True)),
    ]


@pytest.mark.parametrize("what", ACTS)
def test_a_kill_leaves_no_account_changed_without_a_line(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = people.person()
    signed_in(agent="another")
    client = signed_in()
    BEFORE.get(what, lambda *_: None)(ann, client)
    action, act = ACTS[what]
    before = stored()
    with monkeypatch.context() as patch:
        patch.setattr("apps.users.services.own_account.audit_record", kill)
        with pytest.raises(Killed):
            act(client)
    assert stored() == before

    assert act(client).status_code == 302

    assert AuditEntry.objects.order_by("-pk")[0].action == action
    assert stored()[:-1] != before[:-1]
