"""What tells the bytes of a part: an upload that came in several requests is told by those of all its parts."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bulkql", "0010_export")]

    operations = [
        migrations.AddField(
            model_name="storedpart",
            name="digest",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="SHA-256 of its bytes, where they came by tus.",
                max_length=64,
            ),
        ),
    ]
