from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gateway", "0006_policy_receivers")]

    operations = [
        migrations.AddField(
            model_name="signerconnection",
            name="last_failure_coded",
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="proverconnection",
            name="last_failure_coded",
            field=models.JSONField(editable=False, null=True),
        ),
    ]
