SET LOCAL lock_timeout = '5s';

DROP FUNCTION billing_book(
    timestamptz, bigint[], uuid[], int[], text[], text[], text[], bigint[], uuid[], int[], int[],
    date[], date[], text[], uuid[], text[], jsonb[], int[], int[], numeric[]
);
