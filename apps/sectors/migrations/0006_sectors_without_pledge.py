from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sectors', '0005_scans_told'),
    ]

    operations = [
        migrations.AddField(
            model_name='sector',
            name='without_pledge',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
