"""PostgreSQL: keep stored bytes as they are. Chunks are compressed already, and files would be tried in vain."""

from django.db import migrations

COLUMNS = (
    ("bulkql_stored_part", "data"),
    ("bulkql_chunk", "payload"),
    ("bulkql_chunk", "results"),
    ("bulkql_chunk", "errors"),
)


def store_uncompressed(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, column in COLUMNS:
            schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


class Migration(migrations.Migration):
    dependencies = [("bulkql", "0001_initial")]
    operations = [migrations.RunPython(store_uncompressed, migrations.RunPython.noop)]
