from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallets", "0003_data_cap")]

    operations = [
        migrations.AddField(
            model_name="signrecord", name="what_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
