"""What people change of their own account; each with its line in the audit log, or neither."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from apps.core import clock
from apps.core.errors import NotFound
from apps.core.formatting import plural
from apps.users.models import User
from apps.users.rules.principals import Principal
from apps.users.services.access import access_change_publish
from apps.users.services.audit import audit_record
from apps.users.services.passkeys import RelyingParty, passkey_add, passkey_remove
from apps.users.services.passwords import password_change
from apps.users.services.people import company_refuse
from apps.users.services.second_factor import (
    recovery_codes_count,
    recovery_codes_generate,
    recovery_codes_remove_unneeded,
    totp_confirm,
    totp_remove,
)
from apps.users.services.sessions import session_end, session_rekey, sessions_end


def _record(principal: Principal, action: str, **after: str) -> None:
    audit_record(principal=principal, action=action, target=principal.actor, after=after or None)


def _first_codes(person: User) -> list[str]:
    """Return recovery codes that are made with a first factor; none where there are some."""
    return [] if recovery_codes_count(person) else recovery_codes_generate(person)


@transaction.atomic
def own_totp_add(person: User, *, code: str, by: Principal) -> list[str]:
    """Confirm the person's app by its first code; return their first recovery codes.

    Raises WrongCode, CompanyManaged.
    """
    company_refuse(person)
    totp_confirm(person, code=code, now=clock.now())
    _record(by, "person.totp.add")
    return _first_codes(person)


@transaction.atomic
def own_totp_remove(person: User, *, by: Principal) -> None:
    """Remove the person's app, and recovery codes that nothing needs any more."""
    if totp_remove(person):
        _record(by, "person.totp.remove")
    recovery_codes_remove_unneeded(person)


@transaction.atomic
def own_passkey_add(
    person: User, *, answer: str, challenge: str, place: RelyingParty, name: str, by: Principal
) -> list[str]:
    """Add a browser's passkey; return the person's first recovery codes.

    Raises PasskeyRefused, CompanyManaged.
    """
    company_refuse(person)
    row = passkey_add(person, answer=answer, challenge=challenge, place=place, name=name)
    _record(by, "person.passkey.add", name=row.name)
    return _first_codes(person)


@transaction.atomic
def own_passkey_remove(person: User, *, pk: int, by: Principal) -> None:
    """Remove one of the person's passkeys.  Raises NotFound."""
    name = passkey_remove(person, pk=pk)
    if not name:
        raise NotFound
    _record(by, "person.passkey.remove", name=name)
    recovery_codes_remove_unneeded(person)


@transaction.atomic
def own_recovery_codes_make(person: User, *, by: Principal) -> list[str]:
    """Make recovery codes in place of those that there are, and return them."""
    _record(by, "person.recovery.make")
    return recovery_codes_generate(person)


@transaction.atomic
def own_session_end(person: User, *, pk: int, by: Principal) -> None:
    """Sign one of the person's browsers out.  Raises NotFound."""
    if not session_end(person, pk=pk):
        raise NotFound
    _record(by, "person.session.end")


@transaction.atomic
def own_sessions_end(person: User, *, but: str, by: Principal) -> int:
    """Sign all browsers out but the one with this session; return how many."""
    ended = sessions_end(person, but=but)
    _record(by, "person.session.end", sessions=plural(ended, "session"))
    return ended


@transaction.atomic
def own_password_change(
    person: User, *, new_password: str, key: str, rekey: Callable[[], str], by: Principal
) -> None:
    """Change the person's password and sign all other browsers out.  Raises WeakPassword, CompanyManaged.

    `key` is this browser's session, to which `rekey` gives another key, and returns it.
    """
    company_refuse(person)
    password_change(user=person, new_password=new_password)
    new = rekey()
    session_rekey(old=key, new=new)
    sessions_end(person, but=new)
    access_change_publish()  # closes the live sockets of the other sessions at once
    _record(by, "person.password")
