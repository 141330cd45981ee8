"""Who sent the rows of a retry, or of an applied plan: until now it was asked of the operation before, which is purged."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def find_senders(apps, schema_editor):
    Operation = apps.get_model("bulkql", "Operation")
    with_source = Operation.objects.using(schema_editor.connection.alias).exclude(retry_of=None, applied_from=None)
    for operation in with_source.iterator():
        first = operation
        while (source := first.retry_of or first.applied_from) is not None:
            first = source
        operation.rows_by_id = first.created_by_id
        operation.save(update_fields=["rows_by"])


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("bulkql", "0014_external_images"),
    ]
    operations = [
        migrations.AddField(
            model_name="operation",
            name="rows_by",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                help_text="Who sent its rows, where that is not its user: it retries, or applies, what another user sent.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(find_senders, migrations.RunPython.noop),
    ]
