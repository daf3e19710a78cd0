from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('wallets', '0002_rule'),
    ]

    operations = [
        migrations.AlterField(
            model_name='signrecord',
            name='what',
            field=models.CharField(max_length=200),
        ),
    ]
