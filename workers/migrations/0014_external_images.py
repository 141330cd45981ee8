"""PostgreSQL: keep images and evidence as they are, as the other columns of chunks: they are compressed already."""

from django.db import migrations

COLUMNS = (("bulkql_chunk", "images"), ("bulkql_chunk", "evidence"))


def store_uncompressed(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, column in COLUMNS:
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    dependencies = [("bulkql", "0013_plans")]
    operations = [migrations.RunPython(store_uncompressed, migrations.RunPython.noop)]
