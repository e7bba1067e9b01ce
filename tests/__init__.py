"""The tests, and the programs that show and measure the service: demo, bench, prove."""
