"""The metering agent: takes in what was used, keeps it safe on disk, and reports it to the service.

A program of its own that is installed apart: nothing here imports Django or any other part of this
repository, only Python's standard library. See README.md beside this file.
"""
