-- Requests guard themselves: the functions are billing's (0009).

SET LOCAL lock_timeout = '5s';

CREATE TRIGGER a_waiver_begins_as_a_request
    BEFORE INSERT ON metering_waiver
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A waiver is asked for before it is decided.');
CREATE TRIGGER a_waiver_is_decided_once
    BEFORE UPDATE ON metering_waiver
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_waiver_is_never_deleted
    BEFORE DELETE ON metering_waiver
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A waiver is never deleted: reject it.');

CREATE TRIGGER a_private_price_begins_as_a_request
    BEFORE INSERT ON metering_privatepricerequest
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A private price is asked for before it is decided.');
CREATE TRIGGER a_private_price_is_decided_once
    BEFORE UPDATE ON metering_privatepricerequest
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_private_price_is_never_deleted
    BEFORE DELETE ON metering_privatepricerequest
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A private price is never deleted: reject it.');
