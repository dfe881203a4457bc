"""Where tables and figures are written, and the endings of their files."""

TABLES, FIGURES = "tables", "figures"
ENDINGS = {TABLES: ("md", "tex", "csv"), FIGURES: ("svg", "pdf", "png", "csv")}
"""By folder; of a figure the last is that of its data."""
