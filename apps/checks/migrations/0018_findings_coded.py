from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pool_checks", "0017_channels_by_apprise")]

    operations = [
        migrations.AddField(
            model_name="alert", name="say_coded", field=models.JSONField(editable=False, null=True)
        ),
        migrations.AddField(
            model_name="alertentry", name="text_coded", field=models.JSONField(editable=False, null=True)
        ),
    ]
