import uuid

import django.db.models.deletion
from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models
from django.db.models import F


def alerts_complete(apps, schema_editor):
    """Set the name and the beginning of each alert that is there."""
    apps.get_model('pool_checks', 'Alert').objects.update(began_at=F('since'), uuid=RandomUUID())


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0004_check_settings'),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='acknowledged_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='alert',
            name='acknowledged_by',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name='alert',
            name='acknowledged_count',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='alert',
            name='acknowledged_keys',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='alert',
            name='acknowledged_severity',
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name='alert',
            name='acknowledged_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='alert',
            name='keys',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='alert',
            name='times',
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='alert',
            name='began_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='alert',
            name='uuid',
            field=models.UUIDField(default=uuid.uuid4, null=True),
        ),
        migrations.RunPython(alerts_complete, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='alert',
            name='began_at',
            field=models.DateTimeField(),
        ),
        migrations.AlterField(
            model_name='alert',
            name='uuid',
            field=models.UUIDField(default=uuid.uuid4, unique=True),
        ),
        migrations.CreateModel(
            name='AlertEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('kind', models.CharField(choices=[('STARTED', 'started failing'), ('CHANGED', 'changed'), ('ENDED', 'passes again'), ('ACKNOWLEDGED', 'acknowledged'), ('WITHDRAWN', 'acknowledgement ended'), ('WORSENED', 'became worse'), ('EXPIRED', 'acknowledgement ran out'), ('COMMENTED', 'comment')], max_length=16)),
                ('actor', models.CharField(blank=True, max_length=200)),
                ('text', models.TextField(blank=True)),
                ('severity', models.CharField(max_length=16)),
                ('count', models.PositiveIntegerField()),
                ('until', models.DateTimeField(null=True)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='pool_checks.alert')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
    ]
