from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messages", "0019_reasons_of_older_rows")]

    operations = [
        migrations.AddField(
            model_name=model, name=f"{field}_coded", field=models.JSONField(editable=False, null=True)
        )
        for model, field in (("messageapproval", "rule"), ("messageevent", "text"))
    ]
