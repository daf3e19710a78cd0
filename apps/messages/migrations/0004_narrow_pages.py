"""Each filter of the list of messages reads an index of what it shows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messages", "0003_gas"),
        ("users", "0006_second_factor"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="message",
            name="message_odd_page",
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.F("state"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("state", "LANDED"), _negated=True),
                name="message_odd_page",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("state", "LANDED"), models.Q(("exit_code", 0), _negated=True)),
                name="message_refused_page",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.F("tenant"),
                models.F("state"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("state", "LANDED"), _negated=True),
                name="message_tenant_odd",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.F("tenant"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("state", "LANDED"), models.Q(("exit_code", 0), _negated=True)),
                name="message_tenant_refused",
            ),
        ),
    ]
