"""The metering agent, against a small service that fails in every way, and the real one."""
