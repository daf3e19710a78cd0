"""Why an account, a token or a grant was refused."""

from __future__ import annotations

from apps.core.errors import BadValue, Conflict, DomainError, NotFound
from apps.core.marked_texts import gettext


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


class NoConsoleToken(Conflict):
    """The token adds no console machine: it was made for something else."""

    code = "no_console_token"

    def __init__(self) -> None:
        super().__init__(gettext("not a token for a console: create one under Consoles, Add a console"))


class ConsoleTokenUsed(Conflict):
    """A machine has exchanged the token, and is not asking again before its first start."""

    code = "console_token_used"

    def __init__(self) -> None:
        super().__init__(
            gettext("a console machine has already joined with this token; each one needs its own")
        )


class MachineTaken(Conflict):
    """Another machine of the pool is called the same."""

    code = "machine_taken"

    def __init__(self, machine: str) -> None:
        text = gettext(
            "another console machine is called {machine}: set POOLSITE_MACHINE to another name, or remove "
            "that one on Consoles if it is gone"
        )
        super().__init__(text.format(machine=machine), field="machine")


class OtherVersion(Conflict):
    """Two versions on one database would not understand each other's rows."""

    code = "other_version"

    def __init__(self, *, own: str, other: str) -> None:
        text = gettext(
            "the pool runs {own}, the machine that joins {other}: check out the pool's version there"
        )
        super().__init__(text.format(own=own, other=other), field="version")


class ServersEmbedded(Conflict):
    """Another machine cannot reach the pool's PostgreSQL or Redis: they answer on a socket of this one."""

    code = "servers_embedded"

    def __init__(self, setting: str) -> None:
        text = gettext(
            "it is a socket that only this machine reaches: move the pool to servers of your own first, "
            "with `make servers` (docs/operations/consoles.md)"
        )
        super().__init__(text, field=setting)


class ConsoleWorks(Conflict):
    """A machine that works is not removed."""

    code = "console_works"

    def __init__(self, machine: str) -> None:
        super().__init__(
            gettext("{machine} is running: stop it there first").format(machine=machine), field="machine"
        )


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


class CompanyRefused(DomainError):
    """The company's identity provider signed somebody in whom the pool does not let in."""

    code = "company_refused"


class CompanyManaged(Conflict):
    """The company's identity provider decides whether this person may come in, and as what."""

    code = "company_managed"

    def __init__(self, *, field: str = "") -> None:
        text = gettext("this person signs in through the company: change it at the identity provider")
        super().__init__(text, field=field)
