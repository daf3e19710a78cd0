from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('market', '0025_deals_by_end'),
    ]

    operations = [
        migrations.AddField(
            model_name='deal',
            name='removes_copy',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
