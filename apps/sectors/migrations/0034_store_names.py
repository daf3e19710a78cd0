from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sectors', '0033_settings_of_sealing'),
    ]

    operations = [
        migrations.AlterField(
            model_name='sector',
            name='store',
            field=models.CharField(blank=True, max_length=110),
        ),
    ]
