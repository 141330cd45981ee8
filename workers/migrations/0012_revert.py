import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bulkql", "0011_resumable"),
    ]

    operations = [
        migrations.AddField(
            model_name="chunk",
            name="images",
            field=models.BinaryField(help_text="What its rows were before, compressed Arrow IPC.", null=True),
        ),
        migrations.AddField(
            model_name="operation",
            name="forces",
            field=models.BooleanField(
                db_default=False, default=False, help_text="A revert of rows that were changed since, too."
            ),
        ),
        migrations.AddField(
            model_name="operation",
            name="revert_of",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="reverts", to="bulkql.operation"
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="verb",
            field=models.CharField(
                choices=[
                    ("CREATE", "Create"),
                    ("UPDATE", "Update"),
                    ("REPLACE", "Replace"),
                    ("UPSERT", "Upsert"),
                    ("DELETE", "Delete"),
                    ("SYNC", "Sync"),
                    ("EXPORT", "Export"),
                    ("REVERT", "Revert"),
                ],
                max_length=10,
            ),
        ),
    ]
