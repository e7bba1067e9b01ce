SET LOCAL lock_timeout = '5s';

DROP FUNCTION metering_add_usage;
