-- Books any number of entries in one call: what billing.services.ledger.post_entries runs.
-- A function, so that its plans are kept and one entry costs one round trip.

SET LOCAL lock_timeout = '5s';

-- Accounts and entries come as columns of equal length; a posting names its entry and its account
-- by their place in those columns, from 1. Answers how many entries were new. An entry whose key
-- is there already with the same fingerprint is passed over; another fingerprint books nothing at all.
CREATE FUNCTION billing_book(
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
