"""AL2's tables and figures."""
