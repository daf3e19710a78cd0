"""`Sender.checked_height` was written and never read: new code leaves it out, the last version still writes it.

The version after this one drops the column, in a `ContractMigration` that needs this migration.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("messages", "0016_events_by_month")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("sender", "checked_height")],
        )
    ]
