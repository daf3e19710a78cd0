from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0003_tenants_channels'),
    ]

    operations = [
        migrations.CreateModel(
            name='CheckSetting',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('check_name', models.CharField(max_length=64, unique=True)),
                ('severity', models.CharField(blank=True, max_length=16)),
                ('muted_until', models.DateTimeField(null=True)),
                ('mute_reason', models.CharField(blank=True, max_length=200)),
            ],
        ),
    ]
