-- The books guard themselves: what no program, admin page or hand at a prompt may do.
-- Every guard is named as the sentence that it enforces. All of them raise class 23 errors
-- (integrity constraint violations), so that callers see one kind of failure.

SET LOCAL lock_timeout = '5s';

-- Raises the sentence that the trigger gives as its argument.
CREATE FUNCTION billing_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

-- --- append-only tables ---------------------------------------------------------------------

CREATE TRIGGER a_journal_entry_is_never_changed
    BEFORE UPDATE OR DELETE ON billing_journalentry
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A journal entry is never changed: reverse it with a new one.');
CREATE TRIGGER the_journal_is_never_emptied
    BEFORE TRUNCATE ON billing_journalentry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The journal is never emptied.');

CREATE TRIGGER a_posting_is_never_changed
    BEFORE UPDATE OR DELETE ON billing_posting
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A posting is never changed: reverse its entry with a new one.');
CREATE TRIGGER the_postings_are_never_emptied
    BEFORE TRUNCATE ON billing_posting
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The postings are never emptied.');

CREATE TRIGGER an_audit_event_is_never_changed
    BEFORE UPDATE OR DELETE ON billing_auditevent
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('An audit event is never changed.');
CREATE TRIGGER the_audit_trail_is_never_emptied
    BEFORE TRUNCATE ON billing_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The audit trail is never emptied.');

CREATE TRIGGER an_invoice_line_is_never_changed
    BEFORE UPDATE OR DELETE ON billing_invoiceline
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('An invoice line is never changed: void the invoice and reissue it.');
CREATE TRIGGER the_invoice_lines_are_never_emptied
    BEFORE TRUNCATE ON billing_invoiceline
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The invoice lines are never emptied.');

CREATE TRIGGER a_locked_period_stays_locked
    BEFORE UPDATE OR DELETE ON billing_accountingperiod
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A locked accounting period stays locked.');

CREATE TRIGGER a_stripe_call_keeps_its_payload
    BEFORE UPDATE ON billing_stripecall
    FOR EACH ROW
    WHEN ((OLD.invoice_id, OLD.step, OLD.epoch, OLD.payload, OLD.first_sent_at)
          IS DISTINCT FROM (NEW.invoice_id, NEW.step, NEW.epoch, NEW.payload, NEW.first_sent_at))
    EXECUTE FUNCTION billing_refuse('What was sent to Stripe is never rewritten.');

CREATE TRIGGER a_ledger_account_keeps_its_identity
    BEFORE UPDATE ON billing_ledgeraccount
    FOR EACH ROW
    WHEN ((OLD.code, OLD.customer_id, OLD.commit_id, OLD.quarter_index)
          IS DISTINCT FROM (NEW.code, NEW.customer_id, NEW.commit_id, NEW.quarter_index))
    EXECUTE FUNCTION billing_refuse('A ledger account keeps its code, customer, commit and quarter.');

-- --- an entry balances ----------------------------------------------------------------------
-- Decided at the commit, because an entry comes before its postings. Both tables ask: an entry
-- without postings is as wrong as a posting added to an entry of last year. Postings are looked at
-- once a statement, as a set; only entries that do not balance at its end are noted, and looked at
-- again at the commit. Asking for every single posting halved the speed of booking.

CREATE TABLE billing_entry_to_balance (entry_id bigint NOT NULL);
COMMENT ON TABLE billing_entry_to_balance IS 'Entries that do not balance yet within a running transaction; empty at every commit.';

-- Plans are kept for a session, so a plan made for ten thousand rows also serves one, and one made
-- on empty tables serves full ones: only index look-ups are right for both.
CREATE FUNCTION billing_note_entries_to_balance() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO billing_entry_to_balance (entry_id)
        SELECT touched.entry_id
        FROM (SELECT DISTINCT entry_id FROM fresh) touched
        CROSS JOIN LATERAL (
            SELECT count(*) AS postings, sum(amount) AS difference
            FROM billing_posting WHERE billing_posting.entry_id = touched.entry_id) found
        WHERE found.postings < 2 OR found.difference <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER the_postings_of_an_entry_sum_to_zero
    AFTER INSERT ON billing_posting
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION billing_note_entries_to_balance();

CREATE FUNCTION billing_entry_balances() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    asked bigint;
    postings bigint;
    difference numeric;
BEGIN
    IF TG_TABLE_NAME = 'billing_journalentry' THEN
        asked := NEW.id;
    ELSE
        asked := NEW.entry_id;
        DELETE FROM billing_entry_to_balance WHERE entry_id = asked;
    END IF;
    SELECT count(*), coalesce(sum(amount), 0) INTO postings, difference
        FROM billing_posting WHERE entry_id = asked;
    IF postings < 2 OR difference <> 0 THEN
        RAISE EXCEPTION 'The postings of an entry are two or more and sum to zero: entry % has %, summing to %.',
            asked, postings, difference
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER an_entry_noted_to_balance_does_so_at_the_commit
    AFTER INSERT ON billing_entry_to_balance DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_entry_balances();
CREATE CONSTRAINT TRIGGER an_entry_has_postings_that_sum_to_zero
    AFTER INSERT ON billing_journalentry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_entry_balances();

-- --- nothing is dated in a locked accounting period -----------------------------------------
-- Booking takes a shared lock on each month it dates in, locking a period an exclusive one: an
-- entry that is about to commit cannot slip into a month that is being locked.

CREATE FUNCTION billing_period_lock_key(month date) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(year FROM month) * 12 + extract(month FROM month))::integer
$$;

CREATE FUNCTION billing_entries_stay_out_of_locked_periods() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked date;
BEGIN
    FOR asked IN
        SELECT DISTINCT date_trunc('month', accounting_date)::date AS month FROM fresh ORDER BY month
    LOOP
        PERFORM pg_advisory_xact_lock_shared(1651076204, billing_period_lock_key(asked));
        IF EXISTS (SELECT 1 FROM billing_accountingperiod WHERE month = asked) THEN
            RAISE EXCEPTION 'An entry is never dated in a locked accounting period: % is locked.',
                to_char(asked, 'YYYY-MM')
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER an_entry_is_never_dated_in_a_locked_period
    AFTER INSERT ON billing_journalentry
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION billing_entries_stay_out_of_locked_periods();

CREATE FUNCTION billing_wait_for_entries_of_the_period() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1651076204, billing_period_lock_key(NEW.month));
    RETURN NEW;
END $$;

CREATE TRIGGER a_period_is_locked_after_its_last_entry
    BEFORE INSERT ON billing_accountingperiod
    FOR EACH ROW EXECUTE FUNCTION billing_wait_for_entries_of_the_period();

-- --- invoices -------------------------------------------------------------------------------

CREATE FUNCTION billing_invoice_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    problem text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN problem := 'An invoice begins as a draft.'; END IF;
    ELSIF (OLD.id, OLD.customer_id, OLD.commit_id, OLD.occasion, OLD.occasion_ref, OLD.revision,
           OLD.total_cents, OLD.created_at)
          IS DISTINCT FROM
          (NEW.id, NEW.customer_id, NEW.commit_id, NEW.occasion, NEW.occasion_ref, NEW.revision,
           NEW.total_cents, NEW.created_at) THEN
        problem := 'An invoice keeps its customer, commit, occasion, revision and total.';
    ELSIF OLD.state <> 'draft'
          AND (OLD.stripe_id, OLD.number, OLD.issued_at, OLD.tax_cents)
              IS DISTINCT FROM (NEW.stripe_id, NEW.number, NEW.issued_at, NEW.tax_cents) THEN
        problem := 'A finalized invoice keeps its number, date, tax and Stripe id.';
    ELSIF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
            ('draft', 'finalized'), ('draft', 'void'),
            ('finalized', 'paid'), ('finalized', 'void'), ('finalized', 'uncollectible'),
            ('uncollectible', 'paid'), ('uncollectible', 'void')) THEN
        problem := format('An invoice only moves forward: not from %s to %s.', OLD.state, NEW.state);
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%', problem
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_invoice_only_moves_forward
    BEFORE INSERT OR UPDATE ON billing_invoice
    FOR EACH ROW EXECUTE FUNCTION billing_invoice_moves_forward();
CREATE TRIGGER an_invoice_is_never_deleted
    BEFORE DELETE ON billing_invoice
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('An invoice is never deleted: void it.');
CREATE TRIGGER the_invoices_are_never_emptied
    BEFORE TRUNCATE ON billing_invoice
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The invoices are never emptied.');

CREATE FUNCTION billing_invoice_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked uuid;
    lines numeric;
    total bigint;
BEGIN
    IF TG_TABLE_NAME = 'billing_invoiceline' THEN asked := NEW.invoice_id; ELSE asked := NEW.id; END IF;
    SELECT coalesce(sum(amount_cents), 0) INTO lines FROM billing_invoiceline WHERE invoice_id = asked;
    SELECT total_cents INTO total FROM billing_invoice WHERE id = asked;
    IF lines <> total THEN
        RAISE EXCEPTION 'The lines of an invoice add up to its total: invoice % has lines of % and a total of % cents.',
            asked, lines, total
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER an_invoice_has_lines_that_add_up
    AFTER INSERT ON billing_invoice DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_invoice_adds_up();
CREATE CONSTRAINT TRIGGER the_lines_of_an_invoice_add_up
    AFTER INSERT ON billing_invoiceline DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_invoice_adds_up();
