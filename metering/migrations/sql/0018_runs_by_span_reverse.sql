DROP FUNCTION metering_run_reaches;
DROP FUNCTION metering_run_span;
