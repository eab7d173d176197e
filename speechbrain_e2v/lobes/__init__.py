"""Neural building blocks; they need nothing but PyTorch."""
