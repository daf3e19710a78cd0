from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pieces', '0030_single_block_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='piece',
            name='copy_read_at',
            field=models.DateTimeField(null=True),
        ),
    ]
