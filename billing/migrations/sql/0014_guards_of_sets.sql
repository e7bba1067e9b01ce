-- The guards of entries, postings and invoice lines look at a statement's rows as one set. Checks of
-- every single row, foreign keys among them, took most of PostgreSQL's share of booking and closing.
-- What is not right at a statement's end is noted, and judged at the commit: an entry may come before
-- its postings, and an invoice before its lines. Where both come in one statement nothing is noted.

SET LOCAL lock_timeout = '5s';

-- --- entries and postings -------------------------------------------------------------------

DROP TRIGGER an_entry_has_postings_that_sum_to_zero ON billing_journalentry;
DROP TRIGGER the_postings_of_an_entry_sum_to_zero ON billing_posting;
DROP TABLE billing_entry_to_balance;
DROP FUNCTION billing_entry_balances();
DROP FUNCTION billing_note_entries_to_balance();

CREATE TABLE billing_entry_to_balance (entry_id bigint NOT NULL, guard text NOT NULL);
COMMENT ON TABLE billing_entry_to_balance IS 'Entries that are not whole yet within a running transaction, and the guard that noted them; empty at every commit.';

-- Entries are never deleted, nor are accounts, so this takes the place of foreign keys too: a posting
-- has its entry, and its account, which is of the entry's customer.
-- Plans are kept for a session, so a plan made for ten thousand rows also serves one, and one made
-- on empty tables serves full ones: only index look-ups are right for both.
-- What balances by itself leaves what it is added to as it was.
CREATE FUNCTION billing_note_unbalanced_postings() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO billing_entry_to_balance (entry_id, guard)
        SELECT fresh.entry_id, TG_NAME
        FROM fresh
        LEFT JOIN billing_journalentry entry ON entry.id = fresh.entry_id
        LEFT JOIN billing_ledgeraccount account ON account.id = fresh.account_id
        GROUP BY fresh.entry_id
        HAVING count(*) < 2 OR sum(fresh.amount) <> 0
            OR bool_or(account.customer_id IS DISTINCT FROM entry.customer_id);
    RETURN NULL;
END $$;

CREATE TRIGGER the_postings_of_an_entry_sum_to_zero
    AFTER INSERT ON billing_posting
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION billing_note_unbalanced_postings();

CREATE FUNCTION billing_note_entries_without_postings() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO billing_entry_to_balance (entry_id, guard)
        SELECT fresh.id, TG_NAME FROM fresh
        WHERE NOT EXISTS (SELECT FROM billing_posting WHERE billing_posting.entry_id = fresh.id);
    RETURN NULL;
END $$;

CREATE TRIGGER an_entry_has_postings_that_sum_to_zero
    AFTER INSERT ON billing_journalentry
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION billing_note_entries_without_postings();

CREATE FUNCTION billing_noted_entry_is_whole() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    owner bigint;
    postings bigint;
    difference numeric;
    strange boolean;
BEGIN
    DELETE FROM billing_entry_to_balance WHERE entry_id = NEW.entry_id AND guard = NEW.guard;
    SELECT customer_id INTO owner FROM billing_journalentry WHERE id = NEW.entry_id;
    SELECT count(*), coalesce(sum(posting.amount), 0),
           coalesce(bool_or(account.customer_id IS DISTINCT FROM owner), false)
        INTO postings, difference, strange
        FROM billing_posting posting
        LEFT JOIN billing_ledgeraccount account ON account.id = posting.account_id
        WHERE posting.entry_id = NEW.entry_id;
    IF owner IS NULL OR strange THEN
        RAISE EXCEPTION 'A posting belongs to an entry and to an account of its customer: entry % is not there, or posts to another''s account.',
            NEW.entry_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = NEW.guard, TABLE = TG_TABLE_NAME;
    END IF;
    IF postings < 2 OR difference <> 0 THEN
        RAISE EXCEPTION 'The postings of an entry are two or more and sum to zero: entry % has %, summing to %.',
            NEW.entry_id, postings, difference
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = NEW.guard, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER an_entry_noted_to_balance_does_so_at_the_commit
    AFTER INSERT ON billing_entry_to_balance DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_noted_entry_is_whole();

CREATE TRIGGER a_ledger_account_is_never_deleted
    BEFORE DELETE ON billing_ledgeraccount
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A ledger account is never deleted: postings name it.');
CREATE TRIGGER the_ledger_accounts_are_never_emptied
    BEFORE TRUNCATE ON billing_ledgeraccount
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The ledger accounts are never emptied.');

-- --- invoices and their lines ---------------------------------------------------------------

DROP TRIGGER an_invoice_has_lines_that_add_up ON billing_invoice;
DROP TRIGGER the_lines_of_an_invoice_add_up ON billing_invoiceline;
DROP FUNCTION billing_invoice_adds_up();

CREATE TABLE billing_invoices_to_add_up (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, invoice_ids uuid[] NOT NULL, guard text NOT NULL);
COMMENT ON TABLE billing_invoices_to_add_up IS 'Invoices whose lines do not add up yet within a running transaction, and the guard that noted them; empty at every commit.';

-- Those whose lines do not add up to their total, or that are not there.
CREATE FUNCTION billing_invoices_not_adding_up(asked uuid[]) RETURNS uuid[] LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN ARRAY(
        SELECT one.id FROM unnest(asked) AS one (id)
        LEFT JOIN billing_invoice invoice ON invoice.id = one.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(line.amount_cents), 0) AS cents FROM billing_invoiceline line
            WHERE line.invoice_id = one.id) found
        WHERE invoice.total_cents IS DISTINCT FROM found.cents);
END $$;

CREATE FUNCTION billing_note_invoices_to_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid[];
BEGIN
    IF TG_TABLE_NAME = 'billing_invoice' THEN
        wrong := billing_invoices_not_adding_up(ARRAY(SELECT id FROM fresh));
    ELSE
        wrong := billing_invoices_not_adding_up(ARRAY(SELECT DISTINCT invoice_id FROM fresh));
    END IF;
    IF cardinality(wrong) > 0 THEN
        INSERT INTO billing_invoices_to_add_up (invoice_ids, guard) VALUES (wrong, TG_NAME);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER an_invoice_has_lines_that_add_up
    AFTER INSERT ON billing_invoice
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION billing_note_invoices_to_add_up();
CREATE TRIGGER the_lines_of_an_invoice_add_up
    AFTER INSERT ON billing_invoiceline
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION billing_note_invoices_to_add_up();

CREATE FUNCTION billing_noted_invoices_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid[] := billing_invoices_not_adding_up(NEW.invoice_ids);
BEGIN
    DELETE FROM billing_invoices_to_add_up WHERE id = NEW.id;
    IF cardinality(wrong) > 0 THEN
        RAISE EXCEPTION 'The lines of an invoice add up to its total: invoice % has lines of % and a total of % cents.',
            wrong[1],
            (SELECT coalesce(sum(amount_cents), 0) FROM billing_invoiceline WHERE invoice_id = wrong[1]),
            (SELECT total_cents FROM billing_invoice WHERE id = wrong[1])
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = NEW.guard, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER invoices_noted_to_add_up_do_so_at_the_commit
    AFTER INSERT ON billing_invoices_to_add_up DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_noted_invoices_add_up();

-- --- booking --------------------------------------------------------------------------------
-- As in 0003_booking.sql, but entries, postings and balances come in one statement, at whose end
-- the guards see them whole.

CREATE OR REPLACE FUNCTION billing_book(
    at timestamptz,
    account_customers bigint[], account_commits uuid[], account_quarters int[], account_codes text[],
    keys text[], codes text[], customers bigint[], commits uuid[], quarters int[], origins int[],
    accounting_dates date[], usage_dates date[], descriptions text[], invoices uuid[],
    fingerprints text[], evidences jsonb[],
    posting_entries int[], posting_accounts int[], posting_amounts numeric[]
) RETURNS int LANGUAGE plpgsql
    -- Kept plans serve one entry and ten thousand: only index look-ups are right for both.
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    account_ids bigint[];
    entry_ids bigint[];
    known boolean[];
    contradiction text;
BEGIN
    -- Accounts are created before any is locked: whoever waits for another's new account then
    -- holds no lock that the other could wait for. Accounts are never deleted.
    FOR round IN 1..2 LOOP
        SELECT array_agg(account.id ORDER BY asked.place) INTO account_ids
        FROM unnest(account_customers, account_commits, account_quarters, account_codes)
            WITH ORDINALITY AS asked (customer_id, commit_id, quarter_index, code, place)
        JOIN billing_ledgeraccount account
            ON account.customer_id = asked.customer_id AND account.code = asked.code
            AND coalesce(account.commit_id, '00000000-0000-0000-0000-000000000000') = asked.commit_id
            AND coalesce(account.quarter_index, 0) = asked.quarter_index;
        EXIT WHEN cardinality(account_ids) = cardinality(account_codes);
        INSERT INTO billing_ledgeraccount (customer_id, commit_id, quarter_index, code, balance)
            SELECT customer_id, nullif(commit_id, '00000000-0000-0000-0000-000000000000'),
                   nullif(quarter_index, 0), code, 0
            FROM unnest(account_customers, account_commits, account_quarters, account_codes)
                AS asked (customer_id, commit_id, quarter_index, code)
            ORDER BY customer_id, asked.commit_id, asked.quarter_index, code
            ON CONFLICT DO NOTHING;
    END LOOP;
    PERFORM 1 FROM billing_ledgeraccount WHERE id = ANY (account_ids)
        ORDER BY customer_id, coalesce(commit_id, '00000000-0000-0000-0000-000000000000'),
                 coalesce(quarter_index, 0), code
        FOR NO KEY UPDATE;

    -- Who booked one of these keys before held the locks of its accounts, so it is seen here; one
    -- that says something else, of other accounts and at this moment, meets the unique key below.
    SELECT array_agg(booked.id IS NOT NULL ORDER BY asked.place),
           min(asked.key) FILTER (WHERE booked.fingerprint <> asked.fingerprint)
        INTO known, contradiction
        FROM unnest(keys, fingerprints) WITH ORDINALITY AS asked (key, fingerprint, place)
        LEFT JOIN billing_journalentry booked ON booked.key = asked.key;
    IF contradiction IS NOT NULL THEN
        RAISE EXCEPTION 'The key of an entry is used once: % is booked with other content.',
            contradiction
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'the_key_of_an_entry_is_used_once';
    END IF;

    entry_ids := ARRAY(
        SELECT nextval('billing_journalentry_id_seq') FROM generate_series(1, cardinality(keys))
    );
    WITH booked AS (
        INSERT INTO billing_journalentry (id, key, code, customer_id, commit_id, quarter_index,
                origin_quarter_index, accounting_date, usage_date, description, invoice_id,
                fingerprint, evidence, booked_at)
            SELECT id, key, code, customer, commit, quarter, origin, accounted, used, description,
                   invoice, fingerprint, evidence, at
            FROM unnest(entry_ids, keys, codes, customers, commits, quarters, origins,
                        accounting_dates, usage_dates, descriptions, invoices, fingerprints,
                        evidences, known)
                AS asked (id, key, code, customer, commit, quarter, origin, accounted, used,
                          description, invoice, fingerprint, evidence, known)
            WHERE NOT asked.known
    ), posted AS (
        INSERT INTO billing_posting (entry_id, account_id, amount)
            SELECT entry_ids[posting.entry], account_ids[posting.account], posting.amount
            FROM unnest(posting_entries, posting_accounts, posting_amounts)
                AS posting (entry, account, amount)
            WHERE NOT known[posting.entry]
            RETURNING account_id, amount
    )
    UPDATE billing_ledgeraccount account SET balance = account.balance + change.amount
    FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) change
    WHERE account.id = change.account_id;
    RETURN cardinality(array_positions(known, false));
END $$;

-- Rows that change in place keep all their indexes as they are, where their page has room.
ALTER TABLE billing_ledgeraccount SET (fillfactor = 80);
