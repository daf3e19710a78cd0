"""Each reconnect makes a row: those that are open, were seen lately or failed are found without the others."""

from django.db import migrations, models

INDEXES = (
    ("open", {"fields": ["process"], "condition": models.Q(("closed_at", None))}),
    ("seen", {"fields": ["seen_at"]}),
    ("failed", {"fields": ["failed_at"], "condition": models.Q(("failed_at__isnull", False))}),
)


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_tables")]

    operations = [
        migrations.AddIndex(model_name=model, index=models.Index(name=f"{model}_{name}", **index))
        for model in ("proverconnection", "signerconnection")
        for name, index in INDEXES
    ]
