"""What the rest of the project may want to hear of."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent when an operation is over; `operation_id`. At most once: a process that dies at that moment sends nothing.
operation_finished = Signal()
#: Sent when a chunk is committed, at most once; `operation_id`, `resource` (its name), `row_start`, `row_count`.
chunk_written = Signal()
