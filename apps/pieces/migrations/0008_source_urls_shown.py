"""URLs of ended downloads lose their queries, which may be keys."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("pieces", "0007_terms_missing")]

    operations = [
        migrations.RunSQL(
            """
            UPDATE pieces_piece SET source_url = regexp_replace(source_url, '[?#].*', '')
            WHERE source_url ~ '[?#]' AND state NOT IN ('FETCHING', 'RECEIVED')
            """,
            migrations.RunSQL.noop,
        )
    ]
