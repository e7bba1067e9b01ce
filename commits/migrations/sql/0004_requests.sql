-- Requests guard themselves: the functions are billing's (0009).

SET LOCAL lock_timeout = '5s';

CREATE TRIGGER a_true_up_begins_as_a_request
    BEFORE INSERT ON commits_trueup
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A true up is asked for before it is decided.');
CREATE TRIGGER a_true_up_is_decided_once
    BEFORE UPDATE ON commits_trueup
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_true_up_is_never_deleted
    BEFORE DELETE ON commits_trueup
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A true up is never deleted: reject it.');

CREATE TRIGGER a_credit_begins_as_a_request
    BEFORE INSERT ON commits_credit
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A credit is asked for before it is decided.');
CREATE TRIGGER a_credit_is_decided_once
    BEFORE UPDATE ON commits_credit
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_credit_is_never_deleted
    BEFORE DELETE ON commits_credit
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A credit is never deleted: reject it.');

CREATE TRIGGER a_fixed_price_begins_as_a_request
    BEFORE INSERT ON commits_overriderequest
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A fixed price is asked for before it is decided.');
CREATE TRIGGER a_fixed_price_is_decided_once
    BEFORE UPDATE ON commits_overriderequest
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_fixed_price_is_never_deleted
    BEFORE DELETE ON commits_overriderequest
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A fixed price is never deleted: reject it.');
