from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("automation", "0002_extensions")]

    operations = [
        migrations.AddField(
            model_name="autorule", name=f"{field}_coded", field=models.JSONField(editable=False, null=True)
        )
        for field in ("note", "stopped")
    ]
