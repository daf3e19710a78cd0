from __future__ import annotations

from datetime import datetime, timedelta

import pyotp
import pytest
from django.test import override_settings

from apps.core import clock
from apps.users.errors import WrongCode
from apps.users.models import RecoveryCode, TotpDevice, User
from apps.users.rules.encryption import DecryptionFailed, text_decrypt, text_encrypt
from apps.users.services import logins
from apps.users.services.logins import second_step_verify
from apps.users.services.second_factor import (
    STEP_S,
    code_accept,
    has_second_factor,
    recovery_codes_count,
    recovery_codes_generate,
    second_factor_reset,
    totp_begin,
    totp_confirm,
    totp_secret_format,
    totp_uri_build,
)
from tests import people
from tests.killed_writes import Killed, kill

pytestmark = pytest.mark.django_db

NOW = clock.now()


@pytest.fixture
def ann() -> User:
    return people.person("ann")


def code_at(user: User, moment: datetime = NOW) -> str:
    secret = text_decrypt(TotpDevice.objects.get(user=user).sealed_secret)
    return pyotp.TOTP(secret).at(moment)


def app_of(user: User) -> None:
    totp_begin(user)
    totp_confirm(user, code=code_at(user, NOW - timedelta(seconds=STEP_S)), now=NOW)


def test_an_app_is_asked_for_only_after_its_first_code(ann):
    totp_begin(ann)
    assert not has_second_factor(ann)
    with pytest.raises(WrongCode):
        code_accept(ann, code=code_at(ann), now=NOW)

    totp_confirm(ann, code=code_at(ann), now=NOW)

    assert has_second_factor(ann)


def test_unconfirmed_secret_is_stable_and_encrypted_at_rest(ann):
    first, again = totp_begin(ann), totp_begin(ann)

    secret = totp_secret_format(first).replace(" ", "")
    assert totp_secret_format(again).replace(" ", "") == secret
    assert secret not in first.sealed_secret
    assert totp_uri_build(first) == f"otpauth://totp/Poolsite:ann?secret={secret}&issuer=Poolsite"


def test_a_wrong_first_code_confirms_nothing(ann):
    totp_begin(ann)
    wrong = f"{(int(code_at(ann)) + 1) % 10**6:06}"
    near = {code_at(ann, NOW + timedelta(seconds=step * STEP_S)) for step in (-1, 0, 1)}

    with pytest.raises(WrongCode):
        totp_confirm(ann, code=wrong if wrong not in near else "x", now=NOW)

    assert not has_second_factor(ann)


def test_a_code_is_good_once_and_older_ones_go_with_it(ann):
    app_of(ann)

    assert code_accept(ann, code=code_at(ann), now=NOW) == "TOTP"
    for moment in (NOW, NOW - timedelta(seconds=STEP_S)):
        with pytest.raises(WrongCode):
            code_accept(ann, code=code_at(ann, moment), now=NOW)


@pytest.mark.parametrize(("steps", "is_good"), [(-2, False), (1, True), (2, False)])
def test_a_phones_clock_may_be_one_step_off(ann, steps, is_good):
    app_of(ann)
    code = code_at(ann, NOW + timedelta(seconds=steps * STEP_S))

    if is_good:
        assert code_accept(ann, code=f"{code[:3]} {code[3:]}", now=NOW) == "TOTP"
    else:
        with pytest.raises(WrongCode):
            code_accept(ann, code=code, now=NOW)


def test_a_recovery_code_is_good_once_however_it_is_typed(ann):
    app_of(ann)
    codes = recovery_codes_generate(ann)
    assert len(set(codes)) == 10

    assert code_accept(ann, code=f" {codes[3].upper().replace('-', ' ')}", now=NOW) == "RECOVERY"
    with pytest.raises(WrongCode):
        code_accept(ann, code=codes[3], now=NOW)
    assert recovery_codes_count(ann) == 9


def test_new_recovery_codes_make_the_old_ones_worthless(ann):
    old = recovery_codes_generate(ann)
    recovery_codes_generate(ann)

    with pytest.raises(WrongCode):
        code_accept(ann, code=old[0], now=NOW)


def test_anothers_codes_are_no_use(ann):
    bill = people.person("bill", of="bob")
    app_of(bill)
    codes = recovery_codes_generate(bill)

    for code in (code_at(bill), codes[0]):
        with pytest.raises(WrongCode):
            code_accept(ann, code=code, now=NOW)


def test_an_old_site_key_still_opens_what_it_sealed(ann, settings):
    sealed = text_encrypt("secret")
    before = settings.SECRET_KEY

    with override_settings(SECRET_KEY="another key", SECRET_KEY_FALLBACKS=[before]):
        assert text_decrypt(sealed) == "secret"
    with override_settings(SECRET_KEY="another key"), pytest.raises(DecryptionFailed):
        text_decrypt(sealed)


def test_lost_site_key_leaves_recovery_codes_only(ann):
    app_of(ann)
    codes, code = recovery_codes_generate(ann), code_at(ann)

    with override_settings(SECRET_KEY="another key"):
        with pytest.raises(WrongCode):
            code_accept(ann, code=code, now=NOW)
        assert code_accept(ann, code=codes[0], now=NOW) == "RECOVERY"


def test_a_reset_leaves_nothing(ann):
    app_of(ann)
    recovery_codes_generate(ann)

    second_factor_reset(ann)

    assert not has_second_factor(ann)
    assert not RecoveryCode.objects.exists()


def test_a_kill_uses_up_no_code_without_its_login(ann, monkeypatch):
    [code, *_] = recovery_codes_generate(ann)
    with monkeypatch.context() as patch:
        patch.setattr(logins, "login_record", kill)
        with pytest.raises(Killed):
            second_step_verify(ann, code=code, source="10.0.0.1", now=NOW)

    assert second_step_verify(ann, code=code, source="10.0.0.1", now=NOW) == "RECOVERY"
