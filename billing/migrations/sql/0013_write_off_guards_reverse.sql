-- Takes the guards of 0013_write_off_guards.sql away again; the data stay as they are.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER an_invoice_that_was_written_off_is_not_issued_again ON billing_invoice;
DROP FUNCTION billing_invoice_was_not_written_off();
DROP TRIGGER a_write_off_is_of_a_void_invoice ON billing_writeoff;
DROP FUNCTION billing_write_off_is_of_a_void_invoice();
DROP TRIGGER the_write_offs_are_never_emptied ON billing_writeoff;
DROP TRIGGER a_write_off_is_never_deleted ON billing_writeoff;
DROP TRIGGER a_write_off_keeps_its_invoice_and_reason ON billing_writeoff;
DROP TRIGGER a_write_off_is_decided_once ON billing_writeoff;
DROP TRIGGER a_write_off_begins_as_a_request ON billing_writeoff;
