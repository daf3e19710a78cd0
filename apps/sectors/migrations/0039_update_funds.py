import apps.core.fields
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("sectors", "0038_damocles_deals"),
    ]

    operations = [
        migrations.AddField(
            model_name="pipelinerun",
            name="from_balance",
            field=apps.core.fields.AttoFilField(default=0, null=True),
        ),
    ]
