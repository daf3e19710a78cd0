import apps.core.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [
        ('wallets', '0001_initial'),
        ('wallets', '0002_rule'),
        ('wallets', '0003_whole_receiver'),
        ('wallets', '0004_moved_at'),
    ]

    initial = True

    dependencies = [
        ('users', '0001_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='SignRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('address', apps.core.fields.AddressField(max_length=128)),
                ('what', models.CharField(max_length=200)),
                ('cid', models.CharField(blank=True, max_length=128)),
                ('asked_by', models.CharField(max_length=200)),
                ('ms', models.PositiveIntegerField(null=True)),
                ('error', models.CharField(blank=True, max_length=500)),
                ('tenant', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
                ('rule', models.CharField(blank=True, max_length=100)),
            ],
            options={
                'indexes': [models.Index(fields=['-at'], name='wallets_sig_at_304a9e_idx'), models.Index(fields=['tenant', '-at'], name='wallets_sig_tenant__72c3be_idx')],
            },
        ),
        migrations.CreateModel(
            name='Wallet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', apps.core.fields.AddressField(max_length=128, unique=True)),
                ('account', models.CharField(max_length=50)),
                ('key_type', models.CharField(max_length=16)),
                ('label', models.CharField(blank=True, max_length=60)),
                ('balance', apps.core.fields.AttoFilField(null=True)),
                ('actor_id', models.BigIntegerField(null=True)),
                ('nonce', models.BigIntegerField(null=True)),
                ('seen_at', models.DateTimeField(null=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='wallets', to='users.tenant')),
                ('moved_at', models.DateTimeField(null=True)),
            ],
        ),
    ]
