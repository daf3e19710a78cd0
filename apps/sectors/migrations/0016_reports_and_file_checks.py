from django.db import migrations

from apps.core.renamed_migration import RenamedMigration


class Migration(RenamedMigration):
    formerly = "0016_plain_names"

    dependencies = [("sectors", "0015_store_disks")]

    operations = [
        migrations.RenameField("storescan", "told", "report"),
        migrations.RenameField("damoclessector", "look", "files_check"),
        migrations.RenameField("damoclessector", "looked_at", "files_checked_at"),
        migrations.RenameField("damoclesjob", "look", "files_check"),
        migrations.RenameField("damoclesjob", "looked_at", "files_checked_at"),
    ]
