-- A locked accounting period is unlocked by what two people agreed on, and by nothing else.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER a_locked_period_stays_locked ON billing_accountingperiod;

CREATE FUNCTION billing_period_is_unlocked_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.month, OLD.locked_at, OLD.locked_by)
           IS DISTINCT FROM (NEW.id, NEW.month, NEW.locked_at, NEW.locked_by)
       OR OLD.unlocked_at IS NOT NULL
       OR NEW.unlocked_at IS NULL
       OR NOT EXISTS (SELECT 1 FROM billing_periodunlock
                      WHERE period_id = NEW.id AND state = 'approved') THEN
        RAISE EXCEPTION 'A locked accounting period is unlocked by what two people agreed on, and by nothing else.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_locked_period_is_unlocked_by_two_people
    BEFORE UPDATE ON billing_accountingperiod
    FOR EACH ROW EXECUTE FUNCTION billing_period_is_unlocked_by_two();
CREATE TRIGGER a_locked_period_is_never_deleted
    BEFORE DELETE ON billing_accountingperiod
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A locked accounting period is never deleted.');
CREATE TRIGGER the_accounting_periods_are_never_emptied
    BEFORE TRUNCATE ON billing_accountingperiod
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The accounting periods are never emptied.');
CREATE TRIGGER a_request_to_unlock_begins_as_one
    BEFORE INSERT ON billing_periodunlock
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A request to unlock a period is asked for before it is decided.');
CREATE TRIGGER a_decided_request_to_unlock_is_never_changed
    BEFORE UPDATE ON billing_periodunlock
    FOR EACH ROW WHEN (OLD.state <> 'requested'
        OR (OLD.id, OLD.period_id, OLD.reason, OLD.requested_by)
           IS DISTINCT FROM (NEW.id, NEW.period_id, NEW.reason, NEW.requested_by))
    EXECUTE FUNCTION billing_refuse('A request to unlock a period is decided once, and keeps who asked and why.');
CREATE TRIGGER a_request_to_unlock_is_never_deleted
    BEFORE DELETE ON billing_periodunlock
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A request to unlock a period is never deleted.');

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
