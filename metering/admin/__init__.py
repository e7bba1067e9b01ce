"""The finance admin of prices and usage: the price book, meters, usage without a price."""

from metering.admin import prices, private_prices, usage

__all__ = ["prices", "private_prices", "usage"]
