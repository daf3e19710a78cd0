"""Sectors know their tenant, so that a tenant's pages read an index of its own rows."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("miners", "0001_initial"),
        ("sectors", "0001_initial"),
        ("users", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="sector",
            name="tenant",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="users.tenant",
            ),
        ),
        # Checked at once: a table with a check still to come cannot be altered.
        migrations.RunSQL(
            "set constraints all immediate;"
            " update sectors_sector set tenant_id = miners_miner.tenant_id"
            " from miners_miner where miners_miner.id = sectors_sector.miner_id;"
            " set constraints all deferred",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name="sector",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="users.tenant",
            ),
        ),
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(fields=["state", "active", "-id"], name="sectors_page"),
        ),
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(fields=["tenant", "-id"], name="sectors_of_a_tenant"),
        ),
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(fields=["tenant", "state", "active", "-id"], name="sectors_tenant_page"),
        ),
    ]
