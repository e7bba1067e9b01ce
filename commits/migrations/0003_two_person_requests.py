"""Every request keeps why it was rejected; a true-up called that its reason."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("commits", "0002_refunds")]

    operations = [
        migrations.RenameField("trueup", "reason", "rejected_because"),
        *(
            migrations.AddField(
                model_name=name,
                name="rejected_because",
                field=models.CharField(blank=True, default="", max_length=300),
            )
            for name in ("credit", "overriderequest")
        ),
    ]
