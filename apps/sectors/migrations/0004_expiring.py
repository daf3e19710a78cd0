"""What expires soon is found without reading what lives long."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sectors", "0003_tenant_underway"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(
                condition=models.Q(("state", "PROVING")), fields=["expiration"], name="sectors_expiring"
            ),
        ),
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(
                condition=models.Q(("state", "PROVING")),
                fields=["tenant", "expiration"],
                name="sectors_tenant_expiring",
            ),
        ),
    ]
