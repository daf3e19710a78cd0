from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('market', '0012_indexers'),
    ]

    operations = [
        migrations.AddField(
            model_name='minermarket',
            name='accepts_unfiltered',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='minermarket',
            name='filter_target',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
        migrations.AddField(
            model_name='minermarket',
            name='filter_url',
            field=models.CharField(blank=True, db_default='', default='', max_length=300),
        ),
    ]
