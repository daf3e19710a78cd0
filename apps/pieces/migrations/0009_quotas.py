"""Quotas of tenants, and how many bytes each miner's pieces take: counted by the database as they change."""

import django.db.models.deletion
from django.db import migrations, models

COUNT = """
CREATE FUNCTION pieces_bytes_held(has_data boolean, payload bigint, padded bigint, miner bigint)
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN NOT has_data THEN 0 ELSE coalesce(
        payload,
        coalesce(nullif(padded, 0), (SELECT sector_size FROM miners_miner WHERE id = miner)) / 128 * 127
    ) END
$$;

CREATE FUNCTION pieces_storage_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    gone bigint := 0;
    come bigint := 0;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        gone := pieces_bytes_held(OLD.has_data, OLD.payload_size, OLD.padded_size, OLD.miner_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        come := pieces_bytes_held(NEW.has_data, NEW.payload_size, NEW.padded_size, NEW.miner_id);
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.miner_id = NEW.miner_id THEN
        come := come - gone;
        gone := 0;
    END IF;
    IF gone <> 0 THEN
        UPDATE pieces_minerstorage SET held_bytes = held_bytes - gone WHERE miner_id = OLD.miner_id;
    END IF;
    IF come <> 0 THEN
        INSERT INTO pieces_minerstorage (miner_id, held_bytes) VALUES (NEW.miner_id, come)
        ON CONFLICT (miner_id) DO UPDATE SET held_bytes = pieces_minerstorage.held_bytes + come;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER pieces_storage AFTER INSERT OR DELETE OR
    UPDATE OF has_data, payload_size, padded_size, miner_id ON pieces_piece
    FOR EACH ROW EXECUTE FUNCTION pieces_storage_count();

INSERT INTO pieces_minerstorage (miner_id, held_bytes)
    SELECT miner_id, sum(pieces_bytes_held(has_data, payload_size, padded_size, miner_id))
    FROM pieces_piece GROUP BY miner_id;
"""
UNCOUNT = """
DROP TRIGGER pieces_storage ON pieces_piece;
DROP FUNCTION pieces_storage_count();
DROP FUNCTION pieces_bytes_held(boolean, bigint, bigint, bigint);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("miners", "0001_tables"),
        ("pieces", "0008_source_urls_shown"),
        ("users", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="MinerStorage",
            fields=[
                (
                    "miner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="storage",
                        serialize=False,
                        to="miners.miner",
                    ),
                ),
                ("held_bytes", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="PieceQuota",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="piece_quota",
                        serialize=False,
                        to="users.tenant",
                    ),
                ),
                ("limit_bytes", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(COUNT, UNCOUNT),
    ]
