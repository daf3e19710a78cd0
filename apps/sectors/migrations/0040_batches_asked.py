from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sectors', '0039_update_funds'),
    ]

    operations = [
        migrations.AddField(
            model_name='batchsettings',
            name='send_asked_height',
            field=models.BigIntegerField(null=True),
        ),
    ]
