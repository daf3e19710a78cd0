from django.db import migrations


class Migration(migrations.Migration):
    """The table stays; only the app that owns its rows changes (users.0004)."""

    dependencies = [
        ('api', '0001_tables'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name='IdempotentAnswer')]),
    ]
