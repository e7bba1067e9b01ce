-- Takes the guards of 0014_guards_of_sets.sql away again, and puts back those of single rows.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER an_entry_has_postings_that_sum_to_zero ON billing_journalentry;
DROP TRIGGER the_postings_of_an_entry_sum_to_zero ON billing_posting;
DROP TRIGGER a_ledger_account_is_never_deleted ON billing_ledgeraccount;
DROP TRIGGER the_ledger_accounts_are_never_emptied ON billing_ledgeraccount;
DROP TABLE billing_entry_to_balance;
DROP FUNCTION billing_noted_entry_is_whole();
DROP FUNCTION billing_note_unbalanced_postings();
DROP FUNCTION billing_note_entries_without_postings();
DROP TRIGGER an_invoice_has_lines_that_add_up ON billing_invoice;
DROP TRIGGER the_lines_of_an_invoice_add_up ON billing_invoiceline;
DROP TABLE billing_invoices_to_add_up;
DROP FUNCTION billing_noted_invoices_add_up();
DROP FUNCTION billing_note_invoices_to_add_up();
DROP FUNCTION billing_invoices_not_adding_up(uuid[]);
ALTER TABLE billing_ledgeraccount RESET (fillfactor);

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
    fresh int;
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

    entry_ids := ARRAY(
        SELECT nextval('billing_journalentry_id_seq') FROM generate_series(1, cardinality(keys))
    );
    INSERT INTO billing_journalentry (id, key, code, customer_id, commit_id, quarter_index,
            origin_quarter_index, accounting_date, usage_date, description, invoice_id,
            fingerprint, evidence, booked_at)
        SELECT *, at
        FROM unnest(entry_ids, keys, codes, customers, commits, quarters, origins,
                    accounting_dates, usage_dates, descriptions, invoices, fingerprints, evidences)
        ON CONFLICT (key) DO NOTHING;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    IF fresh < cardinality(keys) THEN
        SELECT booked.key INTO contradiction
            FROM unnest(keys, fingerprints) AS asked (key, fingerprint)
            JOIN billing_journalentry booked ON booked.key = asked.key
            WHERE booked.fingerprint <> asked.fingerprint LIMIT 1;
        IF contradiction IS NOT NULL THEN
            RAISE EXCEPTION 'The key of an entry is used once: % is booked with other content.',
                contradiction
                USING ERRCODE = 'unique_violation', CONSTRAINT = 'the_key_of_an_entry_is_used_once';
        END IF;
    END IF;

    WITH posted AS (
        INSERT INTO billing_posting (entry_id, account_id, amount)
        SELECT entry_ids[posting.entry], account_ids[posting.account], posting.amount
        FROM unnest(posting_entries, posting_accounts, posting_amounts)
            AS posting (entry, account, amount)
        WHERE fresh = cardinality(keys) OR EXISTS (
            SELECT FROM billing_journalentry entry WHERE entry.id = entry_ids[posting.entry])
        RETURNING account_id, amount
    )
    UPDATE billing_ledgeraccount account SET balance = account.balance + change.amount
    FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) change
    WHERE account.id = change.account_id;
    RETURN fresh;
END $$;
