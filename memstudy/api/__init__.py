"""What `import memstudy` offers to somebody with a training loop of their own; `memstudy` itself names it."""
