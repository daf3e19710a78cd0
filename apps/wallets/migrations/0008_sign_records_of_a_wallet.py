from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("wallets", "0007_codes_of_older_errors")]

    operations = [
        AddIndexBesideWriters(
            model_name="signrecord",
            index=models.Index(fields=["address", "-at"], name="sign_records_of_a_wallet"),
        )
    ]
