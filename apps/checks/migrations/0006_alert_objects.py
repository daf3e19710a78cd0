from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0005_acknowledgements'),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='object_names',
            field=models.JSONField(default=list),
        ),
    ]
