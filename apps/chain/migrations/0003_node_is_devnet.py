from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chain", "0002_node_health")]

    operations = [
        migrations.AddField("node", "is_devnet", models.BooleanField(default=False)),
    ]
