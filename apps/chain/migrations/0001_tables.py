import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('chain', '0001_initial'),
        ('chain', '0002_node_health'),
        ('chain', '0003_node_is_devnet'),
        ('chain', '0004_node_upgrades'),
        ('chain', '0005_rules_missing'),
    ]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Head',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.TextField(unique=True)),
                ('height', models.BigIntegerField()),
                ('cids', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=120), size=None)),
                ('parent_key', models.TextField(db_index=True)),
                ('timestamp', models.BigIntegerField()),
                ('base_fee', models.DecimalField(decimal_places=0, max_digits=40)),
                ('miners', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=120), default=list, size=None)),
                ('arrived_at', models.DateTimeField()),
                ('is_canonical', models.BooleanField(default=True)),
                ('is_after_gap', models.BooleanField(default=False)),
            ],
            options={
                'indexes': [models.Index(fields=['-height'], name='head_height'), models.Index(condition=models.Q(('is_canonical', True)), fields=['-height'], name='head_canonical')],
            },
        ),
        migrations.CreateModel(
            name='Network',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=100)),
                ('genesis', models.CharField(max_length=200)),
                ('version', models.IntegerField(default=0)),
                ('params', models.JSONField(default=dict)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Node',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('url', models.CharField(max_length=500, unique=True)),
                ('token', models.TextField(blank=True, default='')),
                ('name', models.CharField(blank=True, default='', max_length=100)),
                ('position', models.PositiveIntegerField(default=0)),
                ('is_enabled', models.BooleanField(default=True)),
                ('state', models.CharField(choices=[('UNKNOWN', 'not probed yet'), ('HEALTHY', 'healthy'), ('LAGGING', 'behind'), ('WRONG_NETWORK', 'on another network'), ('RULES_MISSING', "network parameters unknown"), ('AWAY', 'not responding')], default='UNKNOWN', max_length=20)),
                ('error', models.CharField(blank=True, default='', max_length=500)),
                ('version', models.CharField(blank=True, default='', max_length=100)),
                ('head_height', models.BigIntegerField(null=True)),
                ('head_key', models.TextField(blank=True, default='')),
                ('lag_epochs', models.IntegerField(default=0)),
                ('latency_ms', models.FloatField(null=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('detailed_at', models.DateTimeField(null=True)),
                ('is_configured', models.BooleanField(default=True)),
                ('lag_s', models.IntegerField(default=0)),
                ('network_name', models.CharField(blank=True, default='', max_length=100)),
                ('network_version', models.IntegerField(null=True)),
                ('peers', models.IntegerField(null=True)),
                ('probes', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(null=True), default=list, size=None)),
                ('role', models.CharField(choices=[('MAIN', 'main'), ('BACKUP', 'backup'), ('WINNING', 'winning'), ('PUSH_ONLY', 'push only')], default='MAIN', max_length=20)),
                ('sync', models.CharField(blank=True, default='', max_length=60)),
                ('weight', models.PositiveIntegerField(default=1)),
                ('is_devnet', models.BooleanField(default=False)),
                ('upgrades', models.JSONField(default=dict)),
            ],
            options={
                'ordering': ('position', 'pk'),
            },
        ),
        migrations.CreateModel(
            name='Follower',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('steps_key', models.TextField(blank=True, default='')),
                ('steps_epoch', models.BigIntegerField(default=-1)),
                ('head', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='chain.head')),
            ],
        ),
    ]
