from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('pool_checks', '0016_codes_of_older_deliveries'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alertchannel',
            name='kind',
            field=models.CharField(choices=[('WEBHOOK', 'Webhook'), ('EMAIL', 'E-mail'), ('PAGERDUTY', 'PagerDuty'), ('APPRISE', 'App or chat by apprise')], max_length=16),
        ),
    ]
