DROP FUNCTION metering_number_events;
