"""A resource for each model, with what its package has rows give."""

import bulkql

from . import models

#: The fields beside name and number.
FIELDS = {
    models.Recorded: (),
    models.Audited: (),
    models.Hooked: (),
    models.Monitored: (),
    models.Trashed: (),
    models.Hidden: (),
    models.Branch: ("parent",),
    models.Twig: ("parent",),
    models.Place: (),
    models.Shape: (),
    models.Circle: ("radius",),
    models.Tagged: (),
    models.Priced: ("price",),
    models.Located: ("country",),
    models.Called: ("phone",),
    models.Staged: (),
    models.Translated: ("title",),
    models.Worded: (),
    models.Slugged: (),
    models.Guarded: (),
}
#: treebeard's nodes are placed by add_root() and add_child().
VERBS = {models.Place: bulkql.ALL - {"CREATE", "UPSERT", "SYNC"}}

for model, fields in FIELDS.items():
    attributes = {
        "name": f"{model.__name__.lower()}s",
        "fields": ("name", "number", *fields),
        "match_fields": ("name",),
        "operations": VERBS.get(model, bulkql.ALL),
    }
    bulkql.register(model)(type(f"{model.__name__}Rules", (bulkql.BulkResource,), attributes))
