-- Takes 0011_archive_guard.sql away again: no event may be changed at all.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER an_archive_is_never_changed ON metering_usagearchive;
DROP TRIGGER a_usage_event_is_never_changed ON metering_usageevent;
CREATE TRIGGER a_usage_event_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usageevent
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A usage event is never changed: void it with a new one.');
DROP FUNCTION metering_guard_event;
