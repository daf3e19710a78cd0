"""Passkeys: adding one to an account, and logging in with it.

Source: W3C Web Authentication Level 3, sections 7.1 (registration) and 7.2 (assertion), by py_webauthn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from apps.core.marked_texts import gettext
from apps.users.errors import PasskeyRefused
from apps.users.models import Passkey, User

SITE_NAME: Final = "Poolsite"
PASSKEYS_MAX: Final = 20
"""Of one person."""
ANSWER_MAX_CHARS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Where the page was opened: a passkey is bound to it."""

    host: str
    """Name without port."""
    origin: str
    """Scheme, name and port, as the browser reports them."""


@dataclass(frozen=True, slots=True)
class PasskeyOptions:
    """What the browser is asked for."""

    options: str
    """JSON for `navigator.credentials`."""
    challenge: str
    """base64url; the answer must hold it."""


def _descriptors(user: User) -> list[PublicKeyCredentialDescriptor]:
    """Name the passkeys that a person has."""
    ids = Passkey.objects.filter(user=user).values_list("credential_id", flat=True)
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(key)) for key in ids]


def registration_options_generate(user: User, *, place: RelyingParty) -> PasskeyOptions:
    """Return the options for a new passkey, discoverable and verified by the device where it can."""
    options = generate_registration_options(
        rp_id=place.host,
        rp_name=SITE_NAME,
        user_id=f"person:{user.pk}".encode(),
        user_name=user.get_username(),
        exclude_credentials=_descriptors(user),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
    )
    return PasskeyOptions(options_to_json(options), bytes_to_base64url(options.challenge))


def passkey_add(user: User, *, answer: str, challenge: str, place: RelyingParty, name: str) -> Passkey:
    """Keep a new passkey.  Raises PasskeyRefused."""
    challenge_check(challenge)
    if Passkey.objects.filter(user=user).count() >= PASSKEYS_MAX:
        raise PasskeyRefused(gettext("an account can have at most {most} passkeys").format(most=PASSKEYS_MAX))
    try:
        made = verify_registration_response(
            credential=answer_read(answer),
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=place.host,
            expected_origin=place.origin,
        )
    except WebAuthnException as error:
        raise PasskeyRefused(
            gettext("the browser's response was rejected: {error}").format(error=error)
        ) from None
    row = Passkey(
        user=user,
        name=name[:60] or "Passkey",
        credential_id=bytes_to_base64url(made.credential_id),
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        is_synced=made.credential_backed_up,
    )
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise PasskeyRefused(gettext("this passkey is already registered")) from None
    return row


def assertion_options_generate(
    user: User | None, *, place: RelyingParty, must_verify: bool = False
) -> PasskeyOptions:
    """Return the options for a passkey of this person; of anybody where the name is not known.

    With `must_verify` the device has to verify this person too: nothing else was asked for.
    """
    is_alone = user is None or must_verify
    needed = UserVerificationRequirement.REQUIRED if is_alone else UserVerificationRequirement.PREFERRED
    options = generate_authentication_options(
        rp_id=place.host,
        allow_credentials=_descriptors(user) if user is not None else [],
        user_verification=needed,
    )
    return PasskeyOptions(options_to_json(options), bytes_to_base64url(options.challenge))


def passkey_accept(
    *,
    answer: str,
    challenge: str,
    place: RelyingParty,
    now: datetime,
    user: User | None = None,
    must_verify: bool = False,
    asked_at: datetime | None = None,
) -> Passkey:
    """Check a passkey's signature; with `user` it must be theirs and follows their password.

    With `must_verify` it stands alone even so: the device has verified its owner.  A challenge that no
    session keeps was `asked_at` a time: a passkey that was used since may have answered it.

    Raises PasskeyRefused.
    """
    challenge_check(challenge)
    read = answer_read(answer)
    key = str(read.get("id", "")).replace("\0", "")
    rows = Passkey.objects.select_related("user__tenant").filter(credential_id=key)
    row = (rows if user is None else rows.filter(user=user)).first()
    if row is None:
        raise PasskeyRefused(gettext("this passkey is not registered here"))
    try:
        proved = verify_authentication_response(
            credential=read,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=place.host,
            expected_origin=place.origin,
            credential_public_key=bytes(row.public_key),
            credential_current_sign_count=row.sign_count,
            require_user_verification=user is None or must_verify,
        )
    except WebAuthnException as error:
        raise PasskeyRefused(gettext("the passkey was rejected: {error}").format(error=error)) from None
    unused = Passkey.objects.filter(pk=row.pk)
    if asked_at is not None:
        unused = unused.filter(Q(last_used_at=None) | Q(last_used_at__lt=asked_at))
    row.sign_count, row.last_used_at, row.is_synced = proved.new_sign_count, now, proved.credential_backed_up
    if not unused.update(sign_count=row.sign_count, last_used_at=row.last_used_at, is_synced=row.is_synced):
        raise PasskeyRefused(gettext("no passkey request is pending: try again"))
    return row


def passkey_remove(user: User, *, pk: int) -> str:
    """Forget a passkey; returns its name, empty if there was none."""
    row = Passkey.objects.filter(user=user, pk=pk).first()
    if row is None:
        return ""
    row.delete()
    return row.name


def challenge_check(challenge: str) -> None:
    """Refuse an answer to which there was no question: it could be an old one.  Raises PasskeyRefused."""
    if not challenge:
        raise PasskeyRefused(gettext("no passkey request is pending: try again"))


def answer_read(text: str) -> dict[str, Any]:
    """Read the browser's answer.  Raises PasskeyRefused."""
    if len(text) > ANSWER_MAX_CHARS:
        raise PasskeyRefused(gettext("the browser's response is too long"))
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        raise PasskeyRefused(gettext("the browser returned no passkey")) from None
    if not isinstance(read, dict):
        raise PasskeyRefused(gettext("the browser returned no passkey"))
    return read
