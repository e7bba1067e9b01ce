-- A private price stands in the price book only as two people agreed on it.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION metering_private_price_was_agreed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.customer_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM metering_privatepricerequest asked
        WHERE asked.state = 'approved'
          AND (asked.customer_id, asked.model, asked.mode, asked.meter_id, asked.price, asked.effective_at)
              = (NEW.customer_id, NEW.model, NEW.mode, NEW.meter_id, NEW.price, NEW.effective_at)) THEN
        RAISE EXCEPTION 'A private price stands in the price book only as two people agreed on it.'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER a_private_price_was_agreed_by_two_people
    BEFORE INSERT OR UPDATE ON metering_price
    FOR EACH ROW EXECUTE FUNCTION metering_private_price_was_agreed();
