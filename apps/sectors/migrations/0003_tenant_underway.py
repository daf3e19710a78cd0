"""What a tenant has under way is found without reading what it has proven."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("miners", "0001_initial"),
        ("sectors", "0002_tenant"),
        ("users", "0007_token_limits"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(
                condition=models.Q(("state__in", ["PROVING", "ABORTED"]), _negated=True),
                fields=["tenant", "-id"],
                name="sectors_tenant_underway",
            ),
        ),
    ]
