"""Puts two guards back that 0006 took away without saying so.

A conditional unique constraint is an index to PostgreSQL, and Django drops every index of a single
column that stops being indexed: these two lay on `quarter` alone.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("commits", "0006_fewer_indexes")]

    operations = [
        migrations.RunSQL(
            """CREATE UNIQUE INDEX IF NOT EXISTS one_live_close_per_quarter
               ON commits_close (quarter_id) WHERE NOT (state = 'withdrawn')""",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            """CREATE UNIQUE INDEX IF NOT EXISTS one_instalment_per_quarter
               ON commits_grant (quarter_id) WHERE kind = 'instalment'""",
            migrations.RunSQL.noop,
        ),
    ]
