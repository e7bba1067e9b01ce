-- Puts back booking and its guards as they were before 0016_balances_first.sql.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER a_ledger_account_keeps_its_identity ON billing_ledgeraccount;
CREATE TRIGGER a_ledger_account_keeps_its_identity
    BEFORE UPDATE ON billing_ledgeraccount
    FOR EACH ROW
    WHEN ((OLD.code, OLD.customer_id, OLD.commit_id, OLD.quarter_index)
          IS DISTINCT FROM (NEW.code, NEW.customer_id, NEW.commit_id, NEW.quarter_index))
    EXECUTE FUNCTION billing_refuse('A ledger account keeps its code, customer, commit and quarter.');

CREATE OR REPLACE FUNCTION billing_entries_stay_out_of_locked_periods() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked date;
BEGIN
    FOR asked IN
        SELECT DISTINCT date_trunc('month', accounting_date)::date AS month FROM fresh ORDER BY month
    LOOP
        PERFORM pg_advisory_xact_lock_shared(1651076204, billing_period_lock_key(asked));
        IF EXISTS (SELECT 1 FROM billing_accountingperiod WHERE month = asked AND unlocked_at IS NULL) THEN
            RAISE EXCEPTION 'An entry is never dated in a locked accounting period: % is locked.',
                to_char(asked, 'YYYY-MM')
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing_note_unbalanced_postings() RETURNS trigger LANGUAGE plpgsql
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
