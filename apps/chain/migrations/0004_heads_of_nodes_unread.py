"""`Node.head_key` was written and never read: new code leaves it out, the last version still writes it.

The version after this one drops the column, in a `ContractMigration` that needs this migration.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chain", "0003_node_forked")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AlterField("node", "head_key", models.TextField(blank=True, default="", db_default=""))
            ],
            state_operations=[migrations.RemoveField("node", "head_key")],
        )
    ]
