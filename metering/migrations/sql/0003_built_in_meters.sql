-- As metering/domain/meters.py has them; spelled out, because a migration must not change with it.
INSERT INTO metering_meter (key, unit, units_per_price) VALUES
    ('input_tokens', 'token', 1000000),
    ('cached_input_tokens', 'token', 1000000),
    ('output_tokens', 'token', 1000000),
    ('gpu_seconds', 'gpu_second', 3600)
ON CONFLICT DO NOTHING;
INSERT INTO metering_pricebookversion (id, version) VALUES (1, 1) ON CONFLICT DO NOTHING;
