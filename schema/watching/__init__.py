"""What many who watch at once share: readings of the database, and executions of one query."""
