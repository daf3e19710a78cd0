from django.db import migrations, models

COLUMNS = (
    ("checkrun", "error"),
    ("deadline", "reason"),
    ("faultdeclaration", "error"),
    ("postnote", "words"),
    ("proofattempt", "reason"),
    ("recovery", "error"),
    ("sectorcheck", "reason"),
    ("windowpost", "error"),
)


class Migration(migrations.Migration):
    dependencies = [("proving", "0005_posts_landed")]

    operations = [
        migrations.AddField(
            model_name=model, name=f"{field}_coded", field=models.JSONField(editable=False, null=True)
        )
        for model, field in COLUMNS
    ]
