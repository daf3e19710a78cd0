"""The failures of the last hour are found without reading a month of logins."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0008_audit_lookups")]

    operations = [
        migrations.AddIndex(
            model_name="loginattempt",
            index=models.Index(fields=["-at"], condition=models.Q(is_good=False), name="login_failures"),
        )
    ]
