"""Hand-overs of miners between tenants, kept for history and for whoever asks again."""

import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('miners', '0001_initial'),
        ('users', '0009_login_failures'),
    ]

    operations = [
        migrations.CreateModel(
            name='HandOver',
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
                ('giver', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
                ('miner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='hand_overs', to='miners.miner')),
                ('receiver', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='users.tenant')),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(fields=('miner', 'key'), name='one_hand_over_per_key')],
            },
        ),
    ]
