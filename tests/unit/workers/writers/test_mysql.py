"""What MariaDB and MySQL say of a row -> its row error; the messages are theirs, word by word."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

from bulkql.workers.resources.registry import resource_named
from bulkql.workers.writers import violations
from bulkql.workers.writers.violations import violation_of

INDEXES = {"sku": ["sku"], "one_toy_a_place": ["shelf_id", "place"], "by_hand": ["name", "price"]}


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        (1062, "Duplicate entry 'a' for key 'sku'", ("sku", "ALREADY_EXISTS")),
        (1062, "Duplicate entry 'it's `b`' for key 'zoo_toy.sku'", ("sku", "ALREADY_EXISTS")),
        (1062, "Duplicate entry '1-2' for key 'one_toy_a_place'", (None, "ALREADY_EXISTS")),
        (1062, "Duplicate entry '1-2' for key 'by_hand'", (None, "ALREADY_EXISTS")),
        (1048, "Column 'name' cannot be null", ("name", "NULL_NOT_ALLOWED")),
        (1364, "Field 'name' doesn't have a default value", ("name", "NULL_NOT_ALLOWED")),
        (4025, "CONSTRAINT `stock_is_no_debt` failed for `test`.`zoo_toy`", (None, "CONSTRAINT")),
        (3819, "Check constraint 'stock_is_no_debt' is violated.", (None, "CONSTRAINT")),
        (
            1452,
            "Cannot add or update a child row: a foreign key constraint fails (`test`.`zoo_toy`, CONSTRAINT "
            "`zoo_toy_shelf_id_fk` FOREIGN KEY (`shelf_id`) REFERENCES `zoo_shelf` (`id`))",
            ("shelf", "REFERENCE_NOT_FOUND"),
        ),
        (1451, "Cannot delete or update a parent row: a foreign key constraint fails", (None, "CONSTRAINT")),
        (1406, "Data too long for column 'name' at row 1", ("name", "INVALID")),
        (1264, "Out of range value for column 'stock' at row 3", ("stock", "INVALID")),
        (1366, "Incorrect integer value: 'x' for column `test`.`zoo_toy`.`stock` at row 1", ("stock", "INVALID")),
        (1644, "No, says a trigger", (None, "REJECTED")),
    ],
)
def test_each_error_names_its_field_and_quotes_no_value(monkeypatch, number, text, expected):
    monkeypatch.setattr(violations, "columns_of_index", lambda resource, name: INDEXES.get(name, []))

    found = violation_of(resource_named("toys"), IntegrityError(number, text))

    assert (found.path, found.code) == expected
    assert not any(value in found.message for value in ("'a'", "it's", "'x'", "trigger"))
