DROP TRIGGER an_archive_is_never_changed ON metering_usagearchive;
CREATE TRIGGER an_archive_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usagearchive
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('An archive on record is never changed.');
DROP FUNCTION metering_guard_archive();
