import apps.core.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('market', '0028_retrieval_limit'),
        ('messages', '0021_codes_of_older_timelines'),
        ('miners', '0012_reasons_of_older_rows'),
    ]

    operations = [
        migrations.AddField(
            model_name='minermarket',
            name='settle_day_fee',
            field=apps.core.fields.AttoFilField(db_default=1000000000000000000, default=1000000000000000000),
        ),
        migrations.AddField(
            model_name='minermarket',
            name='settle_days',
            field=models.PositiveIntegerField(db_default=7, default=7),
        ),
        migrations.CreateModel(
            name='SettlementCheck',
            fields=[
                ('miner', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='settlement_check', serialize=False, to='miners.miner')),
                ('height', models.BigIntegerField()),
                ('reason', models.TextField(blank=True)),
                ('reason_coded', models.JSONField(editable=False, null=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Settlement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_open', models.BooleanField(default=True)),
                ('fee', apps.core.fields.AttoFilField()),
                ('owed', apps.core.fields.AttoFilField()),
                ('paid', apps.core.fields.AttoFilField(default=0)),
                ('height', models.BigIntegerField(null=True)),
                ('created_at', models.DateTimeField()),
                ('message', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='messages.message')),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='settlements', to='miners.miner')),
            ],
            options={
                'indexes': [
                    models.Index(condition=models.Q(('is_open', True)), fields=['id'], name='settlements_open'),
                    models.Index(fields=['miner', 'created_at'], name='settlements_by_day'),
                ],
            },
        ),
        migrations.CreateModel(
            name='DealSettlement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_open', models.BooleanField(default=True)),
                ('payment', apps.core.fields.AttoFilField(default=0)),
                ('deal', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='settlements', to='market.deal')),
                ('settlement', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deals', to='market.settlement')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_open', True)), fields=('deal',), name='one_open_settlement_per_deal')],
            },
        ),
    ]
