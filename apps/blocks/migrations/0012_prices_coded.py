from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blocks", "0011_reasons_of_older_rows")]

    operations = [
        migrations.AddField(
            model_name="pricereading", name="error_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
