from django.db import migrations, models


class Migration(migrations.Migration):
    """The rule that a miner has each piece once, without those that are held: beside the old one at first."""

    atomic = False

    dependencies = [
        ('pieces', '0019_held_pieces_index'),
    ]

    operations = [
        migrations.RunSQL(
            [
                # A killed attempt may have left it invalid.
                'DROP INDEX CONCURRENTLY IF EXISTS "one_piece_per_kept_cid"',
                'CREATE UNIQUE INDEX CONCURRENTLY "one_piece_per_kept_cid" ON "pieces_piece"'
                ' ("miner_id", "piece_cid", "client", "allocation", "deal") NULLS NOT DISTINCT'
                " WHERE NOT (\"state\" IN ('UPLOADING', 'FETCHING', 'RECEIVED', 'HELD', 'FAILED'))",
            ],
            'DROP INDEX CONCURRENTLY IF EXISTS "one_piece_per_kept_cid"',
            state_operations=[
                migrations.AddConstraint(
                    model_name='piece',
                    constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['UPLOADING', 'FETCHING', 'RECEIVED', 'HELD', 'FAILED']), _negated=True), fields=('miner', 'piece_cid', 'client', 'allocation', 'deal'), name='one_piece_per_kept_cid', nulls_distinct=False),
                ),
            ],
        ),
    ]
