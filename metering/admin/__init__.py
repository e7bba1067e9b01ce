"""The finance admin of prices and usage: the price book, meters, usage without a price."""

from metering.admin import cross_checks, prices, private_prices, usage

__all__ = ["cross_checks", "prices", "private_prices", "usage"]
