"""A close's inputs are kept as the text that their digest is of, not wrapped up in JSON."""

from django.db import migrations, models

TO_TEXT = "ALTER TABLE commits_close ALTER inputs TYPE text USING inputs ->> 'canonical'"
TO_JSON = """
ALTER TABLE commits_close ALTER inputs TYPE jsonb
    USING jsonb_build_object('canonical', inputs)"""


class Migration(migrations.Migration):
    dependencies = [("commits", "0011_rows_of_closes")]

    operations = [
        migrations.RunSQL(
            TO_TEXT,
            TO_JSON,
            state_operations=[
                migrations.AlterField(
                    model_name="close",
                    name="inputs",
                    field=models.TextField(
                        help_text="in their canonical spelling, of which the digest is"
                    ),
                )
            ],
        )
    ]
