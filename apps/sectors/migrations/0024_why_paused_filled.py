"""Fill the columns of why a sector is paused, and of what was withdrawn, out of the texts of the rows before.

Of sectors that are paused or under way: others have no use for them.  In small steps without a transaction
around them; each may run any number of times.
"""

import re

from django.db import migrations

PAUSED = re.compile(r"paused by (.+)", re.DOTALL)
LACKS_FILES = re.compile(r"store (.+?) lacks its files: ", re.DOTALL)
WITHDRAWN = (
    "the miner's balance no longer covers its share",
    "the message needs more funds or gas than there is now",
)
FINAL = ("PROVING", "ABORTED", "TERMINATED")
STEP = 500


def paused_fill(apps, schema_editor):
    """Set who paused a sector, or in which store its files are bad."""
    rows = apps.get_model("sectors", "Sector").objects
    paused = rows.exclude(paused_at=None).filter(paused_by="", bad_store="")
    for pk, error in list(paused.values_list("pk", "error")):
        if found := PAUSED.fullmatch(error):
            rows.filter(pk=pk, error=error).update(paused_by=found[1][:200])
        elif found := LACKS_FILES.match(error):
            rows.filter(pk=pk, error=error).update(bad_store=found[1][:110])


def withdrawn_fill(apps, schema_editor):
    """Mark the failures of messages that were withdrawn, of sectors under way."""
    sectors = apps.get_model("sectors", "Sector").objects.exclude(state__in=FINAL).order_by("pk")
    events = apps.get_model("sectors", "JobEvent").objects
    kinds = ("FAIL_PRECOMMIT", "FAIL_COMMIT")
    last = 0
    while keys := list(sectors.filter(pk__gt=last).values_list("pk", flat=True)[:STEP]):
        mine = events.filter(job__sector__in=keys, event__in=kinds, note__in=WITHDRAWN)
        mine.update(is_withdrawn=True)
        last = keys[-1]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("sectors", "0023_why_paused")]

    operations = [
        migrations.RunPython(paused_fill, migrations.RunPython.noop),
        migrations.RunPython(withdrawn_fill, migrations.RunPython.noop),
    ]
