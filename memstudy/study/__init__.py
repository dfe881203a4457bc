"""From recipes to runs: carry out one, or a whole study, and derive its tables and figures."""
