"""The audit log only grows: the database itself refuses to change or remove a line."""

from __future__ import annotations

from django.db import migrations

REFUSE = """
CREATE FUNCTION users_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER users_audit_append_only BEFORE UPDATE OR DELETE ON users_auditentry
    FOR EACH ROW EXECUTE FUNCTION users_audit_refuse();
"""
ALLOW = """
DROP TRIGGER users_audit_append_only ON users_auditentry;
DROP FUNCTION users_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0001_tables")]

    operations = [migrations.RunSQL(REFUSE, ALLOW)]
