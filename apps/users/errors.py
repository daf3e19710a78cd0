"""Why an account, a token or a grant was refused."""

from __future__ import annotations

from django.utils.translation import gettext

from apps.core.errors import BadValue, Conflict, DomainError, NotFound


class TokenRefused(DomainError):
    """The text is no token of ours, or one that is no longer good."""

    code = "token_refused"


class TenantUnknown(NotFound):
    """No tenant has this name."""

    code = "tenant_unknown"

    def __init__(self, name: str, *, field: str = "name") -> None:
        super().__init__(gettext("there is no tenant {name!r}").format(name=name), field=field)


class TenantNameTaken(Conflict):
    """A tenant of this name exists."""

    code = "tenant_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(gettext("the tenant {name!r} already exists").format(name=name), field="name")


class PersonNameTaken(Conflict):
    """A person of this name exists."""

    code = "username_taken"

    def __init__(self, name: str) -> None:
        super().__init__(gettext("the person {name!r} already exists").format(name=name), field="username")


class BadPerm(BadValue):
    """Not one of the four levels."""

    code = "bad_perm"

    def __init__(self, perm: str) -> None:
        super().__init__(
            gettext("{perm!r} is not one of read, write, sign, admin").format(perm=perm), field="perm"
        )


class BadGrant(BadValue):
    """The address cannot be given to a tenant, e.g. an ID address as a signer."""

    code = "bad_grant"


class WeakPassword(BadValue):
    """The password does not keep the rules of the settings."""

    code = "weak_password"

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(" ".join(reasons), field="password")


class BadLimit(BadValue):
    """A rate limit that limits nothing sensible."""

    code = "bad_limit"


class PoolTenantKept(Conflict):
    """The operator's own tenant cannot be deleted or disabled."""

    code = "pool_tenant_kept"

    def __init__(self, name: str) -> None:
        super().__init__(
            gettext("{name} is the pool's own account: it cannot be disabled or deleted").format(name=name),
            field="name",
        )


class NoJoinToken(Conflict):
    """The token may join nothing: it was made for something else."""

    code = "no_join_token"

    def __init__(self) -> None:
        super().__init__(gettext("not a join token: create one under Hosts, Join a host"))


class JoinTokenUsed(Conflict):
    """Another host has exchanged the token."""

    code = "join_token_used"

    def __init__(self) -> None:
        super().__init__(gettext("another host has already joined with this token; each host needs its own"))


class LoginThrottled(DomainError):
    """Too many failures: the next try has to wait."""

    code = "login_too_early"

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(gettext("Too many failed attempts: wait {wait_s} seconds.").format(wait_s=wait_s))


class LoginFailed(DomainError):
    """Name and password do not match, or the account is closed; which of it is not said."""

    code = "login_failed"

    def __init__(self) -> None:
        super().__init__(gettext("Name and password do not match."))


class PasskeyRefused(BadValue):
    """The browser's answer does not belong to our question, or to no passkey that we know."""

    code = "passkey_refused"


class InvitationExpired(NotFound):
    """The link was used, is too old, or is none."""

    code = "invitation_expired"

    def __init__(self) -> None:
        super().__init__(gettext("This link has already been used or has expired: ask for a new one."))


class WrongCode(BadValue):
    """No code of this person's app, one that was used already, or no recovery code."""

    code = "wrong_code"

    def __init__(self) -> None:
        super().__init__(gettext("That code is wrong or has already been used."), field="code")
