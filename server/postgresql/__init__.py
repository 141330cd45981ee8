"""Django's backend for PostgreSQL, with a pool that is right again as soon as the database is (ENGINE)."""
