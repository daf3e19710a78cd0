"""Why a channel did not take a notification."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

TOO_OLD = reason("checks.too_old", gettext_noop("not sent within 24 hours"))
SEE_LOG = reason("checks.see_log", gettext_noop("{error}: see the log"))
KEY_CHANGED = reason(
    "checks.key_changed", gettext_noop("SECRET_KEY has changed: remove the channel and add it again")
)
STATUS = reason("checks.status", gettext_noop("HTTP status {status}"))
STATUS_SAID = reason("checks.status_said", gettext_noop("HTTP status {status}: {error}"))
NO_RESPONSE = reason("checks.no_response", gettext_noop("no response: {error}"))
MAIL_ERROR = reason("checks.mail_error", gettext_noop("mail server error: {error}"))
NOT_PUBLIC = reason("checks.not_public", gettext_noop("its host has no public address"))
UNEXPECTED = reason("checks.unexpected", gettext_noop("unexpected response"))
PUSH_ENDED = reason("checks.push_ended", gettext_noop("its sending process ended with status {status}"))
PUSH_REFUSED = reason("checks.push_refused", gettext_noop("not allowed to its sending process: {what}"))
REFUSED = reason("checks.refused", gettext_noop("refused: {reason}"))
