import apps.core.fields
import django.db.models.deletion
import poolsite.wire.pipeline.sealing
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("sectors", "0001_initial"),
        ("sectors", "0002_tenant"),
        ("sectors", "0003_tenant_underway"),
        ("sectors", "0004_expiring"),
        ("sectors", "0005_proof_progress"),
        ("sectors", "0006_active_sectors"),
        ("sectors", "0007_worker_plan"),
        ("sectors", "0008_skipped_numbers"),
        ("sectors", "0009_sector_recovery"),
        ("sectors", "0010_active_by_deadline"),
        ("sectors", "0011_batch_reasons"),
        ("sectors", "0012_number_reservation"),
        ("sectors", "0013_commit_aggregate"),
        ("sectors", "0014_sector_changes"),
        ("sectors", "0015_batch_settings"),
        ("sectors", "0016_pipeline_runs"),
        ("sectors", "0017_host_settings"),
        ("sectors", "0018_expirations"),
        ("sectors", "0019_events_by_worker"),
        ("sectors", "0020_removal_asked"),
        ("sectors", "0021_seal_targets"),
        ("sectors", "0022_stores"),
        ("sectors", "0023_aggregate_of_a_proof_type"),
        ("sectors", "0024_stage_runs"),
        ("sectors", "0025_damocles_sectors"),
        ("sectors", "0026_update_settings"),
        ("sectors", "0027_files_lost"),
        ("sectors", "0028_claims_by_index"),
        ("sectors", "0029_lost_uid"),
        ("sectors", "0030_damocles_looks"),
        ("sectors", "0031_portable_jobs"),
        ("sectors", "0032_stopped_work"),
        ("sectors", "0033_settings_of_sealing"),
        ("sectors", "0034_store_names"),
        ("sectors", "0035_batches_landed"),
        ("sectors", "0036_store_checks"),
        ("sectors", "0037_store_scans"),
        ("sectors", "0038_damocles_deals"),
        ("sectors", "0039_update_funds"),
        ("sectors", "0040_batches_asked"),
    ]

    initial = True

    dependencies = [
        ("miners", "0001_tables"),
        ("users", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="ActiveSectors",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("numbers", models.JSONField(default=list)),
                ("compared_height", models.BigIntegerField(null=True)),
                (
                    "miner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="miners.miner"
                    ),
                ),
                ("root", apps.core.fields.CidField(blank=True, default="", max_length=128)),
                ("each", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("precommit", "Pre-commit"),
                            ("commit", "Commit"),
                            ("terminate", "Termination"),
                            ("extend", "Extension"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("CLOSED", "Closed"),
                            ("SENT", "Sent"),
                            ("LANDED", "Landed"),
                            ("FAILED", "Failed"),
                        ],
                        default="CLOSED",
                        max_length=16,
                    ),
                ),
                ("message_id", models.CharField(max_length=200, unique=True)),
                ("closed_height", models.BigIntegerField()),
                ("reason", models.CharField(blank=True, max_length=100)),
                ("sender", models.CharField(max_length=128)),
                ("method", models.IntegerField()),
                ("params", models.BinaryField()),
                ("value", apps.core.fields.AttoFilField(default=0)),
                ("landed_height", models.BigIntegerField(null=True)),
                ("exit_code", models.IntegerField(null=True)),
                ("error", models.TextField(blank=True)),
                (
                    "miner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="batches", to="miners.miner"
                    ),
                ),
                ("gas_saved", models.BigIntegerField(default=0)),
                ("is_aggregate", models.BooleanField(default=False)),
                ("from_balance", apps.core.fields.AttoFilField(default=0)),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["CLOSED", "SENT"])),
                        fields=["miner", "kind"],
                        name="batches_open",
                    ),
                    models.Index(
                        condition=models.Q(("state", "LANDED")),
                        fields=["miner", "landed_height"],
                        name="batches_landed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BatchSettings",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("precommit_batch_max", models.IntegerField(null=True)),
                ("precommit_wait_epochs", models.IntegerField(null=True)),
                ("precommit_backlog_epochs", models.IntegerField(null=True)),
                ("commit_batch_max", models.IntegerField(null=True)),
                ("commit_wait_epochs", models.IntegerField(null=True)),
                ("commit_backlog_epochs", models.IntegerField(null=True)),
                ("terminate_batch_max", models.IntegerField(null=True)),
                ("terminate_wait_epochs", models.IntegerField(null=True)),
                ("extend_batch_max", models.IntegerField(null=True)),
                ("extend_wait_epochs", models.IntegerField(null=True)),
                ("base_fee_max", apps.core.fields.AttoFilField(null=True)),
                ("aggregate_commits", models.BooleanField(null=True)),
                (
                    "miner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="batch_settings",
                        to="miners.miner",
                    ),
                ),
                ("update_batch_max", models.IntegerField(null=True)),
                ("update_wait_epochs", models.IntegerField(null=True)),
                ("aggregate_wait_s", models.IntegerField(null=True)),
                ("attempts_max", models.IntegerField(null=True)),
                ("commit_batch_bytes", models.IntegerField(null=True)),
                ("funds_margin_percent", models.IntegerField(null=True)),
                ("pack_start_slack_epochs", models.IntegerField(null=True)),
                ("pack_wait_s", models.IntegerField(null=True)),
                ("pause_max_s", models.IntegerField(null=True)),
                ("pause_s", models.IntegerField(null=True)),
                ("precommit_slack_epochs", models.IntegerField(null=True)),
                ("sector_life_epochs", models.IntegerField(null=True)),
                ("send_funds", models.BooleanField(null=True)),
                ("snap_up_first", models.BooleanField(null=True)),
                ("send_asked_height", models.BigIntegerField(null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Expirations",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("counts", models.JSONField()),
                ("counted_at", models.DateTimeField()),
                ("took_ms", models.IntegerField()),
                (
                    "miner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="miners.miner"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="NumberReservation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[("RESERVED", "Reserved"), ("USED", "Used"), ("BURNED", "Never given again")],
                        default="RESERVED",
                        max_length=16,
                    ),
                ),
                ("runs", models.JSONField(default=list)),
                ("count", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("is_lease", models.BooleanField(default=False)),
                ("expires_at", models.DateTimeField(null=True)),
                ("actor", models.CharField(max_length=200)),
                ("key", models.CharField(max_length=100, null=True)),
                (
                    "miner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reservations",
                        to="miners.miner",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [
                    models.Index(fields=["miner", "last"], name="reservations_ahead"),
                    models.Index(
                        condition=models.Q(("state", "RESERVED")),
                        fields=["expires_at"],
                        name="number_leases_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("miner", "key"), name="one_reservation_per_key"),
                    models.UniqueConstraint(
                        condition=models.Q(("is_lease", False), ("state", "RESERVED")),
                        fields=("miner", "name"),
                        name="one_open_reservation_per_name",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Pledge",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("count", models.IntegerField()),
                ("key", models.CharField(max_length=200, null=True)),
                ("actor", models.CharField(max_length=200)),
                (
                    "miner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="pledges", to="miners.miner"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="users.tenant"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("tenant", "key"), name="one_pledge_per_key")],
            },
        ),
        migrations.CreateModel(
            name="SealTarget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("in_work", models.IntegerField(null=True)),
                ("day_bytes", models.BigIntegerField(null=True)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                ("power_max", models.BigIntegerField(null=True)),
                ("base_fee_max", apps.core.fields.AttoFilField(null=True)),
                ("balance_min", apps.core.fields.AttoFilField(default=0)),
                ("held_by", models.CharField(blank=True, max_length=16)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("held_since", models.DateTimeField(null=True)),
                ("look_at", models.DateTimeField()),
                (
                    "miner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="seal_target",
                        to="miners.miner",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["look_at"], name="seal_targets_due")],
            },
        ),
        migrations.CreateModel(
            name="Sector",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("number", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("ALLOCATED", "ALLOCATED"),
                            ("PIECE_ADDED", "PIECE_ADDED"),
                            ("TREE_D_BUILT", "TREE_D_BUILT"),
                            ("TICKET_ASSIGNED", "TICKET_ASSIGNED"),
                            ("PC1_DONE", "PC1_DONE"),
                            ("PC2_DONE", "PC2_DONE"),
                            ("PERSISTED", "PERSISTED"),
                            ("PRECOMMIT_SENT", "PRECOMMIT_SENT"),
                            ("PRECOMMIT_LANDED", "PRECOMMIT_LANDED"),
                            ("SEED_ASSIGNED", "SEED_ASSIGNED"),
                            ("C1_DONE", "C1_DONE"),
                            ("C2_DONE", "C2_DONE"),
                            ("COMMIT_SENT", "COMMIT_SENT"),
                            ("COMMIT_LANDED", "COMMIT_LANDED"),
                            ("PROVING", "PROVING"),
                            ("ABORTED", "ABORTED"),
                            ("TERMINATED", "TERMINATED"),
                        ],
                        default=poolsite.wire.pipeline.sealing_states.SectorState["ALLOCATED"],
                        max_length=24,
                    ),
                ),
                ("stage_since", models.DateTimeField()),
                ("seal_proof", models.SmallIntegerField()),
                ("sector_size", models.BigIntegerField()),
                ("progress_done", models.BigIntegerField(default=0)),
                ("progress_total", models.BigIntegerField(default=0)),
                ("progress_unit", models.CharField(blank=True, max_length=100)),
                ("pieces", models.JSONField(default=list)),
                ("comm_d", models.BinaryField(null=True)),
                ("comm_r", models.BinaryField(null=True)),
                ("ticket", models.BinaryField(null=True)),
                ("ticket_epoch", models.BigIntegerField(null=True)),
                ("seed", models.BinaryField(null=True)),
                ("seed_epoch", models.BigIntegerField(null=True)),
                ("store", models.CharField(blank=True, max_length=110)),
                ("precommit_epoch", models.BigIntegerField(null=True)),
                ("activation", models.BigIntegerField(null=True)),
                ("expiration", models.BigIntegerField(null=True)),
                ("deadline", models.IntegerField(null=True)),
                ("partition", models.IntegerField(null=True)),
                ("initial_pledge", apps.core.fields.AttoFilField(default=0)),
                ("active", models.BooleanField(default=False)),
                ("active_since", models.DateTimeField(null=True)),
                ("ready_height", models.BigIntegerField(null=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
                ("error_level", models.CharField(blank=True, max_length=16)),
                ("attempts", models.IntegerField(default=0)),
                ("not_before", models.DateTimeField(null=True)),
                (
                    "commit_batch",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="commits",
                        to="sectors.batch",
                    ),
                ),
                (
                    "miner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="sectors", to="miners.miner"
                    ),
                ),
                (
                    "pledge",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sectors",
                        to="sectors.pledge",
                    ),
                ),
                (
                    "precommit_batch",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="precommits",
                        to="sectors.batch",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="users.tenant"
                    ),
                ),
                ("key_comm_r", models.BinaryField(null=True)),
                ("removal_asked_at", models.DateTimeField(null=True)),
                ("files_lost_at", models.DateTimeField(null=True)),
                ("lost_uid", models.CharField(blank=True, max_length=100)),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(fields=["miner", "-id"], name="sectors_of_a_miner"),
                    models.Index(
                        condition=models.Q(("paused_at", None), _negated=True),
                        fields=["paused_at"],
                        name="sectors_paused",
                    ),
                    models.Index(fields=["state", "active", "-id"], name="sectors_page"),
                    models.Index(fields=["tenant", "-id"], name="sectors_of_a_tenant"),
                    models.Index(fields=["tenant", "state", "active", "-id"], name="sectors_tenant_page"),
                    models.Index(
                        condition=models.Q(("state", "PROVING")),
                        fields=["expiration"],
                        name="sectors_expiring",
                    ),
                    models.Index(
                        condition=models.Q(("state", "PROVING")),
                        fields=["tenant", "expiration"],
                        name="sectors_tenant_expiring",
                    ),
                    models.Index(
                        condition=models.Q(("deadline", None), ("state__in", ["COMMIT_LANDED", "PROVING"])),
                        fields=["miner"],
                        name="sectors_without_deadline",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("state__in", ["PROVING", "ABORTED", "TERMINATED"]), _negated=True
                        ),
                        fields=["state"],
                        name="sectors_underway",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("state__in", ["PROVING", "ABORTED", "TERMINATED"]), _negated=True
                        ),
                        fields=["tenant", "-id"],
                        name="sectors_tenant_underway",
                    ),
                    models.Index(
                        condition=models.Q(("removal_asked_at", None), ("state", "TERMINATED")),
                        fields=["tenant"],
                        name="sectors_files_left",
                    ),
                    models.Index(fields=["store", "tenant", "state"], name="sectors_of_a_store"),
                    models.Index(
                        condition=models.Q(("lost_uid", ""), _negated=True),
                        fields=["tenant", "lost_uid"],
                        name="sectors_lost",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("miner", "number"), name="one_sector_per_number")
                ],
            },
        ),
        migrations.CreateModel(
            name="SectorChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("TERMINATE", "TERMINATE"), ("EXTEND", "EXTEND")], max_length=16
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("TERMINATE_QUEUED", "TERMINATE_QUEUED"),
                            ("TERMINATE_SENT", "TERMINATE_SENT"),
                            ("TERMINATE_LANDED", "TERMINATE_LANDED"),
                            ("TERMINATE_FAILED", "TERMINATE_FAILED"),
                            ("TERMINATE_CANCELLED", "TERMINATE_CANCELLED"),
                            ("EXTEND_QUEUED", "EXTEND_QUEUED"),
                            ("EXTEND_SENT", "EXTEND_SENT"),
                            ("EXTEND_LANDED", "EXTEND_LANDED"),
                            ("EXTEND_FAILED", "EXTEND_FAILED"),
                            ("EXTEND_CANCELLED", "EXTEND_CANCELLED"),
                        ],
                        max_length=24,
                    ),
                ),
                ("expiration", models.BigIntegerField(null=True)),
                ("old_expiration", models.BigIntegerField(null=True)),
                ("drops_claims", models.BooleanField(default=False)),
                ("fee", apps.core.fields.AttoFilField(default=0)),
                ("queued_height", models.BigIntegerField()),
                ("actor", models.CharField(max_length=200)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("exit_code", models.IntegerField(null=True)),
                ("error", models.TextField(blank=True)),
                (
                    "batch",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="sectors.batch",
                    ),
                ),
                (
                    "sector",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="sectors.sector",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["TERMINATE_QUEUED", "EXTEND_QUEUED"])),
                        fields=["state"],
                        name="changes_queued",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["TERMINATE_FAILED", "EXTEND_FAILED"])),
                        fields=["updated_at"],
                        name="changes_failed",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                ["TERMINATE_QUEUED", "TERMINATE_SENT", "EXTEND_QUEUED", "EXTEND_SENT"],
                            )
                        ),
                        fields=("sector",),
                        name="one_open_change_per_sector",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SectorNumbers",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("next_number", models.BigIntegerField(default=0)),
                (
                    "miner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="numbers", to="miners.miner"
                    ),
                ),
                ("skipped_at", models.DateTimeField(null=True)),
                ("on_hosts", models.JSONField(default=list)),
                ("read_back_at", models.DateTimeField(null=True)),
                ("exported_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SectorProof",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("proof", models.BinaryField()),
                ("seed_epoch", models.BigIntegerField()),
                (
                    "sector",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="final_proof",
                        to="sectors.sector",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SharedSettings",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("group", models.CharField(blank=True, max_length=100)),
                ("values", models.JSONField(default=dict)),
                (
                    "tenant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="users.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "group"), name="one_settings_per_group", nulls_distinct=False
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Store",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("uid", models.CharField(max_length=100)),
                ("name", models.CharField(max_length=110)),
                ("labels", models.JSONField(default=list)),
                ("total_bytes", models.BigIntegerField(default=0)),
                ("free_bytes", models.BigIntegerField(default=0)),
                ("reserved_bytes", models.BigIntegerField(default=0)),
                ("sectors", models.BigIntegerField(default=0)),
                ("rules", models.JSONField(default=dict)),
                ("told_at", models.DateTimeField(null=True)),
                ("sampled_at", models.DateTimeField(null=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="stores", to="users.tenant"
                    ),
                ),
            ],
            options={
                "ordering": ["name", "pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "uid"), name="one_store_per_uid"),
                    models.UniqueConstraint(fields=("tenant", "name"), name="one_store_per_name"),
                ],
            },
        ),
        migrations.CreateModel(
            name="StoreEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("event", models.CharField(max_length=24)),
                ("actor", models.CharField(blank=True, max_length=200)),
                ("note", models.CharField(blank=True, max_length=500)),
                (
                    "store",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="events", to="sectors.store"
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="StoreFinding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("ELSEWHERE", "Known sector, not recorded in this store"),
                            ("MISSING", "Missing"),
                            ("UNKNOWN", "Unknown or ended sector"),
                            ("HALF", "Incomplete sector"),
                            ("OTHER", "Not a sector"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("FOUND", "Found"),
                            ("CHECKING", "Being checked"),
                            ("ADOPTED", "Adopted"),
                            ("REFUSED", "Not adopted"),
                            ("REMOVING", "Being removed"),
                            ("REMOVED", "Removed"),
                        ],
                        default="FOUND",
                        max_length=16,
                    ),
                ),
                ("name", models.CharField(max_length=300)),
                ("miner_id", models.BigIntegerField(null=True)),
                ("number", models.BigIntegerField(null=True)),
                ("size", models.BigIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
                (
                    "sector",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="sectors.sector",
                    ),
                ),
                (
                    "store",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="findings",
                        to="sectors.store",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "indexes": [models.Index(fields=["store", "kind", "id"], name="findings_of_a_store")],
                "constraints": [
                    models.UniqueConstraint(fields=("store", "name"), name="one_finding_per_name")
                ],
            },
        ),
        migrations.CreateModel(
            name="StoreSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("used_bytes", models.BigIntegerField()),
                (
                    "store",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="samples",
                        to="sectors.store",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["store", "at"], name="samples_of_a_store")],
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("uid", models.CharField(max_length=100)),
                ("boot_id", models.CharField(max_length=100)),
                ("name", models.CharField(max_length=100)),
                ("host", models.CharField(blank=True, max_length=100)),
                ("version", models.CharField(blank=True, max_length=100)),
                ("kinds", models.JSONField(default=list)),
                ("slots", models.JSONField(default=dict)),
                ("stores", models.JSONField(default=list)),
                ("hardware", models.JSONField(default=dict)),
                ("registered_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("is_paused", models.BooleanField(default=False)),
                ("is_draining", models.BooleanField(default=False)),
                ("retired_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(blank=True)),
                ("restarts", models.IntegerField(default=0)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="workers", to="users.tenant"
                    ),
                ),
                ("group", models.CharField(blank=True, max_length=100)),
                ("retire_asked_at", models.DateTimeField(null=True)),
                ("settings", models.JSONField(default=dict)),
                ("refuses_data", models.BooleanField(default=False)),
            ],
            options={
                "ordering": ["name", "pk"],
                "constraints": [models.UniqueConstraint(fields=("tenant", "uid"), name="one_worker_per_uid")],
            },
        ),
        migrations.CreateModel(
            name="WorkerCommand",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, unique=True)),
                ("op", models.CharField(max_length=16)),
                ("args", models.JSONField(default=dict)),
                ("actor", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "worker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="commands",
                        to="sectors.worker",
                    ),
                ),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_at", None)), fields=["worker"], name="commands_open"
                    )
                ],
            },
        ),
    ]
