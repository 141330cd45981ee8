"""What tells an upload's bytes, so that the same ones sent again are the same input."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bulkql", "0006_verdict")]

    operations = [
        migrations.AddField(
            model_name="upload",
            name="digest",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="SHA-256 of its bytes, where the storage told.",
                max_length=64,
            ),
        ),
    ]
