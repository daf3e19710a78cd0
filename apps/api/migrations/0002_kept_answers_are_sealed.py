from django.db import migrations


class Migration(migrations.Migration):
    """Answers that were kept as they were sent may hold the text of a token: they are forgotten."""

    dependencies = [("api", "0001_initial")]

    operations = [
        migrations.RunSQL("DELETE FROM api_idempotentanswer", reverse_sql=migrations.RunSQL.noop),
    ]
