from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bulkql", "0003_upload_owner"),
    ]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="waiting_since",
            field=models.DateTimeField(help_text="Since when it waits for locks that somebody else holds.", null=True),
        ),
    ]
