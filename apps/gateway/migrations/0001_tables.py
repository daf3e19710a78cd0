import apps.core.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('gateway', '0001_initial'),
        ('gateway', '0002_purpose'),
        ('gateway', '0003_activity'),
        ('gateway', '0004_failed_at'),
    ]

    initial = True

    dependencies = [
        ('users', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProverConnection',
            fields=[
                ('uuid', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('token', models.UUIDField(null=True)),
                ('source', models.CharField(blank=True, max_length=64)),
                ('process', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('requests', models.PositiveIntegerField(default=0)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('actor_id', models.BigIntegerField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
                ('purpose', models.CharField(choices=[('proof', 'Proofs'), ('market', 'Unsealed pieces')], default='proof', max_length=8)),
                ('in_flight', models.PositiveIntegerField(default=0)),
                ('last_failure', models.CharField(blank=True, max_length=200)),
                ('p50_ms', models.FloatField(blank=True, null=True)),
                ('p99_ms', models.FloatField(blank=True, null=True)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='SignerConnection',
            fields=[
                ('uuid', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('token', models.UUIDField(null=True)),
                ('source', models.CharField(blank=True, max_length=64)),
                ('process', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('requests', models.PositiveIntegerField(default=0)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('accounts', models.JSONField(default=list)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
                ('in_flight', models.PositiveIntegerField(default=0)),
                ('last_failure', models.CharField(blank=True, max_length=200)),
                ('p50_ms', models.FloatField(blank=True, null=True)),
                ('p99_ms', models.FloatField(blank=True, null=True)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='SignerKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', apps.core.fields.AddressField(max_length=128)),
                ('verified_at', models.DateTimeField()),
                ('removed_at', models.DateTimeField(blank=True, null=True)),
                ('connection', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='signer_keys', to='gateway.signerconnection')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='signer_keys', to='users.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('address', 'tenant'), name='one_signer_key_per_address_and_tenant')],
            },
        ),
    ]
