"""OTLP on the wire: sending serialised requests, and receiving them on loopback."""
