"""Room on a page for a quarter's billed groups; a close's inputs and plan are kept as they are,
because compressing them takes longer than writing them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("commits", "0010_changed_in_place")]

    operations = [
        migrations.RunSQL(
            [
                "ALTER TABLE commits_quarter SET (fillfactor = 50)",
                "ALTER TABLE commits_close SET (toast_tuple_target = 8160)",
            ],
            [
                "ALTER TABLE commits_quarter SET (fillfactor = 70)",
                "ALTER TABLE commits_close RESET (toast_tuple_target)",
            ],
        )
    ]
