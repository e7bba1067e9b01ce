-- What a voided invoice billed is given up by two people, once, and never issued again.

SET LOCAL lock_timeout = '5s';

CREATE TRIGGER a_write_off_begins_as_a_request
    BEFORE INSERT ON billing_writeoff
    FOR EACH ROW WHEN (NEW.state <> 'requested')
    EXECUTE FUNCTION billing_refuse('A write-off is asked for before it is decided.');
CREATE TRIGGER a_write_off_is_decided_once
    BEFORE UPDATE ON billing_writeoff
    FOR EACH ROW EXECUTE FUNCTION billing_request_is_decided_once();
CREATE TRIGGER a_write_off_keeps_its_invoice_and_reason
    BEFORE UPDATE ON billing_writeoff
    FOR EACH ROW WHEN ((OLD.invoice_id, OLD.reason, OLD.total_cents)
        IS DISTINCT FROM (NEW.invoice_id, NEW.reason, NEW.total_cents))
    EXECUTE FUNCTION billing_refuse('A write-off keeps its invoice, its amount and its reason.');
CREATE TRIGGER a_write_off_is_never_deleted
    BEFORE DELETE ON billing_writeoff
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A write-off is never deleted.');
CREATE TRIGGER the_write_offs_are_never_emptied
    BEFORE TRUNCATE ON billing_writeoff
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The write-offs are never emptied.');

-- Whoever asks, approves or issues again has locked the voided invoice.
CREATE FUNCTION billing_write_off_is_of_a_void_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'rejected' AND NOT EXISTS (
        SELECT 1 FROM billing_invoice invoice
        WHERE invoice.id = NEW.invoice_id AND invoice.state = 'void' AND NOT EXISTS (
            SELECT 1 FROM billing_invoice following
            WHERE (following.commit_id, following.occasion, following.occasion_ref)
                = (invoice.commit_id, invoice.occasion, invoice.occasion_ref)
              AND following.revision > invoice.revision)) THEN
        RAISE EXCEPTION 'Only a voided invoice that was not issued again is written off.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_write_off_is_of_a_void_invoice
    BEFORE INSERT OR UPDATE ON billing_writeoff
    FOR EACH ROW EXECUTE FUNCTION billing_write_off_is_of_a_void_invoice();

CREATE FUNCTION billing_invoice_was_not_written_off() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM billing_writeoff asked JOIN billing_invoice invoice ON invoice.id = asked.invoice_id
        WHERE asked.state = 'approved'
          AND (invoice.commit_id, invoice.occasion, invoice.occasion_ref)
            = (NEW.commit_id, NEW.occasion, NEW.occasion_ref)) THEN
        RAISE EXCEPTION 'An invoice that was written off is not issued again.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_invoice_that_was_written_off_is_not_issued_again
    BEFORE INSERT ON billing_invoice
    FOR EACH ROW WHEN (NEW.revision > 1)
    EXECUTE FUNCTION billing_invoice_was_not_written_off();
