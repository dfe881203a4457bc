"""What becomes of each training sample."""
