-- What one asks for and another decides (billing/models/requests.py), whatever it is about: each
-- kind's table has three triggers that call these functions.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION billing_request_is_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'requested'
       OR (OLD.id, OLD.requested_by, OLD.requested_at)
          IS DISTINCT FROM (NEW.id, NEW.requested_by, NEW.requested_at) THEN
        RAISE EXCEPTION 'A request is decided once, and keeps who asked for it and when.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

DROP TRIGGER a_decided_request_to_unlock_is_never_changed ON billing_periodunlock;
CREATE TRIGGER a_request_to_unlock_is_decided_once
    BEFORE UPDATE ON billing_periodunlock
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_request_to_unlock_keeps_its_period_and_reason
    BEFORE UPDATE OF period_id, reason ON billing_periodunlock
    FOR EACH ROW WHEN ((OLD.period_id, OLD.reason) IS DISTINCT FROM (NEW.period_id, NEW.reason))
    EXECUTE FUNCTION billing_refuse('A request to unlock keeps its period and its reason.');
CREATE TRIGGER a_requested_credit_note_begins_as_one
    BEFORE INSERT ON billing_creditnote
    FOR EACH ROW WHEN (NEW.state <> 'requested' AND NEW.requested_by <> 'rule')
    EXECUTE FUNCTION billing_refuse('A credit note is asked for before it is decided, but for those of a rule.');
