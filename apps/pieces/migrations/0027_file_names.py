from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pieces', '0026_block_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='piece',
            name='file_name',
            field=models.CharField(blank=True, db_default='', default='', max_length=255),
        ),
    ]
