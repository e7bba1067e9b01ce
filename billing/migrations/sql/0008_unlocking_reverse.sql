DROP TRIGGER a_request_to_unlock_is_never_deleted ON billing_periodunlock;
DROP TRIGGER a_decided_request_to_unlock_is_never_changed ON billing_periodunlock;
DROP TRIGGER a_request_to_unlock_begins_as_one ON billing_periodunlock;
DROP TRIGGER the_accounting_periods_are_never_emptied ON billing_accountingperiod;
DROP TRIGGER a_locked_period_is_never_deleted ON billing_accountingperiod;
DROP TRIGGER a_locked_period_is_unlocked_by_two_people ON billing_accountingperiod;
DROP FUNCTION billing_period_is_unlocked_by_two();

CREATE TRIGGER a_locked_period_stays_locked
    BEFORE UPDATE OR DELETE ON billing_accountingperiod
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A locked accounting period stays locked.');

CREATE OR REPLACE FUNCTION billing_entries_stay_out_of_locked_periods() RETURNS trigger LANGUAGE plpgsql AS $$
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
