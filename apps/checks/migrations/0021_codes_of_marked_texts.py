"""Give refusals and texts within reasons the codes that pages read them by; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_recode
from apps.core.reason_fields import CODED


def texts_recode(apps, schema_editor):
    for model in apps.get_models():
        names = {field.name for field in model._meta.get_fields()}
        for name in sorted(names):
            if name + CODED in names:
                rows_recode(model, name)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("automation", "0004_codes_of_older_reasons"),
        ("blocks", "0012_prices_coded"),
        ("chain", "0006_codes_of_older_errors"),
        ("gateway", "0008_codes_of_older_failures"),
        ("market", "0013_filter"),
        ("messages", "0021_codes_of_older_timelines"),
        ("miners", "0012_reasons_of_older_rows"),
        ("pieces", "0027_file_names"),
        ("pool_checks", "0020_notifications_coded"),
        ("proving", "0007_reasons_of_older_rows"),
        ("sectors", "0033_codes_of_older_reasons"),
        ("wallets", "0007_codes_of_older_errors"),
    ]

    operations = [migrations.RunPython(texts_recode, migrations.RunPython.noop)]
