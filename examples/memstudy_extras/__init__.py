"""Extensions of memstudy, one file each. `pyproject.toml` registers them; nothing here imports another."""
