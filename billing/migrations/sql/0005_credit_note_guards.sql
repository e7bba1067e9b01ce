-- What no program, admin page or hand at a prompt may do to credit notes. Sentences as in 0002.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION billing_credit_note_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    problem text;
BEGIN
    IF (OLD.id, OLD.invoice_id, OLD.kind, OLD.total_cents, OLD.requested_at, OLD.requested_by)
       IS DISTINCT FROM
       (NEW.id, NEW.invoice_id, NEW.kind, NEW.total_cents, NEW.requested_at, NEW.requested_by) THEN
        problem := 'A credit note keeps its invoice, kind, amount and who asked for it.';
    ELSIF OLD.state <> 'requested'
          AND (OLD.commit_id, OLD.quarter_index, OLD.debited, OLD.decided_at, OLD.decided_by)
              IS DISTINCT FROM
              (NEW.commit_id, NEW.quarter_index, NEW.debited, NEW.decided_at, NEW.decided_by) THEN
        problem := 'An approved credit note keeps what it debits and who approved it.';
    ELSIF OLD.state = 'issued'
          AND (OLD.number, OLD.stripe_id, OLD.issued_at, OLD.receivable_cents,
               OLD.customer_credit_cents, OLD.refund_cents, OLD.refund_outside_cents)
              IS DISTINCT FROM
              (NEW.number, NEW.stripe_id, NEW.issued_at, NEW.receivable_cents,
               NEW.customer_credit_cents, NEW.refund_cents, NEW.refund_outside_cents) THEN
        problem := 'An issued credit note keeps its number, Stripe id and where its cents went.';
    ELSIF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
            ('requested', 'approved'), ('requested', 'rejected'), ('approved', 'issued')) THEN
        problem := format('A credit note only moves forward: not from %s to %s.', OLD.state, NEW.state);
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%', problem
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_credit_note_only_moves_forward
    BEFORE UPDATE ON billing_creditnote
    FOR EACH ROW EXECUTE FUNCTION billing_credit_note_moves_forward();
CREATE TRIGGER a_credit_note_is_never_deleted
    BEFORE DELETE ON billing_creditnote
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A credit note is never deleted.');
CREATE TRIGGER the_credit_notes_are_never_emptied
    BEFORE TRUNCATE ON billing_creditnote
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The credit notes are never emptied.');

-- Whoever adds a note has locked its invoice, so two of them cannot both see room for one.
CREATE FUNCTION billing_credit_notes_fit_their_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    credited numeric;
    billed bigint;
BEGIN
    SELECT coalesce(sum(total_cents), 0) INTO credited FROM billing_creditnote
        WHERE invoice_id = NEW.invoice_id AND state <> 'rejected';
    SELECT total_cents INTO billed FROM billing_invoice WHERE id = NEW.invoice_id;
    IF credited > billed THEN
        RAISE EXCEPTION 'Credit notes never take back more than the invoice billed: % of % cents.',
            credited, billed
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER credit_notes_never_exceed_their_invoice
    AFTER INSERT ON billing_creditnote DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION billing_credit_notes_fit_their_invoice();
