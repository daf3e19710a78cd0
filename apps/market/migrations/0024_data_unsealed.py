from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("market", "0023_deal_folders")]

    operations = [
        migrations.AddField(
            model_name="minermarket",
            name="unseals_data",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
