from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0005_key_labels'),
    ]

    operations = [
        migrations.AddField(
            model_name='signerconnection',
            name='policy_receivers',
            field=models.JSONField(null=True),
        ),
    ]
