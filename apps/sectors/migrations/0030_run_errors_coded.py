from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sectors", "0029_events_by_month")]

    operations = [
        migrations.AddField(
            model_name="pipelinerun", name="error_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
