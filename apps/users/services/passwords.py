"""Passwords, and the people who log in with them."""

from __future__ import annotations

import base64
import secrets

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.users.errors import (
    PersonNameTaken,
    WeakPassword,
)
from apps.users.models import (
    Tenant,
    User,
)
from apps.users.services.operator_file import operator_password_remove
from apps.users.states import Role


@transaction.atomic
def user_create(
    *, username: str, password: str, tenant: Tenant | None, role: str = Role.TENANT, must_change: bool = False
) -> User:
    """Create a person who can log in.  Raises PersonNameTaken, WeakPassword."""
    if User.objects.filter(username=username).exists():
        raise PersonNameTaken(username)
    person = User(username=username, tenant=tenant, role=role, must_change_password=must_change)
    password_check(password, user=person)
    person.set_password(password)
    person.save()
    return person


@transaction.atomic
def user_set_password(*, user: User, password: str, must_change: bool = False) -> None:
    """Set a person's password.  Raises WeakPassword."""
    password_check(password, user=user)
    user.set_password(password)
    user.must_change_password = must_change
    user.save(update_fields=["password", "must_change_password"])


@transaction.atomic
def password_change(*, user: User, new_password: str) -> None:
    """Set the password that a person chose; the generated one leaves operator.json.  Raises WeakPassword."""
    user_set_password(user=user, password=new_password)
    name = user.get_username()
    transaction.on_commit(lambda: operator_password_remove(settings.VAR / "operator.json", username=name))


def password_check(password: str, *, user: User) -> None:
    """Check a password against the validators of the settings.  Raises WeakPassword."""
    try:
        validate_password(password, user)
    except ValidationError as exc:
        raise WeakPassword(exc.messages) from None


def password_generate() -> str:
    """Generate a password that is easy to type: 15 random bytes in base 32."""
    return base64.b32encode(secrets.token_bytes(15)).decode().lower()
