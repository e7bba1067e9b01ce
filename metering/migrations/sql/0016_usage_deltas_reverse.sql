SET LOCAL lock_timeout = '5s';

SELECT metering_fold_usage();
DROP FUNCTION metering_fold_usage;
DROP VIEW metering_totalusage;
DROP VIEW metering_dailyusage;
DROP VIEW metering_hourlyusage;
DROP VIEW metering_pendingusage;
DROP TABLE metering_usagedelta;
