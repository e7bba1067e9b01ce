"""The finance admin of prices and usage: the price book, meters, usage without a price."""

from metering.admin import prices, usage

__all__ = ["prices", "usage"]
