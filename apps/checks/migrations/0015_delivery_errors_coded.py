from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pool_checks", "0014_channel_scopes")]

    operations = [
        migrations.AddField(
            model_name="notification", name="error_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
