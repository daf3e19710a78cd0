from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallets", "0005_codes_of_older_records")]

    operations = [
        migrations.AddField(
            model_name=model, name="error_coded", field=models.JSONField(editable=False, null=True)
        )
        for model in ("remotewallet", "signrecord")
    ]
