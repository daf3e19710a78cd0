from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sectors", "0037_store_scans"),
    ]

    operations = [
        migrations.AddField(
            model_name="damoclessector",
            name="deals_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="worker",
            name="refuses_data",
            field=models.BooleanField(default=False),
        ),
    ]
