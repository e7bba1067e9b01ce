-- Takes the guards of 0005_credit_note_guards.sql away again; the data stay as they are.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER a_credit_note_only_moves_forward ON billing_creditnote;
DROP TRIGGER a_credit_note_is_never_deleted ON billing_creditnote;
DROP TRIGGER the_credit_notes_are_never_emptied ON billing_creditnote;
DROP TRIGGER credit_notes_never_exceed_their_invoice ON billing_creditnote;
DROP FUNCTION billing_credit_note_moves_forward();
DROP FUNCTION billing_credit_notes_fit_their_invoice();
