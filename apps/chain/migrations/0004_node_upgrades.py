from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chain", "0003_node_is_devnet")]
    operations = [
        migrations.AddField(
            model_name="node",
            name="upgrades",
            field=models.JSONField(default=dict),
        ),
    ]
