from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('market', '0007_deals_in_no_sector'),
    ]

    operations = [
        migrations.AddField(
            model_name='minermarket',
            name='serves_data',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
