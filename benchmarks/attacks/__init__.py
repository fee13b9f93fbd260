"""Attacks on the server: a fuzzer, and the heavy inputs with what they cost."""
