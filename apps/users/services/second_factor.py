"""The second step of a login: codes of an authenticator app, and recovery codes.

Source: RFC 6238 (time-based codes, steps of 30 s), RFC 4226 (6 digits).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime
from typing import Final

import pyotp
import structlog
from django.db import transaction

from apps.users.errors import WrongCode
from apps.users.models import Passkey, RecoveryCode, TotpDevice, User
from apps.users.rules.encryption import DecryptionFailed, text_decrypt, text_encrypt
from apps.users.states import Factor

log = structlog.get_logger(__name__)

ISSUER: Final = "Poolsite"
"""How the app names the site."""
STEP_S: Final = 30
DRIFT_STEPS: Final = 1
"""A phone's clock may be so many steps off."""
RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10
"""80 random bits each: a plain hash of them cannot be searched."""


def has_second_factor(user: User) -> bool:
    """Return whether a password alone does not let this person in."""
    app = TotpDevice.objects.filter(user=user, confirmed_at__isnull=False)
    return app.exists() or Passkey.objects.filter(user=user).exists()


@transaction.atomic
def totp_begin(user: User) -> TotpDevice:
    """Return the device that waits for its first code, made when there is none."""
    device, made = TotpDevice.objects.get_or_create(
        user=user, defaults={"sealed_secret": text_encrypt(pyotp.random_base32())}
    )
    if not made and device.confirmed_at is None and _totp(device) is None:
        device.sealed_secret = text_encrypt(pyotp.random_base32())
        device.save(update_fields=["sealed_secret"])
    return device


def _totp(device: TotpDevice) -> pyotp.TOTP | None:
    """Return the TOTP of a device; None if the site's key was changed since."""
    try:
        return pyotp.TOTP(text_decrypt(device.sealed_secret), interval=STEP_S)
    except DecryptionFailed:
        log.warning("totp_secret_unreadable", user=device.user_id)
        return None


def totp_uri_build(device: TotpDevice) -> str:
    """Return what the QR code says."""
    totp = _totp(device)
    return totp.provisioning_uri(name=device.user.get_username(), issuer_name=ISSUER) if totp else ""


def totp_secret_format(device: TotpDevice) -> str:
    """Return the secret in groups of four, to be typed where no camera is."""
    totp = _totp(device)
    secret = totp.secret if totp else ""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))


@transaction.atomic
def totp_confirm(user: User, *, code: str, now: datetime) -> None:
    """Verify the first code of a new app; from then on the app is asked for.  Raises WrongCode."""
    device = TotpDevice.objects.select_for_update().filter(user=user, confirmed_at=None).first()
    if device is None or not totp_accept(device, code=code, now=now):
        raise WrongCode
    device.confirmed_at = now
    device.save(update_fields=["confirmed_at"])


def totp_accept(device: TotpDevice, *, code: str, now: datetime) -> bool:
    """Check a code against the steps around now; a step that was used, or an older one, is gone."""
    totp = _totp(device)
    if totp is None:
        return False
    here = int(now.timestamp()) // STEP_S
    for step in range(here - DRIFT_STEPS, here + DRIFT_STEPS + 1):
        if step > device.last_step and secrets.compare_digest(
            totp.generate_otp(step).encode(), code.encode()
        ):
            device.last_step = step
            device.save(update_fields=["last_step"])
            return True
    return False


def totp_remove(user: User) -> bool:
    """Remove the app.  False if there was none."""
    return bool(TotpDevice.objects.filter(user=user).delete()[0])


def totp_remove_unreadable(user: User) -> None:
    """Remove the app if its secret was encrypted with a lost key: none of its codes could be checked."""
    device = TotpDevice.objects.filter(user=user).first()
    if device is not None and _totp(device) is None:
        totp_remove(user)


@transaction.atomic
def recovery_codes_generate(user: User) -> list[str]:
    """Generate ten new recovery codes, which nobody can read again; the old ones are worthless."""
    RecoveryCode.objects.filter(user=user).delete()
    codes = [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)
    ]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_recovery_digest(code)) for code in codes)
    return ["-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in codes]


def _recovery_digest(code: str) -> str:
    """Return what we keep of a recovery code, however it was typed."""
    return hashlib.sha256("".join(code.lower().split()).replace("-", "").encode()).hexdigest()


def recovery_codes_count(user: User) -> int:
    """Count the recovery codes that were not used."""
    return RecoveryCode.objects.filter(user=user, used_at=None).count()


def recovery_codes_remove_unneeded(user: User) -> None:
    """Forget recovery codes of who has no second factor: they open nothing."""
    if not has_second_factor(user):
        RecoveryCode.objects.filter(user=user).delete()


@transaction.atomic
def app_code_accept(user: User, *, code: str, now: datetime) -> bool:
    """Verify a code of the app, which is good once."""
    digits = "".join(code.split())
    device = TotpDevice.objects.select_for_update().filter(user=user, confirmed_at__isnull=False).first()
    return device is not None and digits.isdecimal() and totp_accept(device, code=digits, now=now)


@transaction.atomic
def code_accept(user: User, *, code: str, now: datetime) -> str:
    """Verify a code of the app or a recovery code; returns which it was.  Raises WrongCode."""
    if app_code_accept(user, code=code, now=now):
        return Factor.TOTP
    unused = RecoveryCode.objects.filter(user=user, digest=_recovery_digest(code), used_at=None)
    if unused.update(used_at=now):
        return Factor.RECOVERY
    raise WrongCode


@transaction.atomic
def second_factor_reset(user: User) -> None:
    """Remove app, passkeys and recovery codes of a person who lost them."""
    totp_remove(user)
    Passkey.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
