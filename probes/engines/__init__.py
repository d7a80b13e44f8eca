"""Engines: other libraries that solve the same problems; the certificate is the same for all."""
