"""What is derived from runs: analyses, a folder each."""
