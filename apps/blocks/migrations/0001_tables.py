import apps.core.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('blocks', '0001_initial'),
        ('blocks', '0002_guard_by_chain'),
        ('blocks', '0003_vesting_offset'),
        ('blocks', '0004_f3_lease'),
    ]

    initial = True

    dependencies = [
        ('miners', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='F3Lease',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('node', models.CharField(blank=True, max_length=300)),
                ('network', models.CharField(blank=True, max_length=200)),
                ('issuer', models.CharField(blank=True, max_length=200)),
                ('ticket', models.TextField(blank=True)),
                ('from_instance', models.BigIntegerField(default=0)),
                ('ends', models.BigIntegerField(default=-1)),
                ('instance', models.BigIntegerField(default=0)),
                ('renewed_at', models.DateTimeField(null=True)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('failing_since', models.DateTimeField(null=True)),
                ('miner', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='f3_lease', to='miners.miner')),
            ],
        ),
        migrations.CreateModel(
            name='MiningDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('rounds', models.IntegerField(default=0)),
                ('eligible', models.IntegerField(default=0)),
                ('missed', models.IntegerField(default=0)),
                ('expected', models.FloatField(default=0.0)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='mining_days', to='miners.miner')),
            ],
            options={
                'ordering': ['-day'],
                'constraints': [models.UniqueConstraint(fields=('miner', 'day'), name='one_row_per_mining_day')],
            },
        ),
        migrations.CreateModel(
            name='Round',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('epoch', models.BigIntegerField()),
                ('base_height', models.BigIntegerField()),
                ('state', models.CharField(choices=[('NOT_ELIGIBLE', 'Not eligible'), ('NO_WIN', 'No win'), ('WON', 'Won'), ('SUBMITTED', 'Submitted'), ('INCLUDED', 'Included'), ('ORPHANED', 'Orphaned'), ('LATE', 'Late'), ('PROOF_TIMEOUT', 'No proof in time'), ('PROOF_REFUSED', 'Proof refused'), ('SIGNER_AWAY', 'Signer offline'), ('SIGNER_REFUSED', 'Signer refused'), ('BASE_CHANGED', 'Base changed'), ('NODE_AWAY', 'Node unavailable'), ('NODE_REFUSED', 'Node refused'), ('SLASH_GUARD', 'Slash guard'), ('INTERRUPTED', 'Interrupted')], max_length=16)),
                ('why_not', models.CharField(blank=True, choices=[('no_power', 'no power at the lookback, or no sector before finality'), ('barred', 'no power now, in debt, or barred by a consensus fault')], max_length=16)),
                ('expected', models.FloatField(default=0.0)),
                ('win_count', models.SmallIntegerField(default=0)),
                ('sector', models.BigIntegerField(null=True)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('steps', models.JSONField(default=list)),
                ('budget_ms', models.IntegerField(default=0)),
                ('at', models.DateTimeField()),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rounds', to='miners.miner')),
            ],
            options={
                'ordering': ['-epoch'],
                'indexes': [models.Index(condition=models.Q(('win_count__gt', 0)), fields=['miner', '-epoch'], name='rounds_won'), models.Index(condition=models.Q(('state__in', ['WON', 'SUBMITTED', 'INCLUDED', 'ORPHANED'])), fields=['epoch'], name='rounds_open'), models.Index(condition=models.Q(('win_count', 0)), fields=['at'], name='rounds_plain')],
                'constraints': [models.UniqueConstraint(fields=('miner', 'epoch'), name='one_round_per_epoch')],
            },
        ),
        migrations.CreateModel(
            name='Block',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('actor_id', models.BigIntegerField()),
                ('height', models.BigIntegerField()),
                ('parents', models.BinaryField()),
                ('unsigned', models.BinaryField()),
                ('cid', apps.core.fields.CidField(blank=True, default='', max_length=128)),
                ('signed', models.BinaryField(null=True)),
                ('messages', models.IntegerField(default=0)),
                ('reserved_at', models.DateTimeField()),
                ('submitted_at', models.DateTimeField(null=True)),
                ('reward', apps.core.fields.AttoFilField(null=True)),
                ('penalty', apps.core.fields.AttoFilField(null=True)),
                ('round', models.OneToOneField(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='block', to='blocks.round')),
                ('genesis', models.CharField(blank=True, default='', max_length=200)),
                ('vesting_offset', models.BigIntegerField(null=True)),
            ],
            options={
                'ordering': ['-height'],
                'constraints': [models.UniqueConstraint(fields=('genesis', 'actor_id', 'height'), name='one_block_per_height'), models.UniqueConstraint(fields=('genesis', 'actor_id', 'parents'), name='one_block_per_parents')],
            },
        ),
    ]
