from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pool_checks", "0019_codes_of_older_findings")]

    operations = [
        migrations.AddField(
            model_name="notification", name="text_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
