"""Norm Loss' tables and figures."""
