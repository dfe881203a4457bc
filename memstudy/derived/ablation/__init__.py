"""Cumulative ablation."""
