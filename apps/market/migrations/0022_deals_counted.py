"""Count deals: the database notes each change of one, heads add the changes up."""

from django.db import migrations

COUNT = """
CREATE FUNCTION market_deal_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.miner_id, OLD.client, OLD.state, OLD.raw_size)
            = (NEW.miner_id, NEW.client, NEW.state, NEW.raw_size) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO market_dealcount (miner_id, client, state, deals, raw_bytes, first_at, last_at, is_new)
        VALUES (OLD.miner_id, OLD.client, OLD.state, -1, -OLD.raw_size, OLD.created_at, OLD.created_at, true);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO market_dealcount (miner_id, client, state, deals, raw_bytes, first_at, last_at, is_new)
        VALUES (NEW.miner_id, NEW.client, NEW.state, 1, NEW.raw_size, NEW.created_at, NEW.created_at, true);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER market_deals_counted AFTER INSERT OR DELETE OR
    UPDATE OF miner_id, client, state, raw_size ON market_deal
    FOR EACH ROW EXECUTE FUNCTION market_deal_count();

INSERT INTO market_dealcount (miner_id, client, state, deals, raw_bytes, first_at, last_at, is_new)
    SELECT miner_id, client, state, count(*), sum(raw_size), min(created_at), max(created_at), false
    FROM market_deal GROUP BY miner_id, client, state;
"""
UNCOUNT = """
DROP TRIGGER market_deals_counted ON market_deal;
DROP FUNCTION market_deal_count();
"""


class Migration(migrations.Migration):
    dependencies = [("market", "0021_deal_counts")]

    operations = [migrations.RunSQL(COUNT, UNCOUNT)]
