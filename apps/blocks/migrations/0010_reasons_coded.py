from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blocks", "0009_day_prices")]

    operations = [
        migrations.AddField(
            model_name=model, name="reason_coded", field=models.JSONField(editable=False, null=True)
        )
        for model in ("round", "f3lease")
    ]
