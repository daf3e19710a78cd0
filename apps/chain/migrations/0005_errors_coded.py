from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chain", "0004_heads_of_nodes_unread")]

    operations = [
        migrations.AddField(
            model_name="node", name="error_coded", field=models.JSONField(editable=False, null=True)
        )
    ]
