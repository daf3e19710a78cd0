from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('chain', '0001_tables'),
    ]

    operations = [
        migrations.RenameField(model_name='node', old_name='state', new_name='condition'),
    ]
