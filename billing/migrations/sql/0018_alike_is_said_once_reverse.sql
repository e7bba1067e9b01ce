-- Puts back booking and its guards as they were before 0018_alike_is_said_once.sql.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER a_ledger_account_keeps_its_identity ON billing_ledgeraccount;
CREATE TRIGGER a_ledger_account_keeps_its_identity
    AFTER UPDATE ON billing_ledgeraccount
    FOR EACH ROW
    WHEN ((OLD.code, OLD.customer_id, OLD.commit_id, OLD.quarter_index)
          IS DISTINCT FROM (NEW.code, NEW.customer_id, NEW.commit_id, NEW.quarter_index))
    EXECUTE FUNCTION billing_refuse('A ledger account keeps its code, customer, commit and quarter.');

CREATE OR REPLACE FUNCTION billing_note_entries_without_postings() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO billing_entry_to_balance (entry_id, guard)
        SELECT fresh.id, TG_NAME FROM fresh
        WHERE NOT EXISTS (SELECT FROM billing_posting WHERE billing_posting.entry_id = fresh.id);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing_noted_entry_is_whole() RETURNS trigger LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION billing_note_unbalanced_postings() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO billing_entry_to_balance (entry_id, guard)
        SELECT posted.entry_id, TG_NAME
        FROM (SELECT fresh.entry_id, count(*) AS postings, sum(fresh.amount) AS difference,
                     count(account.id) AS accounts,
                     min(account.customer_id) AS first_owner, max(account.customer_id) AS last_owner
              FROM fresh LEFT JOIN billing_ledgeraccount account ON account.id = fresh.account_id
              GROUP BY fresh.entry_id) AS posted
        LEFT JOIN billing_journalentry entry ON entry.id = posted.entry_id
        WHERE posted.postings < 2 OR posted.difference <> 0 OR posted.accounts < posted.postings
            OR posted.first_owner IS DISTINCT FROM entry.customer_id
            OR posted.last_owner IS DISTINCT FROM entry.customer_id;
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
    fresh int;
    contradiction text;
BEGIN
    -- Arrays side by side in a SELECT are read as they are; in FROM each would be written to a store
    -- of its own first.
    -- Accounts are created before any is locked: whoever waits for another's new account then
    -- holds no lock that the other could wait for. Accounts are never deleted.
    FOR round IN 1..2 LOOP
        account_ids := ARRAY(
            SELECT account.id
            FROM (SELECT unnest(account_customers) AS customer_id,
                         unnest(account_commits) AS commit_id,
                         unnest(account_quarters) AS quarter_index, unnest(account_codes) AS code,
                         generate_subscripts(account_codes, 1) AS place) AS asked
            JOIN billing_ledgeraccount account
                ON account.customer_id = asked.customer_id AND account.code = asked.code
                AND coalesce(account.commit_id, '00000000-0000-0000-0000-000000000000') = asked.commit_id
                AND coalesce(account.quarter_index, 0) = asked.quarter_index
            ORDER BY asked.place);
        EXIT WHEN cardinality(account_ids) = cardinality(account_codes);
        INSERT INTO billing_ledgeraccount (customer_id, commit_id, quarter_index, code, balance)
            SELECT customer_id, nullif(commit_id, '00000000-0000-0000-0000-000000000000'),
                   nullif(quarter_index, 0), code, 0
            FROM unnest(account_customers, account_commits, account_quarters, account_codes)
                AS asked (customer_id, commit_id, quarter_index, code)
            ORDER BY customer_id, asked.commit_id, asked.quarter_index, code
            ON CONFLICT DO NOTHING;
    END LOOP;

    -- Balances first: that locks the accounts, and they come in sort order.
    UPDATE billing_ledgeraccount account SET balance = account.balance + change.amount
        FROM (SELECT account AS place, sum(amount) AS amount
              FROM (SELECT unnest(posting_accounts) AS account,
                           unnest(posting_amounts) AS amount) AS posting
              GROUP BY account ORDER BY account) AS change
        WHERE account.id = account_ids[change.place];

    -- Who booked one of these keys before held the locks of its accounts, so it is seen here; one
    -- that says something else, of other accounts and at this moment, meets the unique key below.
    SELECT array_agg(nextval('billing_journalentry_id_seq')),
           array_agg(booked.id IS NOT NULL ORDER BY asked.place),
           count(*) FILTER (WHERE booked.id IS NULL),
           min(asked.key) FILTER (WHERE booked.fingerprint <> asked.fingerprint)
        INTO entry_ids, known, fresh, contradiction
        FROM (SELECT unnest(keys) AS key, unnest(fingerprints) AS fingerprint,
                     generate_subscripts(keys, 1) AS place) AS asked
        LEFT JOIN billing_journalentry booked ON booked.key = asked.key;
    IF contradiction IS NOT NULL THEN
        RAISE EXCEPTION 'The key of an entry is used once: % is booked with other content.',
            contradiction
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'the_key_of_an_entry_is_used_once';
    END IF;
    IF fresh < cardinality(keys) THEN
        -- What was booked before stands in the balances already: it is taken off again.
        UPDATE billing_ledgeraccount account SET balance = account.balance - change.amount
            FROM (SELECT account AS place, sum(amount) AS amount
                  FROM unnest(posting_entries, posting_accounts, posting_amounts)
                      AS posting (entry, account, amount)
                  WHERE known[entry] GROUP BY account) AS change
            WHERE account.id = account_ids[change.place];
    END IF;

    -- In one statement, at whose end the guards see them whole.
    WITH booked AS (
        INSERT INTO billing_journalentry (id, key, code, customer_id, commit_id, quarter_index,
                origin_quarter_index, accounting_date, usage_date, description, invoice_id,
                fingerprint, evidence, booked_at)
            SELECT id, key, code, customer, commit, quarter, origin, accounted, used, description,
                   invoice, fingerprint, evidence, at
            FROM (SELECT unnest(entry_ids) AS id, unnest(keys) AS key, unnest(codes) AS code,
                         unnest(customers) AS customer, unnest(commits) AS commit,
                         unnest(quarters) AS quarter, unnest(origins) AS origin,
                         unnest(accounting_dates) AS accounted, unnest(usage_dates) AS used,
                         unnest(descriptions) AS description, unnest(invoices) AS invoice,
                         unnest(fingerprints) AS fingerprint, unnest(evidences) AS evidence,
                         unnest(known) AS known) AS asked
            WHERE NOT asked.known
    )
    INSERT INTO billing_posting (entry_id, account_id, amount)
        SELECT entry_ids[entry], account_ids[account], amount
        FROM (SELECT unnest(posting_entries) AS entry, unnest(posting_accounts) AS account,
                     unnest(posting_amounts) AS amount) AS posting
        WHERE NOT known[entry];
    RETURN fresh;
END $$;
