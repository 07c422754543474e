"""Postgres: the truth. Tables, the questions asked of them, and the migrations that made them."""
