"""A page of the audit log is found without reading the whole of it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "0007_token_limits")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry", index=models.Index(fields=["tenant", "-id"], name="audit_of_tenant")
        ),
        migrations.AddIndex(model_name="auditentry", index=models.Index(fields=["at"], name="audit_at")),
    ]
