from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bulkql", "0005_outages")]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="trades",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Unique values change hands between its rows: those that are not written yet go together.",
            ),
        ),
    ]
