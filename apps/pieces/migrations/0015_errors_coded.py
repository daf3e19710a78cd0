from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0014_pieces_by_allocation")]

    operations = [
        migrations.AddField(
            model_name="piece", name="error_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
