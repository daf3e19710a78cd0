"""`Block.reserved_at` was written and never read: new code leaves it out, the last version still writes it.

The version after this one drops the column, in a `ContractMigration` that needs this migration.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blocks", "0007_correction_keys")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AlterField("block", "reserved_at", models.DateTimeField(null=True))
            ],
            state_operations=[migrations.RemoveField("block", "reserved_at")],
        )
    ]
