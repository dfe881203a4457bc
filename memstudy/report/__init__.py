"""Summaries, tables and figures: data frames in; text, Markdown, LaTeX, CSV and images out."""
