from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0007_components'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alertchannel',
            name='kind',
            field=models.CharField(choices=[('WEBHOOK', 'Webhook'), ('EMAIL', 'E-mail'), ('PAGERDUTY', 'PagerDuty')], max_length=16),
        ),
        migrations.AlterField(
            model_name='notification',
            name='event',
            field=models.CharField(choices=[('STARTED', 'started failing'), ('REPEATED', 'still failing'), ('ACKNOWLEDGED', 'acknowledged'), ('ENDED', 'passes again'), ('TEST', 'test')], max_length=16),
        ),
    ]
