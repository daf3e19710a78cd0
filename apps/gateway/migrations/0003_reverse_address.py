"""Where a market is that is reached through our address; it was in Redis alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gateway", "0002_connection_indexes")]

    operations = [
        migrations.CreateModel(
            name="ReverseAddress",
            fields=[
                ("host_key", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("url", models.TextField()),
            ],
        ),
    ]
