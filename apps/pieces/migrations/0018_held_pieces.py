from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pieces', '0017_source_headers'),
    ]

    operations = [
        migrations.AddField(
            model_name='piece',
            name='held_for',
            field=models.UUIDField(null=True),
        ),
        migrations.AlterField(
            model_name='piece',
            name='state',
            field=models.CharField(choices=[('UPLOADING', 'Uploading'), ('FETCHING', 'Fetching'), ('RECEIVED', 'Computing commitment'), ('HELD', 'Waiting for its deal'), ('READY', 'Waiting for a sector'), ('PACKED', 'In a sector'), ('ACTIVE', 'Active'), ('ENDED', 'Sector ended'), ('FAILED', 'Failed')], default='UPLOADING', max_length=16),
        ),
    ]
