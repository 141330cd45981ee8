from django.db import migrations, models

HELP = "Tries that the database's going away ended."


class Migration(migrations.Migration):
    dependencies = [("bulkql", "0004_waiting_since")]

    operations = [
        migrations.AddField(model, "outages", models.IntegerField(default=0, db_default=0, help_text=HELP))
        for model in ("operation", "input", "chunk")
    ]
