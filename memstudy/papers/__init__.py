"""The papers' tables and figures, a folder each."""
