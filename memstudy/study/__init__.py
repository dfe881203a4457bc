"""From recipes to runs: carry one out, or a whole study, and compare what came of it."""
