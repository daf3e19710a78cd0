from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('miners', '0008_control_ids'),
        ('sectors', '0030_damocles_looks'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='is_portable',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('is_portable', True), ('state__in', ['READY', 'LEASED'])), fields=['-time_sensitive', '-priority', '-rank', 'created_at', 'id'], name='jobs_portable'),
        ),
    ]
