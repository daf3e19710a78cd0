from django.db import migrations, models

from apps.core.migration_steps import AddIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("wallets", "0008_sign_records_of_a_wallet")]

    operations = [
        AddIndexBesideWriters(
            model_name="signrecord",
            index=models.Index(
                condition=models.Q(("error", ""), _negated=True), fields=["-at"], name="sign_records_refused"
            ),
        )
    ]
