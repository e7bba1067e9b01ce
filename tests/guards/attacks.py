"""For every guard of the database, statements of plain SQL that break what its name says.

`again` copies a row with some of its columns changed; `change` updates one row.
"""

from django.db import connection

# Guards without an attack, each with the reason.
NOT_ATTACKED = {
    "a_period_is_locked_after_its_last_entry": "refuses nothing: it waits for who is booking",
    "grant_is_not_negative": "grant_is_never_overdrawn refuses the same, and is asked first",
    "an_entry_noted_to_balance_does_so_at_the_commit": "speaks in the name of who noted it",
    "invoices_noted_to_add_up_do_so_at_the_commit": "speaks in the name of who noted them",
}


def again(table: str, where: str = "true", **changes: str) -> str:
    """INSERT of a copy of one row; a generated id is generated anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT column_name, data_type, is_identity FROM information_schema.columns
               WHERE table_name = %s ORDER BY ordinal_position""",
            [table],
        )
        columns = cursor.fetchall()
    values = {
        name: "gen_random_uuid()" if name == "id" and kind == "uuid" else name
        for name, kind, identity in columns
        if identity == "NO"
    } | changes
    return (
        f"INSERT INTO {table} ({', '.join(values)})"  # noqa: S608
        f" SELECT {', '.join(values.values())} FROM {table} WHERE {where} LIMIT 1"
    )


def change(table: str, to: str, where: str = "true") -> str:
    """UPDATE of one row."""
    one = f"SELECT ctid FROM {table} WHERE {where} LIMIT 1"  # noqa: S608
    return f"UPDATE {table} SET {to} WHERE ctid = ({one})"  # noqa: S608


def change_chunk(to: str) -> str:
    """UPDATE of one chunk. Rows of two partitions may have one ctid."""
    first = "(SELECT min(id) FROM metering_usagechunk)"
    return f"UPDATE metering_usagechunk SET {to} WHERE id = {first}"  # noqa: S608


def emptied(table: str) -> str:
    return f"TRUNCATE {table} CASCADE"


def deleted(table: str) -> str:
    return f"DELETE FROM {table}"  # noqa: S608


def requests(table: str, noun: str, *, approve_by: str) -> dict[str, str]:
    """What every table of requests refuses. `approve_by` is its maker-checker guard."""
    waiting = "state = 'requested'"
    own = "state = 'approved', decided_by = requested_by, decided_at = requested_at"
    return {
        approve_by: change(table, own, waiting),
        f"a_{noun}_begins_as_a_request": again(
            table, state="'approved'", decided_by="'somebody-else'"
        ),
        f"a_{noun}_is_decided_once": change(table, "requested_by = 'somebody-else'", waiting),
        f"a_{noun}_is_never_deleted": deleted(table),
    }


def of_billing() -> dict[str, str]:
    """Customers, the books, invoices, credit notes, periods."""
    note = "state = 'requested'"
    return {
        "api_key_names_its_owner": change("billing_apikey", "user_id = NULL", "kind = 'finance'"),
        # Books
        "one_account_of_a_code_per_customer_commit_quarter": again("billing_ledgeraccount"),
        "account_code_is_in_the_chart": again("billing_ledgeraccount", code="'petty_cash'"),
        "a_ledger_account_keeps_its_identity": change("billing_ledgeraccount", "code = 'bank'"),
        "posting_is_not_zero": again("billing_posting", amount="0"),
        "a_posting_is_never_changed": change("billing_posting", "amount = amount + 1"),
        "the_postings_are_never_emptied": emptied("billing_posting"),
        "a_journal_entry_is_never_changed": change("billing_journalentry", "description = 'x'"),
        "the_key_of_an_entry_is_used_once": again("billing_journalentry"),
        "the_journal_is_never_emptied": emptied("billing_journalentry"),
        "an_entry_has_postings_that_sum_to_zero": again(
            "billing_journalentry", key="'planted'", accounting_date="'2026-05-01'"
        ),
        "the_postings_of_an_entry_sum_to_zero": again("billing_posting"),
        "a_ledger_account_is_never_deleted": deleted("billing_ledgeraccount"),
        "the_ledger_accounts_are_never_emptied": emptied("billing_ledgeraccount"),
        "an_entry_is_never_dated_in_a_locked_period": again(
            "billing_journalentry", key="'planted'",
            accounting_date="(SELECT max(month) FROM billing_accountingperiod)",
        ),
        "an_audit_event_is_never_changed": change("billing_auditevent", "actor_name = 'nobody'"),
        "the_audit_trail_is_never_emptied": emptied("billing_auditevent"),
        # Periods
        "a_month_is_locked_once": again("billing_accountingperiod"),
        "accounting_period_begins_on_the_first": again(
            "billing_accountingperiod", month="month + 1"
        ),
        "a_locked_period_is_unlocked_by_two_people": change(
            "billing_accountingperiod", "unlocked_at = now()"
        ),
        "a_locked_period_is_never_deleted": deleted("billing_accountingperiod"),
        "the_accounting_periods_are_never_emptied": emptied("billing_accountingperiod"),
        "period_unlock_has_a_reason": again("billing_periodunlock", reason="''"),
        "one_open_request_to_unlock_a_period": again("billing_periodunlock"),
        "period_unlock_is_approved_by_another_than_its_maker": change(
            "billing_periodunlock", "state = 'approved', decided_by = requested_by"
        ),
        "a_request_to_unlock_begins_as_one": again("billing_periodunlock", state="'rejected'"),
        "a_request_to_unlock_is_decided_once": change(
            "billing_periodunlock", "requested_by = 'somebody-else'"
        ),
        "a_request_to_unlock_keeps_its_period_and_reason": change(
            "billing_periodunlock", "reason = 'another'"
        ),
        "a_request_to_unlock_is_never_deleted": deleted("billing_periodunlock"),
        # Invoices
        "one_invoice_per_commit_occasion_revision": again(
            "billing_invoice", state="'draft'", stripe_id="''", total_cents="0"
        ),
        "one_live_invoice_per_commit_occasion": again(
            "billing_invoice", state="'draft'", stripe_id="''", revision="revision + 1"
        ),
        "one_invoice_per_stripe_id": again(
            "billing_invoice", state="'draft'", occasion_ref="'other'"
        ),
        "invoice_total_is_not_negative": again(
            "billing_invoice", state="'draft'", total_cents="-1"
        ),
        "an_invoice_only_moves_forward": change("billing_invoice", "state = 'draft'"),
        "an_invoice_is_never_deleted": deleted("billing_invoice"),
        "the_invoices_are_never_emptied": emptied("billing_invoice"),
        "an_invoice_has_lines_that_add_up": again(
            "billing_invoice", state="'draft'", stripe_id="''", occasion_ref="'other'"
        ),
        "the_lines_of_an_invoice_add_up": again("billing_invoiceline", position="99"),
        "one_line_per_invoice_position": again("billing_invoiceline"),
        "invoice_line_is_not_negative": again(
            "billing_invoiceline", position="99", amount_cents="-1"
        ),
        "an_invoice_line_is_never_changed": change("billing_invoiceline", "description = 'x'"),
        "the_invoice_lines_are_never_emptied": emptied("billing_invoiceline"),
        "one_stripe_call_per_step_and_epoch": again("billing_stripecall"),
        "a_stripe_call_keeps_its_payload": change("billing_stripecall", "payload = '{}'"),
        # Credit notes
        "one_credit_note_per_stripe_id": (
            again("billing_creditnote", stripe_id="'cn_1'")
            + ";" + again("billing_creditnote", stripe_id="'cn_1'")
        ),
        "credit_note_is_more_than_nothing": again("billing_creditnote", total_cents="0"),
        "credit_note_goes_where_its_cents_go": change(
            "billing_creditnote", "state = 'approved', decided_by = 'zoe'", note
        ),
        "credit_note_parts_are_not_negative": change(
            "billing_creditnote", "receivable_cents = -1", note
        ),
        "credit_note_is_approved_by_another_than_its_maker": change(
            "billing_creditnote",
            "state = 'approved', decided_by = requested_by, receivable_cents = total_cents", note,
        ),
        "a_requested_credit_note_begins_as_one": again("billing_creditnote", state="'approved'"),
        "a_credit_note_only_moves_forward": change("billing_creditnote", "requested_by = 'zoe'"),
        "a_credit_note_is_never_deleted": deleted("billing_creditnote"),
        "the_credit_notes_are_never_emptied": emptied("billing_creditnote"),
        "credit_notes_never_exceed_their_invoice": again(
            "billing_creditnote", total_cents="1000000000"
        ),
        # Write-offs
        "write_off_has_a_reason": again("billing_writeoff", note, reason="''"),
        "write_off_withdraws_no_more_than_was_billed": change(
            "billing_writeoff", "unused_cents = total_cents + 1", note
        ),
        "one_live_write_off_per_invoice": again("billing_writeoff", note),
        "a_write_off_keeps_its_invoice_and_reason": change(
            "billing_writeoff", "total_cents = 1", note
        ),
        "the_write_offs_are_never_emptied": emptied("billing_writeoff"),
        "a_write_off_is_of_a_void_invoice": again(
            "billing_writeoff", note,
            invoice_id="(SELECT id FROM billing_invoice WHERE state <> 'void' LIMIT 1)",
        ),
        "an_invoice_that_was_written_off_is_not_issued_again": again(
            "billing_invoice",
            "id IN (SELECT invoice_id FROM billing_writeoff WHERE state = 'approved')",
            revision="revision + 1", state="'draft'", stripe_id="''",
        ),
        **requests(
            "billing_writeoff", "write_off",
            approve_by="write_off_is_approved_by_another_than_its_maker",
        ),
        # Once
        "one_answer_per_idempotency_key": again("billing_idempotentrequest"),
        "one_run_per_job_and_instant": again("billing_jobrun"),
        "there_is_one_sandbox_clock": again("billing_sandboxclock", id="2"),
    }  # fmt: skip


def of_metering() -> dict[str, str]:
    """Prices, usage, waivers."""
    listed, private = "customer_id IS NULL", "customer_id IS NOT NULL"
    return {
        "meter_is_priced_per_at_least_one_unit": change("metering_meter", "units_per_price = 0"),
        "one_price_per_model_mode_meter_and_instant": again("metering_price", listed),
        "one_private_price_per_model_mode_meter_and_instant": again("metering_price", private),
        "price_is_not_negative": change("metering_price", "price = -1", listed),
        "price_starts_on_a_whole_hour": again(
            "metering_price", listed, effective_at="effective_at + '1 minute'"
        ),
        "a_private_price_was_agreed_by_two_people": change("metering_price", "price = 1", private),
        "private_price_is_not_negative": again("metering_privatepricerequest",
            state="'requested'", price="-1"),
        "private_price_starts_on_a_whole_hour": again(
            "metering_privatepricerequest", state="'requested'",
            effective_at="effective_at + '1 second'",
        ),
        **requests(
            "metering_privatepricerequest", "private_price",
            approve_by="private_price_is_approved_by_another_than_its_maker",
        ),
        "one_discount_per_card_and_instant": again("metering_ratediscount"),
        "discount_is_a_share_below_one": change("metering_ratediscount", "discount = 1"),
        "one_override_per_card_model_mode_meter_instant": again("metering_rateoverride"),
        "override_is_not_negative": change("metering_rateoverride", "price = -1"),
        "override_starts_on_a_whole_hour": change(
            "metering_rateoverride", "effective_at = effective_at + '1 minute'"
        ),
        "usage_period_ends_after_it_starts": change("metering_usageperiod", "ends_at = starts_at"),
        "usage_periods_of_a_customer_do_not_overlap": again(
            "metering_usageperiod", starts_at="ends_at - interval '1 hour'",
            ends_at="ends_at + interval '1 hour'",
        ),
        "there_is_one_event_key_secret": again("metering_eventkeysecret", id="2"),
        "the_event_key_secret_is_never_changed": deleted("metering_eventkeysecret"),
        "an_event_is_voided_at_most_once": again("metering_usagevoid"),
        "a_void_is_never_changed": deleted("metering_usagevoid"),
        "the_voids_are_never_emptied": emptied("metering_usagevoid"),
        "a_usage_chunk_is_never_changed": change_chunk("output_tokens = input_tokens"),
        "the_usage_chunks_are_never_emptied": emptied("metering_usagechunk"),
        "the_columns_of_a_chunk_are_of_one_length": again(
            "metering_usagechunk", id="id + 1000000", output_tokens="output_tokens || 1::bigint"
        ),
        "the_origins_of_a_chunk_are_of_one_length": again(
            "metering_usagechunk", id="id + 1000000", origin_modes="origin_modes || 'x'::text"
        ),
        "an_event_key_is_never_changed": change("metering_eventkey", "fingerprint = 0"),
        "the_event_keys_are_never_emptied": emptied("metering_eventkey"),
        "a_usage_run_is_never_changed": change("metering_usagerun", "event_count = 1"),
        "the_usage_runs_are_never_emptied": emptied("metering_usagerun"),
        "a_month_is_archived_once": again("metering_usagearchive"),
        "one_reported_total_per_source_and_group": again("metering_reportedtotal"),
        "a_reported_total_is_not_negative": change("metering_reportedtotal", "quantity = -1"),
        "an_archive_is_never_changed": change("metering_usagearchive", "row_count = 2"),
        "an_archive_holds_events": again("metering_usagearchive", row_count="0"),
        "an_archive_holds_a_stretch_of_time": again("metering_usagearchive", ends_at="starts_at"),
        "usage_of_an_hour_is_not_negative": change("metering_usagehour", "quantity = -1"),
        "usage_of_a_period_is_not_negative": change("metering_usagetotal", "quantity = -1"),
        "a_usage_delta_is_never_changed": change("metering_usagedelta", "hours = periods"),
        "the_usage_deltas_are_never_emptied": emptied("metering_usagedelta"),
        "the_columns_of_a_usage_delta_are_of_one_length": again(
            "metering_usagedelta", hours="hours || 1::bigint"
        ),
        "a_usage_delta_only_adds": again(
            "metering_usagedelta", quantities="array_fill(0::bigint, ARRAY[cardinality(hours)])"
        ),
        "one_unrated_row_per_event_and_meter": again("metering_unratedusage"),
        "waiver_has_a_reason": change("metering_waiver", "reason = ''"),
        **requests(
            "metering_waiver", "waiver", approve_by="waiver_is_approved_by_another_than_its_maker"
        ),
    }  # fmt: skip


def of_commits() -> dict[str, str]:
    """Commits, quarters, grants, closes, requests."""
    planned = "state = 'planned'"
    return {
        "commit_has_a_positive_number_of_quarters": change("commits_commit", "quarter_count = 0"),
        "commit_discount_is_a_share_below_one": change("commits_commit", "discount = 1"),
        "commit_rolls_over_a_share": change("commits_commit", "rollover_fraction = 1.5"),
        "commit_grace_is_not_negative": change("commits_commit", "grace_hours = -1"),
        "commit_period_is_a_month_or_a_quarter": change("commits_commit", "period_months = 2"),
        "one_quarter_per_commit_and_index": change("commits_quarter", "index = 2", "index = 1"),
        "one_quarter_per_chain_and_position": change(
            "commits_quarter", "position = 2", "position = 1"
        ),
        "quarter_ends_after_it_starts": change("commits_quarter", "ends_at = starts_at"),
        "quarters_of_a_chain_do_not_overlap": change(
            "commits_quarter", "ends_at = ends_at + interval '1 hour'", "index = 1"
        ),
        "posted_quarter_says_when": change(
            "commits_quarter", "posted_at = NULL", "state = 'posted'"
        ),
        "one_live_close_per_quarter": again("commits_close", revision="revision + 1"),
        "one_close_per_quarter_and_revision": again("commits_close", state="'withdrawn'"),
        "close_is_approved_by_another_than_its_planner": change(
            "commits_close", "planned_by = 'ada', state = 'approved', approved_by = 'ada'", planned
        ),
        "close_is_posted_only_when_approved": change("commits_close", "state = 'posted'", planned),
        "one_grant_per_quarter_and_ref": again("commits_grant", "kind = 'rollover'"),
        "one_instalment_per_quarter": again("commits_grant", "kind = 'instalment'", ref="'other'"),
        "grant_is_never_overdrawn": change("commits_grant", "drawn = amount + 0.000000000001"),
        "one_booked_amount_per_quarter_and_day": again("commits_bookedday"),
        "true_up_is_an_increase": change("commits_trueup", "amount = 0"),
        "true_up_runs_forward": change("commits_trueup", "from_quarter = through_quarter + 1"),
        "credit_is_more_than_nothing": change("commits_credit", "amount = 0"),
        "backfill_ends_after_it_starts": change("commits_backfill", "ends_at = starts_at"),
        "backfill_has_a_reason": change("commits_backfill", "reason = ''"),
        "one_share_per_backfill_and_customer": again("commits_backfillshare"),
        "one_staged_event_per_share_and_id": again("commits_stagedevent"),
        "a_backfill_is_applied_only_when_approved": change(
            "commits_backfillshare", "applied_at = now()"
        ),
        **requests(
            "commits_backfill", "backfill",
            approve_by="backfill_is_approved_by_another_than_its_maker",
        ),
        **requests(
            "commits_trueup", "true_up", approve_by="true_up_is_approved_by_another_than_its_maker"
        ),
        **requests(
            "commits_credit", "credit", approve_by="credit_is_approved_by_another_than_its_maker"
        ),
        **requests(
            "commits_overriderequest", "fixed_price",
            approve_by="override_is_approved_by_another_than_its_maker",
        ),
    }  # fmt: skip
