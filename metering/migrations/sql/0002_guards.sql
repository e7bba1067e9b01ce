-- Usage guards itself, as the books do (billing 0002): each trigger is named as its sentence.

SET LOCAL lock_timeout = '5s';

CREATE TRIGGER a_usage_event_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usageevent
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A usage event is never changed: void it with a new one.');
CREATE TRIGGER the_usage_events_are_never_emptied
    BEFORE TRUNCATE ON metering_usageevent
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The usage events are never emptied.');
CREATE TRIGGER the_event_key_secret_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_eventkeysecret
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('The secret of the event keys is never changed: every event would look new.');

-- Where the versions of the price book and of a customer's terms come from. A sequence does not go
-- back with a rolled-back transaction, so one number never names two states to a process that
-- cached the first.
CREATE SEQUENCE metering_change START 2;

-- Events arrive nearly in the order of their time: a block range index costs next to nothing.
CREATE INDEX usage_event_by_time ON metering_usageevent USING brin (occurred_at)
    WITH (pages_per_range = 32, autosummarize = on);

-- Rows that are counted up again and again: with room on the page an update touches no index.
ALTER TABLE metering_usagehour SET (fillfactor = 80);
ALTER TABLE metering_usageday SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE metering_usagetotal SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE metering_usagestate SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
