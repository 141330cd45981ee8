"""An app with a mistake in its bulk.py is told so, before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BULK = """
import bulkql
from .models import Product


@bulkql.register(Product)
class Products(bulkql.BulkResource):
    fields = ("name", "prize")
"""
MODELS = """
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=8, decimal_places=2)
"""


def test_wrong_registration_is_told_with_its_fix(tmp_path):
    app = tmp_path / "shop"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(MODELS)
    (app / "bulk.py").write_text(BULK)
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [str(Path(sys.executable).with_name("bulkql")), "up", "--port", "0", "--data", "data", "--app", "shop"]

    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert "Products names prize, which shop.Product does not have." in done.stderr
    assert "HINT: shop.Product has id, name, price." in done.stderr
    assert "Products leaves out price, which every new row of shop.Product needs." in done.stderr
