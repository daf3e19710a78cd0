from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0003_consoles_and_backups'),
    ]

    operations = [
        migrations.AddField(
            model_name='processlease',
            name='able_since',
            field=models.DateTimeField(null=True),
        ),
    ]
