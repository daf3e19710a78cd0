from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0001_tables'),
    ]

    operations = [
        migrations.AddField(
            model_name='notification',
            name='keys',
            field=models.JSONField(default=list),
        ),
    ]
