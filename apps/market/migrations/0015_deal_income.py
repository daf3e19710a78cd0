import apps.core.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('market', '0014_blocks_advertised'),
        ('miners', '0012_reasons_of_older_rows'),
        ('pieces', '0027_file_names'),
    ]

    operations = [
        migrations.CreateModel(
            name='DealIncome',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.BigIntegerField()),
                ('rate', apps.core.fields.AttoFilField(default=0)),
                ('moment', apps.core.fields.AttoFilField(default=0)),
                ('settled', apps.core.fields.AttoFilField(default=0)),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deal_income', to='miners.miner')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('miner', 'day'), name='one_income_per_day')],
            },
        ),
        migrations.AddField(
            model_name='deal',
            name='earns_from',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='deal',
            name='earns_until',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='deal',
            name='price',
            field=apps.core.fields.AttoFilField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='deal',
            name='settled_at',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='deal',
            name='settled_to',
            field=models.BigIntegerField(null=True),
        ),
    ]
