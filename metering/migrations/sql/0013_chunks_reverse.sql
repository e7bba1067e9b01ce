-- Takes 0013_chunks.sql away again, as long as nothing lies in it.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION metering_add_month(integer);
DROP FUNCTION metering_month_table(integer);
DROP TABLE metering_usagechunk;
DROP SEQUENCE metering_chunk_number;
