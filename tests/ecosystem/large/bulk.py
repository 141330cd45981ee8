"""Resources of models that others wrote."""

from oscar.core.loading import get_model
from wagtail.documents.models import Document
from wagtail.models import Page

import bulkql

from .models import Advert

#: Nodes of a tree of treebeard's are placed by add_root() and add_child().
PLACED = bulkql.ALL - {"CREATE", "UPSERT", "SYNC"}


@bulkql.register(get_model("catalogue", "Product"))
class Products(bulkql.BulkResource):
    fields = ("upc", "title", "product_class", "description")
    match_fields = ("upc",)


@bulkql.register(get_model("catalogue", "Category"))
class Categories(bulkql.BulkResource):
    fields = ("code", "name", "description")
    match_fields = ("code",)
    operations = PLACED


@bulkql.register(Page)
class Pages(bulkql.BulkResource):
    fields = ("title", "slug", "seo_title")
    operations = PLACED


@bulkql.register(Document)
class Documents(bulkql.BulkResource):
    fields = ("title", "file", "collection")
    operations = bulkql.ALL - {"UPSERT", "SYNC"}  # it has no unique key that rows could give


@bulkql.register(Advert)
class Adverts(bulkql.BulkResource):
    fields = ("name", "text")
    match_fields = ("name",)
