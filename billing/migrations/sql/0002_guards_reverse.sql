-- Takes the guards of 0002_guards.sql away again; the data stay as they are.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER a_journal_entry_is_never_changed ON billing_journalentry;
DROP TRIGGER the_journal_is_never_emptied ON billing_journalentry;
DROP TRIGGER a_posting_is_never_changed ON billing_posting;
DROP TRIGGER the_postings_are_never_emptied ON billing_posting;
DROP TRIGGER an_audit_event_is_never_changed ON billing_auditevent;
DROP TRIGGER the_audit_trail_is_never_emptied ON billing_auditevent;
DROP TRIGGER an_invoice_line_is_never_changed ON billing_invoiceline;
DROP TRIGGER the_invoice_lines_are_never_emptied ON billing_invoiceline;
DROP TRIGGER a_locked_period_stays_locked ON billing_accountingperiod;
DROP TRIGGER a_stripe_call_keeps_its_payload ON billing_stripecall;
DROP TRIGGER a_ledger_account_keeps_its_identity ON billing_ledgeraccount;
DROP TRIGGER the_postings_of_an_entry_sum_to_zero ON billing_posting;
DROP TRIGGER an_entry_has_postings_that_sum_to_zero ON billing_journalentry;
DROP TRIGGER an_entry_is_never_dated_in_a_locked_period ON billing_journalentry;
DROP TRIGGER a_period_is_locked_after_its_last_entry ON billing_accountingperiod;
DROP TRIGGER an_invoice_only_moves_forward ON billing_invoice;
DROP TRIGGER an_invoice_is_never_deleted ON billing_invoice;
DROP TRIGGER the_invoices_are_never_emptied ON billing_invoice;
DROP TRIGGER an_invoice_has_lines_that_add_up ON billing_invoice;
DROP TRIGGER the_lines_of_an_invoice_add_up ON billing_invoiceline;

DROP FUNCTION billing_invoice_adds_up();
DROP FUNCTION billing_invoice_moves_forward();
DROP FUNCTION billing_wait_for_entries_of_the_period();
DROP FUNCTION billing_entries_stay_out_of_locked_periods();
DROP FUNCTION billing_period_lock_key(date);
DROP TABLE billing_entry_to_balance;
DROP FUNCTION billing_note_entries_to_balance();
DROP FUNCTION billing_entry_balances();
DROP FUNCTION billing_refuse();
