-- Backfills guard themselves as all requests do: the functions are billing's (0009).

SET LOCAL lock_timeout = '5s';

CREATE TRIGGER a_backfill_begins_as_a_request
    BEFORE INSERT ON commits_backfill
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A backfill is asked for before it is decided.');
CREATE TRIGGER a_backfill_is_decided_once
    BEFORE UPDATE ON commits_backfill
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_backfill_is_never_deleted
    BEFORE DELETE ON commits_backfill
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A backfill is never deleted: reject it.');

CREATE FUNCTION commits_share_of_an_approved_backfill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM commits_backfill WHERE id = NEW.backfill_id AND state = 'approved') THEN
        RAISE EXCEPTION 'A backfill is applied only when it has been approved.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_backfill_is_applied_only_when_approved
    BEFORE INSERT OR UPDATE ON commits_backfillshare
    FOR EACH ROW WHEN (NEW.applied_at IS NOT NULL)
    EXECUTE FUNCTION commits_share_of_an_approved_backfill();
