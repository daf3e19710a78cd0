from django.db import migrations


class Migration(migrations.Migration):
    """The old rule goes, as it would refuse two held pieces of the same data."""

    atomic = False

    dependencies = [
        ('pieces', '0020_one_piece_but_held'),
    ]

    operations = [
        migrations.RunSQL(
            ['DROP INDEX CONCURRENTLY IF EXISTS "one_piece_per_cid_and_terms"'],
            migrations.RunSQL.noop,
            state_operations=[
                migrations.RemoveConstraint(
                    model_name='piece',
                    name='one_piece_per_cid_and_terms',
                ),
            ],
        ),
    ]
