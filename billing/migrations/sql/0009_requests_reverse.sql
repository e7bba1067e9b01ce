DROP TRIGGER a_requested_credit_note_begins_as_one ON billing_creditnote;
DROP TRIGGER a_request_to_unlock_keeps_its_period_and_reason ON billing_periodunlock;
DROP TRIGGER a_request_to_unlock_is_decided_once ON billing_periodunlock;
CREATE TRIGGER a_decided_request_to_unlock_is_never_changed
    BEFORE UPDATE ON billing_periodunlock
    FOR EACH ROW WHEN (OLD.state <> 'requested'
        OR (OLD.id, OLD.period_id, OLD.reason, OLD.requested_by)
           IS DISTINCT FROM (NEW.id, NEW.period_id, NEW.reason, NEW.requested_by))
    EXECUTE FUNCTION billing_refuse('A request to unlock a period is decided once, and keeps who asked and why.');
DROP FUNCTION billing_request_is_decided_once();
