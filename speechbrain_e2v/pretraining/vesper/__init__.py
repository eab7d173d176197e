"""Vesper: a small encoder learns from two layers of a large, frozen one."""
