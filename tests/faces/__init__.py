"""The faces: finance's admin and the customers' pages, over books made through the services."""
