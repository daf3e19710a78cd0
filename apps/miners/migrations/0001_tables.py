import apps.core.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('miners', '0001_initial'),
        ('miners', '0002_hand_over'),
        ('miners', '0003_rewardestimate'),
        ('miners', '0004_chainroots'),
        ('miners', '0005_miner_transfer'),
        ('miners', '0006_role'),
        ('miners', '0007_role_test'),
        ('miners', '0008_control_ids'),
        ('miners', '0009_new_worker'),
        ('miners', '0010_role_groups'),
    ]

    initial = True

    dependencies = [
        ('users', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='Miner',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('name', models.CharField(blank=True, max_length=64)),
                ('state', models.CharField(choices=[('CREATING', 'Creating'), ('ACTIVE', 'Active'), ('FAILED', 'Failed')], default='CREATING', max_length=16)),
                ('actor_id', models.BigIntegerField(null=True, unique=True)),
                ('robust', apps.core.fields.AddressField(blank=True, default='', max_length=128)),
                ('create_message_id', models.CharField(max_length=200, null=True, unique=True)),
                ('created_height', models.BigIntegerField(null=True)),
                ('error', models.TextField(blank=True)),
                ('owner', apps.core.fields.AddressField(max_length=128)),
                ('worker', apps.core.fields.AddressField(max_length=128)),
                ('owner_id', models.BigIntegerField(null=True)),
                ('worker_id', models.BigIntegerField(null=True)),
                ('control', models.JSONField(default=list)),
                ('beneficiary', apps.core.fields.AddressField(blank=True, default='', max_length=128)),
                ('peer_id', models.CharField(blank=True, max_length=128)),
                ('seal_proof', models.SmallIntegerField()),
                ('post_proof', models.SmallIntegerField()),
                ('sector_size', models.BigIntegerField()),
                ('partition_sectors', models.IntegerField(default=0)),
                ('raw_power', models.BigIntegerField(default=0)),
                ('qa_power', models.BigIntegerField(default=0)),
                ('has_min_power', models.BooleanField(default=False)),
                ('balance', apps.core.fields.AttoFilField(default=0)),
                ('available', apps.core.fields.AttoFilField(default=0)),
                ('locked', apps.core.fields.AttoFilField(default=0)),
                ('pledge', apps.core.fields.AttoFilField(default=0)),
                ('deposits', apps.core.fields.AttoFilField(default=0)),
                ('fee_debt', apps.core.fields.AttoFilField(default=0)),
                ('live_sectors', models.BigIntegerField(default=0)),
                ('active_sectors', models.BigIntegerField(default=0)),
                ('faulty_sectors', models.BigIntegerField(default=0)),
                ('proving_period_start', models.BigIntegerField(null=True)),
                ('current_deadline', models.IntegerField(default=0)),
                ('refreshed_height', models.BigIntegerField(default=-1)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='miners', to='users.tenant')),
                ('control_ids', models.JSONField(default=list)),
                ('new_worker', models.CharField(blank=True, default='', max_length=128)),
                ('new_worker_epoch', models.BigIntegerField(null=True)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='MinerAddress',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('use', models.CharField(choices=[('precommit', 'Pre-commit'), ('commit', 'Commit'), ('post', 'Proofs')], max_length=16)),
                ('address', apps.core.fields.AddressField(max_length=128)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uses', to='miners.miner')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('miner', 'use', 'address'), name='one_row_per_miner_use_and_address')],
            },
        ),
        migrations.CreateModel(
            name='MinerTransfer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('key', models.CharField(max_length=100, null=True)),
                ('actor', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
                ('sectors', models.BigIntegerField(default=0)),
                ('messages', models.BigIntegerField(default=0)),
                ('tokens_kept', models.JSONField(default=list)),
                ('tokens_revoked', models.JSONField(default=list)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='transfers', to='miners.miner')),
                ('from_tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
                ('to_tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(fields=('miner', 'key'), name='one_transfer_per_key')],
            },
        ),
        migrations.CreateModel(
            name='RewardEstimate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reward_position', models.DecimalField(decimal_places=0, max_digits=100)),
                ('reward_velocity', models.DecimalField(decimal_places=0, max_digits=100)),
                ('power_position', models.DecimalField(decimal_places=0, max_digits=100)),
                ('power_velocity', models.DecimalField(decimal_places=0, max_digits=100)),
                ('height', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Role',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('host', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('seal', 'Seal'), ('deal', 'Deal'), ('window', 'WindowPoSt'), ('winning', 'WinningPoSt'), ('allocator', 'Sector numbers'), ('backup', 'Backup prover')], max_length=16)),
                ('state', models.CharField(choices=[('STANDBY', 'Standby'), ('HELD', 'Held'), ('PARKED', 'Parked'), ('REMOVED', 'Removed')], default='STANDBY', max_length=16)),
                ('priority', models.IntegerField(default=0)),
                ('token', models.BigIntegerField(default=0)),
                ('lease_until', models.DateTimeField(null=True)),
                ('since', models.DateTimeField()),
                ('heard_at', models.DateTimeField(null=True)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('before_combine', models.CharField(blank=True, max_length=16)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='roles', to='miners.miner')),
                ('test_highest', models.BigIntegerField(default=-1)),
                ('test_pledge', models.UUIDField(null=True)),
                ('group', models.CharField(blank=True, max_length=100)),
            ],
            options={
                'ordering': ['host', 'pk'],
                'indexes': [models.Index(fields=['host'], name='roles_of_a_host')],
                'constraints': [models.UniqueConstraint(fields=('miner', 'host', 'kind'), name='one_role_per_host_and_kind'), models.UniqueConstraint(condition=models.Q(('kind__in', ('deal', 'window', 'winning', 'allocator')), ('state', 'HELD')), fields=('miner', 'kind'), name='one_holder_of_an_exclusive_role')],
            },
        ),
        migrations.CreateModel(
            name='RoleGroup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('group', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('seal', 'Seal'), ('deal', 'Deal'), ('window', 'WindowPoSt'), ('winning', 'WinningPoSt'), ('allocator', 'Sector numbers'), ('backup', 'Backup prover')], max_length=16)),
                ('priority', models.IntegerField(default=0)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='role_groups', to='miners.miner')),
            ],
            options={
                'ordering': ['group', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('miner', 'group', 'kind'), name='one_role_per_group_and_kind')],
            },
        ),
        migrations.CreateModel(
            name='ChainRoots',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', apps.core.fields.CidField(blank=True, default='', max_length=128)),
                ('deadlines', apps.core.fields.CidField(blank=True, default='', max_length=128)),
                ('each', models.JSONField(default=list)),
                ('read_height', models.BigIntegerField(default=-1)),
                ('miner', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='miners.miner')),
            ],
        ),
    ]
