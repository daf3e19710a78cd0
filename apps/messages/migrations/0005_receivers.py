"""Receivers' kinds are kept; a gas guard may speak of one kind of receiver."""

from django.db import migrations, models

import apps.core.fields


class Migration(migrations.Migration):
    dependencies = [("messages", "0004_narrow_pages")]

    operations = [
        migrations.CreateModel(
            name="Receiver",
            fields=[
                ("address", apps.core.fields.AddressField(max_length=128, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=32)),
                ("code", apps.core.fields.CidField(max_length=128)),
            ],
        ),
        migrations.AddField(
            model_name="gasguard",
            name="actor",
            field=models.CharField(blank=True, default="", max_length=32),
        ),
    ]
