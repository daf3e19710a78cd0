from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('sectors', '0012_base_fees_by_kind'),
    ]

    operations = [
        migrations.AddField(
            model_name='hostreport',
            name='leftovers',
            field=models.JSONField(default=list),
        ),
    ]
