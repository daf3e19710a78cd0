"""`manage.py makemessages`: writes the catalogue of the sentences that are marked for translation."""

from __future__ import annotations

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    """Read marked sentences, those of `gettext as say` too, which GNU's program does not know by itself."""

    xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=say"]
