import apps.core.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('pieces', '0001_initial'),
        ('pieces', '0002_same_piece_other_terms'),
        ('pieces', '0003_deliveries'),
        ('pieces', '0004_failed'),
        ('pieces', '0005_piece_purpose'),
    ]

    initial = True

    dependencies = [
        ('miners', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='Piece',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('state', models.CharField(choices=[('UPLOADING', 'Uploading'), ('FETCHING', 'Fetching'), ('RECEIVED', 'Computing commitment'), ('READY', 'Waiting for a sector'), ('PACKED', 'In a sector'), ('ACTIVE', 'Active'), ('FAILED', 'Failed')], default='UPLOADING', max_length=16)),
                ('state_since', models.DateTimeField()),
                ('piece_cid', apps.core.fields.CidField(blank=True, default='', max_length=128)),
                ('announced_cid', apps.core.fields.CidField(blank=True, default='', max_length=128)),
                ('padded_size', models.BigIntegerField(default=0)),
                ('payload_size', models.BigIntegerField(null=True)),
                ('received', models.BigIntegerField(default=0)),
                ('is_resumable', models.BooleanField(default=False)),
                ('source_url', models.TextField(blank=True)),
                ('has_data', models.BooleanField(default=True)),
                ('client', models.BigIntegerField(null=True)),
                ('allocation', models.BigIntegerField(null=True)),
                ('deal', models.BigIntegerField(null=True)),
                ('start_epoch', models.BigIntegerField(null=True)),
                ('sector_number', models.BigIntegerField(null=True)),
                ('offset', models.BigIntegerField(null=True)),
                ('actor', models.CharField(blank=True, max_length=200)),
                ('error', models.TextField(blank=True)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pieces', to='miners.miner')),
                ('purpose', models.CharField(choices=[('any', 'New or committed sectors'), ('snap-up', 'Committed sectors only')], default='any', max_length=8)),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(condition=models.Q(('piece_cid', ''), _negated=True), fields=['piece_cid'], name='pieces_by_cid'), models.Index(fields=['miner', 'sector_number'], name='pieces_of_a_sector'), models.Index(condition=models.Q(('state__in', ['ACTIVE', 'FAILED']), _negated=True), fields=['state'], name='pieces_under_way'), models.Index(condition=models.Q(('state', 'FAILED')), fields=['miner'], name='pieces_failed')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['UPLOADING', 'FETCHING', 'RECEIVED', 'FAILED']), _negated=True), fields=('miner', 'piece_cid', 'client', 'allocation', 'deal'), name='one_piece_per_cid_and_terms', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='PieceDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('state', models.CharField(choices=[('WAITING', 'Waiting'), ('DELIVERED', 'Delivered'), ('FAILED', 'Failed')], default='WAITING', max_length=16)),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('first', models.BigIntegerField()),
                ('num_bytes', models.BigIntegerField()),
                ('target', models.TextField()),
                ('shown', models.CharField(max_length=300)),
                ('actor', models.CharField(max_length=200)),
                ('attempts', models.IntegerField(default=0)),
                ('not_before', models.DateTimeField(null=True)),
                ('until', models.DateTimeField()),
                ('told_at', models.DateTimeField(null=True)),
                ('error', models.TextField(blank=True)),
                ('piece', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='pieces.piece')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(condition=models.Q(('state', 'WAITING')), fields=['state'], name='deliveries_waiting')],
            },
        ),
    ]
