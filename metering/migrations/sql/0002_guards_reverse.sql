-- Takes 0002_guards.sql away again; the data stay as they are.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER a_usage_event_is_never_changed ON metering_usageevent;
DROP TRIGGER the_usage_events_are_never_emptied ON metering_usageevent;
DROP TRIGGER the_event_key_secret_is_never_changed ON metering_eventkeysecret;
DROP SEQUENCE metering_change;
DROP INDEX usage_event_by_time;
ALTER TABLE metering_usagehour RESET (fillfactor);
ALTER TABLE metering_usageday RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE metering_usagetotal RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE metering_usagestate RESET (fillfactor, autovacuum_vacuum_scale_factor);
