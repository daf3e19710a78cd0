from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sectors", "0016_reports_and_file_checks")]

    operations = [
        migrations.AddField("activesectors", "next_number", models.BigIntegerField(null=True)),
    ]
