"""Mapping templates, models and JSONPath: what reshapes messages between clients and backends."""
