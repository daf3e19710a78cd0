"""An id that a caller chose is unique within its tenant; the primary key stays unique in the whole pool."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messages", "0005_receivers")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="push_id",
            field=models.CharField(default="", max_length=256),
            preserve_default=False,
        ),
        migrations.RunSQL("UPDATE messages_message SET push_id = id", migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.UniqueConstraint(
                fields=("push_id", "tenant"), name="message_push_id_once", nulls_distinct=False
            ),
        ),
    ]
