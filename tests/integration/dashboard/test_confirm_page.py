"""What cannot be undone is asked first: the first click changes nothing, the second does it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core import clock
from apps.users.models import Passkey, RecoveryCode, Token, TotpDevice, User
from apps.users.services.second_factor import recovery_codes_generate, totp_begin
from tests import people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def adam() -> User:
    return people.person("adam", role="TENANT_ADMIN")


def asked(client: Client, path: str, *words: str) -> None:
    """Click once: a question with a way back, and nothing done."""
    answer = client.post(path)
    text = text_of(answer)
    assert answer.status_code == 200
    for word in (*words, 'name="sure" value="yes"', "Cancel"):
        assert word in text


def may_enter(person: User) -> bool:
    row = User.objects.get(pk=person.pk)
    return bool(row.is_active and row.has_usable_password())


def done(client: Client, path: str) -> Any:
    return client.post(path, {"sure": "yes"})


@pytest.mark.parametrize(
    ("op", "word"), [("close", "Deactivate the account of carl"), ("reset", "Reset the account of carl")]
)
def test_closing_and_resetting_a_person(adam, op, word):
    carl, client = people.person("carl"), signed_in("adam")

    asked(client, f"/people/{carl.pk}/{op}/", word)
    assert may_enter(carl)

    assert done(client, f"/people/{carl.pk}/{op}/").status_code == 302
    assert not may_enter(carl)


def test_a_strangers_person_is_not_even_asked_about(adam):
    bill = people.person("bill", of="bob")

    assert signed_in("adam").post(f"/people/{bill.pk}/close/").status_code == 404


def test_revoking_a_token(adam):
    people.token("read", of="alice")
    token, client = Token.objects.get(name="alice-read"), signed_in("adam")

    asked(client, f"/tokens/{token.pk}/revoke/", "Revoke alice-read")
    assert Token.objects.filter(revoked_at=None, pk=token.pk).exists()

    done(client, f"/tokens/{token.pk}/revoke/")
    assert not Token.objects.filter(revoked_at=None, pk=token.pk).exists()


def test_removing_the_app_and_making_new_codes(adam):
    totp_begin(adam)
    TotpDevice.objects.filter(user=adam).update(confirmed_at=clock.now())
    recovery_codes_generate(adam)
    before = set(RecoveryCode.objects.values_list("digest", flat=True))
    client = signed_in("adam")

    asked(client, "/account/recovery/", "Generate new recovery codes")
    assert set(RecoveryCode.objects.values_list("digest", flat=True)) == before
    done(client, "/account/recovery/")
    assert not before & set(RecoveryCode.objects.values_list("digest", flat=True))

    asked(client, "/account/totp/remove/", "Remove the app")
    assert TotpDevice.objects.filter(user=adam).exists()
    done(client, "/account/totp/remove/")
    assert not TotpDevice.objects.filter(user=adam).exists()


def test_removing_a_passkey(adam):
    row = Passkey.objects.create(user=adam, name="laptop", credential_id="1", public_key=b"2", sign_count=0)
    client = signed_in("adam")

    asked(client, f"/account/passkeys/{row.pk}/remove/", "Remove the passkey laptop")
    assert Passkey.objects.exists()
    done(client, f"/account/passkeys/{row.pk}/remove/")
    assert not Passkey.objects.exists()
