-- An event is never changed, with one exception: what it was called and where it came from may move
-- into an archive that is on record, of the time that it lies in. What makes it unique (customer,
-- key, fingerprint) and what it is worth stay as they are.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION metering_guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    meant metering_usageevent;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.event_id <> '' AND OLD.kind <> 4 THEN
        meant := OLD;
        meant.source := NEW.source;
        meant.event_id := '';
        meant.extra := CASE WHEN OLD.extra ? 'quantities'
            THEN jsonb_build_object('quantities', OLD.extra -> 'quantities') END;
        IF meant IS NOT DISTINCT FROM NEW AND EXISTS (
            SELECT FROM metering_usagearchive AS archive
            WHERE 'archive/' || archive.id = NEW.source
                AND OLD.occurred_at >= archive.starts_at AND OLD.occurred_at < archive.ends_at
        ) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'A usage event is never changed: void it with a new one.'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

DROP TRIGGER a_usage_event_is_never_changed ON metering_usageevent;
CREATE TRIGGER a_usage_event_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usageevent
    FOR EACH ROW EXECUTE FUNCTION metering_guard_event();

CREATE TRIGGER an_archive_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usagearchive
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('An archive on record is never changed.');
