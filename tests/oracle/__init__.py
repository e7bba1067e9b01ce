"""An independent, slow and obvious model of the commit billing ledger.

Owns nothing of the product and imports nothing of it: it restates the rules of the domain in
exact fractions, so that the product's figures can be compared with figures found another way.
"""
