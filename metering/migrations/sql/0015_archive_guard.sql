-- An archive is never changed, with one exception: once, that it has been restored.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION metering_guard_archive() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    meant metering_usagearchive;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.restored_at IS NULL AND NEW.restored_at IS NOT NULL THEN
        meant := OLD;
        meant.restored_at := NEW.restored_at;
        IF meant IS NOT DISTINCT FROM NEW THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'An archive on record is never changed.'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

DROP TRIGGER an_archive_is_never_changed ON metering_usagearchive;
CREATE TRIGGER an_archive_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usagearchive
    FOR EACH ROW EXECUTE FUNCTION metering_guard_archive();
