from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("miners", "0010_circulating_supply")]

    operations = [
        migrations.AddField(
            model_name=model, name=f"{field}_coded", field=models.JSONField(editable=False, null=True)
        )
        for model, field in (("miner", "error"), ("role", "note"))
    ]
