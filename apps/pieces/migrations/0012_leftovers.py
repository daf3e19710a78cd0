"""A kill between a row that drops its bytes and their file leaves no file: the row says so until it is gone."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('miners', '0009_removed_days'),
        ('pieces', '0011_removal_asked_at'),
    ]

    operations = [
        migrations.AddField(
            model_name='piece',
            name='has_leftover',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='piece',
            index=models.Index(condition=models.Q(('has_leftover', True)), fields=['id'], name='pieces_with_leftovers'),
        ),
    ]
