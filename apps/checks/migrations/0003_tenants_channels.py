import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0002_notification_keys'),
        ('users', '0005_idempotent_answers_by_age'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='alert',
            name='alert_open_once',
        ),
        migrations.AddField(
            model_name='alert',
            name='tenant',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='users.tenant'),
        ),
        migrations.AddField(
            model_name='alertchannel',
            name='tenant',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alert_channels', to='users.tenant'),
        ),
        migrations.AlterField(
            model_name='alertchannel',
            name='name',
            field=models.CharField(max_length=100),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(models.F('check_name'), condition=models.Q(('ended_at', None), ('tenant', None)), name='alert_open_once'),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('check_name'), condition=models.Q(('ended_at', None), models.Q(('tenant', None), _negated=True)), name='alert_of_tenant_open_once'),
        ),
        migrations.AddConstraint(
            model_name='alertchannel',
            constraint=models.UniqueConstraint(models.F('name'), condition=models.Q(('tenant', None)), name='channel_of_pool_once'),
        ),
        migrations.AddConstraint(
            model_name='alertchannel',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('name'), condition=models.Q(('tenant', None), _negated=True), name='channel_of_tenant_once'),
        ),
    ]
