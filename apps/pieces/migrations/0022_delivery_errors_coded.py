from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0021_one_rule_of_pieces")]

    operations = [
        migrations.AddField(
            model_name="piecedelivery", name="error_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
