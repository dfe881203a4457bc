"""Where in their kernels networks have their large weights."""
