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
