import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('pool_checks', '0001_alerts'),
    ]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('check_name', models.CharField(max_length=64)),
                ('title', models.CharField(max_length=200)),
                ('severity', models.CharField(max_length=16)),
                ('say', models.TextField()),
                ('count', models.PositiveIntegerField()),
                ('since', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(models.F('ended_at'), name='alert_ended')],
                'constraints': [models.UniqueConstraint(models.F('check_name'), condition=models.Q(('ended_at', None)), name='alert_open_once')],
            },
        ),
        migrations.CreateModel(
            name='AlertChannel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, unique=True)),
                ('name', models.CharField(max_length=100, unique=True)),
                ('kind', models.CharField(choices=[('WEBHOOK', 'Webhook'), ('EMAIL', 'E-mail')], max_length=16)),
                ('target', models.TextField()),
                ('secret', models.TextField(blank=True)),
                ('repeat_s', models.PositiveIntegerField(default=3600)),
                ('critical_only', models.BooleanField(default=False)),
                ('is_enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, unique=True)),
                ('event', models.CharField(choices=[('STARTED', 'started failing'), ('REPEATED', 'still failing'), ('ENDED', 'passes again'), ('TEST', 'test')], max_length=16)),
                ('text', models.TextField()),
                ('body', models.JSONField()),
                ('created_at', models.DateTimeField()),
                ('next_try_at', models.DateTimeField(null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('delivered_at', models.DateTimeField(null=True)),
                ('error', models.CharField(blank=True, max_length=300)),
                ('alert', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notifications', to='pool_checks.alert')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notifications', to='pool_checks.alertchannel')),
            ],
            options={
                'indexes': [models.Index(models.F('next_try_at'), condition=models.Q(('next_try_at', None), _negated=True), name='notification_due'), models.Index(models.F('channel'), models.F('created_at'), name='notification_of_channel')],
            },
        ),
    ]
