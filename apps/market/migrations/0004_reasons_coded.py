from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("market", "0003_deals_by_proposal")]

    operations = [
        migrations.AddField(
            model_name="deal", name="reason_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
