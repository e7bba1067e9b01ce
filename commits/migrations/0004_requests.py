"""A request begins as one and is decided once: see sql/0004_requests.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_requests"), ("commits", "0003_two_person_requests")]

    operations = [
        migrations.RunSQL(
            (SQL / "0004_requests.sql").read_text(encoding="utf-8"),
            (SQL / "0004_requests_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
